/*
 * Plays a script: words to calls of the planner, its actions to words.
 */
#include "rollout_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "invariants.h"

enum { SLOTS_MAX = 8, RECORDS_MAX = 24, TICKS_MAX = 64 };

struct stage {
	struct policy policy;
	struct course course;
	bool prepares;
	struct rollout rollout;
	struct fleet fleet;
	struct slot slots[SLOTS_MAX];
	struct worker workers[RECORDS_MAX];
	struct slot slots_before[SLOTS_MAX];
	struct worker workers_before[RECORDS_MAX];
	struct invariants inv;
	struct plan plan;
	uint64_t now_ms;
	char said[2048];
};

static const char *const endings[ENDING_COUNT] = {
	[ENDING_REPLACED] = "replaced",
	[ENDING_ROLLED_BACK] = "taken-back",
	[ENDING_SURPLUS] = "surplus",
	[ENDING_NOT_READY] = "late",
	[ENDING_WATCHDOG] = "silent",
};

static const char *const faults[FAULT_COUNT] = {
	[FAULT_NONE] = "-",
	[FAULT_EXITED] = "exited",
	[FAULT_NOT_READY] = "late",
	[FAULT_WATCHDOG] = "silent",
	[FAULT_SPAWN] = "broken",
	[FAULT_PROGRESS] = "progress",
	[FAULT_PROBE] = "unhealthy",
	[FAULT_ANALYSIS] = "bad",
	[FAULT_QUEUE] = "queue",
	[FAULT_MEMORY] = "memory",
	[FAULT_HOOK] = "hook",
	[FAULT_STEER] = "steer",
	[FAULT_OPERATOR] = "operator",
	[FAULT_SUPERSEDED] = "superseded",
};

struct policy
script_policy(uint32_t workers, uint32_t surge, uint32_t unavailable)
{
	return (struct policy){
		.workers = workers, .surge = surge, .unavailable = unavailable,
		.ready_timeout_ms = 100, .drain_timeout_ms = 50,
		.progress_deadline_ms = 1000,
		.backoff_min_ms = 10, .backoff_max_ms = 40,
		.quiet_ms = 20, .quiet_max_ms = 60, .leave_max_ms = 30,
	};
}

static void
print_fault(char *text, size_t size, const char *what, const struct action *a)
{
	if (a->id.incarnation == 0)
		snprintf(text, size, "%s (%s)", what, faults[a->fault]);
	else
		snprintf(text, size, "%s (%s) %u.%u", what, faults[a->fault],
		    a->id.slot, a->id.incarnation);
}

static void
print_action(char *text, size_t size, const struct action *a)
{
	switch (a->type) {
	case ACTION_START:
		snprintf(text, size, "start %u.%u/%u", a->id.slot,
		    a->id.incarnation, a->revision);
		return;
	case ACTION_DRAIN:
		snprintf(text, size, "drain %u.%u %s", a->id.slot,
		    a->id.incarnation, endings[a->ending]);
		return;
	case ACTION_KILL:
		snprintf(text, size, "kill %u.%u", a->id.slot,
		    a->id.incarnation);
		return;
	case ACTION_READY:
		snprintf(text, size, "alive %u.%u", a->id.slot,
		    a->id.incarnation);
		return;
	case ACTION_STEER:
		snprintf(text, size, "weight %u", a->weight_permille);
		return;
	case ACTION_KEEP:
	case ACTION_RETIRE:
		snprintf(text, size, a->type == ACTION_KEEP ? "keep" :
		    "retire");
		return;
	case ACTION_STEP:
		snprintf(text, size, "step %u", a->step);
		return;
	case ACTION_ROLLBACK:
		print_fault(text, size, "back", a);
		return;
	case ACTION_PAUSE:
		if (a->pause == PAUSE_STEP)
			snprintf(text, size, "pause");
		else
			print_fault(text, size, "pause", a);
		return;
	case ACTION_FINISH:
		print_fault(text, size, rollout_verdict_name(a->verdict), a);
		return;
	}
}

static void
note(struct stage *s, const struct action *a)
{
	size_t length = strlen(s->said);

	if (length > 0)
		length += (size_t)snprintf(s->said + length,
		    sizeof(s->said) - length, ", ");
	print_action(s->said + length, sizeof(s->said) - length, a);
}

static void
tick_until_done(struct stage *s)
{
	for (int i = 0; i < TICKS_MAX; i++) {
		s->inv.fleet = s->fleet;
		s->inv.fleet.slots = s->slots_before;
		s->inv.fleet.workers = s->workers_before;
		invariants_before(&s->inv, &s->rollout, &s->fleet);
		rollout_tick(&s->rollout, &s->fleet, &s->policy, 0, s->now_ms,
		    &s->plan);
		for (uint32_t k = 0; k < s->plan.action_count; k++)
			note(s, &s->plan.actions[k]);
		if (!invariants_after(&s->inv, &s->rollout, &s->fleet,
		    &s->policy, s->now_ms, &s->plan))
			fail_msg("%s, after: %s", s->inv.broken, s->said);
		if (s->plan.deadline_ms > s->now_ms)
			return;
	}
	fail_msg("after %d ticks there is still more to do now", TICKS_MAX);
}

static void
begin(struct stage *s, uint32_t revision)
{
	rollout_begin(&s->rollout, &s->fleet, revision, &s->course, s->now_ms);
	if (!s->prepares)
		rollout_prepared(&s->rollout, s->now_ms);
}

