/*
 * Making a release from what is on disk.
 *
 * A release is filled in place and thrown away as a whole if anything fails.
 * Paths are resolved first and then opened by what they resolved to, so that
 * the path and the fd agree; when all is read, everything is resolved and
 * looked at once more, and a build that was being installed meanwhile (a
 * symlink moved between two look-ups, a file was still being written) is
 * refused instead of being pinned half old, half new.

 */
#include "pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "label.h"
#include "pin_parts.h"

static int __attribute__((format(printf, 3, 4)))
refuse(int error, char *ret_text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_text, REASON_BYTES_MAX, format, arguments);
	va_end(arguments);
	return error;
}

/* Resolves a path and opens what it resolved to.  0 or -errno. */
static int
open_place(const char *path, int flags, char **ret_path, int *ret_fd)
{
	char *resolved = realpath(path, NULL);
	int fd;

	if (resolved == NULL)
		return -errno;
	fd = open(resolved, O_PATH | O_NOFOLLOW | O_CLOEXEC | flags);
	if (fd < 0) {
		free(resolved);
		return -errno;
	}
	*ret_path = resolved;
	*ret_fd = fd_to_source(fd);
	return 0;
}

static void
take_status(const struct stat *status, struct identity *identity)
{
	identity->device = status->st_dev;
	identity->inode = status->st_ino;
	identity->size_bytes = (uint64_t)status->st_size;
	identity->mtime_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 +
	    status->st_mtim.tv_nsec;
}

static bool
status_matches(const struct stat *status, const struct identity *identity)
{
	struct identity now = *identity;

	take_status(status, &now);
	return identity_equal(&now, identity);
}

/* The command's path, absolute but not yet resolved.  0 or -errno. */
static int
locate(const struct release *release, char *const *environment, char **ret_path)
{
	const char *command = release->spec->argv[0];

	if (strchr(command, '/') == NULL)
		return pin_search(environment, command, ret_path);
	if (asprintf(ret_path, "%s%s%s",
	    *command == '/' ? "" : release->directory,
	    *command == '/' ? "" : "/", command) < 0)
		return -ENOMEM;
	return 0;
}

static int
pin_directory(struct release *release, char *ret_text)
{
	const char *path = release->spec->working_directory;
	int error;

	error = open_place(path, O_DIRECTORY, &release->directory,
	    &release->directory_fd);
	if (error < 0)
		return refuse(error, ret_text, "working_directory %s: %s", path,
		    strerror(-error));
	return 0;
}

static int
check_executable(const struct release *release, const struct stat *status,
    char *ret_text)
{
	if (!S_ISREG(status->st_mode))
		return refuse(-EACCES, ret_text, "command %s is %s, it must be "
		    "an executable file", release->path,
		    S_ISDIR(status->st_mode) ? "a directory" :
		    "not a regular file");
	if ((status->st_mode & 0111) == 0)
		return refuse(-EACCES, ret_text, "command %s has no execute "
		    "permission, its mode is %04o", release->path,
		    status->st_mode & 07777);
	if (faccessat(AT_FDCWD, release->path, X_OK, AT_EACCESS) < 0)
		return refuse(-errno, ret_text, "command %s may not be "
		    "executed by supd: %s", release->path, strerror(errno));
	return 0;
}

static int
changed(const struct release *release, char *ret_text)
{
	return refuse(-ESTALE, ret_text,
	    "command %s changed while it was being pinned; try again when it "
	    "is installed", release->path);
}

/*
 * Reads what kind of file it is.  One that may be executed but not read is
 * executed by its fd: an interpreter could not read it either.
 */
