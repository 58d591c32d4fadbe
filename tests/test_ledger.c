/*
 * The ledger on a real file system, also a full one and a damaged file.
 *
 * A full disk is RLIMIT_FSIZE here: write(2) then takes a part of a line and
 * fails with EFBIG, as it does with ENOSPC.
 */
#include "ledger_fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>

#include "bounds.h"

static void
write_raw(const char *bytes, size_t size_bytes)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size_bytes), size_bytes);
	close(fd);
}

static void
assert_file(const char *text)
{
	static char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = read(fd, bytes, sizeof(bytes) - 1);

	close(fd);
	assert_true(count >= 0);
	bytes[count] = '\0';
	assert_string_equal(bytes, text);
}

/* Reads, and compares with the lines given, newest first; NULL ends them. */
static void
assert_lines(const char *service, size_t limit, ...)
{
	char **lines;
	const char *wanted;
	va_list arguments;
	size_t count = ledger_read(service, 0, limit, &lines), i;

	va_start(arguments, limit);
	for (i = 0; i < count; i++) {
		wanted = va_arg(arguments, const char *);
		assert_non_null(wanted);
		assert_string_equal(lines[i], wanted);
		free(lines[i]);
	}
	assert_null(va_arg(arguments, const char *));
	va_end(arguments);
	free(lines);
}

/* --- appending */

static void
test_append_and_read(void **state)
{
	struct stat status;

	(void)state;
	assert_null(ledger_error());
	assert_lines(NULL, 10, NULL);
	ledger_append("{\"service\":\"a\",\"n\":1}");
	ledger_append("{ \"n\": 2, \"service\" : \"b\" }");
	ledger_append("{\"service\":\"a\",\"n\":3}");
	assert_null(ledger_error());
	assert_file("{\"service\":\"a\",\"n\":1}\n"
	    "{ \"n\": 2, \"service\" : \"b\" }\n{\"service\":\"a\",\"n\":3}\n");
	assert_lines(NULL, 10, "{\"service\":\"a\",\"n\":3}",
	    "{ \"n\": 2, \"service\" : \"b\" }", "{\"service\":\"a\",\"n\":1}",
	    NULL);
	assert_lines("a", 10, "{\"service\":\"a\",\"n\":3}",
	    "{\"service\":\"a\",\"n\":1}", NULL);
	assert_lines("b", 10, "{ \"n\": 2, \"service\" : \"b\" }", NULL);
	assert_lines("c", 10, NULL);
	assert_lines("a", 1, "{\"service\":\"a\",\"n\":3}", NULL);
	assert_lines("a", 0, NULL);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
}

static void
test_appends_to_what_was_there(void **state)
{
	(void)state;
	ledger_append("{\"n\":1}");
	ledger_close();
	ledger_open(directory);
	ledger_append("{\"n\":2}");
	assert_file("{\"n\":1}\n{\"n\":2}\n");
}

static void
test_cut_line_is_ended(void **state)
{
	(void)state;
	ledger_append("{\"n\":1}");
	write_raw("{\"n\":2,\"se", 10);
	assert_lines(NULL, 10, "{\"n\":1}", NULL);
	ledger_append("{\"n\":3}");
	assert_file("{\"n\":1}\n{\"n\":2,\"se\n{\"n\":3}\n");
	assert_lines(NULL, 10, "{\"n\":3}", "{\"n\":1}", NULL);
	write_raw("{\"n\":4}", 7);      /* only its newline is missing */
	assert_lines(NULL, 1, "{\"n\":4}", NULL);
}

static void
test_rotated_file(void **state)
{
	char other[160];

	(void)state;
	ledger_append("{\"n\":1}");
	snprintf(other, sizeof(other), "%s.1", path);
	assert_int_equal(rename(path, other), 0);
	ledger_append("{\"n\":2}");
	assert_null(ledger_error());
	assert_file("{\"n\":2}\n");
	assert_int_equal(unlink(other), 0);
}

/* The fewest members by which a deployment is known again. */
#define DEPLOYMENT(id) "{\"service\":\"a\",\"id\":" id ",\"revision\":" id \
    ",\"started_time_s\":1,\"verdict\":\"complete\"}"

