/*
 * Processes that a test starts.  Whatever goes wrong here fails the test at
 * once, so that callers need not check anything.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIRST_FD = 3, NUMBER_BYTES = 16 };

/* The path of a program beside the one that runs. */
static void
sibling_path(const char *name, char *ret_path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret_path, size - 1);
	char *slash;

	assert_true(length > 0);
	ret_path[length] = '\0';
	slash = strrchr(ret_path, '/');
	assert_non_null(slash);
	assert_true((size_t)(slash + 2 - ret_path) + strlen(name) < size);
	strcpy(slash + 1, name);
}

static void
become(const char *path, char *const *argv, int out_fd, int err_fd,
    int listener)
{
	char pid[NUMBER_BYTES];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(out_fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
		_exit(127);
	if (listener >= 0) {
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		/* dup2() of a number to itself keeps close-on-exec. */
		if (listener == FIRST_FD)
			fcntl(listener, F_SETFD, 0);
		else if (dup2(listener, FIRST_FD) < 0)
			_exit(127);
	}
	execv(path, argv);
	_exit(127);
}

void
child_start(struct child *child, char *const *argv, int listener)
{
	int out[2], err[2];
	char path[4096];

	sibling_path(argv[0], path, sizeof(path));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0)
		become(path, argv, out[1], err[1], listener);
	close(out[1]);
	close(err[1]);
	child->out_fd = out[0];
	child->err_fd = err[0];
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	assert_true(child->pidfd >= 0);
}

void
child_signal(const struct child *child, int signo)
{
	assert_int_equal(kill(child->pid, signo), 0);
}

int
child_wait(struct child *child)
{
	siginfo_t end = { 0 };

	child_await_input(child->pidfd);
	assert_int_equal(waitid(P_PID, (id_t)child->pid, &end, WEXITED), 0);
	close(child->pidfd);
	close(child->out_fd);
	close(child->err_fd);
	return end.si_code == CLD_EXITED ?
	    end.si_status : 128 + end.si_status;
}

void
child_read_line(int fd, char *ret_line, size_t size_bytes)
{
	size_t length = 0;

	do {
		assert_true(length < size_bytes);
		child_await_input(fd);
		assert_int_equal(read(fd, ret_line + length, 1), 1);
	} while (ret_line[length++] != '\n');
	ret_line[length - 1] = '\0';
}

void
child_read_all(int fd, char *ret_text, size_t size_bytes)
{
	size_t length = 0;
	ssize_t size;

	do {
		assert_true(length < size_bytes - 1);
		child_await_input(fd);
		size = read(fd, ret_text + length, size_bytes - 1 - length);
		assert_true(size >= 0);
		length += (size_t)size;
	} while (size > 0);
	ret_text[length] = '\0';
}

void
child_await_input(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	int ready;

	do
		ready = poll(&wanted, 1, CHILD_WAIT_MS);
	while (ready < 0 && errno == EINTR);
	assert_int_equal(ready, 1);
}
