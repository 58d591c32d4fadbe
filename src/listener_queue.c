/*
 * How many connections wait to be accepted, and how many may.  Of datagrams and
 * what is in a FIFO the kernel tells only whether there is any.
 *
 * For TCP, TCP_INFO of a listening socket has both, in fields that mean
 * something else on a connection.  For unix sockets there is no such option:
 * the kernel is asked by netlink (sock_diag(7)) for the one socket with our
 * inode.  The request is answered before send() returns, so nothing here
 * waits.  Neither needs a privilege.  Owns nothing between calls.
 */
#include "listener.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "diag.h"

static int
tcp_queue(int fd, struct shard_queue *ret_queue)
{
	struct tcp_info info = { 0 };
	socklen_t bytes = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0)
		return -errno;
	if (info.tcpi_state != TCP_LISTEN)
		return -ENOTCONN;
	ret_queue->length = info.tcpi_unacked;
	ret_queue->limit = info.tcpi_sacked;
	return 0;
}

static int
read_lengths(const struct nlmsghdr *header, void *ctx)
{
	struct shard_queue *ret_queue = ctx;
	const struct unix_diag_rqlen *lengths = diag_attribute(header,
	    sizeof(struct unix_diag_msg), UNIX_DIAG_RQLEN, sizeof(*lengths));

	if (lengths == NULL)
		return -EOPNOTSUPP;
	ret_queue->length = lengths->udiag_rqueue;
	ret_queue->limit = lengths->udiag_wqueue;
	return 0;
}

static int
unix_queue(uint64_t inode, struct shard_queue *ret_queue)
{
	int result = diag_ask_unix(inode, UDIAG_SHOW_RQLEN, read_lengths,
	    ret_queue);

	/* ENOENT: the kernel has no unix_diag; our socket does exist. */
	if (result == -EPROTONOSUPPORT || result == -ENOENT)
		return -EOPNOTSUPP;
	return result;
}

int
shard_queue(const struct shard *shard, struct shard_queue *ret_queue)
{
	const struct address *address = &shard->listener->spec->address;

	if (!address_accepts(address))
		return -EOPNOTSUPP;
	return address_is_tcp(address) ? tcp_queue(shard->fd, ret_queue) :
	    unix_queue(shard->inode, ret_queue);
}

uint32_t
shard_waiting(const struct shard *shard)
{
	struct pollfd readable = { .fd = shard->fd, .events = POLLIN };
	struct shard_queue queue;
	int error = shard->broken ? -ENOTCONN : shard_queue(shard, &queue);

	if (error == 0)
		return queue.length;
	return error != -ENOTCONN && poll(&readable, 1, 0) > 0 &&
	    (readable.revents & POLLIN) ? 1 : 0;
}