static void
test_next_supd(void **state)
{
	json_t *waiting, *damaged = json_pack("[i, n, s, s, s]", 3, "no JSON",
	    "{\"n\":1}", "{\"service\":\"a\",\n\"revision\":5}");

	(void)state;
	ledger_append(DEPLOYMENT("1"));
	limit_file(100);
	ledger_append(DEPLOYMENT("2"));
	ledger_append(DEPLOYMENT("3"));
	waiting = ledger_save();
	ledger_close();
	ledger_open(directory);
	ledger_restore(waiting);
	assert_non_null(strstr(ledger_error(), "next one: 2"));
	limit_file(RLIM_INFINITY);
	ledger_append(DEPLOYMENT("4"));
	assert_null(ledger_error());
	ledger_restore(waiting);        /* by now they are in the file */
	ledger_restore(damaged);
	ledger_restore(NULL);
	assert_lines(NULL, 10, DEPLOYMENT("4"), DEPLOYMENT("3"),
	    DEPLOYMENT("2"), DEPLOYMENT("1"), NULL);
	json_decref(waiting);
	json_decref(damaged);
}

static void
test_full_disk(void **state)
{
	(void)state;
	ledger_append("{\"n\":1}");
	limit_file(12);                 /* room for `{"n":1}`, `\n{"n` */
	ledger_append("{\"n\":2}");
	assert_non_null(ledger_error());
	assert_non_null(strstr(ledger_error(), "File too large"));
	assert_non_null(strstr(ledger_error(), "next one: 1"));
	assert_non_null(strstr(ledger_error(), path));
	ledger_append("{\"n\":3}");
	assert_non_null(strstr(ledger_error(), "next one: 2"));
	assert_file("{\"n\":1}\n{\"n\"");
	assert_lines(NULL, 10, "{\"n\":3}", "{\"n\":2}", "{\"n\":1}", NULL);
	limit_file(RLIM_INFINITY);
	ledger_append("{\"n\":4}");
	assert_null(ledger_error());
	assert_file("{\"n\":1}\n{\"n\"\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n");
	assert_lines(NULL, 2, "{\"n\":4}", "{\"n\":3}", NULL);
}

/* All of it but the newline: it is not written twice. */
static void
test_full_before_newline(void **state)
{
	(void)state;
	limit_file(7);
	ledger_append("{\"n\":1}");
	assert_null(ledger_error());
	limit_file(RLIM_INFINITY);
	ledger_append("{\"n\":2}");
	assert_file("{\"n\":1}\n{\"n\":2}\n");
}

