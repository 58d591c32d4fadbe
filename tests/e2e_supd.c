/*
 * supd as the tests start it, its log, and what must be true when it ends;
 * see e2e.h.
 */
#include "e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOG_BYTES_MAX = 16 << 20,
	LOG_CHUNK_BYTES = 65536,
	LOG_TAIL_BYTES = 6000,
	ARGV_MAX = 24,
	DEATH_MS = 5000,                /* of a process that was killed */
};

pid_t supd_pid;
unsigned e2e_fd_limit;
int e2e_given_socket = -1;
const char *const *supd_tracer;

static int supd_pidfd = -1;
static struct {
	int fd;                         /* -1: at its end */
	char *bytes;
	size_t size_bytes, mark;
} logged = { .fd = -1 };

/*
 * The log
 */

static void
read_log(void)
{
	ssize_t size;

	while (logged.fd >= 0) {
		assert_true(logged.size_bytes + LOG_CHUNK_BYTES <
		    LOG_BYTES_MAX);
		logged.bytes = realloc(logged.bytes,
		    logged.size_bytes + LOG_CHUNK_BYTES);
		assert_non_null(logged.bytes);
		size = read(logged.fd, logged.bytes + logged.size_bytes,
		    LOG_CHUNK_BYTES - 1);
		if (size > 0)
			logged.size_bytes += (size_t)size;
		logged.bytes[logged.size_bytes] = '\0';
		if (size < 0 && errno == EAGAIN)
			return;
		if (size <= 0) {
			close(logged.fd);
			logged.fd = -1;
		}
	}
}

static void
forget_log(void)
{
	if (logged.fd >= 0)
		close(logged.fd);
	free(logged.bytes);
	memset(&logged, 0, sizeof(logged));
	logged.fd = -1;
}

bool
e2e_inputs_within(const int *wanted, unsigned count, int timeout_ms)
{
	uint64_t end_ms = e2e_now_ms() + (uint64_t)timeout_ms, now_ms;
	struct pollfd fds[1 + 4];
	bool any = false;

	assert_true(count <= 4);
	while (!any) {
		fds[0] = (struct pollfd){ .fd = logged.fd, .events = POLLIN };
		for (unsigned i = 0; i < count; i++)
			fds[1 + i] = (struct pollfd){ .fd = wanted[i],
			    .events = POLLIN };
		now_ms = e2e_now_ms();
		if (poll(fds, 1 + count, now_ms < end_ms ?
		    (int)(end_ms - now_ms) : 0) == 0)
			return false;
		if (fds[0].revents != 0) {
			read_log();
			any = count == 0;
		}
		for (unsigned i = 0; i < count; i++)
			any |= fds[1 + i].revents != 0;
	}
	return true;
}

bool
e2e_input_within(int fd, int timeout_ms)
{
	return e2e_inputs_within(&fd, 1, timeout_ms);
}

void
e2e_await_input(int fd)
{
	if (!e2e_input_within(fd, E2E_WAIT_MS))
		fail_msg("nothing came within %d ms", E2E_WAIT_MS);
}

void
log_mark(void)
{
	read_log();
	logged.mark = logged.size_bytes;
}

unsigned
log_count(const char *text)
{
	const char *p = logged.bytes != NULL ? logged.bytes + logged.mark : "";
	unsigned count = 0;

	for (; (p = strstr(p, text)) != NULL; p += strlen(text))
		count++;
	return count;
}

static unsigned
ready_count(const char *unused)
{
	(void)unused;
	return log_count(" ready\n") - log_count(" it was ready\n");
}

static void
await_counted(unsigned (*counted)(const char *), const char *text,
    unsigned count)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS, now_ms;

	read_log();
	while (counted(text) < count) {
		now_ms = e2e_now_ms();
		if (now_ms >= end_ms || logged.fd < 0)
			fail_msg("not logged %u times, but %u: %s", count,
			    counted(text), text);
		(void)e2e_inputs_within(NULL, 0, (int)(end_ms - now_ms));
	}
}

void
log_await_count(const char *text, unsigned count)
{
	await_counted(log_count, text, count);
}

void
log_await_ready(unsigned count)
{
	await_counted(ready_count, "ready", count);
}

void
log_await(const char *text)
{
	log_await_count(text, 1);
}

