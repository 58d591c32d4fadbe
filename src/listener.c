/*
 * The listeners that are open, and their shards, from the first user to the
 * last.
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
#include <sys/stat.h>

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

/* A shard of another listener whose socket serves this address already. */
static const struct shard *
find_twin(const struct listener *listener)
{
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (l == listener ||
		    !listener_address_same(l->spec, listener->spec))
			continue;
		for (uint32_t i = 0; i < l->shard_count; i++) {
			if (!l->shards[i]->broken)
				return l->shards[i];
		}
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
apply_to_path(const struct listener *l, const struct listener_spec *to)
{
	const struct listener_spec *from = l->spec;
	struct path_node node = node_of(l);

	if (to->address.family != ADDRESS_UNIX || (from->mode == to->mode &&
	    owners_equal(from->owner, to->owner)))
		return 0;
	return listener_path_set(to, &node);
}

static int
apply_to_shard(const struct shard *shard, const struct listener_spec *to)
{
	const struct listener_spec *from = shard->listener->spec;
	int result;

	if (from->nonblocking != to->nonblocking) {
		result = set_nonblocking(shard->fd, to->nonblocking);
		if (result != 0)
			return result;
	}
	/* Not to revive one that is to be replaced. */
	if (shard->broken || from->backlog == to->backlog)
		return 0;
	return set_backlog(shard->fd, to);
}

/* The twin's socket once more, as this listener wants it. */
static int
share(const struct shard *twin, const struct listener_spec *spec,
    char *ret_text)
{
	int fd, result;

	fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, FD_SOURCE);
	result = fd < 0 ? -errno : apply_to_path(twin->listener, spec);
	if (result == 0)
		result = apply_to_shard(twin, spec);
	if (result == 0)
		return fd;
	fd_close(fd);
	listener_say(ret_text, spec, "cannot share the socket of listener "
	    "'%s': %s", twin->listener->spec->name, strerror(-result));
	return result;
}

/* What the kernel granted, or the wish where it does not tell. */
static uint32_t
read_backlog(const struct shard *shard)
{
	struct shard_queue queue;

	if (shard_queue(shard, &queue) != 0)
		return shard->listener->spec->backlog;
	return queue.limit;
}

/*
 * Gives the shard a socket that listens and is watched.  The fd that it had
 * before is left to the caller.
 */
static int
acquire(struct shard *shard, char *ret_text)
{
	struct listener *listener = shard->listener;
	const struct listener_spec *spec = listener->spec;
	const struct shard *twin = find_twin(listener);
	struct path_node node = { 0, 0 };
	struct stat status;
	int fd, result;

	if (twin != NULL) {
		node = node_of(twin->listener);
		fd = share(twin, spec, ret_text);
	} else if (spec->address.family == ADDRESS_UNIX) {
		fd = listener_path_bind(spec, &node, ret_text);
	} else {
		fd = listener_address_bind(spec, overlaps_ours(spec), ret_text);
	}
	if (fd < 0)
		return fd;
	fd = fd_to_source(fd);
	result = fstat(fd, &status) == 0 ? set_backlog(fd, spec) : -errno;
	if (result == 0)
		result = listener_watch_add(shard, fd);
	if (result != 0) {
		listener_say(ret_text, spec, "cannot listen: %s",
		    strerror(-result));
		drop_path(listener, &node);
		fd_close(fd);
		return result;
	}
	shard->fd = fd;
	shard->inode = status.st_ino;
	listener->path_device = node.device;
	listener->path_inode = node.inode;
	shard->backlog_granted = read_backlog(shard);
	shard->broken = false;
	return 0;
}

static void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	spec_free(listener->spec);
	free(listener);
}

struct shard *
listener_open(const struct listener_spec *spec, char *ret_text)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	struct shard *shard = calloc(1, sizeof(*shard));

	assert(spec->address_text != NULL);
	if (listener != NULL)
		listener->spec = spec_copy(spec);
	if (listener == NULL || shard == NULL || listener->spec == NULL) {
		listener_say(ret_text, spec, "%s", strerror(ENOMEM));
		listener_free(listener);
		free(shard);
		return NULL;
	}
	*shard = (struct shard){ .reference_count = 1, .listener = listener,
	    .fd = -1 };
	if (acquire(shard, ret_text) != 0) {
		listener_free(listener);
		free(shard);
		return NULL;
	}
	listener->shards[listener->shard_count++] = shard;
	listener->next = listeners;
	listeners = listener;
	return shard;
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

int
listener_adjust(struct listener *listener, const struct listener_spec *spec)
{
	struct listener_spec *copy;
	uint32_t i;
	int result;

	assert(listener_address_same(listener->spec, spec));
	copy = spec_copy(spec);
	if (copy == NULL)
		return -ENOMEM;
	result = apply_to_path(listener, copy);
	for (i = 0; result == 0 && i < listener->shard_count; i++)
		result = apply_to_shard(listener->shards[i], copy);
	if (result != 0) {
		spec_free(copy);
		return result;
	}
	spec_free(listener->spec);
	listener->spec = copy;
	for (i = 0; i < listener->shard_count; i++) {
		if (!listener->shards[i]->broken)
			listener->shards[i]->backlog_granted =
			    read_backlog(listener->shards[i]);
	}
	return 0;
}

struct shard *
shard_ref(struct shard *shard)
{
	assert(shard->reference_count > 0);
	shard->reference_count++;
	return shard;
}

/* Its last shard is about to go. */
static void
leave(struct listener *listener)
{
	struct listener **at = &listeners;
	struct path_node node = node_of(listener);

	while (*at != listener)
		at = &(*at)->next;
	*at = listener->next;
	drop_path(listener, &node);
}

void
shard_unref(struct shard *shard)
{
	struct listener *listener;
	uint32_t i = 0;

	if (shard == NULL)
		return;
	assert(shard->reference_count > 0);
	if (--shard->reference_count > 0)
		return;
	listener = shard->listener;
	while (listener->shards[i] != shard)
		i++;
	listener->shard_count--;
	memmove(&listener->shards[i], &listener->shards[i + 1],
	    (listener->shard_count - i) * sizeof(listener->shards[0]));
	listener_watch_remove(shard);
	if (listener->shard_count == 0)
		leave(listener);
	fd_close(shard->fd);
	if (listener->shard_count == 0)
		listener_free(listener);
	free(shard);
}

int
shard_renew(struct shard *shard)
{
	char text[REASON_BYTES_MAX];
	const int off = 0;
	int old = shard->fd, result;

	assert(shard->broken);
	result = acquire(shard, text);
	if (result != 0)
		return result;
	/* Else a worker's listen() could revive the old TCP socket, and it
	 * would take a share of the new one's connections. */
	(void)setsockopt(old, SOL_SOCKET, SO_REUSEPORT, &off, sizeof(off));
	fd_close(old);
	return 0;
}

uint32_t
shard_restore_backlog(struct shard *shard)
{
	struct shard_queue queue;

	if (shard->broken || shard_queue(shard, &queue) != 0 ||
	    queue.limit >= shard->backlog_granted ||
	    set_backlog(shard->fd, shard->listener->spec) != 0)
		return 0;
	/* net.core.somaxconn may be lower by now: not to try for ever. */
	shard->backlog_granted = read_backlog(shard);
	return queue.limit > 0 ? queue.limit : 1;
}
