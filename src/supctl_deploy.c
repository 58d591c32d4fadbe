/*
 * reload, undo, restart: asking for a rollout, and waiting for it; promote and
 * abort wait in the same way for the one that runs.
 *
 * The reply stream of the request carries the events; its last reply the
 * outcomes.  On a terminal a picture is kept up beside them (supctl_picture.c)
 * and only warnings are told as lines; elsewhere every event is a line.  What
 * happens to this process changes nothing for the rollout, and whoever leaves
 * early is told so.  If supd is restarted the wait goes on (supctl_resume.c).
 */
#include "supctl_rollout.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum { PICTURE_MS = 250 };

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

static void
drop_picture(struct wait *w)
{
	picture_close(w->picture);
	w->picture = NULL;
}

static void
draw_picture(struct wait *w)
{
	if (w->picture != NULL && !picture_draw(w->picture))
		drop_picture(w);
}

static bool
waits(const struct wait *w)
{
	return !w->ctl->no_wait && !w->ctl->plan;
}

static int
leave_interrupted(const struct wait *w)
{
	const char *service = pick_service(w);

	complain("interrupted; the rollout goes on (to see it: supctl "
	    "rollout status %s; to take it back: supctl undo %s)",
	    service, service);
	return SUPCTL_FAILED;
}

/* Over a new connection: the other one was lost, or has only events. */
static int
look_anew(struct wait *w)
{
	int error;

	drop_picture(w);
	w->resumed = true;
	error = call_reopen(&w->call);
	if (error == -EINTR)
		return leave_interrupted(w);
	if (error < 0)
		return complain_gone(&w->call, error, w->heard ?
		    "; what became of the rollout is not known, see: supctl "
		    "status, supctl history" :
		    "; what became of the request is not known, see: supctl "
		    "status");
	return wait_look(w);
}

/* No reply came.  Returns an exit code, or -1 if the wait goes on. */
static int
miss(struct wait *w, enum call_result result)
{
	picture_erase(w->picture);
	if (result == CALL_INTERRUPTED && waits(w))
		return leave_interrupted(w);
	if (result != CALL_CLOSED || !waits(w))
		return complain_result(w->ctl, &w->call, result);
	if (w->lost_s == 0)
		w->lost_s = time(NULL);
	w->lost = true;
	return look_anew(w);
}

/* One reply.  Returns an exit code, or -1 if more are to come. */
static int
hear(struct wait *w, const struct reply *reply)
{
	const json_t *event = field_object(reply->parameters, "event");

	if (reply->error != NULL) {
		picture_erase(w->picture);
		return complain_reply(w->resumed ? &w->looks : w->ctl,
		    &w->call, reply);
	}
	if (w->resumed && event == NULL)
		w->replays = false;
	if (w->resumed && !wait_is_news(w, event))
		return -1;
	w->heard = true;
	wait_note(w, event);
	if (w->ctl->json)
		call_print_json(reply->parameters);
	else
		show_event(w, event);
	(void)draw_flush();
	if (w->resumed && !wait_is_turn(event))
		return -1;
	if (w->resumed) {
		/* Turns may follow each other fast, for many services. */
		call_served(&w->call);
		return look_anew(w);
	}
	if (reply->continues)
		return -1;
	drop_picture(w);
	return outcomes_show(w, reply->parameters);
}

/* Until an ordinary answer, the picture's next look, or for ever. */
static int
patience_ms(const struct wait *w)
{
	if (!waits(w))
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
			draw_picture(w);
			continue;
		}
		if (result != CALL_REPLY) {
			code = miss(w, result);
			continue;
		}
		code = hear(w, &reply);
		reply_release(&reply);
		if (code < 0)
			draw_picture(w);
	}
	return code;
}

/* Takes over `parameters`. */
static int
ask_and_wait(struct wait *w, const char *method, json_t *parameters)
{
	int code = call_open(&w->call, w->ctl->socket_path);

	draw_memory(parameters);
	if (code != SUPCTL_DONE) {
		json_decref(parameters);
		return code;
	}
	w->started_ms = clock_ms();
	w->began_s = time(NULL);
	w->looks = *w->ctl;
	w->looks.changes = false;
	draw_init(&w->draw, stdout);
	json_object_set_new(parameters, "wait", json_boolean(waits(w)));
	w->call.interrupt_fd = call_catch_interrupts();
	call_send(&w->call, method, parameters, waits(w));
	if (waits(w) && !w->ctl->json)
		w->picture = picture_open(w->ctl, w->service);
	code = wait_for_end(w);
	drop_picture(w);
	wait_forget(w);
	if (w->call.interrupt_fd >= 0)
		close(w->call.interrupt_fd);
	call_close(&w->call);
	return code;
}

int
deploy(const struct supctl *ctl, const char *method, json_t *parameters,
    const char *service, enum goal goal)
{
	struct wait w = { .ctl = ctl, .service = service, .goal = goal };

	return ask_and_wait(&w, method, parameters);
}

int
deploy_edit(const struct supctl *ctl, const char *method,
    const char *service, enum goal goal)
{
	struct wait w = { .ctl = ctl, .service = service, .goal = goal,
	    .edits = true };

	return ask_and_wait(&w, method, json_pack("{s:s}", "service",
	    service));
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
	if (ctl->strategy != NULL)
		json_object_set_new(parameters, "strategy",
		    json_string(ctl->strategy));
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
	    ctl->operand_count == 1 ? ctl->operands[0] : NULL, GOAL_RELEASE);
}

int
verb_undo(const struct supctl *ctl)
{
	const char *service = ctl->operands[0];
	json_t *parameters = json_pack("{s:s}", "service", service);

	if (ctl->to_revision > 0)
		json_object_set_new(parameters, "to_revision",
		    json_integer(ctl->to_revision));
	return deploy(ctl, "io.supd.Undo", parameters, service, GOAL_BACK);
}

int
verb_restart(const struct supctl *ctl)
{
	const char *service = ctl->operands[0];

	return deploy(ctl, "io.supd.Restart", json_pack("{s:s}", "service",
	    service), service, GOAL_RELEASE);
}
