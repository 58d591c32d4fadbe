/*
 * A worker has called shutdown() on a shard that all share: the kernel
 * takes no more connections on that socket for anybody, and only a new socket
 * helps.  Who did it leaves no trace, but it is nearly always a worker that was
 * just told to stop, or has just ended.
 *
 * Or somebody has removed the path of a unix socket or FIFO, and nobody finds it.
 */
#include <signal.h>
#include <stdio.h>

#include "engine_parts.h"

/* A worker that ended no longer ago may have done it. */
#define SUSPECT_MS UINT64_C(1000)

static bool
uses(struct service *s, uint32_t revision, const struct shard *shard)
{
	const struct release *release = service_release(s, revision);

	for (uint32_t i = 0; release != NULL && i < release->shard_count; i++)
		if (release->shards[i] == shard)
			return true;
	return false;
}

/* The worker that was told to stop last, or ended last; NULL: no suspicion. */
static const struct worker *
suspect(struct service *s, const struct shard *shard, uint64_t now_ms)
{
	const struct worker *last = NULL;

	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if ((w->state == WORKER_DRAINING ||
		    w->state == WORKER_STOPPING) && uses(s, w->revision, shard) &&
		    (last == NULL || w->since_ms > last->since_ms))
			last = w;
	}
	if (last == NULL && s->last_exit_ms != 0 &&
	    now_ms - s->last_exit_ms <= SUSPECT_MS)
		last = &s->last_exit;
	return last;
}

static void
accuse(struct engine *engine, struct service *s, const struct shard *shard,
    const char *name, uint64_t now_ms)
{
	const struct worker *w = suspect(s, shard, now_ms);
	char who[160] = "one of its workers (none was just told to stop)";
	char text[128];

	if (w != NULL)
		(void)snprintf(who, sizeof(who), "%s, most likely: %s %llu ms "
		    "ago", engine_worker_name(s, w->id, w->revision, text,
		    sizeof(text)), w == &s->last_exit ? "it ended" :
		    "it was told to stop", (unsigned long long)(now_ms -
		    (w == &s->last_exit ? s->last_exit_ms : w->since_ms)));
	service_say(engine, s, NOTICE_LISTENER, NOTICE_ERROR, NULL,
	    "listener %s was shut down by %s; a worker must close() it, not "
	    "shutdown() it; there is a new socket, and the workers are "
	    "restarted on it", name, who);
}

static bool
restart_workers(struct engine *engine, struct service *s,
    const struct shard *shard, bool just_look)
{
	const struct world *world = engine->world;
	uint64_t now_ms = world->now_ms(world->ctx);
	bool any = false;

	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		struct worker *w = &s->fleet.workers[i];
		void *process = s->mates[i].process;

		if (w->state == WORKER_GONE || !uses(s, w->revision, shard))
			continue;
		any = true;
		if (just_look || !worker_is_live(w))
			continue;
		w->ending = ENDING_DEAD_LISTENER;
		worker_step(w, WORKER_EVENT_DRAIN, &s->policy, now_ms);
		world->signal(world->ctx, process,
		    service_release(s, w->revision)->spec->drain_signal);
		world->signal(world->ctx, process, SIGCONT);
	}
	return any;
}

static void
tell_gone(struct engine *engine, struct service *s, const char *name)
{
	service_say(engine, s, NOTICE_LISTENER, NOTICE_ERROR, NULL,
	    "the path of listener %s was removed, so that nobody could connect; "
	    "there is a new socket, and the workers are restarted on it", name);
}

void
engine_repair(struct engine *engine, const struct shard *shard,
    const char *name, bool gone)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	for (uint32_t i = 0; i < engine->service_count; i++) {
		struct service *s = engine->services[i];

		if (!restart_workers(engine, s, shard, true))
			continue;
		if (gone)
			tell_gone(engine, s, name);
		else
			accuse(engine, s, shard, name, now_ms);
		(void)restart_workers(engine, s, shard, false);
	}
}
