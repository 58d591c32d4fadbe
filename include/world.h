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

/* What the ledger knows of a service from before this supd was started. */
struct past {
	uint32_t revision_last;         /* 0: nothing */
	uint32_t revision_good;         /* in charge last; 0: none */
	uint64_t fingerprint_good;
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
	/* Opens or shares the release's listeners; 0, or -1 and a sentence. */
	int (*bind)(void *ctx, struct release *, char *ret_text);
	/* Lets go of its listeners, which bind opens again. */
	void (*unbind)(void *ctx, struct release *);
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

	/* Call engine_turn() at the latest then; NEVER_MS: no need to. */
	void (*arm)(void *ctx, uint64_t deadline_ms);

	struct past (*recall)(void *ctx, const char *service);
	void (*record)(void *ctx, const struct deployment *);
	void (*publish)(void *ctx, const struct notice *);
};

#endif
