/*
 * The child between clone and exec.
 *
 * It runs in supd's memory, on a stack of its own, while supd stands still.
 * Therefore: system calls only, nothing that allocates or takes a lock, and
 * nothing is written but the struct it was given (and errno).  Everything else
 * was prepared by spawn.c, so that what happens here is a list of steps; the
 * first that fails is reported by a plain store, and that is the end.
 *
 * Users and groups are set by bare system calls.  libc's functions for it
 * change all threads of the process, by a list and locks that lie in the
 * memory we borrow: they would signal supd's threads, not ours.
 */
#include "spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 32-bit machines have kept calls for 16-bit ids under the plain names. */
#ifdef SYS_setresuid32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETRESUID SYS_setresuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETRESUID SYS_setresuid
#endif

/* A handler of supd's must not run here, above all not the one for crashes,
 * which starts supd again.  All signals are still blocked. */
static void
reset_handlers(const struct spawn_child *child)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	int signal_number;

	for (signal_number = 1; signal_number < NSIG; signal_number++) {
		if (sigismember(&child->handled, signal_number) == 1)
			(void)sigaction(signal_number, &standard, NULL);
	}
}

static void
write_number(char *text, uint64_t number)
{
	char digits[SPAWN_NUMBER_BYTES];
	unsigned count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		*text++ = digits[--count];
	*text = '\0';
}

/* The pidfd was made with us, in the table that we still share. */
static int
write_numbers(struct spawn_child *child)
{
	struct stat status;

	if (child->listen_pid != NULL)
		write_number(child->listen_pid, (uint64_t)getpid());
	if (child->watchdog_pid != NULL)
		write_number(child->watchdog_pid, (uint64_t)getpid());
	if (child->pidfd_id == NULL)
		return 0;
	if (fstat(child->pidfd, &status) < 0)
		return -1;
	write_number(child->pidfd_id, status.st_ino);
	return 0;
}

static bool
is_target(int fd, const struct spawn_child *child)
{
	if (fd == STDOUT_FILENO || fd == STDERR_FILENO)
		return child->output_fd >= 0;
	return fd == STDIN_FILENO || fd == child->ready_target ||
	    (fd >= 3 && fd < 3 + (int)child->passed_count);
}

/*
 * Moves an fd out of the way of those that have their place where it is now,
 * also if that place is its own: dup2(fd, fd) would leave it close-on-exec.
 */
static int
move_aside(int *fd, const struct spawn_child *child)
{
	if (*fd < 0 || !is_target(*fd, child))
		return 0;
	*fd = fcntl(*fd, F_DUPFD_CLOEXEC, child->free_from);
	return *fd < 0 ? -1 : 0;
}

static int
move_all_aside(struct spawn_child *child)
{
	unsigned i;

	for (i = 0; i < child->passed_count; i++) {
		if (move_aside(&child->passed_fds[i], child) < 0)
			return -1;
	}
	if (move_aside(&child->null_fd, child) < 0 ||
	    move_aside(&child->output_fd, child) < 0 ||
	    move_aside(&child->ready_write_fd, child) < 0 ||
	    move_aside(&child->executable_fd, child) < 0)
		return -1;
	return move_aside(&child->directory_fd, child);
}

static int
place_standard(const struct spawn_child *child)
{
	if (dup2(child->null_fd, STDIN_FILENO) < 0)
		return -1;
	if (child->output_fd < 0)
		return 0;
	return dup2(child->output_fd, STDOUT_FILENO) < 0 ? -1 :
	    dup2(child->output_fd, STDERR_FILENO);
}

/* Until the first call has returned the table is supd's own. */
static int
arrange_files(struct spawn_child *child)
{
	unsigned i;

	if (close_range(child->unshare_from, ~0U, CLOSE_RANGE_UNSHARE) < 0 ||
	    move_all_aside(child) < 0 || place_standard(child) < 0)
		return -1;
	for (i = 0; i < child->passed_count; i++) {
		if (dup2(child->passed_fds[i], 3 + (int)i) < 0)
			return -1;
	}
	if (close_range(3 + child->passed_count, ~0U,
	    CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	if (child->ready_write_fd < 0)
		return 0;
	return dup2(child->ready_write_fd, child->ready_target) < 0 ? -1 : 0;
}

static int
start_session(struct spawn_child *child)
{
	(void)child;
	return setsid() < 0 ? -1 : 0;
}

static int
set_limits(struct spawn_child *child)
{
	umask(022);
	return setrlimit(RLIMIT_NOFILE, &child->files_limit);
}

static int
enter_directory(struct spawn_child *child)
{
	return fchdir(child->directory_fd);
}

static int
set_groups(struct spawn_child *child)
{
	if (!child->credentials->change)
		return 0;
	return (int)syscall(CALL_SETGROUPS, child->credentials->group_count,
	    child->credentials->groups);
}

static int
set_group(struct spawn_child *child)
{
	gid_t gid = child->credentials->gid;

	if (!child->credentials->change)
		return 0;
	return (int)syscall(CALL_SETRESGID, gid, gid, gid);
}

static int
set_user(struct spawn_child *child)
{
	uid_t uid = child->credentials->uid;

	if (!child->credentials->change)
		return 0;
	return (int)syscall(CALL_SETRESUID, uid, uid, uid);
}

static int
execute(struct spawn_child *child)
{
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return -1;
	if (child->path != NULL)
		return execve(child->path, child->argv, child->environment);
	return execveat(child->executable_fd, "", child->argv,
	    child->environment, AT_EMPTY_PATH);
}

static const struct {
	enum spawn_stage stage;
	int (*run)(struct spawn_child *);
} steps[] = {
	{ SPAWN_FILES, write_numbers },
	{ SPAWN_FILES, arrange_files },
	{ SPAWN_SESSION, start_session },
	{ SPAWN_LIMITS, set_limits },
	{ SPAWN_DIRECTORY, enter_directory },
	{ SPAWN_GROUPS, set_groups },
	{ SPAWN_GROUP, set_group },
	{ SPAWN_USER, set_user },
	{ SPAWN_EXECUTE, execute },
};

int
spawn_child_main(void *argument)
{
	struct spawn_child *child = argument;
	unsigned i = 0;

	reset_handlers(child);
	while (steps[i].run(child) == 0)
		i++;
	child->failure.stage = steps[i].stage;
	child->failure.error = errno;
	_exit(127);
}
