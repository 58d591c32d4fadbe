/*
 * Tasks: commands that supd runs once for a service and whose outcome it waits
 * for (a probe, the analysis, a hook, the version command).
 *
 * A task runs as a worker of its release does: the same user, directory,
 * environment, limits and signals, in a session and process group of its own,
 * with /dev/null as its input.  It is found in PATH, not pinned, and no shell
 * is involved.  What it writes, to either output, is read at once and kept up
 * to TASK_OUTPUT_BYTES_MAX; the rest is counted and thrown away, so that a task
 * never waits for supd, and one that floods its output is slowed down instead
 * of supd.
 *
 * When its time is over its group gets SIGTERM, and SIGKILL TASK_GRACE_MS
 * later.  When its process has ended, whatever else is left of its group is
 * killed, and nobody waits for who holds its output open.  What has left the
 * group (a daemon that a hook started) is let alone.
 */
#ifndef SUPD_TASK_H
#define SUPD_TASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "event.h"
#include "release.h"

#define TASK_GRACE_MS UINT64_C(5000)

struct task;

struct task_order {
	const struct release *release;  /* needed during the call only */
	char *const *argv;              /* argv[0]: looked for in PATH; with a
					 * slash, from the working directory */
	const char *const *variables;   /* NAME=value, at most
					 * TASK_VARIABLES_MAX; they win over the
					 * release's.  NULL: none */
	int inherited_fd;               /* becomes 3 in it, and stays the
					 * caller's to close; -1: none */
	uint64_t timeout_ms;
};

struct task_end {
	bool timed_out;                 /* then `exit` says how it was ended */
	struct exit_status exit;
	uint64_t duration_ms;
	uint64_t output_bytes;          /* all that was read of it */
	char output[TASK_OUTPUT_BYTES_MAX + 1]; /* the first of it, as text:
					 * UTF-8, of controls only \n and \t */
};

/* The end is valid during the call only.  The task is gone; a next one may be
 * started. */
typedef void (*task_done)(void *ctx, const struct task_end *);

/*
 * Starts one.  NULL and a sentence in ret_text (REASON_BYTES_MAX) if it cannot
 * be executed.  Else `done` is called once, from the loop, on a later turn,
 * unless it is cancelled before.
 */
struct task *task_start(const struct task_order *, task_done done, void *ctx,
    char *ret_text);

/* What is known of a task, but for its fds. */
struct task_memo {
	pid_t pid;
	bool timed_out;
	uint64_t start_ms;              /* CLOCK_MONOTONIC */
	uint64_t deadline_ms;           /* of its time, then of its grace */
	char output[TASK_OUTPUT_BYTES_MAX + 1]; /* the first of it until now */
};

/* Its fds are carried under this name as long as it runs (carry.h); across an exec
 * only, since nobody else can tell how it ends. */
void task_keep(struct task *, const char *name);
void task_describe(const struct task *, struct task_memo *ret);

/* One that a former supd has started, and that has these fds.  NULL: they, or the
 * process, are not there any more. */
struct task *task_restore(const struct task_memo *, const char *name,
    task_done done, void *ctx);

/* Kills it and its group at once; `done` is not called. */
void task_cancel(struct task *);

/* Is this the process of a task, perhaps a cancelled one? */
bool task_has(pid_t pid);

/*
 * For who reaps children: a child was found that has ended and is not reaped.
 * If it is a task's, that ends now as if its own watch had told, and true is
 * returned.
 */
bool task_sweep(pid_t pid);

#endif
