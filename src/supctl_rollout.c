/*
 * `rollout`: what the one that runs does, and orders to it.
 *
 * The supervisor decides which order is possible in which phase; its refusal
 * says what is (supctl_complain.c).  pause and resume are answered at once,
 * promote and abort are waited for as a reload is.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

static void
print_running(struct draw *d, const char *service, const json_t *rollout)
{
	const json_t *deployment = field_object(rollout, "deployment");
	const char *phase = field_text(rollout, "phase");
	const char *fault = field_text(rollout, "fault");
	uint64_t next = field_number(rollout, "next_revision");
	bool climbs = strcmp(phase, "climb") == 0;

	draw_format(d, STYLE_BOLD, "%s: ", service);
	draw_format(d, STYLE_PLAIN, "%s, revision %" PRIu64 " -> %s, %s, ",
	    field_text(deployment, "kind"),
	    field_number(deployment, "from_revision"),
	    revision_label(field_number(deployment, "revision"),
	    field_text(deployment, "version")).text,
	    field_text(deployment, "strategy"));
	draw_text(d, climbs ? STYLE_GOOD : STYLE_BAD, phase);
	draw_text(d, STYLE_PLAIN, ", ");
	steps_print_present(d, rollout);
	draw_format(d, STYLE_PLAIN, ", for %s", draw_duration(field_number(
	    deployment, "duration_ms")).text);
	draw_end(d);
	if (fault[0] != '\0')
		draw_line(d, STYLE_BAD, "  %s", fault);
	if (field_text(deployment, "reason")[0] != '\0')
		draw_line(d, STYLE_BAD, "  %s", field_text(deployment,
		    "reason"));
	if (next > 0)
		draw_line(d, STYLE_WARNING, "  revision %" PRIu64 " waits for "
		    "its end", next);
	steps_print_plan(d, field_list(rollout, "steps"),
	    field_number(rollout, "step"));
}

static int
print_rollout(const char *service, const json_t *reply)
{
	const json_t *rollout = field_object(reply, "rollout");
	const json_t *last = field_object(reply, "last");
	struct draw d;

	draw_init(&d, stdout);
	if (rollout != NULL) {
		print_running(&d, service, rollout);
		return SUPCTL_DONE;
	}
	draw_format(&d, STYLE_BOLD, "%s: ", service);
	draw_text(&d, STYLE_PLAIN, "no rollout is running");
	if (last != NULL)
		draw_text(&d, STYLE_PLAIN, "; ");
	steps_print_last(&d, last);
	draw_end(&d);
	return SUPCTL_DONE;
}

static int
show_status(const struct supctl *ctl, const char *service)
{
	struct reply reply;
	int code = call_once(ctl, "io.supd.RolloutStatus", json_pack("{s:s}",
	    "service", service), &reply);

	if (code != SUPCTL_DONE)
		return code;
	if (ctl->json)
		call_print_json(reply.parameters);
	else
		code = print_rollout(service, reply.parameters);
	reply_release(&reply);
	return code;
}

/* An order that is carried out at once. */
static int
order(const struct supctl *ctl, const char *method, const char *service,
    const char *sentence)
{
	struct reply reply;
	const json_t *outcome;
	const char *text;
	struct draw d;
	int code = call_once(ctl, method, json_pack("{s:s}", "service",
	    service), &reply);

	if (code != SUPCTL_DONE)
		return code;
	outcome = json_array_get(field_list(reply.parameters, "outcomes"), 0);
	text = field_text(outcome, "text");
	draw_init(&d, stdout);
	if (ctl->json)
		call_print_json(reply.parameters);
	else
		draw_line(&d, STYLE_PLAIN, "%s: %s", service,
		    text[0] != '\0' ? text : sentence);
	reply_release(&reply);
	return SUPCTL_DONE;
}

static int
pause_it(const struct supctl *ctl, const char *service)
{
	return order(ctl, "io.supd.Pause", service, "the rollout is paused");
}

static int
resume_it(const struct supctl *ctl, const char *service)
{
	return order(ctl, "io.supd.Resume", service, "the rollout goes on");
}

static int
promote_it(const struct supctl *ctl, const char *service)
{
	return deploy_edit(ctl, "io.supd.Promote", service, GOAL_RELEASE);
}

static int
abort_it(const struct supctl *ctl, const char *service)
{
	return deploy_edit(ctl, "io.supd.Abort", service, GOAL_ABORT);
}

static const struct order {
	const char *name;
	bool changes, waits;
	int (*run)(const struct supctl *, const char *service);
} orders[] = {
	{ "status", false, false, show_status },
	{ "pause", true, false, pause_it },
	{ "resume", true, false, resume_it },
	{ "promote", true, true, promote_it },
	{ "abort", true, true, abort_it },
};
enum { ORDER_COUNT = sizeof(orders) / sizeof(orders[0]) };

static const struct order *
find_order(const char *name)
{
	const char *names[ORDER_COUNT], *nearest;

	for (size_t i = 0; i < ORDER_COUNT; i++) {
		names[i] = orders[i].name;
		if (strcmp(name, names[i]) == 0)
			return &orders[i];
	}
	nearest = nearest_word(name, names, ORDER_COUNT);
	complain("rollout: expected status, pause, resume, promote or abort, "
	    "not \"%s\"%s%s%s; nothing was changed", name,
	    nearest != NULL ? " (did you mean " : "",
	    nearest != NULL ? nearest : "", nearest != NULL ? "?)" : "");
	return NULL;
}

int
verb_rollout(const struct supctl *ctl)
{
	const struct order *found = find_order(ctl->operands[0]);
	struct supctl own = *ctl;

	if (found == NULL)
		return SUPCTL_USAGE;
	if (ctl->no_wait && !found->waits) {
		complain("rollout: %s does not wait, so there is no --no-wait",
		    found->name);
		return SUPCTL_USAGE;
	}
	own.changes = found->changes;
	return found->run(&own, ctl->operands[1]);
}
