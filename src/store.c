/*
 * The fd store: what workers ask for, and what services allow.
 */
#include "store.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fd.h"
#include "log.h"
#include "store_private.h"

/* Do two fds stand for the same open file?  Linux 6.10. */
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

static const char default_name[] = "stored";

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
	if (store_lingers(fd)) {
		log_warning("%s/%u: the file descriptor %s that it wants to "
		    "store is closed: its SO_LINGER could make supd wait",
		    s->name, giver.slot, name);
		return true;
	}
	return false;
}

/* The stored one, or NULL; the fd is not the caller's any more. */
static struct stored *
store_or_close(struct store_service *s, struct worker_id giver,
    const char *name, int fd, bool unwatched)
{
	struct stored *stored = find_same(s, name, fd);

	if (stored != NULL) {
		fd_close(fd);
		store_set_unwatched(stored, unwatched);
		return stored;
	}
	fd = fd_to_private(fd);
	if (!refuse(s, giver, name, fd))
		stored = store_append(s, name, fd, 0, unwatched);
	if (stored == NULL)
		fd_close(fd);
	else
		s->told_full = false;
	return stored;
}

static bool
put(struct store_service *s, struct store_worker *giver,
    const struct store_request *request, const char *name, int fd)
{
	struct stored *stored = store_or_close(s, giver->id, name, fd,
	    request->unwatched);

	if (stored == NULL)
		return false;
	stored->giver = giver->id;
	stored->revision = giver->revision;
	stored->worker = giver;
	stored->left = giver->stopping;
	stored->replaced = giver->replaced;
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
		if (giver == NULL)
			fd_close(request->fds[i]);
		else if (put(s, giver, request, name, request->fds[i]))
			any = true;
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
		store_drop(link);
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
store_replaced(uint32_t service, struct worker_id id)
{
	struct store_service *s = store_find(service);
	struct store_worker *w = s != NULL ? store_worker_find(s,
	    id.incarnation) : NULL;

	if (w == NULL || w->replaced)
		return;
	w->replaced = true;
	for (struct stored *stored = s->first; stored != NULL;
	    stored = stored->next)
		if (stored->worker == w)
			stored->replaced = true;
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
	s->stable = terms->stable;
	s->candidate = terms->candidate;
	s->closed = terms->closed;
	s->agreed = true;
	if (s->limit > 0) {
		s->told_refused = false;
		(void)store_open_hang_ups();  /* tried again when there is need */
	}
	if (s->closed && store_drop_all(s))
		store_changed();
}

static void
forget(struct store_service **link)
{
	struct store_service *s = *link;
	struct store_worker *w;

	(void)store_drop_all(s);
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
	store_close_hang_ups();
}
