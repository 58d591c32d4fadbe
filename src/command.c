/*
 * Dispatch, parameters and errors of control requests, and the methods that
 * are a line each.
 *
 * What comes from a client is parsed by jansson and unpacked strictly: an
 * unknown or mistyped parameter is an error that names it.
 */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_parts.h"

static const char interface_text[] =
#include "io.supd.varlink.h"
;

static const char service_interface_text[] =
    "interface org.varlink.service\n"
    "method GetInfo() -> (vendor: string, product: string, version: string,"
    " url: string, interfaces: []string)\n"
    "method GetInterfaceDescription(interface: string)"
    " -> (description: string)\n"
    "error InterfaceNotFound (interface: string)\n"
    "error MethodNotFound (method: string)\n"
    "error MethodNotImplemented (method: string)\n"
    "error InvalidParameter (parameter: string)\n"
    "error PermissionDenied ()\n"
    "error ExpectedMore ()\n";

/*
 * Answers
 */

static void
send_message(struct call *call, json_t *message)
{
	const struct command_port *port = call->command->port;
	char *text = message != NULL ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (text != NULL && !call->oneway)
		port->send(port->ctx, call->client, text, strlen(text));
	else if (text == NULL)  /* without memory an end says more than
				 * nothing at all */
		port->close(port->ctx, call->client);
	free(text);
}

void
call_reply(struct call *call, json_t *parameters)
{
	send_message(call, json_pack("{s:o}", "parameters", parameters));
}

void
call_continue(struct call *call, json_t *parameters)
{
	send_message(call, json_pack("{s:o, s:b}", "parameters", parameters,
	    "continues", 1));
}

void
call_error(struct call *call, const char *error, json_t *parameters)
{
	send_message(call, json_pack("{s:s, s:o}", "error", error,
	    "parameters", parameters));
}

void
call_failed(struct call *call, const char *text)
{
	call_error(call, "io.supd.Failed",
	    json_pack("{s:o}", "text", command_text(text)));
}

void
call_bad_parameter(struct call *call, const char *parameter)
{
	call_error(call, "org.varlink.service.InvalidParameter",
	    json_pack("{s:o}", "parameter", command_text(parameter)));
}

/* Text from outside may be no UTF-8, which JSON cannot hold. */
json_t *
command_text(const char *text)
{
	json_t *string;
	char *copy;

	if (text == NULL)
		return json_null();
	string = json_string(text);
	if (string != NULL)
		return string;
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

/*
 * Parameters
 */

/* Says which parameter is wrong, as far as jansson's sentence tells. */
bool
call_unpack(struct call *call, const char *format, ...)
{
	json_error_t error;
	va_list ap;
	int result;

	va_start(ap, format);
	result = json_vunpack_ex(call->parameters, &error, 0, format, ap);
	va_end(ap);
	if (result == 0)
		return true;
	call_bad_parameter(call, error.text);
	return false;
}

static json_t *
known_services(const struct engine *engine)
{
	json_t *known = json_array();

	for (uint32_t i = 0; i < engine->service_count; i++)
		(void)json_array_append_new(known,
		    json_string(engine->services[i]->name));
	return known;
}

struct service *
call_service(struct call *call, const char *name)
{
	struct service *s = engine_find(call->command->engine, name);

	if (s == NULL)
		call_error(call, "io.supd.NoSuchService",
		    json_pack("{s:o, s:o}", "service", command_text(name),
		    "known", known_services(call->command->engine)));
	return s;
}

/*
 * The short methods
 */

typedef int (*simple_verb)(struct engine *, struct service *, char *);

static void
run_simple(struct call *call, simple_verb verb)
{
	char text[REASON_BYTES_MAX];
	const char *name;
	struct service *s;

	if (!call_unpack(call, "{s:s !}", "service", &name))
		return;
	s = call_service(call, name);
	if (s == NULL)
		return;
	if (verb(call->command->engine, s, text) < 0)
		call_failed(call, text);
	else
		call_reply(call, json_object());
}

static void
call_start(struct call *call)
{
	run_simple(call, engine_start);
}

static void
call_stop(struct call *call)
{
	run_simple(call, engine_stop);
}

static void
call_scale(struct call *call)
{
	char text[REASON_BYTES_MAX];
	const char *name;
	json_int_t workers;
	struct service *s;

	if (!call_unpack(call, "{s:s, s:I !}", "service", &name, "workers",
	    &workers))
		return;
	s = call_service(call, name);
	if (s == NULL)
		return;
	if (engine_scale(call->command->engine, s, workers, text) < 0)
		call_failed(call, text);
	else
		call_reply(call, json_object());
}

/* "TERM", "SIGTERM" or "15"; 0 if it is none. */
static int
signal_number(const char *name)
{
	char *end;
	long number = strtol(name, &end, 10);

	if (end != name && *end == '\0')
		return number > 0 && number < NSIG ? (int)number : 0;
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *abbreviation = sigabbrev_np(i);

		if (abbreviation != NULL && strcmp(abbreviation, name) == 0)
			return i;
	}
	return 0;
}

