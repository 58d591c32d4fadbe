/*
 * A text in memory that another one finds as it was.
 */
#include "journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What one who has only the fd reads. */
static void
assert_found(const struct journal *journal, const char *text)
{
	struct journal other;
	size_t size_bytes;
	char *found;

	assert_int_equal(journal_adopt(&other, dup(journal->fd)), 0);
	found = journal_read(&other, &size_bytes);
	assert_non_null(found);
	assert_string_equal(found, text);
	assert_int_equal(size_bytes, strlen(text));
	free(found);
	/* It goes on where the other one was. */
	assert_int_equal(other.end_bytes, journal->end_bytes);
	journal_close(&other);
}

static char *
many(char letter, size_t count)
{
	char *text = malloc(count + 1);

	assert_non_null(text);
	memset(text, letter, count);
	text[count] = '\0';
	return text;
}

static void
test_appended(void **state)
{
	struct journal j;

	(void)state;
	assert_int_equal(journal_open(&j, "test"), 0);
	assert_found(&j, "");
	assert_int_equal(journal_append(&j, "one\n", 4), 0);
	assert_int_equal(journal_append(&j, "two\n", 4), 0);
	assert_found(&j, "one\ntwo\n");
	journal_close(&j);
	assert_int_equal(j.fd, -1);
}

/* Until the new one counts, the old one has to be whole, with a zero behind. */
static void
assert_apart(const struct journal *old, const struct journal *new)
{
	assert_true(new->end_bytes < old->start_bytes ||
	    new->start_bytes > old->end_bytes);
}

/* Longer and shorter ones by turns, so that both places are used. */
static void
test_replaced(void **state)
{
	static const size_t sizes[] = { 1, 4095, 4096, 4097, 20000, 3, 100000,
		99999, 5, 12287, 12288, 8191, 12288, 12288, 1 };
	struct journal j, old;

	(void)state;
	assert_int_equal(journal_open(&j, "test"), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = many((char)('a' + i), sizes[i]);

		old = j;
		assert_int_equal(journal_replace(&j, text, sizes[i]), 0);
		assert_apart(&old, &j);
		assert_found(&j, text);
		assert_int_equal(journal_append(&j, "+", 1), 0);
		text = realloc(text, sizes[i] + 2);
		assert_non_null(text);
		strcpy(text + sizes[i], "+");
		assert_found(&j, text);
		free(text);
	}
	journal_close(&j);
}

static void
test_memory_is_given_back(void **state)
{
	char *text = many('x', 1 << 20);
	struct stat status;
	struct journal j;

	(void)state;
	assert_int_equal(journal_open(&j, "test"), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(journal_replace(&j, text, 1 << 20), 0);
		assert_int_equal(fstat(j.fd, &status), 0);
		assert_true(status.st_blocks * 512 <= (1 << 20) + 3 * 4096);
	}
	journal_close(&j);
	free(text);
}

/* What a killed one has left half written beside the text is not seen. */
static void
test_half_replaced(void **state)
{
	struct journal j;

	(void)state;
	assert_int_equal(journal_open(&j, "test"), 0);
	assert_int_equal(journal_replace(&j, "old", 3), 0);
	assert_int_equal(pwrite(j.fd, "half of a new on", 16,
	    j.start_bytes + 4096), 16);
	assert_int_equal(pwrite(j.fd, "half of a new on", 16,
	    j.start_bytes - 4096), 16);
	assert_found(&j, "old");
	assert_int_equal(journal_replace(&j, "new", 3), 0);
	assert_found(&j, "new");
	assert_int_equal(journal_replace(&j, "newer", 5), 0);
	assert_found(&j, "newer");
	journal_close(&j);
}

static void
test_foreign(void **state)
{
	static const uint64_t far = UINT64_MAX;
	int fd = memfd_create("test", MFD_CLOEXEC), ends[2];
	struct journal j;

	(void)state;
	assert_int_equal(journal_adopt(&j, fd), -EBADMSG);
	assert_int_equal(write(fd, "something else of some length", 29), 29);
	assert_int_equal(journal_adopt(&j, fd), -EBADMSG);
	(void)close(fd);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(journal_adopt(&j, ends[0]), -EBADMSG);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_int_equal(journal_open(&j, "test"), 0);
	assert_int_equal(pwrite(j.fd, &far, sizeof(far), 16), sizeof(far));
	assert_int_equal(journal_adopt(&j, j.fd), -EBADMSG);
	(void)close(j.fd);
	assert_int_equal(journal_open(&j, "test"), 0);
	assert_int_equal(pwrite(j.fd, "another ", 8, 0), 8);
	assert_int_equal(journal_adopt(&j, j.fd), -EBADMSG);
	(void)close(j.fd);
}

/* A start behind the end is an empty text, and no more is read than is there. */
static void
test_cut(void **state)
{
	struct journal j;

	(void)state;
	assert_int_equal(journal_open(&j, "test"), 0);
	assert_int_equal(journal_replace(&j, "text", 4), 0);
	assert_int_equal(ftruncate(j.fd, j.start_bytes + 2), 0);
	j.end_bytes = j.start_bytes + 2;
	assert_found(&j, "te");
	assert_int_equal(ftruncate(j.fd, 24), 0);
	j.end_bytes = j.start_bytes;
	assert_found(&j, "");
	journal_close(&j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_appended),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_memory_is_given_back),
		cmocka_unit_test(test_half_replaced),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
