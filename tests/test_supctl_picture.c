/*
 * A rollout as supctl shows it while it runs: the picture of reload on a
 * terminal, `rollout status`, once and again and again, against a fake
 * supervisor.
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

#define DEPLOYMENT(id, verdict) "{\"id\":" id ",\"service\":\"web\"," \
	"\"kind\":\"reload\",\"revision\":4,\"from_revision\":3," \
	"\"version\":\"v2.1\",\"strategy\":\"canary\"," \
	"\"finished_time_s\":1000,\"duration_ms\":192000,\"verdict\":\"" \
	verdict "\",\"reason\":\"so it is\"}"

#define STEPS "\"step_count\":4,\"steps\":[" \
	"{\"candidates\":1,\"weight_permille\":50,\"hold_ms\":60000}," \
	"{\"candidates\":1,\"weight_permille\":250,\"hold_ms\":300000}," \
	"{\"candidates\":2,\"weight_permille\":500,\"pause\":true}," \
	"{\"candidates\":4,\"weight_permille\":1000}]"

#define LANES "\"lanes\":[" \
	"{\"name\":\"stable\",\"revision\":3,\"version\":\"v2.0\"," \
	"\"weight_permille\":750,\"ready\":4,\"workers\":4," \
	"\"queue_length\":0,\"label\":0,\"probes_passed\":120," \
	"\"probes_failed\":0,\"probe_failing\":2," \
	"\"probe_text\":\"refused\"}," \
	"{\"name\":\"candidate\",\"revision\":4," \
	"\"version\":\"v2.1-14-g2414721-dirty\"," \
	"\"weight_permille\":250,\"ready\":1,\"workers\":2," \
	"\"queue_length\":17,\"label\":1,\"probes_passed\":118," \
	"\"probes_failed\":2,\"probe_failing\":1," \
	"\"probe_text\":\"status 503, \\u001b[2Jnot 200-399\"}]"

#define WORKERS "\"workers\":4,\"worker_list\":[" \
	"{\"slot\":0,\"revision\":3,\"state\":\"ready\"}," \
	"{\"slot\":0,\"revision\":4,\"state\":\"ready\"}," \
	"{\"slot\":1,\"revision\":4,\"state\":\"starting\"}," \
	"{\"slot\":1,\"revision\":3,\"state\":\"ready\"}," \
	"{\"slot\":1,\"revision\":3,\"state\":\"killed\"}," \
	"{\"slot\":4095,\"revision\":3,\"state\":\"draining\"}," \
	"{\"slot\":2,\"revision\":3,\"state\":\"ready\"}," \
	"{\"slot\":3,\"revision\":3,\"state\":\"ready\"}]"

#define STATUS(more) "{\"parameters\":{\"supervisor\":{},\"services\":[{" \
	"\"name\":\"web\"," WORKERS more "}]}}"

#define ROLLOUT(id, more) ",\"rollout\":{\"deployment\":" \
	DEPLOYMENT(id, "running") "," more "}"

#define RUNS STATUS(ROLLOUT("7", "\"phase\":\"climb\",\"step\":2," \
	STEPS ",\"steered\":true,\"steer\":\"random\"," \
	"\"hold_left_ms\":130000,\"waits_for\":\"the rest of the hold\"," \
	LANES ",\"verbs\":[\"pause\",\"promote\",\"abort\"]," \
	"\"fault\":null,\"next_revision\":0"))

#define ENDED(id, verdict) \
	STATUS(",\"rollout\":null,\"last\":" DEPLOYMENT(id, verdict))

static const char picture[] =
    "web  reload  revision 3 -> 4 (v2.1)  canary  climb  3m12s\n"
    "  step 2 of 4:  5% 1m  [25% 5m, 2m10s left]  50% pause  100%\n"
    "  LANE       REVISION          WEIGHT  READY  QUEUE  PROBES         "
    "WORKERS\n"
    "  stable     3 (v2.0)          75%     4/4    0      120            "
    "oooo  1 draining, 1 killed\n"
    "  candidate  4 (v2.1-14-g241)  25%     1/2    17     118, 2 failed  "
    "o+..  1 starting\n"
    "  waits for the rest of the hold\n"
    "  stable: the last 2 probes failed: refused\n"
    "  candidate: the last probe failed: status 503, ?[2Jnot 200-399\n"
    "  so it is\n"
    "  possible now: pause, promote, abort\n";

/* A terminal ends lines with \r\n. */
static char *
without_returns(const char *text)
{
	char *copy = strdup(text), *out = copy;

	for (; *text != '\0'; text++)
		if (text[0] != '\r' || text[1] != '\n')
			*out++ = *text;
	*out = '\0';
	return copy;
}

