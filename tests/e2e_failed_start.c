/*
 * supd crashes, and the next one cannot start, for a while: it waits, tries again
 * and keeps what there is.  Nobody notices.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 2, RATE = 500 };

static char target[32], pids[1024];
static pid_t own_pid;
static struct load load;

static void
configure(void)
{
	e2e_configure_web(target, WORKERS, "");
}

static void
begin_how(unsigned how)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "");
	configure();
	assert_true(supd_start_ready_how(how, WORKERS));
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	own_pid = supd_own_pid();
}

static void
end(void)
{
	assert_int_equal(status_number("web", "ready"), WORKERS);
	assert_int_equal(status_number("web", "worker_list"), WORKERS);
	supd_stop();
}

static void
lose_everything(void)
{
	supd_memory_damage("supd-state");
	e2e_write("supd.conf", 0644, "[nonsense\n");
}

static void
try_now(void)
{
	log_mark();
	supd_signal(SIGHUP);
	log_await("SIGHUP: trying again");
}

static void
await_successors(void)
{
	log_await_ready(WORKERS);
	log_await_count("which nobody claimed, has ended", WORKERS);
	assert_int_equal(supd_own_pid(), own_pid);
}

static void
test_configuration(void **state)
{
	(void)state;
	begin_how(SUPD_PLAIN);
	lose_everything();
	supd_strike(SIGSEGV);
	log_await("cannot go on without the configuration");
	log_await("It tries again in ");
	assert_string_equal(ask_version(target), "v1");
	configure();
	try_now();
	await_successors();
	end();
}

/* Not even where supd's files are is known; it goes on by itself. */
static void
test_world_too(void **state)
{
	(void)state;
	begin_how(SUPD_PLAIN);
	load_start(&load, target, RATE, 20);
	load_await_version(&load, "v1");
	lose_everything();
	supd_memory_damage("supd-world");
	supd_strike(SIGSEGV);
	log_await_count("It tries again in ", 3);
	configure();
	await_successors();
	(void)load_end_clean(&load);
	end();
}

/* Nothing is damaged, so the same workers go on. */
static void
lose_runtime_dir(unsigned how)
{
	begin_how(how);
	assert_int_equal(rename(e2e_path("run"), e2e_path("aside")), 0);
	e2e_write("run", 0644, "");
	(void)kill(own_pid, SIGSEGV);
	log_await("cannot create a directory");
	log_await("It tries again in ");
	assert_int_equal(unlink(e2e_path("run")), 0);
	assert_int_equal(rename(e2e_path("aside"), e2e_path("run")), 0);
	try_now();
	log_await("goes on (crashed: SIGSEGV)");
	assert_int_equal(supd_own_pid(), own_pid);
	assert_string_equal(worker_pids("web"), pids);
	end();
}

static void
test_runtime_dir(void **state)
{
	(void)state;
	lose_runtime_dir(SUPD_PLAIN);
}

/* Who was executed has all, and waits for it; its parent may have less. */
static void
test_under_parent(void **state)
{
	(void)state;
	lose_runtime_dir(SUPD_UNDER_INIT);
}

/* Its workers serve without it. */
static void
test_stopped(void **state)
{
	(void)state;
	begin_how(SUPD_PLAIN);
	lose_everything();
	supd_strike(SIGSEGV);
	log_await("It tries again in ");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 1);
	assert_int_equal(log_count("SIGTERM: supd ends"), 1);
	assert_string_equal(ask_version(target), "v1");
}

/* systemd would not start it again after a 2 (units/supd.service.in). */
static void
test_exit_status(void **state)
{
	(void)state;
	begin_how(SUPD_UNDER_INIT);
	lose_everything();
	supd_memory_damage("supd-world");
	supd_strike(SIGKILL);
	log_await("supd ended with 1; ");
	configure();
	log_await_ready(WORKERS);
	log_await_count("which nobody claimed, has ended", WORKERS);
	end();
}

/*
 * Nobody had what the one before left
 */

/* It says who serves there, and what to do. */
static void
test_killed_alone(void **state)
{
	(void)state;
	begin_how(SUPD_PLAIN);
	supd_signal(SIGKILL);
	assert_int_equal(supd_wait(), 128 + SIGKILL);
	assert_true(supd_start(SUPD_PLAIN));
	log_await("workers of an earlier supd that was killed");
	assert_string_equal(ask_version(target), "v1");
	for (char *pid = strtok(pids, " "); pid != NULL;
	    pid = strtok(NULL, " ")) {
		assert_non_null(strstr(log_line("of an earlier supd"), pid));
		assert_int_equal(kill((pid_t)atoi(pid), SIGKILL), 0);
		await_gone((pid_t)atoi(pid));
	}
	log_await_ready(WORKERS);
	assert_string_equal(ask_version(target), "v1");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_configuration),
		E2E_TEST(test_world_too),
		E2E_TEST(test_runtime_dir),
		E2E_TEST(test_under_parent),
		E2E_TEST(test_stopped),
		E2E_TEST(test_exit_status),
		E2E_TEST(test_killed_alone),
	};

	return cmocka_run_group_tests_name("failed start", tests, NULL, NULL);
}
