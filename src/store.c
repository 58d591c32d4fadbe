/*
 * The fd store: putting, removing, limits and hang-ups.
 *
 * Stored fds are watched by an epoll(7) of their own, since all that is asked
 * is whether they have hung up or have an error: to wait for nothing else libev
 * knows no way, and the unread bytes of a client would wake it without end.
 *
 * supd never waits for what it has stored.  Closing a socket does if SO_LINGER
 * says so: such a one is refused, and one that was made so later is unmade
 * before it is closed.
 */
#include "store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
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

/* Do two fds stand for the same open file?  Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

enum { HANG_UPS_PER_TURN_MAX = 64 };

static const char default_name[] = "stored";

struct store_service *store_services;
uint64_t store_number_last;

static struct {
	int epoll_fd;
	struct watch watch;
} hang_ups = { .epoll_fd = -1 };

static struct {
	void (*call)(void *ctx);
	void *ctx;
} change;

void
store_on_change(void (*call)(void *ctx), void *ctx)
{
	change.call = call;
	change.ctx = ctx;
}

void
store_changed(void)
{
	if (change.call != NULL)
		change.call(change.ctx);
}

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
	/* Others may have the same open file, and then it stays watched. */
	if (!stored->unwatched)
		(void)epoll_ctl(hang_ups.epoll_fd, EPOLL_CTL_DEL, stored->fd,
		    NULL);
	fd_close(stored->fd);
	free(stored);
}

static bool
lingers(int fd)
{
	struct linger linger = { 0 };
	socklen_t size = sizeof(linger);

	return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0 &&
	    linger.l_onoff != 0 && linger.l_linger > 0;
}

/* Nobody gets it. */
static void
drop(struct stored **link)
{
	const struct linger none = { 0 };
	int fd = (*link)->fd;

	if (lingers(fd))
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none,
		    sizeof(none));
	store_unlink(link);
}

static bool
drop_all(struct store_service *s)
{
	bool any = s->first != NULL;

	while (s->first != NULL)
		drop(&s->first);
	return any;
}

static struct stored **
link_of(const struct stored *stored)
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
		drop(link_of(list[i].data.ptr));
	if (count > 0)
		store_changed();
}

static int
open_hang_ups(void)
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

/* What cannot hang up, a file say, is not watched (EPERM). */
static void
watch_hang_up(struct stored *stored)
{
	struct epoll_event event = { .data.ptr = stored };

	if (stored->unwatched)
		return;
	if (open_hang_ups() == 0 && epoll_ctl(hang_ups.epoll_fd, EPOLL_CTL_ADD,
	    stored->fd, &event) == 0)
		return;
	if (errno != EPERM)
		log_warning("%s: the stored file descriptor %s cannot be "
		    "watched: %s; it stays also when it hangs up",
		    stored->owner->name, stored->name, strerror(errno));
}

struct stored *
store_append(struct store_service *s, const char *name, int fd,
    uint64_t number, bool unwatched)
{
	struct stored *stored = calloc(1, sizeof(*stored) + strlen(name) + 1);
	char carried[CARRY_NAME_BYTES_MAX + 1];
	struct stat status;

	if (stored == NULL)
		return NULL;
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
	watch_hang_up(stored);
	return stored;
}

/*
 * What workers ask for
 */

/* A socket has an inode of its own; a file may be open more than once. */
static struct stored *
find_same(const struct store_service *s, const char *name, int fd)
{
	struct stored *stored;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return NULL;
	for (stored = s->first; stored != NULL; stored = stored->next) {
		if (stored->inode != status.st_ino ||
		    stored->device != status.st_dev ||
		    strcmp(stored->name, name) != 0)
			continue;
		if (S_ISSOCK(status.st_mode) ||
		    fcntl(stored->fd, F_DUPFD_QUERY, fd) == 1)
			return stored;
	}
	return NULL;
}

/* True if this fd cannot be stored; of what lasts it is said once. */
static bool
refuse(struct store_service *s, struct worker_id giver, const char *name,
    int fd)
{
	if (s->limit == 0) {
		if (!s->told_refused)
			log_warning("%s/%u: a file descriptor that it wants "
			    "to store is closed: fd_store is 0, which allows "
			    "none; fd_store = NUMBER in [service %s] does",
			    s->name, giver.slot, s->name);
		s->told_refused = true;
		return true;
	}
	if (s->count >= s->limit) {
		if (!s->told_full)
			log_warning("%s/%u: a file descriptor that it wants "
			    "to store is closed: there are %u, and fd_store "
			    "allows %u; so are all others until there is room",
			    s->name, giver.slot, s->count, s->limit);
		s->told_full = true;
		return true;
	}
	if (lingers(fd)) {
		log_warning("%s/%u: the file descriptor %s that it wants to "
		    "store is closed: its SO_LINGER could make supd wait",
		    s->name, giver.slot, name);
		return true;
	}
	return false;
}

