/*
 * Inside the engine: what its files share.  Only engine*.c include this.
 */
#ifndef SUPD_ENGINE_PARTS_H
#define SUPD_ENGINE_PARTS_H

#include "engine.h"
#include "service.h"

struct service *engine_find_id(const struct engine *, uint32_t id);

/* A new service at the end of the list, without a release yet; NULL if there
 * is no room. */
struct service *engine_add(struct engine *, struct spec *);

/* The service had no release: this one is in charge from now on. */
void engine_first_release(struct engine *, struct service *,
    struct release *);

/* Carries a plan out; failed starts are reported to the planner. */
void engine_act(struct engine *, struct service *, const struct plan *);

/* SIGKILL, by the kill_mode of the worker's release; says so. */
void engine_kill(struct engine *, struct service *, struct worker *);

/* Fills in what is known of a deployment when it begins. */
void engine_new_deployment(struct engine *, struct service *,
    const struct release *, enum deployment_kind, enum strategy,
    struct deployment *ret);

/* How a rollout of this release would go: with lanes where they are possible. */
struct course engine_course(struct service *, const struct release *,
    enum deployment_kind, enum strategy);

/* Do workers of these two accept from the same queue? */
bool engine_share_lane(const struct release *, const struct release *);

/* A deployment ended: into the ledger, and remembered as the last one. */
void engine_record(struct engine *, struct service *, struct deployment *,
    enum rollout_verdict);

/*
 * Rolls this release out (its revision is set; ownership passes to the
 * service unless it is one of its kept ones already).  If a rollout runs, it is
 * superseded and this one waits for its end.  A stopped service takes it over
 * at once.  0, or -1 and a sentence; then the release is still the caller's.
 */
int engine_deploy(struct engine *, struct service *, struct release *,
    enum deployment_kind, enum strategy, struct reload_result *ret_result,
    char *ret_text);

/* What a request that leads to this deployment is answered; `text` is what is
 * done. */
void engine_describe(const struct service *, const struct deployment *,
    const char *text, struct reload_result *ret_result);

/* To another state, and says so. */
void engine_change_state(struct engine *, struct service *, struct worker *,
    enum worker_event);

/* engine_lane.c */

/* Has the kernel do what an ACTION_STEER says; a refusal is reported back. */
void engine_steer(struct engine *, struct service *, const struct action *);
/* supd was started anew: the kernel may know of a turn that nobody else does.  It
 * is told again what this engine believes. */
void engine_steer_again(struct engine *, struct service *);
/* After a rollout all goes to the base, if that is not so yet; returns when to
 * try again. */
uint64_t engine_settle_turn(struct engine *, struct service *);
/* Tells the planner if a lane without weight has a queue. */
void engine_look_at_queue(struct engine *, struct service *);
/* Of one ready worker of this revision, on average; 0: not known. */
uint64_t engine_memory_bytes(struct engine *, struct service *,
    uint32_t revision);
/* The present observation, or NULL; a new one where the step is another. */
struct observation *engine_observation(struct service *);
void engine_observe(struct engine *, struct service *);
/* Writes into it, if there is one, how it has gone until now. */
void engine_update_observation(struct engine *, struct service *);
/* Closes the lane of a candidate that was found deaf, once all of it was told to
 * stop. */
void engine_hand_over(struct engine *, struct service *);
/* Closes the lane that lost, and notes what was in its queue. */
void engine_count_losses(struct engine *, struct service *,
    struct deployment *, enum rollout_verdict);

/* engine_probe.c, engine_judge.c: each turn starts what is due and returns when
 * it has to be asked again. */
uint64_t engine_probe_turn(struct engine *, struct service *);
void engine_probe_ended(struct engine *, struct service *,
    const struct task_result *);
void engine_judge_sample(struct engine *, struct service *);
uint64_t engine_judge_turn(struct engine *, struct service *);
void engine_analysis_ended(struct engine *, struct service *,
    const struct task_result *);
/* The candidate is bad, or nobody can tell: to the planner, with the reason. */
void engine_condemn(struct engine *, struct service *, enum rollout_fault,
    const char *text);
void engine_doubt(struct engine *, struct service *, const char *text);

/* engine_hook.c */

enum { TASK_PIDS_BYTES = 32768 };

/* NAME=pids of the live workers of this revision, as many as fit. */
void engine_list_pids(const struct service *, uint32_t revision,
    const char *name, char ret_text[TASK_PIDS_BYTES]);
bool engine_task_passed(const struct task_result *);
void engine_describe_task(const struct task_result *, char *ret_text,
    size_t size_bytes);
void engine_keep_hook(struct deployment *, const struct task_result *);
/* Runs a command for the running rollout: its task, or 0 and a sentence. */
uint64_t engine_run_command(struct engine *, struct service *, enum task_kind,
    char *const *argv, uint64_t timeout_ms, char *ret_text);
/* The rollout is in PREPARE: runs what comes first, or nothing. */
void engine_prepare(struct engine *, struct service *);
/* What is to be run by this turn. */
void engine_hook_turn(struct engine *, struct service *);
void engine_run_after(struct engine *, struct service *,
    const struct deployment *);
void engine_hook_ended(struct engine *, struct service *,
    const struct task_result *);
/* Forgets all that is known of the candidate, and kills what still asks. */
void engine_cancel_tasks(struct engine *, struct service *);

/* A rollout ended: notes it, and begins the one that waits, if any. */
void engine_finish(struct engine *, struct service *, const struct action *);

/* Takes back what rolls out, and drops what waits; the service stops. */
void engine_cancel(struct engine *, struct service *);

/* "web/2 of revision 4", for sentences. */
const char *engine_worker_name(const struct service *, struct worker_id,
    uint32_t revision, char *ret_text, size_t size_bytes);

#endif
