/*
 * Members of structs as members of JSON objects, and back.
 */
#include "state_field.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

/* Of the member that is wrong, in a sentence: `fleet.slot_capacity`. */
static int
refuse(char *ret_text, const struct state_field *field, const char *why)
{
	(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: %s", field->name, why);
	return -1;
}

/*
 * Text
 */

static int
get_text(const struct state_field *field, const json_t *value, char *member,
    char *ret_text)
{
	size_t size_bytes;
	char *bytes = state_bytes(value, &size_bytes);
	int result = -1;

	if (bytes == NULL || strlen(bytes) != size_bytes) {
		(void)refuse(ret_text, field, "must be text");
	} else if (size_bytes >= field->size_bytes) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: must be text of"
		    " at most %zu bytes, not %zu", field->name,
		    field->size_bytes - 1, size_bytes);
	} else {
		memcpy(member, bytes, size_bytes + 1);
		result = 0;
	}
	free(bytes);
	return result;
}

static int
get_string(const struct state_field *field, const json_t *value,
    char **member, char *ret_text)
{
	size_t size_bytes;

	*member = state_bytes(value, &size_bytes);
	if (*member != NULL && strlen(*member) == size_bytes)
		return 0;
	return refuse(ret_text, field, "must be text");
}

static int
get_bytes(const struct state_field *field, const json_t *value,
    uint8_t *member, char *ret_text)
{
	if (json_is_string(value) &&
	    json_string_length(value) == 2 * field->size_bytes &&
	    state_unhex(value, member))
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: must be %zu bytes in"
	    " hexadecimal", field->name, field->size_bytes);
	return -1;
}

/*
 * Numbers
 */

static uint64_t
load(const void *member, size_t size_bytes)
{
	uint64_t wide = 0;
	uint32_t half;

	if (size_bytes == sizeof(half)) {
		memcpy(&half, member, sizeof(half));
		return half;
	}
	if (size_bytes == 1)
		return *(const uint8_t *)member;
	assert(size_bytes == sizeof(wide));
	memcpy(&wide, member, sizeof(wide));
	return wide;
}

static void
store(void *member, size_t size_bytes, uint64_t wide)
{
	uint32_t half = (uint32_t)wide;

	if (size_bytes == sizeof(half))
		memcpy(member, &half, sizeof(half));
	else if (size_bytes == 1)
		*(uint8_t *)member = (uint8_t)wide;
	else
		memcpy(member, &wide, sizeof(wide));
}

static json_t *
put_number(uint64_t number)
{
	char text[24];

	if (number == UINT64_MAX)
		return json_null();
	if (number <= INT64_MAX)
		return json_integer((json_int_t)number);
	(void)snprintf(text, sizeof(text), "0x%" PRIx64, number);
	return json_string(text);
}

static bool
parse_number(const json_t *value, uint64_t *ret)
{
	const char *text = json_string_value(value);
	char *end;

	if (json_is_null(value)) {
		*ret = UINT64_MAX;
		return true;
	}
	*ret = (uint64_t)json_integer_value(value);
	if (text == NULL)
		return json_is_integer(value) && json_integer_value(value) >= 0;
	if (strncmp(text, "0x", 2) != 0 || strlen(text) > 18 ||
	    strspn(text + 2, "0123456789abcdef") == 0)
		return false;
	*ret = strtoull(text, &end, 16);
	return *end == '\0';
}

static int
get_number(const struct state_field *field, const json_t *value, void *member,
    char *ret_text)
{
	uint64_t most = UINT64_MAX >> (64 - 8 * field->size_bytes), number;

	if (!parse_number(value, &number) || number > most) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: must be a "
		    "number of 0 to %" PRIu64, field->name, most);
		return -1;
	}
	store(member, field->size_bytes, number);
	return 0;
}

static json_t *
put_signed(const void *member, size_t size_bytes)
{
	uint64_t wide = load(member, size_bytes);

	return json_integer(size_bytes == 4 ? (int32_t)wide : (int64_t)wide);
}

static int
get_signed(const struct state_field *field, const json_t *value, void *member,
    char *ret_text)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || (field->size_bytes == 4 &&
	    (number < INT32_MIN || number > INT32_MAX)))
		return refuse(ret_text, field, "must be a whole number that "
		    "fits");
	store(member, field->size_bytes, (uint64_t)number);
	return 0;
}

/*
 * Names
 */

/* Its place in the list, or `count`. */
static unsigned
find_name(const struct state_names *names, const char *text)
{
	unsigned i = 0;

	while (i < names->count &&
	    (text == NULL || strcmp(names->list[i], text) != 0))
		i++;
	return i;
}

static int
get_name(const struct state_field *field, const json_t *value, void *member,
    char *ret_text)
{
	const struct state_names *names = field->names;
	const char *text = json_string_value(value);
	unsigned found = find_name(names, text);
	size_t used;

	if (found < names->count && field->type == STATE_NAME) {
		store(member, field->size_bytes, found);
		return 0;
	}
	if (found < names->count) {
		*(const char **)member = names->list[found];
		return 0;
	}
	used = (size_t)snprintf(ret_text, REASON_BYTES_MAX,
	    "%s: \"%.60s\" is none of", field->name, text != NULL ? text : "");
	for (unsigned i = 0; i < names->count && used < REASON_BYTES_MAX; i++)
		used += (size_t)snprintf(ret_text + used,
		    REASON_BYTES_MAX - used, "%s %s", i == 0 ? "" : ",",
		    names->list[i]);
	return -1;
}

