/*
 * The socket to the parent, and what its errors mean.
 *
 * A datagram socket is connected to one that is bound; when that is closed, a
 * message finds out.  The name may be bound again later, so we connect anew.
 */
#include "parent_queue.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bounds.h"
#include "clock.h"
#include "fd.h"
#include "log.h"

enum { PAUSE_MS = 10 };

static struct {
	int fd;                 /* -1: to be made with the next message */
	struct sockaddr_un address;
	socklen_t address_bytes;        /* 0: there is none */
	bool connected;
	int said_error;         /* until all is well again */
	int said_refused;
} parent = { .fd = -1 };

/* Others than unix sockets have no fd store. */
static int
set_address(const char *text)
{
	size_t length = strlen(text);

	if (length < 2 || (text[0] != '/' && text[0] != '@'))
		return -EAFNOSUPPORT;
	if (length >= sizeof(parent.address.sun_path))
		return -ENAMETOOLONG;
	memset(&parent.address, 0, sizeof(parent.address));
	parent.address.sun_family = AF_UNIX;
	memcpy(parent.address.sun_path, text, length);
	if (text[0] == '@')
		parent.address.sun_path[0] = '\0';
	else
		length++;
	parent.address_bytes = (socklen_t)(offsetof(struct sockaddr_un,
	    sun_path) + length);
	return 0;
}

int
parent_socket_open(const char *address)
{
	int error = set_address(address);

	if (error < 0)
		return error;
	parent.connected = false;
	parent.said_error = parent.said_refused = 0;
	return 0;
}

void
parent_socket_close(void)
{
	fd_clear(&parent.fd);
	parent.address_bytes = 0;
}

bool
parent_socket_is_open(void)
{
	return parent.address_bytes > 0;
}

int
parent_socket_fd(void)
{
	return parent.fd;
}

static void
complain(int error)
{
	if (error != parent.said_error)
		log_error("the parent (NOTIFY_SOCKET) cannot be told how supd "
		    "is and which fds to keep: %s; tried again",
		    strerror(-error));
	parent.said_error = error;
}

static enum parent_outcome
refused(const char *text, int error)
{
	if (error != parent.said_refused)
		log_error("this cannot be sent to the parent (NOTIFY_SOCKET): "
		    "%s: %s; it is left out", text, strerror(-error));
	parent.said_refused = error;
	return PARENT_REFUSED;
}

static int
get_connected(void)
{
	if (parent.fd < 0)
		parent.fd = fd_to_private(socket(AF_UNIX, SOCK_DGRAM |
		    SOCK_CLOEXEC, 0));
	if (parent.fd < 0)
		return -errno;
	if (!parent.connected && connect(parent.fd,
	    (struct sockaddr *)&parent.address, parent.address_bytes) < 0)
		return -errno;
	return 0;
}

enum parent_outcome
parent_socket_send(const char *text, const int *fds, unsigned fd_count)
{
	int error = get_connected();

	assert(strlen(text) <= NOTIFY_BYTES_MAX);
	if (error == 0) {
		parent.connected = true;
		error = fd_send(parent.fd, text, fds, fd_count);
	}
	switch (-error) {
	case 0:
		return PARENT_SENT;
	case EAGAIN:
		return PARENT_FULL;
	case EMSGSIZE:
	case EBADF:
	case EINVAL:
		return refused(text, error);
	case ETOOMANYREFS:      /* of fds that are on their way */
	case ENOBUFS:
	case ENOMEM:
		complain(error);
		return PARENT_LATER;
	default:
		complain(error);
		parent.connected = false;
		return PARENT_LOST;
	}
}

bool
parent_socket_wait(enum parent_outcome outcome, uint64_t end_ms)
{
	struct pollfd writable = { .fd = parent.fd, .events = POLLOUT };
	uint64_t now_ms = clock_ms();

	if (now_ms >= end_ms)
		return false;
	if (outcome == PARENT_FULL)
		(void)poll(&writable, 1, (int)(end_ms - now_ms));
	else
		(void)poll(NULL, 0, PAUSE_MS);
	return true;
}

void
parent_socket_is_well(void)
{
	if (parent.said_error != 0)
		log_notice("the parent is told everything again");
	parent.said_error = 0;
}
