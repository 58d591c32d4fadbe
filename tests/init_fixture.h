/*
 * supd-init with tests/init_child as its child, for the tests of both.
 */
#ifndef TESTS_INIT_FIXTURE_H
#define TESTS_INIT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "child.h"

enum {
	INIT_LINE_BYTES = 1024,
	INIT_ANSWER_BYTES = 1 << 21,
	INIT_FILES = 1000,      /* supd-init's limit at first */
};

struct init {
	struct child child;     /* supd-init; its out_fd is init_child's too */
	int commands;           /* to init_child, whichever runs */
	char answer[INIT_ANSWER_BYTES];
};

/*
 * On a terminal: `commands` is its other end, and what is typed.  Activated:
 * with three memfds in LISTEN_FDS, `web`, one whose name is empty and one without
 * a name, which hold `first`, `second` and `third`.
 */
enum init_place {
	INIT_SUBREAPER, INIT_PROCESS_1, INIT_ON_TERMINAL, INIT_ACTIVATED,
};

/*
 * Starts supd-init with --grace and this command, init_child if it is NULL.
 * False if this needs a pid namespace and none can be made.
 */
bool init_start(struct init *init, enum init_place place, const char *grace,
    const char *const *command);

/* The next answer, up to its `ok`, is in init->answer; of a start, too. */
void init_read_answer(struct init *init);

/* Gives a command and reads the answer. */
void init_command(struct init *init, const char *command);

/* Gives a command that has no answer of this child. */
void init_order(struct init *init, const char *command);

/* Reads a line of supd-init's own, which must contain this. */
void init_read_log(struct init *init, const char *text);

/* Ends a supd-init that has to end by itself; returns its exit code. */
int init_end(struct init *init);

#endif
