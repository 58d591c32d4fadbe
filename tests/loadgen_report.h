/*
 * What the load generator prints: a table for people, a line for programs,
 * and one line a second while it runs.
 */
#ifndef TESTS_LOADGEN_REPORT_H
#define TESTS_LOADGEN_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct stats;

struct report_context {
	const char *target;
	long rate;              /* requests per second, as asked for */
	unsigned connections;
	bool keep_alive;
	long late_ms;           /* when a start counts as late */
	uint64_t elapsed_us;
};

void report_table(FILE *file, const struct report_context *context,
    const struct stats *stats);

/* One line of JSON; all times are integers with their unit in the name. */
void report_json(FILE *file, const struct report_context *context,
    const struct stats *stats);

/* The window since the last line. */
void report_progress(FILE *file, const struct report_context *context,
    const struct stats *stats);

#endif
