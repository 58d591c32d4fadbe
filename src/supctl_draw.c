/*
 * What is written for people: colour where it is wanted, units they read, and
 * no byte that could drive their terminal.
 *
 * Every text passes through draw_clean() on its way out.  A worker chooses its
 * STATUS=, a deployment its version: neither may move a cursor, ring a bell or
 * turn the direction of writing.  Lines can be cut at the terminal's width, so
 * that a picture that is painted over keeps its height.  One character is
 * taken as one column.
 */
#include "supctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const escapes[] = {
	[STYLE_PLAIN] = "",
	[STYLE_BOLD] = "\033[1m",
	[STYLE_DIM] = "\033[2m",
	[STYLE_GOOD] = "\033[32m",
	[STYLE_WARNING] = "\033[33m",
	[STYLE_BAD] = "\033[31m",
};

/* The first error of standard output; stdio forgets which it was. */
static int output_error;

static void
note_error(const FILE *out)
{
	if (out == stdout && output_error == 0)
		output_error = errno;
}

void
draw_raw(FILE *out, const char *text)
{
	if (fputs(text, out) == EOF)
		note_error(out);
}

int
draw_flush(void)
{
	if (fflush(stdout) == EOF)
		note_error(stdout);
	return output_error;
}

void *
draw_memory(void *pointer)
{
	if (pointer == NULL) {
		fputs("supctl: out of memory\n", stderr);
		exit(SUPCTL_FAILED);
	}
	return pointer;
}

void
draw_init(struct draw *d, FILE *out)
{
	const char *term = getenv("TERM");
	const char *no_colour = getenv("NO_COLOR");

	memset(d, 0, sizeof(*d));
	d->out = out;
	d->terminal = isatty(fileno(out)) && term != NULL && term[0] != '\0' &&
	    strcmp(term, "dumb") != 0;
	d->colour = d->terminal && (no_colour == NULL || no_colour[0] == '\0');
}

void
draw_fit(struct draw *d)
{
	struct winsize size;

	if (!d->terminal)
		return;
	d->width = 80;
	d->height = 24;
	if (ioctl(fileno(d->out), TIOCGWINSZ, &size) == 0 &&
	    size.ws_col > 0 && size.ws_row > 0) {
		d->width = size.ws_col;
		d->height = size.ws_row;
	}
}