static void
call_signal(struct call *call)
{
	char text[REASON_BYTES_MAX];
	const char *name, *signal_name;
	struct service *s;
	int number, count;

	if (!call_unpack(call, "{s:s, s:s !}", "service", &name, "signal",
	    &signal_name))
		return;
	s = call_service(call, name);
	if (s == NULL)
		return;
	number = signal_number(signal_name);
	if (number == 0) {
		call_bad_parameter(call, "signal");
		return;
	}
	count = engine_signal(call->command->engine, s, number, text);
	if (count < 0)
		call_failed(call, text);
	else
		call_reply(call, json_pack("{s:i}", "count", count));
}

static void
call_shutdown(struct call *call)
{
	engine_shutdown(call->command->engine);
	call_reply(call, json_object());
}

static void
call_info(struct call *call)
{
	call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s,s]}",
	    "vendor", "supd", "product", "supd", "version", PACKAGE_VERSION,
	    "url", "", "interfaces", "io.supd", "org.varlink.service"));
}

static void
call_description(struct call *call)
{
	const char *name, *text;

	if (!call_unpack(call, "{s:s !}", "interface", &name))
		return;
	text = strcmp(name, "io.supd") == 0 ? interface_text :
	    strcmp(name, "org.varlink.service") == 0 ? service_interface_text :
	    NULL;
	if (text == NULL)
		call_error(call, "org.varlink.service.InterfaceNotFound",
		    json_pack("{s:s}", "interface", name));
	else
		call_reply(call, json_pack("{s:s}", "description", text));
}

static const struct method {
	const char *name;
	void (*run)(struct call *);
} methods[] = {
	{ "io.supd.Status", call_status },
	{ "io.supd.Reload", call_reload },
	{ "io.supd.Undo", call_undo },
	{ "io.supd.Restart", call_restart },
	{ "io.supd.Pause", call_pause },
	{ "io.supd.Resume", call_resume },
	{ "io.supd.Promote", call_promote },
	{ "io.supd.Abort", call_abort },
	{ "io.supd.RolloutStatus", call_rollout_status },
	{ "io.supd.History", call_history },
	{ "io.supd.Start", call_start },
	{ "io.supd.Stop", call_stop },
	{ "io.supd.Scale", call_scale },
	{ "io.supd.Signal", call_signal },
	{ "io.supd.Events", call_events },
	{ "io.supd.Upgrade", call_upgrade },
	{ "io.supd.Shutdown", call_shutdown },
	{ "org.varlink.service.GetInfo", call_info },
	{ "org.varlink.service.GetInterfaceDescription", call_description },
};

static void
dispatch(struct call *call, const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (strcmp(methods[i].name, name) == 0) {
			methods[i].run(call);
			return;
		}
	}
	if (strncmp(name, "io.supd.", 8) == 0 ||
	    strncmp(name, "org.varlink.service.", 20) == 0)
		call_error(call, "org.varlink.service.MethodNotFound",
		    json_pack("{s:o}", "method", command_text(name)));
	else
		call_error(call, "org.varlink.service.InterfaceNotFound",
		    json_pack("{s:o}", "interface", command_text(name)));
}

/* An optional parameter that is null is one that is not there. */
static void
remove_nulls(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
		if (json_is_null(value))
			(void)json_object_del(object, key);
}

void
command_run(struct command *command, uint32_t client, const char *json,
    size_t size_bytes)
{
	struct call call = { .command = command, .client = client };
	json_t *message = json_loadb(json, size_bytes, 0, NULL);
	json_t *own = NULL;
	const char *name;

	if (!json_is_object(message) || (name = json_string_value(
	    json_object_get(message, "method"))) == NULL) {
		json_decref(message);
		command->port->close(command->port->ctx, client);
		return;
	}
	call.more = json_is_true(json_object_get(message, "more"));
	call.oneway = json_is_true(json_object_get(message, "oneway"));
	call.parameters = json_object_get(message, "parameters");
	if (call.parameters == NULL || json_is_null(call.parameters))
		call.parameters = own = json_object();
	if (json_is_object(call.parameters)) {
		remove_nulls(call.parameters);
		dispatch(&call, name);
	} else {
		call_bad_parameter(&call, "parameters");
	}
	json_decref(own);
	json_decref(message);
}

struct command *
command_new(struct engine *engine, const struct command_port *port)
{
	struct command *command = calloc(1, sizeof(*command));

	if (command == NULL)
		return NULL;
	command->engine = engine;
	command->port = port;
	return command;
}

void
command_free(struct command *command)
{
	if (command == NULL)
		return;
	while (command->waiters != NULL)
		command_forget_waiter(command, command->waiters->client);
	while (command->followers != NULL)
		command_gone(command, command->followers->client);
	for (uint32_t i = 0; i < EVENTS_KEPT; i++)
		free(command->events[i].text);
	free(command);
}

void
command_turn(struct command *command)
{
	command_answer_waiters(command);
}
