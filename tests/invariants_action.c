/*
 * What must be true of each action at the moment when it is taken.
 *
 * An action that passes is played on the copy, so that the next one of the
 * same plan is judged by what the first has changed.  What the planner sets
 * without an action of its own (handed_over) is taken from what it left.
 */
#include "invariants_check.h"

#include <inttypes.h>
#include <stddef.h>

static bool
check_start_candidate(struct check *c, uint32_t slot)
{
	const struct slot *s = &c->fleet->slots[slot];
	bool stands = c->rollout->phase == ROLLOUT_PAUSED &&
	    c->rollout->pause == PAUSE_FAULT && !check_is_beside(c);

	if (!check_has_two_releases(c))
		return check_fails(c, "candidate-start: the rollout is %s",
		    rollout_phase_name(c->rollout->phase));
	if (!s->handed_over && !check_is_in_charge(c) && (stands ||
	    slot >= check_asked_by(c, c->rollout->step)))
		return check_fails(c, "candidate-start: slot %" PRIu32
		    " is not to change yet", slot);
	if (c->crowded)
		return check_fails(c, "candidate-start: %d releases are there "
		    "already",
		    DRAINING_RELEASES_MAX);
	for (uint32_t i = 0; i < c->policy->workers; i++)
		if (!c->fleet->slots[i].handed_over &&
		    !check_is_in_charge(c) && check_is_owed(c, i))
			return check_fails(c, "stable-first: slot %" PRIu32
			    " lacks its own release", i);
	return true;
}

static bool
check_start_place(struct check *c, const struct action *a)
{
	const struct slot *slot = &c->fleet->slots[a->id.slot];
	const struct place *place = a->revision == c->rollout->stable ?
	    &slot->stable : &slot->candidate;
	const struct worker *stopping = check_self_stopping_in(c->fleet, a->id.slot,
	    a->revision);

	if (check_live_in(c->fleet, a->id.slot, a->revision) != NULL)
		return check_fails(c, "start: slot %" PRIu32 " has one of %" PRIu32
		    " already", a->id.slot, a->revision);
	if (place->finished)
		return check_fails(c, "start: slot %" PRIu32 " has finished",
		    a->id.slot);
	if (place->backoff.not_before_ms > c->now_ms)
		return check_fails(c, "start: slot %" PRIu32 " is still to wait",
		    a->id.slot);
	if (stopping != NULL && a->revision == c->rollout->candidate &&
	    stopping->started_ms < c->rollout->started_ms)
		stopping = NULL;                /* of an earlier rollout */
	if (stopping != NULL && (c->policy->restart != RESTART_ALWAYS ||
	    stopping->since_ms - stopping->started_ms < BACKOFF_SETTLED_MS))
		return check_fails(c, "start: slot %" PRIu32 " may finish yet, or"
		    " has to wait for it", a->id.slot);
	return true;
}

static bool
check_start(struct check *c, const struct action *a)
{
	const struct rollout *r = c->rollout;
	struct worker *w;

	if (a->id.slot >= c->policy->workers)
		return check_fails(c, "start: slot %" PRIu32 " of %" PRIu32,
		    a->id.slot, c->policy->workers);
	if (check_count(c->fleet).live >= check_ceiling(c))
		return check_fails(c, "ceiling: a start beyond %" PRIu32 " live ones",
		    check_ceiling(c));
	if (a->revision == 0 ||
	    (a->revision != r->stable && a->revision != r->candidate))
		return check_fails(c, "own-release: %" PRIu32 " is started, neither"
		    " %" PRIu32 " nor %" PRIu32, a->revision, r->stable,
		    r->candidate);
	if (!check_start_place(c, a))
		return false;
	if (a->revision == r->candidate &&
	    !check_start_candidate(c, a->id.slot))
		return false;
	if (a->revision == r->stable && r->phase != ROLLOUT_KEEP &&
	    check_revision_in_charge(c, a->id.slot) != r->stable)
		return check_fails(c, "own-release: slot %" PRIu32 " was handed over,"
		    " but stable is started in it", a->id.slot);
	if (check_count(c->fleet).free == 0)
		return check_fails(c, "start: no record is free");
	w = fleet_start(c->fleet, a->id.slot, a->revision, c->policy,
	    c->now_ms);
	if (w->id.incarnation != a->id.incarnation)
		return check_fails(c, "incarnation: %" PRIu32 " after %" PRIu32,
		    a->id.incarnation, w->id.incarnation - 1);
	return true;
}

