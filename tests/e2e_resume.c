/*
 * supd ends in the middle of rollouts, under load, and nobody notices: it is
 * upgraded, it crashes, it is killed.
 *
 * The moments are chosen by a seed (E2E_SEED).  No request may fail, no worker
 * may be restarted or left behind, no fd may leak, and each rollout ends as it
 * would have.  `make check-resume-long` strikes 200 times in each way.
 */
#include "e2e.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

enum {
	WORKERS = 3,
	RATE = 500,
	STRIKES = 6, STRIKES_LONG = 200,
	STRIKES_EACH = 3,               /* of one rollout */
	PAUSE_MS = 500,                 /* before a strike: less than that */
	SETTLED_MS = 1000,              /* and this more where supd-init would
					 * wait, see supd-init(8) */
	FDS_MAX = 4096,
};

enum strike { UPGRADE, CRASH, KILL };

static struct {
	char target[32];
	struct load load;
	uint64_t random;
	unsigned revision;
	unsigned strikes;
	unsigned unclaimed;             /* workers, as was logged */
} run;

static const char *const strategies[] = {
	"strategy = rolling\n",
	"strategy = canary\nsteps = 10% 700ms, 50% 700ms, 100%\n",
	"strategy = blue-green\n",
};

static uint64_t
random_below(uint64_t limit)
{
	run.random ^= run.random << 13;
	run.random ^= run.random >> 7;
	run.random ^= run.random << 17;
	return run.random % limit;
}

static void
configure(unsigned strategy)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nkeep_old = 700ms\n%s",
	    e2e_path("web"), run.target, WORKERS, strategies[strategy]);
}

static void
install(void)
{
	char version[16];

	snprintf(version, sizeof(version), "v%u", ++run.revision);
	e2e_install_counted("web", version, "--slow-start 300");
}

static void
begin(unsigned how, unsigned keep_alive)
{
	const char *seed = getenv("E2E_SEED");

	memset(&run, 0, sizeof(run));
	run.random = UINT64_C(88172645463325252) +
	    (seed != NULL ? strtoull(seed, NULL, 10) : 1);
	snprintf(run.target, sizeof(run.target), "127.0.0.1:%u", e2e_port());
	install();
	configure(0);
	assert_true(supd_start_ready_how(how, WORKERS));
	load_start(&run.load, run.target, RATE, keep_alive);
	load_await_version(&run.load, "v1");
}

/* The present supd executes itself, and tells who asked when it is there. */
static void
upgrade(void)
{
	int fd = control_open();
	json_t *reply;

	assert_true(fd >= 0);
	json_decref(control_call(fd,
	    "{\"method\":\"io.supd.Upgrade\",\"more\":true}"));
	reply = upgrade_await(fd, "trial");
	if (strcmp(upgrade_stage(reply), "trial") != 0)
		fail_msg("it is not in charge: %s", json_dumps(reply, 0));
	json_decref(reply);
	close(fd);
	log_mark();             /* the trial of the one before has ended */
}

static void
strike(enum strike kind)
{
	run.strikes++;
	if (kind == UPGRADE)
		upgrade();
	else
		supd_strike(kind == CRASH ? SIGSEGV : SIGKILL);
}

/* Connections that come while supd is away wait for the next one. */
static bool
rolls_out(void)
{
	json_t *status = rollout_status("web");
	bool runs = !json_is_null(json_object_get(status, "rollout"));

	json_decref(status);
	return runs;
}

/* Those that ever ran were the first of their releases; but for one that was
 * started in a turn that was lost, and another one instead of it. */
static void
assert_nobody_was_restarted(void)
{
	assert_int_equal(workers_started(), WORKERS * run.revision +
	    run.unclaimed);
	assert_int_equal(status_number("web", "restarts"), 0);
	assert_int_equal(status_number("web", "ready"), WORKERS);
}

static void
roll_out_under_strikes(enum strike kind, unsigned count)
{
	json_t *last;

	configure(run.revision % 3);
	install();
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
	for (unsigned i = 0; i < count; i++) {
		(void)e2e_input_within(-1, (int)random_below(PAUSE_MS) +
		    (kind != UPGRADE ? SETTLED_MS : 0));
		run.unclaimed += log_count("is a worker that nobody claims");
		log_mark();
		strike(kind);
		if (!rolls_out())
			break;
	}
	last = rollout_await_verdict("web", run.revision, "complete");
	assert_int_equal(json_integer_value(json_object_get(last,
	    "connections_lost")), 0);
	json_decref(last);
	workers_await_only("web", run.revision);
}

