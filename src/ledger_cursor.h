/*
 * Reading a file of lines from its end.
 *
 * Private to the ledger.  Reads in chunks and only as far as it is asked; has
 * memory for one line of LEDGER_LINE_BYTES_MAX and no more, whatever the file
 * contains.  Longer lines are skipped, as are empty ones.
 */
#ifndef SUPD_LEDGER_CURSOR_H
#define SUPD_LEDGER_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LEDGER_LINE_BYTES_MAX = 65536 };

struct ledger_cursor {
	int fd;
	off_t offset;           /* of bytes[0] in the file */
	off_t end;              /* do not read what is before */
	char *bytes;
	size_t count;
	bool skipping;          /* the line before bytes[count] is too long */
};

/* Looks at the last `limit_bytes` of the file.  0 or -errno; what is no
 * regular file is -EINVAL. */
int ledger_cursor_open(struct ledger_cursor *ret_cursor, const char *path,
    off_t limit_bytes);
void ledger_cursor_close(struct ledger_cursor *);

/* The line before the last one that was returned, without its newline; valid
 * until the next call.  False if there is none, or it cannot be read. */
bool ledger_cursor_next(struct ledger_cursor *, const char **ret_line,
    size_t *ret_size_bytes);

#endif
