/*
 * Tasks, carried out: the engine's number for one, and for a probe of a lane the
 * source port that leads to it.
 *
 * A probe of a listener with two lanes comes from a port that is reserved for
 * it: the kernel's program sends connections of this host from that port to the
 * lane that is asked about.  It is part of the listener's steering only as long
 * as the probe runs, and the port is nobody else's for as long.
 */
#include "live_parts.h"

#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "log.h"
#include "probe.h"
#include "steer.h"
#include "task.h"

struct running *live_tasks;

/*
 * The way to a lane
 */

/* Where the port leads from now on; NULL: nowhere special. */
static int
lead(struct listener *l, uint16_t port, struct shard *shard, char *ret_text)
{
	struct steering steering = *listener_steering(l);
	uint32_t i = 0;

	while (i < steering.probe_count && steering.probes[i].port != port)
		i++;
	if (i < steering.probe_count)
		steering.probes[i] = steering.probes[--steering.probe_count];
	if (shard != NULL) {
		if (steering.probe_count == PROBE_PORTS_MAX) {
			(void)snprintf(ret_text, REASON_BYTES_MAX, "%d probes "
			    "of listener %s run already", PROBE_PORTS_MAX,
			    l->spec->name);
			return -1;
		}
		steering.probes[steering.probe_count++] = (struct probe_port){
			.port = port, .shard = shard,
		};
	}
	return listener_steer(l, &steering, ret_text);
}

static int
open_way(struct running *r, char *ret_text)
{
	struct listener *l = r->shard->listener;

	if (!address_is_tcp(&l->spec->address) || l->shard_count < 2)
		return 0;
	r->port_fd = probe_reserve(l->spec, &r->port);
	if (r->port_fd < 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "cannot reserve a "
		    "port for a probe: %s", strerror(-r->port_fd));
		return -1;
	}
	if (lead(l, r->port, r->shard, ret_text) == 0)
		return 0;
	r->port = 0;
	return -1;
}

/* The port is given up only after nothing leads from it any more. */
static void
close_way(struct running *r)
{
	char text[REASON_BYTES_MAX];

	if (r->port != 0 && lead(r->shard->listener, r->port, NULL, text) < 0)
		log_warning("a probe's port stays reserved: %s", text);
	else
		fd_close(r->port_fd);
	shard_unref(r->shard);
}

/*
 * The life of a task
 */

static void
forget(struct running *r)
{
	struct running **link = &live_tasks;

	while (*link != r)
		link = &(*link)->next;
	*link = r->next;
	close_way(r);
	free(r);
}

void
live_task_done(void *ctx, const struct task_end *end)
{
	struct running *r = ctx;
	struct live *live = r->live;
	struct task_result result = {
		.id = r->id, .service = r->service, .kind = r->kind,
		.timed_out = end->timed_out, .exit = end->exit,
		.duration_ms = end->duration_ms, .output = end->output,
	};

	forget(r);
	engine_task_ended(&live->engine, &result);
}

/* The shard of the listener that the spec's probe is for; NULL: it is not bound
 * to one. */
static struct shard *
probed_shard(const struct release *release, const struct spec *spec)
{
	for (uint32_t i = 0; spec->socket_count > 0 &&
	    i < release->shard_count; i++)
		if (strcmp(release->shards[i]->listener->spec->name,
		    spec->sockets[0].name) == 0)
			return release->shards[i];
	return NULL;
}

static int
start_probe(struct running *r, const struct task_request *request,
    char *ret_text)
{
	struct shard *shard = probed_shard(request->release, request->spec);
	struct probe_command command;
	struct task_order order = { .release = request->release,
		.variables = request->variables, .inherited_fd = -1 };

	if (shard == NULL && request->spec->probe != PROBE_EXEC) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "revision %u does "
		    "not have the listener %s", request->release->revision,
		    request->spec->sockets[0].name);
		return -1;
	}
	if (shard != NULL && request->spec->probe != PROBE_EXEC) {
		r->shard = shard_ref(shard);
		if (open_way(r, ret_text) < 0)
			return -1;
	}
	if (probe_command_make(request->spec, shard != NULL ?
	    shard->listener->spec : NULL, r->port != 0, &command, ret_text) < 0)
		return -1;
	order.argv = command.argv;
	order.timeout_ms = command.timeout_ms;
	if (r->port != 0)
		order.inherited_fd = r->port_fd;
	r->task = task_start(&order, live_task_done, r, ret_text);
	return r->task != NULL ? 0 : -1;
}

static int
start_command(struct running *r, const struct task_request *request,
    char *ret_text)
{
	struct task_order order = {
		.release = request->release, .argv = request->argv,
		.variables = request->variables, .inherited_fd = -1,
		.timeout_ms = request->timeout_ms,
	};

	r->task = task_start(&order, live_task_done, r, ret_text);
	return r->task != NULL ? 0 : -1;
}

int
live_run(struct live *live, const struct task_request *request, char *ret_text)
{
	struct running *r = calloc(1, sizeof(*r));
	int result;

	if (r == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "no memory for a "
		    "task");
		return -1;
	}
	r->live = live;
	r->id = request->id;
	r->service = request->service;
	r->kind = request->kind;
	r->port_fd = -1;
	r->next = live_tasks;
	live_tasks = r;
	result = request->kind == TASK_PROBE ?
	    start_probe(r, request, ret_text) :
	    start_command(r, request, ret_text);
	if (result < 0) {
		forget(r);
	} else {
		live_keep_task(r);
		live_world_changed();
	}
	return result;
}

static struct running *
find(uint64_t id)
{
	struct running *r = live_tasks;

	while (r != NULL && r->id != id)
		r = r->next;
	return r;
}

bool
live_has_task(uint64_t id)
{
	return find(id) != NULL;
}

void
live_cancel(uint64_t id)
{
	struct running *r = find(id);

	if (r == NULL)
		return;
	task_cancel(r->task);
	forget(r);
}
