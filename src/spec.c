/*
 * Specs and configurations as plain data: lifetimes, look-ups, the planner's
 * view, and what differs between two of them.
 *
 * Which keys matter for a difference, and in which order they are named, is
 * the option table's to say.
 */
#include "spec.h"

#include <assert.h>
#include <stdlib.h>
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

/* The one that `listen` made, or NULL. */
static const struct listener_spec *
own_socket(const struct spec *spec)
{
	for (size_t i = 0; i < spec->socket_count; i++) {
		if (strcmp(spec->sockets[i].name, spec->name) == 0)
			return &spec->sockets[i];
	}
	return NULL;
}

static bool
own_socket_equal(const struct spec *a, const struct spec *b)
{
	const struct listener_spec *left = own_socket(a);
	const struct listener_spec *right = own_socket(b);

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
		return own_socket_equal(a, b);
	return address_equal(&((const struct listener_spec *)a)->address,
	    &((const struct listener_spec *)b)->address);
}

static bool
amount_equal(const struct amount *a, const struct amount *b)
{
	return a->value == b->value && a->percent == b->percent;
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
	case CONFIG_FILE:
		return text_equal(*(const char *const *)left,
		    *(const char *const *)right);
	case CONFIG_ADDRESS:
		return address_key_equal(key, a, b);
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

static void
clear_listener(struct listener_spec *listener)
{
	free(listener->address_text);
	free(listener->owner);
}

/* A share of `workers`, times 100. */
static uint64_t
hundredths(struct amount amount, uint32_t workers)
{
	return (uint64_t)amount.value * (amount.percent ? workers : 100);
}

struct spec *
spec_ref(struct spec *spec)
{
	assert(spec->reference_count > 0);
	spec->reference_count++;
	return spec;
}

void
spec_unref(struct spec *spec)
{
	if (spec == NULL)
		return;
	assert(spec->reference_count > 0);
	if (--spec->reference_count > 0)
		return;
	free(spec->file);
	free(spec->argv);
	free(spec->working_directory);
	free(spec->environment);
	free(spec->environment_file);
	free(spec->user);
	free(spec->group);
	free(spec->listeners);
	for (size_t i = 0; i < spec->socket_count; i++)
		clear_listener(&spec->sockets[i]);
	free(spec->sockets);
	free(spec->version_file);
	free(spec);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		clear_listener(&config->listeners[i]);
	for (size_t i = 0; i < config->service_count; i++)
		spec_unref(config->services[i]);
	for (char **file = config->files; file != NULL && *file != NULL;
	    file++)
		free(*file);
	free(config->listeners);
	free(config->services);
	free(config->files);
	free(config->runtime_dir);
	free(config->state_dir);
	free(config->control_group);
	free(config);
}

struct spec *
config_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++) {
		if (strcmp(config->services[i]->name, name) == 0)
			return config->services[i];
	}
	return NULL;
}

const struct listener_spec *
config_listener(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (strcmp(config->listeners[i].name, name) == 0)
			return &config->listeners[i];
	}
	return NULL;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return false;
	if (a->family == ADDRESS_UNIX)
		return strncmp(a->path, b->path, sizeof(a->path)) == 0;
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}

struct policy
spec_policy(const struct spec *spec, uint32_t workers)
{
	uint32_t surge, unavailable;

	surge = (uint32_t)((hundredths(spec->max_surge, workers) + 99) / 100);
	unavailable = (uint32_t)(hundredths(spec->max_unavailable, workers) /
	    100);
	if (unavailable > workers)
		unavailable = workers;
	if (surge == 0 && unavailable == 0)
		surge = 1;
	return (struct policy){
		.workers = workers,
		.surge = surge,
		.unavailable = unavailable,
		.strategy = spec->strategy,
		.on_failure = spec->on_failure,
		.restart = spec->restart,
		.ready_timeout_ms = spec->ready_timeout_ms,
		.min_ready_ms = spec->min_ready_ms,
		.drain_timeout_ms = spec->drain_timeout_ms,
		.watchdog_ms = spec->watchdog_ms,
		.progress_deadline_ms = spec->progress_deadline_ms,
		.backoff_min_ms = spec->backoff_min_ms,
		.backoff_max_ms = spec->backoff_max_ms,
	};
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
	/* backlog, mode … of listeners that are the same sockets otherwise */
	for (size_t i = 0; i < a->socket_count && i < b->socket_count; i++)
		if (any_key_differs(CONFIG_LISTENER, CONFIG_FLEET,
		    &a->sockets[i], &b->sockets[i], ret_key))
			return true;
	return false;
}

bool
exit_set_has_code(const struct exit_set *set, int code)
{
	if (code < 0 || code > 255)
		return false;
	return (set->codes[code / 64] >> (code % 64) & 1) != 0;
}

bool
exit_set_has_signal(const struct exit_set *set, int signal)
{
	if (signal < 1 || signal > 63)
		return false;
	return (set->signals >> signal & 1) != 0;
}
