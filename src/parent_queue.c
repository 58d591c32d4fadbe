/*
 * The messages to the parent.
 *
 * An item is a name with its fds, or lines to say.  It is either queued or, if
 * it is a name whose fds were sent, held.  A tree finds names: a service has
 * thousands of workers, each with a name of its own.
 *
 * The socket is connected, so that poll(2) knows whether there is room at the
 * parent's end, and an item is sent at once unless others wait: what the parent
 * does not have yet is lost if we die now.
 */
#include "parent_queue.h"

#include <assert.h>
#include <limits.h>
#include <search.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bounds.h"
#include "clock.h"
#include "log.h"
#include "parent.h"
#include "reactor.h"

#define RETRY_MIN_MS UINT64_C(100)
#define RETRY_MAX_MS UINT64_C(30000)

enum {
	NAME_LENGTH_LIMIT = 255,        /* FDNAME=, the protocol's */
	/* All names are one variable of the next supd: the kernel's
	 * MAX_ARG_STRLEN, beyond which nothing can be executed any more. */
	NAMES_BYTES_LIMIT = 131072 - sizeof("LISTEN_FDNAMES="),
};

struct item {
	TAILQ_ENTRY(item) link;
	bool is_name;           /* else lines to say */
	bool queued;            /* else held */
	bool known;             /* the parent may have fds of that name */
	bool forget;            /* and has to drop them first */
	unsigned fd_count;      /* 0: it shall have none */
	int *fds;
	char text[];            /* the name, or the lines */
};

TAILQ_HEAD(items, item);

static struct items queue = TAILQ_HEAD_INITIALIZER(queue);
static struct items held = TAILQ_HEAD_INITIALIZER(held);
static void *names;             /* tsearch(3), of all that are names */

static unsigned fd_total, fd_limit = UINT_MAX;
static size_t name_bytes;       /* of all that are stored, for each fd */
static bool said_full;          /* to the log */

static struct watch room;       /* while the parent's queue is full */
static bool waits_for_room;
static struct alarm retry;      /* after an error that may pass */
static bool waits_for_retry;
static uint64_t retry_ms;

/*
 * Items
 */

static int
compare_names(const void *a, const void *b)
{
	const struct item *one = a, *other = b;

	return strcmp(one->text, other->text);
}

static void
no_memory(const char *text)
{
	log_error("no memory, the parent is not told: %s", text);
}

static struct item *
new_item(const char *text)
{
	size_t bytes = strlen(text) + 1;
	struct item *item = calloc(1, sizeof(*item) + bytes);

	if (item == NULL)
		no_memory(text);
	else
		memcpy(item->text, text, bytes);
	return item;
}

static void
count_fds(struct item *item, unsigned count)
{
	fd_total += count - item->fd_count;
	name_bytes += (strlen(item->text) + 1) * count;
	name_bytes -= (strlen(item->text) + 1) * item->fd_count;
	item->fd_count = count;
}

/* The fds are the caller's. */
static void
free_item(struct item *item)
{
	TAILQ_REMOVE(item->queued ? &queue : &held, item, link);
	if (item->is_name)
		(void)tdelete(item, &names, compare_names);
	count_fds(item, 0);
	free(item->fds);
	free(item);
}

static void
enqueue(struct item *item)
{
	item->queued = true;
	TAILQ_INSERT_TAIL(&queue, item, link);
}

static void
hold(struct item *item)
{
	TAILQ_REMOVE(&queue, item, link);
	item->queued = false;
	TAILQ_INSERT_TAIL(&held, item, link);
}

static struct item *
find_name(const char *name)
{
	_Alignas(struct item) char bytes[sizeof(struct item) +
	    NAME_LENGTH_LIMIT + 1];
	struct item *key = (struct item *)(void *)bytes, **found;
	size_t length = strlen(name);

	assert(length > 0 && length <= NAME_LENGTH_LIMIT);
	for (const char *c = name; *c != '\0'; c++)
		assert(*c >= ' ' && *c <= '~' && *c != ':');
	memcpy(bytes + offsetof(struct item, text), name, length + 1);
	found = tfind(key, &names, compare_names);
	return found != NULL ? *found : NULL;
}

