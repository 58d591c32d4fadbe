/*
 * The engine: services, their releases and rollouts; events in, requests to
 * the world out.
 *
 * Callbacks record what happened (engine_event), and once per turn of the loop
 * engine_turn() lets the planner compare and carries out what it decided.  The
 * engine does no I/O; the world does (world.h).  The simulator runs this very
 * code.
 *
 *   engine.c         set-up, the turn, shutting down
 *   engine_event.c   what workers say and how they end
 *   engine_act.c     carrying out the planner's actions
 *   engine_deploy.c  from a release to a rollout, and what is left of it
 *   engine_reload.c  from the configuration to releases
 *   engine_verb.c    undo, restart, start, stop, scale, signal
 *   engine_order.c   pause, resume, promote, abort
 *   engine_hook.c    what is run before and after a rollout
 *   engine_probe.c   probes of the two lanes; readiness by probe
 *   engine_judge.c   the analysis, queues and memory of the candidate
 *   engine_lane.c    steering, what was observed, what was lost
 *   engine_repair.c  a listener that was shut down, or lost its path
 *   service.c        one service's records and memory
 */
#ifndef SUPD_ENGINE_H
#define SUPD_ENGINE_H

#include "event.h"
#include "rollout.h"
#include "world.h"

/* What the engine knows of a worker beyond the planner's record of it; same
 * index as in fleet.workers. */
struct mate {
	void *process;          /* the world's handle */
	pid_t pid;
	int error_number;       /* ERRNO= */
	char *status;           /* STATUS=, or NULL */
};

struct kept_release {
	struct release *release;        /* NULL: free */
	bool was_in_charge;
	bool quarantined;               /* was rolled back or undone */
};

/* A build that was rolled back or undone; fingerprint 0: free. */
struct quarantined {
	uint64_t fingerprint;
	struct identity identity;
};

/* What is known of one lane by probes. */
struct lane_probe {
	uint64_t task;                  /* that runs; 0: none */
	uint64_t began_ms;
	bool was_ready;                 /* somebody was, when it began */
	uint32_t passed_count, failed_count;
	uint32_t failing_count;         /* in a row */
	char text[TASK_TEXT_BYTES_MAX]; /* what the last one has seen */
};

enum lane { LANE_STABLE, LANE_CANDIDATE, LANE_COUNT };

/* That before_rollout is to be run is in the state before it is. */
enum { HOOK_TURNS_MAX = 2 };

/* Who watches the candidate: probes, the analysis, queues and memory. */
struct judge {
	struct lane_probe probes[LANE_COUNT];
	uint64_t analysis;              /* the task that runs; 0: none */
	uint64_t analysis_began_ms;
	uint64_t hook;                  /* before_rollout, or what gives the */
	enum task_kind hook_kind;       /* version */
	uint32_t hook_turns;            /* before_rollout is run in so many; 0: */
					/* it was, or is not to be */
	uint64_t sample_next_ms;
	uint32_t queue_last, queue_growth_count;
	uint32_t memory_count;          /* samples in a row that were bad */
	uint64_t accepted;              /* when the observation began */
};

struct service {
	uint32_t id;                    /* never used again */
	char name[NAME_LENGTH_MAX + 1];
	struct spec *spec;              /* a reference; what the file says */
	uint32_t workers;               /* as configured or scaled */
	bool stopped;                   /* by an operator */
	bool removed;                   /* from the configuration; ends empty */

	struct policy policy;           /* of spec and workers */
	struct fleet fleet;
	struct mate *mates;
	struct rollout rollout;
	uint32_t steered_base;          /* as the kernel does it */
	uint32_t steered_permille;
	bool unsettled;                 /* a rollout is over, but its steering */
	uint64_t settle_at_ms;          /* still stands; not to try before */
	struct judge judge;
	struct kept_release releases[RELEASES_KEPT_MAX];
	uint32_t revision_last;
	int64_t in_charge_since_s;      /* of the stable release */

	struct deployment deployment;   /* the running one; id 0: none */
	struct deployment last;         /* the one before; id 0: none */
	struct deployment next;         /* waits for the running one's rollback; */
	struct release *next_release;   /* NULL: none waits */

	struct quarantined quarantine[RELEASES_KEPT_MAX];
	uint32_t quarantine_next;

	uint64_t retry_at_ms;           /* pin again, no release yet */
	uint32_t retry_count;
	uint64_t busy_until_ms;         /* ETXTBSY is not a failure before */
	uint64_t restart_count;         /* workers of the release in charge that
					 * ended by themselves */
	char trouble[REASON_BYTES_MAX]; /* why there is no release; or "" */
	struct worker last_exit;        /* who ended last, and when: */
	uint64_t last_exit_ms;          /* 0: nobody yet */
};

