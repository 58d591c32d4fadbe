/*
 * A configuration that is being read: what config.c collects, and what the
 * checks across keys and sections (config_check.c) need to know of where each
 * value came from.  Nobody else includes this.
 */
#ifndef SUPD_CONFIG_BUILD_H
#define SUPD_CONFIG_BUILD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "config_table.h"

enum {
	CONFIG_SECTIONS_MAX = 1 + SERVICES_MAX + LISTENERS_MAX,
	CONFIG_MADE_NAME_BYTES = NAME_LENGTH_MAX + sizeof(".preview"),
};

struct config_place {
	const char *file;       /* one of config->files */
	unsigned line;          /* 0: nowhere */
};

struct config_section {
	enum config_kind kind;
	const char *name;       /* in the object; NULL for [supd] */
	struct config_place place;
	void *object;           /* struct spec, listener_spec or config */
	unsigned key_lines[CONFIG_KEYS_MAX];    /* 0: not set */
	bool key_bad[CONFIG_KEYS_MAX];          /* has the default instead */
};

struct config_build {
	struct config *config;
	struct config_errors *errors;
	bool out_of_memory;
	const char *file;       /* that is being read */
	unsigned header_line;   /* of its last section; 0: none yet */
	size_t file_count;

	/* The first is [supd], whether it is written or not. */
	struct config_section sections[CONFIG_SECTIONS_MAX];
	size_t section_count;
	struct config_place listener_places[LISTENERS_MAX];

	/* The value that is being collected. */
	struct config_section *section;         /* NULL: skip what follows */
	const struct config_key *key;           /* NULL: skip it */
	unsigned key_line;
	bool key_refused;
	size_t value_bytes;
	char value[CONFIG_VALUE_BYTES_MAX + 1];
};

/* Without errors as yet; NULL if there is no memory (reported). */
struct config_build *config_build_new(struct config_errors *);

/* Reads one more file, whose text becomes a part of the source; in
 * config_collect.c. */
void config_build_file(struct config_build *, const char *name,
    const char *text, size_t size_bytes);

/*
 * Fills in the defaults, checks, and frees the build.  The configuration, or
 * NULL if any error was reported.
 */
struct config *config_build_end(struct config_build *);

/* The configuration as a whole, for a message. */
struct config_place config_build_place(const struct config_build *);

void config_build_error(struct config_build *, struct config_place,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What a section says of a key, and where; in config_section.c. */
bool config_is_set(const struct config_section *, const char *key);
bool config_is_bad(const struct config_section *, const char *key);

/* It is set, and was not refused. */
bool config_is_good(const struct config_section *, const char *key);

/* Where it stands; its section if it is not set. */
struct config_place config_place_of(const struct config_section *,
    const char *key);

/* The one of two keys that a user wrote. */
struct config_place config_place_of_either(const struct config_section *,
    const char *first, const char *second);

/* The name of the listener that `preview` makes; it may be too long. */
void config_preview_name(const char *service,
    char ret_name[CONFIG_MADE_NAME_BYTES]);

/* Which listeners services have, and whether they share them; once. */
void config_listen(struct config_build *);

/* What must hold between keys and sections; in config_check.c. */
void config_check(struct config_build *);

/* Of these, what is about rollouts; in config_check_rollout.c. */
void config_check_rollout(struct config_build *, const struct config_section *);

void config_errors_add(struct config_errors *, struct config_place,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void config_errors_vadd(struct config_errors *, struct config_place,
    const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Where state is kept if state_dir is not set.  A static buffer. */
const char *config_default_state_dir(void);

#endif
