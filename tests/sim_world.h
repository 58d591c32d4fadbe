/*
 * The simulator's parts, and what they share: one run of supd's engine in
 * virtual time, from a seed.
 *
 *   simulate.c     the program: which seeds, what is printed
 *   sim_run.c      one run: the loop, its phases, its end
 *   sim_plan.c     what is drawn: services, builds
 *   sim_text.c     the configuration's file
 *   sim_command.c  what operators do
 *   sim_accident.c what happens to them
 *   sim_world.c    the port (world.h): clock, pins, starts, ledger
 *   sim_lane.c     the rest of it: lanes, tasks
 *   sim_process.c  processes: how they behave, and when
 *   sim_witness.c  what tasks have told of a rollout, and what comes of it
 *   sim_model.c    what the engine said and did, judged one by one
 *   sim_check.c    what must be true after every turn
 *   sim_restart.c  the engine is thrown away and made anew from its state
 *   sim_crash.c    and from that of the turn before, while the world is ahead
 *   sim_death.c    supd dies in the middle of a turn
 *   sim_cover.h    what has to happen sometimes
 *   sim_trace.c    random numbers, the queue of what comes, trace, coverage
 *
 * All of a run is in one struct sim, and nothing of it depends on an address
 * or on the machine: the same seed gives the same trace.
 */
#ifndef SUPD_TESTS_SIM_WORLD_H
#define SUPD_TESTS_SIM_WORLD_H

#include <stdio.h>

#include "config.h"
#include "engine.h"
#include "invariants.h"
#include "sim_cover.h"
#include "state.h"

enum {
	SIM_NAMES = 4,                  /* services that may be configured */
	SIM_SERVICES_MAX = 128,         /* with different ids, of one boot */
	SIM_BUILDS_MAX = 512,
	SIM_REVISIONS_MAX = 512,
	SIM_DEPLOYMENTS_MAX = 512,
	SIM_PINNED_MAX = 128,
	SIM_LIVING_MAX = 2048,
	SIM_LINES = 60,                 /* of the trace, kept for a failure */
	SIM_LINE_BYTES = 200,
	SIM_QUARANTINE = 8,
	SIM_LANES_MAX = 64,
	SIM_TASKS_MAX = 64,
};

#define SIM_BEGIN_MS UINT64_C(1000000)

enum sim_build_kind {
	BUILD_GOOD,
	BUILD_NEVER_READY,
	BUILD_EXITS,            /* at once */
	BUILD_FLASH,            /* READY, and exits within min_ready */
	BUILD_CRASHES,          /* after a while */
	BUILD_SLOW,             /* ready just before ready_timeout, or after */
	BUILD_SILENT,           /* stops to answer its watchdog */
	BUILD_TRIGGERS,         /* WATCHDOG=trigger */
	BUILD_STOPS,            /* STOPPING=1 by itself */
	BUILD_NO_EXEC,          /* cannot be executed */
	BUILD_SICK,             /* fails its probe */
	BUILD_CONDEMNED,        /* the analysis finds it bad */
	BUILD_FAT,              /* uses far too much memory */
	BUILD_STUCK,            /* does not accept */
	BUILD_KIND_COUNT,
};

/* What a build does besides, good or not. */
enum {
	QUIRK_RELOADING_FIRST = 1, QUIRK_EXTENDS = 2, QUIRK_TWICE = 4,
	QUIRK_STATUS = 8, QUIRK_ERRNO = 16, QUIRK_MAIN_PID = 32,
	QUIRK_WATCHDOG_MS = 64, QUIRK_DEAF = 128, QUIRK_SLOW_DRAIN = 256,
	QUIRK_LATE_READY = 512, /* READY after it was told to stop */
	QUIRK_LAST = 512,
};

struct sim_build {
	enum sim_build_kind kind;
	unsigned quirks;
	bool rewritten;         /* in place, since it was pinned */
};

