/*
 * States of other supds, and damaged ones: each says what is wrong and where, and
 * nothing falls over.  tests/state-1.jsonl was written by the first supd that
 * had a state, and stays as it is: two services, each with a rollout that goes
 * back because a newer release waits.
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

#define EMPTY "[service web]\ncommand = /bin/web\n"
#define HEADER "{\"supd-state\":1,\"readable-from\":1,\"supd\":\"0.9\"}\n"

/* A log of these lines, one turn; for free(). */
static char *
log_of(const char *lines)
{
	char sum[24], *log;
	unsigned count = 0;

	for (const char *c = lines; *c != '\0'; c++)
		count += *c == '\n';
	(void)snprintf(sum, sizeof(sum), "0x%016llx", (unsigned long long)
	    release_hash(RELEASE_HASH_START, lines, strlen(lines)));
	assert_true(asprintf(&log, "%s{\"commit\":1,\"lines\":%u,\"sum\":"
	    "\"%s\"}\n", lines, count, sum) >= 0);
	return log;
}

/* The sample without its commits: lines for log_of(). */
static char *
sample_lines(void)
{
	char *text = read_test_file("state-1.jsonl"), *from = text, *to = text;

	while (*from != '\0') {
		size_t length = strcspn(from, "\n") + 1;

		if (strncmp(from, "{\"commit\"", 9) != 0) {
			memmove(to, from, length);
			to += length;
		}
		from += length;
	}
	*to = '\0';
	return text;
}

/* The first `from` in it replaced; for free(). */
static char *
replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *result;

	if (at == NULL)
		fail_msg("the sample has no %s", from);
	assert_true(asprintf(&result, "%.*s%s%s", (int)(at - text), text, to,
	    at + strlen(from)) >= 0);
	return result;
}

static void
expect(const char *log, size_t size_bytes, const char *expected)
{
	char why[REASON_BYTES_MAX];
	struct state_image *image = state_read(log, size_bytes, why);

	assert_null(image);
	assert_string_equal(why, expected);
}

/*
 * Other supds
 */

static void
expect_sample(struct stage *stage)
{
	struct service *s = engine_find(&stage->engine, "web");

	assert_int_equal(stage->engine.service_count, 2);
	assert_int_equal(stage->engine.started_ms, 100000);
	assert_non_null(s);
	assert_int_equal(s->rollout.phase, ROLLOUT_ROLLBACK);
	assert_int_equal(s->rollout.candidate, 4);
	assert_true(s->rollout.analysed_ms == NOT_YET_MS);
	assert_int_equal(s->rollout.recall, FAULT_SUPERSEDED);
	assert_int_equal(s->next_release->revision, 5);
	assert_int_equal(s->next.course.strategy, STRATEGY_BLUE_GREEN);
	assert_true(s->next.lost == CONNECTIONS_UNKNOWN);
	assert_int_equal(s->deployment.observation_count, 3);
	assert_string_equal(s->deployment.hooks[0].name, "before_rollout");
	assert_int_equal(s->last.verdict, VERDICT_ABORTED);
	assert_string_equal(s->mates[0].status, "serving \xc3\xa4");
	assert_int_equal(s->mates[0].error_number, 5);
	assert_int_equal(s->fleet.workers[1].state, WORKER_READY);
	assert_int_equal(s->fleet.workers[2].state, WORKER_GONE);
	assert_true(service_is_quarantined(s, UINT64_C(0xfffffffffffffffa)));
	assert_string_equal(s->spec->environment[0], "A=\xe4");
	assert_int_equal(service_stable(s)->spec->watchdog_ms, 8000);
	assert_string_equal(service_stable(s)->environment[0], "A=\xff=b");
	assert_int_equal(service_stable(s)->credentials.groups[1], 77);
	assert_true(engine_find(&stage->engine, "b")->fleet.slots[0].
	    handed_over);
}

