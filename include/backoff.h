/*
 * When to start the next worker after one ended by itself.
 *
 * A worker that lived for BACKOFF_SETTLED_MS is replaced at once and forgets
 * what was before it.  One that lived less waits: backoff_min doubled with
 * each failure in a row, at most backoff_max, and a random share of up to a
 * quarter is taken off, so that many that died together do not come back
 * together.  Pure: the caller brings the time and the random word.
 */
#ifndef SUPD_BACKOFF_H
#define SUPD_BACKOFF_H

#include <stdint.h>

#include "policy.h"

#define BACKOFF_SETTLED_MS UINT64_C(10000)

struct backoff {
	uint32_t failure_count;         /* in a row */
	uint64_t not_before_ms;         /* start nothing earlier; 0: now */
};

void backoff_clear(struct backoff *);

/* A worker ended by itself after lived_ms. */
void backoff_ended(struct backoff *, const struct policy *, uint64_t lived_ms,
    uint32_t random, uint64_t now_ms);

/*
 * The system could not start a worker (EAGAIN, ENOMEM, EMFILE …): wait, but do
 * not count it as a failure of the build.
 */
void backoff_refused(struct backoff *, const struct policy *, uint32_t random,
    uint64_t now_ms);

#endif
