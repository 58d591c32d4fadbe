/*
 * Who starts, who is handed over and who goes: the part of a tick that
 * compares places with the workers that fill them.
 */
#include "rollout_tick.h"

#include <string.h>

/*
 * Places
 */

/* Of the present step, or all that have taken over. */
static bool
wants_candidate(const struct tick *t, uint32_t slot)
{
	const struct rollout *r = t->rollout;
	bool of_step = slot < strategy_step(t->policy, &r->course,
	    r->step).candidates;

	if (slot >= t->policy->workers)
		return false;
	switch (r->phase) {
	case ROLLOUT_IDLE:
	case ROLLOUT_PREPARE:
	case ROLLOUT_ROLLBACK:
		return false;
	case ROLLOUT_KEEP:
	case ROLLOUT_RETIRE:
		return true;
	case ROLLOUT_CLIMB:
		return t->fleet->slots[slot].handed_over || of_step;
	case ROLLOUT_PAUSED:
		if (r->pause == PAUSE_FAULT && !strategy_is_beside(&r->course))
			of_step = false;
		return t->fleet->slots[slot].handed_over || of_step;
	case ROLLOUT_PHASE_COUNT:
		break;
	}
	return false;
}

static bool
wants_stable(const struct tick *t, uint32_t slot)
{
	const struct rollout *r = t->rollout;

	if (slot >= t->policy->workers || r->stable == 0 ||
	    r->phase == ROLLOUT_RETIRE)
		return false;
	return r->phase == ROLLOUT_IDLE || r->phase == ROLLOUT_ROLLBACK ||
	    !t->fleet->slots[slot].handed_over;
}

static bool
is_wanted(const struct tick *t, const struct worker *w)
{
	if (w->revision == t->rollout->stable)
		return wants_stable(t, w->id.slot);
	if (w->revision == t->rollout->candidate)
		return wants_candidate(t, w->id.slot);
	return false;
}

/*
 * Are users served by this worker's release?  Where both releases have all
 * their workers, those of the one in charge have to be enough.
 */
static bool
counts_for_users(const struct tick *t, const struct worker *w)
{
	const struct rollout *r = t->rollout;

	return !strategy_is_beside(&r->course) ||
	    w->revision == rollout_revision(r);
}

/* Is the slot one that users rely on: its release is to run in it? */
static bool
counts_for_floor(const struct tick *t, uint32_t slot)
{
	const struct slot *s = &t->fleet->slots[slot];

	if (wants_stable(t, slot) && !rollout_is_in_charge(t->rollout))
		return !s->stable.finished;
	return (s->handed_over || rollout_is_in_charge(t->rollout)) &&
	    wants_candidate(t, slot) && !s->candidate.finished;
}

/*
 * One that stops by itself keeps its place until its exit tells whether it is
 * to be replaced, and when; unless it is to be at once whatever its exit says.
 */
static bool
fills_place(const struct tick *t, const struct worker *w)
{
	if (worker_is_live(w))
		return true;
	if (w->state == WORKER_GONE || w->ending != ENDING_NONE ||
	    rollout_place(t->rollout, t->fleet, w) == NULL)
		return false;
	return t->policy->restart != RESTART_ALWAYS ||
	    w->since_ms - w->started_ms < BACKOFF_SETTLED_MS;
}

static void
index_worker(struct tick *t, struct worker *w)
{
	struct slot *slot = &t->fleet->slots[w->id.slot];
	struct worker **filled_by;

	if (w->revision == t->rollout->stable)
		filled_by = &slot->stable_live;
	else if (w->revision == t->rollout->candidate)
		filled_by = &slot->candidate_live;
	else
		return;
	if (*filled_by == NULL || worker_is_live(w))
		*filled_by = w;
}

/*
 * The last worker of a lane with weight has to stay, also in a slot that is not
 * wanted any more: then its successor comes beside it.
 */
static uint32_t
surplus(const struct tick *t)
{
	uint32_t count = 0;

	for (uint32_t i = 0; t->rollout->course.split &&
	    i < t->fleet->worker_capacity; i++)
		count += worker_is_live(&t->fleet->workers[i]) &&
		    t->fleet->workers[i].id.slot >= t->policy->workers;
	return count;
}

