/*
 * The reserve is of open fds: a number that is only left free would be taken by
 * the next worker that wants one.  What they are open on does not matter.
 */
#include "ctlsock_reserve.h"

#include <fcntl.h>

#include "fd.h"

static struct {
	int fds[CTLSOCK_RESERVE_MAX];
	int count;
} reserve;

void
ctlsock_reserve_fill(void)
{
	int fd;

	while (reserve.count < CTLSOCK_RESERVE_MAX) {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		reserve.fds[reserve.count++] = fd_to_private(fd);
	}
}

bool
ctlsock_reserve_give(void)
{
	if (reserve.count == 0)
		return false;
	fd_close(reserve.fds[--reserve.count]);
	return true;
}

void
ctlsock_reserve_release(void)
{
	while (ctlsock_reserve_give())
		continue;
}
