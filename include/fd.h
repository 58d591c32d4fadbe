/*
 * File descriptors of supd, by region.
 *
 *   0 … 2      as supd was started
 *   3 …        free, so that a worker's listeners can be placed from 3 on
 *              without overlapping with where they come from
 *   FD_SOURCE  what workers are started from: listeners, pinned releases,
 *              /dev/null; copied into each child
 *   FD_PRIVATE everything else (pidfds, notify sockets, clients): a child
 *              unshares its table below this line only, so that ten thousand
 *              of them do not slow a spawn down
 *
 * Every fd is close-on-exec from birth.
 */
#ifndef SUPD_FD_H
#define SUPD_FD_H

enum {
	FD_SOURCE = 80,         /* 3 + LISTENERS_MAX and some */
	FD_PRIVATE = 1024,
};

/*
 * Moves fd to the lowest free number of a region, close-on-exec.  Returns the
 * new number; the old one is closed.  If there is no room (RLIMIT_NOFILE), the
 * old number is kept and returned: slower, not wrong.  A negative fd is
 * returned as it is.
 */
int fd_to_source(int fd);
int fd_to_private(int fd);

/* close() that accepts -1 and keeps errno. */
void fd_close(int fd);

/* close() and set to -1. */
void fd_clear(int *fd);

/*
 * Sends a message, without waiting: the text without its NUL, and at most
 * NOTIFY_FDS_MAX fds, which stay the caller's.  0 or -errno.
 */
int fd_send(int socket_fd, const char *text, const int *fds,
    unsigned fd_count);

/* Reads at most size bytes of a small file; returns their number or -errno. */
long fd_read_file(int directory_fd, const char *path, char *ret_bytes,
    unsigned long size_bytes);

#endif
