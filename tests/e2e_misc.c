/*
 * supd as a process: whom it may run as, what surrounds it, how it ends, and
 * what must not disturb it (a ledger that cannot be written, a log that nobody
 * reads) or be disturbed by it (an idle machine).
 */
#include "e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	WORKERS = 2,
	IDLE_WORKERS = 20,
	IDLE_MS = 5000,
	EXIT_SYSTEM = 1,
	EXIT_CONFIG = 2,
};

static char target[32];

/* `keys` go to the service. */
static void
configure(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    WORKERS, keys);
}

static void
reload_good(const char *version)
{
	char options[64];

	snprintf(options, sizeof(options), "--version %s", version);
	e2e_install("web", options);
	supctl("reload", "web");
	assert_ended(0, "is in charge");
}

/* Every rollout since must be in it, also those of the time without. */
static void
test_ledger(void **state)
{
	(void)state;
	configure("");
	e2e_write("state", 0600, "not a directory\n");
	supd_start_ready(WORKERS);
	reload_good("v2");
	reload_good("v3");
	log_await("ledger: cannot write '");
	supd_strike(SIGSEGV);
	supctl("status");
	assert_ended(0, "the ledger: cannot write '");
	assert_int_equal(unlink(e2e_path("state")), 0);
	reload_good("v4");
	supctl("status");
	assert_int_equal(program_code, 0);
	assert_null(strstr(program_out, "ledger"));
	supctl("history", "web", "--json");
	for (unsigned i = 1; i <= 4; i++) {
		char text[32];

		snprintf(text, sizeof(text), "\"revision\":%u,", i);
		assert_ended(0, text);
	}
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	/* It knows them again, and starts the same build as what it was. */
	supd_start_ready(WORKERS);
	assert_int_equal(status_number("web", "revision"), 4);
	supd_stop();
}

