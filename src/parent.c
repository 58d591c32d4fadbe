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

/* In the order of `taken`. */
static const char *const variables[] = {
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE",
};

enum {
	VARIABLE_COUNT = sizeof(variables) / sizeof(variables[0]),
	VARIABLE_BYTES_MAX = 160,       /* an address has 108 */
};

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

	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		const char *value = getenv(variables[i]);

		taken[i][0] = '\0';
		if (value == NULL)
			continue;
		if (snprintf(taken[i], VARIABLE_BYTES_MAX, "%s=%s",
		    variables[i], value) < VARIABLE_BYTES_MAX)
			environment[count++] = taken[i];
		(void)unsetenv(variables[i]);
	}
	environment[count] = NULL;
}

/* NULL if it was not there. */
static const char *
value_of(size_t variable)
{
	const char *equals = strchr(taken[variable], '=');

	return equals != NULL ? equals + 1 : NULL;
}

/* Somebody between the parent and us may have left both for a child of his. */
static void
start_watchdog(void)
{
	const char *usec = value_of(1), *pid = value_of(2);

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
	int error;

	watchdog_ms = 0;
	take_variables();
	if (value_of(0) == NULL)
		return 0;
	error = parent_socket_open(value_of(0));
	if (error < 0)
		return error;
	/* An older systemd has one, too, and does not tell. */
	parent_queue_set_limit(value_of(3) == NULL ? UINT_MAX :
	    (unsigned)strtoul(value_of(3), NULL, 10));
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
parent_stopping(void)
{
	parent_say("STOPPING=1");
}

void
parent_extend(uint64_t timeout_ms)
{
	parent_say("EXTEND_TIMEOUT_USEC=%" PRIu64, timeout_ms * 1000);
}
