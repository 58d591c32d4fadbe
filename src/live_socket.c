/*
 * Listeners in the loop: one that was shut down gets a new socket and its
 * workers are restarted; one whose accept queue only grows is reported; a
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

static void
renew_broken(void *ctx)
{
	struct live *live = ctx;
	bool again = false;
	int error;

	for (struct listener *l = listener_first(); l != NULL; l = l->next) {
		if (!l->broken)
			continue;
		error = listener_renew(l);
		if (error == 0) {
			engine_repair(&live->engine, l, l->spec->name);
			continue;
		}
		again = true;
		log_error("listener %s (%s) was shut down by a worker, and a "
		    "new socket cannot be made: %s; nobody can connect; "
		    "trying again", l->spec->name, l->spec->address_text,
		    strerror(-error));
	}
	if (again)
		reactor_set_alarm(&renew_alarm, RENEW_RETRY_MS, renew_broken,
		    live);
}

static void
report_grown(struct listener *l, const struct listener_queue *queue)
{
	log_warning("listener %s (%s): %u of %u connections wait to be "
	    "accepted, and more with every second: are its workers stuck, or "
	    "too few?", l->spec->name, l->spec->address_text, queue->length,
	    queue->limit);
}

static void
sample(void *ctx)
{
	uint32_t shrunk;

	for (struct listener *l = listener_first(); l != NULL; l = l->next) {
		shrunk = l->sampled ? listener_restore_backlog(l) : 0;
		if (shrunk != 0)
			log_warning("listener %s: a worker's own listen() has "
			    "shrunk the backlog to %u; it is %u again",
			    l->spec->name, shrunk, l->backlog_granted);
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
	return 0;
}
