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

/*
 * How one rollout goes; fixed when it begins.
 *
 * Split: the candidates have a lane of their own, which gets weight.  Else old
 * and new workers accept from one queue, and the weight is the share of the
 * workers.
 */
struct course {
	enum strategy strategy;
	bool direct;            /* without steps between: an undo */
	bool split;
};

struct step {
	uint32_t candidates;            /* workers of the new release, ready */
	uint64_t ready_ms;              /* for so long */
	uint32_t weight_permille;       /* their share of new connections */
	uint64_t hold_ms;               /* it lasts so long from then on */
	bool pause;                     /* or until an operator says so */
};

/* Steps of a rollout under this policy; at least 1. */
uint32_t strategy_step_count(const struct policy *, const struct course *);

/* Step `index`; one past the end is the last step. */
struct step strategy_step(const struct policy *, const struct course *,
    uint32_t index);

/*
 * Do the candidates come up beside all workers of the old release, and replace
 * none before they are in charge?  Else slot by slot.
 */
bool strategy_is_beside(const struct course *);

/* How many workers there may be beyond `workers`. */
uint32_t strategy_surge(const struct policy *, const struct course *);

const char *strategy_name(enum strategy);

#endif
