/*
 * What supctl says and exits with when something is wrong: with its words, the
 * supervisor, the connection or a configuration.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_supervisor.h"

static void
test_bad_usage(void **state)
{
	static const struct {
		const char *words[6];
		const char *says;
	} rows[] = {
		{ { "relaod" }, "did you mean \"reload\"?" },
		{ { "frobnicate" }, "no verb \"frobnicate\" (all of them" },
		{ { "stat" }, "no verb \"stat\"" },
		{ { "undo" }, "usage: supctl undo SERVICE" },
		{ { "start", "a", "b" }, "that is too much" },
		{ { "scale", "web" }, "expected SERVICE=N" },
		{ { "scale", "web=0" }, "from 1 to 4096" },
		{ { "scale", "web=4097" }, "nothing was changed" },
		{ { "scale", "web=3x" }, "nothing was changed" },
		{ { "scale", "=3" }, "nothing was changed" },
		{ { "signal", "web", "SIGNOPE" }, "nothing was sent" },
		{ { "signal", "web", "0" }, "nothing was sent" },
		{ { "status", "--plan" }, "status: no option --plan" },
		{ { "status", "-x" }, "no option -x (there are: " },
		{ { "status", "-\xc3\xa9" }, "no option -? (there are: " },
		{ { "status", "--json=yes" }, "status: --json takes no "
		    "value\n" },
		{ { "history", "-n", "0" }, "from 1 to 1000" },
		{ { "history", "-n" }, "-n needs N" },
		{ { "rollout", "pasue", "web" }, "expected status, pause, "
		    "resume, promote or abort, not \"pasue\" (did you mean "
		    "pause?); nothing was changed" },
		{ { "rollout", "web" }, "something is missing" },
		{ { "rollout", "pause", "web", "--no-wait" }, "pause does not "
		    "wait, so there is no --no-wait" },
		{ { "rollout", "abort", "web", "--watch" }, "--watch is for "
		    "status, not for abort; nothing was changed" },
		{ { "reload", "--strategy", "blue" }, "expected rolling, "
		    "canary or blue-green, not \"blue\"" },
		{ { "undo", "web", "--to-revision", "0" }, "is no revision" },
		{ { "undo", "web", "--to-revision", "v3" }, "is no revision" },
		{ { "reload", "--commit-time", "soon" }, "is no time" },
		{ { "reload", "--commit-time", "2024-13-01" }, "is no time" },
		{ { "reload", "--version", "" }, "1 to 64 bytes" },
		{ { "dora", "--since", "30" }, "expected a time from 1d to "
		    "3650d ago, as 30d, 4w or 2024-05-01, not \"30\"" },
		{ { "dora", "--since", "23h" }, "not \"23h\"" },
		{ { "dora", "--since", "3651d" }, "not \"3651d\"" },
		{ { "dora", "--since", "999999999999d" }, "from 1d to" },
		/* 30 days, in 64 bits */
		{ { "dora", "--since", "144115188075855902d" }, "from 1d" },
		{ { "dora", "--since", "1999-01-01" }, "from 1d to" },
		{ { "dora", "--since", "2999-01-01" }, "from 1d to" },
		{ { "dora", "--since", "5 days" }, "from 1d to" },
		{ { "status", "--socket", "" }, "--socket: the path is empty" },
		{ { "check", "-c", "" }, "-c: the path is empty" },
		{ { "upgrade", "--to", "" }, "--to: the path is empty" },
		{ { "start", "\xff" }, "not UTF-8: \"?\"" },
		{ { NULL }, "usage: supctl" },
	};

	(void)state;
	fake_start(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fake_run *run = fake_supctl(0, rows[i].words);

		assert_has(run->errors, rows[i].says);
		assert_int_equal(run->code, 2);
		assert_string_equal(run->output, "");
	}
}

