/*
 * Noticing a shard that was shut down, one whose path was removed, and a queue
 * that nobody empties, without a wake-up per connection.
 *
 * Owns an epoll fd that has every shard that is not broken.  EPOLLRDHUP is
 * always asked for; EPOLLIN only while a shard is armed.  The first
 * connection after that wakes us once; from then on its queue is sampled by
 * the loop's timer until it is empty, and it is armed again.  So an idle
 * shard costs nothing, and a busy one about a wake-up or two a second.
 *
 * What nobody connects to (datagrams, a FIFO) has no length, and may have an
 * error that waits for a worker to read it (IP_RECVERR), which would wake us for
 * as long.  It is asked for one event at a time, and again with each sample.
 *
 * What shutdown() does to a listening socket (found by trying, Linux 6.18):
 *
 *            SHUT_RD, SHUT_RDWR                         SHUT_WR
 *   TCP 4/6  EPOLLHUP, SO_ACCEPTCONN 0, accept EINVAL,  nothing
 *            the queue is lost, connect ECONNREFUSED;
 *            another listen() revives it
 *   unix     EPOLLRDHUP (RDWR: and EPOLLHUP),           nothing
 *            SO_ACCEPTCONN stays 1, what is queued can
 *            be accepted, then EAGAIN for ever, connect
 *            ECONNREFUSED; listen() does not help
 *
 *   UDP, and unix datagrams: EPOLLRDHUP and EPOLLIN for good, so that who reads
 *   spins; for UDP shutdown() says ENOTCONN and does it all the same
 *
 * Who removes or renames the path of a socket leaves a good one that nobody finds.
 * The file tells (inotify(7): IN_ATTRIB, its link count); if it cannot be asked
 * to, for want of memory or of watches, nobody notices.
 *
 * All are level-triggered, so a broken one is taken out at once.  So is one
 * that is closed: while workers hold the socket its entry would stay, with a
 * number that is no longer ours and could not be taken out any more.
 */
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "listener_private.h"

static int watch_fd = -1, file_fd = -1;

static bool
accepts(const struct shard *shard)
{
	return address_accepts(&shard->listener->spec->address);
}

static struct epoll_event
event_for(struct shard *shard, bool armed)
{
	return (struct epoll_event){
		.events = EPOLLRDHUP | (armed ? EPOLLIN : 0) |
		    (accepts(shard) ? 0 : EPOLLONESHOT),
		.data = { .ptr = shard },
	};
}

/* One that cannot be changed now is found again as it is, with the next event or
 * the next sample. */
static void
set_armed(struct shard *shard, bool armed)
{
	struct epoll_event event = event_for(shard, armed);

	if (epoll_ctl(watch_fd, EPOLL_CTL_MOD, shard->fd, &event) == 0)
		shard->sampled = !armed;
}

/* A TCP one may have been revived by a worker's listen(). */
static bool
is_dead(const struct shard *shard, uint32_t events)
{
	int accepts = 0;
	socklen_t bytes = sizeof(accepts);

	if (!address_is_tcp(&shard->listener->spec->address))
		return (events & EPOLLRDHUP) != 0;
	return getsockopt(shard->fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts,
	    &bytes) == 0 && accepts == 0;
}

/* An error that waits on the socket is reported again and again until it is
 * taken; whether the socket is dead, the kernel tells elsewhere. */
static void
take_error(const struct shard *shard)
{
	int error;
	socklen_t bytes = sizeof(error);

	(void)getsockopt(shard->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
}

/* The kernel has taken it out of its group; others have other numbers now. */
static void
note_broken(struct shard *shard)
{
	listener_watch_remove(shard);
	shard->broken = true;
	if (shard->listener->lanes != NULL)
		lanes_refresh(shard->listener->lanes);
	listener_changed();
}

static void
note(struct shard *shard, uint32_t events)
{
	if (events & EPOLLERR)
		take_error(shard);
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
	    is_dead(shard, events)) {
		note_broken(shard);
	} else if (!accepts(shard)) {
		shard->sampled = true;          /* and not watched until then */
	} else if (events & EPOLLIN) {
		shard->queue_growth_count = 0;
		shard->queue_last = 0;
		set_armed(shard, false);
	}
}

