/*
 * A text in memory that outlives supd: a memfd that is appended to, or replaced
 * as a whole.
 *
 * Whenever supd may be killed, a later supd finds the old text or the new one,
 * and of what was being appended the beginning.
 */
#ifndef SUPD_JOURNAL_H
#define SUPD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct journal {
	int fd;                         /* -1: there is none */
	off_t start_bytes, end_bytes;   /* of the text in it */
};

/* A new one, empty; `name` is for people who look into /proc.  0 or -errno. */
int journal_open(struct journal *, const char *name);

/* One that a former supd has left; takes the fd, if it returns 0.  -EBADMSG:
 * it is none. */
int journal_adopt(struct journal *, int fd);

void journal_close(struct journal *);

/* 0 or -errno, and it is as it was, but for what may be half appended. */
int journal_append(struct journal *, const char *bytes, size_t size_bytes);
int journal_replace(struct journal *, const char *bytes, size_t size_bytes);

/* All of it, with a NUL behind it, the caller's to free; NULL: not to be had. */
char *journal_read(const struct journal *, size_t *ret_size_bytes);

#endif
