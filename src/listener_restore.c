/*
 * From a text and the fds that came to the listeners that were.
 *
 * All that needs memory is made first, so that a failure leaves the fds where
 * they are; they are taken only when nothing can go wrong any more but with one
 * of them.
 *
 * One that was broken is shut down here, whatever it is: it may be the new one,
 * of a supd that was killed before the workers were told.  The watch finds it,
 * and the rest is as ever.
 */
#include "listener_keep.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "carry.h"
#include "fd.h"
#include "listener_private.h"
#include "listener_record.h"
#include "log.h"

/*
 * Making
 */

/* Without a socket yet. */
static struct shard *
make_shard(struct listener *listener, const struct shard_record *record)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL)
		return NULL;
	*shard = (struct shard){
		.reference_count = 1,
		.restored = true,
		.listener = listener,
		.number = record->number,
		.fd = -1,
		.inode = record->inode,
		.label = record->label,
		.backlog_granted = record->backlog_granted,
		.broken = record->broken,
	};
	return shard;
}

static bool
make(const struct listener_record *record)
{
	struct listener_spec spec = listener_record_spec(record);
	struct listener *listener = listener_new(&spec);

	if (listener == NULL)
		return false;
	listener->path_device = record->path_device;
	listener->path_inode = record->path_inode;
	listener_append(listener);
	for (uint32_t i = 0; i < listener_record_shards(record); i++) {
		struct shard *shard = make_shard(listener,
		    &record->shards[i]);

		if (shard == NULL)
			return false;
		listener->shards[listener->shard_count++] = shard;
	}
	return true;
}

/* Of one that has no socket. */
static void
unmake_shard(struct listener *listener, uint32_t index)
{
	free(listener->shards[index]);
	listener->shard_count--;
	memmove(&listener->shards[index], &listener->shards[index + 1],
	    (listener->shard_count - index) * sizeof(listener->shards[0]));
}

static void
unmake(struct listener *listener)
{
	while (listener->shard_count > 0)
		unmake_shard(listener, 0);
	listener_remove(listener);
	listener_free(listener);
}

static int
make_all(const struct listener_record *records, size_t count, char *ret_text)
{
	bool made = true;

	for (size_t i = 0; made && i < count; i++)
		made = make(&records[i]);
	if (!made)
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the listeners of "
		    "the state: %s", strerror(ENOMEM));
	for (const struct listener *l = listener_first(); made && l != NULL;
	    l = l->next) {
		if (l->lanes == NULL || lanes_count(l->lanes) <= SHARDS_MAX)
			continue;
		made = false;
		listener_say(ret_text, l->spec, "more than %d shards "
		    "(SHARDS_MAX) are at this address", SHARDS_MAX);
	}
	while (!made && listener_first() != NULL)
		unmake(listener_first());
	return made ? 0 : -1;
}

/*
 * Taking
 */

static bool
is_it(const struct shard *shard, int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 &&
	    (shard->broken || status.st_ino == shard->inode) &&
	    listener_address_has(shard->listener->spec, fd);
}

/* The first that is it; there should be no other. */
static int
take_fd(const struct shard *shard)
{
	char name[CARRY_NAME_BYTES_MAX + 1];
	int found = -1, fd;

	(void)snprintf(name, sizeof(name), "s%u", shard->number);
	while ((fd = carry_take(name)) >= 0) {
		if (found < 0 && is_it(shard, fd))
			found = fd;
		else
			fd_close(fd);
	}
	return fd_to_source(found);
}

/* A parent may keep one fd only of two of the same socket. */
static int
double_twin(const struct shard *shard)
{
	for (const struct listener *l = listener_first(); l != NULL;
	    l = l->next) {
		for (uint32_t i = 0; i < l->shard_count; i++) {
			const struct shard *s = l->shards[i];

			if (s->fd >= 0 && is_it(shard, s->fd) && !s->broken &&
			    !shard->broken)
				return fcntl(s->fd, F_DUPFD_CLOEXEC,
				    FD_SOURCE);
		}
	}
	return -1;
}

