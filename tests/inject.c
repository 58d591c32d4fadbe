/*
 * One fault: a system call of supd fails once, by strace(1), and nobody is the
 * worse for it.
 *
 *   inject PHASE                         lists what supd calls in this phase:
 *                                        CALL FIRST COUNT
 *   inject PHASE CALL ERROR OCCURRENCE   makes one of these fail
 *
 * The phases: start, reload, crash, alone, which is a crash without a parent,
 * upgrade, and kill, which is about the supd that the parent starts then.  supd
 * does not crash, each request is answered, the workers are those that should be
 * there, and the next reload is as if nothing had been.  What may go wrong is what
 * was asked for: a start says why it ends, a reload is rolled back or refused, an
 * upgrade is refused.
 *
 * Who is alone ends for good if it cannot load its libraries; its faults begin when
 * it reads what came (lseek).
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inject_trace.h"

enum {
	WORKERS = 2,
	RATE = 200,
	POLL_MS = 20,
	SETTLE_MS = 300,                /* supd's own delays after a restart */
};

static struct {
	const char *phase;
	bool has_fault;
	struct fault fault;
	char target[32];
	bool is_alone, crashes;
	pid_t supd, workers[WORKERS];
	struct load load;
} run;

/*
 * supd
 */

static const char status_request[] = "{\"method\":\"io.supd.Status\","
    "\"parameters\":{\"service\":\"web\"}}";

/* NULL: it did not answer, as it may while it is another. */
static json_t *
try_status(void)
{
	int fd = control_open();
	json_t *reply = NULL, *service;

	if (fd >= 0 && send(fd, status_request, sizeof(status_request),
	    MSG_NOSIGNAL) == sizeof(status_request))
		reply = control_receive(fd);
	close(fd);
	service = json_incref(json_array_get(json_object_get(json_object_get(
	    reply, "parameters"), "services"), 0));
	json_decref(reply);
	return service;
}

static json_t *
await_status(void)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS;
	json_t *status;

	while ((status = try_status()) == NULL) {
		if (e2e_now_ms() > end_ms && run.has_fault &&
		    trace_was_impossible())
			skip();
		if (e2e_now_ms() > end_ms)
			fail_msg("supd does not answer");
		(void)e2e_input_within(-1, POLL_MS);
	}
	return status;
}

static long
number(const json_t *object, const char *key)
{
	return (long)json_integer_value(json_object_get(object, key));
}

/* As many workers as there should be, all ready, and no rollout. */
static bool
is_at_rest(const json_t *status)
{
	const json_t *list = json_object_get(status, "worker_list"), *w;
	bool rests = json_array_size(list) == WORKERS &&
	    json_is_null(json_object_get(status, "rollout"));
	size_t i;

	json_array_foreach(list, i, w)
		rests &= strcmp(json_string_value(json_object_get(w, "state")),
		    "ready") == 0;
	return rests;
}

static json_t *
await_rest(void)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS;
	json_t *status;

	while (!is_at_rest(status = await_status())) {
		if (e2e_now_ms() > end_ms)
			fail_msg("supd does not come to rest: %s",
			    json_dumps(status, 0));
		json_decref(status);
		(void)e2e_input_within(-1, POLL_MS);
	}
	return status;
}

static void
note_workers(void)
{
	json_t *status = await_rest();

	for (size_t i = 0; i < WORKERS; i++)
		run.workers[i] = (pid_t)number(json_array_get(json_object_get(
		    status, "worker_list"), i), "pid");
	json_decref(status);
}

/* How many of those from before are there. */
static unsigned
count_old(const json_t *status)
{
	unsigned count = 0;
	const json_t *w;
	size_t i;

	json_array_foreach(json_object_get(status, "worker_list"), i, w)
		for (size_t k = 0; k < WORKERS; k++)
			count += run.workers[k] == (pid_t)number(w, "pid");
	return count;
}

/* supd and its workers, no more: whoever leaves has a moment. */
static void
assert_family(unsigned wanted)
{
	uint64_t end_ms = e2e_now_ms() + 3000;
	pid_t pids[FAMILY_MAX];

	while (family_of(supd_pid, pids) != wanted) {
		if (e2e_now_ms() > end_ms)
			fail_msg("there are %u processes and not %u",
			    family_of(supd_pid, pids), wanted);
		(void)e2e_input_within(-1, POLL_MS);
	}
}

