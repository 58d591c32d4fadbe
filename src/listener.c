/*
 * The listeners that are open, from the first user to the last.
 *
 * Owns the list of them, their sockets and their copies of the configuration;
 * how an address becomes a socket is in listener_address.c and
 * listener_path.c.  Two listeners with one address (the second is opened while
 * a release with the old name still runs) are one socket with two fds: nothing
 * that waits in its queue depends on which of them is closed first.
 *
 * A socket that was shut down is replaced and not revived.  For TCP the latter
 * could be done, with another listen(); but workers that saw their accept()
 * fail would not know, and for unix sockets it cannot be done at all.
 */
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fd.h"
#include "listener_private.h"

static struct listener *listeners;

static void
spec_free(struct listener_spec *spec)
{
	if (spec == NULL)
		return;
	free(spec->address_text);
	free(spec->owner);
	free(spec);
}

static struct listener_spec *
spec_copy(const struct listener_spec *spec)
{
	struct listener_spec *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *spec;
	copy->address_text = strdup(spec->address_text);
	copy->owner = spec->owner ? strdup(spec->owner) : NULL;
	if (copy->address_text == NULL ||
	    (copy->owner == NULL) != (spec->owner == NULL)) {
		spec_free(copy);
		return NULL;
	}
	return copy;
}

static bool
owners_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Another listener whose socket serves this address already. */
static const struct listener *
find_twin(const struct listener *listener)
{
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (l != listener && !l->broken &&
		    listener_address_same(l->spec, listener->spec))
			return l;
	}
	return NULL;
}

static bool
overlaps_ours(const struct listener_spec *spec)
{
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (listener_address_overlaps(l->spec, spec))
			return true;
	}
	return false;
}

static struct path_node
node_of(const struct listener *listener)
{
	return (struct path_node){ listener->path_device,
	    listener->path_inode };
}

/* Removes the path, but not under another of ours. */
static void
drop_path(const struct listener *listener, const struct path_node *node)
{
	const struct listener *l;

	if (listener->spec->address.family != ADDRESS_UNIX)
		return;
	for (l = listeners; l != NULL; l = l->next) {
		if (l != listener && l->path_device == node->device &&
		    l->path_inode == node->inode &&
		    l->spec->address.family == ADDRESS_UNIX)
			return;
	}
	listener_path_remove(listener->spec->address.path, node);
}

static int
set_nonblocking(int fd, bool nonblocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) == 0 ? 0 : -errno;
}

static int
set_backlog(int fd, const struct listener_spec *spec)
{
	int backlog = spec->backlog > INT_MAX ? INT_MAX : (int)spec->backlog;

	return listen(fd, backlog) == 0 ? 0 : -errno;
}

static int
apply_changes(const struct listener *l, const struct listener_spec *to)
{
	const struct listener_spec *from = l->spec;
	struct path_node node = node_of(l);
	int result;

	if (to->address.family == ADDRESS_UNIX && (from->mode != to->mode ||
	    !owners_equal(from->owner, to->owner))) {
		result = listener_path_set(to, &node);
		if (result != 0)
			return result;
	}
	if (from->nonblocking != to->nonblocking) {
		result = set_nonblocking(l->fd, to->nonblocking);
		if (result != 0)
			return result;
	}
	/* Not to revive one that is to be replaced. */
	if (l->broken || from->backlog == to->backlog)
		return 0;
	return set_backlog(l->fd, to);
}

/* The twin's socket once more, as this listener wants it. */
static int
share(const struct listener *twin, const struct listener *listener,
    char *ret_text)
{
	int fd, result;

	fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, FD_SOURCE);
	result = fd < 0 ? -errno : apply_changes(twin, listener->spec);
	if (result == 0)
		return fd;
	fd_close(fd);
	listener_say(ret_text, listener->spec, "cannot share the socket of"
	    " listener '%s': %s", twin->spec->name, strerror(-result));
	return result;
}

/* What the kernel granted, or the wish where it does not tell. */
static uint32_t
read_backlog(const struct listener *listener)
{
	struct listener_queue queue;

	if (listener_queue(listener, &queue) != 0)
		return listener->spec->backlog;
	return queue.limit;
}

