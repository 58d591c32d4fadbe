/*
 * Shards: the kernel sockets of a listener.
 *
 * Owns them and their fds; how an address becomes a socket is in
 * listener_address.c and listener_path.c, who gets the connections in steer.c.
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

enum { DATAGRAMS_COUNTED_MAX = 1 << 16 };

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

	if (!address_accepts(&spec->address))
		return 0;
	return listen(fd, backlog) == 0 ? 0 : -errno;
}

/* Another listen() would revive one that was shut down, and is to be replaced;
 * also before we were told. */
static bool
listens(const struct shard *shard)
{
	struct shard_queue queue;

	return !shard->broken && shard_queue(shard, &queue) != -ENOTCONN;
}

int
shard_apply(const struct shard *shard, const struct listener_spec *to)
{
	const struct listener_spec *from = shard->listener->spec;
	int result;

	if (from->nonblocking != to->nonblocking) {
		result = set_nonblocking(shard->fd, to->nonblocking);
		if (result != 0)
			return result;
	}
	if (from->backlog == to->backlog || !listens(shard))
		return 0;
	return set_backlog(shard->fd, to);
}

uint32_t
shard_read_backlog(const struct shard *shard)
{
	struct shard_queue queue;

	if (shard_queue(shard, &queue) != 0)
		return shard->listener->spec->backlog;
	return queue.limit;
}

/* The twin's socket once more, as this listener wants it. */
static int
share(const struct shard *twin, const struct listener_spec *spec,
    char *ret_text)
{
	int fd, result;

	fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, FD_SOURCE);
	result = fd < 0 ? -errno : listener_apply(twin->listener, spec);
	if (result == 0)
		result = shard_apply(twin, spec);
	if (result == 0)
		return fd;
	fd_close(fd);
	listener_say(ret_text, spec, "cannot share the socket of listener "
	    "'%s': %s", twin->listener->spec->name, strerror(-result));
	return result;
}

/* As this listener wants it. */
static int
adopt(struct shard *shard, struct path_node *ret_node)
{
	const struct listener_spec *spec = shard->listener->spec;
	uint32_t number;
	int fd = listener_adopt(spec, &number, ret_node);

	if (fd < 0)
		return fd;
	/* One of ours is in use: workers that have set the flag by themselves
	 * would sleep in accept(2) without it.  Best effort: it serves in any
	 * case. */
	if (number == 0 || spec->nonblocking)
		(void)set_nonblocking(fd, spec->nonblocking);
	if (number != 0)
		shard->number = number;
	if (address_has_file(&spec->address) && number != 0)
		(void)listener_path_set(spec, ret_node);
	return fd;
}

static int
bind_new(struct shard *shard, struct path_node *ret_node, char *ret_text)
{
	const struct listener_spec *spec = shard->listener->spec;
	int fd = -1;

	if (shard->listener->shard_count == 0)
		fd = adopt(shard, ret_node);
	if (fd >= 0)
		return fd;
	if (spec->address.family == ADDRESS_UNIX)
		return listener_path_bind(spec, ret_node, ret_text);
	return listener_address_bind(spec, listener_overlaps_ours(spec),
	    ret_text);
}

/* From here on it is in the group, with the next number. */
static int
start_to_listen(const struct shard *shard, int fd)
{
	const struct listener_spec *spec = shard->listener->spec;
	int result = 0;

	if (address_is_tcp(&spec->address))
		result = label_set(fd, shard->label);
	return result == 0 ? set_backlog(fd, spec) : result;
}

/*
 * Gives the shard a socket that listens and is watched.  The fd that it had
 * before is left to the caller.  Who carries the fds has it before it listens,
 * so that what has a queue is never lost.  A new shard has its number only after
 * what came was looked at: that has numbers, too.
 */
