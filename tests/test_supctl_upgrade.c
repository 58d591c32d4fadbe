/*
 * `supctl upgrade`: what it asks for, and what it says of each end, against a
 * fake supervisor.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_supervisor.h"

#define CHECKING "{\"parameters\":{\"stage\":\"checking\",\"path\":" \
	"\"/usr/sbin/supd\"},\"continues\":true}"
#define EXECUTING "{\"parameters\":{\"stage\":\"executing\"}," \
	"\"continues\":true}"
#define TRIAL "{\"parameters\":{\"stage\":\"trial\",\"from\":\"0.5\"," \
	"\"to\":\"0.6\",\"workers\":12,\"not_answering_ms\":7," \
	"\"trial_ms\":2000},\"continues\":true}"
#define DONE(from, to, workers) "{\"parameters\":{\"stage\":\"done\"," \
	"\"from\":\"" from "\",\"to\":\"" to "\",\"workers\":" workers "," \
	"\"not_answering_ms\":7}}"
#define ERROR(name, parameters) "{\"error\":\"" name "\",\"parameters\":{" \
	parameters "}}"
#define STATUS(version, restarted) "{\"parameters\":{\"supervisor\":{" \
	"\"version\":\"" version "\",\"pid\":4711,\"restarted\":" restarted \
	"},\"services\":[]}}"

#define STAGES "checking /usr/sbin/supd\n" \
	"executing it; the workers go on\n"
#define ON_TRIAL "supd 0.6 is in charge, on trial for 2.0 s\n"
#define BACK "supctl: supd was restarted, or closed the connection; " \
	"connected again, looking who is in charge\n"
#define UNENDED "supctl: the upgrade has not come to an end: supd 0.5 is in " \
	"charge, and was not restarted (see: supctl status, and its log)\n"

/* What is said to Upgrade and to Status, and what supctl makes of it. */
static const struct {
	const char *replies[4];
	enum fake_end end;
	const char *status;
	int code;
	const char *output, *errors;    /* output NULL: it depends */
} cases[] = {
	{ { CHECKING, EXECUTING, TRIAL, DONE("0.5", "0.6", "12") }, FAKE_STAYS,
	    NULL, 0, STAGES ON_TRIAL "supd was upgraded from 0.5 to 0.6; 12 workers went on, "
	    "supd did not answer for 7 ms\n", "" },
	{ { DONE("0.6", "0.6", "1") }, FAKE_STAYS, NULL, 0,
	    "supd 0.6 was replaced by the same version; 1 worker went on, supd "
	    "did not answer for 7 ms\n", "" },
	{ { CHECKING, ERROR("io.supd.UpgradeRefused", "\"reason\":"
	    "\"/usr/sbin/supd: cannot read a state of version 3\"") },
	    FAKE_STAYS, NULL, 1, "checking /usr/sbin/supd\n", "supctl: the "
	    "upgrade was refused: /usr/sbin/supd: cannot read a state of "
	    "version 3; nothing was changed: the supd that runs is in "
	    "charge\n" },
	{ { CHECKING, EXECUTING, TRIAL, ERROR("io.supd.UpgradeFailed",
	    "\"reason\":\"it was killed by SIGSEGV\"") }, FAKE_STAYS, NULL, 1,
	    STAGES ON_TRIAL, "supctl: the new supd was executed and failed: it was killed by "
	    "SIGSEGV; the old one is in charge again\n" },
	{ { ERROR("org.varlink.service.MethodNotFound", "\"method\":"
	    "\"io.supd.Upgrade\"") }, FAKE_STAYS, NULL, 1, "",
	    "supctl: the supervisor does not know io.supd.Upgrade: it is "
	    "another version of supd; nothing was changed\n" },
	{ { ERROR("io.supd.PermissionDenied", "\"uid\":7") }, FAKE_STAYS, NULL,
	    4, "", "supctl: not permitted for uid 7: root, supd's own user and "
	    "members of its control_group may; nothing was changed\n" },
	{ { "{\"parameters\":{}}" }, FAKE_STAYS, NULL, 1, "", "supctl: the "
	    "supervisor's answer has no `stage`: is it another version of "
	    "supd?\n" },

	/* The connection is lost. */
	{ { CHECKING, EXECUTING }, FAKE_RESTARTS, STATUS("0.6", "{\"at_s\":@,"
	    "\"why\":\"upgraded from supd 0.5\"}"), 0,
	    STAGES "supd 0.6 is in charge, upgraded from supd 0.5\n", BACK },
	{ { CHECKING, EXECUTING }, FAKE_LEAVES, STATUS("0.5", "{\"at_s\":@,"
	    "\"why\":\"SIGSEGV\"}"), 1, STAGES, BACK "supctl: the upgrade did "
	    "not come to an end: supd 0.5 is in charge, and was restarted " },
	{ { CHECKING }, FAKE_RESTARTS, STATUS("0.5", "null"), 1,
	    "checking /usr/sbin/supd\n", BACK UNENDED },
	/* An upgrade of last week is another one. */
	{ { NULL }, FAKE_RESTARTS, STATUS("0.5", "{\"at_s\":1000,\"why\":"
	    "\"upgraded from supd 0.4\"}"), 1, "", BACK UNENDED },
	{ { NULL }, FAKE_RESTARTS, "{\"parameters\":{}}", 1, "", BACK "supctl: "
	    "the supervisor's answer has no `supervisor`: is it another "
	    "version of supd?\n" },
	{ { CHECKING }, FAKE_INTERRUPTS, NULL, 1, NULL, "supctl: interrupted; "
	    "the upgrade goes on (to see who is in charge: supctl status)\n" },
};

