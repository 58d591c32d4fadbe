/*
 * The planner between rollouts and at its bounds: who is replaced and when, and
 * what waits.
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

/*
 * The candidate waits for one of them to leave, and that is not held against it.
 */
static void
too_many_releases_drain(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "drain 0.1 replaced, complete (-)" },
		{ "begin 3", "start 0.3/3" },
		{ "ready 0.3", "drain 0.2 replaced, complete (-)" },
		{ "begin 4", "start 0.4/4" },
		{ "ready 0.4", "drain 0.3 replaced, complete (-)" },
		{ "begin 5", "" },
		{ "wait 50", "kill 0.1, kill 0.2, kill 0.3" },
		{ "wait 3000", "" },
		{ "exit 0.1", "start 0.5/5" },
		{ "ready 0.5", "drain 0.4 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* Nor are there more lanes than a listener may have: also who only waits for his
 * to get empty is waited for. */
static void
too_many_releases_have_lanes(void **state)
{
	static const struct course canary = { STRATEGY_CANARY, .split = true };
	struct policy p = script_policy(1, 4, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "start 0.2/2" },
		{ "ready 0.2", "weight 50" },
		{ "supersede", "back (superseded), weight 0" },
		{ "wait 1000", "superseded (superseded)" },
		{ "begin 3", "start 0.3/3" },
		{ "ready 0.3", "weight 50" },
		{ "supersede", "back (superseded), weight 0" },
		{ "wait 1000", "superseded (superseded)" },
		{ "begin 4", "start 0.4/4" },
		{ "ready 0.4", "weight 50" },
		{ "supersede", "back (superseded), weight 0" },
		{ "wait 1000", "superseded (superseded)" },
		{ "begin 5", "" },
		{ "wait 3999", "" },
		{ "wait 1", "drain 0.2 replaced, drain 0.3 replaced, "
		    "drain 0.4 replaced" },
		{ "exit 0.3", "start 0.5/5" },
		{ "ready 0.5", "weight 50" },
		{ NULL, NULL },
	};

	(void)state;
	p.strategy = STRATEGY_CANARY;
	p.lanes = true;
	p.step_count = 2;
	p.steps[0] = (struct canary_step){ 50, false, 100 };
	p.steps[1] = (struct canary_step){ 1000, false, 0 };
	p.quiet_ms = p.quiet_max_ms = 5000;
	script_play_course(&p, &canary, false, turns);
}

/*
 * Who serves because the release in charge cannot is not waited for, unless
 * there is somebody else who leaves.
 */
static void
too_many_releases_are_left_to_serve(void **state)
{
	struct policy p = script_policy(3, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1, start 1.2/1, start 2.3/1" },
		{ "ready 0.1; ready 1.2; ready 2.3", "" },
		{ "exit 0.1; exit 1.2; exit 2.3", "" },
		{ "begin 2", "start 0.4/2" },
		{ "ready 0.4", "step 1, start 1.5/2" },
		{ "recall", "back (operator), drain 1.5 taken-back" },
		{ "exit 1.5", "" },
		{ "wait 1000", "aborted (operator)" },
		{ "begin 3", "start 0.6/3" },
		{ "ready 0.6", "step 1, start 1.7/3" },
		{ "recall", "back (operator), drain 1.7 taken-back" },
		{ "exit 1.7", "" },
		{ "wait 1000", "aborted (operator)" },
		{ "begin 4", "start 0.8/4" },
		{ "ready 0.8", "step 1, start 1.9/4" },
		{ "recall", "back (operator), drain 1.9 taken-back" },
		{ "wait 1000", "kill 1.9, aborted (operator)" },
		{ "begin 5", "" },
		{ "exit 1.9", "start 0.10/5" },
		{ NULL, NULL },
	};

	(void)state;
	p.backoff_min_ms = p.backoff_max_ms = 100000;
	script_play(&p, turns);
}