static void
test_status_of_what_runs(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { RUNS }, FAKE_STAYS },
		{ "RolloutStatus", { "{\"parameters\":{\"rollout\":null}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web");
	assert_string_equal(run->errors, "");
	assert_string_equal(run->output, picture);
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "\"parameters\":{\"service\":\"web\"}");
	run = SUPCTL("rollout", "status", "web", "--json");
	assert_string_equal(run->output, "{\"rollout\":null}\n");
}

static void
test_status_of_the_last(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { ENDED("7", "rolled-back") }, FAKE_STAYS },
		{ "Status", { STATUS("") }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "web: no rollout is running; the last rollout "
	    "(reload, to revision 4 (v2.1)) was rolled-back ");
	assert_has(run->output, " ago, after 3m12s: so it is\n");
	run = SUPCTL("rollout", "status", "web");
	assert_int_equal(run->code, 0);
	assert_string_equal(run->output, "web: no rollout is running\n");
}

/* What differs by phase, strategy and what the supervisor knows. */
static const struct {
	const char *rollout;
	const char *says[3];
} variants[] = {
	{ "\"phase\":\"paused\",\"step\":3," STEPS ",\"steered\":true,"
	    "\"steer\":\"source_ip\"," LANES, {
	    ":  5% 1m  25% 5m  [50% pause, paused]  100%\n",
	    "  OF CLIENTS  READY  ", "  paused  3m12s\n" } },
	{ "\"phase\":\"keep\",\"step\":5," STEPS ",\"hold_left_ms\":598000",
	    { "  step 4 of 4:  5% 1m  25% 5m  50% pause  [100%]\n",
	    "  the old release stays warm for 9m58s more\n",
	    "  keep  3m12s\n" } },
	{ "\"phase\":\"rollback\",\"step\":2," STEPS ",\"steered\":false,"
	    LANES ",\"fault\":\"a new worker exited\",\"next_revision\":5",
	    { "  OF WORKERS  READY  ", "  a new worker exited\n  so it is\n",
	    "  revision 5 waits for its end\n" } },
	/* No lanes, no steps: what the workers say. */
	{ "\"phase\":\"climb\",\"step\":1,\"step_count\":4,\"steps\":[]",
	    { "  step 1 of 4\n",
	    "  LANE       REVISION  READY  WORKERS\n"
	    "  stable     3         4/6    oooo  1 draining, 1 killed\n"
	    "  candidate  4         1/2    o+..  1 starting\n" } },
};

static void
test_variants(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		char reply[4096];

		snprintf(reply, sizeof(reply), "{\"parameters\":{"
		    "\"services\":[{\"name\":\"web\"," WORKERS ","
		    "\"rollout\":{\"deployment\":" DEPLOYMENT("7", "running")
		    ",%s}}]}}", variants[i].rollout);
		answers[0].replies[0] = reply;
		fake_start(answers);
		SUPCTL("rollout", "status", "web");
		for (size_t j = 0; j < 3 && variants[i].says[j]; j++)
			assert_has(SUPCTL("rollout", "status",
			    "web")->output, variants[i].says[j]);
		fake_stop();
	}
	fake_start(NULL);
}