static void
test_ordinary_user(void **state)
{
	char socket_path[E2E_PATH_BYTES], text[1024];
	struct program p;
	const char *argv[] = {
		e2e_program("supctl"), "--socket", socket_path, "reload",
		"web", NULL,
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	snprintf(text, sizeof(text), "[service web]\ncommand = %s\n"
	    "listen = %s\nworkers = %d\nready = notify\n", e2e_path("web"),
	    target, WORKERS);
	e2e_write("supd.conf", 0644, text);
	e2e_install("web", "--version v1");
	assert_true(supd_start(SUPD_AS_NOBODY));
	log_await_ready(WORKERS);
	strcpy(socket_path, e2e_path("xdg/supd/control.sock"));
	e2e_install("web", "--version v2");
	log_mark();
	program_start(&p, argv, E2E_NOBODY);
	program_end(&p);
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_string_equal(ask_version(target), "v2");
	assert_int_equal(access(e2e_path("xdg/supd/deployments.jsonl"), R_OK),
	    0);
	assert_int_equal(log_count("warning: ") + log_count("error: "), 0);
	supd_stop();
}

static void
test_second_supd(void **state)
{
	const char *argv[] = {
		e2e_program("supd"), "-c", e2e_path("supd.conf"), NULL,
	};
	struct program p;

	(void)state;
	configure("");
	supd_start_ready(WORKERS);
	program_start(&p, argv, 0);
	program_end(&p);
	assert_ended(EXIT_SYSTEM, "another supd runs with runtime_dir ");
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
	e2e_configure("[service web]\n");
	argv[2] = e2e_path("supd.conf");        /* its text is not kept for long */
	program_start(&p, argv, 0);
	program_end(&p);
	assert_ended(EXIT_CONFIG, "supd.conf:5: ");
}

static void
test_sighup(void **state)
{
	(void)state;
	configure("");
	supd_start_ready(WORKERS);
	e2e_install("web", "--version v2");
	supd_signal(SIGHUP);
	log_await("SIGHUP: reloading");
	log_await("web: revision 2 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_string_equal(ask_version(target), "v2");
	supd_signal(SIGPIPE);
	supd_signal(SIGUSR1);
	log_await("so it does not leave");
	assert_int_equal(status_number("web", "revision"), 2);
	supd_stop();
}

static void
test_second_sigterm(void **state)
{
	(void)state;
	configure("drain_timeout = 1h\n");
	e2e_install("web", "--version v1 --ignore-term --leave-child");
	supd_start_ready(WORKERS);
	supd_signal(SIGTERM);
	log_await("SIGTERM: stopping");
	log_await_count("told to stop: ", WORKERS);
	/* Who comes now is told that it is too late. */
	supctl("reload", "web");
	assert_ended(1, "supd is shutting down; nothing was changed");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	assert_int_equal(log_count("SIGTERM: killing what still runs"), 1);
}

/* A request that had begun is answered. */
static void
test_sigterm_is_graceful(void **state)
{
	struct load load;

	(void)state;
	configure("");
	e2e_install("web", "--stall 600 --stall-percent 100");
	supd_start_ready(WORKERS);
	load_start(&load, target, 20, 16);
	load_await_second(&load);
	assert_int_equal(kill(load.program.pid, SIGTERM), 0);
	supd_signal(SIGTERM);
	assert_int_equal(program_end(&load.program), 0);
	assert_non_null(strstr(program_out, "\"failures\":0"));
	assert_int_equal(supd_wait(), 0);
}

/* A child that its worker has left goes to the init, which has to reap it. */
static void
test_as_init(void **state)
{
	pid_t family[FAMILY_MAX], worker = 0, child = 0;

	(void)state;
	configure("kill_mode = process\n");
	e2e_install("web", "--version v1 --leave-child");
	if (!supd_start(SUPD_AS_INIT))
		skip();
	log_await_ready(WORKERS);
	log_await("pid 1, ");
	assert_int_equal(family_of(supd_pid, family), 2 * WORKERS);
	for (unsigned i = 0; i + 1 < 2 * WORKERS && worker == 0; i++) {
		pid_t own[FAMILY_MAX];

		if (family_of(family[i], own) == 1) {
			worker = family[i];
			child = own[0];
		}
	}
	log_mark();
	assert_true(worker != 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	log_await_ready(1);
	assert_int_equal(family_of(supd_pid, family), 2 * WORKERS + 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	await_gone(child);
	(void)supd_fd_count();          /* two turns of its loop */
	assert_int_equal(kill(child, 0), -1);
	assert_int_equal(errno, ESRCH);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	assert_string_equal(ask_version(target), "v2");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

static void
test_closed_input(void **state)
{
	char path[64], there[256];
	ssize_t size;

	(void)state;
	configure("");
	assert_true(supd_start(SUPD_CLOSED_INPUT));
	log_await_ready(WORKERS);
	snprintf(path, sizeof(path), "/proc/%d/fd/0",
	    (int)worker_pid("web", 1));
	size = readlink(path, there, sizeof(there) - 1);
	assert_true(size > 0);
	there[size] = '\0';
	assert_string_equal(there, "/dev/null");
	assert_string_equal(ask_version(target), "v1");
	reload_good("v2");
	supd_stop();
}

static void
test_sleeps(void **state)
{
	uint64_t before;

	(void)state;
	configure("");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n", e2e_path("web"), target,
	    IDLE_WORKERS);
	supd_start_ready(IDLE_WORKERS);
	before = process_number(supd_pid, "voluntary_ctxt_switches");
	assert_false(e2e_inputs_within(NULL, 0, IDLE_MS));
	/* Our own client may have left only now. */
	assert_in_range(process_number(supd_pid, "voluntary_ctxt_switches") -
	    before, 0, 2);
	supd_stop();
}

/* Fills the pipe that is supd's standard error; nothing here reads it. */
static void
fill_log(void)
{
	char line[512], path[64];
	int fd;

	memset(line, '\n', sizeof(line));
	snprintf(path, sizeof(path), "/proc/%d/fd/2", (int)supd_pid);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	while (write(fd, line, sizeof(line)) > 0)
		continue;
	assert_int_equal(errno, EAGAIN);
	while (write(fd, line, 1) > 0)
		continue;
	close(fd);
}

static void
test_log_is_stuck(void **state)
{
	json_t *reply;
	int fd;

	(void)state;
	configure("");
	supd_start_ready(WORKERS);
	fill_log();
	e2e_install("web", "--version v2");
	fd = control_open();
	reply = control_call(fd, "{\"method\":\"io.supd.Reload\","
	    "\"parameters\":{\"wait\":true}}");
	assert_string_equal(json_string_value(json_object_get(json_array_get(
	    json_object_get(json_object_get(reply, "parameters"),
	    "outcomes"), 0), "verdict")), "complete");
	json_decref(reply);
	close(fd);
	assert_string_equal(ask_version(target), "v2");
	/* What was lost is counted, as soon as there is room again: it may be
	 * by the first line of an old worker's end. */
	reload_good("v3");
	log_await(" log lines were dropped, standard error did not take them");
	supd_stop();
}

/* It became root, and supd is not: what it is told does not reach it. */
static void
test_out_of_reach(void **state)
{
	pid_t old;

	(void)state;
	if (geteuid() != 0)
		skip();
	configure("");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "ready = notify\ndrain_timeout = 1s\n", e2e_path("web"), target);
	e2e_install("web", "--version v1 --become-root");
	assert_int_equal(chmod(e2e_path("web"), 04755), 0);
	assert_true(supd_start_ready_how(SUPD_AS_NOBODY, 1));
	old = worker_pid("web", 1);
	log_mark();
	reload_good("v2");
	log_await("signal 15 (TERM) cannot be sent: Operation not permitted");
	log_await("signal 9 (KILL) cannot be sent: Operation not permitted");
	assert_int_equal(kill(old, SIGTERM), 0);
	await_gone(old);
	supd_stop();
}

static void
remove_runtime_dir(void)
{
	char command[E2E_PATH_BYTES + 16];

	snprintf(command, sizeof(command), "rm -r %s", e2e_path("run"));
	assert_int_equal(system(command), 0);
	log_mark();
}

/* By whoever tidies up.  It is made anew for a worker that is to be started, or
 * when somebody asks for that; and the next supd has the new one. */
static void
test_runtime_dir_removed(void **state)
{
	pid_t worker;
	unsigned count;

	(void)state;
	configure("");
	supd_start_ready(WORKERS);
	worker = worker_pid("web", 1);
	count = supd_fd_count();
	remove_runtime_dir();
	assert_int_equal(kill(worker, SIGKILL), 0);
	log_await("was removed, and is made anew");
	log_await_ready(1);
	assert_int_equal(log_count("cannot create the notify socket"), 0);
	assert_int_equal(supd_fd_count(), count);
	remove_runtime_dir();
	supd_signal(SIGHUP);
	log_await("was removed, and is made anew");
	log_await("web: revision 2 is in charge");
	supd_strike(SIGSEGV);
	reload_good("v3");
	assert_string_equal(ask_version(target), "v3");
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_ledger),
		E2E_TEST(test_ordinary_user),
		E2E_TEST(test_second_supd),
		E2E_TEST(test_sighup),
		E2E_TEST(test_second_sigterm),
		E2E_TEST(test_sigterm_is_graceful),
		E2E_TEST(test_as_init),
		E2E_TEST(test_closed_input),
		E2E_TEST(test_sleeps),
		E2E_TEST(test_log_is_stuck),
		E2E_TEST(test_out_of_reach),
		E2E_TEST(test_runtime_dir_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
