/*
 * What must be true of what a tick leaves behind: nobody is overdue, nobody who
 * could start is missing, nothing waits without a deadline, and the plan's
 * actions explain every change.
 */
#include "invariants_check.h"

#include <inttypes.h>
#include <stddef.h>

/* A step begins without what the one before had got. */
static bool
check_step_is_played(struct check *c)
{
	const struct rollout *r = c->rollout;

	if (r->reached_ms == NOT_YET_MS && c->left->reached_ms != NOT_YET_MS &&
	    c->left->reached_ms != c->now_ms)
		return check_fails(c, "played: its step is reached since long"
		    " ago");
	if ((c->left->approved && !r->approved) ||
	    (c->left->promoted && !r->promoted))
		return check_fails(c, "played: nobody let it pass");
	return true;
}

/* Every change of a worker was an action, and every action was done. */
static bool
check_is_played(struct check *c)
{
	struct rollout *r = c->rollout;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++) {
		const struct worker *played = &c->fleet->workers[i];
		const struct worker *w = &c->fleet_left->workers[i];

		if (played->state != w->state ||
		    (w->state != WORKER_GONE &&
		    (played->id.incarnation != w->id.incarnation ||
		    played->id.slot != w->id.slot ||
		    played->revision != w->revision ||
		    played->ending != w->ending)))
			return check_fails(c, "played: record %" PRIu32 " is %s,"
			    " by the plan it is %s", i,
			    worker_state_name(w->state),
			    worker_state_name(played->state));
	}
	if (r->base == 0)               /* the first release, without a word */
		r->base = c->left->base;
	if (c->left->base != r->base ||
	    c->left->weight_permille != r->weight_permille)
		return check_fails(c, "played: %" PRIu32 " permille, by the"
		    " plan %" PRIu32, c->left->weight_permille,
		    r->weight_permille);
	if (c->left->steered_ms != r->steered_ms)
		return check_fails(c, "played: the time of the steering");
	if (r->phase != ROLLOUT_IDLE && !check_step_is_played(c))
		return false;
	if (c->left->phase != r->phase || c->left->stable != r->stable ||
	    c->left->candidate != r->candidate || c->left->step > r->step)
		return check_fails(c, "played: the rollout is %s, by the plan"
		    " it is %s", rollout_phase_name(c->left->phase),
		    rollout_phase_name(r->phase));
	return true;
}

static bool
check_hand_over(struct check *c, uint32_t slot)
{
	const struct slot *before = &c->fleet->slots[slot];
	const struct slot *left = &c->fleet_left->slots[slot];
	const struct worker *candidate;

	if (left->handed_over && !check_has_two_releases(c) &&
	    c->rollout->phase != ROLLOUT_ROLLBACK)
		return check_fails(c, "hand-over: slot %" PRIu32 " is handed"
		    " over without a rollout", slot);
	if (!left->handed_over || before->handed_over)
		return true;
	candidate = check_live_in(c->fleet, slot, c->rollout->candidate);
	if (c->left->phase == ROLLOUT_RETIRE)
		return true;            /* all of them, once it is in charge */
	if (check_is_beside(c))
		return check_fails(c, "hand-over: slot %" PRIu32 " before the"
		    " candidate is in charge", slot);
	if (!c->rollout->course.split &&
	    check_live_in(c->fleet, slot, c->rollout->stable) != NULL)
		return check_fails(c, "hand-over: slot %" PRIu32 " has a worker"
		    " of stable still", slot);
	if (candidate == NULL && c->rollout->course.split)
		return check_fails(c, "hand-over: slot %" PRIu32 " has no"
		    " candidate in its lane", slot);
	if (candidate != NULL && (!check_is_available(c, candidate) ||
	    !check_is_probed(c, candidate)))
		return check_fails(c, "hand-over: slot %" PRIu32 "'s candidate"
		    " is not ready for min_ready, or not probed", slot);
	return true;
}

static bool
check_worker(struct check *c, const struct worker *w)
{
	if (w->state == WORKER_GONE)
		return true;
	if (w->deadline_ms <= c->now_ms)
		return check_fails(c, "patience: a worker is %s beyond its"
		    " deadline", worker_state_name(w->state));
	if (c->plan->deadline_ms > w->deadline_ms)
		return check_fails(c, "deadline: a worker that is %s has an"
		    " earlier one", worker_state_name(w->state));
	if (w->state == WORKER_STARTING &&
	    c->plan->deadline_ms > w->alive_at_ms)
		return check_fails(c, "deadline: a worker is ready earlier");
	if (w->state != WORKER_READY && w->deadline_ms == NEVER_MS)
		return check_fails(c, "patience: a worker is %s for ever",
		    worker_state_name(w->state));
	if (worker_is_live(w) && w->ending != ENDING_NONE)
		return check_fails(c, "ending: a worker that was told to stop"
		    " is %s", worker_state_name(w->state));
	return true;
}

