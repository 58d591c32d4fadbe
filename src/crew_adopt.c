/*
 * Another main process for a worker: some fork once they are set up, and say
 * MAINPID=.
 *
 * A worker that could name any process could have us, who may be root, signal
 * it.  So it must run as the worker's user, and be of the worker's session or
 * a child of ours.
 */
#include "crew_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "task.h"

/* The parent of a process, as /proc/PID/stat has it; 0: unknown. */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[512], *p;
	long size;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	size = fd_read_file(AT_FDCWD, path, text, sizeof(text) - 1);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	p = strrchr(text, ')');         /* the name may hold anything */
	return p != NULL && strlen(p) > 4 ? (pid_t)strtol(p + 4, NULL, 10) : 0;
}

static bool
may_follow(const struct member *m, pid_t pid)
{
	struct stat st;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	if (pid <= 1 || stat(path, &st) < 0 || st.st_uid != m->uid)
		return false;
	if (crew_find(pid) != NULL || task_has(pid))
		return false;
	return getsid(pid) == m->group || parent_of(pid) == getpid();
}

int
crew_adopt(struct member *m, pid_t pid)
{
	int pidfd;

	if (!may_follow(m, pid))
		return -EPERM;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return -errno;
	/* pidfd in hand, the number cannot be somebody else's any more. */
	if (!may_follow(m, pid)) {
		(void)close(pidfd);
		return -EPERM;
	}
	reactor_unwatch(&m->exit_watch);
	fd_close(m->pidfd);
	crew_leave(m);
	m->pid = pid;
	m->pidfd = fd_to_private(pidfd);
	crew_enter(m);
	crew_keep(m);
	reactor_watch(&m->exit_watch, m->pidfd, REACTOR_READ, crew_on_exit, m);
	return 0;
}
