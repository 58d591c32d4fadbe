/*
 * The planner: from what is true to what to do next.
 *
 * rollout_tick() is called once per turn of the loop, after all events of the
 * turn were recorded.  It compares the fleet with what the present step wants
 * and emits the difference; it converges, so that a missed event costs a tick
 * and not a wedge.  It is pure: no I/O, no clock, no allocation.  The same
 * function keeps a fleet alive outside rollouts (phase IDLE) and takes a
 * rollout back (phase ROLLBACK).
 *
 * What it promises, and tests/explore.c and tests/simulate.c check:
 *  - it never drains a ready worker if that leaves fewer than
 *    workers - unavailable ready ones, and never starts one beyond
 *    workers + surge live ones;
 *  - a crashed worker is replaced by its own release;
 *  - no step is passed with fewer ready candidates than it asks for;
 *  - nothing of the new release starts after a rollback began;
 *  - every rollout ends.
 */
#ifndef SUPD_ROLLOUT_H
#define SUPD_ROLLOUT_H

#include "bounds.h"
#include "fleet.h"
#include "strategy.h"

/*
 *   IDLE      no rollout: every slot runs the stable release
 *   CLIMB     the candidates of the present step are brought up
 *   PAUSED    a candidate failed and on_failure is `pause`: nothing moves,
 *             crashed workers are replaced by their own release
 *   ROLLBACK  every slot goes back to the stable release
 */
#define ROLLOUT_PHASES(X) \
	X(IDLE, idle) X(CLIMB, climb) X(PAUSED, paused) X(ROLLBACK, rollback)

#define ROLLOUT_VERDICTS(X) \
	X(NONE, "running") X(COMPLETE, "complete") \
	X(ROLLED_BACK, "rolled-back") X(ABORTED, "aborted") \
	X(SUPERSEDED, "superseded")

#define ROLLOUT_FAULTS(X) \
	X(NONE, "nothing") \
	X(EXITED, "a new worker exited") \
	X(NOT_READY, "a new worker was not ready within ready_timeout") \
	X(WATCHDOG, "a new worker was silent for longer than its watchdog") \
	X(SPAWN, "a new worker could not be executed") \
	X(PROGRESS, "no progress within progress_deadline") \
	X(OPERATOR, "an operator took it back") \
	X(SUPERSEDED, "a newer release came")

#define X(UPPER, text) ROLLOUT_##UPPER,
enum rollout_phase { ROLLOUT_PHASES(X) ROLLOUT_PHASE_COUNT };
#undef X
#define X(UPPER, text) VERDICT_##UPPER,
enum rollout_verdict { ROLLOUT_VERDICTS(X) VERDICT_COUNT };
#undef X
#define X(UPPER, text) FAULT_##UPPER,
enum rollout_fault { ROLLOUT_FAULTS(X) FAULT_COUNT };
#undef X

struct rollout {
	enum rollout_phase phase;
	uint32_t stable;                /* revision in charge; 0: none yet */
	uint32_t candidate;             /* revision on its way; 0 when IDLE */
	uint32_t step;
	enum rollout_fault fault;       /* what went wrong first; or NONE */
	enum rollout_fault recall;      /* OPERATOR, SUPERSEDED or NONE */
	struct worker_id culprit;       /* incarnation 0: no worker's fault */
	uint64_t started_ms;
	uint64_t progress_ms;           /* when it last came nearer to its end */
	uint32_t progress;              /* how near, in units of its own */
};

enum action_type {
	ACTION_START,           /* execute worker `id` of `revision` */
	ACTION_DRAIN,           /* send it the drain signal, because of `ending` */
	ACTION_KILL,            /* SIGKILL to its process group */
	ACTION_READY,           /* nothing: it is taken as ready, by alive_at */
	ACTION_STEP,            /* the rollout reached step `step` */
	ACTION_ROLLBACK,        /* it is being taken back, because of `fault` */
	ACTION_PAUSE,           /* it stands still, because of `fault` */
	ACTION_FINISH,          /* it ended with `verdict` */
};

struct action {
	enum action_type type;
	struct worker_id id;
	uint32_t revision;
	enum worker_ending ending;
	uint32_t step;
	enum rollout_fault fault;
	enum rollout_verdict verdict;
};

struct plan {
	struct action actions[ACTIONS_PER_TURN_MAX];
	uint32_t action_count;
	uint64_t deadline_ms;           /* tick again at the latest then */
};

const char *rollout_phase_name(enum rollout_phase);
const char *rollout_verdict_name(enum rollout_verdict);
const char *rollout_fault_text(enum rollout_fault);

/*
 * Begins a rollout to `candidate`.  The phase must be IDLE, and `candidate`
 * another revision than `stable`.  Candidate places start with a clean slate.
 */
void rollout_begin(struct rollout *, struct fleet *, uint32_t candidate,
    uint64_t now_ms);

/*
 * Takes the running rollout back; `recall` is FAULT_OPERATOR or
 * FAULT_SUPERSEDED.  In IDLE and ROLLBACK it changes nothing.
 */
void rollout_recall(struct rollout *, enum rollout_fault recall);

/*
 * What is to be done now.  `fleet` and `rollout` are changed as if all of it
 * had been done: every action is applied as it is emitted, so that two
 * decisions of one tick see each other.  Who executes the actions reports what
 * became of them through the functions below.  If there was more to do than
 * fits into a plan (STARTS_PER_TURN_MAX, ACTIONS_PER_TURN_MAX), deadline_ms is
 * now_ms; where the fleet lacks a free record, it is the exit of a worker that
 * is waited for.  The fleet must have a slot for each of policy->workers.
 * `random` is for the jitter of backoffs.
 */
void rollout_tick(struct rollout *, struct fleet *, const struct policy *,
    uint32_t random, uint64_t now_ms, struct plan *ret_plan);

/*
 * The worker's process ended and was reaped.  `clean`: with an exit status
 * that counts as success.  The record becomes free.
 */
void rollout_exited(struct rollout *, struct fleet *, struct worker_id,
    const struct policy *, bool clean, uint32_t random, uint64_t now_ms);

/*
 * The worker of an ACTION_START could not be executed.  `refused`: the system
 * had no room for a process, which is not the build's fault.
 */
void rollout_not_started(struct rollout *, struct fleet *, struct worker_id,
    const struct policy *, bool refused, uint32_t random, uint64_t now_ms);

#endif
