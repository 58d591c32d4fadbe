/*
 * What the parts of supd-init know of each other: the loop and the child
 * (supd_init.c), the fd store (supd_init_store.c), and what only the first
 * process of a kernel has to do (supd_init_boot.c).
 */
#ifndef SUPD_SUPD_INIT_H
#define SUPD_SUPD_INIT_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* The fd table from 3 on, without a gap. */
enum {
	INIT_SIGNALS_FD = 3,
	INIT_NOTIFY_FD,
	INIT_STORE_FD,          /* and up: what is stored */
	INIT_STORED_MAX = 4096,
	INIT_FDS_MAX = INIT_STORE_FD + INIT_STORED_MAX,
	INIT_FDS_SPARE = 256,   /* of RLIMIT_NOFILE, for a child to start */
};

/* The fd behind the last that is stored. */
extern int init_store_end;

/* For poll(2), by fd, from 3 on; one that is not to be watched is negative. */
extern struct pollfd init_polled[INIT_FDS_MAX];

/* Writes a line to standard error, as far as there is room for it. */
void init_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes the notify socket, at INIT_NOTIFY_FD.  Returns 0, or -1 with errno. */
int init_store_open(void);

/* Obeys what has arrived; what is not from `child` is dropped. */
void init_store_read(pid_t child);

/* Drops what has hung up, as poll(2) has seen. */
void init_store_drop_dead(void);

/*
 * In the child: puts what is stored at 3 and up, and says so in the environment.
 * Returns 0, or another number with errno.
 */
int init_store_hand_over(void);

/*
 * Finds out what this process is, and returns whether it is the first of a
 * kernel; then file systems are mounted and the console is opened.  Fds 0 to 2
 * are open afterwards.
 */
bool init_boot(void);

/* Mounts what is not there yet. */
void init_boot_mount(void);

/* Powers the machine off, or reboots it; returns only if that is refused. */
void init_boot_end(bool reboots);

#endif
