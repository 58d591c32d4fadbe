/*
 * Who has which number among the sockets that listen on one address: a mirror
 * of the kernel's rules, which does not tell.
 *
 * A socket that begins to listen gets the next number.  When one stops (closed
 * or shut down), the one with the last number takes its place.  One that was
 * shut down and listens again is as one that comes for the first time.  The
 * numbers are what a steering program returns, see bpf.h.  Pure.
 */
#ifndef SUPD_GROUP_H
#define SUPD_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"

/* Sockets are known by their inodes. */
struct socket_group {
	uint64_t members[GROUP_MEMBERS_MAX];
	uint32_t count;
};

/* Both do nothing if it is one already, or is none.  Joining one that is full
 * is a mistake. */
void group_join(struct socket_group *, uint64_t inode);
void group_leave(struct socket_group *, uint64_t inode);

/* The number, or -1. */
int group_index(const struct socket_group *, uint64_t inode);

/* The same sockets with the same numbers. */
bool group_equal(const struct socket_group *, const struct socket_group *);

/*
 * Brings the mirror up to what the kernel says who is there, in no particular
 * order; at most GROUP_MEMBERS_MAX.  Returns false if the numbers now depend on
 * the order of things that happened unseen: more than one has come or left.
 */
bool group_follow(struct socket_group *, const uint64_t *inodes, uint32_t count);

#endif