static bool
check_unwanted_candidate(struct check *c, const struct worker *w)
{
	const struct rollout *r = c->rollout;
	bool stands = r->phase == ROLLOUT_PAUSED &&
	    r->pause == PAUSE_FAULT && !check_is_beside(c);

	if (r->phase == ROLLOUT_ROLLBACK)
		return true;
	if (!check_is_in_charge(c) && !c->fleet->slots[w->id.slot].handed_over &&
	    (stands || w->id.slot >= check_asked_by(c, r->step)))
		return true;
	return check_fails(c, "drain: a candidate that is wanted");
}

/* Where old and new workers share a queue the old one goes as it hands over. */
static bool
check_shared_hand_over(struct check *c, const struct worker *candidate)
{
	if (candidate == NULL && check_count(c->fleet).live < check_ceiling(c))
		return check_fails(c, "hand-over: a slot has no candidate, "
		    "though there is room");
	if (candidate == NULL && c->crowded)
		return check_fails(c, "hand-over: a slot can have no"
		    " candidate, too many releases drain");
	return true;
}

/* A healthy worker goes only if it is not wanted any more. */
static bool
check_unwanted(struct check *c, const struct worker *w)
{
	const struct rollout *r = c->rollout;
	const struct slot *left;
	const struct worker *candidate;

	if (w->id.slot >= c->policy->workers ||
	    (w->revision != r->stable && w->revision != r->candidate))
		return true;
	if (w->revision == r->candidate)
		return check_unwanted_candidate(c, w);

	if (r->phase == ROLLOUT_RETIRE)
		return true;
	left = &c->fleet_left->slots[w->id.slot];
	if (!check_has_two_releases(c) || (!left->handed_over &&
	    c->left->phase != ROLLOUT_IDLE))
		return check_fails(c, "drain: slot %" PRIu32 " is stable's",
		    w->id.slot);
	candidate = check_live_in(c->fleet, w->id.slot, r->candidate);
	if (!r->course.split && !check_shared_hand_over(c, candidate))
		return false;
	if (candidate != NULL && !r->course.split &&
	    !check_is_available(c, candidate))
		return check_fails(c, "hand-over: slot %" PRIu32 "'s candidate is not"
		    " ready for min_ready", w->id.slot);
	return true;
}

static bool
check_drain_cause(struct check *c, const struct action *a,
    const struct worker *w)
{
	switch (a->ending) {
	case ENDING_REPLACED:
	case ENDING_ROLLED_BACK:
	case ENDING_SURPLUS:
		return check_unwanted(c, w);
	case ENDING_NOT_READY:
		return (w->state != WORKER_READY &&
		    w->deadline_ms <= c->now_ms) ||
		    check_fails(c, "drain: not ready, but it has time left");
	case ENDING_WATCHDOG:
		return (w->state == WORKER_READY &&
		    w->deadline_ms <= c->now_ms) ||
		    check_fails(c, "drain: it was not silent");
	case ENDING_NONE:
	case ENDING_DEAD_LISTENER:      /* not the planner's */
	case ENDING_COUNT:
		break;
	}
	return check_fails(c, "drain: without a cause");
}

/*
 * A worker that failed leaves its place with a backoff, which the planner sets
 * without an action.
 */
