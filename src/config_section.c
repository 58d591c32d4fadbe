/*
 * What a section of the configuration says: which keys it sets, which of them
 * were refused, and where each stands.  The checks between keys ask this.
 */
#include "config_build.h"

#include <assert.h>
#include <stdio.h>

static size_t
key_index(const struct config_section *section, const char *name)
{
	const struct config_key *key = config_key_find(section->kind, name);

	assert(key != NULL);
	return (size_t)(key - config_keys);
}

bool
config_is_set(const struct config_section *section, const char *key)
{
	return section->key_lines[key_index(section, key)] != 0;
}

bool
config_is_bad(const struct config_section *section, const char *key)
{
	return section->key_bad[key_index(section, key)];
}

bool
config_is_good(const struct config_section *section, const char *key)
{
	return config_is_set(section, key) && !config_is_bad(section, key);
}

struct config_place
config_place_of(const struct config_section *section, const char *key)
{
	struct config_place place = section->place;
	unsigned line = section->key_lines[key_index(section, key)];

	if (line != 0)
		place.line = line;
	return place;
}

struct config_place
config_place_of_either(const struct config_section *section, const char *first,
    const char *second)
{
	return config_place_of(section, config_is_set(section, first) ? first :
	    second);
}

void
config_preview_name(const char *service, char ret_name[CONFIG_MADE_NAME_BYTES])
{
	(void)snprintf(ret_name, CONFIG_MADE_NAME_BYTES, "%s.preview", service);
}
