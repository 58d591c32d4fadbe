/*
 * Members: starting, listening to them, and how they end.
 *
 * A member's notify socket is named by kill_mode, service and incarnation
 * (g3.17), so the name stands for one incarnation for ever.
 */
#include "crew.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew_private.h"
#include "fd.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "orphan.h"
#include "pin.h"
#include "reactor.h"
#include "store.h"
#include "task.h"

enum {
	BUCKET_COUNT = 1024,            /* of members by pid; a power of two */
	/* All that one that stores its fds and ends can have said, and not
	 * without end if a child of it goes on. */
	LAST_DATAGRAMS_MAX = 2 * FD_STORE_MAX,
};

static struct member *buckets[BUCKET_COUNT];
static char directory[96];
static crew_report report;
static void *report_ctx;

static struct member **
bucket(pid_t pid)
{
	return &buckets[(unsigned)pid & (BUCKET_COUNT - 1)];
}

struct member *
crew_find(pid_t pid)
{
	struct member *m = *bucket(pid);

	while (m != NULL && m->pid != pid)
		m = m->next;
	return m;
}

void
crew_enter(struct member *m)
{
	m->next = *bucket(m->pid);
	*bucket(m->pid) = m;
}

void
crew_leave(struct member *m)
{
	struct member **link = bucket(m->pid);

	while (*link != m)
		link = &(*link)->next;
	*link = m->next;
}

void
crew_socket_name(const struct member *m,
    char ret_name[CREW_SOCKET_NAME_BYTES])
{
	(void)snprintf(ret_name, CREW_SOCKET_NAME_BYTES, "%c%u.%u",
	    m->kill_mode == KILL_MODE_GROUP ? 'g' : 'p', m->service,
	    m->id.incarnation);
}

void
crew_socket_path(const struct member *m, char *ret_path, size_t size)
{
	char name[CREW_SOCKET_NAME_BYTES];

	crew_socket_name(m, name);
	(void)snprintf(ret_path, size, "%s/%s", directory, name);
}

bool
crew_has_socket(const char *name)
{
	uint32_t service, incarnation;
	char kind;

	if (sscanf(name, "%c%" SCNu32 ".%" SCNu32, &kind, &service,
	    &incarnation) != 3)
		return false;
	for (unsigned i = 0; i < BUCKET_COUNT; i++)
		for (struct member *m = buckets[i]; m != NULL; m = m->next)
			if (m->id.incarnation == incarnation &&
			    m->service == service &&
			    (m->kill_mode == KILL_MODE_GROUP) == (kind == 'g'))
				return true;
	return false;
}

bool
crew_is_known(pid_t pid)
{
	return crew_find(pid) != NULL || task_has(pid) ||
	    crew_is_unclaimed(pid);
}

void
crew_free(struct member *m)
{
	char path[CREW_SOCKET_PATH_BYTES];

	crew_forget(m);
	reactor_unwatch(&m->exit_watch);
	reactor_unwatch(&m->notify_watch);
	reactor_unwatch(&m->ready_watch);
	fd_close(m->pidfd);
	fd_close(m->ready_fd);
	if (m->notify_fd >= 0) {
		fd_close(m->notify_fd);
		crew_socket_path(m, path, sizeof(path));
		(void)unlink(path);     /* at worst the next start removes it */
	}
	free(m);
}

void
crew_tell(const struct member *m, enum event_type type, uint64_t value,
    const char *text)
{
	struct event event = {
		.type = type, .service = m->service, .id = m->id,
		.value = value, .text = text,
	};

	report(report_ctx, &event);
}

/*
 * How a worker ends
 */

static void
member_ended(struct member *m)
{
	struct event event = {
		.type = EVENT_EXITED, .service = m->service, .id = m->id,
	};
	pid_t pid = m->pid, killed_group = 0;

	crew_read_notify(m, LAST_DATAGRAMS_MAX);
	if (m->pid != pid)      /* its last word was MAINPID= */
		return;
	/* Before it is reaped: so long the group's number is its own. */
	if (m->kill_mode == KILL_MODE_GROUP &&
	    (m->group == pid || getpgid(pid) == m->group)) {
		killed_group = m->group;
		(void)kill(-killed_group, SIGKILL);
	}
	event.exit = process_reap(m->pidfd);
	store_ended(m->service, m->id);
	crew_leave(m);
	crew_free(m);
	(void)orphan_kill(crew_is_known, crew_has_socket, killed_group);
	report(report_ctx, &event);
}

