/*
 * For tests of the configuration: text that must be good, and text that must be
 * refused with exactly these messages.  The file is called `t` in them.
 */
#ifndef SUPD_CONFIG_FIXTURE_H
#define SUPD_CONFIG_FIXTURE_H

#include <stddef.h>

#include "config.h"

/* Fails the test if there is any error; for config_free(). */
struct config *config_good(const char *text);

/* What config_errors_print() says of text that must be refused; for free(). */
char *config_errors_of(const char *text, size_t size_bytes);

void config_expect_errors(const char *text, const char *expected);

/* The words as `<a><b>`; `none` is NULL. */
void config_expect_list(char *const *list, const char *expected);

#endif
