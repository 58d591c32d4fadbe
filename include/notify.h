/*
 * The notify socket of one worker: what it says, by the sd_notify protocol.
 *
 * One datagram socket per worker, bound before the worker exists, so that who
 * sent a message needs no guessing; the sender's credentials are checked all
 * the same (the worker's own process group or session, or root).  The parsing
 * is pure and is fuzzed.
 */
#ifndef SUPD_NOTIFY_H
#define SUPD_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"

/* One message; each field says whether it was there. */
struct notify_message {
	bool ready, reloading, stopping, watchdog, watchdog_trigger, barrier;
	bool has_status, has_errno, has_main_pid, has_watchdog_usec;
	bool has_extend_usec, has_monotonic_usec;
	bool fd_store, fd_store_remove;
	bool fd_unwatched;              /* FDPOLL=0 */
	char fd_name[FD_NAME_LENGTH_MAX + 1];   /* "": none, or a bad one */
	char status[STATUS_BYTES_MAX];  /* printable, cut */
	int error_number;
	pid_t main_pid;
	uint64_t watchdog_usec, extend_usec, monotonic_usec;
	pid_t sender;
	uid_t sender_uid;
	int fds[NOTIFY_FDS_MAX];        /* notify_read(): of FDSTORE=1 */
	unsigned fd_count;
};

/*
 * Parses a datagram.  Unknown assignments are ignored, as are ones whose value
 * is not what it must be; *ret_bad counts those.  BARRIER=1 must be alone,
 * else nothing of the message is taken.  A name of an fd is ASCII without
 * control characters and ":", and does not begin with "supd.".
 */
void notify_parse(const char *bytes, size_t size_bytes,
    struct notify_message *ret_message, unsigned *ret_bad);

/*
 * Binds a socket at `path` (mode 0666: a worker may have changed its user),
 * with SO_PASSCRED set before.  Returns the fd or -errno.
 */
int notify_open(const char *path);

enum notify_result { NOTIFY_NONE, NOTIFY_MESSAGE, NOTIFY_REFUSED };

/*
 * Reads one datagram without waiting.  Those fds of a NOTIFY_MESSAGE that it
 * wants stored are the caller's, in ret_message->fds; all others are closed
 * (BARRIER's last, which is what its sender waits for).  NOTIFY_REFUSED: it
 * was cut, came without credentials, or was a malformed barrier; ret_text
 * (REASON_BYTES_MAX) says how.  With NOTIFY_MESSAGE it is empty, or says how
 * many assignments were ignored.
 */
enum notify_result notify_read(int fd, struct notify_message *ret_message,
    char *ret_text);

/* The message that notify_read() would read, without its fds, which stays where it
 * is; false: there is none, or it would be refused. */
bool notify_peek(int fd, struct notify_message *ret_message);

/* A mark on the socket, which outlives us with it. */
void notify_mark(int fd, bool marked);
bool notify_is_marked(int fd);

#endif