static void
test_too_many_wait(void **state)
{
	char **lines;
	unsigned i;
	size_t count;

	(void)state;
	limit_file(0);
	for (i = 1; i <= LEDGER_PENDING_MAX + 3; i++)
		append("web", i, "complete");
	assert_non_null(strstr(ledger_error(), "next one: 64, 3 are lost"));
	assert_past("web", LEDGER_PENDING_MAX + 3, LEDGER_PENDING_MAX + 3,
	    LEDGER_PENDING_MAX + 3);
	limit_file(RLIM_INFINITY);
	ledger_close();                 /* a last attempt */
	ledger_open(directory);
	assert_null(ledger_error());
	count = ledger_read("web", 0, 1000, &lines);
	assert_int_equal(count, LEDGER_PENDING_MAX);
	assert_non_null(strstr(lines[count - 1], "\"revision\":4,"));
	for (i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
}

static void
test_no_directory(void **state)
{
	(void)state;
	ledger_close();
	ledger_open("/proc/nonexistent/state");
	assert_non_null(strstr(ledger_error(), "No such file or directory"));
	ledger_append("{\"n\":1}");
	assert_lines(NULL, 10, "{\"n\":1}", NULL);
	ledger_close();
	ledger_open(directory);
	assert_null(ledger_error());
}

static void
test_new_user(void **state)
{
	char deep[128];

	(void)state;
	ledger_close();
	snprintf(deep, sizeof(deep), "%s/a/b/supd", directory);
	ledger_open(deep);
	assert_null(ledger_error());
	ledger_append("{\"n\":1}");
	assert_null(ledger_error());
	assert_lines(NULL, 10, "{\"n\":1}", NULL);
	snprintf(deep, sizeof(deep), "%s/a/b/supd/deployments.jsonl", directory);
	assert_int_equal(unlink(deep), 0);
	while (strcmp(dirname(deep), directory) != 0)
		assert_int_equal(rmdir(deep), 0);
}

static void
test_something_else_is_there(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(mkdir(path, 0755), 0);
	ledger_append("{\"n\":1}");
	assert_non_null(strstr(ledger_error(), "Is a directory"));
	rmdir(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	ledger_append("{\"n\":2}");
	assert_non_null(ledger_error());
	assert_lines(NULL, 10, "{\"n\":2}", "{\"n\":1}", NULL);
	unlink(path);
	ledger_append("{\"n\":3}");
	assert_null(ledger_error());
	assert_file("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
}

/* --- reading */

static void
test_garbage_is_skipped(void **state)
{
	static const char garbage[] = "\n\n[1,2]\nnull\n\"text\"\nx\0y\n"
	    "{\"service\":\"a\",\"s\":\"\0\"}\n{\"service\":\"a\"\n\xff\xfe\n"
	    "{\"service\":{\"a\":1}}\n{\"service\":\"ab\"}\n"
	    "{\"x\":\"a\",\"service\":\"b\"}\n";

	(void)state;
	ledger_append("{\"service\":\"a\",\"n\":1}");
	write_raw(garbage, sizeof(garbage) - 1);
	ledger_append("{\"service\":\"a\",\"n\":2}");
	assert_lines("a", 10, "{\"service\":\"a\",\"n\":2}",
	    "{\"service\":\"a\",\"n\":1}", NULL);
}

/* A JSON line of exactly that many bytes, without its newline. */
static void
write_long_line(size_t size_bytes)
{
	char *line = malloc(size_bytes + 1);

	assert_non_null(line);
	memset(line, 'x', size_bytes);
	memcpy(line, "{\"service\":\"a\",\"n\":\"", 20);
	memcpy(line + size_bytes - 2, "\"}\n", 3);
	write_raw(line, size_bytes + 1);
	free(line);
}

static void
test_long_lines(void **state)
{
	static const size_t sizes[] = { 65537, 70000, 81920, 81921, 200000,
	    65536, 65535, 16384, 16383, 16385, 49152 };
	static char front[100000];
	char **lines;
	size_t i, count;

	(void)state;
	/* Its first part could be taken for a line. */
	memset(front, ' ', sizeof(front));
	memcpy(front, "{\"service\":\"a\"}", 15);
	front[sizeof(front) - 1] = '\n';
	write_long_line(300000);
	write_raw(front, sizeof(front));
	ledger_append("{\"service\":\"a\",\"n\":1}");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		write_long_line(sizes[i]);
	ledger_append("{\"service\":\"a\",\"n\":2}");
	count = ledger_read("a", 0, 100, &lines);
	assert_int_equal(count, 8);
	assert_string_equal(lines[0], "{\"service\":\"a\",\"n\":2}");
	assert_int_equal(strlen(lines[1]), 49152);
	assert_int_equal(strlen(lines[6]), 65536);
	assert_string_equal(lines[7], "{\"service\":\"a\",\"n\":1}");
	for (i = 0; i < count; i++)
		free(lines[i]);
	free(lines);
}

/* Lines across all borders of chunks. */
static void
test_many_lines(void **state)
{
	char **lines, wanted[64];
	unsigned i;
	size_t count;
	FILE *file = fopen(path, "ae");

	(void)state;
	assert_non_null(file);
	for (i = 0; i < 20000; i++)
		fprintf(file, "{\"service\":\"%s\",\"n\":%u}\n",
		    i % 3 ? "web" : "db", i);
	fclose(file);
	count = ledger_read("db", 0, 5000, &lines);
	assert_int_equal(count, HISTORY_LINES_MAX);
	for (i = 0; i < count; i++) {
		snprintf(wanted, sizeof(wanted), "{\"service\":\"db\","
		    "\"n\":%u}", 19998 - 3 * i);
		assert_string_equal(lines[i], wanted);
		free(lines[i]);
	}
	free(lines);
}

/* What is far from the end of a huge file is not looked for. */
static void
test_huge_file(void **state)
{
	(void)state;
	ledger_append("{\"service\":\"a\",\"n\":1}");
	assert_int_equal(truncate(path, (off_t)1 << 33), 0);
	ledger_append("{\"service\":\"a\",\"n\":2}");
	assert_null(ledger_error());
	assert_lines("a", 10, "{\"service\":\"a\",\"n\":2}", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_append_and_read),
		TEST(test_appends_to_what_was_there),
		TEST(test_cut_line_is_ended),
		TEST(test_rotated_file),
		TEST(test_next_supd),
		TEST(test_full_disk),
		TEST(test_full_before_newline),
		TEST(test_too_many_wait),
		TEST(test_no_directory),
		TEST(test_new_user),
		TEST(test_something_else_is_there),
		TEST(test_garbage_is_skipped),
		TEST(test_long_lines),
		TEST(test_many_lines),
		TEST(test_huge_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
