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
	RECORDS_MAX = 10,
	EVENTS_MAX = 64,
	REVISION_STABLE = 1,
	REVISION_CANDIDATE = 2,
};

#define ORIGINS(X) \
	X(READY, "ready")       /* revision 1 is in charge, its workers ready */ \
	X(COLD, "cold")         /* revision 1 is in charge, nothing runs */ \
	X(FIRST, "first")       /* no revision is in charge */

#define X(UPPER, text) ORIGIN_##UPPER,
enum origin { ORIGINS(X) ORIGIN_COUNT };
#undef X

struct scenario {
	struct policy policy;
	enum origin origin;
	bool settled;           /* the first workers are replaced at once */
	uint8_t fault_count;    /* on one path */
	uint8_t order_count;    /* of an operator, on one path */
	bool pairs;             /* two events may come in one turn */
	bool excused;           /* the rollout need not complete */
	bool every_ms;          /* time may stop before the next deadline */
};

/*
 * A service and what may still happen to it.  Plain data: a copy is another
 * world.
 */
struct world {
	struct rollout rollout;
	struct slot slots[SLOTS_MAX];
	struct worker workers[RECORDS_MAX];
	uint32_t incarnation_last;
	uint32_t worker_count;          /* policy.workers, which may change */
	uint32_t slot_capacity;
	uint32_t record_capacity;
	uint64_t now_ms;
	uint64_t deadline_ms;           /* of the last plan */
	uint8_t faults_left;
	uint8_t orders_left;
	bool excused;                   /* the rollout need not complete */
	bool refuted;                   /* it must not go on; till its turn */
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
