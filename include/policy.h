/*
 * What the planner has to know of a service's configuration: plain numbers,
 * percentages already resolved.  config.h says how each is spelled.
 */
#ifndef SUPD_POLICY_H
#define SUPD_POLICY_H

#include <stdint.h>

enum on_failure { ON_FAILURE_ROLLBACK, ON_FAILURE_PAUSE };
enum restart { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };
enum strategy { STRATEGY_ROLLING };

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
};

#endif
