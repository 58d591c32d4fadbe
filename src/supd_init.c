/*
 * supd-init: the loop and the child.  supd_init.h tells of the whole.
 */
#include "supd_init.h"

#include <errno.h>
#include <getopt.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

static char *const *command;
static pid_t child;                     /* 0: none runs */
static int signals_fd, code, delay_ms;  /* of the one before, and after it */
static bool is_first, stops, reboots, over;
static int64_t start_ms;
static sigset_t child_mask;
static struct rlimit child_files;

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * In a session of its own, so that a terminal's signals reach it once: from us.
 * Its limits are those we had, if they have room.  The kernel sets no PATH.
 */
static void __attribute__((noreturn))
become_child(void)
{
	rlim_t room = (rlim_t)init_stored_count / 7 * 8;

	(void)setsid();
	(void)sigprocmask(SIG_SETMASK, &child_mask, NULL);
	child_files.rlim_cur = MAX(child_files.rlim_cur, room);
	child_files.rlim_max = MAX(child_files.rlim_max, room);
	if (init_store_hand_over() == 0 &&
	    setrlimit(RLIMIT_NOFILE, &child_files) == 0 &&
	    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
	    "/sbin:/bin", 0) == 0)
		(void)execvp(command[0], command);
	init_say("cannot execute %s: %m", command[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

/* One that has stored nothing has nothing to come back to. */
static void
child_has_ended(int status)
{
	init_store_turn(child, 0);      /* its last words */
	child = 0;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	over = code == 0 || init_stored_count == 0;
	delay_ms = now_ms() - start_ms >= INIT_SETTLED_MS ? 0 :
	    MIN(MAX(2 * delay_ms, INIT_DELAY_MIN_MS), INIT_DELAY_MAX_MS);
	start_ms = now_ms() + delay_ms;
	if (!over && !stops)
		init_say("%s ended with %d; in %d ms it is started again, with "
		    "%d fds", command[0], code, delay_ms, init_stored_count);
}

/* A SIGPIPE is our own, from a log that nobody reads. */
static void
pass_on(int signo)
{
	if (signo == SIGCHLD || signo == SIGPIPE)
		return;
	reboots = reboots || (signo == SIGINT && is_first);
	if (signo == SIGPWR || (signo == SIGINT && is_first))
		signo = SIGTERM;
	stops = stops || signo == SIGTERM || signo == SIGINT || signo == SIGQUIT;
	if (child == 0)
		return;
	if (stops)      /* first: nothing is to come while it ends already */
		(void)kill(child, SIGCONT);
	(void)kill(child, signo);
}

/*
 * Waits until something happens, and returns whether there are children left.
 * Pages of code are given back before: the kernel maps 16 for each that is
 * needed once, which would be most of the memory that we take.
 */
static bool
turn(int64_t wait_ms)
{
	extern char __executable_start[];
	ElfW(Phdr) *code_part = (void *)(__executable_start + sizeof(ElfW(Ehdr)));
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)madvise(__executable_start, code_part->p_memsz, MADV_DONTNEED);
	init_store_turn(child, (int)wait_ms);
	while (read(signals_fd, &info, sizeof(info)) == sizeof(info))
		pass_on((int)info.ssi_signo);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			child_has_ended(status);
	return pid == 0;
}

/* Returns whether there are children left. */
static bool
end_others(int signo, unsigned long seconds)
{
	int64_t left_ms, end_ms = now_ms() + (int64_t)seconds * 1000;
	bool are_left = turn(0);

	(void)kill(-1, signo);
	(void)kill(-1, SIGCONT);
	while (are_left && (left_ms = end_ms - now_ms()) > 0)
		are_left = turn(left_ms);
	return are_left;
}

static void
set_up(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int count = pid && fds && atoi(pid) == getpid() ?
	    MAX(0, MIN(atoi(fds), INIT_FDS_MAX / 2)) : 0;
	struct rlimit files;
	sigset_t signals;

	(void)sigfillset(&signals);     /* a fault kills us all the same */
	(void)sigprocmask(SIG_SETMASK, &signals, &child_mask);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)getrlimit(RLIMIT_NOFILE, &child_files);
	files.rlim_cur = files.rlim_max = MAX(child_files.rlim_max,
	    2 * INIT_FDS_MAX);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		files.rlim_max = child_files.rlim_max;
	files.rlim_cur = MIN(INIT_FDS_MAX, files.rlim_max / 8 * 7);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)close_range((unsigned)count + 3, ~0U, 0);
	signals_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init_store_open(signals_fd, count, getenv("LISTEN_FDNAMES")) < 0)
		err(1, "cannot start");
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "grace", 1, NULL, 'g' }, {} };
	static char supd[] = "supd", *standard[] = { supd, NULL }, line[512], more;
	int option;
	unsigned long grace_s = 10;

	(void)setvbuf(stderr, line, _IOLBF, sizeof(line));
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
		if (option != 'g' ||
		    sscanf(optarg, "%lu%c", &grace_s, &more) != 1 ||
		    grace_s > INIT_GRACE_S_MAX) {
			init_say(PACKAGE_VERSION ", usage: supd-init [--grace "
			    "SECONDS] [--] [COMMAND]...; from 0 to %d",
			    INIT_GRACE_S_MAX);
			return 2;
		}
	command = argv[optind] != NULL ? argv + optind : standard;
	is_first = init_boot();
	set_up();
	start_ms = now_ms();
	while (!over && (child != 0 || !stops)) {
		int64_t left_ms = start_ms - now_ms();

		if (child != 0 || left_ms > 0)
			(void)turn(child != 0 ? -1 : left_ms);
		else if ((child = fork()) == 0)
			become_child();
		if (child >= 0)
			continue;
		init_say("cannot fork: %m");
		child_has_ended(126 << 8);
	}
	if (getpid() == 1 && end_others(SIGTERM, grace_s)) {
		init_say("killing what SIGTERM has not ended");
		(void)end_others(SIGKILL, INIT_KILL_S);
	}
	if (is_first) {
		init_say("%s ended with %d", command[0], code);
		init_boot_end(reboots);
	}
	return code;
}
