/*
 * Where a rollout stands: how near it is to its end, from which phase it goes
 * to which, and over which steps.
 */
#include "rollout_tick.h"

#include <stddef.h>

/* How near the rollout is to its end; grows while it gets on. */
static uint32_t
progress(const struct tick *t)
{
	const struct rollout *r = t->rollout;
	uint32_t near = 2 * r->step + (r->reached_ms != NOT_YET_MS);

	for (uint32_t i = 0; i < t->policy->workers; i++) {
		const struct slot *slot = &t->fleet->slots[i];
		const struct worker *s = slot->stable_live;
		const struct worker *c = slot->candidate_live;

		if (r->phase == ROLLOUT_ROLLBACK)
			near += (c == NULL) +
			    (s != NULL && s->state == WORKER_READY);
		else
			near += slot->handed_over +
			    (c != NULL && c->state == WORKER_READY);
	}
	return near;
}

static void
enter_phase(struct tick *t, enum rollout_phase phase, enum rollout_pause pause)
{
	t->rollout->phase = phase;
	t->rollout->pause = pause;
	t->rollout->phase_ms = t->rollout->progress_ms = t->now_ms;
	t->rollout->progress = 0;
	fleet_tick_index(t);            /* who counts depends on the phase */
}

/* Nothing of a step that failed is left standing, but its workers. */
static void
forget_step(struct rollout *r)
{
	r->granted_permille = 0;
	r->reached_ms = NOT_YET_MS;
	r->approved = r->promoted = false;
}

static bool
may_turn_back(const struct rollout *r)
{
	switch (r->phase) {
	case ROLLOUT_IDLE:
	case ROLLOUT_ROLLBACK:
	case ROLLOUT_PHASE_COUNT:
		return false;
	case ROLLOUT_RETIRE:
		return r->recall != FAULT_NONE || r->fault == FAULT_PROGRESS;
	case ROLLOUT_PAUSED:
		return r->recall != FAULT_NONE || (r->fault != FAULT_NONE &&
		    r->pause != PAUSE_FAULT);
	case ROLLOUT_PREPARE:
	case ROLLOUT_CLIMB:
	case ROLLOUT_KEEP:
		return r->recall != FAULT_NONE || r->fault != FAULT_NONE;
	}
	return false;
}

/* To ROLLBACK, or to PAUSED where on_failure says so, if there is a cause.
 * What is in charge already is taken back in any case: users are hurt. */
void
cursor_follow_phase(struct tick *t)
{
	struct rollout *r = t->rollout;
	bool pause = r->recall == FAULT_NONE &&
	    t->policy->on_failure == ON_FAILURE_PAUSE &&
	    (r->phase == ROLLOUT_CLIMB || r->phase == ROLLOUT_PAUSED);
	struct action *a;

	if (!may_turn_back(r))
		return;
	a = tick_emit(t, pause ? ACTION_PAUSE : ACTION_ROLLBACK);
	if (a == NULL)
		return;
	a->fault = r->recall != FAULT_NONE ? r->recall : r->fault;
	a->pause = pause ? PAUSE_FAULT : PAUSE_NONE;
	if (r->recall == FAULT_NONE)
		a->id = r->culprit;
	a->revision = r->candidate;
	forget_step(r);
	enter_phase(t, pause ? ROLLOUT_PAUSED : ROLLOUT_ROLLBACK, a->pause);
}

static bool
is_other(const struct tick *t, const struct worker *w)
{
	return w->state != WORKER_GONE && w->revision != t->rollout->stable &&
	    w->revision != t->rollout->candidate;
}

/* Releases that have workers, besides the two of the rollout. */
static uint32_t
other_releases(const struct tick *t)
{
	uint32_t seen[DRAINING_RELEASES_MAX], count = 0, k;

	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		const struct worker *w = &t->fleet->workers[i];

		if (!is_other(t, w))
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

/*
 * Is one of them on its way out, if only its lane has to get empty first?  What a
 * rollback left to serve, because the release in charge does not get ready, is
 * not: nothing says when it goes.
 */
static bool
is_one_leaving(const struct tick *t)
{
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		const struct worker *w = &t->fleet->workers[i];

		if (is_other(t, w) && (!worker_is_live(w) ||
		    fleet_tick_can_spare(t, w)))
			return true;
	}
	return false;
}

