/*
 * The path of a unix socket or of a FIFO: what may be replaced, and whose it is.
 *
 * A path is taken only if nothing is there or a socket that nobody answers on:
 * connect() says ECONNREFUSED of such a one, and every other answer means that
 * it is somebody's.  A FIFO that nobody reads says ENXIO to who would write.
 *
 * The socket is bound at the path itself and not under a temporary name that is
 * renamed, since the name stays in the socket for good: servers compare
 * getsockname() of what they inherit with their configuration (and ss(8) shows
 * it).  Nothing is lost by that, as what is replaced is dead; nobody can connect
 * before listen(), so mode and owner are in time.  Who sends datagrams needs
 * what the umask leaves of the mode until then, which is less.
 *
 * Device and inode say whether a path is still ours.  Mode and owner are set
 * through an O_PATH fd, so that they go to the file that was looked at and
 * never to what a symbolic link put in its place points to.
 */
#include "listener_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/unix_diag.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag.h"
#include "fd.h"

static const char *
kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static mode_t
file_type(const struct address *address)
{
	return address->kind == ADDRESS_FIFO ? S_IFIFO : S_IFSOCK;
}

/* 0 if somebody reads, else the errno of open(). */
static int
knock_at_fifo(const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENXIO ? ECONNREFUSED : errno;
	fd_close(fd);
	return 0;
}

/* 0 if somebody answers, else the errno of connect(); or -errno if it could not
 * be called.  One of another type is there, too, and says EPROTOTYPE. */
static int
knock(const struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int error = 0, fd;

	if (address->kind == ADDRESS_FIFO)
		return knock_at_fifo(address->path);
	fd = socket(AF_UNIX, listener_socket_type(address) | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)listener_address_resolve(address, &sockaddr, &bytes);
	if (connect(fd, (const struct sockaddr *)&sockaddr, bytes) != 0)
		error = errno;
	fd_close(fd);
	return error;
}

/* Makes room at the path, or says what is there. */
static int
claim(const struct listener_spec *spec, char *ret_text)
{
	const char *path = spec->address.path;
	const char *what = spec->address.kind == ADDRESS_FIFO ? "FIFO" :
	    "socket";
	struct stat status;
	int error;

	if (lstat(path, &status) != 0)
		return 0;       /* what else is wrong, bind() says */
	if ((status.st_mode & S_IFMT) != file_type(&spec->address)) {
		listener_say(ret_text, spec, "the path is %s, only a %s is"
		    " replaced", kind_name(status.st_mode), what);
		return -EEXIST;
	}
	error = knock(&spec->address);
	if (error < 0) {
		listener_say(ret_text, spec, "cannot look whether the %s is"
		    " in use: %s", what, strerror(-error));
		return error;
	}
	if (error == 0 || error == EAGAIN || error == EPROTOTYPE) {
		listener_say(ret_text, spec, "cannot bind: another process"
		    " listens on this %s", what);
		return -EADDRINUSE;
	}
	if (error != ECONNREFUSED && error != ENOENT) {
		listener_say(ret_text, spec, "the path is a %s that may be"
		    " in use: %s", what, strerror(error));
		return -error;
	}
	if (error == ECONNREFUSED && unlink(path) != 0 && errno != ENOENT) {
		error = errno;
		listener_say(ret_text, spec, "cannot remove the stale %s: %s",
		    what, strerror(error));
		return -error;
	}
	return 0;
}

/* A number, or a name to look up. */
static bool
read_id(const char *text, uint32_t *ret_id)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || value >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)value;
	return true;
}

