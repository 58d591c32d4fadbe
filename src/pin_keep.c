/*
 * What outlives supd of a pinned release: its two fds, by a number that is never
 * used again.
 */
#include "pin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry.h"
#include "fd.h"
#include "pin_parts.h"

static uint32_t number_last;

static void
carry_name(const struct release *release, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "r%" PRIu32,
	    release->pin_number);
}

void
pin_keep(struct release *release)
{
	int fds[] = { release->executable_fd, release->directory_fd };
	char name[CARRY_NAME_BYTES_MAX + 1];

	assert(fds[0] >= 0 && fds[1] >= 0);
	if (release->pin_number == 0)
		release->pin_number = ++number_last;
	carry_name(release, name);
	carry_put(name, fds, 2, true);
}

void
pin_forget(const struct release *release)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	carry_name(release, name);
	carry_drop(name);
}

void
pin_close(struct release *release)
{
	pin_forget(release);
	fd_clear(&release->executable_fd);
	fd_clear(&release->directory_fd);
}

static void
take_fds(struct release *release)
{
	char name[CARRY_NAME_BYTES_MAX + 1];
	struct stat status;
	int fd, *place;

	carry_name(release, name);
	while ((fd = carry_take(name)) >= 0) {
		place = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ?
		    &release->directory_fd : &release->executable_fd;
		fd_close(*place);
		*place = fd_to_source(fd);
	}
}

/* What is there now by the same name; only if it is the same build. */
static int
open_again(struct release *release)
{
	release->executable_fd = fd_to_source(open(release->path,
	    O_PATH | O_NOFOLLOW | O_CLOEXEC));
	release->directory_fd = fd_to_source(open(release->directory,
	    O_PATH | O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY));
	if (release->executable_fd < 0 || release->directory_fd < 0)
		return -errno;
	return pin_check(release);
}

int
pin_restore(struct release *release, uint32_t number, char *ret_text)
{
	int error = 0;

	release->pin_number = number;
	if (number > number_last)
		number_last = number;
	take_fds(release);
	if (release->executable_fd < 0 || release->directory_fd < 0) {
		pin_close(release);
		error = open_again(release);
	}
	if (error == 0) {
		pin_keep(release);
		return 0;
	}
	pin_close(release);
	(void)snprintf(ret_text, REASON_BYTES_MAX, "its file is not there any "
	    "more as it was: %s", strerror(-error));
	return -1;
}
