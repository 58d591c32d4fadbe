/*
 * reload, undo, restart: asking for a rollout, waiting for it, and the verdict
 * that the exit code stands for.
 *
 * The reply stream of the request carries the events; its last reply the
 * outcomes.  On a terminal a picture is kept up beside them (supctl_picture.c)
 * and only warnings are told as lines; elsewhere every event is a line.  What
 * happens to this process changes nothing for the rollout, and whoever leaves
 * early is told so.
 */
#include "supctl.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum { PICTURE_MS = 250, LAST_ANSWER_MS = 2000 };

struct wait {
	const struct supctl *ctl;
	const char *service;            /* the only one, or NULL */
	bool takes_back;                /* undo: a verdict against the running
					 * rollout is what was asked for */
	struct call call;
	struct draw draw;
	struct picture *picture;        /* or NULL */
	uint64_t started_ms;
	bool heard;                     /* something has begun */
};

static const char *
pick_service(const struct wait *w)
{
	return w->service != NULL ? w->service : "SERVICE";
}

static void
show_event(struct wait *w, const json_t *event)
{
	const char *type = field_text(event, "type");
	const char *level = field_text(event, "level");

	/* The verdict at the end says the same, and more. */
	if (event == NULL || strcmp(type, "finished") == 0)
		return;
	if (w->picture != NULL && strcmp(level, "plain") == 0)
		return;
	picture_erase(w->picture);
	event_print(&w->draw, event, false);
	(void)draw_flush();
}

/* What is known of a deployment that has ended; NULL if nothing. */
static json_t *
look_up(struct wait *w, const json_t *outcome, struct reply *reply)
{
	json_t *last;

	call_send(&w->call, "io.supd.RolloutStatus", json_pack("{s:s}",
	    "service", field_text(outcome, "service")), false);
	if (call_receive(&w->call, LAST_ANSWER_MS, reply) != CALL_REPLY) {
		memset(reply, 0, sizeof(*reply));
		return NULL;
	}
	last = field_object(reply->parameters, "last");
	if (field_number(last, "id") != field_number(outcome, "deployment"))
		return NULL;
	return last;
}

static void
print_in_charge(struct wait *w, const json_t *outcome, const json_t *last)
{
	uint64_t revision = field_number(outcome, "revision");
	bool is_last = field_number(last, "revision") == revision;
	uint64_t duration_ms = last != NULL ? field_number(last,
	    "duration_ms") : draw_clock_ms() - w->started_ms;

	draw_format(&w->draw, STYLE_GOOD, "revision %s is in charge",
	    revision_label(revision, is_last ? field_text(last, "version") :
	    "").text);
	draw_format(&w->draw, STYLE_PLAIN, ", after %s",
	    draw_duration(duration_ms).text);
	draw_end(&w->draw);
}

/* `last` may be NULL, then the release in charge is not known. */
static void
print_not_in_charge(struct wait *w, const json_t *outcome,
    const json_t *last)
{
	const char *verdict = field_text(outcome, "verdict");
	const char *reason = field_text(outcome, "reason");
	uint64_t from = field_number(last, "from_revision");
	bool rolled_back = strcmp(verdict, "rolled-back") == 0;
	struct draw *d = &w->draw;

	if (rolled_back && from > 0)
		draw_format(d, STYLE_BAD, "rolled back to revision %" PRIu64,
		    from);
	else
		draw_format(d, STYLE_BAD, "revision %s: %s", revision_label(
		    field_number(outcome, "revision"), field_text(last,
		    "version")).text, verdict);
	if (reason[0] != '\0')
		draw_format(d, STYLE_PLAIN, ": %s", reason);
	if (from > 0 && strcmp(verdict, "superseded") != 0)
		draw_format(d, STYLE_PLAIN, "; revision %" PRIu64 " serves",
		    from);
	draw_end(d);
}

/*
 * An undo of the rollout that runs is answered with the verdict on that one:
 * it succeeds if that one did not.
 */
static bool
is_in_charge(const struct wait *w, const json_t *outcome, const json_t *last)
{
	const char *verdict = field_text(outcome, "verdict");

	if (strcmp(verdict, "complete") == 0)
		return true;
	return w->takes_back && last != NULL &&
	    strcmp(verdict, "superseded") != 0 &&
	    field_number(last, "revision") != field_number(outcome,
	    "revision");
}

