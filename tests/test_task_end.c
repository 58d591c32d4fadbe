/*
 * How tasks end when they do not end by themselves, or leave something behind,
 * or write without end; and that supd's loop and its reaping go on meanwhile.
 */
#include "task_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crew.h"

enum { FLOODS = 8, FLOOD_MS = 600, TICK_MS = 50, LATE_MS = 500 };

static uint64_t
real_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/*
 * Time is over
 */

static void
run_with_timeout(const char *text, uint64_t timeout_ms, struct outcome *outcome)
{
	struct task_order order = task_order_sh(text);

	order.timeout_ms = timeout_ms;
	task_begin(&order, outcome);
	task_run_until(1);
	assert_int_equal(outcome->call_count, 1);
	assert_true(outcome->end.duration_ms >= timeout_ms);
}

static void
test_timeout(void **state)
{
	struct outcome outcome;

	(void)state;
	run_with_timeout("echo x; sleep 1000; echo y", 100, &outcome);
	assert_true(outcome.end.timed_out);
	assert_true(outcome.end.exit.by_signal);
	assert_int_equal(outcome.end.exit.number, SIGTERM);
	assert_string_equal(outcome.end.output, "x\n");
	assert_true(outcome.end.duration_ms < TASK_GRACE_MS);
}

/* One that heeds SIGTERM may clean up; its code does not count for more. */
static void
test_timeout_heeded(void **state)
{
	struct outcome outcome;

	(void)state;
	run_with_timeout("trap 'echo rolled back; exit 0' TERM;"
	    " sleep 1000 & wait", 300, &outcome);
	assert_true(outcome.end.timed_out);
	assert_false(outcome.end.exit.by_signal);
	assert_int_equal(outcome.end.exit.number, 0);
	assert_string_equal(outcome.end.output, "rolled back\n");
}

static void
test_timeout_stopped(void **state)
{
	struct outcome outcome;

	(void)state;
	run_with_timeout("kill -STOP $$", 200, &outcome);
	assert_true(outcome.end.timed_out);
	assert_int_equal(outcome.end.exit.number, SIGTERM);
	assert_true(outcome.end.duration_ms < TASK_GRACE_MS);
}

/* SIGTERM comes, means nothing, and SIGKILL follows. */
static void
test_timeout_ignored(void **state)
{
	struct outcome outcome;

	(void)state;
	run_with_timeout("trap 'echo no' TERM; while :; do sleep 1000; done",
	    300, &outcome);
	assert_true(outcome.end.timed_out);
	assert_true(outcome.end.exit.by_signal);
	assert_int_equal(outcome.end.exit.number, SIGKILL);
	assert_string_equal(outcome.end.output, "Terminated\nno\n");
	assert_true(outcome.end.duration_ms >= 300 + TASK_GRACE_MS);
}

/* The loop comes too late to see which was first: the task was. */
static void
test_timeout_late_loop(void **state)
{
	struct task_order order = task_order_sh("echo fine");
	struct outcome outcome;
	siginfo_t status;

	(void)state;
	order.timeout_ms = 1;
	task_begin(&order, &outcome);
	assert_int_equal(waitid(P_ALL, 0, &status, WEXITED | WNOWAIT), 0);
	assert_int_equal(poll(NULL, 0, 20), 0); /* past its time */
	task_run_until(1);
	assert_false(outcome.end.timed_out);
	assert_int_equal(outcome.end.exit.number, 0);
	assert_string_equal(outcome.end.output, "fine\n");
}

/*
 * What is left behind
 */

/* A child in its group that holds the output open. */
static void
test_leaves_child(void **state)
{
	struct outcome outcome;
	struct task_order order = task_order_sh("sleep 1000 & echo $!");

	(void)state;
	task_begin(&order, &outcome);
	task_run_until(1);
	assert_false(outcome.end.timed_out);
	assert_int_equal(outcome.end.exit.number, 0);
	task_assert_killed((pid_t)atoi(outcome.end.output));
}

