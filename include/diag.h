/*
 * What the kernel tells about sockets, also those of others: sock_diag(7).
 *
 * No privilege is needed for what is asked here, and nothing waits: answers are
 * there when the request was sent, or are made when the last was read.
 */
#ifndef SUPD_DIAG_H
#define SUPD_DIAG_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/* Gets each answer.  A result that is not 0 ends the reading. */
typedef int (*diag_answer)(const struct nlmsghdr *, void *ctx);

/*
 * Sends a request, which begins with its struct nlmsghdr, and reads all of the
 * answer.  0; what `answer` returned; or -errno: the kernel's (-ENOENT: no such
 * socket, or it cannot tell of this kind), or of the conversation.
 */
int diag_ask(const struct nlmsghdr *request, diag_answer answer, void *ctx);

/*
 * The same for all sockets of a family (AF_INET, AF_INET6) and protocol
 * (IPPROTO_TCP, IPPROTO_UDP) in these states (1 << TCP_LISTEN | …; one of UDP is
 * TCP_ESTABLISHED or TCP_CLOSE) with this local port.  `answer` gets messages that hold
 * a struct inet_diag_msg.
 */
int diag_ask_inet(int family, int protocol, uint32_t states, uint16_t port,
    diag_answer answer, void *ctx);

/* The same for the unix socket of this inode, of which the kernel shows what these
 * flags name (UDIAG_SHOW_RQLEN …). */
int diag_ask_unix(uint64_t inode, uint32_t show, diag_answer, void *ctx);

/* An attribute (INET_DIAG_SOCKOPT …) with at least `size_bytes`, behind the
 * struct inet_diag_msg or unix_diag_msg of a message, which has `message_bytes`;
 * or NULL. */
const void *diag_attribute(const struct nlmsghdr *, size_t message_bytes,
    unsigned short type, size_t size_bytes);

#endif
