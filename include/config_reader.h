/*
 * Reading INI text by inih, without what inih does silently.
 *
 * inih cuts long lines and section names, says no line numbers, and drops what
 * it does not understand.  The reader looks at each line before inih does:
 * what inih would change is refused with its line number, and never arrives as
 * a value.  Pure: the text is in memory.
 */
#ifndef SUPD_CONFIG_READER_H
#define SUPD_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>

/* One line of a value. */
struct config_piece {
	unsigned line;
	const char *key;        /* only where it does not continue */
	const char *text;
	bool continues;         /* an indented line: more of the last key */
	bool commented;         /* a ` ;` ended it */
	bool refused;           /* an error was reported; text is not all */
};

struct config_sink {
	void *context;
	/* A header; NULL if it was refused and reported. */
	void (*section)(void *context, unsigned line, const char *text);
	void (*piece)(void *context, const struct config_piece *);
	void (*error)(void *context, unsigned line, const char *text);
};

/* Calls the sink for all of it in order.  0, or -ENOMEM (inih's own). */
int config_reader_run(const char *text, size_t size_bytes,
    const struct config_sink *);

#endif
