/*
 * When two worlds are the same: what the future depends on, packed.
 *
 * Times are relative to now and end where they stop to matter; incarnations,
 * pointers and the reasons of what is over are left out.  Records are sorted,
 * so that it does not matter which of them a worker was given.
 */
#include "explore.h"

#include <assert.h>
#include <string.h>

struct packer {
	uint64_t bits;
	uint32_t used;
};

static void
put(struct packer *p, uint64_t value, uint32_t width)
{
	assert(p->used + width <= 64 && value < UINT64_C(1) << width);
	p->bits = p->bits << width | value;
	p->used += width;
}

/* How far away a deadline is; one that is over is at 0. */
static uint64_t
ahead(uint64_t when_ms, uint64_t now_ms, uint64_t most)
{
	uint64_t ms = when_ms > now_ms ? when_ms - now_ms : 0;

	return ms < most ? ms : most;
}

static uint64_t
behind(uint64_t when_ms, uint64_t now_ms, uint64_t most)
{
	return now_ms - when_ms < most ? now_ms - when_ms : most;
}

/* The slot comes first, so that sorted records are in the order of slots. */
static uint64_t
worker_key(const struct rollout *r, const struct worker *w, uint64_t now_ms)
{
	struct packer p = { 0 };

	if (w->state == WORKER_GONE)
		return UINT64_MAX;
	put(&p, w->id.slot, 4);
	put(&p, w->revision, 3);
	put(&p, w->state, 3);
	put(&p, w->ending != ENDING_NONE, 1);
	put(&p, now_ms - w->started_ms >= BACKOFF_SETTLED_MS, 1);
	put(&p, w->state == WORKER_STARTING && w->started_ms == now_ms, 1);
	put(&p, ahead(w->deadline_ms, now_ms, 0xffff), 16);
	put(&p, w->state == WORKER_READY ?
	    behind(w->ready_ms, now_ms, 0xf) : 0, 4);
	put(&p, w->state == WORKER_READY && r->probed_ms != NOT_YET_MS &&
	    r->probed_ms >= w->ready_ms, 1);
	return p.bits;
}

void
world_sort(struct world *w)
{
	for (uint32_t i = 1; i < w->record_capacity; i++) {
		struct worker worker = w->workers[i];
		uint64_t key = worker_key(&w->rollout, &worker,
		    w->now_ms);
		uint32_t k = i;

		while (k > 0 && worker_key(&w->rollout, &w->workers[k - 1],
		    w->now_ms) > key) {
			w->workers[k] = w->workers[k - 1];
			k--;
		}
		w->workers[k] = worker;
	}
}

static void
put_place(struct packer *p, const struct place *place, uint64_t now_ms)
{
	uint32_t failures = place->backoff.failure_count;

	put(p, failures < 3 ? failures : 3, 2);
	put(p, ahead(place->backoff.not_before_ms, now_ms, 0xff), 8);
	put(p, place->finished, 1);
}

/* Two independent 64-bit mixes of the same words. */
static void
mix(uint64_t hash[2], uint64_t word)
{
	hash[0] = (hash[0] ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	hash[0] ^= hash[0] >> 29;
	hash[1] = (hash[1] + word) * UINT64_C(0xd6e8feb86659fd93);
	hash[1] ^= hash[1] >> 32;
}

/* What a step has got so far. */
static void
put_step(struct packer *p, const struct world *w,
    const struct scenario *scenario)
{
	const struct rollout *r = &w->rollout;
	bool reached = r->reached_ms != NOT_YET_MS;

	put(p, r->pause, 3);
	put(p, r->approved, 1);
	put(p, r->promoted, 1);
	put(p, r->granted_permille, 10);
	put(p, reached, 1);
	put(p, !reached ? 0 : behind(w->now_ms - rollout_held_ms(r, w->now_ms),
	    w->now_ms, 0xf), 4);
	put(p, reached && r->analysed_ms != NOT_YET_MS &&
	    r->analysed_ms >= r->reached_ms, 1);
	put(p, r->phase == ROLLOUT_RETIRE ? behind(r->phase_ms, w->now_ms,
	    scenario->policy.quiet_max_ms + scenario->policy.leave_max_ms) :
	    0, 4);
}

static uint64_t
lanes_key(const struct world *w, const struct scenario *scenario)
{
	const struct rollout *r = &w->rollout;
	struct packer p = { 0 };

	if (r->phase != ROLLOUT_IDLE)
		put_step(&p, w, scenario);
	put(&p, r->base, 3);
	put(&p, r->weight_permille, 10);
	put(&p, behind(r->steered_ms, w->now_ms,
	    scenario->policy.quiet_max_ms), 4);
	put(&p, behind(r->busy_ms, w->now_ms, scenario->policy.quiet_ms), 4);
	put(&p, ahead(r->steer_after_ms, w->now_ms, 0xf), 4);
	put(&p, w->queue_waits, 1);
	put(&p, w->refuses, 1);
	/* where the planner is right this adds no states */
	if (r->phase != ROLLOUT_IDLE) {
		put(&p, w->seen.approved, 1);
		put(&p, w->seen.promoted, 1);
	}
	return p.bits;
}

void
world_hash(const struct world *w, const struct scenario *scenario,
    uint64_t ret_hash[2])
{
	const struct rollout *r = &w->rollout;
	struct packer p = { 0 };

	ret_hash[0] = ret_hash[1] = 1;
	put(&p, r->phase, 3);
	put(&p, r->stable, 3);
	put(&p, r->candidate, 3);
	put(&p, r->phase != ROLLOUT_IDLE ? r->step : 0, 4);
	put(&p, r->phase != ROLLOUT_IDLE ? r->fault : 0, 4);
	put(&p, r->phase != ROLLOUT_IDLE ? r->recall : 0, 4);
	put(&p, r->phase != ROLLOUT_IDLE ? r->progress : 0, 8);
	put(&p, r->phase != ROLLOUT_IDLE ? behind(r->progress_ms, w->now_ms,
	    scenario->policy.progress_deadline_ms) : 0, 8);
	put(&p, w->worker_count, 4);
	put(&p, w->faults_left, 3);
	put(&p, w->orders_left, 2);
	put(&p, w->excused, 1);
	mix(ret_hash, p.bits);
	mix(ret_hash, lanes_key(w, scenario));
	for (uint32_t i = 0; i < w->slot_capacity; i++) {
		p = (struct packer){ 0 };
		put_place(&p, &w->slots[i].stable, w->now_ms);
		put_place(&p, &w->slots[i].candidate, w->now_ms);
		put(&p, w->slots[i].handed_over, 1);
		mix(ret_hash, p.bits);
	}
	for (uint32_t i = 0; i < w->record_capacity; i++)
		mix(ret_hash, worker_key(&w->rollout, &w->workers[i],
		    w->now_ms));
}
