/*
 * The planner on its way up, as scripts: who starts, who goes, and when
 * (rollout_script.h says how to read them).  What goes wrong with a new release
 * is in test_rollout_back.c.
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

/*
 * One by one, and one that crashes as its successor is ready is replaced by it.
 */
static void
rolling_with_a_surge_of_one(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "step 1, drain 0.1 replaced, start 1.6/2" },
		{ "exit 0.1", "" },
		{ "ready 1.6; exit 1.2", "step 2, start 2.7/2" },
		{ "ready 2.7", "step 3, drain 2.3 replaced, start 3.8/2" },
		{ "ready 3.8; exit 2.3", "drain 3.4 replaced, complete (-)" },
		{ "exit 3.4", "" },
		{ "wait 60", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* No room for a second process: a place is given up first. */
static void
rolling_with_one_unavailable(void **state)
{
	struct policy p = script_policy(4, 0, 1);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "drain 0.1 replaced, start 0.5/2" },
		{ "exit 0.1", "" },
		{ "ready 0.5", "step 1, drain 1.2 replaced, start 1.6/2" },
		{ "ready 1.6", "step 2, drain 2.3 replaced, start 2.7/2" },
		{ "ready 2.7", "step 3, drain 3.4 replaced, start 3.8/2" },
		{ "ready 3.8", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
rolling_with_a_surge_of_two(void **state)
{
	struct policy p = script_policy(4, 2, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2, start 1.6/2" },
		{ "ready 1.6", "drain 1.2 replaced" },
		{ "ready 0.5",
		    "step 1, start 2.7/2, drain 0.1 replaced, start 3.8/2" },
		{ "ready 2.7; ready 3.8",
		    "drain 2.3 replaced, drain 3.4 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
rolling_with_both(void **state)
{
	struct policy p = script_policy(4, 1, 1);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2, drain 1.2 replaced, start 1.6/2" },
		{ "ready 0.5", "drain 0.1 replaced" },
		{ "ready 1.6",
		    "step 1, start 2.7/2, drain 3.4 replaced, start 3.8/2" },
		{ "ready 2.7", "drain 2.3 replaced" },
		{ "ready 3.8", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* What reloads is ready for min_ready anew. */
static void
min_ready_holds_a_step(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "" },
		{ "wait 19", "" },
		{ "reloading 0.3", "" },
		{ "ready 0.3", "" },
		{ "wait 19", "" },
		{ "wait 1", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "ready 1.4", "" },
		{ "wait 20", "drain 1.2 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.min_ready_ms = 20;
	script_play(&p, turns);
}

static void
a_late_event_changes_nothing(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "drain 0.1 replaced, complete (-)" },
		{ "ready 0.1; stopping 0.1; reloading 0.1", "" },
		{ "ready 0.2", "" },
		{ "exit 0.1", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/*
 * Its own release replaces it, though the candidate of its slot is starting.
 */
static void
an_old_worker_of_one_crashes(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "exit 0.1", "" },
		{ "wait 10", "start 0.3/1" },
		{ "ready 0.3", "" },
		{ "ready 0.2", "drain 0.3 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* Before the turn of its slot, and in it. */
static void
an_old_worker_of_four_crashes(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "exit 2.3", "" },
		{ "wait 10", "start 2.6/1" },
		{ "ready 2.6", "" },
		{ "ready 0.5", "step 1, drain 0.1 replaced, start 1.7/2" },
		{ "exit 0.1", "" },
		{ "exit 1.2", "" },
		{ "wait 10", "start 1.8/1" },
		{ "ready 1.7", "step 2, drain 1.8 replaced, start 2.9/2" },
		{ "ready 1.8", "" },
		{ "ready 2.9", "step 3, drain 2.6 replaced, start 3.10/2" },
		{ "ready 3.10", "drain 3.4 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
afterwards_the_new_release_replaces_its_own(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "ready 1.4", "drain 1.2 replaced, complete (-)" },
		{ "exit 0.3", "" },
		{ "wait 10", "start 0.5/2" },
		{ "ready 0.5", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* It is never ready, so nobody waits for it. */
static void
away_from_a_release_that_crashes(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1, start 1.2/1" },
		{ "exit 0.1; exit 1.2", "" },
		{ "wait 10", "start 0.3/1, start 1.4/1" },
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "step 1, drain 0.3 replaced, start 1.6/2" },
		{ "exit 1.4", "" },
		{ "wait 40", "start 1.7/1" },
		{ "ready 1.6", "drain 1.7 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* A system without room for a process is not the build's fault. */
static void
a_refused_start_is_tried_again(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "refused 0.2", "" },
		{ "wait 39", "" },
		{ "wait 1", "start 0.3/2" },
		{ "refused 0.3", "" },
		{ "wait 40", "start 0.4/2" },
		{ "ready 0.4", "drain 0.1 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
more_workers_in_the_middle(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2; workers 3",
		    "step 1, start 1.3/1, start 2.4/1, drain 1.3 replaced, "
		    "start 1.5/2" },
		{ "ready 1.3", "" },
		{ "ready 2.4", "" },
		{ "ready 1.5", "step 2, drain 0.1 replaced, start 2.6/2" },
		{ "ready 2.6", "drain 2.4 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
fewer_workers_in_the_middle(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "step 1, drain 0.1 replaced, start 1.6/2" },
		{ "workers 2", "drain 2.3 surplus, drain 3.4 surplus" },
		{ "ready 1.6", "drain 1.2 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/*
 * The rollout ends with the service; what starts again is what was in charge.
 */
static void
stopped_in_the_middle(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "step 1, drain 0.1 replaced, start 1.4/2" },
		{ "recall; workers 0",
		    "back (operator), drain 1.2 surplus, drain 0.3 surplus, "
		    "drain 1.4 surplus, aborted (operator)" },
		{ "exit 0.1; exit 0.3; exit 1.2; exit 1.4", "" },
		{ "workers 2", "start 0.5/1, start 1.6/1" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
the_first_release(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		{ "begin 1", "start 0.1/1" },
		{ "ready 0.1", "step 1, start 1.2/1" },
		{ "ready 1.2", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* Longer than progress_deadline, but not without progress. */
static void
slow_but_steady(void **state)
{
	struct policy p = script_policy(4, 1, 0);
	static const struct turn turns[] = {
		FOUR_READY,
		{ "begin 2", "start 0.5/2" },
		{ "ready 0.5", "" },
		{ "wait 400", "step 1, drain 0.1 replaced, start 1.6/2" },
		{ "ready 1.6", "" },
		{ "wait 400",
		    "kill 0.1, step 2, drain 1.2 replaced, start 2.7/2" },
		{ "ready 2.7", "" },
		{ "wait 400",
		    "kill 1.2, step 3, drain 2.3 replaced, start 3.8/2" },
		{ "ready 3.8", "" },
		{ "wait 399", "kill 2.3" },
		{ "wait 1", "drain 3.4 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.min_ready_ms = 400;
	script_play(&p, turns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rolling_with_a_surge_of_one),
		cmocka_unit_test(rolling_with_one_unavailable),
		cmocka_unit_test(rolling_with_a_surge_of_two),
		cmocka_unit_test(rolling_with_both),
		cmocka_unit_test(min_ready_holds_a_step),
		cmocka_unit_test(a_late_event_changes_nothing),
		cmocka_unit_test(an_old_worker_of_one_crashes),
		cmocka_unit_test(an_old_worker_of_four_crashes),
		cmocka_unit_test(afterwards_the_new_release_replaces_its_own),
		cmocka_unit_test(away_from_a_release_that_crashes),
		cmocka_unit_test(a_refused_start_is_tried_again),
		cmocka_unit_test(more_workers_in_the_middle),
		cmocka_unit_test(fewer_workers_in_the_middle),
		cmocka_unit_test(stopped_in_the_middle),
		cmocka_unit_test(the_first_release),
		cmocka_unit_test(slow_but_steady),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
