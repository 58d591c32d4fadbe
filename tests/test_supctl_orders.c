/*
 * Orders to the rollout that runs (pause, resume, promote, abort, undo), what
 * is said where they are not possible, and the releases that are in charge
 * while the old ones are kept warm, against a fake supervisor.
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

#define OUTCOME(revision, text, verdict, reason) \
	"{\"parameters\":{\"outcomes\":[{\"service\":\"web\"," \
	"\"revision\":" revision ",\"deployment\":7,\"rolls_out\":true," \
	"\"text\":\"" text "\",\"steps\":[],\"verdict\":" verdict "," \
	"\"reason\":" reason "}]}}"

#define DEPLOYMENT(in_charge, verdict) "{\"id\":7,\"service\":\"web\"," \
	"\"kind\":\"reload\",\"revision\":4,\"from_revision\":3," \
	"\"version\":\"v2.1\",\"duration_ms\":3249," \
	"\"in_charge_time_s\":" in_charge ",\"verdict\":\"" verdict "\"}"

#define ENDED(verdict) "{\"parameters\":{\"rollout\":null,\"last\":" \
	DEPLOYMENT("null", verdict) "}}"

#define RUNS(phase, in_charge) "{\"parameters\":{\"rollout\":{" \
	"\"deployment\":" DEPLOYMENT(in_charge, "running") "," \
	"\"phase\":\"" phase "\",\"hold_left_ms\":598000},\"last\":null}}"

/* What is answered at once. */
static void
test_pause_and_resume(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Pause", { OUTCOME("4", "paused in step 2 of 4", "null",
		    "null") }, FAKE_STAYS },
		{ "Resume", { "{\"parameters\":{\"outcomes\":[]}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "pause", "web");
	assert_string_equal(run->errors, "");
	assert_string_equal(run->output, "web: paused in step 2 of 4\n");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "{\"method\":\"io.supd.Pause\","
	    "\"parameters\":{\"service\":\"web\"}}\n");
	run = SUPCTL("rollout", "resume", "web");
	assert_string_equal(run->output, "web: the rollout goes on\n");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "io.supd.Resume");
	run = SUPCTL("rollout", "pause", "web", "--json");
	assert_int_equal(run->code, 0);
	assert_memory_equal(run->output, "{\"outcomes\":[{\"service\":", 23);
}

/* What is waited for: what it says, and what it exits with. */
static const struct {
	const char *words[5];
	const char *reply, *known;
	int code;
	const char *says;
} ends[] = {
	{ { "rollout", "promote", "web" }, OUTCOME("4", "", "\"complete\"",
	    "null"), ENDED("complete"), 0,
	    "web: revision 4 (v2.1) is in charge, after 3.2 s\n" },
	{ { "rollout", "promote", "web" }, OUTCOME("4", "", "\"rolled-back\"",
	    "\"a probe failed\""), ENDED("rolled-back"), 1,
	    "web: rolled back to revision 3: a probe failed; revision 3 "
	    "serves\n" },
	{ { "rollout", "promote", "web", "--no-wait" }, OUTCOME("4",
	    "goes to 100 %", "null", "null"), RUNS("climb", "null"), 0,
	    "web: goes to 100 %; to see it: supctl rollout status web\n" },
	{ { "rollout", "abort", "web" }, OUTCOME("3", "", "\"aborted\"",
	    "\"an operator took it back\""), ENDED("aborted"), 0,
	    "web: revision 4 (v2.1) was taken back, after 3.2 s; revision 3 "
	    "serves\n" },
	/* something else took it back first */
	{ { "rollout", "abort", "web" }, OUTCOME("4", "", "\"rolled-back\"",
	    "null"), ENDED("rolled-back"), 0, "was taken back" },
	{ { "rollout", "abort", "web" }, OUTCOME("4", "", "\"complete\"",
	    "null"), ENDED("complete"), 1,
	    "web: too late: revision 4 (v2.1) is in charge\n" },
	{ { "rollout", "abort", "web" }, OUTCOME("4", "", "\"superseded\"",
	    "\"a newer release came\""), ENDED("superseded"), 1,
	    "web: revision 4 (v2.1): superseded: a newer release came\n" },
	{ { "rollout", "abort", "web", "--no-wait" }, OUTCOME("3",
	    "going back to revision 3", "null", "null"),
	    RUNS("rollback", "null"), 0, "web: going back to revision 3; to "
	    "see it: supctl rollout status web\n" },
	/* The old release is kept warm: a success, and not the end yet. */
	{ { "reload", "web" }, OUTCOME("4", "the old release stays warm for "
	    "10m", "\"running\"", "null"), RUNS("keep", "1000"), 0,
	    "web: revision 4 (v2.1) is in charge, after 3.2 s; the old "
	    "release stays warm for 10m\n" },
	{ { "reload", "web" }, OUTCOME("4", "", "null", "null"),
	    RUNS("keep", "1000"), 0, "web: revision 4 (v2.1) is in charge, "
	    "after 3.2 s; the old release stays warm for 9m58s\n" },
	{ { "reload", "web" }, OUTCOME("4", "", "\"running\"", "null"),
	    "{\"error\":\"io.supd.Busy\"}", 0, "revision 4 is in charge" },
	{ { "rollout", "promote", "web" }, OUTCOME("4", "", "\"running\"",
	    "null"), RUNS("keep", "1000"), 0, "; the old release stays warm" },
	/* No verdict, and it is not in charge. */
	{ { "reload", "web" }, OUTCOME("4", "", "null", "null"),
	    RUNS("climb", "null"), 1, "web: the supervisor gave no verdict" },
	/* keep: undo is what abort is. */
	{ { "undo", "web" }, OUTCOME("3", "", "\"aborted\"", "null"),
	    ENDED("aborted"), 0, "web: revision 3 is in charge, after" },
};

