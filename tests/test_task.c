/*
 * Tasks: what one finds around it, what is told of how it ended, and who is
 * refused.
 */
#include "task_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pin.h"
#include "probe.h"

enum { OTHER_ID = 54321 };        /* a user that nobody is */

static void
assert_exit(const struct task_end *end, bool by_signal, int number)
{
	if (end->exit.by_signal != by_signal || end->exit.number != number)
		fail_msg("%s %d: %s", end->exit.by_signal ? "signal" : "exit",
		    end->exit.number, end->output);
	assert_false(end->timed_out);
}

static void
assert_says(const struct task_end *end, const char *line)
{
	if (strstr(end->output, line) == NULL)
		fail_msg("no \"%s\" in:\n%s", line, end->output);
}

static void
test_success(void **state)
{
	const struct task_end *end;
	unsigned count = fixture_fd_count();

	(void)state;
	end = task_outcome_of("echo out; echo err >&2");
	assert_exit(end, false, 0);
	assert_string_equal(end->output, "out\nerr\n");
	assert_int_equal(end->output_bytes, 8);
	assert_true(end->duration_ms < 15000);
	assert_int_equal(task_child(), 0);
	assert_int_equal(fixture_fd_count(), count);
}

static void
test_exit(void **state)
{
	const struct task_end *end;

	(void)state;
	end = task_outcome_of("exit 3");
	assert_exit(end, false, 3);
	assert_string_equal(end->output, "");
	assert_int_equal(end->output_bytes, 0);
	end = task_outcome_of("echo last words; kill -SEGV $$");
	assert_exit(end, true, SIGSEGV);
	assert_string_equal(end->output, "last words\n");
}

/* The process as such: as a worker's, but for its outputs. */
static void
test_process(void **state)
{
	const struct task_end *end;
	char line[512];

	(void)state;
	fixture_install(fixture_program("probe_child"), "probe");
	umask(077);
	end = task_outcome_of("exec ./probe a");
	umask(022);
	assert_exit(end, false, 0);
	assert_says(end, "arg 1 a\n");
	snprintf(line, sizeof(line), "cwd %s\n", fixture_directory());
	assert_says(end, line);
	assert_says(end, "umask 022\n");
	assert_says(end, "SigBlk:\t0000000000000000\n");
	assert_says(end, "SigIgn:\t0000000000000000\n");
	assert_says(end, "fd 0 /dev/null\nfd 1 pipe:");
	assert_says(end, "\nfd 2 pipe:");
	assert_null(strstr(end->output, "fd 3"));
	snprintf(line, sizeof(line), "files_limit %d\n", FIXTURE_FILES_LIMIT);
	assert_says(end, line);
	snprintf(line, sizeof(line), "sid %d\n",
	    atoi(strstr(end->output, "\npid ") + 5));
	assert_says(end, line);
}

/* Wherever it is now, it becomes 3, and there is no other. */
static void
test_inherited(void **state)
{
	static const int places[] = { 3, 4, 90, 1500 };
	struct outcome outcome;
	struct task_order order;
	unsigned i;

	(void)state;
	fixture_install(fixture_program("probe_child"), "probe");
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd = memfd_create("given", MFD_CLOEXEC);

		order = task_order_sh("exec ./probe");
		order.inherited_fd = fcntl(fd, F_DUPFD_CLOEXEC, places[i]);
		close(fd);
		task_begin(&order, &outcome);
		assert_true(fcntl(order.inherited_fd, F_GETFD) & FD_CLOEXEC);
		close(order.inherited_fd);
		task_run_until(i + 1);
		assert_exit(&outcome.end, false, 0);
		assert_says(&outcome.end, "\nfd 3 /memfd:given (deleted)\nSig");
	}
}

