/*
 * Inside the crew: what its files share.  Only crew*.c include this.
 *
 *   crew.c        who is a member: starting, how one ends, strangers
 *   crew_talk.c   what a worker says
 *   crew_adopt.c  another main process for a worker (MAINPID=)
 */
#ifndef SUPD_CREW_PRIVATE_H
#define SUPD_CREW_PRIVATE_H

#include "crew.h"
#include "reactor.h"

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

/* Hands on what it has said and nobody has read yet. */
void crew_read_notify(struct member *);

#endif
