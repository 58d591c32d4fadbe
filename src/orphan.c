/*
 * Finding orphans: the list of our children in /proc, and the environment of
 * those that nobody knows.
 *
 * The name of a notify socket begins with `g` where the worker's whole process
 * group is to go with it (kill_mode = group) and with `p` where it is not.  A
 * child that overwrote its environment cannot be told apart and is left alone.
 */
#include "orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"

/* Enough for the children's list of some thousand workers; what is beyond is
 * looked at when some of these are gone. */
enum {
	CHILDREN_BYTES = 65536,
	ENVIRON_BYTES = 65536,
};

static int children_fd = -1;
static char prefix[160];                /* "NOTIFY_SOCKET=DIR/" */

int
orphan_init(const char *notify_dir)
{
	char path[64];
	int fd;

	(void)snprintf(prefix, sizeof(prefix), "NOTIFY_SOCKET=%s/", notify_dir);
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    gettid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	children_fd = fd_to_private(fd);
	return 0;
}

bool
orphan_socket(pid_t pid, char ret_name[ORPHAN_NAME_BYTES])
{
	static char environment[ENVIRON_BYTES];
	char path[64];
	size_t prefix_bytes = strlen(prefix);
	long size;

	ret_name[0] = '\0';
	if (prefix_bytes == 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	size = fd_read_file(AT_FDCWD, path, environment,
	    sizeof(environment) - 1);
	if (size <= 0)
		return false;
	environment[size] = '\0';
	for (char *p = environment; p < environment + size;
	    p += strlen(p) + 1) {
		if (strncmp(p, prefix, prefix_bytes) != 0)
			continue;
		if (strlen(p + prefix_bytes) < ORPHAN_NAME_BYTES)
			(void)strcpy(ret_name, p + prefix_bytes);
		break;
	}
	return ret_name[0] != '\0';
}

bool
orphan_has_socket(pid_t pid, const char *name)
{
	char own[ORPHAN_NAME_BYTES];

	return orphan_socket(pid, own) && strcmp(own, name) == 0;
}

static bool
kill_if_orphan(pid_t pid, bool (*has_socket)(const char *name),
    pid_t killed_group)
{
	char name[ORPHAN_NAME_BYTES];
	pid_t group;

	if (!orphan_socket(pid, name) || name[0] != 'g' || has_socket(name))
		return false;
	/* It is our child and not reaped, so the pid is still its own. */
	group = getpgid(pid);
	if (killed_group != 0 && group == killed_group)
		return false;
	if (group > 1 && group != getpgrp())
		(void)kill(-group, SIGKILL);
	(void)kill(pid, SIGKILL);
	log_warning("pid %d outlived its worker (%s) outside of its process "
	    "group: killed", pid, name);
	return true;
}

unsigned
orphan_kill(bool (*is_known)(pid_t pid), bool (*has_socket)(const char *name),
    pid_t killed_group)
{
	static char list[CHILDREN_BYTES];
	unsigned count = 0;
	ssize_t size;
	char *end, *p = list;

	if (children_fd < 0)
		return 0;
	size = pread(children_fd, list, sizeof(list) - 1, 0);
	if (size <= 0)
		return 0;
	list[size] = '\0';
	for (;;) {
		long pid = strtol(p, &end, 10);

		if (end == p || pid <= 0 || *end != ' ')
			return count;
		p = end;
		if (!is_known((pid_t)pid))
			count += kill_if_orphan((pid_t)pid, has_socket,
			    killed_group);
	}
}
