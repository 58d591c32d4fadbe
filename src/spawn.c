/*
 * Starting a worker or a task: the parent's side.
 *
 * A start is prepared in static memory, since there is only ever one: the
 * argument vector, the worker's own variables and the child's stack.  Nothing
 * is allocated, so a start cannot fail for that, and the child needs nothing
 * but what lies ready.
 *
 * glibc's clone() is used, not clone3(2).  clone3 could clear the signal
 * handlers in the kernel (CLONE_CLEAR_SIGHAND), but it needs assembly for each
 * kind of machine, and the default seccomp filters of container engines answer
 * it with ENOSYS, since they cannot look at its flags.  So the few handlers
 * that supd has are noted once and reset by the child, while all signals are
 * blocked; a start costs two system calls more for it.
 *
 * CLONE_VFORK means that supd stands still until the child has executed: for
 * about as long as the kernel takes to read the executable's first page.
 */
#include "spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(bytes, size_bytes) ((void)(bytes))
#endif

#include "fd.h"
#include "spawn_child.h"

#define PIDFS_MAGIC 0x50494446

enum {
	STACK_BYTES = 64 << 10,
	OWN_VARIABLES_MAX = 12,
	/* Names, a path, a version and a handful of numbers. */
	OWN_BYTES_MAX = LISTENERS_MAX * (NAME_LENGTH_MAX + 1) +
	    FD_START_NAMES_BYTES_MAX + 1024,
};

static const char *const stage_texts[] = {
#define X(UPPER, text) [SPAWN_##UPPER] = text,
	SPAWN_STAGES(X)
#undef X
};

/* Of supd itself; set by spawn_init(). */
static struct {
	struct rlimit files_limit;
	sigset_t handled;
	int null_fd;
	bool has_pidfd_ids;
} base = { .null_fd = -1 };

/* Of the start in hand. */
static struct {
	struct spawn_child child;
	char *argv[ARGV_MAX + 1];
	char *environment[ENVIRONMENT_MAX + OWN_VARIABLES_MAX + 1];
	size_t environment_count;
	char own[OWN_BYTES_MAX];
	size_t own_bytes;
	char stack[STACK_BYTES] __attribute__((aligned(16)));
} start;

/* Adds a variable of the worker's own, and room for `spare` more bytes. */
static char *__attribute__((format(printf, 2, 3)))
add_variable(size_t spare, const char *format, ...)
{
	size_t room = sizeof(start.own) - start.own_bytes;
	char *text = start.own + start.own_bytes;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, room, format, arguments);
	va_end(arguments);
	assert(length > 0 && (size_t)length + spare < room);
	start.own_bytes += (size_t)length + spare + 1;
	start.environment[start.environment_count++] = text;
	return text + length;
}

static void
add_passed_variables(const struct launch *launch)
{
	struct spawn_child *child = &start.child;

	if (launch->passed_count == 0)
		return;
	add_variable(0, "LISTEN_FDS=%u", launch->passed_count);
	add_variable(0, "LISTEN_FDNAMES=%s", launch->passed_names);
	child->listen_pid = add_variable(SPAWN_NUMBER_BYTES, "LISTEN_PID=");
	if (base.has_pidfd_ids)
		child->pidfd_id = add_variable(SPAWN_NUMBER_BYTES,
		    "LISTEN_PIDFDID=");
}

static void
prepare_environment(const struct launch *launch)
{
	const struct release *release = launch->release;
	const struct spec *spec = release->spec;
	size_t count = 0;

	start.own_bytes = 0;
	for (; release->environment[count] != NULL; count++) {
		assert(count < ENVIRONMENT_MAX);
		start.environment[count] = release->environment[count];
	}
	start.environment_count = count;
	add_variable(0, "SUPD_SERVICE=%s", spec->name);
	add_variable(0, "SUPD_SLOT=%" PRIu32, launch->id.slot);
	add_variable(0, "SUPD_REVISION=%" PRIu32, release->revision);
	if (release->version[0] != '\0')
		add_variable(0, "SUPD_VERSION=%s", release->version);
	if (launch->notify_path != NULL)
		add_variable(0, "NOTIFY_SOCKET=%s", launch->notify_path);
	if (spec->watchdog_ms > 0) {
		add_variable(0, "WATCHDOG_USEC=%" PRIu64,
		    spec->watchdog_ms * 1000);
		start.child.watchdog_pid = add_variable(SPAWN_NUMBER_BYTES,
		    "WATCHDOG_PID=");
	}
	add_passed_variables(launch);
	start.environment[start.environment_count] = NULL;
}

