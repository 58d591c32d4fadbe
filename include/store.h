/*
 * The fd store: what workers leave to their successors (FDSTORE=1), established
 * connections above all.  It owns the stored fds of all services.
 *
 * A stored fd belongs to a service and to the slot of its giver.  Who gets it,
 * and with it owns it, so that it is no longer in the store:
 *
 *   - the worker that is started next in that slot, among the fds that it has
 *     from the beginning (LISTEN_FDS), or
 *   - a ready worker that runs in that slot, by a message on the socket that it
 *     was started with (supd.handover): in most rollouts the successor is there
 *     before its predecessor is told to stop,
 *
 * whichever comes first.  But not before the giver has let go of it: by its end,
 * or because it said STOPPING=1 before it stored the fd, or in the same message.
 * One that is stored by a worker that goes on serving is kept for the case that
 * it crashes; two would serve the same client else.  A slot that is there no
 * more, since the service was scaled down, stands for another one: its number
 * modulo the number of slots.
 *
 * While two releases run, a slot has a worker of each.  What one leaves that
 * crashed, or ended by itself, is for its own release, which replaces it; it must
 * not bring a client to a release before its time.  It is for whichever release
 * if that worker was told to make room for another (store_replaced()), or if its
 * release is not started any more.
 *
 * supd holds both ends of that socket.  So what a worker has not read when it
 * ends, because it does not know how or had no time, can be read by us and is
 * in the store again.
 *
 *   store.c        putting, removing, limits
 *   store_list.c   what is stored, and whether it has hung up
 *   store_give.c   to whom: with a start, or by a message
 *   store_state.c  what outlives supd
 */
#ifndef SUPD_STORE_H
#define SUPD_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "worker.h"

/* What a service allows, by now. */
struct store_terms {
	const char *name;
	uint32_t limit;                 /* fd_store */
	uint32_t slot_count;
	uint32_t stable, candidate;     /* revisions that are started; 0: none */
	bool closed;                    /* it is stopped, or is to go */
};

/*
 * Before each turn: store_agree() for every service there is, then
 * store_settle(), which forgets all others.  What a service has stored is
 * closed when it is closed or forgotten; a lower limit takes nothing away.
 */
void store_agree(uint32_t service, const struct store_terms *);
void store_settle(void);

/*
 * A worker wants these fds stored; they are the store's in any case, and closed
 * if it cannot take them, which is logged.  An fd of the same open file and name
 * as a stored one is not stored twice: what is said last of it counts.
 */
struct store_request {
	const char *name;               /* "": `stored` */
	bool unwatched;                 /* also kept when it has hung up */
	const int *fds;
	unsigned fd_count;
};
void store_put(uint32_t service, struct worker_id giver,
    const struct store_request *);

/* Closes those of this name that this worker has stored. */
void store_remove(uint32_t service, struct worker_id giver, const char *name);

/* STOPPING=1: what it stores from now on is its successor's at once. */
void store_stopping(uint32_t service, struct worker_id);

/* The worker is to make room: what it stores is for whichever release. */
void store_replaced(uint32_t service, struct worker_id);

/* The worker has ended, and all it said was heard. */
void store_ended(uint32_t service, struct worker_id);

/*
 * What a worker that is about to be started gets besides its listeners, in that
 * order.  Valid until store_granted(), which must follow and says whether it
 * was started.
 */
struct store_grant {
	int fds[FD_START_MAX];
	unsigned count;
	char names[FD_START_NAMES_BYTES_MAX];   /* a:b:c */
};
const struct store_grant *store_grant(uint32_t service, struct worker_id,
    uint32_t revision);
void store_granted(bool started);

/* Hands over what waits to who is ready, by slot: incarnations; 0: nobody. */
struct store_ready {
	uint32_t stable, candidate;
};
void store_hand_over(uint32_t service, const struct store_ready *slots);

/* How many are stored. */
uint32_t store_count(uint32_t service);

/* Closes everything. */
void store_release(void);

/*
 * For the supd that comes after this one: what the carried fds f… and h… are
 * (carry.h), and the same again in an empty store; NULL is an empty one.  0, or
 * -1 and a sentence in ret_text (REASON_BYTES_MAX) if it is damaged, and nothing
 * was restored; an fd that did not come is logged.  store_check() follows when
 * the workers are known: one that does not live has ended.
 */
json_t *store_save(void);
int store_restore(const json_t *, char *ret_text);
void store_check(bool (*lives)(void *ctx, uint32_t service, struct worker_id),
    void *ctx);

/* Called whenever what store_save() says is not what it said before. */
void store_on_change(void (*call)(void *ctx), void *ctx);

#endif