/* A release that is pinned, as the world knows it. */
struct sim_pin {
	struct release *release;        /* NULL: nobody has come back to it */
	uint32_t number;                /* never used again */
	bool lost;                      /* its executable, in a restart */
};

struct sim_process {
	struct sim_process *next;       /* of all of the run */
	uint32_t number;                /* never used again */
	uint32_t pin;                   /* number of its release's */
	uint32_t index;                 /* in sim.living */
	uint32_t boot;                  /* of which boot it is */
	uint32_t service;
	struct worker_id id;
	uint32_t revision;
	const struct release *release;
	const struct sim_build *build;
	pid_t pid;
	uint64_t alive_at_ms;
	enum worker_state state;        /* as the engine has to see it */
	uint64_t watchdog_ms;
	bool dead;                      /* its exit is under way */
	bool lost;                      /* nobody follows it any more */
	bool silent;
	bool said_ready;                /* and not since that it reloads */
	uint32_t ready_timeout_ms, drain_timeout_ms;    /* when it started */
	int error_number;
	char status[24];                /* that arrived last */
};

enum sim_item_type {
	ITEM_SEND,              /* a living process says something */
	ITEM_ARRIVE,            /* and this reaches the engine */
	ITEM_END,               /* a process ends */
	ITEM_PING,
	ITEM_COMMAND,
	ITEM_TASK,              /* `value` ends */
};

struct sim_item {
	uint64_t when_ms;
	uint64_t sequence;      /* first come, first served */
	enum sim_item_type type;
	struct sim_process *process;
	enum event_type event;
	struct exit_status exit;
	uint64_t value;
};

struct sim_lane {
	uint32_t reference_count;       /* 0: closed */
	uint32_t name;                  /* index of its draft */
	uint32_t weight_permille;
	uint64_t lost_ms;               /* when its weight last fell to 0 */
};

struct sim_task {
	uint64_t id;                    /* 0: none */
	uint32_t service;
	enum task_kind kind;
	const struct sim_build *build;
	uint64_t began_ms;
	enum lane lane;                 /* of a probe */
	bool was_ready;                 /* somebody in it */
};

struct sim_revision {
	uint64_t fingerprint;
	bool was_in_charge;
	bool condemned;         /* rolled back or undone since */
};

/* What was found out about a rollout, as its tasks have told. */
struct sim_findings {
	struct {
		uint64_t began_ms;      /* the last that was asked for */
		uint32_t failing_count; /* in a row */
	} probes[LANE_COUNT];
	uint64_t weighed_ms;            /* since when it is; 0: is not */
	uint64_t met_ms;                /* since when users meet a bad one; 0 */
	enum rollout_fault fault;       /* at the last turn */
	const struct spec *spec;        /* as it began */
	bool prepared;                  /* before_rollout has passed */
	bool took_charge;
};

/* A service as it follows from what was recorded and published. */
struct sim_service {
	uint32_t id;            /* 0: never seen */
	uint32_t stable, candidate;
	uint32_t given_up;      /* a rollback of this one began */
	uint32_t incarnation_last;
	uint32_t undo_count;    /* in a row */
	bool leftover;          /* a third release may have live workers: its
				 * rollback ended (by deadline), or a stopped
				 * service let it go and was started at once */
	bool had_leftover;
	bool is_late;           /* has no release yet */
	bool jumped;            /* one took charge while it was stopped: nobody
				 * waits for those who drain then; or so many
				 * are left to serve that nobody is to go */
	struct sim_findings found;
	bool owes_after;        /* it has completed: after_rollout is to run */
	int64_t in_charge_since_s;
	struct policy policy;   /* at the last turn */
	bool reshaped;          /* a rollout runs, and its steps were others, or
				 * its release had workers left when it began */
	uint64_t quarantine[SIM_QUARANTINE];
	uint32_t quarantine_next;
	struct sim_revision revisions[SIM_REVISIONS_MAX];
};