bool
cursor_is_crowded(const struct tick *t)
{
	return other_releases(t) == DRAINING_RELEASES_MAX && is_one_leaving(t);
}

bool
cursor_is_probed(const struct tick *t, const struct worker *w)
{
	return !t->policy->probe || (w != NULL &&
	    rollout_is_probed(t->rollout, w));
}

/* Are all workers there that the step asks for, and found good? */
static bool
is_gathered(const struct tick *t, const struct step *step)
{
	for (uint32_t i = 0; i < step->candidates; i++) {
		const struct worker *c = t->fleet->slots[i].candidate_live;

		if (!tick_is_available(t, c) || !cursor_is_probed(t, c))
			return false;
	}
	return true;
}

/* Where the weight is the share of the workers: do they have it? */
static bool
has_taken_over(const struct tick *t, const struct step *step)
{
	for (uint32_t i = 0; i < step->candidates; i++)
		if (!t->fleet->slots[i].handed_over)
			return false;
	return true;
}

/* To another step; false if the plan is full. */
static bool
go_to_step(struct tick *t, uint32_t step)
{
	struct action *a = tick_emit(t, ACTION_STEP);

	if (a == NULL)
		return false;
	a->step = t->rollout->step = step;
	a->revision = t->rollout->candidate;
	t->rollout->reached_ms = NOT_YET_MS;
	t->rollout->approved = false;
	return true;
}

bool
cursor_is_last(const struct tick *t)
{
	return t->rollout->step + 1 >= strategy_step_count(t->policy,
	    &t->rollout->course);
}

/* The old lane gets nothing more; its workers go when it is empty. */
static void
retire(struct tick *t)
{
	struct action *a = tick_emit(t, ACTION_RETIRE);

	if (a == NULL)
		return;
	a->revision = t->rollout->candidate;
	for (uint32_t i = 0; i < t->policy->workers; i++)
		t->fleet->slots[i].handed_over = true;
	enter_phase(t, ROLLOUT_RETIRE, PAUSE_NONE);
}

/*
 * The step has what it asks for: its weight is given, and its time begins.
 * False if it cannot be yet.
 */
static bool
reach(struct tick *t, const struct step *step)
{
	struct rollout *r = t->rollout;

	if (!r->course.split && r->course.strategy == STRATEGY_CANARY &&
	    !has_taken_over(t, step))
		return false;
	if (t->now_ms < r->steer_after_ms) {    /* it could not be given */
		tick_wake_at(t, r->steer_after_ms);
		return false;
	}
	r->reached_ms = t->now_ms;
	r->granted_permille = step->weight_permille;
	return true;
}

/* The hold of the last step is the time for which the old set stays warm. */
static void
begin_keep(struct tick *t, const struct step *step)
{
	struct rollout *r = t->rollout;
	struct action *a;

	if (!strategy_is_beside(&r->course) || !cursor_is_last(t) ||
	    step->hold_ms == 0)
		return;
	a = tick_emit(t, ACTION_KEEP);
	if (a == NULL)
		return;
	a->revision = r->candidate;
	enter_phase(t, ROLLOUT_KEEP, PAUSE_NONE);
	r->promoted = false;    /* that was for the steps before */
	tick_wake_at(t, r->reached_ms + step->hold_ms);
}

/* An operator said so, or the service is stopped: there is nothing to see. */
static bool
is_free_to_pass(const struct tick *t)
{
	return t->rollout->promoted || t->policy->workers == 0;
}

/* A step that says so waits for an operator, once it is reached. */
static void
pause_at_step(struct tick *t, const struct step *step)
{
	struct rollout *r = t->rollout;
	struct action *a;

	if (!step->pause || r->approved || is_free_to_pass(t))
		return;
	a = tick_emit(t, ACTION_PAUSE);
	if (a == NULL)
		return;
	a->revision = r->candidate;
	a->pause = PAUSE_STEP;
	enter_phase(t, ROLLOUT_PAUSED, PAUSE_STEP);
}