/* And it goes on from there. */
static void
test_sample_1(void **state)
{
	struct stage stage;
	char *sample = read_test_file("state-1.jsonl"), why[REASON_BYTES_MAX];
	struct state_image *image = state_read(sample, strlen(sample), why);

	(void)state;
	assert_non_null(image);
	assert_string_equal(state_image_supd(image), "0.9");
	state_image_free(image);
	stage_boot(&stage, EMPTY);
	assert_null(stage_read(&stage, sample, strlen(sample)));
	assert_string_equal(stage.said, "");
	expect_sample(&stage);
	stage.now_ms = 104600;
	stage_turn(&stage, 0);
	for (unsigned i = 0; i < 100; i++)
		stage_turn(&stage, 1000);
	stage_release(&stage);
	free(sample);
}

/* A newer supd writes what this one does not know. */
static void
test_newer(void **state)
{
	static const char *const changes[][2] = {
		{ "\"supd-state\":1", "\"supd-state\":7" },
		{ "{\"put\":\"engine\",",
		    "{\"put\":\"moon 1\",\"a\":1}\n{\"put\":\"x\"}\n"
		    "{\"put\":\"worker 1 017\"}\n{\"tell\":\"who\"}\n"
		    "{\"drop\":\"nobody\"}\n"
		    "{\"put\":\"engine\",\"mood\":\"good\"," },
		{ "\"step\":1,", "\"step\":1,\"dance\":{\"a\":[1]}," },
	};
	struct stage stage;
	char *text = sample_lines(), *next;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		next = replace(text, changes[i][0], changes[i][1]);
		free(text);
		text = next;
	}
	next = log_of(text);
	stage_boot(&stage, EMPTY);
	assert_null(stage_read(&stage, next, strlen(next)));
	expect_sample(&stage);
	stage_release(&stage);
	free(next);
	free(text);
}

/* What an older supd did not know of is zero. */
static void
test_older(void **state)
{
	struct stage stage;
	char *text = sample_lines(), *log, *next;

	(void)state;
	next = replace(text, "\"progress\":5,", "");
	free(text);
	text = replace(next, "{\"put\":\"judge 1\"", "{\"put\":\"was 1\"");
	log = log_of(text);
	stage_boot(&stage, EMPTY);
	assert_null(stage_read(&stage, log, strlen(log)));
	expect_sample(&stage);
	assert_int_equal(stage.engine.services[0]->rollout.progress, 0);
	assert_int_equal(stage.engine.services[0]->judge.accepted, 0);
	stage_release(&stage);
	free(log);
	free(next);
	free(text);
}

static void
test_too_new(void **state)
{
	char *log = log_of("{\"supd-state\":9,\"readable-from\":2,"
	    "\"supd\":\"3.0\"}\n");

	(void)state;
	expect(log, strlen(log), "the state was written by supd 3.0 in format "
	    "9; that can be read by a supd which knows format 2, and this one "
	    "knows 1");
	free(log);
}

/*
 * Damage
 */

