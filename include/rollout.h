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
 *  - a lane with weight has a ready worker, unless they crashed; and its last
 *    one is not drained;
 *  - a lane that lost its weight is drained when its queue was empty for a
 *    while, and before that only if it does not get empty, or is deaf;
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
 *   PREPARE   before_rollout runs; nothing has changed yet
 *   CLIMB     the candidates of the present step are brought up, or it holds
 *   PAUSED    it goes no further, see `pause`; crashed workers are replaced by
 *             their own release
 *   KEEP      the candidate is in charge, the old set stays warm for a while
 *   RETIRE    the candidate is in charge, the old lane is emptied and left
 *   ROLLBACK  every slot goes back to the stable release
 */
#define ROLLOUT_PHASES(X) \
	X(IDLE, idle) X(PREPARE, prepare) X(CLIMB, climb) X(PAUSED, paused) \
	X(KEEP, keep) X(RETIRE, retire) X(ROLLBACK, rollback)

/* Why it is PAUSED.  After a FAULT nothing but an operator moves it; in the
 * others a failure of the candidate still takes it back. */
#define ROLLOUT_PAUSES(X) \
	X(NONE, "nothing") \
	X(STEP, "the step waits for an operator") \
	X(OPERATOR, "an operator paused it") \
	X(DOUBT, "what judges it is inconclusive") \
	X(FAULT, "it failed, and on_failure is pause")

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
	X(PROBE, "the probe of the new release failed") \
	X(ANALYSIS, "the analysis found the new release bad") \
	X(QUEUE, "connections pile up before the new workers") \
	X(MEMORY, "the new workers use far more memory than the old ones") \
	X(HOOK, "before_rollout failed") \
	X(STEER, "the kernel refused to steer connections") \
	X(OPERATOR, "an operator took it back") \
	X(SUPERSEDED, "a newer release came")

#define X(UPPER, text) ROLLOUT_##UPPER,
enum rollout_phase { ROLLOUT_PHASES(X) ROLLOUT_PHASE_COUNT };
#undef X
#define X(UPPER, text) VERDICT_##UPPER,
enum rollout_verdict { ROLLOUT_VERDICTS(X) VERDICT_COUNT };
#undef X
#define X(UPPER, text) PAUSE_##UPPER,
enum rollout_pause { ROLLOUT_PAUSES(X) PAUSE_COUNT };
#undef X
#define X(UPPER, text) FAULT_##UPPER,
enum rollout_fault { ROLLOUT_FAULTS(X) FAULT_COUNT };
#undef X

/* When something has never been. */
#define NOT_YET_MS UINT64_MAX

struct rollout {
	enum rollout_phase phase;
	enum rollout_pause pause;
	uint32_t stable;                /* revision in charge before; 0: none */
	uint32_t candidate;             /* revision on its way; 0 when IDLE */
	struct course course;
	uint32_t step;
	uint64_t reached_ms;            /* when the step had all it asks for */
	bool approved;                  /* an operator let this step pass */
	bool promoted;                  /* and all others up to the last */
	enum rollout_fault fault;       /* what went wrong first; or NONE */
	bool deaf;                      /* see rollout_found_deaf() */
	enum rollout_fault recall;      /* OPERATOR, SUPERSEDED or NONE */
	struct worker_id culprit;       /* incarnation 0: no worker's fault */
	uint64_t started_ms;
	uint64_t phase_ms;              /* when it entered its phase */
	uint64_t progress_ms;           /* when it last came nearer to its end */
	uint32_t progress;              /* how near, in units of its own */

	/* Steering, as it is.  What the candidate lane does not get, the base
	 * lane does: that of the stable release, or of what a rollback left to
	 * serve because the stable one does not get ready. */
	uint32_t base;                  /* revision; 0: none yet */
	uint32_t weight_permille;       /* of the candidate lane */
	uint32_t granted_permille;      /* what the last reached step gives it */
	uint64_t steered_ms;            /* when this last changed, */
	uint64_t busy_ms;               /* when a lane without weight last had
					 * a connection in its queue */
	uint64_t steer_after_ms;        /* the kernel refused: not before */

	/* What was found out; when what found it began. */
	uint64_t probed_ms;             /* a passed probe of the candidates; */
	uint64_t analysed_ms;           /* a good analysis; or NOT_YET_MS */
};

enum action_type {
	ACTION_START,           /* execute worker `id` of `revision` */
	ACTION_DRAIN,           /* send it the drain signal, because of `ending` */
	ACTION_KILL,            /* SIGKILL to its process group */
	ACTION_READY,           /* nothing: it is taken as ready, by alive_at */
	ACTION_STEER,           /* the lane of `revision` gets `weight_permille`,
				 * that of `base` the rest */
	ACTION_STEP,            /* the rollout reached step `step` */
	ACTION_PAUSE,           /* it stands still, because of `pause` */
	ACTION_KEEP,            /* the new release is in charge, the old is warm */
	ACTION_RETIRE,          /* the new release is in charge, the old goes */
	ACTION_ROLLBACK,        /* it is being taken back, because of `fault` */
	ACTION_FINISH,          /* it ended with `verdict` */
};

