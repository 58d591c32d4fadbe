/*
 * The state's text: a log of lines, one JSON object each.
 *
 *   {"supd-state":1,"readable-from":1,"supd":"0.5"}      the first line
 *   {"put":"worker 3 17","revision":2,…}                  this record is so now
 *   {"drop":"worker 3 17"}                                it is no more
 *   {"commit":12,"lines":3,"sum":"0x…"}                   a turn ends
 *
 * What counts is what was there at the last whole commit: what comes after it
 * was being written when supd ended, and never was.  A commit whose lines are
 * not those that it counted is damage, and an error.  Lines with none of these
 * words are ignored.
 *
 * `readable-from` is the oldest format whose readers understand this one.
 */
#ifndef SUPD_STATE_LOG_H
#define SUPD_STATE_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be written. */
struct state_log {
	char *bytes;
	size_t size_bytes, room_bytes;
	uint32_t line_count;            /* of the turn */
	uint64_t turn;                  /* the last one */
	bool failed;                    /* there was no memory */
};

void state_log_release(struct state_log *);

/* Begins a turn: forgets what was written before.  The first one of a log has a
 * header. */
void state_log_begin(struct state_log *, const char *header_version);

/* A record to add members to, for state_log_put(), which takes it; NULL is an
 * error that is noted. */
json_t *state_log_record(struct state_log *, const char *key);
void state_log_put(struct state_log *, json_t *record);
void state_log_drop(struct state_log *, const char *key);
void state_log_commit(struct state_log *);

/* What was read. */
struct state_record {
	const char *key;
	json_t *json;                   /* NULL: it was dropped */
	unsigned line;
};

struct state_records {
	struct state_record *list;
	size_t count, room;
	json_t *index;                  /* by key, into the list */
	unsigned line_count;            /* up to the last commit */
	uint32_t format;
	char supd[64];                  /* the version of who wrote it */
};

/*
 * 0, or -1 and a sentence in ret_text (REASON_BYTES_MAX).  To be released in
 * both cases.
 */
int state_log_read(const char *bytes, size_t size_bytes,
    struct state_records *ret, char *ret_text);
void state_records_release(struct state_records *);

#endif
