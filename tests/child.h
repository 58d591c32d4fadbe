/*
 * Processes that a test starts: by name beside the test program, with their
 * output in pipes, killed with the test, and every wait bounded.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <stddef.h>
#include <sys/types.h>

enum {
	CHILD_OUTPUT_MAX = 65536,
	CHILD_WAIT_MS = 15000,  /* for anything; then the test fails */
};

struct child {
	pid_t pid;
	int pidfd;
	int out_fd, err_fd;     /* its stdout and stderr */
};

/*
 * Starts argv[0] from the directory of the test program.  A listener, unless
 * -1, becomes fd 3 by the LISTEN_FDS protocol.  Fails the test on an error.
 */
void child_start(struct child *child, char *const *argv, int listener);

void child_signal(const struct child *child, int signo);

/* Waits for the end; returns the exit code, or 128 + signal. */
int child_wait(struct child *child);

/* Reads a line of an output, without its newline; fails the test at its end. */
void child_read_line(int fd, char *ret_line, size_t size_bytes);

/* Reads an output to its end; NUL is added. */
void child_read_all(int fd, char *ret_text, size_t size_bytes);

/* Waits until there is something to read or to accept. */
void child_await_input(int fd);

#endif
