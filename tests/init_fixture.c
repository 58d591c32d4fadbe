/*
 * supd-init with its child on the line: a pair of sockets, or a terminal, is
 * standard input of both.
 *
 * As process 1 it has a user namespace, too, and one of the network: should it
 * take itself for the first process of the machine, it is not permitted to do to
 * it what that would, and has no sysctl of it (root's may be written from a user
 * namespace as well).
 */
#include "init_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENTS_MAX = 16, PATH_BYTES = 4096 };

/* What it may be left with, and must not pass on. */
static void
leave_rubbish(void)
{
	if (dup2(STDERR_FILENO, 3) < 0 || setenv("LISTEN_FDS", "1", 1) < 0)
		_exit(99);
}

static void
activate(void)
{
	static const char *const contents[] = { "first", "second", "third" };
	ssize_t length;
	char pid[16];

	for (int i = 0; i < 3; i++) {
		length = (ssize_t)strlen(contents[i]);
		if (dup2(memfd_create("passed", 0), 3 + i) < 0 ||
		    write(3 + i, contents[i], (size_t)length) != length)
			_exit(99);
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (setenv("LISTEN_FDS", "3", 1) < 0 ||
	    setenv("LISTEN_FDNAMES", "web:", 1) < 0 ||
	    setenv("LISTEN_PID", pid, 1) < 0)
		_exit(99);
}

static void __attribute__((noreturn))
become(enum init_place place, const char *grace, const char *const *command,
    const int *fds)
{
	char supd_init[PATH_BYTES], child[PATH_BYTES];
	const char *build = getenv("top_builddir");
	char *arguments[ARGUMENTS_MAX] = { supd_init, strdup("--grace"),
	    strdup(grace), strdup("--"), child };
	struct rlimit files;
	size_t i;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = INIT_FILES;
	snprintf(supd_init, sizeof(supd_init), "%s/supd-init",
	    build != NULL ? build : ".");
	snprintf(child, sizeof(child), "%s/tests/init_child",
	    build != NULL ? build : ".");
	for (i = 0; command != NULL && command[i] != NULL; i++)
		arguments[4 + i] = strdup(command[i]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (isatty(fds[0]) && (setsid() < 0 ||
	    ioctl(fds[0], TIOCSCTTY, 0) < 0))
		_exit(99);
	for (i = 0; i < 3; i++)
		if (dup2(fds[i], (int)i) < 0)
			_exit(99);
	if (place == INIT_ACTIVATED)
		activate();
	else
		leave_rubbish();
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR ||
	    signal(SIGPIPE, SIG_DFL) == SIG_ERR ||
	    setrlimit(RLIMIT_NOFILE, &files) < 0)
		_exit(99);
	execv(supd_init, arguments);
	_exit(99);
}

static void
open_terminal(int *ret_ends)
{
	ret_ends[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(ret_ends[1] >= 0);
	assert_int_equal(unlockpt(ret_ends[1]), 0);
	ret_ends[0] = open(ptsname(ret_ends[1]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(ret_ends[0] >= 0);
}

bool
init_start(struct init *init, enum init_place place, const char *grace,
    const char *const *command)
{
	unsigned long flags = SIGCHLD |
	    (place == INIT_PROCESS_1 ? CLONE_NEWPID | CLONE_NEWUSER |
	    CLONE_NEWNET : 0);
	int in[2], out[2], err[2];

	/* A child that is gone fails the test, and not the program. */
	signal(SIGPIPE, SIG_IGN);
	if (place == INIT_ON_TERMINAL)
		open_terminal(in);
	else
		assert_int_equal(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	init->child.pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (init->child.pid == 0)
		become(place, grace, command,
		    (int[]){ in[0], out[1], err[1] });
	close(in[0]);
	close(out[1]);
	close(err[1]);
	init->commands = in[1];
	init->child.out_fd = out[0];
	init->child.err_fd = err[0];
	if (init->child.pid < 0 && place == INIT_PROCESS_1)
		return false;
	assert_true(init->child.pid > 0);
	init->child.pidfd = (int)syscall(SYS_pidfd_open, init->child.pid, 0);
	assert_true(init->child.pidfd >= 0);
	if (command == NULL)
		init_read_answer(init);
	return true;
}

void
init_read_answer(struct init *init)
{
	char line[INIT_LINE_BYTES];
	size_t length = 0;

	for (;;) {
		child_read_line(init->child.out_fd, line, sizeof(line));
		if (strcmp(line, "ok") == 0)
			break;
		assert_true(length + sizeof(line) < sizeof(init->answer));
		length += (size_t)snprintf(init->answer + length,
		    sizeof(init->answer) - length, "%s\n", line);
	}
	init->answer[length] = '\0';
}

void
init_order(struct init *init, const char *command)
{
	assert_true(dprintf(init->commands, "%s\n", command) > 0);
}

void
init_command(struct init *init, const char *command)
{
	init_order(init, command);
	init_read_answer(init);
}

void
init_read_log(struct init *init, const char *text)
{
	char line[INIT_LINE_BYTES];

	child_read_line(init->child.err_fd, line, sizeof(line));
	if (strstr(line, text) == NULL)
		fail_msg("expected \"%s\", read \"%s\"", text, line);
}

int
init_end(struct init *init)
{
	int code = child_wait(&init->child);

	close(init->commands);
	return code;
}
