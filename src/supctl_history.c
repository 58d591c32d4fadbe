/*
 * What happened: deployments from the ledger, and the events of supd.
 *
 * supd tells the latest events to each who asks, then those to come; the
 * answer to another question, sent behind that one, stands between the two.
 * When supd is restarted, who follows them asks again, and drops those of the
 * latest that it has heard.
 */
#include "supctl.h"

#include <inttypes.h>
#include <string.h>

enum { HISTORY_LINES_DEFAULT = 20 };

static enum style
verdict_style(const char *verdict)
{
	if (strcmp(verdict, "complete") == 0)
		return STYLE_GOOD;
	if (strcmp(verdict, "running") == 0)
		return STYLE_BOLD;
	return strcmp(verdict, "superseded") == 0 ? STYLE_WARNING : STYLE_BAD;
}

static void
print_deployment(struct table *t, const json_t *deployment)
{
	const char *verdict = field_text(deployment, "verdict");
	uint64_t from = field_number(deployment, "from_revision");
	uint64_t to = field_number(deployment, "revision");

	table_cell(t, STYLE_PLAIN, "%s", draw_time((int64_t)field_number(
	    deployment, "started_time_s")).text);
	table_cell(t, STYLE_BOLD, "%s", field_text(deployment, "service"));
	table_cell(t, STYLE_PLAIN, "%s", field_text(deployment, "kind"));
	if (from > 0)
		table_cell(t, STYLE_PLAIN, "%" PRIu64 " -> %" PRIu64, from, to);
	else
		table_cell(t, STYLE_PLAIN, "%" PRIu64, to);
	table_cell(t, STYLE_PLAIN, "%s", field_text(deployment, "version"));
	table_cell(t, STYLE_DIM, "%.8s", field_text(deployment, "build_id"));
	table_cell(t, verdict_style(verdict), "%s", verdict);
	table_cell(t, STYLE_PLAIN, "%s", draw_duration(field_number(
	    deployment, "duration_ms")).text);
	table_cell(t, STYLE_PLAIN, "%s", field_text(deployment, "reason"));
}

static int
print_history(struct draw *d, const json_t *reply)
{
	static const char *const headings[] = { "STARTED", "SERVICE", "KIND",
		"REVISION", "VERSION", "BUILD", "VERDICT", "TOOK", "REASON" };
	const json_t *list = field_list(reply, "deployments");
	json_t *deployment;
	struct table *t;
	size_t i;

	if (list == NULL)
		return complain_shape("deployments");
	if (json_array_size(list) == 0) {
		draw_line(d, STYLE_PLAIN, "nothing was deployed yet");
		return SUPCTL_DONE;
	}
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach(list, i, deployment)
		print_deployment(t, deployment);
	table_print(t, d, 0);
	return SUPCTL_DONE;
}

/* Which builds are not to be removed from the disk: part of the answer to
 * "what happened", so its own failure is not the history's. */
static void
print_in_use(struct draw *d, struct call *call, const char *service)
{
	struct reply reply;
	json_t *entry;
	size_t i;

	call_send(call, "io.supd.Status", service ? json_pack("{s:s}",
	    "service", service) : json_object(), false);
	if (call_receive(call, CALL_PATIENCE_MS, &reply) != CALL_REPLY)
		return;
	if (reply.error == NULL &&
	    json_array_size(field_list(reply.parameters, "services")) > 0) {
		draw_end(d);
		draw_line(d, STYLE_BOLD,
		    "still in use, not to be removed from the disk");
		json_array_foreach(field_list(reply.parameters, "services"),
		    i, entry)
			detail_print_releases(d, entry);
	}
	reply_release(&reply);
}

int
verb_history(const struct supctl *ctl)
{
	const char *service = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	uint32_t limit = ctl->limit > 0 ? ctl->limit : HISTORY_LINES_DEFAULT;
	json_t *parameters = json_pack("{s:i}", "limit", (int)limit);
	struct reply reply;
	struct call call;
	struct draw d;
	int code;

	if (service != NULL)
		json_object_set_new(parameters, "service",
		    json_string(service));
	code = call_open(&call, ctl->socket_path);
	if (code != SUPCTL_DONE) {
		json_decref(parameters);
		return code;
	}
	code = call_ask(ctl, &call, "io.supd.History", parameters, &reply);
	if (code == SUPCTL_DONE) {
		draw_init(&d, stdout);
		if (ctl->json)
			call_print_json(reply.parameters);
		else
			code = print_history(&d, reply.parameters);
		if (code == SUPCTL_DONE && !ctl->json)
			print_in_use(&d, &call, service);
		reply_release(&reply);
	}
	call_close(&call);
	return code;
}

