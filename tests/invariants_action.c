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

	if (!check_has_two_releases(c))
		return check_fails(c, "candidate-start: the rollout is %s",
		    rollout_phase_name(c->rollout->phase));
	if (!s->handed_over && (c->rollout->phase == ROLLOUT_PAUSED ||
	    slot >= check_asked_by(c, c->rollout->step)))
		return check_fails(c, "candidate-start: slot %" PRIu32
		    " is not to change yet", slot);
	if (c->crowded)
		return check_fails(c, "candidate-start: %d releases drain already",
		    DRAINING_RELEASES_MAX);
	for (uint32_t i = 0; i < c->policy->workers; i++)
		if (!c->fleet->slots[i].handed_over && check_is_owed(c, i))
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
	if (a->revision == r->stable &&
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
		return r->phase == ROLLOUT_ROLLBACK ||
		    (r->phase == ROLLOUT_PAUSED &&
		    !c->fleet->slots[w->id.slot].handed_over) ||
		    check_fails(c, "drain: a candidate that is wanted");

	left = &c->fleet_left->slots[w->id.slot];
	if (!check_has_two_releases(c) || (!left->handed_over &&
	    c->left->phase != ROLLOUT_IDLE))
		return check_fails(c, "drain: slot %" PRIu32 " is stable's",
		    w->id.slot);
	candidate = check_live_in(c->fleet, w->id.slot, r->candidate);
	if (candidate == NULL && check_count(c->fleet).live < check_ceiling(c))
		return check_fails(c, "hand-over: slot %" PRIu32 " has no candidate,"
		    " though there is room", w->id.slot);
	if (candidate == NULL && c->crowded)
		return check_fails(c, "hand-over: slot %" PRIu32 " can have no"
		    " candidate, too many releases drain", w->id.slot);
	if (candidate != NULL && !check_is_available(c, candidate))
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
	if (c->left->phase != ROLLOUT_CLIMB ||
	    w->revision != c->left->candidate ||
	    w->started_ms < c->left->started_ms)
		return true;
	return check_fails(c, "fault: a candidate failed, but the rollout goes"
	    " on");
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
	was_ready = w->state == WORKER_READY;
	was_available = check_is_available(c, w);
	w->ending = (uint8_t)a->ending;
	worker_step(w, WORKER_EVENT_DRAIN, c->policy, c->now_ms);
	if (a->ending == ENDING_WATCHDOG || a->ending == ENDING_NOT_READY)
		return check_blame(c, w) && take_backoff(c, w);
	if (!was_ready)
		return true;
	if (check_count(c->fleet).ready < check_floor(c) ||
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

static bool
check_step(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	uint32_t asked = check_asked_by(c, r->step), have = 0;

	if (r->phase != ROLLOUT_CLIMB || a->step != r->step + 1)
		return check_fails(c, "step: %" PRIu32 " after %" PRIu32, a->step,
		    r->step);
	for (uint32_t i = 0; i < c->policy->workers; i++)
		have += check_is_available(c, check_live_in(c->fleet, i, r->candidate));
	if (have < asked)
		return check_fails(c, "step: passed with %" PRIu32 " of %" PRIu32
		    " ready", have, asked);
	r->step = a->step;
	return true;
}

static bool
check_turn(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool pause = a->type == ACTION_PAUSE;

	if (!check_has_two_releases(c) || (pause && r->phase != ROLLOUT_CLIMB))
		return check_fails(c, "phase: %s from %s", pause ? "paused" :
		    "taken back", rollout_phase_name(r->phase));
	if (a->fault == FAULT_NONE)
		return check_fails(c, "phase: %s without a fault", pause ? "paused" :
		    "taken back");
	if (pause && (r->recall != FAULT_NONE ||
	    c->policy->on_failure != ON_FAILURE_PAUSE))
		return check_fails(c, "phase: paused, but on_failure is rollback");
	r->phase = pause ? ROLLOUT_PAUSED : ROLLOUT_ROLLBACK;
	r->progress_ms = c->now_ms;
	return true;
}

static bool
check_complete(struct check *c)
{
	const struct rollout *r = c->rollout;

	if (r->phase != ROLLOUT_CLIMB)
		return check_fails(c, "finish: complete while %s",
		    rollout_phase_name(r->phase));
	if (check_asked_by(c, r->step) < c->policy->workers)
		return check_fails(c, "finish: complete before the last step");
	for (uint32_t i = 0; i < c->policy->workers; i++)
		if (!check_is_available(c, check_live_in(c->fleet, i, r->candidate)))
			return check_fails(c, "finish: complete, but slot %" PRIu32
			    " has no ready candidate", i);
	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		if (worker_is_live(&c->fleet->workers[i]) &&
		    c->fleet->workers[i].revision == r->stable)
			return check_fails(c, "finish: complete, but a worker of"
			    " stable is live");
	return true;
}

static bool
check_back(struct check *c)
{
	const struct rollout *r = c->rollout;
	const struct worker *w;

	if (r->phase != ROLLOUT_ROLLBACK)
		return check_fails(c, "finish: back while %s",
		    rollout_phase_name(r->phase));
	if (c->now_ms - c->left->progress_ms >= c->policy->progress_deadline_ms)
		return true;
	for (uint32_t i = 0; i < c->policy->workers; i++) {
		w = check_live_in(c->fleet, i, r->stable);
		if (r->stable != 0 && !c->fleet->slots[i].stable.finished &&
		    (w == NULL || w->state != WORKER_READY))
			return check_fails(c, "finish: back, but slot %" PRIu32
			    " has no ready worker of stable", i);
	}
	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		if (worker_is_live(&c->fleet->workers[i]) &&
		    c->fleet->workers[i].revision == r->candidate)
			return check_fails(c, "finish: back, but a candidate is live");
	return true;
}

static bool
check_finish(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool complete = a->verdict == VERDICT_COMPLETE;

	if (a->verdict == VERDICT_NONE ||
	    (a->verdict == VERDICT_SUPERSEDED) !=
	    (!complete && r->recall == FAULT_SUPERSEDED))
		return check_fails(c, "finish: verdict %s",
		    rollout_verdict_name(a->verdict));
	if (!(complete ? check_complete(c) : check_back(c)))
		return false;
	for (uint32_t i = 0; i < c->fleet->slot_capacity; i++) {
		struct slot *slot = &c->fleet->slots[i];

		if (complete)
			slot->stable = slot->candidate;
		slot->handed_over = false;
	}
	if (complete)
		r->stable = r->candidate;
	r->candidate = 0;
	r->phase = ROLLOUT_IDLE;
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
	case ACTION_ROLLBACK:
	case ACTION_PAUSE:
		return check_turn(c, a);
	case ACTION_FINISH:
		return check_finish(c, a);
	}
	return check_fails(c, "plan: an action of no type");
}
