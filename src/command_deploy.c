/*
 * Reload, Undo and Restart, and who waits for the rollouts they begin.
 *
 * A waiter knows its rollouts by their deployment ids.  Notices of these go to
 * it while they run; when the last has ended it gets the outcomes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_parts.h"

static json_t *
outcome(const struct reload_result *result, const struct deployment *end)
{
	bool ended = end != NULL && end->id != 0;
	const char *reason = result->failed ? result->text :
	    ended && end->reason[0] != '\0' ? end->reason : NULL;

	return json_pack("{s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:o}",
	    "service", result->service,
	    "revision", (json_int_t)result->revision,
	    "deployment", (json_int_t)result->deployment,
	    "rolls_out", (int)result->rolls_out,
	    "text", command_text(result->text),
	    "steps", result->rolls_out ? command_steps(&result->policy,
	    &result->course) :
	    json_array(),
	    "verdict", command_text(ended ?
	    rollout_verdict_name(end->verdict) : NULL),
	    "reason", command_text(reason));
}

static json_t *
outcomes(const struct reload_result *results, const struct deployment *ends,
    uint32_t count)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < count; i++)
		(void)json_array_append_new(list, outcome(&results[i],
		    ends != NULL ? &ends[i] : NULL));
	return json_pack("{s:o}", "outcomes", list);
}

static void
free_waiter(struct waiter *w)
{
	free(w->results);
	free(w->ends);
	free(w);
}

static struct waiter *
new_waiter(const struct call *call, const struct reload_result *results,
    uint32_t count)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->client = call->client;
	w->more = call->more;
	w->quiet = call->oneway;
	w->count = count;
	w->results = calloc(count, sizeof(*w->results));
	w->ends = calloc(count, sizeof(*w->ends));
	if (w->results == NULL || w->ends == NULL) {
		free_waiter(w);
		return NULL;
	}
	memcpy(w->results, results, count * sizeof(*results));
	for (uint32_t i = 0; i < count; i++)
		w->done_count += results[i].deployment == 0;
	return w;
}

/* Answers now, or when all rollouts have ended. */
static void
answer(struct call *call, const struct reload_result *results,
    uint32_t count, bool wait)
{
	struct waiter *w;

	if (!wait || count == 0) {
		call_reply(call, outcomes(results, NULL, count));
		return;
	}
	w = new_waiter(call, results, count);
	if (w == NULL) {
		call_failed(call, "no memory to wait for the rollout, which "
		    "goes on");
		return;
	}
	w->next = call->command->waiters;
	call->command->waiters = w;
}

static void
reply_bad_configuration(struct call *call, const struct config_errors *errors)
{
	json_t *list = json_array();

	for (size_t i = 0; i < errors->count; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:I, s:o}",
		    "file", command_text(errors->list[i].file),
		    "line", (json_int_t)errors->list[i].line,
		    "text", command_text(errors->list[i].text)));
	call_error(call, "io.supd.BadConfiguration", json_pack("{s:o, s:I}",
	    "errors", list, "dropped", (json_int_t)errors->dropped));
}

static bool
take_names(struct call *call, json_t *names, struct reload *request)
{
	size_t index;
	json_t *name;

	if (names == NULL)
		return true;
	if (!json_is_array(names) || json_array_size(names) > SERVICES_MAX) {
		call_bad_parameter(call, "services");
		return false;
	}
	json_array_foreach(names, index, name) {
		if (!json_is_string(name)) {
			call_bad_parameter(call, "services");
			return false;
		}
		request->services[request->service_count++] =
		    json_string_value(name);
	}
	return true;
}

/* A label is shown on terminals and kept in the ledger. */
static bool
is_label(const char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return size > 0 && size <= VERSION_BYTES_MAX;
}

static bool
take_strategy(const char *name, struct reload *request)
{
	static const enum strategy strategies[] = { STRATEGY_ROLLING,
		STRATEGY_CANARY, STRATEGY_BLUE_GREEN };

	for (unsigned i = 0; i < sizeof(strategies) / sizeof(*strategies); i++)
		if (strcmp(strategy_name(strategies[i]), name) == 0) {
			request->has_strategy = true;
			request->strategy = strategies[i];
			return true;
		}
	return false;
}

static bool
take_request(struct call *call, struct reload *request, int *ret_wait)
{
	json_t *names = NULL;
	json_int_t commit_time_s = 0;
	const char *strategy = NULL;
	int force = 0, if_changed = 0, plan = 0;

	if (!call_unpack(call,
	    "{s?o, s?s, s?I, s?s, s?b, s?b, s?b, s?b !}", "services", &names,
	    "version", &request->version, "commit_time_s", &commit_time_s,
	    "strategy", &strategy, "force", &force, "if_changed", &if_changed,
	    "plan", &plan, "wait", ret_wait))
		return false;
	if (request->version != NULL && !is_label(request->version)) {
		call_bad_parameter(call, "version");
		return false;
	}
	if (commit_time_s < 0) {
		call_bad_parameter(call, "commit_time_s");
		return false;
	}
	if (strategy != NULL && !take_strategy(strategy, request)) {
		call_bad_parameter(call, "strategy");
		return false;
	}
	request->commit_time_s = commit_time_s;
	request->flags = (force ? RELOAD_FORCE : 0) |
	    (if_changed ? RELOAD_IF_CHANGED : 0) | (plan ? RELOAD_PLAN : 0);
	return take_names(call, names, request);
}

