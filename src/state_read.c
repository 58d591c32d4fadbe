/*
 * From records to an engine without a world.
 */
#include "state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "service.h"
#include "state_parts.h"

/*
 * What is in a record
 */

int
state_refuse(struct state_image *image, const struct state_record *record,
    const char *format, ...)
{
	char why[REASON_BYTES_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	(void)snprintf(image->ret_text, REASON_BYTES_MAX,
	    "the state is damaged: line %u, \"%.60s\": %.380s", record->line,
	    record->key, why);
	return -1;
}

int
state_read_number(struct state_image *image, const struct state_record *record,
    const char *name, uint32_t most, uint32_t *ret)
{
	const json_t *value = json_object_get(record->json, name);
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < 0 || number > most)
		return state_refuse(image, record, "%s: must be a number of 0 "
		    "to %u", name, most);
	*ret = (uint32_t)number;
	return 0;
}

int
state_read_handle(struct state_image *image, const struct state_record *record,
    struct image_handle *handle)
{
	const char *text = json_string_value(json_object_get(record->json,
	    "handle"));
	struct image_handle *more;

	if (text != NULL && strlen(text) >= RELEASE_HANDLE_BYTES_MAX)
		return state_refuse(image, record, "handle: must have at most "
		    "%d bytes", RELEASE_HANDLE_BYTES_MAX - 1);
	if (image->handle_count == image->handle_room) {
		image->handle_room = 2 * image->handle_room + 64;
		more = realloc(image->handles,
		    image->handle_room * sizeof(*more));
		if (more == NULL)
			return state_refuse(image, record, "no memory");
		image->handles = more;
	}
	(void)snprintf(handle->text, sizeof(handle->text), "%s",
	    text != NULL ? text : "");
	image->handles[image->handle_count++] = *handle;
	return 0;
}

/*
 * Configurations
 */

static const struct state_record *
find_record(const struct state_image *image, const char *key)
{
	const json_t *at = json_object_get(image->records.index, key);
	const struct state_record *record = at == NULL ? NULL :
	    &image->records.list[json_integer_value(at)];

	return record != NULL && record->json != NULL ? record : NULL;
}

static int
add_file(struct state_image *image, const struct state_record *record,
    struct config_source *source, const json_t *file)
{
	size_t name_bytes = 0, text_bytes = 0;
	char *name = state_bytes(json_object_get(file, "name"), &name_bytes);
	char *text = state_bytes(json_object_get(file, "text"), &text_bytes);
	int result;

	if (name == NULL || text == NULL || strlen(name) != name_bytes)
		result = state_refuse(image, record,
		    "files: each must have a name and a text");
	else if (source->file_count == CONFIG_FILES_MAX)
		result = state_refuse(image, record,
		    "files: there may be at most %d", CONFIG_FILES_MAX);
	else if (config_source_add(source, name, text, text_bytes) < 0)
		result = state_refuse(image, record, "no memory");
	else
		result = 0;
	free(name);
	free(text);
	return result;
}

static int
parse_source(struct state_image *image, const struct state_record *record,
    const struct config_source *source, struct config **ret)
{
	struct config_errors errors;

	*ret = config_read_source(source, &errors);
	if (*ret == NULL && errors.count == 0)
		(void)state_refuse(image, record, "no memory");
	else if (*ret == NULL)
		(void)state_refuse(image, record, "this supd does not "
		    "understand the configuration: %s:%u: %s",
		    errors.list[0].file, errors.list[0].line,
		    errors.list[0].text);
	config_errors_release(&errors);
	return *ret != NULL ? 0 : -1;
}

static int
read_config(struct state_image *image, const struct state_record *record,
    struct config **ret)
{
	const json_t *files = json_object_get(record->json, "files");
	struct config_source *source = config_source_new();
	int result = 0;

	if (source == NULL)
		return state_refuse(image, record, "no memory");
	for (size_t i = 0; result == 0 && i < json_array_size(files); i++)
		result = add_file(image, record, source,
		    json_array_get(files, i));
	if (result == 0)
		result = parse_source(image, record, source, ret);
	config_source_unref(source);
	return result;
}

/* The configuration of this number, read once; NULL: an error. */
static struct config *
config_of(struct state_image *image, const struct state_record *record,
    uint32_t number)
{
	const struct state_record *found;
	struct image_config *more;
	char key[KEY_BYTES];

	for (size_t i = 0; i < image->config_count; i++)
		if (image->configs[i].number == number)
			return image->configs[i].config;
	(void)snprintf(key, sizeof(key), "config %u", number);
	found = find_record(image, key);
	if (found == NULL) {
		(void)state_refuse(image, record, "there is no \"%s\"", key);
		return NULL;
	}
	more = realloc(image->configs,
	    (image->config_count + 1) * sizeof(*more));
	if (more == NULL) {
		(void)state_refuse(image, record, "no memory");
		return NULL;
	}
	image->configs = more;
	more = &image->configs[image->config_count];
	more->number = number;
	if (read_config(image, found, &more->config) < 0)
		return NULL;
	image->config_count++;
	return more->config;
}

struct spec *
state_read_spec(struct state_image *image, const struct state_record *record,
    const char *name)
{
	struct config *config;
	struct spec *spec;
	uint32_t number;

	if (state_read_number(image, record, "config", UINT32_MAX,
	    &number) < 0)
		return NULL;
	config = config_of(image, record, number);
	if (config == NULL)
		return NULL;
	spec = config_service(config, name);
	if (spec == NULL)
		(void)state_refuse(image, record, "\"config %u\" has no "
		    "[service %.40s]", number, name);
	return spec;
}

/*
 * Services
 */

