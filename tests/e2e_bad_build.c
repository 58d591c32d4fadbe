/*
 * Builds that must not get through: however one is broken, the rollout ends in
 * the documented state with the documented message and exit code, the release
 * in charge is in charge again, and not one request fails meanwhile.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 2, RATE = 200 };

static char target[32];
static struct load load;

/* A good build v1 in charge, with these further keys, and users. */
static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	e2e_configure_web(target, WORKERS, keys);
	supd_start_ready(WORKERS);
	load_start(&load, target, RATE, 0);
	load_await_second(&load);
}

static void
end(void)
{
	load_end_clean(&load);
	supd_stop();
}

static void
assert_in_charge(unsigned revision, const char *version)
{
	assert_int_equal(status_number("web", "revision"), revision);
	workers_await_only("web", revision);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_string_equal(ask_version(target), version);
}

/* The last rollout as supctl and the ledger tell it. */
static void
assert_last(const char *verdict, const char *reason)
{
	supctl("rollout", "status", "web");
	assert_ended(0, reason);
	supctl("history", "web", "--json");
	assert_ended(0, reason);
	assert_ended(0, verdict);
}

static void
reload_bad(const char *options, const char *reason)
{
	e2e_install("web", options);
	supctl("reload", "web");
	assert_ended(1, reason);
	assert_ended(1, "web: rolled back to revision 1: ");
	assert_ended(1, "; revision 1 serves");
	assert_in_charge(1, "v1");
	assert_last("\"rolled-back\"", reason);
}

static void
test_exits_at_once(void **state)
{
	(void)state;
	begin("");
	reload_bad("--version v2 --exit-at-start 3",
	    "worker web/0 of revision 2 exited with status 3, ");
	assert_ended(0, " s after it was started, before it was ready");
	end();
}

static void
test_never_ready(void **state)
{
	(void)state;
	begin("ready_timeout = 400ms\n");
	reload_bad("--version v2 --never-ready", "worker web/0 of revision 2: "
	    "a new worker was not ready within ready_timeout");
	end();
}

static void
test_crashes_after_a_while(void **state)
{
	(void)state;
	begin("min_ready = 1500ms\n");
	reload_bad("--version v2 --crash-after 700 --crash-by SEGV",
	    "worker web/0 of revision 2 was ended by signal 11 (SEGV), ");
	assert_ended(0, "; its last status: \\\"serving\\\"");
	end();
}

static void
test_misses_its_watchdog(void **state)
{
	(void)state;
	begin("watchdog = 300ms\nmin_ready = 2s\n");
	reload_bad("--version v2 --stop-self", "worker web/0 of revision 2: "
	    "a new worker was silent for longer than its watchdog");
	end();
}

static void
test_is_no_program(void **state)
{
	(void)state;
	begin("");
	e2e_write("web", 0755, "neither a script nor an ELF file\n");
	supctl("reload", "web");
	assert_ended(1, "Exec format error");
	assert_in_charge(1, "v1");
	e2e_write("web", 0644, "not executable\n");
	supctl("reload", "web");
	assert_ended(1, " has no execute permission, its mode is 0644; "
	    "nothing was changed");
	assert_in_charge(1, "v1");
	end();
}

static void
test_overwritten_in_place(void **state)
{
	struct program reload;

	(void)state;
	begin("min_ready = 500ms\n");
	e2e_install("web", "--version v2");
	supctl_begin(&reload, "reload", "web");
	log_await("revision=2 ready");
	e2e_overwrite("web", "--version v3");
	program_end(&reload);
	assert_ended(1, "was changed after revision 2 was pinned (install a "
	    "build as a new file, with rename)");
	assert_in_charge(1, "v1");
	end();
}

/* Its executable was overwritten, and it crashes: it must come back anyway. */
static void
test_stable_overwritten_in_place(void **state)
{
	(void)state;
	begin("");
	e2e_overwrite("web", "--version v2");
	assert_int_equal(supctl("signal", "web", "TERM"), 0);
	log_await("was changed after revision 1 was pinned; what starts now "
	    "may be another build");
	log_await_ready(WORKERS);
	assert_in_charge(1, "v2");
	end();
}