void
crew_on_exit(void *ctx, int events)
{
	(void)events;
	member_ended(ctx);
}

void
crew_sweep(void)
{
	siginfo_t info;
	struct member *m;
	bool any = false;

	/* A look first (WNOWAIT): ours are left to their pidfd's status. */
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			break;
		m = crew_find(info.si_pid);
		if (m != NULL) {
			member_ended(m);
			continue;
		}
		if (task_sweep(info.si_pid))
			continue;
		if (waitid(P_PID, (id_t)info.si_pid, &info,
		    WEXITED | WNOHANG) < 0)
			break;
		any = true;
	}
	if (any)        /* one that ended may have left others to us */
		(void)orphan_kill(crew_is_known, crew_has_socket, 0);
}

/*
 * Starting
 */

static enum start_result
check_build(const struct start *start, char *ret_text)
{
	const struct release *r = start->release;
	int error;

	if (r->executable_fd < 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "revision %u was "
		    "lost when supd was started anew", r->revision);
		return START_FAILED;
	}
	error = pin_check(r);
	if (error == 0)
		return START_DONE;
	if (start->strict) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%.300s was changed after revision %u was pinned "
		    "(install a build as a new file, with rename)",
		    r->path, r->revision);
		return START_FAILED;
	}
	log_warning("%s was changed after revision %u was pinned; what starts "
	    "now may be another build", r->path, r->revision);
	return START_DONE;
}

