/*
 * What the tests of the worker share: the ends that a supervisor would hold,
 * and a client.  Whatever goes wrong fails the test at once.
 */
#ifndef TESTS_DEMO_FIXTURE_H
#define TESTS_DEMO_FIXTURE_H

#include <stddef.h>

#include "loopback.h"

struct supervisor {
	int listener, notify;
	char address[LOOPBACK_TEXT_MAX];
};

/* *state is a struct supervisor; NOTIFY_SOCKET is set. */
int demo_set_up(void **state);
int demo_tear_down(void **state);
#define DEMO_TEST(test) \
	cmocka_unit_test_setup_teardown(test, demo_set_up, demo_tear_down)

#define READY "READY=1\nSTATUS=serving"
#define STOPPING "STOPPING=1\nSTATUS=draining"

/* Waits for a message, which must be this one. */
void await_message(const struct supervisor *supervisor, const char *wanted);

/* That nothing comes can only be seen by waiting for a while: SHORT_MS. */
enum { SHORT_MS = 200 };
void assert_quiet(int fd);

/* A connection to the listener, or -errno. */
int connect_to(const struct supervisor *supervisor);

/* Sends a request; waits for its answer, which comes in one piece. */
void ask(int fd, char *ret_answer, size_t size_bytes);

/* The same for this path, with these headers, each with its CR LF. */
void ask_for(int fd, const char *path, const char *headers, char *ret_answer,
    size_t size_bytes);

#endif
