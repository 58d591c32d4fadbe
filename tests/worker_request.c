/*
 * A request as it came from the socket: found by its empty line, then looked
 * at once, line by line.
 */
#include "worker_request.h"

#include <string.h>

#define HEALTH_PATH "/healthz"

static bool
begins_with(const char *line, size_t size, const char *text)
{
	return size >= strlen(text) &&
	    strncasecmp(line, text, strlen(text)) == 0;
}

/* METHOD PATH HTTP/1.1, in this many bytes. */
static void
read_request_line(const char *line, size_t size, struct request *request)
{
	const char *path = memchr(line, ' ', size);
	size_t path_size;

	request->last = size < 8 || memcmp(line + size - 8, "HTTP/1.1", 8) != 0;
	if (path == NULL)
		return;
	path++;
	path_size = size - (size_t)(path - line);
	request->health = path_size > strlen(HEALTH_PATH) &&
	    memcmp(path, HEALTH_PATH, strlen(HEALTH_PATH)) == 0 &&
	    strchr(" ?", path[strlen(HEALTH_PATH)]) != NULL;
}

static void
read_header(const char *line, size_t size, struct request *request)
{
	static const char name[] = "user-agent:";
	size_t blanks;

	if (begins_with(line, size, "connection: close") ||
	    begins_with(line, size, "content-length:") ||
	    begins_with(line, size, "transfer-encoding:"))
		request->last = true;
	if (!begins_with(line, size, name))
		return;
	line += strlen(name);
	blanks = strspn(line, " \t");   /* at least the line's end is none */
	request->probe = begins_with(line + blanks,
	    size - strlen(name) - blanks, "supprobe/");
}

bool
request_parse(const char *bytes, size_t size_bytes,
    struct request *ret_request)
{
	const char *end = memmem(bytes, size_bytes, "\r\n\r\n", 4), *line, *next;

	*ret_request = (struct request){ .last = false };
	if (end == NULL)
		return false;
	ret_request->size_bytes = (size_t)(end - bytes) + 4;
	next = memmem(bytes, ret_request->size_bytes, "\r\n", 2);
	read_request_line(bytes, (size_t)(next - bytes), ret_request);
	for (line = next + 2; line < end + 2; line = next + 2) {
		next = memmem(line, (size_t)(end + 4 - line), "\r\n", 2);
		read_header(line, (size_t)(next - line), ret_request);
	}
	return true;
}