/* Many steps: those around the present one, and the last. */
static void
test_many_steps(void **state)
{
	static const struct {
		int step;
		const char *says;
	} rows[] = {
		{ 1, ":  [1%]  2%  3%  4%  5%  6%  ...  100%\n" },
		{ 3, ":  1%  2%  [3%]  4%  5%  6%  ...  100%\n" },
		{ 9, ":  ...  7%  8%  [9%]  10%  11%  ...  100%\n" },
		{ 50, "  step 50 of 100:  ...  100%\n" },
		{ 100, "  step 100 of 100:  ...  10%  11%  ...  [100%]\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		char *reply = NULL;
		size_t size_bytes;
		FILE *out = open_memstream(&reply, &size_bytes);

		fprintf(out, "{\"parameters\":{\"services\":[{\"name\":"
		    "\"web\",\"rollout\":{\"deployment\":{},\"step\":%d,"
		    "\"step_count\":100,\"steps\":[", rows[i].step);
		/* As the supervisor does, which leaves some out. */
		for (int step = 1; step <= 11; step++)
			fprintf(out, "{\"weight_permille\":%d},", 10 * step);
		fputs("{\"weight_permille\":1000}]}}]}}", out);
		fclose(out);
		answers[0].replies[0] = reply;
		fake_start(answers);
		assert_has(SUPCTL("rollout", "status", "web")->output,
		    rows[i].says);
		fake_stop();
		free(reply);
	}
	fake_start(NULL);
}

/* Up to 32 workers are drawn; more are counted. */
static void
test_many_workers(void **state)
{
	static const struct {
		int workers;
		const char *says;
	} rows[] = {
		{ 32, "1/2    o+..............................  1 starting" },
		{ 33, "1/2    1 ready, 1 starting\n" },
		{ 1000, "1/2    1 ready, 1 starting\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		char reply[512];

		snprintf(reply, sizeof(reply), "{\"parameters\":{\"services\":"
		    "[{\"name\":\"web\",\"workers\":%d,\"worker_list\":["
		    "{\"slot\":0,\"revision\":4,\"state\":\"ready\"},"
		    "{\"slot\":1,\"revision\":4,\"state\":\"starting\"}],"
		    "\"rollout\":{\"deployment\":{\"revision\":4},"
		    "\"phase\":\"climb\"}}]}}", rows[i].workers);
		answers[0].replies[0] = reply;
		fake_start(answers);
		assert_has(SUPCTL("rollout", "status", "web")->output,
		    rows[i].says);
		fake_stop();
	}
	fake_start(NULL);
}

#define EVENT(level, text) "{\"parameters\":{\"event\":{\"time_ms\":1," \
	"\"type\":\"x\",\"level\":\"" level "\",\"service\":\"web\"," \
	"\"text\":\"" text "\"}},\"continues\":true}"
#define OUTCOMES "{\"parameters\":{\"outcomes\":[{\"service\":\"web\"," \
	"\"revision\":4,\"deployment\":7,\"rolls_out\":true," \
	"\"verdict\":\"complete\"}]}}"

static void
test_picture(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { EVENT("plain", "started"),
		    EVENT("warning", "exited"), OUTCOMES }, FAKE_STAYS },
		{ "Status", { RUNS }, FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "reload", "web", NULL };
	const struct fake_run *run;
	const char *verdict;
	char *shown;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL | FAKE_PLAIN, words);
	assert_int_equal(run->code, 0);
	shown = without_returns(run->output);
	assert_has(shown, picture);
	/* Plain events are in the picture, warnings are lines. */
	assert_has_not(shown, "started\n" "web");
	assert_has(shown, "\033[10A\r\033[Jweb: warning: exited\nweb  reload");
	/* At the end only the verdict stands there. */
	verdict = strstr(shown, "\033[10A\r\033[Jweb: revision 4");
	assert_non_null(verdict);
	assert_has(verdict, "revision 4 is in charge");
	assert_has_not(verdict, "step 2 of 4");
	free(shown);
}

static void
test_picture_of_many(void **state)
{
	static const char row[] = "{\"name\":\"web\",\"rollout\":{"
	    "\"deployment\":{\"kind\":\"reload\",\"from_revision\":3,"
	    "\"revision\":4,\"strategy\":\"rolling\",\"duration_ms\":10},"
	    "\"phase\":\"climb\",\"step\":1,\"step_count\":2}}";
	struct fake_answer answers[] = {
		{ "Reload", { EVENT("plain", "started"), OUTCOMES },
		    FAKE_STAYS }, { "Status", { NULL }, FAKE_STAYS },
		{ NULL } };
	static const char *const words[] = { "reload", NULL };
	char reply[1024];

	(void)state;
	snprintf(reply, sizeof(reply), "{\"parameters\":{\"services\":"
	    "[%s,{\"name\":\"idle\"},%s,%s]}}", row, row, row);
	answers[1].replies[0] = reply;
	fake_start(answers);
	assert_has(fake_supctl(FAKE_TERMINAL | FAKE_PLAIN, words)->output,
	    "web  reload  revision 3 -> 4  rolling  climb  10 ms  step 1 of 2"
	    "\r\nweb  reload");
	assert_has(fake_requests(), "io.supd.Status");
}

