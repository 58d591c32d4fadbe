/*
 * A server for supprobe, in the test itself: the probe is started, the test
 * accepts its connection and answers as it likes, and then looks at the one
 * line that came of it.  Every wait is bounded.
 */
#ifndef TESTS_SUPPROBE_FIXTURE_H
#define TESTS_SUPPROBE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "child.h"
#include "loopback.h"

struct server {
	int fd;                         /* listens */
	char address[LOOPBACK_TEXT_MAX];
	char request[4096];             /* the last one, its head */
};

/* Ignores SIGPIPE; for the group. */
int supprobe_set_up_group(void **state);

/* Listens at such an address, of which the port may be 0. */
void server_open(struct server *, const char *text, int backlog);
void server_close(struct server *);

/* Starts `supprobe KIND --connect ADDRESS` and what else is named, until NULL.
 * A socket, unless -1, becomes its fd 3. */
void supprobe_start(struct child *, int socket, const char *kind,
    const char *address, ...);

/* Its connection, with the request read if there has to be one. */
int server_accept(struct server *, bool asked);

/* Accepts, reads the request, answers and closes. */
void server_answer(struct server *, const char *bytes, size_t count);

/* Nobody else has connected. */
void server_assert_idle(const struct server *);

/* Has it ended?  Waits for so long at most. */
bool supprobe_ended(const struct child *, int wait_ms);

/* Waits for its end: the exit status and the one line must be these; a `*` at
 * the end of the line stands for anything. */
void supprobe_finish(struct child *, int status, const char *line);

#endif
