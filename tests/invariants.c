/*
 * What can be asked of the copy, and the two questions from outside: after a
 * tick, and where a service has come to rest.
 */
#include "invariants_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
check_fails(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->inv->broken, sizeof(c->inv->broken), format, args);
	va_end(args);
	return false;
}

bool
check_has_two_releases(const struct check *c)
{
	return c->rollout->phase == ROLLOUT_CLIMB ||
	    c->rollout->phase == ROLLOUT_PAUSED || check_is_in_charge(c);
}

bool
check_is_in_charge(const struct check *c)
{
	return c->rollout->phase == ROLLOUT_KEEP ||
	    c->rollout->phase == ROLLOUT_RETIRE;
}

bool
check_is_beside(const struct check *c)
{
	return c->rollout->course.split &&
	    c->rollout->course.strategy != STRATEGY_ROLLING;
}

bool
check_counts(const struct check *c, const struct worker *w)
{
	return !check_is_beside(c) || w->revision == (check_is_in_charge(c) ?
	    c->rollout->candidate : c->rollout->stable);
}

bool
check_is_probed(const struct check *c, const struct worker *w)
{
	return !c->policy->probe || (c->rollout->probed_ms != NOT_YET_MS &&
	    c->rollout->probed_ms >= w->ready_ms);
}

bool
check_is_available(const struct check *c, const struct worker *w)
{
	if (w == NULL || w->state != WORKER_READY)
		return false;
	return (c->rollout->phase != ROLLOUT_CLIMB &&
	    (c->rollout->phase != ROLLOUT_PAUSED ||
	    c->rollout->pause == PAUSE_FAULT)) ||
	    w->revision != c->rollout->candidate ||
	    c->now_ms - w->ready_ms >= c->policy->min_ready_ms;
}

uint32_t
check_count_available(const struct check *c)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		count += check_counts(c, &c->fleet->workers[i]) &&
		    check_is_available(c, &c->fleet->workers[i]);
	return count;
}

struct fleet_count
check_count(const struct fleet *fleet)
{
	struct fleet_count count = { 0 };

	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		switch ((enum worker_state)fleet->workers[i].state) {
		case WORKER_READY:
			count.ready++;
			count.live++;
			break;
		case WORKER_STARTING:
		case WORKER_RELOADING:
			count.live++;
			break;
		case WORKER_STOPPING:
		case WORKER_DRAINING:
		case WORKER_KILLED:
			count.leaving++;
			break;
		case WORKER_GONE:
		case WORKER_STATE_COUNT:
			count.free++;
			break;
		}
	}
	return count;
}

struct worker *
check_live_in(const struct fleet *fleet, uint32_t slot, uint32_t revision)
{
	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		struct worker *w = &fleet->workers[i];

		if (worker_is_live(w) && w->id.slot == slot &&
		    w->revision == revision)
			return w;
	}
	return NULL;
}

struct worker *
check_self_stopping_in(const struct fleet *fleet, uint32_t slot, uint32_t revision)
{
	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		struct worker *w = &fleet->workers[i];

		if (w->state != WORKER_GONE && !worker_is_live(w) &&
		    w->ending == ENDING_NONE && w->id.slot == slot &&
		    w->revision == revision)
			return w;
	}
	return NULL;
}

const struct place *
check_place_in_charge(const struct check *c, uint32_t slot)
{
	if (check_is_in_charge(c) || (check_has_two_releases(c) &&
	    c->fleet->slots[slot].handed_over))
		return &c->fleet->slots[slot].candidate;
	return c->rollout->stable != 0 ? &c->fleet->slots[slot].stable : NULL;
}

uint32_t
check_revision_in_charge(const struct check *c, uint32_t slot)
{
	if (check_is_in_charge(c) || (check_has_two_releases(c) &&
	    c->fleet->slots[slot].handed_over))
		return c->rollout->candidate;
	return c->rollout->stable;
}

uint32_t
check_floor(const struct check *c)
{
	uint32_t wanted = 0;

	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct place *place = check_place_in_charge(c, i);

		wanted += place != NULL && !place->finished;
	}
	return wanted > c->policy->unavailable ?
	    wanted - c->policy->unavailable : 0;
}

static uint32_t
surge(const struct check *c)
{
	uint32_t least = check_is_beside(c) ? c->policy->workers :
	    c->rollout->course.split;

	return c->policy->surge > least ? c->policy->surge : least;
}

uint32_t
check_ceiling(const struct check *c)
{
	uint32_t surplus = 0;

	/* who is not wanted may have to stay as the last of a lane */
	for (uint32_t i = 0; c->rollout->course.split &&
	    i < c->fleet->worker_capacity; i++)
		surplus += worker_is_live(&c->fleet->workers[i]) &&
		    c->fleet->workers[i].id.slot >= c->policy->workers;
	return c->policy->workers + surge(c) + surplus;
}

static bool
is_rolled(const struct check *c)
{
	const struct course *course = &c->rollout->course;

	return course->strategy == STRATEGY_ROLLING ||
	    (course->direct && !course->split);
}

uint32_t
check_last_step(const struct check *c)
{
	uint32_t size = surge(c) + c->policy->unavailable;

	if (is_rolled(c))
		return size == 0 || c->policy->workers <= size ?
		    0 : (c->policy->workers - 1) / size;
	if (c->rollout->course.direct)
		return 0;
	return c->rollout->course.strategy == STRATEGY_BLUE_GREEN ? 1 :
	    c->policy->step_count - 1;
}