static int
acquire(struct shard *shard, const struct shard *twin, char *ret_text)
{
	struct listener *listener = shard->listener;
	struct path_node node = { 0, 0 };
	struct stat status;
	int fd, result;

	if (twin != NULL) {
		node = (struct path_node){ twin->listener->path_device,
		    twin->listener->path_inode };
		fd = share(twin, listener->spec, ret_text);
	} else {
		fd = bind_new(shard, &node, ret_text);
	}
	if (fd < 0)
		return fd;
	fd = fd_to_source(fd);
	result = fstat(fd, &status) == 0 ? 0 : -errno;
	if (shard->number == 0)
		shard->number = shard_number_new();
	shard_carry(shard, fd);
	if (result == 0 && twin == NULL)
		result = start_to_listen(shard, fd);
	if (result == 0)
		result = listener_watch_add(shard, fd);
	if (result != 0) {
		listener_say(ret_text, listener->spec, "cannot listen: %s",
		    strerror(-result));
		listener_drop_path(listener, &node);
		shard_carry(shard, shard->fd);
		fd_close(fd);
		return result;
	}
	shard->fd = fd;
	shard->inode = status.st_ino;
	listener->path_device = node.device;
	listener->path_inode = node.inode;
	shard->backlog_granted = shard_read_backlog(shard);
	shard->broken = false;
	return 0;
}

struct shard *
shard_new(struct listener *listener, const struct shard *twin, uint32_t label,
    char *ret_text)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	assert(listener->shard_count < SHARDS_MAX);
	if (shard == NULL) {
		listener_say(ret_text, listener->spec, "%s", strerror(ENOMEM));
		return NULL;
	}
	*shard = (struct shard){ .reference_count = 1, .listener = listener,
	    .fd = -1, .label = label };
	if (acquire(shard, twin, ret_text) != 0) {
		free(shard);
		return NULL;
	}
	listener->shards[listener->shard_count++] = shard;
	return shard;
}

uint32_t
lanes_count(const struct lanes *lanes)
{
	uint32_t labels = 0, count = 0;

	for (struct shard *s = lanes_first(lanes); s != NULL;
	    s = lanes_next(s)) {
		count += !(labels >> s->label & 1);
		labels |= UINT32_C(1) << s->label;
	}
	return count;
}

static bool
came_with_reuse_port(const struct shard *shard)
{
	int value = 0;
	socklen_t bytes = sizeof(value);

	return getsockopt(shard->fd, SOL_SOCKET, SO_REUSEPORT, &value,
	    &bytes) != 0 || value != 0;
}

/* Whoever joins the group now gets nothing until he is told to. */
static bool
prepare_to_join(struct listener *listener, char *ret_text)
{
	struct lanes *lanes = listener->lanes;

	if (lanes == NULL) {
		listener_say(ret_text, listener->spec, "%s has one shard, and "
		    "cannot be divided",
		    address_kind_text(&listener->spec->address));
		return false;
	}
	if (lanes_count(lanes) == SHARDS_MAX) {
		listener_say(ret_text, listener->spec, "there are %d shards "
		    "(SHARDS_MAX) at this address already", SHARDS_MAX);
		return false;
	}
	if (!came_with_reuse_port(lanes_first(lanes))) {
		listener_say(ret_text, listener->spec, "the socket that supd "
		    "was started with came without SO_REUSEPORT (ReusePort= of "
		    "its unit): none can join it if it is UDP or another "
		    "user's, or where supd has no CAP_NET_ADMIN");
		return false;
	}
	if (address_is_tcp(&listener->spec->address))
		lanes_try_to_migrate();
	lanes_refresh(lanes);
	if (lanes->state.connected_count != 0) {
		listener_say(ret_text, listener->spec, "a socket at this "
		    "address is connected to a client: the kernel would not "
		    "divide what comes any more");
		return false;
	}
	if (lanes->state.attach_error == 0)
		return true;
	listener_say(ret_text, listener->spec, "cannot attach a program that "
	    "divides connections: %s", strerror(-lanes->state.attach_error));
	return false;
}

struct shard *
listener_join(struct listener *listener, char *ret_text)
{
	struct shard *shard;

	if (!prepare_to_join(listener, ret_text))
		return NULL;
	shard = shard_new(listener, NULL, lanes_pick_label(listener->lanes),
	    ret_text);
	if (shard == NULL)
		return NULL;
	lanes_refresh(listener->lanes);
	listener_changed();
	return shard;
}

struct shard *
shard_ref(struct shard *shard)
{
	assert(shard->reference_count > 0);
	shard->reference_count++;
	return shard;
}

