/*
 * Blue-green under load: all connections move at once, and back as quickly.
 *
 * Within keep_old the way back is one weight and nothing else: no worker
 * starts, and none of the old ones has left.  After it the old release is
 * rolled out again as it was pinned, whatever lies on the disk by then.
 */
#include "e2e.h"

#include <stdio.h>
#include <string.h>

enum {
	WORKERS = 3,
	RATE = 2000,
	ROUNDS = 4,
	KEEP_ALIVE_POOL = 64,
	MOVED_MS = 1000,                /* for an order to be carried out */
};

#define SAMPLE "--rate 2000 --requests 600"

static char target[32], preview[32];
static struct load load;

/* A build v1 in charge, with these further keys. */
static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nmin_ready = 50ms\n%s",
	    e2e_path("web"), target, WORKERS, keys);
	supd_start_ready(WORKERS);
}

static void
begin_under_load(const char *keys, unsigned pool)
{
	begin(keys);
	load_start(&load, target, RATE, pool);
	load_await_version(&load, "v1");
}

static void
end_clean(void)
{
	load_end_clean(&load);
	supd_stop();
}

/* Whoever comes now, is answered by this version. */
static void
assert_serves(const char *where, const char *version)
{
	json_t *report = load_run(where, SAMPLE);

	load_assert_clean(report);
	load_assert_share(report, version, 1000);
	json_decref(report);
}

/* To be released. */
static json_t *
await_end(unsigned revision, const char *verdict)
{
	json_t *last = rollout_await_verdict("web", revision, verdict);

	assert_int_equal(load_number(last, "connections_lost"), 0);
	assert_string_equal(json_string_value(json_object_get(last,
	    "strategy")), "blue-green");
	return last;
}

/*
 * There and back
 */

/* While the old release is kept: who is in charge, and what was seen so far. */
static void
assert_told(unsigned revision)
{
	json_t *service = service_status("web"), *release;
	const json_t *deployment = json_object_get(json_object_get(service,
	    "rollout"), "deployment");
	const json_t *seen = json_object_get(deployment, "observations");
	const json_t *last = json_array_get(seen, json_array_size(seen) - 1);
	size_t i;

	json_array_foreach(json_object_get(service, "releases"), i, release)
		assert_int_equal(json_is_true(json_object_get(release,
		    "in_charge")), load_number(release, "revision") ==
		    revision);
	assert_int_equal(load_number(last, "weight_permille"), 1000);
	assert_true(load_number(last, "duration_ms") > 0);
	assert_true(load_number(last, "connections") > 0);
	json_decref(service);
}

static void
flip(unsigned revision, const char *version)
{
	char text[64];

	log_mark();
	e2e_install_counted("web", version, "");
	supctl("reload", "web");
	snprintf(text, sizeof(text), "revision %u is in charge", revision);
	assert_ended(0, text);
	/* From nothing to everything. */
	assert_int_equal(log_count(" % of new connections"), 1);
	assert_int_equal(log_count(" gets 100.0 % of new connections"), 1);
	assert_serves(target, version);
	assert_told(revision);
}

static void
flip_back(unsigned revision)
{
	uint64_t began_ms = e2e_now_ms();

	log_mark();
	supctl("undo", "web", "--no-wait");
	assert_ended(0, "");
	rollout_await_phase("web", "rollback");
	assert_true(e2e_now_ms() - began_ms < MOVED_MS);
	assert_serves(target, "v1");
	json_decref(await_end(revision, "aborted"));
	assert_int_equal(log_count(" % of new connections"), 1);
	assert_int_equal(log_count(" gets 0.0 % of new connections"), 1);
	assert_int_equal(log_count(" started\n"), 0);
	assert_int_equal(log_count("revision=1 "), 0);
}

static void
flip_and_back(unsigned pool)
{
	unsigned rounds = e2e_rounds(ROUNDS), revision = 1;
	char version[16];

	begin_under_load("strategy = blue-green\nkeep_old = 1h\n", pool);
	for (unsigned i = 0; i < rounds; i++) {
		snprintf(version, sizeof(version), "v%u", ++revision);
		flip(revision, version);
		flip_back(revision);
	}
	snprintf(version, sizeof(version), "v%u", ++revision);
	flip(revision, version);
	supctl("rollout", "promote", "web");
	assert_ended(0, "is in charge");
	json_decref(await_end(revision, "complete"));
	assert_serves(target, version);
	end_clean();
}

static void
test_flips(void **state)
{
	(void)state;
	flip_and_back(0);
}

static void
test_flips_keep_alive(void **state)
{
	(void)state;
	flip_and_back(KEEP_ALIVE_POOL);
}

/*
 * Before
 */