uint32_t
check_given_by(const struct check *c, uint32_t step)
{
	if (c->rollout->course.direct || step >= check_last_step(c))
		return 1000;
	return c->rollout->course.strategy == STRATEGY_BLUE_GREEN ? 0 :
	    c->policy->steps[step].weight_permille;
}

uint32_t
check_asked_by(const struct check *c, uint32_t step)
{
	uint32_t workers = c->policy->workers, asked = workers;

	if (step >= check_last_step(c))
		return workers;
	if (is_rolled(c))
		asked = (step + 1) * (surge(c) + c->policy->unavailable);
	else if (c->rollout->course.strategy == STRATEGY_CANARY)
		asked = c->policy->canary_workers != 0 &&
		    c->rollout->course.split ? c->policy->canary_workers :
		    (check_given_by(c, step) * workers + 999) / 1000;
	return asked < workers ? asked : workers;
}

bool
check_is_owed(const struct check *c, uint32_t slot)
{
	const struct place *place = check_place_in_charge(c, slot);
	uint32_t revision = check_revision_in_charge(c, slot);

	return place != NULL && !place->finished &&
	    place->backoff.not_before_ms <= c->now_ms &&
	    check_live_in(c->fleet, slot, revision) == NULL &&
	    check_self_stopping_in(c->fleet, slot, revision) == NULL;
}

static bool
is_other(const struct rollout *r, const struct worker *w)
{
	return w->state != WORKER_GONE && w->revision != r->stable &&
	    w->revision != r->candidate;
}

static bool
is_crowded(const struct fleet *fleet, const struct rollout *r)
{
	uint32_t count = 0;
	bool leaves = false;

	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		const struct worker *w = &fleet->workers[i];
		bool first = is_other(r, w);

		leaves |= first && !worker_is_live(w);
		for (uint32_t k = 0; k < i && first; k++)
			first = !is_other(r, &fleet->workers[k]) ||
			    fleet->workers[k].revision != w->revision;
		count += first;
	}
	return count >= DRAINING_RELEASES_MAX && leaves;
}

void
invariants_before(struct invariants *inv, const struct rollout *r,
    const struct fleet *fleet)
{
	inv->rollout = *r;
	inv->fleet.incarnation_last = fleet->incarnation_last;
	memcpy(inv->fleet.slots, fleet->slots,
	    fleet->slot_capacity * sizeof(*fleet->slots));
	memcpy(inv->fleet.workers, fleet->workers,
	    fleet->worker_capacity * sizeof(*fleet->workers));
}

bool
invariants_after(struct invariants *inv, const struct rollout *r,
    const struct fleet *fleet, const struct policy *policy, uint64_t now_ms,
    const struct plan *plan)
{
	struct check c = {
		.inv = inv, .rollout = &inv->rollout, .fleet = &inv->fleet,
		.left = r, .fleet_left = fleet, .policy = policy,
		.plan = plan, .now_ms = now_ms,
	};

	c.crowded = is_crowded(fleet, &inv->rollout);
	for (uint32_t i = 0; i < plan->action_count; i++)
		if (!check_action(&c, &plan->actions[i]))
			return false;
	return check_left(&c);
}

/* Those of the present step stay, beside the slots that have not changed. */
static uint32_t
paused_candidates(const struct check *c)
{
	uint32_t asked = check_asked_by(c, c->rollout->step), count = 0;

	if (c->rollout->pause == PAUSE_FAULT && !check_is_beside(c))
		return 0;
	for (uint32_t i = 0; i < asked; i++)
		count += !c->fleet->slots[i].handed_over &&
		    !c->fleet->slots[i].candidate.finished;
	return count;
}

/* The last of a lane with weight stays: what an earlier rollback left to serve,
 * or one in a slot that is not wanted any more. */
static uint32_t
leftover(const struct check *c)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++) {
		const struct worker *w = &c->fleet->workers[i];

		count += worker_is_live(w) && w->revision == c->rollout->base &&
		    (w->revision != c->rollout->stable ||
		    (c->rollout->course.split &&
		    w->id.slot >= c->policy->workers));
	}
	return count;
}

bool
invariants_at_rest(struct invariants *inv, const struct rollout *r,
    const struct fleet *fleet, const struct policy *policy)
{
	struct check c = { .inv = inv, .rollout = &inv->rollout,
		.fleet = &inv->fleet, .policy = policy };
	uint32_t wanted = 0;

	invariants_before(inv, r, fleet);
	if (r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_PAUSED)
		return check_fails(&c, "rest: %s for ever",
		    rollout_phase_name(r->phase));
	for (uint32_t i = 0; i < policy->workers; i++) {
		const struct place *place = check_place_in_charge(&c, i);
		const struct worker *w = check_live_in(fleet, i,
		    check_revision_in_charge(&c, i));

		if (place == NULL || place->finished)
			continue;
		wanted++;
		if (w == NULL || w->state != WORKER_READY)
			return check_fails(&c, "rest: slot %" PRIu32
			    " is not filled", i);
	}
	if (r->phase == ROLLOUT_PAUSED)
		wanted += paused_candidates(&c) + leftover(&c);
	if (check_count(fleet).live != wanted)
		return check_fails(&c, "rest: %" PRIu32 " live workers for"
		    " %" PRIu32 " places", check_count(fleet).live, wanted);
	return true;
}
