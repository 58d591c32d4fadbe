/*
 * Workers that die or do not want to, processes that outlive them, and a supd
 * without file descriptors: others go on serving, nothing is left behind, and
 * each is told by name.
 */
#include "e2e.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	WORKERS = 4,
	RATE = 1000,
	KILL_ROUNDS = 12,
	IN_FLIGHT_MAX = 16,             /* requests in one worker's hands */
	FEW_FDS = 64,
};

static char target[32];

static void
configure(unsigned workers, const char *keys)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %u\nready = notify\n%s", e2e_path("web"), target,
	    workers, keys);
}

static void
begin(const char *options, unsigned workers, const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", options);
	configure(workers, keys);
	supd_start_ready(workers);
}

static void
install_version(unsigned number)
{
	char options[64];

	snprintf(options, sizeof(options), "--version v%u", number);
	e2e_install("web", options);
}

static void
test_kills_during_reloads(void **state)
{
	unsigned rounds = e2e_rounds(KILL_ROUNDS), good = 0;
	uint64_t failures;
	struct load load;
	json_t *report;

	(void)state;
	begin("--version v1", WORKERS, "min_ready = 100ms\n");
	load_start(&load, target, RATE, 0);
	load_await_second(&load);
	for (unsigned i = 0; i < rounds; i++) {
		struct program reload;
		unsigned stable = (unsigned)status_number("web", "revision");
		pid_t victim;

		install_version(i + 2);
		log_mark();
		supctl_begin(&reload, "reload", "web");
		log_await(i % 2 == 0 ? "step 2 of 4" : "step 3 of 4");
		victim = worker_pid("web", i % 3 == 0 ? i + 2 : stable);
		kill(victim, SIGKILL);  /* it may have gone by itself */
		good += program_end(&reload) == 0;
		assert_true(program_code == 0 || program_code == 1);
	}
	report = load_end(&load);
	failures = load_number(report, "failures");
	assert_int_equal(failures, load_number(report, "reset") +
	    load_number(report, "empty") + load_number(report, "truncated"));
	assert_true(failures <= rounds * IN_FLIGHT_MAX);
	assert_true(rounds < KILL_ROUNDS || (good > 0 && good < rounds));
	print_message("%u kills, %u of %u reloads got through, %d of %d "
	    "requests were cut\n", rounds, good, rounds, (int)failures,
	    (int)load_number(report, "requests"));
	json_decref(report);
	log_mark();
	e2e_install("web", "--version last");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	log_await_count(" exited with status 0", WORKERS);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_string_equal(ask_version(target), "last");
	supd_stop();
}

/* A killed process dies when it is next scheduled. */
static void
await_family(unsigned count)
{
	pid_t family[FAMILY_MAX];

	for (unsigned i = 0; family_of(supd_pid, family) != count; i++) {
		assert_true(i < E2E_WAIT_MS / 10);
		(void)e2e_inputs_within(NULL, 0, 10);
	}
}

static void
test_ignores_sigterm(void **state)
{
	pid_t family[FAMILY_MAX];

	(void)state;
	begin("--version v1 --ignore-term --leave-child", 2,
	    "drain_timeout = 400ms\n");
	assert_int_equal(family_of(supd_pid, family), 4);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await_count("revision=1 did not stop in time, killed", 2);
	log_await_count("was ended by signal 9 (KILL)", 2);
	assert_string_equal(ask_version(target), "v2");
	await_family(2);
	supd_stop();
}

/* A stopped process does not see SIGTERM; supd lets it go on. */
static void
test_is_stopped(void **state)
{
	pid_t old;

	(void)state;
	begin("--version v1", 1, "drain_timeout = 1h\n");
	old = worker_pid("web", 1);
	assert_int_equal(kill(old, SIGSTOP), 0);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	await_gone(old);
	log_await("revision=1 exited with status 0");
	supd_stop();
}

