/*
 * Answers on their way to a client, in order and bounded.
 *
 * Never waits: sockets are written with MSG_DONTWAIT, and never for so long
 * that other clients would wait.  MSG_NOSIGNAL, since a reader that is gone is
 * not our trouble.  Knows nothing of clients; whoever gets an error ends one.
 */
#include "ctlsock_queue.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bounds.h"

enum { SENDS_PER_FLUSH_MAX = 64 };

struct ctlsock_block {
	struct ctlsock_block *next;
	size_t begin, end;
	char bytes[];
};

/* Returns how many bytes the socket took, or -errno. */
static ssize_t
put(int fd, struct iovec *parts, size_t part_count)
{
	struct msghdr header = { .msg_iov = parts, .msg_iovlen = part_count };
	ssize_t count;

	count = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count >= 0)
		return count;
	return errno == EAGAIN ? 0 : -errno;
}

/* Keeps `json` and its NUL without the first `taken` bytes of both. */
static int
keep(struct ctlsock_queue *queue, const char *json, size_t size_bytes,
    size_t taken)
{
	size_t count = size_bytes + 1 - taken;
	struct ctlsock_block *block;

	if (queue->bytes + sizeof(*block) + count > CLIENT_QUEUE_BYTES_MAX)
		return -ENOBUFS;
	block = malloc(sizeof(*block) + count);
	if (block == NULL)
		return -ENOMEM;
	block->next = NULL;
	block->begin = 0;
	block->end = count;
	memcpy(block->bytes, json + taken, count - 1);
	block->bytes[count - 1] = '\0';
	if (queue->first == NULL)
		queue->first = block;
	else
		queue->last->next = block;
	queue->last = block;
	queue->bytes += sizeof(*block) + count;
	return 0;
}

int
ctlsock_queue_send(struct ctlsock_queue *queue, int fd, const char *json,
    size_t size_bytes)
{
	char nul = '\0';
	struct iovec parts[2] = {
		{ (void *)(uintptr_t)json, size_bytes }, { &nul, 1 },
	};
	ssize_t taken = 0;

	if (queue->first == NULL)
		taken = put(fd, parts, 2);
	if (taken < 0)
		return (int)taken;
	if ((size_t)taken == size_bytes + 1)
		return 0;
	return keep(queue, json, size_bytes, (size_t)taken);
}

/* Takes `count` bytes off the first block, which has as many. */
static void
advance(struct ctlsock_queue *queue, size_t count)
{
	struct ctlsock_block *block = queue->first;

	block->begin += count;
	queue->bytes -= count;
	if (block->begin < block->end)
		return;
	queue->first = block->next;
	queue->bytes -= sizeof(*block);
	free(block);
}

int
ctlsock_queue_flush(struct ctlsock_queue *queue, int fd)
{
	int sends;

	for (sends = 0; sends < SENDS_PER_FLUSH_MAX && queue->first != NULL;
	    sends++) {
		struct ctlsock_block *block = queue->first;
		struct iovec part = { block->bytes + block->begin,
		    block->end - block->begin };
		ssize_t count = put(fd, &part, 1);

		if (count < 0)
			return (int)count;
		if (count == 0)
			break;
		advance(queue, (size_t)count);
	}
	return sends > 0;
}

void
ctlsock_queue_clear(struct ctlsock_queue *queue)
{
	struct ctlsock_block *block;

	while ((block = queue->first) != NULL) {
		queue->first = block->next;
		free(block);
	}
	queue->last = NULL;
	queue->bytes = 0;
}