static void
take_from_list(struct listener *listener, const struct shard *shard)
{
	uint32_t i = 0;

	while (listener->shards[i] != shard)
		i++;
	listener->shard_count--;
	memmove(&listener->shards[i], &listener->shards[i + 1],
	    (listener->shard_count - i) * sizeof(listener->shards[0]));
}

/* So that a worker's listen() cannot revive it, to take a share of the others'
 * connections.  A UDP socket is there until nobody has it, and none could join
 * then. */
static void
disown(const struct shard *shard, int fd)
{
	const int off = 0;

	if (address_is_tcp(&shard->listener->spec->address))
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &off,
		    sizeof(off));
}

/* Datagrams can be counted by taking them; nobody else will. */
static uint32_t
take_waiting(const struct shard *shard)
{
	uint32_t count = 0;
	char byte;

	if (!address_is_udp(&shard->listener->spec->address))
		return shard_waiting(shard);
	while (count < DATAGRAMS_COUNTED_MAX &&
	    recv(shard->fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
		count++;
	return count;
}

static void
close_fd(struct shard *shard)
{
	shard_carry(shard, -1);
	fd_clear(&shard->fd);
}

/* Others are left: what waits goes to them, and they go on. */
static void
close_lane(struct shard *shard, struct shard_end *ret_end)
{
	struct lanes *lanes = shard->listener->lanes;
	bool tcp = address_is_tcp(&shard->listener->spec->address);

	ret_end->queued = take_waiting(shard);
	ret_end->migrates = tcp && listener_migrates();
	/* Someone else may have it, and would keep it in the group.  It does
	 * not end a UDP socket, and makes whoever reads that one spin. */
	if (tcp && (ret_end->queued != 0 ||
	    !listener_is_offered(shard->inode))) {
		disown(shard, shard->fd);
		(void)shutdown(shard->fd, SHUT_RD);
		lanes_shut(lanes, shard->inode);
	}
	close_fd(shard);
	lanes_left(lanes, shard->inode);
}

static void
close_for_good(struct shard *shard, struct shard_end *ret_end)
{
	struct lanes *lanes = shard->listener->lanes;

	take_from_list(shard->listener, shard);
	listener_watch_remove(shard);
	if (lanes != NULL)
		lanes_forget(lanes, shard);
	if (lanes != NULL && lanes_same_socket(shard) != NULL)
		return;
	ret_end->closed = true;
	if (lanes != NULL && lanes_first(lanes) != NULL)
		close_lane(shard, ret_end);
	else
		ret_end->queued = shard_waiting(shard);
}

void
shard_close(struct shard *shard, struct shard_end *ret_end)
{
	struct listener *listener;

	*ret_end = (struct shard_end){ 0 };
	if (shard == NULL)
		return;
	assert(shard->reference_count > 0);
	if (--shard->reference_count > 0)
		return;
	listener = shard->listener;
	close_for_good(shard, ret_end);
	if (listener->shard_count == 0)
		listener_leave(listener);
	close_fd(shard);
	if (listener->shard_count == 0)
		listener_free(listener);
	free(shard);
	listener_changed();
}

void
shard_unref(struct shard *shard)
{
	struct shard_end end;

	shard_close(shard, &end);
}

int
shard_renew(struct shard *shard)
{
	struct lanes *lanes = shard->listener->lanes;
	const struct shard *twin = listener_twin(shard->listener,
	    shard->label);
	const struct path_node node = { shard->listener->path_device,
	    shard->listener->path_inode };
	char text[REASON_BYTES_MAX];
	int old = shard->fd, result;

	assert(shard->broken);
	/* Of datagrams the kernel does not tell that nobody gets them. */
	if (twin == NULL)
		listener_path_remove(&shard->listener->spec->address, &node);
	result = acquire(shard, twin, text);
	if (result != 0)
		return result;
	disown(shard, old);
	fd_close(old);
	if (lanes != NULL)
		lanes_refresh(lanes);
	listener_changed();
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
	shard->backlog_granted = shard_read_backlog(shard);
	return queue.limit > 0 ? queue.limit : 1;
}
