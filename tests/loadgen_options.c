/*
 * The load generator's command line, as a table, and its checks.
 */
#include "loadgen_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "loadgen_client.h"
#include "loadgen_response.h"
#include "loadgen_sources.h"
#include "option_table.h"

#define FIELD(name) offsetof(struct loadgen_options, name)

enum {
	RATE_MAX = 200000,
	REQUESTS_MAX = 1000000000,
	HOUR_MS = 3600000,
	PATH_LENGTH_MAX = 512,
	DURATION_DEFAULT_MS = 10000,
};

static const struct option_row rows[] = {
	{ "rate", OPTION_NUMBER, FIELD(rate), 1, RATE_MAX, "N",
	    "requests per second, whatever the server does (100)" },
	{ "requests", OPTION_NUMBER, FIELD(requests), 1, REQUESTS_MAX, "N",
	    "stop after so many" },
	{ "duration", OPTION_THOUSANDTHS, FIELD(duration_ms), 1,
	    24 * HOUR_MS, "SECONDS", "stop after so long (10)" },
	{ "until-file", OPTION_TEXT, FIELD(until_file), 0, 0, "PATH",
	    "stop when the file exists" },
	{ "keep-alive", OPTION_NUMBER, FIELD(keep_alive), 1,
	    CLIENT_CONNECTIONS_MAX, "N",
	    "use a pool of N connections; else one per request" },
	{ "requests-each", OPTION_NUMBER, FIELD(requests_each), 1,
	    REQUESTS_MAX, "N",
	    "then a connection of the pool is replaced (no limit)" },
	{ "connections", OPTION_NUMBER, FIELD(connections), 1,
	    CLIENT_CONNECTIONS_MAX, "N",
	    "at most at once, without --keep-alive (512)" },
	{ "connect-timeout", OPTION_NUMBER, FIELD(connect_timeout_ms), 1,
	    HOUR_MS, "MS", "for a connection (2000)" },
	{ "timeout", OPTION_NUMBER, FIELD(timeout_ms), 1, HOUR_MS, "MS",
	    "for a response (5000)" },
	{ "late", OPTION_NUMBER, FIELD(late_ms), 1, HOUR_MS, "MS",
	    "own starts later than that are reported (10)" },
	{ "source", OPTION_TEXT, FIELD(sources_text), 0, 0,
	    "ADDRESS[-ADDRESS]", "connect from there in turn "
	    "(127.0.1.1-127.0.1.254)" },
	{ "path", OPTION_TEXT, FIELD(path), 0, 0, "PATH", "to ask for (/)" },
	{ "expect", OPTION_TEXT, FIELD(expect), 0, 0, "PREFIX",
	    "how a good body begins (version=)" },
	{ "progress", OPTION_FLAG, FIELD(progress), 0, 0, NULL,
	    "print a line every second" },
	{ "json", OPTION_FLAG, FIELD(json), 0, 0, NULL,
	    "print one line of JSON, not a table" },
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static int
set_target(struct loadgen_options *options, const char *text)
{
	int error = loopback_parse(text, &options->target);

	options->target_text = text;
	if (error == -EPERM)
		fprintf(stderr, "loadgen: '%s' is not on this machine: only "
		    "127.0.0.0/8, [::1] and unix:PATH are allowed\n", text);
	else if (error != 0)
		fprintf(stderr, "loadgen: '%s' is not 127.x.y.z:PORT, "
		    "[::1]:PORT or unix:PATH\n", text);
	return error == 0 ? 0 : -EINVAL;
}

static int
set_sources(struct loadgen_options *options)
{
	const char *text = options->sources_text;

	options->sources = LOOPBACK_SOURCES;
	if (text == NULL)
		return 0;
	if (options->target.address.ss_family != AF_INET) {
		fprintf(stderr, "loadgen: option --source: '%s' is not IPv4, "
		    "so it has just one address to come from\n",
		    options->target_text);
		return -EINVAL;
	}
	if (loopback_parse_range(text, &options->sources) != 0 ||
	    options->sources.count > SOURCES_MAX) {
		fprintf(stderr, "loadgen: option --source: '%s' is not "
		    "127.a.b.c or 127.a.b.c-127.d.e.f with at most %d "
		    "addresses\n", text, SOURCES_MAX);
		return -EINVAL;
	}
	return 0;
}

static int
check_texts(const struct loadgen_options *options)
{
	if (options->path[0] != '/' ||
	    strlen(options->path) > PATH_LENGTH_MAX ||
	    strpbrk(options->path, " \r\n") != NULL) {
		fprintf(stderr, "loadgen: path '%s' does not begin with '/', "
		    "has a blank or is longer than %d\n", options->path,
		    PATH_LENGTH_MAX);
		return -EINVAL;
	}
	if (strlen(options->expect) > RESPONSE_BODY_BYTES_KEPT) {
		fprintf(stderr, "loadgen: option --expect: longer than %d\n",
		    RESPONSE_BODY_BYTES_KEPT);
		return -EINVAL;
	}
	return 0;
}

int
loadgen_options_parse(int argc, char **argv,
    struct loadgen_options *ret_options)
{
	struct loadgen_options options = {
		.rate = 100,
		.connections = 512,
		.connect_timeout_ms = 2000,
		.timeout_ms = 5000,
		.late_ms = 10,
		.path = "/",
		.expect = "version=",
	};
	int next = option_table_parse(rows, ROW_COUNT, argc, argv, &options);

	if (next < 0 || next != argc - 1) {
		fprintf(stderr, "usage: loadgen [OPTION]... "
		    "127.x.y.z:PORT | [::1]:PORT | unix:PATH\n");
		option_table_help(rows, ROW_COUNT);
		return -EINVAL;
	}
	if (set_target(&options, argv[next]) != 0 ||
	    set_sources(&options) != 0 || check_texts(&options) != 0)
		return -EINVAL;
	if (options.keep_alive > 0)
		options.connections = options.keep_alive;
	if (options.requests == 0 && options.duration_ms == 0 &&
	    options.until_file == NULL)
		options.duration_ms = DURATION_DEFAULT_MS;
	*ret_options = options;
	return 0;
}
