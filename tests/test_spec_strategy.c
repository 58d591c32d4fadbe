/*
 * What a spec means for a rollout: the planner's view of canary and blue-green,
 * and which strategies its listeners allow with how many workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "config_fixture.h"

static struct config *
read_service(const char *listen, const char *lines)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "[service a]\ncommand = x\n"
	    "listen = %s\n%s\n", listen, lines);
	return config_good(text);
}

static void
test_weight(void **state)
{
	(void)state;
	assert_string_equal(spec_weight(0).text, "0%");
	assert_string_equal(spec_weight(1).text, "0.1%");
	assert_string_equal(spec_weight(50).text, "5%");
	assert_string_equal(spec_weight(999).text, "99.9%");
	assert_string_equal(spec_weight(1000).text, "100%");
}

static void
test_policy(void **state)
{
	struct config *config = read_service("[::]:1", "strategy = canary\n"
	    "steps = 0.5% 1s, 50% pause, 100% 2s\nprobe = tcp\n"
	    "analysis = judge\npromotion = manual\nkeep_old = 3s");
	struct policy policy = spec_policy(config->services[0], 4);

	(void)state;
	assert_int_equal(policy.strategy, STRATEGY_CANARY);
	assert_true(policy.lanes);
	assert_true(policy.probe);
	assert_true(policy.analysis);
	assert_int_equal(policy.promotion, PROMOTION_MANUAL);
	assert_int_equal(policy.keep_old_ms, 3000);
	assert_int_equal(policy.canary_workers, 0);
	assert_int_equal(policy.surge, 1);
	assert_int_equal(policy.step_count, 3);
	assert_int_equal(policy.steps[0].weight_permille, 5);
	assert_int_equal(policy.steps[0].hold_ms, 1000);
	assert_false(policy.steps[0].pause);
	assert_true(policy.steps[1].pause);
	assert_int_equal(policy.steps[2].weight_permille, 1000);
	assert_int_equal(policy.steps[2].hold_ms, 2000);
	config_free(config);

	config = read_service("unix:/a", "");
	policy = spec_policy(config->services[0], 4);
	assert_false(policy.lanes);
	assert_false(policy.probe);
	assert_false(policy.analysis);
	assert_int_equal(policy.promotion, PROMOTION_AUTO);
	assert_int_equal(policy.step_count, 4);
	config_free(config);
}

static void
test_canary_workers(void **state)
{
	static const struct {
		const char *value;
		uint32_t workers, expected;
	} rows[] = {
		{ "1", 4, 1 },
		{ "4", 4, 4 },
		{ "5", 4, 4 },          /* not more than there are */
		{ "4096", 4096, 4096 },
		{ "25%", 8, 2 },
		{ "25%", 9, 3 },        /* rounded up */
		{ "1%", 1, 1 },         /* never none */
		{ "1%", 4096, 41 },
		{ "100%", 4096, 4096 },
		{ "100%", 0, 0 },
		{ "3", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char lines[64];
		struct config *config;

		(void)snprintf(lines, sizeof(lines), "canary_workers = %s",
		    rows[i].value);
		config = read_service("[::]:1", lines);
		assert_int_equal(spec_policy(config->services[0],
		    rows[i].workers).canary_workers, rows[i].expected);
		config_free(config);
	}
}

