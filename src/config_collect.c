/*
 * Collecting a configuration from the sections and values that the reader
 * finds.
 *
 * Everything goes on after an error: a refused value counts as set and has its
 * default, an unknown section is skipped to its end, so that one mistake gives
 * one message and all mistakes are found in one go.  Objects are built in
 * their final place in struct config; config_free() takes them back at any
 * stage.
 */
#include "config_build.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_reader.h"
#include "config_source.h"
#include "config_value.h"
#include "config_words.h"

static struct config_place
place_at(const struct config_build *b, unsigned line)
{
	return (struct config_place){ b->file, line };
}

static size_t
key_index(const struct config_key *key)
{
	return (size_t)(key - config_keys);
}

/* `name` was checked, or is that of a service. */
static void
set_name(char *ret_name, const char *name)
{
	size_t length = strlen(name);

	assert(length <= NAME_LENGTH_MAX);
	memcpy(ret_name, name, length + 1);
}

static struct listener_spec *
new_listener(struct config_build *b, const char *name, unsigned line)
{
	struct config *config = b->config;
	struct listener_spec *listener;

	if (config->listener_count == LISTENERS_MAX) {
		config_build_error(b, place_at(b, line),
		    "there may be at most %d listeners", LISTENERS_MAX);
		return NULL;
	}
	b->listener_places[config->listener_count] = place_at(b, line);
	listener = &config->listeners[config->listener_count++];
	set_name(listener->name, name);
	return listener;
}

static struct spec *
new_service(struct config_build *b, const char *name, unsigned line)
{
	struct config *config = b->config;
	struct spec *spec;

	if (config->service_count == SERVICES_MAX) {
		config_build_error(b, place_at(b, line),
		    "there may be at most %d services", SERVICES_MAX);
		return NULL;
	}
	spec = calloc(1, sizeof(*spec));
	if (spec == NULL) {
		b->out_of_memory = true;
		return NULL;
	}
	spec->reference_count = 1;
	set_name(spec->name, name);
	spec->line = line;
	config->services[config->service_count++] = spec;
	spec->file = strdup(b->file);
	b->out_of_memory |= spec->file == NULL;
	return spec;
}

/* The listener that a service's value makes.  NULL: an error was reported. */
static struct listener_spec *
made_listener(struct config_build *b, const struct config_key *key)
{
	const char *service = b->section->name;
	char name[CONFIG_MADE_NAME_BYTES];
	struct listener_spec *listener;
	size_t length;

	if (key->type == CONFIG_ADDRESS)
		return new_listener(b, service, b->key_line);
	config_preview_name(service, name);
	length = strlen(name);
	if (length > NAME_LENGTH_MAX) {
		config_build_error(b, place_at(b, b->key_line), "%s: makes a"
		    " listener named %s, and names have at most %d characters;"
		    " the name of the service must be shorter by %zu",
		    key->name, name, NAME_LENGTH_MAX,
		    length - NAME_LENGTH_MAX);
		return NULL;
	}
	listener = new_listener(b, name, b->key_line);
	if (listener != NULL)
		listener->preview = true;
	return listener;
}

/* A value is complete: its last line was read. */
static void
finish_value(struct config_build *b)
{
	const struct config_key *key = b->key;
	struct config_section *section = b->section;
	void *object;
	char text[REASON_BYTES_MAX];
	int result = -EINVAL;

	b->key = NULL;
	if (key == NULL || b->key_refused)
		return;
	object = section->object;
	if (b->value_bytes == 0) {
		(void)config_refuse(text,
		    "has no value; give one or remove the key");
	} else {
		if (key->kind == CONFIG_SERVICE &&
		    (key->type == CONFIG_ADDRESS ||
		    key->type == CONFIG_PREVIEW))
			object = made_listener(b, key);
		if (object == NULL) {
			section->key_bad[key_index(key)] = true;
			return;
		}
		result = config_value_parse(key, b->value, object, text);
	}
	section->key_bad[key_index(key)] = result < 0;
	if (result == -EINVAL)
		config_build_error(b, place_at(b, b->key_line), "%s: %s",
		    key->name, text);
	else if (result == -ENOMEM)
		b->out_of_memory = true;
}

/* The value that is being collected is wrong; that was or is reported. */
static void
refuse_value(struct config_build *b)
{
	b->key_refused = true;
	b->section->key_bad[key_index(b->key)] = true;
}

