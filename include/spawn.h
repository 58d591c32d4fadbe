/*
 * Starting a worker, or a task.
 *
 * clone(2) with CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_FILES: the child
 * borrows our memory and our fd table until it has unshared the low part of
 * the table (close_range(2)) and executed.  Between clone and exec nothing runs
 * that is not async-signal-safe; the child writes the stage that failed and its
 * errno straight into our memory, so that the result is known when spawn()
 * returns.
 *
 * What the child gets: fds 0 (/dev/null), 1, 2, from 3 on its listeners and
 * what its predecessors have stored, the readiness fd if any, and no other; its
 * own session and process group; default dispositions, an empty mask, umask
 * 022, the soft RLIMIT_NOFILE that supd was started with; the release's working
 * directory and credentials.  A task gets the same, but a pipe as 1 and 2, and
 * one fd of its own choice as 3.
 */
#ifndef SUPD_SPAWN_H
#define SUPD_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "event.h"
#include "release.h"
#include "worker.h"

/* Where a start can fail. */
#define SPAWN_STAGES(X) \
	X(NONE, "nothing") \
	X(NOTIFY, "create the notify socket") \
	X(CLONE, "create a process") \
	X(FILES, "arrange the file descriptors") \
	X(SESSION, "start a session") \
	X(LIMITS, "set the resource limits") \
	X(DIRECTORY, "enter the working directory") \
	X(GROUPS, "set the supplementary groups") \
	X(GROUP, "set the group") \
	X(USER, "set the user") \
	X(EXECUTE, "execute")

#define X(UPPER, text) SPAWN_##UPPER,
enum spawn_stage { SPAWN_STAGES(X) SPAWN_STAGE_COUNT };
#undef X

struct spawn_failure {
	enum spawn_stage stage;
	int error;              /* errno */
};

struct launch {
	const struct release *release;
	struct worker_id id;
	const int *passed_fds;          /* in the order of `listeners`, and what
					 * else it is given (store.h) */
	unsigned passed_count;
	const char *passed_names;       /* a:b:c, for LISTEN_FDNAMES */
	const char *notify_path;        /* or NULL */
	int ready_write_fd;             /* becomes spec->ready_fd; or -1 */
};

/* A command that is no worker; see task.h. */
struct task_launch {
	const struct release *release;  /* its directory and its credentials */
	const char *path;       /* executed, once the directory was entered */
	char *const *argv;
	char *const *environment;
	int output_fd;          /* becomes 1 and 2 */
	int inherited_fd;       /* becomes 3; or -1 */
};

struct process {
	pid_t pid;
	int pidfd;              /* in the private region */
};

/*
 * Remembers the soft RLIMIT_NOFILE, raises ours to the hard one, opens
 * /dev/null.  A signal that we were started with as ignored becomes blocked
 * instead, with its default disposition, and the signals that have a handler
 * are noted: set all handlers before.  Returns 0 or -errno.  Call once.
 */
int spawn_init(void);

/* The limit that children get: what supd was started with, or, where another
 * supd has executed this one, what that one was. */
void spawn_set_files_limit(const struct rlimit *);
void spawn_files_limit(struct rlimit *ret_limit);

/*
 * Starts a worker.  Returns 0 once it has executed (or was killed by somebody
 * before it could).  Else -1 and ret_failure says why; no process is left
 * behind.  argv, environment and what is passed are within bounds.h, and
 * ready_fd is neither 0 nor of a number that is passed.
 */
int spawn(const struct launch *, struct process *ret_process,
    struct spawn_failure *ret_failure);

/* The same for a task. */
int spawn_task(const struct task_launch *, struct process *ret_process,
    struct spawn_failure *ret_failure);

/*
 * Reaps a process that has ended, and tells how.  One that is no child of ours
 * (a main process that a worker named) tells nobody: the number is -1 then.
 */
struct exit_status process_reap(int pidfd);

/* The process that a pidfd is of, by its number; -1: it has ended and was reaped;
 * 0: unknown. */
pid_t process_pid(int pidfd);

/*
 * True if the failure is the system's (no memory, no process, no fd left) and
 * not the build's.
 */
bool spawn_refused(const struct spawn_failure *);

const char *spawn_stage_text(enum spawn_stage);

#endif
