/*
 * Tests of the worker itself: what it says to its supervisor, how it ends, and
 * that each fault that other tests rely on is really the fault it claims.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "demo_fixture.h"
#include "loadgen_fixture.h"

static void
test_ready_and_stop(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;

	start(&worker, supervisor->listener, "worker --ready-fd 1");
	await_message(supervisor, READY);
	child_await_input(worker.out_fd);
	child_signal(&worker, SIGTERM);
	await_message(supervisor, STOPPING);
	assert_int_equal(child_wait(&worker), 0);
	/* It closed the listener and did not shut it down. */
	close(connect_to(supervisor));
}

/* The drain, seen from a connection that was idle when it began. */
static void
test_linger(void **state)
{
	const struct supervisor *supervisor = *state;
	char answer[512], byte;
	struct child worker;
	int early, late;

	start(&worker, supervisor->listener, "worker --linger 300");
	early = connect_to(supervisor);
	late = connect_to(supervisor);
	ask(early, answer, sizeof(answer));
	assert_null(strstr(answer, "Connection: close"));
	ask(late, answer, sizeof(answer));
	await_message(supervisor, READY);
	child_signal(&worker, SIGTERM);
	await_message(supervisor, STOPPING);
	ask(late, answer, sizeof(answer));
	assert_non_null(strstr(answer, "Connection: close"));
	assert_non_null(strstr(answer, "version=1 pid="));
	assert_quiet(early);
	child_await_input(early);
	assert_int_equal(recv(early, &byte, 1, 0), 0);
	close(early);
	close(late);
	assert_int_equal(child_wait(&worker), 0);
}

/*
 * The worker stands still while a request comes and the linger ends: the
 * request was there in time and gets its answer.
 */
static void
test_linger_of_a_late_worker(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	const struct supervisor *supervisor = *state;
	char answer[512];
	struct child worker;
	ssize_t size;
	int fd;

	start(&worker, supervisor->listener, "worker --linger 1000");
	fd = connect_to(supervisor);
	ask(fd, answer, sizeof(answer));
	await_message(supervisor, READY);
	child_signal(&worker, SIGTERM);
	await_message(supervisor, STOPPING);
	child_signal(&worker, SIGSTOP);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL),
	    sizeof(request) - 1);
	for (int waited_ms = 0; waited_ms < 1200; waited_ms += SHORT_MS)
		assert_quiet(fd);
	child_signal(&worker, SIGCONT);
	child_await_input(fd);
	size = recv(fd, answer, sizeof(answer) - 1, 0);
	assert_true(size > 0);
	answer[size] = '\0';
	assert_non_null(strstr(answer, "Connection: close"));
	close(fd);
	assert_int_equal(child_wait(&worker), 0);
}

static void
test_watchdog(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;

	setenv("WATCHDOG_USEC", "40000", 1);
	start(&worker, supervisor->listener, "worker");
	unsetenv("WATCHDOG_USEC");
	await_message(supervisor, READY);
	await_message(supervisor, "WATCHDOG=1");
	await_message(supervisor, "WATCHDOG=1");
	child_signal(&worker, SIGKILL);
	assert_int_equal(child_wait(&worker), 128 + SIGKILL);
}

static void
test_slow_start(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;
	int fd = connect_to(supervisor);

	start(&worker, supervisor->listener, "worker --slow-start 400");
	assert_quiet(supervisor->notify);
	await_message(supervisor, READY);
	close(fd);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
}

/* Neither ready nor accepting, but stopped as others are. */
static void
test_never_ready(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;
	int fd = connect_to(supervisor);

	start(&worker, supervisor->listener, "worker --never-ready");
	assert_quiet(supervisor->notify);
	child_await_input(supervisor->listener); /* still in the queue */
	child_signal(&worker, SIGTERM);
	await_message(supervisor, STOPPING);
	assert_int_equal(child_wait(&worker), 0);
	close(fd);
}

static void
test_deaf(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;
	int fd = connect_to(supervisor);

	start(&worker, supervisor->listener, "worker --deaf");
	await_message(supervisor, READY);
	assert_quiet(fd);
	child_await_input(supervisor->listener);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
	close(fd);
}

static void
test_ends(void **state)
{
	static const struct {
		const char *options;
		int code;
	} ends[] = {
		{ "--exit-at-start 78", 78 },
		{ "--crash-after 50", 1 },
		{ "--crash-after 50 --crash-by 3", 3 },
		{ "--crash-after 50 --crash-by KILL", 128 + SIGKILL },
		{ "--crash-after 50 --crash-by SIGABRT", 128 + SIGABRT },
		{ "--stopping 50", 0 },
		{ "--crash-by NOSUCH", 2 },
		{ "--reset-percent 101", 2 },
		{ "--no-such-option", 2 },
		{ "operand", 2 },
	};
	const struct supervisor *supervisor = *state;
	struct child worker;
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		start(&worker, supervisor->listener, "worker %s",
		    ends[i].options);
		assert_int_equal(child_wait(&worker), ends[i].code);
	}
}

static void
test_ignore_term(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;

	start(&worker, supervisor->listener, "worker --ignore-term");
	await_message(supervisor, READY);
	child_signal(&worker, SIGTERM);
	assert_quiet(worker.pidfd);
	child_signal(&worker, SIGKILL);
	assert_int_equal(child_wait(&worker), 128 + SIGKILL);
}