/* Where the kernel does not tell the length, empty or not is still known. */
static struct shard_queue
look(const struct shard *shard)
{
	struct shard_queue queue;

	if (shard_queue(shard, &queue) == 0)
		return queue;
	queue.length = shard_waiting(shard);
	queue.limit = UINT32_MAX;
	return queue;
}

/* True if it has grown for so long that somebody should be told. */
static bool
count_growth(struct shard *shard, const struct shard_queue *queue)
{
	if (queue->length > shard->queue_last ||
	    queue->length >= queue->limit)
		shard->queue_growth_count++;
	else
		shard->queue_growth_count = 0;
	shard->queue_last = queue->length;
	if (shard->queue_growth_count < LISTENER_GROWN_SAMPLES)
		return false;
	shard->queue_growth_count = 0;
	return true;
}

/* Among the watched as the one that is no shard. */
static int
open_file_watch(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = fd_to_private(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));

	if (fd >= 0 && epoll_ctl(watch_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		fd_clear(&fd);
	return fd;
}

/* One of a file that is watched already is the same one. */
static void
watch_file(const struct address *address)
{
	if (!address_has_file(address))
		return;
	if (file_fd < 0)
		file_fd = open_file_watch();
	if (file_fd >= 0)
		(void)inotify_add_watch(file_fd, address->path, IN_ATTRIB |
		    IN_MOVE_SELF | IN_DONT_FOLLOW);
}

bool
listener_path_is_gone(const struct listener *listener)
{
	const struct address *address = &listener->spec->address;
	struct stat status;

	return address_has_file(address) &&
	    lstat(address->path, &status) != 0 && errno == ENOENT;
}

void
listener_watch_paths(void)
{
	char events[4096];
	struct listener *l;

	while (file_fd >= 0 && read(file_fd, events, sizeof(events)) > 0)
		continue;
	for (l = listener_first(); l != NULL; l = l->next) {
		for (uint32_t k = 0; k < l->shard_count; k++) {
			if (!l->shards[k]->broken && listener_path_is_gone(l))
				note_broken(l->shards[k]);
		}
	}
}

int
listener_watch_add(struct shard *shard, int fd)
{
	struct epoll_event event = event_for(shard, true);
	int epoll_fd = listener_watch_fd();

	if (epoll_fd < 0)
		return epoll_fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		return -errno;
	shard->sampled = false;
	watch_file(&shard->listener->spec->address);
	return 0;
}

void
listener_watch_remove(struct shard *shard)
{
	int result;

	if (shard->broken)
		return;
	result = epoll_ctl(watch_fd, EPOLL_CTL_DEL, shard->fd, NULL);
	assert(result == 0);
	shard->sampled = false;
}

int
listener_watch_fd(void)
{
	int fd;

	if (watch_fd >= 0)
		return watch_fd;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	watch_fd = fd_to_private(fd);
	return watch_fd;
}

bool
listener_watch_read(void)
{
	struct epoll_event events[LISTENERS_MAX];
	const struct listener *l;
	bool any_file = false;
	int count, i;

	count = watch_fd < 0 ? 0 :
	    epoll_wait(watch_fd, events, LISTENERS_MAX, 0);
	for (i = 0; i < count; i++) {
		if (events[i].data.ptr == NULL)
			any_file = true;
		else
			note(events[i].data.ptr, events[i].events);
	}
	if (any_file)
		listener_watch_paths();
	for (l = listener_first(); l != NULL; l = l->next) {
		for (uint32_t k = 0; k < l->shard_count; k++) {
			if (l->shards[k]->sampled)
				return true;
		}
	}
	return false;
}

/* True if it is to be looked at again. */
static bool
sample(struct shard *shard,
    void (*grown)(struct shard *, const struct shard_queue *))
{
	struct shard_queue queue;

	if (!shard->sampled)
		return false;
	queue = look(shard);
	if (queue.length == 0 || !accepts(shard)) {
		set_armed(shard, true);
		return false;
	}
	if (count_growth(shard, &queue))
		grown(shard, &queue);
	return true;
}

bool
listener_sample(void (*grown)(struct shard *, const struct shard_queue *))
{
	struct listener *l;
	bool left = false;

	for (l = listener_first(); l != NULL; l = l->next) {
		for (uint32_t k = 0; k < l->shard_count; k++) {
			if (sample(l->shards[k], grown))
				left = true;
		}
	}
	return left;
}
