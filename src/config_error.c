/*
 * The list of errors of one reading: bounded, owned by the caller, printed in
 * the order of the files.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_build.h"

void
config_errors_vadd(struct config_errors *errors, struct config_place place,
    const char *format, va_list arguments)
{
	struct config_error *error = &errors->list[errors->count];
	char text[2 * REASON_BYTES_MAX];

	if (errors->count == CONFIG_ERRORS_MAX) {
		errors->dropped++;
		return;
	}
	(void)vsnprintf(text, sizeof(text), format, arguments);
	*error = (struct config_error){
		.file = strdup(place.file),
		.line = place.line,
		.text = strdup(text),
	};
	if (error->file == NULL || error->text == NULL) {
		free(error->file);
		free(error->text);
		errors->dropped++;
		return;
	}
	errors->count++;
}

void
config_errors_add(struct config_errors *errors, struct config_place place,
    const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	config_errors_vadd(errors, place, format, arguments);
	va_end(arguments);
}

void
config_errors_release(struct config_errors *errors)
{
	for (size_t i = 0; i < errors->count; i++) {
		free(errors->list[i].file);
		free(errors->list[i].text);
	}
	errors->count = 0;
	errors->dropped = 0;
}

void
config_errors_print(const struct config_errors *errors, FILE *stream)
{
	for (size_t i = 0; i < errors->count; i++) {
		const struct config_error *error = &errors->list[i];

		if (error->line == 0)
			(void)fprintf(stream, "%s: %s\n", error->file,
			    error->text);
		else
			(void)fprintf(stream, "%s:%u: %s\n", error->file,
			    error->line, error->text);
	}
	if (errors->dropped > 0)
		(void)fprintf(stream, "%zu further errors are not shown\n",
		    errors->dropped);
}
