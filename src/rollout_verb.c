/*
 * Edits of a running rollout from outside a tick: its beginning, what an
 * operator says, and what was found out about the candidate.  None of them
 * acts; the next tick sees what they left.
 */
#include "rollout.h"

#include <assert.h>
#include <string.h>

#define X(UPPER, lower) [ROLLOUT_CAN_##UPPER] = #lower,
static const char *const verb_names[ROLLOUT_VERB_COUNT] = { ROLLOUT_VERBS(X) };
#undef X

const char *
rollout_verb_name(enum rollout_verb verb)
{
	assert(verb < ROLLOUT_VERB_COUNT);
	return verb_names[verb];
}

static void
enter(struct rollout *r, enum rollout_phase phase, uint64_t now_ms)
{
	r->phase = phase;
	r->phase_ms = r->progress_ms = now_ms;
	r->progress = 0;
	r->pause = PAUSE_NONE;
}

void
rollout_begin(struct rollout *r, struct fleet *fleet, uint32_t candidate,
    const struct course *course, uint64_t now_ms)
{
	assert(r->phase == ROLLOUT_IDLE);
	assert(candidate != 0 && candidate != r->stable);
	assert(r->weight_permille == 0);

	enter(r, ROLLOUT_PREPARE, now_ms);
	r->candidate = candidate;
	r->course = *course;
	r->step = 0;
	r->approved = r->promoted = false;
	r->fault = r->recall = FAULT_NONE;
	r->deaf = false;
	r->culprit = (struct worker_id){ 0 };
	r->started_ms = now_ms;
	r->reached_ms = r->probed_ms = r->analysed_ms = NOT_YET_MS;
	r->granted_permille = 0;
	for (uint32_t i = 0; i < fleet->slot_capacity; i++) {
		memset(&fleet->slots[i].candidate, 0, sizeof(struct place));
		fleet->slots[i].handed_over = false;
	}
}

void
rollout_prepared(struct rollout *r, uint64_t now_ms)
{
	if (r->phase == ROLLOUT_PREPARE && r->fault == FAULT_NONE &&
	    r->recall == FAULT_NONE)
		enter(r, ROLLOUT_CLIMB, now_ms);
}

bool
rollout_is_in_charge(const struct rollout *r)
{
	return r->phase == ROLLOUT_KEEP || r->phase == ROLLOUT_RETIRE;
}

uint64_t
rollout_held_ms(const struct rollout *r, uint64_t now_ms)
{
	uint64_t until_ms = r->phase == ROLLOUT_PAUSED ? r->phase_ms : now_ms;

	/* it may have been reached in the pause */
	return until_ms > r->reached_ms ? until_ms - r->reached_ms : 0;
}

uint32_t
rollout_revision(const struct rollout *r)
{
	return rollout_is_in_charge(r) ? r->candidate : r->stable;
}

bool
rollout_is_judged(const struct rollout *r)
{
	return r->phase == ROLLOUT_CLIMB || r->phase == ROLLOUT_KEEP ||
	    (r->phase == ROLLOUT_PAUSED && r->pause != PAUSE_FAULT);
}

void
rollout_recall(struct rollout *r, enum rollout_fault recall)
{
	assert(recall == FAULT_OPERATOR || recall == FAULT_SUPERSEDED);
	if (recall == FAULT_SUPERSEDED && rollout_is_in_charge(r)) {
		r->promoted = true;
		return;
	}
	if (r->recall == FAULT_NONE && rollout_can(r, ROLLOUT_CAN_ABORT))
		r->recall = recall;
}

bool
rollout_can(const struct rollout *r, enum rollout_verb verb)
{
	bool faulty = r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_FAULT;

	switch (verb) {
	case ROLLOUT_CAN_PAUSE:
		return r->phase == ROLLOUT_CLIMB;
	case ROLLOUT_CAN_RESUME:
		return r->phase == ROLLOUT_PAUSED;
	case ROLLOUT_CAN_PROMOTE:
		return r->phase == ROLLOUT_CLIMB || r->phase == ROLLOUT_KEEP ||
		    (r->phase == ROLLOUT_PAUSED && !faulty);
	case ROLLOUT_CAN_ABORT:
		return r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_ROLLBACK;
	case ROLLOUT_VERB_COUNT:
		break;
	}
	assert(!"no such verb");
	return false;
}

bool
rollout_pause(struct rollout *r, uint64_t now_ms)
{
	if (!rollout_can(r, ROLLOUT_CAN_PAUSE))
		return false;
	enter(r, ROLLOUT_PAUSED, now_ms);
	r->pause = PAUSE_OPERATOR;
	return true;
}

bool
rollout_resume(struct rollout *r, uint64_t now_ms)
{
	if (!rollout_can(r, ROLLOUT_CAN_RESUME))
		return false;
	if (r->pause == PAUSE_FAULT) {
		r->fault = FAULT_NONE;          /* once more from its step on */
		r->deaf = false;
		r->probed_ms = r->analysed_ms = NOT_YET_MS;
	} else if (r->pause != PAUSE_OPERATOR)
		r->approved = true;
	if (r->reached_ms != NOT_YET_MS)
		r->reached_ms = now_ms - rollout_held_ms(r, now_ms);
	enter(r, ROLLOUT_CLIMB, now_ms);
	return true;
}

bool
rollout_promote(struct rollout *r, uint64_t now_ms)
{
	if (!rollout_can(r, ROLLOUT_CAN_PROMOTE))
		return false;
	r->promoted = true;
	if (r->phase == ROLLOUT_PAUSED)
		enter(r, ROLLOUT_CLIMB, now_ms);
	return true;
}

void
rollout_probed(struct rollout *r, uint64_t began_ms)
{
	r->probed_ms = began_ms;
}

bool
rollout_is_probed(const struct rollout *r, const struct worker *w)
{
	return r->probed_ms != NOT_YET_MS && r->probed_ms >= w->ready_ms;
}

void
rollout_analysed(struct rollout *r, uint64_t began_ms)
{
	r->analysed_ms = began_ms;
}

bool
rollout_inconclusive(struct rollout *r, uint64_t now_ms)
{
	if (r->phase != ROLLOUT_CLIMB || r->approved || r->promoted ||
	    r->fault != FAULT_NONE || r->recall != FAULT_NONE)
		return false;
	enter(r, ROLLOUT_PAUSED, now_ms);
	r->pause = PAUSE_DOUBT;
	return true;
}

void
rollout_fail(struct rollout *r, enum rollout_fault fault)
{
	bool judged = fault == FAULT_HOOK ? r->phase == ROLLOUT_PREPARE :
	    rollout_is_judged(r);

	if (!judged || r->fault != FAULT_NONE)
		return;
	r->fault = fault;
	r->culprit = (struct worker_id){ 0 };
}

void
rollout_found_deaf(struct rollout *r)
{
	r->deaf = r->fault == FAULT_QUEUE;
}

bool
rollout_watches_queue(const struct rollout *r)
{
	return r->course.split && r->phase != ROLLOUT_IDLE &&
	    r->phase != ROLLOUT_PREPARE;
}

void
rollout_busy(struct rollout *r, uint64_t now_ms)
{
	r->busy_ms = now_ms;
}

void
rollout_not_steered(struct rollout *r, uint32_t base, uint32_t weight_permille,
    uint64_t again_ms)
{
	r->base = base;
	r->weight_permille = weight_permille;
	r->steer_after_ms = again_ms;
	rollout_fail(r, FAULT_STEER);
}
