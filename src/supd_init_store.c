/*
 * supd-init: the fd store.
 *
 * What arrives stays at the number that the kernel gives it, which is the lowest
 * that is free; only its name is noted.  RLIMIT_NOFILE bounds all of it.
 */
#include "supd_init.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

int init_stored_count;
static char names[INIT_FDS_MAX][INIT_NAME_BYTES];   /* empty: not stored */
static int end_fd = 3, notify_fd, epoll_fd;
static struct sockaddr_un address = { .sun_family = AF_UNIX };

/* One that crashed tells us again what it had told, and cannot know what came: the
 * same open file is kept once. */
static void
store(int fd, const char *name, bool is_watched)
{
	struct epoll_event hangup = { .data.fd = fd };

	for (int other = 3; other < end_fd; other++)
		if (strcmp(names[other], name) == 0 && syscall(SYS_kcmp,
		    getpid(), getpid(), KCMP_FILE, other, fd) == 0) {
			(void)close(fd);
			return;
		}
	(void)stpncpy(names[fd], name, INIT_NAME_BYTES - 1);
	init_stored_count++;
	end_fd = fd < end_fd ? end_fd : fd + 1;
	if (is_watched)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &hangup);
}

static void
drop(int fd)
{
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	(void)close(fd);
	names[fd][0] = '\0';
	init_stored_count--;
}

/* The text has a newline before and behind each line. */
static void
obey(char *text, const int *fds, size_t fd_count)
{
	bool adds = strstr(text, "\nFDSTORE=1\n") != NULL;
	bool removes = strstr(text, "\nFDSTOREREMOVE=1\n") != NULL;
	bool is_watched = strstr(text, "\nFDPOLL=0\n") == NULL;
	char *line = strstr(text, "\nFDNAME="), *value = line ? line + 8 : NULL;
	const char *name = value ? strsep(&value, "\n") : "stored";

	if (*name == '\0' || strlen(name) >= INIT_NAME_BYTES ||
	    strchr(name, ':') != NULL) {
		init_say("FDNAME= takes 1 to %d characters without ':', not "
		    "\"%s\"; it was ignored", INIT_NAME_BYTES - 1, name);
		name = "stored";
		removes = false;
	}
	for (int fd = 3; removes && fd < end_fd; fd++)
		if (strcmp(names[fd], name) == 0)
			drop(fd);
	for (size_t i = 0; i < fd_count; i++)
		if (adds)
			store(fds[i], name, is_watched);
		else    /* the answer to a BARRIER=1, too */
			(void)close(fds[i]);
}

/* False if there was no message. */
static bool
read_message(pid_t child)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred)) +
	    CMSG_SPACE(INIT_MESSAGE_FDS_MAX * sizeof(int))];
	char text[INIT_MESSAGE_BYTES + 3] = "\n";
	struct iovec part = { text + 1, INIT_MESSAGE_BYTES };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	struct ucred sender = { 0 };
	int fds[INIT_MESSAGE_FDS_MAX];
	size_t fds_bytes = 0;
	ssize_t length = recvmsg(notify_fd, &header,
	    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool is_cut = header.msg_flags & (MSG_TRUNC | MSG_CTRUNC);

	if (length < 0)
		return false;
	for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item != NULL;
	    item = CMSG_NXTHDR(&header, item))
		if (item->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(item), sizeof(sender));
		else if ((fds_bytes = item->cmsg_len - CMSG_LEN(0)) > 0)
			memcpy(fds, CMSG_DATA(item), fds_bytes);
	if (is_cut)
		init_say("a message is too long and ignored, or there is no room "
		    "for its fds beside %d", init_stored_count);
	if (child == 0 || sender.pid != child || is_cut)
		length = 0;
	memcpy(text + 1 + length, "\n", 2);
	obey(text, fds, fds_bytes / sizeof(int));
	return true;
}

void
init_store_turn(pid_t child, int wait_ms)
{
	struct epoll_event events[64];
	int count = epoll_wait(epoll_fd, events, 64, wait_ms);

	while (count-- > 0)
		if (events[count].data.fd != 0)
			drop(events[count].data.fd);
	for (int i = 0; i < INIT_MESSAGES_PER_TURN && read_message(child); i++)
		;
}

int
init_store_open(int signals_fd, int listen_fds, char *listen_names)
{
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);
	struct epoll_event input = { .events = EPOLLIN, .data.fd = 0 };

	for (int fd = 3; fd < 3 + listen_fds; fd++) {
		const char *name = strsep(&listen_names, ":");

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			store(fd, name && *name ? name : "unknown", false);
	}
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signals_fd, &input) < 0 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, notify_fd, &input) < 0 ||
	    setsockopt(notify_fd, SOL_SOCKET, SO_PASSCRED, &(int){ 1 },
	    sizeof(int)) < 0 ||
	    bind(notify_fd, any, sizeof(address.sun_family)) < 0 ||
	    getsockname(notify_fd, any, &size) < 0)
		return -1;
	address.sun_path[0] = '@';
	return 0;
}

/* Upwards, so that each moves down to where nothing is left to move. */
int
init_store_hand_over(void)
{
	static char list[INIT_VARIABLE_BYTES], count[32], pid[32], limit[32];
	char *end = stpcpy(list, "LISTEN_FDNAMES=");
	int to = 3;

	for (int fd = 3; fd < end_fd; fd++) {
		if (names[fd][0] == '\0')
			continue;
		if (end - list >= INIT_VARIABLE_BYTES - INIT_NAME_BYTES) {
			init_say("LISTEN_FDNAMES has no room for '%s'", names[fd]);
			break;
		}
		if (dup2(fd, to) < 0 || fcntl(to, F_SETFD, 0) < 0)
			return -1;
		end = stpcpy(stpcpy(end, to++ > 3 ? ":" : ""), names[fd]);
	}
	(void)snprintf(limit, sizeof(limit), "FDSTORE=%ld",
	    sysconf(_SC_OPEN_MAX) - INIT_OWN_FDS);
	(void)snprintf(count, sizeof(count), "LISTEN_FDS=%d", to - 3);
	(void)snprintf(pid, sizeof(pid), "LISTEN_PID=%d", (int)getpid());
	(void)(unsetenv("LISTEN_FDS") | unsetenv("LISTEN_FDNAMES") |
	    unsetenv("LISTEN_PID") | unsetenv("LISTEN_PIDFDID"));
	return putenv(limit) | setenv("NOTIFY_SOCKET", address.sun_path, 1) |
	    (to > 3 ? putenv(count) | putenv(pid) | putenv(list) : 0);
}
