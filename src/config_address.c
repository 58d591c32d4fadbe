/*
 * Addresses of listeners: IPV4:PORT, [IPV6]:PORT and unix:/PATH.
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
	    ", [IPV6]:PORT or unix:/PATH", text);
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

static int
parse_unix(const char *path, struct address *ret_address, char *ret_text)
{
	struct address address = { .family = ADDRESS_UNIX };
	size_t length = strlen(path);

	if (path[0] != '/' || path[length - 1] == '/')
		return config_refuse(ret_text,
		    "must be unix:/PATH with an absolute"
		    " path, not \"unix:%.80s\"", path);
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

int
config_address_parse(const char *text, bool tcp, struct address *ret_address,
    char *ret_text)
{
	struct address address = { .family = ADDRESS_IPV4 };
	const char *host = text;
	const char *port = strrchr(text, ':');
	char copy[sizeof(address.host)];
	size_t length;

	if (strncmp(text, "unix:", 5) == 0 && !tcp)
		return parse_unix(text + 5, ret_address, ret_text);
	if (port == NULL)
		return refuse(tcp, text, ret_text);
	length = (size_t)(port - host);
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		address.family = ADDRESS_IPV6;
		host++;
		length -= 2;
	}
	if (length >= sizeof(copy))
		return refuse(tcp, text, ret_text);
	memcpy(copy, host, length);
	copy[length] = '\0';
	if (parse_host(copy, &address) < 0)
		return refuse(tcp, text, ret_text);
	if (parse_port(port + 1, &address.port) < 0)
		return config_refuse(ret_text,
		    "the port must be a number from 1 to"
		    " 65535, not \"%.80s\"", port + 1);
	*ret_address = address;
	return 0;
}
