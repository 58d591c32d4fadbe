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
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "config_value.h"
#include "diag.h"

enum { PATIENCE_MS = 100, SOCKETS_MAX = 200000 };

struct dump {
	uint64_t until_ms;
	uint32_t socket_count;

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
	dump->port = address.port;
	return 0;
}

/* Counts one socket.  0, or -errno: this kernel does not show the options, there
 * are too many, or it takes too long. */
static int
count(const struct nlmsghdr *header, void *ctx)
{
	const struct inet_diag_msg *message = NLMSG_DATA(header);
	struct dump *dump = ctx;
	const void *options;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return -EBADMSG;
	if (++dump->socket_count > SOCKETS_MAX)
		return -EOVERFLOW;
	if (clock_ms() >= dump->until_ms)
		return -ETIMEDOUT;
	/* The kernel has compared the port; an older one may not. */
	if (message->id.idiag_sport != htons(dump->port) || (!dump->any_host &&
	    memcmp(message->id.idiag_src, dump->host, dump->host_bytes) != 0))
		return 0;
	options = diag_attribute(header, sizeof(*message), INET_DIAG_SOCKOPT,
	    sizeof(struct inet_diag_sockopt));
	if (options == NULL)
		return -EOPNOTSUPP;
	dump->share->counts[label_read(options)]++;
	return 0;
}

struct share
share_measure(struct share_reader *reader, const json_t *listeners)
{
	struct share share = { .known = false };
	struct dump dump = { .share = &share,
	    .until_ms = clock_ms() + PATIENCE_MS };
	json_t *listener;
	size_t i;

	if (reader->off)
		return share;
	json_array_foreach(listeners, i, listener) {
		if (aim(&dump, listener) < 0)
			continue;
		share.known = true;
		if (diag_ask_inet(dump.family, IPPROTO_TCP, 1u << TCP_ESTABLISHED, dump.port,
		    count, &dump) == 0)
			continue;
		share.known = false;
		reader->off = true;
		break;
	}
	return share;
}
