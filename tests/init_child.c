/*
 * The child of supd-init in its tests.  It says what it was started with, then
 * obeys commands, a line each on standard input, and answers on standard output;
 * the last line of an answer is `ok`.
 *
 *   store NAME KIND [FDPOLL=0]  stores a new fd; NAME `-` sends none
 *   hangup                      closes the other end of the last pipe
 *   dropped                     waits until supd-init has closed its end, too
 *   again FD NAME               stores one that it has
 *   many COUNT [WIDTH]          stores so many, by names m0001 with WIDTH 4
 *   workers COUNT               stores 3 for each of so many, in one message each,
 *                               by names w3.0, w3.1...
 *   dismiss COUNT               removes what `workers` has stored
 *   send TEXT                   sends TEXT (`;` is a newline), without an fd
 *   barrier                     waits until all that was sent is read
 *   catch                       from now on, says which signals come
 *   orphans COUNT               leaves dead ones, and waits until they are reaped
 *   leave stubborn|polite       leaves a process that stays; see leave()
 *   exit CODE
 *   die SIGNAL
 *
 * `store` with `and die` behind it: dies right after, unread; with `and keep`:
 * keeps it open itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, WAIT_MS = 10000, ORPHANS_MAX = 20000, FDS_MAX = 32,
	NOTIFY_FDS_MAX = 3 };

static int other_end = -1;
static char last_pipe[LINE_BYTES];

static void __attribute__((format(printf, 1, 2)))
say(const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	line[length++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)length) != length)
		_exit(3);
}

/* By the byte: the next child goes on with the next line. */
static bool
read_line(char *line)
{
	size_t length = 0;
	ssize_t count;

	while (length < LINE_BYTES - 1) {
		count = read(STDIN_FILENO, line + length, 1);
		if (count < 0 && errno == EINTR)
			continue;
		if (count != 1)
			return false;
		if (line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
	return true;
}

/* What a memfd of ours holds, else a dash. */
static void
say_stored(int fd, const char *name)
{
	char content[LINE_BYTES] = "-";
	ssize_t length = pread(fd, content, sizeof(content) - 1, 0);

	if (length > 0)
		content[length] = '\0';
	say("fd %s %s", name, content);
}

static void
say_start(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	char *names = getenv("LISTEN_FDNAMES"), *name;
	struct rlimit files;
	sigset_t mask;
	int fd = 3;

	say("start %d", (int)getpid());
	say("socket %s", getenv("NOTIFY_SOCKET"));
	say("FDSTORE=%s", getenv("FDSTORE"));
	if (pid != NULL && atoi(pid) != getpid())
		say("LISTEN_PID is %s", pid);
	while (names != NULL && (name = strsep(&names, ":")) != NULL)
		say_stored(fd++, name);
	if (count != NULL && atoi(count) != fd - 3)
		say("LISTEN_FDS is %s", count);
	if (fcntl(fd, F_GETFD) >= 0)
		say("fd %d is open", fd);
	if (sigprocmask(SIG_SETMASK, NULL, &mask) < 0 || !sigisemptyset(&mask))
		say("signals are blocked");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		say("files %d", (int)files.rlim_cur);
	say("ok");
}

static void
notify_with(const char *text, const int *fds, size_t fd_count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control = { { 0 } };
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr header = { .msg_name = &address, .msg_iov = &part,
	    .msg_iovlen = 1 };
	const char *name = getenv("NOTIFY_SOCKET");
	int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	header.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name));
	if (fd_count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&header)->cmsg_len =
		    CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds,
		    fd_count * sizeof(int));
	}
	if (sendmsg(socket_fd, &header, 0) < 0)
		say("sendmsg: %s", strerror(errno));
	close(socket_fd);
}

static void
notify(const char *text, int fd)
{
	notify_with(text, &fd, fd >= 0);
}

