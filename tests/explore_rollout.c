/*
 * What happens to a rollout besides its workers: preparations, probes, the
 * analysis, the kernel that steers, and operators.
 *
 * A probe and an analysis begin and end at one moment here.  That they may be
 * late is the same as that they did not happen yet.
 */
#include "explore.h"

#include <assert.h>

/* A candidate that no probe has passed since it is ready. */
static bool
wants_probe(const struct world *w, const struct scenario *scenario)
{
	if (!scenario->policy.probe || w->rollout.candidate == 0)
		return false;
	for (uint32_t i = 0; i < w->record_capacity; i++) {
		const struct worker *worker = &w->workers[i];

		if (worker->state == WORKER_READY &&
		    worker->revision == w->rollout.candidate &&
		    (w->rollout.probed_ms == NOT_YET_MS ||
		    w->rollout.probed_ms < worker->ready_ms))
			return true;
	}
	return false;
}

static bool
wants_analysis(const struct world *w, const struct scenario *scenario)
{
	const struct rollout *r = &w->rollout;

	return scenario->policy.analysis && r->reached_ms != NOT_YET_MS &&
	    rollout_is_judged(r) && (r->analysed_ms == NOT_YET_MS ||
	    r->analysed_ms < r->reached_ms);
}

enum event_type
rollout_good_event(const struct world *w, const struct scenario *scenario)
{
	if (w->rollout.phase == ROLLOUT_PREPARE)
		return EVENT_PREPARED;
	if (wants_probe(w, scenario))
		return EVENT_PROBE_PASSES;
	if (wants_analysis(w, scenario))
		return EVENT_GOOD;
	return w->queue_waits ? EVENT_ACCEPTED : EVENT_NOTHING;
}

uint32_t
rollout_events(const struct world *w, const struct scenario *scenario,
    struct costly_event ret_events[ROLLOUT_EVENTS_MAX])
{
	const struct rollout *r = &w->rollout;
	bool judged = rollout_is_judged(r);
	bool weighed = judged && r->weight_permille > 0;
	const struct {
		enum event_type type;
		bool possible;
		uint32_t cost;
	} choices[] = {
		{ EVENT_PREPARED, r->phase == ROLLOUT_PREPARE, 0 },
		{ EVENT_HOOK_FAILS, r->phase == ROLLOUT_PREPARE, 1 },
		{ EVENT_PROBE_PASSES, wants_probe(w, scenario), 0 },
		{ EVENT_PROBE_FAILS, judged && scenario->policy.probe, 1 },
		{ EVENT_GOOD, wants_analysis(w, scenario), 0 },
		{ EVENT_BAD, weighed && scenario->policy.analysis, 1 },
		{ EVENT_INCONCLUSIVE, weighed && scenario->policy.analysis, 1 },
		{ EVENT_REFUSES, r->course.split && !w->refuses, 1 },
		{ EVENT_CONNECTION, r->course.split && !w->queue_waits &&
		    r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_PREPARE,
		    1 },
		{ EVENT_ACCEPTED, w->queue_waits, 0 },
	};
	uint32_t count = 0;

	for (unsigned i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		if (!choices[i].possible)
			continue;
		assert(count < ROLLOUT_EVENTS_MAX);
		ret_events[count++] = (struct costly_event){
			.type = choices[i].type, .cost = choices[i].cost,
		};
	}
	return count;
}

/* Returns true if what happened may end the rollout. */
bool
rollout_apply(struct world *w, enum event_type type)
{
	struct rollout *r = &w->rollout;

	witness_event(w, type);
	switch (type) {
	case EVENT_PREPARED:
		rollout_prepared(r, w->now_ms);
		return false;
	case EVENT_HOOK_FAILS:
		rollout_fail(r, FAULT_HOOK);
		return true;
	case EVENT_PROBE_PASSES:
		rollout_probed(r, w->now_ms);
		return false;
	case EVENT_PROBE_FAILS:
		rollout_fail(r, FAULT_PROBE);
		return true;
	case EVENT_GOOD:
		rollout_analysed(r, w->now_ms);
		return false;
	case EVENT_BAD:
		rollout_fail(r, FAULT_ANALYSIS);
		return true;
	case EVENT_INCONCLUSIVE:
		return rollout_inconclusive(r, w->now_ms);
	case EVENT_REFUSES:
		w->refuses = true;
		return true;
	case EVENT_CONNECTION:
	case EVENT_ACCEPTED:
		w->queue_waits = type == EVENT_CONNECTION;
		return false;
	case EVENT_PAUSE:
		return rollout_pause(r, w->now_ms);
	case EVENT_RESUME:
		return rollout_resume(r, w->now_ms) && false;
	case EVENT_PROMOTE:
		return rollout_promote(r, w->now_ms) && false;
	case EVENT_RECALL:
		rollout_recall(r, FAULT_OPERATOR);
		return true;
	case EVENT_SUPERSEDE:
		rollout_recall(r, FAULT_SUPERSEDED);
		return true;
	case EVENT_NOTHING:
	case EVENT_READY:
	case EVENT_RELOADING:
	case EVENT_STOPPING:
	case EVENT_EXIT_CLEAN:
	case EVENT_EXIT_FAILED:
	case EVENT_SILENT:
	case EVENT_REFUSED:
	case EVENT_NOT_EXECUTED:
	case EVENT_TIME:
	case EVENT_MILLISECOND:
	case EVENT_SCALE:
	case EVENT_TYPE_COUNT:
		break;
	}
	assert(!"not an event of a rollout");
	return false;
}