/* The socket and the pipe that a worker speaks through; 0 or -errno. */
static int
open_ears(struct member *m, const struct release *r, char *path,
    size_t path_size, int *ret_write_fd)
{
	int ends[2];

	crew_socket_path(m, path, path_size);
	m->notify_fd = notify_open(path);
	if (m->notify_fd < 0)
		return m->notify_fd;
	m->notify_fd = fd_to_private(m->notify_fd);
	if (r->spec->ready != READY_FD)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	m->ready_fd = fd_to_private(ends[0]);
	*ret_write_fd = fd_to_source(ends[1]);
	return fcntl(m->ready_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static enum start_result
explain_failure(const struct start *start, const struct spawn_failure *failure,
    char *ret_text)
{
	const char *where = failure->stage == SPAWN_NOTIFY ? directory :
	    failure->stage == SPAWN_DIRECTORY ? start->release->directory :
	    start->release->path;

	(void)snprintf(ret_text, REASON_BYTES_MAX, "cannot %s: %s (%.300s)",
	    spawn_stage_text(failure->stage), strerror(failure->error), where);
	if (failure->stage == SPAWN_EXECUTE && failure->error == ETXTBSY)
		return START_BUSY;
	return spawn_refused(failure) ? START_REFUSED : START_FAILED;
}

/* What a worker is given from 3 on, and its names; the number of it. */
static unsigned
collect_passed(const struct release *r, const struct store_grant *grant,
    int *ret_fds, char *ret_names, size_t size)
{
	unsigned count = 0;
	size_t used = 0;

	ret_names[0] = '\0';
	for (; count < r->shard_count; count++) {
		ret_fds[count] = r->shards[count]->fd;
		used += (size_t)snprintf(ret_names + used, size - used, "%s%s",
		    count == 0 ? "" : ":",
		    r->shards[count]->listener->spec->name);
	}
	if (grant->count > 0)
		(void)snprintf(ret_names + used, size - used, "%s%s",
		    count == 0 ? "" : ":", grant->names);
	for (unsigned i = 0; i < grant->count; i++)
		ret_fds[count++] = grant->fds[i];
	return count;
}

/* Once it can be spoken to. */
static int
spawn_member(struct member *m, const struct start *start, const char *path,
    int write_fd, struct spawn_failure *ret_failure)
{
	static char names[LISTENERS_MAX * (NAME_LENGTH_MAX + 1) +
	    FD_START_NAMES_BYTES_MAX];
	static const struct store_grant nothing;
	const struct release *r = start->release;
	/* The readiness fd may have a number that it would need. */
	bool may_have = r->spec->ready != READY_FD;
	const struct store_grant *grant = may_have ? store_grant(m->service,
	    m->id, r->revision) : &nothing;
	int fds[PASSED_FDS_MAX], error;
	struct process process;
	struct launch launch = {
		.release = r, .id = start->id, .passed_fds = fds,
		.passed_names = names, .notify_path = path,
		.ready_write_fd = write_fd,
	};

	launch.passed_count = collect_passed(r, grant, fds, names,
	    sizeof(names));
	error = spawn(&launch, &process, ret_failure);
	if (may_have)
		store_granted(error == 0);
	if (error < 0)
		return error;
	m->pid = m->group = process.pid;
	m->pidfd = process.pidfd;
	return 0;
}

static enum start_result
execute(struct member *m, const struct start *start, char *ret_text)
{
	int write_fd = -1, error;
	char path[CREW_SOCKET_PATH_BYTES];
	struct spawn_failure failure = { .stage = SPAWN_NOTIFY };

	error = open_ears(m, start->release, path, sizeof(path), &write_fd);
	if (error < 0)
		failure.error = -error;
	else
		error = spawn_member(m, start, path, write_fd, &failure);
	fd_close(write_fd);
	return error < 0 ? explain_failure(start, &failure, ret_text) :
	    START_DONE;
}

void
crew_follow(struct member *m)
{
	crew_keep(m);
	crew_enter(m);
	reactor_watch(&m->exit_watch, m->pidfd, REACTOR_READ, crew_on_exit, m);
	crew_listen(m);
}

enum start_result
crew_start(const struct start *start, struct member **ret_member,
    pid_t *ret_pid, char *ret_text)
{
	const struct release *r = start->release;
	struct member *m = calloc(1, sizeof(*m));
	enum start_result result = START_REFUSED;

	if (m == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "no memory for another worker");
		return START_REFUSED;
	}
	m->pidfd = m->notify_fd = m->ready_fd = -1;
	m->service = start->service;
	m->id = start->id;
	m->kill_mode = r->spec->kill_mode;
	m->uid = r->credentials.change ? r->credentials.uid : geteuid();
	result = check_build(start, ret_text);
	if (result == START_DONE)
		result = execute(m, start, ret_text);
	if (result != START_DONE) {
		crew_free(m);
		return result;
	}
	crew_follow(m);
	*ret_member = m;
	*ret_pid = m->pid;
	return START_DONE;
}

void
crew_signal(struct member *m, int signal_number)
{
	/* It may be gone already; its pidfd will say so. */
	if (pidfd_send_signal(m->pidfd, signal_number, NULL, 0) == 0 ||
	    errno == ESRCH)
		return;
	log_error("pid=%d: signal %d (%s) cannot be sent: %s; the process "
	    "stays until somebody else ends it", (int)m->pid, signal_number,
	    sigabbrev_np(signal_number), strerror(errno));
}

void
crew_kill(struct member *m, enum kill_mode mode)
{
	if (mode == KILL_MODE_GROUP && getpgid(m->pid) == m->group)
		(void)kill(-m->group, SIGKILL);
	crew_signal(m, SIGKILL);
}

void
crew_clean(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if ((entry->d_name[0] == 'g' || entry->d_name[0] == 'p') &&
		    !crew_has_socket(entry->d_name))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
}

int
crew_init(const char *notify_dir, crew_report to, void *ctx)
{
	int error;

	/* Room for the names, in sun_path too. */
	if (strlen(notify_dir) + CREW_SOCKET_NAME_BYTES > sizeof(directory))
		return -ENAMETOOLONG;
	(void)strcpy(directory, notify_dir);
	report = to;
	report_ctx = ctx;
	error = orphan_init(notify_dir);
	if (error < 0)
		log_warning("cannot list our children: %s; a process that "
		    "leaves its worker's process group is not found",
		    strerror(-error));
	return 0;
}
