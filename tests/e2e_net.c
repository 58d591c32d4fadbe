/*
 * A network namespace for one test; see e2e.h.
 *
 * The test process itself enters it, so that whatever it starts from then on
 * is in there, and so is what it asks by itself.  root comes back; anyone else
 * needs a user namespace for it, from which there is no way back, and goes on
 * from one network to the next.
 */
#include "e2e.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own_network.h"

static int outside = -1;

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* With the right to make a network, and the same ids as before. */
static bool
enter_user_namespace(void)
{
	unsigned uid = geteuid(), gid = getegid();
	char map[64];

	if (uid == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", map);
	return true;
}

bool
net_enter(bool migrates)
{
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(before >= 0);
	if (unshare(CLONE_NEWNET) != 0 && !enter_user_namespace()) {
		close(before);
		return false;
	}
	if (outside < 0)
		outside = before;
	else
		close(before);
	assert_true(own_network_raise());
	write_file("/proc/sys/net/ipv4/tcp_migrate_req", migrates ? "1" : "0");
	return true;
}

void
net_leave(void)
{
	if (outside < 0)
		return;
	if (setns(outside, CLONE_NEWNET) != 0)
		assert_int_equal(errno, EPERM);
	close(outside);
	outside = -1;
}

bool
net_is_own(void)
{
	return outside >= 0;
}

unsigned
net_sysctl(const char *name)
{
	char path[128], text[32] = "";
	ssize_t size;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	size = read(fd, text, sizeof(text) - 1);
	assert_true(size > 0);
	close(fd);
	return (unsigned)strtoul(text, NULL, 10);
}
