/*
 * The options of supctl: one table, of which each verb takes some.
 *
 * getopt_long does the work; what it finds wrong is said in our words, with
 * what is allowed instead.  Values are checked here, before a supervisor is
 * asked.
 */
#include "supctl.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config_value.h"
#include "label.h"
#include "strategy.h"

struct row {
	enum option_bit option;
	const char *name;       /* of the long form, or NULL */
	char letter;            /* of the short one, or 0 */
	const char *argument;   /* NULL: takes none */
};

static const struct row rows[] = {
	{ OPTION_CONFIG, NULL, 'c', "FILE" },
	{ OPTION_SOCKET, "socket", 0, "PATH" },
	{ OPTION_HELP, "help", 0, NULL },
	{ OPTION_ABOUT, "version", 0, NULL },
	{ OPTION_JSON, "json", 0, NULL },
	{ OPTION_WATCH, "watch", 0, NULL },
	{ OPTION_VERSION, "version", 0, "V" },
	{ OPTION_COMMIT_TIME, "commit-time", 0, "T" },
	{ OPTION_PLAN, "plan", 0, NULL },
	{ OPTION_IF_CHANGED, "if-changed", 0, NULL },
	{ OPTION_FORCE, "force", 0, NULL },
	{ OPTION_NO_WAIT, "no-wait", 0, NULL },
	{ OPTION_LIMIT, NULL, 'n', "N" },
	{ OPTION_FOLLOW, NULL, 'f', NULL },
	{ OPTION_STRATEGY, "strategy", 0, "S" },
	{ OPTION_TO_REVISION, "to-revision", 0, "N" },
	{ OPTION_SINCE, "since", 0, "D" },
	{ OPTION_TO, "to", 0, "PATH" },
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

/* A day is the least that `a day` can be said of. */
enum { WINDOW_S_MIN = 86400, WINDOW_DAYS_MAX = 3650 };

/* What getopt_long returns for the long form of row 0. */
enum { FIRST_LONG = 256 };

static int
set_commit_time(struct supctl *ctl, const char *text)
{
	if (label_parse_time(text, &ctl->commit_time_s) == 0)
		return SUPCTL_DONE;
	complain("--commit-time: \"%s\" is no time: give seconds since 1970 "
	    "or ISO 8601, as 2024-05-01T12:00:00Z", text);
	return SUPCTL_USAGE;
}

/* `12h`, `30d`, `4w`; 0 or -EINVAL. */
static int
parse_window(const char *text, int64_t *ret_window_s)
{
	static const struct {
		const char *name;
		int64_t size_s;
	} units[] = { { "h", 3600 }, { "d", 86400 }, { "w", 7 * 86400 } };
	const char *unit;
	uint64_t count;

	if (config_digits_parse(text, &unit, &count) < 0 ||
	    count > WINDOW_DAYS_MAX * 24)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(unit, units[i].name) == 0) {
			*ret_window_s = (int64_t)count * units[i].size_s;
			return 0;
		}
	return -EINVAL;
}

/* How long ago, or when. */
static int
set_since(struct supctl *ctl, const char *text)
{
	int64_t now_s = (int64_t)time(NULL), window_s, since_s;
	int error = parse_window(text, &window_s);

	if (error < 0) {
		error = label_parse_time(text, &since_s);
		window_s = error < 0 ? 0 : now_s - since_s;
	}
	if (error < 0 || window_s < WINDOW_S_MIN ||
	    window_s > WINDOW_DAYS_MAX * INT64_C(86400)) {
		complain("--since: expected a time from 1d to %dd ago, as 30d, "
		    "4w or 2024-05-01, not \"%s\"", WINDOW_DAYS_MAX, text);
		return SUPCTL_USAGE;
	}
	ctl->since_s = now_s - window_s;
	return SUPCTL_DONE;
}

static int
set_limit(struct supctl *ctl, const char *text)
{
	char *end;
	unsigned long limit = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || limit < 1 ||
	    limit > HISTORY_LINES_MAX) {
		complain("-n: \"%s\" is no number from 1 to %d", text,
		    HISTORY_LINES_MAX);
		return SUPCTL_USAGE;
	}
	ctl->limit = (uint32_t)limit;
	return SUPCTL_DONE;
}

static int
set_version(struct supctl *ctl, const char *text)
{
	if (text[0] == '\0' || strlen(text) > VERSION_BYTES_MAX) {
		complain("--version: a version has 1 to %d bytes, not %zu",
		    VERSION_BYTES_MAX, strlen(text));
		return SUPCTL_USAGE;
	}
	ctl->version = text;
	return SUPCTL_DONE;
}

static int
set_strategy(struct supctl *ctl, const char *text)
{
	static const enum strategy strategies[] = { STRATEGY_ROLLING,
		STRATEGY_CANARY, STRATEGY_BLUE_GREEN };

	for (size_t i = 0; i < sizeof(strategies) / sizeof(strategies[0]);
	    i++)
		if (strcmp(text, strategy_name(strategies[i])) == 0) {
			ctl->strategy = text;
			return SUPCTL_DONE;
		}
	complain("--strategy: expected rolling, canary or blue-green, not "
	    "\"%s\"", text);
	return SUPCTL_USAGE;
}

static int
set_revision(struct supctl *ctl, const char *text)
{
	uint64_t revision;

	if (config_number_parse(text, 1, UINT32_MAX, &revision) < 0) {
		complain("--to-revision: \"%s\" is no revision (they are: "
		    "supctl history)", text);
		return SUPCTL_USAGE;
	}
	ctl->to_revision = (uint32_t)revision;
	return SUPCTL_DONE;
}

