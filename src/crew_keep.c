/*
 * What outlives supd of a member: its fds, by a name, and what else is known of
 * it, by a handle.
 *
 * A member is found again by its pidfd alone.  Where that was lost (the parent's
 * store was full, say), a process with the worker's pid is it only if it was
 * started with the worker's own notify socket, whose name is nobody else's.
 */
#include "crew_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry.h"
#include "fd.h"
#include "log.h"
#include "notify.h"
#include "orphan.h"

/* `w` for what it has as long as it runs, `p` for the pipe of its readiness. */
static void
carry_name(const struct member *m, char kind, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "%c%" PRIu32 ".%"
	    PRIu32, kind, m->service, m->id.incarnation);
}

void
crew_keep(const struct member *m)
{
	int fds[] = { m->pidfd, m->notify_fd };
	char name[CARRY_NAME_BYTES_MAX + 1];

	carry_name(m, 'w', name);
	carry_put(name, fds, m->notify_fd >= 0 ? 2 : 1, true);
	carry_name(m, 'p', name);
	if (m->ready_fd >= 0)
		carry_put(name, &m->ready_fd, 1, true);
}

void
crew_forget_ready(const struct member *m)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	carry_name(m, 'p', name);
	carry_drop(name);
}

void
crew_forget(const struct member *m)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	carry_name(m, 'w', name);
	carry_drop(name);
	crew_forget_ready(m);
}

void
crew_handle(const struct member *m, char *ret_handle)
{
	(void)snprintf(ret_handle, HANDLE_BYTES_MAX, "group %d uid %u %s",
	    (int)m->group, (unsigned)m->uid,
	    m->kill_mode == KILL_MODE_GROUP ? "kill-group" : "kill-process");
}

static bool
read_handle(struct member *m, const char *handle)
{
	char mode[16];
	int group;
	unsigned uid;

	if (sscanf(handle, "group %d uid %u kill-%15s", &group, &uid,
	    mode) != 3 || group <= 1)
		return false;
	m->group = (pid_t)group;
	m->uid = (uid_t)uid;
	m->kill_mode = strcmp(mode, "group") == 0 ? KILL_MODE_GROUP :
	    KILL_MODE_PROCESS;
	return true;
}

/* Each fd is known by its kind. */
static void
take_fds(struct member *m)
{
	char name[CARRY_NAME_BYTES_MAX + 1];
	struct stat status;
	int fd, *place;

	carry_name(m, 'w', name);
	while ((fd = carry_take(name)) >= 0) {
		place = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ?
		    &m->notify_fd : &m->pidfd;
		fd_close(*place);
		*place = fd;
	}
	carry_name(m, 'p', name);
	m->ready_fd = carry_take(name);
}

static int
open_by_socket(const struct member *m, pid_t pid)
{
	char name[CREW_SOCKET_NAME_BYTES];
	int pidfd;

	crew_socket_name(m, name);
	if (!orphan_has_socket(pid, name))
		return -1;
	pidfd = pidfd_open(pid, 0);
	/* With the pidfd in hand the number is nobody else's. */
	if (pidfd >= 0 && !orphan_has_socket(pid, name))
		fd_clear(&pidfd);
	return fd_to_private(pidfd);
}

/* -1 is one that has ended and was reaped: its pidfd says so to the loop. */
static bool
find_process(struct member *m, pid_t pid)
{
	pid_t found = m->pidfd >= 0 ? process_pid(m->pidfd) : 0;

	m->pid = pid;
	if (found == pid || found == -1)
		return true;
	fd_clear(&m->pidfd);
	m->pidfd = open_by_socket(m, pid);
	return m->pidfd >= 0;
}

/* One that was lost is made anew; what was in it is lost. */
static void
find_socket(struct member *m)
{
	char path[CREW_SOCKET_PATH_BYTES];

	if (m->notify_fd >= 0)
		return;
	crew_socket_path(m, path, sizeof(path));
	m->notify_fd = notify_open(path);
	if (m->notify_fd < 0)
		log_error("pid=%d: its notify socket is lost, and another "
		    "cannot be made: %s; what it says is not heard", m->pid,
		    strerror(-m->notify_fd));
}

struct member *
crew_restore(uint32_t service, struct worker_id id, pid_t pid,
    const char *handle)
{
	struct member *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->pidfd = m->notify_fd = m->ready_fd = -1;
	m->service = service;
	m->id = id;
	if (!read_handle(m, handle)) {
		free(m);
		return NULL;
	}
	take_fds(m);
	if (!find_process(m, pid)) {
		crew_free(m);
		return NULL;
	}
	find_socket(m);
	crew_follow(m);
	return m;
}
