/*
 * Reading the configuration.
 *
 * One table describes every key (section, name, type, range, default, help);
 * the parser, `supctl check` and the completeness check of supd.conf(5) come
 * from it.  All errors of all files are reported at once, each with file,
 * line, key, what is allowed and, for a typo, the nearest known key.  If there
 * is one, there is no configuration: the caller goes on with what it has.
 *
 * The files are parsed by inih through ini_parse_stream() with a reader of
 * ours that counts lines and refuses those that Debian's inih would cut
 * silently (over CONFIG_LINE_BYTES_MAX bytes, section names over 49).
 */
#ifndef SUPD_CONFIG_H
#define SUPD_CONFIG_H

#include <stdio.h>

#include "spec.h"

struct config_error {
	char *file;             /* never NULL in list[0 .. count), as text */
	unsigned line;          /* 0: the file as a whole */
	char *text;             /* what is wrong and what is allowed */
};

struct config_errors {
	struct config_error list[CONFIG_ERRORS_MAX];
	size_t count;           /* entries of list */
	size_t dropped;         /* further ones, also for want of memory */
};

/*
 * Reads `path` and then, if it is in a directory with a conf.d beside it, the
 * *.conf of that in name order.  NULL means default_path().  Returns NULL if
 * anything is wrong and says what in ret_errors; the caller releases both.
 */
struct config *config_read(const char *path, struct config_errors *ret_errors);

/* The same for text in memory, called `name` in messages; for tests, fuzzing. */
struct config *config_read_text(const char *name, const char *text,
    size_t size_bytes, struct config_errors *ret_errors);

/* What was read before, again. */
struct config *config_read_source(const struct config_source *,
    struct config_errors *ret_errors);

void config_errors_release(struct config_errors *);

/* One line each: FILE:LINE: text. */
void config_errors_print(const struct config_errors *, FILE *);

/*
 * /etc/supd/supd.conf for root, else $XDG_CONFIG_HOME/supd/supd.conf or
 * ~/.config/supd/supd.conf.  Points to a static buffer.
 */
const char *config_default_path(void);

/*
 * Where `runtime_dir` points when it is not set: /run/supd for root, else
 * $XDG_RUNTIME_DIR/supd, else /tmp/supd-UID.  Points to a static buffer.
 */
const char *config_default_runtime_dir(void);

/* Prints the option table as `SECTION KEY` lines; for the man page check. */
void config_print_keys(FILE *);

#endif
