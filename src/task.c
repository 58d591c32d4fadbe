/*
 * Tasks: the life of one, from its start to the report of its end.
 *
 * It is followed by a pidfd.  Its output comes through a pipe that is read
 * once, up to a pipe's worth, and then not again for PAUSE_MS: so a task that
 * writes without end costs the loop a hundred reads a second and no more, and
 * waits itself.  The rest that is in the pipe is read when the process ends.
 *
 * Before the process is reaped its number, which is its group's too, belongs
 * to nobody else; therefore the group is killed first.  A cancelled task is
 * killed and stays in the list until it is reaped, since to wait for it here
 * could take for ever (a process in an uninterruptible sleep).
 */
#include "task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "carry.h"
#include "clock.h"
#include "fd.h"
#include "log.h"
#include "printable.h"
#include "reactor.h"
#include "spawn.h"
#include "task_parts.h"

#define PAUSE_MS UINT64_C(10)

enum {
	PIPE_BYTES = 65536,
	/* So that the last character of what is kept need not be cut. */
	SPARE_BYTES = 3,
};

struct task {
	struct task *next;              /* of all */
	struct watch exit_watch, output_watch;
	struct alarm deadline;          /* of its time, then of its grace */
	struct alarm pause;             /* until the output is read again */
	pid_t pid;                      /* its session and its group too */
	int pidfd;
	int output_fd;                  /* -1: nobody writes any more */
	bool timed_out;
	uint64_t start_ms, deadline_ms;
	char name[CARRY_NAME_BYTES_MAX + 1];    /* carried as; "": not */
	task_done done;                 /* NULL: cancelled */
	void *ctx;
	uint64_t output_bytes;
	char output[TASK_OUTPUT_BYTES_MAX + SPARE_BYTES];
};

static struct task *tasks;
static unsigned task_count;

static struct task *
find(pid_t pid)
{
	struct task *t = tasks;

	while (t != NULL && t->pid != pid)
		t = t->next;
	return t;
}

static void
enter(struct task *t)
{
	t->next = tasks;
	tasks = t;
	task_count++;
}

static void
leave(struct task *t)
{
	struct task **link = &tasks;

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	task_count--;
}

/* Its process must be reaped, or there was none. */
static void
free_task(struct task *t)
{
	carry_drop(t->name);
	reactor_unwatch(&t->exit_watch);
	reactor_unwatch(&t->output_watch);
	reactor_clear_alarm(&t->deadline);
	reactor_clear_alarm(&t->pause);
	fd_close(t->pidfd);
	fd_close(t->output_fd);
	free(t);
}

static void
keep_fds(const struct task *t)
{
	int fds[] = { t->pidfd, t->output_fd };

	if (t->name[0] != '\0')
		carry_put(t->name, fds, t->output_fd >= 0 ? 2 : 1, false);
}

/*
 * What it writes
 */

static void
stop_reading(struct task *t)
{
	reactor_unwatch(&t->output_watch);
	reactor_clear_alarm(&t->pause);
	fd_clear(&t->output_fd);
	keep_fds(t);
}

static size_t
kept_bytes(const struct task *t)
{
	return t->output_bytes < sizeof(t->output) ? (size_t)t->output_bytes :
	    sizeof(t->output);
}

static void
keep(struct task *t, const char *bytes, size_t size)
{
	size_t used = kept_bytes(t), room = sizeof(t->output) - used;

	memcpy(t->output + used, bytes, size < room ? size : room);
	t->output_bytes += size;
}

/* What is there, at most a pipe's worth.  False if nothing will come. */
static bool
read_output(struct task *t)
{
	static char bytes[PIPE_BYTES];
	ssize_t size = read(t->output_fd, bytes, sizeof(bytes));

	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	keep(t, bytes, (size_t)size);
	return size > 0;
}

static void
on_pause_over(void *ctx)
{
	struct task *t = ctx;

	reactor_rewatch(&t->output_watch, REACTOR_READ);
}

