/*
 * supd-init: the first process of a container or VM without systemd.
 *
 * It has one child, holds its fds (supd_init_store.c), and starts it again with
 * them if it dies; it passes signals on, reaps whatever is left to it, and ends
 * as the child has.  It has to outlive what it guards, so it is small: one loop
 * around poll(2), static memory, no allocation.  What the start of the child
 * needs is made in the child.
 */
#include "supd_init.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_SYSTEM = 1, EXIT_USAGE = 2, EXIT_CANNOT_EXECUTE = 126,
	BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 10000, SETTLED_MS = 10000,
	GRACE_S_MAX = 3600,
	KILL_MS = 5000,         /* for those that SIGKILL does not end */
};

static const char usage[] =
    "usage: supd-init [--grace SECONDS] [--] [COMMAND [ARGUMENT]...]\n"
    "       supd-init --help | --version\n"
    "\n"
    "Runs COMMAND (default: supd) as the first process of a container or VM,\n"
    "and again, with the fds it has stored, if it dies; see supd-init(8).\n"
    "\n"
    "  --grace SECONDS  for all that is left at the end (default: 10)\n";

static struct {
	char *const *command;
	pid_t child;            /* 0: none runs */
	int64_t started_ms, retry_ms, delay_ms, grace_ms;
	bool is_first, has_terminal, stops, reboots, over;
	int code;
	sigset_t mask;          /* the child's, and its limit */
	struct rlimit files;
	uintptr_t code_begin;
	size_t code_bytes;
} init = { .grace_ms = 10000 };

/* Nothing waits for a log that nobody reads. */
void
init_say(const char *format, ...)
{
	struct pollfd error = { STDERR_FILENO, POLLOUT, 0 };
	char line[512] = "supd-init: ";
	size_t length = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(line + length, sizeof(line) - length, format, arguments);
	va_end(arguments);
	length = strlen(line);
	line[length] = '\n';
	if (poll(&error, 1, 0) > 0)
		(void)!write(STDERR_FILENO, line, length + 1);
}

static int64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * A group of its own: what a terminal sends goes to the foreground group, and
 * with us in it the child would get it twice.  With the limit that we were
 * started with it could not open its libraries behind a full store.  The kernel
 * sets no PATH.
 */