struct sim_deployment {
	bool announced, begun, recorded, finished;
	bool given_up;          /* by an order; must not complete any more */
	bool in_charge;         /* when the service was stopped: it stays so */
	enum deployment_kind kind;
	enum rollout_verdict verdict;
};

/* What stands in the configuration and lies on the disk under one name. */
struct sim_draft {
	char name[16];
	bool present;           /* in the configuration */
	struct spec *spec;
	uint32_t build;         /* index in sim.builds */
	struct past past;       /* the ledger */
	uint64_t told[SIM_REVISIONS_MAX];       /* fingerprints in it */
	uint64_t prepared;              /* for which before_rollout was run last */
};

/* Incarnations that this service has given. */
struct sim_given {
	uint32_t service;               /* 0: none */
	uint32_t last;
};

struct sim_totals {
	uint64_t covers[SIM_COVER_COUNT];
	uint64_t run_count, rollout_count, turn_count, start_count;
	uint64_t restart_count;
	uint64_t verdicts[VERDICT_COUNT];
};

/* Is the engine made anew in the middle? */
enum sim_restarts {
	SIM_GOES_ON,            /* no */
	SIM_KEEPS_ALL,          /* and nothing is lost: nobody may notice */
	SIM_LOSES,              /* and tasks are lost, now and then more: a
				 * handle, an executable, a whole turn */
	SIM_DIES,               /* in the middle of a turn, and nothing else */
};

struct sim {
	uint64_t seed, state;
	uint64_t now_ms, armed_ms;
	uint64_t sequence;
	bool chaos;             /* faults may happen */
	bool commands;          /* operators are at work */
	bool operator_signals;  /* what is signalled now is not a drain */
	bool releasing;         /* the engine lets go of everything */
	bool verbose;
	bool migrates;          /* what waits in a lane that is closed */

	struct engine engine;
	struct world world;
	struct sim_draft drafts[SIM_NAMES];
	struct sim_build builds[SIM_BUILDS_MAX];
	uint32_t build_count;
	bool config_bad, pin_fails, bind_fails;
	uint64_t refuse_until_ms, busy_until_ms;
	uint32_t commands_left;

	struct sim_process *processes;
	struct sim_process *living[SIM_LIVING_MAX];
	uint32_t living_count;
	pid_t pid_last;
	uint32_t boot_count;
	struct sim_pin pinned[SIM_PINNED_MAX];
	uint32_t pinned_count;
	uint32_t pin_last, process_last;

	struct sim_lane lanes[SIM_LANES_MAX];
	struct sim_lane *bases[SIM_NAMES];      /* what the rest goes to */
	bool divided[SIM_NAMES];        /* the last steering had two lanes */
	struct sim_task tasks[SIM_TASKS_MAX];

	enum sim_restarts restarts;
	struct state *writer;
	char *log;                      /* what it has written */
	size_t log_bytes;
	uint32_t kept_count;            /* turns of this writer */
	bool turn_lost;                 /* the world is ahead of the state */
	bool hooks_kept;                /* by the state, a hook is waited for */
	uint64_t task_kept;             /* the last that it knows of */
	struct sim_service *saved_services;     /* as of the state: what */
	struct sim_deployment *saved_deployments;       /* follows from it */

	struct world living_world;      /* that of a supd that is not dead */
	bool dead;                      /* supd is; its engine knows nothing */
	bool sheltered;                 /* it must not die now */
	uint32_t deed_count;            /* of this turn */
	uint32_t calm_death_count;
	struct sim_given workers_given[SIM_SERVICES_MAX];       /* the last, */
	uint64_t task_given;                    /* also by who is dead */

	struct sim_item *heap;
	uint32_t item_count, item_capacity;