static void
append_value(struct config_build *b, const struct config_piece *piece)
{
	size_t size_bytes = strlen(piece->text);
	char open;

	if (b->value_bytes + size_bytes + 1 > CONFIG_VALUE_BYTES_MAX) {
		config_build_error(b, place_at(b, piece->line),
		    "%s: must have at most %d bytes", b->key->name,
		    CONFIG_VALUE_BYTES_MAX);
		refuse_value(b);
		return;
	}
	if (b->value_bytes > 0 && size_bytes > 0)
		b->value[b->value_bytes++] = ' ';
	memcpy(b->value + b->value_bytes, piece->text, size_bytes + 1);
	b->value_bytes += size_bytes;
	if (!config_type_is_words(b->key->type))
		return;
	open = config_words_open(b->value);
	if (open == '\\')
		config_build_error(b, place_at(b, piece->line), "%s: nothing"
		    " follows the backslash; a value goes on in the next line"
		    " if that is indented, without one", b->key->name);
	else if (open != '\0' && piece->commented)
		config_build_error(b, place_at(b, piece->line), "%s: the quote"
		    " %c is not closed: ` ;` begins a comment, also in quotes;"
		    " write the ; in a quote of its own, as in 'a '';'",
		    b->key->name, open);
	else
		return;
	refuse_value(b);
}

/*
 * A key that is indented like the one above it would silently become a part of
 * that one's value.
 */
static const struct config_key *
swallowed_key(const struct config_build *b, const char *text)
{
	char name[CONFIG_SECTION_BYTES_MAX + 1];
	size_t length = strcspn(text, " \t=:");
	size_t rest = length + strspn(text + length, " \t");

	if (length >= sizeof(name) || (text[rest] != '=' && text[rest] != ':'))
		return NULL;
	memcpy(name, text, length);
	name[length] = '\0';
	return config_key_find(b->section->kind, name);
}

static void
continue_value(struct config_build *b, const struct config_piece *piece)
{
	const struct config_key *swallowed;

	if (b->key == NULL || b->key_refused)
		return;
	swallowed = swallowed_key(b, piece->text);
	if (piece->refused) {
		refuse_value(b);
	} else if (swallowed != NULL) {
		config_build_error(b, place_at(b, piece->line), "%s is indented"
		    " and so would continue the value of %s; begin it in the"
		    " first column, or quote it", swallowed->name,
		    b->key->name);
	} else if (!config_type_is_list(b->key->type)) {
		config_build_error(b, place_at(b, piece->line), "%s takes one"
		    " line, and an indented line continues the value above it",
		    b->key->name);
		refuse_value(b);
	} else {
		append_value(b, piece);
	}
}

static void
report_unknown(struct config_build *b, const struct config_piece *piece)
{
	enum config_kind kind = b->section->kind;
	const struct config_key *nearest;

	for (enum config_kind other = 0; other < CONFIG_KIND_COUNT; other++) {
		if (config_key_find(other, piece->key) == NULL)
			continue;
		config_build_error(b, place_at(b, piece->line),
		    "%s is a key of %s, not of %s", piece->key,
		    config_kind_headers[other], config_kind_headers[kind]);
		return;
	}
	nearest = config_key_nearest(kind, piece->key);
	if (nearest != NULL)
		config_build_error(b, place_at(b, piece->line), "unknown key"
		    " \"%.60s\"; did you mean %s (%s)?", piece->key,
		    nearest->name, nearest->help);
	else
		config_build_error(b, place_at(b, piece->line), "unknown key"
		    " \"%.60s\"; supd.conf(5) lists the keys of %s",
		    piece->key, config_kind_headers[kind]);
}

static void
begin_value(struct config_build *b, const struct config_piece *piece)
{
	const struct config_key *key;
	unsigned *key_line;

	finish_value(b);
	if (b->section == NULL)
		return;
	key = config_key_find(b->section->kind, piece->key);
	if (key == NULL) {
		report_unknown(b, piece);
		return;
	}
	key_line = &b->section->key_lines[key_index(key)];
	if (*key_line != 0) {
		config_build_error(b, place_at(b, piece->line),
		    "%s is already set in line %u", key->name, *key_line);
		return;
	}
	*key_line = piece->line;
	b->key = key;
	b->key_line = piece->line;
	b->key_refused = false;
	b->value_bytes = 0;
	if (piece->refused)
		refuse_value(b);
	else
		append_value(b, piece);
}

static void
take_piece(void *context, const struct config_piece *piece)
{
	struct config_build *b = context;

	if (piece->continues)
		continue_value(b, piece);
	else if (b->section == NULL && b->header_line == 0)
		config_build_error(b, place_at(b, piece->line),
		    "%s stands before the first [SECTION]", piece->key);
	else
		begin_value(b, piece);
}

static void
take_error(void *context, unsigned line, const char *text)
{
	struct config_build *b = context;

	config_build_error(b, place_at(b, line), "%s", text);
}