static void
wait_for_hangup(int fd)
{
	struct pollfd wanted = { .fd = fd };

	while (poll(&wanted, 1, WAIT_MS) < 0 && errno == EINTR)
		;
	if ((wanted.revents & (POLLHUP | POLLERR)) == 0)
		say("nothing has hung up");
}

static void
barrier(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		_exit(3);
	notify("BARRIER=1", ends[1]);
	close(ends[1]);
	wait_for_hangup(ends[0]);
	close(ends[0]);
}

/* A memfd holds its name, so that the next child knows it. */
static int
make(const char *name, const char *kind)
{
	char path[64];
	int ends[2], fd;

	if (strcmp(kind, "pipe") == 0) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			_exit(3);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
		if (readlink(path, last_pipe, sizeof(last_pipe) - 1) < 0)
			_exit(3);
		other_end = ends[0];
		return ends[1];
	}
	if (strcmp(kind, "event") == 0)
		return eventfd(0, EFD_CLOEXEC);
	fd = memfd_create("content", MFD_CLOEXEC);
	if (fd < 0 || write(fd, name, strlen(name)) < 0)
		_exit(3);
	return fd;
}

static void
store(char *arguments)
{
	const char *name = strsep(&arguments, " ");
	const char *kind = strsep(&arguments, " ");
	char message[LINE_BYTES] = "FDSTORE=1";
	size_t length = strlen(message);
	int fd;

	if (strcmp(name, "-") != 0)
		length += (size_t)snprintf(message + length,
		    sizeof(message) - length, "\nFDNAME=%s", name);
	if (arguments != NULL && strncmp(arguments, "FDPOLL", 6) == 0)
		snprintf(message + length, sizeof(message) - length,
		    "\nFDPOLL=0");
	fd = make(name, kind);
	notify(message, fd);
	if (arguments != NULL && strstr(arguments, "and die") != NULL)
		raise(SIGKILL);
	if (arguments == NULL || strstr(arguments, "and keep") == NULL)
		close(fd);
}

static void
store_many(char *arguments)
{
	int count = atoi(strsep(&arguments, " "));
	int width = arguments != NULL ? atoi(arguments) : 1;
	char message[LINE_BYTES];
	int fd, i;

	for (i = 0; i < count; i++) {
		snprintf(message, sizeof(message),
		    "FDSTORE=1\nFDNAME=m%0*d", width, i);
		fd = memfd_create("many", MFD_CLOEXEC);
		notify(message, fd);
		close(fd);
	}
}

static void
store_workers(int count)
{
	char message[LINE_BYTES];
	int fds[NOTIFY_FDS_MAX], i;
	size_t k;

	for (i = 0; i < count; i++) {
		snprintf(message, sizeof(message),
		    "FDSTORE=1\nFDNAME=w3.%d\nFDPOLL=0", i);
		for (k = 0; k < NOTIFY_FDS_MAX; k++)
			fds[k] = eventfd(0, EFD_CLOEXEC);
		notify_with(message, fds, NOTIFY_FDS_MAX);
		for (k = 0; k < NOTIFY_FDS_MAX; k++)
			close(fds[k]);
	}
}

static void
dismiss_workers(int count)
{
	char message[LINE_BYTES];
	int i;

	for (i = 0; i < count; i++) {
		snprintf(message, sizeof(message),
		    "FDSTOREREMOVE=1\nFDNAME=w3.%d", i);
		notify(message, -1);
	}
}

/* Whether supd-init holds the last pipe. */
static bool
is_held(void)
{
	char path[64], target[LINE_BYTES];
	ssize_t length;
	int fd;

	for (fd = 0; fd < FDS_MAX; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getppid(),
		    fd);
		length = readlink(path, target, sizeof(target) - 1);
		target[length > 0 ? length : 0] = '\0';
		if (strcmp(target, last_pipe) == 0)
			return true;
	}
	return false;
}

static void
wait_until_dropped(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < WAIT_MS && is_held(); i++)
		nanosleep(&pause, NULL);
	if (is_held())
		say("it is not dropped");
}

