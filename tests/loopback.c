/*
 * Addresses of the test programs: parsing, listening, and sockets to connect
 * from.  It owns no socket: each is the caller's from the moment it is made.
 */
#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

static int
parse_port(const char *text, in_port_t *ret_port)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end != '\0' || port > 65535)
		return -EINVAL;
	*ret_port = htons((in_port_t)port);
	return 0;
}

static int
parse_unix(const char *path, struct loopback *ret_loopback)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (*path == '\0' || strlen(path) >= sizeof(address.sun_path))
		return -EINVAL;
	strcpy(address.sun_path, path);
	memset(ret_loopback, 0, sizeof(*ret_loopback));
	ret_loopback->length_bytes = sizeof(address);
	if (*path == '@') {     /* an abstract name */
		address.sun_path[0] = '\0';
		ret_loopback->length_bytes = (socklen_t)(offsetof(
		    struct sockaddr_un, sun_path) + strlen(path));
	}
	memcpy(&ret_loopback->address, &address, sizeof(address));
	return 0;
}

static int
parse_v6(const char *host, in_port_t port, struct loopback *ret_loopback)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_port = port,
	};

	if (inet_pton(AF_INET6, host, &address.sin6_addr) != 1)
		return -EINVAL;
	if (!IN6_IS_ADDR_LOOPBACK(&address.sin6_addr))
		return -EPERM;
	memset(ret_loopback, 0, sizeof(*ret_loopback));
	memcpy(&ret_loopback->address, &address, sizeof(address));
	ret_loopback->length_bytes = sizeof(address);
	return 0;
}

static int
parse_v4(const char *host, in_port_t port, struct loopback *ret_loopback)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = port,
	};

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -EINVAL;
	if (ntohl(address.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
		return -EPERM;
	memset(ret_loopback, 0, sizeof(*ret_loopback));
	memcpy(&ret_loopback->address, &address, sizeof(address));
	ret_loopback->length_bytes = sizeof(address);
	return 0;
}

static int
bind_source(int fd, uint32_t from)
{
	struct sockaddr_in source = { .sin_family = AF_INET };
	const int on = 1;

	source.sin_addr.s_addr = htonl(from);
	/* Else bind() takes a port of the whole host, not of a connection. */
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
	    sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)&source, sizeof(source)) != 0)
		return -errno;
	return 0;
}

static int
parse_host(const char *text, uint32_t *ret_host)
{
	struct in_addr address;

	if (inet_pton(AF_INET, text, &address) != 1)
		return -EINVAL;
	*ret_host = ntohl(address.s_addr);
	return *ret_host >> 24 == IN_LOOPBACKNET ? 0 : -EPERM;
}

int
loopback_parse_range(const char *text, struct loopback_range *ret_range)
{
	char first_text[INET_ADDRSTRLEN];
	const char *dash = strchrnul(text, '-');
	uint32_t first, last;
	int error;

	if ((size_t)(dash - text) >= sizeof(first_text))
		return -EINVAL;
	memcpy(first_text, text, (size_t)(dash - text));
	first_text[dash - text] = '\0';
	error = parse_host(first_text, &first);
	last = first;
	if (error == 0 && *dash == '-')
		error = parse_host(dash + 1, &last);
	if (error != 0)
		return error;
	if (last < first)
		return -EINVAL;
	*ret_range = (struct loopback_range){ first, last - first + 1 };
	return 0;
}

int
loopback_parse(const char *text, struct loopback *ret_loopback)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon;
	size_t length;
	in_port_t port;

	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_unix(text + strlen(UNIX_PREFIX), ret_loopback);
	colon = strrchr(text, ':');
	if (colon == NULL || parse_port(colon + 1, &port) != 0)
		return -EINVAL;
	length = (size_t)(colon - text);
	if (length < 2 || length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] != '[')
		return parse_v4(host, port, ret_loopback);
	if (host[length - 1] != ']')
		return -EINVAL;
	host[length - 1] = '\0';
	return parse_v6(host + 1, port, ret_loopback);
}

int
loopback_name(int fd, char ret_text[LOOPBACK_TEXT_MAX])
{
	struct sockaddr_storage storage = { 0 };
	socklen_t length = sizeof(storage);
	char host[INET6_ADDRSTRLEN];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	struct sockaddr_un un;

	if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0)
		return -errno;
	switch (storage.ss_family) {
	case AF_UNIX:
		memcpy(&un, &storage, sizeof(un));
		if (un.sun_path[0] == '\0')
			un.sun_path[0] = '@';
		snprintf(ret_text, LOOPBACK_TEXT_MAX, UNIX_PREFIX "%s",
		    un.sun_path);
		return 0;
	case AF_INET6:
		memcpy(&v6, &storage, sizeof(v6));
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
		snprintf(ret_text, LOOPBACK_TEXT_MAX, "[%s]:%u", host,
		    ntohs(v6.sin6_port));
		return 0;
	case AF_INET:
		memcpy(&v4, &storage, sizeof(v4));
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
		snprintf(ret_text, LOOPBACK_TEXT_MAX, "%s:%u", host,
		    ntohs(v4.sin_port));
		return 0;
	default:
		return -EAFNOSUPPORT;
	}
}

int
loopback_listen(const struct loopback *loopback, int backlog)
{
	const int on = 1;
	int fd, error;

	fd = socket(loopback->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (const struct sockaddr *)&loopback->address,
	    loopback->length_bytes) != 0 || listen(fd, backlog) != 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int
loopback_listen_aloud(const char *text, int backlog)
{
	char name[LOOPBACK_TEXT_MAX];
	struct loopback loopback;
	int fd, error;

	error = loopback_parse(text, &loopback);
	if (error != 0)
		return error;
	fd = loopback_listen(&loopback, backlog);
	if (fd < 0)
		return fd;
	error = loopback_name(fd, name);
	if (error != 0) {
		close(fd);
		return error;
	}
	printf("listening on %s\n", name);
	fflush(stdout);
	return fd;
}

int
loopback_open(const struct loopback *loopback,
    const struct loopback_range *sources, int index)
{
	int fd, error;

	fd = socket(loopback->address.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (loopback->address.ss_family != AF_INET)
		return fd;
	error = bind_source(fd, sources->first + (uint32_t)index);
	if (error != 0) {
		close(fd);
		return error;
	}
	return fd;
}
