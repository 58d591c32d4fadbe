/*
 * What a client's socket has not taken yet.
 *
 * Private to ctlsock.  A message goes straight into the socket as long as that
 * takes it; what it does not take is kept as a list of blocks, one a message,
 * so that an empty queue has no memory and no byte is ever moved.
 */
#ifndef SUPD_CTLSOCK_QUEUE_H
#define SUPD_CTLSOCK_QUEUE_H

#include <stddef.h>

struct ctlsock_block;

/* Zeroed, it is empty. */
struct ctlsock_queue {
	struct ctlsock_block *first, *last;
	size_t bytes;           /* with the blocks' heads */
};

/* Sends or keeps `json` and a NUL.  0, -ENOBUFS (beyond
 * CLIENT_QUEUE_BYTES_MAX), -ENOMEM, or what the socket says. */
int ctlsock_queue_send(struct ctlsock_queue *, int fd, const char *json,
    size_t size_bytes);

/* Sends what the socket takes now.  1 if it took something, 0 if not, or
 * -errno. */
int ctlsock_queue_flush(struct ctlsock_queue *, int fd);

void ctlsock_queue_clear(struct ctlsock_queue *);

#endif
