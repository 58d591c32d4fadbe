/*
 * The configuration as a whole: a build is begun, fed with files, given its
 * defaults, checked, and becomes a struct config or a list of errors.
 *
 * What happens in between is in config_reader.c (lines), config_collect.c
 * (sections and values), config_value.c (one value), config_listen.c (what
 * services listen on), config_check.c (between values); config_table.c says
 * which keys there are, config_file.c reads from disk.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config_build.h"
#include "config_source.h"
#include "config_value.h"

static void
apply_defaults(struct config_build *b, struct config_section *section)
{
	char text[REASON_BYTES_MAX];

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		int result;

		if (key->kind != section->kind || key->preset == NULL)
			continue;
		if (section->key_lines[i] != 0 && !section->key_bad[i])
			continue;
		result = config_value_parse(key, key->preset, section->object,
		    text);
		assert(result != -EINVAL);
		b->out_of_memory |= result < 0;
	}
}

/* Those of [supd] that depend on who runs it. */
static void
apply_own_defaults(struct config_build *b)
{
	struct config *config = b->config;

	if (config->runtime_dir == NULL)
		config->runtime_dir = strdup(config_default_runtime_dir());
	if (config->state_dir == NULL)
		config->state_dir = strdup(config_default_state_dir());
	b->out_of_memory |= config->runtime_dir == NULL ||
	    config->state_dir == NULL;
}

static bool
has_section(const struct config_build *b, const void *object)
{
	for (size_t i = 0; i < b->section_count; i++) {
		if (b->sections[i].object == object)
			return true;
	}
	return false;
}

static void
fill(struct config_build *b)
{
	struct config_section section = { .kind = CONFIG_LISTENER };

	for (size_t i = 0; i < b->section_count; i++)
		apply_defaults(b, &b->sections[i]);
	/* Those that services made have no section. */
	for (size_t i = 0; i < b->config->listener_count; i++) {
		section.object = &b->config->listeners[i];
		if (!has_section(b, section.object))
			apply_defaults(b, &section);
	}
	apply_own_defaults(b);
}

static size_t
file_index(const struct config_build *b, const char *file)
{
	size_t i = 0;

	while (i < b->file_count && strcmp(b->config->files[i], file) != 0)
		i++;
	return i;
}

static bool
comes_after(const struct config_build *b, const struct config_error *left,
    const struct config_error *right)
{
	size_t left_index = file_index(b, left->file);
	size_t right_index = file_index(b, right->file);

	if (left_index != right_index)
		return left_index > right_index;
	return left->line > right->line;
}

/* Stable insertion; there are few. */
static void
sort_errors(struct config_build *b)
{
	struct config_error *list = b->errors->list;

	for (size_t i = 1; i < b->errors->count; i++) {
		struct config_error error = list[i];
		size_t j = i;

		for (; j > 0 && comes_after(b, &list[j - 1], &error); j--)
			list[j] = list[j - 1];
		list[j] = error;
	}
}

static bool
has_errors(const struct config_build *b)
{
	return b->errors->count > 0 || b->errors->dropped > 0;
}

struct config_place
config_build_place(const struct config_build *b)
{
	const char *first = b->config->files[0];

	return (struct config_place){ first != NULL ? first : "configuration",
		0 };
}

void
config_build_error(struct config_build *b, struct config_place place,
    const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	config_errors_vadd(b->errors, place, format, arguments);
	va_end(arguments);
}

struct config_build *
config_build_new(struct config_errors *errors)
{
	struct config_build *b = calloc(1, sizeof(*b));
	struct config *config = calloc(1, sizeof(*config));

	errors->count = 0;
	errors->dropped = 0;
	if (b == NULL || config == NULL)
		goto no_memory;
	config->listeners = calloc(LISTENERS_MAX, sizeof(*config->listeners));
	config->services = calloc(SERVICES_MAX, sizeof(struct spec *));
	config->files = calloc(CONFIG_FILES_MAX + 1, sizeof(char *));
	config->source = config_source_new();
	if (config->listeners == NULL || config->services == NULL ||
	    config->files == NULL || config->source == NULL)
		goto no_memory;
	b->config = config;
	b->errors = errors;
	b->sections[0] = (struct config_section){
		.kind = CONFIG_SUPD,
		.object = config,
	};
	b->section_count = 1;
	return b;
no_memory:
	config_errors_add(errors, (struct config_place){ "configuration", 0 },
	    "out of memory");
	free(b);
	config_free(config);
	return NULL;
}

struct config *
config_build_end(struct config_build *b)
{
	struct config *config = b->config;

	fill(b);
	if (!b->out_of_memory)
		config_listen(b);
	if (!b->out_of_memory)
		config_check(b);
	sort_errors(b);
	if (b->out_of_memory)
		config_errors_add(b->errors, config_build_place(b),
		    "out of memory");
	for (size_t i = 0; i < config->service_count; i++)
		config->services[i]->source = config_source_ref(config->source);
	if (has_errors(b)) {
		config_free(config);
		config = NULL;
	}
	free(b);
	return config;
}

struct config *
config_read_text(const char *name, const char *text, size_t size_bytes,
    struct config_errors *ret_errors)
{
	struct config_build *b = config_build_new(ret_errors);

	if (b == NULL)
		return NULL;
	config_build_file(b, name, text, size_bytes);
	return config_build_end(b);
}

struct config *
config_read_source(const struct config_source *source,
    struct config_errors *ret_errors)
{
	struct config_build *b = config_build_new(ret_errors);

	if (b == NULL)
		return NULL;
	for (size_t i = 0; i < source->file_count; i++)
		config_build_file(b, source->files[i].name,
		    source->files[i].text, source->files[i].size_bytes);
	return config_build_end(b);
}

void
config_print_keys(FILE *stream)
{
	for (size_t i = 0; i < config_key_count; i++)
		(void)fprintf(stream, "%s %s\n",
		    config_kind_names[config_keys[i].kind],
		    config_keys[i].name);
}
