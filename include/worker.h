/*
 * A worker: one process of a service, as an automaton.
 *
 * Pure: no I/O, no clock.  A worker's identity is its slot and its incarnation,
 * never its pid, so that a late event for a dead one is recognised.  Only
 * worker_step() changes a state; it sets the state's deadline at the same time,
 * so that no state waits for ever.
 */
#ifndef SUPD_WORKER_H
#define SUPD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

#define NEVER_MS UINT64_MAX

/*
 *   GONE       no process; the record is free
 *   STARTING   executed, has not said that it can serve
 *   READY      can serve
 *   RELOADING  said RELOADING=1 after it was ready
 *   STOPPING   said STOPPING=1 by itself
 *   DRAINING   was told to stop; finishes what it has
 *   KILLED     its process group was sent SIGKILL; not yet reaped
 */
#define WORKER_STATES(X) \
	X(GONE, gone) X(STARTING, starting) X(READY, ready) \
	X(RELOADING, reloading) X(STOPPING, stopping) \
	X(DRAINING, draining) X(KILLED, killed)

/* What happens to a worker.  DRAIN and KILL are ours, the others are its own. */
#define WORKER_EVENTS(X) \
	X(STARTED, started) X(SAID_READY, said_ready) \
	X(SAID_RELOADING, said_reloading) X(SAID_STOPPING, said_stopping) \
	X(DRAIN, drain) X(KILL, kill) X(EXITED, exited)

#define X(UPPER, lower) WORKER_##UPPER,
enum worker_state { WORKER_STATES(X) WORKER_STATE_COUNT };
#undef X
#define X(UPPER, lower) WORKER_EVENT_##UPPER,
enum worker_event { WORKER_EVENTS(X) WORKER_EVENT_COUNT };
#undef X

/* Why we told a worker to stop. */
#define WORKER_ENDINGS(X) \
	X(NONE, "by itself") \
	X(REPLACED, "replaced by another release") \
	X(ROLLED_BACK, "its release is rolled back") \
	X(SURPLUS, "it is not wanted any more") \
	X(NOT_READY, "not ready within ready_timeout") \
	X(WATCHDOG, "silent for longer than its watchdog") \
	X(DEAD_LISTENER, "its listener is dead")

#define X(UPPER, text) ENDING_##UPPER,
enum worker_ending { WORKER_ENDINGS(X) ENDING_COUNT };
#undef X

struct worker_id {
	uint32_t slot;
	uint32_t incarnation;   /* counts the starts of a service; never 0 */
};

struct worker {
	struct worker_id id;
	uint32_t revision;      /* of the release it was started from */
	uint8_t state;          /* enum worker_state */
	uint8_t ending;         /* enum worker_ending */
	uint64_t started_ms;
	uint64_t since_ms;      /* when it entered its present state */
	uint64_t ready_ms;      /* when it last became ready */
	uint64_t deadline_ms;   /* of the present state; NEVER_MS: none */
	uint64_t alive_at_ms;   /* starting: is taken as ready then, because it
				 * was told nothing better; NEVER_MS: it says so */
	uint64_t watchdog_ms;   /* longest silence while ready; 0: none */
};

const char *worker_state_name(enum worker_state);
const char *worker_event_name(enum worker_event);
const char *worker_ending_text(enum worker_ending);

/*
 * Applies an event and sets the deadline of the state that follows.
 * An event that is late (READY while draining, a second READY) is normal and
 * changes nothing.  STARTED on anything but GONE, or anything but STARTED on
 * GONE, is a programmer error and asserts: look the worker up first.
 */
void worker_step(struct worker *, enum worker_event, const struct policy *,
    uint64_t now_ms);

/* WATCHDOG=1: the silence starts anew. */
void worker_pet(struct worker *, uint64_t now_ms);

/* WATCHDOG_USEC=: the worker chose another interval; 0 switches it off. */
void worker_set_watchdog(struct worker *, uint64_t watchdog_ms,
    uint64_t now_ms);

/*
 * EXTEND_TIMEOUT_USEC=: moves the deadline of a state that waits for the
 * worker (starting, reloading, stopping, draining) to `extend_ms` from now,
 * never nearer than it was.  In total a state lasts at most ten times its
 * configured patience, so that a wedged build cannot extend itself for ever.
 */
void worker_extend(struct worker *, uint64_t extend_ms,
    const struct policy *, uint64_t now_ms);

/* Counts against the ceiling workers + surge: takes or will take work. */
bool worker_is_live(const struct worker *);

#endif
