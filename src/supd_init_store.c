/*
 * The fd store of supd-init: systemd's protocol, so that a service has one way
 * to survive its own death under both.
 *
 * The store is the fd table itself: what arrives gets the lowest free numbers,
 * which are the end of the store, and the last fd moves to where one is removed.
 * So nothing is to be sorted out when all are handed over: they move down.
 *
 * The socket has an abstract name that the kernel chooses (unix(7), autobind):
 * no directory has to be writable, nothing stays behind, and no two supd-inits
 * of a network namespace meet.  Anybody there can send to it; what is not from
 * the child itself, as the kernel says, is dropped.
 */
#include "supd_init.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	NAME_BYTES = 255 + 1,
	NAMES_BYTES = 131072 - sizeof("LISTEN_FDNAMES="), /* the kernel's */
	MESSAGE_BYTES = 4096,
	MESSAGE_FDS_MAX = 253,          /* the kernel's SCM_MAX_FD */
	MESSAGES_PER_TURN = 1024,       /* strangers can send for ever */
};

int init_store_end = INIT_STORE_FD;
struct pollfd init_polled[INIT_FDS_MAX];

static struct {                         /* by fd */
	char name[NAME_BYTES];
	bool watched;
	dev_t device;
	ino_t inode;
} stored[INIT_FDS_MAX];
static size_t names_bytes;              /* with a ':' or NUL after each */
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/*
 * Of one inode.  Containers often forbid kcmp(2); then the way it is opened
 * tells the ends of a pipe apart, but nothing tells devices and anonymous fds.
 */
static bool
same_file(int a, int b, mode_t type)
{
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	if (order >= 0)
		return order == 0;
	return (S_ISSOCK(type) || S_ISREG(type) || S_ISFIFO(type)) &&
	    fcntl(a, F_GETFL) == fcntl(b, F_GETFL);
}

static bool
is_stored(int fd, const struct stat *status)
{
	for (int i = INIT_STORE_FD; i < init_store_end; i++)
		if (stored[i].device == status->st_dev &&
		    stored[i].inode == status->st_ino &&
		    same_file(fd, i, status->st_mode))
			return true;
	return false;
}

/* The fd is at the end of the store or above, and ours to close. */
static void
store(int fd, const char *name, bool watched)
{
	size_t bytes = strlen(name) + 1;
	struct rlimit files = { 0 };
	struct stat status;
	int end = init_store_end;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	if (fstat(fd, &status) < 0 || is_stored(fd, &status)) {
		(void)close(fd);
	} else if (end == INIT_FDS_MAX || names_bytes + bytes > NAMES_BYTES ||
	    (rlim_t)end + INIT_FDS_SPARE > files.rlim_cur) {
		init_say("no room for '%s': stored are %d fds of at most %d "
		    "(RLIMIT_NOFILE is %ju), with %zu bytes of names of at "
		    "most %d", name, end - INIT_STORE_FD, INIT_STORED_MAX,
		    (uintmax_t)files.rlim_cur, names_bytes, (int)NAMES_BYTES);
		(void)close(fd);
	} else {
		names_bytes += bytes;
		memcpy(stored[end].name, name, bytes);
		stored[end].watched = watched;
		stored[end].device = status.st_dev;
		stored[end].inode = status.st_ino;
		init_polled[end].fd = watched ? end : -1;
		if (dup3(fd, init_store_end++, O_CLOEXEC) >= 0)
			(void)close(fd);        /* else it is there */
	}
}

static void
drop(int fd)
{
	int last = --init_store_end;

	names_bytes -= strlen(stored[fd].name) + 1;
	if (fd != last) {
		(void)dup3(last, fd, O_CLOEXEC);
		stored[fd] = stored[last];
		init_polled[fd].fd = stored[fd].watched ? fd : -1;
	}
	(void)close(last);
}

/* From the end: what moves to a lower place has been looked at. */
void
init_store_drop_dead(void)
{
	for (int fd = init_store_end; fd-- > INIT_STORE_FD;)
		if (init_polled[fd].revents != 0)
			drop(fd);
}

