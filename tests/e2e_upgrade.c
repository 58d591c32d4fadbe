/*
 * Upgrades that do not come about, and such that come at a bad moment: the supd
 * before is in charge, says why, and nobody else notices.
 */
#include "e2e.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 2, RATE = 500 };

static char target[32];
static char pids[1024];
static pid_t own_pid;
static struct load load;

static void
begin_how(unsigned how, const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    WORKERS, keys);
	assert_true(supd_start_ready_how(how, WORKERS));
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	own_pid = supd_own_pid();
}

static void
begin(void)
{
	begin_how(SUPD_PLAIN, "");
}

/* The same supd or one that goes on from it, and the same workers. */
static void
assert_in_charge(void)
{
	assert_int_equal(supd_own_pid(), own_pid);
	assert_string_equal(worker_pids("web"), pids);
	assert_string_equal(ask_version(target), "v1");
}

/* Of what was under load: no user has noticed. */
static void
end(void)
{
	(void)load_end_clean(&load);
	supd_stop();
}

/*
 * Asking
 */

static int
ask(const char *path)
{
	char request[512];
	int fd = control_open();

	assert_true(fd >= 0);
	snprintf(request, sizeof(request), "{\"method\":\"io.supd.Upgrade\","
	    "\"more\":true,\"parameters\":{\"path\":\"%s\"}}", path);
	assert_int_equal(send(fd, request, strlen(request) + 1, MSG_NOSIGNAL),
	    strlen(request) + 1);
	return fd;
}

/* The last answer; closes the connection. */
static json_t *
hear(int fd)
{
	json_t *reply = upgrade_await(fd, "done");

	assert_non_null(reply);
	close(fd);
	return reply;
}

static void
await_trial(int fd)
{
	json_t *reply = upgrade_await(fd, "trial");

	if (strcmp(upgrade_stage(reply), "trial") != 0)
		fail_msg("it is not in charge: %s", json_dumps(reply, 0));
	json_decref(reply);
}

static void
assert_error(int fd, const char *error, const char *reason)
{
	json_t *reply = hear(fd);
	const char *name = json_string_value(json_object_get(reply, "error"));
	const char *why = json_string_value(json_object_get(json_object_get(
	    reply, "parameters"), "reason"));

	if (name == NULL || strcmp(name, error) != 0 || why == NULL ||
	    strstr(why, reason) == NULL)
		fail_msg("wanted %s (… %s …), got %s", error, reason,
		    json_dumps(reply, 0));
	json_decref(reply);
}

static void
assert_refused(const char *path, const char *reason)
{
	assert_error(ask(path), "io.supd.UpgradeRefused", reason);
	assert_string_equal(restarted_why(), "");
}

static void
assert_done(int fd)
{
	json_t *reply = hear(fd);

	if (strcmp(upgrade_stage(reply), "done") != 0)
		fail_msg("the upgrade is not done: %s", json_dumps(reply, 0));
	json_decref(reply);
	assert_in_charge();
}

/*
 * What is refused
 */

static const char *
script(const char *name, const char *text)
{
	char bytes[1024];

	snprintf(bytes, sizeof(bytes), "#!/bin/sh\n%s\n", text);
	e2e_write(name, 0755, bytes);
	return e2e_path(name);
}

/* What a supd says to such a copy of the state. */
static void
refuse_state(const char *copy, const char *reason)
{
	char text[512];

	snprintf(text, sizeof(text), "printf '%s' >$0.copy; exec 3<$0.copy; "
	    "exec %s \"$@\"", copy, e2e_program("supd"));
	assert_refused(script("other", text), reason);
}

