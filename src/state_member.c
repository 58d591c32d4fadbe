/*
 * Records of a service: its rollout and who watches it, deployments, releases,
 * slots, workers.  A kind that is not known is a newer supd's.
 */
#include <stdlib.h>
#include <string.h>

#include "service.h"
#include "state_parts.h"

static int
read_struct(struct state_image *image, const struct state_record *record,
    const struct state_table *table, void *object)
{
	char why[REASON_BYTES_MAX];

	if (state_get(table, record->json, object, why) == 0)
		return 0;
	return state_refuse(image, record, "%s", why);
}

/*
 * Releases
 */

/* The environment, in the form that pin.h has; an empty one is not NULL. */
static int
read_environment(struct state_image *image, const struct state_record *record,
    struct release *release)
{
	const json_t *list = json_object_get(record->json, "environment");
	size_t count = json_array_size(list), size_bytes;

	release->environment = calloc(count + 1, sizeof(char *));
	if (release->environment == NULL)
		return state_refuse(image, record, "no memory");
	for (size_t i = 0; i < count; i++) {
		char *text = state_bytes(json_array_get(list, i), &size_bytes);

		release->environment[i] = text;
		if (text == NULL || strlen(text) != size_bytes ||
		    strchr(text, '=') == NULL)
			return state_refuse(image, record, "environment: must "
			    "be a list of NAME=value");
	}
	return 0;
}

static int
read_groups(struct state_image *image, const struct state_record *record,
    struct credentials *credentials)
{
	const json_t *list = json_object_get(record->json, "groups");
	size_t count = json_array_size(list);

	credentials->groups = calloc(count + 1, sizeof(gid_t));
	if (credentials->groups == NULL)
		return state_refuse(image, record, "no memory");
	for (size_t i = 0; i < count; i++) {
		const json_t *group = json_array_get(list, i);
		json_int_t number = json_integer_value(group);

		if (!json_is_integer(group) || number < 0 ||
		    number > UINT32_MAX)
			return state_refuse(image, record,
			    "groups: must be a list of numbers");
		credentials->groups[i] = (gid_t)number;
	}
	credentials->group_count = count;
	return 0;
}

/* Into its place, from where it is freed whatever comes. */
static struct release *
place_release(struct state_image *image, const struct state_record *record,
    struct service *s)
{
	struct release **at;
	uint32_t place;

	if (state_read_number(image, record, "place", NEXT_PLACE, &place) < 0)
		return NULL;
	at = place == NEXT_PLACE ? &s->next_release :
	    &s->releases[place].release;
	if (*at != NULL) {
		(void)state_refuse(image, record, "place %u has revision %u "
		    "already", place, (*at)->revision);
		return NULL;
	}
	*at = calloc(1, sizeof(**at));
	if (*at == NULL) {
		(void)state_refuse(image, record, "no memory");
		return NULL;
	}
	(*at)->executable_fd = (*at)->directory_fd = -1;
	if (place != NEXT_PLACE && read_struct(image, record,
	    &state_kept_release, &s->releases[place]) < 0)
		return NULL;
	return *at;
}

static int
read_release(struct state_image *image, const struct state_record *record,
    struct service *s, uint32_t revision)
{
	struct image_handle handle = { 0 };
	struct release *release = place_release(image, record, s);
	struct spec *spec;

	if (release == NULL ||
	    read_struct(image, record, &state_release, release) < 0 ||
	    read_environment(image, record, release) < 0 ||
	    read_groups(image, record, &release->credentials) < 0)
		return -1;
	if (release->revision != revision || revision == 0)
		return state_refuse(image, record, "revision: must be %u, and "
		    "not 0", revision);
	if (release->path == NULL || release->directory == NULL)
		return state_refuse(image, record,
		    "a release must have a path and a directory");
	spec = state_read_spec(image, record, s->name);
	if (spec == NULL)
		return -1;
	release->spec = spec_ref(spec);
	handle.service = (uint32_t)state_find_service(image, s->id);
	handle.release = release;
	return state_read_handle(image, record, &handle);
}

/*
 * The fleet
 */

static int
read_slot(struct state_image *image, const struct state_record *record,
    struct service *s, uint32_t number)
{
	if (number >= s->fleet.slot_capacity)
		return state_refuse(image, record, "the service has %u slots",
		    s->fleet.slot_capacity);
	return read_struct(image, record, &state_slot,
	    &s->fleet.slots[number]);
}

static int
read_worker(struct state_image *image, const struct state_record *record,
    struct service *s, uint32_t incarnation)
{
	struct image_handle handle = { 0 };
	struct worker *w;

	if (state_read_number(image, record, "place", UINT32_MAX,
	    &handle.worker) < 0)
		return -1;
	if (handle.worker >= s->fleet.worker_capacity)
		return state_refuse(image, record, "place %u: the service has "
		    "records for %u workers", handle.worker,
		    s->fleet.worker_capacity);
	w = &s->fleet.workers[handle.worker];
	if (w->id.incarnation != 0)
		return state_refuse(image, record, "place %u has worker %u "
		    "already", handle.worker, w->id.incarnation);
	if (read_struct(image, record, &state_worker, w) < 0 ||
	    read_struct(image, record, &state_mate,
	    &s->mates[handle.worker]) < 0)
		return -1;
	if (w->id.incarnation != incarnation || incarnation == 0)
		return state_refuse(image, record, "id.incarnation: must be "
		    "%u, and not 0", incarnation);
	handle.service = (uint32_t)state_find_service(image, s->id);
	return state_read_handle(image, record, &handle);
}

/*
 * Any of them
 */

/* Those that are one struct each. */
static const struct {
	const char *kind;
	const struct state_table *table;
	size_t offset;
} structs[] = {
	{ "rollout", &state_rollout, offsetof(struct service, rollout) },
	{ "judge", &state_judge, offsetof(struct service, judge) },
	{ "deployment", &state_deployment,
	    offsetof(struct service, deployment) },
	{ "last", &state_deployment, offsetof(struct service, last) },
	{ "next", &state_deployment, offsetof(struct service, next) },
};

/* Those of which a service has several. */
static const struct {
	const char *kind;
	int (*read)(struct state_image *, const struct state_record *,
	    struct service *, uint32_t number);
} lists[] = {
	{ "release", read_release },
	{ "slot", read_slot },
	{ "worker", read_worker },
};

static struct service *
owner_of(struct state_image *image, const struct state_record *record,
    uint32_t id)
{
	int found = state_find_service(image, id);

	if (found >= 0)
		return image->engine.services[found];
	(void)state_refuse(image, record, "there is no \"service %u\"", id);
	return NULL;
}

int
state_read_member(struct state_image *image, const struct state_record *record,
    const char *kind, uint32_t service, uint32_t number)
{
	struct service *s;

	for (size_t i = 0; i < sizeof(structs) / sizeof(structs[0]); i++) {
		if (strcmp(kind, structs[i].kind) != 0)
			continue;
		s = owner_of(image, record, service);
		return s == NULL ? -1 : read_struct(image, record,
		    structs[i].table, (char *)s + structs[i].offset);
	}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (strcmp(kind, lists[i].kind) != 0)
			continue;
		s = owner_of(image, record, service);
		return s == NULL ? -1 :
		    lists[i].read(image, record, s, number);
	}
	return 0;
}
