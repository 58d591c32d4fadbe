/*
 * The planner when a new release is no good, as scripts: what is noticed, who
 * is to blame, and how the old release comes back.
 */
#include "rollout_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ONE_READY \
	{ "start 1", "start 0.1/1" }, \
	{ "ready 0.1", "" }

#define TWO_READY \
	{ "start 1", "start 0.1/1, start 1.2/1" }, \
	{ "ready 0.1; ready 1.2", "" }

#define FOUR_READY \
	{ "start 1", "start 0.1/1, start 1.2/1, start 2.3/1, start 3.4/1" }, \
	{ "ready 0.1; ready 1.2; ready 2.3; ready 3.4", "" }

static void
a_candidate_exits_at_once(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "exit 0.5", "back (exited) 0.5, rolled-back (exited) 0.5" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_candidate_ends_well_all_the_same(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "clean 0.2", "back (exited) 0.2, rolled-back (exited) 0.2" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_candidate_is_never_ready(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "wait 99", "" },
		{ "wait 1",
		    "drain 0.2 late, back (late) 0.2, rolled-back (late) 0.2" },
		{ "wait 50", "kill 0.2" },
		{ "exit 0.2", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_candidate_dies_within_min_ready(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "" },
		{ "wait 19", "" },
		{ "exit 0.3", "back (exited) 0.3, rolled-back (exited) 0.3" },
		{ NULL, NULL },
	};

	(void)state;
	p.min_ready_ms = 20;
	script_play(&p, turns);
}

/* Slots that were handed over go back, the floor holds as far as it can. */
static void
a_candidate_dies_later(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "step 1, drain 0.1 replaced, start 1.6/2" },
		{ "ready 1.6", "step 2, drain 1.2 replaced, start 2.7/2" },
		{ "exit 0.5",
		    "back (exited) 0.5, start 0.8/1, drain 2.7 taken-back, "
		    "start 1.9/1" },
		{ "ready 0.8", "" },
		{ "ready 1.9",
		    "drain 1.6 taken-back, rolled-back (exited) 0.5" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_candidate_is_silent(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "wait 29", "" },
		{ "pet 0.1; pet 1.2", "" },
		{ "wait 1",
		    "drain 0.3 silent, back (silent) 0.3, start 0.5/1, "
		    "drain 1.4 taken-back" },
		{ NULL, NULL },
	};

	(void)state;
	p.watchdog_ms = 30;
	script_play(&p, turns);
}

