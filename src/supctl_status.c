/*
 * `status`: what runs, and what is wrong, on one screen.
 *
 * A line for each service, then the sentences: trouble first, since that is
 * why somebody looks.  Details (workers, listeners, releases) follow when one
 * service was asked for, or when there is only one and it is small.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

enum { SMALL_SERVICE_WORKERS = 8 };

/* Only what a supd says of itself that took workers over from another one. */
static void
print_restart(struct draw *d, const json_t *restarted)
{
	const char *why = field_text(restarted, "why");
	bool upgraded = strncmp(why, "upgraded ", 9) == 0;

	if (restarted != NULL)
		draw_line(d, upgraded ? STYLE_DIM : STYLE_WARNING, "restarted "
		    "%s ago: %s%s", draw_age((int64_t)field_number(restarted,
		    "at_s")).text, why, upgraded ? "" : " (see the log)");
}

static void
print_supervisor(struct draw *d, const json_t *supervisor)
{
	uint64_t memory = field_number(supervisor, "memory_bytes");

	draw_format(d, STYLE_BOLD, "supd %s", field_text(supervisor,
	    "version"));
	draw_format(d, STYLE_DIM, ", pid %" PRIu64 ", up %s",
	    field_number(supervisor, "pid"),
	    draw_duration(field_number(supervisor, "uptime_ms")).text);
	if (memory > 0)
		draw_format(d, STYLE_DIM, ", %s", draw_bytes(memory).text);
	draw_format(d, STYLE_DIM, ", %s", field_text(supervisor, "config"));
	draw_end(d);
	print_restart(d, field_object(supervisor, "restarted"));
	if (strcmp(field_text(supervisor, "phase"), "stopping") == 0)
		draw_line(d, STYLE_WARNING, "supd is stopping");
	if (field_text(supervisor, "ledger_error")[0] != '\0')
		draw_line(d, STYLE_BAD, "the ledger: %s",
		    field_text(supervisor, "ledger_error"));
	draw_end(d);
}

static enum style
state_style(const char *state)
{
	if (strcmp(state, "running") == 0)
		return STYLE_GOOD;
	return strcmp(state, "failed") == 0 ? STYLE_BAD : STYLE_WARNING;
}

static enum style
ready_style(uint64_t ready, uint64_t workers)
{
	if (ready >= workers)
		return STYLE_GOOD;
	return ready == 0 ? STYLE_BAD : STYLE_WARNING;
}

static const json_t *
release_in_charge(const json_t *service)
{
	json_t *release;
	size_t i;

	json_array_foreach(field_list(service, "releases"), i, release)
		if (field_flag(release, "in_charge"))
			return release;
	return NULL;
}

/* Of the listener that is nearest to its limit. */
static void
print_queue(struct table *t, const json_t *service)
{
	uint64_t worst_length = 0, worst_limit = 0;
	json_t *listener;
	size_t i;

	json_array_foreach(field_list(service, "listeners"), i, listener) {
		uint64_t length = field_number(listener, "queue_length");
		uint64_t limit = field_number(listener, "queue_limit");

		if (limit == 0 || (worst_limit != 0 && (double)length /
		    (double)limit <= (double)worst_length /
		    (double)worst_limit))
			continue;
		worst_length = length;
		worst_limit = limit;
	}
	if (worst_limit == 0)
		table_cell(t, STYLE_PLAIN, "%s", "");
	else
		table_cell(t, worst_length * 2 >= worst_limit ? STYLE_BAD :
		    STYLE_PLAIN, "%" PRIu64 "/%" PRIu64, worst_length,
		    worst_limit);
}

static void
print_row(struct table *t, const json_t *service)
{
	const json_t *release = release_in_charge(service);
	const char *state = field_text(service, "state");
	uint64_t ready = field_number(service, "ready");
	uint64_t workers = field_number(service, "workers");
	uint64_t revision = field_number(service, "revision");
	uint64_t memory = field_number(service, "memory_bytes");
	int64_t since_s = (int64_t)field_number(service, "in_charge_time_s");

	table_cell(t, STYLE_BOLD, "%s", field_text(service, "name"));
	table_cell(t, state_style(state), "%s", state);
	table_cell(t, ready_style(ready, workers), "%" PRIu64 "/%" PRIu64,
	    ready, workers);
	if (revision > 0)
		table_cell(t, STYLE_PLAIN, "%" PRIu64, revision);
	else
		table_cell(t, STYLE_BAD, "none");
	table_cell(t, STYLE_PLAIN, "%.24s", field_text(release, "version"));
	table_cell(t, STYLE_DIM, "%.8s", field_text(release, "build_id"));
	table_cell(t, STYLE_PLAIN, "%s", since_s > 0 ?
	    draw_age(since_s).text : "");
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(service,
	    "restarts"));
	table_cell(t, STYLE_PLAIN, "%s", memory > 0 ?
	    draw_bytes(memory).text : "");
	print_queue(t, service);
}

static void
note(struct draw *d, const json_t *service, enum style style,
    const char *text)
{
	draw_format(d, STYLE_BOLD, "%s: ", field_text(service, "name"));
	draw_text(d, style, text);
	draw_end(d);
}

