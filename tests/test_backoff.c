/*
 * Backoff: how long a place waits, within which bounds, and what it forgets.
 */
#include "backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct policy policy = {
	.backoff_min_ms = 100, .backoff_max_ms = 1000,
};

static void
it_doubles_up_to_the_maximum(void **state)
{
	static const uint64_t waits_ms[] = { 100, 200, 400, 800, 1000, 1000 };
	struct backoff b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(*waits_ms); i++) {
		backoff_ended(&b, &policy, 5, 0, 7000);
		assert_int_equal(b.not_before_ms, 7000 + waits_ms[i]);
		assert_int_equal(b.failure_count, i + 1);
	}
}

static void
it_never_overflows(void **state)
{
	struct policy huge = policy;
	struct backoff b = { .failure_count = UINT32_MAX };

	(void)state;
	huge.backoff_max_ms = UINT64_MAX / 4;
	backoff_ended(&b, &huge, 5, 0, 0);
	assert_true(b.not_before_ms == UINT64_MAX / 4);
	assert_int_equal(b.failure_count, UINT32_MAX);
}

static void
a_minimum_above_the_maximum_is_the_maximum(void **state)
{
	struct policy odd = { .backoff_min_ms = 500, .backoff_max_ms = 300 };
	struct backoff b = { 0 };

	(void)state;
	backoff_ended(&b, &odd, 5, 0, 0);
	assert_int_equal(b.not_before_ms, 300);
}

static void
jitter_takes_off_up_to_a_quarter(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct backoff b = { .failure_count = 2 };

		backoff_ended(&b, &policy, 5, i * (UINT32_MAX / 999), 0);
		least = b.not_before_ms < least ? b.not_before_ms : least;
		most = b.not_before_ms > most ? b.not_before_ms : most;
	}
	assert_int_equal(most, 400);
	assert_in_range(least, 300, 305);
}

static void
who_lived_long_is_replaced_at_once(void **state)
{
	struct backoff b = { .failure_count = 5, .not_before_ms = 123 };

	(void)state;
	backoff_ended(&b, &policy, BACKOFF_SETTLED_MS - 1, 0, 50000);
	assert_int_equal(b.failure_count, 6);
	backoff_ended(&b, &policy, BACKOFF_SETTLED_MS, 0, 50000);
	assert_int_equal(b.failure_count, 0);
	assert_int_equal(b.not_before_ms, 0);
}

static void
a_refusal_waits_but_does_not_count(void **state)
{
	struct backoff b = { .failure_count = 1 };

	(void)state;
	backoff_refused(&b, &policy, 0, 1000);
	assert_int_equal(b.not_before_ms, 1400);
	assert_int_equal(b.failure_count, 1);
	backoff_refused(&b, &policy, UINT32_MAX, 1000);
	assert_in_range(b.not_before_ms, 1300, 1305);
}

static void
clearing_forgets(void **state)
{
	struct backoff b = { .failure_count = 5, .not_before_ms = 123 };

	(void)state;
	backoff_clear(&b);
	assert_int_equal(b.failure_count, 0);
	assert_int_equal(b.not_before_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_doubles_up_to_the_maximum),
		cmocka_unit_test(it_never_overflows),
		cmocka_unit_test(a_minimum_above_the_maximum_is_the_maximum),
		cmocka_unit_test(jitter_takes_off_up_to_a_quarter),
		cmocka_unit_test(who_lived_long_is_replaced_at_once),
		cmocka_unit_test(a_refusal_waits_but_does_not_count),
		cmocka_unit_test(clearing_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