void
fleet_tick_index(struct tick *t)
{
	struct fleet *fleet = t->fleet;
	uint32_t wanted = 0;

	t->available = t->ready = 0;
	for (uint32_t i = 0; i < fleet->slot_capacity; i++) {
		struct slot *slot = &fleet->slots[i];

		slot->stable_live = slot->candidate_live = NULL;
		wanted += counts_for_floor(t, i);
	}
	for (uint32_t i = 0; i < fleet->worker_capacity; i++) {
		struct worker *w = &fleet->workers[i];

		if (counts_for_users(t, w)) {
			t->available += tick_is_available(t, w);
			t->ready += w->state == WORKER_READY;
		}
		if (w->id.slot < fleet->slot_capacity && fills_place(t, w))
			index_worker(t, w);
	}
	t->count = fleet_count(fleet);
	t->ceiling = t->policy->workers +
	    strategy_surge(t->policy, &t->rollout->course) + surplus(t);
	t->floor = wanted > t->policy->unavailable ?
	    wanted - t->policy->unavailable : 0;
	t->crowded = cursor_is_crowded(t);
}

/*
 * Single actions, applied as they are emitted
 */

static bool
start(struct tick *t, uint32_t slot, uint32_t revision,
    struct worker **ret_worker)
{
	struct action *a;

	if (t->count.free == 0)         /* until one of those who leave ends */
		return false;
	if (t->start_count == STARTS_PER_TURN_MAX) {
		tick_wake_at(t, t->now_ms);
		return false;
	}
	a = tick_emit(t, ACTION_START);
	if (a == NULL)
		return false;
	*ret_worker = fleet_start(t->fleet, slot, revision, t->policy,
	    t->now_ms);
	a->id = (*ret_worker)->id;
	a->revision = revision;
	t->start_count++;
	t->count.free--;
	t->count.live++;
	return true;
}

static bool
drain(struct tick *t, struct worker *w, enum worker_ending ending)
{
	struct slot *slot;
	struct action *a = tick_emit(t, ACTION_DRAIN);

	if (a == NULL)
		return false;
	a->id = w->id;
	a->revision = w->revision;
	a->ending = ending;
	if (worker_is_live(w)) {
		t->ceiling -= t->rollout->course.split &&
		    w->id.slot >= t->policy->workers;
		t->count.live--;
		t->count.leaving++;
	}
	if (counts_for_users(t, w)) {
		t->ready -= w->state == WORKER_READY;
		t->available -= tick_is_available(t, w);
	}
	w->ending = (uint8_t)ending;
	worker_step(w, WORKER_EVENT_DRAIN, t->policy, t->now_ms);
	if (w->id.slot < t->fleet->slot_capacity) {
		slot = &t->fleet->slots[w->id.slot];
		if (slot->stable_live == w)
			slot->stable_live = NULL;
		if (slot->candidate_live == w)
			slot->candidate_live = NULL;
	}
	return true;
}

bool
fleet_tick_can_spare(const struct tick *t, const struct worker *w)
{
	if (w->state != WORKER_READY || !counts_for_users(t, w))
		return true;
	if (tick_is_available(t, w))
		return t->available > t->floor;
	return t->ready > t->floor;
}

/*
 * Deadlines
 */

static void
expire_worker(struct tick *t, struct worker *w)
{
	struct place *place = rollout_place(t->rollout, t->fleet, w);
	struct action *a;
	bool watchdog = w->state == WORKER_READY;

	if (!worker_is_live(w)) {
		a = tick_emit(t, ACTION_KILL);
		if (a == NULL)
			return;
		a->id = w->id;
		a->revision = w->revision;
		worker_step(w, WORKER_EVENT_KILL, t->policy, t->now_ms);
		return;
	}
	if (!drain(t, w, watchdog ? ENDING_WATCHDOG : ENDING_NOT_READY))
		return;
	rollout_blame(t->rollout, w, watchdog ? FAULT_WATCHDOG : FAULT_NOT_READY);
	if (place != NULL)
		rollout_place_ended(place, t->policy, false,
		    watchdog ? t->now_ms - w->started_ms : 0, t->random,
		    t->now_ms);
}

static void
become_ready(struct tick *t, struct worker *w)
{
	struct action *a = tick_emit(t, ACTION_READY);

	if (a == NULL)
		return;
	a->id = w->id;
	a->revision = w->revision;
	worker_step(w, WORKER_EVENT_SAID_READY, t->policy, t->now_ms);
	if (counts_for_users(t, w)) {
		t->ready++;
		t->available += tick_is_available(t, w);
	}
}