void
call_reload(struct call *call)
{
	struct reload request = { .service_count = 0 };
	struct reload_results results;
	struct config_errors errors;
	char text[REASON_BYTES_MAX];
	int wait = 0;

	if (!take_request(call, &request, &wait))
		return;
	if (engine_reload(call->command->engine, &request, &results, &errors,
	    text) == 0)
		answer(call, results.list, results.count, wait != 0);
	else if (errors.count != 0)
		reply_bad_configuration(call, &errors);
	else
		call_failed(call, text);
	config_errors_release(&errors);
}

/* The service that a call is about, or NULL and it was answered. */
static struct service *
take_service(struct call *call, int *ret_wait)
{
	const char *name;

	if (!call_unpack(call, "{s:s, s?b !}", "service", &name, "wait",
	    ret_wait))
		return NULL;
	return call_service(call, name);
}

void
call_undo(struct call *call)
{
	struct reload_result result;
	char text[REASON_BYTES_MAX];
	json_int_t revision = 0;
	const char *name;
	struct service *s;
	int wait = 0;

	if (!call_unpack(call, "{s:s, s?I, s?b !}", "service", &name,
	    "to_revision", &revision, "wait", &wait))
		return;
	s = call_service(call, name);
	if (s == NULL)
		return;
	if (revision < 0 || revision > UINT32_MAX)
		call_bad_parameter(call, "to_revision");
	else if (engine_undo(call->command->engine, s, (uint32_t)revision,
	    &result, text) < 0)
		call_failed(call, text);
	else
		answer(call, &result, 1, wait != 0);
}

void
call_restart(struct call *call)
{
	struct reload_result result;
	char text[REASON_BYTES_MAX];
	int wait = 0;
	struct service *s = take_service(call, &wait);

	if (s == NULL)
		return;
	if (engine_restart(call->command->engine, s, &result, text) < 0)
		call_failed(call, text);
	else
		answer(call, &result, 1, wait != 0);
}

static void
run_order(struct call *call, enum rollout_verb verb)
{
	struct reload_result result;
	char text[REASON_BYTES_MAX];
	int wait = 0;
	struct service *s = take_service(call, &wait);

	if (s == NULL)
		return;
	if (engine_order(call->command->engine, s, verb, &result, text) < 0)
		call_error(call, "io.supd.WrongPhase", json_pack("{s:s, s:o}",
		    "phase", rollout_phase_name(s->rollout.phase), "text",
		    command_text(text)));
	else
		answer(call, &result, 1, wait != 0);
}

void
call_pause(struct call *call)
{
	run_order(call, ROLLOUT_CAN_PAUSE);
}

void
call_resume(struct call *call)
{
	run_order(call, ROLLOUT_CAN_RESUME);
}

void
call_promote(struct call *call)
{
	run_order(call, ROLLOUT_CAN_PROMOTE);
}

void
call_abort(struct call *call)
{
	run_order(call, ROLLOUT_CAN_ABORT);
}

/*
 * Notes the end of a rollout this waiter waits for.  That the new release is in
 * charge and the old one is kept warm for a while is the end, too, for who asked
 * for it; who asks later waits for the rest.
 */
static void
note_end(struct command *command, struct waiter *w, uint32_t index,
    const struct notice *notice)
{
	const struct service *s = engine_find(command->engine,
	    notice->service);
	const struct deployment *d;

	if (w->ends[index].id != 0 || s == NULL)
		return;
	d = notice->type == NOTICE_IN_CHARGE ? &s->deployment : &s->last;
	if (d->id != notice->deployment)
		return;
	w->ends[index] = *d;
	if (notice->type == NOTICE_IN_CHARGE)
		(void)snprintf(w->results[index].text,
		    sizeof(w->results[index].text), "%s", notice->text);
	w->done_count++;
}

void
command_tell_waiters(struct command *command, const struct notice *notice,
    int64_t time_ms)
{
	if (notice->deployment == 0)
		return;
	for (struct waiter *w = command->waiters; w != NULL; w = w->next) {
		struct call call = {
			.command = command, .client = w->client,
			.oneway = w->quiet,
		};

		for (uint32_t i = 0; i < w->count; i++) {
			if (w->results[i].deployment != notice->deployment)
				continue;
			if (w->more)
				call_continue(&call, json_pack("{s:o}",
				    "event", command_event(notice, time_ms)));
			if (notice->type == NOTICE_FINISHED ||
			    notice->type == NOTICE_IN_CHARGE)
				note_end(command, w, i, notice);
		}
	}
}

void
command_answer_waiters(struct command *command)
{
	struct waiter **link = &command->waiters;

	while (*link != NULL) {
		struct waiter *w = *link;
		struct call call = {
			.command = command, .client = w->client,
			.oneway = w->quiet,
		};

		if (w->done_count < w->count) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		call_reply(&call, outcomes(w->results, w->ends, w->count));
		free_waiter(w);
	}
}

void
command_forget_waiter(struct command *command, uint32_t client)
{
	struct waiter **link = &command->waiters;

	while (*link != NULL) {
		struct waiter *w = *link;

		if (w->client != client) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		free_waiter(w);
	}
}
