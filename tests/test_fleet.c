/*
 * The bookkeeping of a fleet: finding, counting, taking and forgetting.
 */
#include "fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct policy policy = {
	.workers = 2, .ready_timeout_ms = 100, .drain_timeout_ms = 50,
	.watchdog_ms = 30,
};

struct stand {
	struct slot slots[2];
	struct worker workers[4];
	struct fleet fleet;
};

static void
set_up(struct stand *s)
{
	memset(s, 0, sizeof(*s));
	s->fleet = (struct fleet){
		.slots = s->slots, .slot_capacity = 2,
		.workers = s->workers, .worker_capacity = 4,
	};
}

static void
a_start_takes_a_record(void **state)
{
	struct stand s;
	struct worker *w;

	(void)state;
	set_up(&s);
	w = fleet_start(&s.fleet, 1, 9, &policy, 1000);
	assert_int_equal(w->id.slot, 1);
	assert_int_equal(w->id.incarnation, 1);
	assert_int_equal(w->revision, 9);
	assert_int_equal(w->state, WORKER_STARTING);
	assert_int_equal(w->ending, ENDING_NONE);
	assert_int_equal(w->started_ms, 1000);
	assert_int_equal(w->deadline_ms, 1100);
	assert_int_equal(w->watchdog_ms, 30);
	assert_true(w->alive_at_ms == NEVER_MS);
	assert_int_equal(fleet_start(&s.fleet, 0, 9, &policy, 1000)->
	    id.incarnation, 2);
}

static void
a_record_is_used_again_but_not_its_number(void **state)
{
	struct stand s;
	struct worker_id first;
	struct worker *w;

	(void)state;
	set_up(&s);
	w = fleet_start(&s.fleet, 0, 9, &policy, 1000);
	first = w->id;
	w->ending = ENDING_SURPLUS;
	worker_step(w, WORKER_EVENT_EXITED, &policy, 1001);
	assert_null(fleet_find(&s.fleet, first));
	w = fleet_start(&s.fleet, 0, 9, &policy, 1002);
	assert_ptr_equal(w, s.workers);
	assert_int_equal(w->id.incarnation, 2);
	assert_int_equal(w->ending, ENDING_NONE);
	assert_null(fleet_find(&s.fleet, first));
	assert_ptr_equal(fleet_find(&s.fleet, w->id), w);
}

static void
no_incarnation_is_zero(void **state)
{
	struct stand s;

	(void)state;
	set_up(&s);
	s.fleet.incarnation_last = UINT32_MAX;
	assert_int_equal(fleet_start(&s.fleet, 0, 9, &policy, 0)->
	    id.incarnation, 1);
}

static void
counts_are_by_state_and_revision(void **state)
{
	struct stand s;
	struct fleet_count count;
	struct worker *w;

	(void)state;
	set_up(&s);
	(void)fleet_start(&s.fleet, 0, 1, &policy, 0);
	w = fleet_start(&s.fleet, 1, 2, &policy, 0);
	worker_step(w, WORKER_EVENT_SAID_READY, &policy, 1);
	w = fleet_start(&s.fleet, 1, 1, &policy, 0);
	worker_step(w, WORKER_EVENT_DRAIN, &policy, 1);
	count = fleet_count(&s.fleet);
	assert_int_equal(count.live, 2);
	assert_int_equal(count.ready, 1);
	assert_int_equal(count.leaving, 1);
	assert_int_equal(count.free, 1);
	assert_int_equal(fleet_count_revision(&s.fleet, 1), 2);
	assert_int_equal(fleet_count_revision(&s.fleet, 3), 0);
	assert_int_equal(fleet_count_state(&s.fleet, 1, WORKER_DRAINING), 1);
	assert_int_equal(fleet_count_state(&s.fleet, 1, WORKER_READY), 0);
	assert_int_equal(fleet_count_state(&s.fleet, 2, WORKER_READY), 1);
}

static void
forgiving_forgets_failures_and_ends(void **state)
{
	struct stand s;

	(void)state;
	set_up(&s);
	s.slots[0].stable.finished = true;
	s.slots[0].stable.backoff.failure_count = 3;
	s.slots[1].candidate.finished = true;
	s.slots[1].candidate.backoff.not_before_ms = 77;
	s.slots[1].handed_over = true;
	fleet_forgive(&s.fleet);
	assert_false(s.slots[0].stable.finished);
	assert_int_equal(s.slots[0].stable.backoff.failure_count, 0);
	assert_false(s.slots[1].candidate.finished);
	assert_int_equal(s.slots[1].candidate.backoff.not_before_ms, 0);
	assert_true(s.slots[1].handed_over);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_takes_a_record),
		cmocka_unit_test(a_record_is_used_again_but_not_its_number),
		cmocka_unit_test(no_incarnation_is_zero),
		cmocka_unit_test(counts_are_by_state_and_revision),
		cmocka_unit_test(forgiving_forgets_failures_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