static void
on_output(void *ctx, int events)
{
	struct task *t = ctx;

	(void)events;
	if (!read_output(t)) {
		stop_reading(t);
		return;
	}
	reactor_rewatch(&t->output_watch, 0);
	reactor_set_alarm(&t->pause, PAUSE_MS, on_pause_over, t);
}

/*
 * How it ends
 */

static void
report(const struct task *t, struct exit_status exit)
{
	struct task_end end = {
		.timed_out = t->timed_out, .exit = exit,
		.duration_ms = clock_ms() - t->start_ms,
		.output_bytes = t->output_bytes,
	};

	(void)printable_copy(end.output, sizeof(end.output), t->output,
	    kept_bytes(t), "\n\t");
	t->done(t->ctx, &end);
}

static void
task_ended(struct task *t)
{
	struct exit_status exit;

	(void)kill(-t->pid, SIGKILL);
	if (t->output_fd >= 0)
		(void)read_output(t);
	exit = process_reap(t->pidfd);
	leave(t);
	if (t->done != NULL)
		report(t, exit);
	free_task(t);
}

static void
on_exit_watch(void *ctx, int events)
{
	(void)events;
	task_ended(ctx);
}

static void
on_grace_over(void *ctx)
{
	struct task *t = ctx;

	(void)kill(-t->pid, SIGKILL);
}

/* The loop may have been late (supd was stopped, the machine slept): what had
 * ended by then was in time. */
static bool
has_ended(const struct task *t)
{
	siginfo_t status = { 0 };

	return waitid(P_PIDFD, (id_t)t->pidfd, &status,
	    WEXITED | WNOHANG | WNOWAIT) == 0 && status.si_pid != 0;
}

static void
on_timeout(void *ctx)
{
	struct task *t = ctx;

	if (has_ended(t))
		return;
	t->timed_out = true;
	(void)kill(-t->pid, SIGTERM);
	(void)kill(-t->pid, SIGCONT);   /* a stopped one does not notice */
	t->deadline_ms = clock_ms() + TASK_GRACE_MS;
	reactor_set_alarm(&t->deadline, TASK_GRACE_MS, on_grace_over, t);
}

/*
 * Starting
 */

static void
explain_failure(const struct spawn_failure *failure,
    const struct task_order *order, const char *path, char *ret_text)
{
	const char *hint = "";

	if (failure->stage == SPAWN_EXECUTE && failure->error == ENOEXEC)
		hint = "; a script begins with #! and its interpreter";
	else if (failure->stage == SPAWN_EXECUTE && failure->error == ENOENT)
		hint = "; its interpreter is missing";
	(void)snprintf(ret_text, REASON_BYTES_MAX, "cannot %s: %s (%.300s%s)",
	    spawn_stage_text(failure->stage), strerror(failure->error),
	    failure->stage == SPAWN_DIRECTORY ? order->release->directory :
	    path, hint);
}

/*
 * The pipe belongs to the task's user, who could not open /dev/stdout or
 * /dev/stderr otherwise.  0 or -errno.
 */