static void
test_double_forks(void **state)
{
	(void)state;
	begin("--version v1", 2, "min_ready = 500ms\n");
	e2e_install("web", "--version v2 --double-fork");
	supctl("reload", "web");
	assert_ended(1, "worker web/0 of revision 2 exited with status 0, ");
	log_await(" outside of its process group: killed");
	log_await(" outlived its worker (g");
	await_family(2);
	for (unsigned i = 0; i < 8; i++)
		assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

/* Only what is in its group goes with it, and only if it is to. */
static void
leave_child(const char *keys, bool goes)
{
	pid_t family[FAMILY_MAX], worker, child;

	begin("--version v1 --leave-child", 1, keys);
	assert_int_equal(family_of(supd_pid, family), 2);
	worker = worker_pid("web", 1);
	child = family[0] == worker ? family[1] : family[0];
	assert_int_equal(kill(worker, SIGKILL), 0);
	log_await("was ended by signal 9 (KILL)");
	log_await_ready(1);
	assert_int_equal(log_count(" outlived its worker "), 0);
	assert_int_equal(family_of(supd_pid, family), goes ? 2 : 3);
	assert_int_equal(kill(child, 0), goes ? -1 : 0);
	if (goes) {
		supd_stop();
		return;
	}
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

static void
test_leaves_a_child(void **state)
{
	(void)state;
	leave_child("", true);
}

static void
test_may_leave_a_child(void **state)
{
	(void)state;
	leave_child("kill_mode = process\n", false);
}

static void
assert_command_line(pid_t pid, const char *word)
{
	char path[64], bytes[4096];
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(size > 0);
	assert_non_null(memmem(bytes, (size_t)size, word, strlen(word)));
}

/* In the middle of a rollout, with another build under its name. */
static void
test_old_crashes_after_install(void **state)
{
	struct program reload;
	pid_t old;

	(void)state;
	begin("--version v1", 2, "min_ready = 700ms\n");
	e2e_install("web", "--version v2");
	supctl_begin(&reload, "reload", "web");
	log_await("revision=2 ready");
	old = worker_pid("web", 1);
	assert_int_equal(kill(old, SIGKILL), 0);
	log_await("revision=1 was ended by signal 9 (KILL)");
	log_await("revision=1 ready");
	assert_true(worker_pid("web", 1) != old);
	assert_command_line(worker_pid("web", 1), "v1");
	assert_command_line(worker_pid("web", 2), "v2");
	program_end(&reload);
	assert_ended(0, "web: revision 2 is in charge, after ");
	supd_stop();
}

/* A crash loop: ever longer pauses, and never a wedge. */
static void
test_backs_off(void **state)
{
	(void)state;
	/* A crash loop is never at rest, so supd_start_ready() is not for it. */
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1 --crash-after 1");
	configure(1, "backoff_min = 20ms\nbackoff_max = 200ms\n");
	assert_true(supd_start(SUPD_PLAIN));
	log_await_count(" exited with status 1", 8);
	assert_true(status_number("web", "restarts") >= 8);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

static void
test_no_fds_left(void **state)
{
	struct load load;

	(void)state;
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	configure(2, "backoff_min = 10ms\nbackoff_max = 100ms\n");
	e2e_fd_limit = FEW_FDS;
	assert_true(supd_start(SUPD_FEW_FDS));
	log_await_ready(2);
	load_start(&load, target, RATE / 10, 0);
	load_await_second(&load);
	supctl("scale", "web=60");
	assert_ended(0, "web: 60 workers wanted");
	log_await("Too many open files");
	log_await("; trying again");
	assert_null(strstr(log_line("Too many open files"), "error: "));
	/* There is room for an operator, who can end it. */
	supctl("scale", "web=2");
	assert_ended(0, "web: 2 workers wanted");
	while (status_number("web", "worker_list") > 2)
		if (!e2e_inputs_within(NULL, 0, E2E_WAIT_MS))
			fail_msg("those that are too many do not end");
	load_end_clean(&load);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

/* The room comes back when another leaves, and nobody has to ask. */
static void
test_fds_come_back(void **state)
{
	pid_t family[FAMILY_MAX];
	unsigned count;

	(void)state;
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	e2e_configure("[service a]\ncommand = %s\nlisten = %s\n"
	    "ready = notify\n[service b]\ncommand = /bin/sleep 1000\n"
	    "workers = 60\nready = alive 1ms\nbackoff_min = 10ms\n"
	    "backoff_max = 100ms\nrestart = never\n", e2e_path("web"), target);
	e2e_fd_limit = FEW_FDS;
	assert_true(supd_start(SUPD_FEW_FDS));
	log_await("; trying again");
	count = family_of(supd_pid, family);
	assert_true(count > 8 && count < 60);
	log_mark();
	/* The first one is the other service's. */
	for (unsigned i = count / 2; i < count; i++)
		kill(family[i], SIGKILL);
	log_await_count(" started\n", count / 4);
	log_await("; trying again");
	assert_string_equal(ask_version(target), "v1");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_kills_during_reloads),
		E2E_TEST(test_ignores_sigterm),
		E2E_TEST(test_is_stopped),
		E2E_TEST(test_double_forks),
		E2E_TEST(test_leaves_a_child),
		E2E_TEST(test_may_leave_a_child),
		E2E_TEST(test_old_crashes_after_install),
		E2E_TEST(test_backs_off),
		E2E_TEST(test_no_fds_left),
		E2E_TEST(test_fds_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