static void
assert_workers(void)
{
	json_t *status = await_rest();
	unsigned old = count_old(status);
	bool may_be_new = strcmp(run.phase, "reload") == 0 &&
	    number(status, "revision") != 1;

	if (old != (may_be_new ? 0 : WORKERS))
		fail_msg("%u of %d workers are those of before", old, WORKERS);
	if (number(status, "restarts") != 0)
		fail_msg("workers were restarted");
	json_decref(status);
	assert_family(run.is_alone ? WORKERS : 1 + WORKERS);
}

/* In a crash, the one that was wanted. */
static void
assert_no_crash(void)
{
	if (log_count("backtrace:") > run.crashes)
		fail_msg("supd has crashed");
	if (log_count("by signal") > 0)
		fail_msg("somebody was ended by a signal");
	if (strcmp(run.phase, "reload") == 0 && supd_own_pid() != run.supd)
		fail_msg("supd has ended, and is another");
}

/*
 * The phases
 */

static void
configure(void)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nprobe = tcp\n"
	    "before_rollout = /bin/true\n"
	    "strategy = canary\nsteps = 50%% 50ms, 100%%\n",
	    e2e_path("web"), run.target, WORKERS);
}

static void
install(const char *version)
{
	e2e_install_counted("web", version, "");
}

static void
prepare(void)
{
	snprintf(run.target, sizeof(run.target), "127.0.0.1:%u", e2e_port());
	trace_prepare(run.has_fault ? &run.fault : NULL);
	install("v1");
	configure();
}

/* Reloads without a fault, and ends. */
static void
go_on(void)
{
	install("v3");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	for (unsigned i = 0; i < WORKERS; i++)
		assert_string_equal(ask_version(run.target), "v3");
}