/* USER[:GROUP]; NULL is supd itself.  0, or -EINVAL if there is no such. */
static int
find_owner(const char *owner, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *passwd;
	const struct group *group;
	char user[256], *colon;

	*ret_uid = geteuid();
	*ret_gid = getegid();
	if (owner == NULL)
		return 0;
	if (snprintf(user, sizeof(user), "%s", owner) >= (int)sizeof(user))
		return -EINVAL;
	colon = strchr(user, ':');
	if (colon != NULL)
		*colon++ = '\0';
	passwd = getpwnam(user);
	if (passwd != NULL) {
		*ret_uid = passwd->pw_uid;
		*ret_gid = passwd->pw_gid;
	} else if (!read_id(user, ret_uid)) {
		return -EINVAL;
	}
	if (colon == NULL)
		return 0;
	group = getgrnam(colon);
	if (group != NULL)
		*ret_gid = group->gr_gid;
	else if (!read_id(colon, ret_gid))
		return -EINVAL;
	return 0;
}

static int
open_node(const struct address *address, struct path_node *ret_node)
{
	struct stat status;
	int fd;

	fd = open(address->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 ||
	    (status.st_mode & S_IFMT) != file_type(address)) {
		fd_close(fd);
		return -ESTALE;
	}
	ret_node->device = status.st_dev;
	ret_node->inode = status.st_ino;
	return fd;
}

static bool
nodes_equal(const struct path_node *a, const struct path_node *b)
{
	return a->device == b->device && a->inode == b->inode;
}

/* The mode first: once it is another's, we might not be allowed to. */
static int
set_node(int node_fd, const struct listener_spec *spec)
{
	char link[32];
	uid_t uid;
	gid_t gid;
	int result;

	result = find_owner(spec->owner, &uid, &gid);
	if (result != 0)
		return result;
	/* There is no chmod() of an O_PATH fd but this. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", node_fd);
	if (chmod(link, (mode_t)spec->mode) != 0 ||
	    fchownat(node_fd, "", uid, gid, AT_EMPTY_PATH) != 0)
		return -errno;
	return 0;
}

/* A node of ours at the path, which nobody may use yet. */
static int
make_node(int fd, const struct listener_spec *spec)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;

	if (spec->address.kind == ADDRESS_FIFO)
		return mkfifo(spec->address.path, 0600) == 0 ? 0 : -errno;
	(void)listener_address_resolve(&spec->address, &sockaddr, &bytes);
	return bind(fd, (const struct sockaddr *)&sockaddr, bytes) == 0 ? 0 :
	    -errno;
}

static int
say_made(const struct listener_spec *spec, int result, char *ret_text)
{
	if (result != 0)
		listener_say(ret_text, spec, "cannot bind: %s%s",
		    strerror(-result), result == -EADDRINUSE ?
		    " (another process listens there)" : "");
	return result;
}

/* For both ends: a reader never sees the last writer go. */
static int
open_fifo(int node_fd, const struct listener_spec *spec)
{
	char link[32];
	int fd;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", node_fd);
	fd = open(link, O_RDWR | O_CLOEXEC | O_NOCTTY |
	    (spec->nonblocking ? O_NONBLOCK : 0));
	return fd >= 0 ? fd : -errno;
}

/* Of the node that was made: the fd that it is served by, the socket's or a new
 * one. */
static int
take_node(int fd, const struct listener_spec *spec, struct path_node *ret_node,
    char *ret_text)
{
	int result, node_fd = open_node(&spec->address, ret_node);

	if (node_fd < 0) {
		listener_say(ret_text, spec, "cannot look at the path that was"
		    " bound: %s", strerror(-node_fd));
		return node_fd;
	}
	result = set_node(node_fd, spec);
	if (result != 0) {
		listener_say(ret_text, spec, "cannot set mode %04o and owner"
		    " '%.100s': %s", (unsigned)spec->mode,
		    spec->owner ? spec->owner : "", strerror(-result));
	} else if (spec->address.kind == ADDRESS_FIFO) {
		result = fd = open_fifo(node_fd, spec);
		if (fd < 0)
			listener_say(ret_text, spec, "cannot open the FIFO:"
			    " %s", strerror(-fd));
	}
	fd_close(node_fd);
	if (result >= 0)
		return fd;
	listener_path_remove(&spec->address, ret_node);
	return result;
}