/* A name that is queued and of which nothing is to be said yet; or NULL. */
static struct item *
add_name(const char *name)
{
	struct item *item = new_item(name);

	if (item == NULL)
		return NULL;
	item->is_name = true;
	if (tsearch(item, &names, compare_names) == NULL) {
		no_memory(name);
		free(item);
		return NULL;
	}
	enqueue(item);
	return item;
}

static bool
set_fds(struct item *item, const int *fds, unsigned count)
{
	int *copy = NULL;

	if (count > 0) {
		copy = calloc(count, sizeof(*copy));
		if (copy == NULL)
			return false;
		memcpy(copy, fds, count * sizeof(*copy));
	}
	free(item->fds);
	item->fds = copy;
	count_fds(item, count);
	return true;
}

/*
 * Sending
 */

/* What was sent of it is noted, also if the rest was not. */
static enum parent_outcome
send_item(struct item *item)
{
	char text[NAME_LENGTH_LIMIT + sizeof("FDSTOREREMOVE=1\nFDNAME=")];
	enum parent_outcome outcome;

	if (!item->is_name)
		return parent_socket_send(item->text, NULL, 0);
	if (item->forget) {
		(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s",
		    item->text);
		outcome = parent_socket_send(text, NULL, 0);
		if (outcome != PARENT_SENT)
			return outcome;
		item->forget = item->known = false;
	}
	if (item->fd_count == 0)
		return PARENT_SENT;
	(void)snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s",
	    item->text);
	outcome = parent_socket_send(text, item->fds, item->fd_count);
	if (outcome == PARENT_SENT)
		item->known = true;
	return outcome;
}

/* The parent is not there any more; who comes in its place knows nothing. */
static void
enqueue_all(void)
{
	struct item *item;

	TAILQ_FOREACH(item, &held, link)
		item->queued = true;
	TAILQ_CONCAT(&held, &queue, link);
	TAILQ_CONCAT(&queue, &held, link);
}

static void
finish(struct item *item)
{
	if (item->fd_count > 0)
		hold(item);
	else
		free_item(item);
}

/*
 * SENT if that is true of all.  One that has to come later lets the others
 * pass: the watchdog is among them.
 */
static enum parent_outcome
send_queue(void)
{
	struct items later = TAILQ_HEAD_INITIALIZER(later);
	enum parent_outcome outcome = PARENT_SENT;
	struct item *item;

	while ((item = TAILQ_FIRST(&queue)) != NULL) {
		outcome = send_item(item);
		if (outcome == PARENT_FULL || outcome == PARENT_LOST)
			break;
		if (outcome == PARENT_LATER) {
			TAILQ_REMOVE(&queue, item, link);
			TAILQ_INSERT_TAIL(&later, item, link);
		} else {
			finish(item);
		}
	}
	if (item == NULL)
		outcome = TAILQ_EMPTY(&later) ? PARENT_SENT : PARENT_LATER;
	TAILQ_CONCAT(&queue, &later, link);
	if (outcome == PARENT_LOST)
		enqueue_all();
	if (outcome == PARENT_SENT)
		parent_socket_is_well();
	return outcome;
}

static void go_on(void);

static void
on_room(void *ctx, int events)
{
	(void)ctx, (void)events;
	reactor_unwatch(&room);
	waits_for_room = false;
	go_on();
}

static void
on_retry(void *ctx)
{
	(void)ctx;
	waits_for_retry = false;
	go_on();
}

static void
wait_for_retry(void)
{
	retry_ms = retry_ms == 0 ? RETRY_MIN_MS : retry_ms * 2 < RETRY_MAX_MS ?
	    retry_ms * 2 : RETRY_MAX_MS;
	waits_for_retry = true;
	reactor_set_alarm(&retry, retry_ms, on_retry, NULL);
}

static void
go_on(void)
{
	enum parent_outcome outcome;

	if (waits_for_room || waits_for_retry || TAILQ_EMPTY(&queue))
		return;
	outcome = send_queue();
	if (outcome == PARENT_LATER || outcome == PARENT_LOST) {
		wait_for_retry();
		return;
	}
	retry_ms = 0;
	if (outcome == PARENT_FULL) {
		waits_for_room = true;
		reactor_watch(&room, parent_socket_fd(), REACTOR_WRITE, on_room,
		    NULL);
	}
}

/*
 * What is to be sent
 */

