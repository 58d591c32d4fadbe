/*
 * A worker that says what it sees, for the tests of spawn: one `key value` line
 * each, on standard output.
 *
 *   probe_child               reports
 *   probe_child ready FD      reports, and writes a newline to FD
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
print_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[256];
	ssize_t length;
	int fd;

	if (directory == NULL)
		_exit(3);
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		fd = atoi(entry->d_name);
		length = readlinkat(dirfd(directory), entry->d_name, target,
		    sizeof(target) - 1);
		if (fd == dirfd(directory) || length < 0)
			continue;
		target[length] = '\0';
		printf("fd %d %s\n", fd, target);
	}
	closedir(directory);
}

static void
print_signals(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];

	if (status == NULL)
		_exit(3);
	while (fgets(line, sizeof(line), status) != NULL) {
		if (strncmp(line, "SigBlk", 6) == 0 ||
		    strncmp(line, "SigIgn", 6) == 0 ||
		    strncmp(line, "SigCgt", 6) == 0)
			fputs(line, stdout);
	}
	fclose(status);
}

static void
print_credentials(void)
{
	gid_t groups[64];
	int count = getgroups(64, groups), i;
	uid_t real, effective, saved;

	getresuid(&real, &effective, &saved);
	printf("uid %u %u %u\n", real, effective, saved);
	getresgid(&real, &effective, &saved);
	printf("gid %u %u %u\n", real, effective, saved);
	printf("groups");
	for (i = 0; i < count; i++)
		printf(" %u", groups[i]);
	printf("\n");
}

static void
print_process(void)
{
	struct rlimit limit;
	struct stat status;
	char directory[4096];
	mode_t mask = umask(0);
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	printf("pid %d\nsid %d\npgid %d\n", getpid(), getsid(0), getpgrp());
	printf("umask %03o\n", mask);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		printf("files_limit %ju\n", (uintmax_t)limit.rlim_cur);
	if (getcwd(directory, sizeof(directory)) != NULL)
		printf("cwd %s\n", directory);
	if (pidfd >= 0 && fstat(pidfd, &status) == 0)
		printf("pidfd_id %ju\n", (uintmax_t)status.st_ino);
	if (pidfd >= 0)
		close(pidfd);
}

int
main(int argc, char **argv)
{
	char **variable;
	int i;

	for (i = 0; i < argc; i++)
		printf("arg %d %s\n", i, argv[i]);
	for (variable = environ; *variable != NULL; variable++)
		printf("env %s\n", *variable);
	print_files();
	print_signals();
	print_credentials();
	print_process();
	printf("end\n");
	fflush(stdout);
	if (argc == 3 && strcmp(argv[1], "ready") == 0)
		return write(atoi(argv[2]), "\n", 1) == 1 ? 0 : 4;
	return 0;
}
