/*
 * To whom stored fds go: with a start, or by a message to who runs.
 *
 * A message is the fd and its name.  It is on its way, and no longer in the
 * store, from then on until it is read: by the worker, or by us when the worker
 * has ended.  A worker that does not read has at some time a full socket; then
 * it gets no more, and the rest waits.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carry.h"
#include "fd.h"
#include "log.h"
#include "reactor.h"
#include "store_private.h"

static const char handover_name[] = "supd.handover";

/* How soon a message that the system has no room for is sent again. */
#define RETRY_MS UINT64_C(1000)

static struct alarm retry_alarm;
static bool crowded;            /* until it rings */

/* The start in hand. */
static struct {
	struct store_grant grant;
	size_t names_bytes;
	struct store_service *service;  /* NULL: gets nothing */
	struct worker_id id;
	uint32_t revision;
	int ends[2];
} start = { .ends = { -1, -1 } };

/* The slot whose workers get it. */
static uint32_t
home_of(const struct stored *stored)
{
	const struct store_service *s = stored->owner;

	return stored->giver.slot < s->slot_count ? stored->giver.slot :
	    stored->giver.slot % s->slot_count;
}

/* Is it for no other release than its giver's? */
static bool
is_bound(const struct stored *stored)
{
	const struct store_service *s = stored->owner;

	return !stored->replaced && stored->revision != 0 &&
	    (stored->revision == s->stable || stored->revision == s->candidate);
}

/*
 * Workers and their sockets
 */

struct store_worker *
store_worker_find(const struct store_service *s, uint32_t incarnation)
{
	struct store_worker *w = s->workers;

	while (w != NULL && w->id.incarnation != incarnation)
		w = w->next;
	return w;
}

struct store_worker *
store_worker_make(struct store_service *s, struct worker_id id)
{
	struct store_worker **link = &s->workers, *w;

	while (*link != NULL && (*link)->id.incarnation != id.incarnation)
		link = &(*link)->next;
	if (*link != NULL)
		return *link;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	w->id = id;
	w->ends[0] = w->ends[1] = -1;
	*link = w;
	return w;
}

/* Each end has a name of its own: one cannot be told from the other. */
static void
carry_name(const struct store_service *s, const struct store_worker *w,
    unsigned end, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "h%u.%u%s", s->id,
	    w->id.incarnation, end == 0 ? "" : ".w");
}

static void
keep_ends(const struct store_service *s, const struct store_worker *w)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	for (unsigned end = 0; end < 2; end++) {
		carry_name(s, w, end, name);
		carry_put(name, &w->ends[end], 1, true);
	}
}

void
store_worker_close(const struct store_service *s, struct store_worker *w)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	reactor_unwatch(&w->watch);
	for (unsigned end = 0; end < 2; end++) {
		carry_name(s, w, end, name);
		carry_drop(name);
		fd_clear(&w->ends[end]);
	}
}

bool
store_worker_take(const struct store_service *s, struct store_worker *w)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	for (unsigned end = 0; end < 2; end++) {
		carry_name(s, w, end, name);
		w->ends[end] = carry_take(name);
	}
	if (w->ends[0] < 0 || w->ends[1] < 0) {
		store_worker_close(s, w);
		return false;
	}
	keep_ends(s, w);
	return true;
}

/* The next message that was not read: its fd and name, or -1. */
static int
read_back(const struct store_worker *w, char *ret_name)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { ret_name, FD_NAME_LENGTH_MAX };
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	const struct cmsghdr *rights;
	ssize_t size;
	int fd;

	size = recvmsg(w->ends[1], &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size <= 0 || (rights = CMSG_FIRSTHDR(&header)) == NULL)
		return -1;
	ret_name[size] = '\0';
	memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	return fd;
}

void
store_worker_end(struct store_service *s, struct store_worker *w)
{
	struct store_worker **link = &s->workers;
	char name[FD_NAME_LENGTH_MAX + 1];
	struct stored *stored;
	int fd;

	for (stored = s->first; stored != NULL; stored = stored->next)
		if (stored->worker == w)
			stored->worker = NULL;
	while (w->ends[1] >= 0 && (fd = read_back(w, name)) >= 0) {
		fd = fd_to_private(fd);
		stored = s->closed || !store_name_is_good(name) ? NULL :
		    store_append(s, name, fd, 0, false);
		if (stored == NULL) {
			fd_close(fd);
			continue;
		}
		stored->giver = w->id;
		stored->revision = w->revision;
		stored->replaced = w->replaced;
	}
	store_worker_close(s, w);
	while (*link != w)
		link = &(*link)->next;
	*link = w->next;
	free(w);
}

/*
 * With a start
 */

static bool
grant_fd(int fd, const char *name)
{
	struct store_grant *grant = &start.grant;
	size_t room = sizeof(grant->names) - start.names_bytes;
	int length;

	if (grant->count == FD_START_MAX)
		return false;
	length = snprintf(grant->names + start.names_bytes, room, "%s%s",
	    grant->count == 0 ? "" : ":", name);
	if ((size_t)length >= room) {
		grant->names[start.names_bytes] = '\0';
		return false;
	}
	start.names_bytes += (size_t)length;
	grant->fds[grant->count++] = fd;
	return true;
}

