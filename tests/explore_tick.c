/*
 * The planner's turn in an explored world: ticks with their checks, and the
 * readable trace of events and actions.
 */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define X(UPPER, text) [EVENT_##UPPER] = text,
static const char *const event_texts[EVENT_TYPE_COUNT] = { EVENT_TYPES(X) };
#undef X

static void
print_worker(const char *before, uint32_t slot, uint32_t incarnation,
    uint32_t revision, const char *after)
{
	printf("#   %s worker %" PRIu32 ".%" PRIu32 " of revision %" PRIu32
	    "%s%s\n", before, slot, incarnation, revision,
	    *after != '\0' ? " " : "", after);
}

static void
print_action(const struct action *a)
{
	uint32_t slot = a->id.slot, incarnation = a->id.incarnation;

	switch (a->type) {
	case ACTION_START:
		print_worker("-> start", slot, incarnation, a->revision, "");
		break;
	case ACTION_DRAIN:
		print_worker("-> drain", slot, incarnation, a->revision,
		    worker_ending_text(a->ending));
		break;
	case ACTION_KILL:
		print_worker("-> kill", slot, incarnation, a->revision, "");
		break;
	case ACTION_READY:
		print_worker("-> alive", slot, incarnation, a->revision, "");
		break;
	case ACTION_STEP:
		printf("#   -> step %" PRIu32 "\n", a->step);
		break;
	case ACTION_STEER:
		printf("#   -> steer: %" PRIu32 " permille to the lane of %"
		    PRIu32 ", the rest to that of %" PRIu32 "\n",
		    a->weight_permille, a->revision, a->base);
		break;
	case ACTION_PAUSE:
		printf("#   -> pause: %s (%s)\n", rollout_pause_text(a->pause),
		    rollout_fault_text(a->fault));
		break;
	case ACTION_KEEP:
		printf("#   -> keep\n");
		break;
	case ACTION_RETIRE:
		printf("#   -> retire\n");
		break;
	case ACTION_ROLLBACK:
		printf("#   -> rollback: %s\n", rollout_fault_text(a->fault));
		break;
	case ACTION_FINISH:
		printf("#   -> finish: %s (%s)\n",
		    rollout_verdict_name(a->verdict),
		    rollout_fault_text(a->fault));
		break;
	}
}

void
world_print_event(const struct world *w, struct event event)
{
	const struct worker *worker = &w->workers[event.index];

	if (event.type == EVENT_SCALE) {
		printf("# %s: %u\n", event_texts[event.type], event.index);
		return;
	}
	if (!world_is_of_worker(event.type)) {
		printf("# %s\n", event_texts[event.type]);
		return;
	}
	printf("# %s worker %" PRIu32 ".%" PRIu32 " of revision %" PRIu32
	    " %s\n", worker_state_name(worker->state), worker->id.slot,
	    worker->id.incarnation, worker->revision,
	    event_texts[event.type]);
}

/* A rollout that nothing but the old release disturbed has to complete. */
static bool
ends_well(const struct world *w, const struct plan *plan,
    struct invariants *inv)
{
	for (uint32_t i = 0; i < plan->action_count; i++) {
		const struct action *a = &plan->actions[i];

		if (a->type != ACTION_FINISH || w->excused ||
		    a->verdict == VERDICT_COMPLETE)
			continue;
		snprintf(inv->broken, sizeof(inv->broken),
		    "verdict: %s (%s) without a cause",
		    rollout_verdict_name(a->verdict),
		    rollout_fault_text(a->fault));
		return false;
	}
	return true;
}

/* One tick; false if an invariant is broken. */
static bool
tick(struct world *w, struct fleet *fleet, const struct policy *policy,
    bool trace, struct invariants *inv, struct plan *plan)
{
	struct rollout before = w->rollout;
	bool steers = false, kept;

	invariants_before(inv, &w->rollout, fleet);
	witness_correct(w, &inv->rollout);
	rollout_tick(&w->rollout, fleet, policy, 0, w->now_ms, plan);
	for (uint32_t i = 0; i < plan->action_count; i++) {
		if (trace)
			print_action(&plan->actions[i]);
		steers |= plan->actions[i].type == ACTION_STEER;
	}
	w->deadline_ms = plan->deadline_ms;
	w->incarnation_last = fleet->incarnation_last;
	kept = invariants_after(inv, &w->rollout, fleet, policy, w->now_ms,
	    plan) && ends_well(w, plan, inv);
	witness_tick(w, &before, plan, steers && w->refuses);
	if (steers && w->refuses) {
		w->refuses = false;
		w->refuted |= rollout_is_judged(&w->rollout);
		rollout_not_steered(&w->rollout, before.base,
		    before.weight_permille, w->now_ms + STEER_RETRY_MS);
		w->deadline_ms = plan->deadline_ms = w->now_ms;
		if (kept && w->rollout.weight_permille !=
		    before.weight_permille) {
			snprintf(inv->broken, sizeof(inv->broken), "steer: a "
			    "refusal is taken for a change");
			kept = false;
		}
		if (trace)
			printf("#   -- but the kernel refused to steer\n");
	}
	return kept;
}

/*
 * Asked again at the same time, the planner has nothing to add; it may only
 * see that it was to be asked too early.
 */
static bool
is_idempotent(struct world *w, struct fleet *fleet,
    const struct policy *policy, struct invariants *inv, struct plan *plan)
{
	uint64_t deadline_ms = plan->deadline_ms;

	rollout_tick(&w->rollout, fleet, policy, 0, w->now_ms, plan);
	if (plan->action_count == 0 && plan->deadline_ms >= deadline_ms)
		return true;
	snprintf(inv->broken, sizeof(inv->broken), "idempotence: asked again, "
	    "it has %" PRIu32 " actions more, or an earlier deadline",
	    plan->action_count);
	return false;
}

static bool
has_lanes(const struct rollout *r)
{
	return r->course.split && r->phase != ROLLOUT_IDLE &&
	    r->phase != ROLLOUT_PREPARE;
}

static bool
has_turned(struct world *w, struct invariants *inv)
{
	if (w->refuted && rollout_is_judged(&w->rollout)) {
		snprintf(inv->broken, sizeof(inv->broken),
		    "fault: a candidate ended, but the rollout goes on");
		return false;
	}
	if (w->doubted && w->rollout.phase == ROLLOUT_CLIMB) {
		snprintf(inv->broken, sizeof(inv->broken),
		    "doubt: the analysis was inconclusive, but it climbs on");
		return false;
	}
	w->refuted = w->doubted = false;
	return true;
}

bool
world_settle(struct world *w, const struct scenario *scenario, bool trace,
    struct invariants *inv)
{
	static struct plan plan;
	struct slot slots_before[SLOTS_MAX];
	struct worker workers_before[RECORDS_MAX];
	struct policy policy = scenario->policy;
	struct fleet fleet = {
		.slots = w->slots, .workers = w->workers,
		.slot_capacity = w->slot_capacity,
		.worker_capacity = w->record_capacity,
		.incarnation_last = w->incarnation_last,
	};
	uint32_t ticks_max = 4 * w->record_capacity;

	policy.workers = w->worker_count;
	/* nobody would ask about a rollout without lanes, or that is over */
	w->queue_waits &= has_lanes(&w->rollout);
	if (w->queue_waits)
		w->seen.busy_ms = w->now_ms;
	if (w->queue_waits && rollout_watches_queue(&w->rollout))
		rollout_busy(&w->rollout, w->now_ms);
	inv->fleet = fleet;
	inv->fleet.slots = slots_before;
	inv->fleet.workers = workers_before;
	for (uint32_t i = 0; i < ticks_max; i++) {
		if (!tick(w, &fleet, &policy, trace, inv, &plan))
			return false;
		if (plan.deadline_ms > w->now_ms)
			return has_turned(w, inv) &&
			    is_idempotent(w, &fleet, &policy, inv, &plan);
	}
	snprintf(inv->broken, sizeof(inv->broken),
	    "turn: after %" PRIu32 " ticks there is still more to do now",
	    ticks_max);
	return false;
}

bool
world_is_at_rest(const struct world *w, const struct scenario *scenario,
    struct invariants *inv)
{
	struct world copy = *w, before = *w;
	struct policy policy = scenario->policy;
	struct fleet fleet = {
		.slots = copy.slots, .workers = copy.workers,
		.slot_capacity = w->slot_capacity,
		.worker_capacity = w->record_capacity,
	};

	policy.workers = w->worker_count;
	inv->fleet = fleet;
	inv->fleet.slots = before.slots;
	inv->fleet.workers = before.workers;
	return invariants_at_rest(inv, &w->rollout, &fleet, &policy);
}