/* Who sees no picture is told as lines what it would have shown. */
static void
test_picture_is_lost(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { EVENT("plain", "started"),
		    EVENT("plain", "got ready"), OUTCOMES }, FAKE_STAYS },
		{ "Status", { NULL }, FAKE_HANGS_UP }, { NULL } };
	static const char *const words[] = { "reload", "web", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL | FAKE_PLAIN, words);
	assert_int_equal(run->code, 0);
	assert_has(run->output, "web: got ready\r\nweb: revision 4");
}

/* --watch: until the rollout ends, and with its exit code. */
static const struct {
	const char *first, *second;
	int code;
	const char *says, *complains;
} watches[] = {
	{ RUNS, ENDED("7", "complete"), 0, "was complete", "" },
	{ RUNS, ENDED("7", "rolled-back"), 1, "was rolled-back", "" },
	{ RUNS, ENDED("7", "aborted"), 1, "was aborted", "" },
	{ RUNS, ENDED("8", "complete"), 1, "was complete",
	    "another rollout came after the one that was watched" },
	{ RUNS, STATUS(ROLLOUT("8", "\"phase\":\"climb\"") ",\"last\":"
	    DEPLOYMENT("7", "superseded")), 1, "web  reload", "" },
	{ ENDED("7", "complete"), RUNS, 0, "was complete", "" },
	{ ENDED("7", "aborted"), RUNS, 1, "was aborted", "" },
	{ STATUS(""), RUNS, 0, "no rollout is running\n", "" },
};

static void
test_watch(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++) {
		const struct fake_answer answers[] = {
			{ "Status", { watches[i].first }, FAKE_STAYS },
			{ "Status", { watches[i].second }, FAKE_STAYS },
			{ NULL } };
		const struct fake_run *run;

		fake_start(answers);
		run = SUPCTL("rollout", "status", "web", "--watch");
		assert_has(run->output, watches[i].says);
		assert_has(run->errors, watches[i].complains);
		if (watches[i].complains[0] == '\0')
			assert_string_equal(run->errors, "");
		assert_int_equal(run->code, watches[i].code);
		fake_stop();
	}
	fake_start(NULL);
}

static void
test_watch_is_left(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { RUNS }, FAKE_INTERRUPTS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web", "--watch");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "web: the rollout goes on, its end is not "
	    "known\n");
}

static void
test_watch_in_place(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { RUNS }, FAKE_STAYS },
		{ "Status", { ENDED("7", "complete") }, FAKE_STAYS },
		{ NULL } };
	static const char *const words[] = { "rollout", "status", "web",
		"--watch", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL | FAKE_PLAIN, words);
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\033[2J\033[H" "web  reload  revision 3");
	assert_has(run->output, "2m10s left]  50% pause  100%\033[K");
	assert_has(run->output, "\033[Hweb: no rollout is running; the last");
}

static void
test_watch_as_json(void **state)
{
	static const struct fake_answer answers[] = {
		{ "RolloutStatus", { "{\"parameters\":{\"rollout\":{"
		    "\"deployment\":{\"id\":7}}}}" }, FAKE_STAYS },
		{ "RolloutStatus", { "{\"parameters\":{\"rollout\":null,"
		    "\"last\":{\"id\":7,\"verdict\":\"aborted\"}}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web", "--watch", "--json");
	assert_int_equal(run->code, 1);
	assert_string_equal(run->output,
	    "{\"rollout\":{\"deployment\":{\"id\":7}}}\n"
	    "{\"rollout\":null,\"last\":{\"id\":7,\"verdict\":"
	    "\"aborted\"}}\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_status_of_what_runs),
		FAKE_TEST(test_status_of_the_last),
		FAKE_TEST(test_variants),
		FAKE_TEST(test_many_steps),
		FAKE_TEST(test_many_workers),
		FAKE_TEST(test_picture),
		FAKE_TEST(test_picture_of_many),
		FAKE_TEST(test_picture_is_lost),
		FAKE_TEST(test_watch),
		FAKE_TEST(test_watch_is_left),
		FAKE_TEST(test_watch_in_place),
		FAKE_TEST(test_watch_as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
