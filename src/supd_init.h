/*
 * supd-init: the first process of a container or VM without systemd.
 *
 * It has one child, holds its fds, and starts it again with them if it dies; it
 * passes signals on, reaps whatever is left to it, and ends as the child has.
 * It has to outlive what it guards, so it is small: one loop around poll(2),
 * static memory, no allocation.  What the start of the child needs is made in
 * the child.
 *
 * supd_init.c is the loop and the child; supd_init_store.c the fd store;
 * supd_init_boot.c what only the first process of a kernel has to do.
 */
#ifndef SUPD_SUPD_INIT_H
#define SUPD_SUPD_INIT_H

#include <err.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

enum {
	INIT_DELAY_MIN_MS = 100,        /* between restarts in a row */
	INIT_DELAY_MAX_MS = 10000,
	INIT_SETTLED_MS = 1000,         /* one that has run so long is no loop */
	INIT_GRACE_S_MAX = 3600,
	INIT_KILL_S = 5,                /* for those that SIGKILL does not end */

	/*
	 * Some 3 fds for each of 4096 workers, and more.  A child opens its own
	 * behind them, so an eighth of RLIMIT_NOFILE is left to it.
	 */
	INIT_FDS_MAX = 16384,
	INIT_OWN_FDS = 6,               /* of them: 0 to 2, signals, store */
	INIT_NAME_BYTES = 47 + 1,
	INIT_VARIABLE_BYTES = 131072,   /* the kernel's MAX_ARG_STRLEN */
	INIT_MESSAGE_BYTES = 4096,
	INIT_MESSAGE_FDS_MAX = 253,     /* the kernel's SCM_MAX_FD */
	INIT_MESSAGES_PER_TURN = 1024,  /* strangers can send for ever */
};

/* As warnx(3), but nothing waits for a log that nobody reads. */
#define init_say(...) \
	(poll(&(struct pollfd){ STDERR_FILENO, POLLOUT, 0 }, 1, 0) > 0 ? \
	    warnx(__VA_ARGS__) : (void)0)

/*
 * The store: systemd's protocol, so that a service has one way to survive its
 * own death under both.
 *
 * Its socket has an abstract name that the kernel chooses (unix(7), autobind):
 * no directory has to be writable.  Anybody in the network namespace can send to
 * it; what is not from the child itself, as the kernel says, is dropped.
 */

/* Behind how many fds there is something in store. */
extern int init_stored_count;

/*
 * Stores so many fds from 3 on, by names with ':' between them (or NULL), and
 * makes the notify socket.  Returns 0, or -1 with errno.
 */
int init_store_open(int signals_fd, int listen_fds, char *listen_names);

/*
 * Waits until there is a signal or a message, or something has hung up, which is
 * dropped; then obeys what has arrived.  What is not from `child` is dropped.
 */
void init_store_turn(pid_t child, int wait_ms);

/*
 * In the child: puts what is stored at 3 and up, and says so in the environment.
 * Returns 0, or another number with errno.
 */
int init_store_hand_over(void);

/*
 * Returns whether this is the first process of a kernel; then the machine is set
 * up as far as it is ours to do.  Fds 0 to 2 are open afterwards.
 *
 * Whether it is that, or the first of a container, its pid does not tell, and
 * files and variables can be forged.  The kernel tells: only in the initial pid
 * namespace does reboot(2) redirect Ctrl-Alt-Del to the init, which is also what
 * an init has to do first.
 */
bool init_boot(void);

/* Mounts what is not there yet. */
void init_boot_mount(void);

/* Powers the machine off, or reboots it; returns only if that is refused. */
void init_boot_end(bool reboots);

#endif
