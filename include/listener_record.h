/*
 * A listener as a record of the state: what listener_save() writes and
 * listener_restore() reads.
 *
 * What shards of one address share (label_last to weight_permille) stands in
 * the record of each of its listeners.  A shard is named by its number; 0 is
 * none.
 */
#ifndef SUPD_LISTENER_RECORD_H
#define SUPD_LISTENER_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h"
#include "spec.h"
#include "state_field.h"

/* Open at once; beside those of the configuration, those that releases have
 * which run since an older one. */
enum { LISTENERS_KEPT_MAX = LISTENERS_MAX * RELEASES_KEPT_MAX };

struct shard_record {
	uint32_t number;
	uint64_t inode;
	uint32_t label;
	uint32_t backlog_granted;
	bool broken;
};

struct member_record {
	uint64_t inode;
};

struct listener_record {
	char name[NAME_LENGTH_MAX + 1];
	char *address_text;
	enum address_family family;
	enum address_kind kind;
	uint32_t port;
	char host[sizeof(((struct address *)NULL)->host)];
	char path[sizeof(((struct address *)NULL)->path)];
	uint32_t backlog;
	bool nonblocking, ipv6_only, preview, shared;
	uint32_t mode;
	char *owner;
	uint64_t path_device, path_inode;
	uint32_t label_last;
	struct member_record members[GROUP_MEMBERS_MAX];
	bool unsure;
	enum steer steer;
	uint32_t stable, candidate;
	uint32_t weight_permille;
	struct shard_record shards[SHARDS_MAX];
	uint32_t number_last;           /* of all shards there ever were */
};

extern const struct state_table listener_record_table;

/* How many shards, members it has. */
uint32_t listener_record_shards(const struct listener_record *);
uint32_t listener_record_members(const struct listener_record *);

/*
 * All of an array, checked: nothing in them can bring down who believes them,
 * each by itself and their numbers.  NULL, and a sentence in ret_text
 * (REASON_BYTES_MAX).
 */
struct listener_record *listener_records_read(const json_t *,
    size_t *ret_count, char *ret_text);
void listener_records_free(struct listener_record *, size_t count);

/* Its spec; the strings stay the record's. */
struct listener_spec listener_record_spec(const struct listener_record *);

#endif
