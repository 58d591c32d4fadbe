/*
 * What supd has to say: a notice is one thing that happened, for the log, for
 * `supctl events` and for who waits for a rollout; a deployment is what is
 * remembered of a rollout, in memory while it runs and in the ledger after.
 * Plain data.
 */
#ifndef SUPD_NOTICE_H
#define SUPD_NOTICE_H

#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "rollout.h"

#define NOTICE_TYPES(X) \
	X(SUPERVISOR, "supervisor")     /* supd itself */ \
	X(SERVICE, "service")           /* started, stopped, scaled … */ \
	X(LISTENER, "listener") \
	X(STARTED, "started")           /* a worker … */ \
	X(NOT_STARTED, "not-started") \
	X(READY, "ready") \
	X(DRAINING, "draining") \
	X(KILLED, "killed") \
	X(EXITED, "exited") \
	X(WORKER, "worker")             /* something else of a worker */ \
	X(ROLLOUT, "rollout")           /* it began */ \
	X(STEP, "step") \
	X(WEIGHT, "weight") \
	X(TASK, "task")                 /* a hook, an analysis … ended */ \
	X(PAUSED, "paused") \
	X(RESUMED, "resumed") \
	X(IN_CHARGE, "in-charge")       /* the new release is */ \
	X(ROLLBACK, "rollback") \
	X(FINISHED, "finished")

#define X(UPPER, text) NOTICE_##UPPER,
enum notice_type { NOTICE_TYPES(X) NOTICE_TYPE_COUNT };
#undef X

enum notice_level { NOTICE_PLAIN, NOTICE_WARNING, NOTICE_ERROR };

struct notice {
	enum notice_type type;
	enum notice_level level;
	const char *service;            /* or NULL */
	uint64_t deployment;            /* id of the rollout it is of, or 0 */
	struct worker_id id;            /* incarnation 0: no worker */
	uint32_t revision;
	pid_t pid;
	const char *text;               /* one sentence, for people */
};

const char *notice_type_name(enum notice_type);

/* Why there was a deployment. */
#define DEPLOYMENT_KINDS(X) \
	X(START, "start") X(RELOAD, "reload") X(UNDO, "undo") \
	X(RESTART, "restart")

#define X(UPPER, text) DEPLOYMENT_##UPPER,
enum deployment_kind { DEPLOYMENT_KINDS(X) DEPLOYMENT_KIND_COUNT };
#undef X

const char *deployment_kind_name(enum deployment_kind);

#define CONNECTIONS_UNKNOWN UINT64_MAX

/*
 * What was seen while one step lasted.  Connections are an estimate: those that
 * the network namespace accepted meanwhile, split by the weight.
 */
struct observation {
	uint32_t step;                  /* from 0 */
	uint32_t weight_permille;
	uint32_t candidates;            /* that were ready at its end */
	uint64_t began_ms;              /* after the rollout began */
	uint64_t duration_ms;
	uint64_t connections;           /* of both lanes, or _UNKNOWN */
	uint32_t probes_passed, probes_failed;
	uint32_t analyses;
	uint32_t queue_max;             /* of the candidate lane */
	uint64_t stable_memory_bytes;   /* of one worker, on average; 0: not */
	uint64_t candidate_memory_bytes;        /* known */
};

/* What is run for a service besides its workers. */
#define TASK_KINDS(X) \
	X(PROBE, "probe") X(ANALYSIS, "analysis") X(VERSION, "version") \
	X(BEFORE, "before_rollout") X(AFTER, "after_rollout")

#define X(UPPER, text) TASK_##UPPER,
enum task_kind { TASK_KINDS(X) TASK_KIND_COUNT };
#undef X

const char *task_kind_name(enum task_kind);

/* How a command that was run for a rollout has ended. */
struct hook {
	const char *name;               /* of the key; static */
	bool failed;
	uint64_t duration_ms;
	char text[128];
	char output[HOOK_OUTPUT_BYTES_MAX + 1];
};

enum { HOOKS_MAX = 4 };                 /* kept of one rollout */

struct deployment {
	uint64_t id;                    /* counts from 1 in each supd; 0: none */
	char service[NAME_LENGTH_MAX + 1];
	enum deployment_kind kind;
	uint32_t revision;
	uint32_t from_revision;         /* 0: none */
	char version[VERSION_BYTES_MAX + 1];
	char build_id[2 * BUILD_ID_BYTES_MAX + 1];
	uint64_t fingerprint;
	const char *strategy;           /* a static name */
	int64_t commit_time_s;          /* 0: unknown */
	int64_t started_s, finished_s;  /* wall clock */
	uint64_t started_ms;            /* monotonic */
	uint64_t duration_ms;
	struct course course;
	int64_t in_charge_s;            /* wall clock; 0: it never was */
	uint64_t handed_over;           /* connections that waited in a lane */
	uint64_t lost;                  /* when it was closed, or _UNKNOWN */
	struct observation observations[STEPS_MAX];
	uint32_t observation_count;
	struct hook hooks[HOOKS_MAX];
	uint32_t hook_count;
	enum rollout_verdict verdict;
	char reason[REASON_BYTES_MAX];  /* "" if complete */
};

#endif