	struct sim_service services[SIM_SERVICES_MAX];
	struct sim_deployment deployments[SIM_DEPLOYMENTS_MAX];
	uint64_t turned_ms;             /* when the last turn was */
	uint32_t turn_count;            /* at this instant, */
	uint32_t idle_turn_count;       /* and for nothing, in a row */
	bool acted;                     /* something was done since the last */
	struct invariants invariants;
	struct fleet shadow;            /* what the planner is asked with */
	uint32_t slot_room, worker_room;

	char lines[SIM_LINES][SIM_LINE_BYTES];
	uint64_t line_count;
	uint64_t hash;
	char broken[400];               /* "" : nothing */
	struct sim_totals *totals;
};

/* sim_trace.c */
uint32_t sim_random(struct sim *);
uint32_t sim_below(struct sim *, uint32_t bound);       /* 0 … bound - 1 */
bool sim_chance(struct sim *, uint32_t percent);
void sim_cover(struct sim *, enum sim_cover);
const char *sim_cover_name(enum sim_cover);
void sim_trace(struct sim *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Notes what is broken; the first one counts. */
void sim_fail(struct sim *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_print_lines(const struct sim *, FILE *);
void sim_push(struct sim *, struct sim_item);
/* When the next item comes; NEVER_MS: none. */
uint64_t sim_next_ms(const struct sim *);
struct sim_item sim_pop(struct sim *);

/* sim_plan.c */
void sim_draw_drafts(struct sim *);
void sim_free_drafts(struct sim *);
/* Another build lies on the disk from now on. */
void sim_draw_build(struct sim *, struct sim_draft *, bool good);
/* Changes something of the configuration of this service. */
void sim_change_spec(struct sim *, struct sim_draft *);
/* Rolled, and not probed. */
void sim_simplify_spec(struct sim *, struct sim_draft *);
struct sim_draft *sim_draft(struct sim *, const char *name);

/* sim_text.c */
struct config *sim_make_config(struct sim *);

/* sim_world.c */
void sim_world_init(struct sim *);
uint64_t sim_fingerprint(const struct sim *, const struct spec *,
    uint32_t build);
/* The build that a release was made of. */
const struct sim_build *sim_build_of(const struct sim *,
    const struct release *);

/* Its memory. */
void sim_free_release(struct release *);
/* NULL: it is not pinned. */
struct sim_pin *sim_pin(struct sim *, const struct release *);

/* sim_restart.c */
void sim_restart_init(struct sim *);
/* A turn is over: notes the state, and may go on from it. */
void sim_keep(struct sim *);
void sim_forget_state(struct sim *);
void sim_restart(struct sim *);

/* sim_crash.c */
struct sim_service *sim_service_of(struct sim *, uint32_t id);
/* Remembers what follows from what was noted until now. */
void sim_save_model(struct sim *);
/* supd ends before it has noted this turn, and goes on from the one before. */
void sim_lose_turn(struct sim *);

/* sim_death.c */
void sim_death_init(struct sim *);
void sim_death_boot(struct sim *);

/* sim_lane.c */
void sim_lane_init(struct sim *);
/* A number for the lane it is in, and back; -1: none. */
int sim_lane_number(const struct sim *, const struct release *);
void sim_lane_restore(struct sim *, struct release *, int number);
/* The base of this name, or NULL. */
struct shard *sim_shard(struct sim *, uint32_t name);
void sim_lane_bind(struct sim *, struct release *, uint32_t name);
/* After a crash: what no release holds is closed. */
void sim_lane_recount(struct sim *);
void sim_lane_share(struct release *, const struct release *other);
/* Found so, and going back: who waits in its lane is served if that is closed. */
bool sim_is_deaf(const struct sim *, const struct service *, uint32_t revision);
void sim_lane_leave(struct sim *, struct release *, struct lane_end *ret_end);
/* What the kernel gives this release; 0: it has no lane. */
uint32_t sim_weight(const struct release *);
/* It has a lane that connections do not come to.  Only deaths leave workers there
 * for so long that those who serve may have ended meanwhile. */
bool sim_gets_nothing(const struct sim *, const struct release *);
/* Has the lane of this release lost its weight, and connections in it? */
bool sim_is_left(struct sim *, const struct release *, uint64_t quiet_max_ms);
void sim_task_ended(struct sim *, uint64_t id);
void sim_judge_tasks(struct sim *);

/* sim_process.c */
struct sim_process *sim_process_new(struct sim *, const struct start *);
void sim_process_signal(struct sim *, struct sim_process *, int signal_number);
/* Ends it so much later. */
void sim_process_end(struct sim *, struct sim_process *, uint64_t after_ms,
    bool by_signal, int number);
/* It is no worker any more. */
void sim_process_gone(struct sim *, struct sim_process *);
/* Tells the engine what was heard from it in a turn that was lost. */
void sim_process_tell_ready(struct sim *, struct sim_process *);
void sim_process_item(struct sim *, const struct sim_item *);
bool sim_is_handle(const struct sim *, const void *process);

/* sim_accident.c */
void sim_accident(struct sim *);

/* sim_command.c */
void sim_command(struct sim *);
/* Reloads this service, or all (NULL); judges what comes of it. */
int sim_reload(struct sim *, const char *name, unsigned flags,
    struct reload_results *ret_results);

/* sim_witness.c */
/* A task is asked for; fills in whose it is. */
void sim_witness_run(struct sim *, struct sim_task *, uint32_t revision);
void sim_witness_refused(struct sim *, const struct sim_task *);
/* Tells the engine that it has ended, and judges what comes of it. */
void sim_witness_end(struct sim *, const struct sim_task *,
    const struct task_result *);
void sim_witness_begin(struct sim_service *, const struct service *);
void sim_witness_record(struct sim *, struct sim_service *,
    const struct deployment *, bool begun);
void sim_witness_order(struct sim *, const struct service *,
    enum rollout_verb);
void sim_witness_stop(struct sim *, const struct service *, bool was_recalled);
void sim_witness_turn(struct sim *, struct service *);

/* sim_model.c */
struct sim_service *sim_service(struct sim *, const char *name);
struct service *sim_engine_service(struct sim *, uint32_t id);
bool sim_is_live(const struct sim_process *);
void sim_judge_start(struct sim *, const struct start *);
void sim_judge_drain(struct sim *, struct sim_process *);
void sim_judge_record(struct sim *, const struct deployment *);
void sim_judge_notice(struct sim *, const struct notice *);
/* Somebody was told this id, and waits for its end. */
void sim_announce(struct sim *, const struct reload_result *);
/* The revision that `undo` has to go to; 0: none. */
uint32_t sim_undo_revision(struct sim *, const char *name);
/* Has this revision been in charge, and is it not? */
bool sim_is_undoable(struct sim *, const char *name, uint32_t revision);
bool sim_is_quarantined(const struct sim_service *, uint64_t fingerprint);
/* An order takes back what this service rolls out. */
void sim_give_up(struct sim *, const struct service *);
/* All that was announced or begun has ended. */
void sim_judge_deployments(struct sim *);

/* sim_check.c */
void sim_check_before_turn(struct sim *);
void sim_check_after_turn(struct sim *);
/* True if nothing is left to be done for any service; else what is, is in
 * sim->invariants.broken. */
bool sim_is_settled(struct sim *);
/* Will workers of this revision get ready and stay so, without faults? */
bool sim_is_sound(struct sim *, struct service *, uint32_t revision);
/* Everything must have settled so long after the last fault and command. */
uint64_t sim_settle_bound_ms(const struct sim *);

/* sim_run.c */
/* Plays one run; false if something is broken, which is in sim->broken. */
bool sim_run(struct sim *, uint64_t seed, enum sim_restarts, bool verbose,
    struct sim_totals *);
void sim_boot(struct sim *);

#endif