static void
print_rollout(struct draw *d, const json_t *service, const json_t *rollout)
{
	const json_t *deployment = field_object(rollout, "deployment");
	const json_t *workers = field_list(service, "worker_list");
	uint64_t from = field_number(deployment, "from_revision");
	uint64_t to = field_number(deployment, "revision");
	const char *phase = field_text(rollout, "phase");
	const char *fault = field_text(rollout, "fault");
	const char *waits_for = field_text(rollout, "waits_for");
	struct tally old = tally_workers(workers, from);
	struct tally new = tally_workers(workers, to);

	draw_format(d, STYLE_BOLD, "%s: ", field_text(service, "name"));
	draw_format(d, STYLE_PLAIN, "%s of revision %s, ", field_text(
	    deployment, "kind"), revision_label(to, field_text(deployment,
	    "version")).text);
	draw_text(d, phase_style(phase), phase);
	draw_text(d, STYLE_PLAIN, ", ");
	steps_print_present(d, rollout);
	draw_format(d, STYLE_PLAIN, ", for %s", draw_duration(field_number(
	    deployment, "duration_ms")).text);
	if (waits_for[0] != '\0')
		draw_format(d, STYLE_PLAIN, ", waits for %s", waits_for);
	draw_end(d);
	if (from > 0) {
		draw_format(d, STYLE_PLAIN, "  old, revision %" PRIu64 ": ",
		    from);
		tally_print(d, &old);
		draw_end(d);
	}
	draw_format(d, STYLE_PLAIN, "  new, revision %" PRIu64 ": ", to);
	tally_print(d, &new);
	draw_end(d);
	if (fault[0] != '\0')
		draw_line(d, STYLE_BAD, "  %s", fault);
	if (field_number(rollout, "next_revision") > 0)
		draw_line(d, STYLE_WARNING, "  revision %" PRIu64
		    " waits for its end", field_number(rollout,
		    "next_revision"));
}

static void
print_strangers(struct draw *d, const json_t *service)
{
	json_t *listener;
	size_t i;

	json_array_foreach(field_list(service, "listeners"), i, listener) {
		uint64_t count = field_number(listener, "strangers");

		if (count == 0)
			continue;
		draw_format(d, STYLE_BOLD, "%s: ", field_text(service,
		    "name"));
		draw_line(d, STYLE_BAD, "%" PRIu64 " socket%s of another "
		    "process listen%s at %s, too, and may take connections: "
		    "`ss -lntupe` shows who", count, count == 1 ? "" : "s",
		    count == 1 ? "s" : "", field_text(listener, "address"));
	}
}

static void
print_notes(struct draw *d, const json_t *service)
{
	const json_t *rollout = field_object(service, "rollout");
	const json_t *last = field_object(service, "last");
	const char *trouble = field_text(service, "trouble");
	const char *readiness = field_text(service, "readiness");
	const char *installed = field_text(service, "installed");
	const char *verdict = field_text(last, "verdict");

	if (trouble[0] != '\0')
		note(d, service, STYLE_BAD, trouble);
	print_strangers(d, service);
	if (rollout != NULL)
		print_rollout(d, service, rollout);
	if (last != NULL && strcmp(verdict, "complete") != 0 &&
	    strcmp(verdict, "superseded") != 0) {
		draw_format(d, STYLE_BOLD, "%s: ", field_text(service,
		    "name"));
		steps_print_last(d, last);
		draw_end(d);
	}
	if (strcmp(installed, "newer") == 0)
		note(d, service, STYLE_WARNING, "a newer build is installed; "
		    "`supctl reload` rolls it out");
	if (strcmp(installed, "quarantined") == 0)
		note(d, service, STYLE_WARNING, "the build that is installed "
		    "was rolled back; install another");
	if (strncmp(readiness, "alive", 5) == 0) {
		draw_format(d, STYLE_BOLD, "%s: ", field_text(service,
		    "name"));
		draw_format(d, STYLE_DIM, "readiness is only a guess "
		    "(ready = %s)", readiness);
		draw_end(d);
	}
}

static bool
is_small(const json_t *services)
{
	const json_t *only = json_array_get(services, 0);

	return json_array_size(services) == 1 && json_array_size(field_list(
	    only, "worker_list")) <= SMALL_SERVICE_WORKERS;
}

int
status_print(struct draw *d, const json_t *reply, bool detailed)
{
	static const char *const headings[] = { "SERVICE", "STATE", "READY",
		"REVISION", "VERSION", "BUILD", "IN CHARGE", "RESTARTS",
		"MEMORY", "QUEUE" };
	const json_t *supervisor = field_object(reply, "supervisor");
	const json_t *services = field_list(reply, "services");
	json_t *service;
	struct table *t;
	size_t i;

	if (supervisor == NULL)
		return complain_shape("supervisor");
	if (services == NULL)
		return complain_shape("services");
	print_supervisor(d, supervisor);
	if (json_array_size(services) == 0) {
		draw_line(d, STYLE_PLAIN, "no service is configured");
		return SUPCTL_DONE;
	}
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach(services, i, service)
		print_row(t, service);
	table_print(t, d, 0);
	json_array_foreach(services, i, service)
		print_notes(d, service);
	json_array_foreach(services, i, service)
		if (detailed || is_small(services))
			detail_print(d, service);
	return SUPCTL_DONE;
}

static int
draw_view(struct view *view, struct draw *d, const json_t *reply)
{
	return status_print(d, reply, view->service != NULL);
}

int
verb_status(const struct supctl *ctl)
{
	const char *service = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	struct view view = { .method = "io.supd.Status", .service = service,
	    .draw = draw_view };
	struct reply reply;
	struct draw d;
	int code;

	if (ctl->watch)
		return watch(ctl, &view);
	code = call_once(ctl, "io.supd.Status", service != NULL ?
	    json_pack("{s:s}", "service", service) : json_object(), &reply);
	if (code != SUPCTL_DONE)
		return code;
	draw_init(&d, stdout);
	if (ctl->json)
		call_print_json(reply.parameters);
	else
		code = status_print(&d, reply.parameters, service != NULL);
	reply_release(&reply);
	return code;
}
