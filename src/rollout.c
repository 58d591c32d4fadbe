/*
 * The planner: its public functions, and the order in which a tick decides:
 *
 *   1. who fills which place now                   fleet_tick_index
 *   2. whose patience is over                      fleet_tick_expire
 *   3. where the rollout stands                    cursor_*
 *   4. who is to start, stable places first        fleet_tick_start
 *   5. which slots the candidates take over        fleet_tick_hand_over
 *   6. which lane gets how much                    lane_tick_steer
 *   7. who is not wanted any more and may go       fleet_tick_release
 *   8. whether it has ended                        cursor_finish
 *
 * A slot is handed over when its candidate is available, or when there is no
 * room for the candidate otherwise and the floor of ready workers holds
 * without the stable one.  From then on a crash in this slot is the
 * candidate's to replace; before, the stable release replaces its own, also
 * while the candidate is on its way.
 */
#include "rollout.h"

#include <assert.h>
#include <string.h>

#include "rollout_tick.h"

#define X(UPPER, text) [ROLLOUT_##UPPER] = #text,
static const char *const phase_names[ROLLOUT_PHASE_COUNT] = { ROLLOUT_PHASES(X) };
#undef X
#define X(UPPER, text) [PAUSE_##UPPER] = text,
static const char *const pause_texts[PAUSE_COUNT] = { ROLLOUT_PAUSES(X) };
#undef X
#define X(UPPER, text) [VERDICT_##UPPER] = text,
static const char *const verdict_names[VERDICT_COUNT] = { ROLLOUT_VERDICTS(X) };
#undef X
#define X(UPPER, text) [FAULT_##UPPER] = text,
static const char *const fault_texts[FAULT_COUNT] = { ROLLOUT_FAULTS(X) };
#undef X

const char *
rollout_phase_name(enum rollout_phase phase)
{
	assert(phase < ROLLOUT_PHASE_COUNT);
	return phase_names[phase];
}

const char *
rollout_verdict_name(enum rollout_verdict verdict)
{
	assert(verdict < VERDICT_COUNT);
	return verdict_names[verdict];
}

const char *
rollout_pause_text(enum rollout_pause pause)
{
	assert(pause < PAUSE_COUNT);
	return pause_texts[pause];
}

const char *
rollout_fault_text(enum rollout_fault fault)
{
	assert(fault < FAULT_COUNT);
	return fault_texts[fault];
}

void
tick_wake_at(struct tick *t, uint64_t when_ms)
{
	if (when_ms < t->now_ms)
		when_ms = t->now_ms;
	if (when_ms < t->plan->deadline_ms)
		t->plan->deadline_ms = when_ms;
}

struct action *
tick_emit(struct tick *t, enum action_type type)
{
	struct action *a;

	if (t->plan->action_count == ACTIONS_PER_TURN_MAX) {
		tick_wake_at(t, t->now_ms);
		return NULL;
	}
	a = &t->plan->actions[t->plan->action_count++];
	memset(a, 0, sizeof(*a));
	a->type = type;
	return a;
}

bool
tick_takes_over(const struct tick *t)
{
	return t->rollout->phase == ROLLOUT_CLIMB ||
	    (t->rollout->phase == ROLLOUT_PAUSED &&
	    t->rollout->pause != PAUSE_FAULT);
}

bool
tick_has_live(const struct tick *t, uint32_t revision)
{
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++)
		if (worker_is_live(&t->fleet->workers[i]) &&
		    t->fleet->workers[i].revision == revision)
			return true;
	return false;
}

bool
tick_is_available(const struct tick *t, const struct worker *w)
{
	if (w == NULL || w->state != WORKER_READY)
		return false;
	return w->revision != t->rollout->candidate ||
	    !tick_takes_over(t) ||
	    t->now_ms - w->ready_ms >= t->policy->min_ready_ms;
}

/* An undo brings back a release of which one may still be on its way out. */
static bool
is_of_rollout(const struct rollout *r, const struct worker *w)
{
	return w->revision == r->candidate && w->started_ms >= r->started_ms;
}

