/*
 * The explorer's parts: a small service as a value that can be copied and
 * hashed (explore_world.c), and the search over all that can happen to it
 * (explore_search.c).  explore.c says which services are searched.
 */
#ifndef SUPD_TESTS_EXPLORE_H
#define SUPD_TESTS_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#include "invariants.h"

enum {
	SLOTS_MAX = 5,
	RECORDS_MAX = 12,
	EVENTS_MAX = 96,
	REVISION_STABLE = 1,
	REVISION_CANDIDATE = 2,
	STEER_RETRY_MS = 2,
};

#define ORIGINS(X) \
	X(READY, "ready")       /* revision 1 is in charge, its workers ready */ \
	X(COLD, "cold")         /* revision 1 is in charge, nothing runs */ \
	X(FIRST, "first")       /* no revision is in charge */

#define X(UPPER, text) ORIGIN_##UPPER,
enum origin { ORIGINS(X) ORIGIN_COUNT };
#undef X

struct scenario {
	const char *name;
	struct policy policy;
	struct course course;
	enum origin origin;
	bool prepares;          /* it begins with a hook */
	bool settled;           /* the first workers are replaced at once */
	uint8_t fault_count;    /* on one path */
	uint8_t order_count;    /* of an operator, on one path */
	bool resumes;           /* an operator lets go on what is paused */
	bool pairs;             /* two events may come in one turn */
	bool excused;           /* the rollout need not complete */
	bool every_ms;          /* time may stop before the next deadline */
};

/*
 * What the planner was told and what has become of its orders, noted beside it:
 * its own notes are not believed.
 */
struct witness {
	uint64_t probed_ms, analysed_ms;        /* or NOT_YET_MS */
	uint64_t busy_ms;
	uint64_t steer_after_ms;
	uint64_t held_ms;       /* how long the present step has held */
	uint32_t base;          /* as the kernel does it */
	uint32_t weight_permille;
	bool approved, promoted;
};

/*
 * A service and what may still happen to it.  Plain data: a copy is another
 * world.
 */
struct world {
	struct rollout rollout;
	struct witness seen;
	struct slot slots[SLOTS_MAX];
	struct worker workers[RECORDS_MAX];
	uint32_t incarnation_last;
	uint32_t worker_count;          /* policy.workers, which may change */
	uint32_t slot_capacity;
	uint32_t record_capacity;
	uint64_t now_ms;
	uint64_t deadline_ms;           /* of the last plan */
	bool refuses;                   /* the kernel will refuse to steer */
	bool queue_waits;               /* in a lane without weight */
	uint8_t faults_left;
	uint8_t orders_left;
	bool excused;                   /* the rollout need not complete */
	bool refuted;                   /* it must not go on; till its turn */
	bool doubted;                   /* it must not climb on; likewise */
};

#define EVENT_TYPES(X) \
	X(NOTHING, "nothing") \
	X(READY, "says READY") \
	X(RELOADING, "says RELOADING") \
	X(STOPPING, "says STOPPING") \
	X(EXIT_CLEAN, "exits clean") \
	X(EXIT_FAILED, "exits with a failure") \
	X(SILENT, "is silent for its watchdog") \
	X(REFUSED, "is refused a process") \
	X(NOT_EXECUTED, "cannot be executed") \
	X(TIME, "time passes until the deadline") \
	X(MILLISECOND, "time passes") \
	X(PREPARED, "the preparations are done") \
	X(HOOK_FAILS, "before_rollout fails") \
	X(PROBE_PASSES, "the probe of the candidate passes") \
	X(PROBE_FAILS, "the probe of the candidate fails") \
	X(GOOD, "the analysis finds it good") \
	X(BAD, "the analysis finds it bad") \
	X(INCONCLUSIVE, "the analysis is inconclusive") \
	X(REFUSES, "the kernel will refuse to steer") \
	X(CONNECTION, "a slow handshake ends in a lane without weight") \
	X(ACCEPTED, "and is accepted") \
	X(PAUSE, "an operator pauses it") \
	X(RESUME, "an operator lets it go on") \
	X(PROMOTE, "an operator promotes it") \
	X(RECALL, "an operator takes the rollout back") \
	X(SUPERSEDE, "a newer release comes") \
	X(SCALE, "an operator wants another number of workers")

#define X(UPPER, text) EVENT_##UPPER,
enum event_type { EVENT_TYPES(X) EVENT_TYPE_COUNT };
#undef X

struct event {
	uint8_t type;           /* enum event_type */
	uint8_t index;          /* of the worker's record; SCALE: workers */
};

/* As the scenario begins: the rollout to revision 2 was just asked for. */
void world_init(struct world *, const struct scenario *);

/*
 * All that may happen next.  The first one is what happens in good weather
 * (processes become ready or leave as they should, then time passes); NOTHING
 * comes first where the world is at rest.
 */
uint32_t world_events(const struct world *, const struct scenario *,
    struct event ret_events[EVENTS_MAX]);

void world_apply(struct world *, const struct scenario *, struct event);

/* explore_rollout.c: what happens to the rollout itself. */
enum { ROLLOUT_EVENTS_MAX = 16 };
struct costly_event {
	enum event_type type;
	uint32_t cost;          /* in faults */
};
uint32_t rollout_events(const struct world *, const struct scenario *,
    struct costly_event ret_events[ROLLOUT_EVENTS_MAX]);
/* What happens to it in good weather; or NOTHING. */
enum event_type rollout_good_event(const struct world *,
    const struct scenario *);
/* True if the rollout need not complete any more.  Notes in w->seen what was
 * told. */
bool rollout_apply(struct world *, enum event_type);

/* explore_witness.c: the rollout, as it is by what was seen. */
void witness_init(struct world *);
void witness_event(struct world *, enum event_type);
void witness_time(struct world *, uint64_t passed_ms);
/* A tick has left this; `before` is how the rollout was.  `refused`: its
 * steering was not done. */
void witness_tick(struct world *, const struct rollout *before,
    const struct plan *, bool refused);
void witness_correct(const struct world *, struct rollout *);

/*
 * Ticks until nothing is to be done now, and checks each tick.  False if an
 * invariant is broken, see inv->broken.  `trace`: print what was done.
 */
bool world_settle(struct world *, const struct scenario *, bool trace,
    struct invariants *inv);

bool world_is_at_rest(const struct world *, const struct scenario *,
    struct invariants *inv);

/* Brings the records into an order that depends on nothing but the state. */
void world_sort(struct world *);

/*
 * What the future depends on, in 128 bits: times relative to now, and neither
 * incarnations nor pointers.
 */
void world_hash(const struct world *, const struct scenario *,
    uint64_t ret_hash[2]);

bool world_is_of_worker(enum event_type);

void world_print_event(const struct world *, struct event);

struct totals {
	uint64_t state_count;
	uint64_t transition_count;
	uint64_t longest_ms;            /* to rest, in good weather */
};

/*
 * Visits every state of a scenario.  False if an invariant is broken: it has
 * printed which, and the shortest way there.
 */
bool search_run(const struct scenario *, struct totals *ret_totals);

#endif
