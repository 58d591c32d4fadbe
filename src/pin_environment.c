/*
 * The environment of a release: everything but what differs per worker.
 *
 * Later sources win: what supd was started with, the account's variables,
 * environment_file, environment, PWD.  Names that tell a worker about its
 * sockets, its watchdog or itself are supd's alone: inherited ones, which were
 * meant for supd, are dropped, and setting one is an error.
 *
 * An environment file holds NAME=value lines, comment lines that start with #
 * and empty ones.  Blanks around a value are dropped; one pair of quotes around
 * all of it is too, as systemd does, and there are no escapes.
 */
#include "pin_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

struct environment {
	char *list[ENVIRONMENT_MAX + 1];        /* NULL at the end */
	size_t count;
};

static const char *const reserved_prefixes[] = {
	"LISTEN_", "WATCHDOG_", "SUPD_",
};

/* FDSTORE and MAINPID go with NOTIFY_SOCKET, OLDPWD with PWD. */
static const char *const dropped[] = {
	"NOTIFY_SOCKET", "FDSTORE", "MAINPID", "OLDPWD",
};

static size_t
name_length(const char *assignment)
{
	return strcspn(assignment, "=");
}

static bool
is_reserved(const char *assignment)
{
	size_t i;

	for (i = 0; i < sizeof(reserved_prefixes) / sizeof(char *); i++) {
		if (strncmp(assignment, reserved_prefixes[i],
		    strlen(reserved_prefixes[i])) == 0)
			return true;
	}
	return strncmp(assignment, "NOTIFY_SOCKET=", 14) == 0;
}

static bool
is_dropped(const char *assignment)
{
	size_t i, length = name_length(assignment);

	for (i = 0; i < sizeof(dropped) / sizeof(char *); i++) {
		if (strlen(dropped[i]) == length &&
		    memcmp(dropped[i], assignment, length) == 0)
			return true;
	}
	return is_reserved(assignment);
}

/* Where the variable of this assignment is, or where it would go. */
static size_t
find(const struct environment *environment, const char *assignment)
{
	size_t i, length = name_length(assignment) + 1;

	for (i = 0; i < environment->count; i++) {
		if (strncmp(environment->list[i], assignment, length) == 0)
			break;
	}
	return i;
}

static int
assign(struct environment *environment, const char *assignment)
{
	size_t index = find(environment, assignment);
	char *copy;

	if (index == ENVIRONMENT_MAX)
		return -E2BIG;
	copy = strdup(assignment);
	if (copy == NULL)
		return -ENOMEM;
	if (index == environment->count)
		environment->count++;
	free(environment->list[index]);
	environment->list[index] = copy;
	return 0;
}

static int
assign_value(struct environment *environment, const char *name,
    const char *value)
{
	char *assignment;
	int error;

	if (value == NULL)
		return 0;
	if (asprintf(&assignment, "%s=%s", name, value) < 0)
		return -ENOMEM;
	error = assign(environment, assignment);
	free(assignment);
	return error;
}

static int
inherit(struct environment *environment)
{
	char **variable;
	int error = 0;

	for (variable = environ; *variable != NULL && error == 0; variable++) {
		if (strchr(*variable, '=') != NULL && !is_dropped(*variable))
			error = assign(environment, *variable);
	}
	return error;
}

static int
assign_account(struct environment *environment, const struct account *account)
{
	int error = assign_value(environment, "USER", account->name);

	if (error == 0)
		error = assign_value(environment, "LOGNAME", account->name);
	if (error == 0)
		error = assign_value(environment, "HOME", account->home);
	if (error == 0)
		error = assign_value(environment, "SHELL", account->shell);
	return error;
}

/* NULL if the assignment may stand in a configuration, else why not. */
static const char *
objection(const char *assignment)
{
	size_t i, length = name_length(assignment);

	if (length == 0 || assignment[length] != '=')
		return "expected NAME=value";
	for (i = 0; i < length; i++) {
		if (!isalnum((unsigned char)assignment[i]) &&
		    assignment[i] != '_')
			return "a name consists of letters, digits and _";
	}
	if (isdigit((unsigned char)assignment[0]))
		return "a name does not start with a digit";
	if (is_reserved(assignment))
		return "supd itself sets LISTEN_*, NOTIFY_SOCKET, WATCHDOG_* "
		    "and SUPD_*";
	return NULL;
}

/* An assignment that the configuration makes; NULL or what is wrong with it. */
static const char *
take(struct environment *environment, const char *assignment, uint64_t *hash)
{
	const char *wrong = objection(assignment);

	if (wrong != NULL)
		return wrong;
	switch (assign(environment, assignment)) {
	case 0:
		*hash = release_hash(*hash, assignment, strlen(assignment) + 1);
		return NULL;
	case -E2BIG:
		return "there are more than 1024 variables";
	default:
		return "out of memory";
	}
}
_Static_assert(ENVIRONMENT_MAX == 1024, "the message above names it");

/* Cuts blanks off both ends, in place. */
static char *
trim(char *text)
{
	size_t length;

	text += strspn(text, " \t\r");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r", text[length - 1]) != NULL)
		length--;
	text[length] = '\0';
	return text;
}

