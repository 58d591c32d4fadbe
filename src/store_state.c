/*
 * What of the fd store outlives supd, as JSON: an object for each worker that it
 * knows and for each stored fd.
 *
 *   {"kind":"worker","service":3,"slot":0,"incarnation":17,"revision":2,
 *    "replaced":false,"stopping":false,"handover":true}
 *   {"kind":"fd","service":3,"slot":0,"incarnation":17,"revision":2,
 *    "replaced":false,"number":7,"name":"stored","unwatched":false,"left":true}
 *
 * An object of another kind is ignored, and so is a member that is not known:
 * a newer supd's.  What this one gets is checked before anything is taken.
 */
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "carry.h"
#include "fd.h"
#include "log.h"
#include "store_private.h"

enum { OBJECTS_MAX = SERVICES_MAX * (FD_STORE_MAX + 2 * WORKERS_MAX) };

/* One object, whatever its kind. */
struct record {
	bool is_fd;
	uint32_t service;
	struct worker_id id;
	uint32_t revision;
	uint64_t number;
	const char *name;
	bool replaced, stopping, handover, unwatched, left;
};

static json_t *
worker_json(const struct store_service *s, const struct store_worker *w)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b}",
	    "kind", "worker",
	    "service", (json_int_t)s->id, "slot", (json_int_t)w->id.slot,
	    "incarnation", (json_int_t)w->id.incarnation,
	    "revision", (json_int_t)w->revision,
	    "replaced", (int)w->replaced,
	    "stopping", (int)w->stopping, "handover", (int)(w->ends[0] >= 0));
}

static json_t *
stored_json(const struct stored *stored)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b, s:I, s:s, s:b, s:b}",
	    "kind", "fd", "service", (json_int_t)stored->owner->id,
	    "slot", (json_int_t)stored->giver.slot,
	    "incarnation", (json_int_t)stored->giver.incarnation,
	    "revision", (json_int_t)stored->revision,
	    "replaced", (int)stored->replaced,
	    "number", (json_int_t)stored->number,
	    "name", stored->name, "unwatched", (int)stored->unwatched,
	    "left", (int)stored->left);
}

json_t *
store_save(void)
{
	json_t *list = json_array();

	for (const struct store_service *s = store_services; s != NULL;
	    s = s->next) {
		for (const struct store_worker *w = s->workers; w != NULL;
		    w = w->next)
			(void)json_array_append_new(list, worker_json(s, w));
		for (const struct stored *stored = s->first; stored != NULL;
		    stored = stored->next)
			(void)json_array_append_new(list, stored_json(stored));
	}
	return list;
}

static bool
read_id(const json_t *object, const char *key, uint32_t min, uint32_t *ret_id)
{
	const json_t *value = json_object_get(object, key);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < min || number > UINT32_MAX)
		return false;
	*ret_id = (uint32_t)number;
	return true;
}

static bool
read_number(const json_t *object, uint64_t *ret_number)
{
	json_int_t number = json_integer_value(json_object_get(object,
	    "number"));

	*ret_number = (uint64_t)number;
	return number > 0;
}

static bool
read_flag(const json_t *object, const char *key, bool *ret_flag)
{
	const json_t *value = json_object_get(object, key);

	*ret_flag = json_is_true(value);
	return value == NULL || json_is_boolean(value);
}

static bool
read_name(const json_t *object, const char **ret_name)
{
	const json_t *value = json_object_get(object, "name");

	*ret_name = json_string_value(value);
	return *ret_name != NULL && json_string_length(value) ==
	    strlen(*ret_name) && store_name_is_good(*ret_name);
}

