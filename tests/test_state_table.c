/*
 * The tables of the state: that every member of every struct is in them, by
 * reading the headers, and that every one that is kept comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "state_field.h"

/*
 * Completeness
 */

enum { MEMBERS_MAX = 64, NAME_BYTES = 64 };

struct members {
	char names[MEMBERS_MAX][NAME_BYTES];
	size_t count;
};

static char *
read_header(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[512], *text;
	FILE *file;
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/include/%s",
	    top != NULL ? top : "..", name);
	file = fopen(path, "r");
	if (file == NULL)
		fail_msg("cannot read %s", path);
	text = malloc(1 << 16);
	assert_non_null(text);
	length = fread(text, 1, (1 << 16) - 1, file);
	text[length] = '\0';
	assert_int_equal(fclose(file), 0);
	return text;
}

/* In place; comments may contain anything. */
static void
remove_comments(char *text)
{
	char *to = text;

	while (*text != '\0') {
		char *end = strncmp(text, "/*", 2) == 0 ?
		    strstr(text + 2, "*/") : NULL;

		if (end != NULL)
			text = end + 2;
		else
			*to++ = *text++;
	}
	*to = '\0';
}

/* The name in `uint32_t **passed[2]`: the last word before a bracket. */
static void
add_member(struct members *members, const char *text, size_t length)
{
	const char *end = memchr(text, '[', length);
	char *name = members->names[members->count];
	size_t begin;

	if (end == NULL)
		end = text + length;
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	begin = (size_t)(end - text);
	while (begin > 0 && (isalnum((unsigned char)text[begin - 1]) ||
	    text[begin - 1] == '_'))
		begin--;
	length = (size_t)(end - text) - begin;
	if (length == 0)
		return;
	assert_true(length < NAME_BYTES && members->count < MEMBERS_MAX);
	memcpy(name, text + begin, length);
	name[length] = '\0';
	members->count++;
}

/* Of `struct NAME {` to its brace: there are none within. */
static bool
find_members(char *text, const char *name, struct members *ret)
{
	char head[NAME_BYTES], *body, *end;

	(void)snprintf(head, sizeof(head), "struct %s {", name);
	body = strstr(text, head);
	if (body == NULL)
		return false;
	body += strlen(head);
	end = strchr(body, '}');
	assert_non_null(end);
	ret->count = 0;
	while (body < end) {
		size_t length = strcspn(body, ",;}");

		add_member(ret, body, length);
		body += length + 1;
	}
	return true;
}

static void
members_of(const char *name, struct members *ret)
{
	static const char *const headers[] = { "engine.h", "rollout.h",
		"worker.h", "fleet.h", "backoff.h", "strategy.h", "notice.h",
		"release.h" };

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		char *text = read_header(headers[i]);
		bool found;

		remove_comments(text);
		found = find_members(text, name, ret);
		free(text);
		if (found)
			return;
	}
	fail_msg("no header has a struct %s", name);
}

static void
test_every_member(void **state)
{
	struct members members;

	(void)state;
	for (size_t i = 0; state_tables[i] != NULL; i++) {
		const struct state_table *table = state_tables[i];

		members_of(table->name, &members);
		for (size_t k = 0; k < members.count; k++)
			if (k >= table->field_count || strcmp(members.names[k],
			    table->fields[k].name) != 0)
				fail_msg("src/state_table.c: struct %s has a "
				    "member %s, which should be number %zu of "
				    "its table", table->name,
				    members.names[k], k + 1);
		assert_int_equal(members.count, table->field_count);
	}
}

/* A part's table is looked at by the test above. */
static void
test_every_part(void **state)
{
	(void)state;
	for (size_t i = 0; state_tables[i] != NULL; i++)
		for (size_t k = 0; k < state_tables[i]->field_count; k++) {
			const struct state_field *field =
			    &state_tables[i]->fields[k];
			size_t n = 0;

			if (field->type != STATE_PART)
				continue;
			assert_int_equal(field->size_bytes %
			    field->part->size_bytes, 0);
			while (state_tables[n] != NULL &&
			    strcmp(state_tables[n]->name,
			    field->part->name) != 0)
				n++;
			if (state_tables[n] == NULL)
				fail_msg("struct %s is in no list",
				    field->part->name);
		}
}

/*
 * There and back
 */

static uint32_t counter;

/* Bytes that differ from those of other members, and end as text does. */
static void
fill_bytes(char *member, size_t size_bytes, bool text)
{
	for (size_t i = 0; i < size_bytes; i++)
		member[i] = (char)('!' + (counter * 7 + i) % 90);
	counter++;
	if (text)
		member[size_bytes - 1] = '\0';
}

