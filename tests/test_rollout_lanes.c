/*
 * The planner with two lanes, as scripts (rollout_script.h says how to read
 * them): what has weight when, what it waits for, and how fast it goes back.
 */
#include "rollout_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TWO_READY \
	{ "start 1", "start 0.1/1, start 1.2/1" }, \
	{ "ready 0.1; ready 1.2", "" }

static const struct course canary = { STRATEGY_CANARY, .split = true };
static const struct course blue_green = { STRATEGY_BLUE_GREEN, .split = true };

static struct policy
canary_policy(void)
{
	struct policy p = script_policy(2, 1, 0);

	p.strategy = STRATEGY_CANARY;
	p.lanes = true;
	p.step_count = 3;
	p.steps[0] = (struct canary_step){ 50, false, 100 };
	p.steps[1] = (struct canary_step){ 600, false, 100 };
	p.steps[2] = (struct canary_step){ 1000, false, 0 };
	return p;
}

/* Weight comes when the workers are there, and goes before the old ones do. */
static void
a_canary_goes_up_its_steps(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "wait 99", "" },
		{ "wait 1", "step 1, start 1.4/2" },
		{ "wait 50", "" },
		{ "ready 1.4", "weight 600" },
		{ "wait 100", "step 2, retire, weight 1000" },
		{ "wait 19", "" },
		{ "wait 1", "drain 0.1 replaced, drain 1.2 replaced" },
		{ "exit 0.1", "" },
		{ "exit 1.2", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, false, turns);
}

/* Bad: the weight is gone in the same turn, the workers when nobody waits. */
static void
a_bad_verdict_takes_the_weight_at_once(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "bad", "back (bad), weight 0" },
		{ "busy", "" },
		{ "wait 15; busy", "" },
		{ "wait 19", "" },
		{ "wait 1", "drain 0.3 taken-back" },
		{ "exit 0.3", "rolled-back (bad)" },
		{ NULL, NULL },
	};

	(void)state;
	p.analysis = true;
	script_play_course(&p, &canary, false, turns);
}

/* A queue that never gets empty is not waited for longer than quiet_max. */
static void
a_lane_that_stays_busy_is_left_all_the_same(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "unhealthy", "back (unhealthy), weight 0" },
		{ "wait 19; busy", "" },
		{ "wait 19; busy", "" },
		{ "wait 19; busy", "" },
		{ "wait 3; busy", "drain 0.3 taken-back" },
		{ "wait 29", "" },
		{ "wait 1", "rolled-back (unhealthy)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, false, turns);
}

/* Nobody accepts, so nothing but its end empties the queue. */
static void
a_deaf_lane_is_left_at_once(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "deaf; busy", "back (queue), weight 0, drain 0.3 taken-back" },
		{ "wait 50", "kill 0.3" },
		{ "exit 0.3", "rolled-back (queue)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, false, turns);
}

/* No weight before a probe that began after the last one was ready. */
static void
a_probe_comes_before_the_weight(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2; probed", "start 0.3/2" },
		{ "wait 5", "" },
		{ "ready 0.3", "" },
		{ "wait 5; probed", "weight 50" },
		{ "wait 100", "step 1, start 1.4/2" },
		{ "ready 1.4", "" },
		{ "probed", "weight 600" },
		{ NULL, NULL },
	};

	(void)state;
	p.probe = true;
	script_play_course(&p, &canary, false, turns);
}

/* The analysis has to say something about each step, after it was reached. */
static void
an_analysis_lets_a_step_pass(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "wait 150", "" },
		{ "inconclusive", "" },
		{ "wait 150", "" },
		{ "resume", "step 1, start 1.4/2" },
		{ "ready 1.4", "weight 600" },
		{ "wait 100", "" },
		{ "good", "step 2, retire, weight 1000" },
		{ NULL, NULL },
	};

	(void)state;
	p.analysis = true;
	script_play_course(&p, &canary, false, turns);
}

/* While an operator looks, the clock of the hold stands. */
static void
a_pause_stops_the_clock(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "wait 60", "" },
		{ "pause", "" },
		{ "wait 5000", "" },
		{ "resume", "" },
		{ "wait 39", "" },
		{ "wait 1", "step 1, start 1.4/2" },
		{ "pause; ready 1.4", "weight 600" },
		{ "wait 500", "" },
		{ "promote", "step 2, retire, weight 1000" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, false, turns);
}

