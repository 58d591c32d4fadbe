/*
 * A window that moves over a file from its end to its beginning.
 *
 * The window holds what has been read and not returned: bytes[0 … count).  A
 * line is complete in it once a newline is found before it, or the file
 * begins.  If neither is so, earlier bytes are put in front.
 */
#include "ledger_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

enum { CHUNK_BYTES = 16384 };

int
ledger_cursor_open(struct ledger_cursor *ret_cursor, const char *path,
    off_t limit_bytes)
{
	struct ledger_cursor cursor = { 0 };
	struct stat status;
	int error = 0;

	cursor.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (cursor.fd < 0)
		return -errno;
	if (fstat(cursor.fd, &status) < 0)
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	else if ((cursor.bytes = malloc(LEDGER_LINE_BYTES_MAX +
	    CHUNK_BYTES)) == NULL)
		error = -ENOMEM;
	if (error < 0) {
		fd_close(cursor.fd);
		return error;
	}
	cursor.offset = status.st_size;
	if (status.st_size > limit_bytes)
		cursor.end = status.st_size - limit_bytes;
	*ret_cursor = cursor;
	return 0;
}

void
ledger_cursor_close(struct ledger_cursor *cursor)
{
	free(cursor->bytes);
	cursor->bytes = NULL;
	fd_clear(&cursor->fd);
}

/* Puts the chunk before the window in front of it.  False: none was read. */
static bool
extend(struct ledger_cursor *cursor)
{
	off_t rest = cursor->offset - cursor->end;
	size_t size = rest < CHUNK_BYTES ? (size_t)rest : CHUNK_BYTES;
	ssize_t count;

	if (size == 0)
		return false;
	if (cursor->count > LEDGER_LINE_BYTES_MAX) {
		cursor->skipping = true;
		cursor->count = 0;
	}
	memmove(cursor->bytes + size, cursor->bytes, cursor->count);
	count = pread(cursor->fd, cursor->bytes, size,
	    cursor->offset - (off_t)size);
	if (count != (ssize_t)size)
		return false;   /* somebody cut the file, or its disk fails */
	cursor->offset -= (off_t)size;
	cursor->count += size;
	return true;
}

/* Takes the last line off the window; false if the window has no whole one. */
static bool
take(struct ledger_cursor *cursor, const char **ret_line, size_t *ret_size_bytes)
{
	const char *newline = memrchr(cursor->bytes, '\n', cursor->count);
	size_t begin;

	if (newline == NULL && (cursor->offset > 0 || cursor->count == 0))
		return false;
	begin = newline != NULL ? (size_t)(newline - cursor->bytes) + 1 : 0;
	*ret_line = cursor->bytes + begin;
	*ret_size_bytes = cursor->count - begin;
	cursor->count = newline != NULL ? begin - 1 : 0;
	return true;
}

bool
ledger_cursor_next(struct ledger_cursor *cursor, const char **ret_line,
    size_t *ret_size_bytes)
{
	const char *line;
	size_t size_bytes;

	for (;;) {
		if (take(cursor, &line, &size_bytes)) {
			bool skip = cursor->skipping || size_bytes == 0 ||
			    size_bytes > LEDGER_LINE_BYTES_MAX;

			cursor->skipping = false;
			if (skip)
				continue;
			*ret_line = line;
			*ret_size_bytes = size_bytes;
			return true;
		}
		if (!extend(cursor))
			return false;
	}
}
