/*
 * What must be true when a rollout moves: to its next step, into a pause, to
 * the candidate being in charge, back, to its end.
 */
#include "invariants_check.h"

#include <inttypes.h>
#include <stddef.h>

uint32_t
check_count_good(const struct check *c)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct worker *w = check_live_in(c->fleet, i,
		    c->rollout->candidate);

		count += check_is_available(c, w) && check_is_probed(c, w);
	}
	return count;
}

/* Has the present step had its time, and what it waits for? */
static bool
check_time(struct check *c)
{
	const struct rollout *r = c->rollout;
	const struct canary_step *step = &c->policy->steps[r->step];
	uint64_t hold_ms = step->pause ? 0 : step->hold_ms;

	if (r->promoted || r->course.direct || c->policy->workers == 0 ||
	    r->course.strategy == STRATEGY_ROLLING)
		return true;
	if (r->course.strategy == STRATEGY_BLUE_GREEN)
		return c->policy->promotion == PROMOTION_AUTO || r->approved ||
		    check_fails(c, "step: nobody has approved");
	if (step->pause && !r->approved)
		return check_fails(c, "step: nobody let it pass");
	if (hold_ms == 0)
		return true;
	if (r->reached_ms == NOT_YET_MS || c->now_ms - r->reached_ms < hold_ms)
		return check_fails(c, "step: its hold is not over");
	return !c->policy->analysis || r->approved ||
	    (r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms) ||
	    check_fails(c, "step: no analysis has found it good");
}

bool
check_step(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	uint32_t asked = check_asked_by(c, r->step);
	bool jumps = r->promoted && a->step == check_last_step(c);

	if (r->phase != ROLLOUT_CLIMB || (a->step != r->step + 1 && !jumps))
		return check_fails(c, "step: %" PRIu32 " after %" PRIu32, a->step,
		    r->step);
	if (check_count_good(c) < asked && !jumps)
		return check_fails(c, "step: passed with %" PRIu32 " of %" PRIu32
		    " ready", check_count_good(c), asked);
	if (!check_time(c))
		return false;
	r->step = a->step;
	r->reached_ms = NOT_YET_MS;
	r->approved = false;
	return true;
}

bool
check_pause_at_step(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;

	if (a->pause == PAUSE_STEP && check_count_good(c) <
	    check_asked_by(c, r->step))
		return check_fails(c, "pause: before the step has its workers");
	if (r->phase != ROLLOUT_CLIMB || a->pause != PAUSE_STEP || r->promoted)
		return check_fails(c, "pause: %s, while %s",
		    rollout_pause_text(a->pause),
		    rollout_phase_name(r->phase));
	r->phase = ROLLOUT_PAUSED;
	r->pause = a->pause;
	return true;
}

/* To KEEP or RETIRE. */
bool
check_take_charge(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool keep = a->type == ACTION_KEEP;

	if (!r->course.split || (r->phase != ROLLOUT_KEEP &&
	    r->step < check_last_step(c)))
		return check_fails(c, "in charge: before the last step");
	if (r->phase != ROLLOUT_CLIMB && (keep || r->phase != ROLLOUT_KEEP))
		return check_fails(c, "in charge: from %s",
		    rollout_phase_name(r->phase));
	if (r->phase == ROLLOUT_CLIMB && check_count_good(c) < c->policy->workers)
		return check_fails(c, "in charge: with %" PRIu32 " of %" PRIu32
		    " workers", check_count_good(c), c->policy->workers);
	if (keep && !check_is_beside(c))
		return check_fails(c, "keep: there is no old set");
	if (r->phase == ROLLOUT_KEEP && !r->promoted &&
	    r->course.strategy == STRATEGY_BLUE_GREEN &&
	    c->now_ms - r->reached_ms < c->policy->keep_old_ms)
		return check_fails(c, "retire: keep_old is not over");
	if (r->recall == FAULT_OPERATOR || (r->phase == ROLLOUT_CLIMB &&
	    (r->recall != FAULT_NONE || r->fault != FAULT_NONE)))
		return check_fails(c, "in charge: what is to be taken back");
	if (keep)
		r->promoted = false;    /* that was for the steps before */
	r->phase = keep ? ROLLOUT_KEEP : ROLLOUT_RETIRE;
	return true;
}

