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
	bool steered;           /* by this plan */
};

/* Notes what is broken; always false, so that a check can end with it. */
bool check_fails(struct check *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Stable and candidate both have slots of their own. */
bool check_has_two_releases(const struct check *);

/* KEEP or RETIRE: the candidate serves the users. */
bool check_is_in_charge(const struct check *);

/* The candidates come up beside all stable workers. */
bool check_is_beside(const struct check *);

/* Is it one of those that have to be enough for the users? */
bool check_counts(const struct check *, const struct worker *);

/* A probe has passed since it is ready, or there is none. */
bool check_is_probed(const struct check *, const struct worker *);

/* invariants_lane.c: the lane that a release's workers accept from, what it
 * gets by the copy, and its ready workers. */
uint32_t check_lane_of(const struct check *, uint32_t revision);
uint32_t check_weight_of(const struct check *, uint32_t lane);
uint32_t check_count_lane(const struct check *, uint32_t lane);
bool check_steer(struct check *, const struct action *);
bool check_leave(struct check *, const struct worker *);
bool check_lanes_left(struct check *);

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

/* How many candidates step `step` asks for, and what it gives, again. */
uint32_t check_asked_by(const struct check *, uint32_t step);
uint32_t check_given_by(const struct check *, uint32_t step);
uint32_t check_last_step(const struct check *);

/* Candidates that are available and probed. */
uint32_t check_count_good(const struct check *);

/* The release in charge of this slot lacks a worker that could start now. */
bool check_is_owed(const struct check *, uint32_t slot);

/* invariants_action.c: plays one action, if it is right. */
bool check_action(struct check *, const struct action *);

/* invariants_left.c */
bool check_left(struct check *);

/* invariants_phase.c: the actions that move the rollout. */
bool check_step(struct check *, const struct action *);
bool check_turn(struct check *, const struct action *);
bool check_pause_at_step(struct check *, const struct action *);
bool check_take_charge(struct check *, const struct action *);
bool check_finish(struct check *, const struct action *);

#endif
