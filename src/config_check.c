/*
 * What must hold between the values of a configuration: within a section,
 * between a service and its listeners, and between listeners.
 *
 * Each check says which keys it is about and does nothing if one of them was
 * refused already: the default that stands in for it would only cause a second
 * message for the same mistake.
 */
#include "config_build.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config_value.h"

static void
check_required(struct config_build *b, const struct config_section *section,
    const char *name)
{
	const struct config_key *key = config_key_find(section->kind, name);

	if (config_is_set(section, name))
		return;
	config_build_error(b, section->place, "[%s %s] needs %s: %s",
	    config_kind_names[section->kind], section->name, name, key->help);
}

static void
check_credentials(struct config_build *b, const struct config_section *section)
{
	if (!config_is_set(section, "group") ||
	    config_is_set(section, "user"))
		return;
	config_build_error(b, config_place_of(section, "group"),
	    "group: needs user too; without it workers would keep supd's");
}

/* "a, b and more"; a message is bounded, the number of listeners too. */
static void
list_listeners(const struct config *config, char *ret_text, size_t size_bytes)
{
	size_t used = 0;

	(void)snprintf(ret_text, size_bytes, "there is none");
	for (size_t i = 0; i < config->listener_count; i++) {
		int length = snprintf(ret_text + used, size_bytes - used,
		    "%s%s", i == 0 ? "known are " : ", ",
		    config->listeners[i].name);

		used += (size_t)length;
		if (used >= size_bytes - sizeof(", ...")) {
			strcpy(ret_text + size_bytes - sizeof(", ..."),
			    ", ...");
			return;
		}
	}
}

static void
check_listeners(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	struct config_place place = config_place_of(section, "listeners");
	bool has_listen = config_is_set(section, "listen");
	size_t end = 0;
	char known[REASON_BYTES_MAX / 2];

	if (config_is_bad(section, "listeners") ||
	    config_is_bad(section, "listen"))
		return;
	while (spec->listeners[end] != NULL)
		end++;
	if (config_is_good(section, "preview"))
		end--;
	for (size_t i = has_listen ? 1 : 0; i < end; i++) {
		const char *name = spec->listeners[i];
		const struct listener_spec *listener = config_listener(
		    b->config, name);

		if (has_listen && strcmp(name, spec->name) == 0) {
			config_build_error(b, place, "listeners: %s is the one"
			    " that listen makes; it is passed first and must"
			    " not be named", name);
		} else if (listener == NULL) {
			list_listeners(b->config, known, sizeof(known));
			config_build_error(b, place, "listeners: there is no"
			    " [listener %s]; %s", name, known);
		} else if (listener->preview) {
			config_build_error(b, place, "listeners: %s is the"
			    " preview of a service; that service gets it by"
			    " itself, and no other may name it", name);
		}
	}
}

static void
check_ready(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	size_t taken = 3;
	char alive[CONFIG_DURATION_BYTES], timeout[CONFIG_DURATION_BYTES];

	if (config_is_bad(section, "ready"))
		return;
	if (spec->ready == READY_FD && !config_is_bad(section, "listeners") &&
	    !config_is_bad(section, "listen") &&
	    !config_is_bad(section, "preview")) {
		while (spec->listeners[taken - 3] != NULL)
			taken++;
		if (spec->ready_fd < taken)
			config_build_error(b, config_place_of(section, "ready"),
			    "ready: fd %u is that of a listener; the first"
			    " free one is %zu", spec->ready_fd, taken);
	}
	if (spec->ready != READY_ALIVE ||
	    config_is_bad(section, "ready_timeout") ||
	    spec->ready_alive_ms < spec->ready_timeout_ms)
		return;
	config_duration_text(spec->ready_alive_ms, alive);
	config_duration_text(spec->ready_timeout_ms, timeout);
	config_build_error(b, config_place_of_either(section, "ready",
	    "ready_timeout"), "ready: alive %s must be shorter than"
	    " ready_timeout, which is %s", alive, timeout);
}

/* What a worker is given with its start takes the numbers that follow. */
static void
check_fd_store(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;

	if (config_is_bad(section, "ready") ||
	    config_is_bad(section, "fd_store") || spec->fd_store == 0 ||
	    spec->ready != READY_FD)
		return;
	config_build_error(b, config_place_of(section, "fd_store"),
	    "fd_store: cannot be had with ready = fd %u, whose number may be"
	    " that of a stored file descriptor; use ready = notify",
	    spec->ready_fd);
}