static void fill(const struct state_table *, void *object, bool extreme);

static void
fill_number(const struct state_field *field, char *member, bool extreme)
{
	uint64_t value = extreme ? UINT64_MAX - counter % 2 : 1000 + counter;
	uint32_t half = (uint32_t)value;
	uint8_t byte = (uint8_t)(1 + counter % 200);

	counter++;
	if (field->type == STATE_SIGNED && extreme)
		value = counter % 2 != 0 ? (uint64_t)INT64_MIN : INT64_MAX;
	half = field->type == STATE_SIGNED && extreme ? (uint32_t)INT32_MIN :
	    half;
	memcpy(member, field->size_bytes == 8 ? (void *)&value :
	    field->size_bytes == 4 ? (void *)&half : (void *)&byte,
	    field->size_bytes);
}

static void
fill_name(const struct state_field *field, char *member)
{
	uint32_t half = field->names->count - 1;
	uint8_t byte = (uint8_t)half;

	assert_true(field->size_bytes == 4 || field->size_bytes == 1);
	memcpy(member, field->size_bytes == 4 ? (void *)&half : (void *)&byte,
	    field->size_bytes);
}

static void
fill_field(const struct state_field *field, char *member, bool extreme)
{
	switch (field->type) {
	case STATE_NUMBER:
	case STATE_SIGNED:
		fill_number(field, member, extreme);
		break;
	case STATE_BOOL:
		*(bool *)member = true;
		break;
	case STATE_TEXT:
		fill_bytes(member, field->size_bytes, true);
		if (extreme)
			member[0] = (char)0xff;         /* no UTF-8 */
		break;
	case STATE_STRING:
		*(char **)(void *)member = strdup(extreme ? "a\xff" : "b\t\"");
		break;
	case STATE_BYTES:
		fill_bytes(member, field->size_bytes, false);
		break;
	case STATE_NAME:
		fill_name(field, member);
		break;
	case STATE_WORD:
		*(const char **)(void *)member = field->names->list[0];
		break;
	case STATE_PART:
		for (size_t i = 0; i < field->size_bytes;
		    i += field->part->size_bytes)
			fill(field->part, member + i, extreme);
		break;
	case STATE_NOT_KEPT:
		break;
	}
}

static void
fill(const struct state_table *table, void *object, bool extreme)
{
	for (size_t i = 0; i < table->field_count; i++)
		fill_field(&table->fields[i], (char *)object +
		    table->fields[i].offset, extreme);
}

/* Strings are compared here, and freed. */
static void
compare_strings(const struct state_table *table, char *a, char *b)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct state_field *field = &table->fields[i];
		char **left = (char **)(void *)(a + field->offset);
		char **right = (char **)(void *)(b + field->offset);

		if (field->type != STATE_STRING)
			continue;
		assert_string_equal(*left, *right);
		free(*left);
		free(*right);
		*left = *right = NULL;
	}
}

static void
there_and_back(const struct state_table *table, bool extreme)
{
	char *object = calloc(1, table->size_bytes);
	char *again = calloc(1, table->size_bytes);
	json_t *record = json_object(), *read;
	char why[REASON_BYTES_MAX], *text;

	assert_true(object != NULL && again != NULL);
	fill(table, object, extreme);
	assert_int_equal(state_put(table, object, record), 0);
	text = json_dumps(record, JSON_COMPACT);
	read = json_loads(text, JSON_ALLOW_NUL, NULL);
	assert_non_null(read);
	if (state_get(table, read, again, why) < 0)
		fail_msg("struct %s: %s", table->name, why);
	compare_strings(table, object, again);
	assert_true(state_equal(table, object, again));
	assert_memory_equal(object, again, table->size_bytes);
	json_decref(record);
	json_decref(read);
	free(text);
	free(object);
	free(again);
}

static void
test_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; state_tables[i] != NULL; i++) {
		there_and_back(state_tables[i], false);
		there_and_back(state_tables[i], true);
	}
}

/* What differs in one member only is not equal. */
static void
test_equal(void **state)
{
	(void)state;
	for (size_t i = 0; state_tables[i] != NULL; i++) {
		const struct state_table *table = state_tables[i];
		char *zero = calloc(1, table->size_bytes);
		char *other = calloc(1, table->size_bytes);

		for (size_t k = 0; k < table->field_count; k++) {
			const struct state_field *field = &table->fields[k];

			if (field->type == STATE_NOT_KEPT ||
			    field->type == STATE_STRING)
				continue;
			fill_field(field, other + field->offset, false);
			if (state_equal(table, zero, other))
				fail_msg("struct %s: %s is not compared",
				    table->name, field->name);
			memset(other, 0, table->size_bytes);
		}
		assert_true(state_equal(table, zero, other));
		free(zero);
		free(other);
	}
}

