/*
 * A worker whose connections outlive it: an example of FDSTORE and of
 * supd.handover, see supd-worker(7).
 *
 * It speaks lines over TCP, on connections that are meant to stay, as those of
 * WebSocket are.  Every few milliseconds each client is told the next number,
 *
 *	tick 17 v1 0
 *
 * by which version and in which slot,
 *
 * and a line that it sends comes back as `echo LINE`.  The lines `store` and
 * `crash` make the worker store all its connections and go on, or die.
 *
 * When it is told to stop it leaves its connections to its successor:
 *
 *   - what is known of a connection is in its name: tick.17.3, the last number,
 *     and one of its own, since all of a name are removed at once;
 *   - of what a client has sent only whole lines are taken from the socket
 *     (MSG_PEEK), so that the rest is still there for whoever comes;
 *   - STOPPING=1 is said first, so that supd hands them over at once.
 *
 *   ticker [--version TEXT] [--silent]
 *
 * With --silent it does not say so, and they are handed over when it has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	CLIENTS_MAX = 128,
	LISTENERS_MAX = 8,
	LINE_BYTES_MAX = 1024,
	TICK_MS = 20,
};

static const char prefix[] = "tick.";
static const char handover_name[] = "supd.handover";

struct client {
	int fd;
	uint64_t ticks;                 /* the last number it was told */
	unsigned serial;
	char stored[64];                /* its name in the store, or "" */
};

static struct client clients[CLIENTS_MAX];
static unsigned client_count;
static int listeners[LISTENERS_MAX];
static unsigned listener_count;
static int handover_fd = -1, signal_fd = -1;

static const char *version = "v1", *slot = "0";
static bool silent;

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/*
 * What supd is told
 */

/* One message to supd, with this fd unless it is -1. */
static void
notify(const char *text, int fd)
{
	static int notify_fd = -1;
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr header = { .msg_name = &address,
		.msg_namelen = sizeof(address), .msg_iov = &part,
		.msg_iovlen = 1 };
	struct cmsghdr *rights;

	if (path == NULL || strlen(path) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, path);
	if (notify_fd < 0)
		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(int));
	}
	if (sendmsg(notify_fd, &header, MSG_NOSIGNAL) < 0)
		perror("ticker: sendmsg");
}

/* Else supd's copy would keep the connection open. */
static void
unstore(struct client *client)
{
	char text[128];

	if (client->stored[0] == '\0')
		return;
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s",
	    client->stored);
	notify(text, -1);
	client->stored[0] = '\0';
}

static void
store(struct client *client)
{
	char text[128];

	unstore(client);
	snprintf(client->stored, sizeof(client->stored), "%s%ju.%u", prefix,
	    (uintmax_t)client->ticks, client->serial);
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", client->stored);
	notify(text, client->fd);
}

static void
store_all(void)
{
	for (unsigned i = 0; i < client_count; i++)
		store(&clients[i]);
}

/*
 * Clients
 */

static void
add_client(int fd, uint64_t ticks)
{
	static unsigned serial_last;

	if (client_count == CLIENTS_MAX) {
		close(fd);
		return;
	}
	clients[client_count++] = (struct client){ .fd = fd, .ticks = ticks,
		.serial = ++serial_last };
}

static void
remove_client(unsigned i)
{
	unstore(&clients[i]);
	close(clients[i].fd);
	clients[i] = clients[--client_count];
}

/* A client that does not read is let go: half a line could not be left. */
static bool
tell(const struct client *client, const char *text)
{
	size_t length = strlen(text);

	return send(client->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    (ssize_t)length;
}

static bool
answer(const struct client *client, const char *line)
{
	char text[LINE_BYTES_MAX + 16];

	if (strcmp(line, "crash") == 0) {
		store_all();
		raise(SIGKILL);
	}
	if (strcmp(line, "store") == 0)
		store_all();
	snprintf(text, sizeof(text), "echo %s\n", line);
	return tell(client, text);
}

/* False: it is gone. */
static bool
read_lines(const struct client *client)
{
	char bytes[LINE_BYTES_MAX + 1], *line, *end;
	ssize_t size = recv(client->fd, bytes, LINE_BYTES_MAX,
	    MSG_PEEK | MSG_DONTWAIT);
	int wanted;

	if (size < 0)
		return errno == EAGAIN;
	end = memrchr(bytes, '\n', (size_t)size);
	/* Not to be woken again before there is more. */
	wanted = end == NULL ? (int)size + 1 : 1;
	setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &wanted,
	    sizeof(wanted));
	if (end == NULL)
		return size > 0 && size < LINE_BYTES_MAX;
	size = recv(client->fd, bytes, (size_t)(end + 1 - bytes),
	    MSG_DONTWAIT);
	for (line = bytes; line < bytes + size; line = end + 1) {
		end = memchr(line, '\n', (size_t)(bytes + size - line));
		*end = '\0';
		if (!answer(client, line))
			return false;
	}
	return true;
}

