/*
 * Lines and turns.
 */
#include "state_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "release.h"
#include "state.h"

static const char commit_start[] = "{\"commit\":";

/*
 * Writing
 */

void
state_log_release(struct state_log *log)
{
	free(log->bytes);
	*log = (struct state_log){ 0 };
}

static int
append(const char *bytes, size_t size_bytes, void *ctx)
{
	struct state_log *log = ctx;
	size_t needed = log->size_bytes + size_bytes;
	char *more;

	if (needed > log->room_bytes) {
		more = realloc(log->bytes, 2 * needed);
		if (more == NULL) {
			log->failed = true;
			return -1;
		}
		log->bytes = more;
		log->room_bytes = 2 * needed;
	}
	memcpy(log->bytes + log->size_bytes, bytes, size_bytes);
	log->size_bytes = needed;
	return 0;
}

static void
append_line(struct state_log *log, json_t *line)
{
	if (line == NULL || json_dump_callback(line, append, log,
	    JSON_COMPACT) < 0 || append("\n", 1, log) < 0)
		log->failed = true;
	log->line_count++;
	json_decref(line);
}

void
state_log_begin(struct state_log *log, const char *header_version)
{
	log->size_bytes = 0;
	log->line_count = 0;
	log->failed = false;
	if (header_version != NULL)
		append_line(log, json_pack("{s:i, s:i, s:s}", "supd-state",
		    STATE_FORMAT, "readable-from", STATE_READABLE_FROM, "supd",
		    header_version));
}

json_t *
state_log_record(struct state_log *log, const char *key)
{
	json_t *record = json_pack("{s:s}", "put", key);

	log->failed |= record == NULL;
	return record;
}

void
state_log_put(struct state_log *log, json_t *record)
{
	append_line(log, record);
}

void
state_log_drop(struct state_log *log, const char *key)
{
	append_line(log, json_pack("{s:s}", "drop", key));
}

static void
format_sum(const char *bytes, size_t size_bytes, char ret_text[24])
{
	(void)snprintf(ret_text, 24, "0x%016" PRIx64,
	    release_hash(RELEASE_HASH_START, bytes, size_bytes));
}

void
state_log_commit(struct state_log *log)
{
	char sum[24];

	format_sum(log->bytes, log->size_bytes, sum);
	append_line(log, json_pack("{s:I, s:i, s:s}", "commit",
	    (json_int_t)++log->turn, "lines", (int)log->line_count, "sum",
	    sum));
}

/*
 * Reading
 */

struct reader {
	struct state_records *records;
	const char *turn;               /* where it begins */
	const char *line, *line_end;    /* the present one, without its \n */
	unsigned line_number, turn_line_number;
	char *ret_text;
};

static int
damaged(struct reader *r, unsigned line, const char *why)
{
	(void)snprintf(r->ret_text, REASON_BYTES_MAX,
	    "the state is damaged: line %u %.400s", line, why);
	return -1;
}

