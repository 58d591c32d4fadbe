/*
 * supctl as it is run: what its verbs ask for and print, against a fake
 * supervisor.  Rollouts are in test_supctl_deploy.c, and what goes wrong in
 * test_supctl_errors.c.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_supervisor.h"

#define SUPERVISOR "\"supervisor\":{\"version\":\"0.1.0\",\"pid\":812," \
	"\"phase\":\"running\",\"uptime_ms\":273600000," \
	"\"memory_bytes\":5452595,\"config\":\"/etc/supd/supd.conf\"," \
	"\"ledger_error\":null}"

/* Two services: one with everything that can be said, one that is down. */
#define STATUS "{\"parameters\":{" SUPERVISOR ",\"services\":[" \
	"{\"name\":\"web\",\"state\":\"running\",\"trouble\":null," \
	"\"workers\":2,\"ready\":1,\"restarts\":3,\"revision\":3," \
	"\"in_charge_time_s\":1000,\"installed\":\"newer\"," \
	"\"readiness\":\"alive\",\"memory_bytes\":50331648," \
	"\"stored_fds\":12," \
	"\"releases\":[{\"revision\":3,\"version\":\"v2.0\"," \
	"\"build_id\":\"3f2a9c1b77\",\"path\":\"/srv/web-3/web\"," \
	"\"created_time_s\":1000,\"in_charge\":true,\"quarantined\":false," \
	"\"worker_count\":1}],\"listeners\":[{\"name\":\"web\"," \
	"\"address\":\"0.0.0.0:8080\",\"queue_length\":17," \
	"\"queue_limit\":4096,\"broken\":false}],\"worker_list\":[" \
	"{\"slot\":0,\"incarnation\":1,\"pid\":900,\"revision\":3," \
	"\"state\":\"ready\",\"state_ms\":192000,\"uptime_ms\":192000," \
	"\"memory_bytes\":12582912,\"status\":\"busy \\u001b[2J\\u0000!\"," \
	"\"ending\":null,\"deadline_ms\":null}," \
	"{\"slot\":1,\"incarnation\":2,\"pid\":901,\"revision\":4," \
	"\"state\":\"starting\",\"state_ms\":1200,\"uptime_ms\":1200," \
	"\"memory_bytes\":null,\"status\":null,\"ending\":null," \
	"\"deadline_ms\":58800}]," \
	"\"rollout\":{\"deployment\":{\"id\":7,\"service\":\"web\"," \
	"\"kind\":\"reload\",\"revision\":4,\"from_revision\":3," \
	"\"version\":\"v2.1\",\"strategy\":\"rolling\"," \
	"\"duration_ms\":3249},\"phase\":\"climb\",\"step\":1," \
	"\"steps\":[],\"step_count\":2,\"fault\":null," \
	"\"waits_for\":\"a new worker\"," \
	"\"next_revision\":0},\"last\":null}," \
	"{\"name\":\"api\",\"state\":\"failed\"," \
	"\"trouble\":\"cannot bind 0.0.0.0:80: Permission denied\"," \
	"\"workers\":1,\"ready\":0,\"restarts\":0,\"revision\":0," \
	"\"installed\":\"same\",\"readiness\":\"notify\",\"releases\":[]," \
	"\"listeners\":[],\"worker_list\":[],\"rollout\":null," \
	"\"last\":null}]}}"

static void
test_status(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status");
	assert_int_equal(run->code, 0);
	assert_string_equal(run->errors, "");
	assert_has(run->output, "supd 0.1.0, pid 812, up 3d4h, 5.2M");
	assert_has(run->output, "SERVICE  STATE    READY  REVISION  VERSION");
	assert_has(run->output, "web      running  1/2    3         v2.0");
	assert_has(run->output, "3f2a9c1b ");
	assert_has(run->output, "17/4096");
	assert_has(run->output, "api      failed   0/1    none");
	assert_has(run->output, "api: cannot bind 0.0.0.0:80: Permission");
	assert_has(run->output, "web: a newer build is installed");
	assert_has(run->output, "web: readiness is only a guess");
	assert_has_not(run->output, "api: readiness");
	assert_has(run->output, "web: reload of revision 4 (v2.1), climb, "
	    "step 1 of 2, for 3.2 s, waits for a new worker\n");
	assert_has(run->output, "old, revision 3: 1 ready\n");
	assert_has(run->output, "new, revision 4: 1 starting\n");
	assert_has_not(run->output, "SLOT");
	assert_has_not(run->output, "\033");
}

#define RESTARTED(value) "{\"parameters\":{\"supervisor\":{\"version\":" \
	"\"0.6\",\"restarted\":" value "},\"services\":[]}}"

