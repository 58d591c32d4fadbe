/*
 * The control socket itself: binding it, and who may stay.
 *
 * It is bound under a temporary name, gets its group and mode, listens, and is
 * then renamed into place.  So nobody can connect before the mode is right, a
 * stale socket is replaced in one step, and at no moment is there a path that
 * nobody answers on.  That only one supd does this is ensured elsewhere.
 *
 * Who is refused gets one error and is closed without having become a client;
 * what it sends meanwhile is not read.  What clients say is ctlsock_client.c.
 */
#include "ctlsock.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bounds.h"
#include "carry.h"
#include "ctlsock_client.h"
#include "ctlsock_reserve.h"
#include "fd.h"
#include "log.h"
#include "reactor.h"

#define TEMPORARY_SUFFIX ".new"
#define CARRIED_NAME "supd-control"
#define ACCEPT_PAUSE_MS UINT64_C(1000)

static struct {
	int fd;
	bool open;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
	gid_t group;
	struct watch watch;
	struct alarm pause;
	bool paused;            /* since accept(2) failed; said in the log */
} control;

/* 0 if nobody is there (a stale socket counts as nobody), or -errno. */
static int
look_for_owner(const struct sockaddr_un *address)
{
	struct stat status;
	int error, fd;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = connect(fd, (const struct sockaddr *)address,
	    sizeof(*address)) < 0 ? errno : 0;
	fd_close(fd);
	if (error == ECONNREFUSED || error == ENOENT)
		return 0;
	/* Its queue may be full (EAGAIN), or it is not one of ours. */
	return error == 0 || error == EAGAIN || error == EPROTOTYPE ?
	    -EADDRINUSE : -error;
}

/* Group and mode, then listen: before that nobody can connect. */
static int
prepare(int fd, const struct sockaddr_un *address, gid_t group)
{
	const char *path = address->sun_path;
	struct stat status;

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return -errno;
	if ((group != (gid_t)-1 && chown(path, (uid_t)-1, group) < 0) ||
	    chmod(path, group != (gid_t)-1 ? 0660 : 0600) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0 || lstat(path, &status) < 0)
		return -errno;
	control.device = status.st_dev;
	control.inode = status.st_ino;
	return 0;
}

static int
publish(int fd, const char *path, gid_t group)
{
	struct sockaddr_un final = { .sun_family = AF_UNIX };
	struct sockaddr_un temporary = { .sun_family = AF_UNIX };
	int error;

	strcpy(final.sun_path, path);           /* the caller checked it */
	strcpy(temporary.sun_path, path);
	strcat(temporary.sun_path, TEMPORARY_SUFFIX);
	error = look_for_owner(&final);
	if (error < 0)
		return error;
	(void)unlink(temporary.sun_path);       /* of a supd that died here */
	error = prepare(fd, &temporary, group);
	if (error == 0 && rename(temporary.sun_path, path) < 0)
		error = -errno;
	if (error < 0)
		(void)unlink(temporary.sun_path);
	return error;
}

/* As they were when it connected.  Without memory: no. */
static bool
peer_has_group(int fd, gid_t group)
{
	socklen_t bytes = 0;
	gid_t *groups;
	bool found = false;
	size_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &bytes) == 0 ||
	    errno != ERANGE)
		return false;           /* it has none */
	groups = malloc(bytes);
	if (groups == NULL)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) == 0)
		for (i = 0; i < bytes / sizeof(groups[0]); i++)
			found = found || groups[i] == group;
	free(groups);
	return found;
}

static bool
is_permitted(int fd, const struct ucred *peer)
{
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	return control.group != (gid_t)-1 && (peer->gid == control.group ||
	    peer_has_group(fd, control.group));
}