int
state_find_service(const struct state_image *image, uint32_t id)
{
	for (uint32_t i = 0; i < image->engine.service_count; i++)
		if (image->engine.services[i]->id == id)
			return (int)i;
	return -1;
}

static int
make_room(struct state_image *image, const struct state_record *record,
    struct service *s)
{
	struct fleet *fleet = &s->fleet;
	uint32_t slots = fleet->slot_capacity;
	uint32_t workers = fleet->worker_capacity;

	fleet->slot_capacity = fleet->worker_capacity = 0;
	if (slots > WORKERS_MAX || workers > STATE_WORKERS_MAX)
		return state_refuse(image, record, "%u slots and %u records of "
		    "workers: at most %d and %d", slots, workers, WORKERS_MAX,
		    STATE_WORKERS_MAX);
	fleet->slots = calloc(slots + 1, sizeof(*fleet->slots));
	fleet->workers = calloc(workers + 1, sizeof(*fleet->workers));
	s->mates = calloc(workers + 1, sizeof(*s->mates));
	if (fleet->slots == NULL || fleet->workers == NULL || s->mates == NULL)
		return state_refuse(image, record, "no memory");
	fleet->slot_capacity = slots;
	fleet->worker_capacity = workers;
	return 0;
}

/* It belongs to the image as soon as there is something to free. */
static int
read_service(struct state_image *image, const struct state_record *record,
    uint32_t id)
{
	struct engine *engine = &image->engine;
	char why[REASON_BYTES_MAX];
	struct service *s;
	struct spec *spec;

	if (engine->service_count == SERVICES_MAX)
		return state_refuse(image, record, "there may be at most %d "
		    "services", SERVICES_MAX);
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return state_refuse(image, record, "no memory");
	engine->services[engine->service_count++] = s;
	if (state_get(&state_service, record->json, s, why) < 0) {
		s->fleet.slot_capacity = s->fleet.worker_capacity = 0;
		return state_refuse(image, record, "%s", why);
	}
	if (make_room(image, record, s) < 0)
		return -1;
	if (s->id != id)
		return state_refuse(image, record, "id: must be %u, not %u", id,
		    s->id);
	spec = state_read_spec(image, record, s->name);
	if (spec == NULL)
		return -1;
	s->spec = spec_ref(spec);
	return state_read_number(image, record, "position", UINT32_MAX,
	    &image->positions[engine->service_count - 1]);
}

/* The order in which a turn comes to them; stable, and there are few. */
static void
sort_services(struct state_image *image)
{
	struct service **list = image->engine.services;

	for (uint32_t i = 1; i < image->engine.service_count; i++) {
		struct service *s = list[i];
		uint32_t position = image->positions[i], k = i;

		for (; k > 0 && image->positions[k - 1] > position; k--) {
			list[k] = list[k - 1];
			image->positions[k] = image->positions[k - 1];
		}
		list[k] = s;
		image->positions[k] = position;
	}
}

/*
 * All of it
 */

struct key {
	char kind[KEY_BYTES];
	uint32_t service, number;
	int count;                      /* of its words */
};

static struct key
parse_key(const char *text)
{
	struct key key = { .count = 0 };
	char again[2 * KEY_BYTES];

	if (strlen(text) >= KEY_BYTES)
		return key;
	key.count = sscanf(text, "%63s %u %u", key.kind, &key.service,
	    &key.number);
	(void)snprintf(again, sizeof(again), key.count == 3 ? "%s %u %u" :
	    "%s %u", key.kind, key.service, key.number);
	if (strcmp(again, text) != 0)   /* `worker 3 017` is nobody */
		key.count = 0;
	return key;
}

static int
read_engine(struct state_image *image)
{
	const struct state_record *record = find_record(image, "engine");
	char why[REASON_BYTES_MAX];

	if (record == NULL) {
		(void)snprintf(image->ret_text, REASON_BYTES_MAX,
		    "the state is damaged: it has no \"engine\"");
		return -1;
	}
	if (state_get(&state_engine, record->json, &image->engine, why) == 0)
		return 0;
	return state_refuse(image, record, "%s", why);
}

static int
read_services(struct state_image *image)
{
	for (size_t i = 0; i < image->records.count; i++) {
		const struct state_record *record = &image->records.list[i];
		struct key key;

		if (record->json == NULL)
			continue;
		key = parse_key(record->key);
		if (key.count == 2 && strcmp(key.kind, "service") == 0 &&
		    read_service(image, record, key.service) < 0)
			return -1;
	}
	sort_services(image);
	return 0;
}

static int
read_members(struct state_image *image)
{
	for (size_t i = 0; i < image->records.count; i++) {
		const struct state_record *record = &image->records.list[i];
		struct key key;

		if (record->json == NULL)
			continue;
		key = parse_key(record->key);
		if (key.count >= 2 && state_read_member(image, record,
		    key.kind, key.service, key.number) < 0)
			return -1;
	}
	return 0;
}

struct state_image *
state_read(const char *bytes, size_t size_bytes, char *ret_text)
{
	struct state_image *image = calloc(1, sizeof(*image));

	if (image == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "no memory for the state");
		return NULL;
	}
	image->ret_text = ret_text;
	if (state_log_read(bytes, size_bytes, &image->records, ret_text) == 0 &&
	    read_engine(image) == 0 && read_services(image) == 0 &&
	    read_members(image) == 0 && state_check(image) == 0)
		return image;
	state_image_free(image);
	return NULL;
}

void
state_image_free(struct state_image *image)
{
	if (image == NULL)
		return;
	state_forget(&image->engine);
	for (size_t i = 0; i < image->config_count; i++)
		config_free(image->configs[i].config);
	free(image->configs);
	free(image->handles);
	state_records_release(&image->records);
	free(image);
}

const char *
state_image_supd(const struct state_image *image)
{
	return image->records.supd;
}