static int
show_verdict(struct wait *w, const json_t *outcome)
{
	struct reply reply;
	json_t *last = look_up(w, outcome, &reply);
	bool in_charge = is_in_charge(w, outcome, last);

	if (!w->ctl->json && in_charge)
		print_in_charge(w, outcome, last);
	else if (!w->ctl->json)
		print_not_in_charge(w, outcome, last);
	reply_release(&reply);
	return in_charge ? SUPCTL_DONE : SUPCTL_FAILED;
}

static void
print_accepted(struct wait *w, const json_t *outcome)
{
	const char *text = field_text(outcome, "text");
	const char *service = field_text(outcome, "service");

	draw_line(&w->draw, STYLE_PLAIN, "revision %" PRIu64 ": %s; to see "
	    "it: supctl rollout status %s", field_number(outcome, "revision"),
	    text[0] != '\0' ? text : "rolling out", service);
}

static void
print_plan(struct wait *w, const json_t *outcome)
{
	const char *text = field_text(outcome, "text");

	draw_line(&w->draw, STYLE_PLAIN, "%s", text[0] != '\0' ? text :
	    "nothing to do");
	if (field_flag(outcome, "rolls_out"))
		rollout_print_steps(&w->draw, field_list(outcome, "steps"), 0);
}

/* Nothing was to be rolled out; or it could not be, then there is a reason. */
static void
print_idle(struct wait *w, const json_t *outcome)
{
	const char *text = field_text(outcome, "text");
	const char *reason = field_text(outcome, "reason");

	draw_text(&w->draw, STYLE_PLAIN, text[0] != '\0' ? text :
	    "nothing to do");
	if (reason[0] != '\0')
		draw_format(&w->draw, STYLE_BAD, ": %s", reason);
	draw_end(&w->draw);
}

/* Returns an exit code; with --json that is all it does. */
static int
show_outcome(struct wait *w, const json_t *outcome)
{
	bool speaks = !w->ctl->json;
	bool failed;

	if (speaks)
		draw_format(&w->draw, STYLE_BOLD, "%s: ", field_text(outcome,
		    "service"));
	if (field_text(outcome, "verdict")[0] != '\0')
		return show_verdict(w, outcome);
	failed = field_text(outcome, "reason")[0] != '\0';
	if (w->ctl->plan) {
		if (speaks)
			print_plan(w, outcome);
	} else if (!field_flag(outcome, "rolls_out")) {
		if (speaks)
			print_idle(w, outcome);
	} else if (w->ctl->no_wait) {
		if (speaks)
			print_accepted(w, outcome);
	} else {
		failed = true;
		if (speaks)
			draw_line(&w->draw, STYLE_BAD, "the supervisor gave "
			    "no verdict, see: supctl status");
	}
	return failed ? SUPCTL_FAILED : SUPCTL_DONE;
}

static int
show_outcomes(struct wait *w, const json_t *reply)
{
	const json_t *outcomes = field_list(reply, "outcomes");
	int code = SUPCTL_DONE;
	json_t *outcome;
	size_t i;

	if (outcomes == NULL)
		return complain_shape("outcomes");
	json_array_foreach(outcomes, i, outcome)
		if (show_outcome(w, outcome) != SUPCTL_DONE)
			code = SUPCTL_FAILED;
	if (w->ctl->json)
		return code;
	if (w->ctl->plan)
		draw_line(&w->draw, STYLE_PLAIN, "nothing was changed");
	else if (json_array_size(outcomes) == 0)
		draw_line(&w->draw, STYLE_PLAIN, "nothing to do");
	return code;
}

static int
leave(struct wait *w, enum call_result result)
{
	const char *service = pick_service(w);

	if (result == CALL_INTERRUPTED) {
		complain("interrupted; the rollout goes on (to see it: supctl "
		    "rollout status %s; to take it back: supctl undo %s)",
		    service, service);
		return SUPCTL_FAILED;
	}
	if (result == CALL_CLOSED && w->heard) {
		complain("the supervisor at %s went away during the rollout; "
		    "what became of it is not known, see: supctl status, "
		    "supctl history", w->call.path);
		return SUPCTL_FAILED;
	}
	return complain_result(w->ctl, &w->call, result);
}

