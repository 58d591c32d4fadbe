/*
 * What must be true of every tick of the planner, whoever plays it.
 *
 * The checks know the planner's contract (rollout.h) and nothing of how it
 * decides: they play the actions of a plan one by one on a copy of the fleet
 * as it was before, judge each by what is true at that moment, and then compare
 * the copy with what the planner left behind.  The explorer and the simulator
 * share them.
 */
#ifndef SUPD_TESTS_INVARIANTS_H
#define SUPD_TESTS_INVARIANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "rollout.h"

/*
 * Set `fleet` up with arrays of the checker's own, of the same capacities as
 * the fleet that is watched; the rest is filled in by invariants_before().
 */
struct invariants {
	struct rollout rollout;
	struct fleet fleet;
	char broken[160];       /* "name: what is wrong" */
};

/* Remembers what is true before a tick. */
void invariants_before(struct invariants *, const struct rollout *,
    const struct fleet *);

/*
 * Judges the tick: what it did, and what it left behind.  False if an
 * invariant is broken; inv->broken says which.
 */
bool invariants_after(struct invariants *, const struct rollout *,
    const struct fleet *, const struct policy *, uint64_t now_ms,
    const struct plan *);

/*
 * Judges where a service has come to rest: no event is pending and nothing has
 * a deadline.  Every slot must be filled, by one release if no rollout is
 * paused.
 */
bool invariants_at_rest(struct invariants *, const struct rollout *,
    const struct fleet *, const struct policy *);

#endif
