/*
 * A control socket in a directory of its own, its loop and its clients.
 *
 * Server and clients are one process, so the loop runs only inside run_until()
 * and run_turns(), and what a client sends waits in the kernel before that.
 * clock_gettime() is ours: clock_advance() makes ten seconds pass at once.
 */
#ifndef TESTS_CTLSOCK_FIXTURE_H
#define TESTS_CTLSOCK_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctlsock.h"

enum { MESSAGES_MAX = 256 };

struct fixture {
	char directory[64];
	char path[96];
	size_t fd_count;                /* before ctlsock_open() */
	unsigned turns;

	/* What the handler saw. */
	size_t message_count;
	uint32_t message_clients[MESSAGES_MAX];
	size_t message_sizes[MESSAGES_MAX];
	char messages[MESSAGES_MAX][32];        /* their beginnings */
	size_t gone_count;
	uint32_t gone_last;
	bool in_call;           /* of ctlsock_send() or ctlsock_finish() */

	/* Called for each message after it was recorded; or NULL. */
	void (*answer)(uint32_t client, const char *bytes, size_t size_bytes);
};

extern struct fixture fixture;

int fixture_set_up(void **state);       /* opened without a group */
int fixture_tear_down(void **state);    /* fails if an fd has leaked */
void fixture_open(gid_t group);

void run_turns(unsigned count);         /* without waiting */
void run_until(bool (*done)(void));     /* bounded */
void run_until_messages(size_t count);
void run_until_gone(size_t count);
void run_quietly(void);                 /* fails if the loop spins */

void clock_advance(uint64_t ms);

/* Through the fixture, which sees that nobody is gone meanwhile. */
void answer(uint32_t client, const char *json, size_t size_bytes);
void finish(uint32_t client);

/* Sends what came back. */
void echo(uint32_t client, const char *bytes, size_t size_bytes);

int client_connect(void);               /* non-blocking once connected */
void client_send(int fd, const char *bytes, size_t size_bytes);

/* Reads a message without its NUL while the loop runs; fails after an end of
 * the stream, unless that is expected and "" is returned. */
const char *client_read(int fd);
void client_expect(int fd, const char *json);
void client_expect_end(int fd);

size_t count_fds(void);

#endif
