/*
 * What our own parent is told of the engine: when all has started, what runs, and
 * for how long a stop may go on.
 *
 * systemd lets nobody wait for us longer than it was told, so each message about
 * time names a moment that the engine keeps by itself: the last ready_timeout
 * when supd starts, the last deadline of a worker when it stops.
 */
#include "live_parts.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "parent.h"
#include "reactor.h"

#define STATUS_PERIOD_MS UINT64_C(1000)
#define MARGIN_MS UINT64_C(10000)       /* for us, after the workers' time */
#define PATIENCE_MS UINT64_C(1000)

static struct {
	bool ready;                     /* READY=1 was said */
	bool reloading;                 /* RELOADING=1 was; READY=1 follows */
	bool stopping;
	bool leaves;                    /* an operator wants it */
	uint64_t extended_ms;           /* the parent waits for us until then */
	uint64_t status_next_ms;
	char status[STATUS_BYTES_MAX];  /* as the parent knows it */
	struct alarm wake;              /* for the next status, */
	bool waking;                    /* if something may have changed */
	struct alarm start_over;        /* the services have had their time */
} told;

/*
 * Status
 */

struct summary {
	uint32_t workers, ready;
	uint32_t rollout_count;
	const struct service *rollout;  /* the first that runs */
	const struct service *troubled; /* the first without a release */
};

static struct summary
summary_of(const struct engine *engine)
{
	struct summary sum = { 0 };

	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];

		sum.ready += fleet_count(&s->fleet).ready;
		if (s->stopped || s->removed)
			continue;
		sum.workers += s->workers;
		if (s->rollout.stable == 0 && sum.troubled == NULL)
			sum.troubled = s;
		if (s->rollout.phase == ROLLOUT_IDLE)
			continue;
		sum.rollout_count++;
		if (sum.rollout == NULL)
			sum.rollout = s;
	}
	return sum;
}

static void
describe(const struct engine *engine, char *ret_text)
{
	struct summary sum = summary_of(engine);
	const struct rollout *r;
	size_t length;

	length = (size_t)snprintf(ret_text, STATUS_BYTES_MAX,
	    "%u service%s, %u of %u workers ready", engine->service_count,
	    engine->service_count == 1 ? "" : "s", sum.ready, sum.workers);
	if (sum.rollout != NULL) {
		r = &sum.rollout->rollout;
		length += (size_t)snprintf(ret_text + length,
		    STATUS_BYTES_MAX - length,
		    "; %s: rollout of revision %u, %s", sum.rollout->name,
		    r->candidate, rollout_phase_name(r->phase));
	}
	if (sum.rollout_count > 1)
		length += (size_t)snprintf(ret_text + length,
		    STATUS_BYTES_MAX - length, " (and %u more)",
		    sum.rollout_count - 1);
	if (sum.troubled != NULL)
		(void)snprintf(ret_text + length, STATUS_BYTES_MAX - length,
		    "; %s cannot start", sum.troubled->name);
}

/* That we are awake is enough: a turn follows. */
static void
on_wake(void *ctx)
{
	(void)ctx;
	told.waking = false;
}

/* At most once a second; what was not said now is said then. */
static void
say_status(const struct engine *engine)
{
	char status[STATUS_BYTES_MAX];
	uint64_t now_ms = reactor_now_ms();

	if (now_ms < told.status_next_ms) {
		if (!told.waking)
			reactor_set_alarm(&told.wake, told.status_next_ms -
			    now_ms, on_wake, NULL);
		told.waking = true;
		return;
	}
	describe(engine, status);
	if (strcmp(status, told.status) == 0)
		return;
	memcpy(told.status, status, sizeof(status));
	told.status_next_ms = now_ms + STATUS_PERIOD_MS;
	parent_say("STATUS=%s", status);
}

static void
say_ready(const struct engine *engine)
{
	describe(engine, told.status);
	told.status_next_ms = reactor_now_ms() + STATUS_PERIOD_MS;
	parent_ready(told.status);
}

/*
 * The start
 */

/* How long supd's start has to wait for this service yet. */
static uint64_t
start_left_ms(const struct engine *engine, const struct service *s)
{
	uint64_t end_ms = engine->started_ms + s->spec->ready_timeout_ms;

	if (s->stopped || s->removed || reactor_now_ms() >= end_ms ||
	    fleet_count(&s->fleet).ready >= s->workers)
		return 0;
	return end_ms - reactor_now_ms();
}

