/*
 * Programs that carry fds to the next one: a test executes itself, in processes
 * of their own.
 *
 * A walk is a list of programs; each step is one of them, is told its place in
 * argv, and executes the next one or ends with 0.  What a step finds wrong it
 * says and ends with 1.  A test has `walks` and gives its arguments to
 * walk_on().
 */
#ifndef TESTS_CARRY_FIXTURE_H
#define TESTS_CARRY_FIXTURE_H

#include "carry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent.h"
#include "reactor.h"

enum { STEPS_MAX = 3 };

#define must(condition) \
	((condition) ? (void)0 : give_up(#condition, __LINE__))

struct walk {
	const char *name;
	void (*steps[STEPS_MAX])(const struct carried *);
};

static const struct walk walks[];
static const struct walk *walk;
static unsigned step;

static inline void __attribute__((noreturn))
give_up(const char *what, int line)
{
	fprintf(stderr, "%s, step %u, line %d: %s\n", walk->name, step, line,
	    what);
	_exit(1);
}

/*
 * For steps
 */

static inline int
text_open(const char *text)
{
	int fd = memfd_create(text, MFD_CLOEXEC);

	must(fd >= 0);
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

static inline bool
has_text(int fd, const char *text)
{
	char bytes[64] = "";

	return fd >= 0 && pread(fd, bytes, sizeof(bytes) - 1, 0) >= 0 &&
	    strcmp(bytes, text) == 0;
}

/* The next one that came under this name is this one. */
static inline bool
takes(const char *name, const char *text)
{
	int fd = carry_take(name);
	bool is = has_text(fd, text) && fcntl(fd, F_GETFD) == FD_CLOEXEC;

	if (fd >= 0)
		close(fd);
	return is;
}

static inline void
put(const char *name, const char *text, bool store)
{
	int fd = text_open(text);

	carry_put(name, &fd, 1, store);
}

static inline void __attribute__((noreturn))
go_on(enum carry_cause cause, const char *detail)
{
	struct carried carried = { .cause = cause, .began_ms = 1234567890123 };
	char number[16], *argv[] = { NULL, NULL, number, NULL };
	int fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	argv[0] = argv[1] = (char *)(uintptr_t)walk->name;
	snprintf(number, sizeof(number), "%u", step + 1);
	snprintf(carried.detail, sizeof(carried.detail), "%s", detail);
	(void)carry_execute(fd, argv, &carried);
	give_up("carry_execute", __LINE__);
}

static inline struct carried
init(void)
{
	struct carried carried;

	must(carry_init(&carried) == 0);
	must(getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL);
	must(getenv("LISTEN_FDNAMES") == NULL);
	must(getenv("LISTEN_PIDFDID") == NULL && getenv("SUPD_CARRY") == NULL);
	must(reactor_init(NULL, NULL, NULL) == 0);
	must(parent_init() == 0);
	return carried;
}

static inline void __attribute__((noreturn))
take_step(const char *name, unsigned number)
{
	struct carried carried;

	step = number;
	for (walk = walks; strcmp(walk->name, name) != 0;)
		walk++;
	carried = init();
	walk->steps[step](&carried);
	_exit(0);
}

/* `before` prepares the first program's start, in its process; waits for the
 * last one's end, by a signal unless that is 0. */
static inline void
run_until(const char *name, void (*before)(void), int signo)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		step = 0;
		walk = walks;
		if (before != NULL)
			before();
		take_step(name, 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, signo);
}

static inline void
run(const char *name, void (*before)(void))
{
	run_until(name, before, 0);
}

/* The start of main(): does not return in a program of a walk. */
static inline void
walk_on(int argc, char **argv)
{
	if (argc == 3)
		take_step(argv[1], (unsigned)strtoul(argv[2], NULL, 10));
}

#endif
