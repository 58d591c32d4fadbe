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
	w->record_capacity = policy->workers +
	    strategy_surge(policy, &scenario->course) + 3;
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
	/* after a long peace nothing is due to what was before */
	w->rollout.base = w->rollout.stable;
	rollout_begin(&w->rollout, &fleet, REVISION_CANDIDATE,
	    &scenario->course, BEGIN_MS);
	assert(w->rollout.phase == ROLLOUT_PREPARE);
	if (!scenario->prepares)
		rollout_prepared(&w->rollout, BEGIN_MS);
	w->incarnation_last = fleet.incarnation_last;
	witness_init(w);
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
	enum event_type good = rollout_good_event(w, c->scenario);
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
	else if (good != EVENT_NOTHING)
		offer(c, good, 0, 0);
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
	const struct rollout *r = &w->rollout;
	uint32_t workers = c->scenario->policy.workers;

	if (w->orders_left == 0)
		return;
	if (rollout_can(r, ROLLOUT_CAN_ABORT)) {
		offer(c, EVENT_RECALL, 0, 0);
		offer(c, EVENT_SUPERSEDE, 0, 0);
	}
	if (r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_FAULT)
		offer(c, EVENT_RESUME, 0, 0);
	if (rollout_can(r, ROLLOUT_CAN_PAUSE))
		offer(c, EVENT_PAUSE, 0, 0);
	if (rollout_can(r, ROLLOUT_CAN_PROMOTE))
		offer(c, EVENT_PROMOTE, 0, 0);
	offer(c, EVENT_SCALE, 0, 0);
	offer(c, EVENT_SCALE, workers + 1, 0);
	if (workers > 1)
		offer(c, EVENT_SCALE, workers - 1, 0);
}

static void
offer_of_rollout(struct choice *c)
{
	struct costly_event events[ROLLOUT_EVENTS_MAX];
	uint32_t count = rollout_events(c->world, c->scenario, events);

	for (uint32_t i = 0; i < count; i++)
		offer(c, events[i].type, 0, events[i].cost);
	/* free: else a pause would be the end of most paths */
	if (rollout_can(&c->world->rollout, ROLLOUT_CAN_RESUME) &&
	    c->world->rollout.pause != PAUSE_FAULT && c->scenario->resumes)
		offer(c, EVENT_RESUME, 0, 0);
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
	offer_of_rollout(&c);
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
pay(struct world *w, uint32_t cost, bool may_end)
{
	assert(cost <= w->faults_left);
	w->faults_left = (uint8_t)(w->faults_left - cost);
	if (cost != 0 && may_end)
		w->excused = true;
}

static void
pay_for_worker(struct world *w, struct event event)
{
	const struct worker *worker = &w->workers[event.index];
	bool free_of_charge = event.type == EVENT_READY ||
	    !worker_is_live(worker);

	pay(w, free_of_charge ? 0 : 1,
	    worker->revision == w->rollout.candidate &&
	    event.type != EVENT_REFUSED);
}

/* A candidate that ends by itself, or cannot be executed, ends the climb. */
static bool
refutes(const struct world *w, struct event event)
{
	const struct worker *worker = &w->workers[event.index];

	return rollout_is_judged(&w->rollout) &&
	    worker->revision == w->rollout.candidate &&
	    worker->ending == ENDING_NONE &&
	    (event.type == EVENT_EXIT_CLEAN ||
	    event.type == EVENT_EXIT_FAILED || event.type == EVENT_NOT_EXECUTED);
}

static void
apply_to_rollout(struct world *w, const struct scenario *scenario,
    struct event event)
{
	struct costly_event events[ROLLOUT_EVENTS_MAX];
	uint32_t count = rollout_events(w, scenario, events), cost = 0;

	for (uint32_t i = 0; i < count; i++)
		if (events[i].type == event.type)
			cost = events[i].cost;
	/* that nobody could go back does not excuse what follows */
	if (rollout_apply(w, event.type))
		w->excused = true;
	pay(w, cost, false);
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

	switch (event.type) {
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
	default:
		assert(!"not an event of a worker");
	}
}

bool
world_is_of_worker(enum event_type type)
{
	return type == EVENT_READY || type == EVENT_RELOADING ||
	    type == EVENT_STOPPING || type == EVENT_EXIT_CLEAN ||
	    type == EVENT_EXIT_FAILED || type == EVENT_SILENT ||
	    type == EVENT_REFUSED || type == EVENT_NOT_EXECUTED;
}

static bool
is_order(enum event_type type)
{
	return type == EVENT_RECALL || type == EVENT_SUPERSEDE ||
	    type == EVENT_SCALE || type == EVENT_PAUSE ||
	    type == EVENT_PROMOTE;
}

static void
pass(struct world *w, uint64_t passed_ms)
{
	w->now_ms += passed_ms;
	witness_time(w, passed_ms);
}

void
world_apply(struct world *w, const struct scenario *scenario,
    struct event event)
{
	struct policy policy = policy_of(w, scenario);

	if (is_order(event.type) || (event.type == EVENT_RESUME &&
	    w->rollout.pause == PAUSE_FAULT))
		w->orders_left--;
	if (world_is_of_worker(event.type)) {
		pay_for_worker(w, event);
		w->refuted |= refutes(w, event);
		apply_to_worker(w, &policy, event);
	} else if (event.type == EVENT_SCALE) {
		w->worker_count = event.index;
	} else if (event.type == EVENT_TIME) {
		pay(w, overdue_at(w, w->deadline_ms), true);
		/* a probe that is late may cost the progress_deadline */
		w->excused |= rollout_good_event(w, scenario) ==
		    EVENT_PROBE_PASSES;
		pass(w, w->deadline_ms - w->now_ms);
	} else if (event.type == EVENT_MILLISECOND) {
		pass(w, 1);
	} else if (event.type != EVENT_NOTHING) {
		apply_to_rollout(w, scenario, event);
	}
}
