/*
 * supctl and rollouts: what reload, undo and restart ask for, what they show,
 * and above all what they exit with, against a fake supervisor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_supervisor.h"

#define EVENT(type, level, text) "{\"parameters\":{\"event\":{" \
	"\"time_ms\":1,\"type\":\"" type "\",\"level\":\"" level "\"," \
	"\"service\":\"web\",\"deployment\":7,\"slot\":0,\"revision\":4," \
	"\"pid\":99,\"text\":\"" text "\"}},\"continues\":true}"

#define OUTCOME(revision, rolls_out, text, verdict, reason) \
	"{\"service\":\"web\",\"revision\":" revision ",\"deployment\":7," \
	"\"rolls_out\":" rolls_out ",\"text\":\"" text "\",\"steps\":[]," \
	"\"verdict\":" verdict ",\"reason\":" reason "}"

#define OUTCOMES(list) "{\"parameters\":{\"outcomes\":[" list "]}}"

#define LAST(revision, from, verdict) "{\"parameters\":{\"rollout\":null," \
	"\"last\":{\"id\":7,\"service\":\"web\",\"kind\":\"reload\"," \
	"\"revision\":" revision ",\"from_revision\":" from "," \
	"\"version\":\"v2.1\",\"finished_time_s\":1000," \
	"\"duration_ms\":3249,\"verdict\":\"" verdict "\"," \
	"\"reason\":\"so it is\"}}}"

static void
test_complete(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { EVENT("started", "plain", "started"),
		    EVENT("exited", "warning", "exited\\u001b[1m"),
		    EVENT("finished", "plain", "revision 4 is in charge"),
		    OUTCOMES(OUTCOME("4", "true", "", "\"complete\"",
		    "null")) }, FAKE_STAYS },
		{ "RolloutStatus", { LAST("4", "3", "complete") },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload", "web");
	assert_string_equal(run->errors, "");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "{\"method\":\"io.supd.Reload\","
	    "\"parameters\":{\"services\":[\"web\"],\"wait\":true},"
	    "\"more\":true}\n");
	assert_string_equal(run->output,
	    "web: worker 0 of revision 4, pid 99: started\n"
	    "web: worker 0 of revision 4, pid 99: warning: exited?[1m\n"
	    "web: revision 4 (v2.1) is in charge, after 3.2 s\n");
}

static void
test_rolled_back(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { OUTCOMES(OUTCOME("4", "true", "",
		    "\"rolled-back\"", "\"worker web/0 of revision 4 exited "
		    "with status 1 after 12 ms\"")) }, FAKE_STAYS },
		{ "RolloutStatus", { LAST("4", "3", "rolled-back") },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload");
	assert_int_equal(run->code, 1);
	assert_has(fake_requests(), "\"parameters\":{\"wait\":true}");
	assert_string_equal(run->output, "web: rolled back to revision 3: "
	    "worker web/0 of revision 4 exited with status 1 after 12 ms; "
	    "revision 3 serves\n");
	run = SUPCTL("reload", "--json");
	assert_int_equal(run->code, 1);
	assert_memory_equal(run->output, "{\"outcomes\":[", 13);
}

/* What is exited with, for every kind of end. */
static const struct {
	const char *words[4];
	const char *reply, *last;
	int code;
	const char *says;
} ends[] = {
	{ { "reload" }, OUTCOMES(OUTCOME("4", "true", "",
	    "\"superseded\"", "\"a newer one\"")),
	    LAST("4", "3", "superseded"), 1,
	    "revision 4 (v2.1): superseded: a newer one\n" },
	{ { "reload" }, OUTCOMES(OUTCOME("4", "true", "",
	    "\"aborted\"", "\"an operator\"")),
	    LAST("4", "3", "aborted"), 1,
	    "revision 4 (v2.1): aborted: an operator; revision 3 "
	    "serves\n" },
	{ { "reload" }, OUTCOMES(OUTCOME("0", "false",
	    "nothing has changed", "null", "null")),
	    LAST("4", "3", "complete"), 0, "web: nothing has changed" },
	{ { "reload" }, OUTCOMES(OUTCOME("0", "false", "cannot begin",
	    "null", "\"no room\"")),
	    LAST("4", "3", "complete"), 1, "cannot begin: no room\n" },
	{ { "reload" }, OUTCOMES(OUTCOME("4", "true", "rolling out",
	    "null", "null")), LAST("4", "3", "complete"), 1,
	    "gave no verdict" },
	{ { "reload", "--no-wait" }, OUTCOMES(OUTCOME("4", "true",
	    "rolling out", "null", "null")),
	    LAST("4", "3", "complete"), 0, "web: revision 4: rolling "
	    "out; to see it: supctl rollout status web\n" },
	{ { "reload" }, OUTCOMES(OUTCOME("4", "true", "",
	    "\"complete\"", "null") "," OUTCOME("5", "true", "",
	    "\"rolled-back\"", "\"it\"")),
	    LAST("4", "3", "complete"), 1, "is in charge" },
	{ { "reload" }, OUTCOMES(""), LAST("4", "3", "complete"), 0,
	    "nothing to do\n" },
	{ { "restart", "web" }, OUTCOMES(OUTCOME("4", "true", "",
	    "\"complete\"", "null")), LAST("4", "3", "complete"), 0,
	    "web: revision 4 (v2.1) is in charge" },
	{ { "undo", "web" }, OUTCOMES(OUTCOME("3", "true", "",
	    "\"complete\"", "null")), LAST("3", "4", "complete"), 0,
	    "web: revision 3 (v2.1) is in charge" },
	/* undo of what runs: its end is what was asked for … */
	{ { "undo", "web" }, OUTCOMES(OUTCOME("3", "true", "",
	    "\"aborted\"", "\"an operator\"")),
	    LAST("4", "3", "aborted"), 0,
	    "web: revision 3 is in charge" },
	/* … and not if the undo itself was taken back */
	{ { "undo", "web" }, OUTCOMES(OUTCOME("3", "true", "",
	    "\"aborted\"", "\"an operator\"")),
	    LAST("3", "4", "aborted"), 1, "aborted: an operator" },
	{ { "undo", "web" }, OUTCOMES(OUTCOME("3", "true", "",
	    "\"rolled-back\"", "\"it\"")),
	    LAST("3", "4", "rolled-back"), 1,
	    "rolled back to revision 4: it; revision 4 serves" },
};

