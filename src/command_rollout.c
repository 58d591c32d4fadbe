/*
 * Rollouts as JSON: the list of steps, what is remembered of one (in answers and
 * in the ledger), and RolloutStatus: where the running one stands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_parts.h"
#include "engine_parts.h"
#include "service.h"

/* Steps of a plan that are shown; what is beyond follows the same rule. */
enum { STEPS_SHOWN = 32 };

json_t *
command_number(uint64_t number)
{
	return number != 0 ? json_integer((json_int_t)number) : json_null();
}

json_t *
command_text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? command_text(text) :
	    json_null();
}

json_t *
command_steps(const struct policy *policy, const struct course *course)
{
	uint32_t count = strategy_step_count(policy, course);
	json_t *list = json_array();

	for (uint32_t i = 0; i < count && i < STEPS_SHOWN; i++) {
		/* the last one is shown whatever was left out before it */
		struct step step = strategy_step(policy, course,
		    i == STEPS_SHOWN - 1 ? count - 1 : i);

		(void)json_array_append_new(list, json_pack(
		    "{s:I, s:I, s:I, s:b}",
		    "candidates", (json_int_t)step.candidates,
		    "weight_permille", (json_int_t)step.weight_permille,
		    "hold_ms", (json_int_t)(step.ready_ms + step.hold_ms),
		    "pause", (int)step.pause));
	}
	return list;
}

static json_t *
connections(uint64_t count)
{
	return count == CONNECTIONS_UNKNOWN ? json_null() :
	    json_integer((json_int_t)count);
}

static json_t *
observation_json(const struct observation *o)
{
	uint64_t candidate = o->connections;

	if (candidate != CONNECTIONS_UNKNOWN)
		candidate = candidate * o->weight_permille / WHOLE_PERMILLE;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I,"
	    " s:I, s:o, s:o}",
	    "step", (json_int_t)o->step + 1,
	    "weight_permille", (json_int_t)o->weight_permille,
	    "candidates", (json_int_t)o->candidates,
	    "began_ms", (json_int_t)o->began_ms,
	    "duration_ms", (json_int_t)o->duration_ms,
	    "connections", connections(o->connections),
	    "candidate_connections", connections(candidate),
	    "probes_passed", (json_int_t)o->probes_passed,
	    "probes_failed", (json_int_t)o->probes_failed,
	    "analyses", (json_int_t)o->analyses,
	    "queue_max", (json_int_t)o->queue_max,
	    "stable_memory_bytes", command_number(o->stable_memory_bytes),
	    "candidate_memory_bytes",
	    command_number(o->candidate_memory_bytes));
}

static json_t *
observation_list(const struct deployment *d)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->observation_count; i++)
		(void)json_array_append_new(list,
		    observation_json(&d->observations[i]));
	return list;
}

static json_t *
hook_list(const struct deployment *d)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->hook_count; i++) {
		const struct hook *hook = &d->hooks[i];

		(void)json_array_append_new(list, json_pack(
		    "{s:s, s:b, s:s, s:o, s:I}", "name", hook->name,
		    "failed", (int)hook->failed, "text", hook->text,
		    "output", command_text_or_null(hook->output),
		    "duration_ms", (json_int_t)hook->duration_ms));
	}
	return list;
}

