/*
 * Whether the kernel hands over what waits in a shard that is closed.
 *
 * A setting of the network namespace, so of this machine or container.  It is
 * switched on where that is permitted, and left on: others may rely on it by
 * then.  It is read whenever it matters, as anybody may change it.
 */
#include "steer.h"

#include <fcntl.h>
#include <unistd.h>

#include "fd.h"
#include "listener_private.h"

static const char path[] = "/proc/sys/net/ipv4/tcp_migrate_req";

bool
listener_migrates(void)
{
	char value;

	return fd_read_file(AT_FDCWD, path, &value, 1) == 1 && value != '0';
}

void
lanes_try_to_migrate(void)
{
	static bool tried;
	int fd;

	if (tried || listener_migrates())
		return;
	tried = true;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* What came of it, listener_migrates() says. */
	(void)!write(fd, "1", 1);
	fd_close(fd);
}
