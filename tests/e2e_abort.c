/*
 * Canaries that are bad, under load: each is found out without anybody's help,
 * has no weight a second after that, and harms only those whom it was given.
 */
#include "e2e.h"

#include <stdio.h>
#include <string.h>

enum {
	WORKERS = 4,
	RATE = 2000,
	PERMILLE = 100,                 /* of the users meet the bad release */
	LATENCY_MS = 1000,              /* from the verdict to weight 0 */
	LATE_SAMPLES_MS = 2500,         /* of a queue, until that is known */
};

static char target[32];
static struct load load;

static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nstrategy = canary\n"
	    "steps = 10%% 1h, 100%%\n%s", e2e_path("web"), target, WORKERS,
	    keys);
	supd_start_ready(WORKERS);
	/* As patient as users are, and more than wait for one that is deaf. */
	load_start_with(&load, target, "--rate 2000 --connections 4000 "
	    "--timeout 5000");
	load_await_version(&load, "v1");
}

/*
 * Times of events
 */

static const char *
text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	return text != NULL ? text : "";
}

static bool
is_bad_news(const json_t *event)
{
	const char *type = text_of(event, "type");

	return strcmp(type, "rollback") == 0 ||
	    strcmp(text_of(event, "level"), "error") == 0 ||
	    (strcmp(type, "exited") == 0 &&
	    json_integer_value(json_object_get(event, "revision")) == 2);
}

static bool
is_end_of_weight(const json_t *event)
{
	return strcmp(text_of(event, "type"), "weight") == 0 &&
	    strstr(text_of(event, "text"), "gets 0.0 % of new") != NULL;
}

/* From the first bad news to the end of its weight; of what supctl printed. */
static uint64_t
latency_ms(void)
{
	uint64_t verdict_ms = 0, end_ms = 0, time_ms;
	char *rest = program_out, *line;
	json_t *event;

	supctl("events", "web", "--json");
	assert_ended(0, "");
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		event = json_loads(line, 0, NULL);
		assert_non_null(event);
		time_ms = load_number(event, "time_ms");
		if (verdict_ms == 0 && is_bad_news(event))
			verdict_ms = time_ms;
		if (is_end_of_weight(event))
			end_ms = time_ms;
		json_decref(event);
	}
	assert_true(verdict_ms != 0);
	assert_true(end_ms >= verdict_ms);
	return end_ms - verdict_ms;
}

/*
 * A bad release
 */

static void
assert_rolled_back(const char *reason)
{
	json_t *last = rollout_await_verdict("web", 2, "rolled-back");

	if (strstr(text_of(last, "reason"), reason) == NULL)
		fail_msg("the reason is: %s", json_dumps(last, 0));
	json_decref(last);
	assert_int_equal(status_number("web", "revision"), 1);
	assert_true(latency_ms() <= LATENCY_MS);
}

/*
 * It is rolled out and rolled back, for this reason.  Returns the report of
 * the users, to be released: none of the failures was the old release's.
 */
static json_t *
roll_back(const char *keys, const char *options, const char *reason)
{
	json_t *report;

	begin(keys);
	e2e_install_counted("web", "v2", options);
	supctl("reload", "web");
	assert_ended(1, "web: rolled back to revision 1: ");
	assert_ended(1, reason);
	assert_rolled_back(reason);
	report = load_run(target, "--rate 1000 --requests 500");
	load_assert_clean(report);
	load_assert_share(report, "v1", 1000);
	json_decref(report);
	report = load_end(&load);
	assert_int_equal(load_version(report, "v1").failures, 0);
	print_message("%s: %u of %u requests failed, %u answered by the bad "
	    "release\n", reason, (unsigned)load_number(report, "failures"),
	    (unsigned)load_number(report, "requests"),
	    (unsigned)load_version(report, "v2").failures);
	return report;
}

static void
end_clean(json_t *report)
{
	assert_true(load_version(report, "v2").answers > 0);
	load_assert_clean(report);
	json_decref(report);
	supd_stop();
}

/* No more than came to it in that time. */
static void
end_within(json_t *report, unsigned ms)
{
	assert_true(load_version(report, "v2").answers > 0);
	assert_true(load_number(report, "failures") <=
	    (uint64_t)RATE * PERMILLE / 1000 * ms / 1000);
	json_decref(report);
	supd_stop();
}

static void
test_dies(void **state)
{
	(void)state;
	end_within(roll_back("", "--crash-after 500 --crash-by SEGV",
	    "was ended by signal 11 (SEGV)"), LATENCY_MS);
}

/* Those that it answered itself, and nobody else. */
static void
test_answers_errors(void **state)
{
	json_t *report = roll_back("probe = http /\nprobe_interval = 50ms\n",
	    "--error-percent 100 --after 500", "the probe of revision 2 "
	    "failed 3 times in a row: HTTP 503");

	(void)state;
	assert_true(load_version(report, "v2").failures > 0);
	assert_int_equal(load_number(report, "failures"),
	    load_version(report, "v2").failures);
	end_within(report, LATENCY_MS);
}

static void
test_gets_ill(void **state)
{
	(void)state;
	end_clean(roll_back("probe = http /healthz\nprobe_interval = 50ms\n",
	    "--unhealthy-after 500", "the probe of revision 2 failed 3 times "
	    "in a row: HTTP 503"));
}

static void
test_gets_slow(void **state)
{
	(void)state;
	end_clean(roll_back("probe = http /\nprobe_interval = 50ms\n"
	    "probe_timeout = 100ms\n", "--slow 400 --after 500",
	    "the probe of revision 2 failed 3 times in a row: "));
}

/*
 * What waits for it is handed over to the old release when it is told to stop,
 * however long it takes for that, so that nobody has waited for nothing; if the
 * kernel does that here.
 */
static void
test_gets_deaf(void **state)
{
	json_t *report = roll_back("drain_timeout = 4s\n",
	    "--deaf-after 500", "connections wait before the workers of "
	    "revision 2");
	json_t *status = rollout_status("web");
	const json_t *last = json_object_get(status, "last");

	(void)state;
	if (net_sysctl("ipv4/tcp_migrate_req") != 0) {
		assert_true(load_number(last, "connections_handed_over") > 0);
		assert_int_equal(load_number(last, "connections_lost"), 0);
		end_clean(report);
	} else {
		assert_true(load_number(last, "connections_lost") > 0);
		end_within(report, LATE_SAMPLES_MS + LATENCY_MS);
	}
	json_decref(status);
}

static void
test_grows(void **state)
{
	(void)state;
	end_clean(roll_back("", "--grow 400000 --after 500",
	    "a worker of revision 2 uses "));
}

static void
test_is_found_bad(void **state)
{
	(void)state;
	end_clean(roll_back("analysis = /bin/false\n"
	    "analysis_interval = 500ms\n", "",
	    "the analysis found revision 2 bad"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_dies),
		E2E_NET_TEST(test_answers_errors),
		E2E_NET_TEST(test_gets_ill),
		E2E_NET_TEST(test_gets_slow),
		E2E_NET_TEST(test_gets_deaf),
		E2E_NET_TEST(test_grows),
		E2E_NET_TEST(test_is_found_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
