/*
 * The fields of the state: one table for each struct, which both the writer and
 * the reader go by, so that they cannot drift apart.
 *
 * A record is a JSON object; a member has the name that it has in C.  What is
 * zero is not written, and what is missing is zero.  That is also what a member
 * gets that an older supd did not know; one that needs another default has to
 * take zero for it.  A member that the table does not know is ignored.
 *
 *   numbers     UINT64_MAX, which is NEVER_MS, NOT_YET_MS or _UNKNOWN, is null;
 *               what JSON cannot hold is "0x…"
 *   names       an enumeration's value by its name in C, so that a new one in
 *               the middle changes nothing.  An unknown one is an error: what a
 *               newer supd meant by it cannot be guessed
 *   times       CLOCK_MONOTONIC, which goes on across exec
 *   text        in UTF-8; what is not is {"hex":"…"}
 */
#ifndef SUPD_STATE_FIELD_H
#define SUPD_STATE_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum state_type {
	STATE_NOT_KEPT,         /* the table says why */
	STATE_NUMBER,           /* unsigned, of 1, 4 or 8 bytes */
	STATE_SIGNED,           /* of 4 or 8 bytes */
	STATE_BOOL,
	STATE_TEXT,             /* an array of char, NUL ends */
	STATE_STRING,           /* char *, allocated; never changes */
	STATE_BYTES,            /* an array of bytes, in hex */
	STATE_NAME,             /* an enumeration, of 1 or 4 bytes */
	STATE_WORD,             /* const char *, one of the names, or NULL */
	STATE_PART,             /* a struct, or an array of them */
};

struct state_names {
	const char *const *list;
	unsigned count;
};

struct state_table;

struct state_field {
	const char *name;
	enum state_type type;
	size_t offset, size_bytes;      /* of all of the member */
	const struct state_names *names;
	const struct state_table *part;
};

struct state_table {
	const char *name;               /* of the struct */
	size_t size_bytes;
	const struct state_field *fields;
	size_t field_count;
};

extern const struct state_table state_engine, state_service, state_rollout,
    state_judge, state_deployment, state_release, state_kept_release,
    state_slot, state_worker, state_mate;

/* These and all that are parts of them; NULL ends. */
extern const struct state_table *const state_tables[];

/* Adds the members of `object` to a record.  0 or -ENOMEM. */
int state_put(const struct state_table *, const void *object, json_t *record);

/*
 * Sets those members of `object`, which is zero, that the record has.  0, or -1
 * and in ret_text (REASON_BYTES_MAX) which member is what it may not be.  Strings
 * are the caller's to free in both cases.
 */
int state_get(const struct state_table *, const json_t *record, void *object,
    char *ret_text);

/* Are all members equal that are kept?  Strings are not looked at. */
bool state_equal(const struct state_table *, const void *, const void *);

/* In state_text.c: in hexadecimal, and back into half as many bytes as the string
 * has (false: it is none). */
json_t *state_hex(const void *bytes, size_t size_bytes);
bool state_unhex(const json_t *, void *ret_bytes);

/* A string as JSON, and back (NULL: it is none, or there is no memory). */
json_t *state_text(const char *bytes, size_t size_bytes);
char *state_bytes(const json_t *, size_t *ret_size_bytes);

#endif
