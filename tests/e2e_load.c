/*
 * The users of the end-to-end tests: the load generator, and what its report
 * says of each version; see e2e.h.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 32, WORDS_BYTES = 1024, LINES_BYTES = 4096, SIGMAS = 5 };

void
load_start_with(struct load *load, const char *target, const char *options)
{
	char words[WORDS_BYTES], *rest = words;
	const char *argv[WORDS_MAX] = {
		e2e_program("tests/loadgen"), "--json", "--progress",
		"--duration", "300",
	};
	unsigned count = 5;

	assert_true(snprintf(words, sizeof(words), "%s", options) <
	    (int)sizeof(words));
	while ((argv[count] = strsep(&rest, " ")) != NULL) {
		if (*argv[count] != '\0')
			count++;
		assert_true(count < WORDS_MAX - 2);
	}
	argv[count++] = target;
	argv[count] = NULL;
	program_start(&load->program, argv, 0);
}

void
load_start(struct load *load, const char *target, unsigned rate,
    unsigned keep_alive)
{
	char options[64];

	snprintf(options, sizeof(options), "--rate %u", rate);
	if (keep_alive > 0)
		snprintf(options, sizeof(options), "--rate %u --keep-alive %u",
		    rate, keep_alive);
	load_start_with(load, target, options);
}

/* Whole lines of progress, that came since the last call. */
static void
read_progress(const struct load *load, char ret_lines[LINES_BYTES])
{
	size_t used = 0;
	ssize_t size;

	/* A line comes in pieces. */
	do {
		e2e_await_input(load->program.err_fd);
		size = read(load->program.err_fd, ret_lines + used,
		    LINES_BYTES - 1 - used);
		if (size == 0)
			fail_msg("the load generator has ended");
		if (size > 0)
			used += (size_t)size;
		assert_true(used < LINES_BYTES - 1);
	} while (used == 0 || ret_lines[used - 1] != '\n');
	ret_lines[used] = '\0';
}

void
load_await_second(const struct load *load)
{
	char lines[LINES_BYTES];

	read_progress(load, lines);
}

void
load_await_version(const struct load *load, const char *version)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS;
	char lines[LINES_BYTES], text[128];

	snprintf(text, sizeof(text), " %s:", version);
	do {
		if (e2e_now_ms() > end_ms)
			fail_msg("no answer from version %s", version);
		read_progress(load, lines);
	} while (strstr(lines, text) == NULL);
}

static json_t *
read_report(void)
{
	json_t *report = json_loads(program_out, 0, NULL);

	if (report == NULL)
		fail_msg("the load generator said: %s%s", program_out,
		    program_err);
	return report;
}

json_t *
load_end(struct load *load)
{
	assert_int_equal(kill(load->program.pid, SIGTERM), 0);
	program_end(&load->program);
	return read_report();
}

json_t *
load_run(const char *target, const char *options)
{
	struct load load;

	load_start_with(&load, target, options);
	program_end(&load.program);
	return read_report();
}

uint64_t
load_number(const json_t *report, const char *key)
{
	const json_t *number = json_object_get(report, key);

	assert_true(json_is_integer(number));
	return (uint64_t)json_integer_value(number);
}

void
load_assert_clean(const json_t *report)
{
	if (load_number(report, "failures") != 0)
		fail_msg("requests failed: %s", program_out);
	assert_true(load_number(report, "requests") > 0);
	assert_int_equal(load_number(report, "ok"), load_number(report,
	    "requests"));
}

uint64_t
load_end_clean(struct load *load)
{
	json_t *report = load_end(load);
	uint64_t requests = load_number(report, "requests");

	load_assert_clean(report);
	json_decref(report);
	return requests;
}

struct load_version
load_version(const json_t *report, const char *version)
{
	struct load_version found = { 0 };
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(report, "versions"), i, v) {
		if (strcmp(json_string_value(json_object_get(v, "version")),
		    version) != 0)
			continue;
		found.answers = load_number(v, "count");
		found.failures = load_number(v, "failures");
		found.connections = load_number(v, "connections");
		found.sources = load_number(v, "sources");
		found.workers = json_array_size(json_object_get(v, "pids"));
		found.first_ms = load_number(v, "first_ms");
		found.last_ms = load_number(v, "last_ms");
	}
	return found;
}

uint64_t
load_changes(const json_t *report, const char *from, const char *to)
{
	const json_t *change;
	size_t i;

	json_array_foreach(json_object_get(report, "changes"), i, change) {
		if (strcmp(json_string_value(json_object_get(change, "from")),
		    from) == 0 && strcmp(json_string_value(json_object_get(
		    change, "to")), to) == 0)
			return load_number(change, "count");
	}
	return 0;
}

/*
 * With a share of w permille, a thousand times the number of hits among n has
 * the standard deviation sqrt(n w (1000 - w)).
 */
bool
load_is_share(uint64_t hits, uint64_t count, unsigned permille)
{
	int64_t off = (int64_t)(1000 * hits) - (int64_t)(count * permille);

	return off * off <= (int64_t)(SIGMAS * SIGMAS * count * permille *
	    (1000 - permille));
}

void
load_assert_share(const json_t *report, const char *version,
    unsigned permille)
{
	uint64_t hits = load_version(report, version).connections, count = 0;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(report, "versions"), i, v)
		count += load_number(v, "connections");
	assert_true(count > 0);
	if (!load_is_share(hits, count, permille))
		fail_msg("%s got %u of %u connections, which is not %u "
		    "permille", version, (unsigned)hits, (unsigned)count,
		    permille);
}
