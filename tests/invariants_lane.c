/*
 * What must be true of lanes: that no weight is given to nobody, and that
 * nobody leaves a lane that users are still in.
 */
#include "invariants_check.h"

#include <inttypes.h>
#include <stddef.h>

uint32_t
check_lane_of(const struct check *c, uint32_t revision)
{
	return revision == c->rollout->candidate &&
	    !c->rollout->course.split ? c->rollout->stable : revision;
}

uint32_t
check_weight_of(const struct check *c, uint32_t lane)
{
	const struct rollout *r = c->rollout;

	if (lane == r->base)
		return 1000 - r->weight_permille;
	return r->course.split && lane == r->candidate ? r->weight_permille : 0;
}

uint32_t
check_count_lane(const struct check *c, uint32_t lane)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->fleet->worker_capacity; i++)
		count += c->fleet->workers[i].state == WORKER_READY &&
		    check_lane_of(c, c->fleet->workers[i].revision) == lane;
	return count;
}

/* Rolling with lanes: no more than the share of the workers it has. */
static bool
check_share(struct check *c, uint32_t weight)
{
	uint32_t candidates = check_count_lane(c, c->rollout->candidate);
	uint32_t stable = 0;

	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct worker *w = check_live_in(c->fleet, i,
		    c->rollout->stable);

		stable += w != NULL && w->state == WORKER_READY &&
		    !c->fleet_left->slots[i].handed_over;
	}
	return weight * (candidates + stable) <= 1000 * candidates ||
	    check_fails(c, "steer: %" PRIu32 " permille to %" PRIu32
	    " of %" PRIu32 " workers", weight, candidates, candidates + stable);
}

/* A weight that rises in a climb is what a reached step gives. */
static bool
check_earned(struct check *c, uint32_t weight)
{
	const struct rollout *r = c->rollout;
	uint32_t good = 0;

	for (uint32_t i = 0; i < c->policy->workers; i++) {
		const struct worker *w = check_live_in(c->fleet, i,
		    r->candidate);

		/* who took a slot over was found good then, see there */
		good += w != NULL && (check_is_in_charge(c) ||
		    c->fleet_left->slots[i].handed_over ?
		    w->state == WORKER_READY :
		    check_is_probed(c, w) && check_is_available(c, w));
	}
	if (!check_is_beside(c) && !check_is_in_charge(c) &&
	    !check_share(c, weight))
		return false;
	if (!check_is_beside(c) || check_is_in_charge(c))
		return good > 0 ||
		    check_fails(c, "steer: to a lane that was not found good");
	if (weight != check_given_by(c, r->step))
		return check_fails(c, "steer: %" PRIu32 " permille, the step"
		    " gives %" PRIu32, weight, check_given_by(c, r->step));
	if (good < check_asked_by(c, r->step))
		return check_fails(c, "steer: %" PRIu32 " of %" PRIu32
		    " candidates are good", good, check_asked_by(c, r->step));
	return true;
}

bool
check_steer(struct check *c, const struct action *a)
{
	struct rollout *r = c->rollout;
	bool rises = a->weight_permille > r->weight_permille;
	bool stopped = c->policy->workers == 0; /* nobody is to be anywhere */

	if (a->weight_permille > 1000 || c->now_ms < r->steer_after_ms)
		return check_fails(c, "steer: %" PRIu32 " permille, or too"
		    " soon", a->weight_permille);
	if (!r->course.split && a->weight_permille != 0)
		return check_fails(c, "steer: there is one lane only");
	if (rises && r->phase == ROLLOUT_ROLLBACK &&
	    (check_is_beside(c) || r->fault != FAULT_NONE))
		return check_fails(c, "steer: up, while it is taken back");
	if (rises && r->phase != ROLLOUT_ROLLBACK && !stopped &&
	    !check_earned(c, a->weight_permille))
		return false;
	if (a->base != r->base && a->base != r->stable)
		return check_fails(c, "steer: the base is %" PRIu32, a->base);
	if (a->base != r->base && !stopped &&
	    check_count_lane(c, a->base) == 0 &&
	    check_count_lane(c, r->base) != 0)
		return check_fails(c, "steer: the base has nobody");
	if (a->base == r->base && !rises && !stopped &&
	    check_count_lane(c, check_lane_of(c, a->base)) == 0)
		return check_fails(c, "steer: to a lane without anybody");
	if (rises && !stopped && check_count_lane(c, r->candidate) == 0)
		return check_fails(c, "steer: to a lane without anybody");
	r->base = a->base;
	r->weight_permille = a->weight_permille;
	r->steered_ms = c->now_ms;
	c->steered = true;
	return true;
}