static void
on_signal(int signo)
{
	int saved = errno;

	say("signal %d", signo);
	errno = saved;
}

static void
catch(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1,
	    SIGUSR2, SIGTERM, SIGWINCH, SIGPWR };
	struct sigaction action = { .sa_handler = on_signal };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

/* Whether the process has gone, and been reaped, within a bound. */
static bool
is_gone(pid_t pid)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < WAIT_MS && kill(pid, 0) == 0; i++)
		nanosleep(&pause, NULL);
	return kill(pid, 0) < 0;
}

/* They die as children of a process that then leaves all of them at once. */
static void
leave_orphans(int count)
{
	static pid_t pids[ORPHANS_MAX];
	pid_t middle, pid;
	int ends[2], i;

	if (count > ORPHANS_MAX || pipe2(ends, O_CLOEXEC) < 0)
		_exit(3);
	middle = fork();
	for (i = 0; middle == 0 && i < count; i++) {
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (write(ends[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(3);
	}
	if (middle == 0)
		_exit(0);
	close(ends[1]);
	for (i = 0; i < count; i++)
		if (read(ends[0], &pids[i], sizeof(pid)) != sizeof(pid))
			_exit(3);
	close(ends[0]);
	waitpid(middle, NULL, 0);
	for (i = 0; i < count && is_gone(pids[i]); i++)
		;
	if (i < count)
		say("%d was not reaped", (int)pids[i]);
}

static void
on_polite(int signo)
{
	say("polite %d", signo);
	_exit(0);
}

/*
 * Leaves a process behind, with our standard output: one that ignores SIGTERM,
 * or one that says that it was told.
 */
static void
leave(const char *kind)
{
	struct sigaction action = { .sa_handler = on_polite };
	pid_t middle = fork();

	if (middle > 0) {
		waitpid(middle, NULL, 0);
		return;
	}
	if (strcmp(kind, "stubborn") == 0)
		action.sa_handler = SIG_IGN;
	sigaction(SIGTERM, &action, NULL);
	if (fork() > 0)
		_exit(0);
	alarm(WAIT_MS / 1000);          /* should the test have failed */
	for (;;)
		pause();
}

/* What it was given back, by its number. */
static void
store_again(char *arguments)
{
	int fd = atoi(strsep(&arguments, " "));
	char message[LINE_BYTES];

	snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s", arguments);
	notify(message, fd);
}

static void
obey(char *line)
{
	char *verb = strsep(&line, " ");

	if (strcmp(verb, "store") == 0)
		store(line);
	else if (strcmp(verb, "again") == 0)
		store_again(line);
	else if (strcmp(verb, "hangup") == 0)
		close(other_end);
	else if (strcmp(verb, "dropped") == 0)
		wait_until_dropped();
	else if (strcmp(verb, "many") == 0)
		store_many(line);
	else if (strcmp(verb, "workers") == 0)
		store_workers(atoi(line));
	else if (strcmp(verb, "dismiss") == 0)
		dismiss_workers(atoi(line));
	else if (strcmp(verb, "barrier") == 0)
		barrier();
	else if (strcmp(verb, "catch") == 0)
		catch();
	else if (strcmp(verb, "orphans") == 0)
		leave_orphans(atoi(line));
	else if (strcmp(verb, "leave") == 0)
		leave(line);
	else if (strcmp(verb, "exit") == 0)
		_exit(atoi(line));
	else if (strcmp(verb, "die") == 0)
		raise(atoi(line));
	else
		say("%s is no command", verb);
}

static void
obey_send(char *text)
{
	char *c;

	for (c = text; *c != '\0'; c++)
		if (*c == ';')
			*c = '\n';
	notify(text, -1);
}

int
main(void)
{
	char line[LINE_BYTES];

	say_start();
	while (read_line(line)) {
		if (strncmp(line, "send ", 5) == 0)
			obey_send(line + 5);
		else
			obey(line);
		say("ok");
	}
	return 0;
}
