/*
 * The listeners that are open, from the first user to the last.
 *
 * Owns the list of them and their copies of the configuration; their sockets
 * are in listener_shard.c.  Two listeners with one address (the second is
 * opened while a release with the old name still runs) begin with one socket
 * that has two fds: nothing that waits in its queue depends on which of them is
 * closed first.  They share their lanes.
 */
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "listener_private.h"

static struct listener *listeners;

static void
spec_free(struct listener_spec *spec)
{
	if (spec == NULL)
		return;
	free(spec->address_text);
	free(spec->owner);
	free(spec);
}

static struct listener_spec *
spec_copy(const struct listener_spec *spec)
{
	struct listener_spec *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *spec;
	copy->address_text = strdup(spec->address_text);
	copy->owner = spec->owner ? strdup(spec->owner) : NULL;
	if (copy->address_text == NULL ||
	    (copy->owner == NULL) != (spec->owner == NULL)) {
		spec_free(copy);
		return NULL;
	}
	return copy;
}

static bool
owners_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whose lanes a listener at this address shares, or NULL. */
static struct lanes *
find_lanes(const struct listener_spec *spec)
{
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (listener_address_same(l->spec, spec))
			return l->lanes;
	}
	return NULL;
}

static const struct shard *
shard_in_charge(const struct listener *listener)
{
	return listener->lanes != NULL ?
	    listener_steering(listener)->stable : listener->shards[0];
}

struct shard *
listener_twin(const struct listener *listener, uint32_t label)
{
	struct shard *found = NULL, *s;
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (l == listener ||
		    !listener_address_same(l->spec, listener->spec))
			continue;
		for (uint32_t i = 0; i < l->shard_count; i++) {
			s = l->shards[i];
			if (s->broken || (label != LABEL_ANY &&
			    s->label != label))
				continue;
			if (s == shard_in_charge(l))
				return s;
			if (found == NULL)
				found = s;
		}
	}
	return found;
}

bool
listener_overlaps_ours(const struct listener_spec *spec)
{
	const struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (listener_address_overlaps(l->spec, spec))
			return true;
	}
	return false;
}

void
listener_drop_path(const struct listener *listener,
    const struct path_node *node)
{
	const struct listener *l;

	if (!address_has_file(&listener->spec->address))
		return;
	for (l = listeners; l != NULL; l = l->next) {
		if (l != listener && l->path_device == node->device &&
		    l->path_inode == node->inode &&
		    l->spec->address.family == ADDRESS_UNIX)
			return;
	}
	listener_path_remove(&listener->spec->address, node);
}

int
listener_apply(const struct listener *l, const struct listener_spec *to)
{
	const struct listener_spec *from = l->spec;
	struct path_node node = { l->path_device, l->path_inode };

	if (!address_has_file(&to->address) || (from->mode == to->mode &&
	    owners_equal(from->owner, to->owner)))
		return 0;
	return listener_path_set(to, &node);
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	lanes_unref(listener->lanes);
	spec_free(listener->spec);
	free(listener);
}

struct listener *
listener_new(const struct listener_spec *spec)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	struct lanes *lanes = find_lanes(spec);

	if (listener == NULL)
		return NULL;
	listener->spec = spec_copy(spec);
	if (spec->address.family != ADDRESS_UNIX)
		listener->lanes = lanes != NULL ? lanes_ref(lanes) :
		    lanes_new();
	if (listener->spec != NULL && (listener->lanes != NULL ||
	    spec->address.family == ADDRESS_UNIX))
		return listener;
	listener_free(listener);
	return NULL;
}

static bool
has_label(const struct lanes *lanes, uint32_t label)
{
	const struct shard *s;

	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (s->label == label)
			return true;
	}
	return false;
}

/* Not the lowest: connections of a shard that is gone may still be there. */
uint32_t
lanes_pick_label(struct lanes *lanes)
{
	do
		lanes->label_last = (lanes->label_last + 1) % LABELS_MAX;
	while (has_label(lanes, lanes->label_last));
	return lanes->label_last;
}

/* The lane in charge, also if it is broken now, or the first. */
static uint32_t
label_for_first(const struct listener *listener)
{
	if (listener->lanes == NULL)
		return 0;
	if (listener_steering(listener)->stable != NULL)
		return listener_steering(listener)->stable->label;
	return lanes_pick_label(listener->lanes);
}

struct shard *
listener_open(const struct listener_spec *spec, char *ret_text)
{
	struct listener *listener;
	const struct shard *twin;
	struct shard *shard;

	assert(spec->address_text != NULL);
	listener = listener_new(spec);
	if (listener == NULL) {
		listener_say(ret_text, spec, "%s", strerror(ENOMEM));
		return NULL;
	}
	twin = listener_twin(listener, LABEL_ANY);
	shard = shard_new(listener, twin, twin != NULL ? twin->label :
	    label_for_first(listener), ret_text);
	if (shard == NULL) {
		listener_free(listener);
		return NULL;
	}
	listener->next = listeners;
	listeners = listener;
	if (listener->lanes != NULL)
		lanes_refresh(listener->lanes);
	listener_changed();
	return shard;
}

struct listener *
listener_find(const struct listener_spec *spec)
{
	struct listener *l;

	for (l = listeners; l != NULL; l = l->next) {
		if (strcmp(l->spec->name, spec->name) == 0 &&
		    listener_address_same(l->spec, spec))
			return l;
	}
	return NULL;
}

struct listener *
listener_first(void)
{
	return listeners;
}

int
listener_adjust(struct listener *listener, const struct listener_spec *spec)
{
	struct listener_spec *copy;
	uint32_t i;
	int result;

	assert(listener_address_same(listener->spec, spec));
	copy = spec_copy(spec);
	if (copy == NULL)
		return -ENOMEM;
	result = listener_apply(listener, copy);
	for (i = 0; result == 0 && i < listener->shard_count; i++)
		result = shard_apply(listener->shards[i], copy);
	if (result != 0) {
		spec_free(copy);
		return result;
	}
	spec_free(listener->spec);
	listener->spec = copy;
	for (i = 0; i < listener->shard_count; i++) {
		if (!listener->shards[i]->broken)
			listener->shards[i]->backlog_granted =
			    shard_read_backlog(listener->shards[i]);
	}
	listener_changed();
	return 0;
}

void
listener_append(struct listener *listener)
{
	struct listener **at = &listeners;

	while (*at != NULL)
		at = &(*at)->next;
	*at = listener;
}

void
listener_remove(struct listener *listener)
{
	struct listener **at = &listeners;

	while (*at != listener)
		at = &(*at)->next;
	*at = listener->next;
}

void
listener_leave(struct listener *listener)
{
	struct path_node node = { listener->path_device,
	    listener->path_inode };

	listener_remove(listener);
	listener_drop_path(listener, &node);
}
