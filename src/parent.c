/*
 * The parent: its environment, its watchdog, and sentences that it understands.
 * How they get there is parent_queue.c.
 */
#include "parent.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "parent_queue.h"
#include "reactor.h"

enum variable {
	NOTIFY_SOCKET,
	WATCHDOG_USEC,
	WATCHDOG_PID,
	FDSTORE,
	VARIABLE_COUNT,
};

static const char *const variables[VARIABLE_COUNT] = {
	[NOTIFY_SOCKET] = "NOTIFY_SOCKET",
	[WATCHDOG_USEC] = "WATCHDOG_USEC",
	[WATCHDOG_PID] = "WATCHDOG_PID",
	[FDSTORE] = "FDSTORE",
};

enum { VARIABLE_BYTES_MAX = 160 };      /* an address has 108 */

static char taken[VARIABLE_COUNT][VARIABLE_BYTES_MAX];  /* NAME=value or "" */
static const char *environment[VARIABLE_COUNT + 1];
static struct alarm watchdog;
static uint64_t watchdog_ms;    /* between two signs of life; 0: none */

static void
feed_watchdog(void *ctx)
{
	(void)ctx;
	parent_queue_say("WATCHDOG=1");
	reactor_set_alarm(&watchdog, watchdog_ms, feed_watchdog, NULL);
}

static void
take_variables(void)
{
	size_t count = 0;

	for (enum variable v = 0; v < VARIABLE_COUNT; v++) {
		const char *value = getenv(variables[v]);

		taken[v][0] = '\0';
		if (value == NULL)
			continue;
		if (snprintf(taken[v], VARIABLE_BYTES_MAX, "%s=%s",
		    variables[v], value) < VARIABLE_BYTES_MAX)
			environment[count++] = taken[v];
		(void)unsetenv(variables[v]);
	}
	environment[count] = NULL;
}

/* NULL if it was not there. */
static const char *
value_of(enum variable v)
{
	const char *equals = strchr(taken[v], '=');

	return equals != NULL ? equals + 1 : NULL;
}

/* Somebody between the parent and us may have left both for a child of his. */
static void
start_watchdog(void)
{
	const char *usec = value_of(WATCHDOG_USEC);
	const char *pid = value_of(WATCHDOG_PID);

	if (usec == NULL || (pid != NULL && atol(pid) != (long)getpid()))
		return;
	watchdog_ms = strtoull(usec, NULL, 10) / 1000 / 2;
	if (watchdog_ms == 0) {
		log_warning("WATCHDOG_USEC=%s is no interval that can be kept, "
		    "the watchdog is not fed", usec);
		return;
	}
	reactor_set_alarm(&watchdog, watchdog_ms, feed_watchdog, NULL);
}

int
parent_init(void)
{
	const char *address, *limit;
	int error;

	watchdog_ms = 0;
	take_variables();
	address = value_of(NOTIFY_SOCKET);
	limit = value_of(FDSTORE);
	if (address == NULL)
		return 0;
	error = parent_socket_open(address);
	if (error < 0)
		return error;
	/* An older systemd has one, too, and does not tell. */
	parent_queue_set_limit(limit == NULL ? UINT_MAX :
	    (unsigned)strtoul(limit, NULL, 10));
	start_watchdog();
	return 0;
}

void
parent_release(void)
{
	reactor_clear_alarm(&watchdog);
	parent_queue_release();
	parent_socket_close();
}

bool
parent_is_there(void)
{
	return parent_socket_is_open();
}

const char *const *
parent_environment(void)
{
	return environment;
}

void
parent_say(const char *format, ...)
{
	char lines[PARENT_SAY_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(lines, sizeof(lines), format, arguments);
	va_end(arguments);
	parent_queue_say(lines);
}

void
parent_ready(const char *status)
{
	parent_say("READY=1\nSTATUS=%s", status);
}

/* Both in one message: the time tells which of two reloads is meant. */
void
parent_reloading(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);     /* cannot fail */
	parent_say("RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void
parent_is_alive(void)
{
	if (watchdog_ms != 0)
		feed_watchdog(NULL);
}

void
parent_stopping(void)
{
	parent_say("STOPPING=1");
}

void
parent_extend(uint64_t timeout_ms)
{
	parent_say("EXTEND_TIMEOUT_USEC=%" PRIu64, timeout_ms * 1000);
}
