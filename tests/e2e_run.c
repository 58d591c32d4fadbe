/*
 * Programs that the end-to-end tests start besides supd, supctl first of all;
 * see e2e.h.
 */
#include "e2e.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 24 };

char program_out[E2E_OUTPUT_BYTES];
char program_err[E2E_OUTPUT_BYTES];
int program_code;

static void
become(const char *const *argv, uid_t uid, int out_fd, int err_fd)
{
	if (dup2(out_fd, STDOUT_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0)
		_exit(126);
	if (uid != 0 && (setgroups(0, NULL) != 0 || setgid(uid) != 0 ||
	    setuid(uid) != 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void
program_start(struct program *p, const char *const *argv, uid_t uid)
{
	int out[2], err[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		become(argv, uid, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	p->out_fd = out[0];
	p->err_fd = err[0];
	assert_int_equal(fcntl(p->out_fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(p->err_fd, F_SETFL, O_NONBLOCK), 0);
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	assert_true(p->pidfd >= 0);
}

/* Appends what is there now; closes the fd at its end. */
static void
collect(int *fd, char *bytes)
{
	size_t used = strlen(bytes);
	ssize_t size;

	if (*fd < 0)
		return;
	while ((size = read(*fd, bytes + used,
	    E2E_OUTPUT_BYTES - 1 - used)) > 0)
		used += (size_t)size;
	assert_true(used < E2E_OUTPUT_BYTES - 1);
	bytes[used] = '\0';
	if (size == 0) {
		close(*fd);
		*fd = -1;
	}
}

int
program_end(struct program *p)
{
	siginfo_t end = { 0 };

	program_out[0] = program_err[0] = '\0';
	while (p->out_fd >= 0 || p->err_fd >= 0) {
		const int fds[] = { p->out_fd, p->err_fd };

		if (!e2e_inputs_within(fds, 2, E2E_WAIT_MS))
			fail_msg("a program did not end; it said: %s%s",
			    program_out, program_err);
		collect(&p->out_fd, program_out);
		collect(&p->err_fd, program_err);
	}
	e2e_await_input(p->pidfd);
	assert_int_equal(waitid(P_PID, (id_t)p->pid, &end, WEXITED), 0);
	close(p->pidfd);
	program_code = end.si_code == CLD_EXITED ? end.si_status :
	    128 + end.si_status;
	return program_code;
}

void
program_assert(int code, const char *text, const char *file, int line)
{
	if (program_code == code && (strstr(program_out, text) != NULL ||
	    strstr(program_err, text) != NULL))
		return;
	print_error("wanted %d and \"%s\", got %d\nstdout: %s\nstderr: %s\n",
	    code, text, program_code, program_out, program_err);
	_fail(file, line);
}

/*
 * supctl
 */

void
supctl_begin_list(struct program *p, const char *const *words)
{
	const char *argv[WORDS_MAX] = {
		e2e_program("supctl"), "--socket", e2e_path("run/control.sock"),
	};
	unsigned count = 3;

	for (; *words != NULL; words++) {
		assert_true(count < WORDS_MAX - 1);
		argv[count++] = *words;
	}
	program_start(p, argv, 0);
}

int
supctl_list(const char *const *words)
{
	struct program p;

	supctl_begin_list(&p, words);
	return program_end(&p);
}
