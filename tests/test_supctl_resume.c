/*
 * supctl waits for a rollout and supd is restarted: at each moment of the wait,
 * with its socket open or away for a while.  Shown and exited with is what it
 * would have been.  Against a fake supervisor.
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

#define EVENT(time_ms, deployment, type, text) "{\"parameters\":{\"event\":" \
	"{\"time_ms\":" time_ms ",\"type\":\"" type "\",\"level\":" \
	"\"plain\",\"service\":\"web\",\"deployment\":" deployment "," \
	"\"text\":\"" text "\"}},\"continues\":true}"

#define DEPLOYMENT(id, kind, started, finished, verdict) "{\"id\":" id "," \
	"\"service\":\"web\",\"kind\":\"" kind "\",\"revision\":4," \
	"\"from_revision\":3,\"version\":\"v2.1\",\"started_time_s\":" \
	started ",\"finished_time_s\":" finished ",\"duration_ms\":3249," \
	"\"verdict\":\"" verdict "\",\"reason\":\"so it is\"}"

#define RUNNING(id, kind, started, phase, next) "\"rollout\":{" \
	"\"deployment\":" DEPLOYMENT(id, kind, started, "null", "running") \
	",\"phase\":\"" phase "\",\"hold_left_ms\":598000," \
	"\"next_revision\":" next "}"

#define STATE(rollout, last) "{\"parameters\":{" rollout ",\"last\":" last "}}"
#define IDLE "\"rollout\":null"

/* As it is while the rollout 7 of a reload runs, and after it. */
#define RUNS STATE(RUNNING("7", "reload", "@", "climb", "0"), "null")
#define ENDED(verdict) STATE(IDLE, DEPLOYMENT("7", "reload", "@", "@", verdict))
#define OLD DEPLOYMENT("6", "reload", "1000", "1010", "complete")

#define STARTED EVENT("1000", "7", "started", "started")
#define FINISHED EVENT("1002", "7", "finished", "it is")

#define BACK "supctl: supd was restarted, or closed the connection; " \
	"connected again, still waiting\n"
#define GOOD "web: revision 4 (v2.1) is in charge, after 3.2 s\n"