static void
prepare_arguments(const struct release *release)
{
	char *const *argv = release->spec->argv;
	size_t count;

	for (count = 1; argv[count] != NULL; count++) {
		assert(count < ARGV_MAX);
		start.argv[count] = argv[count];
	}
	start.argv[0] = release->path;
	start.argv[count] = NULL;
}

static unsigned
above(int fd, unsigned lowest)
{
	return fd >= 0 && (unsigned)fd >= lowest ? (unsigned)fd + 1 : lowest;
}

/* What is the same for a worker and a task; the rest is set to `none`. */
static void
prepare_for(const struct release *release)
{
	struct spawn_child *child = &start.child;

	child->credentials = &release->credentials;
	child->files_limit = base.files_limit;
	child->handled = base.handled;
	child->null_fd = base.null_fd;
	child->directory_fd = release->directory_fd;
	child->executable_fd = child->output_fd = -1;
	child->ready_write_fd = child->ready_target = -1;
	child->passed_count = 0;
	child->path = NULL;
	child->listen_pid = child->watchdog_pid = child->pidfd_id = NULL;
	child->pidfd = -1;
	child->failure.stage = SPAWN_NONE;
	child->failure.error = 0;
}

static void
pass(int fd)
{
	struct spawn_child *child = &start.child;

	assert(child->passed_count < PASSED_FDS_MAX);
	child->passed_fds[child->passed_count++] = fd;
}

/* Once all fds are known: up to where the table is copied. */
static void
measure_files(void)
{
	struct spawn_child *child = &start.child;
	unsigned i, from = FD_PRIVATE;

	for (i = 0; i < child->passed_count; i++)
		from = above(child->passed_fds[i], from);
	from = above(child->null_fd, from);
	from = above(child->executable_fd, from);
	from = above(child->directory_fd, from);
	from = above(child->output_fd, from);
	child->unshare_from = above(child->ready_write_fd, from);
	child->free_from = (int)above(child->ready_target,
	    3 + child->passed_count);
}

static void
prepare(const struct launch *launch)
{
	const struct release *release = launch->release;
	struct spawn_child *child = &start.child;
	unsigned i;

	prepare_for(release);
	if (release->script)
		child->path = release->path;
	child->executable_fd = release->executable_fd;
	child->ready_write_fd = launch->ready_write_fd;
	if (launch->ready_write_fd >= 0)
		child->ready_target = (int)release->spec->ready_fd;
	for (i = 0; i < launch->passed_count; i++)
		pass(launch->passed_fds[i]);
	measure_files();
	prepare_arguments(release);
	prepare_environment(launch);
	child->argv = start.argv;
	child->environment = start.environment;
}

static void
prepare_task(const struct task_launch *launch)
{
	struct spawn_child *child = &start.child;

	prepare_for(launch->release);
	child->path = launch->path;
	child->argv = launch->argv;
	child->environment = launch->environment;
	child->output_fd = launch->output_fd;
	if (launch->inherited_fd >= 0)
		pass(launch->inherited_fd);
	measure_files();
}

/* Returns the pid or -errno.  When it returns the child has executed or is
 * gone. */
static pid_t
clone_child(void)
{
	sigset_t all, before;
	pid_t pid;

	/* The last child has never returned from its functions. */
	ASAN_UNPOISON_MEMORY_REGION(start.stack, sizeof(start.stack));
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone(spawn_child_main, start.stack + sizeof(start.stack),
	    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_FILES | SIGCHLD,
	    &start.child, &start.child.pidfd);
	if (pid < 0)
		pid = -errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/*
 * A signal that we were started with as ignored would be so in the workers
 * too.  Blocked it does as little to us, and a mask is emptied by the child
 * anyway.
 */
static void
stop_ignoring(int signal_number)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, signal_number);
	(void)sigprocmask(SIG_BLOCK, &one, NULL);
	(void)sigaction(signal_number, &standard, NULL);
}

