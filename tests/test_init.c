/*
 * supd-init and its child: exit codes, signals, the restart and its back-off,
 * the command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "init_fixture.h"

static struct init init;

static int
run(const char *const *command)
{
	assert_true(init_start(&init, INIT_SUBREAPER, "1", command));
	return init_end(&init);
}

static void
exit_code_is_the_childs(void **state)
{
	const char *const good[] = { "true", NULL };
	const char *const bad[] = { "sh", "-c", "exit 7", NULL };
	const char *const killed[] = { "sh", "-c", "kill -USR1 $$", NULL };
	const char *const missing[] = { "/nonesuch", NULL };
	const char *const directory[] = { "/", NULL };

	(void)state;
	assert_int_equal(run(good), 0);
	assert_int_equal(run(bad), 7);
	assert_int_equal(run(killed), 128 + SIGUSR1);
	assert_int_equal(run(missing), 127);
	assert_int_equal(run(directory), 126);
}

static void
missing_command_is_named(void **state)
{
	const char *const command[] = { "nonesuch", NULL };

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", command));
	init_read_log(&init, "supd-init: cannot execute nonesuch: No such file");
	assert_int_equal(init_end(&init), 127);
}

static void
options_are_checked(void **state)
{
	static const char *const wrong[] = { "", "-1", "1s", "3601", "x" };
	const char *const command[] = { "true", NULL };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_true(init_start(&init, INIT_SUBREAPER, wrong[i],
		    command));
		init_read_log(&init, "from 0 to 3600");
		assert_int_equal(init_end(&init), 2);
	}
}

/* The child's part of the start is in `answer`. */
static void
child_starts_clean(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	assert_non_null(strstr(init.answer, "socket @"));
	assert_non_null(strstr(init.answer, "FDSTORE="));
	assert_non_null(strstr(init.answer, "files 1000\n"));
	assert_null(strstr(init.answer, "fd "));
	assert_null(strstr(init.answer, "LISTEN"));
	assert_null(strstr(init.answer, "blocked"));
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

static void
signals_are_passed_on(void **state)
{
	static const int signals[] = { SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH,
	    SIGQUIT, SIGINT, SIGTERM };
	char line[INIT_LINE_BYTES], expected[32];
	size_t i;

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "catch");
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		child_signal(&init.child, signals[i]);
		child_read_line(init.child.out_fd, line, sizeof(line));
		snprintf(expected, sizeof(expected), "signal %d", signals[i]);
		assert_string_equal(line, expected);
	}
	init_order(&init, "exit 5");
	assert_int_equal(init_end(&init), 5);
}

/* While supd-init is stopped, it cannot come from there, and a second one cannot
 * become one with the first. */
static void
key_is_one_signal(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	assert_true(init_start(&init, INIT_ON_TERMINAL, "1", NULL));
	init_command(&init, "store listener memfd");
	init_order(&init, "die 9");
	init_read_answer(&init);
	init_command(&init, "catch");
	child_signal(&init.child, SIGSTOP);
	assert_int_equal(write(init.commands, "\003", 1), 1);
	init_command(&init, "send READY=1");
	assert_string_equal(init.answer, "");
	child_signal(&init.child, SIGCONT);
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "signal 2");
	init_command(&init, "barrier");
	assert_string_equal(init.answer, "");
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

static void
power_failure_is_sigterm(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "catch");
	child_signal(&init.child, SIGPWR);
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "signal 15");
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

static void
signal_that_kills_is_the_exit_code(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	child_signal(&init.child, SIGTERM);
	assert_int_equal(init_end(&init), 128 + SIGTERM);
}