/* What happens, and what supctl makes of it. */
static const struct {
	const char *name;
	const char *words[5];
	struct fake_answer answers[8];
	int code;
	const char *output, *errors;
} cases[] = {
	{ "it runs, and ends later", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { EVENT("1001", "7", "ready", "ready"),
		    FINISHED }, FAKE_LINGERS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: started\nweb: ready\n" GOOD, BACK },
	{ "the socket is away for a while", { "restart", "web" }, {
		{ "Restart", { STARTED }, FAKE_LEAVES },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: started\n" GOOD, BACK },
	{ "it has ended meanwhile", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { ENDED("rolled-back") }, FAKE_STAYS } },
	    1, "web: started\nweb: rolled back to revision 3: so it is; "
	    "revision 3 serves\n", BACK },
	{ "and another one came after it", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("9", "reload", "@", "climb",
		    "0"), DEPLOYMENT("8", "reload", "@", "@", "complete")) },
		    FAKE_STAYS },
		{ "History", { "{\"parameters\":{\"deployments\":["
		    DEPLOYMENT("8", "reload", "@", "@", "complete") ","
		    DEPLOYMENT("7", "reload", "@", "@", "aborted") ","
		    DEPLOYMENT("5", "reload", "@", "@", "complete")
		    "]}}" }, FAKE_STAYS } },
	    1, "web: started\nweb: revision 4: aborted: so it is\n", BACK },
	{ "nobody knows it any more", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		/* a number of a supd that began anew */
		{ "RolloutStatus", { STATE(IDLE, DEPLOYMENT("7", "start",
		    "4102444800", "4102444800", "complete")) }, FAKE_STAYS },
		/* and one of the supd before */
		{ "History", { "{\"parameters\":{\"deployments\":["
		    DEPLOYMENT("7", "reload", "1000", "1010", "complete")
		    "]}}" }, FAKE_STAYS } },
	    1, "web: started\nweb: the supervisor gave no verdict, see: "
	    "supctl status\n", BACK },
	{ "the old release is kept warm", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("7", "reload", "@", "keep",
		    "0"), "null") }, FAKE_STAYS } },
	    0, "web: started\nweb: revision 4 (v2.1) is in charge, after "
	    "3.2 s; the old release stays warm for 9m58s\n", BACK },
	{ "lost before the first event", { "reload", "web" }, {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("7", "reload", "@",
		    "climb", "0"), OLD) }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, GOOD, BACK },
	{ "lost before it was taken", { "reload", "web" }, {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("7", "reload", "1000",
		    "climb", "0"), OLD) }, FAKE_STAYS } },
	    1, "", "supctl: supd was restarted, or closed the connection, "
	    "before it answered: no rollout has begun since, so it may not "
	    "have taken the request (to see it: supctl rollout status web; "
	    "then give the reload again)\n" },
	{ "another verb began one", { "undo", "web" }, {
		{ "Undo", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS } },
	    1, "", "then give the undo again)\n" },
	{ "it waits for the end of another", { "reload", "web" }, {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("6", "reload", "1000",
		    "rollback", "4"), "null") }, FAKE_STAYS },
		{ "Events", { EVENT("1001", "6", "finished", "not ours"),
		    EVENT("1001", "7", "rollout", "rolling out") },
		    FAKE_STAYS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: rolling out\n" GOOD, BACK },
	{ "no event is told twice", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { STARTED, EVENT("1001", "5", "x", "other's"),
		    FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: started\n" GOOD, BACK },
	{ "an operator's abort", { "rollout", "abort", "web" }, {
		{ "Abort", { EVENT("1000", "7", "rollback", "goes back") },
		    FAKE_RESTARTS },
		{ "RolloutStatus", { ENDED("aborted") }, FAKE_STAYS } },
	    0, "web: goes back\nweb: revision 4 (v2.1) was taken back, after "
	    "3.2 s; revision 3 serves\n", BACK },
	{ "an abort, lost at once", { "rollout", "abort", "web" }, {
		{ "Abort", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("7", "reload", "1000",
		    "rollback", "0"), "null") }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("aborted") }, FAKE_STAYS } },
	    0, "web: revision 4 (v2.1) was taken back, after 3.2 s; "
	    "revision 3 serves\n", BACK },
	{ "an abort that was not taken", { "rollout", "abort", "web" }, {
		{ "Abort", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS } },
	    1, "", "whether it took the order is not known (to see it: supctl "
	    "rollout status web; then give it again, if need be)\n" },
	{ "a promotion, lost at once", { "rollout", "promote", "web" }, {
		{ "Promote", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, GOOD, BACK },
	{ "a promotion, nobody knows", { "rollout", "promote", "web" }, {
		{ "Promote", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(RUNNING("7", "reload", "1000",
		    "climb", "0"), OLD) }, FAKE_STAYS } },
	    1, "", "whether it took the order is not known" },
	{ "an undo of what ran", { "undo", "web" }, {
		{ "Undo", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(IDLE, DEPLOYMENT("7", "reload",
		    "1000", "@", "aborted")) }, FAKE_STAYS } },
	    0, "web: revision 3 is in charge, after 3.2 s\n", BACK },
	{ "an undo of what was", { "undo", "web" }, {
		{ "Undo", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { STATE(IDLE, DEPLOYMENT("7", "undo", "@",
		    "@", "complete")) }, FAKE_STAYS } },
	    0, "web: started\n" GOOD, BACK },
	{ "restarted while it looks", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { NULL }, FAKE_LEAVES },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: started\n" GOOD, BACK },
	{ "restarted while it follows", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS } },
	    0, "web: started\n" GOOD, BACK },
	{ "the user leaves after it", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { NULL }, FAKE_INTERRUPTS } },
	    1, "web: started\n", BACK "supctl: interrupted; the rollout goes "
	    "on (to see it: supctl rollout status web; to take it back: "
	    "supctl undo web)\n" },
	{ "there is no such service", { "reload", "wbe" }, {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { "{\"error\":\"io.supd.NoSuchService\","
		    "\"parameters\":{\"service\":\"wbe\",\"known\":[\"web\"]}}"
		    }, FAKE_STAYS } },
	    2, "", "supctl: no service \"wbe\" (did you mean \"web\"? there "
	    "are: web)\nsupctl: what became of the request is not known" },
	{ "the events are refused", { "reload", "web" }, {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { "{\"error\":\"io.supd.Failed\",\"parameters\":"
		    "{\"text\":\"no memory\"}}" }, FAKE_STAYS } },
	    1, "web: started\n", BACK "supctl: no memory\n" },
	{ "who does not wait", { "reload", "web", "--no-wait" }, {
		{ "Reload", { NULL }, FAKE_RESTARTS } },
	    1, "", "what became of the request is not known, see: supctl "
	    "status\n" },
};

static void
test_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct fake_run *run;

		print_message("%s\n", cases[i].name);
		fake_start(cases[i].answers);
		run = fake_supctl(0, cases[i].words);
		assert_has(run->errors, cases[i].errors);
		if (strncmp(cases[i].errors, BACK, strlen(BACK)) == 0)
			assert_string_equal(run->errors, cases[i].errors);
		assert_string_equal(run->output, cases[i].output);
		assert_int_equal(run->code, cases[i].code);
		fake_stop();
	}
	fake_start(NULL);
}

