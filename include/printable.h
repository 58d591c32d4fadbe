/*
 * Text from outside, for logs, JSON and terminals: valid UTF-8 in its shortest
 * form, without control characters.
 */
#ifndef SUPD_PRINTABLE_H
#define SUPD_PRINTABLE_H

#include <stddef.h>

/*
 * Copies what may be shown and puts a `?` for each byte that may not be; those
 * in `kept`, such as "\n", are copied as well.  What does not fit into `size`
 * bytes (at least 1, for the NUL) is left out, and a character is never cut.
 * Returns the length.
 */
size_t printable_copy(char *ret_text, size_t size, const void *bytes,
    size_t count, const char *kept);

#endif
