/*
 * The environment of a release: what is inherited, what wins, what is dropped,
 * and what an environment file may not say.
 */
#include "spawn_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pin.h"

static char *probe_argv[] = { (char []){ "./bin/probe" }, NULL };

static void
test_environment(void **state)
{
	char *environment[] = { (char []){ "B=config" }, (char []){ "C=" },
	    (char []){ "PWD=/elsewhere" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	fixture_write("r1/env", "# comment\n\n  A = 1\nB=file\n", 0644);
	spec.environment_file = (char []){ "env" };
	fixture_refused(&spec, "environment_file env, line 3: a name consists");
	fixture_write("r1/env", "# comment\r\n\n A=one two \r\nB=file\nQ=\" x \""
	    "\nE=\nR='it'\"s'\nT=a=b#c", 0644);
	spec.environment = environment;
	setenv("A", "inherited", 1);
	setenv("I", "inherited", 1);
	release = fixture_pin(&spec);
	assert_string_equal(fixture_variable(release, "A"), "one two");
	assert_string_equal(fixture_variable(release, "B"), "config");
	assert_string_equal(fixture_variable(release, "C"), "");
	assert_string_equal(fixture_variable(release, "E"), "");
	assert_string_equal(fixture_variable(release, "I"), "inherited");
	assert_string_equal(fixture_variable(release, "Q"), " x ");
	assert_string_equal(fixture_variable(release, "R"), "it'\"s");
	assert_string_equal(fixture_variable(release, "T"), "a=b#c");
	assert_string_equal(fixture_variable(release, "PWD"), release->directory);
	pin_release_free(release);
}

static void
test_scrubs(void **state)
{
	static const char *const names[] = { "LISTEN_FDS", "LISTEN_PID",
	    "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID",
	    "WATCHDOG_USEC", "SUPD_SLOT", "SUPD_CONTROL", "OLDPWD", "FDSTORE",
	    "MAINPID" };
	char *environment[] = { (char []){ "SUPD_SLOT=1" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	unsigned i;

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setenv(names[i], "1", 1);
	setenv("NOTIFY_SOCKETS", "kept", 1);
	release = fixture_pin(&spec);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_null(fixture_variable(release, names[i]));
		unsetenv(names[i]);
	}
	assert_string_equal(fixture_variable(release, "NOTIFY_SOCKETS"), "kept");
	pin_release_free(release);
	spec.environment = environment;
	fixture_refused(&spec, "environment `SUPD_SLOT`: supd itself sets");
}

static void
test_refuses_environment(void **state)
{
	static char big[ENVIRONMENT_FILE_BYTES_MAX + 2];
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "A=1\nnonsense\n", "line 2: expected NAME=value" },
		{ "=x\n", "line 1: expected NAME=value" },
		{ "1A=x\n", "line 1: a name does not start with a digit" },
		{ "export A=x\n", "line 1: a name consists of letters" },
		{ "A=\"x\n", "line 1: a quote is not closed" },
		{ "\n\nLISTEN_FDS=1\n", "line 3: supd itself sets" },
		{ big, "longer than 64 KiB" },
	};
	struct spec spec = fixture_spec(probe_argv);
	unsigned i;

	(void)state;
	fixture_release("r1");
	memset(big, '\n', sizeof(big) - 1);
	spec.working_directory = fixture_r1();
	spec.environment_file = (char []){ "env" };
	fixture_refused(&spec, "environment_file env: No such file");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_write("r1/env", cases[i].text, 0644);
		fixture_refused(&spec, cases[i].words);
	}
	fixture_write("r1/env", "A=1\nBCDEF\n", 0644);
	assert_int_equal(truncate(fixture_path("r1/env"), 20), 0);
	fixture_refused(&spec, "NUL byte");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_environment),
		TEST(test_scrubs),
		TEST(test_refuses_environment),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
