/*
 * A service as records.
 *
 * What is dropped is dropped before anything else is put: a release that has
 * waited has the same key when it is rolled out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state_parts.h"

static const struct slot new_slot;
static const struct deployment no_deployment;

void
state_free_shadow(struct service_shadow *shadow)
{
	for (uint32_t i = 0; i < shadow->worker_count; i++)
		free(shadow->workers[i].status);
	free(shadow->workers);
	free(shadow->slots);
	free(shadow);
}

/*
 * Keys
 */

static json_t *
record_of(struct state *state, const char *kind, uint32_t service)
{
	char key[KEY_BYTES];

	(void)snprintf(key, sizeof(key), "%s %u", kind, service);
	return state_log_record(&state->log, key);
}

static json_t *
numbered_record_of(struct state *state, const char *kind, uint32_t service,
    uint32_t number)
{
	char key[KEY_BYTES];

	(void)snprintf(key, sizeof(key), "%s %u %u", kind, service, number);
	return state_log_record(&state->log, key);
}

static void
drop(struct state *state, const char *kind, uint32_t service)
{
	char key[KEY_BYTES];

	(void)snprintf(key, sizeof(key), "%s %u", kind, service);
	state_log_drop(&state->log, key);
}

static void
drop_numbered(struct state *state, const char *kind, uint32_t service,
    uint32_t number)
{
	char key[KEY_BYTES];

	(void)snprintf(key, sizeof(key), "%s %u %u", kind, service, number);
	state_log_drop(&state->log, key);
}

static void
put_members(struct state *state, const struct state_table *table,
    const void *object, json_t *record)
{
	if (state_put(table, object, record) < 0)
		state->log.failed = true;
}

/* What is no member of a struct. */
static void
put_value(struct state *state, json_t *record, const char *name, json_t *value)
{
	if (json_object_set_new(record, name, value) < 0)
		state->log.failed = true;
}

/*
 * Releases
 */

static struct kept_release
release_at(const struct service *s, uint32_t place)
{
	return place == NEXT_PLACE ?
	    (struct kept_release){ .release = s->next_release } :
	    s->releases[place];
}

static void
drop_releases(struct state *state, struct service_shadow *shadow,
    const struct service *s)
{
	for (uint32_t i = 0; i <= NEXT_PLACE; i++) {
		struct release_shadow *old = &shadow->releases[i];
		struct kept_release now = release_at(s, i);

		if (!old->written || (now.release != NULL &&
		    now.release->revision == old->release.revision))
			continue;
		drop_numbered(state, "release", shadow->id,
		    old->release.revision);
		memset(old, 0, sizeof(*old));
	}
}

