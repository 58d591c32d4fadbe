/*
 * The socket of a probe, and a probe that does no more than connect.
 *
 * connect(2) blocks here, for as long as SO_SNDTIMEO says.  That matters for
 * unix sockets: one that does not block is refused at once (EAGAIN) if the
 * server's queue is full.
 */
#include "supprobe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

union socket_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
	struct sockaddr_un path;
};

uint32_t
supprobe_left_ms(const struct supprobe *probe)
{
	uint64_t spent_ms = clock_ms() - probe->start_ms;

	return spent_ms < probe->timeout_ms ?
	    probe->timeout_ms - (uint32_t)spent_ms : 1;
}

/* The host was checked when the command line was read. */
static socklen_t
resolve(const struct address *address, union socket_address *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	switch (address->family) {
	case ADDRESS_IPV4:
		ret_address->ipv4.sin_family = AF_INET;
		ret_address->ipv4.sin_port = htons(address->port);
		(void)inet_pton(AF_INET, address->host,
		    &ret_address->ipv4.sin_addr);
		return sizeof(ret_address->ipv4);
	case ADDRESS_IPV6:
		ret_address->ipv6.sin6_family = AF_INET6;
		ret_address->ipv6.sin6_port = htons(address->port);
		(void)inet_pton(AF_INET6, address->host,
		    &ret_address->ipv6.sin6_addr);
		return sizeof(ret_address->ipv6);
	default:
		ret_address->path.sun_family = AF_UNIX;
		(void)snprintf(ret_address->path.sun_path,
		    sizeof(ret_address->path.sun_path), "%s", address->path);
		if (address_has_file(address))
			return sizeof(ret_address->path);
		ret_address->path.sun_path[0] = '\0';   /* an abstract name */
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    strlen(address->path));
	}
}

/* To wait in connect(2), however the socket was made, and not for ever. */
static int
make_patient(int fd, uint32_t wait_ms)
{
	struct timeval wait = {
		.tv_sec = wait_ms / 1000,
		.tv_usec = wait_ms % 1000 * 1000,
	};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

static void
explain(const struct supprobe *probe, char *ret_text)
{
	/* The former is what a TCP socket says, the latter a unix socket. */
	if (errno == EINPROGRESS || errno == EAGAIN)
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    "no connection within %u ms", probe->timeout_ms);
	else
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    "connect: %s", strerror(errno));
}

int
supprobe_socket(const struct supprobe *probe)
{
	static const int families[] = {
		[ADDRESS_IPV4] = AF_INET,
		[ADDRESS_IPV6] = AF_INET6,
		[ADDRESS_UNIX] = AF_UNIX,
	};

	if (probe->fd >= 0)
		return fcntl(probe->fd, F_DUPFD_CLOEXEC, 0);
	return socket(families[probe->target.family],
	    SOCK_STREAM | SOCK_CLOEXEC, 0);
}

enum supprobe_exit
supprobe_tcp(const struct supprobe *probe, char *ret_text)
{
	union socket_address address;
	socklen_t bytes = resolve(&probe->target, &address);
	enum supprobe_exit result = SUPPROBE_PASSED;
	int fd = supprobe_socket(probe);

	if (fd < 0 || make_patient(fd, supprobe_left_ms(probe)) < 0) {
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    "cannot prepare a socket: %s", strerror(errno));
		return SUPPROBE_USAGE;
	}
	if (connect(fd, &address.any, bytes) == 0) {
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    "connected in %" PRIu64 " ms",
		    clock_ms() - probe->start_ms);
	} else {
		explain(probe, ret_text);
		result = SUPPROBE_FAILED;
	}
	(void)close(fd);
	return result;
}
