/*
 * The handler runs on a stack of its own and calls nothing but what
 * signal-safety(7) allows, and backtrace(3), which allocates on its first call
 * only: that is made at the start.  It follows a stack that may be damaged, so
 * the handler may crash there; then it goes on without.
 */
#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "log.h"

enum {
	STACK_BYTES = 64 << 10,
	FRAMES_MAX = 64,
	PAUSE_MS = 1000,
	ATTEMPTS = 10,                  /* to execute another one */
};

/* Whether there is such a parent may not be known yet. */
#define LEFT "left to the parent (systemd, supd-init), without one workers go " \
    "on alone\n"

static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

enum { SIGNAL_COUNT = sizeof(signals) / sizeof(signals[0]) };

static struct {
	char *const *argv;
	int program_fd, previous_fd;
	uint64_t last_ms;               /* of the last crash; 0: none */
	pid_t pid;
	volatile sig_atomic_t entered;  /* how often: see on_crash() */
	char stack[STACK_BYTES];
} crash = { .program_fd = -1, .previous_fd = -1 };

/* Memory comes back, and there may be no parent.  Returns if it does not. */
static void
execute(int program_fd, const struct carried *carried)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		if (i > 0)
			(void)poll(NULL, 0, PAUSE_MS);
		(void)carry_execute(program_fd, crash.argv, carried);
	}
}

static void
go_back(const char *why)
{
	struct carried carried = { .cause = CARRY_RETURN,
		.began_ms = clock_ms() };

	strncpy(carried.detail, why, sizeof(carried.detail) - 1);
	log_raw("supd: error: the upgrade has failed (");
	log_raw(why);
	log_raw("), going back to the supd before\n");
	execute(crash.previous_fd, &carried);
	log_raw("supd: error: it cannot be executed\n");
}

/* The first process has nobody to start it again, and all would die with it. */
static bool
is_enough(uint64_t now_ms)
{
	if (crash.last_ms == 0 || now_ms - crash.last_ms >= CRASH_AGAIN_MS)
		return false;
	if (crash.pid != 1) {
		log_raw("supd: error: the second crash within 10 s; " LEFT);
		return true;
	}
	log_raw("supd: error: the second crash within 10 s; a pause\n");
	(void)poll(NULL, 0, PAUSE_MS);
	return false;
}

static void
start_again(const char *why)
{
	struct carried carried = { .cause = CARRY_CRASH,
		.began_ms = clock_ms() };

	strncpy(carried.detail, why, sizeof(carried.detail) - 1);
	if (is_enough(carried.began_ms))
		return;
	log_raw("supd: error: executing itself again; workers go on\n");
	execute(crash.program_fd, &carried);
	log_raw("supd: error: it cannot be executed; " LEFT);
}

static void
put_backtrace(void)
{
	void *frames[FRAMES_MAX];
	int fd = log_raw_fd();

	if (fd >= 0)
		backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), fd);
}

/*
 * sigabbrev_np() is a table; strsignal(3) is not for handlers.  The second time
 * it is the backtrace that has crashed, the third time all else.
 */
static void
on_crash(int number)
{
	const char *name = sigabbrev_np(number);
	char why[16] = "SIG";

	/* Not a child that shares our memory. */
	if (getpid() == crash.pid && crash.entered < 2) {
		strncat(why, name, sizeof(why) - 4);
		log_raw("supd: error: ");
		log_raw(why);
		if (crash.entered++ == 0) {
			log_raw("; backtrace:\n");
			put_backtrace();
		} else {
			log_raw(" within the backtrace\n");
		}
		if (crash.previous_fd >= 0)
			go_back(why);
		start_again(why);
	}
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

int
crash_init(char *const *argv, const struct carried *carried)
{
	stack_t stack = { .ss_sp = crash.stack, .ss_size = STACK_BYTES };
	struct sigaction action = { .sa_handler = on_crash,
		.sa_flags = SA_ONSTACK | SA_NODEFER };
	void *frame;
	sigset_t set;
	int fd;

	crash.argv = argv;
	crash.pid = getpid();
	/* Without /proc it cannot be executed again. */
	fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	crash.program_fd = fd_to_private(fd);
	if (carried->cause == CARRY_CRASH)
		crash.last_ms = carried->began_ms;
	(void)backtrace(&frame, 1);
	if (sigaltstack(&stack, NULL) < 0)
		return -errno;
	(void)sigemptyset(&set);
	(void)sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < SIGNAL_COUNT; i++) {
		(void)sigaddset(&set, signals[i]);
		if (sigaction(signals[i], &action, NULL) < 0)
			return -errno;
	}
	/* The one that has executed us was in its handler. */
	return sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ? -errno : 0;
}

void
crash_return_to(int program_fd)
{
	fd_close(crash.previous_fd);
	crash.previous_fd = program_fd;
}

void
crash_return(const char *why)
{
	if (crash.previous_fd >= 0)
		go_back(why);
}

int
crash_program(void)
{
	return crash.program_fd;
}