enum engine_phase { ENGINE_RUNNING, ENGINE_STOPPING, ENGINE_DONE };

struct engine {
	const struct world *world;
	struct service *services[SERVICES_MAX]; /* the first service_count */
	uint32_t service_count;
	uint32_t service_id_last;
	uint64_t deployment_last;
	uint64_t task_last;
	uint64_t signal_last;           /* to supd, that was done; the world's */
	enum engine_phase phase;
	int64_t started_s;
	uint64_t started_ms;
};

void engine_init(struct engine *, const struct world *);

/* Frees everything.  Workers that still run are left alone. */
void engine_release(struct engine *);

/*
 * Takes the first configuration and starts its services.  A service whose
 * build cannot be pinned, or whose address cannot be bound, is tried again
 * with backoff; the others start.  Frees the configuration.
 */
void engine_boot(struct engine *, struct config *);

void engine_event(struct engine *, const struct event *);

/* Decides and acts; arms the world's timer.  Call once per turn of the loop,
 * after all events of it. */
void engine_turn(struct engine *);

/* Stops all workers; phase DONE when the last one is gone.  Called a second
 * time it sends SIGKILL. */
void engine_shutdown(struct engine *);

/* A task has ended that the world was asked to run. */
void engine_task_ended(struct engine *, const struct task_result *);

const char *engine_lane_name(enum lane);

/* What the candidate gets of new connections; without lanes its share of the
 * slots. */
uint32_t engine_weight_permille(const struct service *);

struct service *engine_find(const struct engine *, const char *name);

/*
 * A worker shut this shard down (shutdown(2) on the shared socket), or somebody
 * removed its path (`gone`), and a new socket stands at its address: the workers
 * that have the dead one are told to stop and are replaced at once, each by its own
 * release; connections wait in the new queue meanwhile.  `name` is the listener's.
 */
void engine_repair(struct engine *, const struct shard *, const char *name,
    bool gone);

/*
 * Requests.  Each returns 0, or -1 and a sentence in ret_text
 * (REASON_BYTES_MAX) with what is wrong, and nothing was changed.
 */

enum { RELOAD_FORCE = 1, RELOAD_IF_CHANGED = 2, RELOAD_PLAN = 4 };

struct reload {
	const char *services[SERVICES_MAX];     /* none: all */
	uint32_t service_count;
	unsigned flags;
	bool has_strategy;              /* for this once, another one: */
	enum strategy strategy;
	const char *version;            /* label, or NULL */
	int64_t commit_time_s;          /* 0: unknown */
};

/* What a reload means for one service. */
struct reload_result {
	char service[NAME_LENGTH_MAX + 1];
	uint64_t deployment;            /* the rollout to wait for; 0: none */
	uint32_t revision;              /* of the new release; 0: none */
	char text[REASON_BYTES_MAX];    /* what is done, and why */
	struct policy policy;           /* for the plan's steps */
	struct course course;
	bool rolls_out;
	bool failed;                    /* was to be done and could not; `text` */
};

struct reload_results {
	struct reload_result list[SERVICES_MAX];
	uint32_t count;
};

/*
 * Reads the configuration and the builds and rolls out what is new.  All or
 * nothing: first everything is pinned and bound, then it is taken over.
 * With RELOAD_PLAN nothing is taken over.  A bad configuration: -1, and the
 * errors are in ret_errors (which the caller releases in any case).
 */
int engine_reload(struct engine *, const struct reload *,
    struct reload_results *ret_results, struct config_errors *ret_errors,
    char *ret_text);

/* To `to_revision`, which is still pinned; 0: to the best before. */
int engine_undo(struct engine *, struct service *, uint32_t to_revision,
    struct reload_result *ret_result, char *ret_text);
/*
 * Edits of the running rollout (rollout_can() says when each is possible).  The
 * result tells the deployment to wait for.  -1: not in this phase.
 */
int engine_order(struct engine *, struct service *, enum rollout_verb,
    struct reload_result *ret_result, char *ret_text);
int engine_restart(struct engine *, struct service *,
    struct reload_result *ret_result, char *ret_text);
int engine_start(struct engine *, struct service *, char *ret_text);
int engine_stop(struct engine *, struct service *, char *ret_text);
int engine_scale(struct engine *, struct service *, int64_t workers,
    char *ret_text);
/* Returns how many ready workers were signalled, or -1. */
int engine_signal(struct engine *, struct service *, int signal_number,
    char *ret_text);

#endif
