/*
 * Exponential backoff with jitter, as arithmetic.
 */
#include "backoff.h"

#include <string.h>

static void
wait_for(struct backoff *b, uint64_t delay_ms, uint32_t random,
    uint64_t now_ms)
{
	uint64_t jitter_ms = (delay_ms / 4) * (random >> 16) >> 16;

	b->not_before_ms = now_ms + delay_ms - jitter_ms;
}

/* backoff_min doubled `doublings` times, at most backoff_max. */
static uint64_t
delay_after(const struct policy *policy, uint32_t doublings)
{
	uint64_t delay_ms = policy->backoff_min_ms;

	for (uint32_t i = 0; i < doublings; i++) {
		if (delay_ms >= policy->backoff_max_ms / 2)
			return policy->backoff_max_ms;
		delay_ms *= 2;
	}
	return delay_ms < policy->backoff_max_ms ? delay_ms :
	    policy->backoff_max_ms;
}

void
backoff_clear(struct backoff *b)
{
	memset(b, 0, sizeof(*b));
}

void
backoff_ended(struct backoff *b, const struct policy *policy,
    uint64_t lived_ms, uint32_t random, uint64_t now_ms)
{
	if (lived_ms >= BACKOFF_SETTLED_MS) {
		backoff_clear(b);
		return;
	}
	wait_for(b, delay_after(policy, b->failure_count), random, now_ms);
	if (b->failure_count < UINT32_MAX)
		b->failure_count++;
}

void
backoff_refused(struct backoff *b, const struct policy *policy,
    uint32_t random, uint64_t now_ms)
{
	wait_for(b, delay_after(policy, 2), random, now_ms);
}
