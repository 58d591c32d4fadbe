/*
 * Values of several forms, whose first word says what the rest is: ready,
 * version, probe.
 *
 * They are split into words like a command, since some of their forms are one.
 */
#include "config_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_words.h"

enum { ALIVE_MS_MAX = 24 * 3600 * 1000 };

static size_t
count_words(char *const *words)
{
	size_t count = 0;

	while (words[count] != NULL)
		count++;
	return count;
}

/* Stores the command behind the word `exec`. */
static int
store_exec(char *const *words, char ***ret_argv, char *ret_text)
{
	const char *program = words[1];
	char **argv;

	if (!config_is_program(program))
		return config_refuse(ret_text, "exec must be followed by an"
		    " absolute path or a name to be looked for in PATH, not"
		    " \"%.80s\"", program);
	argv = config_words_pack((const char *const *)words + 1,
	    count_words(words + 1));
	if (argv == NULL)
		return -ENOMEM;
	*ret_argv = argv;
	return 0;
}

static int
store_ready(const struct config_key *key, char *const *words,
    struct spec *spec, char *ret_text)
{
	size_t count = count_words(words);
	uint64_t value;

	if (count == 1 && strcmp(words[0], "notify") == 0) {
		spec->ready = READY_NOTIFY;
		return 0;
	}
	if (count == 1 && strcmp(words[0], "probe") == 0) {
		spec->ready = READY_PROBE;
		return 0;
	}
	if (count == 2 && strcmp(words[0], "fd") == 0) {
		if (config_number_parse(words[1], key->min, key->max,
		    &value) < 0)
			return config_refuse(ret_text,
			    "fd must be a number from %ju"
			    " to %ju, not \"%.60s\"", (uintmax_t)key->min,
			    (uintmax_t)key->max, words[1]);
		spec->ready = READY_FD;
		spec->ready_fd = (uint32_t)value;
		return 0;
	}
	if (count != 2 || strcmp(words[0], "alive") != 0)
		return config_refuse(ret_text,
		    "must be `alive DURATION`, `notify`, `fd N` or `probe`");
	if (config_duration_parse("alive with ", 1, ALIVE_MS_MAX, words[1],
	    &value, ret_text) < 0)
		return -EINVAL;
	spec->ready = READY_ALIVE;
	spec->ready_alive_ms = value;
	return 0;
}

static int
store_version(const struct config_key *key, const char *text,
    char *const *words, struct spec *spec, char *ret_text)
{
	size_t count = count_words(words);

	if (count >= 2 && strcmp(words[0], "exec") == 0)
		return store_exec(words, &spec->version_command, ret_text);
	if (count != 2 || strcmp(words[0], "file") != 0 || words[1][0] != '/')
		return config_refuse(ret_text, "must be `file PATH` with an"
		    " absolute path or `exec COMMAND`, not \"%.80s\"", text);
	return config_path_parse(key, words[1], &spec->version_file, ret_text);
}

/* What may stand in the first line of a request; a # would cut it there. */
static bool
is_request_path(const char *path)
{
	if (path[0] != '/')
		return false;
	for (; *path != '\0'; path++) {
		if (*path <= ' ' || *path > '~' || *path == '#')
			return false;
	}
	return true;
}

static int
store_probe(const char *text, char *const *words, struct spec *spec,
    char *ret_text)
{
	size_t count = count_words(words);
	char *path;
	int result;

	if (count == 1 && strcmp(words[0], "tcp") == 0) {
		spec->probe = PROBE_TCP;
		return 0;
	}
	if (count >= 2 && strcmp(words[0], "exec") == 0) {
		result = store_exec(words, &spec->probe_command, ret_text);
		if (result == 0)
			spec->probe = PROBE_EXEC;
		return result;
	}
	if (count != 2 || strcmp(words[0], "http") != 0)
		return config_refuse(ret_text, "must be `http PATH`, `tcp` or"
		    " `exec COMMAND`, not \"%.80s\"", text);
	if (!is_request_path(words[1]))
		return config_refuse(ret_text, "http must be followed by a"
		    " path that begins with / and has no blanks, no # and"
		    " otherwise only printable ASCII characters, not"
		    " \"%.80s\"", words[1]);
	path = strdup(words[1]);
	if (path == NULL)
		return -ENOMEM;
	spec->probe_path = path;
	spec->probe = PROBE_HTTP;
	return 0;
}

int
config_ready_parse(const struct config_key *key, const char *text,
    struct spec *spec, char *ret_text)
{
	char **words;
	int result = config_words_split(text, ARGV_MAX, &words, ret_text);

	if (result < 0)
		return result;
	result = store_ready(key, words, spec, ret_text);
	free(words);
	return result;
}

int
config_version_parse(const struct config_key *key, const char *text,
    struct spec *spec, char *ret_text)
{
	char **words;
	int result = config_words_split(text, ARGV_MAX + 1, &words, ret_text);

	if (result < 0)
		return result;
	result = store_version(key, text, words, spec, ret_text);
	free(words);
	return result;
}

int
config_probe_parse(const char *text, struct spec *spec, char *ret_text)
{
	char **words;
	int result = config_words_split(text, ARGV_MAX + 1, &words, ret_text);

	if (result < 0)
		return result;
	result = store_probe(text, words, spec, ret_text);
	free(words);
	return result;
}
