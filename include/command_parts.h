/*
 * Inside the control requests: what their files share.  Only command*.c
 * include this.
 */
#ifndef SUPD_COMMAND_PARTS_H
#define SUPD_COMMAND_PARTS_H

#include <jansson.h>

#include "command.h"

/* A request that waits for rollouts. */
struct waiter {
	struct waiter *next;
	uint32_t client;
	bool more;                      /* it wants the events meanwhile */
	bool quiet;                     /* oneway: no answer */
	uint32_t count, done_count;
	struct reload_result *results;  /* `count` of them */
	struct deployment *ends;        /* id 0: has not ended */
};

/* A client that follows the events. */
struct follower {
	struct follower *next;
	uint32_t client;
	char service[NAME_LENGTH_MAX + 1];      /* "": all */
};

/* One of the latest events; text is NULL while it is unused. */
struct kept_event {
	int64_t time_ms;
	struct notice notice;           /* its pointers are the two below */
	char service[NAME_LENGTH_MAX + 1];
	char *text;
};

struct command {
	struct engine *engine;
	const struct command_port *port;
	struct waiter *waiters;
	struct follower *followers;
	struct kept_event events[EVENTS_KEPT];
	uint32_t event_next;
};

/* One request while it is answered. */
struct call {
	struct command *command;
	uint32_t client;
	json_t *parameters;             /* an object; null members removed */
	bool more, oneway;
};

/* Answers; each takes over the reference to `parameters` (NULL: no memory,
 * which is answered as an error). */
void call_reply(struct call *, json_t *parameters);
void call_continue(struct call *, json_t *parameters);
void call_error(struct call *, const char *error, json_t *parameters);
void call_failed(struct call *, const char *text);
void call_bad_parameter(struct call *, const char *parameter);

/* The service of this name; NULL: an error was sent. */
struct service *call_service(struct call *, const char *name);

/* True, or an error was sent: parameters as a json_unpack format says. */
bool call_unpack(struct call *, const char *format, ...);

/* A string or JSON null. */
json_t *command_text(const char *);
/* A number, or JSON null for 0. */
json_t *command_number(uint64_t);
/* A string, or JSON null for NULL and for "". */
json_t *command_text_or_null(const char *);
json_t *command_deployment(const struct deployment *);
/* The running rollout, or JSON null. */
json_t *command_rollout(struct call *, struct service *);
json_t *command_steps(const struct policy *, const struct course *);
json_t *command_event(const struct notice *, int64_t time_ms);

void call_status(struct call *);
void call_rollout_status(struct call *);
void call_history(struct call *);
void call_reload(struct call *);
void call_undo(struct call *);
void call_restart(struct call *);
void call_pause(struct call *);
void call_resume(struct call *);
void call_promote(struct call *);
void call_abort(struct call *);
void call_events(struct call *);
void call_upgrade(struct call *);

/* A notice of a rollout that somebody waits for. */
void command_tell_waiters(struct command *, const struct notice *,
    int64_t time_ms);
void command_answer_waiters(struct command *);
void command_forget_waiter(struct command *, uint32_t client);

#endif