/* Nobody tells what the planner does not want to know. */
static void
be_busy(struct stage *s)
{
	assert_true(rollout_watches_queue(&s->rollout));
	rollout_busy(&s->rollout, s->now_ms);
}

static void
be_deaf(struct stage *s)
{
	rollout_fail(&s->rollout, FAULT_QUEUE);
	rollout_found_deaf(&s->rollout);
}

static void
happen_to_rollout(struct stage *s, const char *word, uint32_t number)
{
	if (strcmp(word, "start") == 0)
		s->rollout.stable = number;
	else if (strcmp(word, "begin") == 0)
		begin(s, number);
	else if (strcmp(word, "prepared") == 0)
		rollout_prepared(&s->rollout, s->now_ms);
	else if (strcmp(word, "probed") == 0)
		rollout_probed(&s->rollout, s->now_ms);
	else if (strcmp(word, "good") == 0)
		rollout_analysed(&s->rollout, s->now_ms);
	else if (strcmp(word, "inconclusive") == 0)
		assert_true(rollout_inconclusive(&s->rollout, s->now_ms));
	else if (strcmp(word, "bad") == 0)
		rollout_fail(&s->rollout, FAULT_ANALYSIS);
	else if (strcmp(word, "unhealthy") == 0)
		rollout_fail(&s->rollout, FAULT_PROBE);
	else if (strcmp(word, "deaf") == 0)
		be_deaf(s);
	else if (strcmp(word, "hook-failed") == 0)
		rollout_fail(&s->rollout, FAULT_HOOK);
	else if (strcmp(word, "busy") == 0)
		be_busy(s);
	else if (strcmp(word, "refused") == 0)
		rollout_not_steered(&s->rollout, s->rollout.stable, number,
		    s->now_ms + 1000);
	else if (strcmp(word, "pause") == 0)
		assert_true(rollout_pause(&s->rollout, s->now_ms));
	else if (strcmp(word, "resume") == 0)
		assert_true(rollout_resume(&s->rollout, s->now_ms));
	else if (strcmp(word, "promote") == 0)
		assert_true(rollout_promote(&s->rollout, s->now_ms));
	else if (strcmp(word, "recall") == 0)
		rollout_recall(&s->rollout, FAULT_OPERATOR);
	else if (strcmp(word, "supersede") == 0)
		rollout_recall(&s->rollout, FAULT_SUPERSEDED);
	else if (strcmp(word, "workers") == 0)
		s->policy.workers = number;
	else if (strcmp(word, "wait") == 0)
		s->now_ms += number;
	else
		fail_msg("a script says `%s'", word);
}

static void
happen_to_worker(struct stage *s, const char *word, struct worker_id id)
{
	struct worker *w = fleet_find(&s->fleet, id);
	bool clean = strcmp(word, "clean") == 0;
	bool refused = strcmp(word, "refused") == 0;

	if (w == NULL)
		fail_msg("there is no worker %u.%u", id.slot, id.incarnation);
	else if (strcmp(word, "ready") == 0)
		worker_step(w, WORKER_EVENT_SAID_READY, &s->policy, s->now_ms);
	else if (strcmp(word, "pet") == 0)
		worker_pet(w, s->now_ms);
	else if (strcmp(word, "reloading") == 0)
		worker_step(w, WORKER_EVENT_SAID_RELOADING, &s->policy,
		    s->now_ms);
	else if (strcmp(word, "stopping") == 0)
		worker_step(w, WORKER_EVENT_SAID_STOPPING, &s->policy,
		    s->now_ms);
	else if (clean || strcmp(word, "exit") == 0)
		rollout_exited(&s->rollout, &s->fleet, id, &s->policy, clean, 0,
		    s->now_ms);
	else if (refused || strcmp(word, "broken") == 0)
		rollout_not_started(&s->rollout, &s->fleet, id, &s->policy,
		    refused, 0, s->now_ms);
	else
		fail_msg("a script says `%s' of a worker", word);
}

static void
happen(struct stage *s, const char *event)
{
	struct worker_id id = { 0 };
	uint32_t number = 0;
	char word[16];

	if (sscanf(event, "%15[a-z-] %u.%u", word, &id.slot,
	    &id.incarnation) == 3) {
		happen_to_worker(s, word, id);
		return;
	}
	if (sscanf(event, "%15[a-z-] %u", word, &number) < 1)
		fail_msg("a script says `%s'", event);
	happen_to_rollout(s, word, number);
}

void
script_play(const struct policy *policy, const struct turn *turns)
{
	static const struct course rolling = { .strategy = STRATEGY_ROLLING };

	script_play_course(policy, &rolling, false, turns);
}

void
script_play_course(const struct policy *policy, const struct course *course,
    bool prepares, const struct turn *turns)
{
	struct stage s = { .policy = *policy, .course = *course,
		.prepares = prepares, .now_ms = 1000000 };
	const char *next;

	s.fleet = (struct fleet){
		.slots = s.slots, .workers = s.workers,
		.slot_capacity = SLOTS_MAX, .worker_capacity = RECORDS_MAX,
	};
	for (uint32_t i = 0; turns[i].event != NULL; i++) {
		s.said[0] = '\0';
		for (next = turns[i].event; next != NULL; ) {
			happen(&s, next);
			next = strstr(next, "; ");
			next += next != NULL ? 2 : 0;
		}
		tick_until_done(&s);
		if (strcmp(s.said, turns[i].actions) != 0)
			fail_msg("turn %u, %s:\n  wanted %s\n  got    %s", i,
			    turns[i].event, turns[i].actions, s.said);
	}
}