/* A line as an object; NULL: it is none, and that is said. */
static json_t *
parse(struct reader *r, const char *line, const char *end, unsigned number)
{
	json_error_t error;
	json_t *json = json_loadb(line, (size_t)(end - line),
	    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	char why[REASON_BYTES_MAX];

	if (json_is_object(json))
		return json;
	(void)snprintf(why, sizeof(why), "is not a JSON object%s%s",
	    json == NULL ? ": " : "", json == NULL ? error.text : "");
	json_decref(json);
	(void)damaged(r, number, why);
	return NULL;
}

/* Its record, perhaps a new one; NULL without memory. */
static struct state_record *
find(struct state_records *records, const char *key)
{
	const json_t *at = json_object_get(records->index, key);
	struct state_record *more;

	if (at != NULL)
		return &records->list[json_integer_value(at)];
	if (records->count == records->room) {
		records->room = 2 * records->room + 64;
		more = realloc(records->list,
		    records->room * sizeof(*records->list));
		if (more == NULL)
			return NULL;
		records->list = more;
	}
	if (json_object_set_new(records->index, key,
	    json_integer((json_int_t)records->count)) < 0)
		return NULL;
	records->list[records->count] = (struct state_record){ 0 };
	return &records->list[records->count++];
}

static int
replace(struct reader *r, const char *key, json_t *json, unsigned number)
{
	struct state_record *record = find(r->records, key);

	if (record == NULL)
		return damaged(r, number, "needs more memory than there is");
	json_decref(record->json);
	*record = (struct state_record){ .json = json_incref(json),
		.line = number };
	record->key = json_string_value(json_object_get(json, "put"));
	return 0;
}

static int
apply(struct reader *r, json_t *json, unsigned number)
{
	const char *put = json_string_value(json_object_get(json, "put"));
	const char *drop = json_string_value(json_object_get(json, "drop"));

	if (put != NULL)
		return replace(r, put, json, number);
	if (drop != NULL)
		return replace(r, drop, NULL, number);
	return 0;
}

static int
read_header(struct reader *r, const json_t *json)
{
	const json_t *format = json_object_get(json, "supd-state");
	const json_t *oldest = json_object_get(json, "readable-from");
	const char *supd = json_string_value(json_object_get(json, "supd"));

	if (json_integer_value(format) < 1 ||
	    json_integer_value(format) > UINT32_MAX)
		return damaged(r, 1, "is not the header of a state");
	r->records->format = (uint32_t)json_integer_value(format);
	(void)snprintf(r->records->supd, sizeof(r->records->supd), "%s",
	    supd != NULL ? supd : "of unknown version");
	if (json_integer_value(oldest) <= STATE_FORMAT)
		return 0;
	(void)snprintf(r->ret_text, REASON_BYTES_MAX, "the state was written by "
	    "supd %.60s in format %u; that can be read by a supd which knows "
	    "format %lld, and this one knows %d", r->records->supd,
	    r->records->format, (long long)json_integer_value(oldest),
	    STATE_FORMAT);
	return -1;
}

/* All lines of a turn that is whole. */
static int
read_turn(struct reader *r)
{
	const char *line = r->turn, *end;
	unsigned number = r->turn_line_number;
	int result = 0;

	for (; line < r->line && result == 0; line = end + 1, number++) {
		json_t *json;

		end = memchr(line, '\n', (size_t)(r->line - line));
		json = parse(r, line, end, number);
		if (json == NULL)
			return -1;
		result = number == 1 ? read_header(r, json) :
		    apply(r, json, number);
		json_decref(json);
	}
	return result;
}

/* The present line says that a turn ends. */
static int
commit(struct reader *r)
{
	json_t *json = parse(r, r->line, r->line_end, r->line_number);
	unsigned lines = r->line_number - r->turn_line_number;
	const char *sum;
	char found[24], why[REASON_BYTES_MAX] = "";

	if (json == NULL)
		return -1;
	sum = json_string_value(json_object_get(json, "sum"));
	format_sum(r->turn, (size_t)(r->line - r->turn), found);
	if (json_integer_value(json_object_get(json, "lines")) != lines)
		(void)snprintf(why, sizeof(why), "ends a turn of %lld lines, "
		    "and there are %u", (long long)json_integer_value(
		    json_object_get(json, "lines")), lines);
	else if (sum == NULL || strcmp(sum, found) != 0)
		(void)snprintf(why, sizeof(why), "ends a turn whose sum is "
		    "%.30s, and that of its lines is %s", sum != NULL ? sum :
		    "missing", found);
	json_decref(json);
	if (why[0] != '\0')
		return damaged(r, r->line_number, why);
	if (read_turn(r) < 0)
		return -1;
	r->turn = r->line_end + 1;
	r->turn_line_number = r->line_number + 1;
	r->records->line_count = r->line_number;
	return 0;
}

int
state_log_read(const char *bytes, size_t size_bytes,
    struct state_records *ret, char *ret_text)
{
	const char *end = bytes + size_bytes;
	struct reader r = { .records = ret, .turn = bytes, .line = bytes,
		.line_number = 1, .turn_line_number = 1, .ret_text = ret_text };
	size_t length = sizeof(commit_start) - 1;

	*ret = (struct state_records){ .index = json_object() };
	for (; r.line < end; r.line = r.line_end + 1, r.line_number++) {
		r.line_end = memchr(r.line, '\n', (size_t)(end - r.line));
		if (r.line_end == NULL)
			break;          /* half a line */
		if ((size_t)(r.line_end - r.line) >= length &&
		    memcmp(r.line, commit_start, length) == 0 &&
		    commit(&r) < 0)
			return -1;
	}
	if (ret->format != 0)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX, "the state has no whole turn "
	    "in its %zu bytes", size_bytes);
	return -1;
}

void
state_records_release(struct state_records *records)
{
	for (size_t i = 0; i < records->count; i++)
		json_decref(records->list[i].json);
	free(records->list);
	json_decref(records->index);
}