static int
set_path(const char *option, const char *text, const char **ret_path)
{
	if (text[0] == '\0') {
		complain("%s: the path is empty", option);
		return SUPCTL_USAGE;
	}
	*ret_path = text;
	return SUPCTL_DONE;
}

static int
set_option(struct supctl *ctl, enum option_bit option, const char *argument)
{
	switch (option) {
	case OPTION_CONFIG:
		return set_path("-c", argument, &ctl->config_path);
	case OPTION_SOCKET:
		return set_path("--socket", argument, &ctl->socket_path);
	case OPTION_HELP:
		ctl->help = true;
		break;
	case OPTION_ABOUT:
		ctl->about = true;
		break;
	case OPTION_JSON:
		ctl->json = true;
		break;
	case OPTION_WATCH:
		ctl->watch = true;
		break;
	case OPTION_VERSION:
		return set_version(ctl, argument);
	case OPTION_COMMIT_TIME:
		return set_commit_time(ctl, argument);
	case OPTION_PLAN:
		ctl->plan = true;
		break;
	case OPTION_IF_CHANGED:
		ctl->if_changed = true;
		break;
	case OPTION_FORCE:
		ctl->force = true;
		break;
	case OPTION_NO_WAIT:
		ctl->no_wait = true;
		break;
	case OPTION_LIMIT:
		return set_limit(ctl, argument);
	case OPTION_FOLLOW:
		ctl->follow = true;
		break;
	case OPTION_STRATEGY:
		return set_strategy(ctl, argument);
	case OPTION_TO_REVISION:
		return set_revision(ctl, argument);
	case OPTION_SINCE:
		return set_since(ctl, argument);
	case OPTION_TO:
		return set_path("--to", argument, &ctl->to_path);
	}
	return SUPCTL_DONE;
}

/* The tables that getopt_long wants, of the options in `allowed`. */
struct getopt_tables {
	char letters[2 + 2 * ROW_COUNT + 1];
	struct option long_options[ROW_COUNT + 1];
};

static void
build_tables(struct getopt_tables *tables, unsigned allowed, bool in_order)
{
	char *letter = tables->letters;
	size_t count = 0;

	memset(tables, 0, sizeof(*tables));
	if (in_order)
		*letter++ = '+';
	*letter++ = ':';
	for (int i = 0; i < ROW_COUNT; i++) {
		if (!(allowed & rows[i].option))
			continue;
		if (rows[i].letter != 0)
			*letter++ = rows[i].letter;
		if (rows[i].letter != 0 && rows[i].argument != NULL)
			*letter++ = ':';
		if (rows[i].name == NULL)
			continue;
		tables->long_options[count++] = (struct option){
			.name = rows[i].name, .val = FIRST_LONG + i,
			.has_arg = rows[i].argument != NULL };
	}
}

static const struct row *
find_row(int value, unsigned allowed)
{
	if (value >= FIRST_LONG && value < FIRST_LONG + ROW_COUNT)
		return &rows[value - FIRST_LONG];
	for (size_t i = 0; i < ROW_COUNT; i++)
		if ((allowed & rows[i].option) && rows[i].letter != 0 &&
		    rows[i].letter == value)
			return &rows[i];
	return NULL;
}

static int
refuse(const struct supctl *ctl, int problem, char **argv, unsigned allowed)
{
	const struct row *row = find_row(optopt, allowed);
	const char *verb = ctl->verb != NULL ? ctl->verb : "";
	const char *colon = ctl->verb != NULL ? ": " : "";
	char list[256] = "";

	if (row != NULL && problem == ':') {
		complain("%s%s%s needs %s", verb, colon, argv[optind - 1],
		    row->argument);
		return SUPCTL_USAGE;
	}
	if (row != NULL) {
		complain("%s%s--%s takes no value", verb, colon, row->name);
		return SUPCTL_USAGE;
	}
	for (size_t i = 0; i < ROW_COUNT; i++) {
		size_t used = strlen(list);

		if (!(allowed & rows[i].option))
			continue;
		if (rows[i].name != NULL)
			snprintf(list + used, sizeof(list) - used, "%s--%s",
			    used > 0 ? ", " : "", rows[i].name);
		else
			snprintf(list + used, sizeof(list) - used, "%s-%c",
			    used > 0 ? ", " : "", rows[i].letter);
	}
	/* A byte of a letter that is not ASCII is negative. */
	if (optopt != 0)
		complain("%s%sno option -%c (there are: %s)", verb, colon,
		    optopt, list);
	else
		complain("%s%sno option %s (there are: %s)", verb, colon,
		    argv[optind - 1], list);
	return SUPCTL_USAGE;
}

int
options_parse(struct supctl *ctl, int argc, char **argv, unsigned allowed,
    bool in_order)
{
	struct getopt_tables tables;
	int value, code = SUPCTL_DONE;

	build_tables(&tables, allowed, in_order);
	opterr = 0;
	optind = 0;             /* begin anew: we are called twice */
	while (code == SUPCTL_DONE) {
		const struct row *row;

		optopt = 0;
		value = getopt_long(argc, argv, tables.letters,
		    tables.long_options, NULL);
		if (value == -1)
			break;
		row = find_row(value, allowed);
		code = row != NULL ? set_option(ctl, row->option, optarg) :
		    refuse(ctl, value, argv, allowed);
	}
	return code;
}
