/*
 * The fds that outlive this supd, by name, and who carries them to the next.
 *
 *   this process  executes another supd, or itself again (carry_execute()): an
 *                 upgrade, a crash.  The fds keep their numbers; a manifest in a
 *                 memfd tells their names
 *   the parent    was given them before (parent.h), and starts another supd
 *                 with them: LISTEN_FDS and LISTEN_FDNAMES, sd_listen_fds(3)
 *
 * Names in use:
 *
 *   supd-state, supd-world    what the fds are (live_resume.h)
 *   supd-control              the control socket
 *   supd-lock, supd-client, supd-previous
 *                             across an exec only: the lock of runtime_dir, who
 *                             asked for the upgrade, the supd to go back to
 *   w3.17                     service 3, incarnation 17: pidfd, notify socket
 *   u1234                     pidfd of a worker that nobody claims
 *   p3.17                     its readiness pipe, until it is ready
 *   r12                       a pinned release: executable, directory
 *   s7                        a listener's shard
 *   o2                        a socket of the unit that starts supd
 *   t5                        a task: pidfd, output pipe
 *   f7                        what a worker has stored
 *   h3.17, h3.17.w            its supd.handover: our end, the worker's
 *
 * All of it lies in static memory, so that a crash handler can use it.
 */
#ifndef SUPD_CARRY_H
#define SUPD_CARRY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CARRY_NAME_BYTES_MAX = 47,
	CARRY_FDS_MAX = 4,              /* of one name */
	CARRY_NAMES_MAX = 1 << 16,
};

/* Why this supd runs. */
enum carry_cause {
	CARRY_START,                    /* as the first one */
	CARRY_UPGRADE,                  /* the one before executed it */
	CARRY_RETURN,                   /* the upgraded one failed at once */
	CARRY_CRASH,                    /* it executed itself again */
	CARRY_PARENT,                   /* its parent had the fds */
	CARRY_CAUSE_COUNT,
};

struct carried {
	enum carry_cause cause;
	uint64_t began_ms;              /* the exec; CLOCK_MONOTONIC */
	char detail[64];                /* the version before, or a signal */
};

/*
 * Takes over what came, close-on-exec, in fds above FD_PRIVATE where there is
 * room; removes SUPD_CARRY and LISTEN_* from the environment, so that no worker
 * inherits them.  Opens what carry_execute() will need.  0 or -errno.  To be called
 * once, before anything else opens an fd.
 */
int carry_init(struct carried *ret_carried);

/*
 * All that came was taken, and the state says so; what was not is closed, and the
 * parent is told to do the same.  Until then carry_execute() hands on what came,
 * as it came, and not what was put since: the one before could go on as if this
 * supd had never been.
 */
void carry_settle(void);

/*
 * These fds outlive supd under this name, which replaces what had it before (the
 * parent is without them for a moment then).  They stay the caller's, and open at
 * these numbers until carry_drop().  `store`: the parent gets them too, else they
 * are carried across an exec only.  When there is no room for more names
 * (CARRY_NAMES_MAX) they are not, and it is logged.
 */
void carry_put(const char *name, const int *fds, unsigned count, bool store);

/* Before they are closed.  A name that is unknown is fine. */
void carry_drop(const char *name);

/* The next fd that came under this name; it is the caller's now.  -1: no more. */
int carry_take(const char *name);

/* The next name under which fds came that nobody took, from a cursor of 0 on;
 * NULL: no more.  The caller may take, put and drop meanwhile; the name is good
 * until the next call. */
const char *carry_next(uint32_t *cursor);

/* What a name is by the list above: its letter, `s` of s7, or `-` of supd-…; NUL:
 * it is none of ours. */
char carry_kind(const char *name);

/* Is all that came as it came, so that carry_execute() hands it on? */
bool carry_is_whole(void);

/*
 * Becomes the program that this fd is, with its fds.  Returns only
 * if it cannot: -errno, and all is as it was.  Async-signal-safe.
 */
int carry_execute(int program_fd, char *const *argv,
    const struct carried *);

#endif
