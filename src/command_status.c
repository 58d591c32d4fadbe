/*
 * The engine's state as JSON: Status, History.
 *
 * Building one answer may look at every worker's memory in /proc, so it is
 * done on request only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command_parts.h"
#include "service.h"

static json_t *
worker_json(struct call *call, struct service *s, const struct worker *w,
    uint64_t now_ms, uint64_t *total_bytes)
{
	const struct world *world = call->command->engine->world;
	const struct mate *mate = service_mate(s, w);
	uint64_t bytes = world->memory_bytes(world->ctx, mate->pid);

	*total_bytes += bytes;
	return json_pack("{s:I, s:I, s:i, s:I, s:s, s:I, s:I, s:o, s:o, s:o,"
	    " s:o}",
	    "slot", (json_int_t)w->id.slot,
	    "incarnation", (json_int_t)w->id.incarnation,
	    "pid", mate->pid,
	    "revision", (json_int_t)w->revision,
	    "state", worker_state_name(w->state),
	    "state_ms", (json_int_t)(now_ms - w->since_ms),
	    "uptime_ms", (json_int_t)(now_ms - w->started_ms),
	    "memory_bytes", command_number(bytes),
	    "status", command_text(mate->status),
	    "ending", w->ending != ENDING_NONE ?
	    json_string(worker_ending_text(w->ending)) : json_null(),
	    "deadline_ms", w->deadline_ms == NEVER_MS ? json_null() :
	    json_integer(w->deadline_ms > now_ms ?
	    (json_int_t)(w->deadline_ms - now_ms) : 0));
}

static json_t *
worker_list(struct call *call, struct service *s, uint64_t now_ms,
    uint64_t *ret_bytes)
{
	json_t *list = json_array();

	*ret_bytes = 0;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		if (s->fleet.workers[i].state != WORKER_GONE)
			(void)json_array_append_new(list, worker_json(call, s,
			    &s->fleet.workers[i], now_ms, ret_bytes));
	return list;
}

static json_t *
release_list(struct service *s)
{
	json_t *list = json_array();
	char build_id[2 * BUILD_ID_BYTES_MAX + 1];

	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		const struct kept_release *kept = &s->releases[i];
		const struct release *r = kept->release;

		if (r == NULL)
			continue;
		identity_build_id_text(&r->identity, build_id);
		(void)json_array_append_new(list, json_pack(
		    "{s:I, s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:I}",
		    "revision", (json_int_t)r->revision,
		    "version", command_text_or_null(r->version),
		    "build_id", command_text_or_null(build_id),
		    "path", command_text(r->path),
		    "commit_time_s", command_number((uint64_t)r->commit_time_s),
		    "created_time_s", (json_int_t)r->created_s,
		    "in_charge", (int)(r->revision ==
		    rollout_revision(&s->rollout)),
		    "quarantined", (int)kept->quarantined,
		    "worker_count", (json_int_t)fleet_count_revision(&s->fleet,
		    r->revision)));
	}
	return list;
}

static json_t *
listener_list(struct call *call, struct service *s)
{
	const struct command_port *port = call->command->port;
	const struct release *r = service_stable(s);
	json_t *list = json_array();

	for (uint32_t i = 0; r != NULL && i < r->shard_count; i++) {
		struct listener_view view;
		uint32_t length, limit;
		bool known;

		port->describe(port->ctx, r->shards[i], &view);
		known = port->queue(port->ctx, r->shards[i], &length,
		    &limit) == 0;
		(void)json_array_append_new(list, json_pack(
		    "{s:s, s:o, s:o, s:o, s:b, s:I}", "name", view.name,
		    "address", command_text(view.address),
		    "queue_length", known ? json_integer(length) : json_null(),
		    "queue_limit", known ? json_integer(limit) : json_null(),
		    "broken", (int)view.broken,
		    "strangers", (json_int_t)view.stranger_count));
	}
	return list;
}

static const char *
state_name(const struct service *s)
{
	bool empty = service_is_empty(s);

	if (s->removed || (s->stopped && !empty))
		return "stopping";
	if (s->stopped)
		return "stopped";
	return s->rollout.stable == 0 ? "failed" : "running";
}

static const char *
readiness_text(const struct spec *spec)
{
	switch (spec->ready) {
	case READY_NOTIFY:
		return "notify";
	case READY_FD:
		return "fd";
	case READY_ALIVE:
		return "alive";
	case READY_PROBE:
		return "probe";
	}
	return "";
}

static bool
is_of(const struct release *release, const struct identity *identity)
{
	return release != NULL && identity_equal(&release->identity, identity);
}

/* What is on disk, compared with what runs, is rolled out, or waits for that. */
static const char *
installed_name(struct call *call, struct service *s)
{
	const struct command_port *port = call->command->port;
	const struct release *stable = service_stable(s);
	struct identity now;

	if (stable == NULL || port->look(port->ctx, s->spec, &now) < 0)
		return "unknown";
	if (is_of(stable, &now) || is_of(s->next_release, &now) ||
	    is_of(service_release(s, s->rollout.candidate), &now))
		return "same";
	return service_is_bad_build(s, &now) ? "quarantined" : "newer";
}

