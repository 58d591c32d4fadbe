/*
 * The one table of options: every key that a configuration may have.
 *
 * The parser, the defaults, the range checks, the comparison of two specs and
 * the check of supd.conf(5) all read it, so that none of them can drift from
 * the others.  A new key is a new row, a field of spec.h and an entry in the
 * man page; a new kind of value is a type here, a parser in config_value.c or
 * beside it, and what makes two of them differ in spec_differs.c.
 */
#ifndef SUPD_CONFIG_TABLE_H
#define SUPD_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
	CONFIG_SUPD,
	CONFIG_LISTENER,
	CONFIG_SERVICE,
	CONFIG_KIND_COUNT,
};

/* How a value is spelled and what it is stored in. */
enum config_type {
	CONFIG_COMMAND,         /* char ** */
	CONFIG_ENVIRONMENT,     /* char ** */
	CONFIG_NAMES,           /* char ** */
	CONFIG_PATH,            /* char * */
	CONFIG_ACCOUNT,         /* char *, a user or a group */
	CONFIG_OWNER,           /* char *, USER[:GROUP] */
	CONFIG_TEXT,            /* char *, as it stands */
	CONFIG_ADDRESS,         /* a whole struct listener_spec */
	CONFIG_PREVIEW,         /* the same; TCP */
	CONFIG_NUMBER,          /* uint32_t */
	CONFIG_MODE,            /* uint32_t, octal */
	CONFIG_BOOLEAN,         /* bool */
	CONFIG_DURATION,        /* uint64_t, milliseconds */
	CONFIG_SWITCHED,        /* the same; `off` is 0 */
	CONFIG_AMOUNT,          /* struct amount */
	CONFIG_CHOICE,          /* an enum, in the order of `choices` */
	CONFIG_SIGNAL,          /* int */
	CONFIG_EXITS,           /* struct exit_set */
	CONFIG_READY,           /* a whole struct spec, and so the rest: */
	CONFIG_VERSION,         /* `file PATH` or `exec COMMAND` */
	CONFIG_PROBE,           /* `http PATH`, `tcp` or `exec COMMAND` */
	CONFIG_STATUSES,        /* N or N-M */
	CONFIG_STEPS,           /* `5% 1m, 25% pause, 100%` */
};

/* What it takes for a changed value to be in force. */
enum config_scope {
	CONFIG_RELEASE,         /* a rollout */
	CONFIG_FLEET,           /* nothing: it is taken over in place */
	CONFIG_START,           /* a new start of supd */
};

struct config_key {
	enum config_kind kind;
	const char *name;
	enum config_type type;
	uint64_t min, max;      /* where the type has a range */
	const char *preset;     /* the default, as text; NULL: none */
	enum config_scope scope;
	size_t offset;          /* in struct spec, listener_spec or config */
	const char *const *choices;     /* NULL at the end */
	const char *help;       /* for messages; the manual says more */
};

enum { CONFIG_KEYS_MAX = 64 };
extern const struct config_key config_keys[];
extern const size_t config_key_count;   /* at most CONFIG_KEYS_MAX */

/* As in a section's header: "service". */
extern const char *const config_kind_names[CONFIG_KIND_COUNT];

/* As in a message: "[service NAME]". */
extern const char *const config_kind_headers[CONFIG_KIND_COUNT];

/* NULL if there is none. */
const struct config_key *config_key_find(enum config_kind, const char *name);

/* The key or kind that a typo was probably meant to be, or NULL. */
const struct config_key *config_key_nearest(enum config_kind,
    const char *name);
const char *config_kind_nearest(const char *name);

/* True if a value may go on in the next, indented line. */
bool config_type_is_list(enum config_type);

/* True if a value is split into words, so that quotes mean something. */
bool config_type_is_words(enum config_type);

#endif