static void
test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct fake_answer answers[] = {
			{ "Reload", { ends[i].reply }, FAKE_STAYS },
			{ "Undo", { ends[i].reply }, FAKE_STAYS },
			{ "Restart", { ends[i].reply }, FAKE_STAYS },
			{ "RolloutStatus", { ends[i].last }, FAKE_STAYS },
			{ NULL } };
		const char *words[5] = { 0 };
		const struct fake_run *run;
		size_t count = 0;

		fake_start(answers);
		run = fake_supctl(0, ends[i].words);
		assert_has(run->output, ends[i].says);
		assert_int_equal(run->code, ends[i].code);
		while (ends[i].words[count] != NULL) {
			words[count] = ends[i].words[count];
			count++;
		}
		words[count] = "--json";
		if (strcmp(words[0], "restart") != 0)
			assert_int_equal(fake_supctl(0, words)->code,
			    ends[i].code);
		fake_stop();
	}
	fake_start(NULL);
}

static void
test_options(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { OUTCOMES("") }, FAKE_STAYS }, { NULL } };

	(void)state;
	setenv("TZ", "UTC-3", 1);
	fake_start(answers);
	assert_int_equal(SUPCTL("reload", "--version", "v2", "a", "--force",
	    "b", "--if-changed", "--no-wait", "--commit-time",
	    "1700000000")->code, 0);
	assert_has(fake_requests(), "{\"services\":[\"a\",\"b\"],"
	    "\"version\":\"v2\",\"commit_time_s\":1700000000,"
	    "\"force\":true,\"if_changed\":true,\"wait\":false}}\n");
	SUPCTL("reload", "--commit-time", "2023-11-14T22:13:21Z");
	assert_has(fake_requests(), "\"commit_time_s\":1700000001,");
	SUPCTL("reload", "--commit-time", "2023-11-15T00:13:22+02:00");
	assert_has(fake_requests(), "\"commit_time_s\":1700000002,");
	SUPCTL("reload", "--commit-time", "2023-11-14 19:43:23 -0230");
	assert_has(fake_requests(), "\"commit_time_s\":1700000003,");
	SUPCTL("reload", "--commit-time", "2023-11-15T01:13:24");
	assert_has(fake_requests(), "\"commit_time_s\":1700000004,");
	unsetenv("TZ");
}