/* What is paused goes no further, but the present step gets its weight; its
 * clock begins when the pause ends. */
static void
a_pause_is_for_what_comes_after_the_step(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "pause", "" },
		{ "wait 30", "" },
		{ "ready 0.3", "weight 50" },
		{ "wait 5000", "" },
		{ "resume", "" },
		{ "wait 99", "" },
		{ "wait 1", "step 1, start 1.4/2" },
		{ "promote; pause", "" },
		{ "ready 1.4", "weight 600" },
		{ "resume", "step 2, retire, weight 1000" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, false, turns);
}

/* Nor does the new release take charge: it is not kept, and goes back as one
 * that climbs. */
static void
a_pause_in_the_last_step_does_not_take_charge(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "promote", "step 1, start 1.4/2" },
		{ "pause; ready 1.4", "weight 1000" },
		{ "wait 5000", "" },
		{ "resume", "keep" },
		{ "wait 99", "" },
		{ "wait 1", "retire, drain 0.1 replaced, "
		    "drain 1.2 replaced" },
		{ "exit 0.1", "" },
		{ "exit 1.2", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.step_count = 2;
	p.steps[1] = (struct canary_step){ 1000, false, 100 };
	script_play_course(&p, &canary, false, turns);
}

/* A pause in the steps waits for ever, and still goes back by itself. */
static void
a_pause_step_waits_and_is_watched(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "pause, weight 50" },
		{ "wait 100000", "" },
		{ "exit 0.3", "back (exited) 0.3, weight 0, "
		    "rolled-back (exited) 0.3" },
		{ NULL, NULL },
	};

	(void)state;
	p.steps[0] = (struct canary_step){ 50, true, 0 };
	script_play_course(&p, &canary, false, turns);
}

static void
blue_green_moves_all_at_once_and_back(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2, start 1.4/2" },
		{ "ready 0.3", "" },
		{ "ready 1.4", "pause" },
		{ "wait 5000", "" },
		{ "promote", "step 1, keep, weight 1000" },
		{ "exit 1.2", "" },
		{ "wait 10", "start 1.5/1" },
		{ "ready 1.5", "" },
		{ "wait 100", "" },
		{ "exit 1.4", "back (exited) 1.4, weight 0" },
		{ "wait 20", "drain 0.3 taken-back" },
		{ "exit 0.3", "rolled-back (exited) 1.4" },
		{ NULL, NULL },
	};

	(void)state;
	p.strategy = STRATEGY_BLUE_GREEN;
	p.lanes = true;
	p.promotion = PROMOTION_MANUAL;
	p.keep_old_ms = 1000;
	script_play_course(&p, &blue_green, false, turns);
}

/* A newer release does not take back what is in charge: it ends the keeping. */
static void
a_newer_release_ends_what_is_kept(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1" },
		{ "ready 0.1", "" },
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "step 1, keep, weight 1000" },
		{ "supersede", "retire" },
		{ "wait 20", "drain 0.1 replaced" },
		{ "wait 50", "kill 0.1" },
		{ "wait 20", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.strategy = STRATEGY_BLUE_GREEN;
	p.lanes = true;
	p.keep_old_ms = 1000;
	script_play_course(&p, &blue_green, false, turns);
}

/* What waits in the old lane is served, however long ago it lost its weight. */
static void
what_is_kept_is_left_when_it_is_quiet(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1" },
		{ "ready 0.1", "" },
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "step 1, keep, weight 1000" },
		{ "wait 30", "" },
		{ "busy", "" },
		{ "wait 10", "retire" },
		{ "wait 9", "" },
		{ "wait 1", "drain 0.1 replaced" },
		{ "exit 0.1", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.strategy = STRATEGY_BLUE_GREEN;
	p.lanes = true;
	p.keep_old_ms = 40;
	script_play_course(&p, &blue_green, false, turns);
}