static void
check_backoff(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	char min[CONFIG_DURATION_BYTES], max[CONFIG_DURATION_BYTES];

	if (config_is_bad(section, "backoff_min") ||
	    config_is_bad(section, "backoff_max"))
		return;
	/* Nothing doubled stays nothing: a crash loop without a pause is for
	 * who says so twice. */
	if (spec->backoff_min_ms == 0 && spec->backoff_max_ms != 0)
		config_build_error(b, config_place_of_either(section,
		    "backoff_min", "backoff_max"), "backoff_min: must be at least 1ms, or "
		    "backoff_max 0ms too, which switches pauses off");
	if (spec->backoff_min_ms <= spec->backoff_max_ms)
		return;
	config_duration_text(spec->backoff_min_ms, min);
	config_duration_text(spec->backoff_max_ms, max);
	config_build_error(b, config_place_of_either(section, "backoff_min",
	    "backoff_max"), "backoff_min: must be at most backoff_max, which"
	    " is %s, not %s", max, min);
}

static bool
is_ipv6(const struct address *address)
{
	return address->family == ADDRESS_IPV6;
}

static void
check_only_for(struct config_build *b, const struct config_section *section,
    const char *name, bool (*fits)(const struct address *), const char *text)
{
	const struct listener_spec *listener = section->object;

	if (config_is_set(section, name) && listener->address_text != NULL &&
	    !fits(&listener->address))
		config_build_error(b, config_place_of(section, name),
		    "%s: is only for %s, and this one is %s", name, text,
		    listener->address_text);
}

static void
check_section(struct config_build *b, const struct config_section *section)
{
	switch (section->kind) {
	case CONFIG_SUPD:
		break;
	case CONFIG_LISTENER:
		check_required(b, section, "address");
		check_only_for(b, section, "mode", address_has_file,
		    "unix sockets and FIFOs at a path");
		check_only_for(b, section, "owner", address_has_file,
		    "unix sockets and FIFOs at a path");
		check_only_for(b, section, "ipv6_only", is_ipv6,
		    "IPv6 addresses");
		check_only_for(b, section, "backlog", address_accepts,
		    "those that clients connect to");
		break;
	case CONFIG_SERVICE:
		check_required(b, section, "command");
		check_credentials(b, section);
		check_listeners(b, section);
		check_ready(b, section);
		check_fd_store(b, section);
		config_check_rollout(b, section);
		check_backoff(b, section);
		break;
	case CONFIG_KIND_COUNT:
		assert(false && "not a kind");
	}
}

/* Two listeners: neither the name nor the address may be the same. */
static void
check_pair(struct config_build *b, size_t first, size_t second)
{
	const struct listener_spec *left = &b->config->listeners[first];
	const struct listener_spec *right = &b->config->listeners[second];
	struct config_place place = b->listener_places[first];

	if (strcmp(left->name, right->name) == 0)
		config_build_error(b, b->listener_places[second],
		    "a listener named %s is already at %s:%u (%s)",
		    right->name, place.file, place.line,
		    left->preview || right->preview ?
		    "preview makes one named SERVICE.preview" :
		    "listen makes one named after its service");
	if (left->address_text != NULL && right->address_text != NULL &&
	    address_clashes(&left->address, &right->address))
		config_build_error(b, b->listener_places[second],
		    "%s is already the address of listener %s at %s:%u",
		    right->address_text, left->name, place.file, place.line);
}

/* Its default depends on the environment, so it is not checked when parsed. */
static void
check_runtime_dir(struct config_build *b)
{
	const struct config_section *section = &b->sections[0];
	const char *path = b->config->runtime_dir;
	struct config_place place = config_place_of(section, "runtime_dir");

	if (config_is_set(section, "runtime_dir") ||
	    (path[0] == '/' && strlen(path) <= RUNTIME_DIR_BYTES_MAX))
		return;
	if (place.line == 0)
		place = config_build_place(b);
	config_build_error(b, place, "runtime_dir: the default, \"%.90s\", is"
	    " not an absolute path of at most %d bytes; set it in [supd]",
	    path, RUNTIME_DIR_BYTES_MAX);
}

void
config_check(struct config_build *b)
{
	for (size_t i = 0; i < b->section_count; i++)
		check_section(b, &b->sections[i]);
	for (size_t j = 1; j < b->config->listener_count; j++) {
		for (size_t i = 0; i < j; i++)
			check_pair(b, i, j);
	}
	check_runtime_dir(b);
}
