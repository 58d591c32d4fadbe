/*
 * The fd store and the engine: which services there are and what they allow, and
 * which ready worker takes what waits in its slot.
 */
#include "live_parts.h"

#include <string.h>

#include "log.h"
#include "store.h"

/* Revisions whose workers are replaced by their own release. */
static void
find_started(const struct service *s, uint32_t *ret_stable,
    uint32_t *ret_candidate)
{
	const struct rollout *r = &s->rollout;

	*ret_stable = r->phase == ROLLOUT_RETIRE ? 0 : r->stable;
	*ret_candidate = r->phase == ROLLOUT_ROLLBACK ? 0 : r->candidate;
}

static void
agree(const struct live *live)
{
	const struct engine *engine = &live->engine;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];
		struct store_terms terms = {
			.name = s->name, .limit = s->spec->fd_store,
			.slot_count = s->workers,
			.closed = s->stopped || s->removed ||
			    engine->phase != ENGINE_RUNNING,
		};

		find_started(s, &terms.stable, &terms.candidate);
		store_agree(s->id, &terms);
	}
	store_settle();
}

static bool
makes_room(const struct worker *w)
{
	return w->ending == ENDING_REPLACED ||
	    w->ending == ENDING_ROLLED_BACK || w->ending == ENDING_SURPLUS;
}

static void
hand_over(const struct service *s)
{
	static struct store_ready ready[WORKERS_MAX];
	uint32_t stable, candidate;

	find_started(s, &stable, &candidate);
	memset(ready, 0, s->workers * sizeof(ready[0]));
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state != WORKER_GONE && makes_room(w))
			store_replaced(s->id, w->id);
		if (w->state != WORKER_READY || w->id.slot >= s->workers)
			continue;
		if (w->revision == stable)
			ready[w->id.slot].stable = w->id.incarnation;
		else if (w->revision == candidate)
			ready[w->id.slot].candidate = w->id.incarnation;
	}
	store_hand_over(s->id, ready);
}

static void
hand_over_all(const struct live *live)
{
	const struct engine *engine = &live->engine;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];

		if (s->spec->fd_store > 0 || store_count(s->id) > 0)
			hand_over(s);
	}
}

void
live_turn(struct live *live)
{
	agree(live);
	engine_turn(&live->engine);
	hand_over_all(live);
}

/*
 * After another supd
 */

static bool
lives(void *ctx, uint32_t service, struct worker_id id)
{
	struct live *live = ctx;

	for (uint32_t i = 0; i < live->engine.service_count; i++) {
		struct service *s = live->engine.services[i];

		if (s->id == service)
			return fleet_find(&s->fleet, id) != NULL;
	}
	return false;
}

void
live_restore_store(struct live *live, const json_t *text)
{
	char why[REASON_BYTES_MAX];

	if (store_restore(text, why) < 0)
		log_error("what workers have stored is lost: %s", why);
	store_check(lives, live);
}

/* What was stored in a turn is written at its end. */
static void
on_change(void *ctx)
{
	(void)ctx;
	live_world_changed();
}

void
live_watch_store(void)
{
	store_on_change(on_change, NULL);
}
