/*
 * Events: the latest ones, and who follows those to come.
 */
#include <stdlib.h>
#include <string.h>

#include "command_parts.h"

static const char *const level_names[] = {
	[NOTICE_PLAIN] = "plain",
	[NOTICE_WARNING] = "warning",
	[NOTICE_ERROR] = "error",
};

json_t *
command_event(const struct notice *notice, int64_t time_ms)
{
	json_t *event = json_pack("{s:I, s:s, s:s, s:o, s:o}",
	    "time_ms", (json_int_t)time_ms,
	    "type", notice_type_name(notice->type),
	    "level", level_names[notice->level],
	    "service", command_text(notice->service),
	    "text", command_text(notice->text));

	if (event != NULL && notice->deployment != 0)
		(void)json_object_set_new(event, "deployment",
		    json_integer((json_int_t)notice->deployment));
	if (event != NULL && notice->id.incarnation != 0) {
		(void)json_object_set_new(event, "slot",
		    json_integer(notice->id.slot));
		(void)json_object_set_new(event, "revision",
		    json_integer(notice->revision));
		(void)json_object_set_new(event, "pid",
		    json_integer(notice->pid));
	}
	return event;
}

static void
keep(struct command *command, const struct notice *notice, int64_t time_ms)
{
	struct kept_event *kept = &command->events[command->event_next];

	free(kept->text);
	kept->text = strdup(notice->text);
	kept->time_ms = time_ms;
	kept->notice = *notice;
	kept->service[0] = '\0';
	if (notice->service != NULL)
		(void)strncpy(kept->service, notice->service,
		    sizeof(kept->service) - 1);
	kept->notice.service = notice->service != NULL ? kept->service : NULL;
	kept->notice.text = kept->text;
	command->event_next = (command->event_next + 1) % EVENTS_KEPT;
}

static bool
is_of(const char *service, const struct notice *notice)
{
	return service[0] == '\0' || (notice->service != NULL &&
	    strcmp(service, notice->service) == 0);
}

static void
send_event(struct call *call, const struct notice *notice, int64_t time_ms)
{
	call_continue(call, json_pack("{s:o}", "event",
	    command_event(notice, time_ms)));
}

static void
tell_followers(struct command *command, const struct notice *notice,
    int64_t time_ms)
{
	for (struct follower *f = command->followers; f != NULL; f = f->next) {
		struct call call = { .command = command, .client = f->client };

		if (is_of(f->service, notice))
			send_event(&call, notice, time_ms);
	}
}

void
command_notice(struct command *command, const struct notice *notice,
    int64_t time_ms)
{
	keep(command, notice, time_ms);
	tell_followers(command, notice, time_ms);
	command_tell_waiters(command, notice, time_ms);
}

static bool
follow(struct call *call, const char *service)
{
	struct follower *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return false;
	f->client = call->client;
	(void)strncpy(f->service, service, sizeof(f->service) - 1);
	f->next = call->command->followers;
	call->command->followers = f;
	return true;
}

/* The next kept event of this service at or after *index; NULL: no more. */
static struct kept_event *
next_event(struct command *command, const char *service, uint32_t *index)
{
	while (*index < EVENTS_KEPT) {
		struct kept_event *kept = &command->events[
		    (command->event_next + (*index)++) % EVENTS_KEPT];

		if (kept->text != NULL && is_of(service, &kept->notice))
			return kept;
	}
	return NULL;
}

/*
 * With `more` each event is an answer and there is no last one.  Without, the
 * newest one is the answer, since Varlink allows just one.
 */
void
call_events(struct call *call)
{
	struct kept_event *kept, *last = NULL;
	const char *service = "";
	uint32_t index = 0;

	if (!call_unpack(call, "{s?s !}", "service", &service))
		return;
	while ((kept = next_event(call->command, service, &index)) != NULL) {
		if (call->more)
			send_event(call, &kept->notice, kept->time_ms);
		last = kept;
	}
	if (call->more) {
		if (!follow(call, service))
			call_failed(call, "no memory to follow the events");
		return;
	}
	if (last == NULL)
		call_failed(call, "there was no event yet");
	else
		call_reply(call, json_pack("{s:o}", "event",
		    command_event(&last->notice, last->time_ms)));
}

void
command_gone(struct command *command, uint32_t client)
{
	struct follower **link = &command->followers;

	while (*link != NULL) {
		struct follower *f = *link;

		if (f->client != client) {
			link = &f->next;
			continue;
		}
		*link = f->next;
		free(f);
	}
	command_forget_waiter(command, client);
}
