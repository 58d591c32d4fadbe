/*
 * Tests of the rig itself, where it judges canaries: what workers counted and
 * what users saw must be two sides of the same thing, and a network namespace
 * must really be another one.
 */
#include "e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 2, RATE = 500 };

static char target[32];

static void
configure_workers(unsigned workers, const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %u\nready = notify\n%s", e2e_path("web"), target,
	    workers, keys);
}

static void
configure(const char *keys)
{
	configure_workers(WORKERS, keys);
}

/* The workers of a version have seen just the users that it answered. */
static void
assert_counted(const json_t *report, const char *version)
{
	struct load_version seen = load_version(report, version);
	struct worker_counts counted = worker_totals(version);

	assert_true(seen.connections > 0);
	assert_true(seen.workers > 0);
	assert_int_equal(seen.failures, 0);
	assert_int_equal(counted.user_connections, seen.connections);
	assert_int_equal(counted.requests, seen.answers);
	assert_int_equal(counted.accepted, seen.connections);
	assert_int_equal(counted.probe_connections, 0);
}

static void
check_counts(const char *options)
{
	struct load load;
	json_t *report;

	configure("");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(WORKERS);
	load_start_with(&load, target, options);
	load_await_version(&load, "v1");
	e2e_install_counted("web", "v2", "--linger 100");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	load_await_version(&load, "v2");
	report = load_end(&load);
	load_assert_clean(report);
	assert_counted(report, "v1");
	assert_counted(report, "v2");
	assert_int_equal(load_version(report, "v3").connections, 0);
	assert_int_equal(worker_totals("v3").accepted, 0);
	assert_true(load_version(report, "v1").first_ms <=
	    load_version(report, "v2").first_ms);
	json_decref(report);
	supd_stop();
}

static void
test_counts(void **state)
{
	(void)state;
	check_counts("--rate 500");
}

static void
test_counts_keep_alive(void **state)
{
	(void)state;
	check_counts("--rate 500 --keep-alive 16");
}

static void
test_sources(void **state)
{
	json_t *report;

	(void)state;
	configure("");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(WORKERS);
	report = load_run(target, "--rate 500 --requests 100 "
	    "--source 127.1.0.1-127.1.0.20");
	load_assert_clean(report);
	assert_int_equal(load_number(report, "sources"), 20);
	assert_int_equal(load_version(report, "v1").sources, 20);
	assert_int_equal(load_changes(report, "v1", "v1"), 0);
	load_assert_share(report, "v1", 1000);
	load_assert_share(report, "v2", 0);
	json_decref(report);
	supd_stop();
}

static void
test_changes(void **state)
{
	json_t *report = json_loads("{\"changes\":["
	    "{\"from\":\"v1\",\"to\":\"v2\",\"count\":7},"
	    "{\"from\":\"v2\",\"to\":\"v1\",\"count\":3}]}", 0, NULL);

	(void)state;
	assert_int_equal(load_changes(report, "v1", "v2"), 7);
	assert_int_equal(load_changes(report, "v2", "v1"), 3);
	assert_int_equal(load_changes(report, "v1", "v3"), 0);
	json_decref(report);
}

/* A build that is good for a while; its failures are nobody else's. */
static void
test_late_faults(void **state)
{
	struct load_version good, bad;
	struct load load;
	json_t *report;

	(void)state;
	configure_workers(1, "");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(1);
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
	e2e_install_counted("web", "v2",
	    "--error-percent 100 --after-requests 10");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	load_await_second(&load);
	load_await_second(&load);
	report = load_end(&load);
	good = load_version(report, "v1");
	bad = load_version(report, "v2");
	assert_int_equal(good.failures, 0);
	assert_int_equal(bad.answers, 10);
	assert_true(bad.failures > 0);
	assert_int_equal(load_number(report, "wrong"), bad.failures);
	assert_int_equal(load_number(report, "failures"), bad.failures);
	assert_true(bad.last_ms > bad.first_ms);
	json_decref(report);
	supd_stop();
}

