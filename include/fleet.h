/*
 * The fleet of a service: what is true now.
 *
 * A fleet has slots, and each slot has two places: one for the release in
 * charge (stable) and one for the release that a rollout brings (candidate).
 * A place remembers when it may start again; a worker is a process that fills
 * a place, or filled one and is on its way out.  Outside a rollout only the
 * stable places are used.
 *
 * Pure, and it allocates nothing: whoever owns it brings the two arrays.
 */
#ifndef SUPD_FLEET_H
#define SUPD_FLEET_H

#include "backoff.h"
#include "worker.h"

struct place {
	struct backoff backoff;
	bool finished;          /* `restart` says: not again */
};

struct slot {
	struct place stable;
	struct place candidate;
	bool handed_over;       /* this rollout took the place from stable */
	struct worker *stable_live;     /* valid within one tick only: who */
	struct worker *candidate_live;  /* fills the place, also while it
					 * stops by itself; or NULL */
};

struct fleet {
	struct slot *slots;     /* slot_capacity of them */
	struct worker *workers; /* worker_capacity records; GONE ones are free */
	uint32_t slot_capacity;
	uint32_t worker_capacity;
	uint32_t incarnation_last;
};

/* What a fleet amounts to; see fleet_count(). */
struct fleet_count {
	uint32_t live;          /* starting, ready or reloading */
	uint32_t ready;
	uint32_t leaving;       /* stopping, draining or killed */
	uint32_t free;          /* records without a process */
};

/* The worker with this identity, or NULL if it is gone already. */
struct worker *fleet_find(struct fleet *, struct worker_id);

struct fleet_count fleet_count(const struct fleet *);

/* Workers of `revision` that are in `state`. */
uint32_t fleet_count_state(const struct fleet *, uint32_t revision,
    enum worker_state);

/* Workers of `revision` with a process, in whatever state. */
uint32_t fleet_count_revision(const struct fleet *, uint32_t revision);

/*
 * Takes a free record for a worker of `revision` in `slot`, state STARTING.
 * There must be one (fleet_count().free > 0).
 */
struct worker *fleet_start(struct fleet *, uint32_t slot, uint32_t revision,
    const struct policy *, uint64_t now_ms);

/* Forgets failures and `finished`: an operator asked for a new start. */
void fleet_forgive(struct fleet *);

#endif