void
fleet_tick_expire(struct tick *t)
{
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		struct worker *w = &t->fleet->workers[i];

		if (w->state == WORKER_STARTING && w->alive_at_ms <= t->now_ms)
			become_ready(t, w);
		if (w->state != WORKER_GONE && w->deadline_ms <= t->now_ms)
			expire_worker(t, w);
	}
}

/*
 * Starting
 */

static bool
may_start(struct tick *t, const struct place *place)
{
	if (place->finished)
		return false;
	if (place->backoff.not_before_ms > t->now_ms) {
		tick_wake_at(t, place->backoff.not_before_ms);
		return false;
	}
	return t->count.live < t->ceiling;
}

static void
start_stable(struct tick *t)
{
	for (uint32_t i = 0; i < t->policy->workers; i++) {
		struct slot *slot = &t->fleet->slots[i];

		if (slot->stable_live != NULL || !wants_stable(t, i) ||
		    !may_start(t, &slot->stable))
			continue;
		if (!start(t, i, t->rollout->stable, &slot->stable_live))
			return;
	}
}

static void
start_candidates(struct tick *t)
{
	if (t->crowded)
		return;
	for (uint32_t i = 0; i < t->policy->workers; i++) {
		struct slot *slot = &t->fleet->slots[i];

		if (slot->candidate_live != NULL || !wants_candidate(t, i) ||
		    !may_start(t, &slot->candidate))
			continue;
		if (!start(t, i, t->rollout->candidate, &slot->candidate_live))
			return;
	}
}

/*
 * Letting go
 */

static bool
has_stable(const struct slot *slot)
{
	return slot->stable_live != NULL && worker_is_live(slot->stable_live);
}

/* A slot changes hands when its candidate is good, or when there is no room
 * for one otherwise.  With a lane of its own there is always room. */
static bool
may_hand_over(const struct tick *t, uint32_t i)
{
	const struct slot *slot = &t->fleet->slots[i];
	const struct worker *candidate = slot->candidate_live;
	bool no_room = !t->crowded && !t->rollout->course.split &&
	    t->count.live >= t->ceiling;

	if (slot->handed_over || !wants_candidate(t, i))
		return false;
	if (!(tick_is_available(t, candidate) &&
	    cursor_is_probed(t, candidate)) && (candidate != NULL || !no_room))
		return false;
	return has_stable(slot) ? fleet_tick_can_spare(t, slot->stable_live) :
	    candidate != NULL;
}

void
fleet_tick_hand_over(struct tick *t)
{
	bool split = t->rollout->course.split;

	if (!tick_takes_over(t) ||
	    strategy_is_beside(&t->rollout->course))
		return;
	for (uint32_t i = 0; i < t->policy->workers; i++) {
		struct slot *slot = &t->fleet->slots[i];

		if (!may_hand_over(t, i))
			continue;
		/* with lanes the weight moves first, see rollout_lane.c */
		if (has_stable(slot) && !split) {
			if (!drain(t, slot->stable_live, ENDING_REPLACED))
				return;
		}
		slot->handed_over = true;
		tick_wake_at(t, t->now_ms);     /* its room may be wanted */
	}
}

void
fleet_tick_start(struct tick *t)
{
	/* The release in charge first: its capacity is what users rely on. */
	start_stable(t);
	if (t->rollout->candidate != 0)
		start_candidates(t);
}

void
fleet_tick_release(struct tick *t)
{
	for (uint32_t i = 0; i < t->fleet->worker_capacity; i++) {
		struct worker *w = &t->fleet->workers[i];
		enum worker_ending why = ENDING_REPLACED;

		if (!worker_is_live(w) || is_wanted(t, w) ||
		    !fleet_tick_can_spare(t, w) || !lane_may_leave(t, w))
			continue;
		if (w->id.slot >= t->policy->workers)
			why = ENDING_SURPLUS;
		else if (w->revision == t->rollout->candidate)
			why = ENDING_ROLLED_BACK;
		if (!drain(t, w, why))
			return;
		tick_wake_at(t, t->now_ms);          /* its room may be wanted */
	}
}
