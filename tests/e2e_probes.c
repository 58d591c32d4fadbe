/*
 * Probes and users come to one address, and never to each other's workers: a
 * build without weight is met by its own probes and by nobody else, and what a
 * lane's probes are, only its own workers see.  It is the workers who count.
 */
#include "e2e.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 4, RATE = 2000 };

static char target[32];
static struct load load;

/* A build v1 in charge, with these further keys, and users. */
static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    WORKERS, keys);
	supd_start_ready(WORKERS);
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
}

static void
reload(const char *version, const char *options)
{
	e2e_install_counted("web", version, options);
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
}

/* What supd knows of the probes of a lane; with the one that runs or without. */
static uint64_t
probes_of(const char *lane)
{
	json_t *status = rollout_status("web");
	const json_t *found = rollout_lane(status, lane);
	uint64_t count = load_number(found, "probes_passed") +
	    load_number(found, "probes_failed");

	json_decref(status);
	return count;
}

static void
assert_own_probes(const char *lane, const char *version)
{
	uint64_t before = probes_of(lane), after;
	struct worker_counts counts = worker_totals(version);

	after = probes_of(lane);
	assert_true(counts.accepted - counts.user_connections >= before);
	assert_true(counts.accepted - counts.user_connections <= after + 1);
}

static bool
has_probes(const json_t *status, const void *wanted)
{
	return load_number(rollout_lane(status, "candidate"),
	    "probes_passed") >= *(const unsigned *)wanted;
}

static void
check_probes(const char *probe)
{
	static const unsigned enough = 30;
	char keys[256];

	snprintf(keys, sizeof(keys), "strategy = blue-green\n"
	    "promotion = manual\nprobe_interval = 20ms\nprobe = %s\n", probe);
	begin(keys);
	reload("v2", "");
	rollout_await_phase("web", "paused");
	json_decref(rollout_await("web", has_probes, &enough, "probes"));
	assert_int_equal(worker_totals("v2").user_connections, 0);
	load_await_second(&load);
	assert_int_equal(worker_totals("v2").user_connections, 0);
	assert_own_probes("candidate", "v2");
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	load_end_clean(&load);
	assert_int_equal(worker_totals("v2").user_connections, 0);
	assert_true(worker_totals("v2").accepted >= enough);
	supd_stop();
}

static void
test_probe_by_http(void **state)
{
	(void)state;
	check_probes("http /healthz");
}

static void
test_probe_by_connection(void **state)
{
	(void)state;
	check_probes("tcp");
}

/* The stable lane is asked, too, and only for itself. */
static void
test_probes_at_a_weight(void **state)
{
	static const unsigned enough = 30;
	struct worker_counts v1, v2;
	json_t *report;

	(void)state;
	begin("strategy = canary\nsteps = 25% pause, 100%\n"
	    "probe = http /healthz\nprobe_interval = 20ms\n");
	reload("v2", "");
	rollout_await_phase("web", "paused");
	json_decref(rollout_await("web", has_probes, &enough, "probes"));
	report = load_end(&load);
	load_assert_clean(report);
	v1 = worker_totals("v1");
	v2 = worker_totals("v2");
	assert_int_equal(v1.user_connections, load_version(report,
	    "v1").connections);
	assert_int_equal(v2.user_connections, load_version(report,
	    "v2").connections);
	assert_own_probes("candidate", "v2");
	assert_own_probes("stable", "v1");
	json_decref(report);
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	supd_stop();
}

static void
test_rolling_with_a_probe(void **state)
{
	(void)state;
	begin("probe = http /healthz\nprobe_interval = 50ms\n");
	e2e_install_counted("web", "v2", "--unhealthy");
	supctl("reload", "web");
	assert_ended(1, "the probe of revision 2 failed 3 times in a row");
	assert_true(worker_totals("v2").probe_connections >= 3);
	assert_int_equal(worker_totals("v2").user_connections, 0);
	e2e_install_counted("web", "v3", "");
	supctl("reload", "web");
	assert_ended(0, "revision 3 is in charge");
	assert_string_equal(ask_version(target), "v3");
	load_end_clean(&load);
	supd_stop();
	assert_int_equal(worker_totals("v2").user_connections, 0);
}

/* What fails for long is told ever more rarely, and when it has ended. */
static void
test_fails_for_long(void **state)
{
	char keys[256];

	(void)state;
	snprintf(keys, sizeof(keys), "strategy = canary\nsteps = 10%% 1h, 100%%\n"
	    "probe = exec /usr/bin/test ! -e %s\nprobe_interval = 20ms\n"
	    "probe_failures = 6\n", e2e_path("ill"));
	begin(keys);
	reload("v2", "");
	rollout_await_weight("web", 100);
	supctl("status");
	assert_int_equal(program_code, 0);
	assert_null(strstr(program_out, "a newer build"));
	e2e_write("ill", 0600, "");
	rollout_await_phase("web", "paused");
	log_await("the probe of revision 1 failed (8 in a row): ");
	log_await("the probe of revision 2 failed (8 in a row): ");
	assert_int_equal(log_count("(4 in a row)"), 2);
	assert_int_equal(log_count("(5 in a row)"), 0);
	assert_int_equal(unlink(e2e_path("ill")), 0);
	log_await("the probe of revision 1 passes, after ");
	log_await("the probe of revision 2 passes, after ");
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	load_end_clean(&load);
	supd_stop();
}

static void
test_shared_queue(void **state)
{
	(void)state;
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = unix:%s\n"
	    "workers = %d\nready = notify\nstrategy = canary\n"
	    "steps = 25%% pause, 100%%\nprobe = http /healthz\n",
	    e2e_path("web"), e2e_path("web.sock"), WORKERS);
	supd_start_ready(WORKERS);
	reload("v2", "");
	rollout_await_phase("web", "paused");
	supctl("rollout", "status", "web");
	assert_ended(0, "probes cannot tell the releases apart: ");
	supctl("rollout", "promote", "web");
	assert_ended(0, "is in charge");
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_probe_by_http),
		E2E_NET_TEST(test_probe_by_connection),
		E2E_NET_TEST(test_probes_at_a_weight),
		E2E_NET_TEST(test_rolling_with_a_probe),
		E2E_NET_TEST(test_fails_for_long),
		E2E_TEST(test_shared_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
