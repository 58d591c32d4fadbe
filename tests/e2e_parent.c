/*
 * What systemd or supd-init is told of a supd that starts, reloads and stops.
 * The parent here is the test.
 */
#include "e2e.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORKERS = 2, MESSAGE_BYTES = 2048 };

static int parent = -1;
static char message[MESSAGE_BYTES], target[64];

static void
become_parent(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
	    e2e_path("parent"));
	parent = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(parent >= 0);
	assert_int_equal(bind(parent, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

static int
tear_down(void **state)
{
	if (parent >= 0)
		close(parent);
	parent = -1;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	return e2e_tear_down(state);
}

/* But for what it shall keep, of which there may be more without end. */
static void
receive_until(uint64_t deadline_ms)
{
	ssize_t count;

	do {
		if (e2e_now_ms() > deadline_ms)
			fail_msg("what is awaited does not come; the last: %s",
			    message);
		e2e_await_input(parent);
		count = recv(parent, message, sizeof(message) - 1,
		    MSG_DONTWAIT);
		assert_true(count > 0);
		message[count] = '\0';
	} while (strncmp(message, "FDSTORE", 7) == 0);
}

static void
receive(void)
{
	receive_until(e2e_now_ms() + E2E_WAIT_MS);
}

/* Skips what begins otherwise. */
static void
await(const char *begin)
{
	uint64_t deadline_ms = e2e_now_ms() + E2E_WAIT_MS;

	do {
		receive_until(deadline_ms);
	} while (strncmp(message, begin, strlen(begin)) != 0);
}

/* The number behind a name in the message. */
static unsigned long long
number(const char *name)
{
	const char *at = strstr(message, name);

	if (at == NULL)
		fail_msg("no %s in %s", name, message);
	return strtoull(at + strlen(name), NULL, 10);
}

static void
configure(const char *options, const char *keys)
{
	e2e_install("web", options);
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    WORKERS, keys);
}

/* In the order of its life: nothing may come too early. */
static void
test_start_reload_stop(void **state)
{
	uint64_t before_ms;

	(void)state;
	become_parent();
	configure("--version v1 --slow-start 200",
	    "ready_timeout = 20s\ndrain_timeout = 15s\nmin_ready = 1200ms\n");
	assert_true(supd_start(SUPD_PLAIN));
	receive();
	assert_in_range(number("EXTEND_TIMEOUT_USEC="), 20000000, 30000000);
	do {
		receive();
		if (strncmp(message, "STATUS=", 7) == 0)
			assert_non_null(strstr(message, " of 2 workers ready"));
	} while (strncmp(message, "STATUS=", 7) == 0);
	assert_string_equal(message,
	    "READY=1\nSTATUS=1 service, 2 of 2 workers ready");

	e2e_install("web", "--version v2");
	before_ms = e2e_now_ms();
	supd_signal(SIGHUP);
	await("RELOADING=1\n");
	assert_in_range(number("MONOTONIC_USEC="), before_ms * 1000,
	    e2e_now_ms() * 1000 + 1000);
	receive();
	assert_int_equal(strncmp(message, "READY=1\n", 8), 0);
	await("STATUS=");
	assert_non_null(strstr(message, "; web: rollout of revision 2, climb"));
	await("STATUS=1 service, 2 of 2 workers ready");

	supd_signal(SIGTERM);
	await("STOPPING=1");
	await("EXTEND_TIMEOUT_USEC=");
	assert_in_range(number("EXTEND_TIMEOUT_USEC="), 15000000, 25000000);
	assert_int_equal(supd_wait(), 0);
}

/* A service that does not get ready costs its own time and no more. */
static void
test_start_is_bounded(void **state)
{
	uint64_t began_ms = e2e_now_ms();

	(void)state;
	become_parent();
	setenv("WATCHDOG_USEC", "200000", 1);
	configure("--never-ready", "ready_timeout = 1s\ndrain_timeout = 1s\n");
	assert_true(supd_start(SUPD_PLAIN));
	await("WATCHDOG=1");
	await("WATCHDOG=1");
	await("READY=1\n");
	assert_in_range(e2e_now_ms() - began_ms, 1000, 10000);
	log_await("service=web: 0 of 2 workers ready after ready_timeout; supd "
	    "has started all the same");
	supd_stop();
}

/* Nothing happens for hours that would wake supd up. */
static void
test_start_of_nothing_is_bounded(void **state)
{
	uint64_t began_ms = e2e_now_ms();

	(void)state;
	become_parent();
	configure("--exit-at-start 1", "ready_timeout = 3s\n"
	    "backoff_min = 1h\nbackoff_max = 1h\n");
	assert_true(supd_start(SUPD_PLAIN));
	await("READY=1\n");
	assert_in_range(e2e_now_ms() - began_ms, 3000, 10000);
	supd_stop();
}

/* The parent has started it once, and does not wait for it a second time. */
static void
test_upgrade_is_no_start(void **state)
{
	(void)state;
	become_parent();
	setenv("WATCHDOG_USEC", "7200000000", 1);
	configure("--never-ready", "ready_timeout = 1h\ndrain_timeout = 1s\n");
	assert_true(supd_start(SUPD_PLAIN));
	log_await_count(" started\n", WORKERS);
	supd_signal(SIGUSR2);
	log_await("on trial for 2 s");
	await("WATCHDOG=1");    /* not in an hour only */
	await("READY=1\n");
	supd_signal(SIGHUP);
	await("RELOADING=1\n");
	await("READY=1\n");
	supd_stop();
}

/* A parent that would start another one has it all; workers serve on. */
static void
test_leave(void **state)
{
	pid_t worker;

	(void)state;
	become_parent();
	configure("--version v1", "");
	supd_start_ready(WORKERS);
	worker = worker_pid("web", 1);
	supd_signal(SIGUSR1);
	log_await("supd ends, and leaves its workers to the next one");
	assert_int_equal(supd_wait(), 75);
	assert_string_equal(ask_version(target), "v1");
	assert_int_equal(kill(worker, 0), 0);
}

static void
test_nobody_to_leave_to(void **state)
{
	(void)state;
	configure("--version v1", "");
	supd_start_ready(WORKERS);
	supd_signal(SIGUSR1);
	log_await("supd has no parent that keeps file descriptors");
	supd_stop();
}

#define PARENT_TEST(test) \
	cmocka_unit_test_setup_teardown(test, e2e_set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		PARENT_TEST(test_start_reload_stop),
		PARENT_TEST(test_start_is_bounded),
		PARENT_TEST(test_start_of_nothing_is_bounded),
		PARENT_TEST(test_upgrade_is_no_start),
		PARENT_TEST(test_leave),
		PARENT_TEST(test_nobody_to_leave_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
