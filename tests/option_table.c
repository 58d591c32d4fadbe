/*
 * Command line options of the test programs: a thin layer over getopt_long
 * that stores typed values and refuses what is out of range.
 *
 * It owns nothing; texts point into argv.
 */
#include "option_table.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What getopt_long returns for row 0; clear of '?' and ':'. */
enum { FIRST_VALUE = 256 };

static int
parse_number(const char *text, long *ret_number)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int
parse_thousandths(const char *text, long *ret_number)
{
	char *end;
	double number;

	errno = 0;
	number = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0)
		return -EINVAL;
	if (!(number > -1e12 && number < 1e12))
		return -ERANGE;
	*ret_number = (long)(number * 1000.0 + (number < 0 ? -0.5 : 0.5));
	return 0;
}

static int
complain(const struct option_row *row, const char *value)
{
	double unit = row->kind == OPTION_THOUSANDTHS ? 1000.0 : 1.0;

	fprintf(stderr, "option --%s: '%s' is not a number from %g to %g\n",
	    row->name, value, (double)row->minimum / unit,
	    (double)row->maximum / unit);
	return -EINVAL;
}

static int
store(const struct option_row *row, const char *value, void *options)
{
	char *field = (char *)options + row->offset;
	bool set = true;
	int error = -EINVAL;
	long number = 0;

	switch (row->kind) {
	case OPTION_FLAG:
		memcpy(field, &set, sizeof(set));
		return 0;
	case OPTION_TEXT:
		memcpy(field, &value, sizeof(value));
		return 0;
	case OPTION_NUMBER:
		error = parse_number(value, &number);
		break;
	case OPTION_THOUSANDTHS:
		error = parse_thousandths(value, &number);
		break;
	}
	if (error != 0 || number < row->minimum || number > row->maximum)
		return complain(row, value);
	memcpy(field, &number, sizeof(number));
	return 0;
}

int
option_table_parse(const struct option_row *rows, size_t row_count, int argc,
    char **argv, void *options)
{
	struct option table[OPTION_ROWS_MAX + 1];
	size_t i;
	int value, error;

	assert(row_count <= OPTION_ROWS_MAX);
	memset(table, 0, sizeof(table));
	for (i = 0; i < row_count; i++) {
		table[i].name = rows[i].name;
		table[i].has_arg = rows[i].kind == OPTION_FLAG ?
		    no_argument : required_argument;
		table[i].val = FIRST_VALUE + (int)i;
	}
	while ((value = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (value < FIRST_VALUE)
			return -EINVAL; /* getopt_long has said why */
		error = store(&rows[value - FIRST_VALUE], optarg, options);
		if (error != 0)
			return error;
	}
	return optind;
}

void
option_table_help(const struct option_row *rows, size_t row_count)
{
	char label[64];
	size_t i;

	for (i = 0; i < row_count; i++) {
		snprintf(label, sizeof(label), "--%s %s", rows[i].name,
		    rows[i].argument != NULL ? rows[i].argument : "");
		fprintf(stderr, "  %-26s %s\n", label, rows[i].help);
	}
}
