/*
 * What was seen of a rollout, beside the planner's own notes.
 *
 * The invariants judge a tick by how the rollout was before it.  What the
 * planner itself has noted there (that a probe has passed, how long a step has
 * held, what the kernel does) is replaced by what was really told and done, so
 * that notes which are wrong are found.
 */
#include "explore.h"

void
witness_init(struct world *w)
{
	w->seen = (struct witness){
		.probed_ms = NOT_YET_MS, .analysed_ms = NOT_YET_MS,
		.base = w->rollout.base,
	};
}

static void
forget(struct witness *seen)
{
	seen->approved = seen->promoted = false;
}

/* Before the planner is told. */
void
witness_event(struct world *w, enum event_type type)
{
	struct witness *seen = &w->seen;
	const struct rollout *r = &w->rollout;

	switch (type) {
	case EVENT_PROBE_PASSES:
		seen->probed_ms = w->now_ms;
		break;
	case EVENT_GOOD:
		seen->analysed_ms = w->now_ms;
		break;
	case EVENT_INCONCLUSIVE:
		w->doubted |= r->phase == ROLLOUT_CLIMB && !seen->approved &&
		    !seen->promoted;
		break;
	case EVENT_RESUME:
		w->doubted = false;
		if (r->pause == PAUSE_FAULT)
			seen->probed_ms = seen->analysed_ms = NOT_YET_MS;
		seen->approved |= r->pause == PAUSE_STEP ||
		    r->pause == PAUSE_DOUBT;
		break;
	case EVENT_PROMOTE:
		w->doubted = false;
		seen->promoted = true;
		break;
	case EVENT_SUPERSEDE:
		seen->promoted |= r->phase == ROLLOUT_KEEP ||
		    r->phase == ROLLOUT_RETIRE;
		break;
	default:
		break;
	}
}

/* The clock of a step stands while the rollout is paused. */
void
witness_time(struct world *w, uint64_t passed_ms)
{
	if (w->rollout.reached_ms != NOT_YET_MS &&
	    (w->rollout.phase == ROLLOUT_CLIMB ||
	    w->rollout.phase == ROLLOUT_KEEP))
		w->seen.held_ms += passed_ms;
}

void
witness_tick(struct world *w, const struct rollout *before,
    const struct plan *plan, bool refused)
{
	struct witness *seen = &w->seen;

	for (uint32_t i = 0; i < plan->action_count; i++) {
		const struct action *a = &plan->actions[i];

		if (a->type == ACTION_STEP)
			seen->approved = false;
		if (a->type == ACTION_STEP || a->type == ACTION_KEEP)
			seen->held_ms = 0;
		if (a->type == ACTION_KEEP)
			seen->promoted = false;
		if (a->type == ACTION_ROLLBACK || a->type == ACTION_FINISH ||
		    (a->type == ACTION_PAUSE && a->pause == PAUSE_FAULT))
			forget(seen);
	}
	if (before->reached_ms == NOT_YET_MS)
		seen->held_ms = 0;
	if (refused) {
		seen->steer_after_ms = w->now_ms + STEER_RETRY_MS;
		return;
	}
	seen->base = w->rollout.base;
	seen->weight_permille = w->rollout.weight_permille;
}

void
witness_correct(const struct world *w, struct rollout *r)
{
	const struct witness *seen = &w->seen;

	r->probed_ms = seen->probed_ms;
	r->analysed_ms = seen->analysed_ms;
	r->busy_ms = seen->busy_ms;
	r->steer_after_ms = seen->steer_after_ms;
	if (r->reached_ms != NOT_YET_MS)
		r->reached_ms = w->now_ms - seen->held_ms;
	r->base = seen->base;
	r->weight_permille = seen->weight_permille;
	r->approved = seen->approved;
	r->promoted = seen->promoted;
}