/* Whoever was left to us is gone, strace too. */
static void
reap_all(void)
{
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static bool
has_ended(void)
{
	siginfo_t end = { 0 };

	return waitid(P_PID, (id_t)supd_pid, &end,
	    WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid != 0;
}

static bool
is_up(void)
{
	json_t *status = try_status();
	bool is = status != NULL && is_at_rest(status);

	json_decref(status);
	return is;
}

static void
assert_refused(void)
{
	int status = supd_wait();

	if (status == 0 || status >= 128)
		fail_msg("supd ended with %d", status);
	if (log_count(" cannot be ") + log_count(": cannot ") == 0)
		fail_msg("supd does not say why it ends");
	reap_all();
}

static void
start(void)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS;

	supd_tracer = trace_words();
	(void)supd_start(SUPD_PLAIN);
	supd_tracer = NULL;
	while (!has_ended() && !is_up()) {
		if (e2e_now_ms() > end_ms)
			fail_msg("supd neither starts nor ends");
		(void)e2e_input_within(-1, POLL_MS);
	}
	if (!run.has_fault) {
		trace_list("memfd_create(\"supd-carry\"");
		supd_signal(SIGTERM);
		(void)supd_wait();
		reap_all();
		return;
	}
	if (!trace_has_met())
		skip();
	if (has_ended()) {
		assert_refused();
		return;
	}
	assert_string_equal(ask_version(run.target), "v1");
	assert_family(WORKERS);
	go_on();
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	reap_all();
}

static void
reload(void)
{
	install("v2");
	log_mark();
	trace_begin(run.supd);
	assert_int_equal(kill(run.supd, SIGHUP), 0);
	log_await("supd: ");            /* whichever line was not the lost one */
	json_decref(await_rest());
}

/* One that supd has accepted, unless that was what failed. */
static int
connect_to_supd(void)
{
	int fd = control_open();

	assert_true(fd >= 0);
	(void)send(fd, status_request, sizeof(status_request), MSG_NOSIGNAL);
	json_decref(control_receive(fd));
	return fd;
}

static void
crash(void)
{
	char byte;
	int fd;

	run.crashes = true;
	trace_begin(run.supd);
	fd = connect_to_supd();
	assert_int_equal(kill(run.supd, SIGSEGV), 0);
	/* It is gone, or another, when this connection is. */
	e2e_await_input(fd);
	assert_true(read(fd, &byte, 1) <= 0);
	close(fd);
	json_decref(await_status());
	(void)e2e_input_within(-1, SETTLE_MS);
}

static void
upgrade(void)
{
	static const char request[] =
	    "{\"method\":\"io.supd.Upgrade\",\"more\":true}";
	json_t *reply;
	int fd;

	trace_begin(run.supd);
	fd = control_open();
	assert_true(fd >= 0);
	(void)send(fd, request, sizeof(request), MSG_NOSIGNAL);
	reply = upgrade_await(fd, "done");
	if (reply != NULL)
		print_message("the upgrade: %s\n", json_dumps(reply, 0));
	json_decref(reply);
	close(fd);
	json_decref(await_status());
	(void)e2e_input_within(-1, SETTLE_MS);
}

/* Executes what follows, but stops before while there is a file. */
static const char *const *
held_words(void)
{
	static char directory[E2E_PATH_BYTES];
	static const char *words[] = { "/bin/sh", "-c",
		"[ ! -e $0/hold ] || "
		"{ rm $0/hold; echo $$ >$0/held; kill -STOP $$; }\n"
		"exec \"$@\"", directory, NULL };

	snprintf(directory, sizeof(directory), "%s", e2e_path(""));
	return words;
}

/* The pid of the one that the parent starts next, which stands still. */
static pid_t
await_held(void)
{
	char text[32] = "";
	FILE *file;

	for (unsigned i = 0; strchr(text, '\n') == NULL; i++) {
		assert_true(i < E2E_WAIT_MS / POLL_MS);
		(void)e2e_input_within(-1, POLL_MS);
		file = fopen(e2e_path("held"), "re");
		if (file != NULL && fgets(text, sizeof(text), file) == NULL)
			text[0] = '\0';
		if (file != NULL)
			fclose(file);
	}
	return (pid_t)atoi(text);
}

/* supd is killed, and the next one, which the parent starts, is traced. */
static void
follow(void)
{
	int fd = connect_to_supd();
	char byte;

	e2e_write("hold", 0644, "");
	assert_int_equal(kill(run.supd, SIGKILL), 0);
	assert_true(read(fd, &byte, 1) <= 0);
	close(fd);
	run.supd = await_held();
	trace_begin(run.supd);
	assert_int_equal(kill(run.supd, SIGCONT), 0);
	json_decref(await_status());
	(void)e2e_input_within(-1, SETTLE_MS);
}

static void
await_end_of_trial(void)
{
	for (unsigned i = 0; supd_is_on_trial(); i++) {
		assert_true(i < E2E_WAIT_MS / POLL_MS);
		(void)e2e_input_within(-1, POLL_MS);
	}
}

static void
harm(void (*phase)(void))
{
	if (strcmp(run.phase, "kill") == 0)
		supd_tracer = held_words();
	assert_true(supd_start_ready_how(run.is_alone ? SUPD_PLAIN :
	    SUPD_UNDER_INIT, WORKERS));
	supd_tracer = NULL;
	note_workers();
	load_start(&run.load, run.target, RATE, 0);
	run.supd = supd_own_pid();
	phase();
	trace_end();
	if (run.has_fault && !trace_has_met())
		skip();
	if (!run.has_fault) {
		trace_list(strcmp(run.phase, "kill") == 0 ? "execve(" :
		    run.is_alone ? "lseek(" : "");
	} else {
		assert_no_crash();
		assert_workers();
		go_on();
	}
	(void)load_end_clean(&run.load);
	await_end_of_trial();           /* which has two fds more */
	supd_stop();
}

static void
test_fault(void **state)
{
	(void)state;
	rest_may_be_less = true;
	run.is_alone = strcmp(run.phase, "alone") == 0;
	prepare();
	if (strcmp(run.phase, "start") == 0)
		start();
	else if (strcmp(run.phase, "reload") == 0)
		harm(reload);
	else if (strcmp(run.phase, "crash") == 0 || run.is_alone)
		harm(crash);
	else if (strcmp(run.phase, "upgrade") == 0)
		harm(upgrade);
	else if (strcmp(run.phase, "kill") == 0)
		harm(follow);
	else
		fail_msg("there is no phase %s", run.phase);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_fault),
	};

	if (argc != 2 && argc != 5) {
		fprintf(stderr,
		    "usage: inject PHASE [CALL ERROR OCCURRENCE]\n");
		return 2;
	}
	run.phase = argv[1];
	run.has_fault = argc == 5;
	if (run.has_fault)
		run.fault = (struct fault){ argv[2], argv[3], argv[4] };
	return cmocka_run_group_tests_name("inject", tests, NULL, NULL);
}
