/*
 * Workers that nobody claims: processes that a former supd has started and that
 * the state does not know, because it ended within that turn, or because the
 * state is lost.
 *
 * They may serve users.  So they are told to end as other workers are, have time
 * for it, and are killed then.  A process is known by its pidfd, or by the notify
 * socket that it was started with; only leaders of sessions are told, the rest is
 * theirs.
 */
#include "crew_private.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry.h"
#include "fd.h"
#include "log.h"
#include "orphan.h"

/* What a worker has whose configuration nobody knows. */
#define UNCLAIMED_GRACE_MS UINT64_C(30000)

struct unclaimed {
	struct unclaimed *next;
	struct watch exit_watch;
	struct alarm grace;
	pid_t pid;
	int pidfd;
};

static struct unclaimed *all;

bool
crew_is_unclaimed(pid_t pid)
{
	const struct unclaimed *u = all;

	while (u != NULL && u->pid != pid)
		u = u->next;
	return u != NULL;
}

static void
carry_name(const struct unclaimed *u, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "u%d", (int)u->pid);
}

static void
on_exit_watch(void *ctx, int events)
{
	struct unclaimed *u = ctx, **link = &all;
	char name[CARRY_NAME_BYTES_MAX + 1];

	(void)events;
	while (*link != u)
		link = &(*link)->next;
	*link = u->next;
	if (getpgid(u->pid) == u->pid)
		(void)kill(-u->pid, SIGKILL);
	(void)process_reap(u->pidfd);
	reactor_unwatch(&u->exit_watch);
	reactor_clear_alarm(&u->grace);
	carry_name(u, name);
	carry_drop(name);
	fd_close(u->pidfd);
	log_notice("pid %d, which nobody claimed, has ended", u->pid);
	free(u);
}

static void
on_grace_over(void *ctx)
{
	const struct unclaimed *u = ctx;

	log_warning("pid %d, which nobody claims, is killed: it had %d s to end",
	    u->pid, (int)(UNCLAIMED_GRACE_MS / 1000));
	(void)pidfd_send_signal(u->pidfd, SIGKILL, NULL, 0);
}

/* Takes the pidfd. */
static void
add(pid_t pid, int pidfd)
{
	struct unclaimed *u = calloc(1, sizeof(*u));
	char name[CARRY_NAME_BYTES_MAX + 1];

	if (u == NULL) {
		log_error("pid %d is a worker that nobody claims, and there is "
		    "no memory to follow it: it goes on", pid);
		fd_close(pidfd);
		return;
	}
	u->pid = pid;
	u->pidfd = pidfd;
	u->next = all;
	all = u;
	carry_name(u, name);
	carry_put(name, &pidfd, 1, true);
	reactor_watch(&u->exit_watch, pidfd, REACTOR_READ, on_exit_watch, u);
}

/* It is told again should it have been told by a supd before. */
static void
end(struct unclaimed *u)
{
	log_warning("pid %d is a worker that nobody claims since supd was "
	    "started anew: it is told to end", u->pid);
	(void)pidfd_send_signal(u->pidfd, SIGTERM, NULL, 0);
	(void)pidfd_send_signal(u->pidfd, SIGCONT, NULL, 0);
	reactor_set_alarm(&u->grace, UNCLAIMED_GRACE_MS, on_grace_over, u);
}

static void
take(const char *name)
{
	struct stat status;
	pid_t pid;
	int fd;

	while ((fd = carry_take(name)) >= 0) {
		pid = process_pid(fd);
		if (fstat(fd, &status) < 0 || S_ISSOCK(status.st_mode) ||
		    pid <= 1 || crew_is_known(pid))
			fd_close(fd);
		else
			add(pid, fd);
	}
}

void
crew_take_unclaimed(void)
{
	uint32_t cursor = 0;
	const char *name;

	while ((name = carry_next(&cursor)) != NULL) {
		if (carry_kind(name) == 'w' || carry_kind(name) == 'u')
			take(name);
	}
}

static void
look_at(pid_t pid)
{
	char name[CREW_SOCKET_NAME_BYTES];
	int pidfd;

	if (getsid(pid) != pid || crew_is_known(pid) ||
	    !orphan_socket(pid, name) || crew_has_socket(name))
		return;
	pidfd = fd_to_private(pidfd_open(pid, 0));
	/* With the pidfd in hand the number is nobody else's. */
	if (pidfd >= 0 && orphan_has_socket(pid, name))
		add(pid, pidfd);
	else
		fd_close(pidfd);
}

/* Those that were started in a turn that was lost, before their fds were
 * anywhere. */
static void
find_others(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t pid;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 1)
			look_at(pid);
	}
	if (proc != NULL)
		(void)closedir(proc);
}

void
crew_end_unclaimed(void)
{
	find_others();
	for (struct unclaimed *u = all; u != NULL; u = u->next)
		end(u);
}
