/*
 * `upgrade`: supd is replaced by another one, while the workers serve.
 *
 * The connection of who asked for it is carried across, so that the new supd
 * can say itself that it is in charge, and that it stays, or the old one that it
 * is back.  If it is lost all the same, or nothing comes any more, the answer to
 * Status says who is in charge; as long as that is on trial it is asked again.
 */
#include "supctl.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* supd gives the new one 5 s to check the state, and says so if it fails. */
enum { PATIENCE_MS = 12000, LOOK_AGAIN_MS = 200, LOOKS_MAX = 50 };

struct upgrade {
	const struct supctl *ctl;
	struct supctl looks;            /* for what changes nothing */
	struct call call;
	struct draw draw;
	int64_t began_s;                /* wall clock */
};

static void
print_done(struct draw *d, const json_t *reply)
{
	const char *from = field_text(reply, "from");
	const char *to = field_text(reply, "to");
	uint64_t workers = field_number(reply, "workers");

	if (strcmp(from, to) == 0)
		draw_format(d, STYLE_GOOD, "supd %s was replaced by the same "
		    "version", to);
	else
		draw_format(d, STYLE_GOOD, "supd was upgraded from %s to %s",
		    from, to);
	draw_line(d, STYLE_PLAIN, "; %" PRIu64 " worker%s went on, supd did "
	    "not answer for %s", workers, workers == 1 ? "" : "s",
	    draw_duration(field_number(reply, "not_answering_ms")).text);
}

static void
print_trial(struct draw *d, const json_t *reply)
{
	draw_line(d, STYLE_PLAIN, "supd %s is in charge, on trial for %s",
	    field_text(reply, "to"),
	    draw_duration(field_number(reply, "trial_ms")).text);
}

static void
print_stage(struct draw *d, const json_t *reply)
{
	const char *stage = field_text(reply, "stage");

	if (strcmp(stage, "checking") == 0)
		draw_line(d, STYLE_PLAIN, "checking %s", field_text(reply,
		    "path"));
	else if (strcmp(stage, "executing") == 0)
		draw_line(d, STYLE_PLAIN, "executing it; the workers go on");
	else if (strcmp(stage, "trial") == 0)
		print_trial(d, reply);
	else if (strcmp(stage, "done") == 0)
		print_done(d, reply);
}

/* One reply.  Returns an exit code, or -1 if more are to come. */
static int
hear(struct upgrade *u, const struct reply *reply)
{
	if (reply->error != NULL)
		return complain_reply(u->ctl, &u->call, reply);
	if (field_text(reply->parameters, "stage")[0] == '\0')
		return complain_shape("stage");
	if (u->ctl->json)
		call_print_json(reply->parameters);
	else
		print_stage(&u->draw, reply->parameters);
	(void)draw_flush();
	return reply->continues ? -1 : SUPCTL_DONE;
}

/* Nobody said how it ended: from what is in charge. */
static int
judge(struct upgrade *u, const json_t *supervisor)
{
	const json_t *restarted = field_object(supervisor, "restarted");
	const char *version = field_text(supervisor, "version");
	const char *why = field_text(restarted, "why");
	int64_t at_s = (int64_t)field_number(restarted, "at_s");

	if (at_s < u->began_s) {
		complain("the upgrade has not come to an end: supd %s is in "
		    "charge, and was not restarted (see: supctl status, and "
		    "its log)", version);
		return SUPCTL_FAILED;
	}
	if (strncmp(why, "upgraded from ", 14) != 0) {
		complain("the upgrade did not come to an end: supd %s is in "
		    "charge, and was restarted %s ago: %s (see its log)",
		    version, draw_age(at_s).text, why);
		return SUPCTL_FAILED;
	}
	if (!u->ctl->json)
		draw_line(&u->draw, STYLE_GOOD, "supd %s is in charge, %s",
		    version, why);
	return SUPCTL_DONE;
}

static bool
is_on_trial(const struct reply *reply)
{
	const json_t *supervisor = field_object(reply->parameters,
	    "supervisor");

	return field_flag(field_object(supervisor, "restarted"), "on_trial");
}