static void
test_nothing_is_nothing(void **state)
{
	static const struct deployment none;
	json_t *record = json_object();

	(void)state;
	assert_int_equal(state_put(&state_deployment, &none, record), 0);
	assert_int_equal(json_object_size(record), 0);
	json_decref(record);
}

/*
 * What is read may be anything
 */

static const struct {
	const struct state_table *table;
	const char *record, *expected;
} bad[] = {
	{ &state_rollout, "{\"step\":-1}",
	    "step: must be a number of 0 to 4294967295" },
	{ &state_rollout, "{\"step\":4294967296}",
	    "step: must be a number of 0 to 4294967295" },
	{ &state_rollout, "{\"step\":null}",
	    "step: must be a number of 0 to 4294967295" },
	{ &state_rollout, "{\"step\":1.5}",
	    "step: must be a number of 0 to 4294967295" },
	{ &state_rollout, "{\"started_ms\":\"0xg\"}",
	    "started_ms: must be a number of 0 to 18446744073709551615" },
	{ &state_rollout, "{\"started_ms\":\"0x11112222333344445\"}",
	    "started_ms: must be a number of 0 to 18446744073709551615" },
	{ &state_rollout, "{\"approved\":1}",
	    "approved: must be true or false" },
	{ &state_rollout, "{\"phase\":\"climb\"}", "phase: \"climb\" is none "
	    "of IDLE, PREPARE, CLIMB, PAUSED, KEEP, RETIRE, ROLLBACK" },
	{ &state_rollout, "{\"phase\":3}", "phase: \"\" is none "
	    "of IDLE, PREPARE, CLIMB, PAUSED, KEEP, RETIRE, ROLLBACK" },
	{ &state_rollout, "{\"culprit\":[]}",
	    "culprit: must be an object" },
	{ &state_rollout, "{\"culprit\":{\"slot\":\"x\"}}",
	    "culprit.slot: must be a number of 0 to 4294967295" },
	{ &state_mate, "{\"pid\":2147483648}",
	    "pid: must be a whole number that fits" },
	{ &state_mate, "{\"status\":7}", "status: must be text" },
	{ &state_mate, "{\"status\":{\"hex\":\"0\"}}",
	    "status: must be text" },
	{ &state_mate, "{\"status\":\"a\\u0000b\"}", "status: must be text" },
	{ &state_service, "{\"name\":\"12345678901234567890123456789012345678901"
	    "\"}", "name: must be text of at most 40 bytes, not 41" },
	{ &state_service, "{\"quarantine\":[1]}",
	    "quarantine: must be an object" },
	{ &state_service, "{\"quarantine\":[{},{},{},{},{},{},{},{},{}]}",
	    "quarantine: must be a list of at most 8" },
	{ &state_release, "{\"identity\":{\"build_id\":\"00\"}}",
	    "identity.build_id: must be 20 bytes in hexadecimal" },
	{ &state_deployment, "{\"strategy\":\"bold\"}", "strategy: \"bold\" is "
	    "none of rolling, canary, blue-green" },
	{ &state_deployment, "[]", "must be an object" },
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *object = calloc(1, bad[i].table->size_bytes);
		json_t *record = json_loads(bad[i].record, JSON_ALLOW_NUL,
		    NULL);
		char why[REASON_BYTES_MAX] = "";

		assert_non_null(record);
		assert_int_equal(state_get(bad[i].table, record, object, why),
		    -1);
		assert_string_equal(why, bad[i].expected);
		if (bad[i].table == &state_mate)
			free(((struct mate *)(void *)object)->status);
		json_decref(record);
		free(object);
	}
}

/* From an older supd, and from a newer one. */
static void
test_missing_and_unknown(void **state)
{
	struct rollout r = { 0 };
	json_t *record = json_loads("{\"stable\":4,\"mood\":\"good\","
	    "\"started_ms\":null}", 0, NULL);
	char why[REASON_BYTES_MAX];

	(void)state;
	assert_int_equal(state_get(&state_rollout, record, &r, why), 0);
	assert_int_equal(r.stable, 4);
	assert_int_equal(r.candidate, 0);
	assert_true(r.started_ms == NOT_YET_MS);
	json_decref(record);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_member),
		cmocka_unit_test(test_every_part),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_nothing_is_nothing),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_missing_and_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
