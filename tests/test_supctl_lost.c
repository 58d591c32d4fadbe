/*
 * supctl follows or asks something and supd is restarted: it goes on over
 * another connection; and what it says if there is none any more.  Against a
 * fake supervisor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_supervisor.h"

#define EVENT(time_ms, text) "{\"parameters\":{\"event\":{\"time_ms\":" \
	time_ms ",\"type\":\"x\",\"level\":\"plain\",\"service\":\"web\"," \
	"\"deployment\":7,\"text\":\"" text "\"}},\"continues\":true}"

#define STATUS "{\"parameters\":{\"supervisor\":{\"version\":\"0.6\"}," \
	"\"services\":[{\"name\":\"web\"}]}}"

#define ROLLOUT(verdict) "{\"parameters\":{\"services\":[{\"name\":\"web\"," \
	"\"rollout\":" verdict ",\"last\":{\"id\":7,\"verdict\":\"complete\"}" \
	"}]}}"

#define STAGE "{\"parameters\":{\"stage\":\"checking\"}," \
	"\"continues\":true}"

static const char back[] = "supctl: supd was restarted, or closed the "
    "connection; connected again, ";

/* The latest come again, and are dropped; what comes after them is not, even
 * if the clock was set back. */
static void
test_events(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Events", { EVENT("1000", "one"), EVENT("2000", "two") },
		    FAKE_LEAVES },
		{ "Events", { EVENT("1000", "one"), EVENT("2000", "two"),
		    EVENT("2001", "three") }, FAKE_STAYS },
		{ "GetInfo", { "{\"parameters\":{}}", EVENT("1500", "four") },
		    FAKE_RESTARTS },
		{ "Events", { EVENT("1501", "five"), "{\"error\":"
		    "\"io.supd.Failed\",\"parameters\":{\"text\":\"end\"}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	setenv("TZ", "UTC", 1);
	fake_start(answers);
	run = SUPCTL("events", "-f", "web");
	assert_string_equal(run->output,
	    "1970-01-01 00:00:01.000 web: one\n"
	    "1970-01-01 00:00:02.000 web: two\n"
	    "1970-01-01 00:00:02.001 web: three\n"
	    "1970-01-01 00:00:01.500 web: four\n"
	    "1970-01-01 00:00:01.501 web: five\n");
	assert_has(run->errors, back);
	assert_has(run->errors, "still listening; events of the time between "
	    "may be missing\n");
	/* Twice within a second is said once. */
	assert_string_equal(strchr(run->errors, '\n'), "\nsupctl: end\n");
	assert_int_equal(run->code, 1);
	assert_has(fake_requests(), "{\"method\":\"io.supd.Events\","
	    "\"parameters\":{\"service\":\"web\"},\"more\":true}\n");
}

/* Without -f the latest are told, and that is the end. */
static void
test_latest_events(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Events", { EVENT("1000", "one") }, FAKE_RESTARTS },
		{ "Events", { EVENT("1000", "one"), EVENT("1001", "two") },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("events", "--json");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\"text\":\"one\"}\n{\"time_ms\":1001,");
}

static void
test_watch(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_LEAVES },
		{ "Status", { STATUS }, FAKE_STAYS },
		{ "Status", { NULL }, FAKE_INTERRUPTS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status", "--watch");
	assert_has(run->errors, back);
	assert_has(run->errors, "still watching\n");
	assert_has(strstr(run->output + 1, "supd 0.6"), "web");
	assert_int_equal(run->code, 0);
}

static void
test_watch_of_a_rollout(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { ROLLOUT("{\"deployment\":{\"id\":7}}") },
		    FAKE_STAYS },
		{ "Status", { NULL }, FAKE_RESTARTS },
		{ "Status", { ROLLOUT("null") }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("rollout", "status", "web", "--watch");
	assert_has(run->errors, back);
	assert_has(run->output, "was complete");
	assert_int_equal(run->code, 0);
}

/* What changes nothing is asked again, and nothing is said about it; what may
 * change something is not, though it would be answered now. */
static void
test_questions(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { NULL }, FAKE_LEAVES },
		{ "Status", { STATUS }, FAKE_STAYS },
		{ "Stop", { NULL }, FAKE_RESTARTS },
		{ "Stop", { "{\"parameters\":{}}" }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status");
	assert_string_equal(run->errors, "");
	assert_has(run->output, "supd 0.6");
	assert_int_equal(run->code, 0);
	run = SUPCTL("stop", "web");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "without an answer; what became of the "
	    "request is not known");
}

