/*
 * The event loop and the system: signals, children, a kernel that refuses, no
 * memory, and the quiet of a loop that has nothing to do.
 *
 * epoll_ctl() is ours here, so that it can fail.
 */
#include "reactor.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor_fixture.h"

/* libev needs 16 bytes for each fd below; more than malloc() has in store. */
#define HIGH_FD 18000

static uint64_t armed_ms;
static pid_t child;

/* --- a kernel that refuses */

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
	assert_int_equal(reactor_init(fixture_turn, fixture_signal,
	    &loop), 0);
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
	sigset_t alarm_only;

	signal(SIGALRM, give_memory);
	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);        /* the reactor blocks it */
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
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

/* Sanitizers and valgrind end when they get no memory themselves. */
static bool
can_be_starved(void)
{
	const char *preload = getenv("LD_PRELOAD");

#if defined(__SANITIZE_ADDRESS__)
	return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
	return false;
#endif
#endif
	return preload == NULL || strstr(preload, "vgpreload") == NULL;
}

/* libev would abort: its table of fds has to grow, and there is no memory. */
static void
test_waits_for_memory(void **state)
{
	int status;

	(void)state;
	if (!can_be_starved())
		skip();
	child = fork();
	if (child == 0)
		watch_high_fd();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, \
	fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
