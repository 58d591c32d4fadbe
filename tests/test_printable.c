/*
 * What may be shown of bytes that anybody wrote.  More of UTF-8 is in
 * test_notify.c, whose STATUS goes the same way.
 */
#include "printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char text[16];

static const char *
shown(const char *bytes, size_t count, const char *kept)
{
	size_t length;

	memset(text, 'x', sizeof(text));
	length = printable_copy(text, sizeof(text), bytes, count, kept);
	assert_int_equal(length, strlen(text));
	return text;
}

static void
test_controls(void **state)
{
	(void)state;
	assert_string_equal(shown("a\tb\nc\033[0m", 9, ""), "a?b?c?[0m");
	assert_string_equal(shown("a\tb\nc\033[0m", 9, "\t\n"), "a\tb\nc?[0m");
	assert_string_equal(shown("a\0b\177", 4, "\n"), "a?b?");
	assert_string_equal(shown("\302\205", 2, "\n"), "??");
}

static void
test_utf8(void **state)
{
	(void)state;
	assert_string_equal(shown("\303\244\342\202\254", 5, ""),
	    "\303\244\342\202\254");
	assert_string_equal(shown("\303", 1, ""), "?");
	assert_string_equal(shown("\300\257\355\240\200", 5, ""), "?????");
}

/* What does not fit is left out, a character as a whole. */
static void
test_bounded(void **state)
{
	(void)state;
	assert_string_equal(shown("0123456789abcdefgh", 18, ""),
	    "0123456789abcde");
	assert_string_equal(shown("0123456789abcd\303\244", 16, ""),
	    "0123456789abcd");
	assert_string_equal(shown("", 0, ""), "");
	assert_int_equal(printable_copy(text, 1, "a", 1, ""), 0);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
