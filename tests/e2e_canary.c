/*
 * Canaries under load, with real connections.
 *
 * The weights are shares of connections that can be counted from both ends, by
 * those who ask and by the workers that answer; supd's own estimate must agree
 * with them.  No request may fail, whatever an operator does in between, and
 * nobody meets a build before it is his turn.
 */
#include "e2e.h"

#include <stdio.h>
#include <string.h>

enum {
	WORKERS = 4,
	RATE = 2000,                    /* connections a second */
	CLIENTS = 200,                  /* addresses */
	HOUR_MS = 3600000,
};

/* As many as show a share; and an address is asked from ten times. */
#define SAMPLE "--rate 2500 --requests 5000"
#define FROM_CLIENTS "--source 127.1.0.1-127.1.0.200"

static char target[E2E_PATH_BYTES + 8];
static struct load load;

/* A build v1 in charge, with these further keys. */
static void
begin_at(const char *listen, const char *keys)
{
	snprintf(target, sizeof(target), "%s", listen);
	e2e_install_counted("web", "v1", "");
	e2e_configure_web(target, WORKERS, keys);
	supd_start_ready(WORKERS);
}

static void
begin(const char *keys)
{
	char listen[32];

	snprintf(listen, sizeof(listen), "127.0.0.1:%u", e2e_port());
	begin_at(listen, keys);
}

static void
reload(const char *version, const char *options)
{
	e2e_install_counted("web", version, options);
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
}

static void
order(const char *verb)
{
	supctl("rollout", verb, "web");
	assert_ended(0, "");
}

/* Of users who come now, this share meets v2; supd does not say so, they do. */
static struct load_version
measure(unsigned permille)
{
	json_t *report = load_run(target, SAMPLE);
	struct load_version candidate = load_version(report, "v2");

	load_assert_clean(report);
	load_assert_share(report, "v2", permille);
	json_decref(report);
	return candidate;
}

/* The rollout is over, and nothing was lost; its record, to be released. */
static json_t *
await_complete(unsigned revision)
{
	json_t *last = rollout_await_verdict("web", revision, "complete");

	assert_int_equal(load_number(last, "connections_lost"), 0);
	assert_true(json_is_integer(json_object_get(last,
	    "connections_handed_over")));
	assert_string_equal(json_string_value(json_object_get(last,
	    "strategy")), "canary");
	return last;
}

/* What was observed while this weight was in effect. */
static const json_t *
observation_at(const json_t *deployment, unsigned permille)
{
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(deployment, "observations"), i, o) {
		if (load_number(o, "weight_permille") == permille)
			return o;
	}
	fail_msg("nothing was observed at %u permille: %s", permille,
	    json_dumps(deployment, 0));
	return NULL;
}

/*
 * Weights
 */

static void
check_weights(const char *listen)
{
	static const unsigned weights[] = { 5, 50, 250, 500 };
	struct load_version seen[4];
	const json_t *o;
	json_t *last;
	uint64_t met;

	begin_at(listen, "strategy = canary\n"
	    "steps = 0.5% pause, 5% pause, 25% pause, 50% pause, 100%\n");
	reload("v2", "");
	for (unsigned i = 0; i < 4; i++) {
		rollout_await_weight("web", weights[i]);
		rollout_await_phase("web", "paused");
		seen[i] = measure(weights[i]);
		/* As many workers as have the same share. */
		assert_true(seen[i].workers <= 1 + weights[i] / 500);
		order("resume");
	}
	last = await_complete(2);
	measure(1000);
	for (unsigned i = 0; net_is_own() && i < 4; i++) {
		o = observation_at(last, weights[i]);
		assert_int_equal(load_number(o, "connections"), 5000);
		met = load_number(o, "candidate_connections");
		assert_int_equal(met, 5000 * weights[i] / 1000);
		assert_true(load_is_share(seen[i].connections, 5000,
		    (unsigned)(met / 5)));
	}
	json_decref(last);
	supd_stop();
}

static void
test_weights_ipv4(void **state)
{
	char listen[32];

	(void)state;
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", e2e_port());
	check_weights(listen);
}

static void
test_weights_ipv6(void **state)
{
	char listen[32];

	(void)state;
	snprintf(listen, sizeof(listen), "[::1]:%u", e2e_port());
	check_weights(listen);
}

/*
 * Operators, under load
 */

static void
begin_under_load(const char *keys)
{
	begin(keys);
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
}

/* All that came was answered. */
static void
end_clean(void)
{
	load_end_clean(&load);
	supd_stop();
}

#define FOREVER "strategy = canary\nsteps = 5% 1h, 50% 1h, 100% 1h\n"

/* It comes in charge at once, whatever holds are left. */
static void
check_promote(const char *keys, unsigned permille, const char *options)
{
	begin_under_load(keys);
	reload("v2", options);
	log_await("revision=2 started");
	if (permille != 0)
		rollout_await_weight("web", permille);
	supctl("rollout", "promote", "web");
	assert_ended(0, "revision 2 is in charge");
	json_decref(await_complete(2));
	assert_string_equal(ask_version(target), "v2");
	end_clean();
}

static void
test_promote_before_it_is_ready(void **state)
{
	(void)state;
	check_promote("strategy = canary\nsteps = 5% 1h, 50% 1h, 100%\n", 0,
	    "--slow-start 300");
}

static void
test_promote_in_a_hold(void **state)
{
	(void)state;
	check_promote("strategy = canary\nsteps = 5% 1h, 50% 1h, 100%\n", 50,
	    "");
}

static void
test_promote_in_a_pause(void **state)
{
	(void)state;
	check_promote("strategy = canary\nsteps = 5% pause, 100%\n", 50, "");
}

