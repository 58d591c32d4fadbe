/*
 * Parsers of values, one per type of the option table.
 *
 * Each takes all of the text or refuses it, and says what would be right.
 * Ranges come from the table's row.  A field is written only when the whole
 * value is good, so a value that was refused leaves nothing behind.
 */
#include "config_value.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ACCOUNT_LENGTH_MAX = 64,
	PATH_BYTES_MAX = 4095,          /* the kernel's, without the NUL */
};

static const struct {
	const char *name;
	uint64_t ms;
} units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 },
};

/* All enums of spec.h are stored through this. */
_Static_assert(sizeof(enum restart) == sizeof(unsigned), "enum");

static int
parse_number(const struct config_key *key, const char *text,
    uint32_t *ret_number, char *ret_text)
{
	uint64_t value;

	if (config_number_parse(text, key->min, key->max, &value) < 0)
		return config_refuse(ret_text,
		    "must be a number from %ju to %ju, not"
		    " \"%.60s\"", (uintmax_t)key->min, (uintmax_t)key->max,
		    text);
	*ret_number = (uint32_t)value;
	return 0;
}

static int
parse_mode(const struct config_key *key, const char *text, uint32_t *ret_mode,
    char *ret_text)
{
	size_t length = strlen(text);
	unsigned long mode = 0;

	if (length <= 4 && length > 0 && strspn(text, "01234567") == length)
		mode = strtoul(text, NULL, 8);
	else
		mode = ULONG_MAX;
	if (mode > key->max)
		return config_refuse(ret_text,
		    "must be an octal number from 0000 to"
		    " %04jo, not \"%.60s\"", (uintmax_t)key->max, text);
	*ret_mode = (uint32_t)mode;
	return 0;
}

static int
parse_boolean(const char *text, bool *ret_value, char *ret_text)
{
	static const char *const no[] = { "no", "false", "off" };
	static const char *const yes[] = { "yes", "true", "on" };

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, no[i]) != 0 && strcmp(text, yes[i]) != 0)
			continue;
		*ret_value = strcmp(text, yes[i]) == 0;
		return 0;
	}
	return config_refuse(ret_text,
	    "must be yes or no, not \"%.60s\"", text);
}

/* A number and a unit, of any size.  0 or -EINVAL. */
static int
parse_span(const char *text, uint64_t *ret_ms)
{
	const char *unit;
	uint64_t value;

	if (config_digits_parse(text, &unit, &value) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].ms, &value))
			return -EINVAL;
		*ret_ms = value;
		return 0;
	}
	return -EINVAL;
}

static int
parse_switched(const struct config_key *key, const char *text,
    uint64_t *ret_ms, char *ret_text)
{
	if (strcmp(text, "off") != 0)
		return config_duration_parse("off or ", key->min, key->max,
		    text, ret_ms, ret_text);
	*ret_ms = 0;
	return 0;
}

static int
parse_amount(const struct config_key *key, const char *text,
    struct amount *ret_amount, char *ret_text)
{
	const unsigned percent_min = key->min > 0 ? 1 : 0;
	const char *end;
	uint64_t value;

	if (config_digits_parse(text, &end, &value) < 0)
		goto wrong;
	if (strcmp(end, "%") == 0 && value >= percent_min && value <= 100) {
		*ret_amount = (struct amount){ (uint32_t)value, true };
		return 0;
	}
	if (*end == '\0' && value >= key->min && value <= key->max) {
		*ret_amount = (struct amount){ (uint32_t)value, false };
		return 0;
	}
wrong:
	return config_refuse(ret_text,
	    "must be a number from %ju to %ju or a share"
	    " from %u%% to 100%%, not \"%.60s\"", (uintmax_t)key->min,
	    (uintmax_t)key->max, percent_min, text);
}

static int
parse_choice(const struct config_key *key, const char *text,
    unsigned *ret_choice, char *ret_text)
{
	char list[128] = "";
	size_t used = 0;

	for (unsigned i = 0; key->choices[i] != NULL; i++) {
		const char *separator = key->choices[i + 1] != NULL ? ", " :
		    " or ";
		int length;

		if (strcmp(text, key->choices[i]) == 0) {
			*ret_choice = i;
			return 0;
		}
		length = snprintf(list + used, sizeof(list) - used, "%s%s",
		    i == 0 ? "" : separator, key->choices[i]);
		used += (size_t)length;
		assert(used < sizeof(list));
	}
	return config_refuse(ret_text, "must be %s, not \"%.60s\"", list, text);
}

static int
parse_signal(const char *text, int *ret_signal, char *ret_text)
{
	int number = config_signal_number(text);

	if (number == 0 || number == SIGKILL || number == SIGSTOP)
		return config_refuse(ret_text,
		    "must be a signal that can be caught,"
		    " such as TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not"
		    " \"%.60s\"", text);
	*ret_signal = number;
	return 0;
}

static int
copy(const char *text, char **ret_copy)
{
	char *duplicate = strdup(text);

	if (duplicate == NULL)
		return -ENOMEM;
	*ret_copy = duplicate;
	return 0;
}

static bool
is_account(const char *name, size_t length)
{
	if (length == 0 || length > ACCOUNT_LENGTH_MAX || name[0] == '-')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) &&
		    strchr("-_.@$\\", name[i]) == NULL)
			return false;
	}
	return true;
}

static int
parse_account(const char *text, char **ret_name, char *ret_text)
{
	if (!is_account(text, strlen(text)))
		return config_refuse(ret_text, "must be one name or number, not"
		    " \"%.80s\"", text);
	return copy(text, ret_name);
}