static void
no_place_is_given_up_while_too_many_drain(void **state)
{
	struct policy p = script_policy(1, 0, 1);
	static const struct turn turns[] = {
		ONE_READY,
		{ "begin 2", "drain 0.1 replaced, start 0.2/2" },
		{ "ready 0.2", "complete (-)" },
		{ "begin 3", "drain 0.2 replaced, start 0.3/3" },
		{ "ready 0.3", "complete (-)" },
		{ "begin 4", "drain 0.3 replaced, start 0.4/4" },
		{ "ready 0.4", "complete (-)" },
		{ "begin 5", "" },
		{ "exit 0.1", "drain 0.4 replaced, start 0.5/5" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
who_cannot_be_executed_is_tried_again_later(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1" },
		{ "broken 0.1", "" },
		{ "wait 9", "" },
		{ "wait 1", "start 0.2/1" },
		{ "broken 0.2", "" },
		{ "wait 19", "" },
		{ "wait 1", "start 0.3/1" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* STOPPING=1 does not go around the backoff. */
static void
who_stops_by_itself_soon_waits_for_its_exit(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "stopping 0.1", "" },
		{ "ready 0.1", "" },
		{ "clean 0.1", "" },
		{ "wait 10", "start 0.2/1" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
who_stops_by_itself_late_is_replaced_at_once(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "wait 10000", "" },
		{ "stopping 0.1", "start 0.2/1" },
		{ "clean 0.1", "" },
		{ "ready 0.2", "" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

static void
restart_on_failure(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "exit 0.1", "" },
		{ "wait 10", "start 0.2/1" },
		{ "ready 0.2", "" },
		{ "stopping 0.2", "" },
		{ "clean 0.2", "" },
		{ "wait 1000", "" },
		{ "workers 1", "" },
		{ NULL, NULL },
	};

	(void)state;
	p.restart = RESTART_ON_FAILURE;
	script_play(&p, turns);
}

/* Also where it did not exit, but was never ready. */
static void
restart_never(void **state)
{
	struct policy p = script_policy(2, 1, 0);
	static const struct turn turns[] = {
		{ "start 1", "start 0.1/1, start 1.2/1" },
		{ "exit 0.1", "" },
		{ "wait 100", "drain 1.2 late" },
		{ "wait 50", "kill 1.2" },
		{ "exit 1.2", "" },
		{ "wait 1000", "" },
		{ NULL, NULL },
	};

	(void)state;
	p.restart = RESTART_NEVER;
	script_play(&p, turns);
}

/* 0.1 is of the release that is a candidate now, but not of this rollout. */
static void
an_undo_is_not_blamed_for_what_stopped_before(void **state)
{
	struct policy p = script_policy(1, 1, 0);
	static const struct turn turns[] = {
		ONE_READY,
		{ "stopping 0.1; begin 2", "start 0.2/2" },
		{ "ready 0.2", "complete (-)" },
		{ "wait 10; begin 1", "start 0.3/1" },
		{ "exit 0.1", "" },
		{ "ready 0.3", "drain 0.2 replaced, complete (-)" },
		{ NULL, NULL },
	};

	(void)state;
	script_play(&p, turns);
}

/* More than one turn may start: the rest follows at once. */
static void
many_start_in_turns(void **state)
{
	static struct slot slots[STARTS_PER_TURN_MAX + 8];
	static struct worker workers[STARTS_PER_TURN_MAX + 9];
	static struct plan plan;
	struct policy p = script_policy(STARTS_PER_TURN_MAX + 8, 1, 0);
	struct rollout rollout = { .stable = 1 };
	struct fleet fleet = {
		.slots = slots, .slot_capacity = STARTS_PER_TURN_MAX + 8,
		.workers = workers, .worker_capacity = STARTS_PER_TURN_MAX + 9,
	};

	(void)state;
	rollout_tick(&rollout, &fleet, &p, 0, 1000, &plan);
	assert_int_equal(plan.action_count, STARTS_PER_TURN_MAX);
	assert_int_equal(plan.deadline_ms, 1000);
	rollout_tick(&rollout, &fleet, &p, 0, 1000, &plan);
	assert_int_equal(plan.action_count, 8);
	assert_int_equal(plan.deadline_ms, 1100);
}

/* The exit of one that leaves is waited for, not asked for again and again. */
static void
no_record_is_free(void **state)
{
	static struct slot slots[1];
	static struct worker workers[1];
	static struct plan plan;
	struct policy p = script_policy(1, 1, 0);
	struct rollout rollout = { .stable = 1 };
	struct fleet fleet = {
		.slots = slots, .slot_capacity = 1,
		.workers = workers, .worker_capacity = 1,
	};

	(void)state;
	rollout_tick(&rollout, &fleet, &p, 0, 1000, &plan);
	rollout_tick(&rollout, &fleet, &p, 0, 1100, &plan);
	assert_int_equal(plan.action_count, 1);
	assert_int_equal(plan.actions[0].type, ACTION_DRAIN);
	rollout_tick(&rollout, &fleet, &p, 0, 1120, &plan);
	assert_int_equal(plan.action_count, 0);
	assert_int_equal(plan.deadline_ms, 1150);
	rollout_exited(&rollout, &fleet, workers[0].id, &p, false, 0, 1121);
	rollout_tick(&rollout, &fleet, &p, 0, 1121, &plan);
	assert_int_equal(plan.actions[0].type, ACTION_START);
	assert_int_equal(plan.actions[0].id.incarnation, 2);
}

/* It is told nothing better, so it is ready when it has lived long enough. */
static void
who_stays_alive_is_ready(void **state)
{
	static struct slot slots[1];
	static struct worker workers[2];
	static struct plan plan;
	struct policy p = script_policy(1, 1, 0);
	struct rollout rollout = { .stable = 1 };
	struct fleet fleet = {
		.slots = slots, .slot_capacity = 1,
		.workers = workers, .worker_capacity = 2,
	};

	(void)state;
	rollout_tick(&rollout, &fleet, &p, 0, 1000, &plan);
	workers[0].alive_at_ms = 1020;
	rollout_tick(&rollout, &fleet, &p, 0, 1000, &plan);
	assert_int_equal(plan.deadline_ms, 1020);
	assert_int_equal(workers[0].state, WORKER_STARTING);
	rollout_tick(&rollout, &fleet, &p, 0, 1020, &plan);
	assert_int_equal(workers[0].state, WORKER_READY);
	assert_int_equal(plan.action_count, 1);
	assert_int_equal(plan.actions[0].type, ACTION_READY);
	assert_int_equal(plan.actions[0].id.incarnation, 1);
	assert_int_equal(plan.deadline_ms, NEVER_MS);
}

static void
names_are_those_of_the_documentation(void **state)
{
	(void)state;
	assert_string_equal(rollout_phase_name(ROLLOUT_ROLLBACK), "rollback");
	assert_string_equal(rollout_verdict_name(VERDICT_ROLLED_BACK),
	    "rolled-back");
	assert_string_equal(rollout_fault_text(FAULT_EXITED),
	    "a new worker exited");
	for (int i = 0; i < ROLLOUT_PHASE_COUNT; i++)
		assert_non_null(rollout_phase_name((enum rollout_phase)i));
	for (int i = 0; i < VERDICT_COUNT; i++)
		assert_non_null(rollout_verdict_name((enum rollout_verdict)i));
	for (int i = 0; i < FAULT_COUNT; i++)
		assert_non_null(rollout_fault_text((enum rollout_fault)i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_many_releases_drain),
		cmocka_unit_test(too_many_releases_have_lanes),
		cmocka_unit_test(too_many_releases_are_left_to_serve),
		cmocka_unit_test(no_place_is_given_up_while_too_many_drain),
		cmocka_unit_test(who_cannot_be_executed_is_tried_again_later),
		cmocka_unit_test(who_stops_by_itself_soon_waits_for_its_exit),
		cmocka_unit_test(who_stops_by_itself_late_is_replaced_at_once),
		cmocka_unit_test(restart_on_failure),
		cmocka_unit_test(restart_never),
		cmocka_unit_test(an_undo_is_not_blamed_for_what_stopped_before),
		cmocka_unit_test(many_start_in_turns),
		cmocka_unit_test(no_record_is_free),
		cmocka_unit_test(who_stays_alive_is_ready),
		cmocka_unit_test(names_are_those_of_the_documentation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
