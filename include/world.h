/*
 * The port: everything the engine asks of the outside.
 *
 * There are two worlds, the real one (world.c) and the simulator's.  A world
 * function never calls back into the engine; what becomes of a request arrives
 * as an event on a later turn.  Where a result is known at once it is returned,
 * and the engine treats it as an event.
 */
#ifndef SUPD_WORLD_H
#define SUPD_WORLD_H

#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "event.h"
#include "notice.h"
#include "release.h"
#include "worker.h"

enum start_result {
	START_DONE,
	START_REFUSED,          /* the system has no room for a process */
	START_BUSY,             /* the executable is being written (ETXTBSY) */
	START_FAILED,           /* the release cannot be executed */
};

struct start {
	uint32_t service;               /* struct service's id */
	const struct release *release;
	struct worker_id id;
	/* Refuse a build that was changed since it was pinned: a rollout must
	 * not put half a fleet on each.  Else it is started with a warning: an
	 * old build that has changed serves better than none. */
	bool strict;
};

/* How the connections of a service's listeners are to be split. */
struct split {
	const struct release *base;
	const struct release *candidate;        /* or NULL: all to the base */
	uint32_t weight_permille;               /* of the candidate */
	enum steer steer;
};

/* What became of the connections that waited in a lane when it was closed. */
struct lane_end {
	uint32_t handed_over;           /* to the other lane */
	uint32_t lost;
};

/* A task: a command that is run for a service, or a probe of a lane. */
struct task_request {
	uint64_t id;                    /* never used again */
	uint32_t service;
	enum task_kind kind;
	const struct release *release;  /* whose user, directory, environment;
					 * and whose lane is probed */
	char *const *argv;              /* of a probe NULL: it is in */
	const struct spec *spec;        /* the configuration by now */
	const char *const *variables;   /* NAME=value besides; NULL ends */
	uint64_t timeout_ms;
};

struct task_result {
	uint64_t id;
	uint32_t service;
	enum task_kind kind;
	bool timed_out;
	struct exit_status exit;
	uint64_t duration_ms;
	const char *output;             /* the first of it, printable */
};

/* What the ledger knows of a service from before this supd was started. */
struct past {
	uint32_t revision_last;         /* 0: nothing */
	uint32_t revision_good;         /* in charge last; 0: none */
	uint64_t fingerprint_good;
};

enum {
	HANDLE_BYTES_MAX = 64,          /* of a worker's handle */
	RELEASE_HANDLE_BYTES_MAX = 768,
};

struct world {
	void *ctx;

	uint64_t (*now_ms)(void *ctx);          /* CLOCK_MONOTONIC */
	int64_t (*clock_s)(void *ctx);          /* wall clock, for records */
	uint32_t (*random)(void *ctx);

	/* A configuration, or NULL and what is wrong with it. */
	struct config *(*read_config)(void *ctx, struct config_errors *);

	/* See pin.h.  The text gets a sentence when NULL is returned. */
	struct release *(*pin)(void *ctx, struct spec *, char *ret_text);
	struct release *(*clone)(void *ctx, const struct release *,
	    char *ret_text);
	/* Opens the release's listeners, or shares the shards of those that are
	 * open; of two the one with more weight.  0, or -1 and a sentence. */
	int (*bind)(void *ctx, struct release *, char *ret_text);
	/* A lane of its own for a release that is bound: further shards where
	 * it shares some.  They get nothing until steer() says so.  0, or -1
	 * and a sentence, and it shares as before. */
	int (*join)(void *ctx, struct release *, char *ret_text);
	/* Splits the connections from now on; 0, or -1 and a sentence, and all
	 * is as before. */
	int (*steer)(void *ctx, const struct split *, char *ret_text);
	/* Connections that wait in the queues of the release's lane. */
	uint32_t (*queued)(void *ctx, const struct release *);
	/* Is what waits in a lane handed over to the others when it is closed? */
	bool (*migrates)(void *ctx);
	/* Connections that this network namespace has accepted since it was
	 * made, or CONNECTIONS_UNKNOWN. */
	uint64_t (*accepted)(void *ctx);
	/* Lets go of its listeners, which bind opens again; adds to *ret_end
	 * (NULL is fine) what waited in shards that this closed. */
	void (*unbind)(void *ctx, struct release *, struct lane_end *ret_end);
	/* Lets go of its listeners and its fds, and frees it. */
	void (*unpin)(void *ctx, struct release *);
	/* Takes over backlog, mode … of a spec whose sockets stay. */
	void (*adjust)(void *ctx, struct release *, const struct spec *);

	/* Starts a worker: its handle and pid, or a sentence why not. */
	enum start_result (*start)(void *ctx, const struct start *,
	    void **ret_process, pid_t *ret_pid, char *ret_text);
	/* To the worker's own process. */
	void (*signal)(void *ctx, void *process, int signal_number);
	/* SIGKILL to its process group, or to it alone (kill_mode). */
	void (*kill)(void *ctx, void *process, enum kill_mode);
	/* MAINPID=: follow this process from now on.  0 or -errno. */
	int (*adopt)(void *ctx, void *process, pid_t pid);

	/* Resident memory in bytes; 0: unknown. */
	uint64_t (*memory_bytes)(void *ctx, pid_t pid);

	/* Runs a task; what becomes of it comes with engine_task_ended().  0, or
	 * -1 and a sentence, and nothing comes. */
	int (*run)(void *ctx, const struct task_request *, char *ret_text);
	/* Kills it; nothing comes.  One that has ended is fine. */
	void (*cancel)(void *ctx, uint64_t id);

	/*
	 * What outlives a supd (state.h).  A handle is text, bounded as above
	 * with its NUL, by which a later supd's world finds the same again: the
	 * name of an fd, say.  That of a worker is asked for when its process or
	 * pid is another than before, that of a release after each turn.
	 */
	void (*keep_worker)(void *ctx, const void *process, char *ret_handle);
	void (*keep_release)(void *ctx, const struct release *,
	    char *ret_handle);
	/* The process, or NULL: it cannot be followed any more. */
	void *(*restore_worker)(void *ctx, uint32_t service,
	    const struct worker *, pid_t pid, const char *handle);
	/* Its fds and shards; the rest is there, in memory of its own that
	 * unpin() frees.  -1 and a sentence where one is missing: the fds are
	 * -1 then, start() fails, and the release is unpinned in time. */
	int (*restore_release)(void *ctx, struct release *, const char *handle,
	    char *ret_text);
	/* Does this task still run, and will its end be told? */
	bool (*has_task)(void *ctx, uint64_t id);

	/* Call engine_turn() at the latest then; NEVER_MS: no need to. */
	void (*arm)(void *ctx, uint64_t deadline_ms);

	struct past (*recall)(void *ctx, const char *service);
	void (*record)(void *ctx, const struct deployment *);
	void (*publish)(void *ctx, const struct notice *);
};

#endif
