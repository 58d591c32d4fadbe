/*
 * Noticing a listener that was shut down, and a queue that nobody empties,
 * without a wake-up per connection.
 *
 * Owns an epoll fd that has every listener that is not broken.  EPOLLRDHUP is
 * always asked for; EPOLLIN only while a listener is armed.  The first
 * connection after that wakes us once; from then on its queue is sampled by
 * the loop's timer until it is empty, and it is armed again.  So an idle
 * listener costs nothing, and a busy one about a wake-up or two a second.
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
 * Both are level-triggered, so a broken one is taken out at once.  So is one
 * that is closed: while workers hold the socket its entry would stay, with a
 * number that is no longer ours and could not be taken out any more.
 */
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fd.h"
#include "listener_private.h"

static int watch_fd = -1;

static void
set_armed(struct listener *listener, bool armed)
{
	struct epoll_event event = {
		.events = EPOLLRDHUP | (armed ? EPOLLIN : 0),
		.data = { .ptr = listener },
	};
	int result;

	result = epoll_ctl(watch_fd, EPOLL_CTL_MOD, listener->fd, &event);
	assert(result == 0);
	listener->sampled = !armed;
}

/* A TCP one may have been revived by a worker's listen(). */
static bool
is_dead(const struct listener *listener, uint32_t events)
{
	int accepts = 0;
	socklen_t bytes = sizeof(accepts);

	if (listener->spec->address.family == ADDRESS_UNIX)
		return (events & EPOLLRDHUP) != 0;
	return getsockopt(listener->fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts,
	    &bytes) == 0 && accepts == 0;
}

/* An error that waits on the socket is reported again and again until it is
 * taken; whether the socket is dead, the kernel tells elsewhere. */
static void
take_error(const struct listener *listener)
{
	int error;
	socklen_t bytes = sizeof(error);

	(void)getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
}

static void
note(struct listener *listener, uint32_t events)
{
	if (events & EPOLLERR)
		take_error(listener);
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) &&
	    is_dead(listener, events)) {
		listener_watch_remove(listener);
		listener->broken = true;
	} else if (events & EPOLLIN) {
		listener->queue_growth_count = 0;
		listener->queue_last = 0;
		set_armed(listener, false);
	}
}

/* Where the kernel does not tell the length, empty or not is still known. */
static struct listener_queue
look(const struct listener *listener)
{
	struct listener_queue queue;
	struct pollfd readable = { .fd = listener->fd, .events = POLLIN };

	if (listener_queue(listener, &queue) == 0)
		return queue;
	queue.length = poll(&readable, 1, 0) > 0 ? 1 : 0;
	queue.limit = UINT32_MAX;
	return queue;
}

/* True if it has grown for so long that somebody should be told. */
static bool
count_growth(struct listener *listener, const struct listener_queue *queue)
{
	if (queue->length > listener->queue_last ||
	    queue->length >= queue->limit)
		listener->queue_growth_count++;
	else
		listener->queue_growth_count = 0;
	listener->queue_last = queue->length;
	if (listener->queue_growth_count < LISTENER_GROWN_SAMPLES)
		return false;
	listener->queue_growth_count = 0;
	return true;
}

int
listener_watch_add(struct listener *listener, int fd)
{
	struct epoll_event event = {
		.events = EPOLLRDHUP | EPOLLIN,
		.data = { .ptr = listener },
	};
	int epoll_fd = listener_watch_fd();

	if (epoll_fd < 0)
		return epoll_fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
		return -errno;
	listener->sampled = false;
	return 0;
}

void
listener_watch_remove(struct listener *listener)
{
	int result;

	if (listener->broken)
		return;
	result = epoll_ctl(watch_fd, EPOLL_CTL_DEL, listener->fd, NULL);
	assert(result == 0);
	listener->sampled = false;
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
	int count, i;

	count = watch_fd < 0 ? 0 :
	    epoll_wait(watch_fd, events, LISTENERS_MAX, 0);
	for (i = 0; i < count; i++)
		note(events[i].data.ptr, events[i].events);
	for (l = listener_first(); l != NULL; l = l->next) {
		if (l->sampled)
			return true;
	}
	return false;
}

bool
listener_sample(void (*grown)(struct listener *,
    const struct listener_queue *))
{
	struct listener *l;
	struct listener_queue queue;
	bool left = false;

	for (l = listener_first(); l != NULL; l = l->next) {
		if (!l->sampled)
			continue;
		queue = look(l);
		if (queue.length == 0) {
			set_armed(l, true);
			continue;
		}
		left = true;
		if (count_growth(l, &queue))
			grown(l, &queue);
	}
	return left;
}
