/*
 * Values that are lists of words, and the small parsers that these share with
 * config_value.c.
 *
 * A list is checked word by word after it was split, so that the message names
 * the word and not the whole value.
 */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_words.h"

enum { SIGNALS_COUNT = 32 };            /* the classic ones; 0 is none */

/* What a worker gets from supd itself. */
static const char *const reserved[] = {
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID",
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
};

static int
check_name(const char *name, size_t length, char *ret_text)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		if (strlen(reserved[i]) == length &&
		    memcmp(name, reserved[i], length) == 0)
			return config_refuse(ret_text,
			    "%s is set by supd itself",
			    reserved[i]);
	}
	if (strncmp(name, "SUPD_", 5) == 0)
		return config_refuse(ret_text,
		    "names that begin with SUPD_ are set by"
		    " supd itself");
	return 0;
}

static int
check_variable(char *const *list, size_t index, char *ret_text)
{
	const char *variable = list[index];
	size_t length = strcspn(variable, "=");

	if (variable[length] != '=' || length == 0 ||
	    isdigit((unsigned char)variable[0]))
		goto wrong;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)variable[i]) && variable[i] != '_')
			goto wrong;
	}
	for (size_t i = 0; i < index; i++) {
		if (strncmp(list[i], variable, length + 1) == 0)
			return config_refuse(ret_text, "%.*s is set twice",
			    (int)(length > 60 ? 60 : length), variable);
	}
	return check_name(variable, length, ret_text);
wrong:
	return config_refuse(ret_text, "must be NAME=value words with names of"
	    " letters, digits and _, not \"%.60s\"", variable);
}

static int
check_listener_name(char *const *list, size_t index, char *ret_text)
{
	for (size_t i = 0; i < index; i++) {
		if (strcmp(list[i], list[index]) == 0)
			return config_refuse(ret_text, "%.60s is named twice",
			    list[i]);
	}
	return config_name_check(list[index], ret_text);
}

int
config_refuse(char *ret_text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(ret_text, REASON_BYTES_MAX, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int
config_digits_parse(const char *text, const char **ret_end, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *p = text;

	for (; isdigit((unsigned char)*p); p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -EINVAL;
	}
	if (p == text)
		return -EINVAL;
	*ret_end = p;
	*ret_value = value;
	return 0;
}

int
config_number_parse(const char *text, uint64_t min, uint64_t max,
    uint64_t *ret_value)
{
	const char *end;
	uint64_t value;

	if (config_digits_parse(text, &end, &value) < 0 || *end != '\0' ||
	    value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int
config_signal_number(const char *name)
{
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int number = 1; number < SIGNALS_COUNT; number++) {
		const char *known = sigabbrev_np(number);

		if (known != NULL && strcmp(name, known) == 0)
			return number;
	}
	return 0;
}

bool
config_is_program(const char *word)
{
	return word[0] == '/' ||
	    (word[0] != '\0' && strchr(word, '/') == NULL);
}

int
config_command_parse(const struct config_key *key, const char *text,
    char ***ret_argv, char *ret_text)
{
	char **words;
	int result = config_words_split(text, key->max, &words, ret_text);

	if (result < 0)
		return result;
	if (words[0] == NULL || !config_is_program(words[0])) {
		result = config_refuse(ret_text,
		    "must begin with an absolute path or"
		    " a name to be looked for in PATH, not \"%.80s\"",
		    words[0] != NULL ? words[0] : "");
		free(words);
		return result;
	}
	*ret_argv = words;
	return 0;
}

int
config_list_parse(const struct config_key *key, const char *text,
    char ***ret_list, char *ret_text)
{
	char **words;
	int result = config_words_split(text, key->max, &words, ret_text);

	if (result < 0)
		return result;
	for (size_t i = 0; words[i] != NULL && result == 0; i++) {
		result = key->type == CONFIG_NAMES ?
		    check_listener_name(words, i, ret_text) :
		    check_variable(words, i, ret_text);
	}
	if (result < 0) {
		free(words);
		return result;
	}
	*ret_list = words;
	return 0;
}

int
config_exits_parse(const struct config_key *key, const char *text,
    struct exit_set *ret_set, char *ret_text)
{
	struct exit_set set = { 0 };
	char **words;
	int result = config_words_split(text, key->max, &words, ret_text);

	if (result < 0)
		return result;
	for (size_t i = 0; words[i] != NULL && result == 0; i++) {
		int number = config_signal_number(words[i]);
		uint64_t code;

		if (number != 0)
			set.signals |= UINT64_C(1) << number;
		else if (config_number_parse(words[i], 0, 255, &code) == 0)
			set.codes[code / 64] |= UINT64_C(1) << code % 64;
		else
			result = config_refuse(ret_text,
			    "must be exit codes from 0"
			    " to 255 and signal names such as TERM, separated"
			    " by blanks, not \"%.60s\"", words[i]);
	}
	free(words);
	if (result == 0)
		*ret_set = set;
	return result;
}
