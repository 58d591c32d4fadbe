/*
 * What has changed since the last turn.
 *
 * Each struct is compared with a copy of what was written; only those that
 * differ become text.
 */
#include "state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_parts.h"

/* All is said anew when the text has grown to so many times of it. */
enum { GROWTH = 4 };
#define GROWTH_BYTES_MIN ((size_t)64 << 10)

struct state *
state_new(const char *supd_version)
{
	struct state *state = calloc(1, sizeof(*state));

	if (state == NULL)
		return NULL;
	state->supd_version = strdup(supd_version);
	state->anew = true;
	if (state->supd_version != NULL)
		return state;
	free(state);
	return NULL;
}

/* Forgets what was written. */
static void
clear(struct state *state)
{
	for (uint32_t i = 0; i < state->service_count; i++)
		state_free_shadow(state->services[i]);
	for (size_t i = 0; i < state->source_count; i++)
		config_source_unref(state->sources[i].source);
	state->service_count = 0;
	state->source_count = 0;
	state->config_last = 0;
	memset(&state->engine, 0, sizeof(state->engine));
	state->anew = true;
}

void
state_free(struct state *state)
{
	if (state == NULL)
		return;
	clear(state);
	state_log_release(&state->log);
	free(state->sources);
	free(state->supd_version);
	free(state);
}

void
state_lost(struct state *state)
{
	clear(state);
}

/* Bytes first: they are mostly the same, and they are quick to compare; but
 * there is more in them than what is kept. */
bool
state_differs(const struct state_table *table, void *shadow, const void *now)
{
	bool same;

	if (memcmp(shadow, now, table->size_bytes) == 0)
		return false;
	same = state_equal(table, shadow, now);
	memcpy(shadow, now, table->size_bytes);
	return !same;
}

/*
 * Configurations
 */

static json_t *
files_of(const struct config_source *source)
{
	json_t *files = json_array();

	for (size_t i = 0; i < source->file_count; i++) {
		const struct config_text *file = &source->files[i];

		if (json_array_append_new(files, json_pack("{s:o, s:o}",
		    "name", state_text(file->name, strlen(file->name)),
		    "text", state_text(file->text, file->size_bytes))) == 0)
			continue;
		json_decref(files);
		return NULL;
	}
	return files;
}

static void
put_config(struct state *state, const struct config_source *source,
    uint32_t number)
{
	char key[KEY_BYTES];
	json_t *record;

	(void)snprintf(key, sizeof(key), "config %u", number);
	record = state_log_record(&state->log, key);
	if (json_object_set_new(record, "files", files_of(source)) < 0)
		state->log.failed = true;
	state_log_put(&state->log, record);
}

static struct source_shadow *
add_source(struct state *state)
{
	struct source_shadow *more;

	if (state->source_count == state->source_room) {
		state->source_room = 2 * state->source_room + 8;
		more = realloc(state->sources,
		    state->source_room * sizeof(*more));
		if (more == NULL)
			return NULL;
		state->sources = more;
	}
	return &state->sources[state->source_count++];
}

uint32_t
state_config(struct state *state, const struct spec *spec)
{
	struct source_shadow *found;
	uint32_t number = 0;

	if (spec->source == NULL)
		return 0;
	for (size_t i = 0; i < state->source_count; i++) {
		found = &state->sources[i];
		if (found->source == spec->source) {
			found->used = true;
			return found->number;
		}
	}
	for (size_t i = 0; i < state->source_count && number == 0; i++)
		if (config_source_equal(state->sources[i].source, spec->source))
			number = state->sources[i].number;
	found = add_source(state);
	if (found == NULL) {
		state->log.failed = true;
		return 0;
	}
	if (number == 0) {
		number = ++state->config_last;
		put_config(state, spec->source, number);
	}
	*found = (struct source_shadow){ config_source_ref(spec->source),
		number, true };
	return number;
}

static void
drop_unused_sources(struct state *state)
{
	size_t kept = 0;

	for (size_t i = 0; i < state->source_count; i++) {
		struct source_shadow source = state->sources[i];
		bool needed = source.used;
		char key[KEY_BYTES];

		if (source.used) {
			source.used = false;
			state->sources[kept++] = source;
			continue;
		}
		config_source_unref(source.source);
		for (size_t k = 0; k < state->source_count; k++)
			needed |= (k < kept || k > i) &&
			    state->sources[k].number == source.number;
		(void)snprintf(key, sizeof(key), "config %u", source.number);
		if (!needed)
			state_log_drop(&state->log, key);
	}
	state->source_count = kept;
}

/*
 * A turn
 */

static void
put_engine(struct state *state, const struct engine *engine)
{
	json_t *record;

	if (!state_differs(&state_engine, &state->engine, engine) &&
	    !state->anew)
		return;
	record = state_log_record(&state->log, "engine");
	if (state_put(&state_engine, engine, record) < 0)
		state->log.failed = true;
	state_log_put(&state->log, record);
}

static void
drop_unseen_services(struct state *state)
{
	for (uint32_t i = 0; i < state->service_count; i++) {
		struct service_shadow *shadow = state->services[i];

		if (shadow->seen) {
			shadow->seen = false;
			continue;
		}
		state_drop_service(state, shadow);
		state_free_shadow(shadow);
		state->services[i--] =
		    state->services[--state->service_count];
	}
}

/* The lines of this turn, with the commit; none if nothing has changed. */
static int
write_turn(struct state *state, const struct engine *engine)
{
	state_log_begin(&state->log, state->anew ? state->supd_version : NULL);
	put_engine(state, engine);
	/* A service that is gone first: its room may be another's. */
	for (uint32_t i = 0; i < state->service_count; i++)
		for (uint32_t k = 0; k < engine->service_count; k++)
			state->services[i]->seen |= state->services[i]->id ==
			    engine->services[k]->id;
	drop_unseen_services(state);
	for (uint32_t i = 0; i < engine->service_count; i++)
		state_put_service(state, engine, i);
	drop_unused_sources(state);
	if (state->log.line_count > 0)
		state_log_commit(&state->log);
	if (!state->log.failed)
		return 0;
	clear(state);
	return -ENOMEM;
}

int
state_commit(struct state *state, const struct engine *engine,
    struct state_text *ret_text)
{
	bool anew = state->anew;

	*ret_text = (struct state_text){ 0 };
	if (write_turn(state, engine) < 0)
		return -ENOMEM;
	if (!anew && state->all_bytes + state->log.size_bytes >
	    GROWTH * state->anew_bytes + GROWTH_BYTES_MIN) {
		clear(state);
		anew = true;
		if (write_turn(state, engine) < 0)
			return -ENOMEM;
	}
	if (anew) {
		state->anew = false;
		state->anew_bytes = state->log.size_bytes;
		state->all_bytes = 0;
	}
	state->all_bytes += state->log.size_bytes;
	*ret_text = (struct state_text){ state->log.bytes,
		state->log.size_bytes, anew };
	return 0;
}
