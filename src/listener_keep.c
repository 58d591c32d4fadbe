/*
 * Listeners as text, and who wants to know when it changes.
 *
 * Owns the numbers of shards, and nothing else.
 */
#include "listener_keep.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "carry.h"
#include "listener_private.h"
#include "listener_record.h"

static uint32_t number_last;
static void (*on_change)(void *ctx);
static void *on_change_ctx;

uint32_t
shard_number_new(void)
{
	return ++number_last;
}

void
shard_number_used(uint32_t number)
{
	if (number > number_last)
		number_last = number;
}

void
shard_carry(const struct shard *shard, int fd)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	(void)snprintf(name, sizeof(name), "s%u", shard->number);
	if (fd >= 0)
		carry_put(name, &fd, 1, true);
	else
		carry_drop(name);
}

void
listener_on_change(void (*changed)(void *ctx), void *ctx)
{
	on_change = changed;
	on_change_ctx = ctx;
}

void
listener_changed(void)
{
	if (on_change != NULL)
		on_change(on_change_ctx);
}

struct shard *
listener_shard(uint32_t number)
{
	for (const struct listener *l = listener_first(); l != NULL;
	    l = l->next) {
		for (uint32_t i = 0; i < l->shard_count; i++) {
			if (l->shards[i]->number == number)
				return l->shards[i];
		}
	}
	return NULL;
}

static void
record_spec(const struct listener_spec *spec, struct listener_record *ret)
{
	memcpy(ret->name, spec->name, sizeof(ret->name));
	ret->address_text = spec->address_text;
	ret->family = spec->address.family;
	ret->kind = spec->address.kind;
	ret->port = spec->address.port;
	memcpy(ret->host, spec->address.host, sizeof(ret->host));
	memcpy(ret->path, spec->address.path, sizeof(ret->path));
	ret->backlog = spec->backlog;
	ret->nonblocking = spec->nonblocking;
	ret->ipv6_only = spec->ipv6_only;
	ret->preview = spec->preview;
	ret->shared = spec->shared;
	ret->mode = spec->mode;
	ret->owner = spec->owner;
}

static uint32_t
number_of(const struct shard *shard)
{
	return shard != NULL ? shard->number : 0;
}

/* Not the probes' ports: their tasks are lost. */
static void
record_lanes(const struct lanes *lanes, struct listener_record *ret)
{
	ret->label_last = lanes->label_last;
	for (uint32_t i = 0; i < lanes->group.count; i++)
		ret->members[i].inode = lanes->group.members[i];
	ret->unsure = lanes->state.unsure;
	ret->steer = lanes->steering.steer;
	ret->stable = number_of(lanes->steering.stable);
	ret->candidate = number_of(lanes->steering.candidate);
	ret->weight_permille = lanes->steering.weight_permille;
}

static json_t *
save_one(const struct listener *l)
{
	struct listener_record record = {
		.path_device = l->path_device,
		.path_inode = l->path_inode,
		.number_last = number_last,
	};
	json_t *text = json_object();

	record_spec(l->spec, &record);
	if (l->lanes != NULL)
		record_lanes(l->lanes, &record);
	for (uint32_t i = 0; i < l->shard_count; i++) {
		const struct shard *s = l->shards[i];

		record.shards[i] = (struct shard_record){
			.number = s->number,
			.inode = s->inode,
			.label = s->label,
			.backlog_granted = s->backlog_granted,
			.broken = s->broken,
		};
	}
	if (text != NULL && state_put(&listener_record_table, &record,
	    text) == 0)
		return text;
	json_decref(text);
	return NULL;
}

json_t *
listener_save(void)
{
	json_t *list = json_array();

	for (const struct listener *l = listener_first(); l != NULL;
	    l = l->next) {
		if (l->shard_count == 0)
			continue;       /* its last one is being closed */
		if (json_array_append_new(list, save_one(l)) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}
