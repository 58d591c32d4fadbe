/*
 * What came of a reload, an undo, a restart, a promotion or an abort: one line
 * for each service, and the exit code, which is what scripts go by.
 *
 * The outcome has the verdict; what else is told (versions, durations, who
 * serves now) is asked for on the same connection, and if it cannot be had,
 * that changes nothing.  A rollout that is in charge while the old release is
 * kept warm has no verdict yet, and is a success all the same.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"

enum { ANSWER_MS = 2000 };

/* What the supervisor knows of a deployment, beside its outcome. */
struct known {
	struct reply reply;             /* that these are of */
	const json_t *deployment;       /* NULL: nothing is known */
	const json_t *rollout;          /* NULL: it has ended */
};

static struct known
look_up(struct wait *w, const json_t *outcome)
{
	uint64_t id = field_number(outcome, "deployment");
	struct known known = { .deployment = NULL };
	const json_t *rollout, *running, *last;

	call_send(&w->call, "io.supd.RolloutStatus", json_pack("{s:s}",
	    "service", field_text(outcome, "service")), false);
	if (call_receive(&w->call, ANSWER_MS, &known.reply) != CALL_REPLY) {
		memset(&known, 0, sizeof(known));
		return known;
	}
	rollout = field_object(known.reply.parameters, "rollout");
	running = field_object(rollout, "deployment");
	last = field_object(known.reply.parameters, "last");
	if (field_number(last, "id") == id) {
		known.deployment = last;
	} else if (field_number(running, "id") == id) {
		known.deployment = running;
		known.rollout = rollout;
	}
	return known;
}

/* The new release is in charge, be the old one still kept or not. */
static bool
is_in_charge(const json_t *outcome, const struct known *known)
{
	const char *verdict = field_text(outcome, "verdict");

	if (verdict[0] == '\0')
		return known->rollout != NULL && (field_given(
		    known->deployment, "in_charge_time_s") || strcmp(
		    field_text(known->rollout, "phase"), "keep") == 0);
	return strcmp(verdict, "complete") == 0 ||
	    strcmp(verdict, "running") == 0;
}

/*
 * An undo of the rollout that runs is answered with the verdict on that one,
 * as an abort is: it succeeds if that one did not.
 */
static bool
is_success(const struct wait *w, const json_t *outcome,
    const struct known *known)
{
	const char *verdict = field_text(outcome, "verdict");

	switch (w->goal) {
	case GOAL_RELEASE:
		break;
	case GOAL_BACK:
		if (known->deployment != NULL && verdict[0] != '\0' &&
		    strcmp(verdict, "superseded") != 0 &&
		    field_number(known->deployment, "revision") !=
		    field_number(outcome, "revision"))
			return true;
		break;
	case GOAL_ABORT:
		return strcmp(verdict, "aborted") == 0 ||
		    strcmp(verdict, "rolled-back") == 0;
	}
	return is_in_charge(outcome, known);
}

static void
print_duration(struct wait *w, const struct known *known)
{
	uint64_t duration_ms = known->deployment != NULL ? field_number(
	    known->deployment, "duration_ms") : clock_ms() - w->started_ms;

	draw_format(&w->draw, STYLE_PLAIN, ", after %s",
	    draw_duration(duration_ms).text);
}

/* For how long an undo is still a matter of one moment. */
static void
print_kept(struct wait *w, const json_t *outcome, const struct known *known)
{
	const char *text = field_text(outcome, "text");
	uint64_t left_ms = field_number(known->rollout, "hold_left_ms");

	if (strcmp(field_text(outcome, "verdict"), "complete") == 0)
		return;
	if (text[0] != '\0')
		draw_format(&w->draw, STYLE_PLAIN, "; %s", text);
	else if (left_ms > 0)
		draw_format(&w->draw, STYLE_PLAIN, "; the old release stays "
		    "warm for %s", draw_duration(left_ms).text);
}

static void
print_in_charge(struct wait *w, const json_t *outcome,
    const struct known *known)
{
	uint64_t revision = field_number(outcome, "revision");
	bool is_its_own = field_number(known->deployment, "revision") ==
	    revision;

	draw_format(&w->draw, STYLE_GOOD, "revision %s is in charge",
	    revision_label(revision, is_its_own ?
	    field_text(known->deployment, "version") : "").text);
	print_duration(w, known);
	if (is_in_charge(outcome, known))
		print_kept(w, outcome, known);
	draw_end(&w->draw);
}

/* The release that was on its way, which may not be what the outcome names. */
static struct label
candidate_label(const json_t *outcome, const struct known *known)
{
	const json_t *source = known->deployment != NULL ?
	    known->deployment : outcome;

	return revision_label(field_number(source, "revision"),
	    field_text(source, "version"));
}

