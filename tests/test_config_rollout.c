/*
 * The keys about rollouts: what good values become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "config_fixture.h"

#define WEB "[service web]\ncommand = x\n"
#define TCP WEB "listen = 0.0.0.0:80\n"
#define NAME_36 "a23456789b123456789c123456789d123456"

/* As `5%:60000`, or `25%:pause`. */
static void
expect_steps(const struct spec *spec, const char *expected)
{
	char text[1024] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < spec->step_count; i++) {
		const struct canary_step *step = &spec->steps[i];
		char hold[24] = "pause";

		if (!step->pause)
			(void)snprintf(hold, sizeof(hold), "%ju",
			    (uintmax_t)step->hold_ms);
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%s:%s", i == 0 ? "" : " ",
		    spec_weight(step->weight_permille).text, hold);
	}
	assert_string_equal(text, expected);
}

static void
test_defaults(void **state)
{
	struct config *config = config_good(TCP);
	const struct spec *spec = config_service(config, "web");

	(void)state;
	assert_int_equal(spec->strategy, STRATEGY_ROLLING);
	expect_steps(spec, "5%:60000 25%:300000 50%:300000 100%:0");
	assert_int_equal(spec->canary_workers.value, 0);
	assert_int_equal(spec->steer, STEER_RANDOM);
	assert_int_equal(spec->promotion, PROMOTION_AUTO);
	assert_int_equal(spec->keep_old_ms, 0);
	assert_int_equal(spec->probe, PROBE_NONE);
	assert_null(spec->probe_path);
	assert_null(spec->probe_command);
	assert_null(spec->probe_body);
	assert_int_equal(spec->probe_interval_ms, 2000);
	assert_int_equal(spec->probe_timeout_ms, 1000);
	assert_int_equal(spec->probe_failures, 3);
	assert_int_equal(spec->probe_status_min, 200);
	assert_int_equal(spec->probe_status_max, 399);
	assert_null(spec->analysis);
	assert_int_equal(spec->analysis_interval_ms, 10000);
	assert_int_equal(spec->analysis_timeout_ms, 30000);
	assert_null(spec->before_rollout);
	assert_null(spec->after_rollout);
	assert_int_equal(spec->hook_timeout_ms, 60000);
	assert_int_equal(spec->fd_store, 0);
	assert_null(spec->version_file);
	assert_null(spec->version_command);
	assert_true(spec->lanes);
	config_free(config);
}

static void
test_canary(void **state)
{
	struct config *config = config_good(TCP "strategy = canary\n"
	    "steps = 0.1% 1ms,1% pause ,\n  12.5%\t7d\n\t, 100% pause\n"
	    "canary_workers = 25%\nsteer = source-ip\n"
	    "preview = [::1]:8081\nfd_store = 4096\n"
	    "analysis = judge --max '0.5 %'\n    --more\n"
	    "analysis_interval = 10ms\nanalysis_timeout = 1d\n"
	    "before_rollout = /bin/migrate up\n"
	    "after_rollout = notify ''\nhook_timeout = 1ms\n");
	const struct spec *spec = config_service(config, "web");

	(void)state;
	assert_int_equal(spec->strategy, STRATEGY_CANARY);
	expect_steps(spec, "0.1%:1 1%:pause 12.5%:604800000 100%:pause");
	assert_true(spec->canary_workers.percent);
	assert_int_equal(spec->canary_workers.value, 25);
	assert_int_equal(spec->steer, STEER_SOURCE_IP);
	assert_int_equal(spec->fd_store, 4096);
	config_expect_list(spec->analysis, "<judge><--max><0.5 %><--more>");
	assert_int_equal(spec->analysis_interval_ms, 10);
	assert_int_equal(spec->analysis_timeout_ms, 86400000);
	config_expect_list(spec->before_rollout, "</bin/migrate><up>");
	config_expect_list(spec->after_rollout, "<notify><>");
	assert_int_equal(spec->hook_timeout_ms, 1);
	config_free(config);
}

static void
test_blue_green(void **state)
{
	struct config *config = config_good(TCP "strategy = blue-green\n"
	    "promotion = manual\nkeep_old = 30m\nready = probe\n"
	    "probe = http '/health?a=%20&b'\nprobe_interval = 10ms\n"
	    "probe_timeout = 1h\nprobe_failures = 1000\nprobe_status = 204\n"
	    "probe_body = \"database\":'up'\n"
	    "version = exec git\n    describe '--match=v 1'\n");
	const struct spec *spec = config_service(config, "web");

	(void)state;
	assert_int_equal(spec->strategy, STRATEGY_BLUE_GREEN);
	assert_int_equal(spec->promotion, PROMOTION_MANUAL);
	assert_int_equal(spec->keep_old_ms, 1800000);
	assert_int_equal(spec->ready, READY_PROBE);
	assert_int_equal(spec->probe, PROBE_HTTP);
	assert_string_equal(spec->probe_path, "/health?a=%20&b");
	assert_null(spec->probe_command);
	assert_int_equal(spec->probe_interval_ms, 10);
	assert_int_equal(spec->probe_timeout_ms, 3600000);
	assert_int_equal(spec->probe_failures, 1000);
	assert_int_equal(spec->probe_status_min, 204);
	assert_int_equal(spec->probe_status_max, 204);
	assert_string_equal(spec->probe_body, "\"database\":'up'");
	config_expect_list(spec->version_command,
	    "<git><describe><--match=v 1>");
	assert_null(spec->version_file);
	config_free(config);
}

