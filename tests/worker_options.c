/*
 * The worker's command line, as a table, and what is computed from it.
 */
#include "worker_options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "option_table.h"
#include "worker_harm.h"

/* The build's own label; a build system may give another. */
#ifndef WORKER_VERSION
#define WORKER_VERSION "1"
#endif

#define FIELD(name) offsetof(struct worker_options, name)
#define FAULT(name) FIELD(faults.name)
#define SHARE(fault) (FAULT(shares) + (fault) * sizeof(long))

enum {
	WHOLE = 100000,
	HOUR_MS = 3600000,
	REQUESTS_MAX = 1000000000,
	PORT_MAX = 65535,
};

static const struct option_row rows[] = {
	{ "version", OPTION_TEXT, FIELD(version_text), 0, 0, "TEXT",
	    "label in every answer (default " WORKER_VERSION ")" },
	{ "version-file", OPTION_TEXT, FIELD(version_file), 0, 0, "PATH",
	    "the label is the first line of a file" },
	{ "listen", OPTION_TEXT, FIELD(listen), 0, 0, "ADDRESS",
	    "listen itself if no listener is given, and print where" },
	{ "linger", OPTION_NUMBER, FIELD(linger_ms), 0, HOUR_MS, "MS",
	    "how long a drain keeps idle connections (default 500)" },
	{ "ready-fd", OPTION_NUMBER, FIELD(ready_fd), 0, INT_MAX, "FD",
	    "write a newline there when ready" },
	{ "count-file", OPTION_TEXT, FIELD(count_file), 0, 0, "PATH",
	    "count in PATH.PID (worker_counts.h)" },
	{ "probe-ports", OPTION_TEXT, FIELD(probe_ports_text), 0, 0,
	    "N[-N]", "who connects from there is counted as a probe" },

	{ "exit-at-start", OPTION_NUMBER, FIELD(exit_at_start), 0, 255, "CODE",
	    "exit at once" },
	{ "slow-start", OPTION_NUMBER, FIELD(slow_start_ms), 0, HOUR_MS, "MS",
	    "take that long to get ready" },
	{ "never-ready", OPTION_FLAG, FIELD(never_ready), 0, 0, NULL,
	    "start for ever" },
	{ "silent", OPTION_FLAG, FIELD(silent), 0, 0, NULL,
	    "say nothing to the supervisor" },
	{ "deaf", OPTION_FLAG, FIELD(deaf), 0, 0, NULL,
	    "say ready and accept nothing" },
	{ "double-fork", OPTION_FLAG, FIELD(double_fork), 0, 0, NULL,
	    "become a daemon: exit 0 while a child serves" },
	{ "leave-child", OPTION_FLAG, FIELD(leave_child), 0, 0, NULL,
	    "leave a child in the process group for a minute" },
	{ "shrink-backlog", OPTION_FLAG, FIELD(shrink_backlog), 0, 0, NULL,
	    "call listen() with a backlog of 5" },

	{ "crash-after", OPTION_NUMBER, FIELD(crash_after_ms), 0, HOUR_MS,
	    "MS", "die that long after being ready" },
	{ "crash-by", OPTION_TEXT, FIELD(crash_by), 0, 0, "CODE|SIGNAL",
	    "of what: 3, or SEGV (default 1)" },
	{ "shutdown-after", OPTION_NUMBER, FIELD(shutdown_after_ms), 0,
	    HOUR_MS, "MS", "shut the listeners down after being ready" },
	{ "stopping", OPTION_NUMBER, FIELD(stopping_after_ms), 0, HOUR_MS,
	    "MS", "drain of its own accord after being ready" },
	{ "deaf-after", OPTION_NUMBER, FIELD(deaf_after_ms), 0, HOUR_MS,
	    "MS", "accept nothing any more, that long after being ready" },
	{ "grow-rate", OPTION_NUMBER, FIELD(grow_rate), 1,
	    HARM_GROWTH_BYTES_MAX, "BYTES", "of memory every second" },
	{ "crash-on-request", OPTION_NUMBER, FAULT(crash_on_request), 1,
	    REQUESTS_MAX, "N", "die instead of the N-th answer" },
	{ "stop-self", OPTION_FLAG, FIELD(stop_self), 0, 0, NULL,
	    "SIGSTOP itself when ready" },
	{ "become-root", OPTION_FLAG, FIELD(become_root), 0, 0, NULL,
	    "wholly, if the file is setuid, when ready" },

	{ "ignore-term", OPTION_FLAG, FIELD(ignore_term), 0, 0, NULL,
	    "ignore SIGTERM" },
	{ "shutdown-listener", OPTION_FLAG, FIELD(shutdown_listener), 0, 0,
	    NULL, "shut the listeners down at SIGTERM, for everybody" },

	{ "reset-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_RESET), 0, WHOLE,
	    "P", "of the requests are answered by a reset" },
	{ "empty-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_EMPTY), 0, WHOLE,
	    "P", "by nothing but the end of the connection" },
	{ "truncate-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_TRUNCATE), 0,
	    WHOLE, "P", "by half a body" },
	{ "wrong-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_WRONG), 0, WHOLE,
	    "P", "by another body" },
	{ "error-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_ERROR), 0, WHOLE,
	    "P", "by status 503" },
	{ "stall-percent", OPTION_THOUSANDTHS, SHARE(ANSWER_STALL), 0, WHOLE,
	    "P", "late" },
	{ "stall", OPTION_NUMBER, FAULT(stall_ms), 0, HOUR_MS, "MS",
	    "how late (default 1000)" },
	{ "slow", OPTION_NUMBER, FAULT(slow_ms), 0, HOUR_MS, "MS",
	    "every answer is that late" },
	{ "grow", OPTION_NUMBER, FAULT(grow_bytes), 1, HARM_GROWTH_BYTES_MAX,
	    "BYTES", "of memory at each request" },
	{ "after", OPTION_NUMBER, FAULT(after_ms), 0, HOUR_MS, "MS",
	    "all from --reset-percent on and --grow-rate begin then" },
	{ "after-requests", OPTION_NUMBER, FAULT(after_requests), 0,
	    REQUESTS_MAX, "N", "and only after so many requests" },

	{ "unhealthy", OPTION_FLAG, FIELD(unhealthy), 0, 0, NULL,
	    "/healthz is bad; nothing of the above makes it so" },
	{ "unhealthy-after", OPTION_NUMBER, FAULT(unhealthy_after_ms), 0,
	    HOUR_MS, "MS", "from then on" },
	{ "healthy-after", OPTION_NUMBER, FAULT(healthy_after_ms), 0, HOUR_MS,
	    "MS", "until then" },
	{ "unhealthy-status", OPTION_NUMBER, FAULT(unhealthy_status), 200,
	    599, "CODE", "how bad (default 503); 302 leads to itself" },
	{ "health-hangs", OPTION_FLAG, FAULT(health_hangs), 0, 0, NULL,
	    "/healthz is never answered" },
	{ "health-floods", OPTION_FLAG, FAULT(health_floods), 0, 0, NULL,
	    "its answer never ends" },
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static int
read_label(const char *path, char ret_label[WORKER_LABEL_MAX])
{
	ssize_t size;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size = read(fd, ret_label, WORKER_LABEL_MAX - 1);
	error = size < 0 ? -errno : 0;
	close(fd);
	if (error != 0)
		return error;
	ret_label[size] = '\0';
	ret_label[strcspn(ret_label, "\n")] = '\0';
	return 0;
}

/* The answer's fields are separated by blanks. */
static int
check_label(const char *label)
{
	const char *c;

	for (c = label; *c != '\0'; c++) {
		if (!isgraph((unsigned char)*c))
			return -EINVAL;
	}
	return c == label || c - label >= WORKER_LABEL_MAX ? -EINVAL : 0;
}

static int
set_version(struct worker_options *options)
{
	const char *label = options->version_text;
	int error;

	if (options->version_file != NULL) {
		error = read_label(options->version_file, options->version);
		if (error != 0) {
			fprintf(stderr, "worker: %s: %s\n",
			    options->version_file, strerror(-error));
			return -EINVAL;
		}
		label = options->version;
	}
	if (check_label(label) != 0) {
		fprintf(stderr, "worker: version '%s' is not 1 to %d "
		    "printable characters\n", label, WORKER_LABEL_MAX - 1);
		return -EINVAL;
	}
	memmove(options->version, label, strlen(label) + 1);
	return 0;
}

static int
set_crash(struct worker_options *options)
{
	const char *text = options->crash_by, *name;
	char *end;
	long code = strtol(text, &end, 10);
	int i;

	if (end != text && *end == '\0' && code >= 0 && code <= 255) {
		options->crash_code = (int)code;
		return 0;
	}
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (i = 1; i < NSIG; i++) {
		name = sigabbrev_np(i);
		if (name != NULL && strcmp(name, text) == 0) {
			options->crash_signal = i;
			return 0;
		}
	}
	fprintf(stderr, "worker: option --crash-by: '%s' is no exit code "
	    "from 0 to 255 and no signal\n", options->crash_by);
	return -EINVAL;
}

/* One port or a range of them. */
static int
set_probe_ports(struct worker_options *options)
{
	const char *text = options->probe_ports_text;
	char *end;

	options->probe_port_min = options->probe_port_max = -1;
	if (text == NULL)
		return 0;
	options->probe_port_min = strtol(text, &end, 10);
	options->probe_port_max = options->probe_port_min;
	if (end != text && *end == '-')
		options->probe_port_max = strtol(end + 1, &end, 10);
	if (end != text && *end == '\0' && options->probe_port_min > 0 &&
	    options->probe_port_min <= options->probe_port_max &&
	    options->probe_port_max <= PORT_MAX)
		return 0;
	fprintf(stderr, "worker: option --probe-ports: '%s' is no port or "
	    "range of ports from 1 to %d\n", text, PORT_MAX);
	return -EINVAL;
}

int
worker_options_parse(int argc, char **argv,
    struct worker_options *ret_options)
{
	struct worker_options options = {
		.version_text = WORKER_VERSION,
		.linger_ms = 500,
		.ready_fd = -1,
		.exit_at_start = -1,
		.crash_after_ms = -1,
		.crash_by = "1",
		.shutdown_after_ms = -1,
		.stopping_after_ms = -1,
		.deaf_after_ms = -1,
		.faults = {
			.stall_ms = 1000,
			.unhealthy_after_ms = -1,
			.unhealthy_status = 503,
		},
	};
	int next = option_table_parse(rows, ROW_COUNT, argc, argv, &options);

	if (next != argc) {
		fprintf(stderr, "usage: worker [OPTION]...\n");
		option_table_help(rows, ROW_COUNT);
		return -EINVAL;
	}
	if (set_version(&options) != 0 || set_crash(&options) != 0 ||
	    set_probe_ports(&options) != 0)
		return -EINVAL;
	if (options.unhealthy)
		options.faults.unhealthy_after_ms = 0;
	*ret_options = options;
	return 0;
}