/* Slot by slot, but nobody reaches a worker that no probe has passed. */
static void
rolling_with_a_probe_has_a_lane(void **state)
{
	static const struct course course = { STRATEGY_ROLLING, .split = true };
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "" },
		{ "wait 1; probed", "step 1, weight 500, drain 0.1 replaced, "
		    "start 1.4/2" },
		{ "exit 0.1", "" },
		{ "ready 1.4; wait 1; probed", "weight 1000, retire" },
		{ "wait 20", "drain 1.2 replaced" },
		{ "exit 1.2", "complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	p.probe = true;
	script_play_course(&p, &course, false, turns);
}

/* Nothing has changed when before_rollout fails. */
static void
a_failing_hook_comes_before_everything(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "" },
		{ "wait 5000", "" },
		{ "hook-failed", "back (hook), aborted (hook)" },
		{ NULL, NULL },
	};
	static const struct turn good[] = {
		TWO_READY,
		{ "begin 2", "" },
		{ "prepared", "start 0.3/2" },
		{ NULL, NULL },
	};

	(void)state;
	script_play_course(&p, &canary, true, turns);
	script_play_course(&p, &canary, true, good);
}

/* The kernel says no: the weight is what it was, and it is asked again. */
static void
a_kernel_that_refuses_is_asked_again(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "bad", "back (bad), weight 0" },
		{ "refused 50", "" },
		{ "wait 999", "" },
		{ "wait 1", "weight 0" },
		{ "wait 20", "drain 0.3 taken-back, rolled-back (bad)" },
		{ NULL, NULL },
	};

	(void)state;
	p.progress_deadline_ms = 5000;
	script_play_course(&p, &canary, false, turns);
}

/* on_failure = pause: without weight, for somebody to look at. */
static void
a_failure_that_pauses_has_no_weight(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "bad", "pause (bad), weight 0" },
		{ "wait 5000", "" },
		{ "resume", "weight 50" },
		{ "wait 100", "step 1, start 1.4/2" },
		{ NULL, NULL },
	};

	(void)state;
	p.on_failure = ON_FAILURE_PAUSE;
	script_play_course(&p, &canary, false, turns);
}

/* Likewise what waits in a candidate's lane when a pause is given up. */
static void
what_failed_is_left_when_it_is_quiet(void **state)
{
	struct policy p = canary_policy();
	static const struct turn turns[] = {
		TWO_READY,
		{ "begin 2", "start 0.3/2" },
		{ "ready 0.3", "weight 50" },
		{ "bad", "pause (bad), weight 0" },
		{ "wait 50", "" },
		{ "busy", "" },
		{ "recall", "back (operator)" },
		{ "wait 9", "" },
		{ "wait 1", "drain 0.3 taken-back" },
		{ "exit 0.3", "rolled-back (bad)" },
		{ NULL, NULL },
	};

	(void)state;
	p.on_failure = ON_FAILURE_PAUSE;
	script_play_course(&p, &canary, false, turns);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_canary_goes_up_its_steps),
		cmocka_unit_test(a_bad_verdict_takes_the_weight_at_once),
		cmocka_unit_test(a_lane_that_stays_busy_is_left_all_the_same),
		cmocka_unit_test(a_deaf_lane_is_left_at_once),
		cmocka_unit_test(a_probe_comes_before_the_weight),
		cmocka_unit_test(an_analysis_lets_a_step_pass),
		cmocka_unit_test(a_pause_stops_the_clock),
		cmocka_unit_test(a_pause_is_for_what_comes_after_the_step),
		cmocka_unit_test(a_pause_in_the_last_step_does_not_take_charge),
		cmocka_unit_test(a_pause_step_waits_and_is_watched),
		cmocka_unit_test(blue_green_moves_all_at_once_and_back),
		cmocka_unit_test(a_newer_release_ends_what_is_kept),
		cmocka_unit_test(what_is_kept_is_left_when_it_is_quiet),
		cmocka_unit_test(rolling_with_a_probe_has_a_lane),
		cmocka_unit_test(a_failing_hook_comes_before_everything),
		cmocka_unit_test(a_kernel_that_refuses_is_asked_again),
		cmocka_unit_test(a_failure_that_pauses_has_no_weight),
		cmocka_unit_test(what_failed_is_left_when_it_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
