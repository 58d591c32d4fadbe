/*
 * supd-init: what the first process of a kernel has to do, before and after.
 */
#include "supd_init.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>

static const struct {
	const char *path, *type, *options;
	unsigned long flags;
} mounts[] = {
	{ "/proc", "proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/sys", "sysfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/sys/fs/cgroup", "cgroup2", "", MS_NOSUID | MS_NOEXEC },
	{ "/dev", "devtmpfs", "mode=755", MS_NOSUID },
	{ "/dev/pts", "devpts", "mode=620,ptmxmode=666", MS_NOSUID },
	{ "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV },
	{ "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV },
};

void
init_boot_mount(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const char *path = mounts[i].path, *type = mounts[i].type;
		struct statx here = { 0 };

		(void)mkdir(path, 0755);
		(void)statx(AT_FDCWD, path, 0, 0, &here);
		if ((here.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0 &&
		    mount(type, path, type, mounts[i].flags,
		    mounts[i].options) < 0)
			init_say("cannot mount %s: %m", path);
	}
}

bool
init_boot(void)
{
	bool is_first = getpid() == 1 && reboot(RB_DISABLE_CAD) == 0;
	const char *console = is_first ? "/dev/console" : "/dev/null";

	if (is_first)
		init_boot_mount();
	/* Each takes the lowest number; a directory does for one at least. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open(console, O_RDWR | O_NOCTTY) < 0)
			(void)open("/", O_RDONLY);
	if (is_first) {
		(void)!write(open("/sys/class/net/lo/flags", O_WRONLY), "1", 1);
		/* More than 10 messages may wait for us. */
		(void)!write(open("/proc/sys/net/unix/max_dgram_qlen",
		    O_WRONLY), "512", 3);
	}
	return is_first;
}

void
init_boot_end(bool reboots)
{
	sync();
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	(void)reboot(reboots ? RB_AUTOBOOT : RB_POWER_OFF);
	init_say("cannot %s: %m", reboots ? "reboot" : "power off");
}