static int
open_socket(const struct listener_spec *spec, char *ret_text)
{
	int error, fd = socket(AF_UNIX, listener_socket_type(&spec->address) |
	    SOCK_CLOEXEC | (spec->nonblocking ? SOCK_NONBLOCK : 0), 0);

	if (fd >= 0)
		return fd;
	error = errno;
	listener_say(ret_text, spec, "cannot make a socket: %s",
	    strerror(error));
	return -error;
}

int
listener_path_bind(const struct listener_spec *spec,
    struct path_node *ret_node, char *ret_text)
{
	bool file = address_has_file(&spec->address);
	uid_t uid;
	gid_t gid;
	int fd = -1, result;

	assert(spec->address.family == ADDRESS_UNIX);
	if (find_owner(spec->owner, &uid, &gid) != 0) {
		listener_say(ret_text, spec, "no such user or group:"
		    " '%.100s'", spec->owner);
		return -EINVAL;
	}
	result = file ? claim(spec, ret_text) : 0;
	if (result == 0 && spec->address.kind != ADDRESS_FIFO)
		result = fd = open_socket(spec, ret_text);
	if (result < 0)
		return result;
	result = say_made(spec, make_node(fd, spec), ret_text);
	if (result == 0)
		result = file ? take_node(fd, spec, ret_node, ret_text) : fd;
	if (result < 0)
		fd_close(fd);
	return result;
}

int
listener_path_set(const struct listener_spec *spec,
    const struct path_node *node)
{
	struct path_node found;
	int node_fd, result;

	node_fd = open_node(&spec->address, &found);
	if (node_fd == -ENOENT)
		return -ESTALE;
	if (node_fd < 0)
		return node_fd;
	result = nodes_equal(&found, node) ? set_node(node_fd, spec) : -ESTALE;
	fd_close(node_fd);
	return result;
}

static int
read_node(const struct nlmsghdr *header, void *ctx)
{
	struct unix_diag_vfs *ret_node = ctx;
	const struct unix_diag_vfs *node = diag_attribute(header,
	    sizeof(struct unix_diag_msg), UNIX_DIAG_VFS, sizeof(*node));

	if (node == NULL)
		return -EOPNOTSUPP;
	*ret_node = *node;
	return 0;
}

/* Of the device the kernel tells another number than stat() on some file
 * systems, and of the inode the lower half. */
static bool
is_bound_to(uint64_t socket_inode, const struct path_node *node)
{
	struct unix_diag_vfs found;

	return diag_ask_unix(socket_inode, UDIAG_SHOW_VFS, read_node,
	    &found) == 0 &&
	    found.udiag_vfs_ino == (uint32_t)node->inode;
}

/* A socket is another file than the node that it is bound to; a FIFO is it. */
static bool
is_served_by(const struct address *address, const struct path_node *node,
    int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	if (address->kind != ADDRESS_FIFO)
		return is_bound_to(status.st_ino, node);
	return status.st_dev == node->device && status.st_ino == node->inode;
}

bool
listener_path_leads_to(const struct address *address, int fd,
    struct path_node *ret_node)
{
	struct path_node node = { 0, 0 };
	int node_fd;
	bool leads = true;

	if (address_has_file(address)) {
		node_fd = open_node(address, &node);
		leads = node_fd >= 0 && is_served_by(address, &node, fd);
		fd_close(node_fd);
	}
	if (leads)
		*ret_node = node;
	return leads;
}

void
listener_path_remove(const struct address *address,
    const struct path_node *node)
{
	struct path_node found;
	int node_fd;

	if (!address_has_file(address))
		return;
	node_fd = open_node(address, &found);
	/* If it stays, it is a stale one, which the next bind replaces. */
	if (node_fd >= 0 && nodes_equal(&found, node))
		(void)unlink(address->path);
	fd_close(node_fd);
}
