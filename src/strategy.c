/*
 * From a policy to the list of steps.
 *
 * Rolling goes up by as many workers as may be on their way at once: the surge
 * plus what may be missing.  All share one shard, so the weight of the new
 * release is its share of the workers.
 */
#include "strategy.h"

#include <assert.h>

static uint32_t
batch(const struct policy *policy)
{
	uint32_t size = policy->surge + policy->unavailable;

	return size != 0 ? size : 1;
}

uint32_t
strategy_step_count(const struct policy *policy)
{
	uint32_t size = batch(policy);

	if (policy->workers == 0)
		return 1;
	return policy->workers / size + (policy->workers % size != 0);
}

struct step
strategy_step(const struct policy *policy, uint32_t index)
{
	uint32_t count = strategy_step_count(policy);
	struct step step = { .hold_ms = policy->min_ready_ms };

	if (index + 1 >= count)
		step.candidates = policy->workers;
	else
		step.candidates = (index + 1) * batch(policy);
	step.weight_permille = policy->workers == 0 ? 1000 :
	    step.candidates * 1000 / policy->workers;
	return step;
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
