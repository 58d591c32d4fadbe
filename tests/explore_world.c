/*
 * A small service as a value, and all that can happen to it.
 *
 * Processes and operators are free to do what they like, but what goes wrong
 * is paid for from a budget, so that the number of states stays finite; what
 * goes well is free.  A process that was sent SIGKILL ends before time passes.
 */
#include "explore.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Beyond BACKOFF_SETTLED_MS, so that a start at 0 is settled. */
#define BEGIN_MS UINT64_C(100000)

static struct fleet
fleet_of(struct world *w)
{
	return (struct fleet){
		.slots = w->slots, .workers = w->workers,
		.slot_capacity = w->slot_capacity,
		.worker_capacity = w->record_capacity,
		.incarnation_last = w->incarnation_last,
	};
}

static struct policy
policy_of(const struct world *w, const struct scenario *scenario)
{
	struct policy policy = scenario->policy;

	policy.workers = w->worker_count;
	return policy;
}

void
world_init(struct world *w, const struct scenario *scenario)
{
	const struct policy *policy = &scenario->policy;
	struct fleet fleet;

	memset(w, 0, sizeof(*w));
	w->worker_count = policy->workers;
	w->slot_capacity = policy->workers + 1;
	w->record_capacity = policy->workers + policy->surge + 3;
	assert(w->slot_capacity <= SLOTS_MAX);
	assert(w->record_capacity <= RECORDS_MAX);
	w->now_ms = BEGIN_MS;
	w->faults_left = scenario->fault_count;
	w->orders_left = scenario->order_count;
	w->excused = scenario->excused;

	fleet = fleet_of(w);
	if (scenario->origin != ORIGIN_FIRST)
		w->rollout.stable = REVISION_STABLE;
	for (uint32_t i = 0; scenario->origin == ORIGIN_READY &&
	    i < policy->workers; i++)
		worker_step(fleet_start(&fleet, i, REVISION_STABLE, policy,
		    scenario->settled ? 0 : BEGIN_MS), WORKER_EVENT_SAID_READY,
		    policy, BEGIN_MS);
	rollout_begin(&w->rollout, &fleet, REVISION_CANDIDATE, BEGIN_MS);
	w->incarnation_last = fleet.incarnation_last;
}

/*
 * What may happen
 */

struct choice {
	const struct world *world;
	const struct scenario *scenario;
	struct event *events;
	uint32_t count;
};

static void
offer(struct choice *c, enum event_type type, uint32_t index, uint32_t cost)
{
	if (cost > c->world->faults_left)
		return;
	assert(c->count < EVENTS_MAX);
	c->events[c->count++] = (struct event){
		.type = (uint8_t)type, .index = (uint8_t)index,
	};
}

static bool
is_leaving(const struct worker *w)
{
	return w->state != WORKER_GONE && !worker_is_live(w);
}

/* How many workers run out of patience if time passes up to `when_ms`. */
static uint32_t
overdue_at(const struct world *w, uint64_t when_ms)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < w->record_capacity; i++) {
		if (w->workers[i].state == WORKER_KILLED)
			return UINT32_MAX;
		count += w->workers[i].state != WORKER_GONE &&
		    w->workers[i].deadline_ms <= when_ms;
	}
	return count;
}

static void
offer_good(struct choice *c)
{
	const struct world *w = c->world;
	uint32_t i, starting = RECORDS_MAX;

	for (i = 0; i < w->record_capacity; i++) {
		if (is_leaving(&w->workers[i])) {
			offer(c, EVENT_EXIT_CLEAN, i, 0);
			return;
		}
		if (starting == RECORDS_MAX &&
		    (w->workers[i].state == WORKER_STARTING ||
		    w->workers[i].state == WORKER_RELOADING))
			starting = i;
	}
	if (starting != RECORDS_MAX)
		offer(c, EVENT_READY, starting, 0);
	else
		offer(c, w->deadline_ms != NEVER_MS ? EVENT_TIME :
		    EVENT_NOTHING, 0, 0);
}

static void
offer_of_worker(struct choice *c, uint32_t i)
{
	const struct worker *w = &c->world->workers[i];

	if (w->state == WORKER_GONE)
		return;
	if (!worker_is_live(w)) {
		offer(c, EVENT_EXIT_CLEAN, i, 0);
		offer(c, EVENT_READY, i, 0);    /* late: it changes nothing */
		if (w->ending == ENDING_NONE)
			offer(c, EVENT_EXIT_FAILED, i, 0);
		return;
	}
	if (w->state != WORKER_READY) {
		offer(c, EVENT_READY, i, 0);
	} else {
		offer(c, EVENT_RELOADING, i, 1);
		offer(c, EVENT_SILENT, i, 1);
	}
	offer(c, EVENT_STOPPING, i, 1);
	offer(c, EVENT_EXIT_FAILED, i, 1);
	if (c->scenario->policy.restart == RESTART_ON_FAILURE)
		offer(c, EVENT_EXIT_CLEAN, i, 1);
	if (w->state == WORKER_STARTING && w->started_ms == c->world->now_ms) {
		offer(c, EVENT_REFUSED, i, 1);
		offer(c, EVENT_NOT_EXECUTED, i, 1);
	}
}