/*
 * Gives the listener a socket that listens and is watched.  The fd that it
 * had before is left to the caller.
 */
static int
acquire(struct listener *listener, char *ret_text)
{
	const struct listener_spec *spec = listener->spec;
	const struct listener *twin = find_twin(listener);
	struct path_node node = { 0, 0 };
	int fd, result;

	if (twin != NULL) {
		node = node_of(twin);
		fd = share(twin, listener, ret_text);
	} else if (spec->address.family == ADDRESS_UNIX) {
		fd = listener_path_bind(spec, &node, ret_text);
	} else {
		fd = listener_address_bind(spec, overlaps_ours(spec), ret_text);
	}
	if (fd < 0)
		return fd;
	fd = fd_to_source(fd);
	result = set_backlog(fd, spec);
	if (result == 0)
		result = listener_watch_add(listener, fd);
	if (result != 0) {
		listener_say(ret_text, spec, "cannot listen: %s",
		    strerror(-result));
		drop_path(listener, &node);
		fd_close(fd);
		return result;
	}
	listener->fd = fd;
	listener->path_device = node.device;
	listener->path_inode = node.inode;
	listener->backlog_granted = read_backlog(listener);
	listener->broken = false;
	return 0;
}

struct listener *
listener_open(const struct listener_spec *spec, char *ret_text)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	assert(spec->address_text != NULL);
	if (listener != NULL)
		listener->spec = spec_copy(spec);
	if (listener == NULL || listener->spec == NULL) {
		listener_say(ret_text, spec, "%s", strerror(ENOMEM));
		free(listener);
		return NULL;
	}
	listener->fd = -1;
	if (acquire(listener, ret_text) != 0) {
		spec_free(listener->spec);
		free(listener);
		return NULL;
	}
	listener->reference_count = 1;
	listener->next = listeners;
	listeners = listener;
	return listener;
}

int
listener_renew(struct listener *listener)
{
	char text[REASON_BYTES_MAX];
	const int off = 0;
	int old = listener->fd, result;

	assert(listener->broken);
	result = acquire(listener, text);
	if (result != 0)
		return result;
	/* Else a worker's listen() could revive the old TCP socket, and it
	 * would take a share of the new one's connections. */
	(void)setsockopt(old, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
	fd_close(old);
	return 0;
}

struct listener *
listener_ref(struct listener *listener)
{
	assert(listener->reference_count > 0);
	listener->reference_count++;
	return listener;
}

void
listener_unref(struct listener *listener)
{
	struct listener **at = &listeners;
	struct path_node node;

	if (listener == NULL)
		return;
	assert(listener->reference_count > 0);
	if (--listener->reference_count > 0)
		return;
	while (*at != listener)
		at = &(*at)->next;
	*at = listener->next;
	listener_watch_remove(listener);
	node = node_of(listener);
	drop_path(listener, &node);
	fd_close(listener->fd);
	spec_free(listener->spec);
	free(listener);
}

struct listener *
listener_find(const struct listener_spec *spec)
{
	struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (strcmp(l->spec->name, spec->name) == 0 &&
		    listener_address_same(l->spec, spec))
			return l;
	}
	return NULL;
}

struct listener *
listener_first(void)
{
	return listeners;
}

uint32_t
listener_restore_backlog(struct listener *listener)
{
	struct listener_queue queue;

	if (listener->broken || listener_queue(listener, &queue) != 0 ||
	    queue.limit >= listener->backlog_granted ||
	    set_backlog(listener->fd, listener->spec) != 0)
		return 0;
	/* net.core.somaxconn may be lower by now: not to try for ever. */
	listener->backlog_granted = read_backlog(listener);
	return queue.limit > 0 ? queue.limit : 1;
}

int
listener_adjust(struct listener *listener, const struct listener_spec *spec)
{
	struct listener_spec *copy;
	int result;

	assert(listener_address_same(listener->spec, spec));
	copy = spec_copy(spec);
	if (copy == NULL)
		return -ENOMEM;
	result = apply_changes(listener, copy);
	if (result != 0) {
		spec_free(copy);
		return result;
	}
	spec_free(listener->spec);
	listener->spec = copy;
	if (!listener->broken)
		listener->backlog_granted = read_backlog(listener);
	return 0;
}