static void
print_who_serves(struct wait *w, const struct known *known)
{
	uint64_t from = field_number(known->deployment, "from_revision");

	if (from > 0)
		draw_format(&w->draw, STYLE_PLAIN, "; revision %" PRIu64
		    " serves", from);
}

static void
print_aborted(struct wait *w, const json_t *outcome,
    const struct known *known)
{
	draw_format(&w->draw, STYLE_GOOD, "revision %s was taken back",
	    candidate_label(outcome, known).text);
	print_duration(w, known);
	print_who_serves(w, known);
	draw_end(&w->draw);
}

/* Of a failure. */
static void
print_verdict(struct wait *w, const json_t *outcome,
    const struct known *known)
{
	const char *verdict = field_text(outcome, "verdict");
	const char *reason = field_text(outcome, "reason");
	uint64_t from = field_number(known->deployment, "from_revision");
	bool rolled_back = strcmp(verdict, "rolled-back") == 0;
	struct draw *d = &w->draw;

	if (rolled_back && from > 0)
		draw_format(d, STYLE_BAD, "rolled back to revision %" PRIu64,
		    from);
	else if (is_in_charge(outcome, known))
		draw_format(d, STYLE_BAD, "too late: revision %s is in charge",
		    candidate_label(outcome, known).text);
	else
		draw_format(d, STYLE_BAD, "revision %s: %s", revision_label(
		    field_number(outcome, "revision"), field_text(
		    known->deployment, "version")).text, verdict);
	if (reason[0] != '\0')
		draw_format(d, STYLE_PLAIN, ": %s", reason);
	if (strcmp(verdict, "superseded") != 0 &&
	    !is_in_charge(outcome, known))
		print_who_serves(w, known);
	draw_end(d);
}

static void
print_unknown(struct wait *w)
{
	draw_line(&w->draw, STYLE_BAD, "the supervisor gave no verdict, see: "
	    "supctl status");
}

/* Of a rollout whose end was waited for. */
static int
show_end(struct wait *w, const json_t *outcome)
{
	struct known known = look_up(w, outcome);
	bool success = is_success(w, outcome, &known);

	if (w->ctl->json)
		;       /* it was printed already */
	else if (success && w->goal == GOAL_ABORT)
		print_aborted(w, outcome, &known);
	else if (success)
		print_in_charge(w, outcome, &known);
	else if (field_text(outcome, "verdict")[0] != '\0')
		print_verdict(w, outcome, &known);
	else
		print_unknown(w);
	if (!w->ctl->json)
		report_print(&w->draw, known.deployment);
	reply_release(&known.reply);
	return success ? SUPCTL_DONE : SUPCTL_FAILED;
}

static void
print_accepted(struct wait *w, const json_t *outcome)
{
	const char *text = field_text(outcome, "text");
	const char *service = field_text(outcome, "service");

	if (!w->edits)
		draw_format(&w->draw, STYLE_PLAIN, "revision %" PRIu64 ": ",
		    field_number(outcome, "revision"));
	draw_line(&w->draw, STYLE_PLAIN, "%s; to see it: supctl rollout "
	    "status %s", text[0] != '\0' ? text : "rolling out", service);
}

static void
print_plan(struct wait *w, const json_t *outcome)
{
	const char *text = field_text(outcome, "text");

	draw_line(&w->draw, STYLE_PLAIN, "%s", text[0] != '\0' ? text :
	    "nothing to do");
	if (field_flag(outcome, "rolls_out"))
		steps_print_plan(&w->draw, field_list(outcome, "steps"));
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

static int
show_outcome(struct wait *w, const json_t *outcome)
{
	bool failed = field_text(outcome, "reason")[0] != '\0';
	bool rolls_out = field_flag(outcome, "rolls_out");
	bool speaks = !w->ctl->json;

	if (speaks)
		draw_format(&w->draw, STYLE_BOLD, "%s: ", field_text(outcome,
		    "service"));
	if (field_text(outcome, "verdict")[0] != '\0' ||
	    (rolls_out && !w->ctl->plan && !w->ctl->no_wait))
		return show_end(w, outcome);
	if (speaks && w->ctl->plan)
		print_plan(w, outcome);
	else if (speaks && !rolls_out)
		print_idle(w, outcome);
	else if (speaks)
		print_accepted(w, outcome);
	return failed ? SUPCTL_FAILED : SUPCTL_DONE;
}

int
outcomes_show(struct wait *w, const json_t *reply)
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
