/*
 * The worker automaton: every row, and what its deadlines do.
 */
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct policy policy = {
	.ready_timeout_ms = 100, .drain_timeout_ms = 50,
};

#define KILL_PATIENCE_MS 5000

static struct worker
worker_in(enum worker_state state, uint64_t now_ms)
{
	struct worker w = { .id = { .slot = 1, .incarnation = 7 } };

	if (state == WORKER_GONE)
		return w;
	worker_step(&w, WORKER_EVENT_STARTED, &policy, now_ms);
	if (state == WORKER_READY || state == WORKER_RELOADING)
		worker_step(&w, WORKER_EVENT_SAID_READY, &policy, now_ms);
	if (state == WORKER_RELOADING)
		worker_step(&w, WORKER_EVENT_SAID_RELOADING, &policy, now_ms);
	if (state == WORKER_STOPPING)
		worker_step(&w, WORKER_EVENT_SAID_STOPPING, &policy, now_ms);
	if (state == WORKER_DRAINING)
		worker_step(&w, WORKER_EVENT_DRAIN, &policy, now_ms);
	if (state == WORKER_KILLED)
		worker_step(&w, WORKER_EVENT_KILL, &policy, now_ms);
	assert_int_equal(w.state, state);
	return w;
}

/* From each state, for READY, RELOADING, STOPPING, DRAIN, KILL, EXITED. */
static void
every_row(void **state)
{
	static const struct row {
		enum worker_state from;
		enum worker_state to[6];
	} rows[] = {
		{ WORKER_STARTING, { WORKER_READY, WORKER_STARTING,
		    WORKER_STOPPING, WORKER_DRAINING, WORKER_KILLED,
		    WORKER_GONE } },
		{ WORKER_READY, { WORKER_READY, WORKER_RELOADING,
		    WORKER_STOPPING, WORKER_DRAINING, WORKER_KILLED,
		    WORKER_GONE } },
		{ WORKER_RELOADING, { WORKER_READY, WORKER_RELOADING,
		    WORKER_STOPPING, WORKER_DRAINING, WORKER_KILLED,
		    WORKER_GONE } },
		{ WORKER_STOPPING, { WORKER_STOPPING, WORKER_STOPPING,
		    WORKER_STOPPING, WORKER_DRAINING, WORKER_KILLED,
		    WORKER_GONE } },
		{ WORKER_DRAINING, { WORKER_DRAINING, WORKER_DRAINING,
		    WORKER_DRAINING, WORKER_DRAINING, WORKER_KILLED,
		    WORKER_GONE } },
		{ WORKER_KILLED, { WORKER_KILLED, WORKER_KILLED, WORKER_KILLED,
		    WORKER_KILLED, WORKER_KILLED, WORKER_GONE } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (int k = 0; k < 6; k++) {
			struct worker w = worker_in(rows[i].from, 1000);
			int event = WORKER_EVENT_SAID_READY + k;

			worker_step(&w, (enum worker_event)event, &policy, 1010);
			assert_int_equal(w.state, rows[i].to[k]);
		}
	}
}

static void
every_state_has_its_patience(void **state)
{
	static const struct row {
		enum worker_state state;
		uint64_t deadline_ms;
	} rows[] = {
		{ WORKER_STARTING, 1100 },
		{ WORKER_READY, NEVER_MS },
		{ WORKER_RELOADING, 1100 },
		{ WORKER_STOPPING, 1050 },
		{ WORKER_DRAINING, 1050 },
		{ WORKER_KILLED, 1000 + KILL_PATIENCE_MS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct worker w = worker_in(rows[i].state, 1000);

		assert_true(w.deadline_ms == rows[i].deadline_ms);
		assert_int_equal(w.since_ms, 1000);
	}
}

/* Saying the same again does not buy time. */
static void
late_events_do_not_move_deadlines(void **state)
{
	static const enum worker_state states[] = {
		WORKER_STARTING, WORKER_RELOADING, WORKER_STOPPING,
		WORKER_DRAINING,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		struct worker w = worker_in(states[i], 1000), before = w;

		worker_step(&w, states[i] == WORKER_STOPPING ?
		    WORKER_EVENT_SAID_READY : WORKER_EVENT_SAID_RELOADING,
		    &policy, 1040);
		assert_memory_equal(&w, &before, sizeof(w));
	}
}

static void
a_second_ready_is_not_ready_anew(void **state)
{
	struct worker w = worker_in(WORKER_READY, 1000);

	(void)state;
	worker_step(&w, WORKER_EVENT_SAID_READY, &policy, 1040);
	assert_int_equal(w.ready_ms, 1000);
	worker_step(&w, WORKER_EVENT_SAID_RELOADING, &policy, 1050);
	worker_step(&w, WORKER_EVENT_SAID_READY, &policy, 1060);
	assert_int_equal(w.ready_ms, 1060);
}

static void
a_second_kill_waits_anew(void **state)
{
	struct worker w = worker_in(WORKER_KILLED, 1000);

	(void)state;
	worker_step(&w, WORKER_EVENT_KILL, &policy, 6000);
	assert_int_equal(w.state, WORKER_KILLED);
	assert_int_equal(w.deadline_ms, 6000 + KILL_PATIENCE_MS);
}

static void
a_watchdog_bites_only_while_ready(void **state)
{
	struct worker w = worker_in(WORKER_STARTING, 1000);

	(void)state;
	worker_set_watchdog(&w, 30, 1000);
	assert_int_equal(w.deadline_ms, 1100);
	worker_pet(&w, 1010);
	assert_int_equal(w.deadline_ms, 1100);
	worker_step(&w, WORKER_EVENT_SAID_READY, &policy, 1020);
	assert_int_equal(w.deadline_ms, 1050);
	worker_pet(&w, 1040);
	assert_int_equal(w.deadline_ms, 1070);
	worker_set_watchdog(&w, 60, 1050);
	assert_int_equal(w.deadline_ms, 1110);
	worker_set_watchdog(&w, 0, 1060);
	assert_true(w.deadline_ms == NEVER_MS);
	worker_pet(&w, 1070);
	assert_true(w.deadline_ms == NEVER_MS);
}

static void
extend_moves_a_deadline_away(void **state)
{
	struct worker w = worker_in(WORKER_STARTING, 1000);

	(void)state;
	worker_extend(&w, 300, &policy, 1050);
	assert_int_equal(w.deadline_ms, 1350);
	worker_extend(&w, 10, &policy, 1060);           /* never nearer */
	assert_int_equal(w.deadline_ms, 1350);
}

static void
extend_has_a_bound(void **state)
{
	struct worker w = worker_in(WORKER_DRAINING, 1000);

	(void)state;
	worker_extend(&w, 450, &policy, 1050);
	assert_int_equal(w.deadline_ms, 1500);          /* ten times 50 */
	worker_extend(&w, 450, &policy, 1490);
	assert_int_equal(w.deadline_ms, 1500);
	worker_extend(&w, UINT64_MAX, &policy, 1490);
	assert_int_equal(w.deadline_ms, 1500);
}

static void
extend_is_for_who_is_waited_for(void **state)
{
	static const enum worker_state states[] = {
		WORKER_GONE, WORKER_READY, WORKER_KILLED,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		struct worker w = worker_in(states[i], 1000), before = w;

		worker_extend(&w, 300, &policy, 1010);
		assert_memory_equal(&w, &before, sizeof(w));
	}
}

static void
live_is_who_takes_or_will_take_work(void **state)
{
	(void)state;
	for (int i = 0; i < WORKER_STATE_COUNT; i++) {
		struct worker w = worker_in((enum worker_state)i, 1000);

		assert_int_equal(worker_is_live(&w), i == WORKER_STARTING ||
		    i == WORKER_READY || i == WORKER_RELOADING);
	}
}

static void
everything_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(worker_state_name(WORKER_DRAINING), "draining");
	assert_string_equal(worker_event_name(WORKER_EVENT_SAID_READY),
	    "said_ready");
	for (int i = 0; i < WORKER_STATE_COUNT; i++)
		assert_non_null(worker_state_name((enum worker_state)i));
	for (int i = 0; i < WORKER_EVENT_COUNT; i++)
		assert_non_null(worker_event_name((enum worker_event)i));
	for (int i = 0; i < ENDING_COUNT; i++)
		assert_non_null(worker_ending_text((enum worker_ending)i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(every_state_has_its_patience),
		cmocka_unit_test(late_events_do_not_move_deadlines),
		cmocka_unit_test(a_second_ready_is_not_ready_anew),
		cmocka_unit_test(a_second_kill_waits_anew),
		cmocka_unit_test(a_watchdog_bites_only_while_ready),
		cmocka_unit_test(extend_moves_a_deadline_away),
		cmocka_unit_test(extend_has_a_bound),
		cmocka_unit_test(extend_is_for_who_is_waited_for),
		cmocka_unit_test(live_is_who_takes_or_will_take_work),
		cmocka_unit_test(everything_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
