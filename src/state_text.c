/*
 * Bytes as JSON strings: as text where they are UTF-8, else in hexadecimal.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "state_field.h"

static const char digits[] = "0123456789abcdef";

json_t *
state_hex(const void *from, size_t size_bytes)
{
	const uint8_t *bytes = from;
	char *text = malloc(2 * size_bytes + 1);
	json_t *value = NULL;

	if (text == NULL)
		return NULL;
	for (size_t i = 0; i < size_bytes; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	value = json_stringn_nocheck(text, 2 * size_bytes);
	free(text);
	return value;
}

static int
digit(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Half as many bytes; false: it is not hex. */
bool
state_unhex(const json_t *value, void *ret_bytes)
{
	uint8_t *bytes = ret_bytes;
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);

	for (size_t i = 0; i < length / 2; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return length % 2 == 0;
}

json_t *
state_text(const char *bytes, size_t size_bytes)
{
	json_t *value = json_stringn(bytes, size_bytes);

	return value != NULL ? value :          /* not UTF-8 */
	    json_pack("{s:o}", "hex", state_hex(bytes, size_bytes));
}

char *
state_bytes(const json_t *value, size_t *ret_size_bytes)
{
	const json_t *other = json_object_get(value, "hex");
	size_t size_bytes = other != NULL ? json_string_length(other) / 2 :
	    json_string_length(value);
	char *bytes;

	if (!json_is_string(value) && !json_is_string(other))
		return NULL;
	bytes = malloc(size_bytes + 1);
	if (bytes == NULL)
		return NULL;
	bytes[size_bytes] = '\0';
	*ret_size_bytes = size_bytes;
	if (other == NULL) {
		memcpy(bytes, json_string_value(value), size_bytes);
	} else if (!state_unhex(other, bytes)) {
		free(bytes);
		return NULL;
	}
	return bytes;
}