/* One reply.  Returns an exit code, or -1 if more are to come. */
static int
hear(struct wait *w, const struct reply *reply)
{
	if (reply->error != NULL) {
		picture_erase(w->picture);
		return complain_reply(w->ctl, &w->call, reply);
	}
	w->heard = true;
	if (w->ctl->json)
		call_print_json(reply->parameters);
	else
		show_event(w, field_object(reply->parameters, "event"));
	(void)draw_flush();
	if (reply->continues)
		return -1;
	picture_close(w->picture);
	w->picture = NULL;
	return show_outcomes(w, reply->parameters);
}

/* Until an ordinary answer, the picture's next look, or for ever. */
static int
patience_ms(const struct wait *w)
{
	if (w->ctl->no_wait || w->ctl->plan)
		return CALL_PATIENCE_MS;
	return w->picture != NULL ? PICTURE_MS : CALL_FOREVER_MS;
}

static int
wait_for_end(struct wait *w)
{
	int code = -1;

	while (code < 0) {
		struct reply reply;
		enum call_result result = call_receive(&w->call,
		    patience_ms(w), &reply);

		if (result == CALL_TIMEOUT && w->picture != NULL) {
			picture_draw(w->picture);
			continue;
		}
		if (result != CALL_REPLY) {
			picture_erase(w->picture);
			return leave(w, result);
		}
		code = hear(w, &reply);
		reply_release(&reply);
		if (code < 0)
			picture_draw(w->picture);
	}
	return code;
}

/* Takes over `parameters`. */
static int
deploy(const struct supctl *ctl, const char *method, json_t *parameters,
    const char *service)
{
	struct wait w = { .ctl = ctl, .service = service,
	    .takes_back = strcmp(method, "io.supd.Undo") == 0,
	    .started_ms = draw_clock_ms() };
	bool waits = !ctl->no_wait && !ctl->plan;
	int code = call_open(&w.call, ctl->socket_path);

	draw_memory(parameters);
	if (code != SUPCTL_DONE) {
		json_decref(parameters);
		return code;
	}
	draw_init(&w.draw, stdout);
	json_object_set_new(parameters, "wait", json_boolean(waits));
	w.call.interrupt_fd = call_catch_interrupts();
	call_send(&w.call, method, parameters, waits);
	if (waits && !ctl->json)
		w.picture = picture_open(ctl, service);
	code = wait_for_end(&w);
	picture_close(w.picture);
	if (w.call.interrupt_fd >= 0)
		close(w.call.interrupt_fd);
	call_close(&w.call);
	return code;
}

static json_t *
reload_parameters(const struct supctl *ctl)
{
	json_t *parameters = draw_memory(json_object());
	json_t *services = json_array();

	for (size_t i = 0; i < ctl->operand_count; i++)
		json_array_append_new(services, json_string(ctl->operands[i]));
	if (ctl->operand_count > 0)
		json_object_set(parameters, "services", services);
	json_decref(services);
	if (ctl->version != NULL)
		json_object_set_new(parameters, "version",
		    json_string(ctl->version));
	if (ctl->commit_time_s > 0)
		json_object_set_new(parameters, "commit_time_s",
		    json_integer(ctl->commit_time_s));
	if (ctl->force)
		json_object_set_new(parameters, "force", json_true());
	if (ctl->if_changed)
		json_object_set_new(parameters, "if_changed", json_true());
	if (ctl->plan)
		json_object_set_new(parameters, "plan", json_true());
	return parameters;
}

int
verb_reload(const struct supctl *ctl)
{
	return deploy(ctl, "io.supd.Reload", reload_parameters(ctl),
	    ctl->operand_count == 1 ? ctl->operands[0] : NULL);
}

int
verb_undo(const struct supctl *ctl)
{
	return deploy(ctl, "io.supd.Undo", json_pack("{s:s}", "service",
	    ctl->operands[0]), ctl->operands[0]);
}

int
verb_restart(const struct supctl *ctl)
{
	return deploy(ctl, "io.supd.Restart", json_pack("{s:s}", "service",
	    ctl->operands[0]), ctl->operands[0]);
}
