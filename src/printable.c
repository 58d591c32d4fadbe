/*
 * From bytes that anybody may have written to text that can be shown.  Pure.
 */
#include "printable.h"

#include <stdint.h>
#include <string.h>

/*
 * The length of the character that starts at `bytes`, 0 if it is none that may
 * be shown: not the shortest form, a surrogate, past U+10FFFF, or a control.
 */
static size_t
printable_length(const unsigned char *bytes, size_t count)
{
	static const uint32_t smallest[] = { 0, 0x20, 0xa0, 0x800, 0x10000 };
	size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xc0 ? 0 :
	    bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : bytes[0] < 0xf8 ? 4 : 0;
	uint32_t character;
	size_t i;

	if (length == 0 || length > count)
		return 0;
	character = length == 1 ? bytes[0] : bytes[0] & (0x7fU >> length);
	for (i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (bytes[i] & 0x3f);
	}
	if (character < smallest[length] || character == 0x7f ||
	    character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	return length;
}

size_t
printable_copy(char *ret_text, size_t size, const void *bytes, size_t count,
    const char *kept)
{
	const unsigned char *from = bytes, *end = from + count;
	size_t to = 0, length;

	while (from < end) {
		length = printable_length(from, (size_t)(end - from));
		if (to + (length ? length : 1) >= size)
			break;
		if (length > 0) {
			memcpy(ret_text + to, from, length);
		} else {
			length = 1;
			ret_text[to] = *from != '\0' &&
			    strchr(kept, *from) != NULL ? (char)*from : '?';
		}
		to += length;
		from += length;
	}
	ret_text[to] = '\0';
	return to;
}
