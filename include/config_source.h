/*
 * The text that a configuration was read from: its files, by name.
 *
 * A supd that is started anew has to know the specs of all releases that still
 * run, also of those that the files on disk do not describe any more.  It reads
 * them again from what they were read from; so each spec holds that text, which
 * all specs of one reading share.
 */
#ifndef SUPD_CONFIG_SOURCE_H
#define SUPD_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "bounds.h"

struct config_text {
	char *name;
	char *text;             /* may contain NUL */
	size_t size_bytes;
};

struct config_source {
	unsigned reference_count;
	size_t file_count;
	struct config_text files[CONFIG_FILES_MAX];
};

/* With one reference; NULL without memory. */
struct config_source *config_source_new(void);
struct config_source *config_source_ref(struct config_source *);
void config_source_unref(struct config_source *);       /* NULL is fine */

/* Adds a copy; there must be room.  0 or -ENOMEM. */
int config_source_add(struct config_source *, const char *name,
    const char *text, size_t size_bytes);

/* The same files with the same text. */
bool config_source_equal(const struct config_source *,
    const struct config_source *);

#endif
