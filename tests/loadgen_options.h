/*
 * What the load generator is told to do.
 */
#ifndef TESTS_LOADGEN_OPTIONS_H
#define TESTS_LOADGEN_OPTIONS_H

#include <stdbool.h>

#include "loopback.h"

struct loadgen_options {
	const char *target_text;
	struct loopback target;
	const char *sources_text;
	struct loopback_range sources;
	long rate;              /* requests per second */
	long requests;          /* in all, 0: no such bound */
	long duration_ms;       /* 0: no such bound */
	const char *until_file;
	long keep_alive;        /* connections of the pool, 0: off */
	long requests_each;     /* of one of them, 0: no limit */
	long connections;
	long connect_timeout_ms, timeout_ms;
	long late_ms;
	const char *path, *expect;
	bool json, progress;
};

/* Returns 0, or -EINVAL after a message on stderr. */
int loadgen_options_parse(int argc, char **argv,
    struct loadgen_options *ret_options);

#endif
