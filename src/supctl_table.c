/*
 * Aligned columns for people.
 *
 * Cells are collected first, since a column is as wide as its widest cell.  A
 * column in which nothing stands is left out, which keeps the usual case (no
 * versions, no build-ids) narrow; nothing is padded at the end of a line.
 */
#include "supctl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 16, COLUMN_GAP = 2 };

struct cell {
	char *text;
	enum style style;
};

struct table {
	const char *const *headings;
	size_t column_count;
	struct cell *cells;     /* row by row */
	size_t cell_count, capacity;
};

struct table *
table_new(const char *const *headings, size_t column_count)
{
	struct table *t = draw_memory(calloc(1, sizeof(*t)));

	assert(column_count <= COLUMNS_MAX);
	t->headings = headings;
	t->column_count = column_count;
	return t;
}

void
table_cell(struct table *t, enum style style, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (t->cell_count == t->capacity) {
		t->capacity = t->capacity * 2 + 64;
		t->cells = draw_memory(reallocarray(t->cells, t->capacity,
		    sizeof(*t->cells)));
	}
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	draw_memory(text);
	t->cells[t->cell_count].text = text;
	t->cells[t->cell_count].style = style;
	t->cell_count++;
}

static uint32_t
columns_of(const char *text)
{
	uint32_t count = 0;
	char bytes[5];

	for (size_t n; (n = draw_clean(text, bytes)) > 0; text += n)
		count++;
	return count;
}

/* Width of each column; 0 if nothing stands in it. */
static void
measure(const struct table *t, uint32_t ret_widths[COLUMNS_MAX])
{
	for (size_t c = 0; c < t->column_count; c++)
		ret_widths[c] = 0;
	for (size_t i = 0; i < t->cell_count; i++) {
		uint32_t width = columns_of(t->cells[i].text);
		uint32_t *widest = &ret_widths[i % t->column_count];

		if (width > *widest)
			*widest = width;
	}
	for (size_t c = 0; c < t->column_count; c++) {
		uint32_t width = columns_of(t->headings[c]);

		if (ret_widths[c] > 0 && ret_widths[c] < width)
			ret_widths[c] = width;
	}
}

static void
print_row(const struct table *t, const struct cell *row,
    const uint32_t widths[COLUMNS_MAX], struct draw *d, uint32_t indent)
{
	uint32_t blanks = indent;

	for (size_t c = 0; c < t->column_count; c++) {
		const char *text = row ? row[c].text : t->headings[c];
		uint32_t width = columns_of(text);

		if (widths[c] == 0)
			continue;
		if (width > 0) {
			draw_format(d, STYLE_PLAIN, "%*s", (int)blanks, "");
			draw_text(d, row ? row[c].style : STYLE_DIM, text);
			blanks = 0;
		}
		blanks += widths[c] - width + COLUMN_GAP;
	}
	draw_end(d);
}

void
table_print(struct table *t, struct draw *d, uint32_t indent)
{
	uint32_t widths[COLUMNS_MAX];

	assert(t->cell_count % t->column_count == 0);
	measure(t, widths);
	print_row(t, NULL, widths, d, indent);
	for (size_t i = 0; i < t->cell_count; i += t->column_count)
		print_row(t, &t->cells[i], widths, d, indent);
	for (size_t i = 0; i < t->cell_count; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}
