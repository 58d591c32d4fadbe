/*
 * Addresses of the test programs: 127.x.y.z:PORT, [::1]:PORT, unix:PATH.
 *
 * Loopback only.  A load generator that can be pointed at somebody else's
 * machine by a typing mistake is a weapon, so there is no way to say such an
 * address, and no name is ever resolved.
 */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { LOOPBACK_TEXT_MAX = 128 };

struct loopback {
	struct sockaddr_storage address;
	socklen_t length_bytes;
};

/* Addresses to connect from, one after the other. */
struct loopback_range {
	uint32_t first;         /* 127.x.y.z, as a number */
	unsigned count;
};

/*
 * By default 127.0.1.1 … 127.0.1.254: one source address has only 28,000
 * ports, and each may stay in TIME_WAIT for a minute.
 */
#define LOOPBACK_SOURCES ((struct loopback_range){ 0x7f000101, 254 })

/* 127.a.b.c-127.d.e.f or one address; 0, -EINVAL or -EPERM as below. */
int loopback_parse_range(const char *text, struct loopback_range *ret_range);

/* 0, -EINVAL (no such form), or -EPERM (an address that is not loopback). */
int loopback_parse(const char *text, struct loopback *ret_loopback);

/* Writes the address of a bound socket as loopback_parse() takes it. */
int loopback_name(int fd, char ret_text[LOOPBACK_TEXT_MAX]);

/* A listening, blocking socket, or -errno.  Port 0 lets the kernel choose. */
int loopback_listen(const struct loopback *loopback, int backlog);

/* The same from a text; prints where it really listens. */
int loopback_listen_aloud(const char *text, int backlog);

/*
 * A non-blocking socket to connect from, or -errno.  One of IPv4 is bound to
 * an address of the range, by its index.
 */
int loopback_open(const struct loopback *loopback,
    const struct loopback_range *sources, int index);

#endif
