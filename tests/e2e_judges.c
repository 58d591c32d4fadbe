/*
 * What judges a rollout and is bad itself: an analysis that hangs, floods, is
 * missing or forks, hooks that fail or hang, a probe whose answer never comes,
 * never ends or leads to itself.  Each is said in words, stops what it must and
 * nothing else, and supd answers all the while.
 */
#include "e2e.h"

#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, RATE = 1000, ANSWER_MS = 500, LOOK_MS = 50 };

static char target[32];

/* A build v1 in charge; `end` is behind the last of the keys. */
static void
begin_with(const char *options, const char *keys, const char *end)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", options);
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nstrategy = canary\nsteps = 50%% 200ms, 100%%\n"
	    "%s%s\n", e2e_path("web"), target, WORKERS, keys, end);
	supd_start_ready(WORKERS);
}

/* `script` is what the command of the last key does. */
static void
begin(const char *keys, const char *script)
{
	char text[1024];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
	e2e_write("judge", 0755, text);
	snprintf(text, sizeof(text), "ready = notify\n%s", keys);
	begin_with("", text, e2e_path("judge"));
	e2e_install_counted("web", "v2", "");
}

static void
assert_answers_quickly(void)
{
	uint64_t began_ms = e2e_now_ms();

	json_decref(service_status("web"));
	assert_true(e2e_now_ms() - began_ms < ANSWER_MS);
}

static json_t *
await_last(const char *verdict)
{
	return rollout_await_verdict("web", 2, verdict);
}

/* What was kept of a command, to be released. */
static json_t *
hook_of(const char *verdict, const char *name)
{
	json_t *last = await_last(verdict), *hook, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(last, "hooks"), i, hook) {
		if (strcmp(json_string_value(json_object_get(hook, "name")),
		    name) == 0)
			found = json_incref(hook);
	}
	json_decref(last);
	assert_non_null(found);
	return found;
}

/*
 * Analyses
 */

#define ANALYSIS "analysis_interval = 100ms\nanalysis_timeout = 400ms\n" \
	"analysis = "

