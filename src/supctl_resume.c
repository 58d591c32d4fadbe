/*
 * A wait that outlives the connection: supd was restarted, or replaced by
 * another one, and the rollouts that are waited for go on without us.
 *
 * Over a new connection each service is looked at once: its rollout has ended
 * meanwhile, or it runs, and then the events say when to look again: first the
 * latest, of which those heard before are dropped, then, behind the answer to
 * another question, those to come.  So what is shown and exited with at the end
 * is made from the deployment, as the supervisor makes an outcome.
 *
 * Which deployment it is, the events said, unless the connection was lost
 * before the first one.  Then it is the one that fits: of the kind that was
 * asked for, begun since then; or, for an order to one that ran, ended since
 * then.  If none fits, nobody knows whether the request was taken.
 */
#include "supctl_rollout.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { PAST_DEPLOYMENTS = 50 };         /* that are searched for one */

/* The place of a service among those waited for; NULL: there are too many. */
static struct awaited *
await(struct wait *w, const char *service)
{
	struct awaited *a = w->awaited;

	while (a < w->awaited + w->awaited_count &&
	    strcmp(a->service, service) != 0)
		a++;
	if (a < w->awaited + w->awaited_count)
		return a;
	if (w->awaited_count == SERVICES_MAX ||
	    strlen(service) > NAME_LENGTH_MAX)
		return NULL;
	strcpy(a->service, service);
	w->awaited_count++;
	return a;
}

void
wait_note(struct wait *w, const json_t *event)
{
	uint64_t time_ms = field_number(event, "time_ms");
	uint64_t id = field_number(event, "deployment");
	struct awaited *a = id == 0 ? NULL : await(w, field_text(event,
	    "service"));

	if (time_ms > w->event_ms)
		w->event_ms = time_ms;
	if (a != NULL)
		a->id = id;
}

bool
wait_is_news(const struct wait *w, const json_t *event)
{
	const char *service = field_text(event, "service");
	uint64_t id = field_number(event, "deployment");
	bool begins = strcmp(field_text(event, "type"), "rollout") == 0;

	if (w->replays && field_number(event, "time_ms") <= w->event_ms)
		return false;
	for (size_t i = 0; i < w->awaited_count; i++) {
		const struct awaited *a = &w->awaited[i];

		if (strcmp(a->service, service) == 0)
			return a->id != 0 ? a->id == id : a->queued && begins;
	}
	return false;
}

bool
wait_is_turn(const json_t *event)
{
	const char *type = field_text(event, "type");

	return strcmp(type, "finished") == 0 ||
	    strcmp(type, "in-charge") == 0 || strcmp(type, "rollout") == 0;
}

/* As the supervisor would have said it; `d` may be NULL: not known. */
static void
settle(struct wait *w, struct awaited *a, const json_t *d)
{
	bool is_new = (int64_t)field_number(d, "started_time_s") >=
	    w->began_s && strcmp(field_text(d, "kind"), "undo") == 0;
	/* Taking back a rollout that ran leads to what it came from. */
	uint64_t revision = field_number(d, w->goal == GOAL_RELEASE ||
	    is_new ? "revision" : "from_revision");
	json_t *reason = json_object_get(d, "reason");

	json_decref(a->outcome);
	a->outcome = draw_memory(json_pack(
	    "{s:s, s:I, s:I, s:b, s:s, s:[], s:O?, s:O?}",
	    "service", a->service, "revision", (json_int_t)revision,
	    "deployment", (json_int_t)a->id, "rolls_out", 1, "text", "",
	    "steps", "verdict", json_object_get(d, "verdict"),
	    "reason", reason));
}

/* Of a deployment whose number is not known. */
static bool
fits(const struct wait *w, const json_t *d, const json_t *rollout)
{
	int64_t started_s = (int64_t)field_number(d, "started_time_s");
	int64_t finished_s = (int64_t)field_number(d, "finished_time_s");

	if (strcmp(field_text(d, "kind"), w->ctl->verb) == 0 &&
	    started_s >= w->began_s)
		return true;
	if (rollout != NULL)
		return w->goal != GOAL_RELEASE && strcmp(field_text(rollout,
		    "phase"), "rollback") == 0;
	return finished_s >= w->began_s && (w->edits ||
	    (w->goal == GOAL_BACK && strcmp(field_text(d, "verdict"),
	    "aborted") == 0));
}

static bool
is_ours(const struct wait *w, const struct awaited *a, const json_t *d,
    const json_t *rollout)
{
	/* What began later has a number of a supd that knows of no other. */
	if (d == NULL ||
	    (int64_t)field_number(d, "started_time_s") > w->lost_s)
		return false;
	return a->id != 0 ? field_number(d, "id") == a->id :
	    fits(w, d, rollout);
}

/* What ended, and was followed by another one, is in the ledger. */
static int
search_past(struct wait *w, struct awaited *a)
{
	struct reply reply;
	json_t *d, *found = NULL;
	size_t i;
	int code = call_ask(&w->looks, &w->call, "io.supd.History",
	    json_pack("{s:s, s:i}", "service", a->service, "limit",
	    PAST_DEPLOYMENTS), &reply);

	if (code != SUPCTL_DONE)
		return code;
	json_array_foreach(field_list(reply.parameters, "deployments"), i, d)
		if (is_ours(w, a, d, NULL) &&
		    (int64_t)field_number(d, "finished_time_s") >= w->began_s)
			found = d;
	settle(w, a, found);
	reply_release(&reply);
	return SUPCTL_DONE;
}

