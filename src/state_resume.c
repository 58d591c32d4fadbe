/*
 * Going on: what was read gets a world, which finds again what it kept, and what
 * it does not find is said.
 */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"
#include "state_parts.h"

/* Far more than one turn starts. */
enum { LOST_TURN_NUMBERS = 1024 };

static const char meanwhile[] = "supd was started anew meanwhile, and how it "
    "ended is not known";

/*
 * Memory
 */

static void
free_release(struct release *release)
{
	if (release == NULL)
		return;
	for (char **variable = release->environment; variable != NULL &&
	    *variable != NULL; variable++)
		free(*variable);
	free(release->environment);
	free(release->credentials.groups);
	free(release->path);
	free(release->directory);
	spec_unref(release->spec);
	free(release);
}

static void
forget_service(struct service *s)
{
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		free(s->mates[i].status);
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		free_release(s->releases[i].release);
	free_release(s->next_release);
	spec_unref(s->spec);
	free(s->fleet.slots);
	free(s->fleet.workers);
	free(s->mates);
	free(s);
}

void
state_forget(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++)
		forget_service(engine->services[i]);
	engine->service_count = 0;
}

/*
 * Tasks
 */

static bool
is_lost(const struct engine *engine, uint64_t task)
{
	return !engine->world->has_task(engine->world->ctx, task);
}

/* As if it had not begun: it is due at once. */
static void
forget_lost_tasks(const struct engine *engine, struct judge *judge)
{
	for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
		struct lane_probe *probe = &judge->probes[lane];

		if (probe->task == 0 || !is_lost(engine, probe->task))
			continue;
		probe->task = 0;
		probe->began_ms = 0;
	}
	if (judge->analysis != 0 && is_lost(engine, judge->analysis))
		judge->analysis = judge->analysis_began_ms = 0;
}

/* Nothing else would move a rollout whose hook is lost.  One that was to be run
 * may have been, by a turn that was lost. */
static void
settle_lost_hook(struct engine *engine, struct service *s, bool turn_was_lost)
{
	const struct rollout *r = &s->rollout;
	struct task_result failed = {
		.id = s->judge.hook, .service = s->id, .kind = TASK_BEFORE,
		.exit = { .number = -1 }, .output = meanwhile,
	};

	if (r->phase != ROLLOUT_PREPARE || r->fault != FAULT_NONE ||
	    r->recall != FAULT_NONE ||
	    (s->judge.hook_turns != 0 && !turn_was_lost) ||
	    (s->judge.hook != 0 && !is_lost(engine, s->judge.hook)))
		return;
	s->judge.hook_turns = 0;
	if (s->judge.hook_kind == TASK_VERSION)
		engine_prepare(engine, s);
	else
		engine_hook_ended(engine, s, &failed);
}

/*
 * What the world has kept
 */

static void
restore_release(struct engine *engine, struct service *s,
    const struct image_handle *handle)
{
	const struct world *world = engine->world;
	char why[REASON_BYTES_MAX] = "";

	if (world->restore_release(world->ctx, handle->release, handle->text,
	    why) == 0)
		return;
	service_say(engine, s, NOTICE_SERVICE, NOTICE_ERROR, NULL,
	    "revision %u (%.200s) can start no more workers: %.200s; those that "
	    "run go on; a reload or an undo brings another", handle->release->revision,
	    handle->release->path, why);
}

static void
restore_worker(struct engine *engine, struct service *s,
    const struct image_handle *handle)
{
	const struct world *world = engine->world;
	struct mate *mate = &s->mates[handle->worker];

	mate->process = world->restore_worker(world->ctx, s->id,
	    &s->fleet.workers[handle->worker], mate->pid, handle->text);
}

/* It has ended, as far as anybody can tell. */
static void
bury_lost_workers(struct engine *engine, struct service *s)
{
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		struct worker *w = &s->fleet.workers[i];
		struct event event = {
			.type = EVENT_EXITED, .service = s->id, .id = w->id,
			.exit = { .number = -1 },
		};

		if (w->state == WORKER_GONE || s->mates[i].process != NULL)
			continue;
		service_say(engine, s, NOTICE_WORKER, NOTICE_WARNING, w,
		    "cannot be followed any more since supd was started anew");
		engine_event(engine, &event);
	}
}

/*
 * A turn that was lost
 */

/* As if it had asked just now: should it have done so, it was not noted. */
static void
extend(struct service *s, struct worker *w, uint64_t now_ms)
{
	const struct policy *policy = &s->policy;
	bool starts = w->state == WORKER_STARTING ||
	    w->state == WORKER_RELOADING;

	worker_pet(w, now_ms);
	worker_extend(w, starts ? policy->ready_timeout_ms :
	    policy->drain_timeout_ms, policy, now_ms);
}

/* What it has told the ledger stands: that revision is no other build's. */
static void
pass_over_service(const struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct past past = world->recall(world->ctx, s->name);
	uint64_t now_ms = world->now_ms(world->ctx);

	if (s->revision_last < past.revision_last)
		s->revision_last = past.revision_last;
	s->fleet.incarnation_last += LOST_TURN_NUMBERS;
	s->rollout.steered_ms = s->rollout.progress_ms = now_ms;
	if (s->rollout.course.split)
		s->unsettled = false;   /* it steers for itself, and may have */
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		extend(s, &s->fleet.workers[i], now_ms);
}

static void
pass_over_turn(struct engine *engine)
{
	engine->service_id_last += LOST_TURN_NUMBERS;
	engine->task_last += LOST_TURN_NUMBERS;
	for (uint32_t i = 0; i < engine->service_count; i++)
		pass_over_service(engine, engine->services[i]);
}

void
state_turn_was_lost(struct state_image *image)
{
	image->turn_was_lost = true;
}

/*
 * From there on
 */

void
state_was_lost(struct engine *engine)
{
	const struct world *world = engine->world;
	uint32_t number = world->random(world->ctx) / 2;

	engine->task_last = number;
	for (uint32_t i = 0; i < engine->service_count; i++)
		engine->services[i]->fleet.incarnation_last = number;
}

void
state_resume(struct state_image *image, struct engine *ret_engine,
    const struct world *world)
{
	struct engine *engine = ret_engine;
	bool turn_was_lost = image->turn_was_lost;

	*engine = image->engine;
	engine->world = world;
	image->engine.service_count = 0;        /* they are the engine's now */
	for (uint32_t i = 0; i < engine->service_count; i++)
		service_update_policy(engine, engine->services[i]);
	if (turn_was_lost)
		pass_over_turn(engine);
	for (size_t i = 0; i < image->handle_count; i++) {
		const struct image_handle *handle = &image->handles[i];
		struct service *s = engine->services[handle->service];

		if (handle->release != NULL)
			restore_release(engine, s, handle);
		else
			restore_worker(engine, s, handle);
	}
	for (uint32_t i = 0; i < engine->service_count; i++) {
		engine_steer_again(engine, engine->services[i]);
		bury_lost_workers(engine, engine->services[i]);
		forget_lost_tasks(engine, &engine->services[i]->judge);
		settle_lost_hook(engine, engine->services[i], turn_was_lost);
	}
	state_image_free(image);
}
