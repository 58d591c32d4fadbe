/*
 * An HTTP/1.1 response, read as it arrives.  The head is collected until it
 * is whole and parsed once; of the body only the beginning is kept.
 */
#include "loadgen_response.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The value of a header if the line is that header. */
static const char *
header_value(const char *line, const char *name)
{
	size_t length = strlen(name);

	if (strncasecmp(line, name, length) != 0 || line[length] != ':')
		return NULL;
	return line + length + 1 + strspn(line + length + 1, " \t");
}

static int
parse_length(const char *text, uint64_t *ret_length)
{
	unsigned long long length;
	char *end;

	errno = 0;
	length = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\r' || errno != 0)
		return -EINVAL;
	*ret_length = length;
	return 0;
}

static int
parse_header(struct response *response, const char *line)
{
	const char *value;

	value = header_value(line, "content-length");
	if (value != NULL) {
		response->has_length = true;
		return parse_length(value, &response->length_bytes);
	}
	value = header_value(line, "connection");
	if (value != NULL && strncasecmp(value, "close", 5) == 0)
		response->close = true;
	if (header_value(line, "transfer-encoding") != NULL)
		return -EINVAL;
	return 0;
}

static int
parse_head(struct response *response)
{
	const char *line = response->head;

	if (strncmp(line, "HTTP/1.", 7) != 0 ||
	    !isdigit((unsigned char)line[7]) || line[8] != ' ')
		return -EINVAL;
	response->status = atoi(line + 9);
	response->close = line[7] == '0';
	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (parse_header(response, line) != 0)
			return -EINVAL;
	}
	return 0;
}

/* Takes bytes up to the end of the head; returns how many. */
static size_t
take_head(struct response *response, const char *bytes, size_t size)
{
	size_t room = sizeof(response->head) - 1 - response->head_size;
	size_t before = response->head_size, taken = size;
	const char *end;

	if (taken > room)
		taken = room;
	memcpy(response->head + before, bytes, taken);
	response->head_size += taken;
	response->head[response->head_size] = '\0';
	end = memmem(response->head, response->head_size, "\r\n\r\n", 4);
	if (end == NULL) {
		if (taken < size)
			response->state = RESPONSE_BAD;
		return taken;
	}
	response->head_size = (size_t)(end - response->head) + 4;
	response->head[response->head_size] = '\0';
	response->state = parse_head(response) == 0 ?
	    RESPONSE_BODY : RESPONSE_BAD;
	return response->head_size - before;
}

static void
take_body(struct response *response, const char *bytes, size_t size)
{
	size_t room = RESPONSE_BODY_BYTES_KEPT - response->body_size;
	size_t kept = size < room ? size : room;

	memcpy(response->body + response->body_size, bytes, kept);
	response->body_size += kept;
	response->body[response->body_size] = '\0';
	response->body_bytes += size;
	if (!response->has_length)
		return;
	if (response->body_bytes == response->length_bytes)
		response->state = RESPONSE_DONE;
	if (response->body_bytes > response->length_bytes)
		response->state = RESPONSE_BAD;
}

void
response_begin(struct response *response)
{
	/* Not all of it: this runs once per request. */
	response->state = RESPONSE_HEAD;
	response->status = 0;
	response->close = response->has_length = false;
	response->length_bytes = response->body_bytes = 0;
	response->head_size = response->body_size = 0;
	response->body[0] = '\0';
}

enum response_state
response_feed(struct response *response, const char *bytes, size_t size_bytes)
{
	size_t taken = 0;

	if (response->state == RESPONSE_DONE && size_bytes > 0)
		response->state = RESPONSE_BAD;
	if (response->state == RESPONSE_HEAD)
		taken = take_head(response, bytes, size_bytes);
	if (response->state == RESPONSE_BODY)
		take_body(response, bytes + taken, size_bytes - taken);
	return response->state;
}

enum response_state
response_end(struct response *response)
{
	if (response->state == RESPONSE_BODY && !response->has_length)
		response->state = RESPONSE_DONE;
	return response->state;
}

bool
response_begun(const struct response *response)
{
	return response->head_size > 0;
}
