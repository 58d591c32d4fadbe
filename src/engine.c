/*
 * Setting up, the turn, shutting down.
 *
 * A turn asks the planner what to do for each service and does it, until the
 * planner has nothing more to do now.  A service that was removed from the
 * configuration stays until its last worker is gone.
 */
#include "engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"

/* Rounds of planning for one service in one turn; what is left comes next
 * turn, after events had a chance. */
enum { ROUNDS_PER_TURN_MAX = 4 };

#define RETRY_MIN_MS UINT64_C(1000)
#define RETRY_MAX_MS UINT64_C(30000)

void
engine_init(struct engine *engine, const struct world *world)
{
	memset(engine, 0, sizeof(*engine));
	engine->world = world;
	engine->started_ms = world->now_ms(world->ctx);
	engine->started_s = world->clock_s(world->ctx);
}

void
engine_release(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++) {
		engine_cancel_tasks(engine, engine->services[i]);
		service_free(engine, engine->services[i]);
	}
	engine->service_count = 0;
}

struct service *
engine_find(const struct engine *engine, const char *name)
{
	for (uint32_t i = 0; i < engine->service_count; i++)
		if (strcmp(engine->services[i]->name, name) == 0)
			return engine->services[i];
	return NULL;
}

struct service *
engine_find_id(const struct engine *engine, uint32_t id)
{
	for (uint32_t i = 0; i < engine->service_count; i++)
		if (engine->services[i]->id == id)
			return engine->services[i];
	return NULL;
}

struct service *
engine_add(struct engine *engine, struct spec *spec)
{
	struct service *s;
	struct past past;

	if (engine->service_count == SERVICES_MAX)
		return NULL;
	s = service_new(engine, spec);
	if (s == NULL)
		return NULL;
	past = engine->world->recall(engine->world->ctx, s->name);
	s->revision_last = past.revision_last;
	engine->services[engine->service_count++] = s;
	return s;
}

/*
 * The revision of the first release: that of the build that was in charge
 * last, if it is the same build, else a new one.
 */
static bool
number_first_release(struct engine *engine, struct service *s,
    struct release *release)
{
	struct past past = engine->world->recall(engine->world->ctx, s->name);

	if (past.revision_good != 0 &&
	    past.fingerprint_good == release->fingerprint) {
		release->revision = past.revision_good;
		return false;
	}
	release->revision = ++s->revision_last;
	if (past.revision_good != 0)
		service_say(engine, s, NOTICE_SERVICE, NOTICE_WARNING, NULL,
		    "revision %u was in charge before; what starts now is "
		    "another build or configuration, revision %u",
		    past.revision_good, release->revision);
	return true;
}

void
engine_first_release(struct engine *engine, struct service *s,
    struct release *release)
{
	bool is_new = number_first_release(engine, s, release);
	struct deployment d;

	if (service_keep(engine, s, release) < 0)
		assert(!"a service without releases has no room for one");
	service_kept(s, release->revision)->was_in_charge = true;
	s->rollout.stable = release->revision;
	s->in_charge_since_s = engine->world->clock_s(engine->world->ctx);
	if (release->created_s == 0)
		release->created_s = s->in_charge_since_s;
	s->retry_at_ms = NEVER_MS;
	s->trouble[0] = '\0';
	service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
	    "starts with revision %u, %s, %u worker%s", release->revision,
	    release->path, s->workers, s->workers == 1 ? "" : "s");
	if (!is_new)
		return;
	engine_new_deployment(engine, s, release, DEPLOYMENT_START,
	    s->spec->strategy, &d);
	d.in_charge_s = s->in_charge_since_s;
	engine_record(engine, s, &d, VERDICT_COMPLETE);
}

/* Pins and binds the service's build, or notes why not and when to try again. */
static void
try_first_release(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	uint64_t delay_ms = RETRY_MIN_MS << (s->retry_count < 5 ?
	    s->retry_count : 5);
	struct release *release = world->pin(world->ctx, s->spec, s->trouble);

	if (release != NULL &&
	    world->bind(world->ctx, release, s->trouble) == 0) {
		s->retry_count = 0;
		engine_first_release(engine, s, release);
		return;
	}
	if (release != NULL)
		world->unpin(world->ctx, release);
	if (delay_ms > RETRY_MAX_MS)
		delay_ms = RETRY_MAX_MS;
	s->retry_count++;
	s->retry_at_ms = world->now_ms(world->ctx) + delay_ms;
	service_say(engine, s, NOTICE_SERVICE, NOTICE_ERROR, NULL,
	    "cannot start: %s; trying again in %u s", s->trouble,
	    (unsigned)(delay_ms / 1000));
}