static int
identify(struct release *release, char *ret_text)
{
	struct stat status;
	int error = 0, fd;

	if (fstat(release->executable_fd, &status) < 0)
		return refuse(-errno, ret_text, "command %s: %s",
		    release->path, strerror(errno));
	error = check_executable(release, &status, ret_text);
	if (error < 0)
		return error;
	take_status(&status, &release->identity);
	fd = open(release->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	release->script = !pin_elf_read(fd, &release->identity);
	if (fstat(fd, &status) < 0 ||
	    !status_matches(&status, &release->identity))
		error = changed(release, ret_text);
	fd_close(fd);
	return error;
}

static int
pin_executable(struct release *release, char *const *environment,
    char *ret_text)
{
	const char *command = release->spec->argv[0];
	char *path;
	int error;

	error = locate(release, environment, &path);
	if (error == -ENOENT)
		return refuse(error, ret_text,
		    "command %s is not in any directory of PATH", command);
	if (error == 0) {
		error = open_place(path, 0, &release->path,
		    &release->executable_fd);
		free(path);
	}
	if (error < 0)
		return refuse(error, ret_text, "command %s: %s", command,
		    strerror(-error));
	return identify(release, ret_text);
}

/* True if a path still leads to the file that the fd is. */
static bool
leads_to(const char *path, const char *resolved, int fd)
{
	char *again = realpath(path, NULL);
	struct stat by_path, by_fd;
	bool same;

	same = again != NULL && strcmp(again, resolved) == 0 &&
	    stat(again, &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
	    by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
	free(again);
	return same;
}

/* The second look; see the essay. */
static int
check_settled(const struct release *release, char *ret_text)
{
	char *path;
	bool settled;

	if (locate(release, release->environment, &path) < 0)
		return changed(release, ret_text);
	settled = leads_to(path, release->path, release->executable_fd);
	free(path);
	if (!settled || pin_check(release) < 0)
		return changed(release, ret_text);
	if (!leads_to(release->spec->working_directory, release->directory,
	    release->directory_fd))
		return refuse(-ESTALE, ret_text, "working_directory %s changed "
		    "while it was being pinned; try again when it is installed",
		    release->spec->working_directory);
	return 0;
}

static int
read_version(struct release *release, char *ret_text)
{
	const char *path = release->spec->version_file;
	char text[LABEL_BYTES_MAX + 1];
	const char *why;
	long count;

	if (path == NULL)
		return 0;
	count = fd_read_file(release->directory_fd, path, text,
	    sizeof(text) - 1);
	if (count < 0)
		return refuse((int)count, ret_text, "version file %s: %s", path,
		    strerror((int)-count));
	text[count] = '\0';
	why = label_parse(text, release->version, &release->commit_time_s);
	if (why != NULL)
		return refuse(-EINVAL, ret_text, "version file %s: %s", path,
		    why);
	return 0;
}

static int
check_fits(const struct spec *spec, char *ret_text)
{
	size_t listener_count = pin_list_length(spec->listeners);

	if (pin_list_length(spec->argv) > ARGV_MAX)
		return refuse(-E2BIG, ret_text,
		    "command has more than %d words", ARGV_MAX);
	if (listener_count > LISTENERS_MAX)
		return refuse(-E2BIG, ret_text,
		    "there are more than %d listeners", LISTENERS_MAX);
	if (spec->ready != READY_FD)
		return 0;
	if (spec->ready_fd == 0 || (spec->ready_fd >= 3 &&
	    spec->ready_fd < 3 + listener_count))
		return refuse(-EINVAL, ret_text, "ready: fd %u is taken by %s, "
		    "fd %zu and above are free", spec->ready_fd,
		    spec->ready_fd == 0 ? "standard input" : "a listener",
		    3 + listener_count);
	return 0;
}

static int
fill(struct release *release, char *ret_text)
{
	struct account account;
	uint64_t hash = RELEASE_HASH_START;
	int error;

	error = check_fits(release->spec, ret_text);
	if (error == 0)
		error = pin_directory(release, ret_text);
	if (error == 0)
		error = pin_account_find(release->spec, &account, ret_text);
	if (error < 0)
		return error;
	release->environment = pin_environment_make(release, &account, &hash,
	    ret_text);
	release->credentials = account.credentials;
	account.credentials.groups = NULL;
	pin_account_release(&account);
	if (release->environment == NULL)
		return -EINVAL;
	error = pin_executable(release, release->environment, ret_text);
	if (error == 0)
		error = read_version(release, ret_text);
	if (error == 0)
		error = check_settled(release, ret_text);
	if (error < 0)
		return error;
	error = pin_fingerprint(release, hash);
	if (error < 0)
		return refuse(error, ret_text, "working_directory %s: %s",
		    release->directory, strerror(-error));
	return 0;
}

static struct release *
new_release(struct spec *spec, char *ret_text)
{
	struct release *release = calloc(1, sizeof(*release));

	if (release == NULL) {
		snprintf(ret_text, REASON_BYTES_MAX, "out of memory");
		return NULL;
	}
	release->executable_fd = release->directory_fd = -1;
	release->spec = spec_ref(spec);
	return release;
}

/* Everything but the spec. */
static void
clear(struct release *release)
{
	fd_clear(&release->executable_fd);
	fd_clear(&release->directory_fd);
	free(release->path);
	free(release->directory);
	free(release->credentials.groups);
	pin_environment_free(release->environment);
}

struct release *
pin_release(struct spec *spec, char *ret_text)
{
	struct release *release = new_release(spec, ret_text);

	if (release == NULL)
		return NULL;
	if (fill(release, ret_text) < 0) {
		pin_release_free(release);
		return NULL;
	}
	pin_keep(release);
	return release;
}

/* The copies of what a release owns; -ENOMEM, -EMFILE … */
static int
copy_owned(const struct release *from, struct release *to)
{
	size_t groups_bytes = from->credentials.group_count * sizeof(gid_t);

	to->path = strdup(from->path);
	to->directory = strdup(from->directory);
	to->environment = pin_environment_copy(from->environment);
	to->credentials = from->credentials;
	to->credentials.groups = malloc(groups_bytes + 1);
	if (to->path == NULL || to->directory == NULL ||
	    to->environment == NULL || to->credentials.groups == NULL)
		return -ENOMEM;
	if (groups_bytes > 0)
		memcpy(to->credentials.groups, from->credentials.groups,
		    groups_bytes);
	to->executable_fd = fd_to_source(fcntl(from->executable_fd,
	    F_DUPFD_CLOEXEC, 3));
	to->directory_fd = fd_to_source(fcntl(from->directory_fd,
	    F_DUPFD_CLOEXEC, 3));
	return to->executable_fd < 0 || to->directory_fd < 0 ? -errno : 0;
}

struct release *
pin_clone(const struct release *release, char *ret_text)
{
	struct release *clone = new_release(release->spec, ret_text);
	int error;

	if (clone == NULL)
		return NULL;
	memcpy(clone->version, release->version, sizeof(clone->version));
	clone->commit_time_s = release->commit_time_s;
	clone->script = release->script;
	clone->identity = release->identity;
	clone->fingerprint = release->fingerprint;
	error = copy_owned(release, clone);
	if (error < 0) {
		snprintf(ret_text, REASON_BYTES_MAX, "cannot copy revision %u: "
		    "%s", release->revision, strerror(-error));
		pin_release_free(clone);
		return NULL;
	}
	pin_keep(clone);
	return clone;
}

void
pin_release_free(struct release *release)
{
	if (release == NULL)
		return;
	pin_forget(release);
	clear(release);
	spec_unref(release->spec);
	free(release);
}

int
pin_check(const struct release *release)
{
	struct stat status;

	if (fstat(release->executable_fd, &status) < 0)
		return -errno;
	if (!status_matches(&status, &release->identity))
		return -ESTALE;
	if (!release->script)
		return 0;
	if (stat(release->path, &status) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	return status_matches(&status, &release->identity) ? 0 : -ESTALE;
}

int
pin_look(const struct spec *spec, struct identity *ret_identity)
{
	struct release look = { .executable_fd = -1, .directory_fd = -1 };
	static const struct account nobody;
	struct spec copy = *spec;
	uint64_t hash = RELEASE_HASH_START;
	char text[REASON_BYTES_MAX];
	int error;

	look.spec = &copy;
	error = pin_directory(&look, text);
	if (error == 0) {
		look.environment = pin_environment_make(&look, &nobody, &hash,
		    text);
		error = look.environment == NULL ? -EINVAL :
		    pin_executable(&look, look.environment, text);
	}
	if (error == 0)
		*ret_identity = look.identity;
	clear(&look);
	return error;
}