static void
check(enum strike kind, unsigned how)
{
	unsigned wanted = e2e_rounds_or_long(STRIKES, STRIKES_LONG);
	json_t *report;

	begin(how, 20);
	while (run.strikes < wanted)
		roll_out_under_strikes(kind, STRIKES_EACH);
	report = load_end(&run.load);
	load_assert_clean(report);
	assert_nobody_was_restarted();
	json_decref(report);
	if (kind == UPGRADE)    /* that one has two fds more */
		log_await_count("there is no way back", 1);
	supd_stop();
}

static void
test_upgrades(void **state)
{
	(void)state;
	check(UPGRADE, SUPD_PLAIN);
}

static void
test_crashes(void **state)
{
	(void)state;
	check(CRASH, SUPD_UNDER_INIT);
}

static void
test_kills(void **state)
{
	(void)state;
	check(KILL, SUPD_UNDER_INIT);
}

/* The listeners are found again by their addresses, and serve as they did: also
 * those who share one, and wait for the same connections. */
static void
test_damaged_world(void **state)
{
	(void)state;
	begin(SUPD_UNDER_INIT, 0);
	supd_memory_damage("supd-world");
	log_mark();
	supd_strike(SIGKILL);
	log_await("supd-world, which the supd before has left, cannot be read");
	roll_out_under_strikes(KILL, 0);
	(void)load_end_clean(&run.load);
	assert_int_equal(status_number("web", "restarts"), 0);
	supd_stop();
}

static void
open_gate(void)
{
	int fd = open(e2e_path("gate"), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
}

/* A hook that runs goes on, and how it ends decides. */
static void
test_hook(void **state)
{
	const json_t *hook;
	json_t *last;

	(void)state;
	begin(SUPD_PLAIN, 20);
	assert_int_equal(mkfifo(e2e_path("gate"), 0600), 0);
	e2e_write("hook", 0755, "#!/bin/sh\necho before\n"
	    "echo hook >&2\n: <gate\necho after\n");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nworking_directory = %s\n"
	    "before_rollout = %s\n", e2e_path("web"), run.target, WORKERS,
	    e2e_path(""), e2e_path("hook"));
	install();
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
	rollout_await_phase("web", "prepare");
	strike(UPGRADE);
	strike(CRASH);
	open_gate();
	last = rollout_await_verdict("web", run.revision, "complete");
	hook = json_array_get(json_object_get(last, "hooks"), 0);
	assert_string_equal(json_string_value(json_object_get(hook, "name")),
	    "before_rollout");
	assert_non_null(strstr(json_string_value(json_object_get(hook,
	    "output")), "after"));
	json_decref(last);
	(void)load_end_clean(&run.load);
	supd_stop();
}

/* As supd does when it has heard READY=1: the sockets that workers speak to. */
static unsigned
mark_notify_sockets(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd;
	struct sockaddr_un address;
	unsigned count = 0;

	for (int i = 0; i < FDS_MAX; i++) {
		socklen_t size = sizeof(address);

		fd = (int)syscall(SYS_pidfd_getfd, pidfd, i, 0);
		if (fd < 0)
			continue;
		memset(&address, 0, sizeof(address));
		if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
		    address.sun_family == AF_UNIX &&
		    strstr(address.sun_path, "/notify/") != NULL) {
			notify_mark(fd, true);
			count++;
		}
		close(fd);
	}
	close(pidfd);
	return count;
}