static void
test_preview(void **state)
{
	char keys[128];

	(void)state;
	snprintf(preview, sizeof(preview), "127.0.0.1:%u", e2e_port());
	snprintf(keys, sizeof(keys), "strategy = blue-green\n"
	    "promotion = manual\npreview = %s\n", preview);
	begin_under_load(keys, 0);
	assert_serves(preview, "v1");
	e2e_install_counted("web", "v2", "");
	for (unsigned revision = 2; revision <= 3; revision++) {
		supctl("reload", "web", "--no-wait", "--force");
		assert_ended(0, "rolling out");
		rollout_await_phase("web", "paused");
		assert_serves(preview, "v2");
		assert_serves(target, "v1");
		supctl("rollout", revision == 2 ? "abort" : "promote", "web");
		assert_ended(0, "");
		json_decref(await_end(revision, revision == 2 ? "aborted" :
		    "complete"));
		assert_serves(preview, revision == 2 ? "v1" : "v2");
		assert_serves(target, revision == 2 ? "v1" : "v2");
	}
	end_clean();
}

/*
 * It fails when it is in charge
 */

/* To be released. */
static json_t *
end_failed(const char *reason)
{
	json_t *last = await_end(2, "rolled-back"), *report;

	if (strstr(json_string_value(json_object_get(last, "reason")),
	    reason) == NULL)
		fail_msg("the reason is: %s", json_dumps(last, 0));
	json_decref(last);
	assert_serves(target, "v1");
	report = load_end(&load);
	assert_true(load_version(report, "v2").connections > 0);
	assert_int_equal(load_version(report, "v1").failures, 0);
	supd_stop();
	return report;
}

static void
reload_failing(const char *keys, const char *options)
{
	begin_under_load(keys, 0);
	e2e_install_counted("web", "v2", options);
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	rollout_await_phase("web", "keep");
}

/* What it had in its hands is lost, and perhaps what waited for it. */
static void
test_dies_in_charge(void **state)
{
	json_t *report;

	(void)state;
	reload_failing("strategy = blue-green\nkeep_old = 1h\n",
	    "--crash-after 1500 --crash-by SEGV");
	report = end_failed("was ended by signal 11 (SEGV)");
	assert_true(load_number(report, "failures") < RATE / 10);
	json_decref(report);
}

static void
test_gets_ill_in_charge(void **state)
{
	json_t *report;

	(void)state;
	reload_failing("strategy = blue-green\nkeep_old = 1h\n"
	    "probe = http /healthz\nprobe_interval = 50ms\n",
	    "--unhealthy-after 1500");
	report = end_failed("the probe of revision 2 failed 3 times in a row");
	load_assert_clean(report);
	json_decref(report);
}

/*
 * Afterwards
 */

/* The release of revision 1 is in charge again, in one step. */
static void
assert_undone(const char *strategy)
{
	json_t *last = rollout_await_verdict("web", 1, "complete");

	assert_string_equal(json_string_value(json_object_get(last, "kind")),
	    "undo");
	assert_string_equal(json_string_value(json_object_get(last,
	    "strategy")), strategy);
	assert_int_equal(load_number(last, "connections_lost"), 0);
	json_decref(last);
	assert_int_equal(status_number("web", "revision"), 1);
	assert_int_equal(log_count(" % of new connections"), 1);
	assert_serves(target, "v1");
}

static void
test_undo_later(void **state)
{
	(void)state;
	begin_under_load("strategy = blue-green\nkeep_old = 200ms\n", 0);
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web");
	json_decref(await_end(2, "complete"));
	log_await_count("revision=1 exited with status 0", WORKERS);
	e2e_install_counted("web", "v3", "");
	log_mark();
	supctl("undo", "web");
	assert_ended(0, "revision 1 is in charge");
	assert_undone("blue-green");
	assert_int_equal(worker_totals("v3").accepted, 0);
	end_clean();
}

/* Two back, over a release that does not get in the way. */
static void
test_undo_to_a_revision(void **state)
{
	(void)state;
	begin_under_load("strategy = canary\nsteps = 5% 1h, 100%\n", 0);
	for (unsigned revision = 2; revision <= 3; revision++) {
		e2e_install_counted("web", revision == 2 ? "v2" : "v3", "");
		supctl("reload", "web", "--no-wait");
		rollout_await_weight("web", 50);
		supctl("rollout", "promote", "web");
		assert_ended(0, "is in charge");
	}
	supctl("undo", "web", "--to-revision", "7");
	assert_ended(1, "cannot go back to revision 7");
	log_mark();
	supctl("undo", "web", "--to-revision", "1");
	assert_ended(0, "revision 1 is in charge");
	assert_undone("canary");
	end_clean();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_flips),
		E2E_NET_TEST(test_flips_keep_alive),
		E2E_NET_TEST(test_preview),
		E2E_NET_TEST(test_dies_in_charge),
		E2E_NET_TEST(test_gets_ill_in_charge),
		E2E_NET_TEST(test_undo_later),
		E2E_NET_TEST(test_undo_to_a_revision),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
