/*
 * How long users still reach a candidate that has just turned out bad.
 *
 * A canary has half of the connections when its only worker is killed: from
 * the kill on supd has to see the exit, decide, and have the kernel steer.  The
 * end of it is seen on the control socket, so what is measured includes the way
 * of that message.  `make bench` runs it; its goal is the median.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 30, GOAL_US = 5000 };

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

/* Reads events until one says that the revision has this weight. */
static void
await_weight(int fd, unsigned revision, const char *weight)
{
	char wanted[80];
	bool seen = false;

	snprintf(wanted, sizeof(wanted), "revision %u gets %s %% of new",
	    revision, weight);
	while (!seen) {
		json_t *reply = control_receive(fd);
		const json_t *event = json_object_get(json_object_get(reply,
		    "parameters"), "event");

		seen = strstr(json_string_value(json_object_get(event,
		    "text")), wanted) != NULL;
		json_decref(reply);
	}
}

static uint64_t
measure(unsigned revision)
{
	char options[64];
	uint64_t begin_us;
	pid_t pid;
	int fd;

	snprintf(options, sizeof(options), "--version v%u", revision);
	e2e_install("web", options);
	supctl("reload", "--no-wait", "--force", "web");
	assert_ended(0, "rolling out");
	rollout_await_weight("web", 500);
	pid = worker_pid("web", revision);
	fd = control_open();
	json_decref(control_call(fd, "{\"method\":\"io.supd.Events\","
	    "\"more\":true,\"parameters\":{\"service\":\"web\"}}"));
	/* what was before is read before, and not measured */
	await_weight(fd, revision, "50.0");
	begin_us = now_us();
	assert_int_equal(kill(pid, SIGKILL), 0);
	await_weight(fd, revision, "0.0");
	begin_us = now_us() - begin_us;
	close(fd);
	json_decref(rollout_await_verdict("web", revision, "rolled-back"));
	return begin_us;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
from_a_crash_to_no_weight(void **state)
{
	uint64_t times_us[ROUNDS];

	(void)state;
	e2e_configure("[service web]\n"
	    "command = %s\n"
	    "listen = 127.0.0.1:%u\n"
	    "workers = 2\n"
	    "ready = notify\n"
	    "strategy = canary\n"
	    "steps = 50%% 1h, 100%%\n", e2e_path("web"), e2e_port());
	e2e_install("web", "--version v1");
	supd_start_ready(2);
	for (unsigned i = 0; i < ROUNDS; i++)
		times_us[i] = measure(i + 2);
	qsort(times_us, ROUNDS, sizeof(times_us[0]), compare);
	printf("# from a crash of the candidate to weight 0, of %d: median "
	    "%.2f ms, least %.2f, most %.2f; to reach: %d ms\n", ROUNDS,
	    (double)times_us[ROUNDS / 2] / 1000, (double)times_us[0] / 1000,
	    (double)times_us[ROUNDS - 1] / 1000, GOAL_US / 1000);
	assert_true(times_us[ROUNDS / 2] <= GOAL_US);
	supd_stop();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		E2E_NET_TEST(from_a_crash_to_no_weight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