/* Returns an exit code; with an outcome the wait for this one is over. */
static int
look_at(struct wait *w, struct awaited *a)
{
	struct reply reply;
	const json_t *rollout, *running, *last;
	bool ended, runs;
	int code = call_ask(&w->looks, &w->call, "io.supd.RolloutStatus",
	    json_pack("{s:s}", "service", a->service), &reply);

	if (code != SUPCTL_DONE)
		return code;
	rollout = field_object(reply.parameters, "rollout");
	running = field_object(rollout, "deployment");
	last = field_object(reply.parameters, "last");
	a->queued = field_number(rollout, "next_revision") > 0 && !w->edits;
	ended = is_ours(w, a, last, NULL);
	runs = !ended && is_ours(w, a, running, rollout);
	if (ended || runs)
		a->id = field_number(ended ? last : running, "id");
	if (ended)
		settle(w, a, last);
	else if (runs && strcmp(field_text(rollout, "phase"), "keep") == 0)
		settle(w, a, running);
	else if (!runs && a->id != 0)
		code = search_past(w, a);
	reply_release(&reply);
	return code;
}

static int
list_all(struct wait *w)
{
	struct reply reply;
	json_t *service;
	size_t i;
	int code = call_ask(&w->looks, &w->call, "io.supd.Status",
	    json_object(), &reply);

	if (code != SUPCTL_DONE)
		return code;
	json_array_foreach(field_list(reply.parameters, "services"), i,
	    service)
		(void)await(w, field_text(service, "name"));
	reply_release(&reply);
	return SUPCTL_DONE;
}

/* All that have been asked for, and where each is. */
static int
look_at_all(struct wait *w)
{
	int code = SUPCTL_DONE;

	if (w->service != NULL)
		(void)await(w, w->service);
	else if (w->ctl->operand_count == 0)
		code = list_all(w);
	else
		for (size_t i = 0; i < w->ctl->operand_count; i++)
			(void)await(w, w->ctl->operands[i]);
	for (size_t i = 0; i < w->awaited_count && code == SUPCTL_DONE; i++)
		if (w->awaited[i].outcome == NULL)
			code = look_at(w, &w->awaited[i]);
	return code;
}

/* None that is known of: the request came too late, or had nothing to do. */
static int
leave_untold(const struct wait *w)
{
	const char *service = w->service != NULL ? w->service : "SERVICE";

	if (w->edits)
		complain("supd was restarted, or closed the connection, before "
		    "it answered: whether it took the order is not known (to "
		    "see it: supctl rollout status %s; then give it again, if "
		    "need be)", service);
	else
		complain("supd was restarted, or closed the connection, before "
		    "it answered: no rollout has begun since, so it may not "
		    "have taken the request (to see it: supctl rollout status "
		    "%s; then give the %s again)", service, w->ctl->verb);
	return SUPCTL_FAILED;
}

static json_t *
collect_outcomes(struct wait *w, size_t *ret_running_count)
{
	json_t *list = draw_memory(json_array());

	*ret_running_count = 0;
	for (size_t i = 0; i < w->awaited_count; i++) {
		struct awaited *a = &w->awaited[i];

		if (a->outcome != NULL)
			json_array_append(list, a->outcome);
		else if (a->id != 0 || a->queued)
			(*ret_running_count)++;
	}
	return draw_memory(json_pack("{s:o}", "outcomes", list));
}

static int
finish(struct wait *w, const json_t *outcomes)
{
	if (w->ctl->json)
		call_print_json(outcomes);
	return outcomes_show(w, outcomes);
}

static void
follow_events(struct wait *w)
{
	call_send(&w->call, "io.supd.Events", w->service != NULL ?
	    json_pack("{s:s}", "service", w->service) : json_object(), true);
	call_send(&w->call, "org.varlink.service.GetInfo", json_object(),
	    false);
	w->replays = true;
	if (!w->ctl->json)
		w->picture = picture_open(w->ctl, w->service);
}

int
wait_look(struct wait *w)
{
	size_t running_count;
	json_t *outcomes;
	int code = look_at_all(w);

	if (code != SUPCTL_DONE) {
		complain("what became of the %s is not known, see: supctl "
		    "status, supctl history", w->heard ? "rollout" :
		    "request");
		return code;
	}
	outcomes = collect_outcomes(w, &running_count);
	if (running_count == 0 && json_array_size(field_list(outcomes,
	    "outcomes")) == 0) {
		code = leave_untold(w);
	} else {
		if (w->lost)
			complain_back(&w->call, "still waiting");
		w->lost = false;
		code = running_count == 0 ? finish(w, outcomes) : -1;
	}
	json_decref(outcomes);
	if (code < 0)
		follow_events(w);
	return code;
}

void
wait_forget(struct wait *w)
{
	for (size_t i = 0; i < w->awaited_count; i++)
		json_decref(w->awaited[i].outcome);
	w->awaited_count = 0;
}