/* One in another session is let alone, and not waited for either. */
static void
test_leaves_daemon(void **state)
{
	const struct task_end *end;
	pid_t pid;

	(void)state;
	end = task_outcome_of("mkfifo f; setsid sh -c "
	    "'echo $$ >f; exec sleep 1000' & read pid <f; echo $pid");
	assert_false(end->timed_out);
	pid = (pid_t)atoi(end->output);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	task_assert_killed(pid);
}

/* It closes its outputs and goes on: nothing to read, nothing to do. */
static void
test_closes_output(void **state)
{
	const struct task_end *end;

	(void)state;
	end = task_outcome_of("echo x; exec >&- 2>&-; sleep 0.3; exit 5");
	assert_int_equal(end->exit.number, 5);
	assert_string_equal(end->output, "x\n");
	assert_true(task_turns < 30);
}

/*
 * Floods
 */

static struct alarm tick;
static uint64_t tick_due_ms, latest_ms, flood_end_ms;
static unsigned tick_count;

static void
on_tick(void *ctx)
{
	uint64_t now_ms = real_now_ms();

	(void)ctx;
	tick_count++;
	if (now_ms - tick_due_ms > latest_ms)
		latest_ms = now_ms - tick_due_ms;
	tick_due_ms = now_ms + TICK_MS;
	reactor_set_alarm(&tick, TICK_MS, on_tick, NULL);
}

static bool
flood_lasts(void)
{
	return real_now_ms() < flood_end_ms;
}

/* The loop sleeps in between, and a timer rings in time. */
static void
test_flood(void **state)
{
	struct task_order order = task_order_sh("exec yes");
	struct outcome outcomes[FLOODS];
	unsigned i;

	(void)state;
	order.timeout_ms = FLOOD_MS;
	for (i = 0; i < FLOODS; i++)
		task_begin(&order, &outcomes[i]);
	flood_end_ms = real_now_ms() + FLOOD_MS / 2;
	tick_due_ms = real_now_ms() + TICK_MS;
	reactor_set_alarm(&tick, TICK_MS, on_tick, NULL);
	task_run_while(flood_lasts);
	reactor_clear_alarm(&tick);
	/* A read, and what libev adds to it, in 10 ms each. */
	assert_true(task_turns < FLOODS * 3 * (FLOOD_MS / 2) / 10);
	assert_true(tick_count > 0);
	assert_true(latest_ms < LATE_MS);
	task_run_until(FLOODS);
	for (i = 0; i < FLOODS; i++) {
		assert_true(outcomes[i].end.timed_out);
		assert_true(outcomes[i].end.output_bytes > 65536);
		assert_int_equal(strlen(outcomes[i].end.output),
		    TASK_OUTPUT_BYTES_MAX);
	}
}

/* More than the pipe holds, and none of it is lost. */
static void
test_much_output(void **state)
{
	const struct task_end *end;

	(void)state;
	end = task_outcome_of("head -c 1000000 /dev/zero");
	assert_int_equal(end->exit.number, 0);
	assert_int_equal(end->output_bytes, 1000000);
}

/*
 * Cancelling, and too many
 */

static pid_t cancelled;

static bool
cancelled_is_there(void)
{
	return task_has(cancelled);
}

