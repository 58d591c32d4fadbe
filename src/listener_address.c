/*
 * From an address of the configuration to a bound TCP or UDP socket.
 *
 * Two wishes are at odds: nobody else may listen on the address, and a second
 * shard of ours must be able to join.  With SO_REUSEPORT set before bind() a
 * stray process of the same user would share the port with us and nobody would
 * notice.  So the socket is bound without it, which fails with EADDRINUSE if
 * anyone listens, and the option is set between bind() and listen(): a group
 * is formed when a socket starts to listen, and those who join later are
 * compared with the option as it is then.  (Found by trying, Linux 6.18.)
 * No probe socket is needed.  What is left is the moment between bind() and
 * listen(), and that a process of the same user may still join afterwards.
 *
 * One that listens without the option, because somebody else made it, is in no
 * group and cannot be given a program.  The kernel forms the group when another
 * joins: that is done with one that takes nothing and goes again at once.  (300
 * times under 85,000 connections: none failed, none was late.)
 *
 * A UDP socket is in the group from bind() on, if it has the option by then, and
 * cannot be given a program later if it has not.  So another one is bound without
 * it first and closed again, to find out who is there.
 *
 * Only where an open listener of ours overlaps is the option set before
 * bind(), since the kernel cannot tell our own socket from a stranger's.
 */
#include "listener_private.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fd.h"

void
listener_say(char *ret_text, const struct listener_spec *spec,
    const char *format, ...)
{
	va_list arguments;
	int used;

	used = snprintf(ret_text, REASON_BYTES_MAX, "listener '%s' at %.200s: ",
	    spec->name, spec->address_text);
	assert(used > 0 && used < REASON_BYTES_MAX);
	va_start(arguments, format);
	(void)vsnprintf(ret_text + used, (size_t)(REASON_BYTES_MAX - used),
	    format, arguments);
	va_end(arguments);
}

static void
resolve_path(const char *path, struct sockaddr_storage *ret_sockaddr,
    socklen_t *ret_bytes)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	assert(length > 0 && length < sizeof(un.sun_path));
	memcpy(un.sun_path, path, length);
	if (path[0] == '@')
		un.sun_path[0] = '\0';          /* an abstract name */
	memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
	memcpy(ret_sockaddr, &un, sizeof(un));
	*ret_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    length + (path[0] == '@' ? 0 : 1));
}

int
listener_address_resolve(const struct address *address,
    struct sockaddr_storage *ret_sockaddr, socklen_t *ret_bytes)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_family = address->family == ADDRESS_IPV6 ? AF_INET6
		    : AF_INET,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char port[8];

	if (address->family == ADDRESS_UNIX) {
		resolve_path(address->path, ret_sockaddr, ret_bytes);
		return 0;
	}
	/* Rather than inet_pton(): it knows fe80::1%eth0. */
	(void)snprintf(port, sizeof(port), "%u", address->port);
	if (getaddrinfo(address->host, port, &hints, &found) != 0)
		return -EINVAL;
	memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
	memcpy(ret_sockaddr, found->ai_addr, found->ai_addrlen);
	*ret_bytes = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* Equal as the kernel sees them: `::1` and `0:0::1` are. */
static bool
hosts_equal(const struct address *a, const struct address *b)
{
	struct sockaddr_storage first, second;
	socklen_t first_bytes, second_bytes;

	return listener_address_resolve(a, &first, &first_bytes) == 0 &&
	    listener_address_resolve(b, &second, &second_bytes) == 0 &&
	    first_bytes == second_bytes &&
	    memcmp(&first, &second, first_bytes) == 0;
}

bool
listener_address_same(const struct listener_spec *a,
    const struct listener_spec *b)
{
	return a->address.family == b->address.family &&
	    a->address.kind == b->address.kind &&
	    hosts_equal(&a->address, &b->address) &&
	    (a->address.family != ADDRESS_IPV6 || a->ipv6_only == b->ipv6_only);
}

static bool
is_wildcard(const struct address *address)
{
	struct address any = { .family = address->family,
	    .port = address->port };

	(void)snprintf(any.host, sizeof(any.host), "%s",
	    address->family == ADDRESS_IPV6 ? "::" : "0.0.0.0");
	return hosts_equal(address, &any);
}

/* IPv4 connections come to it too. */
static bool
is_dual_stack(const struct listener_spec *spec)
{
	return spec->address.family == ADDRESS_IPV6 && !spec->ipv6_only &&
	    is_wildcard(&spec->address);
}

static int
read_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t bytes = sizeof(value);

	return getsockopt(fd, level, option, &value, &bytes) == 0 ? value : -1;
}

int
listener_socket_type(const struct address *address)
{
	switch (address->kind) {
	case ADDRESS_DATAGRAM:
		return SOCK_DGRAM;
	case ADDRESS_SEQPACKET:
		return SOCK_SEQPACKET;
	case ADDRESS_STREAM:
	case ADDRESS_FIFO:
		break;
	}
	return SOCK_STREAM;
}

/* The file at the path is that very FIFO. */
static bool
is_fifo_at(const char *path, int fd)
{
	struct stat there, here;

	return lstat(path, &there) == 0 && fstat(fd, &here) == 0 &&
	    S_ISFIFO(here.st_mode) && there.st_dev == here.st_dev &&
	    there.st_ino == here.st_ino;
}