/* Also where an output of the task will be. */
static void
test_inherited_in_the_way(void **state)
{
	struct task_order order = task_order_sh("exec ./probe");
	int given = memfd_create("given", MFD_CLOEXEC);
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
	struct outcome outcome;

	(void)state;
	fixture_install(fixture_program("probe_child"), "probe");
	order.inherited_fd = STDERR_FILENO;
	assert_int_equal(dup2(given, STDERR_FILENO), STDERR_FILENO);
	task_begin(&order, &outcome);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	close(given);
	task_run_until(1);
	assert_says(&outcome.end, "\nfd 2 pipe:");
	assert_says(&outcome.end, "\nfd 3 /memfd:given (deleted)\nSig");
}

static void
test_credentials(void **state)
{
	static gid_t groups[] = { OTHER_ID + 2 };
	struct release *release = task_release();
	const struct task_end *end;

	(void)state;
	if (geteuid() != 0)
		skip();
	fixture_install(fixture_program("probe_child"), "probe");
	release->credentials = (struct credentials){ .uid = OTHER_ID,
	    .gid = OTHER_ID + 1, .groups = groups, .group_count = 1,
	    .change = true };
	end = task_outcome_of("./probe; echo opened >/dev/stderr");
	release->credentials.groups = NULL;
	assert_exit(end, false, 0);
	assert_says(end, "uid 54321 54321 54321\n");
	assert_says(end, "gid 54322 54322 54322\n");
	assert_says(end, "groups 54323\n");
	assert_says(end, "opened\n");
}

static void
test_environment(void **state)
{
	static const char *const variables[] = { "SUPD_SERVICE=web",
	    "COLOUR=blue", "COLOUR=green", NULL };
	struct task_order order;
	struct outcome outcome;

	(void)state;
	order = task_order_sh("echo $COLOUR:$SUPD_SERVICE; pwd; echo $PWD");
	task_begin(&order, &outcome);
	order.variables = variables;
	task_run_until(1);
	assert_says(&outcome.end, "red:\n");
	assert_says(&outcome.end, fixture_directory());
	task_begin(&order, &outcome);
	task_run_until(2);
	assert_says(&outcome.end, "green:web\n");
	order = task_order_sh("env");
	order.variables = variables;
	task_begin(&order, &outcome);
	task_run_until(3);
	assert_null(strstr(outcome.end.output, "red"));
	assert_null(strstr(outcome.end.output, "blue"));
}

/* In the PATH that it will have itself. */
static void
test_search(void **state)
{
	char variable[600], *argv[] = { (char []){ "tool" }, NULL };
	const char *const variables[] = { variable, NULL };
	struct task_order order = task_order_sh("");
	struct outcome outcome;

	(void)state;
	order.argv = argv;
	task_refused(&order, "tool is not in any directory of PATH");
	order.variables = variables;
	snprintf(variable, sizeof(variable), "PATH=.:");
	fixture_write("tool", "#!/bin/sh\necho $0\n", 0755);
	task_refused(&order, "tool is not in any directory of PATH");
	snprintf(variable, sizeof(variable), "PATH=/nowhere:%s",
	    fixture_directory());
	task_begin(&order, &outcome);
	task_run_until(1);
	assert_exit(&outcome.end, false, 0);
	assert_says(&outcome.end, fixture_path("tool"));
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name, *text, *words;
		mode_t mode;
	} cases[] = {
		{ "./missing", NULL, "./missing: No such file", 0 },
		{ "./plain", "#!/bin/sh\n", "execute permission, its mode is"
		    " 0644", 0644 },
		{ "./strange", "\177ELF", "Exec format error", 0755 },
		{ "./orphan", "#!/no/such/shell\n", "its interpreter is"
		    " missing", 0755 },
		{ "/", NULL, "/ is a directory", 0 },
		{ "", NULL, "is not in any directory of PATH", 0 },
	};
	struct task_order order = task_order_sh("");
	char *argv[2] = { NULL, NULL };
	unsigned i;

	(void)state;
	order.argv = argv;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		argv[0] = (char *)(uintptr_t)cases[i].name;
		if (cases[i].text != NULL)
			fixture_write(cases[i].name, cases[i].text,
			    cases[i].mode);
		task_refused(&order, cases[i].words);
		assert_int_equal(task_child(), 0);
	}
}

