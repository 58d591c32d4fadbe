/*
 * Listeners outlive supd: what a later supd needs to know of them, and how it
 * takes them over.
 *
 * Each shard has a number, and its fd goes by the name s<NUMBER> (carry.h).
 * What is at the kernel is not told again: a socket keeps its queue, and an
 * address the program that divides its connections, whatever becomes of us.
 * What the kernel does not tell, in which order sockets came to an address, is
 * in the text, as it was before the last change or after it: a supd that was
 * killed in between has left one socket more or less than the text says, and
 * that is enough to know the order (group.h).
 *
 * Beside those there are sockets that came under other names: of the unit that
 * starts supd, see listener_open().
 */
#ifndef SUPD_LISTENER_KEEP_H
#define SUPD_LISTENER_KEEP_H

#include <jansson.h>
#include <stdint.h>

#include "listener.h"

/* All that is open, as a list; NULL without memory. */
json_t *listener_save(void);

/* `changed` is called when listener_save() has something else to say, and at
 * once.  NULL: nobody wants to know. */
void listener_on_change(void (*changed)(void *ctx), void *ctx);

/*
 * At resume, before any listener is open: makes the same listeners of the text
 * and of the fds that came.  Each of their shards has a reference until
 * listener_restored().
 *
 * A shard whose fd did not come, or is not the socket that the text says, is
 * left out, and that is logged; so is a listener that has none left.  One that
 * was broken is broken, and the watch will say so: whoever holds it needs the
 * new one.  A socket of ours that the text does not know, at the address of one
 * that it knows, was about to join or to leave, and is closed.
 *
 * 0; or -1 and a sentence in ret_text (REASON_BYTES_MAX): the text is damaged,
 * and nothing is open.  The fds wait for listener_open() then.
 */
int listener_restore(const json_t *, char *ret_text);

/* The resume is over: closes what nobody has taken a reference to, and sockets
 * of ours that no listener has. */
void listener_restored(void);

/* The open shard with this number, or NULL. */
struct shard *listener_shard(uint32_t number);

#endif
