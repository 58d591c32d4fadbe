/*
 * Waiting, and the next attempt.  The signals that may end a wait are blocked from
 * then on, as the loop will have them: one that comes a moment later is not lost.
 */
#include "failed_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "crash.h"
#include "log.h"

#define WAIT_MIN_MS UINT64_C(100)
#define WAIT_MAX_MS UINT64_C(30000)

static char *const *next_argv;
static struct carried came;

void
failed_start_init(char *const *argv, const struct carried *carried)
{
	next_argv = argv;
	came = *carried;
	if (came.began_ms == 0)         /* nobody knows */
		came.began_ms = clock_ms();
}

/* As long as it has taken already, which doubles it each time. */
static uint64_t
wait_ms(void)
{
	uint64_t ms = clock_ms() - came.began_ms;

	return ms < WAIT_MIN_MS ? WAIT_MIN_MS : ms > WAIT_MAX_MS ? WAIT_MAX_MS :
	    ms;
}

/* A signal, or 0: the time is over. */
static int
await_signal(uint64_t timeout_ms)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ms / 1000),
		.tv_nsec = (long)(timeout_ms % 1000) * 1000000,
	};
	sigset_t set;
	int number;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	do {
		number = sigtimedwait(&set, NULL, &timeout);
	} while (number < 0 && errno == EINTR);
	return number < 0 ? 0 : number;
}

static void
pause_between(void)
{
	uint64_t ms = wait_ms();
	int number;

	log_error("supd does not go on yet; workers serve without it.  It tries "
	    "again in %d.%d s, or at once after SIGHUP; SIGTERM ends it, and "
	    "leaves them alone", (int)(ms / 1000), (int)(ms % 1000 / 100));
	number = await_signal(ms);
	if (number == 0)
		return;
	if (number == SIGHUP) {
		log_notice("SIGHUP: trying again");
		return;
	}
	log_notice("SIG%s: supd ends, and leaves its workers alone",
	    sigabbrev_np(number));
	exit(EXIT_FAILURE);
}

void
failed_start(const char *why, int code)
{
	int program_fd = crash_program(), error;

	crash_return(why);
	if (came.cause == CARRY_START)
		exit(code);
	while (came.cause != CARRY_PARENT && carry_is_whole()) {
		pause_between();
		if (program_fd < 0)
			program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
		error = carry_execute(program_fd, next_argv, &came);
		log_error("supd cannot be executed anew: %s", strerror(-error));
	}
	exit(EXIT_FAILURE);
}
