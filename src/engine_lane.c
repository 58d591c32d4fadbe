/*
 * Lanes as the engine sees them: steering, whether a queue is empty, what was
 * observed while a step lasted, and what waited in a lane when it was closed.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

/* A kernel that refused is asked again after so long. */
#define STEER_RETRY_MS UINT64_C(1000)

/* How many workers of a lane are looked at for its memory. */
enum { MEMORY_SAMPLES_MAX = 16 };

/*
 * Steering
 */

static int
steer(struct engine *engine, struct service *s, uint32_t base,
    uint32_t candidate, uint32_t weight_permille, char *ret_text)
{
	const struct world *world = engine->world;
	struct split split = {
		.base = service_release(s, base),
		.candidate = service_release(s, candidate),
		.weight_permille = weight_permille,
		.steer = s->spec->steer,
	};

	assert(split.base != NULL);
	if (world->steer(world->ctx, &split, ret_text) < 0)
		return -1;
	s->steered_base = base;
	s->steered_permille = weight_permille;
	s->unsettled = false;
	return 0;
}

void
engine_steer(struct engine *engine, struct service *s, const struct action *a)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);
	char why[REASON_BYTES_MAX];

	if (steer(engine, s, a->base, a->revision, a->weight_permille,
	    why) == 0) {
		service_say(engine, s, NOTICE_WEIGHT, NOTICE_PLAIN, NULL,
		    "revision %u gets %u.%u %% of new connections, revision "
		    "%u the rest", a->revision, a->weight_permille / 10,
		    a->weight_permille % 10, a->base);
		return;
	}
	service_say(engine, s, NOTICE_WEIGHT, NOTICE_ERROR, NULL,
	    "cannot steer connections: %s; revision %u keeps %u.%u %%; trying "
	    "again", why, a->revision, s->steered_permille / 10,
	    s->steered_permille % 10);
	rollout_not_steered(&s->rollout, s->steered_base, s->steered_permille,
	    now_ms + STEER_RETRY_MS);
}

/* What is not settled yet is not as it is believed, and will be steered anyway.
 * If the kernel refuses, the candidate is believed to have nothing, as if it had
 * refused before. */
void
engine_steer_again(struct engine *engine, struct service *s)
{
	const struct rollout *r = &s->rollout;
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);
	bool divided = r->course.split && r->phase != ROLLOUT_IDLE;
	bool rolls_out = divided && r->phase != ROLLOUT_PREPARE;
	char why[REASON_BYTES_MAX];

	if (s->unsettled || r->base == 0 ||
	    (!divided && r->base == r->stable))
		return;
	if (steer(engine, s, r->base, rolls_out ? r->candidate : 0,
	    rolls_out ? r->weight_permille : 0, why) == 0)
		return;
	service_say(engine, s, NOTICE_WEIGHT, NOTICE_WARNING, NULL,
	    "cannot steer connections as before supd was started anew: %s; "
	    "trying again", why);
	rollout_not_steered(&s->rollout, r->base, 0, now_ms + STEER_RETRY_MS);
}

/* The rollout is over: what is left of its lanes has one base. */
uint64_t
engine_settle_turn(struct engine *engine, struct service *s)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);
	char why[REASON_BYTES_MAX];

	if (!s->unsettled || s->rollout.course.split)
		return NEVER_MS;
	if (now_ms < s->settle_at_ms)
		return s->settle_at_ms;
	if (steer(engine, s, s->rollout.base, 0, 0, why) == 0)
		return NEVER_MS;
	service_say(engine, s, NOTICE_WEIGHT, NOTICE_WARNING, NULL,
	    "cannot steer connections: %s; they go where the rollout had them "
	    "go; trying again", why);
	s->settle_at_ms = now_ms + STEER_RETRY_MS;
	return s->settle_at_ms;
}

/*
 * Has its lane no weight, and somebody who is to leave it when it is empty?
 * Also what a rollback left to serve, once the release in charge does.
 */
static bool
is_left(struct service *s, const struct release *release)
{
	const struct rollout *r = &s->rollout;
	const struct release *base = service_release(s, r->base);

	if (release->revision == r->base)
		return rollout_watches_queue(r) &&
		    r->weight_permille == WHOLE_PERMILLE;
	if (release->revision == r->candidate)
		return rollout_watches_queue(r) && r->weight_permille == 0;
	return base != NULL && !engine_share_lane(release, base) &&
	    fleet_count_state(&s->fleet, release->revision, WORKER_READY) != 0;
}

void
engine_look_at_queue(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;

	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		const struct release *release = s->releases[i].release;

		if (release != NULL && release->shard_count > 0 &&
		    is_left(s, release) &&
		    world->queued(world->ctx, release) > 0)
			rollout_busy(&s->rollout, world->now_ms(world->ctx));
	}
}

/*
 * What was observed
 */

