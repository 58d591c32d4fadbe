/*
 * What a resume could not take over.
 *
 * Most likely it was not to be had at this moment (no memory, no fds).  So as
 * long as somebody else has all of it he tries: the supd before an upgrade, or
 * the one that the parent starts next.  What the parent's second one does not
 * get is lost: to go on with the rest is better than to try for ever.  That it
 * is the second one, a mark in the parent's store says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "crash.h"
#include "fd.h"
#include "live_parts.h"
#include "log.h"
#include "parent.h"

#define PARENT_PATIENCE_MS UINT64_C(500)

static const char mark_name[] = "supd-tried";

void
live_lose(struct live *live, const char *what)
{
	live->lost = what;
}

/* False if the parent would start one after the other. */
static bool
put_mark(void)
{
	int fd = fd_to_private(memfd_create(mark_name, MFD_CLOEXEC));

	if (fd < 0)
		return false;
	carry_put(mark_name, &fd, 1, true);
	return parent_flush(PARENT_PATIENCE_MS);
}

void
live_leave_if_lost(const struct live *live)
{
	static bool was_tried;
	char why[64];
	int mark = carry_take(mark_name);

	was_tried = was_tried || mark >= 0;
	fd_close(mark);
	if (live->lost == NULL || was_tried)
		return;
	was_tried = true;
	(void)snprintf(why, sizeof(why), "%s was not taken over", live->lost);
	crash_return(why);
	if (!parent_is_there() ||
	    (live->carried.cause == CARRY_PARENT && !put_mark()))
		return;
	log_error("%s; left to the parent, which starts another supd", why);
	exit(EXIT_FAILURE);
}
