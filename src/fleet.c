/*
 * The bookkeeping of a fleet: finding, counting, taking a record.
 * Decisions are in rollout.c.
 */
#include "fleet.h"

#include <assert.h>
#include <string.h>

struct worker *
fleet_find(struct fleet *fleet, struct worker_id id)
{
	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		struct worker *w = &fleet->workers[i];

		if (w->state != WORKER_GONE &&
		    w->id.incarnation == id.incarnation) {
			assert(w->id.slot == id.slot);
			return w;
		}
	}
	return NULL;
}

struct fleet_count
fleet_count(const struct fleet *fleet)
{
	struct fleet_count count = { 0 };

	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		const struct worker *w = &fleet->workers[i];

		if (w->state == WORKER_GONE)
			count.free++;
		else if (worker_is_live(w))
			count.live++;
		else
			count.leaving++;
		count.ready += w->state == WORKER_READY;
	}
	return count;
}

uint32_t
fleet_count_state(const struct fleet *fleet, uint32_t revision,
    enum worker_state state)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < fleet->worker_capacity; i++)
		count += fleet->workers[i].state == state &&
		    fleet->workers[i].revision == revision;
	return count;
}

uint32_t
fleet_count_revision(const struct fleet *fleet, uint32_t revision)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < fleet->worker_capacity; i++)
		count += fleet->workers[i].state != WORKER_GONE &&
		    fleet->workers[i].revision == revision;
	return count;
}

struct worker *
fleet_start(struct fleet *fleet, uint32_t slot, uint32_t revision,
    const struct policy *policy, uint64_t now_ms)
{
	struct worker *w = fleet->workers;

	assert(slot < fleet->slot_capacity);
	while (w->state != WORKER_GONE) {
		w++;
		assert(w < fleet->workers + fleet->worker_capacity);
	}
	memset(w, 0, sizeof(*w));
	if (++fleet->incarnation_last == 0)     /* 0 means none */
		fleet->incarnation_last = 1;
	w->id.slot = slot;
	w->id.incarnation = fleet->incarnation_last;
	w->revision = revision;
	w->watchdog_ms = policy->watchdog_ms;
	w->alive_at_ms = NEVER_MS;
	w->started_ms = now_ms;
	worker_step(w, WORKER_EVENT_STARTED, policy, now_ms);
	return w;
}

void
fleet_forgive(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->slot_capacity; i++) {
		memset(&fleet->slots[i].stable, 0, sizeof(struct place));
		memset(&fleet->slots[i].candidate, 0, sizeof(struct place));
	}
}