/* True if it is stored, or was. */
static bool
put(struct store_service *s, struct store_worker *giver,
    const struct store_request *request, const char *name, int fd)
{
	struct stored *stored = find_same(s, name, fd);

	if (stored != NULL && stored->unwatched == request->unwatched) {
		fd_close(fd);
	} else {
		if (stored != NULL)
			store_unlink(link_of(stored));
		if (refuse(s, giver->id, name, fd) || (stored = store_append(s,
		    name, fd_to_private(fd), 0, request->unwatched)) == NULL)
			return false;
		s->told_full = s->count >= s->limit && s->told_full;
	}
	stored->giver = giver->id;
	stored->worker = giver;
	stored->left = giver->stopping;
	return true;
}

void
store_put(uint32_t service, struct worker_id id,
    const struct store_request *request)
{
	struct store_service *s = store_find(service);
	const char *name = request->name[0] != '\0' ? request->name :
	    default_name;
	struct store_worker *giver = NULL;
	bool any = false;

	assert(store_name_is_good(name));
	if (s != NULL && !s->closed)
		giver = store_worker_make(s, id);
	for (unsigned i = 0; i < request->fd_count; i++) {
		if (giver != NULL && put(s, giver, request, name,
		    request->fds[i]))
			any = true;
		else
			fd_close(request->fds[i]);
	}
	if (any)
		store_changed();
}

void
store_remove(uint32_t service, struct worker_id giver, const char *name)
{
	struct store_service *s = store_find(service);
	struct stored **link = s != NULL ? &s->first : NULL;
	bool any = false;

	if (name[0] == '\0')
		name = default_name;
	while (link != NULL && *link != NULL) {
		if ((*link)->giver.incarnation != giver.incarnation ||
		    strcmp((*link)->name, name) != 0) {
			link = &(*link)->next;
			continue;
		}
		drop(link);
		any = true;
	}
	if (any)
		store_changed();
}

void
store_stopping(uint32_t service, struct worker_id id)
{
	struct store_service *s = store_find(service);
	struct store_worker *w = s != NULL && s->limit > 0 ?
	    store_worker_make(s, id) : NULL;

	if (w == NULL || w->stopping)
		return;
	w->stopping = true;
	store_changed();
}

void
store_ended(uint32_t service, struct worker_id id)
{
	struct store_service *s = store_find(service);
	struct store_worker *w = s != NULL ? store_worker_find(s,
	    id.incarnation) : NULL;

	if (w == NULL)
		return;
	store_worker_end(s, w);
	store_changed();
}

uint32_t
store_count(uint32_t service)
{
	const struct store_service *s = store_find(service);

	return s != NULL ? s->count : 0;
}

/*
 * Services
 */

void
store_agree(uint32_t service, const struct store_terms *terms)
{
	struct store_service *s = store_make(service);

	if (s == NULL)          /* nothing is stored then */
		return;
	if (terms->limit < s->limit && s->count > terms->limit)
		log_notice("%s: fd_store is %u now, and %u file descriptors "
		    "are stored: these stay, and no other is taken until there "
		    "are fewer", terms->name, terms->limit, s->count);
	if (s->name[0] == '\0')
		(void)snprintf(s->name, sizeof(s->name), "%s", terms->name);
	s->limit = terms->limit;
	s->slot_count = terms->slot_count;
	s->closed = terms->closed;
	s->agreed = true;
	if (s->limit > 0) {
		s->told_refused = false;
		(void)open_hang_ups();  /* tried again when there is need */
	}
	if (s->closed && drop_all(s))
		store_changed();
}

static void
forget(struct store_service **link)
{
	struct store_service *s = *link;
	struct store_worker *w;

	(void)drop_all(s);
	while ((w = s->workers) != NULL) {
		store_worker_close(s, w);
		s->workers = w->next;
		free(w);
	}
	*link = s->next;
	free(s);
	store_changed();
}

void
store_settle(void)
{
	struct store_service **link = &store_services;

	while (*link != NULL) {
		if (!(*link)->agreed) {
			forget(link);
			continue;
		}
		(*link)->agreed = false;
		link = &(*link)->next;
	}
}

void
store_release(void)
{
	while (store_services != NULL)
		forget(&store_services);
	reactor_unwatch(&hang_ups.watch);
	fd_clear(&hang_ups.epoll_fd);
}