static void
check_doubt(const char *script, const char *text)
{
	char said[256];

	begin(ANALYSIS, script);
	supctl("reload", "web", "--no-wait");
	rollout_await_weight("web", 500);
	assert_answers_quickly();
	rollout_await_phase("web", "paused");
	assert_answers_quickly();
	snprintf(said, sizeof(said), "rollout of revision 2 is paused: the "
	    "analysis was inconclusive: %s", text);
	log_await(said);
	supctl("rollout", "status", "web");
	assert_ended(0, "inconclusive");
	/* It is not wedged: an operator has the last word. */
	supctl("rollout", "promote", "web");
	assert_ended(0, "revision 2 is in charge");
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

static void
test_analysis_hangs(void **state)
{
	(void)state;
	check_doubt("echo thinking; exec sleep 1000",
	    "no end within its time limit, ");
}

static void
test_analysis_floods(void **state)
{
	(void)state;
	check_doubt("exec yes", "no end within its time limit, ");
}

/* All of them are gone with it. */
static void
test_analysis_forks(void **state)
{
	(void)state;
	check_doubt("for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; wait",
	    "no end within its time limit, ");
}

static void
test_analysis_does_not_know(void **state)
{
	(void)state;
	check_doubt("echo no data; exit 2", "no data");
}

static void
test_analysis_starts_nothing(void **state)
{
	(void)state;
	check_doubt("exec /no/such/program", "");
}

/* The path of the script follows, and makes no path that exists. */
static void
test_analysis_is_missing(void **state)
{
	(void)state;
	begin("analysis_interval = 100ms\nanalysis = /no/such", "");
	supctl("reload", "web", "--no-wait");
	rollout_await_phase("web", "paused");
	log_await("rollout of revision 2 is paused: the analysis was "
	    "inconclusive: ");
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

/* It says much, leaves a child that holds its output, and is content. */
static void
test_analysis_is_content(void **state)
{
	(void)state;
	begin(ANALYSIS, "head -c 1000000 /dev/zero | tr '\\0' x\n"
	    "sleep 1000 &\nexit 0");
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	supd_stop();
}

/*
 * Hooks
 */

static void
check_before(const char *script, const char *text)
{
	json_t *hook;

	begin("hook_timeout = 400ms\nbefore_rollout = ", script);
	supctl("reload", "web");
	assert_ended(1, "before_rollout failed: ");
	assert_ended(1, text);
	assert_ended(1, "; nothing was changed");
	hook = hook_of("aborted", "before_rollout");
	assert_true(json_boolean_value(json_object_get(hook, "failed")));
	json_decref(hook);
	assert_int_equal(log_count("revision=2 started"), 0);
	assert_int_equal(log_count("revision=1 "), 0);
	assert_int_equal(status_number("web", "revision"), 1);
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

static void
test_before_fails(void **state)
{
	(void)state;
	check_before("echo no database; exit 3", "no database");
}

static void
test_before_hangs(void **state)
{
	(void)state;
	check_before("sleep 1000 & sleep 1000", "no end within its time limit");
}

/* It knows what it is about, and sees the old release in charge. */
static void
test_before_passes(void **state)
{
	json_t *hook;

	(void)state;
	begin("before_rollout = ",
	    "echo $SUPD_SERVICE $SUPD_STABLE_REVISION $SUPD_REVISION");
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	hook = hook_of("complete", "before_rollout");
	assert_non_null(strstr(json_string_value(json_object_get(hook,
	    "output")), "web 1 2"));
	json_decref(hook);
	supd_stop();
}

static bool
has_hook(const json_t *status, const void *unused)
{
	(void)unused;
	return json_array_size(json_object_get(json_object_get(status,
	    "last"), "hooks")) > 0;
}

/* Its end comes after that of the rollout.  To be released. */
static json_t *
await_after(bool failed)
{
	json_t *hook;

	begin("after_rollout = ", failed ? "echo too late; exit 1" :
	    "echo $SUPD_SERVICE $SUPD_REVISION");
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	json_decref(rollout_await("web", has_hook, NULL, "after_rollout"));
	hook = hook_of("complete", "after_rollout");
	assert_int_equal(json_boolean_value(json_object_get(hook, "failed")),
	    failed);
	return hook;
}

static void
test_after_runs(void **state)
{
	json_t *hook;

	(void)state;
	hook = await_after(false);
	assert_non_null(strstr(json_string_value(json_object_get(hook,
	    "output")), "web 2"));
	json_decref(hook);
	supd_stop();
}

static void
test_after_fails(void **state)
{
	(void)state;
	json_decref(await_after(true));
	log_await("after_rollout failed: too late; the rollout stands");
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

/*
 * Probes
 */

#define PROBE "probe = http /healthz\nprobe_interval = 100ms\n" \
	"probe_timeout = 300ms\ndrain_timeout = 300ms\n"

/* Nobody but the probe meets it, and others are served all the while. */
static void
check_probe(const char *keys, const char *options, const char *text)
{
	struct program reload;
	struct load load;

	begin_with("", PROBE, keys);
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
	e2e_install_counted("web", "v2", options);
	supctl_begin(&reload, "reload", "web");
	for (unsigned i = 0; !e2e_input_within(reload.pidfd, LOOK_MS); i++) {
		assert_answers_quickly();
		assert_true(i < E2E_WAIT_MS / LOOK_MS);
	}
	program_end(&reload);
	assert_ended(1, "rolled back to revision 1: ");
	assert_ended(1, text);
	json_decref(await_last("rolled-back"));
	assert_int_equal(status_number("web", "revision"), 1);
	assert_true(worker_totals("v2").health_requests > 0);
	assert_int_equal(worker_totals("v2").user_connections, 0);
	load_end_clean(&load);
	supd_stop();
}

static void
test_probe_hangs(void **state)
{
	(void)state;
	check_probe("ready = notify", "--health-hangs", "the probe of "
	    "revision 2 failed 3 times in a row: no answer within 300 ms");
}

static void
test_probe_never_ends(void **state)
{
	(void)state;
	check_probe("ready = notify\nprobe_body = health=good", "--unhealthy "
	    "--unhealthy-status 200 --health-floods", "the probe of revision "
	    "2 failed 3 times in a row: the body does not contain "
	    "\"health=good\" in its first 64 KiB");
}

/* It is not followed: each probe is one request. */
static void
test_probe_leads_to_itself(void **state)
{
	(void)state;
	check_probe("ready = notify\nprobe_status = 200-299",
	    "--unhealthy --unhealthy-status 302", "the probe of revision 2 "
	    "failed 3 times in a row: HTTP 302, expected 200-299");
	assert_true(worker_totals("v2").health_requests < 10);
}

/* What the old release has as well is not the new one's fault. */
static void
test_probe_fails_for_both(void **state)
{
	(void)state;
	begin_with("", PROBE, "ready = notify\nprobe_body = database");
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web", "--no-wait");
	rollout_await_phase("web", "paused");
	log_await("rollout of revision 2 is paused: the probe fails for "
	    "revision 2 (the body does not contain \"database\") and for "
	    "revision 1 as well (");
	supctl("rollout", "status", "web");
	assert_ended(0, "an operator: what judges it is inconclusive");
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

/* Else nobody says it. */
static void
test_probe_makes_ready(void **state)
{
	(void)state;
	begin_with("--silent", PROBE, "ready = probe\nready_timeout = 10s");
	assert_true(worker_totals("v1").health_requests > 0);
	e2e_install_counted("web", "v2", "--silent");
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	assert_true(worker_totals("v2").health_requests > 0);
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

static void
test_probe_makes_ready_and_hangs(void **state)
{
	(void)state;
	check_probe("ready = probe\nready_timeout = 2s",
	    "--silent --health-hangs", "a new worker was not ready within "
	    "ready_timeout; its last probe: no answer within 300 ms");
	assert_int_equal(log_count("revision=2 ready"), 0);
}

/*
 * The label
 */

static void
test_version(void **state)
{
	json_t *last;

	(void)state;
	begin("version = exec ",
	    "echo two-point-0; echo 2026-11-25T10:00:00Z");
	supctl("reload", "web");
	assert_ended(0, "revision 2 (two-point-0) is in charge");
	last = await_last("complete");
	assert_string_equal(json_string_value(json_object_get(last,
	    "version")), "two-point-0");
	assert_int_equal(load_number(last, "commit_time_s"), 1795600800);
	json_decref(last);
	supctl("dora", "web", "--json");
	assert_ended(0, "\"lead_times\":1");
	supd_stop();
}

static void
test_version_fails(void **state)
{
	(void)state;
	begin("hook_timeout = 300ms\nversion = exec ", "sleep 1000");
	supctl("reload", "web");
	assert_ended(0, "revision 2 is in charge");
	log_await("the version command gives no label: ");
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_analysis_hangs),
		E2E_NET_TEST(test_analysis_floods),
		E2E_NET_TEST(test_analysis_forks),
		E2E_NET_TEST(test_analysis_does_not_know),
		E2E_NET_TEST(test_analysis_starts_nothing),
		E2E_NET_TEST(test_analysis_is_missing),
		E2E_NET_TEST(test_analysis_is_content),
		E2E_NET_TEST(test_before_fails),
		E2E_NET_TEST(test_before_hangs),
		E2E_NET_TEST(test_before_passes),
		E2E_NET_TEST(test_after_runs),
		E2E_NET_TEST(test_after_fails),
		E2E_NET_TEST(test_probe_hangs),
		E2E_NET_TEST(test_probe_never_ends),
		E2E_NET_TEST(test_probe_leads_to_itself),
		E2E_NET_TEST(test_probe_fails_for_both),
		E2E_NET_TEST(test_probe_makes_ready),
		E2E_NET_TEST(test_probe_makes_ready_and_hangs),
		E2E_NET_TEST(test_version),
		E2E_NET_TEST(test_version_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