/* Status, when who is in charge is there to stay; to be released if it is 0. */
static int
ask_who_stays(struct upgrade *u, struct reply *ret_reply)
{
	struct pollfd interrupt = { .fd = u->call.interrupt_fd,
		.events = POLLIN };

	for (int i = 0;; i++) {
		int code = call_ask(&u->looks, &u->call, "io.supd.Status",
		    json_object(), ret_reply);

		if (code != SUPCTL_DONE || i == LOOKS_MAX ||
		    !is_on_trial(ret_reply))
			return code;
		reply_release(ret_reply);
		(void)poll(&interrupt, 1, LOOK_AGAIN_MS);
	}
}

static int
look(struct upgrade *u, enum call_result missed)
{
	int error = call_reopen(&u->call);
	const json_t *supervisor;
	struct reply reply;
	int code;

	if (error < 0)
		return complain_gone(&u->call, error, "; what became of the "
		    "upgrade is not known, see the log of supd");
	if (missed == CALL_CLOSED)
		complain_back(&u->call, "looking who is in charge");
	code = ask_who_stays(u, &reply);
	if (code != SUPCTL_DONE)
		return code;
	supervisor = field_object(reply.parameters, "supervisor");
	if (supervisor == NULL)
		code = complain_shape("supervisor");
	else
		code = judge(u, supervisor);
	if (supervisor != NULL && u->ctl->json)
		call_print_json(supervisor);
	reply_release(&reply);
	return code;
}

/* No reply came. */
static int
miss(struct upgrade *u, enum call_result result)
{
	switch (result) {
	case CALL_INTERRUPTED:
		complain("interrupted; the upgrade goes on (to see who is in "
		    "charge: supctl status)");
		return SUPCTL_FAILED;
	case CALL_TIMEOUT:
		complain("supd has said nothing for %d s, and the upgrade may "
		    "still come; looking who is in charge", PATIENCE_MS / 1000);
		return look(u, result);
	case CALL_CLOSED:
		return look(u, result);
	case CALL_REPLY:
	case CALL_BROKEN:
	case CALL_GARBAGE:
	case CALL_TOO_LARGE:
		break;
	}
	return complain_result(u->ctl, &u->call, result);
}

static int
wait_for_end(struct upgrade *u)
{
	int code = -1;

	while (code < 0) {
		struct reply reply;
		enum call_result result = call_receive(&u->call,
		    PATIENCE_MS, &reply);

		if (result != CALL_REPLY)
			return miss(u, result);
		code = hear(u, &reply);
		reply_release(&reply);
	}
	return code;
}

/* supd has another working directory.  NULL: says why there is none. */
static json_t *
absolute_path(const char *path)
{
	char *directory;
	json_t *text;

	if (path[0] == '/')
		return draw_memory(json_string(path));
	directory = getcwd(NULL, 0);
	if (directory == NULL) {
		complain("--to %s: the working directory cannot be told: %s; "
		    "nothing was changed", path, strerror(errno));
		return NULL;
	}
	text = json_sprintf("%s/%s", directory, path);
	if (text == NULL)
		complain("--to %s: the working directory is not UTF-8: \"%s\"; "
		    "nothing was changed", path, directory);
	free(directory);
	return text;
}

/* Takes over `parameters`. */
static int
ask(struct upgrade *u, json_t *parameters)
{
	int code = call_open(&u->call, u->ctl->socket_path);

	if (code != SUPCTL_DONE) {
		json_decref(parameters);
		return code;
	}
	u->began_s = time(NULL);
	draw_init(&u->draw, stdout);
	u->call.interrupt_fd = call_catch_interrupts();
	call_send(&u->call, "io.supd.Upgrade", parameters, true);
	code = wait_for_end(u);
	if (u->call.interrupt_fd >= 0)
		close(u->call.interrupt_fd);
	call_close(&u->call);
	return code;
}

int
verb_upgrade(const struct supctl *ctl)
{
	struct upgrade u = { .ctl = ctl, .looks = *ctl };
	json_t *parameters = draw_memory(json_object()), *path;

	u.looks.changes = false;
	if (ctl->to_path != NULL) {
		path = absolute_path(ctl->to_path);
		if (path == NULL) {
			json_decref(parameters);
			return SUPCTL_FAILED;
		}
		json_object_set_new(parameters, "path", path);
	}
	return ask(&u, parameters);
}