/* Two fail in one turn. */
static void
the_first_culprit_counts(void **state)
{
	struct policy p = script_policy(2, 0, 2);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2",
		    "drain 0.1 replaced, start 0.3/2, drain 1.2 replaced, "
		    "start 1.4/2" },
		{ "exit 1.4; exit 0.3",
		    "back (exited) 1.4, start 0.5/1, start 1.6/1" },
		{ "ready 0.5; ready 1.6", "rolled-back (exited) 1.4" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_candidate_cannot_be_executed(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "broken 0.2", "back (broken) 0.2, rolled-back (broken) 0.2" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* A candidate that ends in it is not replaced. */
static void
nothing_of_it_starts_in_a_rollback(void **state)
{
	struct policy p = script_policy(2, 0, 1);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "drain 0.1 replaced, start 0.3/2" },
		{ "ready 0.3", "step 1, drain 1.2 replaced, start 1.4/2" },
		{ "exit 1.4", "back (exited) 1.4, start 0.5/1" },
		{ "exit 0.3", "start 1.6/1" },
		{ "ready 0.5", "" },
		{ "ready 1.6", "rolled-back (exited) 1.4" },
		{ "wait 1000", "kill 0.1, kill 1.2" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* Each slot is kept by the release that it has. */
static void
a_pause_and_then_a_recall(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "exit 1.4", "pause (exited) 1.4" },
		{ "wait 5000", "kill 0.1" },
		{ "exit 0.3", "" },
		{ "wait 10", "start 0.5/2" },
		{ "ready 0.5", "" },
		{ "exit 1.2", "" },
		{ "wait 10", "start 1.6/1" },
		{ "ready 1.6", "" },
		{ "recall", "back (operator), start 0.7/1" },
		{ "ready 0.7",
		    "drain 0.5 taken-back, rolled-back (exited) 1.4" },
		{ NULL, NULL },
	};

	(void)state;
	p.on_failure = ON_FAILURE_PAUSE;
	script_play(&p, turns);
}

static void
an_operator_takes_it_back(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "recall",
		    "back (operator), drain 1.4 taken-back, start 0.5/1" },
		{ "ready 0.5", "drain 0.3 taken-back, aborted (operator)" },
		{ "recall", "" },
		{ "begin 3", "start 0.6/3" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_newer_release_supersedes(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "supersede; recall",
		    "back (superseded), drain 1.4 taken-back, start 0.5/1" },
		{ "ready 0.5",
		    "drain 0.3 taken-back, superseded (superseded)" },
		{ "begin 3", "start 0.6/3" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_supersession_wins_over_a_fault(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "exit 0.2; supersede",
		    "back (superseded), superseded (exited) 0.2" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
no_progress(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "refused 0.2", "" },
		{ "wait 900", "start 0.3/2" },
		{ "refused 0.3", "" },
		{ "wait 99", "start 0.4/2" },
		{ "wait 1",
		    "back (progress), drain 0.4 taken-back, "
		    "rolled-back (progress)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* The rollback ends all the same, and the old release is tried on. */
static void
back_to_a_release_that_is_broken_too(void **state)
{
	struct policy p = script_policy(1, 0, 1);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "drain 0.1 replaced, start 0.2/2" },
		{ "ready 0.2", "complete (-)" },
		{ "begin 3", "drain 0.2 replaced, start 0.3/3" },
		{ "exit 0.3", "back (exited) 0.3, start 0.4/2" },
		{ "exit 0.4", "" },
		{ "wait 10", "start 0.5/2" },
		{ "exit 0.5", "" },
		{ "wait 20", "start 0.6/2" },
		{ "exit 0.6", "" },
		{ "wait 40", "kill 0.1, kill 0.2, start 0.7/2" },
		{ "wait 100", "drain 0.7 late" },
		{ "wait 40", "start 0.8/2" },
		{ "wait 800",
		    "kill 0.7, drain 0.8 late, rolled-back (exited) 0.3" },
		{ "workers 1", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* A candidate that serves is kept until the old release can. */
static void
what_is_left_of_it_goes_later(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "exit 1.4; exit 1.2", "back (exited) 1.4, start 0.5/1" },
		{ "wait 10", "start 1.6/1" },
		{ "refused 0.5; refused 1.6", "" },
		{ "wait 1000",
		    "kill 0.1, start 0.7/1, start 1.8/1, "
		    "rolled-back (exited) 1.4" },
		{ "ready 0.7", "" },
		{ "ready 1.8", "drain 0.3 replaced" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* There is nothing to go back to. */
static void
the_first_release_fails(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		{ "begin 1", "start 0.1/1" },
		{ "ready 0.1", "step 1, start 1.2/1" },
		{ "exit 1.2",
		    "back (exited) 1.2, drain 0.1 taken-back, "
		    "rolled-back (exited) 1.2" },
		{ "exit 0.1", "" },
		{ "wait 100", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
deaf_to_everything_but_kill(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "drain 0.1 replaced, complete (-)" },
		{ "wait 50", "kill 0.1" },
		{ "wait 5000", "kill 0.1" },
		{ "exit 0.1", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
a_second_attempt_starts_afresh(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "exit 1.4", "back (exited) 1.4, start 0.5/1" },
		{ "ready 0.5",
		    "drain 0.3 taken-back, rolled-back (exited) 1.4" },
		{ "begin 3", "start 0.6/3" },
		{ "ready 0.6", "step 1, drain 0.5 replaced, start 1.7/3" },
		{ "refused 1.7", "" },
		{ "wait 40", "start 1.8/3" },
		{ "ready 1.8", "drain 1.2 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* Also a rollback that is slow is not given up while it gets on. */
static void
a_slow_rollback_goes_on(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "step 1, drain 0.1 replaced, start 1.6/2" },
		{ "ready 1.6", "step 2, drain 1.2 replaced, start 2.7/2" },
		{ "ready 2.7", "step 3, drain 2.3 replaced, start 3.8/2" },
		{ "recall",
		    "back (operator), drain 3.8 taken-back, start 0.9/1" },
		{ "wait 90", "kill 0.1, kill 1.2, kill 2.3, kill 3.8" },
		{ "ready 0.9", "drain 0.5 taken-back, start 1.10/1" },
		{ "wait 90", "kill 0.5" },
		{ "ready 1.10", "drain 1.6 taken-back, start 2.11/1" },
		{ "wait 90", "kill 1.6" },
		{ "ready 2.11", "drain 2.7 taken-back, aborted (operator)" },
		{ NULL, NULL },
	};

	(void)state;
	p.progress_deadline_ms = 150;
	script_play(&p, turns);
}

static void
no_progress_since_the_last_step(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "exit 0.1", "" },
		{ "ready 0.3", "step 1, start 1.4/2" },
		{ "wait 999", "" },
		{ "wait 1",
		    "back (progress), drain 1.4 taken-back, start 0.5/1" },
		{ NULL, NULL },
	};

	(void)state;
	p.ready_timeout_ms = 5000;
	script_play(&p, turns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_candidate_exits_at_once),
		cmocka_unit_test(a_candidate_ends_well_all_the_same),
		cmocka_unit_test(a_candidate_is_never_ready),
		cmocka_unit_test(a_candidate_dies_within_min_ready),
		cmocka_unit_test(a_candidate_dies_later),
		cmocka_unit_test(a_candidate_is_silent),
		cmocka_unit_test(the_first_culprit_counts),
		cmocka_unit_test(a_candidate_cannot_be_executed),
		cmocka_unit_test(nothing_of_it_starts_in_a_rollback),
		cmocka_unit_test(a_pause_and_then_a_recall),
		cmocka_unit_test(an_operator_takes_it_back),
		cmocka_unit_test(a_newer_release_supersedes),
		cmocka_unit_test(a_supersession_wins_over_a_fault),
		cmocka_unit_test(no_progress),
		cmocka_unit_test(back_to_a_release_that_is_broken_too),
		cmocka_unit_test(what_is_left_of_it_goes_later),
		cmocka_unit_test(the_first_release_fails),
		cmocka_unit_test(deaf_to_everything_but_kill),
		cmocka_unit_test(a_second_attempt_starts_afresh),
		cmocka_unit_test(a_slow_rollback_goes_on),
		cmocka_unit_test(no_progress_since_the_last_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
