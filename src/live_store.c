/*
 * The fd store and the engine: which services there are and what they allow, and
 * which ready worker takes what waits in its slot.
 */
#include "live.h"

#include <string.h>

#include "store.h"

static void
agree(const struct live *live)
{
	const struct engine *engine = &live->engine;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];
		const struct store_terms terms = {
			.name = s->name, .limit = s->spec->fd_store,
			.slot_count = s->workers,
			.closed = s->stopped || s->removed ||
			    engine->phase != ENGINE_RUNNING,
		};

		store_agree(s->id, &terms);
	}
	store_settle();
}

/* Of two in one slot the younger: it is the successor, if one of them is. */
static void
hand_over(const struct service *s)
{
	static uint32_t ready[WORKERS_MAX];

	memset(ready, 0, s->workers * sizeof(ready[0]));
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_READY && w->id.slot < s->workers &&
		    w->id.incarnation > ready[w->id.slot])
			ready[w->id.slot] = w->id.incarnation;
	}
	store_hand_over(s->id, ready);
}

static void
hand_over_all(const struct live *live)
{
	const struct engine *engine = &live->engine;

	for (uint32_t i = 0; i < engine->service_count; i++)
		if (store_waiting(engine->services[i]->id) > 0)
			hand_over(engine->services[i]);
}

void
live_turn(struct live *live)
{
	agree(live);
	engine_turn(&live->engine);
	hand_over_all(live);
}