static bool
take_backoff(struct check *c, const struct worker *w)
{
	bool stable = w->revision == c->rollout->stable;
	struct slot *slot = &c->fleet->slots[w->id.slot];
	struct place *place = stable ? &slot->stable : &slot->candidate;
	const struct slot *left = &c->fleet_left->slots[w->id.slot];
	const struct place *place_left = stable ? &left->stable :
	    &left->candidate;

	/* no place of this release is left: it is gone, or it took over */
	if (stable ? c->left->stable != w->revision :
	    c->left->candidate != w->revision || w->revision == 0)
		return true;
	*place = *place_left;
	if (c->policy->restart == RESTART_NEVER && !place->finished)
		return check_fails(c, "restart: slot %" PRIu32 " is to be"
		    " filled once", w->id.slot);
	if (w->ending == ENDING_NOT_READY && !place->finished &&
	    place->backoff.not_before_ms <= c->now_ms)
		return check_fails(c, "backoff: none after a failure in slot"
		    " %" PRIu32, w->id.slot);
	return true;
}

/* A candidate that fails ends the climb, unless it is older than the rollout. */
static bool
check_blame(struct check *c, const struct worker *w)
{
	if (!rollout_is_judged(c->left) ||
	    w->revision != c->left->candidate ||
	    w->started_ms < c->left->started_ms)
		return true;
	return check_fails(c, "fault: a candidate failed, but the rollout goes"
	    " on");
}

static uint32_t
count_ready(const struct check *c)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		count += check_counts(c, &c->fleet->workers[i]) &&
		    c->fleet->workers[i].state == WORKER_READY;
	return count;
}

static bool
check_drain(struct check *c, const struct action *a)
{
	struct worker *w = fleet_find(c->fleet, a->id);
	bool was_ready, was_available;

	if (w == NULL || !worker_is_live(w) || w->revision != a->revision)
		return check_fails(c, "drain: %" PRIu32 " is not live",
		    a->id.incarnation);
	if (!check_drain_cause(c, a, w))
		return false;
	was_ready = w->state == WORKER_READY && check_counts(c, w);
	was_available = check_is_available(c, w);
	if (a->ending != ENDING_WATCHDOG && a->ending != ENDING_NOT_READY &&
	    !check_leave(c, w))
		return false;
	w->ending = (uint8_t)a->ending;
	worker_step(w, WORKER_EVENT_DRAIN, c->policy, c->now_ms);
	if (a->ending == ENDING_WATCHDOG || a->ending == ENDING_NOT_READY)
		return check_blame(c, w) && take_backoff(c, w);
	if (!was_ready)
		return true;
	if (count_ready(c) < check_floor(c) ||
	    (was_available && check_count_available(c) < check_floor(c)))
		return check_fails(c, "floor: drained to fewer than %" PRIu32
		    " ready workers", check_floor(c));
	return true;
}

static bool
check_kill(struct check *c, const struct action *a)
{
	struct worker *w = fleet_find(c->fleet, a->id);

	if (w == NULL || worker_is_live(w) || w->deadline_ms > c->now_ms)
		return check_fails(c, "kill: %" PRIu32 " is not overdue",
		    a->id.incarnation);
	worker_step(w, WORKER_EVENT_KILL, c->policy, c->now_ms);
	return true;
}

static bool
check_ready(struct check *c, const struct action *a)
{
	struct worker *w = fleet_find(c->fleet, a->id);

	if (w == NULL || w->state != WORKER_STARTING ||
	    w->alive_at_ms > c->now_ms)
		return check_fails(c, "ready: %" PRIu32 " has not been alive "
		    "for long enough", a->id.incarnation);
	worker_step(w, WORKER_EVENT_SAID_READY, c->policy, c->now_ms);
	return true;
}

bool
check_action(struct check *c, const struct action *a)
{
	switch (a->type) {
	case ACTION_START:
		return check_start(c, a);
	case ACTION_DRAIN:
		return check_drain(c, a);
	case ACTION_KILL:
		return check_kill(c, a);
	case ACTION_READY:
		return check_ready(c, a);
	case ACTION_STEP:
		return check_step(c, a);
	case ACTION_STEER:
		return check_steer(c, a);
	case ACTION_KEEP:
	case ACTION_RETIRE:
		return check_take_charge(c, a);
	case ACTION_PAUSE:
		return a->pause == PAUSE_FAULT ? check_turn(c, a) :
		    check_pause_at_step(c, a);
	case ACTION_ROLLBACK:
		return check_turn(c, a);
	case ACTION_FINISH:
		return check_finish(c, a);
	}
	return check_fails(c, "plan: an action of no type");
}