json_t *
command_deployment(const struct deployment *d)
{
	char fingerprint[17];

	(void)snprintf(fingerprint, sizeof(fingerprint), "%016llx",
	    (unsigned long long)d->fingerprint);
	return json_pack("{s:I, s:s, s:s, s:I, s:I, s:o, s:o, s:s, s:s,"
	    " s:o, s:I, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "id", (json_int_t)d->id,
	    "service", d->service,
	    "kind", deployment_kind_name(d->kind),
	    "revision", (json_int_t)d->revision,
	    "from_revision", (json_int_t)d->from_revision,
	    "version", command_text_or_null(d->version),
	    "build_id", command_text_or_null(d->build_id),
	    "fingerprint", fingerprint,
	    "strategy", d->strategy,
	    "commit_time_s", command_number((uint64_t)d->commit_time_s),
	    "started_time_s", (json_int_t)d->started_s,
	    "finished_time_s", command_number((uint64_t)d->finished_s),
	    "duration_ms", (json_int_t)d->duration_ms,
	    "verdict", rollout_verdict_name(d->verdict),
	    "reason", command_text_or_null(d->reason),
	    "in_charge_time_s", command_number((uint64_t)d->in_charge_s),
	    "connections_handed_over", connections(d->handed_over),
	    "connections_lost", connections(d->lost),
	    "observations", observation_list(d),
	    "hooks", hook_list(d));
}

char *
command_deployment_json(const struct deployment *d)
{
	json_t *json = command_deployment(d);
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

/*
 * Where the running rollout stands
 */

static json_t *
lane_json(struct call *call, struct service *s, enum lane lane)
{
	const struct command_port *port = call->command->port;
	const struct world *world = call->command->engine->world;
	const struct rollout *r = &s->rollout;
	const struct lane_probe *p = &s->judge.probes[lane];
	uint32_t revision = lane == LANE_STABLE ? r->stable : r->candidate;
	uint32_t weight = engine_weight_permille(s);
	const struct release *release = service_release(s, revision);
	int label = release != NULL && r->course.split ?
	    port->label(port->ctx, release) : -1;

	return json_pack("{s:s, s:I, s:o, s:I, s:I, s:I, s:o, s:o, s:I, s:I,"
	    " s:I, s:o}",
	    "name", engine_lane_name(lane),
	    "revision", (json_int_t)revision,
	    "version", release != NULL ?
	    command_text_or_null(release->version) : json_null(),
	    "weight_permille", (json_int_t)(lane == LANE_STABLE ?
	    WHOLE_PERMILLE - weight : weight),
	    "ready", (json_int_t)fleet_count_state(&s->fleet, revision,
	    WORKER_READY),
	    "workers", (json_int_t)fleet_count_revision(&s->fleet, revision),
	    "queue_length", release != NULL && r->course.split ?
	    json_integer(world->queued(world->ctx, release)) : json_null(),
	    "label", label >= 0 ? json_integer(label) : json_null(),
	    "probes_passed", (json_int_t)p->passed_count,
	    "probes_failed", (json_int_t)p->failed_count,
	    "probe_failing", (json_int_t)p->failing_count,
	    "probe_text", command_text_or_null(p->text));
}

static json_t *
lane_list(struct call *call, struct service *s)
{
	json_t *list = json_array();

	for (enum lane lane = 0; lane < LANE_COUNT; lane++)
		(void)json_array_append_new(list, lane_json(call, s, lane));
	return list;
}

/* The rest of the present step's hold. */
static json_t *
hold_left(const struct service *s, uint64_t now_ms)
{
	const struct rollout *r = &s->rollout;
	struct step step = strategy_step(&s->policy, &r->course, r->step);
	uint64_t held_ms;

	if (r->reached_ms == NOT_YET_MS || step.hold_ms == 0 ||
	    r->phase == ROLLOUT_RETIRE || r->phase == ROLLOUT_ROLLBACK)
		return json_null();
	held_ms = rollout_held_ms(r, now_ms);
	return json_integer(held_ms < step.hold_ms ?
	    (json_int_t)(step.hold_ms - held_ms) : 0);
}

static bool
lacks_probe(const struct service *s)
{
	const struct rollout *r = &s->rollout;

	for (uint32_t i = 0; s->policy.probe &&
	    i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_READY && w->revision == r->candidate &&
		    !rollout_is_probed(r, w))
			return true;
	}
	return false;
}

