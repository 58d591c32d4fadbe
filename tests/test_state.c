/*
 * The state: what is written when something changes, and that an engine goes on
 * from it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"
#include "state_fixture.h"

#define WEB(more) "[service web]\ncommand = /bin/web\nready = notify\n" more
#define LANES "listen = 127.0.0.1:80\n"

static void
expect_same(struct stage *stage)
{
	char *before = stage_text(stage), *after;

	stage_restart(stage);
	after = stage_text(stage);
	assert_string_equal(before, after);
	free(before);
	free(after);
}

/*
 * Going on
 */

static void
test_idle(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB("workers = 3\n"));
	expect_same(&stage);
	stage_make_ready(&stage);
	expect_same(&stage);
	assert_string_equal(stage.said, "");
	assert_int_equal(fleet_count(&stage_web(&stage)->fleet).ready, 3);
	stage_release(&stage);
}

/* A canary, one that waits, and one that ended before. */
static void
test_in_a_rollout(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB(LANES "workers = 2\n"));
	stage_make_ready(&stage);
	stage_reload(&stage, WEB(LANES "workers = 2\nwatchdog = 9s\n"));
	expect_same(&stage);
	for (unsigned i = 0; i < 9; i++) {
		stage_make_ready(&stage);
		expect_same(&stage);
	}
	stage_reload(&stage, WEB(LANES "workers = 2\nwatchdog = 8s\n"
	    "strategy = canary\nanalysis = /bin/a\nprobe = tcp\n"
	    "before_rollout = /bin/b\n"));
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_PREPARE);
	expect_same(&stage);
	stage_end_task(&stage, 0);
	stage_make_ready(&stage);
	expect_same(&stage);
	stage_reload(&stage, WEB(LANES "workers = 3\nwatchdog = 7s\n"));
	assert_non_null(stage_web(&stage)->next_release);
	expect_same(&stage);
	assert_non_null(stage_web(&stage)->next_release);
	stage_release(&stage);
}

/* What can still be asked and told of a worker. */
static void
test_worker_is_the_same(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_STATUS, .service = 1,
		.id = { 0, 1 }, .text = "warming up \xc3\xa4" };

	(void)state;
	stage_boot(&stage, WEB(""));
	engine_event(&stage.engine, &event);
	event.type = EVENT_ERRNO;
	event.value = 5;
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	expect_same(&stage);
	assert_string_equal(stage_web(&stage)->mates[0].status, event.text);
	assert_int_equal(stage_web(&stage)->mates[0].error_number, 5);
	assert_int_equal(stage_web(&stage)->mates[0].pid, 1001);
	assert_int_equal((uintptr_t)stage_web(&stage)->mates[0].process, 1001);
	stage_release(&stage);
}

/* And whatever the world has to do to find it again is asked for anew. */
static void
test_main_pid(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_MAIN_PID, .service = 1,
		.id = { 0, 1 }, .value = 2000 };

	(void)state;
	stage_boot(&stage, WEB(""));
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	stage.adopted = 0;
	stage_restart(&stage);
	assert_int_equal(stage_web(&stage)->mates[0].pid, 2000);
	assert_int_equal(stage.adopted, 2000);
	stage_release(&stage);
}

/* In which turns come to them; one that is gone leaves its place to the last. */
static void
test_the_order_of_services(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_EXITED, .service = 1,
		.id = { 0, 1 } };

	(void)state;
	stage_boot(&stage, WEB("") "[service b]\ncommand = /bin/b\n"
	    "[service c]\ncommand = /bin/c\n");
	stage_reload(&stage, "[service b]\ncommand = /bin/b\n"
	    "[service c]\ncommand = /bin/c\n");
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	assert_string_equal(stage.engine.services[0]->name, "c");
	expect_same(&stage);
	assert_string_equal(stage.engine.services[0]->name, "c");
	assert_string_equal(stage.engine.services[1]->name, "b");
	stage_release(&stage);
}

/* Nothing else of the release has changed. */
static void
test_what_was_taken_over_in_place(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB("drain_timeout = 7s\n"));
	stage.same_build = true;
	stage_reload(&stage, WEB("drain_timeout = 8s\n"));
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_IDLE);
	stage_restart(&stage);
	assert_int_equal(stage_web(&stage)->spec->drain_timeout_ms, 8000);
	assert_int_equal(service_stable(stage_web(&stage))->spec->drain_timeout_ms,
	    8000);
	stage_release(&stage);
}

static void
test_shutting_down(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB("workers = 2\n"));
	engine_shutdown(&stage.engine);
	stage_turn(&stage, 1);
	expect_same(&stage);
	assert_int_equal(stage.engine.phase, ENGINE_STOPPING);
	assert_int_equal(stage_web(&stage)->policy.workers, 0);
	stage_release(&stage);
}

/*
 * What is written
 */

static unsigned
count(const struct stage *stage, const char *text)
{
	const char *at = stage->log + stage->log_bytes - stage->last_bytes;
	unsigned found = 0;

	while ((at = strstr(at, text)) != NULL) {
		found++;
		at++;
	}
	return found;
}

static void
test_only_what_changed(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_READY, .service = 1,
		.id = { 1, 2 } };

	(void)state;
	stage_boot(&stage, WEB("workers = 3\n"));
	assert_true(stage.anew);
	stage_turn(&stage, 1);
	assert_int_equal(stage.last_bytes, 0);
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	assert_false(stage.anew);
	assert_int_equal(count(&stage, "\n"), 2);
	assert_int_equal(count(&stage, "{\"put\":\"worker 1 2\","), 1);
	assert_int_equal(count(&stage, "{\"commit\":2,\"lines\":1,"), 1);
	stage_release(&stage);
}

