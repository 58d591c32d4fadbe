/*
 * The clock that all deadlines and durations are measured by.
 */
#ifndef SUPD_CLOCK_H
#define SUPD_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC, which cannot fail and does not go on while the
 * machine sleeps.  Async-signal-safe. */
uint64_t clock_ms(void);

#endif
