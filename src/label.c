/*
 * Two lines about a build: a label and a commit time.
 */
#include "label.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* +HH:MM, +HHMM, Z; 0 or -EINVAL. */
static int
parse_zone(const char *text, int64_t *ret_offset_s)
{
	int hours, minutes, used = 0;

	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_offset_s = 0;
		return 0;
	}
	if ((text[0] != '+' && text[0] != '-') ||
	    (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 &&
	    sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &used) != 2) ||
	    text[1 + used] != '\0' || hours < 0 || hours > 14 ||
	    minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_offset_s = (hours * 60 + minutes) * 60;
	if (text[0] == '-')
		*ret_offset_s = -*ret_offset_s;
	return 0;
}

int
label_parse_time(const char *text, int64_t *ret_time_s)
{
	struct tm tm = { .tm_isdst = -1 };
	int64_t time_s, offset_s;
	const char *rest;
	char *end;

	errno = 0;
	time_s = strtoll(text, &end, 10);
	if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0') {
		if (time_s <= 0)
			return -EINVAL;
		*ret_time_s = time_s;
		return 0;
	}
	rest = strptime(text, "%Y-%m-%d", &tm);
	if (rest != NULL && (*rest == 'T' || *rest == ' '))
		rest = strptime(rest + 1, "%H:%M:%S", &tm);
	if (rest == NULL)
		return -EINVAL;
	if (*rest == ' ')
		rest++;                 /* as in git's %ci */
	if (*rest == '\0')
		time_s = mktime(&tm);
	else if (parse_zone(rest, &offset_s) == 0)
		time_s = timegm(&tm) - offset_s;
	else
		return -EINVAL;
	if (time_s <= 0)
		return -EINVAL;
	*ret_time_s = time_s;
	return 0;
}

/* Copies a line without the blanks around it; its length, or SIZE_MAX if it is
 * too long. */
static size_t
take_line(const char *line, size_t length, char *ret_text, size_t size_bytes)
{
	while (length > 0 && strchr(" \t\r", line[0]) != NULL) {
		line++;
		length--;
	}
	while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL)
		length--;
	if (length >= size_bytes)
		return SIZE_MAX;
	memcpy(ret_text, line, length);
	ret_text[length] = '\0';
	return length;
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

const char *
label_parse(const char *text, char ret_version[VERSION_BYTES_MAX + 1],
    int64_t *ret_commit_time_s)
{
	size_t first = strcspn(text, "\n");
	const char *rest = text + first + (text[first] == '\n');
	char version[VERSION_BYTES_MAX + 1], when[64];
	size_t length = take_line(text, first, version, sizeof(version));
	int64_t commit_time_s = *ret_commit_time_s;

	_Static_assert(VERSION_BYTES_MAX == 64, "as the text says");
	if (length == 0 || length == SIZE_MAX)
		return "the first line must have 1 to 64 characters";
	if (!is_printable(version))
		return "the first line must be printable ASCII";
	length = take_line(rest, strcspn(rest, "\n"), when, sizeof(when));
	if (length != SIZE_MAX &&
	    label_parse_time(when, &commit_time_s) == 0)
		*ret_commit_time_s = commit_time_s;
	memcpy(ret_version, version, sizeof(version));
	return NULL;
}
