/*
 * The table of a listener's record, and what a record must be to be believed.
 *
 * The text may be damaged, or from a supd that had a mistake: whatever the
 * module asserts of its own data is looked at here.
 */
#include "listener_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listener_private.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FIELD(kind, member, ...) { .name = #member, .type = kind, \
	.offset = offsetof(OWNER, member), \
	.size_bytes = sizeof(((OWNER *)NULL)->member), __VA_ARGS__ }
#define NUMBER(member) FIELD(STATE_NUMBER, member)
#define BOOL(member) FIELD(STATE_BOOL, member)
#define TEXT(member) FIELD(STATE_TEXT, member)
#define STRING(member) FIELD(STATE_STRING, member)
#define NAME(member) FIELD(STATE_NAME, member, .names = &member##_names)
#define PARTS(member, which) \
	FIELD(STATE_PART, member, .part = &which##_table)

static const char *const family_list[] = {
	[ADDRESS_IPV4] = "IPV4",
	[ADDRESS_IPV6] = "IPV6",
	[ADDRESS_UNIX] = "UNIX",
};
static const struct state_names family_names = { family_list,
	COUNT(family_list) };

static const char *const kind_list[] = {
	[ADDRESS_STREAM] = "STREAM",
	[ADDRESS_DATAGRAM] = "DATAGRAM",
	[ADDRESS_SEQPACKET] = "SEQPACKET",
	[ADDRESS_FIFO] = "FIFO",
};
static const struct state_names kind_names = { kind_list, COUNT(kind_list) };

static const char *const steer_list[] = {
	[STEER_RANDOM] = "RANDOM",
	[STEER_SOURCE_IP] = "SOURCE_IP",
};
static const struct state_names steer_names = { steer_list,
	COUNT(steer_list) };

#define OWNER struct shard_record
static const struct state_field shard_fields[] = {
	NUMBER(number), NUMBER(inode), NUMBER(label), NUMBER(backlog_granted),
	BOOL(broken),
};
static const struct state_table shard_table = {
	"shard_record", sizeof(OWNER), shard_fields, COUNT(shard_fields),
};
#undef OWNER

#define OWNER struct member_record
static const struct state_field member_fields[] = { NUMBER(inode) };
static const struct state_table member_table = {
	"member_record", sizeof(OWNER), member_fields, COUNT(member_fields),
};
#undef OWNER

#define OWNER struct listener_record
static const struct state_field listener_fields[] = {
	TEXT(name), STRING(address_text), NAME(family), NAME(kind),
	NUMBER(port), TEXT(host), TEXT(path), NUMBER(backlog), BOOL(nonblocking),
	BOOL(ipv6_only), BOOL(preview), BOOL(shared), NUMBER(mode),
	STRING(owner), NUMBER(path_device), NUMBER(path_inode),
	NUMBER(label_last), PARTS(members, member), BOOL(unsure), NAME(steer),
	NUMBER(stable), NUMBER(candidate), NUMBER(weight_permille),
	PARTS(shards, shard), NUMBER(number_last),
};
const struct state_table listener_record_table = {
	"listener_record", sizeof(OWNER), listener_fields,
	COUNT(listener_fields),
};
#undef OWNER

uint32_t
listener_record_shards(const struct listener_record *record)
{
	uint32_t count = 0;

	while (count < SHARDS_MAX && record->shards[count].number != 0)
		count++;
	return count;
}

uint32_t
listener_record_members(const struct listener_record *record)
{
	uint32_t count = 0;

	while (count < GROUP_MEMBERS_MAX && record->members[count].inode != 0)
		count++;
	return count;
}

struct listener_spec
listener_record_spec(const struct listener_record *record)
{
	struct listener_spec spec = {
		.address_text = record->address_text,
		.address = {
			.family = record->family,
			.kind = record->kind,
			.port = (uint16_t)record->port,
		},
		.backlog = record->backlog,
		.nonblocking = record->nonblocking,
		.ipv6_only = record->ipv6_only,
		.preview = record->preview,
		.shared = record->shared,
		.mode = record->mode,
		.owner = record->owner,
	};

	memcpy(spec.name, record->name, sizeof(spec.name));
	memcpy(spec.address.host, record->host, sizeof(record->host));
	memcpy(spec.address.path, record->path, sizeof(record->path));
	return spec;
}

/*
 * What is wrong with a record, or NULL.
 */

static const char *
check_path(const struct listener_record *record)
{
	if (record->path[0] == '/')
		return NULL;
	if (record->path[0] == '@' && record->kind != ADDRESS_FIFO)
		return NULL;
	return "its path is not absolute";
}

static const char *
check_address(const struct listener_record *record)
{
	struct listener_spec spec = listener_record_spec(record);
	struct sockaddr_storage sockaddr;
	socklen_t bytes;

	if (record->name[0] == '\0' || record->address_text == NULL)
		return "it has no name, or no address";
	if (record->family == ADDRESS_UNIX)
		return check_path(record);
	if (record->kind != ADDRESS_STREAM && record->kind != ADDRESS_DATAGRAM)
		return "only TCP and UDP have a port";
	if (record->port == 0 || record->port > UINT16_MAX)
		return "its port is none";
	if (listener_address_resolve(&spec.address, &sockaddr, &bytes) != 0)
		return "its host is none";
	return NULL;
}

static const char *
check_shards(const struct listener_record *record)
{
	uint32_t count = listener_record_shards(record), labels = 0;

	if (count == 0)
		return "it has no shard";
	if (record->family == ADDRESS_UNIX && count > 1)
		return "it has no lanes, and several shards";
	for (uint32_t i = 0; i < count; i++) {
		const struct shard_record *shard = &record->shards[i];

		if (shard->label >= LABELS_MAX || shard->inode == 0)
			return "a shard's label or inode is none";
		if (shard->number > record->number_last)
			return "a shard's number is beyond the last";
		if (labels >> shard->label & 1)
			return "two shards have the same label";
		labels |= UINT32_C(1) << shard->label;
	}
	return NULL;
}

static const char *
check_lanes(const struct listener_record *record)
{
	uint32_t count = listener_record_members(record);

	if (record->label_last >= LABELS_MAX)
		return "its last label is none";
	if (record->weight_permille > WHOLE_PERMILLE)
		return "a weight is more than 1000 permille";
	/* Else there would be no room for ours. */
	if (count > GROUP_MEMBERS_MAX - SHARDS_MAX)
		return "too many sockets are at its address";
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t k = 0; k < i; k++)
			if (record->members[k].inode ==
			    record->members[i].inode)
				return "a socket is at its address twice";
	return NULL;
}