/* Nothing tells that a process of somebody else has stopped. */
static bool
is_stopped(int pid)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	char path[64], line[256], state = 'R';
	FILE *file;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (i = 0; i < CHILD_WAIT_MS && state != 'T'; i++) {
		nanosleep(&pause, NULL);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_non_null(fgets(line, sizeof(line), file));
		assert_int_equal(sscanf(line, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
	}
	return state == 'T';
}

/* A stopped process would not see a SIGTERM. */
static void
stopped_child_is_continued(void **state)
{
	int pid;

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	assert_int_equal(sscanf(init.answer, "start %d", &pid), 1);
	init_order(&init, "die 19");
	assert_true(is_stopped(pid));
	child_signal(&init.child, SIGTERM);
	assert_int_equal(init_end(&init), 128 + SIGTERM);
}

/*
 * The restart
 */

static void
child_with_fds_is_restarted(void **state)
{
	char first[INIT_LINE_BYTES];

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	snprintf(first, sizeof(first), "%s", strtok(init.answer, "\n"));
	init_command(&init, "store listener memfd");
	init_order(&init, "die 9");
	init_read_log(&init, "ended with 137; in 100 ms it is started again, "
	    "with 1 fds");
	init_read_answer(&init);
	assert_string_not_equal(strtok(init.answer, "\n"), first);
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

static void
child_without_fds_is_not(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_order(&init, "die 9");
	assert_int_equal(init_end(&init), 128 + SIGKILL);
}

static void
child_that_was_told_to_stop_is_not(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "store listener memfd");
	init_command(&init, "catch");
	child_signal(&init.child, SIGTERM);
	child_read_line(init.child.out_fd, line, sizeof(line));
	init_order(&init, "exit 3");
	assert_int_equal(init_end(&init), 3);
}

/* Crashes as soon as it is started, which the log has told. */
static void
crash(unsigned count)
{
	char text[64];
	unsigned i;

	for (i = 0; i < count; i++) {
		init_order(&init, "exit 4");
		snprintf(text, sizeof(text), "ended with 4; in %u ms",
		    100U << i);
		init_read_log(&init, text);
		if (i + 1 < count)
			init_read_answer(&init);
	}
}

static void
crashes_in_a_row_wait_longer(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "store listener memfd");
	crash(4);
	init_read_answer(&init);
	assert_non_null(strstr(init.answer, "fd listener listener\n"));
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

/* Fills the pipe that is its standard error. */
static void
fill_log(void)
{
	char path[64], bytes[4096];
	int fd;

	memset(bytes, '.', sizeof(bytes));
	snprintf(path, sizeof(path), "/proc/%d/fd/2", (int)init.child.pid);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void
nobody_waits_for_the_log(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "store listener memfd");
	fill_log();
	init_order(&init, "die 9");
	init_read_answer(&init);
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

/* While no child runs, there is nobody else to stop. */
static void
back_off_ends_with_sigterm(void **state)
{
	char output[INIT_LINE_BYTES];

	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "store listener memfd");
	crash(5);
	child_signal(&init.child, SIGHUP);
	child_signal(&init.child, SIGTERM);
	child_read_all(init.child.out_fd, output, sizeof(output));
	assert_string_equal(output, "");
	assert_int_equal(init_end(&init), 4);
}

static void
child_that_cannot_be_executed_again_is_tried_on(void **state)
{
	char path[] = "/tmp/test-init-XXXXXX", moved[64];
	char script[256];
	const char *const command[] = { path, NULL };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(moved, sizeof(moved), "%s.moved", path);
	snprintf(script, sizeof(script),
	    "#!/bin/sh\nexec %s/tests/init_child\n", getenv("top_builddir"));
	assert_true(write(fd, script, strlen(script)) > 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	close(fd);
	assert_true(init_start(&init, INIT_SUBREAPER, "1", command));
	init_read_answer(&init);
	init_command(&init, "store listener memfd");
	assert_int_equal(rename(path, moved), 0);
	init_order(&init, "die 9");
	init_read_log(&init, "ended with 137");
	init_read_log(&init, "cannot execute");
	assert_int_equal(rename(moved, path), 0);
	init_read_answer(&init);
	assert_non_null(strstr(init.answer, "fd listener listener\n"));
	assert_int_equal(unlink(path), 0);
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

static void
strangers_are_reaped(void **state)
{
	(void)state;
	assert_true(init_start(&init, INIT_SUBREAPER, "1", NULL));
	init_command(&init, "orphans 100");
	assert_string_equal(init.answer, "");
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_code_is_the_childs),
		cmocka_unit_test(missing_command_is_named),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(child_starts_clean),
		cmocka_unit_test(signals_are_passed_on),
		cmocka_unit_test(key_is_one_signal),
		cmocka_unit_test(power_failure_is_sigterm),
		cmocka_unit_test(signal_that_kills_is_the_exit_code),
		cmocka_unit_test(stopped_child_is_continued),
		cmocka_unit_test(child_with_fds_is_restarted),
		cmocka_unit_test(child_without_fds_is_not),
		cmocka_unit_test(child_that_was_told_to_stop_is_not),
		cmocka_unit_test(crashes_in_a_row_wait_longer),
		cmocka_unit_test(nobody_waits_for_the_log),
		cmocka_unit_test(back_off_ends_with_sigterm),
		cmocka_unit_test(child_that_cannot_be_executed_again_is_tried_on),
		cmocka_unit_test(strangers_are_reaped),
	};

	return cmocka_run_group_tests_name("supd-init", tests, NULL, NULL);
}
