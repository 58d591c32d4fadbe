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
	X(PAUSED, "paused") \
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
	enum rollout_verdict verdict;
	char reason[REASON_BYTES_MAX];  /* "" if complete */
};

#endif