static const struct {
	const char *from, *to, *expected;
} damages[] = {
	/* lines */
	{ HEADER, "", "the state is damaged: line 1 is not the header of a "
	    "state" },
	{ "\"supd-state\":1", "\"supd-state\":0", "the state is damaged: line "
	    "1 is not the header of a state" },
	{ "{\"put\":\"engine\",", "{\"put\":\"engine\";", "the state is damaged:"
	    " line 2 is not a JSON object: '}' expected near ';'" },
	{ "{\"put\":\"engine\",", "[]\n{\"put\":\"engine\",", "the state is "
	    "damaged: line 2 is not a JSON object" },
	{ "{\"put\":\"engine\",", "{\"put\":\"motor\",",
	    "the state is damaged: it has no \"engine\"" },
	{ "\"service 2\"", "\"servant 2\"", "the state is damaged: line 21, "
	    "\"release 2 1\": there is no \"service 2\"" },
	/* members, see test_state_table.c */
	{ "\"phase\":\"ROLLBACK\"", "\"phase\":\"LIMBO\"", "the state is "
	    "damaged: line 15, \"rollout 1\": phase: \"LIMBO\" is none of IDLE, "
	    "PREPARE, CLIMB, PAUSED, KEEP, RETIRE, ROLLBACK" },
	/* configurations */
	{ "\"config\":4,\"id\":1", "\"config\":44,\"id\":1", "the state is "
	    "damaged: line 20, \"service 1\": there is no \"config 44\"" },
	{ "\"config\":4,\"id\":1", "\"id\":1", "the state is damaged: line 20,"
	    " \"service 1\": config: must be a number of 0 to 4294967295" },
	{ "\"name\":\"web\"", "\"name\":\"wob\"", "the state is damaged: line "
	    "20, \"service 1\": \"config 4\" has no [service wob]" },
	{ "\"files\":[{\"name\":\"supd.conf\",\"text\":{\"hex\":\"5b",
	    "\"files\":[{\"name\":\"supd.conf\",\"text\":{\"hex\":\"5c",
	    "the state is damaged: line 3, \"config 1\": this supd does not "
	    "understand the configuration: supd.conf:1: expected `KEY = VALUE` "
	    "or `[SECTION]`" },
	{ "\"files\":[{\"name\":\"supd.conf\",\"text\":", "\"files\":[{\"name\""
	    ":\"supd.conf\",\"nothing\":", "the state is damaged: line 3, "
	    "\"config 1\": files: each must have a name and a text" },
	/* services */
	{ "\"slot_capacity\":3", "\"slot_capacity\":5000", "the state is "
	    "damaged: line 20, \"service 1\": 5000 slots and 10 records of "
	    "workers: at most 4096 and 32768" },
	{ "\"id\":1,\"name\"", "\"id\":2,\"name\"", "the state is damaged: line "
	    "20, \"service 1\": id: must be 1, not 2" },
	{ "\"service_id_last\":2", "\"service_id_last\":1", "the state is "
	    "impossible: service b (2): its id is beyond the last, 1" },
	{ "\"workers\":3,", "\"workers\":0,", "the state is impossible: service "
	    "web (1): workers must be 1 to 4096, not 0" },
	{ "\"quarantine_next\":1", "\"quarantine_next\":8", "the state is "
	    "impossible: service web (1): quarantine_next must be less than 8" },
	/* releases */
	{ "\"release 1 1\",\"place\":0", "\"release 1 1\",\"place\":9",
	    "the state is damaged: line 4, \"release 1 1\": place: must be a "
	    "number of 0 to 8" },
	{ "\"release 1 1\",\"place\":0", "\"release 1 1\",\"place\":1",
	    "the state is damaged: line 6, \"release 1 2\": place 1 has "
	    "revision 1 already" },
	{ "\"release 1 1\"", "\"release 1 7\"", "the state is damaged: line 4,"
	    " \"release 1 7\": revision: must be 7, and not 0" },
	{ "\"path\":\"/bin/web\",", "", "the state is damaged: line 4, "
	    "\"release 1 1\": a release must have a path and a directory" },
	{ "\"groups\":[0", "\"groups\":[-1", "the state is damaged: line 4, "
	    "\"release 1 1\": groups: must be a list of numbers" },
	{ "\"environment\":[", "\"environment\":[\"A\",", "the state is damaged:"
	    " line 4, \"release 1 1\": environment: must be a list of "
	    "NAME=value" },
	{ "\"build_id_bytes\":1", "\"build_id_bytes\":21", "the state is "
	    "impossible: service web (1): revision 1: a build-id has at most 20 "
	    "bytes" },
	{ "\"revision_last\":5", "\"revision_last\":3", "the state is "
	    "impossible: service web (1): revision 4 is beyond the last, 3" },
	/* slots and workers */
	{ "\"slot 2 0\"", "\"slot 2 2\"", "the state is damaged: line 27, "
	    "\"slot 2 2\": the service has 2 slots" },
	{ "\"worker 1 8\",\"place\":1", "\"worker 1 8\",\"place\":10",
	    "the state is damaged: line 12, \"worker 1 8\": place 10: the "
	    "service has records for 10 workers" },
	{ "\"worker 1 8\",\"place\":1", "\"worker 1 8\",\"place\":0",
	    "the state is damaged: line 12, \"worker 1 8\": place 0 has worker "
	    "6 already" },
	{ "\"worker 1 8\"", "\"worker 1 9\"", "the state is damaged: line 12, "
	    "\"worker 1 9\": id.incarnation: must be 9, and not 0" },
	{ "\"id\":{\"incarnation\":8}", "\"id\":{\"slot\":3,"
	    "\"incarnation\":8}", "the state is impossible: service web (1): "
	    "worker 8 is in slot 3 of 3" },
	{ "\"incarnation\":8},\"revision\":4,\"state\":\"READY\"",
	    "\"incarnation\":8},\"revision\":4,\"state\":\"GONE\"", "the state "
	    "is impossible: service web (1): worker 8 is gone" },
	{ "\"incarnation\":8},\"revision\":4", "\"incarnation\":8},"
	    "\"revision\":3", "the state is impossible: service web (1): worker "
	    "8 is of revision 3, which is not there" },
	{ "\"incarnation_last\":8", "\"incarnation_last\":7", "the state is "
	    "impossible: service web (1): worker 8 was started after the last, "
	    "7" },
	{ "\"pid\":1015", "\"pid\":-1", "the state is impossible: service web "
	    "(1): worker 8 has pid -1" },
	/* the rollout */
	{ "\"phase\":\"ROLLBACK\",", "", "the state is impossible: service web "
	    "(1): phase idle, with candidate 4" },
	{ "\"phase\":\"ROLLBACK\",\"stable\":2,\"candidate\":4,",
	    "\"stable\":2,\"weight_permille\":50,", "the state is impossible: "
	    "service web (1): phase idle, with a weight of 50 permille" },
	{ "\"phase\":\"ROLLBACK\",\"stable\":2,\"candidate\":4,",
	    "\"stable\":2,", "the state is impossible: service web (1): phase "
	    "idle, with deployment 7" },
	{ "\"phase\":\"ROLLBACK\",\"stable\":2,\"candidate\":4,",
	    "\"phase\":\"CLIMB\",\"stable\":2,", "the state is impossible: "
	    "service web (1): phase climb, and the candidate, revision 0, is "
	    "not there" },
	{ "\"stable\":2,\"candidate\":4", "\"stable\":4,\"candidate\":4",
	    "the state is impossible: service web (1): phase rollback from "
	    "revision 4 to 4" },
	{ "\"stable\":2,\"candidate\":4", "\"stable\":2,\"candidate\":1",
	    "the state is impossible: service web (1): phase rollback, and "
	    "deployment 7 is of revision 4, not 1" },
	{ "\"stable\":2,\"candidate\":4", "\"stable\":3,\"candidate\":4",
	    "the state is impossible: service web (1): revision 3 is in charge,"
	    " and is not there" },
	{ "\"phase\":\"ROLLBACK\"", "\"phase\":\"PAUSED\"", "the state is "
	    "impossible: service web (1): phase paused, and what it waits for "
	    "is \"nothing\"" },
	{ "\"phase\":\"ROLLBACK\"", "\"phase\":\"ROLLBACK\",\"pause\":\"STEP\"",
	    "the state is impossible: service web (1): phase rollback, and what "
	    "it waits for is \"the step waits for an operator\"" },
	{ "\"base\":2,", "\"base\":3,", "the state is impossible: service web "
	    "(1): revision 3 gets connections, and is not there" },
	{ "\"base\":2,", "\"base\":2,\"weight_permille\":1001,", "the state is "
	    "impossible: service web (1): a weight of more than 1000 permille" },
	{ "\"steered_base\":2", "\"steered_base\":3", "the state is impossible:"
	    " service web (1): connections go to revision 3, which is not "
	    "there" },
	/* deployments */
	{ "\"deployment_last\":10", "\"deployment_last\":8", "the state is "
	    "impossible: service web (1): deployment 9 is beyond the last, 8" },
	{ "\"id\":9,\"service\":\"web\"", "\"service\":\"web\"", "the state is "
	    "impossible: service web (1): what waits is half there: deployment "
	    "0 and a release" },
	{ "\"kind\":\"RELOAD\",\"revision\":5", "\"kind\":\"RELOAD\","
	    "\"revision\":1", "the state is impossible: service web (1): "
	    "deployment 9 waits with revision 5, and is of revision 1" },
	{ "\"strategy\":\"canary\",\"started_s\"", "\"started_s\"", "the state "
	    "is impossible: service web (1): deployment 7 is of service \"web\","
	    " strategy \"\"" },
	{ "\"id\":7,\"service\":\"web\"", "\"id\":7,\"service\":\"b\"",
	    "the state is impossible: service web (1): deployment 7 is of "
	    "service \"b\", strategy \"canary\"" },
	{ "\"observation_count\":3", "\"observation_count\":33", "the state is "
	    "impossible: service web (1): deployment 7 has 33 steps and 1 hooks"
	    },
	{ "\"hook_kind\":\"BEFORE\"", "\"hook_turns\":3", "the state is "
	    "impossible: service web (1): before_rollout is run in 2 turns at "
	    "most, not 3" },
	{ "\"hook_count\":1", "\"hook_count\":2", "the state is impossible: "
	    "service web (1): deployment 7 ran a hook without a name" },
	{ "\"weight_permille\":50,\"candidates\":1", "\"weight_permille\":"
	    "1050,\"candidates\":1", "the state is impossible: service web "
	    "(1): deployment 7 saw a weight of 1050 permille" },
};