/* From the pinned directory, whatever lies at its path now. */
static void
test_pinned_directory(void **state)
{
	char moved[600], *argv[] = { (char []){ "./tool" }, NULL };
	struct task_order order = task_order_sh("");
	struct outcome outcome;

	(void)state;
	fixture_write("tool", "#!/bin/sh\necho old\n", 0755);
	snprintf(moved, sizeof(moved), "%s.moved", fixture_directory());
	assert_int_equal(rename(fixture_directory(), moved), 0);
	order.argv = argv;
	task_begin(&order, &outcome);
	task_run_until(1);
	assert_int_equal(rename(moved, fixture_directory()), 0);
	assert_string_equal(outcome.end.output, "old\n");
}

/* All together: supprobe as a task, with the source port that was reserved for
 * it, which we have closed by then. */
static void
test_probe(void **state)
{
	struct listener_spec listener = { .address = { .family = ADDRESS_IPV4,
	    .host = "127.0.0.1" } };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char connect[32], program[512];
	char *argv[] = { program, (char []){ "tcp" },
	    (char []){ "--connect" }, connect, (char []){ "--fd" },
	    (char []){ "3" }, NULL };
	struct task_order order = task_order_sh("");
	struct outcome outcome;
	uint16_t port;

	(void)state;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(server, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(server, 8), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address,
	    &bytes), 0);
	snprintf(connect, sizeof(connect), "127.0.0.1:%u",
	    ntohs(address.sin_port));
	snprintf(program, sizeof(program), "%s",
	    fixture_program("../supprobe"));
	order.argv = argv;
	order.inherited_fd = probe_reserve(&listener, &port);
	assert_true(order.inherited_fd >= 0);
	task_begin(&order, &outcome);
	close(order.inherited_fd);
	task_run_until(1);
	assert_exit(&outcome.end, false, 0);
	assert_says(&outcome.end, "connected in ");
	fd = accept(server, (struct sockaddr *)&address, &bytes);
	assert_true(fd >= 0);
	assert_int_equal(ntohs(address.sin_port), port);
	close(fd);
	close(server);
}

static void
test_printable(void **state)
{
	const struct task_end *end;

	(void)state;
	end = task_outcome_of("printf '\\033[1mx\\n\\ty\\r\\303\\244\\377\\0z'");
	assert_string_equal(end->output, "?[1mx\n\ty?\303\244??z");
	assert_int_equal(end->output_bytes, 14);
}

/* Kept to the last byte that fits, and no half character. */
static void
test_cut(void **state)
{
	const struct task_end *end;

	(void)state;
	end = task_outcome_of("printf '%4096s'");
	assert_int_equal(strlen(end->output), TASK_OUTPUT_BYTES_MAX);
	assert_int_equal(end->output_bytes, 4096);
	end = task_outcome_of("printf '%4095s\\303\\244'");
	assert_int_equal(strlen(end->output), 4095);
	assert_int_equal(end->output_bytes, 4097);
	end = task_outcome_of("printf '%4093s\\360\\237\\230\\200'");
	assert_int_equal(strlen(end->output), 4093);
	end = task_outcome_of("printf '%4092s\\360\\237\\230\\200more'");
	assert_string_equal(end->output + 4092, "\360\237\230\200");
	assert_int_equal(end->output_bytes, 4100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TASK_TEST(test_success),
		TASK_TEST(test_exit),
		TASK_TEST(test_process),
		TASK_TEST(test_inherited),
		TASK_TEST(test_inherited_in_the_way),
		TASK_TEST(test_credentials),
		TASK_TEST(test_environment),
		TASK_TEST(test_search),
		TASK_TEST(test_refused),
		TASK_TEST(test_pinned_directory),
		TASK_TEST(test_probe),
		TASK_TEST(test_printable),
		TASK_TEST(test_cut),
	};

	if (fixture_under_valgrind())
		return FIXTURE_EXIT_SKIPPED;
	return cmocka_run_group_tests(tests, task_start_supd, NULL);
}
