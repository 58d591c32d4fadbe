/*
 * Upgrade: what its client is told on the way, of which the last word may come
 * from another supd.
 */
#include "command_parts.h"

#include <stdlib.h>
#include <string.h>

static void
send(struct command *command, uint32_t client, json_t *message)
{
	const struct command_port *port = command->port;
	char *text = json_dumps(message, JSON_COMPACT);

	if (text != NULL)
		port->send(port->ctx, client, text, strlen(text));
	else
		port->close(port->ctx, client);
	free(text);
	json_decref(message);
}

static void
send_error(struct command *command, uint32_t client, const char *error,
    const char *reason)
{
	send(command, client, json_pack("{s:s, s:{s:o}}", "error", error,
	    "parameters", "reason", command_text(reason)));
}

void
call_upgrade(struct call *call)
{
	const struct command_port *port = call->command->port;
	char why[REASON_BYTES_MAX];
	const char *path = NULL;

	if (!call_unpack(call, "{s?s !}", "path", &path))
		return;
	if (!call->more)
		call_error(call, "org.varlink.service.ExpectedMore",
		    json_object());
	else if (port->upgrade(port->ctx, path, call->client, why) < 0)
		send_error(call->command, call->client,
		    "io.supd.UpgradeRefused", why);
}

void
command_upgrade_stage(struct command *command, uint32_t client,
    const char *stage, const char *path)
{
	send(command, client, json_pack("{s:b, s:{s:s, s:o}}",
	    "continues", 1, "parameters", "stage", stage,
	    "path", command_text(path)));
}

void
command_upgrade_refused(struct command *command, uint32_t client,
    const char *why)
{
	send_error(command, client, "io.supd.UpgradeRefused", why);
}

void
command_upgrade_failed(struct command *command, uint32_t client,
    const char *why)
{
	send_error(command, client, "io.supd.UpgradeFailed", why);
}

static json_t *
describe(const struct upgraded *how, const char *stage)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "stage", stage,
	    "from", how->from, "to", PACKAGE_VERSION,
	    "workers", (json_int_t)how->worker_count,
	    "not_answering_ms", (json_int_t)how->not_answering_ms);
}

void
command_upgrade_trial(struct command *command, uint32_t client,
    const struct upgraded *how, uint64_t trial_ms)
{
	json_t *parameters = describe(how, "trial");

	(void)json_object_set_new(parameters, "trial_ms",
	    json_integer((json_int_t)trial_ms));
	send(command, client, json_pack("{s:b, s:o}", "continues", 1,
	    "parameters", parameters));
}

void
command_upgrade_done(struct command *command, uint32_t client,
    const struct upgraded *how)
{
	send(command, client, json_pack("{s:o}", "parameters",
	    describe(how, "done")));
}