uint64_t
engine_memory_bytes(struct engine *engine, struct service *s,
    uint32_t revision)
{
	const struct world *world = engine->world;
	uint64_t sum = 0, bytes;
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->fleet.worker_capacity &&
	    count < MEMORY_SAMPLES_MAX; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state != WORKER_READY || w->revision != revision)
			continue;
		bytes = world->memory_bytes(world->ctx, s->mates[i].pid);
		sum += bytes;
		count += bytes != 0;
	}
	return count != 0 ? sum / count : 0;
}

static bool
is_observed(const struct rollout *r)
{
	return (r->course.split || r->course.strategy == STRATEGY_CANARY) &&
	    r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_PREPARE;
}

uint32_t
engine_weight_permille(const struct service *s)
{
	const struct rollout *r = &s->rollout;
	uint32_t taken = 0;

	if (r->course.split || r->candidate == 0 || s->policy.workers == 0)
		return r->weight_permille;
	for (uint32_t i = 0; i < s->policy.workers &&
	    i < s->fleet.slot_capacity; i++)
		taken += s->fleet.slots[i].handed_over;
	return taken * WHOLE_PERMILLE / s->policy.workers;
}

struct observation *
engine_observation(struct service *s)
{
	struct deployment *d = &s->deployment;

	return d->id == 0 || d->observation_count == 0 ? NULL :
	    &d->observations[d->observation_count - 1];
}

/* What is not known of a part of the time is left out. */
static void
count_connections(struct observation *o, uint64_t before, uint64_t now)
{
	if (before == CONNECTIONS_UNKNOWN || now == CONNECTIONS_UNKNOWN)
		return;
	if (o->connections == CONNECTIONS_UNKNOWN)
		o->connections = 0;
	o->connections += now - before;
}

void
engine_update_observation(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct observation *o = engine_observation(s);
	uint64_t accepted = world->accepted(world->ctx);

	/* Without lanes they may not be TCP's. */
	if (o != NULL) {
		o->duration_ms = world->now_ms(world->ctx) -
		    s->deployment.started_ms - o->began_ms;
		if (s->deployment.course.split)
			count_connections(o, s->judge.accepted, accepted);
	}
	s->judge.accepted = accepted;
}

/* One that has more steps than are kept goes on in the last. */
static void
begin_observation(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct deployment *d = &s->deployment;
	struct observation *o;

	engine_update_observation(engine, s);
	if (d->observation_count == STEPS_MAX)
		return;
	o = &d->observations[d->observation_count++];
	*o = (struct observation){
		.began_ms = world->now_ms(world->ctx) - d->started_ms,
		.connections = CONNECTIONS_UNKNOWN,
	};
}

void
engine_observe(struct engine *engine, struct service *s)
{
	const struct rollout *r = &s->rollout;
	uint32_t weight = engine_weight_permille(s);
	struct observation *o;

	if (s->deployment.id == 0 || !is_observed(r))
		return;
	o = engine_observation(s);
	if (o == NULL || o->step != r->step || o->weight_permille != weight)
		begin_observation(engine, s);
	o = engine_observation(s);
	o->step = r->step;
	o->weight_permille = weight;
	o->candidates = fleet_count_state(&s->fleet, r->candidate,
	    WORKER_READY);
}

/*
 * What was left
 */

static void
note_end(struct deployment *d, const struct lane_end *end)
{
	if (d->handed_over == CONNECTIONS_UNKNOWN)
		d->handed_over = d->lost = 0;
	d->handed_over += end->handed_over;
	d->lost += end->lost;
}

/* Its workers may take as long as they want: nobody waits for them. */
void
engine_hand_over(struct engine *engine, struct service *s)
{
	const struct rollout *r = &s->rollout;
	struct deployment *d = &s->deployment;
	struct release *release = service_release(s, d->revision);
	struct lane_probe *probe = &s->judge.probes[LANE_CANDIDATE];
	struct lane_end end = { 0 };

	if (!r->deaf || (r->phase != ROLLOUT_ROLLBACK &&
	    r->phase != ROLLOUT_IDLE) || s->steered_permille != 0 ||
	    release == NULL || release->shard_count == 0)
		return;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		if (s->fleet.workers[i].revision == d->revision &&
		    worker_is_live(&s->fleet.workers[i]))
			return;
	if (probe->task != 0)           /* it holds the lane open */
		engine->world->cancel(engine->world->ctx, probe->task);
	probe->task = 0;
	service_unbind(engine, s, release, &end);
	note_end(d, &end);
}

/* The workers of the lane that lost are gone, or its loss is not known yet. */
void
engine_count_losses(struct engine *engine, struct service *s,
    struct deployment *d, enum rollout_verdict verdict)
{
	uint32_t left = verdict == VERDICT_COMPLETE ? d->from_revision :
	    d->revision;
	struct lane_end end = { 0 };

	if (!d->course.split)
		return;
	service_tidy(engine, s, &end);
	if (fleet_count_revision(&s->fleet, left) != 0)
		return;
	note_end(d, &end);
}