static int
parse_owner(const char *text, char **ret_owner, char *ret_text)
{
	size_t length = strcspn(text, ":");
	const char *group = text + length;

	if (!is_account(text, length) ||
	    (*group == ':' && !is_account(group + 1, strlen(group + 1))))
		return config_refuse(ret_text, "must be USER or USER:GROUP, not"
		    " \"%.80s\"", text);
	return copy(text, ret_owner);
}

static int
parse_address(const struct config_key *key, const char *text,
    struct listener_spec *listener, char *ret_text)
{
	struct address address;
	int result = config_address_parse(text, key->type == CONFIG_PREVIEW,
	    &address, ret_text);

	if (result == 0)
		result = copy(text, &listener->address_text);
	if (result == 0)
		listener->address = address;
	return result;
}

int
config_value_parse(const struct config_key *key, const char *text,
    void *object, char *ret_text)
{
	void *field = (char *)object + key->offset;

	switch (key->type) {
	case CONFIG_COMMAND:
		return config_command_parse(key, text, field, ret_text);
	case CONFIG_ENVIRONMENT:
	case CONFIG_NAMES:
		return config_list_parse(key, text, field, ret_text);
	case CONFIG_PATH:
		return config_path_parse(key, text, field, ret_text);
	case CONFIG_ACCOUNT:
		return parse_account(text, field, ret_text);
	case CONFIG_OWNER:
		return parse_owner(text, field, ret_text);
	case CONFIG_TEXT:
		return copy(text, field);
	case CONFIG_ADDRESS:
	case CONFIG_PREVIEW:
		return parse_address(key, text, field, ret_text);
	case CONFIG_NUMBER:
		return parse_number(key, text, field, ret_text);
	case CONFIG_MODE:
		return parse_mode(key, text, field, ret_text);
	case CONFIG_BOOLEAN:
		return parse_boolean(text, field, ret_text);
	case CONFIG_DURATION:
		return config_duration_parse("", key->min, key->max, text,
		    field, ret_text);
	case CONFIG_SWITCHED:
		return parse_switched(key, text, field, ret_text);
	case CONFIG_AMOUNT:
		return parse_amount(key, text, field, ret_text);
	case CONFIG_CHOICE:
		return parse_choice(key, text, field, ret_text);
	case CONFIG_SIGNAL:
		return parse_signal(text, field, ret_text);
	case CONFIG_EXITS:
		return config_exits_parse(key, text, field, ret_text);
	case CONFIG_READY:
		return config_ready_parse(key, text, field, ret_text);
	case CONFIG_VERSION:
		return config_version_parse(key, text, field, ret_text);
	case CONFIG_PROBE:
		return config_probe_parse(text, field, ret_text);
	case CONFIG_STATUSES:
		return config_statuses_parse(key, text, field, ret_text);
	case CONFIG_STEPS:
		return config_steps_parse(text, field, ret_text);
	}
	assert(false && "a type without a parser");
	return -EINVAL;
}

int
config_name_check(const char *name, char *ret_text)
{
	size_t length = strlen(name);
	bool good = length > 0 && length <= NAME_LENGTH_MAX &&
	    isalnum((unsigned char)name[0]);

	for (size_t i = 0; i < length && good; i++)
		good = isalnum((unsigned char)name[i]) ||
		    strchr("-_.", name[i]) != NULL;
	if (!good)
		return config_refuse(ret_text,
		    "a name has at most %d letters, digits,"
		    " `-`, `_` and `.`, and begins with a letter or digit;"
		    " not \"%.60s\"", NAME_LENGTH_MAX, name);
	return 0;
}

int
config_path_parse(const struct config_key *key, const char *text,
    char **ret_path, char *ret_text)
{
	size_t length_max = key->max != 0 ? key->max : PATH_BYTES_MAX;

	if (text[0] != '/')
		return config_refuse(ret_text, "must be an absolute path, not"
		    " \"%.80s\"", text);
	if (strlen(text) > length_max)
		return config_refuse(ret_text,
		    "must be a path of at most %zu bytes,"
		    " not %zu", length_max, strlen(text));
	return copy(text, ret_path);
}

int
config_duration_parse(const char *also, uint64_t min_ms, uint64_t max_ms,
    const char *text, uint64_t *ret_ms, char *ret_text)
{
	char min[CONFIG_DURATION_BYTES], max[CONFIG_DURATION_BYTES];
	uint64_t value_ms;

	if (parse_span(text, &value_ms) == 0 && value_ms >= min_ms &&
	    value_ms <= max_ms) {
		*ret_ms = value_ms;
		return 0;
	}
	config_duration_text(min_ms, min);
	config_duration_text(max_ms, max);
	return config_refuse(ret_text,
	    "must be %sa duration from %s to %s (units ms,"
	    " s, m, h, d), not \"%.60s\"", also, min, max, text);
}

void
config_duration_text(uint64_t duration_ms, char ret_text[CONFIG_DURATION_BYTES])
{
	size_t i = sizeof(units) / sizeof(units[0]) - 1;

	while (i > 0 && (duration_ms == 0 || duration_ms % units[i].ms != 0))
		i--;
	if (duration_ms == 0)
		i = 1;
	(void)snprintf(ret_text, CONFIG_DURATION_BYTES, "%ju%s",
	    (uintmax_t)(duration_ms / units[i].ms), units[i].name);
}
