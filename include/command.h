/*
 * Control requests: from a JSON message to the engine and back.
 *
 * One table names the methods of the Varlink interface io.supd (its text is
 * src/io.supd.varlink) and of org.varlink.service.  A client is a number; what
 * is said to it goes through command_port.  A request that has to wait for a
 * rollout, or follows the events, is kept here until it is answered or its
 * client is gone.  jansson is used as a codec; nothing else is done with it.
 *
 *   command.c            dispatch, parameters, errors, org.varlink.service
 *   command_status.c     Status, RolloutStatus: the engine's state as JSON
 *   command_deploy.c     Reload, Undo, Restart and who waits for them
 *   command_event.c      Events: the latest ones, and who follows
 *   command_upgrade.c    Upgrade: of supd itself
 */
#ifndef SUPD_COMMAND_H
#define SUPD_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "notice.h"

/* How many of the latest events are kept for `supctl events`. */
enum { EVENTS_KEPT = 100 };

/* A listener, as it is shown. */
struct listener_view {
	const char *name, *address;
	bool broken;                    /* nobody can connect */
	uint32_t stranger_count;        /* sockets at its address that are not
					 * ours */
};

/* The outside, as far as requests need it. */
struct command_port {
	void *ctx;
	/* Queues a message for a client; its NUL is added.  If the client has
	 * too much unread, or is gone, the message is dropped and the client
	 * with it; command_gone() follows on a later turn. */
	void (*send)(void *ctx, uint32_t client, const char *json,
	    size_t size_bytes);
	/* Closes it after what is queued was sent. */
	void (*close)(void *ctx, uint32_t client);

	/* 0 or -errno */
	int (*queue)(void *ctx, const struct shard *, uint32_t *ret_length,
	    uint32_t *ret_limit);
	void (*describe)(void *ctx, const struct shard *,
	    struct listener_view *ret_view);
	/* What the command names on disk now: 0 and its identity, or -errno. */
	int (*look)(void *ctx, const struct spec *,
	    struct identity *ret_identity);
	/* The mark of connections accepted by the release's lane of the first
	 * listener, see supctl(1); -1: there is none. */
	int (*label)(void *ctx, const struct release *);
	/* Lines of the ledger, newest first, at most `limit` of the service
	 * (NULL: of all) that finished no later than `before_s` (0: all).  Each
	 * is a JSON object as it was written.  The caller frees the array and
	 * the lines. */
	size_t (*history)(void *ctx, const char *service, int64_t before_s,
	    size_t limit, char ***ret_lines);
	/* How many fds the service's workers have stored. */
	uint32_t (*stored)(void *ctx, uint32_t service);
	const char *(*ledger_error)(void *ctx);         /* NULL: none */
	const char *(*config_path)(void *ctx);
	/* Why and when supd was started anew last, or NULL: it was not. */
	const char *(*restarted)(void *ctx, int64_t *ret_time_s);
	/* May the supd before an upgrade still come back? */
	bool (*on_trial)(void *ctx);
	/* Begins an upgrade of supd itself, see live_upgrade(). */
	int (*upgrade)(void *ctx, const char *path, uint32_t client,
	    char *ret_text);
};

struct command;

/* NULL without memory.  Both outlive it. */
struct command *command_new(struct engine *, const struct command_port *);
void command_free(struct command *);

/*
 * A client sent a message (without its NUL).  It is answered now or later; a
 * message that is no Varlink call closes the connection.
 */
void command_run(struct command *, uint32_t client, const char *json,
    size_t size_bytes);

/* A client is gone: forget what it waits for. */
void command_gone(struct command *, uint32_t client);

/* Something happened: tell who follows or waits.  Called from the world's
 * publish, between turns or within one. */
void command_notice(struct command *, const struct notice *, int64_t time_ms);

/* Once per turn, after engine_turn(): answers who waited for a rollout that
 * has ended. */
void command_turn(struct command *);

/* How the upgrade goes that this client has asked for. */
void command_upgrade_stage(struct command *, uint32_t client,
    const char *stage, const char *path);
void command_upgrade_refused(struct command *, uint32_t client,
    const char *why);
void command_upgrade_failed(struct command *, uint32_t client,
    const char *why);
struct upgraded {
	const char *from;               /* version */
	uint32_t worker_count;
	uint64_t not_answering_ms;
};
/* The new one is in charge, and stays if it does not fail for so long. */
void command_upgrade_trial(struct command *, uint32_t client,
    const struct upgraded *, uint64_t trial_ms);
void command_upgrade_done(struct command *, uint32_t client,
    const struct upgraded *);

/* The JSON of a deployment, as in the ledger and in answers; the caller frees
 * it.  NULL without memory. */
char *command_deployment_json(const struct deployment *);

#endif