static void
test_shutdown_listener(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker, neighbour;

	start(&neighbour, supervisor->listener, "worker");
	await_message(supervisor, READY);
	start(&worker, supervisor->listener, "worker --shutdown-listener");
	await_message(supervisor, READY);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
	assert_int_equal(connect_to(supervisor), -ECONNREFUSED);
	await_message(supervisor, STOPPING);
	await_message(supervisor, "STATUS=a listener was shut down");
	child_signal(&neighbour, SIGTERM);
	assert_int_equal(child_wait(&neighbour), 0);
}

static void
test_shutdown_after(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;

	start(&worker, supervisor->listener, "worker --shutdown-after 50");
	await_message(supervisor, READY);
	await_message(supervisor, "STATUS=a listener was shut down");
	assert_quiet(supervisor->notify); /* said once, not in a circle */
	assert_int_equal(connect_to(supervisor), -ECONNREFUSED);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
}

static void
test_shrink_backlog(void **state)
{
	const struct supervisor *supervisor = *state;
	struct tcp_info listener;
	socklen_t length = sizeof(listener);
	struct child worker;

	start(&worker, supervisor->listener, "worker --shrink-backlog");
	await_message(supervisor, READY);
	assert_int_equal(getsockopt(supervisor->listener, IPPROTO_TCP,
	    TCP_INFO, &listener, &length), 0);
	assert_int_equal(listener.tcpi_sacked, 5);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
}

static void
test_stop_self(void **state)
{
	const struct supervisor *supervisor = *state;
	siginfo_t stop = { 0 };
	struct child worker;

	start(&worker, supervisor->listener, "worker --stop-self");
	await_message(supervisor, READY);
	assert_int_equal(waitid(P_PID, (id_t)worker.pid, &stop, WSTOPPED), 0);
	assert_int_equal(stop.si_status, SIGSTOP);
	child_signal(&worker, SIGTERM);
	child_signal(&worker, SIGCONT);
	assert_int_equal(child_wait(&worker), 0);
}

/* The pid that an answer names. */
static pid_t
answering_pid(const struct supervisor *supervisor)
{
	char answer[512], *pid;
	int fd = connect_to(supervisor);

	ask(fd, answer, sizeof(answer));
	close(fd);
	pid = strstr(answer, "pid=");
	assert_non_null(pid);
	return (pid_t)atoi(pid + 4);
}

/* Ends one that is no child of the test, and waits for its end. */
static void
reap_orphan(pid_t pid)
{
	siginfo_t end = { 0 };

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &end, WEXITED), 0);
}

static void
test_double_fork(void **state)
{
	const struct supervisor *supervisor = *state;
	siginfo_t end = { 0 };
	struct child worker;
	pid_t pid;

	start(&worker, supervisor->listener, "worker --double-fork");
	assert_int_equal(child_wait(&worker), 0);
	await_message(supervisor, READY);
	pid = answering_pid(supervisor);
	assert_int_not_equal(pid, worker.pid);
	assert_int_not_equal(getpgid(pid), getpgrp());
	reap_orphan(pid);
	/* The process in between was reaped by the worker that forked it. */
	assert_int_equal(waitid(P_ALL, 0, &end, WEXITED), -1);
	assert_int_equal(errno, ECHILD);
}

/* The only child that we have. */
static pid_t
only_child(void)
{
	char path[64], pids[64];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size = read(fd, pids, sizeof(pids) - 1);
	assert_true(size > 0);
	pids[size] = '\0';
	close(fd);
	assert_ptr_equal(strchr(pids, ' '), pids + size - 1);
	return (pid_t)atoi(pids);
}

static void
test_leave_child(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;
	pid_t pid;

	start(&worker, supervisor->listener, "worker --leave-child");
	await_message(supervisor, READY);
	child_signal(&worker, SIGTERM);
	assert_int_equal(child_wait(&worker), 0);
	pid = only_child(); /* we are a subreaper */
	assert_int_equal(getpgid(pid), getpgrp());
	reap_orphan(pid);
}

/* Fds that were meant for another process are none of ours. */
static void
test_other_pid(void **state)
{
	const struct supervisor *supervisor = *state;
	int saved = fcntl(3, F_DUPFD_CLOEXEC, 10);
	struct child worker;

	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	if (supervisor->listener == 3)
		fcntl(3, F_SETFD, 0);
	else
		assert_int_equal(dup2(supervisor->listener, 3), 3);
	start(&worker, -1, "worker");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	if (saved >= 0) {
		dup3(saved, 3, O_CLOEXEC);
		close(saved);
	} else {
		close(3);
	}
	assert_int_equal(child_wait(&worker), 1);
	assert_quiet(supervisor->notify);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DEMO_TEST(test_ready_and_stop),
		DEMO_TEST(test_linger),
		DEMO_TEST(test_linger_of_a_late_worker),
		DEMO_TEST(test_watchdog),
		DEMO_TEST(test_slow_start),
		DEMO_TEST(test_never_ready),
		DEMO_TEST(test_deaf),
		DEMO_TEST(test_ends),
		DEMO_TEST(test_ignore_term),
		DEMO_TEST(test_shutdown_listener),
		DEMO_TEST(test_shutdown_after),
		DEMO_TEST(test_shrink_backlog),
		DEMO_TEST(test_stop_self),
		DEMO_TEST(test_double_fork),
		DEMO_TEST(test_leave_child),
		DEMO_TEST(test_other_pid),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