bool
listener_address_has(const struct listener_spec *spec, int fd)
{
	struct sockaddr_storage wanted, found;
	socklen_t wanted_bytes, found_bytes = sizeof(found);

	if (spec->address.kind == ADDRESS_FIFO)
		return is_fifo_at(spec->address.path, fd);
	memset(&found, 0, sizeof(found));
	if (listener_address_resolve(&spec->address, &wanted,
	    &wanted_bytes) != 0 ||
	    getsockname(fd, (struct sockaddr *)&found, &found_bytes) != 0)
		return false;
	return read_option(fd, SOL_SOCKET, SO_TYPE) ==
	    listener_socket_type(&spec->address) &&
	    found_bytes == wanted_bytes &&
	    memcmp(&found, &wanted, found_bytes) == 0 &&
	    (spec->address.family != ADDRESS_IPV6 ||
	    !is_wildcard(&spec->address) || spec->ipv6_only ==
	    (read_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 1));
}

bool
listener_address_overlaps(const struct listener_spec *a,
    const struct listener_spec *b)
{
	if (a->address.family == ADDRESS_UNIX ||
	    b->address.family == ADDRESS_UNIX ||
	    a->address.kind != b->address.kind ||
	    a->address.port != b->address.port)
		return false;
	if (a->address.family != b->address.family)
		return is_dual_stack(a) || is_dual_stack(b);
	return is_wildcard(&a->address) || is_wildcard(&b->address) ||
	    hosts_equal(&a->address, &b->address);
}

static int
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int
bind_tcp(int fd, const struct sockaddr *sockaddr, socklen_t bytes, bool join)
{
	int result;

	/* Else connections of an earlier run would block the port. */
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0)
		return -1;
	result = bind(fd, sockaddr, bytes);
	if (result != 0 && errno != EADDRINUSE)
		return -1;
	if (result != 0 && !join)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
		return -1;
	if (result != 0)
		result = bind(fd, sockaddr, bytes);
	return result;
}

static int
open_socket(const struct listener_spec *spec)
{
	int fd = socket(spec->address.family == ADDRESS_IPV6 ? AF_INET6 :
	    AF_INET, listener_socket_type(&spec->address) | SOCK_CLOEXEC |
	    (spec->nonblocking ? SOCK_NONBLOCK : 0), 0);

	if (fd < 0 || spec->address.family != ADDRESS_IPV6 ||
	    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, spec->ipv6_only) == 0)
		return fd;
	fd_close(fd);
	return -1;
}

static int
bind_udp(int fd, const struct listener_spec *spec,
    const struct sockaddr *sockaddr, socklen_t bytes, bool join)
{
	int other, result = 0;

	if (!join) {
		other = open_socket(spec);
		result = other < 0 ? -1 : bind(other, sockaddr, bytes);
		fd_close(other);
	}
	if (result != 0 || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
		return -1;
	return bind(fd, sockaddr, bytes);
}

static int
bind_to(int fd, const struct listener_spec *spec, bool join)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;

	if (listener_address_resolve(&spec->address, &sockaddr, &bytes) != 0) {
		errno = EINVAL;
		return -1;
	}
	if (address_is_udp(&spec->address))
		return bind_udp(fd, spec, (const struct sockaddr *)&sockaddr,
		    bytes, join);
	return bind_tcp(fd, (const struct sockaddr *)&sockaddr, bytes, join);
}

static const char *
explain(int error)
{
	switch (error) {
	case EADDRNOTAVAIL:
		return " (no interface has this address)";
	case EACCES:
		return " (a low port needs CAP_NET_BIND_SERVICE)";
	default:
		return "";
	}
}

int
listener_address_bind(const struct listener_spec *spec, bool join,
    char *ret_text)
{
	int error, fd;

	assert(spec->address.family != ADDRESS_UNIX);
	fd = open_socket(spec);
	if (fd >= 0 && bind_to(fd, spec, join) == 0)
		return fd;
	error = errno;
	fd_close(fd);
	if (error == EADDRINUSE)
		listener_say_in_use(spec, ret_text);
	else
		listener_say(ret_text, spec, "cannot bind: %s%s",
		    strerror(error), explain(error));
	return -error;
}

/*
 * As a filter, that nothing passes: who connects tries again.  As a program that
 * divides, that all is for the first.
 */
int
listener_form_group(const struct listener_spec *spec, int fd)
{
	struct sock_filter zero = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program;
	int other, result = -1, error;

	memset(&program, 0, sizeof(program));   /* the kernel copies padding */
	program.len = 1;
	program.filter = &zero;
	if (set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
		return -errno;
	other = open_socket(spec);
	if (other >= 0 && setsockopt(other, SOL_SOCKET, SO_ATTACH_FILTER,
	    &program, sizeof(program)) == 0 && bind_to(other, spec, true) == 0 &&
	    listen(other, 1) == 0)
		result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
		    &program, sizeof(program));
	error = result == 0 ? 0 : -errno;
	fd_close(other);
	if (error != 0)
		(void)set_option(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	return error;
}
