/*
 * A loop whose steps are taken in its turn function.
 *
 * A test runs the loop with a step, which ends it with reactor_stop().  A guard
 * alarm fails a test that waits for something that never comes.
 */
#ifndef TESTS_REACTOR_FIXTURE_H
#define TESTS_REACTOR_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor.h"

#define GUARD_MS UINT64_C(20000)

struct fixture {
	unsigned turns, calls, calls_in_turn, most_calls_in_turn;
	unsigned signals[65];
	void (*step)(void);
	struct alarm guard;
	int pipe[2];
	struct watch watch;
};

static struct fixture loop;

static inline uint64_t
real_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void
fixture_turn(void *ctx)
{
	assert_ptr_equal(ctx, &loop);
	loop.turns++;
	loop.calls_in_turn = 0;
	loop.step();
}

static inline void
fixture_signal(void *ctx, int number)
{
	assert_ptr_equal(ctx, &loop);
	loop.signals[number]++;
}

static void
on_guard(void *ctx)
{
	(void)ctx;
	fail_msg("the loop waits for something that does not come");
}

static inline void
run(void (*step)(void))
{
	loop.step = step;
	reactor_set_alarm(&loop.guard, GUARD_MS, on_guard, NULL);
	reactor_run();
	reactor_clear_alarm(&loop.guard);
}

static inline int
fixture_set_up(void **state)
{
	(void)state;
	memset(&loop, 0, sizeof(loop));
	if (pipe2(loop.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	return reactor_init(fixture_turn, fixture_signal, &loop);
}

static inline int
fixture_tear_down(void **state)
{
	(void)state;
	reactor_unwatch(&loop.watch);
	reactor_release();
	close(loop.pipe[0]);
	close(loop.pipe[1]);
	return 0;
}

/* For a watch that waits for reading: counts its calls. */
static inline void
on_ready(void *ctx, int events)
{
	(void)ctx;
	assert_int_equal(events, REACTOR_READ);
	loop.calls++;
	if (++loop.calls_in_turn > loop.most_calls_in_turn)
		loop.most_calls_in_turn = loop.calls_in_turn;
}

#endif