static void
test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct fake_answer answers[] = {
			{ "Promote", { ends[i].reply }, FAKE_STAYS },
			{ "Abort", { ends[i].reply }, FAKE_STAYS },
			{ "Reload", { ends[i].reply }, FAKE_STAYS },
			{ "Undo", { ends[i].reply }, FAKE_STAYS },
			{ "RolloutStatus", { ends[i].known }, FAKE_STAYS },
			{ NULL } };
		const char *words[6] = { 0 };
		const struct fake_run *run;
		size_t count = 0;

		fake_start(answers);
		for (; ends[i].words[count] != NULL; count++)
			words[count] = ends[i].words[count];
		run = fake_supctl(0, words);
		assert_string_equal(run->errors, "");
		assert_has(run->output, ends[i].says);
		assert_int_equal(run->code, ends[i].code);
		words[count] = "--json";
		run = fake_supctl(0, words);
		assert_int_equal(run->code, ends[i].code);
		assert_memory_equal(run->output, "{\"outcomes\":[", 13);
		fake_stop();
	}
	fake_start(NULL);
}

static void
test_requests(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Abort", { OUTCOME("3", "", "\"aborted\"", "null") },
		    FAKE_STAYS },
		{ "Undo", { OUTCOME("2", "", "\"complete\"", "null") },
		    FAKE_STAYS },
		{ "Reload", { "{\"parameters\":{\"outcomes\":[]}}" },
		    FAKE_STAYS }, { NULL } };

	(void)state;
	fake_start(answers);
	SUPCTL("rollout", "abort", "web");
	assert_has(fake_requests(), "{\"method\":\"io.supd.Abort\","
	    "\"parameters\":{\"service\":\"web\",\"wait\":true},"
	    "\"more\":true}\n");
	SUPCTL("rollout", "abort", "web", "--no-wait");
	assert_has(fake_requests(), "{\"method\":\"io.supd.Abort\","
	    "\"parameters\":{\"service\":\"web\",\"wait\":false}}\n");
	assert_int_equal(SUPCTL("undo", "web", "--to-revision", "2")->code,
	    0);
	assert_has(fake_requests(), "\"parameters\":{\"service\":\"web\","
	    "\"to_revision\":2,\"wait\":true}");
	SUPCTL("reload", "web", "--strategy", "blue-green");
	assert_has(fake_requests(), "\"services\":[\"web\"],"
	    "\"strategy\":\"blue-green\",\"wait\":true}");
}

