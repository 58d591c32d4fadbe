/*
 * What a worker has seen, in a file that its tests read: exact at any moment,
 * also after the worker was killed.
 *
 * The file is PATH.PID, one struct worker_counts, mapped by the worker.  Each
 * number is set in one piece, but two of them are not of one moment: of a
 * worker that is still busy, `accepted` may be ahead of the others.
 */
#ifndef TESTS_WORKER_COUNTS_H
#define TESTS_WORKER_COUNTS_H

#include <stdint.h>

enum { WORKER_COUNTS_LABEL_BYTES = 64 };

struct worker_counts {
	char version[WORKER_COUNTS_LABEL_BYTES];
	int64_t pid;
	uint64_t accepted;              /* connections */
	uint64_t user_connections;      /* whose first request was a user's */
	uint64_t probe_connections;     /* … a probe's, or from a probe's port;
					 * all others said nothing as yet */
	uint64_t requests;              /* all of them */
	uint64_t probe_requests;        /* from supprobe */
	uint64_t health_requests;       /* for /healthz */
};

/* Adds one to a number of a mapped file. */
void worker_counts_add(uint64_t *number);

/*
 * Makes the file and maps it, for the rest of this process; NULL and errno if
 * that fails.
 */
struct worker_counts *worker_counts_map(const char *path, const char *version);

/* Reads such a file; 0 or -errno. */
int worker_counts_read(const char *path, struct worker_counts *ret_counts);

#endif
