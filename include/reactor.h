/*
 * The event loop.  The only file that knows libev is reactor.c.
 *
 * Watches are embedded in what they belong to and call a function with its
 * context.  After all callbacks of a turn the `turn` function runs once; it is
 * the one place where decisions are taken.  The loop sleeps until an fd, a
 * signal or an armed deadline wakes it, and never wakes without cause.
 */
#ifndef SUPD_REACTOR_H
#define SUPD_REACTOR_H

#include <stdbool.h>
#include <stdint.h>

enum { REACTOR_READ = 1, REACTOR_WRITE = 2 };

/* Room for an ev_io and for whom to call; reactor.c asserts the size.  Zeroed,
 * it is inactive.  While it is active it must not move, and it has to be
 * stopped before its fd is closed. */
struct watch {
	_Alignas(8) unsigned char ev[56];
	void (*call)(void *ctx, int events);
	void *ctx;
};

/* A timer of its own, for what is not the engine's.  Zeroed, it is inactive. */
struct alarm {
	_Alignas(8) unsigned char ev[56];
	void (*call)(void *ctx);
	void *ctx;
};

/* Blocks and takes over TERM, INT, QUIT, HUP, USR1, USR2 and CHLD; those that would
 * end us and mean nothing to us (PIPE, XFSZ, ALRM …) are blocked and swallowed.
 * `turn` is called once per turn, `signal` for each of the former.  0 or
 * -errno. */
int reactor_init(void (*turn)(void *ctx), void (*signal)(void *ctx, int number),
    void *ctx);

/* Restores the signal mask; what was pending is dropped. */
void reactor_release(void);

/* Runs until reactor_stop(), which is for a turn or a callback.  A turn comes
 * first, before anything is waited for; after a stop there is none. */
void reactor_run(void);
void reactor_stop(void);

/* Monotonic milliseconds of the present turn: when the loop woke up. */
uint64_t reactor_now_ms(void);

/* The next turn comes at the latest then (and because of this not before);
 * NEVER_MS (UINT64_MAX): no need.  One that has passed gives a turn at once. */
void reactor_arm(uint64_t deadline_ms);

void reactor_watch(struct watch *, int fd, int events,
    void (*call)(void *ctx, int events), void *ctx);
/* Changes the events of an active watch; 0 keeps it for later. */
void reactor_rewatch(struct watch *, int events);
void reactor_unwatch(struct watch *);           /* inactive is fine */

void reactor_set_alarm(struct alarm *, uint64_t delay_ms,
    void (*call)(void *ctx), void *ctx);
void reactor_clear_alarm(struct alarm *);       /* inactive is fine */

#endif
