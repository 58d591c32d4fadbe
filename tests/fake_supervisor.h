/*
 * A supervisor that is none, for the tests of supctl: it listens on a control
 * socket in a directory of its own and answers each method with what its
 * script says, good or bad.  And a supctl that is run against it.
 *
 * Everything ends with the test: fake_stop() kills what it started and removes
 * the directory; each wait is bounded.
 */
#ifndef TESTS_FAKE_SUPERVISOR_H
#define TESTS_FAKE_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>

enum fake_end {
	FAKE_STAYS,
	FAKE_HANGS_UP,          /* closes the connection after the answers */
	FAKE_RESTARTS,          /* closes all; its socket stays open */
	FAKE_LEAVES,            /* the socket is gone too, for a while */
	FAKE_DIES,              /* for ever */
	FAKE_FLOODS,            /* sends a message without an end */
	FAKE_INTERRUPTS,        /* sends supctl a SIGINT */
	FAKE_LINGERS,           /* a second, before the answers */
};

/* What is said to a method. */
struct fake_answer {
	const char *method;             /* without the interface */
	const char *replies[8];         /* whole messages; NULL ends.  `@` is
					 * the time of the first request */
	enum fake_end end;
};

/* The answers outlive it; NULL in `method` ends them.  Rows of one method are
 * played in turn, the last of them again and again.  Any other method is
 * answered with {"parameters":{}}. */
void fake_start(const struct fake_answer *answers);

/* The requests so far, a line each. */
const char *fake_requests(void);

void fake_stop(void);

/* A test of cmocka after which it is stopped. */
#define FAKE_TEST(test) cmocka_unit_test_teardown(test, fake_teardown)
int fake_teardown(void **state);

/* A file beside the socket; returns its path. */
const char *fake_file(const char *name, const char *text);

struct fake_run {
	int code;               /* the exit code, or -1 - signal */
	char *output;           /* of a terminal: both of them */
	char *errors;
};

/*
 * Runs supctl with these words (NULL ends them), by default with --socket
 * before them.  The result is valid until the next run.
 */
enum fake_flag {
	FAKE_TERMINAL = 1 << 0,         /* its input and output are one */
	FAKE_NO_SOCKET = 1 << 1,        /* no --socket */
	FAKE_DEAF = 1 << 2,             /* nobody reads its output */
	FAKE_CLOSED = 1 << 3,           /* it has no standard output at all */
	FAKE_PLAIN = 1 << 4,            /* it is asked for no colours */
};
const struct fake_run *fake_supctl(unsigned flags, const char *const *words);

/* The same in short. */
#define SUPCTL(...) fake_supctl(0, (const char *const[]){ __VA_ARGS__, NULL })

/* For texts; the test includes <string.h> and <cmocka.h>. */
#define assert_has(text, part) do { \
	if (strstr((text), (part)) == NULL) \
		fail_msg("no \"%s\" in:\n%s", (part), (text)); \
} while (0)

#define assert_has_not(text, part) do { \
	if (strstr((text), (part)) != NULL) \
		fail_msg("\"%s\" in:\n%s", (part), (text)); \
} while (0)

#endif