/* Is the step's time over, and what it waits for there? */
static bool
may_pass(struct tick *t, const struct step *step)
{
	const struct rollout *r = t->rollout;

	if (is_free_to_pass(t))
		return true;
	if (t->now_ms - r->reached_ms < step->hold_ms) {
		tick_wake_at(t, r->reached_ms + step->hold_ms);
		return false;
	}
	if (!t->policy->analysis || r->approved || step->weight_permille == 0 ||
	    r->course.strategy == STRATEGY_ROLLING || r->course.direct ||
	    (cursor_is_last(t) && step->hold_ms == 0))
		return true;
	return r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms;
}

static bool
is_holding(struct tick *t)
{
	struct step step = strategy_step(t->policy, &t->rollout->course,
	    t->rollout->step);

	return t->rollout->reached_ms != NOT_YET_MS && !may_pass(t, &step);
}

void
cursor_watch_progress(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint32_t near = progress(t);

	if (r->phase != ROLLOUT_CLIMB && r->phase != ROLLOUT_ROLLBACK)
		return;
	/* what holds, or waits for other releases to leave, is not to blame */
	if (near > r->progress || (r->phase == ROLLOUT_CLIMB &&
	    (t->crowded || is_holding(t)))) {
		r->progress = near;
		r->progress_ms = t->now_ms;
	}
}

/*
 * When standing still is a fault.  Where the new workers are gone before the old
 * ones could go, those are to serve again.
 */
static uint64_t
progress_due_ms(const struct tick *t)
{
	const struct rollout *r = t->rollout;
	uint64_t due_ms = r->progress_ms + t->policy->progress_deadline_ms;
	uint64_t left_ms = r->phase_ms + t->policy->quiet_max_ms +
	    t->policy->leave_max_ms;

	if (r->phase == ROLLOUT_CLIMB)
		return due_ms;
	if (r->phase != ROLLOUT_RETIRE || !tick_has_live(t, t->rollout->stable))
		return NEVER_MS;
	return due_ms > left_ms ? due_ms : left_ms;
}

/* After all that this tick could do, and acted on by the next: who was woken
 * late is not to be taken for one who stood still. */
void
cursor_check_progress(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint64_t due_ms = progress_due_ms(t);

	if (due_ms > t->now_ms || r->fault != FAULT_NONE) {
		tick_wake_at(t, due_ms);
		return;
	}
	r->fault = FAULT_PROGRESS;
	r->culprit = (struct worker_id){ 0 };
	tick_wake_at(t, t->now_ms);
}

static void
keep(struct tick *t)
{
	struct rollout *r = t->rollout;
	struct step step = strategy_step(t->policy, &r->course, r->step);

	if (!r->promoted && t->now_ms - r->reached_ms < step.hold_ms)
		tick_wake_at(t, r->reached_ms + step.hold_ms);
	else
		retire(t);
}

/* The last step is through: with lanes the old one is left. */
static void
arrive(struct tick *t)
{
	const struct course *course = &t->rollout->course;
	struct step all = { .candidates = t->policy->workers };

	if (course->split && (strategy_is_beside(course) ||
	    has_taken_over(t, &all)))
		retire(t);
}

/* Does the present step get what it asks for?  A pause that an operator wanted
 * is only for what comes after it. */
static bool
may_reach(const struct rollout *r)
{
	return r->phase == ROLLOUT_CLIMB ||
	    (r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_OPERATOR);
}

/* Moves the cursor over every step that is through. */
void
cursor_climb(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint32_t last = strategy_step_count(t->policy, &r->course) - 1;
	struct step step;

	if (r->phase == ROLLOUT_KEEP)
		keep(t);
	if (!may_reach(r))
		return;
	if (r->step > last)             /* `workers` was made smaller */
		r->step = last;
	if (r->phase == ROLLOUT_CLIMB && r->promoted && r->step < last &&
	    !go_to_step(t, last))
		return;
	for (;;) {
		step = strategy_step(t->policy, &r->course, r->step);
		if (!is_gathered(t, &step))
			return;
		if (r->reached_ms == NOT_YET_MS && !reach(t, &step))
			return;
		if (r->phase == ROLLOUT_CLIMB)
			begin_keep(t, &step);
		if (r->phase == ROLLOUT_CLIMB)
			pause_at_step(t, &step);
		if (r->phase != ROLLOUT_CLIMB || !may_pass(t, &step))
			return;
		if (cursor_is_last(t)) {
			arrive(t);
			return;
		}
		if (!go_to_step(t, r->step + 1))
			return;
	}
}