/* Said only where it is so, and what to do about it. */
static void
test_status_of_a_restarted_one(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { RESTARTED("{\"at_s\":@,\"why\":\"SIGSEGV\"}") },
		    FAKE_STAYS },
		{ "Status", { RESTARTED("{\"at_s\":@,\"why\":\"upgraded from "
		    "0.5\"}") }, FAKE_STAYS },
		{ "Status", { RESTARTED("null") }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status");
	assert_has(run->output, "\nrestarted ");
	assert_has(run->output, "s ago: SIGSEGV (see the log)\n");
	run = SUPCTL("status");
	assert_has(run->output, "s ago: upgraded from 0.5\n");
	run = SUPCTL("status");
	assert_has_not(run->output, "restarted");
	run = SUPCTL("status", "--json");
	assert_has(run->output, "\"restarted\":null");
}

static void
test_status_of_one(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status", "web");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "\"parameters\":{\"service\":\"web\"}");
	assert_has(run->output, "  0     900  3         ready     3m12s  12M "
	    "    busy ?[2J");
	assert_has(run->output, "workers of web: 1 ready, 1 starting; 12 stored "
	    "file descriptors\n");
	assert_has(run->output, "starting  1.2 s          58.8 s left\n");
	assert_has(run->output, "  web   0.0.0.0:8080  17/4096\n");
	assert_has(run->output, "in charge  /srv/web-3/web\n");
	assert_has_not(run->output, "\033");
}

static void
test_colour_only_on_terminals(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "status", "web", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL, words);
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\033[32mrunning\033[0m");
	assert_has_not(run->output, "\033[2J");
	setenv("NO_COLOR", "1", 1);
	run = fake_supctl(FAKE_TERMINAL, words);
	unsetenv("NO_COLOR");
	assert_has(run->output, "running");
	assert_has_not(run->output, "\033");
}

/* A thousand workers, two of which are not ready. */
static char *
many_workers(void)
{
	char *text = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&text, &size_bytes);

	fputs("{\"parameters\":{" SUPERVISOR ",\"services\":[{\"name\":\"big\""
	    ",\"state\":\"running\",\"workers\":1000,\"ready\":998,"
	    "\"revision\":1,\"worker_list\":[", out);
	for (int slot = 999; slot >= 0; slot--)
		fprintf(out, "%s{\"slot\":%d,\"pid\":%d,\"revision\":1,"
		    "\"state\":\"%s\",\"state_ms\":5000}",
		    slot < 999 ? "," : "", slot, 10000 + slot,
		    slot % 500 == 77 ? "draining" : "ready");
	fputs("]}]}}", out);
	fclose(out);
	return text;
}

static void
test_a_thousand_workers(void **state)
{
	char *text = many_workers();
	const struct fake_answer answers[] = {
		{ "Status", { text }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;
	size_t line_count = 0;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status", "big");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "workers of big: 998 ready, 2 draining\n");
	assert_has(run->output, "  77    10077");
	assert_has(strstr(run->output, "  77    10077"), "  577   10577");
	assert_has_not(run->output, "10078");
	for (const char *p = run->output; (p = strchr(p, '\n')) != NULL; p++)
		line_count++;
	assert_true(line_count < 24);
	run = SUPCTL("status", "--json");
	assert_has(run->output, "\"pid\":10999");
	free(text);
}

static void
test_json(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_STAYS },
		{ "RolloutStatus", { "{\"parameters\":{\"rollout\":null,"
		    "\"last\":null}}" }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("status", "--json");
	assert_int_equal(run->code, 0);
	assert_memory_equal(run->output, "{\"supervisor\":{\"version\":", 25);
	assert_has(run->output, "\\u001B[2J");
	assert_ptr_equal(strchr(run->output, '\n') + 1,
	    run->output + strlen(run->output));
	run = SUPCTL("rollout", "status", "web", "--json");
	assert_string_equal(run->output,
	    "{\"rollout\":null,\"last\":null}\n");
}

static void
test_watch(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_INTERRUPTS }, { NULL } };
	static const struct fake_answer gone[] = {
		{ "Status", { STATUS }, FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "status", "--watch", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = fake_supctl(FAKE_TERMINAL, words);
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\033[2J");
	fake_stop();

	/* Elsewhere it ends with its reader. */
	fake_start(gone);
	run = fake_supctl(FAKE_DEAF, words);
	assert_int_equal(run->code, 0);
	assert_string_equal(run->errors, "");
	assert_has(fake_requests(), "io.supd.Status");
}

/* A script may have it ignore what ends it. */
static void
test_ignored_interrupt(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_INTERRUPTS },
		{ "Status", { "{\"error\":\"io.supd.Failed\","
		    "\"parameters\":{\"text\":\"the end\"}}" }, FAKE_STAYS },
		{ NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	signal(SIGINT, SIG_IGN);
	run = SUPCTL("status", "--watch");
	signal(SIGINT, SIG_DFL);
	assert_string_equal(run->errors, "supctl: the end\n");
	assert_int_equal(run->code, 1);
}

static void
test_short_orders(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Signal", { "{\"parameters\":{\"count\":4}}" }, FAKE_STAYS },
		{ NULL } };

	(void)state;
	fake_start(answers);
	assert_int_equal(SUPCTL("start", "web")->code, 0);
	assert_has(fake_requests(), "{\"method\":\"io.supd.Start\","
	    "\"parameters\":{\"service\":\"web\"}}\n");
	assert_int_equal(SUPCTL("stop", "web")->code, 0);
	assert_has(fake_requests(), "io.supd.Stop");
	assert_int_equal(SUPCTL("shutdown")->code, 0);
	assert_has(fake_requests(), "io.supd.Shutdown");
	assert_string_equal(SUPCTL("scale", "web=12")->output,
	    "web: 12 workers wanted, until the next reload\n");
	assert_has(fake_requests(), "{\"service\":\"web\",\"workers\":12}");
	assert_string_equal(SUPCTL("signal", "web", "SIGUSR1")->output,
	    "web: USR1 sent to 4 workers\n");
	assert_has(fake_requests(), "\"signal\":\"USR1\"");
	assert_int_equal(SUPCTL("signal", "web", "15")->code, 0);
	assert_has(fake_requests(), "\"signal\":\"TERM\"");
	assert_int_equal(SUPCTL("signal", "web", "hup")->code, 0);
	assert_has(fake_requests(), "\"signal\":\"HUP\"");
}

static void
test_help(void **state)
{
	const struct fake_run *run;

	(void)state;
	fake_start(NULL);
	run = SUPCTL("help");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\n  rollout status SERVICE [--watch] [--json]\n"
	    "          pause|resume SERVICE [--json]\n");
	assert_has(run->output, "found by --socket PATH, else the runtime_dir "
	    "of -c FILE,\nelse $SUPD_CONTROL, else");
	run = SUPCTL("reload", "--help");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "usage: supctl reload [SERVICE...]");
	assert_has(SUPCTL("version")->output, "supctl ");
	assert_has(SUPCTL("--version")->output, "supctl ");
}