static void
test_errors_are_told(void **state)
{
	static const struct {
		const char *reply;
		const char *says;
		int code;
	} rows[] = {
		{ "{\"error\":\"io.supd.NoSuchService\",\"parameters\":"
		    "{\"service\":\"wbe\",\"known\":[\"web\",\"api\"]}}",
		    "supctl: no service \"wbe\" (did you mean \"web\"? there "
		    "are: web, api); nothing was changed\n", 2 },
		{ "{\"error\":\"io.supd.BadConfiguration\",\"parameters\":"
		    "{\"errors\":[{\"file\":\"/etc/supd.conf\",\"line\":12,"
		    "\"text\":\"no key \\\"wrokers\\\"\"},{\"file\":\"x\","
		    "\"line\":0,\"text\":\"gone\"}],\"dropped\":3}}",
		    "/etc/supd.conf:12: no key \"wrokers\"\nx: gone\n"
		    "and 3 more\nsupctl: the configuration has errors; "
		    "nothing was changed\n", 2 },
		{ "{\"error\":\"io.supd.Failed\",\"parameters\":"
		    "{\"text\":\"no room\"}}",
		    "supctl: no room; nothing was changed\n", 1 },
		{ "{\"error\":\"io.supd.Failed\",\"parameters\":"
		    "{\"text\":\"x\\u001b; nothing was changed\"}}",
		    "supctl: x?; nothing was changed\n", 1 },
		{ "{\"error\":\"io.supd.PermissionDenied\"}",
		    "supctl: not permitted: root, supd's own user and members "
		    "of its control_group may; nothing was changed\n", 4 },
		{ "{\"error\":\"io.supd.PermissionDenied\",\"parameters\":"
		    "{\"uid\":1000}}", "not permitted for uid 1000: ", 4 },
		{ "{\"error\":\"io.supd.Busy\",\"parameters\":"
		    "{\"limit\":32}}", "has 32 clients already; nothing was "
		    "changed\n", 1 },
		{ "{\"error\":\"io.supd.FrameTooLarge\",\"parameters\":"
		    "{\"limit\":65536}}", "larger than 65536 bytes", 2 },
		{ "{\"error\":\"org.varlink.service.MethodNotFound\","
		    "\"parameters\":{\"method\":\"io.supd.Start\"}}",
		    "does not know io.supd.Start", 1 },
		{ "{\"error\":\"org.varlink.service.InvalidParameter\","
		    "\"parameters\":{\"parameter\":\"service\"}}",
		    "does not accept this value of `service`", 2 },
		{ "{\"error\":\"com.example.Odd\",\"parameters\":{\"a\":1}}",
		    "com.example.Odd {\"a\":1}; nothing was changed", 1 },
		{ "HTTP/1.1 400 Bad Request", "no Varlink reply", 1 },
		{ "[]", "is not known, see: supctl status", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fake_answer answers[] = {
			{ "Start", { rows[i].reply }, FAKE_STAYS }, { NULL } };
		const struct fake_run *run;

		fake_start(answers);
		run = SUPCTL("start", "web");
		assert_has(run->errors, rows[i].says);
		assert_int_equal(run->code, rows[i].code);
		assert_string_equal(run->output, "");
		fake_stop();
	}
	fake_start(NULL);
}

/* It stands whole in a log that others write to: a pipe of packets, each of which
 * is a write. */
static void
test_an_error_is_one_write(void **state)
{
	char path[256], text[256] = "";
	int ends[2], status;
	pid_t pid;

	(void)state;
	fake_start(NULL);
	snprintf(path, sizeof(path), "%s/supctl", getenv("top_builddir"));
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_DIRECT), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		execl(path, "supctl", "relaod", NULL);
		_exit(126);
	}
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_string_equal(text, "supctl: no verb \"relaod\": did you mean "
	    "\"reload\"? (all of them: supctl help)\n");
}

/* Of many services none is left out or cut. */
static void
test_many_services(void **state)
{
	char reply[4096] = "{\"error\":\"io.supd.NoSuchService\","
	    "\"parameters\":{\"service\":\"wbe\",\"known\":[";
	const struct fake_answer answers[] = {
		{ "Start", { reply }, FAKE_STAYS }, { NULL } };
	char last[64];

	(void)state;
	for (int i = 0; i < 64; i++) {
		snprintf(last, sizeof(last), "service-%032d", i);
		snprintf(reply + strlen(reply), sizeof(reply) - strlen(reply),
		    "%s\"%s\"", i > 0 ? "," : "", last);
	}
	strcat(reply, "]}}");
	strcat(last, "); nothing was changed\n");
	fake_start(answers);
	assert_has(SUPCTL("start", "wbe")->errors, last);
}

