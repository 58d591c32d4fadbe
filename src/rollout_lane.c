/*
 * Which lane gets how much, and when one that gets nothing may be emptied.
 *
 * A connection that the kernel has put into a lane's queue is served by that
 * lane's workers or by nobody.  So weight goes first, workers later: a lane
 * that lost its weight is left in peace until its queue was empty for quiet_ms,
 * which is also time for handshakes that were on their way; at most for
 * quiet_max_ms, since its workers may be the ones who do not accept any more.
 * Where that is known, and closing the lane hands its queue over, there is
 * nothing to wait for but the kernel's word that the weight is gone.
 */
#include "rollout_tick.h"

#include <stddef.h>

/* How often a queue that must get empty is looked at. */
#define LOOK_AGAIN_MS UINT64_C(20)

/* Whose lane a release's workers accept from. */
static uint32_t
lane_of(const struct rollout *r, uint32_t revision)
{
	return revision == r->candidate && !r->course.split ? r->stable :
	    revision;
}

static uint32_t
weight_of(const struct rollout *r, uint32_t lane)
{
	if (lane == r->base)
		return WHOLE_PERMILLE - r->weight_permille;
	return r->course.split && lane == r->candidate ? r->weight_permille : 0;
}

uint32_t
lane_ready_count(const struct tick *t, uint32_t lane)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		const struct worker *w = &t->fleet->workers[i];

		count += w->state == WORKER_READY &&
		    lane_of(t->rollout, w->revision) == lane;
	}
	return count;
}

/* Rolling: the share of the slots that the candidates have taken over. */
static uint32_t
share_of_slots(const struct tick *t)
{
	uint32_t candidates = 0, stable = 0;

	for (uint32_t i = 0; i < t->policy->workers; i++) {
		const struct slot *slot = &t->fleet->slots[i];
		const struct worker *w = slot->handed_over ?
		    slot->candidate_live : slot->stable_live;

		if (w == NULL || w->state != WORKER_READY)
			continue;
		candidates += slot->handed_over;
		stable += !slot->handed_over;
	}
	if (candidates + stable == 0)
		return t->rollout->weight_permille;
	return candidates * WHOLE_PERMILLE / (candidates + stable);
}

/*
 * Back to the stable release: at once if the candidate failed, or if all of
 * stable's workers are still there; else as they come back.
 */
static uint32_t
weight_on_the_way_back(const struct tick *t)
{
	const struct rollout *r = t->rollout;
	uint32_t stable = lane_ready_count(t, r->stable);
	uint32_t candidates = lane_ready_count(t, r->candidate);

	if (r->fault != FAULT_NONE || strategy_is_beside(&r->course) ||
	    stable >= t->floor)
		return 0;
	return candidates + stable == 0 ? r->weight_permille :
	    candidates * WHOLE_PERMILLE / (candidates + stable);
}

/* What the rollout wants. */
static uint32_t
wanted_weight(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (!r->course.split)
		return 0;
	switch (r->phase) {
	case ROLLOUT_IDLE:
	case ROLLOUT_PREPARE:
		return 0;
	case ROLLOUT_KEEP:
	case ROLLOUT_RETIRE:
		return WHOLE_PERMILLE;
	case ROLLOUT_ROLLBACK:
		return weight_on_the_way_back(t);
	case ROLLOUT_CLIMB:
	case ROLLOUT_PAUSED:
		return strategy_is_beside(&r->course) ? r->granted_permille :
		    share_of_slots(t);
	case ROLLOUT_PHASE_COUNT:
		break;
	}
	return 0;
}

/* A lane in which nobody is ready gets no more than it has. */
static uint32_t
possible_weight(const struct tick *t, uint32_t base)
{
	const struct rollout *r = t->rollout;
	uint32_t weight = wanted_weight(t);
	uint32_t gains = weight > r->weight_permille ? r->candidate : base;

	if (weight == r->weight_permille || t->policy->workers == 0 ||
	    lane_ready_count(t, gains) != 0)
		return weight;
	return r->weight_permille;
}

/* What a rollback left serves until the stable release can. */
static uint32_t
wanted_base(const struct tick *t)
{
	const struct rollout *r = t->rollout;

	if (r->base == 0 || r->base == r->stable ||
	    lane_ready_count(t, r->stable) != 0 || lane_ready_count(t, r->base) == 0)
		return r->stable;
	return r->base;
}

void
lane_tick_steer(struct tick *t)
{
	struct rollout *r = t->rollout;
	uint32_t base = wanted_base(t), weight = possible_weight(t, base);
	struct action *a;

	if (r->base == 0)               /* the first release: its lane is all */
		r->base = base;
	if (base == r->base && weight == r->weight_permille)
		return;
	if (t->now_ms < r->steer_after_ms) {
		tick_wake_at(t, r->steer_after_ms);
		return;
	}
	a = tick_emit(t, ACTION_STEER);
	if (a == NULL)
		return;
	a->revision = r->course.split ? r->candidate : 0;
	a->base = base;
	a->weight_permille = weight;
	r->base = base;
	r->weight_permille = weight;
	r->steered_ms = t->now_ms;
	t->steered = true;
}

/* Has a lane that lost its weight been empty for long enough? */
static bool
is_quiet(struct tick *t)
{
	const struct rollout *r = t->rollout;
	uint64_t latest_ms = r->steered_ms + t->policy->quiet_max_ms;
	uint64_t empty_ms = r->busy_ms > r->steered_ms ? r->busy_ms :
	    r->steered_ms;

	empty_ms += t->policy->quiet_ms;
	if (t->now_ms >= empty_ms || t->now_ms >= latest_ms)
		return true;
	tick_wake_at(t, empty_ms < latest_ms ? empty_ms : latest_ms);
	/* Not to find out only then that it was not empty. */
	tick_wake_at(t, t->now_ms + LOOK_AGAIN_MS);
	return false;
}

static bool
is_given_up(struct tick *t, uint32_t lane)
{
	const struct rollout *r = t->rollout;

	if (!r->deaf || r->phase != ROLLOUT_ROLLBACK || lane != r->candidate)
		return false;
	if (t->steered)         /* first see whether that has worked */
		tick_wake_at(t, t->now_ms);
	return !t->steered;
}

bool
lane_may_leave(struct tick *t, const struct worker *w)
{
	const struct rollout *r = t->rollout;
	uint32_t lane = lane_of(r, w->revision);

	if (t->policy->workers == 0 || w->state != WORKER_READY)
		return true;
	if (weight_of(r, lane) == 0)
		return is_given_up(t, lane) || is_quiet(t);
	return !r->course.split || lane_ready_count(t, lane) > 1;
}
