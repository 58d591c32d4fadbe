/*
 * What the system tells the engine.  Callbacks of the loop fill one in and
 * hand it to engine_event(), which records it; decisions are taken once per
 * turn, by engine_turn().
 */
#ifndef SUPD_EVENT_H
#define SUPD_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "worker.h"

enum event_type {
	EVENT_EXITED,           /* reaped; `exit` says how */
	EVENT_READY,            /* READY=1, a line on its readiness fd */
	EVENT_RELOADING,
	EVENT_STOPPING,
	EVENT_STATUS,           /* `text`, printable and bounded */
	EVENT_ERRNO,            /* `value` */
	EVENT_MAIN_PID,         /* `value`: the process to follow from now on */
	EVENT_WATCHDOG,         /* it is alive */
	EVENT_WATCHDOG_TRIGGER, /* it says that it is not well */
	EVENT_WATCHDOG_MS,      /* `value`: the interval it wants */
	EVENT_EXTEND_MS,        /* `value`: it needs this much longer */
};

/* How a process ended. */
struct exit_status {
	bool by_signal;
	int number;             /* exit code or signal; -1: not known */
};

struct event {
	enum event_type type;
	uint32_t service;       /* struct service's id */
	struct worker_id id;
	struct exit_status exit;
	uint64_t value;
	const char *text;       /* valid during the call only */
};

#endif
