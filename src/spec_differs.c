/*
 * What differs between two specs.
 *
 * Which keys matter for a difference, and in which order they are named, is
 * the option table's to say.
 */
#include "spec.h"

#include <string.h>

#include "config_table.h"

_Static_assert(sizeof(enum restart) == sizeof(unsigned), "enum");

static bool
text_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool
list_equal(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (; *a != NULL && *b != NULL; a++, b++) {
		if (strcmp(*a, *b) != 0)
			return false;
	}
	return *a == *b;
}

static bool
ready_equal(const struct spec *a, const struct spec *b)
{
	if (a->ready != b->ready)
		return false;
	switch (a->ready) {
	case READY_ALIVE:
		return a->ready_alive_ms == b->ready_alive_ms;
	case READY_FD:
		return a->ready_fd == b->ready_fd;
	case READY_NOTIFY:
	case READY_PROBE:
		return true;
	}
	return false;
}

/* What of a listener cannot change without a new socket. */
static bool
socket_equal(const struct listener_spec *a, const struct listener_spec *b)
{
	return address_equal(&a->address, &b->address) &&
	    a->ipv6_only == b->ipv6_only;
}

/* The one that `listen` or `preview` made, or NULL. */
static const struct listener_spec *
made_socket(const struct spec *spec, bool preview)
{
	for (size_t i = 0; i < spec->socket_count; i++) {
		const struct listener_spec *socket = &spec->sockets[i];

		if (preview ? socket->preview :
		    strcmp(socket->name, spec->name) == 0)
			return socket;
	}
	return NULL;
}

static bool
made_socket_equal(const struct spec *a, const struct spec *b, bool preview)
{
	const struct listener_spec *left = made_socket(a, preview);
	const struct listener_spec *right = made_socket(b, preview);

	if (left == NULL || right == NULL)
		return left == right;
	return socket_equal(left, right);
}

/* The same names, and each still stands for the same socket. */
static bool
listeners_equal(const struct spec *a, const struct spec *b)
{
	if (!list_equal(a->listeners, b->listeners) ||
	    a->socket_count != b->socket_count)
		return false;
	for (size_t i = 0; i < a->socket_count; i++) {
		if (!socket_equal(&a->sockets[i], &b->sockets[i]))
			return false;
	}
	return true;
}

static bool
address_key_equal(const struct config_key *key, const void *a, const void *b)
{
	if (key->kind == CONFIG_SERVICE)
		return made_socket_equal(a, b, false);
	return address_equal(&((const struct listener_spec *)a)->address,
	    &((const struct listener_spec *)b)->address);
}

static bool
amount_equal(const struct amount *a, const struct amount *b)
{
	return a->value == b->value && a->percent == b->percent;
}

static bool
version_equal(const struct spec *a, const struct spec *b)
{
	return text_equal(a->version_file, b->version_file) &&
	    list_equal(a->version_command, b->version_command);
}

static bool
probe_equal(const struct spec *a, const struct spec *b)
{
	return a->probe == b->probe &&
	    text_equal(a->probe_path, b->probe_path) &&
	    list_equal(a->probe_command, b->probe_command);
}

static bool
statuses_equal(const struct spec *a, const struct spec *b)
{
	return a->probe_status_min == b->probe_status_min &&
	    a->probe_status_max == b->probe_status_max;
}

static bool
steps_equal(const struct spec *a, const struct spec *b)
{
	if (a->step_count != b->step_count)
		return false;
	for (uint32_t i = 0; i < a->step_count; i++) {
		const struct canary_step *left = &a->steps[i];
		const struct canary_step *right = &b->steps[i];

		if (left->weight_permille != right->weight_permille ||
		    left->pause != right->pause ||
		    left->hold_ms != right->hold_ms)
			return false;
	}
	return true;
}

static bool
key_equal(const struct config_key *key, const void *a, const void *b)
{
	const void *left = (const char *)a + key->offset;
	const void *right = (const char *)b + key->offset;

	switch (key->type) {
	case CONFIG_COMMAND:
	case CONFIG_ENVIRONMENT:
		return list_equal(*(char *const *const *)left,
		    *(char *const *const *)right);
	case CONFIG_NAMES:
		return listeners_equal(a, b);
	case CONFIG_PATH:
	case CONFIG_ACCOUNT:
	case CONFIG_OWNER:
	case CONFIG_TEXT:
		return text_equal(*(const char *const *)left,
		    *(const char *const *)right);
	case CONFIG_ADDRESS:
		return address_key_equal(key, a, b);
	case CONFIG_PREVIEW:
		return made_socket_equal(a, b, true);
	case CONFIG_NUMBER:
	case CONFIG_MODE:
		return *(const uint32_t *)left == *(const uint32_t *)right;
	case CONFIG_BOOLEAN:
		return *(const bool *)left == *(const bool *)right;
	case CONFIG_DURATION:
	case CONFIG_SWITCHED:
		return *(const uint64_t *)left == *(const uint64_t *)right;
	case CONFIG_CHOICE:
		return *(const unsigned *)left == *(const unsigned *)right;
	case CONFIG_SIGNAL:
		return *(const int *)left == *(const int *)right;
	case CONFIG_AMOUNT:
		return amount_equal(left, right);
	case CONFIG_EXITS:
		return memcmp(left, right, sizeof(struct exit_set)) == 0;
	case CONFIG_READY:
		return ready_equal(a, b);
	case CONFIG_VERSION:
		return version_equal(a, b);
	case CONFIG_PROBE:
		return probe_equal(a, b);
	case CONFIG_STATUSES:
		return statuses_equal(a, b);
	case CONFIG_STEPS:
		return steps_equal(a, b);
	}
	return false;
}

static bool
any_key_differs(enum config_kind kind, enum config_scope scope, const void *a,
    const void *b, const char **ret_key)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->kind != kind || key->scope != scope ||
		    key_equal(key, a, b))
			continue;
		*ret_key = key->name;
		return true;
	}
	return false;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->family != b->family || a->kind != b->kind)
		return false;
	if (a->family == ADDRESS_UNIX)
		return strncmp(a->path, b->path, sizeof(a->path)) == 0;
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool
address_clashes(const struct address *a, const struct address *b)
{
	struct address other = *b;

	if (a->family == ADDRESS_UNIX)
		other.kind = a->kind;
	return address_equal(a, &other);
}

bool
spec_release_differs(const struct spec *a, const struct spec *b,
    const char **ret_key)
{
	return any_key_differs(CONFIG_SERVICE, CONFIG_RELEASE, a, b, ret_key);
}

bool
listener_spec_differs(const struct listener_spec *a,
    const struct listener_spec *b, const char **ret_key)
{
	return any_key_differs(CONFIG_LISTENER, CONFIG_RELEASE, a, b, ret_key);
}

bool
spec_fleet_differs(const struct spec *a, const struct spec *b,
    const char **ret_key)
{
	if (any_key_differs(CONFIG_SERVICE, CONFIG_FLEET, a, b, ret_key))
		return true;
	/* Another service has come to one of its listeners, or left it. */
	if (a->lanes != b->lanes) {
		*ret_key = "listeners";
		return true;
	}
	/* backlog, mode … of listeners that are the same sockets otherwise */
	for (size_t i = 0; i < a->socket_count && i < b->socket_count; i++)
		if (any_key_differs(CONFIG_LISTENER, CONFIG_FLEET,
		    &a->sockets[i], &b->sockets[i], ret_key))
			return true;
	return false;
}
