/*
 * The scratch directory of the tests of pin and spawn; see the header.
 */
#include "spawn_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"
#include "../src/pin_parts.h"

#define PATH_BYTES 512

enum { TEST_SECONDS_MAX = 60 };

char fixture_report[FIXTURE_REPORT_BYTES_MAX];

static char scratch[PATH_BYTES / 2];

static void
ignore(int signal_number)
{
	(void)signal_number;
}

static int
remove_entry(const char *path, const struct stat *status, int type,
    struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static int
wait_for(const struct process *process)
{
	siginfo_t information;

	assert_int_equal(waitid(P_PIDFD, process->pidfd, &information, WEXITED),
	    0);
	assert_int_equal(information.si_pid, process->pid);
	close(process->pidfd);
	return information.si_code == CLD_EXITED ? information.si_status :
	    128 + information.si_status;
}

int
fixture_set_up(void **state)
{
	char *resolved;

	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/supd-test-XXXXXX");
	if (mkdtemp(scratch) == NULL || chmod(scratch, 0755) < 0)
		return -1;
	resolved = realpath(scratch, NULL);
	if (resolved == NULL)
		return -1;
	snprintf(scratch, sizeof(scratch), "%s", resolved);
	free(resolved);
	return 0;
}

int
fixture_tear_down(void **state)
{
	(void)state;
	return nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fixture_directory(void)
{
	return scratch;
}

const char *
fixture_path(const char *name)
{
	static char paths[8][PATH_BYTES];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, PATH_BYTES, "%s/%s", scratch, name);
	return path;
}

const char *
fixture_program(const char *name)
{
	static char path[PATH_BYTES];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);

	assert_true(length > 0);
	path[length] = '\0';
	snprintf(strrchr(path, '/') + 1, 64, "%s", name);
	return path;
}

void
fixture_install(const char *from, const char *name)
{
	const char *fresh = fixture_path("install.tmp");
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat status;
	off_t done = 0;

	assert_true(in >= 0 && out >= 0 && fstat(in, &status) == 0);
	while (done < status.st_size)
		assert_true(sendfile(out, in, &done,
		    (size_t)(status.st_size - done)) > 0);
	assert_int_equal(fchmod(out, 0755), 0);
	close(in);
	close(out);
	assert_int_equal(rename(fresh, fixture_path(name)), 0);
}

void
fixture_write(const char *name, const char *text, mode_t mode)
{
	int fd = open(fixture_path(name),
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

struct spec
fixture_spec(char **argv)
{
	struct spec spec = {
		.reference_count = 1,
		.name = "web",
		.argv = argv,
		.working_directory = scratch,
		.workers = 1,
	};

	return spec;
}

struct release *
fixture_pin(struct spec *spec)
{
	char text[REASON_BYTES_MAX] = "";
	struct release *release = pin_release(spec, text);

	if (release == NULL)
		fail_msg("%s", text);
	return release;
}

void
fixture_release(const char *name)
{
	char path[64];

	assert_int_equal(mkdir(fixture_path(name), 0755), 0);
	snprintf(path, sizeof(path), "%s/bin", name);
	assert_int_equal(mkdir(fixture_path(path), 0755), 0);
	snprintf(path, sizeof(path), "%s/bin/probe", name);
	fixture_install(fixture_program("probe_child"), path);
}

char *
fixture_r1(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s", fixture_path("r1"));
	return path;
}

void
fixture_refused(struct spec *spec, const char *words)
{
	char text[REASON_BYTES_MAX] = "";
	unsigned count = fixture_fd_count();
	struct release *release = pin_release(spec, text);

	assert_null(release);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, text);
	assert_int_equal(fixture_fd_count(), count);
	assert_int_equal(spec->reference_count, 1);
}

const char *
fixture_variable(const struct release *release, const char *name)
{
	return pin_environment_value(release->environment, name);
}

unsigned
fixture_fd_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

struct release *
fixture_pin_probe(struct spec *spec)
{
	fixture_install(fixture_program("probe_child"), "probe");
	return fixture_pin(spec);
}

struct launch
fixture_launch(const struct release *release)
{
	struct launch launch = {
		.release = release,
		.id = { .slot = 7, .incarnation = 1 },
		.ready_write_fd = -1,
	};

	return launch;
}

int
fixture_run(const struct launch *launch)
{
	int out = memfd_create("report", MFD_CLOEXEC);
	int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 900), status;
	struct spawn_failure failure = { SPAWN_NONE, 0 };
	struct process process = { 0, -1 };
	ssize_t length;
	int result;

	fflush(stdout);
	assert_true(out >= 0 && saved >= 0);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	result = spawn(launch, &process, &failure);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	if (result < 0)
		fail_msg("cannot %s: %s", spawn_stage_text(failure.stage),
		    strerror(failure.error));
	assert_true(process.pidfd >= FD_PRIVATE);
	assert_true(fcntl(process.pidfd, F_GETFD) & FD_CLOEXEC);
	status = wait_for(&process);
	length = pread(out, fixture_report, sizeof(fixture_report) - 1, 0);
	assert_true(length >= 0);
	fixture_report[length] = '\0';
	close(out);
	return status;
}

int
fixture_start_supd(void **state)
{
	int input = memfd_create("input", MFD_CLOEXEC);
	struct rlimit limit;
	sigset_t blocked;

	(void)state;
	dup2(input, STDIN_FILENO);
	close(input);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, ignore);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = FIXTURE_FILES_LIMIT;
	setrlimit(RLIMIT_NOFILE, &limit);
	alarm(TEST_SECONDS_MAX);
	return spawn_init();
}

bool
fixture_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}