static void
test_refused(void **state)
{
	(void)state;
	begin();
	load_start(&load, target, RATE, 0);
	assert_refused("/bin/true", "exit status 0): it has said nothing");
	assert_refused(script("nonsense", "echo nonsense"), "nonsense");
	assert_refused(script("flood", "yes | head -c 500000"), "y");
	assert_refused(script("newer", "echo its format is newer; exit 1"),
	    "exit status 1): its format is newer");
	assert_refused(script("killed", "kill -SEGV $$"), "signal 11");
	assert_refused(script("liar", "echo supd-resume: supd 9; exit 3"),
	    "exit status 3");
	refuse_state("supd-resume 3 2\\nabc{}", "no whole turn");
	refuse_state("supd-resume 3000 2\\nabc{}", "not handed over whole");
	assert_refused(e2e_path("nothing"), "/nothing: No such file");
	assert_refused(e2e_path("run"), "");
	assert_refused(e2e_path("supd.conf"), "has no execute permission");
	assert_refused("supd", "absolute");
	assert_refused("", "absolute");
	assert_in_charge();
	end();
}

/* A script would need its own file, which is closed when it is executed. */
static void
test_script(void **state)
{
	char text[512];

	(void)state;
	begin();
	snprintf(text, sizeof(text), "exec %s \"$@\"", e2e_program("supd"));
	assert_refused(script("wrapper", text), "cannot be executed");
	assert_in_charge();
	supd_stop();
}

static void
test_replaced(void **state)
{
	char text[512];

	(void)state;
	begin();
	snprintf(text, sizeof(text), "cp $0 $0.new; mv $0.new $0; exec %s "
	    "\"$@\"", e2e_program("supd"));
	assert_refused(script("replaced", text), "it was replaced");
	assert_in_charge();
	supd_stop();
}

/* Bounded; meanwhile supd does everything else. */
static void
test_hangs(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = ask(script("hangs", "trap '' TERM; sleep 1000"));
	json_decref(control_receive(fd));       /* checking */
	assert_refused(e2e_program("supd"), "going on already");
	supd_signal(SIGUSR2);
	log_await("upgrade: an upgrade is going on already");
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	close(fd);                              /* who asked is gone */
	log_await("took longer than");
	assert_string_equal(ask_version(target), "v2");
	assert_string_equal(restarted_why(), "");
	supd_stop();
}

/* Nothing of it is left, and nobody waits for it. */
static void
test_stopping(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = ask(script("hangs", "sleep 1000"));
	json_decref(control_receive(fd));
	supd_signal(SIGTERM);
	assert_error(fd, "io.supd.UpgradeRefused", "supd is stopping");
	assert_int_equal(supd_wait(), 0);
	supd_assert_nothing_left();
}

/*
 * What fails later
 */

static const char *
install_doomed(const char *name)
{
	char command[1024];

	snprintf(command, sizeof(command), "cp %s %s",
	    e2e_program("tests/doomed"), e2e_path(name));
	assert_int_equal(system(command), 0);
	return e2e_path(name);
}

static void
check_return(const char *name, const char *why)
{
	char text[128];

	log_mark();
	assert_error(ask(install_doomed(name)), "io.supd.UpgradeFailed", why);
	snprintf(text, sizeof(text), "back from an upgrade that failed: %s",
	    why);
	assert_string_equal(restarted_why(), text);
	assert_in_charge();
}

static void
test_returns(void **state)
{
	(void)state;
	begin();
	load_start(&load, target, RATE, 0);
	check_return("aborts", "SIGABRT");
	check_return("gives-up", "it is doomed");
	end();
}

/*
 * The trial
 */

/* The one before is back, whether or not somebody still waits. */
static void
strike_on_trial(int fd, bool waits)
{
	await_trial(fd);
	if (!waits) {
		close(fd);
		json_decref(service_status("web"));     /* supd has seen it */
	}
	supd_strike(SIGSEGV);
	if (waits)
		assert_error(fd, "io.supd.UpgradeFailed", "SIGSEGV");
	assert_string_equal(restarted_why(),
	    "back from an upgrade that failed: SIGSEGV");
	assert_false(supd_is_on_trial());
	assert_in_charge();
	log_await("goes on (back from an upgrade that failed");
	assert_int_equal(log_count("was announced and is not there"), 0);
}

static void
test_fails_on_trial(void **state)
{
	(void)state;
	begin();
	load_start(&load, target, RATE, 0);
	strike_on_trial(ask(e2e_program("supd")), true);
	strike_on_trial(ask(e2e_program("supd")), false);
	end();
}