/* Texts about a worker do not name it; there is room to do so once. */
static void
print_worker(struct draw *d, const json_t *event)
{
	if (!field_given(event, "slot"))
		return;
	draw_format(d, STYLE_PLAIN, "worker %" PRIu64 " of revision %" PRIu64,
	    field_number(event, "slot"), field_number(event, "revision"));
	if (field_number(event, "pid") > 0)
		draw_format(d, STYLE_PLAIN, ", pid %" PRIu64,
		    field_number(event, "pid"));
	draw_text(d, STYLE_PLAIN, ": ");
}

void
event_print(struct draw *d, const json_t *event, bool with_time)
{
	uint64_t time_ms = field_number(event, "time_ms");
	const char *level = field_text(event, "level");
	const char *service = field_text(event, "service");
	enum style style = STYLE_PLAIN;

	if (strcmp(level, "warning") == 0)
		style = STYLE_WARNING;
	else if (strcmp(level, "error") == 0)
		style = STYLE_BAD;
	if (with_time)
		draw_format(d, STYLE_DIM, "%s.%03d ",
		    draw_time((int64_t)(time_ms / 1000)).text,
		    (int)(time_ms % 1000));
	draw_format(d, STYLE_BOLD, "%s: ", service[0] ? service : "supd");
	print_worker(d, event);
	if (style != STYLE_PLAIN)
		draw_format(d, style, "%s: ", level);
	draw_text(d, style, field_text(event, "text"));
	draw_end(d);
}

struct following {
	const struct supctl *ctl;
	struct call call;
	struct draw draw;
	uint64_t heard_ms;      /* the time of the last event */
	uint64_t known_ms;      /* the latest events until then are known */
	bool any;
};

static void
ask_for_events(struct following *f)
{
	json_t *parameters = json_object();

	if (f->ctl->operand_count > 0)
		json_object_set_new(parameters, "service",
		    json_string(f->ctl->operands[0]));
	call_send(&f->call, "io.supd.Events", parameters, true);
	call_send(&f->call, "org.varlink.service.GetInfo", json_object(),
	    false);
}

static void
print_event(struct following *f, const json_t *event)
{
	uint64_t time_ms = field_number(event, "time_ms");

	if (time_ms != 0 && time_ms <= f->known_ms)
		return;
	f->heard_ms = time_ms;
	f->any = true;
	if (f->ctl->json)
		call_print_json(event);
	else
		event_print(&f->draw, event, true);
}

/* Returns whether more are wanted. */
static bool
take_event(struct following *f, const json_t *reply)
{
	const json_t *event = field_object(reply, "event");

	if (event != NULL) {
		print_event(f, event);
		return true;
	}
	f->known_ms = 0;
	return f->ctl->follow;
}

/* The connection was lost. */
static int
follow_on(struct following *f)
{
	int error = call_reopen(&f->call);

	if (error < 0)
		return complain_gone(&f->call, error, "");
	complain_back(&f->call, "still listening; events of the time between "
	    "may be missing");
	f->known_ms = f->heard_ms;
	ask_for_events(f);
	return SUPCTL_DONE;
}

static int
print_events(struct following *f)
{
	bool goes_on = true;
	int code = SUPCTL_DONE;

	/* Who reads us may have gone: then nobody wants more. */
	while (goes_on && code == SUPCTL_DONE && draw_flush() == 0) {
		struct reply reply;
		enum call_result result = call_receive(&f->call,
		    f->ctl->follow ? CALL_FOREVER_MS : CALL_PATIENCE_MS,
		    &reply);

		if (result == CALL_CLOSED) {
			code = follow_on(f);
			continue;
		}
		if (result != CALL_REPLY)
			return complain_result(f->ctl, &f->call, result);
		if (reply.error != NULL)
			code = complain_reply(f->ctl, &f->call, &reply);
		else
			goes_on = take_event(f, reply.parameters);
		reply_release(&reply);
	}
	if (!f->any && code == SUPCTL_DONE && !f->ctl->json)
		draw_line(&f->draw, STYLE_PLAIN, "nothing has happened yet");
	return code;
}

int
verb_events(const struct supctl *ctl)
{
	struct following f = { .ctl = ctl };
	int code = call_open(&f.call, ctl->socket_path);

	if (code != SUPCTL_DONE)
		return code;
	draw_init(&f.draw, stdout);
	ask_for_events(&f);
	code = print_events(&f);
	call_close(&f.call);
	return code;
}
