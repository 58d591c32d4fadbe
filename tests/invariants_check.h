/*
 * Inside the invariants: the copy on which a plan is played, and what can be
 * asked of it.  Only invariants*.c include this.
 */
#ifndef SUPD_TESTS_INVARIANTS_CHECK_H
#define SUPD_TESTS_INVARIANTS_CHECK_H

#include "invariants.h"

struct check {
	struct invariants *inv;
	struct rollout *rollout;                /* the copy */
	struct fleet *fleet;                    /* the copy */
	const struct rollout *left;             /* what the planner left */
	const struct fleet *fleet_left;
	const struct policy *policy;
	const struct plan *plan;
	uint64_t now_ms;
	bool crowded;
};

/* Notes what is broken; always false, so that a check can end with it. */
bool check_fails(struct check *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Stable and candidate both have slots of their own. */
bool check_has_two_releases(const struct check *);

/* Ready, and a candidate of a climb for min_ready.  NULL is not. */
bool check_is_available(const struct check *, const struct worker *);
uint32_t check_count_available(const struct check *);

/* Counted here, not by fleet_count(), which the planner relies on. */
struct fleet_count check_count(const struct fleet *);

struct worker *check_live_in(const struct fleet *, uint32_t slot,
    uint32_t revision);

/* One that leaves by itself: its exit says whether it is to be replaced. */
struct worker *check_self_stopping_in(const struct fleet *, uint32_t slot,
    uint32_t revision);

/* The place that a slot relies on, and its release; NULL and 0: none. */
const struct place *check_place_in_charge(const struct check *, uint32_t slot);
uint32_t check_revision_in_charge(const struct check *, uint32_t slot);

uint32_t check_floor(const struct check *);
uint32_t check_ceiling(const struct check *);

/* How many candidates step `step` asks for, computed again. */
uint32_t check_asked_by(const struct check *, uint32_t step);

/* The release in charge of this slot lacks a worker that could start now. */
bool check_is_owed(const struct check *, uint32_t slot);

/* invariants_action.c: plays one action, if it is right. */
bool check_action(struct check *, const struct action *);

#endif
