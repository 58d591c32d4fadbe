/*
 * A strategy is a list of steps, made from the configuration.
 *
 * The list is not stored: step i is computed when it is asked for, so that a
 * thousand workers rolled one by one need no thousand records, and a change of
 * `workers` in the middle is a change of the list and nothing else.
 */
#ifndef SUPD_STRATEGY_H
#define SUPD_STRATEGY_H

#include "policy.h"

enum gate { GATE_NONE };        /* what canary and blue-green wait for */

struct step {
	uint32_t candidates;            /* workers of the new release, ready */
	uint32_t weight_permille;       /* their share of new connections */
	uint64_t hold_ms;               /* they stay so this long */
	enum gate gate;                 /* what must be true besides */
};

/* Steps of a rollout under this policy; at least 1. */
uint32_t strategy_step_count(const struct policy *);

/* Step `index`; one past the end is the last step. */
struct step strategy_step(const struct policy *, uint32_t index);

const char *strategy_name(enum strategy);

#endif