/* May this worker be told to stop, as far as its lane is concerned? */
bool
check_leave(struct check *c, const struct worker *w)
{
	const struct rollout *r = c->rollout;
	uint32_t lane = check_lane_of(c, w->revision);
	uint64_t empty_ms = r->busy_ms > r->steered_ms ? r->busy_ms :
	    r->steered_ms;

	if (w->state != WORKER_READY || c->policy->workers == 0)
		return true;
	if (check_weight_of(c, lane) > 0)
		return !r->course.split || check_count_lane(c, lane) > 1 ||
		    check_fails(c, "lane: the last worker of a lane with"
		    " weight is drained");
	if (r->deaf && r->fault == FAULT_QUEUE && !c->steered &&
	    r->phase == ROLLOUT_ROLLBACK && lane == r->candidate)
		return true;            /* closing it serves who waits */
	if (c->now_ms >= empty_ms + c->policy->quiet_ms ||
	    c->now_ms >= r->steered_ms + c->policy->quiet_max_ms)
		return true;
	return check_fails(c, "lane: it may not be empty yet");
}

/* A queue that does not get empty is not waited for for ever. */
static bool
check_patience(struct check *c)
{
	const struct rollout *r = c->left;

	if (r->phase != ROLLOUT_RETIRE || r->weight_permille != 1000 ||
	    c->now_ms < r->steered_ms + c->policy->quiet_max_ms ||
	    check_count_available(c) <= check_floor(c))
		return true;
	return check_count_lane(c, r->stable) == 0 ||
	    check_fails(c, "lane: its workers stay, beyond quiet_max");
}

/* Is the step's weight to be given?  An operator who pauses does not take that
 * back, as soon as all are there whom it asks for. */
static bool
is_due(const struct check *c)
{
	const struct rollout *r = c->left;

	if (r->phase == ROLLOUT_CLIMB)
		return r->reached_ms != NOT_YET_MS;
	return r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_OPERATOR &&
	    c->now_ms >= r->steer_after_ms &&
	    check_count_good(c) >= check_asked_by(c, r->step);
}

bool
check_lanes_left(struct check *c)
{
	const struct rollout *r = c->left;
	bool somebody = check_count_lane(c, r->stable) != 0;

	if (is_due(c) && check_is_beside(c) && c->policy->workers != 0 &&
	    check_count_lane(c, r->candidate) != 0 &&
	    r->weight_permille != check_given_by(c, r->step))
		return check_fails(c, "steer: the step is reached, and has %"
		    PRIu32 " permille", r->weight_permille);
	if (c->now_ms < r->steer_after_ms)
		return true;
	if (r->phase == ROLLOUT_ROLLBACK && r->fault != FAULT_NONE &&
	    somebody && r->weight_permille != 0)
		return check_fails(c, "verdict: bad, but it has %" PRIu32
		    " permille", r->weight_permille);
	if (r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_FAULT && somebody &&
	    check_is_beside(c) && r->weight_permille != 0)
		return check_fails(c, "verdict: bad and paused, but it has %"
		    PRIu32 " permille", r->weight_permille);
	if (check_is_in_charge(c) && r->weight_permille != 1000 &&
	    check_count_lane(c, r->candidate) != 0)
		return check_fails(c, "in charge: with %" PRIu32 " permille",
		    r->weight_permille);
	return check_patience(c);
}