/* Where an order is not possible: in which phase that is, and what is. */
static const struct {
	const char *words[4];
	const char *phase, *text;
	const char *says;
} refusals[] = {
	{ { "rollout", "pause", "web" }, "idle", "web: no rollout is running",
	    "supctl: web: no rollout is running (phase idle; possible now: "
	    "undo); nothing was changed\n" },
	{ { "rollout", "promote", "web" }, "paused", "web: it is paused "
	    "because a worker failed; nothing was changed",
	    "supctl: web: it is paused because a worker failed; nothing was "
	    "changed (phase paused; possible now: resume, abort, undo)\n" },
	{ { "rollout", "resume", "web" }, "climb", "web: is not paused",
	    "(phase climb; possible now: pause, promote, abort, undo); nothing was "
	    "changed\n" },
	{ { "rollout", "promote", "web" }, "prepare", "web: before_rollout "
	    "runs", "(phase prepare; possible now: abort, undo); nothing" },
	{ { "rollout", "pause", "web" }, "keep", "web: is in charge already",
	    "(phase keep; possible now: promote, abort, undo); nothing" },
	{ { "rollout", "abort", "web" }, "rollback", "web: goes back already",
	    "web: goes back already (phase rollback); nothing was changed\n" },
	{ { "undo", "web" }, "idle", "web: there is no earlier release",
	    "web: there is no earlier release (phase idle); nothing was" },
	{ { "rollout", "pause", "web" }, "", "",
	    "this is not possible now (phase unknown); nothing was" },
};

static void
test_wrong_phase(void **state)
{
	static const char *const methods[] = { "Pause", "Resume", "Promote",
		"Abort", "Undo" };

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct fake_answer answers[6] = { { NULL } };
		const struct fake_run *run;
		char reply[512];

		snprintf(reply, sizeof(reply),
		    "{\"error\":\"io.supd.WrongPhase\",\"parameters\":"
		    "{\"phase\":\"%s\",\"text\":\"%s\"}}",
		    refusals[i].phase, refusals[i].text);
		for (size_t j = 0; j < 5; j++) {
			answers[j].method = methods[j];
			answers[j].replies[0] = reply;
		}
		fake_start(answers);
		run = fake_supctl(0, refusals[i].words);
		assert_has(run->errors, refusals[i].says);
		assert_int_equal(run->code, 1);
		assert_string_equal(run->output, "");
		fake_stop();
	}
	fake_start(NULL);
}

/* The row of this phase in the manual's table: what is possible in it. */
static char *
manual_row(const char *phase)
{
	const char *top = getenv("top_srcdir");
	char path[512], head[32], line[256], *row = NULL;
	FILE *in;

	snprintf(path, sizeof(path), "%s/src/supctl.1", top ? top : "..");
	in = fopen(path, "r");
	assert_non_null(in);
	snprintf(head, sizeof(head), ".It %s Ta ", phase);
	while (row == NULL && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, head, strlen(head)) == 0)
			row = strdup(strstr(line + strlen(head), " Ta ") + 4);
	fclose(in);
	assert_non_null(row);
	row[strcspn(row, "\n")] = '\0';
	return row;
}

/* What supctl says is possible is what the manual says. */
static void
test_manual_agrees(void **state)
{
	static const char *const phases[] = { "prepare", "climb", "paused",
		"keep", "retire", "rollback", "idle" };

	(void)state;
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		struct fake_answer answers[2] = { { NULL } };
		char reply[256], expected[256], *row = manual_row(phases[i]);

		snprintf(reply, sizeof(reply), "{\"error\":"
		    "\"io.supd.WrongPhase\",\"parameters\":{\"phase\":"
		    "\"%s\",\"text\":\"no\"}}", phases[i]);
		snprintf(expected, sizeof(expected), "no (phase %s%s%s)",
		    phases[i], strcmp(row, "none") == 0 ? "" :
		    "; possible now: ", strcmp(row, "none") == 0 ? "" : row);
		answers[0].method = "Status";
		answers[0].replies[0] = reply;
		fake_start(answers);
		/* This one refuses nothing, so that all are listed. */
		assert_has(SUPCTL("rollout", "status", "web")->errors,
		    expected);
		fake_stop();
		free(row);
	}
	fake_start(NULL);
}

/* Looking changes nothing, and an error does not say that nothing was; an
 * order whose answer does not come may have been carried out. */
static void
test_what_became_of_it(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { NULL }, FAKE_HANGS_UP },
		{ "Pause", { NULL }, FAKE_HANGS_UP },
		{ "Abort", { NULL }, FAKE_HANGS_UP }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web");
	assert_int_equal(run->code, 1);
	assert_has_not(run->errors, "request");
	run = SUPCTL("rollout", "pause", "web");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "what became of the request is not known");
	run = SUPCTL("rollout", "abort", "web", "--no-wait");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "what became of the request is not known");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_pause_and_resume),
		FAKE_TEST(test_ends),
		FAKE_TEST(test_requests),
		FAKE_TEST(test_wrong_phase),
		FAKE_TEST(test_manual_agrees),
		FAKE_TEST(test_what_became_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
