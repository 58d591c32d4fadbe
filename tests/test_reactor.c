/*
 * The event loop with real fds, signals and clocks.
 *
 * Each test is a small script: its steps are taken in the turn function, and
 * the loop ends when the last one was taken.  A guard alarm ends a loop that
 * waits for something that never comes.  epoll_ctl() is ours here, so that the
 * kernel can be made to refuse.
 */
#include "reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker.h"

#define GUARD_MS UINT64_C(20000)

/* libev needs 16 bytes for each fd below; more than malloc() has in store. */
#define HIGH_FD 18000

static struct {
	unsigned turns, calls, calls_in_turn, most_calls_in_turn;
	unsigned signals[65];
	void (*step)(void);
	struct alarm guard;
	int pipe[2];
	struct watch watch;
} loop;

static int refused_fd = -1, refused_error;

int
epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	if (fd == refused_fd && operation != EPOLL_CTL_DEL) {
		errno = refused_error;
		refused_fd = -1;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

static uint64_t
real_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
on_turn(void *ctx)
{
	assert_ptr_equal(ctx, &loop);
	loop.turns++;
	loop.calls_in_turn = 0;
	loop.step();
}

static void
on_signal(void *ctx, int number)
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

static void
run(void (*step)(void))
{
	loop.step = step;
	reactor_set_alarm(&loop.guard, GUARD_MS, on_guard, NULL);
	reactor_run();
	reactor_clear_alarm(&loop.guard);
}

static int
set_up(void **state)
{
	(void)state;
	memset(&loop, 0, sizeof(loop));
	if (pipe2(loop.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	return reactor_init(on_turn, on_signal, &loop);
}

static int
tear_down(void **state)
{
	(void)state;
	reactor_unwatch(&loop.watch);
	reactor_release();
	close(loop.pipe[0]);
	close(loop.pipe[1]);
	return 0;
}

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
		reactor_arm(loop.turns % 2 ? 0 : reactor_now_ms());
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
on_ready(void *ctx, int events)
{
	(void)ctx;
	assert_int_equal(events, REACTOR_READ);
	loop.calls++;
	if (++loop.calls_in_turn > loop.most_calls_in_turn)
		loop.most_calls_in_turn = loop.calls_in_turn;
}

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
	reactor_watch(&loop.watch, loop.pipe[1], 0, on_writable, NULL);
	run(step_rewatch);
}

static void
refuse(int fd, int error)
{
	refused_fd = fd;
	refused_error = error;
}

static void
step_refused(void)
{
	if (loop.calls > 0)
		reactor_stop();
}

/* The kernel has no memory for a watch: it is tried again, unasked. */
static void
test_refused_watch_is_tried_again(void **state)
{
	uint64_t begin_ms = real_now_ms();

	(void)state;
	assert_int_equal(write(loop.pipe[1], "x", 1), 1);
	refuse(loop.pipe[0], ENOMEM);
	reactor_watch(&loop.watch, loop.pipe[0], REACTOR_READ, on_ready, NULL);
	run(step_refused);
	assert_int_equal(refused_fd, -1);
	assert_int_equal(loop.signals[SIGPIPE], 0);
	assert_true(real_now_ms() - begin_ms >= 1000);
	assert_true(real_now_ms() - begin_ms < 10000);
}

static void
step_stop_refused(void)
{
	switch (loop.turns) {
	case 1:
		break;
	case 2:         /* without anything else to wake for */
		assert_int_equal(refused_fd, -1);
		reactor_rewatch(&loop.watch, REACTOR_READ | REACTOR_WRITE);
		reactor_unwatch(&loop.watch);
		armed_ms = reactor_now_ms() + 1200;
		reactor_arm(armed_ms);
		break;
	default:
		if (reactor_now_ms() >= armed_ms)
			reactor_stop();
	}
}

static void
test_refused_watch_can_be_stopped(void **state)
{
	(void)state;
	assert_int_equal(write(loop.pipe[1], "x", 1), 1);
	refuse(loop.pipe[0], ENOSPC);
	reactor_watch(&loop.watch, loop.pipe[0], REACTOR_READ, on_ready, NULL);
	run(step_stop_refused);
	assert_int_equal(loop.calls, 0);
}

/* --- signals */

static void
step_signals(void)
{
	if (loop.turns == 1) {
		raise(SIGHUP);
		raise(SIGTERM);
		raise(SIGUSR2);
		raise(SIGINT);
		raise(SIGPIPE);
		raise(SIGXFSZ);
	}
	if (loop.signals[SIGHUP] + loop.signals[SIGTERM] +
	    loop.signals[SIGUSR2] + loop.signals[SIGINT] == 4)
		reactor_stop();
}

static void
test_signals(void **state)
{
	(void)state;
	run(step_signals);
	assert_int_equal(loop.signals[SIGHUP], 1);
	assert_int_equal(loop.signals[SIGTERM], 1);
	assert_int_equal(loop.signals[SIGPIPE], 0);
	assert_int_equal(loop.signals[SIGXFSZ], 0);
	assert_int_equal(loop.turns, 2);
}

static void
step_broken_pipe(void)
{
	if (loop.turns == 1) {
		close(loop.pipe[0]);
		assert_int_equal(write(loop.pipe[1], "x", 1), -1);
		assert_int_equal(errno, EPIPE);
		loop.pipe[0] = -1;
	} else {
		reactor_stop();
	}
}

static void
test_broken_pipe_is_harmless(void **state)
{
	(void)state;
	run(step_broken_pipe);
	assert_int_equal(loop.turns, 2);
	assert_int_equal(loop.signals[SIGPIPE], 0);
}

static pid_t child;

static void
step_child(void)
{
	if (loop.turns == 1) {
		child = fork();
		if (child == 0)
			_exit(7);
		assert_true(child > 0);
	}
	if (loop.signals[SIGCHLD] > 0)
		reactor_stop();
}

/* The loop reaps nobody, even if SIGCHLD was ignored when we were started. */
static void
test_child_is_left_to_us(void **state)
{
	int status;

	(void)state;
	reactor_release();
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(reactor_init(on_turn, on_signal, &loop), 0);
	run(step_child);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void
test_mask_is_restored(void **state)
{
	sigset_t set;

	(void)state;
	sigprocmask(SIG_BLOCK, NULL, &set);
	assert_int_equal(sigismember(&set, SIGTERM), 1);
	raise(SIGPIPE);
	reactor_release();
	sigprocmask(SIG_BLOCK, NULL, &set);
	assert_int_equal(sigismember(&set, SIGTERM), 0);
	assert_int_equal(sigismember(&set, SIGPIPE), 0);
}

/* --- quiet, and scarcity */

static struct rusage usage_before;

static void
step_idle(void)
{
	if (loop.turns == 1) {
		getrusage(RUSAGE_SELF, &usage_before);
		reactor_arm(reactor_now_ms() + 1000);
	} else {
		reactor_stop();
	}
}

static void
test_idle_loop_sleeps(void **state)
{
	struct rusage usage;

	(void)state;
	run(step_idle);
	getrusage(RUSAGE_SELF, &usage);
	assert_int_equal(loop.turns, 2);
	assert_in_range(usage.ru_nvcsw - usage_before.ru_nvcsw, 0, 3);
}

static void
give_memory(int number)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	(void)number;
	setrlimit(RLIMIT_AS, &none);
}

static void
watch_high_fd(void)
{
	struct itimerval soon = { .it_value = { .tv_usec = 300000 } };
	struct rlimit limit, tight = { 1, RLIM_INFINITY };
	struct watch watch = { 0 };

	signal(SIGALRM, give_memory);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (dup2(loop.pipe[0], HIGH_FD) < 0)
		_exit(77);
	setitimer(ITIMER_REAL, &soon, NULL);
	setrlimit(RLIMIT_AS, &tight);
	reactor_watch(&watch, HIGH_FD, REACTOR_READ, on_ready, NULL);
	_exit(0);
}

/* libev would abort: its table of fds has to grow, and there is no memory. */
static void
test_waits_for_memory(void **state)
{
	int status;

	(void)state;
	child = fork();
	if (child == 0)
		watch_high_fd();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_early),
		TEST(test_past_deadline_is_at_once),
		TEST(test_last_arm_counts),
		TEST(test_alarms_in_order),
		TEST(test_alarm_after_long_work),
		TEST(test_turn_after_all_callbacks),
		TEST(test_rewatch),
		TEST(test_refused_watch_is_tried_again),
		TEST(test_refused_watch_can_be_stopped),
		TEST(test_signals),
		TEST(test_broken_pipe_is_harmless),
		TEST(test_child_is_left_to_us),
		TEST(test_mask_is_restored),
		TEST(test_idle_loop_sleeps),
		TEST(test_waits_for_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
