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

/* The build's own label; a build system may give another. */
#ifndef WORKER_VERSION
#define WORKER_VERSION "1"
#endif

#define FIELD(name) offsetof(struct worker_options, name)
#define SHARE(fault) (FIELD(fault_shares) + (fault) * sizeof(long))

enum { WHOLE = 100000, HOUR_MS = 3600000 };

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

	{ "exit-at-start", OPTION_NUMBER, FIELD(exit_at_start), 0, 255, "CODE",
	    "exit at once" },
	{ "slow-start", OPTION_NUMBER, FIELD(slow_start_ms), 0, HOUR_MS, "MS",
	    "take that long to get ready" },
	{ "never-ready", OPTION_FLAG, FIELD(never_ready), 0, 0, NULL,
	    "start for ever" },
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
	{ "stop-self", OPTION_FLAG, FIELD(stop_self), 0, 0, NULL,
	    "SIGSTOP itself when ready" },

	{ "ignore-term", OPTION_FLAG, FIELD(ignore_term), 0, 0, NULL,
	    "ignore SIGTERM" },
	{ "shutdown-listener", OPTION_FLAG, FIELD(shutdown_listener), 0, 0,
	    NULL, "shut the listeners down at SIGTERM, for everybody" },

	{ "reset-percent", OPTION_THOUSANDTHS, SHARE(HTTP_RESET), 0, WHOLE,
	    "P", "of the requests are answered by a reset" },
	{ "empty-percent", OPTION_THOUSANDTHS, SHARE(HTTP_EMPTY), 0, WHOLE,
	    "P", "by nothing but the end of the connection" },
	{ "truncate-percent", OPTION_THOUSANDTHS, SHARE(HTTP_TRUNCATE), 0,
	    WHOLE, "P", "by half a body" },
	{ "wrong-percent", OPTION_THOUSANDTHS, SHARE(HTTP_WRONG), 0, WHOLE,
	    "P", "by another body" },
	{ "error-percent", OPTION_THOUSANDTHS, SHARE(HTTP_ERROR), 0, WHOLE,
	    "P", "by status 503" },
	{ "stall-percent", OPTION_THOUSANDTHS, SHARE(HTTP_STALL), 0, WHOLE,
	    "P", "late" },
	{ "stall", OPTION_NUMBER, FIELD(stall_ms), 0, HOUR_MS, "MS",
	    "how late (default 1000)" },
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
		.stall_ms = 1000,
	};
	int next = option_table_parse(rows, ROW_COUNT, argc, argv, &options);

	if (next != argc) {
		fprintf(stderr, "usage: worker [OPTION]...\n");
		option_table_help(rows, ROW_COUNT);
		return -EINVAL;
	}
	if (set_version(&options) != 0 || set_crash(&options) != 0)
		return -EINVAL;
	*ret_options = options;
	return 0;
}
