/*
 * The path of a unix socket: what may be replaced, and whose it is.
 *
 * A path is taken only if nothing is there or a socket that nobody answers on:
 * connect() says ECONNREFUSED of such a one, and every other answer means that
 * it is somebody's.  The socket is bound at the path itself and not under a
 * temporary name that is renamed, since the name stays in the socket for good:
 * servers compare getsockname() of what they inherit with their configuration
 * (and ss(8) shows it).  Nothing is lost by that, as what is replaced is dead;
 * nobody can connect before listen(), so mode and owner are in time.
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
#include <linux/sock_diag.h>
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
		return "a fifo";
	default:
		return "a device";
	}
}

/* 0 if somebody answers, else the errno of connect(); or -errno if it could not
 * be called. */
static int
knock(const struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int error = 0, fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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
	struct stat status;
	int error;

	if (lstat(path, &status) != 0)
		return 0;       /* what else is wrong, bind() says */
	if (!S_ISSOCK(status.st_mode)) {
		listener_say(ret_text, spec, "the path is %s, only a socket is"
		    " replaced", kind_name(status.st_mode));
		return -EEXIST;
	}
	error = knock(&spec->address);
	if (error < 0) {
		listener_say(ret_text, spec, "cannot look whether the socket is"
		    " in use: %s", strerror(-error));
		return error;
	}
	if (error == 0 || error == EAGAIN || error == EPROTOTYPE) {
		listener_say(ret_text, spec, "cannot bind: another process"
		    " listens on this socket");
		return -EADDRINUSE;
	}
	if (error != ECONNREFUSED && error != ENOENT) {
		listener_say(ret_text, spec, "the path is a socket that may be"
		    " in use: %s", strerror(error));
		return -error;
	}
	if (error == ECONNREFUSED && unlink(path) != 0 && errno != ENOENT) {
		error = errno;
		listener_say(ret_text, spec, "cannot remove the stale socket:"
		    " %s", strerror(error));
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
open_node(const char *path, struct path_node *ret_node)
{
	struct stat status;
	int fd;

	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 || !S_ISSOCK(status.st_mode)) {
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

static int
bind_node(int fd, const struct listener_spec *spec, struct path_node *ret_node,
    char *ret_text)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int error, node_fd, result;

	(void)listener_address_resolve(&spec->address, &sockaddr, &bytes);
	if (bind(fd, (const struct sockaddr *)&sockaddr, bytes) != 0) {
		error = errno;
		listener_say(ret_text, spec, "cannot bind: %s",
		    strerror(error));
		return -error;
	}
	node_fd = open_node(spec->address.path, ret_node);
	result = node_fd < 0 ? node_fd : set_node(node_fd, spec);
	fd_close(node_fd);
	if (result == 0)
		return 0;
	if (node_fd >= 0)
		listener_path_remove(spec->address.path, ret_node);
	listener_say(ret_text, spec, "cannot set mode %04o and owner '%.100s':"
	    " %s", (unsigned)spec->mode, spec->owner ? spec->owner : "",
	    strerror(-result));
	return result;
}

int
listener_path_bind(const struct listener_spec *spec,
    struct path_node *ret_node, char *ret_text)
{
	uid_t uid;
	gid_t gid;
	int fd, result;

	assert(spec->address.family == ADDRESS_UNIX);
	if (find_owner(spec->owner, &uid, &gid) != 0) {
		listener_say(ret_text, spec, "no such user or group:"
		    " '%.100s'", spec->owner);
		return -EINVAL;
	}
	result = claim(spec, ret_text);
	if (result != 0)
		return result;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
	    (spec->nonblocking ? SOCK_NONBLOCK : 0), 0);
	if (fd < 0) {
		result = -errno;
		listener_say(ret_text, spec, "cannot make a socket: %s",
		    strerror(-result));
		return result;
	}
	result = bind_node(fd, spec, ret_node, ret_text);
	if (result == 0)
		return fd;
	fd_close(fd);
	return result;
}

int
listener_path_set(const struct listener_spec *spec,
    const struct path_node *node)
{
	struct path_node found;
	int node_fd, result;

	node_fd = open_node(spec->address.path, &found);
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
	const struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.request = {
			.sdiag_family = AF_UNIX,
			.udiag_ino = (uint32_t)socket_inode,
			.udiag_show = UDIAG_SHOW_VFS,
			.udiag_cookie = { UINT32_MAX, UINT32_MAX }, /* any */
		},
	};
	struct unix_diag_vfs found;

	return diag_ask(&message.header, read_node, &found) == 0 &&
	    found.udiag_vfs_ino == (uint32_t)node->inode;
}

bool
listener_path_leads_to(const char *path, uint64_t socket_inode,
    struct path_node *ret_node)
{
	struct path_node node;
	int node_fd = open_node(path, &node);
	bool leads = node_fd >= 0 && is_bound_to(socket_inode, &node);

	fd_close(node_fd);
	if (leads)
		*ret_node = node;
	return leads;
}

void
listener_path_remove(const char *path, const struct path_node *node)
{
	struct path_node found;
	int node_fd;

	node_fd = open_node(path, &found);
	if (node_fd >= 0 && nodes_equal(&found, node))
		(void)unlink(path);     /* as good as closed in any case */
	fd_close(node_fd);
}