static void
test_ends(void **state)
{
	static const char *const words[] = { "upgrade", NULL };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake_answer answers[3] = { { .method = "Upgrade",
		    .end = cases[i].end }, { .method = "Status" } };
		const struct fake_run *run;

		print_message("case %zu\n", i);
		memcpy(answers[0].replies, cases[i].replies,
		    sizeof(cases[i].replies));
		answers[1].replies[0] = cases[i].status;
		fake_start(answers);
		run = fake_supctl(0, words);
		assert_memory_equal(run->errors, cases[i].errors,
		    strlen(cases[i].errors));
		assert_int_equal(run->errors[0] == '\0',
		    cases[i].errors[0] == '\0');
		if (cases[i].output != NULL)
			assert_string_equal(run->output, cases[i].output);
		assert_int_equal(run->code, cases[i].code);
		fake_stop();
	}
	fake_start(NULL);
}

static void
test_requests(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Upgrade", { DONE("0.5", "0.6", "2") }, FAKE_STAYS },
		{ "Upgrade", { DONE("0.5", "0.6", "2") }, FAKE_STAYS },
		{ "Upgrade", { DONE("0.5", "0.6", "2") }, FAKE_STAYS },
		{ "Upgrade", { ERROR("io.supd.UpgradeRefused", "\"reason\":"
		    "\"there is none\"") }, FAKE_STAYS }, { NULL } };
	char expected[512], directory[256];

	(void)state;
	assert_non_null(getcwd(directory, sizeof(directory)));
	fake_start(answers);
	assert_int_equal(SUPCTL("upgrade")->code, 0);
	assert_has(fake_requests(), "{\"method\":\"io.supd.Upgrade\","
	    "\"parameters\":{},\"more\":true}\n");
	assert_int_equal(SUPCTL("upgrade", "--to", "/opt/supd")->code, 0);
	assert_has(fake_requests(), "\"parameters\":{\"path\":\"/opt/supd\"}");
	/* supd is elsewhere. */
	assert_int_equal(SUPCTL("upgrade", "--to", "./supd")->code, 0);
	snprintf(expected, sizeof(expected), "{\"path\":\"%s/./supd\"}",
	    directory);
	assert_has(fake_requests(), expected);
	assert_has(SUPCTL("upgrade", "--to", "/x")->errors, "supctl: the "
	    "upgrade to /x was refused: there is none; nothing was changed");
	assert_int_equal(SUPCTL("upgrade", "--to", "")->code, 2);
	assert_int_equal(SUPCTL("upgrade", "--to", "\xff")->code, 2);
	assert_int_equal(SUPCTL("upgrade", "now")->code, 2);
}

/* The path is not left out because it cannot be said: that would upgrade to
 * another one. */
static void
test_directory_is_not_utf8(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Upgrade", { DONE("0.5", "0.6", "2") }, FAKE_STAYS },
		{ NULL } };
	char directory[] = "/tmp/test_supctl\xff.XXXXXX", before[256];
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chdir(directory), 0);
	run = SUPCTL("upgrade", "--to", "./supd");
	assert_int_equal(chdir(before), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_has(run->errors, "supctl: --to ./supd: the working directory is "
	    "not UTF-8: \"/tmp/test_supctl?.");
	assert_has(run->errors, "nothing was changed\n");
	assert_int_equal(run->code, 1);
	assert_string_equal(fake_requests(), "");
}

static void
test_json(void **state)
{
	static const struct fake_answer told[] = {
		{ "Upgrade", { CHECKING, DONE("0.5", "0.6", "2") },
		    FAKE_STAYS }, { NULL } };
	static const struct fake_answer looked_for[] = {
		{ "Upgrade", { CHECKING }, FAKE_RESTARTS },
		{ "Status", { STATUS("0.6", "{\"at_s\":@,\"why\":"
		    "\"upgraded from supd 0.5\"}") }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(told);
	run = SUPCTL("upgrade", "--json");
	assert_int_equal(run->code, 0);
	assert_string_equal(run->output, "{\"stage\":\"checking\",\"path\":"
	    "\"/usr/sbin/supd\"}\n{\"stage\":\"done\",\"from\":\"0.5\","
	    "\"to\":\"0.6\",\"workers\":2,\"not_answering_ms\":7}\n");
	fake_stop();
	fake_start(looked_for);
	run = SUPCTL("upgrade", "--json");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "\"/usr/sbin/supd\"}\n{\"version\":\"0.6\","
	    "\"pid\":4711,\"restarted\":{\"at_s\":");
}

/* Without its connection supctl asks until the trial has ended. */
static void
test_trial(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Upgrade", { CHECKING, EXECUTING, TRIAL }, FAKE_RESTARTS },
		{ "Status", { STATUS("0.6", "{\"at_s\":@,\"why\":"
		    "\"upgraded from supd 0.5\",\"on_trial\":true}") },
		    FAKE_STAYS },
		{ "Status", { STATUS("0.6", "{\"at_s\":@,\"why\":"
		    "\"upgraded from supd 0.5\",\"on_trial\":true}") },
		    FAKE_STAYS },
		{ "Status", { STATUS("0.5", "{\"at_s\":@,\"why\":\"back from "
		    "an upgrade that failed: SIGSEGV\",\"on_trial\":false}") },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("upgrade");
	assert_string_equal(run->output, STAGES ON_TRIAL);
	assert_has(run->errors, "the upgrade did not come to an end: supd 0.5 "
	    "is in charge, and was restarted ");
	assert_has(run->errors, "failed: SIGSEGV");
	assert_int_equal(run->code, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_ends),
		FAKE_TEST(test_requests),
		FAKE_TEST(test_directory_is_not_utf8),
		FAKE_TEST(test_json),
		FAKE_TEST(test_trial),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