/* What was heard in a turn that was lost. */
static void
test_ready_is_remembered(void **state)
{
	(void)state;
	e2e_install("web", "--never-ready");
	e2e_configure("[service web]\ncommand = %s\nlisten = 127.0.0.1:%u\n"
	    "workers = %d\nready = notify\nready_timeout = 1h\n",
	    e2e_path("web"), e2e_port(), WORKERS);
	assert_true(supd_start(SUPD_PLAIN));
	log_await_count(" started\n", WORKERS);
	assert_int_equal(status_number("web", "ready"), 0);
	assert_int_equal(mark_notify_sockets(supd_own_pid()), WORKERS);
	log_mark();
	supd_strike(SIGSEGV);
	log_await_ready(WORKERS);
	assert_int_equal(status_number("web", "ready"), WORKERS);
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

/* Of the running rollout, how the ledger would tell that it is complete. */
static void
tell_ledger(void)
{
	json_t *status = rollout_status("web"), *line;
	json_t *d = json_object_get(json_object_get(status, "rollout"),
	    "deployment");
	FILE *ledger = fopen(e2e_path("state/deployments.jsonl"), "a");

	line = json_pack("{s:s, s:O, s:O, s:O, s:s}", "service", "web",
	    "id", json_object_get(d, "id"),
	    "revision", json_object_get(d, "revision"),
	    "started_time_s", json_object_get(d, "started_time_s"),
	    "verdict", "complete");
	assert_non_null(line);
	assert_non_null(ledger);
	assert_int_equal(json_dumpf(line, ledger, 0), 0);
	assert_int_equal(fputc('\n', ledger), '\n');
	assert_int_equal(fclose(ledger), 0);
	json_decref(line);
	json_decref(status);
}

static unsigned
count_lines(void)
{
	FILE *ledger = fopen(e2e_path("state/deployments.jsonl"), "r");
	unsigned count = 0;
	int byte;

	assert_non_null(ledger);
	while ((byte = fgetc(ledger)) != EOF)
		count += byte == '\n';
	fclose(ledger);
	return count;
}

/* What the ledger was told in a turn that was lost is in it once; what comes
 * later is, too. */
static void
test_ledger_was_told(void **state)
{
	(void)state;
	e2e_install_counted("web", "v1", "");
	assert_int_equal(mkfifo(e2e_path("gate"), 0600), 0);
	e2e_write("hook", 0755, "#!/bin/sh\n: <gate\n");
	e2e_configure("[service web]\ncommand = %s\nlisten = 127.0.0.1:%u\n"
	    "workers = 1\nready = notify\nworking_directory = %s\n"
	    "before_rollout = %s\n", e2e_path("web"), e2e_port(), e2e_path(""),
	    e2e_path("hook"));
	assert_true(supd_start_ready_how(SUPD_PLAIN, 1));
	for (unsigned revision = 2; revision <= 3; revision++) {
		assert_int_equal(count_lines(), revision - 1);
		e2e_install_counted("web", "v", "");
		supctl("reload", "web", "--no-wait");
		assert_ended(0, "rolling out");
		rollout_await_phase("web", "prepare");
		if (revision == 2) {
			tell_ledger();
			supd_strike(SIGSEGV);
		}
		open_gate();
		json_decref(rollout_await_verdict("web", revision, "complete"));
	}
	assert_int_equal(count_lines(), 3);
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

/* Where this is in the text supd-world; 0: nowhere.  `instead` is as long. */
static off_t
find_in_world(const char *wanted, const char *instead)
{
	static char text[1 << 16];
	int fd = supd_memory_open("supd-world");
	ssize_t size = pread(fd, text, sizeof(text), 0);
	char *at;

	assert_true(size > 0);
	at = memmem(text, (size_t)size, wanted, strlen(wanted));
	if (at != NULL && instead != NULL)
		assert_int_equal(pwrite(fd, instead, strlen(instead),
		    at - text), strlen(instead));
	close(fd);
	return at != NULL ? at - text : 0;
}

/*
 * What was heard is in supd-world before anything comes of it.  Told so by one
 * that was killed before it could note that it was done, the next supd does it;
 * told that it was done, it does not.
 */
static void
test_signals_are_remembered(void **state)
{
	(void)state;
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = 127.0.0.1:%u\n"
	    "workers = 1\nready = notify\n", e2e_path("web"), e2e_port());
	assert_true(supd_start_ready_how(SUPD_UNDER_INIT, 1));
	e2e_install_counted("web", "v2", "");
	supd_signal(SIGHUP);
	json_decref(rollout_await_verdict("web", 2, "complete"));
	assert_int_not_equal(find_in_world("{\"id\":1,\"signal\":1}",
	    NULL), 0);
	log_mark();
	supd_strike(SIGKILL);
	assert_int_equal(status_number("web", "ready"), 1);
	assert_int_equal(log_count("SIGHUP"), 0);

	supd_signal(SIGHUP);
	json_decref(rollout_await_verdict("web", 3, "complete"));
	assert_int_not_equal(find_in_world("{\"id\":2,\"signal\":1}",
	    "{\"id\":3,\"signal\":1}"), 0);
	log_mark();
	supd_strike(SIGKILL);
	log_await("SIGHUP: reloading");
	json_decref(rollout_await_verdict("web", 4, "complete"));
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_upgrades),
		E2E_TEST(test_crashes),
		E2E_TEST(test_kills),
		E2E_TEST(test_damaged_world),
		E2E_TEST(test_hook),
		E2E_TEST(test_ready_is_remembered),
		E2E_TEST(test_ledger_was_told),
		E2E_TEST(test_signals_are_remembered),
	};

	return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
