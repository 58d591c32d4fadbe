/*
 * A start-up that has failed.
 *
 * The first supd says why and exits.  One that goes on where another was has
 * something to keep: listeners, and workers that serve.  An upgrade goes back to
 * the supd before (crash.h).  All others wait and execute themselves anew with
 * what came, as it came (carry.h), until they can go on: memory, fds and
 * configurations come back, and without a supd nobody would restart a worker.
 *
 * But one that the parent has started exits: the parent has all that came, and
 * starts the next one with it after a pause of its own.  To it, and to whoever
 * looks there, a supd that waits would be one that hangs in its start, and would
 * be killed for that.  Who was executed by another supd does not rely on it:
 * there may be no parent, or one that keeps nothing, or it may not have been told
 * of all yet.  Should such a wait be too long for its watchdog, it ends it, and
 * then it is as above.
 */
#ifndef SUPD_FAILED_START_H
#define SUPD_FAILED_START_H

#include "carry.h"

/* What a start-up stands on, to be told as soon as it is known, also if
 * carry_init() has failed.  `argv` is for the next one and stays where it is. */
void failed_start_init(char *const *argv, const struct carried *);

/* After the reason was logged; `why` names it for whoever comes next.  The first
 * supd exits with `code`. */
void failed_start(const char *why, int code) __attribute__((noreturn));

#endif