/* Length of the UTF-8 sequence at `text` and its code point; 0: it is none. */
static size_t
decode(const unsigned char *text, uint32_t *ret_code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t size_bytes;

	if (text[0] >= 0xf0 && text[0] < 0xf5)
		size_bytes = 4;
	else if (text[0] >= 0xe0 && text[0] < 0xf0)
		size_bytes = 3;
	else if (text[0] >= 0xc2 && text[0] < 0xe0)
		size_bytes = 2;
	else
		return 0;
	code = text[0] & (0x7fu >> size_bytes);
	for (size_t i = 1; i < size_bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (code < least[size_bytes] || code > 0x10ffff)
		return 0;
	*ret_code = code;
	return size_bytes;
}

/* Controls, marks without width, and what turns the direction of writing. */
static bool
is_deceptive(uint32_t code)
{
	return code < 0xa0 || code == 0xad || code == 0x61c ||
	    (code >= 0x200b && code <= 0x200f) ||
	    (code >= 0x2028 && code <= 0x202e) ||
	    (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
	    (code >= 0xd800 && code <= 0xdfff) || code >= 0xe0000;
}

size_t
draw_clean(const char *text, char ret_bytes[5])
{
	unsigned char first = (unsigned char)text[0];
	uint32_t code = 0;
	size_t size_bytes;

	memcpy(ret_bytes, "?", 2);
	if (first == '\0')
		return 0;
	if (first < 0x80) {
		if (first >= 0x20 && first != 0x7f)
			ret_bytes[0] = text[0];
		else if (first == '\t')
			ret_bytes[0] = ' ';
		return 1;
	}
	size_bytes = decode((const unsigned char *)text, &code);
	if (size_bytes == 0)
		return 1;
	if (!is_deceptive(code)) {
		memcpy(ret_bytes, text, size_bytes);
		ret_bytes[size_bytes] = '\0';
	}
	return size_bytes;
}

/* The last line of a picture is left to the cursor. */
static bool
is_beyond(const struct draw *d)
{
	return d->height > 1 && d->line_count >= d->height - 1;
}

void
draw_text(struct draw *d, enum style style, const char *text)
{
	bool coloured = d->colour && style != STYLE_PLAIN && text[0] != '\0';
	char bytes[5];

	if (is_beyond(d))
		return;
	if (coloured)
		draw_raw(d->out, escapes[style]);
	for (size_t n; (n = draw_clean(text, bytes)) > 0; text += n) {
		if (d->width > 0 && d->column >= d->width)
			break;
		draw_raw(d->out, bytes);
		d->column++;
	}
	if (coloured)
		draw_raw(d->out, "\033[0m");
}

static void
draw_arguments(struct draw *d, enum style style, const char *format,
    va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	draw_memory(text);
	draw_text(d, style, text);
	free(text);
}

void
draw_format(struct draw *d, enum style style, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	draw_arguments(d, style, format, arguments);
	va_end(arguments);
}

void
draw_end(struct draw *d)
{
	if (is_beyond(d))
		return;
	/* What the line before left there is wiped out.  The cursor of a full
	 * line stands on its last character, which is to stay. */
	draw_raw(d->out, d->redraws && d->column < d->width ? "\033[K\n" :
	    "\n");
	d->column = 0;
	d->line_count++;
}

void
draw_line(struct draw *d, enum style style, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	draw_arguments(d, style, format, arguments);
	va_end(arguments);
	draw_end(d);
}

struct unit
draw_duration(uint64_t ms)
{
	static const struct {
		uint64_t large_s, small_s;
		char large, small;
	} scales[] = {
		{ 60, 1, 'm', 's' },
		{ 3600, 60, 'h', 'm' },
		{ 86400, 3600, 'd', 'h' },
	};
	uint64_t s = ms / 1000;
	struct unit unit;
	size_t i = 0;

	if (ms < 1000) {
		snprintf(unit.text, sizeof(unit.text), "%" PRIu64 " ms", ms);
		return unit;
	}
	if (s < 60) {
		snprintf(unit.text, sizeof(unit.text),
		    "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
		return unit;
	}
	while (i < 2 && s >= scales[i + 1].large_s)
		i++;
	snprintf(unit.text, sizeof(unit.text), "%" PRIu64 "%c%" PRIu64 "%c",
	    s / scales[i].large_s, scales[i].large,
	    s % scales[i].large_s / scales[i].small_s, scales[i].small);
	return unit;
}

struct unit
draw_bytes(uint64_t size_bytes)
{
	static const char prefixes[] = "BKMGTP";
	double size = (double)size_bytes;
	struct unit unit;
	size_t i = 0;

	while (size >= 1024 && i < sizeof(prefixes) - 2) {
		size /= 1024;
		i++;
	}
	snprintf(unit.text, sizeof(unit.text), "%.*f%c",
	    i > 0 && size < 9.95 ? 1 : 0, size, prefixes[i]);
	return unit;
}

struct unit
draw_age(int64_t time_s)
{
	int64_t age_s = (int64_t)time(NULL) - time_s;
	struct unit unit;

	if (age_s < 0)
		age_s = 0;      /* clocks step; that helps nobody */
	if (age_s >= 60)
		return draw_duration((uint64_t)age_s * 1000);
	snprintf(unit.text, sizeof(unit.text), "%" PRId64 "s", age_s);
	return unit;
}

struct unit
draw_time(int64_t time_s)
{
	time_t seconds = (time_t)time_s;
	struct unit unit;
	struct tm tm;

	if (localtime_r(&seconds, &tm) == NULL ||
	    strftime(unit.text, sizeof(unit.text), "%Y-%m-%d %H:%M:%S",
	    &tm) == 0)
		snprintf(unit.text, sizeof(unit.text), "@%" PRId64, time_s);
	return unit;
}

struct unit
draw_percent(uint64_t permille)
{
	struct unit unit;

	if (permille % 10 == 0)
		snprintf(unit.text, sizeof(unit.text), "%" PRIu64 "%%",
		    permille / 10);
	else
		snprintf(unit.text, sizeof(unit.text),
		    "%" PRIu64 ".%" PRIu64 "%%", permille / 10, permille % 10);
	return unit;
}
