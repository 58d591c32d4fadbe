/*
 * How many connections wait to be accepted, and how many may.
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
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"

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
ask(int netlink_fd, uint32_t inode)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.request = {
			.sdiag_family = AF_UNIX,
			.udiag_ino = inode,
			.udiag_show = UDIAG_SHOW_RQLEN,
			.udiag_cookie = { UINT32_MAX, UINT32_MAX }, /* any */
		},
	};
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (sendto(netlink_fd, &message, sizeof(message), 0,
	    (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

static int
find_queue(const struct nlmsghdr *header, struct shard_queue *ret_queue)
{
	const struct unix_diag_msg *answer = NLMSG_DATA(header);
	const struct rtattr *attribute = (const struct rtattr *)(answer + 1);
	struct unix_diag_rqlen lengths;
	int left = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*answer));

	while (RTA_OK(attribute, left)) {
		if (attribute->rta_type == UNIX_DIAG_RQLEN &&
		    RTA_PAYLOAD(attribute) >= sizeof(lengths)) {
			memcpy(&lengths, RTA_DATA(attribute), sizeof(lengths));
			ret_queue->length = lengths.udiag_rqueue;
			ret_queue->limit = lengths.udiag_wqueue;
			return 0;
		}
		attribute = RTA_NEXT(attribute, left);
	}
	return -EOPNOTSUPP;
}

static int
read_answer(int netlink_fd, struct shard_queue *ret_queue)
{
	union {
		struct nlmsghdr header;
		char bytes[1024];
	} buffer;
	const struct nlmsgerr *error = NLMSG_DATA(&buffer.header);
	ssize_t count;

	count = recv(netlink_fd, &buffer, sizeof(buffer), MSG_DONTWAIT);
	if (count < 0)
		return -errno;
	if (!NLMSG_OK(&buffer.header, (size_t)count))
		return -EOPNOTSUPP;
	if (buffer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY)
		return find_queue(&buffer.header, ret_queue);
	/* ENOENT: the kernel has no unix_diag; our socket does exist. */
	if (buffer.header.nlmsg_type == NLMSG_ERROR &&
	    buffer.header.nlmsg_len >= NLMSG_LENGTH(sizeof(*error)) &&
	    error->error < 0 && error->error != -ENOENT)
		return error->error;
	return -EOPNOTSUPP;
}

static int
unix_queue(uint64_t inode, struct shard_queue *ret_queue)
{
	int netlink_fd, result;

	netlink_fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
	    NETLINK_SOCK_DIAG);
	if (netlink_fd < 0)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	result = ask(netlink_fd, (uint32_t)inode);
	if (result == 0)
		result = read_answer(netlink_fd, ret_queue);
	fd_close(netlink_fd);
	return result;
}

int
shard_queue(const struct shard *shard, struct shard_queue *ret_queue)
{
	if (shard->listener->spec->address.family == ADDRESS_UNIX)
		return unix_queue(shard->inode, ret_queue);
	return tcp_queue(shard->fd, ret_queue);
}