static void
offer_orders(struct choice *c)
{
	const struct world *w = c->world;
	uint32_t workers = c->scenario->policy.workers;

	if (w->orders_left == 0)
		return;
	if (w->rollout.phase == ROLLOUT_CLIMB ||
	    w->rollout.phase == ROLLOUT_PAUSED) {
		offer(c, EVENT_RECALL, 0, 0);
		offer(c, EVENT_SUPERSEDE, 0, 0);
	}
	offer(c, EVENT_SCALE, 0, 0);
	offer(c, EVENT_SCALE, workers + 1, 0);
	if (workers > 1)
		offer(c, EVENT_SCALE, workers - 1, 0);
}

uint32_t
world_events(const struct world *w, const struct scenario *scenario,
    struct event ret_events[EVENTS_MAX])
{
	struct choice c = {
		.world = w, .scenario = scenario, .events = ret_events,
	};
	uint64_t deadline_ms = w->deadline_ms;

	offer_good(&c);
	for (uint32_t i = 0; i < w->record_capacity; i++)
		offer_of_worker(&c, i);
	if (deadline_ms != NEVER_MS)
		offer(&c, EVENT_TIME, 0, overdue_at(w, deadline_ms));
	if (scenario->every_ms && deadline_ms > w->now_ms + 1 &&
	    deadline_ms != NEVER_MS)
		offer(&c, EVENT_MILLISECOND, 0, overdue_at(w, w->now_ms));
	offer_orders(&c);
	return c.count;
}

/*
 * What happens
 */

/* Faults of the candidate, and lost time, may end a rollout. */
static void
pay(struct world *w, struct event event)
{
	const struct worker *worker = &w->workers[event.index];
	uint32_t cost = 1;

	if (event.type == EVENT_TIME)
		cost = overdue_at(w, w->deadline_ms);
	else if (event.type == EVENT_READY || !worker_is_live(worker))
		cost = 0;
	assert(cost <= w->faults_left);
	w->faults_left = (uint8_t)(w->faults_left - cost);
	if (cost != 0 && (event.type == EVENT_TIME ||
	    (worker->revision == w->rollout.candidate &&
	    event.type != EVENT_REFUSED)))
		w->excused = true;
}

/* A candidate that ends by itself, or cannot be executed, ends the climb. */
static bool
refutes(const struct world *w, struct event event)
{
	const struct worker *worker = &w->workers[event.index];

	return w->rollout.phase == ROLLOUT_CLIMB &&
	    worker->revision == w->rollout.candidate &&
	    worker->ending == ENDING_NONE &&
	    (event.type == EVENT_EXIT_CLEAN ||
	    event.type == EVENT_EXIT_FAILED || event.type == EVENT_NOT_EXECUTED);
}

static void
say(struct world *w, uint32_t index, enum worker_event event,
    const struct policy *policy)
{
	worker_step(&w->workers[index], event, policy, w->now_ms);
}

static void
apply_to_worker(struct world *w, const struct policy *policy,
    struct event event)
{
	struct worker *worker = &w->workers[event.index];
	struct fleet fleet = fleet_of(w);

	switch ((enum event_type)event.type) {
	case EVENT_READY:
		say(w, event.index, WORKER_EVENT_SAID_READY, policy);
		break;
	case EVENT_RELOADING:
		say(w, event.index, WORKER_EVENT_SAID_RELOADING, policy);
		break;
	case EVENT_STOPPING:
		say(w, event.index, WORKER_EVENT_SAID_STOPPING, policy);
		break;
	case EVENT_SILENT:
		worker->deadline_ms = w->now_ms;
		break;
	case EVENT_EXIT_CLEAN:
	case EVENT_EXIT_FAILED:
		rollout_exited(&w->rollout, &fleet, worker->id, policy,
		    event.type == EVENT_EXIT_CLEAN, 0, w->now_ms);
		break;
	case EVENT_REFUSED:
	case EVENT_NOT_EXECUTED:
		rollout_not_started(&w->rollout, &fleet, worker->id, policy,
		    event.type == EVENT_REFUSED, 0, w->now_ms);
		break;
	case EVENT_NOTHING:
	case EVENT_TIME:
	case EVENT_MILLISECOND:
	case EVENT_RECALL:
	case EVENT_SUPERSEDE:
	case EVENT_SCALE:
	case EVENT_TYPE_COUNT:
		assert(!"not an event of a worker");
	}
}

static void
apply_order(struct world *w, struct event event)
{
	w->orders_left--;
	if (event.type == EVENT_SCALE) {
		w->worker_count = event.index;
		return;
	}
	w->excused = true;
	rollout_recall(&w->rollout, event.type == EVENT_RECALL ?
	    FAULT_OPERATOR : FAULT_SUPERSEDED);
}

void
world_apply(struct world *w, const struct scenario *scenario,
    struct event event)
{
	struct policy policy = policy_of(w, scenario);

	switch ((enum event_type)event.type) {
	case EVENT_NOTHING:
		return;
	case EVENT_TIME:
		pay(w, event);
		w->now_ms = w->deadline_ms;
		return;
	case EVENT_MILLISECOND:
		w->now_ms++;
		return;
	case EVENT_RECALL:
	case EVENT_SUPERSEDE:
	case EVENT_SCALE:
		apply_order(w, event);
		return;
	case EVENT_READY:
	case EVENT_RELOADING:
	case EVENT_STOPPING:
	case EVENT_EXIT_CLEAN:
	case EVENT_EXIT_FAILED:
	case EVENT_SILENT:
	case EVENT_REFUSED:
	case EVENT_NOT_EXECUTED:
	case EVENT_TYPE_COUNT:
		break;
	}
	pay(w, event);
	w->refuted |= refutes(w, event);
	apply_to_worker(w, &policy, event);
}