/* What keeps it where it is, in words; NULL: nothing to speak of. */
static const char *
waits_for(const struct service *s)
{
	static const char *const pauses[PAUSE_COUNT] = {
		[PAUSE_STEP] = "an operator, as the step says",
		[PAUSE_OPERATOR] = "an operator, who paused it",
		[PAUSE_DOUBT] = "an operator: what judges it is inconclusive",
		[PAUSE_FAULT] = "an operator: it failed",
	};
	const struct rollout *r = &s->rollout;
	struct step step = strategy_step(&s->policy, &r->course, r->step);

	switch (r->phase) {
	case ROLLOUT_PREPARE:
		return task_kind_name(s->judge.hook_kind);
	case ROLLOUT_PAUSED:
		return pauses[r->pause];
	case ROLLOUT_KEEP:
		return "the end of keep_old";
	case ROLLOUT_RETIRE:
		return "the old workers to leave";
	case ROLLOUT_ROLLBACK:
		return "the old release to take over again";
	case ROLLOUT_CLIMB:
		if (r->reached_ms == NOT_YET_MS)
			return lacks_probe(s) ? "the probe to pass" :
			    "new workers to get ready";
		if (step.hold_ms != 0)
			return "the end of the step's hold";
		return s->policy.analysis ? "the analysis" : NULL;
	case ROLLOUT_IDLE:
	case ROLLOUT_PHASE_COUNT:
		break;
	}
	return NULL;
}

static json_t *
verb_list(const struct rollout *r)
{
	json_t *list = json_array();

	for (enum rollout_verb v = 0; v < ROLLOUT_VERB_COUNT; v++)
		if (rollout_can(r, v))
			(void)json_array_append_new(list,
			    json_string(rollout_verb_name(v)));
	if (rollout_can(r, ROLLOUT_CAN_ABORT))
		(void)json_array_append_new(list, json_string("undo"));
	return list;
}

/* Does a probe of either lane reach whoever accepts first? */
static bool
are_probes_shared(const struct service *s)
{
	return s->policy.probe && s->spec->probe != PROBE_EXEC &&
	    !s->rollout.course.split;
}

json_t *
command_rollout(struct call *call, struct service *s)
{
	struct engine *engine = call->command->engine;
	const struct rollout *r = &s->rollout;
	struct deployment d;
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	if (r->phase == ROLLOUT_IDLE || s->deployment.id == 0)
		return json_null();
	engine_update_observation(engine, s);
	d = s->deployment;
	d.duration_ms = now_ms - d.started_ms;
	return json_pack("{s:o, s:s, s:I, s:o, s:I, s:I, s:b, s:b, s:s, s:o,"
	    " s:o, s:o, s:o, s:o, s:I}",
	    "deployment", command_deployment(&d),
	    "phase", rollout_phase_name(r->phase),
	    "step", (json_int_t)r->step + 1,
	    "steps", command_steps(&s->policy, &r->course),
	    "step_count", (json_int_t)strategy_step_count(&s->policy,
	    &r->course),
	    "weight_permille", (json_int_t)engine_weight_permille(s),
	    "steered", (int)r->course.split,
	    "probes_shared", (int)are_probes_shared(s),
	    "steer", s->spec->steer == STEER_SOURCE_IP ? "source_ip" :
	    "random",
	    "hold_left_ms", hold_left(s, now_ms),
	    "waits_for", command_text(waits_for(s)),
	    "lanes", lane_list(call, s),
	    "verbs", verb_list(r),
	    "fault", r->fault != FAULT_NONE ?
	    json_string(rollout_fault_text(r->fault)) : json_null(),
	    "next_revision", (json_int_t)s->next.revision);
}

void
call_rollout_status(struct call *call)
{
	const char *name;
	struct service *s;

	if (!call_unpack(call, "{s:s !}", "service", &name))
		return;
	s = call_service(call, name);
	if (s == NULL)
		return;
	call_reply(call, json_pack("{s:o, s:o}", "rollout",
	    command_rollout(call, s), "last",
	    s->last.id != 0 ? command_deployment(&s->last) : json_null()));
}