static void
test_history(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { STATUS }, FAKE_STAYS },
		{ "History", { "{\"parameters\":{\"deployments\":[{\"id\":2,"
		    "\"service\":\"web\",\"kind\":\"reload\",\"revision\":4,"
		    "\"from_revision\":3,\"version\":\"v2.1\","
		    "\"started_time_s\":1700000000,\"duration_ms\":3200,"
		    "\"verdict\":\"rolled-back\",\"reason\":\"it\\texited\"},"
		    "{\"id\":1,\"service\":\"web\",\"kind\":\"start\","
		    "\"revision\":3,\"from_revision\":0,"
		    "\"started_time_s\":1600000000,\"duration_ms\":12,"
		    "\"verdict\":\"complete\"}]}}" }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	setenv("TZ", "UTC", 1);
	fake_start(answers);
	run = SUPCTL("history", "-n", "5", "web");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "{\"limit\":5,\"service\":\"web\"}");
	assert_has(run->output, "2023-11-14 22:13:20  web      reload  3 -> 4"
	    "    v2.1     rolled-back  3.2 s  it exited\n");
	assert_has(run->output, "start   3                  complete     "
	    "12 ms\n");
	assert_has(run->output, "still in use, not to be removed from the "
	    "disk\nreleases of web\n");
}

static void
test_events(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Events", {
		    "{\"parameters\":{\"event\":{\"time_ms\":1700000000123,"
		    "\"type\":\"exited\",\"level\":\"warning\","
		    "\"service\":\"web\",\"slot\":0,\"revision\":4,"
		    "\"pid\":77,\"text\":\"exited with status 1\"}},"
		    "\"continues\":true}",
		    "{\"parameters\":{\"event\":{\"time_ms\":1700000001000,"
		    "\"type\":\"supervisor\",\"level\":\"plain\","
		    "\"service\":null,\"text\":\"hello\"}},"
		    "\"continues\":true}" }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	setenv("TZ", "UTC", 1);
	fake_start(answers);
	run = SUPCTL("events", "web");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "\"service\":\"web\"},\"more\":true}\n");
	assert_string_equal(run->output,
	    "2023-11-14 22:13:20.123 web: worker 0 of revision 4, pid 77: "
	    "warning: exited with status 1\n"
	    "2023-11-14 22:13:21.000 supd: hello\n");
	run = SUPCTL("events", "--json");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\"text\":\"hello\"}\n");
	assert_int_equal(run->output[0], '{');
}

static void
test_events_followed(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Events", { "{\"parameters\":{\"event\":{\"time_ms\":1,"
		    "\"text\":\"last words\"}},\"continues\":true}" },
		    FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "events", "-f", NULL };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	/* Nobody reads: the end, and no complaint about it. */
	run = fake_supctl(FAKE_DEAF, words);
	assert_string_equal(run->errors, "");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_status),
		FAKE_TEST(test_status_of_a_restarted_one),
		FAKE_TEST(test_status_of_one),
		FAKE_TEST(test_colour_only_on_terminals),
		FAKE_TEST(test_a_thousand_workers),
		FAKE_TEST(test_json),
		FAKE_TEST(test_watch),
		FAKE_TEST(test_ignored_interrupt),
		FAKE_TEST(test_short_orders),
		FAKE_TEST(test_help),
		FAKE_TEST(test_history),
		FAKE_TEST(test_events),
		FAKE_TEST(test_events_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