/* It does not come back. */
static const struct {
	const char *words[4];
	struct fake_answer answers[3];
	int code;
	const char *says;
} ends[] = {
	{ { "reload", "web" }, { { "Reload", { EVENT("1", "started") },
	    FAKE_DIES } }, 3, "went away and did not come back within 10 s: "
	    "No such file or directory; what became of the rollout is not "
	    "known, see: supctl status, supctl history\n" },
	{ { "reload", "web" }, { { "Reload", { NULL }, FAKE_DIES } }, 3,
	    "did not come back within 10 s: No such file or directory; what "
	    "became of the request is not known, see: supctl status\n" },
	{ { "reload", "web" }, { { "Reload", { EVENT("1", "started") },
	    FAKE_RESTARTS }, { "RolloutStatus", { NULL }, FAKE_DIES } }, 3,
	    "did not come back within 10 s: No such file or directory\n"
	    "supctl: what became of the rollout is not known, see: supctl "
	    "status, supctl history\n" },
	{ { "events", "-f" }, { { "Events", { EVENT("1", "one") },
	    FAKE_DIES } }, 3, "did not come back within 10 s: No such file" },
	{ { "status", "--watch" }, { { "Status", { STATUS }, FAKE_DIES } }, 3,
	    "did not come back within 10 s: No such file" },
	{ { "status" }, { { "Status", { NULL }, FAKE_DIES } }, 3,
	    "did not come back within 10 s: No such file" },
	{ { "upgrade" }, { { "Upgrade", { STAGE }, FAKE_DIES } }, 3,
	    "did not come back within 10 s: No such file or directory; what "
	    "became of the upgrade is not known, see the log of supd\n" },
	{ { "upgrade" }, { { "Upgrade", { STAGE }, FAKE_STAYS },
	    { "Status", { STATUS }, FAKE_STAYS } }, 1, "supctl: supd has said "
	    "nothing for 12 s, and the upgrade may still come; looking who is in "
	    "charge\nsupctl: the upgrade has not come to an end: supd 0.6 is in "
	    "charge, and was not restarted" },
	/* It does, and is lost again and again. */
	{ { "events", "-f" }, { { "Events", { EVENT("1", "one") },
	    FAKE_RESTARTS } }, 1, "closed every connection for 10 s: is it "
	    "restarted again and again?\n" },
};
enum { END_COUNT = sizeof(ends) / sizeof(ends[0]) };

/* In a process of its own; 0: as it should be. */
static int
check_end(size_t i)
{
	time_t began_s = time(NULL), after_s;
	const struct fake_run *run;
	int failed;

	fake_start(ends[i].answers);
	run = fake_supctl(0, ends[i].words);
	after_s = time(NULL) - began_s;
	failed = run->code != ends[i].code || after_s < 9 || after_s > 20 ||
	    strstr(run->errors, ends[i].says) == NULL;
	if (failed)
		fprintf(stderr, "case %zu: exit code %d, after %lld s:\n%s", i,
		    run->code, (long long)after_s, run->errors);
	fake_stop();
	return failed;
}

/* Each takes ten seconds, so all are tried at once. */
static void
test_never_back(void **state)
{
	pid_t pids[END_COUNT];
	int status, failed_count = 0;

	(void)state;
	for (size_t i = 0; i < END_COUNT; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(check_end(i));
	}
	for (size_t i = 0; i < END_COUNT; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		failed_count += status != 0;
	}
	assert_int_equal(failed_count, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_events),
		FAKE_TEST(test_latest_events),
		FAKE_TEST(test_watch),
		FAKE_TEST(test_watch_of_a_rollout),
		FAKE_TEST(test_questions),
		cmocka_unit_test(test_never_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