struct action {
	enum action_type type;
	struct worker_id id;
	uint32_t revision;
	enum worker_ending ending;
	uint32_t step;
	uint32_t base;
	uint32_t weight_permille;
	enum rollout_pause pause;
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
const char *rollout_pause_text(enum rollout_pause);
const char *rollout_fault_text(enum rollout_fault);

/*
 * Begins a rollout to `candidate`, in PREPARE.  The phase must be IDLE, and
 * `candidate` another revision than `stable`.  Candidate places start with a
 * clean slate.
 */
void rollout_begin(struct rollout *, struct fleet *, uint32_t candidate,
    const struct course *, uint64_t now_ms);

/* What had to be done before anything changes was done: to CLIMB. */
void rollout_prepared(struct rollout *, uint64_t now_ms);

/*
 * Takes the running rollout back; `recall` is FAULT_OPERATOR or
 * FAULT_SUPERSEDED.  In IDLE and ROLLBACK it changes nothing.  A newer release
 * does not take back what is in charge already (KEEP, RETIRE): it ends that.
 */
void rollout_recall(struct rollout *, enum rollout_fault recall);

/* Is the candidate in charge (KEEP, RETIRE)? */
bool rollout_is_in_charge(const struct rollout *);

/* How long the present step, which is reached, has held.  A pause stops that. */
uint64_t rollout_held_ms(const struct rollout *, uint64_t now_ms);

/* The revision that users are to get: in charge, or a part of them. */
uint32_t rollout_revision(const struct rollout *);

/*
 * An operator's edits of the cursor.  Each is possible in some phases only;
 * false: not in this one, and nothing was changed.
 *   pause    CLIMB; the present step gets the workers and the weight that it
 *            asks for, no further one begins, the new release does not take
 *            charge, and the clock of the hold stops
 *   resume   PAUSED; goes on, and passes what it waited for.  After a fault it
 *            tries again.
 *   promote  CLIMB and PAUSED but after a fault: all holds, pauses and analyses
 *            up to the last step are passed.  KEEP: ends it.
 *   abort    all but IDLE and ROLLBACK, see rollout_recall()
 */
#define ROLLOUT_VERBS(X) X(PAUSE, pause) X(RESUME, resume) \
	X(PROMOTE, promote) X(ABORT, abort)
#define X(UPPER, lower) ROLLOUT_CAN_##UPPER,
enum rollout_verb { ROLLOUT_VERBS(X) ROLLOUT_VERB_COUNT };
#undef X

const char *rollout_verb_name(enum rollout_verb);
bool rollout_can(const struct rollout *, enum rollout_verb);
bool rollout_pause(struct rollout *, uint64_t now_ms);
bool rollout_resume(struct rollout *, uint64_t now_ms);
bool rollout_promote(struct rollout *, uint64_t now_ms);

/*
 * What was found out about the candidate.  `began_ms` is when the probe or the
 * analysis began: it tells nothing about what came later.  A failure that is
 * not a worker's own is reported with rollout_fail(); the first one counts, and
 * none where the rollout is not judged (any more).  An inconclusive analysis
 * pauses a climb, unless an operator let this step pass: true if it did.
 */
void rollout_probed(struct rollout *, uint64_t began_ms);
void rollout_analysed(struct rollout *, uint64_t began_ms);
bool rollout_inconclusive(struct rollout *, uint64_t now_ms);
void rollout_fail(struct rollout *, enum rollout_fault);

/* Has the candidate passed a probe since this worker of it is ready? */
bool rollout_is_probed(const struct rollout *, const struct worker *);

/* Would a failure of the candidate take this rollout back (or pause it)? */
bool rollout_is_judged(const struct rollout *);

/*
 * It failed since nobody accepts what waits in the candidate's lane, and that is
 * handed over when the lane is closed: going back does not wait for a queue that
 * only closing it empties.
 */
void rollout_found_deaf(struct rollout *);

/* A lane without weight had connections in its queue. */
void rollout_busy(struct rollout *, uint64_t now_ms);

/* Does a tick want to know about such a lane (rollout_busy)? */
bool rollout_watches_queue(const struct rollout *);

/* The steering of an ACTION_STEER could not be set; the one before holds, and
 * the kernel is asked again at `again_ms`. */
void rollout_not_steered(struct rollout *, uint32_t base,
    uint32_t weight_permille, uint64_t again_ms);

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
