/*
 * What the planner has to know of a service's configuration: plain numbers,
 * percentages already resolved.  config.h says how each is spelled.
 */
#ifndef SUPD_POLICY_H
#define SUPD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"

enum on_failure { ON_FAILURE_ROLLBACK, ON_FAILURE_PAUSE };
enum restart { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };
enum strategy { STRATEGY_ROLLING, STRATEGY_CANARY, STRATEGY_BLUE_GREEN };
enum promotion { PROMOTION_AUTO, PROMOTION_MANUAL };

/* All of the new connections, as a weight. */
enum { WHOLE_PERMILLE = 1000 };

/* One step of `steps`, as a user wrote it. */
struct canary_step {
	uint32_t weight_permille;       /* of new connections, 1 to 1000 */
	bool pause;                     /* goes on when an operator says so */
	uint64_t hold_ms;               /* else after so long */
};

struct policy {
	uint32_t workers;               /* slots wanted; 0: the service is stopped */
	uint32_t surge;                 /* workers beyond that while rolling */
	uint32_t unavailable;           /* workers that may be missing meanwhile */
	enum strategy strategy;
	enum on_failure on_failure;
	enum restart restart;
	uint64_t ready_timeout_ms;
	uint64_t min_ready_ms;
	uint64_t drain_timeout_ms;
	uint64_t watchdog_ms;           /* 0: none */
	uint64_t progress_deadline_ms;
	uint64_t backoff_min_ms;
	uint64_t backoff_max_ms;

	bool lanes;                     /* two releases can share its listeners
					 * by weight; else by workers */
	bool probe;                     /* a lane is probed before it has weight
					 * and as long as a rollout runs */
	bool analysis;                  /* the user's command is asked, too */
	uint64_t quiet_ms;              /* a lane that lost its weight is left */
	uint64_t quiet_max_ms;          /* in peace until its queue was empty */
					/* for so long, at most so long */
	uint64_t leave_max_ms;          /* how long a rollout waits for the old
					 * workers to go, to count what is lost */
	enum promotion promotion;       /* blue-green: */
	uint64_t keep_old_ms;           /* the old set stays warm so long */
	uint32_t canary_workers;        /* while the weight is below 100 %; */
					/* 0: as many as its share */
	uint32_t step_count;            /* of a canary; at least 1, and the */
	struct canary_step steps[STEPS_MAX];    /* last has 1000 permille */
};

#endif
