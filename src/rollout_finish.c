/*
 * When and how a rollout has ended, and what it leaves: places, lanes, who is in
 * charge.
 */
#include "rollout_tick.h"

#include <string.h>

static bool
has_arrived(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (r->course.split || !cursor_is_last(t) || r->reached_ms == NOT_YET_MS)
		return false;
	for (uint32_t i = 0; i < t->policy->workers; i++)
		if (!t->fleet->slots[i].handed_over ||
		    !tick_is_available(t, t->fleet->slots[i].candidate_live))
			return false;
	return !tick_has_live(t, r->stable);
}

/*
 * Has everybody of this release left?  Who drains for long is not waited for;
 * what is left in the queue of its lane is not known then.
 */
static bool
has_left(struct tick *t, uint32_t revision)
{
	uint64_t latest_ms = t->rollout->phase_ms + t->policy->quiet_max_ms +
	    t->policy->leave_max_ms;

	if (fleet_count_revision(t->fleet, revision) == 0)
		return true;
	if (t->now_ms >= latest_ms)
		return true;
	tick_wake_at(t, latest_ms);
	return false;
}

/* The old lane is empty, or will be, and all of it goes to the new one; else
 * the kernel refused, so far. */
static bool
is_retired(struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (tick_has_live(t, r->stable) || !has_left(t, r->stable))
		return false;
	return r->weight_permille == WHOLE_PERMILLE ||
	    fleet_count_revision(t->fleet, r->stable) == 0;
}

static bool
is_served(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	for (uint32_t i = 0; r->stable != 0 && i < t->policy->workers; i++) {
		const struct slot *slot = &t->fleet->slots[i];

		if (!slot->stable.finished && (slot->stable_live == NULL ||
		    slot->stable_live->state != WORKER_READY))
			return false;
	}
	return true;
}

/* A newer release does not wait for what this one leaves. */
static bool
is_back(struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (t->now_ms - r->progress_ms >= t->policy->progress_deadline_ms)
		return true;    /* the rest goes as stable workers get ready */
	if (!is_served(t) || tick_has_live(t, r->candidate))
		return false;
	return !r->course.split || r->recall == FAULT_SUPERSEDED ||
	    has_left(t, r->candidate);
}

static enum rollout_verdict
verdict_of(const struct rollout *r)
{
	if (r->phase != ROLLOUT_ROLLBACK)
		return VERDICT_COMPLETE;
	if (r->recall == FAULT_SUPERSEDED)
		return VERDICT_SUPERSEDED;
	if (r->fault == FAULT_HOOK)
		return VERDICT_ABORTED; /* nobody has seen the new release */
	return r->fault != FAULT_NONE ? VERDICT_ROLLED_BACK : VERDICT_ABORTED;
}

static bool
has_ended(struct tick *t)
{
	switch (t->rollout->phase) {
	case ROLLOUT_CLIMB:
		return has_arrived(t);
	case ROLLOUT_RETIRE:
		return is_retired(t);
	case ROLLOUT_ROLLBACK:
		return is_back(t);
	case ROLLOUT_IDLE:
	case ROLLOUT_PREPARE:
	case ROLLOUT_PAUSED:
	case ROLLOUT_KEEP:
	case ROLLOUT_PHASE_COUNT:
		break;
	}
	return false;
}

/*
 * The lane in charge becomes the base.  What a rollback left to serve, because
 * the stable release does not get ready, keeps what it has until that does.
 */
static void
settle_lanes(struct tick *t, bool complete)
{
	struct rollout *r = t->rollout;
	uint32_t in_charge = complete ? r->candidate : r->stable;

	if (complete ? r->course.split || r->base == r->stable :
	    r->weight_permille != 0)
		r->base = r->candidate;
	if (r->base != in_charge && lane_ready_count(t, r->base) == 0)
		r->base = in_charge;
	r->weight_permille = r->granted_permille = 0;
	r->course = (struct course){ .split = false };
}

void
cursor_finish(struct tick *t)
{
	struct rollout *r = t->rollout;
	bool complete = r->phase != ROLLOUT_ROLLBACK;
	struct action *a;

	if (!has_ended(t))
		return;
	if (t->steered) {       /* first see whether that has worked */
		tick_wake_at(t, t->now_ms);
		return;
	}
	a = tick_emit(t, ACTION_FINISH);
	if (a == NULL)
		return;
	a->revision = r->candidate;
	a->verdict = verdict_of(r);
	a->fault = r->fault != FAULT_NONE ? r->fault : r->recall;
	a->id = r->culprit;
	settle_lanes(t, complete);
	a->base = r->base;
	for (uint32_t i = 0; i < t->fleet->slot_capacity; i++) {
		struct slot *slot = &t->fleet->slots[i];

		if (complete)
			slot->stable = slot->candidate;
		memset(&slot->candidate, 0, sizeof(slot->candidate));
		slot->handed_over = false;
	}
	if (complete)
		r->stable = r->candidate;
	r->candidate = 0;
	r->phase = ROLLOUT_IDLE;
	r->pause = PAUSE_NONE;
	tick_wake_at(t, t->now_ms);
}
