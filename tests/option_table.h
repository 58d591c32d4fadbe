/*
 * Command line options of the test programs, as one table each.
 *
 * A row says where in the program's options struct the value goes, so that
 * parsing, ranges and the help text cannot drift apart.
 */
#ifndef TESTS_OPTION_TABLE_H
#define TESTS_OPTION_TABLE_H

#include <stddef.h>

enum option_kind {
	OPTION_FLAG,        /* bool */
	OPTION_NUMBER,      /* long, within minimum … maximum */
	OPTION_THOUSANDTHS, /* long, a decimal number times 1000: 0.5 is 500 */
	OPTION_TEXT,        /* const char *, points into argv */
};

struct option_row {
	const char *name;       /* without the dashes */
	enum option_kind kind;
	size_t offset;          /* of the field in the options struct */
	long minimum, maximum;  /* of the value as stored */
	const char *argument;   /* how the help calls it */
	const char *help;
};

enum { OPTION_ROWS_MAX = 64 };

/*
 * Fills *options from argv.  Returns the index of the first operand, or
 * -EINVAL after a message on stderr.
 */
int option_table_parse(const struct option_row *rows, size_t row_count,
    int argc, char **argv, void *options);

/* Prints one line for each row on stderr. */
void option_table_help(const struct option_row *rows, size_t row_count);

#endif