static void
tick(void)
{
	char text[128];

	for (unsigned i = client_count; i-- > 0;) {
		snprintf(text, sizeof(text), "tick %ju %s %s\n",
		    (uintmax_t)++clients[i].ticks, version, slot);
		if (!tell(&clients[i], text))
			remove_client(i);
	}
}

/*
 * What supd gives
 */

static bool
take_stored(int fd, const char *name)
{
	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	add_client(fd, strtoull(name + strlen(prefix), NULL, 10));
	return true;
}

/* What it was started with. */
static void
take_passed(void)
{
	const char *count = getenv("LISTEN_FDS");
	char *names = getenv("LISTEN_FDNAMES"), *name, *rest = NULL;
	int fd = 3, end = 3 + (count != NULL ? atoi(count) : 0);

	if (names == NULL)
		return;
	for (name = strtok_r(names, ":", &rest); name != NULL && fd < end;
	    name = strtok_r(NULL, ":", &rest), fd++) {
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (strcmp(name, handover_name) == 0) {
			handover_fd = fd;
		} else if (!take_stored(fd, name) &&
		    listener_count < LISTENERS_MAX) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			listeners[listener_count++] = fd;
		}
	}
}

/* What a predecessor has left while this one runs: one message for each fd. */
static void
read_handover(void)
{
	char name[256];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { name, sizeof(name) - 1 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(handover_fd, &header,
	    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	int fd;

	if (size == 0)
		handover_fd = -1;       /* supd is gone for good */
	if (size <= 0 || rights == NULL)
		return;
	name[size] = '\0';
	memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	if (!take_stored(fd, name))
		close(fd);
}

/*
 * The loop
 */

static void
leave(void)
{
	if (!silent)
		notify("STOPPING=1", -1);
	store_all();
	exit(0);
}

static void
accept_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		add_client(fd, 0);
}

static void
wait_for_input(uint64_t timeout_ms)
{
	struct pollfd fds[2 + LISTENERS_MAX + CLIENTS_MAX];
	unsigned before = client_count, from = 2 + listener_count;

	fds[0] = (struct pollfd){ .fd = signal_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = handover_fd, .events = POLLIN };
	for (unsigned i = 0; i < listener_count; i++)
		fds[2 + i] = (struct pollfd){ .fd = listeners[i],
			.events = POLLIN };
	for (unsigned i = 0; i < before; i++)
		fds[from + i] = (struct pollfd){ .fd = clients[i].fd,
			.events = POLLIN };
	if (poll(fds, from + before, (int)timeout_ms) <= 0)
		return;
	if (fds[0].revents != 0)
		leave();
	/* From the end: the last one takes the place of one that is removed. */
	for (unsigned i = before; i-- > 0;)
		if (fds[from + i].revents != 0 && !read_lines(&clients[i]))
			remove_client(i);
	if (fds[1].revents != 0)
		read_handover();
	for (unsigned i = 0; i < listener_count; i++)
		if (fds[2 + i].revents != 0)
			accept_client(listeners[i]);
}

static void
run(void)
{
	uint64_t next_ms = now_ms() + TICK_MS;

	for (;;) {
		uint64_t now = now_ms();

		if (now >= next_ms) {
			tick();
			next_ms = now + TICK_MS;
		}
		wait_for_input(next_ms - now);
	}
}

int
main(int argc, char **argv)
{
	sigset_t stop;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--silent") == 0)
			silent = true;
		else if (strcmp(argv[i], "--version") == 0 && i + 1 < argc)
			version = argv[++i];
		else
			return 2;
	}
	if (getenv("SUPD_SLOT") != NULL)
		slot = getenv("SUPD_SLOT");
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal_fd = signalfd(-1, &stop, SFD_CLOEXEC);
	if (signal_fd < 0)
		die("ticker: signalfd");
	take_passed();
	notify("READY=1", -1);
	run();
}