/* NULL, or which member is wrong; *ret_known: it is of a kind that we know. */
static const char *
read_record(const json_t *object, struct record *ret_record, bool *ret_known)
{
	const char *kind = json_string_value(json_object_get(object, "kind"));
	struct record *r = ret_record;

	*ret_known = false;
	if (kind == NULL)
		return "kind";
	r->is_fd = strcmp(kind, "fd") == 0;
	if (!r->is_fd && strcmp(kind, "worker") != 0)
		return NULL;
	*ret_known = true;
	if (!read_id(object, "service", 1, &r->service))
		return "service";
	if (!read_id(object, "slot", 0, &r->id.slot))
		return "slot";
	if (!read_id(object, "incarnation", 1, &r->id.incarnation))
		return "incarnation";
	if (!read_id(object, "revision", 0, &r->revision))
		return "revision";
	if (!read_flag(object, "replaced", &r->replaced) ||
	    !read_flag(object, "stopping", &r->stopping) ||
	    !read_flag(object, "handover", &r->handover) ||
	    !read_flag(object, "unwatched", &r->unwatched) ||
	    !read_flag(object, "left", &r->left))
		return "a flag";
	if (r->is_fd && !read_number(object, &r->number))
		return "number";
	if (r->is_fd && !read_name(object, &r->name))
		return "name";
	return NULL;
}

static int
check(const json_t *list, char *ret_text)
{
	struct record record;
	const char *wrong;
	bool known;

	if (!json_is_array(list) || json_array_size(list) > OBJECTS_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the fd store is no "
		    "array of at most %d objects", OBJECTS_MAX);
		return -1;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		wrong = read_record(json_array_get(list, i), &record, &known);
		if (wrong == NULL)
			continue;
		(void)snprintf(ret_text, REASON_BYTES_MAX, "object %zu of the "
		    "fd store is damaged: %s", i, wrong);
		return -1;
	}
	return 0;
}

static void
restore_worker(struct store_service *s, const struct record *r)
{
	struct store_worker *w = store_worker_make(s, r->id);

	if (w == NULL)
		return;
	w->revision = r->revision;
	w->replaced = r->replaced;
	w->stopping = r->stopping;
	if (r->handover && w->ends[0] < 0 && !store_worker_take(s, w))
		log_warning("service %u, slot %u: supd.handover was not "
		    "carried over; it gets no more stored file descriptors",
		    r->service, r->id.slot);
}

/* False: it did not come, or there is no memory. */
static bool
restore_fd(struct store_service *s, const struct record *r)
{
	char name[CARRY_NAME_BYTES_MAX + 1];
	struct stored *stored;
	int fd;

	if (store_number_last < r->number)
		store_number_last = r->number;
	(void)snprintf(name, sizeof(name), "f%" PRIu64, r->number);
	fd = carry_take(name);
	if (fd < 0)
		return false;
	stored = store_append(s, r->name, fd, r->number, r->unwatched);
	if (stored == NULL) {
		fd_close(fd);
		return false;
	}
	stored->giver = r->id;
	stored->worker = store_worker_find(s, r->id.incarnation);
	stored->revision = r->revision;
	stored->replaced = r->replaced;
	stored->left = r->left;
	return true;
}

/* Those of one kind; returns how many could not be restored. */
static unsigned
restore_kind(const json_t *list, bool is_fd)
{
	unsigned lost = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct store_service *s;
		struct record r;
		bool known;

		(void)read_record(json_array_get(list, i), &r, &known);
		if (!known || r.is_fd != is_fd)
			continue;
		s = store_make(r.service);
		if (s != NULL && !is_fd)
			restore_worker(s, &r);
		else
			lost += s == NULL || !restore_fd(s, &r);
	}
	return lost;
}

int
store_restore(const json_t *list, char *ret_text)
{
	unsigned lost;

	if (list == NULL)
		return 0;
	if (check(list, ret_text) < 0)
		return -1;
	(void)restore_kind(list, false);
	lost = restore_kind(list, true);
	if (lost > 0)
		log_warning("%u stored file descriptor%s not carried over",
		    lost, lost == 1 ? " was" : "s were");
	return 0;
}

void
store_check(bool (*lives)(void *ctx, uint32_t service, struct worker_id),
    void *ctx)
{
	for (struct store_service *s = store_services; s != NULL;
	    s = s->next) {
		struct store_worker *w = s->workers, *next;

		for (; w != NULL; w = next) {
			next = w->next;
			if (!lives(ctx, s->id, w->id))
				store_worker_end(s, w);
		}
	}
	store_changed();
}