/* The parent shall have no fds of that name, which it may have. */
static void
remove_item(struct item *item)
{
	(void)set_fds(item, NULL, 0);
	item->known = item->forget = true;
	if (item->queued)
		return;
	TAILQ_REMOVE(&held, item, link);
	enqueue(item);
}

/* More would be refused, or keep the parent from executing the next supd. */
static bool
has_room(const char *name, const struct item *item, unsigned count)
{
	size_t one = strlen(name) + 1, before = item ? item->fd_count : 0;

	if (fd_total - before + count <= fd_limit &&
	    name_bytes + one * count <= NAMES_BYTES_LIMIT + one * before)
		return true;
	if (!said_full)
		log_error("the parent has no room for the file descriptors of "
		    "%s and others: it keeps %u (FileDescriptorStoreMax= of "
		    "systemd limits them) with %zu bytes of names of at most "
		    "%d; should supd be killed, workers are lost", name,
		    fd_total, name_bytes, (int)NAMES_BYTES_LIMIT);
	said_full = true;
	return false;
}

/* The item with these fds, or NULL: they are not kept. */
static struct item *
note(const char *name, const int *fds, unsigned count)
{
	struct item *item = find_name(name);

	if (has_room(name, item, count)) {
		if (item == NULL)
			item = add_name(name);
		if (item == NULL || set_fds(item, fds, count))
			return item;
		no_memory(name);
	}
	if (item != NULL && (item->known || item->forget))
		remove_item(item);
	else if (item != NULL)
		free_item(item);
	return NULL;
}

static void
store(const char *name, const int *fds, unsigned count, bool told)
{
	struct item *item;

	if (!parent_socket_is_open())
		return;
	assert(count > 0 && count <= NOTIFY_FDS_MAX);
	item = note(name, fds, count);
	if (item == NULL)
		return;
	item->forget = item->known && !told;
	item->known = item->known || told;
	if (told && item->queued)
		hold(item);
	if (told || item->queued)
		return;
	TAILQ_REMOVE(&held, item, link);
	enqueue(item);
}

void
parent_store(const char *name, const int *fds, unsigned count)
{
	store(name, fds, count, false);
	go_on();
}

void
parent_adopt(const char *name, const int *fds, unsigned count)
{
	store(name, fds, count, true);
}

void
parent_remove(const char *name)
{
	struct item *item;

	if (!parent_socket_is_open())
		return;
	item = find_name(name);
	if (item == NULL)
		item = add_name(name);
	else if (!item->known) {
		free_item(item);
		return;
	}
	if (item == NULL)
		return;
	remove_item(item);
	go_on();
}

bool
parent_keeps_any(void)
{
	return !TAILQ_EMPTY(&held);
}

/* Whether both begin with the same variable. */
static bool
says_the_same(const struct item *item, const char *lines)
{
	size_t length = strcspn(lines, "=");

	return !item->is_name && strncmp(item->text, lines, length) == 0 &&
	    item->text[length] == '=';
}

void
parent_queue_say(const char *lines)
{
	struct item *item, *next;

	if (!parent_socket_is_open())
		return;
	for (item = TAILQ_FIRST(&queue); item != NULL; item = next) {
		next = TAILQ_NEXT(item, link);
		if (says_the_same(item, lines))
			free_item(item);
	}
	item = new_item(lines);
	if (item != NULL)
		enqueue(item);
	go_on();
}

/*
 * The end
 */

bool
parent_flush(uint64_t timeout_ms)
{
	uint64_t end_ms = clock_ms() + timeout_ms;
	enum parent_outcome outcome;

	while (!TAILQ_EMPTY(&queue)) {
		outcome = send_queue();
		if (outcome == PARENT_SENT ||
		    !parent_socket_wait(outcome, end_ms))
			break;
	}
	return TAILQ_EMPTY(&queue);
}

void
parent_queue_set_limit(unsigned fd_count)
{
	fd_limit = fd_count;
	said_full = false;
}

void
parent_queue_release(void)
{
	reactor_unwatch(&room);
	reactor_clear_alarm(&retry);
	waits_for_room = waits_for_retry = false;
	retry_ms = 0;
	enqueue_all();
	while (!TAILQ_EMPTY(&queue))
		free_item(TAILQ_FIRST(&queue));
}