static int
open_output(struct task *t, const struct credentials *credentials,
    int *ret_write_fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	t->output_fd = fd_to_private(ends[0]);
	*ret_write_fd = fd_to_source(ends[1]);
	if (credentials->change &&
	    fchown(*ret_write_fd, credentials->uid, (gid_t)-1) < 0)
		log_debug("a task's output stays ours: %m");
	return fcntl(t->output_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* From now on it is one of all. */
static void
follow(struct task *t)
{
	uint64_t now_ms = clock_ms();

	enter(t);
	reactor_watch(&t->exit_watch, t->pidfd, REACTOR_READ, on_exit_watch, t);
	if (t->output_fd >= 0)
		reactor_watch(&t->output_watch, t->output_fd, REACTOR_READ,
		    on_output, t);
	reactor_set_alarm(&t->deadline, t->deadline_ms > now_ms ?
	    t->deadline_ms - now_ms : 0, t->timed_out ? on_grace_over :
	    on_timeout, t);
}

static int
execute(struct task *t, const struct task_order *order,
    const struct task_command *command, char *ret_text)
{
	struct spawn_failure failure = { .stage = SPAWN_FILES };
	struct process process;
	struct task_launch launch = {
		.release = order->release, .path = command->path,
		.argv = order->argv, .environment = command->environment,
		.output_fd = -1, .inherited_fd = order->inherited_fd,
	};
	int error;

	error = open_output(t, &order->release->credentials,
	    &launch.output_fd);
	failure.error = -error;
	if (error == 0)
		error = spawn_task(&launch, &process, &failure);
	fd_close(launch.output_fd);
	if (error < 0) {
		explain_failure(&failure, order, command->path, ret_text);
		return -1;
	}
	t->pid = process.pid;
	t->pidfd = process.pidfd;
	return 0;
}

static int
start(struct task *t, const struct task_order *order, char *ret_text)
{
	struct task_command command;
	int error;

	if (task_command_make(order, &command, ret_text) < 0)
		return -1;
	t->start_ms = clock_ms();
	error = execute(t, order, &command, ret_text);
	task_command_release(&command);
	return error;
}

struct task *
task_start(const struct task_order *order, task_done done, void *ctx,
    char *ret_text)
{
	struct task *t;

	if (task_count >= TASKS_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%d tasks are "
		    "running, and there are never more at once", TASKS_MAX);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "no memory for another task");
		return NULL;
	}
	t->pidfd = t->output_fd = -1;
	t->done = done;
	t->ctx = ctx;
	if (start(t, order, ret_text) < 0) {
		free_task(t);
		return NULL;
	}
	t->deadline_ms = t->start_ms + order->timeout_ms;
	follow(t);
	return t;
}

/*
 * From one supd to the next
 */

void
task_keep(struct task *t, const char *name)
{
	(void)strcpy(t->name, name);
	keep_fds(t);
}

void
task_describe(const struct task *t, struct task_memo *ret)
{
	*ret = (struct task_memo){ .pid = t->pid, .timed_out = t->timed_out,
		.start_ms = t->start_ms, .deadline_ms = t->deadline_ms };
	(void)printable_copy(ret->output, sizeof(ret->output), t->output,
	    kept_bytes(t), "\n\t");
}

static void
take_fds(struct task *t)
{
	struct stat status;
	int fd, *place;

	while ((fd = carry_take(t->name)) >= 0) {
		place = fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) ?
		    &t->output_fd : &t->pidfd;
		fd_close(*place);
		*place = fd;
	}
}

struct task *
task_restore(const struct task_memo *memo, const char *name, task_done done,
    void *ctx)
{
	struct task *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->pidfd = t->output_fd = -1;
	t->done = done;
	t->ctx = ctx;
	t->pid = memo->pid;
	t->timed_out = memo->timed_out;
	t->start_ms = memo->start_ms;
	t->deadline_ms = memo->deadline_ms;
	(void)strcpy(t->name, name);
	take_fds(t);
	if (t->pidfd < 0 || process_pid(t->pidfd) != t->pid) {
		free_task(t);
		return NULL;
	}
	keep(t, memo->output, strlen(memo->output));
	keep_fds(t);
	follow(t);
	return t;
}

void
task_cancel(struct task *t)
{
	assert(t->done != NULL);
	t->done = NULL;
	reactor_clear_alarm(&t->deadline);
	stop_reading(t);
	(void)kill(-t->pid, SIGKILL);
}

bool
task_has(pid_t pid)
{
	return find(pid) != NULL;
}

bool
task_sweep(pid_t pid)
{
	struct task *t = find(pid);

	if (t != NULL)
		task_ended(t);
	return t != NULL;
}
