/*
 * The worker automaton: one table from state and event to the next state, and
 * one from state to patience.
 *
 * Impossible pairs are marked, not omitted: an event for a worker that is GONE
 * never gets here, because it is looked up by its incarnation first.
 */
#include "worker.h"

#include <assert.h>
#include <stddef.h>

/* A process that SIGKILL does not end within this time hangs in the kernel. */
#define KILL_PATIENCE_MS UINT64_C(5000)

#define EXTENSION_FACTOR_MAX 10

#define __ WORKER_STATE_COUNT   /* cannot happen */

static const uint8_t next_state[WORKER_STATE_COUNT][WORKER_EVENT_COUNT] = {
	[WORKER_GONE] = {
		[WORKER_EVENT_STARTED] = WORKER_STARTING,
		[WORKER_EVENT_SAID_READY] = __,
		[WORKER_EVENT_SAID_RELOADING] = __,
		[WORKER_EVENT_SAID_STOPPING] = __,
		[WORKER_EVENT_DRAIN] = __,
		[WORKER_EVENT_KILL] = __,
		[WORKER_EVENT_EXITED] = __,
	},
	[WORKER_STARTING] = {
		[WORKER_EVENT_STARTED] = __,
		[WORKER_EVENT_SAID_READY] = WORKER_READY,
		/* some say it before their first READY=1 */
		[WORKER_EVENT_SAID_RELOADING] = WORKER_STARTING,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_STOPPING,
		[WORKER_EVENT_DRAIN] = WORKER_DRAINING,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
	[WORKER_READY] = {
		[WORKER_EVENT_STARTED] = __,
		[WORKER_EVENT_SAID_READY] = WORKER_READY,
		[WORKER_EVENT_SAID_RELOADING] = WORKER_RELOADING,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_STOPPING,
		[WORKER_EVENT_DRAIN] = WORKER_DRAINING,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
	[WORKER_RELOADING] = {
		[WORKER_EVENT_STARTED] = __,
		[WORKER_EVENT_SAID_READY] = WORKER_READY,
		[WORKER_EVENT_SAID_RELOADING] = WORKER_RELOADING,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_STOPPING,
		[WORKER_EVENT_DRAIN] = WORKER_DRAINING,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
	[WORKER_STOPPING] = {
		[WORKER_EVENT_STARTED] = __,
		/* STOPPING=1 is final, see sd_notify(3) of systemd 259 */
		[WORKER_EVENT_SAID_READY] = WORKER_STOPPING,
		[WORKER_EVENT_SAID_RELOADING] = WORKER_STOPPING,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_STOPPING,
		[WORKER_EVENT_DRAIN] = WORKER_DRAINING,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
	[WORKER_DRAINING] = {
		[WORKER_EVENT_STARTED] = __,
		[WORKER_EVENT_SAID_READY] = WORKER_DRAINING,
		[WORKER_EVENT_SAID_RELOADING] = WORKER_DRAINING,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_DRAINING,
		[WORKER_EVENT_DRAIN] = WORKER_DRAINING,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
	[WORKER_KILLED] = {
		[WORKER_EVENT_STARTED] = __,
		[WORKER_EVENT_SAID_READY] = WORKER_KILLED,
		[WORKER_EVENT_SAID_RELOADING] = WORKER_KILLED,
		[WORKER_EVENT_SAID_STOPPING] = WORKER_KILLED,
		[WORKER_EVENT_DRAIN] = WORKER_KILLED,
		[WORKER_EVENT_KILL] = WORKER_KILLED,
		[WORKER_EVENT_EXITED] = WORKER_GONE,
	},
};

/* How long each state may last; NEVER_MS: it waits for nothing. */
static uint64_t
patience_ms(const struct worker *w, enum worker_state state,
    const struct policy *policy)
{
	switch (state) {
	case WORKER_STARTING:
	case WORKER_RELOADING:
		return policy->ready_timeout_ms;
	case WORKER_READY:
		return w->watchdog_ms != 0 ? w->watchdog_ms : NEVER_MS;
	case WORKER_STOPPING:
	case WORKER_DRAINING:
		return policy->drain_timeout_ms;
	case WORKER_KILLED:
		return KILL_PATIENCE_MS;
	case WORKER_GONE:
		return NEVER_MS;
	case WORKER_STATE_COUNT:
		break;
	}
	assert(!"a worker is in no state");
	return NEVER_MS;
}

static uint64_t
deadline_after(uint64_t now_ms, uint64_t patience)
{
	return patience == NEVER_MS ? NEVER_MS : now_ms + patience;
}

#define X(UPPER, lower) [WORKER_##UPPER] = #lower,
static const char *const state_names[WORKER_STATE_COUNT] = { WORKER_STATES(X) };
#undef X
#define X(UPPER, lower) [WORKER_EVENT_##UPPER] = #lower,
static const char *const event_names[WORKER_EVENT_COUNT] = { WORKER_EVENTS(X) };
#undef X
#define X(UPPER, text) [ENDING_##UPPER] = text,
static const char *const ending_texts[ENDING_COUNT] = { WORKER_ENDINGS(X) };
#undef X

const char *
worker_state_name(enum worker_state state)
{
	assert(state < WORKER_STATE_COUNT);
	return state_names[state];
}

const char *
worker_event_name(enum worker_event event)
{
	assert(event < WORKER_EVENT_COUNT);
	return event_names[event];
}

const char *
worker_ending_text(enum worker_ending ending)
{
	assert(ending < ENDING_COUNT);
	return ending_texts[ending];
}

void
worker_step(struct worker *w, enum worker_event event,
    const struct policy *policy, uint64_t now_ms)
{
	enum worker_state before = w->state, after;

	assert(before < WORKER_STATE_COUNT && event < WORKER_EVENT_COUNT);
	after = next_state[before][event];
	assert(after != __);

	/* A repeated KILL waits anew; any other event that changes nothing
	 * must not give a state more time. */
	if (after == before && event != WORKER_EVENT_KILL)
		return;
	w->state = (uint8_t)after;
	w->since_ms = now_ms;
	if (after == WORKER_READY)
		w->ready_ms = now_ms;
	w->deadline_ms = deadline_after(now_ms, patience_ms(w, after, policy));
}

void
worker_pet(struct worker *w, uint64_t now_ms)
{
	if (w->state == WORKER_READY && w->watchdog_ms != 0)
		w->deadline_ms = now_ms + w->watchdog_ms;
}

void
worker_set_watchdog(struct worker *w, uint64_t watchdog_ms, uint64_t now_ms)
{
	w->watchdog_ms = watchdog_ms;
	if (w->state == WORKER_READY)
		w->deadline_ms = deadline_after(now_ms,
		    watchdog_ms != 0 ? watchdog_ms : NEVER_MS);
}

void
worker_extend(struct worker *w, uint64_t extend_ms,
    const struct policy *policy, uint64_t now_ms)
{
	uint64_t patience, latest, wanted;

	if (w->state == WORKER_GONE || w->state == WORKER_READY ||
	    w->state == WORKER_KILLED)
		return;
	patience = patience_ms(w, w->state, policy);
	latest = w->since_ms + EXTENSION_FACTOR_MAX * patience;
	wanted = extend_ms < latest ? now_ms + extend_ms : latest;
	if (wanted > latest)
		wanted = latest;
	if (wanted > w->deadline_ms)
		w->deadline_ms = wanted;
}

bool
worker_is_live(const struct worker *w)
{
	return w->state == WORKER_STARTING || w->state == WORKER_READY ||
	    w->state == WORKER_RELOADING;
}