/* Fds that are not stored are closed; that is the answer to a BARRIER=1. */
static void
obey(char *text, const int *fds, size_t fd_count)
{
	bool adds = false, removes = false, watched = true;
	const char *line, *name = NULL, *c;

	while ((line = strsep(&text, "\n")) != NULL) {
		adds = adds || strcmp(line, "FDSTORE=1") == 0;
		removes = removes || strcmp(line, "FDSTOREREMOVE=1") == 0;
		watched = watched && strcmp(line, "FDPOLL=0") != 0;
		if (strncmp(line, "FDNAME=", 7) == 0)
			name = line + 7;
	}
	for (c = name; c != NULL && *c >= ' ' && *c <= '~' && *c != ':'; c++)
		;
	if (c != NULL && (*c != '\0' || c - name >= NAME_BYTES)) {
		init_say("FDNAME= takes at most %d characters of printable "
		    "ASCII, and no ':'; it was ignored", NAME_BYTES - 1);
		name = NULL;
	}
	for (int fd = init_store_end; removes && name && fd-- > INIT_STORE_FD;)
		if (strcmp(stored[fd].name, name) == 0)
			drop(fd);
	for (size_t i = 0; i < fd_count; i++)
		if (adds)
			store(fds[i], name != NULL ? name : "stored", watched);
		else
			(void)close(fds[i]);
}

/* False if there was no message. */
static bool
read_message(pid_t child)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred)) +
	    CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
	char text[MESSAGE_BYTES + 1];
	struct iovec part = { text, MESSAGE_BYTES };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	struct ucred sender = { 0 };
	int fds[MESSAGE_FDS_MAX];
	size_t fds_bytes = 0;
	ssize_t length = recvmsg(INIT_NOTIFY_FD, &header,
	    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (length < 0)
		return false;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item != NULL;
	    item = CMSG_NXTHDR(&header, item)) {
		if (item->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(item), sizeof(sender));
		if (item->cmsg_type != SCM_RIGHTS)
			continue;
		fds_bytes = item->cmsg_len - CMSG_LEN(0);
		memcpy(fds, CMSG_DATA(item), fds_bytes);
	}
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		init_say("a message was ignored: it has over %d bytes, or there "
		    "is no room for its fds (RLIMIT_NOFILE)", MESSAGE_BYTES);
	if (child == 0 || sender.pid != child ||
	    header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		length = 0;
	text[length] = '\0';
	obey(text, fds, fds_bytes / sizeof(int));
	return true;
}

void
init_store_read(pid_t child)
{
	for (int i = 0; i < MESSAGES_PER_TURN && read_message(child); i++)
		;
}

int
init_store_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);

	if (fd != INIT_NOTIFY_FD ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(fd, any, sizeof(address.sun_family)) < 0 ||
	    getsockname(fd, any, &size) < 0)
		return -1;
	address.sun_path[0] = '@';
	return 0;
}

int
init_store_hand_over(void)
{
	static char names[NAMES_BYTES];
	char *end = names, count[16], limit[16], pid[16];
	int fd;

	for (fd = INIT_STORE_FD; fd < init_store_end; fd++) {
		if (dup2(fd, fd - INIT_STORE_FD + 3) < 0)
			return -1;
		end = stpcpy(stpcpy(end, fd > INIT_STORE_FD ? ":" : ""),
		    stored[fd].name);
	}
	(void)snprintf(count, sizeof(count), "%d", fd - INIT_STORE_FD);
	(void)snprintf(limit, sizeof(limit), "%d", INIT_STORED_MAX);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (setenv("NOTIFY_SOCKET", address.sun_path, 1) < 0 ||
	    setenv("FDSTORE", limit, 1) < 0 ||
	    setenv("LISTEN_FDNAMES", names, 1) < 0 ||
	    setenv("LISTEN_PID", pid, 1) < 0 ||
	    setenv("LISTEN_FDS", count, 1) < 0)
		return -1;
	(void)unsetenv("LISTEN_PIDFDID");
	return fd > INIT_STORE_FD ? 0 : unsetenv("LISTEN_FDNAMES") |
	    unsetenv("LISTEN_PID") | unsetenv("LISTEN_FDS");
}
