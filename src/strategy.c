/*
 * From a policy to the list of steps.
 *
 * Rolling goes up by as many workers as may be on their way at once: the surge
 * plus what may be missing.  A canary goes up as the user wrote it.  Blue-green
 * has two steps: all are there without weight, all are there with all of it.
 *
 * An undo skips the steps: with a lane of its own it is one move; without one
 * it is rolled, whatever the strategy, since the old workers must go before the
 * new ones have room.
 */
#include "strategy.h"

#include <assert.h>

static enum strategy
effective(const struct course *course)
{
	if (course->direct && !course->split)
		return STRATEGY_ROLLING;
	return course->strategy;
}

static uint32_t
batch(const struct policy *policy, const struct course *course)
{
	uint32_t size = strategy_surge(policy, course) + policy->unavailable;

	return size != 0 ? size : 1;
}

static uint32_t
rolling_step_count(const struct policy *policy, const struct course *course)
{
	uint32_t size = batch(policy, course);

	if (policy->workers == 0)
		return 1;
	return policy->workers / size + (policy->workers % size != 0);
}

static struct step
rolling_step(const struct policy *policy, const struct course *course,
    uint32_t index)
{
	uint32_t count = rolling_step_count(policy, course);
	struct step step = { .candidates = policy->workers };

	if (index + 1 < count)
		step.candidates = (index + 1) * batch(policy, course);
	step.weight_permille = policy->workers == 0 ? WHOLE_PERMILLE :
	    step.candidates * WHOLE_PERMILLE / policy->workers;
	return step;
}

static uint32_t
canary_candidates(const struct policy *policy, const struct course *course,
    uint32_t weight_permille)
{
	uint64_t share = ((uint64_t)weight_permille * policy->workers +
	    WHOLE_PERMILLE - 1) / WHOLE_PERMILLE;

	if (weight_permille == WHOLE_PERMILLE)
		return policy->workers;
	if (course->split && policy->canary_workers != 0)
		share = policy->canary_workers;
	return share < policy->workers ? (uint32_t)share : policy->workers;
}

static struct step
canary_step(const struct policy *policy, const struct course *course,
    uint32_t index)
{
	const struct canary_step *written = &policy->steps[index];

	return (struct step){
		.candidates = canary_candidates(policy, course,
		    written->weight_permille),
		.weight_permille = written->weight_permille,
		.hold_ms = written->pause ? 0 : written->hold_ms,
		.pause = written->pause,
	};
}

static struct step
blue_green_step(const struct policy *policy, uint32_t index)
{
	struct step step = { .candidates = policy->workers };

	if (index == 0) {
		step.pause = policy->promotion == PROMOTION_MANUAL;
	} else {
		step.weight_permille = WHOLE_PERMILLE;
		step.hold_ms = policy->keep_old_ms;
	}
	return step;
}

uint32_t
strategy_step_count(const struct policy *policy, const struct course *course)
{
	switch (effective(course)) {
	case STRATEGY_ROLLING:
		return rolling_step_count(policy, course);
	case STRATEGY_CANARY:
		assert(policy->step_count > 0);
		return course->direct ? 1 : policy->step_count;
	case STRATEGY_BLUE_GREEN:
		return course->direct ? 1 : 2;
	}
	assert(!"a strategy without steps");
	return 1;
}

struct step
strategy_step(const struct policy *policy, const struct course *course,
    uint32_t index)
{
	uint32_t last = strategy_step_count(policy, course) - 1;
	struct step step = { .candidates = policy->workers,
	    .weight_permille = WHOLE_PERMILLE };

	if (index > last)
		index = last;
	switch (effective(course)) {
	case STRATEGY_ROLLING:
		step = rolling_step(policy, course, index);
		break;
	case STRATEGY_CANARY:
		if (!course->direct)
			step = canary_step(policy, course, index);
		break;
	case STRATEGY_BLUE_GREEN:
		if (!course->direct)
			step = blue_green_step(policy, index);
		break;
	}
	step.ready_ms = policy->min_ready_ms;
	return step;
}

bool
strategy_is_beside(const struct course *course)
{
	return course->split && course->strategy != STRATEGY_ROLLING;
}

uint32_t
strategy_surge(const struct policy *policy, const struct course *course)
{
	uint32_t least = strategy_is_beside(course) ? policy->workers :
	    course->split ? 1 : 0;      /* a lane needs somebody in it */

	return policy->surge > least ? policy->surge : least;
}

const char *
strategy_name(enum strategy strategy)
{
	switch (strategy) {
	case STRATEGY_ROLLING:
		return "rolling";
	case STRATEGY_CANARY:
		return "canary";
	case STRATEGY_BLUE_GREEN:
		return "blue-green";
	}
	assert(!"a strategy without a name");
	return "";
}
