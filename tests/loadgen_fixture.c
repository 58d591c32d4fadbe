/*
 * What the tests of the load generator share.  It owns nothing: children and
 * descriptors are the caller's.
 */
#include "loadgen_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ARGV_MAX = 24, WORDS_MAX = 512 };

/* Builds an argv from a line; the words stay in `words`. */
static void
split(char *words, char **ret_argv)
{
	char *rest = words;
	int count = 0;

	while ((ret_argv[count] = strsep(&rest, " ")) != NULL) {
		if (*ret_argv[count] != '\0')
			count++;
		assert_true(count < ARGV_MAX);
	}
}

void
start(struct child *child, int listener, const char *format, ...)
{
	char words[WORDS_MAX], *argv[ARGV_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	split(words, argv);
	child_start(child, argv, listener);
}

void
start_server(struct child *server, const char *listen, const char *options,
    char ret_address[LOOPBACK_TEXT_MAX])
{
	char line[LOOPBACK_TEXT_MAX + 32];

	start(server, -1, "worker --listen %s %s", listen, options);
	child_read_line(server->out_fd, line, sizeof(line));
	assert_memory_equal(line, "listening on ", 13);
	strcpy(ret_address, line + 13);
}

void
stop_server(struct child *server)
{
	child_signal(server, SIGTERM);
	assert_int_equal(child_wait(server), 0);
}

json_t *
finish(struct child *generator, int *ret_code)
{
	char text[CHILD_OUTPUT_MAX];
	json_t *report;

	child_read_all(generator->out_fd, text, sizeof(text));
	*ret_code = child_wait(generator);
	report = json_loads(text, 0, NULL);
	assert_non_null(report);
	return report;
}

json_int_t
number(const json_t *report, const char *key)
{
	const json_t *value = json_object_get(report, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

json_int_t
latency_us(const json_t *report, const char *quantile)
{
	return number(json_object_get(report, "latency_us"), quantile);
}

int
own_listener(char ret_address[LOOPBACK_TEXT_MAX])
{
	struct loopback loopback;
	int fd;

	assert_int_equal(loopback_parse("127.0.0.1:0", &loopback), 0);
	fd = loopback_listen(&loopback, 4096);
	assert_true(fd >= 0);
	assert_int_equal(loopback_name(fd, ret_address), 0);
	return fd;
}
