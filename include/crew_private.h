/*
 * Inside the crew: what its files share.  Only crew*.c include this.
 *
 *   crew.c        who is a member: starting, how one ends, strangers
 *   crew_talk.c   what a worker says
 *   crew_adopt.c  another main process for a worker (MAINPID=)
 *   crew_keep.c   what outlives supd, and how it is found again
 *   crew_unclaimed.c   processes of a former supd that are nobody's
 */
#ifndef SUPD_CREW_PRIVATE_H
#define SUPD_CREW_PRIVATE_H

#include "crew.h"
#include "reactor.h"

enum {
	CREW_SOCKET_NAME_BYTES = 32,
	CREW_SOCKET_PATH_BYTES = 128,
};

struct member {
	struct member *next;            /* in its bucket */
	struct watch exit_watch, notify_watch, ready_watch;
	int pidfd, notify_fd, ready_fd; /* -1: none */
	pid_t pid;
	pid_t group;                    /* its own session and group */
	uid_t uid;                      /* it runs as */
	uint32_t service;
	struct worker_id id;
	enum kill_mode kill_mode;
};

/* By its pid, so that crew_find() finds it. */
void crew_enter(struct member *);
void crew_leave(struct member *);

/* The pidfd is readable. */
void crew_on_exit(void *member, int events);

/* Hands an event of this worker on. */
void crew_tell(const struct member *, enum event_type, uint64_t value,
    const char *text);

/* Watches the notify socket, and the readiness fd if there is one. */
void crew_listen(struct member *);

/* Of its notify socket. */
void crew_socket_name(const struct member *,
    char ret_name[CREW_SOCKET_NAME_BYTES]);
void crew_socket_path(const struct member *, char *ret_path, size_t size);

/* Its process runs, and all its fds are there: from now on it is a member. */
void crew_follow(struct member *);

/* Closes everything of one that is not followed, or no more. */
void crew_free(struct member *);

/* A member, a task, or one that is told to end. */
bool crew_is_known(pid_t);
bool crew_is_unclaimed(pid_t);

/* Its fds outlive supd, as they are now, or do not any more. */
void crew_keep(const struct member *);
void crew_forget(const struct member *);
void crew_forget_ready(const struct member *);

/* Hands on what it has said and nobody has read yet, at most so many messages. */
void crew_read_notify(struct member *, unsigned count_max);

#endif
