/*
 * What supd says to its own parent, by the sd_notify protocol: systemd, or
 * supd-init, which keep our fds while we are dead (the fd store), wait for
 * READY=1, and restart us if we fall silent (the watchdog).
 *
 * Nothing here waits but parent_flush().  The kernel queues few messages for a
 * socket (net.unix.max_dgram_qlen, mostly 10), and a burst is longer: what the
 * parent does not take at once is queued, in order, and goes on when there is
 * room.  The queue is bounded by what there is to say: a name that is stored
 * again or removed replaces its entry, and so do lines that begin with the same
 * variable.  When the parent went away and came back it is told of all entries
 * again.
 *
 * Errors are logged, once for each kind, and end nothing.  Without a parent all
 * functions do nothing.  To be called after reactor_init().
 */
#ifndef SUPD_PARENT_H
#define SUPD_PARENT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Takes NOTIFY_SOCKET (a path, or `@` and an abstract name), WATCHDOG_USEC,
 * WATCHDOG_PID and FDSTORE out of the environment, so that no worker inherits
 * them; LISTEN_* carry_init() has taken.  From now on the watchdog is fed, if
 * there is one.  0 or -errno; then it is as if there were no parent.
 */
int parent_init(void);

/* The parent keeps what it has; what is still queued is lost. */
void parent_release(void);

bool parent_is_there(void);

/* What parent_init() took and the program that we execute needs again:
 * `NAME=value` strings that last for ever, and NULL. */
const char *const *parent_environment(void);

/*
 * The parent shall keep these fds, all under one name (1 … 255 bytes of
 * printable ASCII without `:`; 1 … NOTIFY_FDS_MAX fds).  They stay the caller's
 * and open until parent_remove() of that name.  A name that it has is removed
 * first, in a message of its own: where the fds must never be missing take
 * another name, and remove the old one afterwards.
 */
void parent_store(const char *name, const int *fds, unsigned count);

/* As parent_store(), but the parent has them: it gave them to us, or was told
 * before we were executed. */
void parent_adopt(const char *name, const int *fds, unsigned count);

/* Also of a name that was not stored by us. */
void parent_remove(const char *name);

/* Has it been told to keep anything? */
bool parent_keeps_any(void);

/* Lines of assignments, at most PARENT_SAY_BYTES_MAX with the NUL; what is
 * longer is cut. */
enum { PARENT_SAY_BYTES_MAX = 1024 };
void parent_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* READY=1: all is started, or a reload has ended.  STATUS= is one line. */
void parent_ready(const char *status);
void parent_reloading(void);
void parent_stopping(void);

/* A sign of life, if there is a watchdog, before its time. */
void parent_is_alive(void);

/* The start, the reload or the stop takes at most so long from now on. */
void parent_extend(uint64_t timeout_ms);

/* Sends what is queued and waits at most so long for it, before exec and exit;
 * whether all was sent. */
bool parent_flush(uint64_t timeout_ms);

#endif