static void
test_damages(void **state)
{
	char *lines = sample_lines();

	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		char *text = replace(lines, damages[i].from, damages[i].to);
		char *log = log_of(text);

		expect(log, strlen(log), damages[i].expected);
		free(log);
		free(text);
	}
	free(lines);
}

/* One that is before the last is no half a turn. */
static void
test_commits(void **state)
{
	char *good = log_of(HEADER "{\"put\":\"engine\"}\n");
	char *bad = replace(good, "\"lines\":2", "\"lines\":3");

	(void)state;
	expect(bad, strlen(bad), "the state is damaged: line 3 ends a turn of 3 "
	    "lines, and there are 2");
	free(bad);
	bad = replace(good, "engine", "Engine");
	expect(bad, strlen(bad), "the state is damaged: line 3 ends a turn whose "
	    "sum is 0x59c2475640b9dce2, and that of its lines is "
	    "0x522cb1519a707582");
	free(bad);
	bad = replace(good, "\"sum\"", "\"som\"");
	expect(bad, strlen(bad), "the state is damaged: line 3 ends a turn whose "
	    "sum is missing, and that of its lines is 0x59c2475640b9dce2");
	free(bad);
	expect("", 0, "the state has no whole turn in its 0 bytes");
	expect(HEADER, strlen(HEADER), "the state has no whole turn in its 48 "
	    "bytes");
	free(good);
}

/* Whatever byte is changed, it is noticed or harmless. */
static void
test_any_byte(void **state)
{
	char *sample = read_test_file("state-1.jsonl");
	size_t length = strlen(sample);
	char why[REASON_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < length; i += 7) {
		char before = sample[i];
		struct state_image *image;

		sample[i] = (char)(before ^ 1 << i % 8);
		why[0] = '\0';
		image = state_read(sample, length, why);
		if (image != NULL)
			state_image_free(image);
		else
			assert_true(why[0] != '\0');
		sample[i] = before;
	}
	free(sample);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_1),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_too_new),
		cmocka_unit_test(test_damages),
		cmocka_unit_test(test_commits),
		cmocka_unit_test(test_any_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
