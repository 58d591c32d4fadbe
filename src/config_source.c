/*
 * The text of a configuration as a value: its lifetime and comparison.
 */
#include "config_source.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct config_source *
config_source_new(void)
{
	struct config_source *source = calloc(1, sizeof(*source));

	if (source != NULL)
		source->reference_count = 1;
	return source;
}

struct config_source *
config_source_ref(struct config_source *source)
{
	assert(source->reference_count > 0);
	source->reference_count++;
	return source;
}

void
config_source_unref(struct config_source *source)
{
	if (source == NULL)
		return;
	assert(source->reference_count > 0);
	if (--source->reference_count > 0)
		return;
	for (size_t i = 0; i < source->file_count; i++) {
		free(source->files[i].name);
		free(source->files[i].text);
	}
	free(source);
}

int
config_source_add(struct config_source *source, const char *name,
    const char *text, size_t size_bytes)
{
	struct config_text *file = &source->files[source->file_count];

	assert(source->file_count < CONFIG_FILES_MAX);
	file->name = strdup(name);
	file->text = malloc(size_bytes + 1);
	file->size_bytes = size_bytes;
	if (file->name == NULL || file->text == NULL) {
		free(file->name);
		free(file->text);
		return -ENOMEM;
	}
	if (size_bytes > 0)
		memcpy(file->text, text, size_bytes);
	file->text[size_bytes] = '\0';
	source->file_count++;
	return 0;
}

bool
config_source_equal(const struct config_source *a,
    const struct config_source *b)
{
	if (a->file_count != b->file_count)
		return false;
	for (size_t i = 0; i < a->file_count; i++) {
		const struct config_text *left = &a->files[i];
		const struct config_text *right = &b->files[i];

		if (left->size_bytes != right->size_bytes ||
		    strcmp(left->name, right->name) != 0 ||
		    memcmp(left->text, right->text, left->size_bytes) != 0)
			return false;
	}
	return true;
}
