/*
 * Tasks in a real loop; see the header.
 */
#include "task_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"

unsigned task_turns;

static char *release_argv[] = { (char []){ "/bin/sh" }, NULL };
static struct spec release_spec;
static struct release *release;

static unsigned ended_count, wanted_count;
static bool (*still_wanted)(void);
static struct alarm guard;

struct release *
task_release(void)
{
	return release;
}

static void
on_turn(void *ctx)
{
	(void)ctx;
	task_turns++;
	if (still_wanted != NULL ? !still_wanted() :
	    ended_count >= wanted_count)
		reactor_stop();
}

static void
on_signal(void *ctx, int number)
{
	(void)ctx;
	assert_int_equal(number, SIGCHLD);
}

static void
on_guard(void *ctx)
{
	(void)ctx;
	fail_msg("the loop waits for something that does not come");
}

static void
on_done(void *ctx, const struct task_end *end)
{
	struct outcome *outcome = ctx;

	outcome->call_count++;
	outcome->end = *end;
	ended_count++;
}

int
task_start_supd(void **state)
{
	const char *asked = getenv("CMOCKA_MESSAGE_OUTPUT");
	char *report = asked != NULL ? strdup(asked) : NULL;

	/* cmocka looks how to report with each test */
	clearenv();
	if (report != NULL)
		setenv("CMOCKA_MESSAGE_OUTPUT", report, 1);
	free(report);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	setenv("COLOUR", "red", 1);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -1;
	return fixture_start_supd(state);
}

pid_t
task_child(void)
{
	char path[64], text[32] = "";
	long size;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	size = fd_read_file(AT_FDCWD, path, text, sizeof(text) - 1);
	assert_true(size >= 0);
	return (pid_t)atoi(text);
}

int
task_wait(pid_t pid)
{
	struct pollfd ended = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status;

	assert_true(ended.fd >= 0);
	assert_int_equal(poll(&ended, 1, TASK_SECONDS_MAX * 1000), 1);
	close(ended.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

void
task_assert_killed(pid_t pid)
{
	int status = task_wait(pid);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

int
task_set_up(void **state)
{
	if (fixture_set_up(state) < 0)
		return -1;
	ended_count = 0;
	release_spec = fixture_spec(release_argv);
	release = fixture_pin(&release_spec);
	return reactor_init(on_turn, on_signal, NULL);
}

int
task_tear_down(void **state)
{
	pid_t pid;

	reactor_release();
	/* Killed ones that were left to us, and all others if it failed. */
	while ((pid = task_child()) != 0) {
		(void)kill(pid, SIGKILL);
		(void)task_wait(pid);
	}
	pin_release_free(release);
	return fixture_tear_down(state);
}

struct task_order
task_order_sh(const char *text)
{
	static char shell[] = "sh", option[] = "-c";
	static char *argv[] = { shell, option, NULL, NULL };
	struct task_order order = {
		.release = release, .argv = argv, .inherited_fd = -1,
		.timeout_ms = 15000,
	};

	argv[2] = (char *)(uintptr_t)text;
	return order;
}

struct task *
task_begin(const struct task_order *order, struct outcome *outcome)
{
	char text[REASON_BYTES_MAX] = "";
	struct task *task;

	memset(outcome, 0, sizeof(*outcome));
	task = task_start(order, on_done, outcome, text);
	if (task == NULL)
		fail_msg("%s", text);
	assert_int_equal(outcome->call_count, 0);
	return task;
}

void
task_refused(const struct task_order *order, const char *words)
{
	char text[REASON_BYTES_MAX] = "";
	unsigned count = fixture_fd_count();

	assert_null(task_start(order, on_done, NULL, text));
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, text);
	assert_int_equal(fixture_fd_count(), count);
}

static void
run(void)
{
	task_turns = 0;
	reactor_set_alarm(&guard, TASK_SECONDS_MAX * UINT64_C(1000), on_guard,
	    NULL);
	reactor_run();
	reactor_clear_alarm(&guard);
}

void
task_run_until(unsigned end_count)
{
	wanted_count = end_count;
	still_wanted = NULL;
	run();
}

void
task_run_while(bool (*go_on)(void))
{
	still_wanted = go_on;
	run();
}

const struct task_end *
task_outcome_of(const char *text)
{
	static struct outcome outcome;
	struct task_order order = task_order_sh(text);

	task_begin(&order, &outcome);
	task_run_until(ended_count + 1);
	assert_int_equal(outcome.call_count, 1);
	return &outcome.end;
}
