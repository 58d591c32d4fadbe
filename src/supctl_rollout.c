/*
 * `rollout`: what the one that runs does, and orders to it.
 *
 * The supervisor decides which order is possible in which phase; its refusal
 * says what is (supctl_complain.c).  pause and resume are answered at once,
 * promote and abort are waited for as a reload is.
 */
#include "supctl_rollout.h"

#include <string.h>

/* What is known from one look to the next. */
struct followed {
	uint64_t deployment;            /* that was seen first; 0: none yet */
	struct share_reader share;
};

/* Status has the service in a list; RolloutStatus is about one. */
static const json_t *
subject_of(const json_t *reply)
{
	const json_t *services = field_list(reply, "services");

	return services != NULL ? json_array_get(services, 0) : reply;
}

static int
draw_status(struct view *view, struct draw *d, const json_t *reply)
{
	const json_t *service = subject_of(reply);
	const json_t *last = field_object(service, "last");
	struct followed *followed = view->context;

	if (service == NULL)
		return complain_shape("services");
	if (field_object(service, "rollout") != NULL) {
		progress_draw(d, service, &followed->share);
		report_print(d, field_object(field_object(service, "rollout"),
		    "deployment"));
		return SUPCTL_DONE;
	}
	draw_format(d, STYLE_BOLD, "%s: ", view->service);
	draw_text(d, STYLE_PLAIN, "no rollout is running");
	if (last != NULL)
		draw_text(d, STYLE_PLAIN, "; ");
	steps_print_last(d, last);
	draw_end(d);
	report_print(d, last);
	return SUPCTL_DONE;
}

/*
 * The rollout that was seen first has ended; or none was running, and the last
 * one counts.
 */
static bool
is_over(struct view *view, const json_t *reply, int *ret_code)
{
	const json_t *service = subject_of(reply);
	const json_t *running = field_object(field_object(service, "rollout"),
	    "deployment");
	const json_t *last = field_object(service, "last");
	uint64_t id = field_number(running, "id");
	struct followed *followed = view->context;

	if (running != NULL && (followed->deployment == 0 ||
	    followed->deployment == id)) {
		followed->deployment = id;
		return false;
	}
	*ret_code = SUPCTL_DONE;
	if (followed->deployment != 0 &&
	    followed->deployment != field_number(last, "id")) {
		complain("%s: another rollout came after the one that was "
		    "watched, see: supctl history %s", view->service,
		    view->service);
		*ret_code = SUPCTL_FAILED;
	} else if (last != NULL && strcmp(field_text(last, "verdict"),
	    "complete") != 0) {
		*ret_code = SUPCTL_FAILED;
	}
	return true;
}

static int
watch_status(const struct supctl *ctl, struct view *view)
{
	int code = watch(ctl, view);

	if (code != SUPCTL_DONE || view->over)
		return code;
	complain("%s: the rollout goes on, its end is not known",
	    view->service);
	return SUPCTL_FAILED;
}

/* For people the workers are shown too, which RolloutStatus does not have. */
static int
show_status(const struct supctl *ctl, const char *service)
{
	struct followed followed = { .deployment = 0 };
	struct view view = { .service = service, .draw = draw_status,
	    .is_over = is_over, .context = &followed, .method = ctl->json ?
	    "io.supd.RolloutStatus" : "io.supd.Status" };
	struct reply reply;
	struct draw d;
	int code;

	if (ctl->watch)
		return watch_status(ctl, &view);
	code = call_once(ctl, view.method, json_pack("{s:s}", "service",
	    service), &reply);
	if (code != SUPCTL_DONE)
		return code;
	draw_init(&d, stdout);
	if (ctl->json)
		call_print_json(reply.parameters);
	else
		code = draw_status(&view, &d, reply.parameters);
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
	bool changes, waits, is_watched;
	int (*run)(const struct supctl *, const char *service);
} orders[] = {
	{ "status", false, false, true, show_status },
	{ "pause", true, false, false, pause_it },
	{ "resume", true, false, false, resume_it },
	{ "promote", true, true, false, promote_it },
	{ "abort", true, true, false, abort_it },
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
	if (ctl->watch && !found->is_watched) {
		complain("rollout: --watch is for status, not for %s; "
		    "nothing was changed", found->name);
		return SUPCTL_USAGE;
	}
	own.changes = found->changes;
	return found->run(&own, ctl->operands[1]);
}
