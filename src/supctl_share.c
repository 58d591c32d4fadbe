/*
 * How many connections each of two releases has, counted by asking the kernel
 * and not the supervisor.
 *
 * The sockets of a lane are marked with options that mean nothing for TCP,
 * and an accepted socket inherits them from the socket that accepted it: so
 * the mark tells, without any privilege and for each open connection, which
 * release it belongs to.  A dump by NETLINK_SOCK_DIAG shows the options.
 *
 * It is a help for the eye, so nothing waits for it and nothing fails by it:
 * if it does not work, or there are too many sockets for a moment, nothing is
 * said, and it is not tried again.
 */
#include "supctl_rollout.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config_value.h"
#include "listener.h"

enum { PATIENCE_MS = 100, SOCKETS_MAX = 200000, READ_BYTES = 65536 };

struct dump {
	int fd;
	uint64_t until_ms;
	uint32_t socket_count;
	uint32_t sequence;

	/* Of the listener whose connections are counted. */
	uint8_t family;
	uint8_t host[sizeof(struct in6_addr)];
	size_t host_bytes;
	bool any_host;
	uint16_t port;

	struct share *share;
};

/* 0, or -EINVAL: it is no TCP listener. */
static int
aim(struct dump *dump, const json_t *listener)
{
	static const uint8_t nowhere[sizeof(dump->host)];
	char reason[REASON_BYTES_MAX];
	struct address address;

	/* What only the new release has says nothing about shares. */
	const char *dot = strrchr(field_text(listener, "name"), '.');

	if ((dot != NULL && strcmp(dot, ".preview") == 0) ||
	    config_address_parse(field_text(listener, "address"), true,
	    &address, reason) < 0)
		return -EINVAL;
	dump->family = address.family == ADDRESS_IPV6 ? AF_INET6 : AF_INET;
	dump->host_bytes = address.family == ADDRESS_IPV6 ?
	    sizeof(struct in6_addr) : sizeof(struct in_addr);
	if (inet_pton(dump->family, address.host, dump->host) != 1)
		return -EINVAL;
	dump->any_host = memcmp(dump->host, nowhere, dump->host_bytes) == 0;
	dump->port = htons(address.port);
	return 0;
}

static int
ask(struct dump *dump)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = ++dump->sequence,
		},
		.request = {
			.sdiag_family = dump->family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1u << TCP_ESTABLISHED,
			.id = {
				.idiag_sport = dump->port,
				.idiag_cookie = { INET_DIAG_NOCOOKIE,
				    INET_DIAG_NOCOOKIE },
			},
		},
	};

	return send(dump->fd, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

/* Counts one socket.  0, or -errno: this kernel does not show the options. */
static int
count(struct dump *dump, const struct nlmsghdr *header)
{
	const struct inet_diag_msg *message = NLMSG_DATA(header);
	int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));
	const struct rtattr *attribute = (const void *)(message + 1);

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return -EBADMSG;
	if (++dump->socket_count > SOCKETS_MAX)
		return -EOVERFLOW;
	/* The kernel has compared the port; an older one may not. */
	if (message->id.idiag_sport != dump->port || (!dump->any_host &&
	    memcmp(message->id.idiag_src, dump->host, dump->host_bytes) != 0))
		return 0;
	for (; RTA_OK(attribute, left);
	    attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == INET_DIAG_SOCKOPT &&
		    RTA_PAYLOAD(attribute) >=
		    sizeof(struct inet_diag_sockopt)) {
			dump->share->counts[label_read(RTA_DATA(attribute))]++;
			return 0;
		}
	return -EOPNOTSUPP;
}

/* The messages of one read.  1: the last one was there; 0; or -errno. */
static int
take(struct dump *dump, const void *bytes, size_t size_bytes)
{
	const struct nlmsghdr *header = bytes;
	int left = (int)size_bytes, error = 0;

	for (; NLMSG_OK(header, left) && error == 0;
	    header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_seq != dump->sequence)
			continue;
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		error = header->nlmsg_type == NLMSG_ERROR ? -EIO :
		    count(dump, header);
	}
	return error;
}

/* 0 or -errno; -ETIMEDOUT: it takes too long. */
static int
read_answer(struct dump *dump)
{
	static _Alignas(struct nlmsghdr) char bytes[READ_BYTES];
	int result = 0;

	while (result == 0) {
		struct pollfd polled = { .fd = dump->fd, .events = POLLIN };
		uint64_t now_ms = draw_clock_ms();
		ssize_t n;

		if (now_ms >= dump->until_ms)
			return -ETIMEDOUT;
		(void)poll(&polled, 1, (int)(dump->until_ms - now_ms));
		n = recv(dump->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0)
			result = take(dump, bytes, (size_t)n);
	}
	return result < 0 ? result : 0;
}

struct share
share_measure(struct share_reader *reader, const json_t *listeners)
{
	struct share share = { .known = false };
	struct dump dump = { .fd = -1, .share = &share,
	    .until_ms = draw_clock_ms() + PATIENCE_MS };
	int error = 0;
	json_t *listener;
	size_t i;

	if (reader->off)
		return share;
	dump.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
	    NETLINK_SOCK_DIAG);
	if (dump.fd < 0)
		error = -errno;
	json_array_foreach(listeners, i, listener) {
		if (error < 0)
			break;
		if (aim(&dump, listener) < 0)
			continue;
		share.known = true;
		error = ask(&dump);
		if (error == 0)
			error = read_answer(&dump);
	}
	if (dump.fd >= 0)
		close(dump.fd);
	if (error < 0) {
		share.known = false;
		reader->off = true;
	}
	return share;
}
