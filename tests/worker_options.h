/*
 * What the worker is told to be: its label, where it listens when nobody gives
 * it a listener, and everything that can be wrong with a worker.
 */
#ifndef TESTS_WORKER_OPTIONS_H
#define TESTS_WORKER_OPTIONS_H

#include <stdbool.h>

#include "worker_counts.h"
#include "worker_faults.h"

enum { WORKER_LABEL_MAX = WORKER_COUNTS_LABEL_BYTES };

/* Times are in ms; -1 in any of the numbers means not asked for. */
struct worker_options {
	const char *version_text, *version_file;
	const char *listen;
	long linger_ms;
	long ready_fd;
	const char *count_file, *probe_ports_text;

	/* Faults at the start. */
	long exit_at_start;
	long slow_start_ms;
	bool never_ready, silent, deaf, double_fork, leave_child;
	bool shrink_backlog;

	/* Faults after it was ready. */
	long crash_after_ms;
	const char *crash_by;
	long shutdown_after_ms, stopping_after_ms, deaf_after_ms;
	long grow_rate;                 /* bytes per second */
	bool stop_self, become_root;

	/* Faults at SIGTERM. */
	bool ignore_term, shutdown_listener;

	/* Faults of answers. */
	struct fault_settings faults;
	bool unhealthy;

	/* Made from the above. */
	char version[WORKER_LABEL_MAX];
	int crash_code, crash_signal;   /* the signal, unless 0 */
	long probe_port_min, probe_port_max;
};

/* Returns 0, or -EINVAL after a message on stderr. */
int worker_options_parse(int argc, char **argv,
    struct worker_options *ret_options);

#endif
