/*
 * The line reader between a text and inih, see config_reader.h.
 *
 * inih pulls lines from take_line() and pushes values into take_value(); both
 * share struct reader, which is how a value gets its line number.  A line that
 * inih would change is reported and replaced by one that keeps inih's state
 * right: an empty line, the key without a value, or an empty section.  Each
 * line handed on ends in a newline, since newer versions of inih take a full
 * buffer without one for a part of a longer line.
 */
#include "config_reader.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"

struct reader {
	const struct config_sink *sink;
	const char *next;
	const char *end;
	unsigned line;
	bool has_key;           /* an indented line would continue it */
	bool waiting;           /* inih owes us a value for the last line */
	bool continues;
	bool commented;
	bool refused;
};

struct line {
	const char *text;
	size_t length;          /* without newline and blanks at the end */
	size_t indent;
};

static void __attribute__((format(printf, 2, 3)))
report(struct reader *r, const char *format, ...)
{
	char text[REASON_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	r->sink->error(r->sink->context, r->line, text);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The offset of the `;` of a comment as inih finds it, or the length. */
static size_t
comment_offset(const struct line *line)
{
	for (size_t i = line->indent + 1; i < line->length; i++) {
		if (line->text[i] == ';' && is_blank(line->text[i - 1]))
			return i;
	}
	return line->length;
}

static struct line
next_line(struct reader *r)
{
	size_t left = (size_t)(r->end - r->next);
	const char *newline = memchr(r->next, '\n', left);
	struct line line = { .text = r->next };

	r->line++;
	line.length = newline != NULL ? (size_t)(newline - r->next) : left;
	r->next = newline != NULL ? newline + 1 : r->end;
	if (newline == NULL)
		report(r, "the last line does not end with a newline; is the"
		    " file complete?");
	if (line.length > 0 && line.text[line.length - 1] == '\r')
		line.length--;
	while (line.length > 0 && is_blank(line.text[line.length - 1]))
		line.length--;
	while (line.indent < line.length && is_blank(line.text[line.indent]))
		line.indent++;
	return line;
}

/* inih would end the line at a NUL; a terminal would obey the others. */
static bool
has_control(struct reader *r, const struct line *line)
{
	for (size_t i = 0; i < line->length; i++) {
		unsigned char c = (unsigned char)line->text[i];

		if ((c >= 0x20 && c != 0x7f) || c == '\t')
			continue;
		report(r, "a control character (0x%02x) at column %zu is not"
		    " allowed", c, i + 1);
		return true;
	}
	return false;
}

static void
hand_on(char *buffer, const char *text, size_t length)
{
	memcpy(buffer, text, length);
	buffer[length] = '\n';
	buffer[length + 1] = '\0';
}

/* So that the key counts as there, and the values after it find their place. */
static void
hand_on_key_only(struct reader *r, const struct line *line, char *buffer)
{
	size_t length = 0;

	while (length < line->length && length < CONFIG_SECTION_BYTES_MAX &&
	    (isalnum((unsigned char)line->text[length]) ||
	    line->text[length] == '_'))
		length++;
	r->waiting = length > 0;
	hand_on(buffer, line->text, length);
	if (length > 0)
		strcpy(buffer + length, "=\n");
}

static void
take_section(struct reader *r, const struct line *line, char *buffer)
{
	const char *close = memchr(line->text, ']', comment_offset(line));
	char text[CONFIG_SECTION_BYTES_MAX + 1];
	const char *good = NULL;
	size_t length = 0, rest = 0;

	if (close != NULL) {
		length = (size_t)(close - line->text) - 1;
		for (rest = length + 2; rest < line->length; rest++) {
			if (!is_blank(line->text[rest]))
				break;
		}
	}
	hand_on(buffer, "[-]", 3);
	r->has_key = false;
	if (close == NULL)
		report(r, "the section has no closing ]");
	else if (rest < line->length && line->text[rest] != ';' &&
	    line->text[rest] != '#')
		report(r, "text after the closing ] is not allowed");
	else if (length > CONFIG_SECTION_BYTES_MAX)
		report(r, "between the brackets there must be at most %d"
		    " bytes, not %zu", CONFIG_SECTION_BYTES_MAX, length);
	else if (!r->refused) {
		memcpy(text, line->text + 1, length);
		text[length] = '\0';
		good = text;
	}
	r->sink->section(r->sink->context, r->line, good);
}

/* An indented line that has a value to continue, or a line with a key. */
static void
take_text(struct reader *r, const struct line *line, size_t size_max,
    char *buffer)
{
	size_t length = comment_offset(line);

	r->continues = line->indent > 0;
	r->commented = length < line->length;
	if (line->length > size_max) {
		report(r, "a line must have at most %zu bytes, not %zu; go on"
		    " in the next line and indent it", size_max, line->length);
		r->refused = true;
	}
	if (!r->refused) {
		/* inih 55 leaves a comment in a line that continues. */
		r->waiting = true;
		hand_on(buffer, line->text, length);
	} else if (r->continues) {
		r->waiting = true;
		hand_on(buffer, " -", 2);
	} else {
		hand_on_key_only(r, line, buffer);
	}
}

/* inih did not call take_value(): the line has no `=` before a comment. */
static void
check_taken(struct reader *r)
{
	if (!r->waiting)
		return;
	r->waiting = false;
	report(r, "expected `KEY = VALUE` or `[SECTION]`");
}

/* For inih: fgets with our eyes on it. */
static char *
take_line(char *buffer, int size_bytes, void *context)
{
	struct reader *r = context;
	size_t size_max = CONFIG_LINE_BYTES_MAX - 1;
	struct line line;

	assert(size_bytes > CONFIG_SECTION_BYTES_MAX + 3);
	if (size_max > (size_t)size_bytes - 2)
		size_max = (size_t)size_bytes - 2;
	check_taken(r);
	if (r->next == r->end)
		return NULL;
	line = next_line(r);
	hand_on(buffer, "", 0);
	r->refused = has_control(r, &line);
	if (line.indent == line.length)
		return buffer;
	if (line.text[line.indent] == ';' || line.text[line.indent] == '#')
		return buffer;
	if (line.indent > 0 && !r->has_key)
		report(r, "a key or section must begin in the first column; an"
		    " indented line continues the value above it");
	else if (line.text[0] == '[')
		take_section(r, &line, buffer);
	else
		take_text(r, &line, size_max, buffer);
	return buffer;
}

/* For inih: a value, or more of the last one. */
static int
take_value(void *context, const char *section, const char *key,
    const char *text)
{
	struct reader *r = context;
	const struct config_piece piece = {
		.line = r->line,
		.key = r->continues ? NULL : key,
		.text = r->refused ? "" : text,
		.continues = r->continues,
		.commented = r->commented,
		.refused = r->refused,
	};

	(void)section;
	assert(r->waiting);
	r->waiting = false;
	if (!r->continues && *key == '\0') {
		r->has_key = false;
		report(r, "there is no key before the `=`");
		return 1;
	}
	r->has_key = true;
	r->sink->piece(r->sink->context, &piece);
	return 1;
}

int
config_reader_run(const char *text, size_t size_bytes,
    const struct config_sink *sink)
{
	struct reader r = {
		.sink = sink,
		.next = text,
		.end = text + size_bytes,
	};

	if (size_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.next += 3;
	return ini_parse_stream(take_line, &r, take_value, &r) == -2 ?
	    -ENOMEM : 0;
}