struct place *
rollout_place(struct rollout *r, struct fleet *fleet, const struct worker *w)
{
	if (w->id.slot >= fleet->slot_capacity)
		return NULL;
	if (w->revision == r->stable)
		return &fleet->slots[w->id.slot].stable;
	if (is_of_rollout(r, w))
		return &fleet->slots[w->id.slot].candidate;
	return NULL;
}

void
rollout_blame(struct rollout *r, const struct worker *w, enum rollout_fault fault)
{
	if (!rollout_is_judged(r) || !is_of_rollout(r, w) ||
	    r->fault != FAULT_NONE)
		return;
	r->fault = fault;
	r->culprit = w->id;
}

void
rollout_place_ended(struct place *place, const struct policy *policy,
    bool clean, uint64_t lived_ms, uint32_t random, uint64_t now_ms)
{
	place->finished = policy->restart == RESTART_NEVER ||
	    (policy->restart == RESTART_ON_FAILURE && clean);
	backoff_ended(&place->backoff, policy, lived_ms, random, now_ms);
}

static void
arm(struct tick *t)
{
	const struct rollout *r = t->rollout;

	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		const struct worker *w = &t->fleet->workers[i];

		if (w->state != WORKER_GONE)
			tick_wake_at(t, w->deadline_ms);
		if (w->state == WORKER_STARTING)
			tick_wake_at(t, w->alive_at_ms);
		if (w->state == WORKER_READY && w->revision == r->candidate &&
		    !tick_is_available(t, w))
			tick_wake_at(t, w->ready_ms + t->policy->min_ready_ms);
	}
	if (r->phase == ROLLOUT_ROLLBACK)
		tick_wake_at(t, r->progress_ms + t->policy->progress_deadline_ms);
}

void
rollout_tick(struct rollout *r, struct fleet *fleet,
    const struct policy *policy, uint32_t random, uint64_t now_ms,
    struct plan *ret_plan)
{
	struct tick t = {
		.rollout = r, .fleet = fleet, .policy = policy,
		.plan = ret_plan, .random = random, .now_ms = now_ms,
	};

	assert(fleet->slot_capacity >= policy->workers);
	ret_plan->action_count = 0;
	ret_plan->deadline_ms = NEVER_MS;

	fleet_tick_index(&t);
	fleet_tick_expire(&t);
	fleet_tick_index(&t);           /* who was late may have finished */
	cursor_watch_progress(&t);
	cursor_follow_phase(&t);
	cursor_climb(&t);
	fleet_tick_start(&t);
	fleet_tick_hand_over(&t);
	lane_tick_steer(&t);
	fleet_tick_release(&t);
	cursor_watch_progress(&t);      /* what this tick has brought */
	cursor_check_progress(&t);
	cursor_finish(&t);
	arm(&t);
}

void
rollout_exited(struct rollout *r, struct fleet *fleet, struct worker_id id,
    const struct policy *policy, bool clean, uint32_t random, uint64_t now_ms)
{
	struct worker *w = fleet_find(fleet, id);
	struct place *place;

	assert(w != NULL);
	worker_step(w, WORKER_EVENT_EXITED, policy, now_ms);
	if (w->ending != ENDING_NONE)   /* we asked for it */
		return;
	rollout_blame(r, w, FAULT_EXITED);
	place = rollout_place(r, fleet, w);
	if (place != NULL)
		rollout_place_ended(place, policy, clean,
		    now_ms - w->started_ms, random, now_ms);
}

void
rollout_not_started(struct rollout *r, struct fleet *fleet,
    struct worker_id id, const struct policy *policy, bool refused,
    uint32_t random, uint64_t now_ms)
{
	struct worker *w = fleet_find(fleet, id);
	struct place *place;

	assert(w != NULL);      /* the same plan may have drained it already */
	worker_step(w, WORKER_EVENT_EXITED, policy, now_ms);
	place = rollout_place(r, fleet, w);
	if (refused) {
		if (place != NULL)
			backoff_refused(&place->backoff, policy, random, now_ms);
		return;
	}
	rollout_blame(r, w, FAULT_SPAWN);
	if (place != NULL)
		rollout_place_ended(place, policy, false, 0, random, now_ms);
}