/*
 * A struct
 */

static size_t
part_count(const struct state_field *field)
{
	return field->size_bytes / field->part->size_bytes;
}

/* One is an object, several are a list without the empty ones at its end. */
static json_t *
put_part(const struct state_field *field, const char *member)
{
	size_t count = part_count(field), filled = 0;
	json_t *list = count > 1 ? json_array() : NULL;

	for (size_t i = 0; i < count; i++) {
		json_t *one = json_object();

		if (one == NULL || state_put(field->part,
		    member + i * field->part->size_bytes, one) < 0) {
			json_decref(one);
			json_decref(list);
			return NULL;
		}
		if (count == 1)
			return one;
		if (json_object_size(one) > 0)
			filled = i + 1;
		(void)json_array_append_new(list, one);
	}
	while (json_array_size(list) > filled)
		(void)json_array_remove(list, json_array_size(list) - 1);
	return list;
}

static int
get_part(const struct state_field *field, const json_t *value, char *member,
    char *ret_text)
{
	size_t count = part_count(field);
	const json_t *one = value;
	char why[REASON_BYTES_MAX];

	if (count > 1 && (!json_is_array(value) ||
	    json_array_size(value) > count)) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: must be a list of at most %zu", field->name, count);
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		if (count > 1)
			one = json_array_get(value, i);
		if (one == NULL)
			break;
		if (!json_is_object(one))
			return refuse(ret_text, field, "must be an object");
		if (state_get(field->part, one,
		    member + i * field->part->size_bytes, why) == 0)
			continue;
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s.%.480s",
		    field->name, why);
		return -1;
	}
	return 0;
}

static json_t *
put_field(const struct state_field *field, const char *member)
{
	const char *text = member;

	switch (field->type) {
	case STATE_NUMBER:
		return put_number(load(member, field->size_bytes));
	case STATE_SIGNED:
		return put_signed(member, field->size_bytes);
	case STATE_BOOL:
		return json_boolean(*(const bool *)member);
	case STATE_STRING:
	case STATE_WORD:
		memcpy(&text, member, sizeof(text));
		/* fall through */
	case STATE_TEXT:
		return text == NULL ? json_string("") :
		    state_text(text, strlen(text));
	case STATE_BYTES:
		return state_hex(member, field->size_bytes);
	case STATE_NAME:
		return json_string(field->names->list[load(member,
		    field->size_bytes)]);
	case STATE_PART:
		return put_part(field, member);
	case STATE_NOT_KEPT:
		break;
	}
	return NULL;
}

static int
get_field(const struct state_field *field, const json_t *value, void *member,
    char *ret_text)
{
	switch (field->type) {
	case STATE_NUMBER:
		return get_number(field, value, member, ret_text);
	case STATE_SIGNED:
		return get_signed(field, value, member, ret_text);
	case STATE_BOOL:
		*(bool *)member = json_is_true(value);
		return json_is_boolean(value) ? 0 :
		    refuse(ret_text, field, "must be true or false");
	case STATE_TEXT:
		return get_text(field, value, member, ret_text);
	case STATE_STRING:
		return get_string(field, value, member, ret_text);
	case STATE_BYTES:
		return get_bytes(field, value, member, ret_text);
	case STATE_NAME:
	case STATE_WORD:
		return get_name(field, value, member, ret_text);
	case STATE_PART:
		return get_part(field, value, member, ret_text);
	case STATE_NOT_KEPT:
		break;
	}
	return 0;
}

static bool
is_zero(const char *member, size_t size_bytes)
{
	return *member == 0 && memcmp(member, member + 1, size_bytes - 1) == 0;
}

int
state_put(const struct state_table *table, const void *object, json_t *record)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		const char *member = (const char *)object + field->offset;
		json_t *value;

		if (field->type == STATE_NOT_KEPT || (field->type == STATE_TEXT ?
		    *member == '\0' : is_zero(member, field->size_bytes)))
			continue;
		value = put_field(field, member);
		if (value != NULL && json_is_object(value) &&
		    json_object_size(value) == 0)
			json_decref(value);     /* only its padding is not 0 */
		else if (json_object_set_new(record, field->name, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

int
state_get(const struct state_table *table, const json_t *record, void *object,
    char *ret_text)
{
	if (!json_is_object(record)) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "must be an object");
		return -1;
	}
	for (size_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		const json_t *value = json_object_get(record, field->name);

		if (value == NULL || field->type == STATE_NOT_KEPT)
			continue;
		if (get_field(field, value, (char *)object + field->offset,
		    ret_text) < 0)
			return -1;
	}
	return 0;
}

/*
 * Comparison
 */

static bool
equal_parts(const struct state_field *field, const char *a, const char *b)
{
	size_t size_bytes = field->part->size_bytes;

	for (size_t i = 0; i < part_count(field); i++)
		if (!state_equal(field->part, a + i * size_bytes,
		    b + i * size_bytes))
			return false;
	return true;
}

bool
state_equal(const struct state_table *table, const void *a, const void *b)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		const char *left = (const char *)a + field->offset;
		const char *right = (const char *)b + field->offset;
		bool same = true;

		if (field->type == STATE_PART)
			same = equal_parts(field, left, right);
		else if (field->type == STATE_TEXT)
			same = strcmp(left, right) == 0;
		else if (field->type != STATE_NOT_KEPT &&
		    field->type != STATE_STRING)
			same = memcmp(left, right, field->size_bytes) == 0;
		if (!same)
			return false;
	}
	return true;
}