void
engine_boot(struct engine *engine, struct config *config)
{
	struct service *s;

	for (size_t i = 0; i < config->service_count; i++) {
		s = engine_add(engine, config->services[i]);
		if (s != NULL)
			try_first_release(engine, s);
	}
	config_free(config);
}

static bool
is_starting_late(const struct service *s)
{
	return s->rollout.stable == 0 && !s->stopped && !s->removed &&
	    s->retry_at_ms != NEVER_MS;
}

static uint64_t
earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* Returns when this service has to be looked at again. */
static uint64_t
service_turn(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	uint64_t now_ms = world->now_ms(world->ctx);
	struct plan plan = { .deadline_ms = NEVER_MS };

	if (is_starting_late(s) && s->retry_at_ms <= now_ms)
		try_first_release(engine, s);
	/* What became of the actions (a start that failed, or how long a
	 * worker has to be alive) is news to the planner: it is asked until it
	 * has nothing to add. */
	engine_hook_turn(engine, s);
	engine_judge_sample(engine, s);
	engine_look_at_queue(engine, s);
	for (unsigned i = 0; i < ROUNDS_PER_TURN_MAX; i++) {
		(void)service_make_room(s);     /* else it starts fewer */
		rollout_tick(&s->rollout, &s->fleet, &s->policy,
		    world->random(world->ctx), now_ms, &plan);
		engine_act(engine, s, &plan);
		if (plan.action_count == 0)
			break;
	}
	if (plan.action_count != 0 || s->judge.hook_turns != 0)
		return now_ms;
	engine_observe(engine, s);
	engine_hand_over(engine, s);
	service_tidy(engine, s, NULL);  /* a release's last worker may be gone */
	plan.deadline_ms = earlier(plan.deadline_ms,
	    engine_settle_turn(engine, s));
	plan.deadline_ms = earlier(plan.deadline_ms,
	    engine_probe_turn(engine, s));
	plan.deadline_ms = earlier(plan.deadline_ms,
	    engine_judge_turn(engine, s));
	if (is_starting_late(s) && s->retry_at_ms < plan.deadline_ms)
		return s->retry_at_ms;
	return plan.deadline_ms;
}

static void
drop_removed(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++) {
		struct service *s = engine->services[i];

		if (!s->removed || !service_is_empty(s))
			continue;
		service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
		    "is gone");
		engine_cancel_tasks(engine, s);
		service_free(engine, s);
		engine->services[i--] =
		    engine->services[--engine->service_count];
	}
}

static bool
all_empty(const struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++)
		if (!service_is_empty(engine->services[i]))
			return false;
	return true;
}

void
engine_turn(struct engine *engine)
{
	uint64_t deadline_ms = NEVER_MS, next_ms;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		next_ms = service_turn(engine, engine->services[i]);
		if (next_ms < deadline_ms)
			deadline_ms = next_ms;
	}
	drop_removed(engine);
	if (engine->phase == ENGINE_STOPPING && all_empty(engine))
		engine->phase = ENGINE_DONE;
	engine->world->arm(engine->world->ctx, deadline_ms);
}

/* Every process of a service gets SIGKILL now. */
static void
kill_all(struct engine *engine, struct service *s)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_GONE)
			continue;
		if (w->ending == ENDING_NONE)
			w->ending = ENDING_SURPLUS;
		worker_step(w, WORKER_EVENT_KILL, &s->policy, now_ms);
		engine_kill(engine, s, w);
	}
}

void
engine_shutdown(struct engine *engine)
{
	bool again = engine->phase != ENGINE_RUNNING;

	if (!again)
		engine->phase = ENGINE_STOPPING;
	for (uint32_t i = 0; i < engine->service_count; i++) {
		struct service *s = engine->services[i];

		if (again) {
			kill_all(engine, s);
			continue;
		}
		engine_cancel(engine, s);
		service_update_policy(engine, s);
	}
}