static void
test_who_has_ended_is_dropped(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_EXITED, .service = 1,
		.id = { 0, 1 } };

	(void)state;
	stage_boot(&stage, WEB("workers = 1\n"));
	stage_turn(&stage, 11000);
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	assert_int_equal(count(&stage, "{\"drop\":\"worker 1 1\"}"), 1);
	assert_int_equal(count(&stage, "{\"put\":\"worker 1 2\","), 1);
	expect_same(&stage);
	stage_release(&stage);
}

static void
test_a_removed_service_leaves_nothing(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_EXITED, .service = 1,
		.id = { 0, 1 } };

	(void)state;
	stage_boot(&stage, WEB("") "[service b]\ncommand = /bin/b\n");
	stage_reload(&stage, "[service b]\ncommand = /bin/b\n");
	engine_event(&stage.engine, &event);
	stage_turn(&stage, 1);
	assert_null(engine_find(&stage.engine, "web"));
	assert_int_equal(count(&stage, "{\"drop\":\"service 1\"}"), 1);
	expect_same(&stage);            /* what is left would be nobody's */
	stage_release(&stage);
}

/* A text that only grew would be as old as supd. */
static void
test_written_anew_when_it_has_grown(void **state)
{
	struct stage stage;
	struct event event = { .type = EVENT_ERRNO, .service = 1,
		.id = { 0, 1 } };
	unsigned turns = 0;

	(void)state;
	stage_boot(&stage, WEB(""));
	do {
		event.value++;
		engine_event(&stage.engine, &event);
		stage_turn(&stage, 1);
		assert_true(stage.log_bytes < 200000);
	} while (!stage.anew && ++turns < 10000);
	assert_true(turns > 100 && turns < 10000);
	expect_same(&stage);
	stage_release(&stage);
}

/* What is read again and has not changed is not written again. */
static void
test_the_same_configuration_is_there_once(void **state)
{
	struct stage stage;
	char *text, *first;

	(void)state;
	stage_boot(&stage, WEB("workers = 2\n"));
	stage_make_ready(&stage);
	stage_reload(&stage, WEB("workers = 2\n"));
	stage_make_ready(&stage);
	assert_non_null(stage_web(&stage)->releases[1].release);
	text = stage_text(&stage);
	first = strstr(text, "\"put\":\"config ");
	assert_non_null(first);
	assert_null(strstr(first + 1, "\"put\":\"config "));
	free(text);
	expect_same(&stage);
	stage_reload(&stage, WEB("workers = 3\n"));
	expect_same(&stage);
	assert_int_equal(stage_web(&stage)->spec->workers, 3);
	stage_release(&stage);
}

static void
test_what_was_not_written_is_written_anew(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB(""));
	state_lost(stage.state);
	stage_turn(&stage, 1);
	assert_true(stage.anew);
	expect_same(&stage);
	stage_release(&stage);
}

/* supd may end at any byte of a write. */
static void
test_half_a_turn_never_was(void **state)
{
	struct stage stage, other;
	char *whole[4], *text, *log;
	size_t ends[4], turn = 0, length;

	(void)state;
	stage_boot(&stage, WEB("workers = 2\n"));
	ends[0] = stage.log_bytes;
	whole[0] = stage_text(&stage);
	for (unsigned i = 1; i < 4; i++) {
		if (i == 2)
			stage_reload(&stage, WEB("workers = 1\n"));
		else
			stage_make_ready(&stage);
		assert_false(stage.anew);
		ends[i] = stage.log_bytes;
		whole[i] = stage_text(&stage);
	}
	log = strndup(stage.log, stage.log_bytes);
	length = stage.log_bytes;
	stage_release(&stage);
	stage_boot(&other, WEB(""));
	for (size_t cut = ends[0]; cut <= length; cut++) {
		while (turn + 1 < 4 && ends[turn + 1] <= cut)
			turn++;
		assert_null(stage_read(&other, log, cut));
		text = stage_text(&other);
		assert_string_equal(text, whole[turn]);
		free(text);
	}
	assert_int_equal(turn, 3);
	for (size_t cut = 0; cut < ends[0]; cut += 17)
		assert_non_null(strstr(stage_read(&other, log, cut),
		    "has no whole turn"));
	for (unsigned i = 0; i < 4; i++)
		free(whole[i]);
	free(log);
	stage_release(&other);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_in_a_rollout),
		cmocka_unit_test(test_worker_is_the_same),
		cmocka_unit_test(test_main_pid),
		cmocka_unit_test(test_the_order_of_services),
		cmocka_unit_test(test_what_was_taken_over_in_place),
		cmocka_unit_test(test_shutting_down),
		cmocka_unit_test(test_only_what_changed),
		cmocka_unit_test(test_who_has_ended_is_dropped),
		cmocka_unit_test(test_a_removed_service_leaves_nothing),
		cmocka_unit_test(test_written_anew_when_it_has_grown),
		cmocka_unit_test(test_the_same_configuration_is_there_once),
		cmocka_unit_test(test_what_was_not_written_is_written_anew),
		cmocka_unit_test(test_half_a_turn_never_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
