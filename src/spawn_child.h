/*
 * What the parent prepares for the child, and where the child reports back;
 * for spawn.c and spawn_child.c only.
 */
#ifndef SUPD_SPAWN_CHILD_H
#define SUPD_SPAWN_CHILD_H

#include <signal.h>
#include <sys/resource.h>

#include "bounds.h"
#include "release.h"
#include "spawn.h"

/* Room for a 64-bit number and its end, behind NAME= in a variable. */
enum { SPAWN_NUMBER_BYTES = 21 };

struct spawn_child {
	/* File descriptors, by where they are now. */
	int null_fd, directory_fd;
	int executable_fd;              /* or -1 */
	int output_fd;                  /* becomes 1 and 2; or -1 */
	int passed_fds[PASSED_FDS_MAX]; /* become 3 and so on */
	unsigned passed_count;
	int ready_write_fd;             /* or -1 */
	int ready_target;               /* its number in the worker */
	unsigned unshare_from;          /* none of the above is there or above */
	int free_from;                  /* no target is there or above */

	const struct credentials *credentials;
	struct rlimit files_limit;
	sigset_t handled;               /* signals that supd has handlers for */

	const char *path;               /* executed; NULL: executable_fd is */
	char *const *argv, *const *environment;

	/* Numbers that only the child knows, written into its variables. */
	char *listen_pid, *watchdog_pid;        /* or NULL */
	char *pidfd_id;                         /* or NULL */
	int pidfd;                      /* written by the kernel, in time */

	struct spawn_failure failure;   /* the child's report */
};

/* The child's whole life; the argument is a struct spawn_child. */
int spawn_child_main(void *);

#endif
