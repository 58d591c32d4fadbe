/*
 * What a resume could not take over.
 *
 * Most likely it was not to be had at this moment (no memory, no fds).  So as
 * long as somebody else has all of it he tries: the supd before an upgrade, or
 * the one that the parent starts.  What that one does not get is lost: to go on
 * with the rest is better then than to try for ever.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crash.h"
#include "live_parts.h"
#include "log.h"
#include "parent.h"

void
live_lose(struct live *live, const char *what)
{
	live->lost = what;
}

void
live_leave_if_lost(const struct live *live)
{
	char why[64];

	if (live->lost == NULL)
		return;
	(void)snprintf(why, sizeof(why), "%s was not taken over", live->lost);
	crash_return(why);
	if (live->carried.cause == CARRY_PARENT || !parent_is_there())
		return;
	log_error("%s; left to the parent, which starts another supd", why);
	exit(EXIT_FAILURE);
}
