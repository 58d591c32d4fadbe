/*
 * The event loop: turns, deadlines, alarms and watches, with real clocks.
 */
#include "reactor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor_fixture.h"
#include "worker.h"

/* --- turns and deadlines */

static uint64_t armed_ms;

static void
step_deadlines(void)
{
	if (loop.turns > 1) {
		assert_true(reactor_now_ms() >= armed_ms);
		assert_true(real_now_ms() >= armed_ms);
	}
	if (loop.turns == 20) {
		reactor_stop();
		return;
	}
	armed_ms = reactor_now_ms() + loop.turns % 4;
	reactor_arm(armed_ms);
}

/* Each deadline gives one turn, not earlier and not two. */
static void
test_never_early(void **state)
{
	(void)state;
	run(step_deadlines);
	assert_int_equal(loop.turns, 20);
}

static void
step_past(void)
{
	if (loop.turns == 1000)
		reactor_stop();
	else
		reactor_arm(loop.turns % 3 ? 0 : reactor_now_ms());
}

static void
test_past_deadline_is_at_once(void **state)
{
	uint64_t begin_ms = real_now_ms();

	(void)state;
	run(step_past);
	assert_int_equal(loop.turns, 1000);
	assert_true(real_now_ms() - begin_ms < 500);
}

static void
step_rearm(void)
{
	if (loop.turns == 2) {
		assert_true(reactor_now_ms() >= armed_ms);
		assert_true(reactor_now_ms() < armed_ms + 5000);
		reactor_stop();
		return;
	}
	armed_ms = reactor_now_ms() + 30;
	reactor_arm(NEVER_MS);
	reactor_arm(NEVER_MS - 1);
	reactor_arm(reactor_now_ms() + 10000);
	reactor_arm(reactor_now_ms() + 1);
	reactor_arm(armed_ms);
}

static void
test_last_arm_counts(void **state)
{
	(void)state;
	run(step_rearm);
	assert_int_equal(loop.turns, 2);
}

static char alarm_order[8];

static void
on_letter(void *ctx)
{
	size_t length = strlen(alarm_order);

	alarm_order[length] = *(const char *)ctx;
}

static void
step_alarms(void)
{
	if (strlen(alarm_order) == 3)
		reactor_stop();
}

static void
test_alarms_in_order(void **state)
{
	static struct alarm alarms[4];
	static char letters[] = "abcd";
	uint64_t begin_ms = real_now_ms();

	(void)state;
	reactor_set_alarm(&alarms[2], 30, on_letter, &letters[2]);
	reactor_set_alarm(&alarms[0], 0, on_letter, &letters[0]);
	reactor_set_alarm(&alarms[1], 5000, on_letter, &letters[1]);
	reactor_set_alarm(&alarms[1], 15, on_letter, &letters[1]);
	reactor_set_alarm(&alarms[3], 20, on_letter, &letters[3]);
	reactor_clear_alarm(&alarms[3]);
	reactor_clear_alarm(&alarms[3]);
	run(step_alarms);
	assert_string_equal(alarm_order, "abc");
	assert_true(real_now_ms() - begin_ms >= 30);
}

static void
step_once(void)
{
	if (loop.turns == 1)
		reactor_arm(reactor_now_ms() + 40);
	else if (reactor_now_ms() >= armed_ms)
		reactor_stop();
}

static void
test_alarm_set_twice(void **state)
{
	static struct alarm alarm;
	static char letter = 'x';

	(void)state;
	memset(alarm_order, 0, sizeof(alarm_order));
	reactor_set_alarm(&alarm, 5, on_letter, &letter);
	reactor_set_alarm(&alarm, 6, on_letter, &letter);
	armed_ms = reactor_now_ms() + 40;
	run(step_once);
	assert_string_equal(alarm_order, "x");
}

/* A callback may have taken long: an alarm counts from when it is set. */
static void
test_alarm_after_long_work(void **state)
{
	static struct alarm late;
	static char letter = 'x';
	uint64_t begin_ms = real_now_ms(), set_ms;

	(void)state;
	memcpy(alarm_order, "..", 3);
	while (real_now_ms() < begin_ms + 40)
		;
	set_ms = real_now_ms();
	reactor_set_alarm(&late, 20, on_letter, &letter);
	run(step_alarms);
	assert_true(real_now_ms() >= set_ms + 20);
}

/* --- watches */

static void
step_three_ready(void)
{
	assert_int_equal(loop.calls, 3 * (loop.turns - 1));
	if (loop.turns == 10)
		reactor_stop();
}

/* Three that are always ready: a turn comes after all three, and once. */
static void
test_turn_after_all_callbacks(void **state)
{
	struct watch watches[3] = { 0 };
	int fds[3], i;

	(void)state;
	assert_int_equal(write(loop.pipe[1], "x", 1), 1);
	for (i = 0; i < 3; i++) {
		fds[i] = dup(loop.pipe[0]);
		reactor_watch(&watches[i], fds[i], REACTOR_READ, on_ready,
		    NULL);
	}
	run(step_three_ready);
	assert_int_equal(loop.turns, 10);
	assert_int_equal(loop.most_calls_in_turn, 3);
	for (i = 0; i < 3; i++) {
		reactor_unwatch(&watches[i]);
		reactor_unwatch(&watches[i]);
		close(fds[i]);
	}
}

static void
on_writable(void *ctx, int events)
{
	(void)ctx;
	assert_int_equal(events, REACTOR_WRITE);
	loop.calls++;
}

static void
step_rewatch(void)
{
	switch (loop.turns) {
	case 1:
		reactor_rewatch(&loop.watch, REACTOR_READ | REACTOR_WRITE);
		reactor_arm(0);
		break;
	case 2:
	case 3:
		reactor_arm(0);
		break;
	case 4:
		assert_true(loop.calls >= 1);
		reactor_rewatch(&loop.watch, 0);
		loop.calls = 0;
		reactor_arm(reactor_now_ms() + 20);
		break;
	default:
		assert_int_equal(loop.calls, 0);
		assert_int_equal(loop.turns, 5);
		reactor_stop();
	}
}

static void
test_rewatch(void **state)
{
	(void)state;
	assert_int_equal(write(loop.pipe[1], "x", 1), 1);
	reactor_watch(&loop.watch, loop.pipe[0], REACTOR_READ, on_ready, NULL);
	reactor_watch(&loop.watch, loop.pipe[1], 0, on_writable, NULL);
	run(step_rewatch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, \
	fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_early),
		TEST(test_past_deadline_is_at_once),
		TEST(test_last_arm_counts),
		TEST(test_alarms_in_order),
		TEST(test_alarm_set_twice),
		TEST(test_alarm_after_long_work),
		TEST(test_turn_after_all_callbacks),
		TEST(test_rewatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