/* Meanwhile supd does everything else, and the verdict is the last word. */
static void
test_verdict(void **state)
{
	int fd;

	(void)state;
	begin();
	fd = ask(e2e_program("supd"));
	await_trial(fd);
	assert_true(supd_is_on_trial());
	supctl("stop", "web");
	assert_ended(0, "");
	log_await_count("exited with status 0", WORKERS);
	supctl("start", "web");
	assert_ended(0, "");
	log_await_ready(WORKERS);
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	assert_done(fd);
	assert_false(supd_is_on_trial());
	supd_strike(SIGSEGV);
	assert_string_equal(restarted_why(), "crashed: SIGSEGV");
	supd_stop();
}

/* Whoever upgrades again does not want the one before back. */
static void
test_upgraded_on_trial(void **state)
{
	int first, second;

	(void)state;
	begin();
	first = ask(e2e_program("supd"));
	await_trial(first);
	second = ask(e2e_program("supd"));
	assert_done(first);
	await_trial(second);
	assert_true(supd_is_on_trial());
	supd_strike(SIGSEGV);
	assert_error(second, "io.supd.UpgradeFailed", "SIGSEGV");
	assert_in_charge();
	supd_stop();
}

static void
test_stopped_on_trial(void **state)
{
	json_t *reply;
	int fd;

	(void)state;
	begin();
	fd = ask(e2e_program("supd"));
	await_trial(fd);
	supd_signal(SIGTERM);
	reply = hear(fd);
	assert_string_equal(upgrade_stage(reply), "done");
	json_decref(reply);
	assert_int_equal(supd_wait(), 0);
	supd_assert_nothing_left();
}

/* What is no supd cannot go back; its parent starts one. */
static void
test_impostor(void **state)
{
	(void)state;
	begin_how(SUPD_UNDER_INIT, "");
	load_start(&load, target, RATE, 0);
	close(ask(install_doomed("fails")));
	log_await("goes on (was killed or ended");
	assert_string_equal(worker_pids("web"), pids);
	end();
}

/*
 * Bad moments
 */

static void
test_without_client(void **state)
{
	(void)state;
	begin();
	close(ask(e2e_program("supd")));
	log_await("on trial for 2 s");
	assert_in_charge();
	log_mark();
	supd_signal(SIGUSR2);
	log_await("on trial for 2 s");
	assert_in_charge();
	log_mark();
	log_await("there is no way back");      /* it has two fds more */
	supd_stop();
}

/* All that came is doubled for a moment. */
static void
test_few_fds(void **state)
{
	int fd;

	(void)state;
	e2e_fd_limit = 64;
	begin_how(SUPD_FEW_FDS, "");
	fd = ask(e2e_program("supd"));
	await_trial(fd);
	close(fd);
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	supd_assert_nothing_left();
}

static void
test_canary(void **state)
{
	int fd;

	(void)state;
	begin_how(SUPD_PLAIN, "strategy = canary\nsteps = 50% 1h, 100%\n");
	load_start(&load, target, RATE, 0);
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web", "--no-wait");
	rollout_await_weight("web", 500);
	fd = ask(e2e_program("supd"));
	await_trial(fd);
	close(fd);
	assert_int_equal(supd_own_pid(), own_pid);
	load_await_version(&load, "v2");
	supctl("rollout", "abort", "web");
	json_decref(rollout_await_verdict("web", 2, "aborted"));
	workers_await_only("web", 1);
	assert_in_charge();
	(void)load_end_clean(&load);
	log_await("there is no way back");
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_refused),
		E2E_TEST(test_script),
		E2E_TEST(test_replaced),
		E2E_TEST(test_hangs),
		E2E_TEST(test_stopping),
		E2E_TEST(test_returns),
		E2E_TEST(test_fails_on_trial),
		E2E_TEST(test_verdict),
		E2E_TEST(test_upgraded_on_trial),
		E2E_TEST(test_stopped_on_trial),
		E2E_TEST(test_impostor),
		E2E_TEST(test_without_client),
		E2E_TEST(test_few_fds),
		E2E_TEST(test_canary),
	};

	return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
