/*
 * The list of steps, for combinations of workers, surge and unavailable.
 */
#include "strategy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct course rolling = { .strategy = STRATEGY_ROLLING };

static void
rolling_goes_up_by_what_may_be_on_its_way(void **state)
{
	static const struct row {
		uint32_t workers, surge, unavailable;
		uint32_t count;
		uint32_t candidates[4];
	} rows[] = {
		{ 1, 1, 0, 1, { 1 } },
		{ 1, 0, 1, 1, { 1 } },
		{ 4, 1, 0, 4, { 1, 2, 3, 4 } },
		{ 4, 0, 1, 4, { 1, 2, 3, 4 } },
		{ 4, 1, 1, 2, { 2, 4 } },
		{ 4, 2, 1, 2, { 3, 4 } },
		{ 4, 4, 0, 1, { 4 } },
		{ 4, 9, 9, 1, { 4 } },
		{ 5, 2, 0, 3, { 2, 4, 5 } },
		{ 3, 0, 0, 3, { 1, 2, 3 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct policy p = {
			.workers = rows[i].workers, .surge = rows[i].surge,
			.unavailable = rows[i].unavailable,
		};

		assert_int_equal(strategy_step_count(&p, &rolling), rows[i].count);
		for (uint32_t k = 0; k < rows[i].count; k++)
			assert_int_equal(strategy_step(&p, &rolling, k).candidates,
			    rows[i].candidates[k]);
	}
}

static void
the_last_step_has_them_all(void **state)
{
	(void)state;
	for (uint32_t workers = 0; workers < 50; workers++) {
		for (uint32_t surge = 0; surge < 10; surge++) {
			struct policy p = { .workers = workers, .surge = surge };
			uint32_t count = strategy_step_count(&p, &rolling);
			struct step last = strategy_step(&p, &rolling, count - 1);

			assert_in_range(count, 1, 50);
			assert_int_equal(last.candidates, workers);
			assert_int_equal(last.weight_permille, 1000);
			assert_int_equal(strategy_step(&p, &rolling, count).candidates,
			    workers);
		}
	}
}

static void
a_step_has_its_share_and_its_hold(void **state)
{
	struct policy p = { .workers = 3, .surge = 1, .min_ready_ms = 250 };
	struct step step = strategy_step(&p, &rolling, 1);

	(void)state;
	assert_int_equal(step.candidates, 2);
	assert_int_equal(step.weight_permille, 666);
	assert_int_equal(step.ready_ms, 250);
	assert_int_equal(step.hold_ms, 0);
	assert_false(step.pause);
}

static void
a_stopped_service_has_one_empty_step(void **state)
{
	struct policy p = { .workers = 0, .surge = 1 };

	(void)state;
	assert_int_equal(strategy_step_count(&p, &rolling), 1);
	assert_int_equal(strategy_step(&p, &rolling, 0).candidates, 0);
}

static void
it_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(strategy_name(STRATEGY_ROLLING), "rolling");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rolling_goes_up_by_what_may_be_on_its_way),
		cmocka_unit_test(the_last_step_has_them_all),
		cmocka_unit_test(a_step_has_its_share_and_its_hold),
		cmocka_unit_test(a_stopped_service_has_one_empty_step),
		cmocka_unit_test(it_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