static void
settle(struct shard *shard, int fd)
{
	struct stat status;
	int error;

	if (shard->broken)
		(void)shutdown(fd, SHUT_RDWR);
	if (fstat(fd, &status) == 0)
		shard->inode = status.st_ino;
	shard->broken = false;          /* the watch says it, see above */
	error = listener_watch_add(shard, fd);
	if (error != 0) {
		log_error("listener %s (%s): cannot watch its socket: %s",
		    shard->listener->spec->name,
		    shard->listener->spec->address_text, strerror(-error));
		fd_close(fd);
		return;
	}
	shard->fd = fd;
	shard_carry(shard, fd);
}

static void
take_for(struct listener *l, int (*find)(const struct shard *))
{
	for (uint32_t i = 0; i < l->shard_count; i++) {
		struct shard *s = l->shards[i];
		int fd = s->fd < 0 ? find(s) : -1;

		if (fd >= 0)
			settle(s, fd);
	}
}

static void
take_all(void)
{
	struct listener *l;

	for (l = listener_first(); l != NULL; l = l->next)
		take_for(l, take_fd);
	for (l = listener_first(); l != NULL; l = l->next)
		take_for(l, double_twin);
}

static void
leave_out(struct listener *l)
{
	for (uint32_t i = l->shard_count; i-- > 0;) {
		if (l->shards[i]->fd >= 0)
			continue;
		log_error("listener %s (%s): its socket (shard %u) did not "
		    "come from the supd before, or is another: it is left out",
		    l->spec->name, l->spec->address_text,
		    l->shards[i]->number);
		unmake_shard(l, i);
	}
	if (l->shard_count == 0)
		unmake(l);
}

/*
 * Steering
 */

/* NULL: it is not there, or at another address. */
static struct shard *
find_at(const struct lanes *lanes, uint32_t number)
{
	struct shard *s = lanes_first(lanes);

	while (s != NULL && s->number != number)
		s = lanes_next(s);
	return s;
}

static void
restore_lanes(struct lanes *lanes, const struct listener_record *record)
{
	struct steering steering = {
		.steer = record->steer,
		.stable = find_at(lanes, record->stable),
		.candidate = find_at(lanes, record->candidate),
		.weight_permille = record->weight_permille,
	};
	struct socket_group group = { .count = 0 };

	for (uint32_t i = 0; i < listener_record_members(record); i++)
		group_join(&group, record->members[i].inode);
	lanes->label_last = record->label_last;
	lanes->state.unsure = record->unsure;
	lanes_restore(lanes, &group, &steering);
}

/* The first record of an address speaks for all. */
static void
restore_steering(const struct listener_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct listener_spec spec = listener_record_spec(&records[i]);
		const struct listener *l = listener_find(&spec);

		if (l != NULL && l->lanes != NULL &&
		    l->lanes->group.count == 0)
			restore_lanes(l->lanes, &records[i]);
	}
}

int
listener_restore(const json_t *text, char *ret_text)
{
	struct listener_record *records;
	struct listener *l, *next;
	size_t count;
	int result;

	assert(listener_first() == NULL);
	records = listener_records_read(text, &count, ret_text);
	if (records == NULL)
		return -1;
	result = make_all(records, count, ret_text);
	if (result == 0) {
		for (size_t i = 0; i < count; i++)
			shard_number_used(records[i].number_last);
		take_all();
		for (l = listener_first(); l != NULL; l = next) {
			next = l->next;
			leave_out(l);
		}
		restore_steering(records, count);
		listener_close_strays();
	}
	listener_records_free(records, count);
	return result;
}

static struct shard *
first_restored(void)
{
	for (const struct listener *l = listener_first(); l != NULL;
	    l = l->next) {
		for (uint32_t i = 0; i < l->shard_count; i++) {
			if (l->shards[i]->restored)
				return l->shards[i];
		}
	}
	return NULL;
}

void
listener_restored(void)
{
	struct shard *shard;

	while ((shard = first_restored()) != NULL) {
		shard->restored = false;
		if (shard->reference_count == 1)
			log_warning("listener %s (%s): nobody uses its socket "
			    "(shard %u) after the restart: it is closed",
			    shard->listener->spec->name,
			    shard->listener->spec->address_text,
			    shard->number);
		shard_unref(shard);
	}
	listener_drop_strays();
}