/* One error with one parameter, and closed. */
static void
turn_away(int fd, const char *error, const char *parameter, unsigned value)
{
	char text[128];
	int count;

	count = snprintf(text, sizeof(text), "{\"error\":\"io.supd.%s\","
	    "\"parameters\":{\"%s\":%u}}", error, parameter, value);
	assert(count > 0 && (size_t)count < sizeof(text));
	(void)send(fd, text, (size_t)count + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	fd_close(fd);
	ctlsock_reserve_fill();
}

static void
admit(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t bytes = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 ||
	    !is_permitted(fd, &peer)) {
		log_notice("control connection refused: uid=%u pid=%d",
		    (unsigned)peer.uid, (int)peer.pid);
		turn_away(fd, "PermissionDenied", "uid", (unsigned)peer.uid);
	} else if (!ctlsock_client_has_room()) {
		log_notice("control connection refused: there are %d clients, "
		    "pid=%d", CLIENTS_MAX, (int)peer.pid);
		turn_away(fd, "Busy", "limit", CLIENTS_MAX);
	} else if (ctlsock_client_add(fd) < 0) {
		log_warning("control connection closed: no memory");
	}
}

static void
end_pause(void *ctx)
{
	(void)ctx;
	reactor_rewatch(&control.watch, REACTOR_READ);
}

/* The connection stays in the queue and would wake us without end. */
static void
pause_accepting(int error)
{
	if (!control.paused)
		log_warning("control connections wait: accept: %s",
		    strerror(error));
	control.paused = true;
	reactor_rewatch(&control.watch, 0);
	reactor_set_alarm(&control.pause, ACCEPT_PAUSE_MS, end_pause, NULL);
}

static int
accept_next(void)
{
	return accept4(control.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void
accept_client(void *ctx, int events)
{
	int error, fd;

	(void)ctx, (void)events;
	fd = accept_next();
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) &&
	    ctlsock_reserve_give())
		fd = accept_next();
	if (fd >= 0) {
		control.paused = false;
		admit(fd);
		return;
	}
	error = errno;
	ctlsock_reserve_fill();
	if (error != EAGAIN && error != EINTR && error != ECONNABORTED)
		pause_accepting(error);
}

static int
make_socket(const char *path, gid_t group)
{
	int error, fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = publish(fd, path, group);
	if (error == 0)
		return fd;
	fd_close(fd);
	return error;
}

/* That of the supd before, with whoever waits in its queue; the directory is
 * ours alone, so that the path leads to it if it leads to a socket.  -1: none. */
static int
inherit_socket(const char *path)
{
	int fd = carry_take(CARRIED_NAME), listens = 0;
	socklen_t bytes = sizeof(listens);
	struct stat status;

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 &&
	    listens && lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) {
		control.device = status.st_dev;
		control.inode = status.st_ino;
		return fd;
	}
	fd_close(fd);
	return -1;
}

static void
serve(int fd)
{
	control.fd = fd_to_private(fd);
	carry_put(CARRIED_NAME, &control.fd, 1, true);
	reactor_watch(&control.watch, control.fd, REACTOR_READ, accept_client,
	    NULL);
}

int
ctlsock_open(const char *path, gid_t group,
    const struct ctlsock_handler *handler)
{
	int error, fd;

	assert(!control.open);
	if (strlen(path) + sizeof(TEMPORARY_SUFFIX) > sizeof(control.path))
		return -ENAMETOOLONG;
	memset(&control, 0, sizeof(control));
	error = ctlsock_client_init(handler);
	if (error < 0)
		return error;
	fd = inherit_socket(path);
	if (fd < 0)
		fd = make_socket(path, group);
	if (fd < 0) {
		ctlsock_client_release();
		return fd;
	}
	strcpy(control.path, path);
	control.group = group;
	control.open = true;
	serve(fd);
	ctlsock_reserve_fill();
	return 0;
}

bool
ctlsock_is_there(void)
{
	struct stat status;

	return lstat(control.path, &status) == 0 &&
	    status.st_dev == control.device && status.st_ino == control.inode;
}

int
ctlsock_restore(void)
{
	int fd;

	if (ctlsock_is_there())
		return 0;
	fd = make_socket(control.path, control.group);
	if (fd < 0)
		return fd;
	reactor_unwatch(&control.watch);
	carry_drop(CARRIED_NAME);
	fd_close(control.fd);
	serve(fd);
	return 0;
}

void
ctlsock_close(void)
{
	if (!control.open)
		return;
	control.open = false;
	reactor_unwatch(&control.watch);
	reactor_clear_alarm(&control.pause);
	if (ctlsock_is_there())
		(void)unlink(control.path);
	carry_drop(CARRIED_NAME);
	fd_clear(&control.fd);
	ctlsock_client_release();
	ctlsock_reserve_release();
}