static void
test_bad_supervisors(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Start", { NULL }, FAKE_HANGS_UP },
		{ "Stop", { NULL }, FAKE_FLOODS },
		{ "Status", { "{\"parameters\":{\"services\":[]}}" },
		    FAKE_STAYS },
		{ "History", { "{\"parameters\":{\"deployments\":3}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("start", "web");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "closed the connection without an answer");
	run = SUPCTL("stop", "web");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "is larger than 8388608 bytes");
	run = SUPCTL("status");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "no `supervisor`");
	run = SUPCTL("history");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "no `deployments`");
}

static void
test_no_supervisor(void **state)
{
	static const char *const words[] = { "status", NULL };
	static const char *const named[] = { "-c", NULL, "status", NULL };
	const char *configured[4];
	const struct fake_run *run;

	(void)state;
	fake_start(NULL);
	run = SUPCTL("status");
	assert_int_equal(run->code, 3);
	assert_has(run->errors, "supctl: no supervisor at /tmp/test_supctl.");
	assert_has(run->errors, "/control.sock: No such file or directory "
	    "(is supd running? another socket: --socket PATH)\n");
	setenv("SUPD_CONTROL", "/nonexistent/by-environment", 1);
	run = fake_supctl(FAKE_NO_SOCKET, words);
	assert_int_equal(run->code, 3);
	assert_has(run->errors, "at /nonexistent/by-environment:");

	/* What is said on the command line counts more. */
	memcpy(configured, named, sizeof(named));
	configured[1] = fake_file("supd.conf",
	    "[supd]\nruntime_dir = /nonexistent/configured\n");
	run = fake_supctl(FAKE_NO_SOCKET, configured);
	unsetenv("SUPD_CONTROL");
	assert_int_equal(run->code, 3);
	assert_has(run->errors, "at /nonexistent/configured/control.sock:");
	fake_file("supd.conf", "[supd]\nnonsense = 1\n");
	run = fake_supctl(FAKE_NO_SOCKET, configured);
	assert_int_equal(run->code, 2);
	assert_has(run->errors, "supd.conf:2: ");
	assert_has(run->errors, "--socket PATH");
}

static void
test_check(void **state)
{
	const struct fake_run *run;
	const char *path;

	(void)state;
	fake_start(NULL);
	path = fake_file("supd.conf", "[service web]\ncommand = /bin/true\n"
	    "listen = 127.0.0.1:8080\nworkers = 4\nready = alive 1s\n"
	    "[service mute]\ncommand = /bin/true\nready = notify\n"
	    "[service halves]\ncommand = /bin/true\nworkers = 2\n"
	    "listen = unix:/run/halves\nprobe = tcp\nready = probe\n"
	    "strategy = canary\nsteps = 50% pause, 100%\n"
	    "[service tcp]\ncommand = /bin/true\nlisten = 0.0.0.0:1\n"
	    "strategy = canary\n");
	run = SUPCTL("check", path);
	assert_string_equal(run->errors, "");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "/supd.conf: no errors\n"
	    "4 services, 8 workers, 3 listeners\n");
	assert_has(run->output, "web      4        alive   127.0.0.1:8080    "
	    "rolling   /bin/true\n");
	assert_has(run->output, "halves   2        probe   unix:/run/halves  "
	    "canary    /bin/true\n");
	assert_has(run->output, "web: readiness is only a guess: a worker "
	    "that has lived for 1.0 s");
	assert_has_not(run->output, "mute: readiness");
	assert_has(run->output, "halves: a weight is a share of the workers, "
	    "not of the connections: listener halves is a unix socket\n");
	assert_has_not(run->output, "web: a weight");
	assert_has_not(run->output, "mute: a weight");
	assert_has_not(run->output, "tcp: a weight");
	fake_file("supd.conf", "[service web]\nwrokers = 4\n");
	run = SUPCTL("check", path);
	assert_int_equal(run->code, 2);
	assert_has(run->errors, "supd.conf:2: ");
	assert_string_equal(run->output, "");
	/* A terminal may obey it. */
	fake_file("supd.conf", "[service web]\nworkers = \xc2\x9b""2J\n");
	run = SUPCTL("check", path);
	assert_has(run->errors, "supd.conf:2: ");
	assert_has(run->errors, "?2J");
	assert_has_not(run->errors, "\x9b");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_bad_usage),
		FAKE_TEST(test_errors_are_told),
		FAKE_TEST(test_an_error_is_one_write),
		FAKE_TEST(test_many_services),
		FAKE_TEST(test_bad_supervisors),
		FAKE_TEST(test_no_supervisor),
		FAKE_TEST(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
