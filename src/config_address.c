/*
 * Addresses of listeners.
 *
 *   IPV4:PORT, [IPV6]:PORT             TCP
 *   udp:IPV4:PORT, udp:[IPV6]:PORT
 *   unix:, unix-dgram:, unix-seqpacket:
 *                                      and a /PATH, or an abstract @NAME
 *   fifo:/PATH
 *
 * Numeric only: a name would have to be looked up, which blocks, and may mean
 * something else tomorrow.  The host is stored in its canonical spelling, so
 * that the same address written in two ways is the same.
 */
#include "config_value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(INET6_ADDRSTRLEN <= sizeof(((struct address *)0)->host),
    "host");

static int
refuse(bool tcp, const char *text, char *ret_text)
{
	return config_refuse(ret_text, "must be IPV4:PORT%s, such as 0.0.0.0:80"
	    " or [::]:443, not \"%.80s\"", tcp ? " or [IPV6]:PORT" :
	    ", [IPV6]:PORT, either behind udp:, or unix:/PATH, unix-dgram:/PATH,"
	    " unix-seqpacket:/PATH or fifo:/PATH", text);
}

static int
parse_port(const char *digits, uint16_t *ret_port)
{
	size_t length = strlen(digits);
	unsigned long port;

	if (length == 0 || length > 5 ||
	    strspn(digits, "0123456789") != length)
		return -EINVAL;
	port = strtoul(digits, NULL, 10);
	if (port == 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/* What is at a path, or has a name of the kernel's. */
static const struct {
	const char *prefix;
	enum address_kind kind;
} kinds[] = {
	{ "unix:", ADDRESS_STREAM },
	{ "unix-dgram:", ADDRESS_DATAGRAM },
	{ "unix-seqpacket:", ADDRESS_SEQPACKET },
	{ "fifo:", ADDRESS_FIFO },
};

enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static int
parse_path(const char *path, size_t kind, struct address *ret_address,
    char *ret_text)
{
	struct address address = { .family = ADDRESS_UNIX,
	    .kind = kinds[kind].kind };
	bool fifo = address.kind == ADDRESS_FIFO;
	size_t length = strlen(path);

	if (length < 2 || (path[0] == '/' && path[length - 1] == '/') ||
	    (path[0] != '/' && (path[0] != '@' || fifo)))
		return config_refuse(ret_text, "must be %s/PATH with an absolute"
		    " path%s, not \"%s%.80s\"", kinds[kind].prefix, fifo ? "" :
		    ", or @NAME for an abstract one", kinds[kind].prefix, path);
	if (length >= sizeof(address.path))
		return config_refuse(ret_text, "the path of a unix"
		    " socket must have at most %zu bytes, not %zu",
		    sizeof(address.path) - 1, length);
	memcpy(address.path, path, length);
	*ret_address = address;
	return 0;
}

/* `host` is what stands before the port, without brackets. */
static int
parse_host(const char *host, struct address *address)
{
	unsigned char binary[sizeof(struct in6_addr)];
	int family = address->family == ADDRESS_IPV6 ? AF_INET6 : AF_INET;

	if (inet_pton(family, host, binary) != 1)
		return -EINVAL;
	if (inet_ntop(family, binary, address->host,
	    sizeof(address->host)) == NULL)
		return -EINVAL;
	return 0;
}

/* IPV4:PORT or [IPV6]:PORT. */
static int
parse_internet(const char *text, struct address *address, char *ret_text)
{
	const char *host = text;
	const char *port = strrchr(text, ':');
	char copy[sizeof(address->host)];
	size_t length;

	if (port == NULL)
		return -EINVAL;
	length = (size_t)(port - host);
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		address->family = ADDRESS_IPV6;
		host++;
		length -= 2;
	}
	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, host, length);
	copy[length] = '\0';
	if (parse_host(copy, address) < 0)
		return -EINVAL;
	if (parse_port(port + 1, &address->port) < 0)
		return config_refuse(ret_text,
		    "the port must be a number from 1 to"
		    " 65535, not \"%.80s\"", port + 1);
	return 0;
}

int
config_address_parse(const char *text, bool tcp, struct address *ret_address,
    char *ret_text)
{
	struct address address = { .family = ADDRESS_IPV4 };
	const char *rest = text;

	for (size_t i = 0; !tcp && i < KIND_COUNT; i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(text, kinds[i].prefix, length) == 0)
			return parse_path(text + length, i, ret_address,
			    ret_text);
	}
	if (!tcp && strncmp(text, "udp:", 4) == 0) {
		address.kind = ADDRESS_DATAGRAM;
		rest += 4;
	}
	ret_text[0] = '\0';
	if (parse_internet(rest, &address, ret_text) < 0)
		return ret_text[0] != '\0' ? -EINVAL :
		    refuse(tcp, text, ret_text);
	*ret_address = address;
	return 0;
}
