/*
 * The log: the shape of a line, and that nobody who does not read it can stop
 * us.  Each case runs in a child whose standard error is what the case needs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

#define STAMP "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z "

/* Runs `body` with standard error at `fd`; it exits by itself. */
static void
run(int fd, void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(30);
		signal(SIGPIPE, SIG_IGN);
		dup2(fd, STDERR_FILENO);
		log_init("supd", LOG_NOTICE);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t compiled;
	int result;

	assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED), 0);
	result = regexec(&compiled, text, 0, NULL, 0);
	regfree(&compiled);
	if (result != 0)
		fail_msg("\"%s\" does not match %s", text, pattern);
}

static const char *
read_all(int fd)
{
	static char text[65536];
	ssize_t length;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	length = read(fd, text, sizeof(text) - 1);
	assert_true(length >= 0);
	text[length] = '\0';
	return text;
}

static void
say_levels(void)
{
	errno = ENOENT;
	log_notice("web/2: worker started pid=%d: %m", 12);
	if (errno != ENOENT)
		_exit(1);
	log_warning("two");
	log_error("three");
	log_debug("four");
}

static void
test_line(void **state)
{
	int ends[2];
	const char *text;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	run(ends[1], say_levels);
	text = read_all(ends[0]);
	assert_matches(text, "^" STAMP "supd: web/2: worker started pid=12: "
	    "No such file or directory\n" STAMP "supd: warning: two\n" STAMP
	    "supd: error: three\n$");
	close(ends[0]);
	close(ends[1]);
}

static void
say_controls(void)
{
	log_notice("a\nb\033[2J\177\\ \302\233 gr\303\274n");
}

static void
test_escapes(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	run(ends[1], say_controls);
	assert_non_null(strstr(read_all(ends[0]),
	    "supd: a\\nb\\x1b[2J\\x7f\\\\ \302\\x9b gr\303\274n\n"));
	close(ends[0]);
	close(ends[1]);
}

static void
say_long(void)
{
	static char text[10000];

	memset(text, '\n', sizeof(text) - 1);
	log_notice("%s", text);
	memset(text, 'x', sizeof(text) - 1);
	log_notice("%s", text);
}

static void
test_long(void **state)
{
	const char *text, *newline;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	run(ends[1], say_long);
	text = read_all(ends[0]);
	newline = strchr(text, '\n');
	assert_non_null(newline);
	assert_in_range(newline - text, 2000, 2048);
	assert_in_range(strlen(newline + 1), 2000, 2048);
	assert_ptr_equal(strchr(newline + 1, '\n'), text + strlen(text) - 1);
	close(ends[0]);
	close(ends[1]);
}

static void
say_very_much(void)
{
	int i;

	for (i = 0; i < 100000; i++)
		log_notice("line %d", i);
}

static int reading_end;

static void
say_too_much(void)
{
	static char all[1 << 20];

	say_very_much();
	fcntl(reading_end, F_SETFL, O_NONBLOCK);
	while (read(reading_end, all, sizeof(all)) > 0)
		;
	log_notice("again");
	log_notice("and again");
}

static void
check_dropped(int reader, int writer)
{
	reading_end = reader;
	run(writer, say_too_much);
	assert_matches(read_all(reader), "^" STAMP "supd: warning: [0-9]+ log "
	    "lines were dropped, standard error did not take them\n"
	    STAMP "supd: again\n" STAMP "supd: and again\n$");
	assert_false(fcntl(writer, F_GETFL) & O_NONBLOCK);
	close(reader);
	close(writer);
}

static void
test_full_pipe(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	check_dropped(ends[0], ends[1]);
}

static void
test_full_socket(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	check_dropped(ends[0], ends[1]);
}

static void
test_closed_pipe(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	run(ends[1], say_very_much);
	close(ends[1]);
}

/* A file is appended to, whoever else writes there. */
static void
test_file(void **state)
{
	char path[] = "/tmp/supd-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "before\n", 7), 7);
	run(fd, say_controls);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_matches(read_all(fd), "^before\n" STAMP "supd: a");
	assert_int_equal(unlink(path), 0);
	close(fd);
}

static void
test_journal(void **state)
{
	struct stat status;
	char stream[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fstat(ends[1], &status), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	run(ends[1], say_controls);
	assert_matches(read_all(ends[0]), "^supd: a");
	setenv("JOURNAL_STREAM", "1:1", 1);
	run(ends[1], say_controls);
	assert_matches(read_all(ends[0]), "^" STAMP);
	unsetenv("JOURNAL_STREAM");
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_full_pipe),
		cmocka_unit_test(test_full_socket),
		cmocka_unit_test(test_closed_pipe),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