/* NULL if there was a quote without its partner. */
static char *
unquote(char *value)
{
	size_t length = strlen(value);

	if (*value != '"' && *value != '\'')
		return value;
	if (length < 2 || value[length - 1] != *value)
		return NULL;
	value[length - 1] = '\0';
	return value + 1;
}

static const char *
take_line(struct environment *environment, char *line, uint64_t *hash)
{
	char *assignment = trim(line), *value, *bare;

	if (*assignment == '\0' || *assignment == '#')
		return NULL;
	value = strchr(assignment, '=');
	if (value == NULL)
		return "expected NAME=value";
	value++;
	bare = unquote(trim(value));
	if (bare == NULL)
		return "a quote is not closed on the same line";
	memmove(value, bare, strlen(bare) + 1);
	return take(environment, assignment, hash);
}

static int
take_lines(struct environment *environment, const char *path, char *text,
    uint64_t *hash, char *ret_text)
{
	const char *wrong;
	unsigned line = 1;
	char *end;

	for (; text != NULL; text = end, line++) {
		end = strchr(text, '\n');
		if (end != NULL)
			*end++ = '\0';
		wrong = take_line(environment, text, hash);
		if (wrong != NULL) {
			snprintf(ret_text, REASON_BYTES_MAX,
			    "environment_file %s, line %u: %s", path, line,
			    wrong);
			return -EINVAL;
		}
	}
	return 0;
}

static int
take_file(struct environment *environment, const struct release *release,
    uint64_t *hash, char *ret_text)
{
	const char *path = release->spec->environment_file;
	const char *wrong = "out of memory";
	char *text = malloc(ENVIRONMENT_FILE_BYTES_MAX + 1);
	int error = -ENOMEM;
	long count;

	if (text == NULL)
		goto fail;
	count = fd_read_file(release->directory_fd, path, text,
	    ENVIRONMENT_FILE_BYTES_MAX + 1);
	error = count < 0 ? (int)count : -EFBIG;
	wrong = count < 0 ? strerror((int)-count) : "longer than 64 KiB";
	if (count < 0 || count > ENVIRONMENT_FILE_BYTES_MAX)
		goto fail;
	text[count] = '\0';
	error = -EINVAL;
	wrong = "it contains a NUL byte";
	if (strlen(text) != (size_t)count)
		goto fail;
	error = take_lines(environment, path, text, hash, ret_text);
	free(text);
	return error;
fail:
	snprintf(ret_text, REASON_BYTES_MAX, "environment_file %s: %s", path,
	    wrong);
	free(text);
	return error;
}
_Static_assert(ENVIRONMENT_FILE_BYTES_MAX == 64 << 10, "the message names it");

static int
take_spec(struct environment *environment, const struct spec *spec,
    uint64_t *hash, char *ret_text)
{
	char **assignment = spec->environment;
	const char *wrong;

	for (; assignment != NULL && *assignment != NULL; assignment++) {
		wrong = take(environment, *assignment, hash);
		if (wrong != NULL) {
			snprintf(ret_text, REASON_BYTES_MAX,
			    "environment `%.*s`: %s",
			    (int)name_length(*assignment), *assignment, wrong);
			return -EINVAL;
		}
	}
	return 0;
}

static int
fill(struct environment *environment, const struct release *release,
    const struct account *account, uint64_t *hash, char *ret_text)
{
	int error = inherit(environment);

	if (error == 0)
		error = assign_account(environment, account);
	if (error < 0)
		goto fail;
	if (release->spec->environment_file != NULL)
		error = take_file(environment, release, hash, ret_text);
	if (error == 0)
		error = take_spec(environment, release->spec, hash, ret_text);
	if (error < 0)
		return error;
	error = assign_value(environment, "PWD", release->directory);
	if (error == 0)
		return 0;
fail:
	snprintf(ret_text, REASON_BYTES_MAX, "cannot make the environment: %s",
	    error == -E2BIG ? "there are more than 1024 variables" :
	    strerror(-error));
	return error;
}

char **
pin_environment_make(const struct release *release,
    const struct account *account, uint64_t *hash, char *ret_text)
{
	struct environment environment = { .count = 0 };
	char **copy = NULL;
	size_t i;

	if (fill(&environment, release, account, hash, ret_text) == 0) {
		copy = pin_environment_copy(environment.list);
		if (copy == NULL)
			snprintf(ret_text, REASON_BYTES_MAX, "out of memory");
	}
	for (i = 0; i < environment.count; i++)
		free(environment.list[i]);
	return copy;
}

char **
pin_environment_copy(char *const *environment)
{
	size_t count = 0, i;
	char **copy;

	while (environment[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (i = 0; copy != NULL && i < count; i++) {
		copy[i] = strdup(environment[i]);
		if (copy[i] == NULL) {
			pin_environment_free(copy);
			return NULL;
		}
	}
	return copy;
}

void
pin_environment_free(char **environment)
{
	char **variable;

	for (variable = environment; environment != NULL && *variable != NULL;
	    variable++)
		free(*variable);
	free(environment);
}

const char *
pin_environment_value(char *const *environment, const char *name)
{
	size_t length = strlen(name);

	for (; *environment != NULL; environment++) {
		if (strncmp(*environment, name, length) == 0 &&
		    (*environment)[length] == '=')
			return *environment + length + 1;
	}
	return NULL;
}
