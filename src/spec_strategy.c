/*
 * What a spec means for a rollout: the planner's view of it, and which
 * strategies its listeners allow.
 *
 * Everything that depends on `workers` is asked with their number, since an
 * operator may scale a service away from what its configuration says.
 */
#include "spec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/*
 * A lane that lost its weight is emptied in peace: a second is time for a
 * handshake whose last packet was lost once (RFC 6298 waits that long), five are
 * enough to find out that nobody accepts any more.
 */
#define QUIET_MS UINT64_C(1000)
#define QUIET_MAX_MS UINT64_C(5000)

/* So long a rollout waits for old workers to go, to say what they left. */
#define LEAVE_MAX_MS UINT64_C(10000)

/* A share of `workers`, times 100. */
static uint64_t
hundredths(struct amount amount, uint32_t workers)
{
	return (uint64_t)amount.value * (amount.percent ? workers : 100);
}

static uint32_t
rounded_up(struct amount amount, uint32_t workers)
{
	return (uint32_t)((hundredths(amount, workers) + 99) / 100);
}

/* 0 if it is not set: then 0 of any number is 0. */
static uint32_t
canary_workers(const struct spec *spec, uint32_t workers)
{
	uint32_t count = rounded_up(spec->canary_workers, workers);

	return count < workers ? count : workers;
}

static uint32_t
common_divisor(uint32_t a, uint32_t b)
{
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The first step that would be a part of a worker; step_count if none is. */
static uint32_t
uneven_step(const struct spec *spec, uint32_t workers)
{
	uint32_t i = 0;

	while (i < spec->step_count && (uint64_t)spec->steps[i].weight_permille
	    * workers % WHOLE_PERMILLE == 0)
		i++;
	return i;
}

/* Where the weight of a canary is its share of the workers. */
static bool
canary_is_even(const struct spec *spec, uint32_t workers, char *ret_text)
{
	uint32_t uneven = uneven_step(spec, workers);
	uint32_t divisor = WHOLE_PERMILLE;

	if (uneven == spec->step_count)
		return true;
	for (uint32_t i = 0; i < spec->step_count; i++)
		divisor = common_divisor(divisor,
		    spec->steps[i].weight_permille);
	(void)snprintf(ret_text, REASON_BYTES_MAX, "canary is not possible"
	    " with %u worker%s: %s, so a weight is a share of the workers, and"
	    " step %u, %s, is no whole number of them; take a multiple of %u"
	    " workers, or weights that are multiples of %s", workers,
	    workers == 1 ? "" : "s", spec_lanes_obstacle(spec).text, uneven + 1,
	    spec_weight(spec->steps[uneven].weight_permille).text,
	    WHOLE_PERMILLE / divisor, spec_weight(WHOLE_PERMILLE /
	    common_divisor(WHOLE_PERMILLE, workers)).text);
	return false;
}

struct spec_weight
spec_weight(uint32_t permille)
{
	struct spec_weight weight;

	assert(permille <= WHOLE_PERMILLE);
	if (permille % 10 == 0)
		(void)snprintf(weight.text, sizeof(weight.text), "%u%%",
		    permille / 10);
	else
		(void)snprintf(weight.text, sizeof(weight.text), "%u.%u%%",
		    permille / 10, permille % 10);
	return weight;
}

size_t
spec_public_count(const struct spec *spec)
{
	size_t count = spec->socket_count;

	return count > 0 && spec->sockets[count - 1].preview ? count - 1 :
	    count;
}

struct spec_obstacle
spec_lanes_obstacle(const struct spec *spec)
{
	struct spec_obstacle obstacle = { "the service has no listener" };

	for (size_t i = 0; i < spec_public_count(spec); i++) {
		const struct listener_spec *socket = &spec->sockets[i];

		if (address_has_lanes(&socket->address) && !socket->shared)
			continue;
		(void)snprintf(obstacle.text, sizeof(obstacle.text),
		    "listener %s is %s", socket->name, socket->shared ?
		    "also another service's" :
		    address_kind_text(&socket->address));
		break;
	}
	return obstacle;
}

bool
spec_strategy_possible(const struct spec *spec, enum strategy strategy,
    uint32_t workers, char *ret_text)
{
	if (spec->lanes)
		return true;
	switch (strategy) {
	case STRATEGY_ROLLING:
		return true;
	case STRATEGY_CANARY:
		return canary_is_even(spec, workers, ret_text);
	case STRATEGY_BLUE_GREEN:
		break;
	}
	(void)snprintf(ret_text, REASON_BYTES_MAX, "blue-green needs TCP or"
	    " UDP listeners that no other service has, but %s",
	    spec_lanes_obstacle(spec).text);
	return false;
}

struct policy
spec_policy(const struct spec *spec, uint32_t workers)
{
	uint32_t surge, unavailable;
	struct policy policy;

	surge = rounded_up(spec->max_surge, workers);
	unavailable = (uint32_t)(hundredths(spec->max_unavailable, workers) /
	    100);
	if (unavailable > workers)
		unavailable = workers;
	if (surge == 0 && unavailable == 0)
		surge = 1;
	policy = (struct policy){
		.workers = workers,
		.surge = surge,
		.unavailable = unavailable,
		.strategy = spec->strategy,
		.on_failure = spec->on_failure,
		.restart = spec->restart,
		.ready_timeout_ms = spec->ready_timeout_ms,
		.min_ready_ms = spec->min_ready_ms,
		.drain_timeout_ms = spec->drain_timeout_ms,
		.watchdog_ms = spec->watchdog_ms,
		.progress_deadline_ms = spec->progress_deadline_ms,
		.quiet_ms = QUIET_MS,
		.quiet_max_ms = QUIET_MAX_MS,
		.leave_max_ms = LEAVE_MAX_MS,
		.backoff_min_ms = spec->backoff_min_ms,
		.backoff_max_ms = spec->backoff_max_ms,
		.lanes = spec->lanes,
		.probe = spec->probe != PROBE_NONE,
		.analysis = spec->analysis != NULL,
		.promotion = spec->promotion,
		.keep_old_ms = spec->keep_old_ms,
		.canary_workers = canary_workers(spec, workers),
		.step_count = spec->step_count,
	};
	memcpy(policy.steps, spec->steps, sizeof(policy.steps));
	return policy;
}