static int
kind_named(const char *name)
{
	for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
		if (strcmp(name, config_kind_names[kind]) == 0)
			return kind;
	}
	return -1;
}

static void
report_unknown_kind(struct config_build *b, unsigned line, const char *name)
{
	const char *nearest = config_kind_nearest(name);

	if (nearest != NULL)
		config_build_error(b, place_at(b, line), "unknown section"
		    " [%.49s]; did you mean %s?", name, nearest);
	else
		config_build_error(b, place_at(b, line), "unknown section"
		    " [%.49s]; allowed are %s, %s and %s", name,
		    config_kind_headers[CONFIG_SERVICE],
		    config_kind_headers[CONFIG_LISTENER],
		    config_kind_headers[CONFIG_SUPD]);
}

/* The same section was there before: keys would silently mix. */
static bool
is_duplicate(struct config_build *b, enum config_kind kind, const char *name,
    unsigned line)
{
	for (size_t i = 0; i < b->section_count; i++) {
		const struct config_section *s = &b->sections[i];

		if (s->kind != kind || s->place.line == 0 ||
		    (name != NULL && strcmp(s->name, name) != 0))
			continue;
		config_build_error(b, place_at(b, line), "[%s%s%s] is already"
		    " at %s:%u", config_kind_names[kind],
		    name != NULL ? " " : "", name != NULL ? name : "",
		    s->place.file, s->place.line);
		return true;
	}
	return false;
}

static void
begin_named(struct config_build *b, enum config_kind kind, const char *name,
    unsigned line)
{
	struct config_section section = {
		.kind = kind,
		.place = place_at(b, line),
	};

	if (kind == CONFIG_SERVICE) {
		struct spec *spec = new_service(b, name, line);

		section.object = spec;
		section.name = spec != NULL ? spec->name : NULL;
	} else {
		struct listener_spec *listener = new_listener(b, name, line);

		section.object = listener;
		section.name = listener != NULL ? listener->name : NULL;
	}
	if (section.object == NULL)
		return;
	assert(b->section_count < CONFIG_SECTIONS_MAX);
	b->section = &b->sections[b->section_count++];
	*b->section = section;
}

static void
begin_section(struct config_build *b, unsigned line, char *header)
{
	char *rest = header;
	char *kind_name = strsep(&rest, " \t");
	char *name = rest != NULL ? rest + strspn(rest, " \t") : rest;
	char text[REASON_BYTES_MAX];
	int kind = kind_named(kind_name);

	if (kind < 0) {
		report_unknown_kind(b, line, kind_name);
	} else if (kind == CONFIG_SUPD && name != NULL) {
		config_build_error(b, place_at(b, line),
		    "[supd] takes no name");
	} else if (kind == CONFIG_SUPD) {
		if (is_duplicate(b, CONFIG_SUPD, NULL, line))
			return;
		b->section = &b->sections[0];
		b->section->place = place_at(b, line);
	} else if (name == NULL || *name == '\0') {
		config_build_error(b, place_at(b, line), "a name is missing:"
		    " %s", config_kind_headers[kind]);
	} else if (config_name_check(name, text) < 0) {
		config_build_error(b, place_at(b, line), "%s", text);
	} else if (!is_duplicate(b, (enum config_kind)kind, name, line)) {
		begin_named(b, (enum config_kind)kind, name, line);
	}
}

static void
take_section(void *context, unsigned line, const char *text)
{
	struct config_build *b = context;
	char header[CONFIG_SECTION_BYTES_MAX + 1];
	size_t length;

	finish_value(b);
	b->section = NULL;
	b->header_line = line;
	if (text == NULL)
		return;
	text += strspn(text, " \t");
	length = strlen(text);
	while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
		length--;
	memcpy(header, text, length);
	header[length] = '\0';
	begin_section(b, line, header);
}

void
config_build_file(struct config_build *b, const char *name, const char *text,
    size_t size_bytes)
{
	const struct config_sink sink = {
		.context = b,
		.section = take_section,
		.piece = take_piece,
		.error = take_error,
	};
	char *copy;

	if (b->file_count == CONFIG_FILES_MAX) {
		config_build_error(b, (struct config_place){ name, 0 },
		    "there may be at most %d files", CONFIG_FILES_MAX);
		return;
	}
	copy = strdup(name);
	if (copy == NULL) {
		b->out_of_memory = true;
		return;
	}
	b->config->files[b->file_count++] = copy;
	b->out_of_memory |= config_source_add(b->config->source, name, text,
	    size_bytes) < 0;
	b->file = copy;
	b->section = NULL;
	b->header_line = 0;
	if (config_reader_run(text, size_bytes, &sink) < 0)
		b->out_of_memory = true;
	finish_value(b);
}
