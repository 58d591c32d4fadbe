/*
 * What services listen on, once all sections are known: the listeners that
 * they made themselves among those that they name, what each name stands for,
 * and whether two releases can share all of it by weight.
 *
 * A service of which a listener is wrong or missing is left without sockets;
 * that is an error anyway, and config_check.c says so.
 */
#include "config_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_words.h"

/* The listener of `listen` comes first, that of `preview` last. */
static void
name_made(struct config_build *b, struct config_section *section)
{
	struct spec *spec = section->object;
	const char *names[LISTENERS_MAX + 2];
	char preview[CONFIG_MADE_NAME_BYTES];
	size_t count = 0;
	char **list;

	if (spec->listeners == NULL)
		return;
	if (config_is_good(section, "listen"))
		names[count++] = spec->name;
	for (char **name = spec->listeners; *name != NULL; name++)
		names[count++] = *name;
	if (config_is_good(section, "preview")) {
		config_preview_name(spec->name, preview);
		names[count++] = preview;
	}
	list = config_words_pack(names, count);
	if (list == NULL) {
		b->out_of_memory = true;
		return;
	}
	free(spec->listeners);
	spec->listeners = list;
}

static bool
names_listener(const struct spec *spec, const char *name)
{
	for (char **own = spec->listeners; own != NULL && *own != NULL; own++) {
		if (strcmp(*own, name) == 0)
			return true;
	}
	return false;
}

static void
find_shared(struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		struct listener_spec *listener = &config->listeners[i];
		size_t count = 0;

		for (size_t j = 0; j < config->service_count; j++)
			count += names_listener(config->services[j],
			    listener->name);
		listener->shared = count > 1;
	}
}

/* All of its names stand for something. */
static bool
is_resolved(const struct config *config, const struct spec *spec)
{
	for (char **name = spec->listeners; *name != NULL; name++) {
		const struct listener_spec *listener = config_listener(config,
		    *name);

		if (listener == NULL || listener->address_text == NULL)
			return false;
	}
	return true;
}

/*
 * What the names in `listeners` stand for now: a release keeps it, to bind it
 * again, and to tell that a name stands for another socket later.
 */
static int
copy_sockets(const struct config *config, struct spec *spec)
{
	size_t count = 0;

	if (!is_resolved(config, spec))
		return 0;
	while (spec->listeners[count] != NULL)
		count++;
	if (count == 0)
		return 0;
	spec->sockets = calloc(count, sizeof(*spec->sockets));
	if (spec->sockets == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct listener_spec *from = config_listener(config,
		    spec->listeners[i]);
		struct listener_spec *to = &spec->sockets[i];

		*to = *from;
		to->address_text = strdup(from->address_text);
		to->owner = from->owner != NULL ? strdup(from->owner) : NULL;
		spec->socket_count = i + 1;
		if (to->address_text == NULL ||
		    (from->owner != NULL && to->owner == NULL))
			return -ENOMEM;
	}
	return 0;
}

/* Every one is TCP or UDP and this service's alone. */
static bool
has_lanes(const struct spec *spec)
{
	size_t count = spec_public_count(spec);

	for (size_t i = 0; i < count; i++) {
		if (!address_has_lanes(&spec->sockets[i].address) ||
		    spec->sockets[i].shared)
			return false;
	}
	return count > 0;
}

void
config_listen(struct config_build *b)
{
	struct config *config = b->config;

	for (size_t i = 0; i < b->section_count; i++) {
		if (b->sections[i].kind == CONFIG_SERVICE)
			name_made(b, &b->sections[i]);
	}
	find_shared(config);
	for (size_t i = 0; i < config->service_count; i++) {
		if (b->out_of_memory)
			return;
		if (copy_sockets(config, config->services[i]) < 0)
			b->out_of_memory = true;
		config->services[i]->lanes = has_lanes(config->services[i]);
	}
}
