/*
 * Specs as data: the planner's view, references, and which changes need a
 * rollout.
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
read_service(const char *lines)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "[listener b]\naddress = "
	    "127.0.0.1:2\n[listener c]\naddress = 127.0.0.1:3\n"
	    "[service a]\ncommand = x\n%s\n", lines);
	return config_good(text);
}

/* surge and unavailable of N workers; K8s' rounding but for both 0. */
static void
test_policy(void **state)
{
	static const struct {
		const char *surge, *unavailable;
		uint32_t workers, expected_surge, expected_unavailable;
	} rows[] = {
		{ "1", "0", 4, 1, 0 },
		{ "25%", "25%", 4, 1, 1 },
		{ "25%", "25%", 10, 3, 2 },
		{ "25%", "25%", 1, 1, 0 },
		{ "1%", "0", 4096, 41, 0 },
		{ "100%", "100%", 4096, 4096, 4096 },
		{ "0", "25%", 3, 1, 0 },        /* never both 0 */
		{ "0", "25%", 4, 0, 1 },
		{ "0%", "9", 4, 0, 4 },         /* not more than there are */
		{ "25%", "0", 0, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char lines[128];
		struct config *config;
		struct policy policy;

		(void)snprintf(lines, sizeof(lines),
		    "max_surge = %s\nmax_unavailable = %s", rows[i].surge,
		    rows[i].unavailable);
		config = read_service(lines);
		policy = spec_policy(config->services[0], rows[i].workers);
		assert_int_equal(policy.workers, rows[i].workers);
		assert_int_equal(policy.surge, rows[i].expected_surge);
		assert_int_equal(policy.unavailable,
		    rows[i].expected_unavailable);
		config_free(config);
	}
}

static void
test_policy_copies(void **state)
{
	struct config *config = read_service("ready_timeout = 2s\n"
	    "min_ready = 3s\ndrain_timeout = 4s\nwatchdog = 5s\n"
	    "progress_deadline = 6s\nbackoff_min = 7s\nbackoff_max = 8s\n"
	    "restart = never\non_failure = pause");
	struct policy policy = spec_policy(config->services[0], 1);

	(void)state;
	assert_int_equal(policy.ready_timeout_ms, 2000);
	assert_int_equal(policy.min_ready_ms, 3000);
	assert_int_equal(policy.drain_timeout_ms, 4000);
	assert_int_equal(policy.watchdog_ms, 5000);
	assert_int_equal(policy.progress_deadline_ms, 6000);
	assert_int_equal(policy.backoff_min_ms, 7000);
	assert_int_equal(policy.backoff_max_ms, 8000);
	assert_int_equal(policy.restart, RESTART_NEVER);
	assert_int_equal(policy.on_failure, ON_FAILURE_PAUSE);
	assert_int_equal(policy.strategy, STRATEGY_ROLLING);
	config_free(config);
}

/* The key that makes a rollout necessary from one to the other, or "". */
static const char *
difference(const char *from, const char *to)
{
	struct config *a = read_service(from);
	struct config *b = read_service(to);
	const char *key = "";
	bool differs = spec_release_differs(a->services[0], b->services[0],
	    &key);

	assert_int_equal(differs, *key != '\0');
	config_free(a);
	config_free(b);
	return key;
}

static void
test_differs(void **state)
{
	(void)state;
	assert_string_equal(difference("", ""), "");
	/* A default that is written out is no change. */
	assert_string_equal(difference("", "ready = alive 1s\nworkers = 1\n"
	    "working_directory = /"), "");
	assert_string_equal(difference("", " y"), "command");
	assert_string_equal(difference(" 'y'", " y"), "");
	assert_string_equal(difference("", "working_directory = /srv"),
	    "working_directory");
	assert_string_equal(difference("environment = A=1",
	    "environment = A=2"), "environment");
	assert_string_equal(difference("environment = A=1 B=1",
	    "environment = A=1"), "environment");
	assert_string_equal(difference("environment_file = /a", ""),
	    "environment_file");
	assert_string_equal(difference("user = a", "user = b"), "user");
	assert_string_equal(difference("user = a", "user = a\ngroup = b"),
	    "group");
	assert_string_equal(difference("listen = 127.0.0.1:1",
	    "listen = 127.0.0.1:01"), "");
	assert_string_equal(difference("listen = 127.0.0.1:1",
	    "listen = 127.0.0.1:9"), "listen");
	assert_string_equal(difference("listen = 127.0.0.1:1", ""), "listen");
	assert_string_equal(difference("listeners = b c",
	    "listeners = c b"), "listeners");
	assert_string_equal(difference("ready = alive 1s",
	    "ready = alive 2s"), "ready");
	assert_string_equal(difference("ready = fd 8", "ready = fd 9"),
	    "ready");
	assert_string_equal(difference("ready = fd 8", "ready = notify"),
	    "ready");
	assert_string_equal(difference("watchdog = 1s", ""), "watchdog");
	assert_string_equal(difference("version = file /a",
	    "version = file /b"), "version");
	assert_string_equal(difference("", "workers = 2\nready_timeout = 2m\n"
	    "drain_signal = INT\ndrain_timeout = 1s\nkill_mode = process\n"
	    "restart = never\nsuccess_exit = 1\nbackoff_min = 1ms\n"
	    "backoff_max = 1m\nmax_surge = 2\nmax_unavailable = 1\n"
	    "min_ready = 1s\nprogress_deadline = 1h\non_failure = pause"),
	    "");
}

/* The same name for another socket. */
static void
test_differs_behind_a_name(void **state)
{
	struct config *a = config_good("[listener l]\naddress = [::]:1\n"
	    "[service a]\ncommand = x\nlisteners = l\n");
	struct config *b = config_good("[listener l]\naddress = [::]:1\n"
	    "backlog = 7\nipv6_only = yes\n"
	    "[service a]\ncommand = x\nlisteners = l\n");
	const char *key = NULL;

	(void)state;
	assert_true(spec_release_differs(a->services[0], b->services[0],
	    &key));
	assert_string_equal(key, "listeners");
	assert_true(listener_spec_differs(&a->listeners[0], &b->listeners[0],
	    &key));
	assert_string_equal(key, "ipv6_only");
	b->services[0]->sockets[0].ipv6_only = false;
	assert_false(spec_release_differs(a->services[0], b->services[0],
	    &key));
	b->listeners[0].ipv6_only = false;
	assert_false(listener_spec_differs(&a->listeners[0],
	    &b->listeners[0], &key));
	config_free(a);
	config_free(b);
}

/* A release keeps its spec after the configuration has gone. */
static void
test_reference(void **state)
{
	struct config *config = read_service("");
	struct spec *spec = spec_ref(config->services[0]);

	(void)state;
	assert_int_equal(spec->reference_count, 2);
	assert_null(config_service(config, "b"));
	assert_null(config_listener(config, "a"));
	config_free(config);
	assert_int_equal(spec->reference_count, 1);
	assert_string_equal(spec->argv[0], "x");
	assert_string_equal(spec->file, "t");
	spec_unref(spec);
	spec_unref(NULL);
	config_free(NULL);
}

static void
test_exit_set(void **state)
{
	const struct exit_set set = { .codes = { 2, 0, 0, 1 }, .signals = 5 };

	(void)state;
	assert_true(exit_set_has_code(&set, 1));
	assert_true(exit_set_has_code(&set, 192));
	assert_false(exit_set_has_code(&set, 0));
	assert_false(exit_set_has_code(&set, -1));
	assert_false(exit_set_has_code(&set, 256));
	assert_true(exit_set_has_signal(&set, 2));
	assert_false(exit_set_has_signal(&set, 0));
	assert_false(exit_set_has_signal(&set, 64));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_policy_copies),
		cmocka_unit_test(test_differs),
		cmocka_unit_test(test_differs_behind_a_name),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_exit_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
