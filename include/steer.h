/*
 * Steering: which shard of a listener gets a new connection.
 *
 * The kernel chooses, by a program (bpf.h) that is attached to all sockets of
 * an address at once; nothing of a connection comes by here, and no privilege
 * is needed.  The program names sockets by numbers that change when one of them
 * goes; so it is attached again after each change, by this module itself.
 *
 * What shares an address shares its steering: the shards of a listener, and
 * those of another name for the same address.  Without a word from anybody all
 * connections go to the first shard.  A stranger that joins, a process of the
 * same user that binds the address with SO_REUSEPORT, gets none as long as one
 * of ours is there; it is noticed and told here all the same, because it may
 * attach a program too.
 *
 * For UDP, one that is connected to a client must not be there when a shard joins,
 * or the kernel would not divide any more.
 *
 * Others of our own at an overlapping address (0.0.0.0:80 and 127.0.0.1:80,
 * [::]:80 for both families and 0.0.0.0:80) are neither: the kernel looks for
 * the closest address first, and keeps them apart.
 */
#ifndef SUPD_STEER_H
#define SUPD_STEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "listener.h"
#include "spec.h"

/* Connections from this source port of the same host go to that shard. */
struct probe_port {
	uint16_t port;
	struct shard *shard;
};

struct steering {
	enum steer steer;
	struct shard *stable;
	struct shard *candidate;        /* or NULL: all go to the stable one */
	uint32_t weight_permille;       /* of the candidate, 0 to 1000 */
	struct probe_port probes[PROBE_PORTS_MAX];      /* their ports differ */
	uint32_t probe_count;
};

/* What is known of the kernel's side, after the last change. */
struct steer_state {
	int attach_error;       /* 0, or -errno: the last program is in force */
	int look_error;         /* 0, or -errno: strangers are not known */
	uint32_t stranger_count;
	uint64_t stranger_inode;        /* of one of them */
	uid_t stranger_uid;
	uint32_t connected_count;       /* of UDP: no shard can join beside it */
	/* Strangers came and went in an order that was not seen: a weight may
	 * go to the wrong shard.  Ends when one shard is left alone. */
	bool unsure;
};

/*
 * From now on, connections are divided like this; in one step, so that none
 * falls in between.  The shards are of this listener, or of another name for
 * its address; no reference is taken.  One that is closed is dropped: from the
 * probes; as the candidate it loses its weight; instead of the stable one the
 * candidate gets all, or else the oldest that is left.  A broken one is passed
 * over until it is renewed.
 *
 * 0 or -errno and a sentence in ret_text (REASON_BYTES_MAX), and everything is
 * as it was; -EOPNOTSUPP for a unix socket, which has no lanes; -ENOTCONN if
 * its shards were all shut down just now.
 */
int listener_steer(struct listener *, const struct steering *, char *ret_text);

/* What is wanted now; of a TCP listener. */
const struct steering *listener_steering(const struct listener *);

/* What was found after the last change; all 0 for a unix socket. */
struct steer_state listener_steer_state(const struct listener *);

/*
 * Looks again who listens at the address, and attaches the program again by
 * what was found.  Returns the number of strangers, or -errno as in look_error.  Done by
 * itself after each open, join, renewal, close and steer.
 */
int listener_strangers(struct listener *);

/*
 * True if the kernel hands over what waits in a shard that is closed
 * (net.ipv4.tcp_migrate_req).  The first join tries to switch that on for this
 * machine or container, which may not be permitted.
 */
bool listener_migrates(void);

#endif
