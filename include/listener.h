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

struct inet_diag_sockopt;
struct lanes;

struct listener {
	struct listener_spec *spec;     /* its own copy */
	dev_t path_device;              /* of a unix socket's path: it is only */
	ino_t path_inode;               /* removed while it is still ours */
	struct shard *shards[SHARDS_MAX];       /* at least one, oldest first */
	uint32_t shard_count;
	struct lanes *lanes;            /* see steer.h; of TCP and UDP, or NULL */
	struct listener *next;          /* of all that are open */
};

struct shard {
	unsigned reference_count;
	bool restored;                  /* one of them: see listener_restored() */
	uint32_t number;                /* no other has it, nor will have */
	struct listener *listener;
	int fd;                         /* in the source region */
	uint64_t inode;                 /* what the kernel calls the socket */
	uint32_t label;                 /* see shard_label() */
	uint32_t backlog_granted;       /* what the kernel made of `backlog` */
	bool broken;                    /* was shut down, or nobody finds it: it
					 * cannot be used again */
	bool sampled;                   /* had traffic: its queue is looked at */
	uint32_t queue_growth_count;    /* samples in a row that grew */
	uint32_t queue_last;
};

/* How a shard ended. */
struct shard_end {
	bool closed;            /* it was ours for the last time */
	uint32_t queued;        /* connections that waited in it till then: */
	bool migrates;          /* they were handed over; else they are lost */
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

/*
 * Opens a further shard at the address of a TCP or UDP listener: a lane of its own,
 * which gets no connections until listener_steer() says so.  Returns it with a
 * reference, or NULL and a sentence in ret_text (REASON_BYTES_MAX).  There are
 * at most SHARDS_MAX sockets at an address, and none can join one that came
 * without SO_REUSEPORT or whose steering cannot be attached.
 */
struct shard *listener_join(struct listener *, char *ret_text);

struct shard *shard_ref(struct shard *);

/* The last reference closes it; with the last shard the listener goes, and a
 * unix path that is still ours.  NULL is fine. */
void shard_unref(struct shard *);

/*
 * The same, and tells what was in the queue.  Where other shards are at the
 * address, the weight of this one goes to them first, and the socket is dead
 * for everybody from now on, workers too.  Connections that wait in it, and
 * handshakes on their way, go to the others by the kernel's choice if
 * listener_migrates(), else they are reset.  A UDP socket is dead only when no
 * worker has it any more, and what waits in it is lost.  One that supd was
 * started with stays as it is, for who starts supd again, unless something waits
 * in it.  All fields are 0 while
 * others have a reference, or the same socket under another name.
 */
void shard_close(struct shard *, struct shard_end *ret_end);

/*
 * Replaces the socket of a broken shard by a new one at the same address, in
 * place: fd and inode change, weight and label stay.  0 or -errno, and it is as
 * broken as before: -EADDRINUSE for an abstract name, which is its own until no
 * worker has it.
 */
int shard_renew(struct shard *);

/*
 * Length and limit of the accept queue: TCP_INFO for TCP, sock_diag(7) for
 * unix.  0 or -errno (-EOPNOTSUPP where the kernel tells neither, as of what
 * clients do not connect to; -ENOTCONN
 * for a TCP socket that was shut down).
 */
int shard_queue(const struct shard *, struct shard_queue *ret_queue);

/* How many wait to be taken; 1 is any number where the kernel does not tell. */
uint32_t shard_waiting(const struct shard *);

/*
 * Puts the backlog back if a worker's own listen() has shrunk it.  Returns the
 * limit that was found if it was put back (at least 1: with a limit of 0 one
 * connection is let in), else 0.
 */
uint32_t shard_restore_backlog(struct shard *);

/*
 * A number below LABELS_MAX that no other shard at the address has.  Every
 * connection carries it, for anyone to see: that of the shard that took its
 * handshake, also if it waited in the queue of one that was closed and was
 * handed over.  label_read() reads it from what sock_diag(7) shows with the
 * attribute INET_DIAG_SOCKOPT.
 */
#define LABELS_MAX 8
uint32_t shard_label(const struct shard *);
uint32_t label_read(const struct inet_diag_sockopt *);

/*
 * An fd that becomes readable when an open shard may be broken, or when a
 * connection came for one whose queue is watched (below).  For the loop.
 * -errno if there is none to be had.
 */
int listener_watch_fd(void);

/* The loop says that the watch fd is readable: notes which are broken (field
 * `broken`) and which have traffic.  Returns true if any has traffic. */
bool listener_watch_read(void);

/* Notes which are broken since nothing is at their path any more, unasked: it may
 * have been removed while nobody watched. */
void listener_watch_paths(void);

/* There is nothing at its path, which it should have. */
bool listener_path_is_gone(const struct listener *);

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
