/*
 * What strace(1) is told, and what it has written; see inject_trace.h.
 */
#include "inject_trace.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "e2e.h"

enum {
	CALLS_MAX = 128,
	CALL_NAME_BYTES = 32,
	LINE_BYTES_MAX = 65536,
};

static struct {
	char path[E2E_PATH_BYTES], expression[128];
	struct program tracer;
} trace;

struct call {
	char name[CALL_NAME_BYTES];
	unsigned before, count;
};

static struct call *
find_call(struct call *calls, const char *line)
{
	size_t length = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");
	unsigned i = 0;

	if (length == 0 || line[length] != '(')
		return NULL;
	assert_true(length < CALL_NAME_BYTES);
	while (calls[i].name[0] != '\0' && (strlen(calls[i].name) != length ||
	    strncmp(calls[i].name, line, length) != 0))
		i++;
	assert_true(i < CALLS_MAX - 1);
	memcpy(calls[i].name, line, length);
	return &calls[i];
}

void
trace_list(const char *begin)
{
	static struct call calls[CALLS_MAX];
	static char line[LINE_BYTES_MAX];
	bool begun = false;
	FILE *file = fopen(trace.path, "re");
	struct call *c;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		begun |= strncmp(line, begin, strlen(begin)) == 0;
		c = find_call(calls, line);
		if (c != NULL && begun)
			c->count++;
		else if (c != NULL)
			c->before++;
	}
	fclose(file);
	for (c = calls; c->name[0] != '\0'; c++)
		if (c->count > 0)
			printf("%s %u %u\n", c->name, c->before + 1, c->count);
}

/* Of what fcntl(2) and epoll_ctl(2) are, not all can fail like this. */
static bool
can_fail(const char *line)
{
	if (strncmp(line, "fcntl(", 6) == 0)
		return strstr(line, "F_DUPFD") != NULL;
	return strstr(line, "EPOLL_CTL_DEL") == NULL;
}

static bool
has_met(bool can)
{
	static char line[LINE_BYTES_MAX];
	FILE *file = fopen(trace.path, "re");
	bool was = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		was |= strstr(line, "(INJECTED)") != NULL &&
		    can_fail(line) == can;
	fclose(file);
	return was;
}

bool
trace_has_met(void)
{
	return has_met(true);
}

bool
trace_was_impossible(void)
{
	return has_met(false);
}

static const char *const *
words(const char *how, const char *pid)
{
	static const char *list[16];
	unsigned count = 0;

	list[count++] = "/usr/bin/env";
	list[count++] = "strace";
	list[count++] = "-o";
	list[count++] = trace.path;
	if (trace.expression[0] != '\0') {
		list[count++] = "-e";
		list[count++] = trace.expression;
	}
	list[count++] = how;
	list[count++] = pid;
	list[count] = NULL;
	return list;
}

void
trace_prepare(const struct fault *fault)
{
	snprintf(trace.path, sizeof(trace.path), "%s", e2e_path("trace"));
	trace.expression[0] = '\0';
	if (fault != NULL)
		snprintf(trace.expression, sizeof(trace.expression),
		    "inject=%s:error=%s:when=%s", fault->call, fault->error,
		    fault->occurrence);
}

/* supd stays the child of who starts it, and strace is none of its own. */
const char *const *
trace_words(void)
{
	return words("-D", NULL);
}

void
trace_begin(pid_t supd)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)supd);
	program_start(&trace.tracer, words("-p", pid), 0);
	e2e_await_input(trace.tracer.err_fd);   /* "Process … attached" */
}

void
trace_end(void)
{
	(void)kill(trace.tracer.pid, SIGINT);
	(void)program_end(&trace.tracer);
}