static void __attribute__((noreturn))
become_child(void)
{
	(void)setpgid(0, 0);
	if (init.has_terminal)
		(void)tcsetpgrp(STDIN_FILENO, getpgrp());
	if (init_store_hand_over() == 0 && setenv("PATH", "/usr/local/sbin:"
	    "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0) == 0) {
		if (init.files.rlim_cur >= (rlim_t)init_store_end +
		    INIT_FDS_SPARE)
			(void)setrlimit(RLIMIT_NOFILE, &init.files);
		(void)sigprocmask(SIG_SETMASK, &init.mask, NULL);
		(void)execvp(init.command[0], init.command);
	}
	init_say("cannot execute %s: %s", init.command[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : EXIT_CANNOT_EXECUTE);
}

/*
 * One that has stored nothing has nothing to come back to: then those who run
 * the container decide.
 */
static void
child_has_ended(int code)
{
	bool settled = now_ms() - init.started_ms >= SETTLED_MS;

	init.child = 0;
	init.code = code;
	init.over = init.stops || code == 0 || init_store_end == INIT_STORE_FD;
	if (init.over)
		return;
	init.delay_ms = settled ? 0 : init.delay_ms == 0 ? BACKOFF_MIN_MS :
	    init.delay_ms < BACKOFF_MAX_MS / 2 ? init.delay_ms * 2 :
	    BACKOFF_MAX_MS;
	init.retry_ms = now_ms() + init.delay_ms;
	init_say("%s ended with %d; in %d ms it is started again, with %d fds",
	    init.command[0], code, (int)init.delay_ms,
	    init_store_end - INIT_STORE_FD);
}

static void
start_child(void)
{
	init.started_ms = now_ms();
	init.child = fork();
	if (init.child == 0)
		become_child();
	if (init.child > 0)
		return;
	init_say("cannot start %s: %s", init.command[0], strerror(errno));
	child_has_ended(EXIT_CANNOT_EXECUTE);
}

/*
 * Returns whether there are children left.  The child stays a zombie until all
 * is read that it has sent: its pid is nobody else's until then.
 */
static bool
reap(void)
{
	siginfo_t end;

	while (waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) == 0) {
		if (end.si_pid == 0)
			return true;
		if (end.si_pid == init.child)
			init_store_read(init.child);
		(void)waitpid(end.si_pid, NULL, 0);
		if (end.si_pid == init.child)
			child_has_ended(end.si_code == CLD_EXITED ?
			    end.si_status : 128 + end.si_status);
	}
	return false;
}

/* A SIGPIPE is our own, from a log that nobody reads. */
static void
pass_on(int signo)
{
	if (signo == SIGCHLD || signo == SIGPIPE)
		return;
	if (signo == SIGPWR || (signo == SIGINT && init.is_first)) {
		init.reboots = signo == SIGINT;
		signo = SIGTERM;
	}
	if (signo == SIGTERM || signo == SIGINT || signo == SIGQUIT)
		init.stops = true;
	if (init.child == 0)
		init.over = init.over || init.stops;
	else if (kill(init.child, signo) == 0 && init.stops)
		(void)kill(init.child, SIGCONT);
}

static void
read_signals(void)
{
	struct signalfd_siginfo info;

	while (read(INIT_SIGNALS_FD, &info, sizeof(info)) == sizeof(info))
		pass_on((int)info.ssi_signo);
}

/* As process 1 all others, else those that are children by now. */
static void
signal_others(int signo)
{
	static char list[65536];
	char *next = list;
	pid_t pid = -1;
	ssize_t bytes;
	int fd;

	if (getpid() != 1) {
		fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
		bytes = read(fd, list, sizeof(list) - 1);
		list[bytes > 0 ? bytes : 0] = '\0';
		(void)close(fd);
		pid = (pid_t)strtol(next, &next, 10);
	}
	while (pid != 0) {
		(void)kill(pid, signo);
		(void)kill(pid, SIGCONT);
		pid = (pid_t)strtol(next, &next, 10);
	}
}

static void
end_others(void)
{
	int64_t kill_ms = now_ms() + init.grace_ms, left_ms;
	bool told = false;

	signal_others(SIGTERM);
	for (; reap(); read_signals()) {
		left_ms = kill_ms - now_ms();
		if (left_ms <= 0 && !told)
			init_say("killing what SIGTERM has not ended");
		told = left_ms <= 0;
		if (left_ms <= 0)
			signal_others(SIGKILL);
		if (left_ms <= -KILL_MS) {
			init_say("there are processes that do not die");
			return;
		}
		(void)poll(init_polled + INIT_SIGNALS_FD, 1,
		    left_ms > 0 ? (int)left_ms : 100);
	}
}

/*
 * Finds our code, of which the pages are given back before each sleep.  The
 * kernel maps 16 for each that is needed once, which would be most of the memory
 * that we take; between there and the sleep there are three at most.
 */
static int
find_code(struct dl_phdr_info *object, size_t size, void *unused)
{
	(void)size, (void)unused;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		uintptr_t begin = object->dlpi_addr + part->p_vaddr;

		if (part->p_type != PT_LOAD || part->p_flags & PF_W)
			continue;
		if (init.code_begin == 0)
			init.code_begin = begin & -(uintptr_t)getpagesize();
		init.code_bytes = begin + part->p_memsz - init.code_begin;
	}
	return 1;
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "grace", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	static char supd[] = "supd", *standard[] = { supd, NULL };
	int option;
	long seconds;
	char *end;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'h')
			exit(fputs(usage, stdout) < 0);
		if (option == 'V')
			exit(puts("supd-init " PACKAGE_VERSION) < 0);
		if (option != 'g')
			exit(EXIT_USAGE);
		seconds = strtol(optarg, &end, 10);
		if (end == optarg || *end != '\0' || seconds < 0 ||
		    seconds > GRACE_S_MAX) {
			init_say("--grace takes a number from 0 to %d, not "
			    "\"%s\"", GRACE_S_MAX, optarg);
			exit(EXIT_USAGE);
		}
		init.grace_ms = seconds * 1000;
	}
	init.command = optind < argc ? argv + optind : standard;
}

/* Signals come by an fd; a fault kills us also when its signal is blocked. */
static void
set_up(void)
{
	struct rlimit files;
	sigset_t signals;

	(void)sigfillset(&signals);
	(void)sigprocmask(SIG_SETMASK, &signals, &init.mask);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)close_range(INIT_SIGNALS_FD, ~0U, 0);
	if (signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK) !=
	    INIT_SIGNALS_FD || init_store_open() < 0) {
		init_say("cannot start: %s", strerror(errno));
		exit(EXIT_SYSTEM);
	}
	for (int fd = INIT_SIGNALS_FD; fd < INIT_STORE_FD; fd++)
		init_polled[fd] = (struct pollfd){ fd, POLLIN, 0 };
	(void)getrlimit(RLIMIT_NOFILE, &init.files);
	files = init.files;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)dl_iterate_phdr(find_code, NULL);
	init.has_terminal = tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int
main(int argc, char **argv)
{
	int64_t wait_ms;

	read_options(argc, argv);
	init.is_first = init_boot();
	set_up();
	while (!init.over) {
		wait_ms = init.child != 0 ? -1 : init.retry_ms - now_ms();
		if (init.child == 0 && wait_ms <= 0) {
			start_child();
			continue;
		}
		(void)madvise((void *)init.code_begin, init.code_bytes,
		    MADV_DONTNEED);
		if (poll(init_polled + INIT_SIGNALS_FD, (nfds_t)init_store_end -
		    INIT_SIGNALS_FD, (int)wait_ms) > 0)
			init_store_drop_dead();
		read_signals();
		(void)reap();
		init_store_read(init.child);
	}
	end_others();
	if (init.is_first) {
		init_say("%s ended with %d", init.command[0], init.code);
		init_boot_end(init.reboots);
	}
	return init.code;
}