static void
blame(const struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];
		uint32_t ready = fleet_count(&s->fleet).ready;

		if (!s->stopped && !s->removed && ready < s->workers)
			log_warning("service=%s: %u of %u workers ready after "
			    "ready_timeout; supd has started all the same",
			    s->name, ready, s->workers);
	}
}

static void
on_start_over(void *ctx)
{
	(void)ctx;              /* a turn follows */
}

static void
look_at_start(const struct engine *engine)
{
	uint64_t left_ms = 0, one_ms;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		one_ms = start_left_ms(engine, engine->services[i]);
		if (one_ms > left_ms)
			left_ms = one_ms;
	}
	if (left_ms > 0 && told.extended_ms == 0) {
		told.extended_ms = reactor_now_ms() + left_ms + MARGIN_MS;
		parent_extend(left_ms + MARGIN_MS);
	}
	if (left_ms > 0) {
		reactor_set_alarm(&told.start_over, left_ms, on_start_over,
		    NULL);
		return;
	}
	reactor_clear_alarm(&told.start_over);
	if (told.extended_ms != 0)
		blame(engine);
	told.ready = true;
	told.extended_ms = 0;
	say_ready(engine);
}

/*
 * The stop
 */

/* When the last of them is killed at the latest. */
static uint64_t
last_deadline_ms(const struct engine *engine)
{
	uint64_t last_ms = 0;

	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct fleet *fleet = &engine->services[i]->fleet;

		for (uint32_t j = 0; j < fleet->worker_capacity; j++) {
			const struct worker *w = &fleet->workers[j];

			if (w->state != WORKER_GONE && w->deadline_ms !=
			    NEVER_MS && w->deadline_ms > last_ms)
				last_ms = w->deadline_ms;
		}
	}
	return last_ms;
}

static void
look_at_stop(const struct engine *engine)
{
	uint64_t now_ms = reactor_now_ms(), end_ms = last_deadline_ms(engine);

	if (!told.stopping)
		parent_stopping();
	told.stopping = true;
	if (end_ms < now_ms || end_ms <= told.extended_ms)
		return;
	told.extended_ms = end_ms;
	parent_extend(end_ms - now_ms + MARGIN_MS);
}

/*
 * To the parent a supd that was executed is the one that it started: it waits for
 * no start, and may wait for the end of a reload, or for a sign of life that the
 * one before was about to give.
 */
void
live_parent_init(const struct live *live)
{
	enum carry_cause cause = live->carried.cause;
	int error = parent_init();

	told.ready = told.reloading = cause == CARRY_UPGRADE ||
	    cause == CARRY_RETURN || cause == CARRY_CRASH;
	if (error < 0)
		log_warning("the parent (NOTIFY_SOCKET) is not told anything: "
		    "%s", strerror(-error));
	if (told.ready)
		parent_is_alive();
}

void
live_parent_release(void)
{
	(void)parent_flush(PATIENCE_MS);
	parent_release();
}

void
live_parent_reloading(void)
{
	if (!told.ready || told.stopping)
		return;
	told.reloading = true;
	parent_reloading();
}

void
live_parent_leave(void)
{
	told.leaves = true;
}

static enum parent_turn
leave(const struct engine *engine)
{
	told.leaves = false;
	if (engine->phase != ENGINE_RUNNING)
		return PARENT_STAY;
	if (parent_flush(PATIENCE_MS) && parent_keeps_any()) {
		log_notice("supd ends, and leaves its workers to the next one");
		return PARENT_LEAVE;
	}
	log_error("supd has no parent that keeps file descriptors and starts "
	    "the next one (systemd, supd-init), so it does not leave");
	return PARENT_STAY;
}

enum parent_turn
live_parent_turn(const struct engine *engine)
{
	if (told.leaves)
		return leave(engine);
	if (!parent_is_there())
		return PARENT_STAY;
	if (engine->phase != ENGINE_RUNNING) {
		look_at_stop(engine);
	} else if (!told.ready) {
		look_at_start(engine);
	} else if (told.reloading) {
		told.reloading = false;
		say_ready(engine);
	}
	say_status(engine);
	return PARENT_STAY;
}