/*
 * libc keeps the signals below SIGRTMIN to itself and its sigaction() refuses
 * them, but some parents (make) leave them ignored.  All zeros are the kernel's
 * struct for SIG_DFL on every kind of machine.
 */
static void
stop_ignoring_internal(void)
{
	static const unsigned char standard[64];
	int signal_number;

	for (signal_number = 32; signal_number < SIGRTMIN; signal_number++)
		(void)syscall(SYS_rt_sigaction, signal_number, standard, NULL,
		    (NSIG - 1) / 8);
}

static void
examine_signals(void)
{
	struct sigaction action;
	int signal_number;

	stop_ignoring_internal();
	sigemptyset(&base.handled);
	for (signal_number = 1; signal_number < NSIG; signal_number++) {
		if (sigaction(signal_number, NULL, &action) < 0)
			continue;
		if (action.sa_handler == SIG_IGN)
			stop_ignoring(signal_number);
		else if (action.sa_handler != SIG_DFL)
			sigaddset(&base.handled, signal_number);
	}
}

/* An id is an inode of pidfs, and that is 64 bits wide where a long is. */
static bool
find_pidfd_ids(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct statfs status;
	bool found;

	found = sizeof(long) == 8 && pidfd >= 0 &&
	    fstatfs(pidfd, &status) == 0 && status.f_type == PIDFS_MAGIC;
	fd_close(pidfd);
	return found;
}

int
spawn_init(void)
{
	struct rlimit raised;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &base.files_limit) < 0)
		return -errno;
	raised = base.files_limit;
	raised.rlim_cur = raised.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
		return -errno;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	base.null_fd = fd_to_source(fd);
	base.has_pidfd_ids = find_pidfd_ids();
	examine_signals();
	return 0;
}

void
spawn_set_files_limit(const struct rlimit *limit)
{
	base.files_limit = *limit;
}

void
spawn_files_limit(struct rlimit *ret_limit)
{
	*ret_limit = base.files_limit;
}

/* Runs what was prepared. */
static int
run(struct process *ret_process, struct spawn_failure *ret_failure)
{
	struct spawn_child *child = &start.child;
	pid_t pid = clone_child();

	if (pid < 0) {
		ret_failure->stage = SPAWN_CLONE;
		ret_failure->error = -pid;
		return -1;
	}
	if (child->failure.stage != SPAWN_NONE) {
		(void)waitpid(pid, NULL, 0);
		fd_close(child->pidfd);
		*ret_failure = child->failure;
		return -1;
	}
	ret_process->pid = pid;
	ret_process->pidfd = fd_to_private(child->pidfd);
	return 0;
}

int
spawn(const struct launch *launch, struct process *ret_process,
    struct spawn_failure *ret_failure)
{
	prepare(launch);
	return run(ret_process, ret_failure);
}

int
spawn_task(const struct task_launch *launch, struct process *ret_process,
    struct spawn_failure *ret_failure)
{
	prepare_task(launch);
	return run(ret_process, ret_failure);
}

struct exit_status
process_reap(int pidfd)
{
	struct exit_status exit = { .number = -1 };
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) == 0 &&
	    info.si_pid != 0) {
		exit.by_signal = info.si_code != CLD_EXITED;
		exit.number = info.si_status;
	}
	return exit;
}

pid_t
process_pid(int pidfd)
{
	char path[64], text[1024], *line;
	long size;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	size = fd_read_file(AT_FDCWD, path, text, sizeof(text) - 1);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	line = strstr(text, "\nPid:");
	return line != NULL ? (pid_t)strtol(line + 5, NULL, 10) : 0;
}

/* At whatever stage: exec and setuid run out of memory and processes too. */
bool
spawn_refused(const struct spawn_failure *failure)
{
	switch (failure->error) {
	case EAGAIN:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT:
		return true;
	default:
		return false;
	}
}

const char *
spawn_stage_text(enum spawn_stage stage)
{
	return stage_texts[stage];
}
