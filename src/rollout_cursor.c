/*
 * Where a rollout stands: how near it is to its end, from which phase it goes
 * to which, over which steps, and when and how it has ended.
 */
#include "rollout_tick.h"

#include <string.h>

/* How near the rollout is to its end; grows while it gets on. */
static uint32_t
progress(const struct tick *t)
{
	uint32_t near = t->rollout->step;

	for (uint32_t i = 0; i < t->policy->workers; i++) {
		const struct slot *slot = &t->fleet->slots[i];
		const struct worker *s = slot->stable_live;
		const struct worker *c = slot->candidate_live;

		if (t->rollout->phase == ROLLOUT_ROLLBACK)
			near += (c == NULL) +
			    (s != NULL && s->state == WORKER_READY);
		else
			near += slot->handed_over +
			    (c != NULL && c->state == WORKER_READY);
	}
	return near;
}

static void
enter_phase(struct tick *t, enum rollout_phase phase)
{
	t->rollout->phase = phase;
	t->rollout->progress = 0;
	t->rollout->progress_ms = t->now_ms;
	fleet_tick_index(t);            /* min_ready counts in a climb only */
}

/* CLIMB to PAUSED or ROLLBACK, if there is a cause. */
void
cursor_follow_phase(struct tick *t)
{
	struct rollout *r = t->rollout;
	bool stopped = r->recall != FAULT_NONE || r->fault != FAULT_NONE;
	bool pause = r->recall == FAULT_NONE &&
	    t->policy->on_failure == ON_FAILURE_PAUSE;
	struct action *a;

	if (r->phase == ROLLOUT_PAUSED && r->recall == FAULT_NONE)
		return;
	if (!stopped ||
	    (r->phase != ROLLOUT_CLIMB && r->phase != ROLLOUT_PAUSED))
		return;
	a = tick_emit(t, pause ? ACTION_PAUSE : ACTION_ROLLBACK);
	if (a == NULL)
		return;
	a->fault = r->recall != FAULT_NONE ? r->recall : r->fault;
	if (r->recall == FAULT_NONE)
		a->id = r->culprit;
	a->revision = r->candidate;
	enter_phase(t, pause ? ROLLOUT_PAUSED : ROLLOUT_ROLLBACK);
}

/*
 * Releases that are on their way out, besides the two of the rollout.  What a
 * rollback left to serve, because the release in charge does not get ready, is
 * not: nothing says when it goes.
 */
static uint32_t
draining_releases(const struct tick *t)
{
	uint32_t seen[DRAINING_RELEASES_MAX], count = 0, k;

	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		const struct worker *w = &t->fleet->workers[i];

		if (w->state == WORKER_GONE || worker_is_live(w) ||
		    w->revision == t->rollout->stable ||
		    w->revision == t->rollout->candidate)
			continue;
		for (k = 0; k < count && seen[k] != w->revision; k++)
			;
		if (k < count)
			continue;
		seen[count++] = w->revision;
		if (count == DRAINING_RELEASES_MAX)
			break;
	}
	return count;
}

bool
cursor_is_crowded(const struct tick *t)
{
	return draining_releases(t) == DRAINING_RELEASES_MAX;
}

static bool
step_is_reached(struct tick *t, const struct step *step)
{
	for (uint32_t i = 0; i < step->candidates; i++) {
		const struct worker *c = t->fleet->slots[i].candidate_live;

		if (c == NULL || c->state != WORKER_READY)
			return false;
		if (t->now_ms - c->ready_ms < step->hold_ms) {
			tick_wake_at(t, c->ready_ms + step->hold_ms);
			return false;
		}
	}
	return true;
}

void
cursor_watch_progress(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint32_t near = progress(t);

	if (r->phase != ROLLOUT_CLIMB && r->phase != ROLLOUT_ROLLBACK)
		return;
	/* what waits for other releases to leave is not to blame for it */
	if (near > r->progress ||
	    (r->phase == ROLLOUT_CLIMB && t->crowded)) {
		r->progress = near;
		r->progress_ms = t->now_ms;
	}
	if (r->phase == ROLLOUT_CLIMB && r->fault == FAULT_NONE &&
	    t->now_ms - r->progress_ms >= t->policy->progress_deadline_ms) {
		r->fault = FAULT_PROGRESS;
		r->culprit = (struct worker_id){ 0 };
	}
}

/* Moves the cursor over every step that is reached. */
void
cursor_climb(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint32_t last = strategy_step_count(t->policy) - 1;
	struct action *a;

	if (r->phase != ROLLOUT_CLIMB)
		return;
	if (r->step > last)             /* `workers` was made smaller */
		r->step = last;
	while (r->step < last) {
		struct step step = strategy_step(t->policy, r->step);

		if (!step_is_reached(t, &step))
			return;
		a = tick_emit(t, ACTION_STEP);
		if (a == NULL)
			return;
		a->step = ++r->step;
		a->revision = r->candidate;
	}
}

static bool
has_arrived(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (r->step + 1 < strategy_step_count(t->policy))
		return false;
	for (uint32_t i = 0; i < t->policy->workers; i++)
		if (!t->fleet->slots[i].handed_over ||
		    !tick_is_available(t, t->fleet->slots[i].candidate_live))
			return false;
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++)
		if (worker_is_live(&t->fleet->workers[i]) &&
		    t->fleet->workers[i].revision == r->stable)
			return false;
	return true;
}

static bool
is_back(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (t->now_ms - r->progress_ms >= t->policy->progress_deadline_ms)
		return true;    /* the rest goes as stable workers get ready */
	for (uint32_t i = 0; r->stable != 0 && i < t->policy->workers; i++) {
		const struct slot *slot = &t->fleet->slots[i];

		if (!slot->stable.finished && (slot->stable_live == NULL ||
		    slot->stable_live->state != WORKER_READY))
			return false;
	}
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++)
		if (worker_is_live(&t->fleet->workers[i]) &&
		    t->fleet->workers[i].revision == r->candidate)
			return false;
	return true;
}

static enum rollout_verdict
verdict_of(const struct rollout *r)
{
	if (r->phase == ROLLOUT_CLIMB)
		return VERDICT_COMPLETE;
	if (r->recall == FAULT_SUPERSEDED)
		return VERDICT_SUPERSEDED;
	return r->fault != FAULT_NONE ? VERDICT_ROLLED_BACK : VERDICT_ABORTED;
}

void
cursor_finish(struct tick *t)
{
	struct rollout *r = t->rollout;
	struct action *a;
	bool complete = r->phase == ROLLOUT_CLIMB;

	if (complete ? !has_arrived(t) :
	    r->phase != ROLLOUT_ROLLBACK || !is_back(t))
		return;
	a = tick_emit(t, ACTION_FINISH);
	if (a == NULL)
		return;
	a->revision = r->candidate;
	a->verdict = verdict_of(r);
	a->fault = r->fault != FAULT_NONE ? r->fault : r->recall;
	a->id = r->culprit;
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
	tick_wake_at(t, t->now_ms);
}

