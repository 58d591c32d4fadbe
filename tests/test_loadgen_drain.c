/*
 * Tests of the worker under the load generator's eyes: it leaves, and nobody
 * notices.  The listener is the test's own, as it would be a supervisor's.
 */
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "loadgen_fixture.h"
#include "loopback.h"

/* Of progress, one a second, until the test gives up. */
enum { LINES_MAX = 10 };

/* Waits for a line of progress that tells of answers of a version. */
static void
await_version(const struct child *generator, const char *version)
{
	char line[512] = "";
	int i;

	for (i = 0; i < LINES_MAX && strstr(line, version) == NULL; i++)
		child_read_line(generator->err_fd, line, sizeof(line));
	assert_true(i < LINES_MAX);
}

/*
 * All connections of the pool go idle and are closed while the generator stands
 * still.  It must notice before it sends on any of them; then there is no
 * failure, since somebody else listens by then.
 */
static void
test_idle_close(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	int listener = own_listener(address), code;
	struct child old, new, generator;
	json_t *report;

	(void)state;
	start(&old, listener, "worker --version 1 --linger 0");
	start(&generator, -1, "loadgen --json --progress --rate 50 "
	    "--duration 60 --keep-alive 4 %s", address);
	await_version(&generator, " 1:100");
	child_signal(&generator, SIGSTOP);
	stop_server(&old);
	start(&new, listener, "worker --version 2");
	child_signal(&generator, SIGCONT);
	await_version(&generator, " 2:100");
	child_signal(&generator, SIGTERM);
	report = finish(&generator, &code);
	assert_int_equal(number(report, "failures"), 0);
	assert_int_equal(code, 0);
	assert_int_equal(number(report, "connections"), 8);
	assert_true(number(report, "idle_closed") >= 3);
	json_decref(report);
	stop_server(&new);
	close(listener);
}

static void
check_report(struct child *generator)
{
	json_t *report;
	int code;

	report = finish(generator, &code);
	assert_int_equal(number(report, "failures"), 0);
	assert_int_equal(code, 0);
	assert_int_equal(json_array_size(
	    json_object_get(report, "versions")), 2);
	json_decref(report);
}

/* A good worker leaves without a trace in the reports. */
static void
test_drain(void **state)
{
	char address[LOOPBACK_TEXT_MAX], end[64];
	char path[] = "/tmp/test_loadgen.XXXXXX";
	struct child old, new, single, pool;
	int listener = own_listener(address);

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(end, sizeof(end), "%s/end", path);
	start(&old, listener, "worker --version 1");
	start(&single, -1, "loadgen --json --progress --rate 1000 "
	    "--until-file %s %s", end, address);
	start(&pool, -1, "loadgen --json --progress --rate 1000 "
	    "--until-file %s --keep-alive 16 %s", end, address);
	await_version(&single, " 1:100");
	await_version(&pool, " 1:100");
	start(&new, listener, "worker --version 2 --ready-fd 1");
	child_await_input(new.out_fd);
	stop_server(&old);
	await_version(&single, " 2:100");
	await_version(&pool, " 2:100");
	assert_int_equal(mkdir(end, 0700), 0);
	check_report(&single);
	check_report(&pool);
	stop_server(&new);
	rmdir(end);
	rmdir(path);
	close(listener);
}

static void
assert_change(const json_t *report, json_int_t count)
{
	const json_t *changes = json_object_get(report, "changes"), *change;

	assert_int_equal(json_array_size(changes), 1);
	change = json_array_get(changes, 0);
	assert_string_equal(json_string_value(json_object_get(change, "from")),
	    "1");
	assert_string_equal(json_string_value(json_object_get(change, "to")),
	    "2");
	assert_int_equal(number(change, "count"), count);
}

/* One version after the other: every source changes once, and never back. */
static void
test_sources_change(void **state)
{
	const json_t *versions, *version;
	char address[LOOPBACK_TEXT_MAX];
	int listener = own_listener(address), code;
	struct child old, new, generator;
	json_t *report;
	size_t i;

	(void)state;
	start(&old, listener, "worker --version 1");
	start(&generator, -1, "loadgen --json --progress --rate 100 "
	    "--duration 60 --source 127.1.0.1-127.1.0.5 %s", address);
	await_version(&generator, " 1:100");
	stop_server(&old);
	start(&new, listener, "worker --version 2");
	await_version(&generator, " 2:100");
	child_signal(&generator, SIGTERM);
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_int_equal(number(report, "sources"), 5);
	assert_change(report, 5);
	versions = json_object_get(report, "versions");
	assert_int_equal(json_array_size(versions), 2);
	json_array_foreach(versions, i, version)
		assert_int_equal(number(version, "sources"), 5);
	assert_true(number(json_array_get(versions, 0), "last_ms") <=
	    number(json_array_get(versions, 1), "first_ms"));
	json_decref(report);
	stop_server(&new);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_close),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_sources_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
