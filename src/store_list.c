/*
 * The list of what is stored, and whether it has hung up.
 *
 * Stored fds are watched by an epoll(7) of their own, since all that is asked
 * is whether they have hung up or have an error.  libev cannot wait for nothing
 * else, and the unread bytes of a client would wake it without end.
 *
 * supd never waits for what it has stored.  Closing a socket does if SO_LINGER
 * says so: such a one is refused, and one that was made so later is unmade
 * before it is closed.
 */
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry.h"
#include "fd.h"
#include "log.h"
#include "reactor.h"
#include "store_private.h"

enum { HANG_UPS_PER_TURN_MAX = 64 };

struct store_service *store_services;
uint64_t store_number_last;

static struct {
	int epoll_fd;
	struct watch watch;
} hang_ups = { .epoll_fd = -1 };

struct store_service *
store_find(uint32_t service)
{
	struct store_service *s = store_services;

	while (s != NULL && s->id != service)
		s = s->next;
	return s;
}

struct store_service *
store_make(uint32_t service)
{
	struct store_service *s = store_find(service);

	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->id = service;
	s->slot_count = UINT32_MAX;
	s->end = &s->first;
	s->next = store_services;
	store_services = s;
	return s;
}

bool
store_name_is_good(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)name[i] < 0x20 ||
		    (unsigned char)name[i] >= 0x7f || name[i] == ':')
			return false;
	return length > 0 && length <= FD_NAME_LENGTH_MAX;
}

bool
store_is_free(const struct stored *stored)
{
	return stored->left || stored->worker == NULL;
}

/*
 * The list
 */

static void
carry_name(const struct stored *stored, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "f%" PRIu64,
	    stored->number);
}

void
store_unlink(struct stored **link)
{
	struct stored *stored = *link;
	struct store_service *s = stored->owner;
	char name[CARRY_NAME_BYTES_MAX + 1];

	*link = stored->next;
	if (*link == NULL)
		s->end = link;
	s->count--;
	carry_name(stored, name);
	carry_drop(name);
	/* close() does not do it where others have the same open file. */
	if (!stored->unwatched)
		(void)epoll_ctl(hang_ups.epoll_fd, EPOLL_CTL_DEL, stored->fd,
		    NULL);
	fd_close(stored->fd);
	free(stored);
}

bool
store_lingers(int fd)
{
	struct linger linger = { 0 };
	socklen_t size = sizeof(linger);

	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 &&
	    linger.l_onoff != 0 && linger.l_linger > 0;
}

void
store_drop(struct stored **link)
{
	const struct linger none = { 0 };
	int fd = (*link)->fd;

	if (store_lingers(fd))
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none,
		    sizeof(none));
	store_unlink(link);
}

bool
store_drop_all(struct store_service *s)
{
	bool any = s->first != NULL;

	while (s->first != NULL)
		store_drop(&s->first);
	return any;
}

struct stored **
store_link(const struct stored *stored)
{
	struct stored **link = &stored->owner->first;

	while (*link != stored)
		link = &(*link)->next;
	return link;
}

/*
 * Hang-ups
 */

static void
on_hang_up(void *ctx, int events)
{
	struct epoll_event list[HANG_UPS_PER_TURN_MAX];
	int count = epoll_wait(hang_ups.epoll_fd, list, HANG_UPS_PER_TURN_MAX,
	    0);

	(void)ctx;
	(void)events;
	for (int i = 0; i < count; i++)
		store_drop(store_link(list[i].data.ptr));
	if (count > 0)
		store_changed();
}

int
store_open_hang_ups(void)
{
	int fd;

	if (hang_ups.epoll_fd >= 0)
		return 0;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -1;
	hang_ups.epoll_fd = fd_to_private(fd);
	reactor_watch(&hang_ups.watch, hang_ups.epoll_fd, REACTOR_READ,
	    on_hang_up, NULL);
	return 0;
}

/* What cannot hang up, a file say, cannot be watched (EPERM). */
static void
watch_hang_up(struct stored *stored)
{
	struct epoll_event event = { .data.ptr = stored };

	if (store_open_hang_ups() == 0 && epoll_ctl(hang_ups.epoll_fd,
	    EPOLL_CTL_ADD, stored->fd, &event) == 0)
		return;
	if (errno != EPERM)
		log_warning("%s: the stored file descriptor %s cannot be "
		    "watched: %s; it stays also when it hangs up",
		    stored->owner->name, stored->name, strerror(errno));
}

void
store_set_unwatched(struct stored *stored, bool unwatched)
{
	if (stored->unwatched == unwatched)
		return;
	stored->unwatched = unwatched;
	if (unwatched)
		(void)epoll_ctl(hang_ups.epoll_fd, EPOLL_CTL_DEL, stored->fd,
		    NULL);
	else
		watch_hang_up(stored);
}

struct stored *
store_append(struct store_service *s, const char *name, int fd,
    uint64_t number, bool unwatched)
{
	struct stored *stored = calloc(1, sizeof(*stored) + strlen(name) + 1);
	char carried[CARRY_NAME_BYTES_MAX + 1];
	struct stat status;

	if (stored == NULL) {
		log_error("%s: no memory to store the file descriptor %s",
		    s->name, name);
		return NULL;
	}
	(void)strcpy(stored->name, name);
	stored->owner = s;
	stored->number = number != 0 ? number : ++store_number_last;
	stored->fd = fd;
	stored->unwatched = unwatched;
	if (fstat(fd, &status) == 0) {
		stored->device = status.st_dev;
		stored->inode = status.st_ino;
	}
	*s->end = stored;
	s->end = &stored->next;
	s->count++;
	carry_name(stored, carried);
	carry_put(carried, &stored->fd, 1, true);
	if (!unwatched)
		watch_hang_up(stored);
	return stored;
}

void
store_close_hang_ups(void)
{
	reactor_unwatch(&hang_ups.watch);
	fd_clear(&hang_ups.epoll_fd);
}