static void
test_forms(void **state)
{
	struct config *config = config_good(WEB "probe = exec curl -f\n"
	    "    'http://[::1]/'\nversion = file '/srv/a b/VERSION'\n"
	    "[service b]\ncommand = x\nlisten = unix:/b\nprobe = tcp\n"
	    "[service c]\ncommand = x\nlisten = unix:/c\n"
	    "probe = http /\nprobe_status = 100-599\nsteps = 100.0%\n"
	    "steer = random\n");
	const struct spec *web = config_service(config, "web");
	const struct spec *c = config_service(config, "c");

	(void)state;
	assert_int_equal(web->probe, PROBE_EXEC);
	config_expect_list(web->probe_command, "<curl><-f><http://[::1]/>");
	assert_null(web->probe_path);
	assert_string_equal(web->version_file, "/srv/a b/VERSION");
	assert_int_equal(config_service(config, "b")->probe, PROBE_TCP);
	assert_string_equal(c->probe_path, "/");
	assert_int_equal(c->probe_status_min, 100);
	assert_int_equal(c->probe_status_max, 599);
	expect_steps(c, "100%:0");
	config_free(config);
}

/* It is the last of the sockets, whatever there is besides. */
static void
test_preview(void **state)
{
	struct config *config = config_good("[listener admin]\n"
	    "address = 0.0.0.0:81\n[service " NAME_36 "]\n"
	    "command = x\nstrategy = canary\nlisten = 0.0.0.0:80\n"
	    "listeners = admin\nready = fd 6\n[service web]\ncommand = x\n"
	    "preview = 127.0.0.1:82\nstrategy = blue-green\n"
	    "listen = 127.0.0.1:80\nlisteners = own\nready = fd 6\n"
	    "[listener own]\naddress = 127.0.0.1:83\n");
	const struct spec *spec = config_service(config, "web");
	const struct listener_spec *preview = config_listener(config,
	    "web.preview");

	(void)state;
	config_expect_list(spec->listeners, "<web><own><web.preview>");
	assert_int_equal(spec->socket_count, 3);
	assert_int_equal(spec_public_count(spec), 2);
	assert_false(spec->sockets[0].preview);
	assert_false(spec->sockets[1].preview);
	assert_true(spec->sockets[2].preview);
	assert_string_equal(spec->sockets[2].name, "web.preview");
	assert_string_equal(spec->sockets[2].address_text, "127.0.0.1:82");
	assert_int_equal(spec->sockets[2].backlog, 4096);
	assert_non_null(preview);
	assert_true(preview->preview);
	assert_true(spec->lanes);
	assert_int_equal(spec_public_count(config->services[0]), 2);
	config_free(config);
}

/* Whether releases can share what a service listens on by weight. */
static void
test_lanes(void **state)
{
	struct config *config = config_good("[listener shared]\n"
	    "address = 0.0.0.0:1\n[listener own]\naddress = [::1]:2\n"
	    "[listener path]\naddress = unix:/p\n"
	    "[service none]\ncommand = x\n"
	    "[service one]\ncommand = x\nlisteners = own\n"
	    "[service mixed]\ncommand = x\nlisten = 0.0.0.0:3\n"
	    "listeners = path\n"
	    "[service two]\ncommand = x\nlisteners = shared\n"
	    "[service three]\ncommand = x\nlisten = 0.0.0.0:4\n"
	    "listeners = shared\n"
	    "[service thief]\ncommand = x\nlisteners = owner\n"
	    "[service owner]\ncommand = x\nlisten = 0.0.0.0:5\n");
	static const struct {
		const char *service, *obstacle;         /* NULL: lanes */
	} rows[] = {
		{ "none", "the service has no listener" },
		{ "one", NULL },
		{ "mixed", "listener path is a unix socket" },
		{ "two", "listener shared is also another service's" },
		{ "three", "listener shared is also another service's" },
		{ "thief", "listener owner is also another service's" },
		{ "owner", "listener owner is also another service's" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct spec *spec = config_service(config,
		    rows[i].service);

		assert_int_equal(spec->lanes, rows[i].obstacle == NULL);
		if (rows[i].obstacle != NULL)
			assert_string_equal(spec_lanes_obstacle(spec).text,
			    rows[i].obstacle);
	}
	assert_true(config_listener(config, "shared")->shared);
	assert_false(config_listener(config, "own")->shared);
	config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_blue_green),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_preview),
		cmocka_unit_test(test_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