/* How many fds are stored; null where none can be. */
static json_t *
stored_json(struct call *call, const struct service *s)
{
	const struct command_port *port = call->command->port;
	uint32_t count = port->stored(port->ctx, s->id);

	return s->spec->fd_store > 0 || count > 0 ?
	    json_integer((json_int_t)count) : json_null();
}

static json_t *
service_json(struct call *call, struct service *s)
{
	const struct world *world = call->command->engine->world;
	uint64_t now_ms = world->now_ms(world->ctx), bytes;
	json_t *workers = worker_list(call, s, now_ms, &bytes);

	return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:s, s:s,"
	    " s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "name", s->name,
	    "state", state_name(s),
	    "trouble", command_text_or_null(s->trouble),
	    "workers", (json_int_t)s->workers,
	    "ready", (json_int_t)fleet_count(&s->fleet).ready,
	    "restarts", (json_int_t)s->restart_count,
	    "revision", (json_int_t)rollout_revision(&s->rollout),
	    "in_charge_time_s",
	    command_number((uint64_t)s->in_charge_since_s),
	    "installed", installed_name(call, s),
	    "readiness", readiness_text(s->spec),
	    "memory_bytes", command_number(bytes),
	    "stored_fds", stored_json(call, s),
	    "releases", release_list(s),
	    "listeners", listener_list(call, s),
	    "worker_list", workers,
	    "rollout", command_rollout(call, s),
	    "last", s->last.id != 0 ? command_deployment(&s->last) :
	    json_null());
}

static json_t *
restarted(const struct command_port *port)
{
	int64_t time_s;
	const char *why = port->restarted(port->ctx, &time_s);

	if (why == NULL)
		return json_null();
	return json_pack("{s:I, s:o, s:b}", "at_s", (json_int_t)time_s,
	    "why", command_text(why),
	    "on_trial", (int)port->on_trial(port->ctx));
}

static json_t *
supervisor_json(struct call *call)
{
	const struct command_port *port = call->command->port;
	const struct engine *engine = call->command->engine;
	const struct world *world = engine->world;

	return json_pack("{s:s, s:i, s:s, s:I, s:I, s:o, s:o, s:o}",
	    "version", PACKAGE_VERSION,
	    "pid", (int)getpid(),
	    "phase", engine->phase == ENGINE_RUNNING ? "running" : "stopping",
	    "uptime_ms",
	    (json_int_t)(world->now_ms(world->ctx) - engine->started_ms),
	    "memory_bytes",
	    (json_int_t)world->memory_bytes(world->ctx, getpid()),
	    "config", command_text(port->config_path(port->ctx)),
	    "ledger_error", command_text(port->ledger_error(port->ctx)),
	    "restarted", restarted(port));
}

void
call_status(struct call *call)
{
	struct engine *engine = call->command->engine;
	const char *name = NULL;
	struct service *only = NULL;
	json_t *list;

	if (!call_unpack(call, "{s?s !}", "service", &name))
		return;
	if (name != NULL && (only = call_service(call, name)) == NULL)
		return;
	list = json_array();
	for (uint32_t i = 0; i < engine->service_count; i++)
		if (only == NULL || only == engine->services[i])
			(void)json_array_append_new(list, service_json(call,
			    engine->services[i]));
	call_reply(call, json_pack("{s:o, s:o}", "supervisor",
	    supervisor_json(call), "services", list));
}

void
call_history(struct call *call)
{
	const struct command_port *port = call->command->port;
	const char *service = NULL;
	json_int_t limit = 20, before_s = 0;
	char **lines = NULL;
	json_t *list;
	size_t count;

	if (!call_unpack(call, "{s?s, s?I, s?I !}", "service", &service,
	    "limit", &limit, "before_time_s", &before_s))
		return;
	if (limit < 1 || limit > HISTORY_LINES_MAX) {
		call_bad_parameter(call, "limit");
		return;
	}
	count = port->history(port->ctx, service, before_s, (size_t)limit,
	    &lines);
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		(void)json_array_append_new(list, json_loads(lines[i], 0,
		    NULL));
		free(lines[i]);
	}
	free(lines);
	call_reply(call, json_pack("{s:o}", "deployments", list));
}