static json_t *
list_environment(char *const *environment)
{
	json_t *list = json_array();

	for (; environment != NULL && *environment != NULL; environment++)
		if (json_array_append_new(list, state_text(*environment,
		    strlen(*environment))) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
list_groups(const struct credentials *credentials)
{
	json_t *list = json_array();

	for (size_t i = 0; i < credentials->group_count; i++)
		(void)json_array_append_new(list,
		    json_integer(credentials->groups[i]));
	return list;
}

static void
put_release(struct state *state, const struct engine *engine,
    struct service_shadow *shadow, const struct kept_release *now,
    uint32_t place)
{
	struct release_shadow *old = &shadow->releases[place];
	uint32_t config = state_config(state, now->release->spec);
	char handle[RELEASE_HANDLE_BYTES_MAX] = "";
	bool differs;
	json_t *record;

	engine->world->keep_release(engine->world->ctx, now->release, handle);
	differs = state_differs(&state_release, &old->release, now->release);
	differs |= state_differs(&state_kept_release, &old->kept, now);
	if (old->written && !differs && config == old->config &&
	    strcmp(handle, old->handle) == 0)
		return;
	old->written = true;
	old->config = config;
	memcpy(old->handle, handle, sizeof(handle));
	record = numbered_record_of(state, "release", shadow->id,
	    now->release->revision);
	put_value(state, record, "place", json_integer(place));
	put_value(state, record, "config", json_integer(config));
	put_value(state, record, "handle", json_string(handle));
	put_members(state, &state_kept_release, now, record);
	put_members(state, &state_release, now->release, record);
	put_value(state, record, "groups",
	    list_groups(&now->release->credentials));
	put_value(state, record, "environment",
	    list_environment(now->release->environment));
	state_log_put(&state->log, record);
}

/*
 * The fleet
 */

static void
grow(struct state *state, void **array, uint32_t *count, uint32_t wanted,
    size_t size_bytes)
{
	char *more;

	if (wanted <= *count)
		return;
	more = realloc(*array, wanted * size_bytes);
	if (more == NULL) {
		state->log.failed = true;
		return;
	}
	memset(more + *count * size_bytes, 0, (wanted - *count) * size_bytes);
	*array = more;
	*count = wanted;
}

static void
put_slots(struct state *state, struct service_shadow *shadow,
    const struct fleet *fleet)
{
	grow(state, (void **)&shadow->slots, &shadow->slot_count,
	    fleet->slot_capacity, sizeof(*shadow->slots));
	for (uint32_t i = 0; i < fleet->slot_capacity &&
	    i < shadow->slot_count; i++) {
		json_t *record;

		if (!state_differs(&state_slot, &shadow->slots[i],
		    &fleet->slots[i]))
			continue;
		if (state_equal(&state_slot, &fleet->slots[i], &new_slot)) {
			drop_numbered(state, "slot", shadow->id, i);
			continue;
		}
		record = numbered_record_of(state, "slot", shadow->id, i);
		put_members(state, &state_slot, &fleet->slots[i], record);
		state_log_put(&state->log, record);
	}
}

static const char *
status_of(const char *status)
{
	return status != NULL ? status : "";
}

/* Updates the shadow; has anything changed? */
static bool
worker_differs(struct state *state, const struct engine *engine,
    struct worker_shadow *old, const struct worker *w,
    const struct mate *mate)
{
	bool is_new = old->worker.id.incarnation == 0;
	bool differs = state_differs(&state_worker, &old->worker, w);

	if (strcmp(status_of(old->status), status_of(mate->status)) != 0) {
		free(old->status);
		old->status = mate->status != NULL ? strdup(mate->status) :
		    NULL;
		state->log.failed |= mate->status != NULL &&
		    old->status == NULL;
		differs = true;
	}
	if (is_new || old->mate.process != mate->process ||
	    old->mate.pid != mate->pid) {
		engine->world->keep_worker(engine->world->ctx, mate->process,
		    old->handle);
		differs = true;
	}
	return state_differs(&state_mate, &old->mate, mate) || differs;
}

static void
put_worker(struct state *state, const struct engine *engine,
    struct service_shadow *shadow, const struct service *s, uint32_t place)
{
	struct worker_shadow *old = &shadow->workers[place];
	const struct worker *w = &s->fleet.workers[place];
	bool gone = w->state == WORKER_GONE;
	json_t *record;

	if (old->worker.id.incarnation != 0 && (gone ||
	    old->worker.id.incarnation != w->id.incarnation)) {
		drop_numbered(state, "worker", s->id,
		    old->worker.id.incarnation);
		free(old->status);
		memset(old, 0, sizeof(*old));
	}
	if (gone || !worker_differs(state, engine, old, w, &s->mates[place]))
		return;
	record = numbered_record_of(state, "worker", s->id,
	    w->id.incarnation);
	put_value(state, record, "place", json_integer(place));
	put_value(state, record, "handle", json_string(old->handle));
	put_members(state, &state_worker, w, record);
	put_members(state, &state_mate, &s->mates[place], record);
	state_log_put(&state->log, record);
}

/*
 * The rest
 */

static void
put_deployment(struct state *state, uint32_t service, const char *kind,
    struct deployment *old, const struct deployment *now)
{
	json_t *record;

	if (!state_differs(&state_deployment, old, now))
		return;
	if (state_equal(&state_deployment, now, &no_deployment)) {
		drop(state, kind, service);
		return;
	}
	record = record_of(state, kind, service);
	put_members(state, &state_deployment, now, record);
	state_log_put(&state->log, record);
}

static void
put_struct(struct state *state, struct service_shadow *shadow,
    const char *kind, const struct state_table *table, void *old,
    const void *now)
{
	json_t *record;

	if (!state_differs(table, old, now) && shadow->written)
		return;
	record = record_of(state, kind, shadow->id);
	put_members(state, table, now, record);
	state_log_put(&state->log, record);
}

/* Last: the shadow is of all of the struct, and the others are parts of it. */
static void
put_header(struct state *state, struct service_shadow *shadow,
    const struct service *s, uint32_t position)
{
	uint32_t config = state_config(state, s->spec);
	bool differs = state_differs(&state_service, &shadow->service, s);
	json_t *record;

	if (shadow->written && !differs && position == shadow->position &&
	    config == shadow->config)
		return;
	shadow->position = position;
	shadow->config = config;
	shadow->written = true;
	record = record_of(state, "service", s->id);
	put_value(state, record, "position", json_integer(position));
	put_value(state, record, "config", json_integer(config));
	put_members(state, &state_service, s, record);
	state_log_put(&state->log, record);
}

/* NULL without memory. */
static struct service_shadow *
shadow_of(struct state *state, uint32_t id)
{
	struct service_shadow *shadow;

	for (uint32_t i = 0; i < state->service_count; i++)
		if (state->services[i]->id == id)
			return state->services[i];
	shadow = calloc(1, sizeof(*shadow));
	if (shadow == NULL) {
		state->log.failed = true;
		return NULL;
	}
	shadow->id = id;
	state->services[state->service_count++] = shadow;
	return shadow;
}

void
state_put_service(struct state *state, const struct engine *engine,
    uint32_t position)
{
	const struct service *s = engine->services[position];
	struct service_shadow *shadow = shadow_of(state, s->id);
	struct service *old;

	if (shadow == NULL)
		return;
	old = &shadow->service;
	drop_releases(state, shadow, s);
	for (uint32_t i = 0; i <= NEXT_PLACE; i++) {
		struct kept_release now = release_at(s, i);

		if (now.release != NULL)
			put_release(state, engine, shadow, &now, i);
	}
	put_slots(state, shadow, &s->fleet);
	grow(state, (void **)&shadow->workers, &shadow->worker_count,
	    s->fleet.worker_capacity, sizeof(*shadow->workers));
	for (uint32_t i = 0; i < s->fleet.worker_capacity &&
	    i < shadow->worker_count; i++)
		put_worker(state, engine, shadow, s, i);
	put_struct(state, shadow, "rollout", &state_rollout, &old->rollout,
	    &s->rollout);
	put_struct(state, shadow, "judge", &state_judge, &old->judge,
	    &s->judge);
	put_deployment(state, s->id, "deployment", &old->deployment,
	    &s->deployment);
	put_deployment(state, s->id, "last", &old->last, &s->last);
	put_deployment(state, s->id, "next", &old->next, &s->next);
	put_header(state, shadow, s, position);
}

void
state_drop_service(struct state *state, struct service_shadow *shadow)
{
	static const struct service none;
	const struct service *s = &shadow->service;

	drop_releases(state, shadow, &none);
	for (uint32_t i = 0; i < shadow->slot_count; i++)
		if (!state_equal(&state_slot, &shadow->slots[i], &new_slot))
			drop_numbered(state, "slot", s->id, i);
	for (uint32_t i = 0; i < shadow->worker_count; i++)
		if (shadow->workers[i].worker.id.incarnation != 0)
			drop_numbered(state, "worker", s->id,
			    shadow->workers[i].worker.id.incarnation);
	put_deployment(state, s->id, "deployment",
	    &shadow->service.deployment, &no_deployment);
	put_deployment(state, s->id, "last", &shadow->service.last,
	    &no_deployment);
	put_deployment(state, s->id, "next", &shadow->service.next,
	    &no_deployment);
	drop(state, "judge", shadow->id);
	drop(state, "rollout", shadow->id);
	drop(state, "service", shadow->id);
}