/* While the old set is kept it is as it was. */
static bool
check_warm(struct check *c)
{
	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct place *place = &c->fleet->slots[i].stable;

		if (!place->finished &&
		    place->backoff.not_before_ms <= c->now_ms &&
		    check_live_in(c->fleet, i, c->rollout->stable) == NULL &&
		    check_self_stopping_in(c->fleet, i, c->rollout->stable) ==
		    NULL)
			return check_fails(c, "keep: slot %" PRIu32 " lacks its"
			    " old worker", i);
	}
	return true;
}

/* Whoever is missing has started, or will when there is room or it is time. */
static bool
check_supply(struct check *c)
{
	struct fleet_count count = check_count(c->fleet);

	if (count.live >= check_ceiling(c) || count.free == 0)
		return true;
	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct place *place = check_place_in_charge(c, i);
		uint32_t revision = check_revision_in_charge(c, i);

		if (revision == c->rollout->candidate && c->crowded)
			continue;
		if (check_is_owed(c, i))
			return check_fails(c, "replace: slot %" PRIu32 " lacks"
			    " its own release %" PRIu32, i, revision);
		if (place != NULL && !place->finished &&
		    check_live_in(c->fleet, i, revision) == NULL &&
		    place->backoff.not_before_ms > c->now_ms &&
		    place->backoff.not_before_ms < c->plan->deadline_ms)
			return check_fails(c, "deadline: slot %" PRIu32 "'s"
			    " backoff ends earlier", i);
	}
	return c->rollout->phase != ROLLOUT_KEEP || check_warm(c);
}

static bool
check_rollout_waits(struct check *c)
{
	const struct rollout *r = c->left;

	if (r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_ROLLBACK &&
	    r->recall != FAULT_NONE)
		return check_fails(c, "recall: nobody listens");
	if (rollout_is_judged(r) && r->fault != FAULT_NONE)
		return check_fails(c, "fault: the rollout goes on after one");
	if (r->phase == ROLLOUT_CLIMB && c->rollout->promoted &&
	    r->step < check_last_step(c))
		return check_fails(c, "promote: it is at step %" PRIu32
		    " still", r->step);
	if (r->phase == ROLLOUT_IDLE || r->phase == ROLLOUT_PAUSED ||
	    r->phase == ROLLOUT_PREPARE)
		return true;
	/* who retires may wait for a process that has a deadline itself */
	if (c->plan->deadline_ms == NEVER_MS)
		return check_fails(c, "wedge: %s without a deadline",
		    rollout_phase_name(r->phase));
	if (r->phase != ROLLOUT_KEEP && r->phase != ROLLOUT_RETIRE &&
	    c->plan->deadline_ms >
	    r->progress_ms + c->policy->progress_deadline_ms)
		return check_fails(c, "deadline: progress_deadline is earlier");
	return true;
}

/* Who wants to be asked again at once has done something, or found it. */
static bool
check_busy(struct check *c, bool moved)
{
	if (c->plan->action_count != 0 || moved ||
	    c->left->fault != c->rollout->fault)
		return true;
	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		if (!check_worker(c, &c->fleet_left->workers[i]))
			return false;
	return check_fails(c, "busy: %s, and nothing comes of it",
	    rollout_phase_name(c->left->phase));
}

bool
check_left(struct check *c)
{
	bool moved = false;

	if (!check_is_played(c))
		return false;
	for (uint32_t i = 0; i < c->fleet->slot_capacity; i++) {
		if (!check_hand_over(c, i))
			return false;
		moved |= c->fleet->slots[i].handed_over !=
		    c->fleet_left->slots[i].handed_over;
		c->fleet->slots[i] = c->fleet_left->slots[i];
	}
	/* one that has more to do at once is asked again before it is judged */
	if (c->plan->deadline_ms <= c->now_ms)
		return check_busy(c, moved);
	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		if (!check_worker(c, &c->fleet_left->workers[i]))
			return false;
	return check_supply(c) && check_rollout_waits(c) &&
	    check_lanes_left(c);
}