/* Where a weight is a share of the workers. */
static void
test_whole_workers(void **state)
{
	static const struct {
		const char *steps;
		uint32_t workers;
		const char *refusal;    /* NULL: possible */
	} rows[] = {
		{ "5% 1s, 25% 1s, 50% 1s, 100%", 20, NULL },
		{ "5% 1s, 25% 1s, 50% 1s, 100%", 40, NULL },
		{ "25% 1s, 100%", 4, NULL },
		{ "0.1% 1s, 100%", 1000, NULL },
		{ "100%", 3, NULL },
		{ "5% 1s, 100%", 0, NULL },     /* it is stopped */
		{ "25% 1s, 100%", 4096, NULL },
		{ "25% 1s, 50% 1s, 100%", 2, "with 2 workers: listener a is a"
		    " unix socket, so a weight is a share of the workers, and"
		    " step 1, 25%, is no whole number of them; take a multiple"
		    " of 4 workers, or weights that are multiples of 50%" },
		{ "50% 1s, 60% 1s, 100%", 6, "with 6 workers: listener a is a"
		    " unix socket, so a weight is a share of the workers, and"
		    " step 2, 60%, is no whole number of them; take a multiple"
		    " of 10 workers, or weights that are multiples of 50%" },
		{ "12.5% 1s, 100%", 16, NULL },
		{ "12.5% 1s, 100%", 1, "with 1 worker: listener a is a unix"
		    " socket, so a weight is a share of the workers, and step"
		    " 1, 12.5%, is no whole number of them; take a multiple of"
		    " 8 workers, or weights that are multiples of 100%" },
		{ "99.9% 1s, 100%", 999, "with 999 workers: listener a is a"
		    " unix socket, so a weight is a share of the workers, and"
		    " step 1, 99.9%, is no whole number of them; take a"
		    " multiple of 1000 workers, or weights that are multiples"
		    " of 100%" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char lines[128], text[REASON_BYTES_MAX], expected[512];
		struct config *config;
		bool possible;

		(void)snprintf(lines, sizeof(lines), "steps = %s",
		    rows[i].steps);
		config = read_service("unix:/a", lines);
		possible = spec_strategy_possible(config->services[0],
		    STRATEGY_CANARY, rows[i].workers, text);
		assert_int_equal(possible, rows[i].refusal == NULL);
		(void)snprintf(expected, sizeof(expected),
		    "canary is not possible %s", possible ? "" :
		    rows[i].refusal);
		if (!possible)
			assert_string_equal(text, expected);
		config_free(config);
	}
}

static void
test_possible(void **state)
{
	struct config *lanes = read_service("[::]:1", "");
	struct config *none = read_service("unix:/a", "");
	char text[REASON_BYTES_MAX];

	(void)state;
	assert_true(spec_strategy_possible(lanes->services[0],
	    STRATEGY_ROLLING, 3, text));
	assert_true(spec_strategy_possible(lanes->services[0],
	    STRATEGY_CANARY, 3, text));
	assert_true(spec_strategy_possible(lanes->services[0],
	    STRATEGY_BLUE_GREEN, 3, text));
	assert_true(spec_strategy_possible(none->services[0],
	    STRATEGY_ROLLING, 3, text));
	assert_false(spec_strategy_possible(none->services[0],
	    STRATEGY_CANARY, 3, text));
	assert_false(spec_strategy_possible(none->services[0],
	    STRATEGY_BLUE_GREEN, 3, text));
	assert_string_equal(text, "blue-green needs TCP or UDP listeners that no other"
	    " service has, but listener a is a unix socket");
	config_free(lanes);
	config_free(none);
}

enum difference { SAME, FLEET, RELEASE };

static void
expect_difference(const char *from, const char *to, enum difference expected,
    const char *expected_key)
{
	struct config *a = read_service("[::]:1", from);
	struct config *b = read_service("[::]:1", to);
	const char *key = "";

	assert_int_equal(spec_release_differs(a->services[0], b->services[0],
	    &key), expected == RELEASE);
	if (expected != RELEASE)
		assert_int_equal(spec_fleet_differs(a->services[0],
		    b->services[0], &key), expected == FLEET);
	assert_string_equal(key, expected_key);
	config_free(a);
	config_free(b);
}

#define STEPS "steps = 5% 1s, 100%"
#define CANARY "strategy = canary\n"
#define HTTP "probe = http /\n"

static void
test_differs(void **state)
{
	static const struct {
		const char *from, *to;
		enum difference expected;
		const char *key;
	} rows[] = {
		{ "", "steps = 5.0% 60s, 25%  5m,50% 300s, 100%", SAME, "" },
		{ "", "steer = random\npromotion = auto\nkeep_old = 0ms\n"
		    "probe_interval = 2000ms\nhook_timeout = 1m", SAME, "" },
		{ "", CANARY, FLEET, "strategy" },
		{ STEPS, "steps = 6% 1s, 100%", FLEET, "steps" },
		{ STEPS, "steps = 5% 2s, 100%", FLEET, "steps" },
		{ STEPS, "steps = 5% pause, 100%", FLEET, "steps" },
		{ STEPS, "steps = 5% 1s, 50% 1s, 100%", FLEET, "steps" },
		{ "steps = 100%", "steps = 100% pause", FLEET, "steps" },
		{ "", "canary_workers = 1", FLEET, "canary_workers" },
		{ "canary_workers = 1%", "canary_workers = 1", FLEET,
		    "canary_workers" },
		{ "", "steer = source-ip", FLEET, "steer" },
		{ "", "promotion = manual", FLEET, "promotion" },
		{ "", "keep_old = 1s", FLEET, "keep_old" },
		{ "", "probe = tcp", FLEET, "probe" },
		{ HTTP, "probe = http /a", FLEET, "probe" },
		{ HTTP, "probe = http '/'", SAME, "" },
		{ "probe = exec a", "probe = exec a b", FLEET, "probe" },
		{ "probe = exec a b", "probe = exec a 'b'", SAME, "" },
		{ "", "probe_interval = 3s", FLEET, "probe_interval" },
		{ "", "probe_timeout = 3s", FLEET, "probe_timeout" },
		{ "", "probe_failures = 4", FLEET, "probe_failures" },
		{ HTTP, HTTP "probe_status = 200", FLEET, "probe_status" },
		{ HTTP, HTTP "probe_status = 201-399", FLEET,
		    "probe_status" },
		{ HTTP, HTTP "probe_body = a", FLEET, "probe_body" },
		{ HTTP "probe_body = b", HTTP "probe_body = a", FLEET,
		    "probe_body" },
		{ "", "analysis = a", FLEET, "analysis" },
		{ "analysis = a", "analysis = a b", FLEET, "analysis" },
		{ "", "analysis_interval = 3s", FLEET, "analysis_interval" },
		{ "", "analysis_timeout = 3s", FLEET, "analysis_timeout" },
		{ "", "before_rollout = a", FLEET, "before_rollout" },
		{ "after_rollout = a", "after_rollout = b", FLEET,
		    "after_rollout" },
		{ "", "hook_timeout = 3s", FLEET, "hook_timeout" },
		{ "", "fd_store = 1", FLEET, "fd_store" },
		{ "", "version = exec a", RELEASE, "version" },
		{ "version = file /a", "version = exec /a", RELEASE,
		    "version" },
		{ "version = exec a", "version = exec a b", RELEASE,
		    "version" },
		{ "probe = tcp", "probe = tcp\nready = probe", RELEASE,
		    "ready" },
		{ CANARY, CANARY "preview = [::1]:2", RELEASE, "preview" },
		{ CANARY "preview = [::1]:2", CANARY "preview = [::1]:3",
		    RELEASE, "preview" },
		{ CANARY "preview = [::1]:2", CANARY "preview = [0::1]:02",
		    SAME, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_difference(rows[i].from, rows[i].to, rows[i].expected,
		    rows[i].key);
}

/* What another service does to one, whose own section is the same. */
static void
test_differs_by_another(void **state)
{
#define BOTH "[service a]\ncommand = x\nlisten = [::]:1\n" \
	"[service b]\ncommand = x\n"
	struct config *a = config_good(BOTH);
	struct config *b = config_good(BOTH "listeners = a\n");
	const char *key = NULL;

	(void)state;
	assert_false(spec_release_differs(a->services[0], b->services[0],
	    &key));
	assert_true(spec_fleet_differs(a->services[0], b->services[0], &key));
	assert_string_equal(key, "listeners");
	config_free(a);
	config_free(b);
}

/* One name, now of a listener for all, now of a preview. */
static void
test_preview_is_no_listener(void **state)
{
	struct config *a = config_good("[listener a.preview]\n"
	    "address = [::1]:2\n[service a]\ncommand = x\nlisten = [::]:1\n"
	    "listeners = a.preview\n");
	struct config *b = read_service("[::]:1", CANARY "preview = [::1]:2");
	const char *key = NULL;

	(void)state;
	assert_true(spec_release_differs(a->services[0], b->services[0],
	    &key));
	assert_string_equal(key, "preview");
	assert_int_equal(spec_public_count(a->services[0]), 2);
	assert_int_equal(spec_public_count(b->services[0]), 1);
	config_free(a);
	config_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weight),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_canary_workers),
		cmocka_unit_test(test_whole_workers),
		cmocka_unit_test(test_possible),
		cmocka_unit_test(test_differs),
		cmocka_unit_test(test_differs_by_another),
		cmocka_unit_test(test_preview_is_no_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
