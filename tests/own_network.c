/*
 * A network namespace of a test's own.
 */
#include "own_network.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool
own_network_raise(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		close(fd);
	return done;
}

bool
own_network_enter(void)
{
	if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0)
		return own_network_raise();
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	    own_network_raise();
}