const char *
log_line(const char *text)
{
	static char line[4096];
	const char *p = logged.bytes + logged.mark, *found = NULL, *end;

	for (; (p = strstr(p, text)) != NULL; p += strlen(text))
		found = p;
	assert_non_null(found);
	while (found > logged.bytes && found[-1] != '\n')
		found--;
	end = strchrnul(found, '\n');
	snprintf(line, sizeof(line), "%.*s", (int)(end - found), found);
	return line;
}

/*
 * supd
 */

static void
become_nobody(void)
{
	if (setgroups(0, NULL) != 0 || setgid(E2E_NOBODY) != 0 ||
	    setuid(E2E_NOBODY) != 0)
		_exit(126);
	setenv("XDG_RUNTIME_DIR", e2e_path("xdg"), 1);
	setenv("XDG_STATE_HOME", e2e_path("xdg"), 1);
	unsetenv("HOME");
}

/* What is configured must be there, since its parent is not nobody's. */
static void
make_directory_of_nobody(const char *name)
{
	if (mkdir(e2e_path(name), 0755) != 0)
		assert_int_equal(errno, EEXIST);
	assert_int_equal(chown(e2e_path(name), E2E_NOBODY, E2E_NOBODY), 0);
}

/* A container has it like this. */
static void
fix_sysctls(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) != 0 ||
	    mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY,
	    NULL) != 0)
		_exit(125);
}

/* As its unit would, at fd 3. */
static void
give_socket(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_FDNAMES", "given.socket", 1);
	(void)fcntl(3, F_SETFD, 0);
}

static void
execute_supd(unsigned how)
{
	const char *argv[ARGV_MAX + 5];
	unsigned count = 0;

	if ((how & SUPD_UNDER_INIT) != 0)
		argv[count++] = e2e_program("supd-init");
	for (unsigned i = 0; supd_tracer != NULL && supd_tracer[i] != NULL;
	    i++) {
		assert_true(i < ARGV_MAX);
		argv[count++] = supd_tracer[i];
	}
	argv[count++] = e2e_program("supd");
	argv[count++] = "-c";
	argv[count++] = e2e_path("supd.conf");
	argv[count] = NULL;
	execvp(argv[0], (char *const *)(uintptr_t)argv);
}

static void
run_supd(unsigned how, int log_fd)
{
	const struct rlimit few = { e2e_fd_limit, e2e_fd_limit };
	int null = open("/dev/null", O_RDWR);

	/* Its own /proc belongs to a pid namespace. */
	if ((how & SUPD_AS_INIT) != 0 &&
	    (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) != 0))
		_exit(125);
	if ((how & SUPD_FIXED_SYSCTLS) != 0)
		fix_sysctls();
	if ((how & SUPD_AS_NOBODY) != 0)
		become_nobody();
	if ((how & SUPD_FEW_FDS) != 0)
		(void)setrlimit(RLIMIT_NOFILE, &few);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(null, 0);
	dup2(null, 1);
	dup2(log_fd, 2);
	if ((how & SUPD_WITH_SOCKET) != 0)
		dup2(e2e_given_socket, 3);
	close_range((how & SUPD_WITH_SOCKET) != 0 ? 4 : 3, ~0U, 0);
	if ((how & SUPD_CLOSED_INPUT) != 0) {
		close(0);
		close(1);
	}
	if ((how & SUPD_WITH_SOCKET) != 0)
		give_socket();
	execute_supd(how);
	_exit(127);
}

