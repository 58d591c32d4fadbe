/*
 * The state: all that the engine knows, as text, for the supd that comes after
 * this one.
 *
 * After each turn state_commit() says what has changed, as lines to append
 * (state_log.h); work and text are in proportion to what has changed, beside a
 * comparison of the records.  Now and then it says all of it anew.  A later supd,
 * newer or older, reads it with state_read(), and state_resume() makes an engine
 * of it that goes on where this one was.
 *
 * Records, by key; a number that is not said is a service's id:
 *
 *   engine                 its counters
 *   config N               the files that specs were read from
 *   service ID             what stays of it between rollouts
 *   rollout ID             where it stands
 *   judge ID               who watches the candidate
 *   deployment ID, last ID, next ID
 *   release ID REVISION    a build, and what the world says of it
 *   slot ID NUMBER         one that is not as a new one
 *   worker ID INCARNATION  a process, and what the world says of it
 *
 * What cannot be written down is the world's to keep and to find again by a
 * handle, see world.h.  It may have lost some of it: a worker that cannot be
 * found is one that has ended; a release that cannot starts no worker any more.
 *
 * A supd that crashes may have been in a turn, and the world is ahead of the
 * state then: processes that nobody knows are the world's to end; the kernel is
 * told again how connections are split; what was wanted is wanted again.
 *
 * Tasks are lost, unless the world still has them.  A probe, an analysis and the
 * version command are asked again.  before_rollout is not run twice: a hook that
 * has run half may have changed what only its author knows of, so the rollout
 * ends as if it had failed, which changes nothing, and says why; also where a turn
 * that was lost may have run it (engine_hook.c).  How after_rollout ends is not
 * known any more; it was never waited for.
 *
 *   state_table.c    which members of which structs
 *   state_field.c    members as JSON; state_text.c  strings as JSON
 *   state_log.c      lines, turns
 *   state_write.c    the engine; state_service.c  a service
 *   state_read.c     records to an engine; state_member.c  those of a service
 *   state_check.c    what cannot be
 *   state_resume.c   from there on
 */
#ifndef SUPD_STATE_H
#define SUPD_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

enum {
	STATE_FORMAT = 1,               /* what is written, */
	STATE_READABLE_FROM = 1,        /* and the oldest that can read it */
};

/* Remembers what was written. */
struct state;

/* NULL without memory. */
struct state *state_new(const char *supd_version);
void state_free(struct state *);

struct state_text {
	const char *bytes;              /* until the next call */
	size_t size_bytes;              /* 0: nothing has changed */
	bool anew;                      /* replaces what there is, see below */
};

/*
 * To be called when a turn is over; asks the engine's world for handles.  0, or
 * -ENOMEM: nothing is to be written, and the next one that succeeds is anew.
 *
 * What is anew goes to a place of its own, which becomes the state when all of
 * it is there: half of it is no state.  What is appended may be cut anywhere.
 */
int state_commit(struct state *, const struct engine *,
    struct state_text *ret_text);

/* It could not be written: say all of it anew. */
void state_lost(struct state *);

/* An engine without a world. */
struct state_image;

/*
 * What was there at the last whole turn; it can be thrown away again, which makes
 * this the dry run before an upgrade.  All that an engine relies on has been
 * checked, so that nothing that is read can bring it down.  NULL, and a sentence
 * in ret_text (REASON_BYTES_MAX) that says what is wrong and where.
 */
struct state_image *state_read(const char *bytes, size_t size_bytes,
    char *ret_text);
void state_image_free(struct state_image *);

/* The version of the supd that wrote it. */
const char *state_image_supd(const struct state_image *);

/*
 * A turn after this one may have been lost.  What it numbered (services, workers,
 * tasks) is still there, so these numbers are passed over; a lane without weight
 * may have had some until now; a worker may have asked for more time, and a rollout
 * may have gone on.
 */
void state_turn_was_lost(struct state_image *);

/*
 * Goes on from there: `ret_engine` as engine_init() would have it, and all of the
 * image.  Says what was lost.  Frees the image.
 */
void state_resume(struct state_image *, struct engine *ret_engine,
    const struct world *);

/* All of it was lost, and the engine begins anew: workers and tasks get numbers
 * that those of the one before do not have. */
void state_was_lost(struct engine *);

/* Frees an engine's memory, and leaves all that the world has as it is. */
void state_forget(struct engine *);

#endif
