/*
 * Configurations in memory for tests; see config_fixture.h.
 */
#include "config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config *
config_good(const char *text)
{
	struct config_errors errors;
	struct config *config = config_read_text("t", text, strlen(text),
	    &errors);

	config_errors_print(&errors, stderr);
	assert_non_null(config);
	assert_int_equal(errors.count, 0);
	return config;
}

char *
config_errors_of(const char *text, size_t size_bytes)
{
	struct config_errors errors;
	struct config *config = config_read_text("t", text, size_bytes,
	    &errors);
	char *printed = NULL;
	size_t printed_bytes;
	FILE *stream = open_memstream(&printed, &printed_bytes);

	assert_non_null(stream);
	if (config != NULL)
		print_error("not refused: %s\n", text);
	assert_null(config);
	assert_true(errors.count > 0);
	config_errors_print(&errors, stream);
	assert_int_equal(fclose(stream), 0);
	config_errors_release(&errors);
	return printed;
}

void
config_expect_errors(const char *text, const char *expected)
{
	char *printed = config_errors_of(text, strlen(text));

	assert_string_equal(printed, expected);
	free(printed);
}

void
config_expect_list(char *const *list, const char *expected)
{
	char text[1024] = "";
	size_t used = 0;

	for (; list != NULL && *list != NULL; list++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "<%s>", *list);
		assert_true(used < sizeof(text));
	}
	assert_string_equal(list != NULL ? text : "none", expected);
}
