/*
 * runtime_dir, should somebody remove it while supd runs: for an ordinary user
 * the end of his last session does, or who tidies /tmp up.
 *
 * Nothing tells of that.  It is looked for when a worker cannot be started, which
 * has its notify socket there, and at SIGHUP, since supctl(1) finds nobody then.
 */
#include "live_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctlsock.h"
#include "fd.h"
#include "log.h"

static void
make_path(const struct live *live, const char *name, char ret_path[PATH_MAX])
{
	(void)snprintf(ret_path, PATH_MAX, "%s/%s", live->places.runtime_dir,
	    name);
}

static int
make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static bool
is_locked(const struct live *live, const char *path)
{
	struct stat there, ours;

	return stat(path, &there) == 0 && fstat(live->lock_fd, &ours) == 0 &&
	    there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

/* Another supd may have been started there meanwhile. */
static int
lock_again(struct live *live)
{
	char path[PATH_MAX];
	int fd, error;

	make_path(live, "supd.lock", path);
	if (is_locked(live, path))
		return 0;
	fd = fd_to_private(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error = -errno;
		fd_close(fd);
		return error;
	}
	fd_close(live->lock_fd);
	live->lock_fd = fd;
	carry_put("supd-lock", &fd, 1, false);
	return 0;
}

static int
make_again(struct live *live, const char *notify_dir)
{
	int error = make_directory(live->places.runtime_dir);

	if (error == 0)
		error = lock_again(live);
	if (error == 0)
		error = make_directory(notify_dir);
	return error == 0 ? ctlsock_restore() : error;
}

bool
live_restore_places(struct live *live)
{
	char notify_dir[PATH_MAX];
	int error;

	make_path(live, "notify", notify_dir);
	if (access(notify_dir, F_OK) == 0 && ctlsock_is_there())
		return false;
	error = make_again(live, notify_dir);
	if (error < 0)
		log_error("runtime_dir %s was removed, and cannot be made "
		    "anew: %s; workers may fail to start, and supctl does not "
		    "find this supd", live->places.runtime_dir,
		    error == -EWOULDBLOCK ? "another supd runs there" :
		    strerror(-error));
	else
		log_warning("runtime_dir %s was removed, and is made anew; "
		    "workers from before cannot be heard any more, and have to "
		    "be replaced (supctl restart)", live->places.runtime_dir);
	return error == 0;
}
