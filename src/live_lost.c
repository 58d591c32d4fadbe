/*
 * What a resume could not take over.
 *
 * Most likely it was not to be had at this moment (no memory, no fds).  So as
 * long as somebody else has all of it he tries: the supd before an upgrade, or
 * another one after a pause (failed_start.h).  What the second one does not get
 * is lost: to go on with the rest is better than to try for ever.  That it is the
 * second one, a file in runtime_dir says: the parent's store may be full.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "carry.h"
#include "crash.h"
#include "failed_start.h"
#include "fd.h"
#include "live_parts.h"
#include "log.h"
#include "parent.h"

static void
mark_path(const struct live *live, char ret_path[PATH_MAX])
{
	(void)snprintf(ret_path, PATH_MAX, "%s/supd.tried",
	    live->places.runtime_dir);
}

/* False: there would be one after the other. */
static bool
put_mark(const struct live *live)
{
	char path[PATH_MAX];
	int fd;

	mark_path(live, path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	fd_close(fd);
	return fd >= 0;
}

static bool
take_mark(const struct live *live)
{
	char path[PATH_MAX];

	mark_path(live, path);
	return unlink(path) == 0;
}

void
live_lose(struct live *live, const char *what)
{
	live->lost = what;
}

void
live_leave_if_lost(const struct live *live)
{
	static bool was_tried;
	bool marked = take_mark(live);
	char why[64];

	was_tried = was_tried || marked;
	if (live->lost == NULL || was_tried)
		return;
	was_tried = true;
	(void)snprintf(why, sizeof(why), "%s was not taken over", live->lost);
	crash_return(why);
	if ((!parent_is_there() && !carry_is_whole()) || !put_mark(live))
		return;
	log_error("%s; left to another supd", why);
	failed_start(why, EXIT_FAILURE);
}
