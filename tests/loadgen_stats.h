/*
 * What the load generator counts: how every request ended, how long the good
 * ones took, and who answered them.
 *
 * Plain data; each request is counted by exactly one of stats_answer(),
 * stats_wrong() and stats_failure().
 */
#ifndef TESTS_LOADGEN_STATS_H
#define TESTS_LOADGEN_STATS_H

#include <stdint.h>
#include <sys/types.h>

#include "loadgen_sources.h"

/*
 * On a reused connection the end may mean no more than that the server gave up
 * an idle connection while the request was on its way, so these are counted
 * apart.  They are failures all the same, and never retried.
 */
#define OUTCOMES(X) \
	X(OK, "ok") \
	X(REFUSED, "refused") \
	X(RESET, "reset") \
	X(EMPTY, "empty") \
	X(RESET_REUSED, "reset_reused") \
	X(EMPTY_REUSED, "empty_reused") \
	X(TRUNCATED, "truncated") \
	X(TIMED_OUT_CONNECT, "timed_out_connect") \
	X(TIMED_OUT_RESPONSE, "timed_out_response") \
	X(WRONG, "wrong") \
	X(ABANDONED, "abandoned") \
	X(OTHER, "other")

enum outcome {
#define X(name, text) OUTCOME_##name,
	OUTCOMES(X)
#undef X
	OUTCOME_COUNT,
};

enum {
	VERSIONS_MAX = SOURCES_VERSIONS_MAX,
	PIDS_MAX = 128,         /* of one version */
	VERSION_TEXT_MAX = 64,
	HISTOGRAM_SUB_BITS = 7, /* no value is off by more than 1 in 128 */
	HISTOGRAM_SUB_COUNT = 1 << HISTOGRAM_SUB_BITS,
	HISTOGRAM_BUCKET_COUNT = (33 - HISTOGRAM_SUB_BITS) <<
	    HISTOGRAM_SUB_BITS,
};

/* Values up to 2^32 - 1 (71 minutes); what is above counts as that. */
struct histogram {
	uint64_t count, maximum_us;
	uint64_t buckets[HISTOGRAM_BUCKET_COUNT];
};

struct answerer {
	pid_t pid;
	uint64_t count;                 /* answers, also bad ones */
};

struct version {
	char text[VERSION_TEXT_MAX];
	uint64_t count, window_count;   /* good answers */
	uint64_t failures;              /* of requests known to be its own */
	uint64_t connections;           /* whose first answer was its own */
	bool answered;
	uint64_t first_us, last_us;     /* answers, since the start */
	unsigned pid_count;
	uint64_t other_pids_answers;    /* of pids past PIDS_MAX */
	struct answerer pids[PIDS_MAX];
};

struct stats {
	uint64_t outcomes[OUTCOME_COUNT];
	uint64_t window_answers, window_failures;
	struct histogram latency, window_latency;

	unsigned version_count;
	uint64_t other_versions_answers; /* of versions past VERSIONS_MAX */
	struct version versions[VERSIONS_MAX];
	struct sources sources;

	/* How well the generator itself did. */
	uint64_t late_starts, late_max_us;
	uint64_t waited;        /* found all connections busy */
	uint64_t waiting_max;   /* so many at once */
	uint64_t connections;   /* that were begun */
	uint64_t idle_closed;   /* by the server, noticed in time */
	int last_error;         /* of OUTCOME_OTHER */
};

const char *outcome_name(enum outcome outcome);

/*
 * Counts a good answer at `now_us` since the start.  Returns its version; NULL
 * if the body is not `version=V pid=P …` or there are too many versions.
 */
struct version *stats_answer(struct stats *stats, uint64_t now_us,
    uint64_t latency_us, const char *body);

/*
 * Counts an answer that is none of the expected ones, as a failure of the
 * version that it names, else of `known` unless NULL.  Returns the former.
 */
struct version *stats_wrong(struct stats *stats, uint64_t now_us,
    const char *body, struct version *known);

/* Counts a request without an answer; of a version, if that is known. */
void stats_failure(struct stats *stats, enum outcome outcome,
    struct version *known);

/* Counts the connection `serial` from a source (-1: any), at its first answer. */
void stats_connection(struct stats *stats, struct version *version,
    int source, uint64_t serial);

uint64_t stats_requests(const struct stats *stats);
uint64_t stats_failures(const struct stats *stats);

/* Forgets the window: the numbers since the last call. */
void stats_next_window(struct stats *stats);

void histogram_add(struct histogram *histogram, uint64_t value_us);

/*
 * The smallest value that a share (in thousandths: 999 is p99.9) of all values
 * do not exceed, rounded up to the histogram's grid; 0 if it is empty.
 */
uint64_t histogram_quantile(const struct histogram *histogram,
    unsigned thousandths);

#endif