static void
test_rollout_to_its_end(void **state)
{
	json_t *last, *status;

	(void)state;
	configure("min_ready = 300ms\n");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(WORKERS);
	rollout_await_phase("web", "idle");
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web", "--no-wait");
	rollout_await_step("web", 2);
	status = rollout_status("web");
	assert_int_equal(rollout_number(status, "step"), 2);
	assert_int_equal(rollout_number(status, "step_count"), WORKERS);
	assert_string_equal(rollout_text(status, "phase"), "climb");
	assert_string_equal(rollout_text(status, "no_such_key"), "");
	assert_null(rollout_lane(status, "no such lane"));
	json_decref(status);
	last = rollout_await_verdict("web", 2, "complete");
	assert_string_equal(json_string_value(json_object_get(last, "kind")),
	    "reload");
	json_decref(last);
	log_await_count(" exited with status 0", WORKERS);
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

static void
test_rollout_that_fails(void **state)
{
	(void)state;
	configure("on_failure = pause\n");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(WORKERS);
	e2e_install_counted("web", "v2", "--exit-at-start 1");
	supctl("reload", "web", "--no-wait");
	rollout_await_phase("web", "paused");
	supctl("undo", "web");
	json_decref(rollout_await_verdict("web", 2, "rolled-back"));
	supd_stop();
}

static void
test_shares(void **state)
{
	(void)state;
	assert_true(load_is_share(0, 1000, 0));
	assert_false(load_is_share(1, 1000, 0));
	assert_true(load_is_share(1000, 1000, 1000));
	assert_false(load_is_share(999, 1000, 1000));
	/* 50 and five times 6.9 */
	assert_false(load_is_share(15, 1000, 50));
	assert_true(load_is_share(16, 1000, 50));
	assert_true(load_is_share(84, 1000, 50));
	assert_false(load_is_share(85, 1000, 50));
	assert_true(load_is_share(500000, 1000000, 500));
	assert_false(load_is_share(502501, 1000000, 500));
}

/* Served inside, by workers there, and out of reach from outside. */
static void
test_network(void **state)
{
	json_t *report;

	(void)state;
	if (!net_enter(true))
		skip();
	assert_int_equal(net_sysctl("ipv4/tcp_migrate_req"), 1);
	configure("");
	e2e_install_counted("web", "v1", "");
	supd_start_ready(WORKERS);
	report = load_run(target, "--rate 500 --requests 100");
	load_assert_clean(report);
	assert_int_equal(load_version(report, "v1").connections, 100);
	json_decref(report);
	assert_string_equal(ask_version(target), "v1");
	net_leave();
	if (geteuid() == 0)
		assert_string_equal(ask_version(target), "");
	supd_stop();
	assert_true(net_enter(false));
	assert_int_equal(net_sysctl("ipv4/tcp_migrate_req"), 0);
}

static void
read_network(char ret_name[64])
{
	ssize_t length = readlink("/proc/self/ns/net", ret_name, 63);

	assert_true(length > 0);
	ret_name[length] = '\0';
}

static void
test_own_network(void **state)
{
	char inside[64], outside[64];

	(void)state;
	if (!net_is_own() || geteuid() != 0)
		skip();
	assert_int_equal(net_sysctl("ipv4/tcp_migrate_req"), 0);
	read_network(inside);
	net_leave();
	assert_false(net_is_own());
	read_network(outside);
	assert_string_not_equal(inside, outside);
}

/* Whether one who sees what supd sees can change this: 0 or -errno. */
static int
open_sysctl_of_supd(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root/proc/sys/net/ipv4/"
	    "tcp_migrate_req", (int)supd_pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void
test_fixed_sysctls(void **state)
{
	(void)state;
	if (geteuid() != 0 || !net_enter(false))
		skip();
	configure("");
	e2e_install_counted("web", "v1", "");
	if (!supd_start_ready_how(SUPD_FIXED_SYSCTLS, WORKERS))
		skip();
	assert_string_equal(ask_version(target), "v1");
	assert_int_equal(open_sysctl_of_supd(), -EROFS);
	supd_stop();
	supd_start_ready(WORKERS);
	assert_int_equal(open_sysctl_of_supd(), 0);
	supd_stop();
}

static void
test_nobody_in_a_network(void **state)
{
	(void)state;
	if (geteuid() != 0 || !net_enter(false))
		skip();
	configure("");
	e2e_install_counted("web", "v1", "");
	assert_true(supd_start_ready_how(SUPD_AS_NOBODY, WORKERS));
	assert_string_equal(ask_version(target), "v1");
	assert_int_equal(process_number(supd_pid, "Uid"), E2E_NOBODY);
	assert_int_equal(worker_totals("v1").user_connections, 1);
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_counts),
		E2E_TEST(test_counts_keep_alive),
		E2E_TEST(test_sources),
		E2E_TEST(test_late_faults),
		E2E_TEST(test_rollout_to_its_end),
		E2E_TEST(test_rollout_that_fails),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_shares),
		E2E_TEST(test_network),
		E2E_NET_TEST(test_own_network),
		E2E_TEST(test_fixed_sysctls),
		E2E_TEST(test_nobody_in_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
