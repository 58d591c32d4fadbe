/*
 * What the first process of a kernel has to do, before and after.
 *
 * Whether supd-init is that, or the first of a container, cannot be seen from
 * its pid, and files and variables that tell can be missing or forged.  The
 * kernel says it: reboot(2) allows Ctrl-Alt-Del to be redirected in the initial
 * pid namespace only (EINVAL elsewhere; EPERM without CAP_SYS_BOOT, which the
 * first process has).  It is also what an init has to do first: from then on
 * the keys send it SIGINT instead of resetting the machine.
 */
#include "supd_init.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *path, *type, *options;
	unsigned long flags;
} mounts[] = {
	{ "/proc", "proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/sys", "sysfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/sys/fs/cgroup", "cgroup2", "", MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "/dev", "devtmpfs", "mode=755", MS_NOSUID },
	{ "/dev/pts", "devpts", "mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC },
	{ "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV },
	{ "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV },
};

static bool
is_mounted(const char *path)
{
	char parent[32];
	struct stat here, above;

	(void)stpcpy(stpcpy(parent, path), "/..");
	return stat(path, &here) == 0 && stat(parent, &above) == 0 &&
	    here.st_dev != above.st_dev;
}

void
init_boot_mount(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		(void)mkdir(mounts[i].path, 0755);
		if (!is_mounted(mounts[i].path) && mount(mounts[i].type,
		    mounts[i].path, mounts[i].type, mounts[i].flags,
		    mounts[i].options) < 0)
			init_say("cannot mount %s: %s", mounts[i].path,
			    strerror(errno));
	}
}

bool
init_boot(void)
{
	bool is_first = getpid() == 1 && reboot(RB_DISABLE_CAD) == 0;

	if (is_first)
		init_boot_mount();
	/* Each takes the lowest number; a directory does for one at least. */
	for (int fd = 0; fd < INIT_SIGNALS_FD; fd++)
		if (fcntl(fd, F_GETFD) < 0 && (!is_first ||
		    open("/dev/console", O_RDWR | O_NOCTTY) < 0) &&
		    open("/dev/null", O_RDWR) < 0)
			(void)open("/", O_RDONLY);
	if (getpid() != 1)
		(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	return is_first;
}

void
init_boot_end(bool reboots)
{
	sync();
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	(void)reboot(reboots ? RB_AUTOBOOT : RB_POWER_OFF);
	init_say("cannot %s: %s", reboots ? "reboot" : "power off",
	    strerror(errno));
}
