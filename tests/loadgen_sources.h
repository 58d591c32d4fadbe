/*
 * Which versions each source address got, one after the other: whether a
 * canary is sticky.
 *
 * Pure.  A connection tells its version once, with its first answer.  What
 * counts is the order in which connections were begun, since that is when a
 * kernel chooses; the answer of one that was overtaken by a later one comes
 * too late to be compared and is only counted.
 */
#ifndef TESTS_LOADGEN_SOURCES_H
#define TESTS_LOADGEN_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SOURCES_MAX = 4096,
	SOURCES_VERSIONS_MAX = 64,
};

struct source {
	bool answered;
	uint64_t serial;        /* of its latest connection that was answered */
	unsigned version;       /* of that one, an index */
	uint64_t seen;          /* bit i: version i */
};

struct sources {
	uint64_t overtaken;
	uint64_t changes[SOURCES_VERSIONS_MAX][SOURCES_VERSIONS_MAX];
	struct source list[SOURCES_MAX];
};

/* The connection `serial`, which counts up, got this version. */
void sources_note(struct sources *sources, unsigned source, uint64_t serial,
    unsigned version);

/* How many have ever got this version, or any. */
unsigned sources_seen(const struct sources *sources, unsigned version);
unsigned sources_answered(const struct sources *sources);

#endif
