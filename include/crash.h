/*
 * When supd itself crashes: SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT (an
 * assertion, the C library).
 *
 * A backtrace goes to standard error, and the same program is executed again,
 * with all that is carried (carry.h): pid and children stay.  The second time
 * within CRASH_AGAIN_MS it is left to die, with a core file where the system
 * wants one, and its parent starts another one; only PID 1, which has none, waits
 * a moment and goes on.
 */
#ifndef SUPD_CRASH_H
#define SUPD_CRASH_H

#include "carry.h"

#define CRASH_AGAIN_MS UINT64_C(10000)

/*
 * Call once, before spawn_init(), which notes the handlers.  `argv` is for the
 * next one and stays where it is.  0 or -errno.
 */
int crash_init(char *const *argv, const struct carried *);

/*
 * A crash now is one of an upgrade: back to the program that this fd is, which
 * goes on as if this one had never been.  -1: not any more.
 */
void crash_return_to(int program_fd);

/* As if it had crashed for this reason; returns if there is nothing to go back
 * to. */
void crash_return(const char *why);

/* What runs now; O_PATH.  -1: it is not known, since there is no /proc. */
int crash_program(void);

#endif