bool
check_turn(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool pause = a->type == ACTION_PAUSE;

	if ((!check_has_two_releases(c) && r->phase != ROLLOUT_PREPARE) ||
	    (pause && !rollout_is_judged(r)) ||
	    (r->phase == ROLLOUT_RETIRE && r->recall == FAULT_NONE &&
	    a->fault != FAULT_PROGRESS))
		return check_fails(c, "phase: %s from %s", pause ? "paused" :
		    "taken back", rollout_phase_name(r->phase));
	if (check_is_in_charge(c) && r->recall == FAULT_SUPERSEDED)
		return check_fails(c, "phase: in charge, and taken back by a"
		    " newer release");
	if (a->fault == FAULT_NONE)
		return check_fails(c, "phase: %s without a fault", pause ? "paused" :
		    "taken back");
	if (pause && (r->recall != FAULT_NONE ||
	    c->policy->on_failure != ON_FAILURE_PAUSE))
		return check_fails(c, "phase: paused, but on_failure is rollback");
	if (pause && r->phase == ROLLOUT_KEEP)
		return check_fails(c, "phase: users are hurt, and it is paused");
	r->phase = pause ? ROLLOUT_PAUSED : ROLLOUT_ROLLBACK;
	r->pause = a->pause;
	r->progress_ms = c->now_ms;
	r->reached_ms = NOT_YET_MS;
	r->approved = r->promoted = false;
	return true;
}

static bool
has_process(const struct check *c, uint32_t revision)
{
	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		if (c->fleet->workers[i].state != WORKER_GONE &&
		    c->fleet->workers[i].revision == revision)
			return true;
	return false;
}

/* All old workers were told to stop; few are still waited for. */
static bool
check_left_behind(struct check *c)
{
	const struct rollout *r = c->rollout;
	uint64_t latest_ms = r->phase_ms + c->policy->quiet_max_ms +
	    c->policy->leave_max_ms;
	bool any = false;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++) {
		const struct worker *w = &c->fleet->workers[i];

		if (w->state == WORKER_GONE || w->revision != r->stable)
			continue;
		any = true;
		if (worker_is_live(w))
			return check_fails(c, "finish: complete, but a worker"
			    " of stable is live");
	}
	if (any && c->now_ms < latest_ms)
		return check_fails(c, "finish: what the old workers leave is"
		    " not known yet");
	return true;
}

static bool
check_complete(struct check *c)
{
	const struct rollout *r = c->rollout;

	if (r->phase == ROLLOUT_RETIRE)
		return check_left_behind(c);
	if (r->phase != ROLLOUT_CLIMB || r->course.split)
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
	if (r->course.split && r->recall != FAULT_SUPERSEDED &&
	    has_process(c, r->candidate) && c->now_ms < c->left->phase_ms +
	    c->policy->quiet_max_ms + c->policy->leave_max_ms)
		return check_fails(c, "finish: back, but what the candidates"
		    " leave is not known yet");
	return true;
}

bool
check_finish(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool complete = a->verdict == VERDICT_COMPLETE;

	if (c->steered)
		return check_fails(c, "finish: in the plan that steers");
	if (complete && r->course.split && r->weight_permille != 1000 &&
	    has_process(c, r->stable))
		return check_fails(c, "finish: complete with %" PRIu32
		    " permille", r->weight_permille);
	if (a->verdict == VERDICT_NONE ||
	    (a->verdict == VERDICT_SUPERSEDED) !=
	    (!complete && r->recall == FAULT_SUPERSEDED))
		return check_fails(c, "finish: verdict %s",
		    rollout_verdict_name(a->verdict));
	if (a->verdict == VERDICT_ROLLED_BACK &&
	    (c->left->fault == FAULT_NONE || c->left->fault == FAULT_HOOK))
		return check_fails(c, "finish: rolled back, but nobody has seen"
		    " it fail");
	if (!(complete ? check_complete(c) : check_back(c)))
		return false;
	for (uint32_t i = 0; i < c->fleet->slot_capacity; i++) {
		struct slot *slot = &c->fleet->slots[i];

		if (complete)
			slot->stable = slot->candidate;
		slot->handed_over = false;
	}
	if (complete ? r->course.split || r->base == r->stable :
	    r->weight_permille != 0)
		r->base = r->candidate;
	if (r->base != (complete ? r->candidate : r->stable) &&
	    check_count_lane(c, r->base) == 0)
		r->base = complete ? r->candidate : r->stable;
	r->weight_permille = 0;
	if (complete)
		r->stable = r->candidate;
	r->candidate = 0;
	r->phase = ROLLOUT_IDLE;
	return true;
}
