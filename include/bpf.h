/*
 * How new connections are divided, as a program that the kernel runs for each.
 *
 * The sockets that listen on one address with SO_REUSEPORT are numbered, and a
 * classic BPF program attached to them is given the packet that opens a
 * connection, or a datagram, and returns the number of the one that gets it.  Pure: what is
 * compiled here, steer.c attaches, and the tests interpret.
 */
#ifndef SUPD_BPF_H
#define SUPD_BPF_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "spec.h"

enum { BPF_CODE_MAX = 128 };    /* instructions; what a plan can need at most */

/* What comes from this source port of the same host goes to that member. */
struct bpf_probe {
	uint16_t port;
	uint32_t member;
};

struct bpf_plan {
	enum steer steer;
	bool udp;                       /* else TCP */
	uint32_t stable;                /* members of the group */
	uint32_t candidate;
	uint32_t weight_permille;       /* of the candidate, 0 to 1000 */
	struct bpf_probe probes[PROBE_PORTS_MAX];
	uint32_t probe_count;
};

struct bpf_program {
	struct sock_filter code[BPF_CODE_MAX];
	uint16_t count;
};

/*
 * Compiles a plan, for IPv4 and IPv6 packets alike.
 *
 * STEER_RANDOM gives the candidate each connection with a chance of
 * floor(weight * 2^32 / 1000) in 2^32.  STEER_SOURCE_IP gives it the clients
 * whose address has a hash below that number, so that a client stays where it
 * is while the weight does, and none goes back to the stable member while the
 * weight only grows.  The hash is spread evenly over neighbouring addresses and
 * is the same for every listener and family of socket.  0 and 1000 permille
 * are exact.
 *
 * UDP knows no connections, and each datagram is decided on: STEER_RANDOM goes
 * by a hash of the client's address and port there, in the same way, so that a
 * flow is never split.  The port counts only where it stands directly behind the
 * IP header.
 *
 * Probes take precedence; their ports differ.  One matches only if source and
 * destination address are equal, so nobody but this host can choose a member,
 * and only where the source port stands directly behind the IP header: not
 * behind extension headers of IPv6.
 *
 * A number that is no member's makes the kernel choose by a hash of its own;
 * that is for the caller to avoid.
 */
void bpf_compile(const struct bpf_plan *, struct bpf_program *ret_program);

#endif