#define STEP(candidates, hold_ms) "{\"candidates\":" candidates "," \
	"\"weight_permille\":1000,\"hold_ms\":" hold_ms "}"
#define PAUSE(candidates) "{\"candidates\":" candidates "," \
	"\"weight_permille\":1000,\"hold_ms\":0,\"pause\":true}"
#define FIVE_STEPS STEP("1", "0") "," STEP("2", "0") "," STEP("3", "0") "," \
	STEP("4", "0") "," STEP("5", "0")

static void
test_plan(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { OUTCOMES("{\"service\":\"web\",\"revision\":0,"
		    "\"deployment\":0,\"rolls_out\":true,"
		    "\"text\":\"would be rolled out\",\"steps\":["
		    STEP("2", "5000") "," PAUSE("3") "," STEP("4", "0") "]},"
		    "{\"service\":\"big\",\"rolls_out\":true,\"steps\":["
		    FIVE_STEPS "," FIVE_STEPS "," FIVE_STEPS ","
		    STEP("1000", "0") "]},{\"service\":\"long\","
		    "\"rolls_out\":true,\"steps\":[" FIVE_STEPS ","
		    FIVE_STEPS "," PAUSE("6") "," STEP("7", "0") "]}") },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload", "--plan");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "\"plan\":true,\"wait\":false}}\n");
	assert_has(run->output, "web: would be rolled out\n"
	    "  STEP  NEW WORKERS  WEIGHT  STAYS\n"
	    "  1     2            100%    5.0 s\n"
	    "  2     3            100%    until resumed\n"
	    "  last  4            100%\n");
	assert_has(run->output, "  10        5            100%\n"
	    "  ... last  1000         100%\n");
	assert_has(run->output, "  11    6            100%    until resumed\n"
	    "  last  7            100%\n");
	assert_has(run->output, "nothing was changed\n");
}

static void
test_left_alone(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Restart", { EVENT("started", "plain", "started") },
		    FAKE_INTERRUPTS },
		{ "Reload", { NULL }, FAKE_INTERRUPTS }, { NULL } };
	static const char unknown[] = "supctl: interrupted; what became of "
	    "the request is not known, see: supctl status\n";
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("restart", "web");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "supctl: interrupted; the rollout goes on (to "
	    "see it: supctl rollout status web; to take it back: supctl undo "
	    "web)\n");
	/* Without an answer there may be none. */
	assert_string_equal(SUPCTL("reload", "--no-wait")->errors, unknown);
	assert_string_equal(SUPCTL("reload", "--plan")->errors, unknown);
}

/* Who reads us may go; the verdict is still what counts. */
static void
test_nobody_reads(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { EVENT("started", "plain", "started"),
		    OUTCOMES(OUTCOME("4", "true", "", "\"complete\"",
		    "null")) }, FAKE_STAYS },
		{ "Undo", { EVENT("started", "plain", "started"),
		    OUTCOMES(OUTCOME("4", "true", "", "\"rolled-back\"",
		    "null")) }, FAKE_STAYS },
		{ "RolloutStatus", { LAST("4", "3", "complete") },
		    FAKE_STAYS }, { NULL } };
	static const char *const good[] = { "reload", NULL };
	static const char *const bad[] = { "undo", "web", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_DEAF, good);
	assert_int_equal(run->code, 0);
	assert_string_equal(run->errors, "");
	assert_int_equal(fake_supctl(FAKE_DEAF, bad)->code, 1);
}

/* What would be printed is not said to supd over the connection. */
static void
test_no_output(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { EVENT("started", "plain", "started"),
		    OUTCOMES(OUTCOME("4", "true", "", "\"complete\"",
		    "null")) }, FAKE_STAYS },
		{ "RolloutStatus", { LAST("4", "3", "complete") },
		    FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "reload", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_CLOSED, words);
	assert_string_equal(run->errors, "supctl: cannot write to standard "
	    "output: Bad file descriptor\n");
	assert_int_equal(run->code, 1);
	assert_has_not(fake_requests(), "web: ");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_complete),
		FAKE_TEST(test_rolled_back),
		FAKE_TEST(test_verdicts),
		FAKE_TEST(test_options),
		FAKE_TEST(test_plan),
		FAKE_TEST(test_left_alone),
		FAKE_TEST(test_nobody_reads),
		FAKE_TEST(test_no_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
