/*
 * The messages to the parent: the socket, and what is queued for it.  Only
 * parent*.c include this; parent_store() and its like are in parent.h.
 */
#ifndef SUPD_PARENT_QUEUE_H
#define SUPD_PARENT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum parent_outcome {
	PARENT_SENT,
	PARENT_FULL,    /* there is room when poll(2) says so */
	PARENT_REFUSED, /* this message never gets there; it is in the log */
	PARENT_LATER,   /* this one does not now; others may */
	PARENT_LOST,    /* nobody is there, and nobody has what was sent */
};

/* `address` as in NOTIFY_SOCKET.  0 or -errno; a parent that is not there now is
 * no error, nor is it that a socket cannot be made now. */
int parent_socket_open(const char *address);
void parent_socket_close(void);
bool parent_socket_is_open(void);
int parent_socket_fd(void);     /* -1: it could not be made yet */

/* At most NOTIFY_FDS_MAX fds. */
enum parent_outcome parent_socket_send(const char *text, const int *fds,
    unsigned fd_count);

/*
 * Without the loop: waits for room, or for a moment after any other error, until
 * end_ms (clock.h); false if that has passed.
 */
bool parent_socket_wait(enum parent_outcome, uint64_t end_ms);

/* All was sent: says so, if there were errors. */
void parent_socket_is_well(void);

/* Lines of assignments.  Unsent ones that begin with the same variable are
 * replaced. */
void parent_queue_say(const char *lines);
void parent_queue_release(void);

/* The parent keeps so many fds; more are not sent, and the log says so. */
void parent_queue_set_limit(unsigned fd_count);

#endif
