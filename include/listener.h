/*
 * Listeners: the named addresses that supd bound, and their shards: the kernel
 * sockets that serve them.
 *
 * supd alone owns them.  A listener is bound once, in such a way that a second
 * shard can join later (SO_REUSEPORT) but no stranger was there before.  Who
 * uses it holds a reference to a shard; a shard stays open until the last
 * release that uses it has gone, a listener as long as it has a shard.  Each
 * shard is watched for two things without a wake-up per connection: a worker
 * that calls shutdown() on it (the shared socket is then dead for everybody),
 * and an accept queue that only grows.
 */
#ifndef SUPD_LISTENER_H
#define SUPD_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "spec.h"

struct listener {
	struct listener_spec *spec;     /* its own copy */
	dev_t path_device;              /* of a unix socket's path: it is only */
	ino_t path_inode;               /* removed while it is still ours */
	struct shard *shards[SHARDS_MAX];       /* at least one, oldest first */
	uint32_t shard_count;
	struct listener *next;          /* of all that are open */
};

struct shard {
	unsigned reference_count;
	struct listener *listener;
	int fd;                         /* in the source region */
	uint64_t inode;                 /* what the kernel calls the socket */
	uint32_t backlog_granted;       /* what the kernel made of `backlog` */
	bool broken;                    /* was shut down; cannot be used again */
	bool sampled;                   /* had traffic: its queue is looked at */
	uint32_t queue_growth_count;    /* samples in a row that grew */
	uint32_t queue_last;
};

struct shard_queue {
	uint32_t length;
	uint32_t limit;
};

/*
 * Binds and listens: a new listener with its first shard, which is returned
 * with a reference.  On failure returns NULL and a sentence in ret_text
 * (REASON_BYTES_MAX): the address, what failed, and for a unix path what is
 * there.
 *
 * An address that somebody else listens on is refused, also where SO_REUSEPORT
 * would allow to share it.  One that overlaps with an open listener of ours
 * (0.0.0.0:80 and 127.0.0.1:80) is bound beside it.  The same address under
 * another name is the same socket once more.
 *
 * A unix path is replaced only if it is a socket and nobody answers on it.
 * Owner and mode are set before anyone can connect.  An owner without a group
 * brings the primary group of that user.
 */
struct shard *listener_open(const struct listener_spec *, char *ret_text);

/* The open listener for this spec (same name, address and ipv6_only), or
 * NULL. */
struct listener *listener_find(const struct listener_spec *);
struct listener *listener_first(void);

/*
 * Takes over in place what may change without a new socket: backlog, mode,
 * owner, nonblocking, for all its shards.  What did not change is left alone,
 * since O_NONBLOCK is the workers' too.  0 or -errno; -EINVAL if there is no
 * such owner, -ESTALE if the path is no longer ours.
 */
int listener_adjust(struct listener *, const struct listener_spec *);

struct shard *shard_ref(struct shard *);

/* The last reference closes it; with the last shard the listener goes, and a
 * unix path that is still ours.  NULL is fine. */
void shard_unref(struct shard *);

/*
 * Replaces the socket of a broken shard by a new one at the same address, in
 * place: fd and inode change.  0 or -errno, and it is as broken as before.
 */
int shard_renew(struct shard *);

/*
 * Length and limit of the accept queue: TCP_INFO for TCP, sock_diag(7) for
 * unix.  0 or -errno (-EOPNOTSUPP where the kernel tells neither, -ENOTCONN
 * for a TCP socket that was shut down).
 */
int shard_queue(const struct shard *, struct shard_queue *ret_queue);

/*
 * Puts the backlog back if a worker's own listen() has shrunk it.  Returns the
 * limit that was found if it was put back (at least 1: with a limit of 0 one
 * connection is let in), else 0.
 */
uint32_t shard_restore_backlog(struct shard *);

/*
 * An fd that becomes readable when an open shard may be broken, or when a
 * connection came for one whose queue is watched (below).  For the loop.
 * -errno if there is none to be had.
 */
int listener_watch_fd(void);

/* The loop says that the watch fd is readable: notes which are broken (field
 * `broken`) and which have traffic.  Returns true if any has traffic. */
bool listener_watch_read(void);

/*
 * Looks at the queue of every shard that had traffic.  `grown` is called for
 * one that is not empty and was found longer than before, or full, in
 * LISTENER_GROWN_SAMPLES samples in a row; and again after as many more.
 * Returns true if there is any left to look at again in LISTENER_SAMPLE_MS;
 * those whose queue is empty are armed again for the next connection.
 */
#define LISTENER_SAMPLE_MS UINT64_C(1000)
#define LISTENER_GROWN_SAMPLES 10
bool listener_sample(void (*grown)(struct shard *,
    const struct shard_queue *));

#endif