static void
test_cancel(void **state)
{
	struct task_order order = task_order_sh(
	    "trap '' TERM; mkfifo f; sh -c 'echo $$ >pid; : >f; sleep 1000' &"
	    " cat f; kill -STOP $$");
	unsigned count = fixture_fd_count();
	struct outcome outcome;
	struct task *task;
	char text[16] = "";
	FILE *file;
	int status;

	(void)state;
	task = task_begin(&order, &outcome);
	cancelled = task_child();
	assert_int_equal(waitpid(cancelled, &status, WUNTRACED), cancelled);
	file = fopen(fixture_path("pid"), "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	task_cancel(task);
	task_run_while(cancelled_is_there);
	assert_int_equal(outcome.call_count, 0);
	assert_int_equal(waitpid(cancelled, NULL, WNOHANG), -1);
	task_assert_killed((pid_t)atoi(text));
	assert_int_equal(fixture_fd_count(), count);
}

static struct task *many[TASKS_MAX];
static pid_t last;

static bool
any_is_there(void)
{
	return task_child() != 0;
}

static void
test_too_many(void **state)
{
	static struct outcome outcomes[TASKS_MAX];
	struct task_order order = task_order_sh("");
	char *argv[] = { (char []){ "sleep" }, (char []){ "1000" }, NULL };
	unsigned i;

	(void)state;
	order.argv = argv;
	for (i = 0; i < TASKS_MAX; i++)
		many[i] = task_begin(&order, &outcomes[i]);
	task_refused(&order, "256 tasks are running");
	for (i = 0; i < TASKS_MAX; i++)
		task_cancel(many[i]);
	/* Until they are reaped they count. */
	task_refused(&order, "256 tasks are running");
	task_run_while(any_is_there);
	for (i = 0; i < TASKS_MAX; i++)
		assert_int_equal(outcomes[i].call_count, 0);
	assert_int_equal(task_outcome_of("exit 4")->exit.number, 4);
}

/*
 * Besides workers: crew_sweep() reaps strangers, and kills those whose worker
 * is gone.
 */

static void
on_event(void *ctx, const struct event *event)
{
	(void)ctx, (void)event;
	fail_msg("there are no workers");
}

static void
test_sweep(void **state)
{
	struct task_order order = task_order_sh("echo mine; exit 7");
	struct outcome outcome;
	siginfo_t status;

	(void)state;
	task_begin(&order, &outcome);
	assert_int_equal(waitid(P_ALL, 0, &status, WEXITED | WNOWAIT), 0);
	crew_sweep();
	assert_int_equal(outcome.call_count, 1);
	assert_int_equal(outcome.end.exit.number, 7);
	assert_string_equal(outcome.end.output, "mine\n");
	task_run_until(1);
	assert_int_equal(outcome.call_count, 1);
}

/* One that says it is of a worker that nobody knows. */
static void
test_sweep_lets_live(void **state)
{
	struct task_order order = task_order_sh("exec sleep 0.3");
	char variable[600];
	const char *const variables[] = { variable, NULL };
	struct outcome outcome;
	siginfo_t status;
	pid_t stranger;

	(void)state;
	assert_int_equal(mkdir(fixture_path("n"), 0755), 0);
	assert_int_equal(crew_init(fixture_path("n"), on_event, NULL), 0);
	snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s/g1.1",
	    fixture_path("n"));
	order.variables = variables;
	task_begin(&order, &outcome);
	last = task_child();
	stranger = fork();
	if (stranger == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)stranger, &status,
	    WEXITED | WNOWAIT), 0);
	crew_sweep();
	assert_int_equal(waitpid(stranger, NULL, WNOHANG), -1);
	assert_true(task_has(last));
	task_run_until(1);
	assert_false(outcome.end.exit.by_signal);
	assert_int_equal(outcome.end.exit.number, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TASK_TEST(test_timeout),
		TASK_TEST(test_timeout_heeded),
		TASK_TEST(test_timeout_stopped),
		TASK_TEST(test_timeout_ignored),
		TASK_TEST(test_timeout_late_loop),
		TASK_TEST(test_leaves_child),
		TASK_TEST(test_leaves_daemon),
		TASK_TEST(test_closes_output),
		TASK_TEST(test_flood),
		TASK_TEST(test_much_output),
		TASK_TEST(test_cancel),
		TASK_TEST(test_too_many),
		TASK_TEST(test_sweep),
		TASK_TEST(test_sweep_lets_live),
	};

	if (fixture_under_valgrind())
		return FIXTURE_EXIT_SKIPPED;
	return cmocka_run_group_tests(tests, task_start_supd, NULL);
}