static void
test_configuration_error(void **state)
{
	char place[E2E_PATH_BYTES + 8];

	(void)state;
	begin("");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = many\ncolour = red\nready_timeout = 10\n",
	    e2e_path("web"), target);
	supctl("reload", "web");
	for (unsigned line = 8; line <= 10; line++) {
		snprintf(place, sizeof(place), "%s:%u: ",
		    e2e_path("supd.conf"), line);
		assert_ended(2, place);
	}
	assert_ended(2, "the configuration has errors; nothing was changed");
	supd_signal(SIGHUP);
	log_await(place);
	log_await("the configuration has errors; nothing was changed");
	assert_in_charge(1, "v1");
	assert_int_equal(status_number("web", "workers"), WORKERS);
	end();
}

static void
test_pause_and_undo(void **state)
{
	(void)state;
	begin("on_failure = pause\nmin_ready = 200ms\n");
	e2e_install("web", "--version v2 --exit-at-start 1");
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "revision 2: rolling out; to see it: "
	    "supctl rollout status web");
	log_await("web: rollout of revision 2 is paused: worker web/0 of "
	    "revision 2 exited with status 1, ");
	supctl("rollout", "status", "web");
	assert_ended(0, "paused");
	supctl("restart", "web");
	assert_ended(1, "web: cannot restart while a rollout is in phase "
	    "paused; wait for its end, or `supctl undo web`; nothing was "
	    "changed");
	supctl("undo", "web");
	assert_ended(0, "revision 1 is in charge");
	assert_in_charge(1, "v1");
	assert_last("\"rolled-back\"", "exited with status 1");
	end();
}

static void
test_quarantine(void **state)
{
	(void)state;
	begin("");
	reload_bad("--version v2 --exit-at-start 3", "exited with status 3");
	supctl("reload", "web");
	assert_ended(1, "this very build, ");
	assert_ended(1, " was rolled back before; it is rolled out again when "
	    "it has changed on disk, or with --force; nothing was changed");
	supctl("reload", "web", "--force");
	assert_ended(1, "web: rolled back to revision 1: ");
	assert_in_charge(1, "v1");
	e2e_install("web", "--version v3");
	supctl("reload", "web");
	assert_ended(0, "web: revision 4 is in charge, after ");
	assert_in_charge(4, "v3");
	end();
}

static void
test_progress_deadline(void **state)
{
	(void)state;
	begin("progress_deadline = 500ms\n");
	reload_bad("--version v2 --never-ready",
	    "no progress within progress_deadline");
	end();
}

static void
test_supersedes(void **state)
{
	struct program first, second;

	(void)state;
	begin("");
	e2e_install("web", "--version v2 --slow-start 20000");
	supctl_begin(&first, "reload", "web");
	log_await("revision=2 started");
	e2e_install("web", "--version v3");
	supctl_begin(&second, "reload", "web", "--version", "3.0");
	program_end(&first);
	assert_ended(1, "web: revision 2: superseded: a newer release came");
	program_end(&second);
	assert_ended(0, "web: revision 3 (3.0) is in charge, after ");
	assert_in_charge(3, "v3");
	supctl("history", "web", "--json");
	assert_ended(0, "\"verdict\":\"superseded\",\"reason\":"
	    "\"a newer release came\"");
	assert_int_equal(log_count("going back to revision 1: a newer "
	    "release came"), 1);
	end();
}

/* A rollout that has handed over one of two slots when it fails. */
static void
test_fails_half_way(void **state)
{
	struct program reload;

	(void)state;
	begin("min_ready = 300ms\n");
	e2e_install("web", "--version v2");
	supctl_begin(&reload, "reload", "web");
	log_await("step 2 of 2: 2 of 2 workers of revision 2");
	assert_int_equal(kill(worker_pid("web", 2), SIGKILL), 0);
	program_end(&reload);
	assert_ended(1, " of revision 2 was ended by signal 9 (KILL), ");
	assert_in_charge(1, "v1");
	json_decref(load_end(&load));   /* one may have been in its hands */
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_exits_at_once),
		E2E_TEST(test_never_ready),
		E2E_TEST(test_crashes_after_a_while),
		E2E_TEST(test_misses_its_watchdog),
		E2E_TEST(test_is_no_program),
		E2E_TEST(test_overwritten_in_place),
		E2E_TEST(test_stable_overwritten_in_place),
		E2E_TEST(test_configuration_error),
		E2E_TEST(test_pause_and_undo),
		E2E_TEST(test_quarantine),
		E2E_TEST(test_progress_deadline),
		E2E_TEST(test_supersedes),
		E2E_TEST(test_fails_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