/* Scripts see what they would have seen. */
static void
test_json(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS },
		{ NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload", "web", "--json");
	assert_int_equal(run->code, 0);
	assert_int_equal(run->output[0], '{');
	assert_has(run->output, "\"text\":\"started\"}}\n{\"event\":");
	assert_has(run->output, "\"text\":\"it is\"}}\n{\"outcomes\":["
	    "{\"service\":\"web\",\"revision\":4,\"deployment\":7,"
	    "\"rolls_out\":true,\"text\":\"\",\"steps\":[],\"verdict\":"
	    "\"complete\",\"reason\":\"so it is\"}]}\n");
	assert_has(fake_requests(), "{\"method\":\"io.supd.Events\","
	    "\"parameters\":{\"service\":\"web\"},\"more\":true}\n");
}

#define OF(service, verdict) "{\"parameters\":{" IDLE ",\"last\":{" \
	"\"id\":7,\"service\":\"" service "\",\"kind\":\"reload\"," \
	"\"revision\":4,\"started_time_s\":@,\"finished_time_s\":@," \
	"\"verdict\":\"" verdict "\"}}}"

/* One has ended, one has not begun; one is good, one is not. */
static void
test_several(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "Status", { "{\"parameters\":{\"services\":["
		    "{\"name\":\"api\"},{\"name\":\"old\"},"
		    "{\"name\":\"web\"}]}}" }, FAKE_STAYS },
		{ "RolloutStatus", { OF("api", "complete") }, FAKE_STAYS },
		{ "RolloutStatus", { STATE(IDLE, OLD) }, FAKE_STAYS },
		{ "RolloutStatus", { OF("web", "rolled-back") }, FAKE_STAYS },
		{ NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload");
	assert_string_equal(run->errors, BACK);
	assert_has(run->output, "api: revision 4 is in charge");
	assert_has_not(run->output, "old: ");
	assert_has(run->output, "web: revision 4: rolled-back\n");
	assert_int_equal(run->code, 1);
	fake_stop();
	fake_start(answers);
	assert_int_equal(SUPCTL("reload", "api", "old", "web")->code, 1);
	assert_has_not(fake_requests(), "io.supd.Status");
	assert_has(fake_requests(), "RolloutStatus\",\"parameters\":"
	    "{\"service\":\"old\"}");
}

#define STATUS "{\"parameters\":{\"services\":[{\"name\":\"web\"," \
	RUNNING("7", "reload", "@", "climb", "0") "}]}}"

/* Of what has ended only the report is asked for. */
static void
test_one_after_the_other(void **state)
{
	static const char api[] = "io.supd.RolloutStatus\",\"parameters\":{"
	    "\"service\":\"api\"}";
	static const struct fake_answer answers[] = {
		{ "Reload", { NULL }, FAKE_RESTARTS },
		{ "RolloutStatus", { OF("api", "complete") }, FAKE_STAYS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { FINISHED }, FAKE_STAYS },
		{ "RolloutStatus", { ENDED("complete") }, FAKE_STAYS },
		{ NULL } };
	const struct fake_run *run;
	const char *asked;

	(void)state;
	fake_start(answers);
	run = SUPCTL("reload", "api", "web");
	assert_has(run->output, "api: revision 4 (v2.1) is in charge");
	assert_has(run->output, GOOD);
	assert_int_equal(run->code, 0);
	asked = strstr(fake_requests(), api);
	assert_non_null(asked);
	asked = strstr(asked + 1, api);
	assert_non_null(asked);
	assert_null(strstr(asked + 1, api));
}

/* The picture goes on, too; it may have been asked for once before. */
static void
test_picture(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { STARTED }, FAKE_RESTARTS },
		{ "RolloutStatus", { RUNS }, FAKE_STAYS },
		{ "Events", { EVENT("1001", "7", "ready", "ready") },
		    FAKE_STAYS },
		{ "Status", { STATUS }, FAKE_STAYS },
		{ "Status", { STATUS }, FAKE_INTERRUPTS }, { NULL } };
	static const char *const words[] = { "reload", "web", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL | FAKE_PLAIN, words);
	assert_int_equal(run->code, 1);
	assert_has(run->output, "still waiting");
	assert_has(strstr(run->output, "still waiting"),
	    "web  reload  revision 3 -> 4 (v2.1)");
	assert_has(run->output, "interrupted; the rollout goes on");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_waits),
		FAKE_TEST(test_json),
		FAKE_TEST(test_several),
		FAKE_TEST(test_one_after_the_other),
		FAKE_TEST(test_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