/* A directory that is none, such as a chroot's, cannot be made private. */
static bool
root_is_a_mount(void)
{
	struct statx there;

	return statx(AT_FDCWD, "/", 0, 0, &there) == 0 &&
	    (there.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

bool
supd_start(unsigned how)
{
	unsigned long flags = SIGCHLD |
	    (how & SUPD_AS_INIT ? CLONE_NEWPID | CLONE_NEWNS : 0) |
	    (how & SUPD_FIXED_SYSCTLS ? CLONE_NEWNS : 0);
	int ends[2];

	assert_int_equal(supd_pid, 0);
	if ((flags & CLONE_NEWNS) != 0 && !root_is_a_mount())
		return false;
	if ((how & SUPD_AS_NOBODY) != 0) {
		make_directory_of_nobody("run");
		make_directory_of_nobody("state");
	}
	forget_log();
	rest_forget();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	/* Like fork(), which has no flags. */
	supd_pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (supd_pid == 0)
		run_supd(how, ends[1]);
	close(ends[1]);
	logged.fd = ends[0];
	assert_int_equal(fcntl(logged.fd, F_SETFL, O_NONBLOCK), 0);
	if (supd_pid < 0) {
		supd_pid = 0;
		assert_int_equal(errno, EPERM);
		return false;
	}
	supd_pidfd = (int)syscall(SYS_pidfd_open, supd_pid, 0);
	assert_true(supd_pidfd >= 0);
	return true;
}

bool
supd_start_ready_how(unsigned how, unsigned workers)
{
	if (!supd_start(how))
		return false;
	log_await_ready(workers);
	rest_note();
	log_mark();
	return true;
}

void
supd_start_ready(unsigned workers)
{
	assert_true(supd_start_ready_how(SUPD_PLAIN, workers));
}

void
supd_signal(int signo)
{
	assert_int_equal(kill(supd_pid, signo), 0);
}

json_t *
supervisor_status(void)
{
	int fd = control_open();
	json_t *reply, *supervisor;

	assert_true(fd >= 0);
	reply = control_call(fd, "{\"method\":\"io.supd.Status\"}");
	supervisor = json_incref(json_object_get(json_object_get(reply,
	    "parameters"), "supervisor"));
	assert_non_null(supervisor);
	json_decref(reply);
	close(fd);
	return supervisor;
}

pid_t
supd_own_pid(void)
{
	json_t *supervisor = supervisor_status();
	pid_t pid = (pid_t)json_integer_value(json_object_get(supervisor,
	    "pid"));

	assert_true(pid > 0);
	json_decref(supervisor);
	return pid > 1 ? pid : supd_pid;        /* the first one in a namespace */
}

bool
supd_is_on_trial(void)
{
	json_t *supervisor = supervisor_status();
	bool is = json_is_true(json_object_get(json_object_get(supervisor,
	    "restarted"), "on_trial"));

	json_decref(supervisor);
	return is;
}

void
supd_strike(int signo)
{
	supd_strike_pid(supd_own_pid(), signo);
}

void
supd_strike_pid(pid_t pid, int signo)
{
	int fd = control_open();
	char byte;

	assert_true(fd >= 0);
	/* Answered by this one; who waits in the queue is the next one's. */
	json_decref(control_call(fd,
	    "{\"method\":\"org.varlink.service.GetInfo\"}"));
	assert_int_equal(kill(pid, signo), 0);
	/* It is gone, or another, when this connection is. */
	e2e_await_input(fd);
	assert_true(read(fd, &byte, 1) <= 0);
	close(fd);
}

int
supd_wait(void)
{
	siginfo_t end = { 0 };

	e2e_await_input(supd_pidfd);
	assert_int_equal(waitid(P_PID, (id_t)supd_pid, &end, WEXITED), 0);
	close(supd_pidfd);
	supd_pidfd = -1;
	supd_pid = 0;
	read_log();
	return end.si_code == CLD_EXITED ? end.si_status :
	    128 + end.si_status;
}

/* What supd has killed last may need a moment to die; it is ours then. */
void
supd_assert_nothing_left(void)
{
	pid_t children[FAMILY_MAX];
	siginfo_t end = { 0 };
	int fd;

	while (family_of(getpid(), children) != 0) {
		fd = (int)syscall(SYS_pidfd_open, children[0], 0);
		if (!e2e_input_within(fd, DEATH_MS))
			fail_msg("supd has left a process behind");
		close(fd);
		assert_int_equal(waitid(P_PID, (id_t)children[0], &end,
		    WEXITED), 0);
		assert_int_equal(end.si_status, SIGKILL);
	}
}

void
supd_stop(void)
{
	rest_assert();
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
	supd_assert_nothing_left();
}

void
supd_forget(void)
{
	size_t from;

	if (supd_pid != 0 && logged.bytes != NULL) {
		read_log();
		from = logged.size_bytes > LOG_TAIL_BYTES ?
		    logged.size_bytes - LOG_TAIL_BYTES : 0;
		fprintf(stderr, "--- the end of supd's log:\n%s---\n",
		    logged.bytes + from);
	}
	if (supd_pidfd >= 0)
		close(supd_pidfd);
	supd_pidfd = -1;
	supd_pid = 0;
	forget_log();
}