static void
grant_handover(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    start.ends) < 0) {
		log_warning("%s/%u: no socket for supd.handover: %s; it gets "
		    "what was stored with its start only",
		    start.service->name, start.id.slot, strerror(errno));
		return;
	}
	start.ends[0] = fd_to_private(start.ends[0]);
	start.ends[1] = fd_to_source(start.ends[1]);
	(void)grant_fd(start.ends[1], handover_name);
}

static bool
is_for_start(const struct stored *stored)
{
	return home_of(stored) == start.id.slot && store_is_free(stored) &&
	    (!is_bound(stored) || stored->revision == start.revision);
}

const struct store_grant *
store_grant(uint32_t service, struct worker_id id, uint32_t revision)
{
	struct store_service *s = store_find(service);

	start.grant.count = 0;
	start.grant.names[0] = '\0';
	start.names_bytes = 0;
	start.service = s;
	start.id = id;
	start.revision = revision;
	if (s == NULL || s->closed)
		return &start.grant;
	if (s->limit > 0)
		grant_handover();
	for (struct stored *stored = s->first; stored != NULL;
	    stored = stored->next)
		stored->granted = is_for_start(stored) &&
		    grant_fd(stored->fd, stored->name);
	return &start.grant;
}

/* Those that it was started with are its own now. */
static void
take_granted(struct store_service *s)
{
	struct stored **link = &s->first;
	uint32_t count = 0;

	while (*link != NULL) {
		if (!(*link)->granted) {
			link = &(*link)->next;
			continue;
		}
		store_unlink(link);
		count++;
	}
	if (count > 0)
		log_notice("%s/%u: was started with %u stored file "
		    "descriptor%s", s->name, start.id.slot, count,
		    count == 1 ? "" : "s");
}

static void
keep_handover(struct store_service *s)
{
	struct store_worker *w;

	if (start.ends[0] < 0 || (w = store_worker_make(s, start.id)) == NULL)
		return;
	w->revision = start.revision;
	w->ends[0] = start.ends[0];
	w->ends[1] = fd_to_private(start.ends[1]);
	start.ends[0] = start.ends[1] = -1;
	keep_ends(s, w);
}

void
store_granted(bool started)
{
	struct store_service *s = start.service;

	if (started && start.grant.count > 0) {
		take_granted(s);
		keep_handover(s);
		store_changed();
	}
	fd_clear(&start.ends[0]);
	fd_clear(&start.ends[1]);
	start.service = NULL;
}

/*
 * By a message
 */

/* The turn that follows sends again. */
static void
on_retry(void *ctx)
{
	(void)ctx;
	crowded = false;
}

static void
on_room(void *ctx, int events)
{
	struct store_worker *w = ctx;

	(void)events;
	reactor_unwatch(&w->watch);
	w->blocked = false;
}

/* True if the worker has it now, or as good as. */
static bool
hand_over(struct store_service *s, struct store_worker *w,
    const struct stored *stored)
{
	int error;

	if (w == NULL || w->ends[0] < 0 || w->blocked || crowded ||
	    w == stored->worker)
		return false;
	error = fd_send(w->ends[0], stored->name, &stored->fd, 1);
	if (error == 0)
		return true;
	if (error == -EAGAIN) {
		w->blocked = true;
		reactor_watch(&w->watch, w->ends[0], REACTOR_WRITE, on_room,
		    w);
	} else if (error == -EPIPE || error == -ECONNRESET) {
		log_warning("%s/%u: has shut down supd.handover; it gets no "
		    "more stored file descriptors", s->name, w->id.slot);
		store_worker_close(s, w);
	} else {
		/* No memory, or too many fds are on their way. */
		crowded = true;
		reactor_set_alarm(&retry_alarm, RETRY_MS, on_retry, NULL);
	}
	return false;
}

/* Who takes it: one of the giver's release if there is one; 0: nobody. */
static uint32_t
taker_of(const struct stored *stored, const struct store_ready *slots)
{
	const struct store_service *s = stored->owner;
	const struct store_ready *ready = &slots[home_of(stored)];
	uint32_t own = 0, other = ready->stable;

	if (stored->revision == s->stable) {
		own = ready->stable;
		other = ready->candidate;
	} else if (stored->revision == s->candidate) {
		own = ready->candidate;
	} else if (ready->stable == 0) {
		other = ready->candidate;
	}
	return own != 0 ? own : is_bound(stored) ? 0 : other;
}

void
store_hand_over(uint32_t service, const struct store_ready *slots)
{
	struct store_service *s = store_find(service);
	struct stored **link = s != NULL ? &s->first : NULL;
	struct store_worker *w = NULL;
	bool any = false;

	while (link != NULL && *link != NULL) {
		uint32_t taker = store_is_free(*link) ?
		    taker_of(*link, slots) : 0;

		if (taker != 0 && (w == NULL || w->id.incarnation != taker))
			w = store_worker_find(s, taker);
		if (taker != 0 && hand_over(s, w, *link)) {
			store_unlink(link);
			any = true;
		} else {
			link = &(*link)->next;
		}
	}
	if (any)
		store_changed();
}