static const char *
check(const struct listener_record *record)
{
	const char *wrong = check_address(record);

	if (wrong == NULL)
		wrong = check_shards(record);
	if (wrong == NULL)
		wrong = check_lanes(record);
	return wrong;
}

static uint32_t
count_number(const struct listener_record *record, uint32_t number)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < listener_record_shards(record); i++)
		count += record->shards[i].number == number;
	return count;
}

/* With those before it and within itself. */
static bool
numbers_clash(const struct listener_record *records, size_t index)
{
	const struct listener_record *record = &records[index];

	for (uint32_t i = 0; i < listener_record_shards(record); i++) {
		uint32_t count = 0;

		for (size_t k = 0; k <= index; k++)
			count += count_number(&records[k],
			    record->shards[i].number);
		if (count > 1)
			return true;
	}
	return false;
}

static int
read_one(const json_t *text, struct listener_record *records, size_t index,
    char *ret_text)
{
	char why[REASON_BYTES_MAX];
	const char *wrong = why;

	if (state_get(&listener_record_table, text, &records[index], why) == 0)
		wrong = check(&records[index]);
	if (wrong == NULL && numbers_clash(records, index))
		wrong = "another shard has the number of one of its shards";
	if (wrong == NULL)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX, "listener %zu of the state "
	    "('%s'): %.400s", index + 1, records[index].name, wrong);
	return -1;
}

struct listener_record *
listener_records_read(const json_t *text, size_t *ret_count, char *ret_text)
{
	size_t count = json_array_size(text);
	struct listener_record *records;

	if (!json_is_array(text) || count > LISTENERS_KEPT_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the listeners of "
		    "the state must be a list of at most %d",
		    LISTENERS_KEPT_MAX);
		return NULL;
	}
	records = calloc(count + 1, sizeof(*records));
	if (records == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the listeners of "
		    "the state: no memory");
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (read_one(json_array_get(text, i), records, i,
		    ret_text) == 0)
			continue;
		listener_records_free(records, i + 1);
		return NULL;
	}
	*ret_count = count;
	return records;
}

void
listener_records_free(struct listener_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(records[i].address_text);
		free(records[i].owner);
	}
	free(records);
}