static void
check_abort(unsigned permille, const char *options)
{
	struct worker_counts before;
	json_t *last;

	begin_under_load(FOREVER);
	reload("v2", options);
	log_await("revision=2 started");
	if (permille >= 50)
		rollout_await_weight("web", 50);
	if (permille >= 500) {
		order("promote");
		rollout_await_weight("web", 1000);
	}
	supctl("rollout", "abort", "web", "--no-wait");
	assert_ended(0, "");
	if (permille != 0)
		rollout_await_phase("web", "rollback");
	before = worker_totals("v2");
	measure(0);
	last = rollout_await_verdict("web", 2, "aborted");
	assert_int_equal(load_number(last, "connections_lost"), 0);
	json_decref(last);
	/* A few had been put into its queue before. */
	assert_true(worker_totals("v2").accepted - before.accepted < 100);
	if (permille == 0)
		assert_int_equal(worker_totals("v2").accepted, 0);
	end_clean();
}

static void
test_abort_before_it_is_ready(void **state)
{
	(void)state;
	check_abort(0, "--slow-start 20000");
}

static void
test_abort_in_a_hold(void **state)
{
	(void)state;
	check_abort(50, "");
}

static void
test_abort_in_charge(void **state)
{
	(void)state;
	check_abort(1000, "");
}

/* Its clock stands still, and so does its weight. */
static void
test_pause(void **state)
{
	uint64_t began_ms, paused_ms;
	json_t *status;

	(void)state;
	begin_under_load("strategy = canary\nsteps = 5% 1h, 100%\n");
	began_ms = e2e_now_ms();
	reload("v2", "--slow-start 300");
	log_await("revision=2 started");
	order("pause");
	log_await("revision=2 ready");
	order("resume");
	rollout_await_weight("web", 50);
	order("pause");
	paused_ms = e2e_now_ms();
	measure(50);
	status = rollout_status("web");
	assert_string_equal(rollout_text(status, "phase"), "paused");
	assert_int_equal(rollout_number(status, "step"), 1);
	json_decref(status);
	paused_ms = e2e_now_ms() - paused_ms;
	order("resume");
	status = rollout_status("web");
	assert_string_equal(rollout_text(status, "phase"), "climb");
	assert_true(HOUR_MS - rollout_number(status, "hold_left_ms") <=
	    e2e_now_ms() - began_ms - paused_ms);
	json_decref(status);
	order("promote");
	json_decref(await_complete(2));
	end_clean();
}

/*
 * Who is asked
 */

/* Each address goes over once and never back. */
static void
test_clients_move_once(void **state)
{
	static const unsigned weights[] = { 50, 250, 500 };
	uint64_t before = 0;
	json_t *report;

	(void)state;
	begin("strategy = canary\nsteer = source-ip\n"
	    "steps = 5% pause, 25% pause, 50% pause, 100%\n");
	load_start_with(&load, target, "--rate 1000 " FROM_CLIENTS);
	load_await_version(&load, "v1");
	reload("v2", "");
	for (unsigned i = 0; i < 3; i++) {
		rollout_await_weight("web", weights[i]);
		report = load_run(target, "--rate 1000 --requests 400 "
		    FROM_CLIENTS);
		load_assert_clean(report);
		assert_int_equal(load_version(report, "v1").sources +
		    load_version(report, "v2").sources, CLIENTS);
		assert_true(load_is_share(load_version(report, "v2").sources,
		    CLIENTS, weights[i]));
		assert_true(load_version(report, "v2").sources >= before);
		before = load_version(report, "v2").sources;
		json_decref(report);
		rollout_await_phase("web", "paused");
		order("resume");
	}
	json_decref(await_complete(2));
	report = load_end(&load);
	load_assert_clean(report);
	assert_true(before > 0);
	assert_int_equal(load_changes(report, "v1", "v2"), CLIENTS);
	assert_int_equal(load_changes(report, "v2", "v1"), 0);
	json_decref(report);
	supd_stop();
}

/* Without lanes a weight is a share of the workers. */
static void
test_unix_socket(void **state)
{
	char listen[E2E_PATH_BYTES + 8];
	json_t *report, *status;

	(void)state;
	snprintf(listen, sizeof(listen), "unix:%s", e2e_path("web.sock"));
	begin_at(listen, "strategy = canary\n"
	    "steps = 25% pause, 50% pause, 100%\n");
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
	reload("v2", "");
	for (unsigned workers = 1; workers <= 2; workers++) {
		rollout_await_step("web", workers);
		rollout_await_phase("web", "paused");
		log_await_count("revision=1 told to stop", workers);
		status = rollout_status("web");
		assert_false(json_boolean_value(json_object_get(
		    json_object_get(status, "rollout"), "steered")));
		assert_int_equal(load_number(rollout_lane(status, "candidate"),
		    "weight_permille"), 250 * workers);
		json_decref(status);
		report = load_run(target, "--rate 2000 --requests 2000");
		load_assert_clean(report);
		assert_int_equal(load_version(report, "v2").workers, workers);
		json_decref(report);
		order("resume");
	}
	json_decref(rollout_await_verdict("web", 2, "complete"));
	end_clean();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_weights_ipv4),
		E2E_NET_TEST(test_weights_ipv6),
		E2E_NET_TEST(test_promote_before_it_is_ready),
		E2E_NET_TEST(test_promote_in_a_hold),
		E2E_NET_TEST(test_promote_in_a_pause),
		E2E_NET_TEST(test_abort_before_it_is_ready),
		E2E_NET_TEST(test_abort_in_a_hold),
		E2E_NET_TEST(test_abort_in_charge),
		E2E_NET_TEST(test_pause),
		E2E_NET_TEST(test_clients_move_once),
		E2E_TEST(test_unix_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
