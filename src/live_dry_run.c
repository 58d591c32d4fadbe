/*
 * The dry run before an upgrade: this supd is a process that another one has
 * started, and reads what that one would leave to it (live_resume_text()).
 */
#include "live_resume.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live_parts.h"
#include "state.h"

/* Prints a line; 1: it could not. */
static int
check_texts(const char *text, size_t size_bytes)
{
	char why[REASON_BYTES_MAX] = "it was not handed over whole";
	size_t state_bytes, world_bytes;
	const char *body = memchr(text, '\n', size_bytes);
	struct places places = { 0 };
	struct state_image *image;
	json_t *world;
	int result;

	if (body == NULL || sscanf(text, "supd-resume %zu %zu", &state_bytes,
	    &world_bytes) != 2 || state_bytes > size_bytes ||
	    (size_t)(++body - text) + state_bytes + world_bytes != size_bytes) {
		(void)printf("%s\n", why);
		return 1;
	}
	image = state_read(body, state_bytes, why);
	world = image != NULL ? live_parse_world(body + state_bytes, world_bytes,
	    why) : NULL;
	if (world != NULL && live_read_places(&places, world))
		(void)printf("supd-resume: supd %s can go on from supd %s\n",
		    PACKAGE_VERSION, state_image_supd(image));
	else
		(void)printf("%s\n", world == NULL ? why :
		    "it does not say where supd's files are");
	result = places.runtime_dir != NULL ? 0 : 1;
	live_free_places(&places);
	json_decref(world);
	state_image_free(image);
	return result;
}

int
live_resume_check(int fd)
{
	off_t size_bytes = lseek(fd, 0, SEEK_END);
	char *text = size_bytes >= 0 ? malloc((size_t)size_bytes + 1) : NULL;
	int result = 1;

	if (text == NULL ||
	    pread(fd, text, (size_t)size_bytes, 0) != size_bytes) {
		(void)printf("cannot read what is on file descriptor %d: %s\n",
		    fd, strerror(errno));
	} else {
		text[size_bytes] = '\0';
		result = check_texts(text, (size_t)size_bytes);
	}
	free(text);
	return result;
}
