/*
 * Listeners in the loop: a shard that was shut down, or whose path was removed,
 * gets a new socket and its workers are restarted; one whose accept queue only
 * grows is reported; a
 * backlog that a worker's own listen() has shrunk is put back.
 */
#include <string.h>

#include "listener.h"
#include "live.h"
#include "log.h"
#include "reactor.h"

/* How soon a socket that could not be made is tried again. */
#define RENEW_RETRY_MS UINT64_C(1000)

static struct watch watch;
static struct alarm sample_alarm, renew_alarm;

/* True if it has to be tried again. */
static bool
renew(struct live *live, struct shard *shard)
{
	const struct listener_spec *spec = shard->listener->spec;
	bool gone;
	int error;

	if (!shard->broken)
		return false;
	gone = listener_path_is_gone(shard->listener);
	error = shard_renew(shard);
	if (error == 0) {
		engine_repair(&live->engine, shard, spec->name, gone);
		return false;
	}
	log_error("listener %s (%s) %s, and a new socket cannot be made: %s; "
	    "nobody can connect; trying again", spec->name, spec->address_text,
	    gone ? "has lost its path" : "was shut down by a worker",
	    strerror(-error));
	return true;
}

static void
renew_broken(void *ctx)
{
	struct live *live = ctx;
	bool again = false;

	for (struct listener *l = listener_first(); l != NULL; l = l->next) {
		for (uint32_t i = 0; i < l->shard_count; i++)
			again = renew(live, l->shards[i]) || again;
	}
	if (again)
		reactor_set_alarm(&renew_alarm, RENEW_RETRY_MS, renew_broken,
		    live);
}

/* A path may have been removed before it was watched. */
static void
begin(void *ctx)
{
	listener_watch_paths();
	renew_broken(ctx);
}

static void
report_grown(struct shard *shard, const struct shard_queue *queue)
{
	const struct listener_spec *spec = shard->listener->spec;

	log_warning("listener %s (%s): %u of %u connections wait to be "
	    "accepted, and more with every second: are its workers stuck, or "
	    "too few?", spec->name, spec->address_text, queue->length,
	    queue->limit);
}

static void
restore_backlog(struct shard *shard)
{
	uint32_t shrunk = shard->sampled ? shard_restore_backlog(shard) : 0;

	if (shrunk != 0)
		log_warning("listener %s: a worker's own listen() has shrunk "
		    "the backlog to %u; it is %u again",
		    shard->listener->spec->name, shrunk,
		    shard->backlog_granted);
}

static void
sample(void *ctx)
{
	for (struct listener *l = listener_first(); l != NULL; l = l->next) {
		for (uint32_t i = 0; i < l->shard_count; i++)
			restore_backlog(l->shards[i]);
	}
	if (listener_sample(report_grown))
		reactor_set_alarm(&sample_alarm, LISTENER_SAMPLE_MS, sample,
		    ctx);
}

static void
on_watch(void *ctx, int events)
{
	(void)events;
	if (listener_watch_read())
		reactor_set_alarm(&sample_alarm, LISTENER_SAMPLE_MS, sample,
		    ctx);
	renew_broken(ctx);
}

int
live_sockets_init(struct live *live)
{
	int fd = listener_watch_fd();

	if (fd < 0)
		return fd;
	reactor_watch(&watch, fd, REACTOR_READ, on_watch, live);
	reactor_set_alarm(&renew_alarm, 0, begin, live);
	return 0;
}
