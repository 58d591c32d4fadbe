/*
 * The configuration on disk: where it is, and reading it.
 *
 * A file is read whole, up to a bound, and only if it is a regular file, so
 * that a FIFO or a device in its place cannot hang supd.  This is the only
 * part of the configuration that does I/O or asks who runs it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_build.h"

enum { DEFAULT_PATH_BYTES = 4096 };

/*
 * `variable`/suffix if it is set to an absolute path (others are to be
 * ignored, says the XDG specification), else HOME/fallback/suffix.
 */
static bool
home_path(char *ret_path, const char *variable, const char *fallback,
    const char *suffix)
{
	const char *base = getenv(variable);
	const char *home = getenv("HOME");
	int length = -1;

	if (base != NULL && base[0] == '/')
		length = snprintf(ret_path, DEFAULT_PATH_BYTES, "%s/%s", base,
		    suffix);
	else if (fallback != NULL && home != NULL && home[0] == '/')
		length = snprintf(ret_path, DEFAULT_PATH_BYTES, "%s/%s/%s",
		    home, fallback, suffix);
	return length > 0 && length < DEFAULT_PATH_BYTES;
}

/* Reads up to size_bytes.  Their number, or -errno. */
static ssize_t
read_all(int fd, char *ret_bytes, size_t size_bytes)
{
	size_t used = 0;

	while (used < size_bytes) {
		ssize_t got = read(fd, ret_bytes + used, size_bytes - used);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		if (got > 0)
			used += (size_t)got;
	}
	return (ssize_t)used;
}

static void
read_open_file(struct config_build *b, const char *path, int fd)
{
	struct config_place place = { path, 0 };
	struct stat status;
	char *bytes;
	ssize_t size;

	if (fstat(fd, &status) < 0) {
		config_build_error(b, place, "cannot be examined: %s",
		    strerror(errno));
		return;
	}
	if (!S_ISREG(status.st_mode)) {
		config_build_error(b, place, "is not a regular file");
		return;
	}
	if (status.st_size > CONFIG_FILE_BYTES_MAX) {
		config_build_error(b, place, "must have at most %d bytes",
		    CONFIG_FILE_BYTES_MAX);
		return;
	}
	bytes = malloc(CONFIG_FILE_BYTES_MAX + 1);
	if (bytes == NULL) {
		b->out_of_memory = true;
		return;
	}
	size = read_all(fd, bytes, CONFIG_FILE_BYTES_MAX + 1);
	if (size < 0)
		config_build_error(b, place, "cannot be read: %s",
		    strerror((int)-size));
	else if (size > CONFIG_FILE_BYTES_MAX)
		config_build_error(b, place, "must have at most %d bytes",
		    CONFIG_FILE_BYTES_MAX);
	else
		config_build_file(b, path, bytes, (size_t)size);
	free(bytes);
}

static void
read_file(struct config_build *b, const char *path)
{
	/* O_NONBLOCK: the open of a FIFO must not wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		config_build_error(b, (struct config_place){ path, 0 },
		    "cannot be opened: %s", strerror(errno));
		return;
	}
	read_open_file(b, path, fd);
	close(fd);
}

static int
is_config_name(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	    strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* Not alphasort: the order must not depend on the locale. */
static int
compare_names(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

static void
read_directory(struct config_build *b, const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_config_name,
	    compare_names);

	if (count < 0 && errno == ENOMEM)
		b->out_of_memory = true;
	else if (count < 0 && errno != ENOENT)
		config_build_error(b, (struct config_place){ directory, 0 },
		    "cannot be read: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		char *path;

		if (b->file_count < CONFIG_FILES_MAX &&
		    asprintf(&path, "%s/%s", directory,
		    entries[i]->d_name) >= 0) {
			read_file(b, path);
			free(path);
		} else if (b->file_count < CONFIG_FILES_MAX) {
			b->out_of_memory = true;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (count >= CONFIG_FILES_MAX)
		config_build_error(b, (struct config_place){ directory, 0 },
		    "must have fewer than %d files", CONFIG_FILES_MAX);
}

/* conf.d beside the file. */
static void
read_fragments(struct config_build *b, const char *path)
{
	const char *slash = strrchr(path, '/');
	int length = slash != NULL ? (int)(slash - path) + 1 : 0;
	char *directory;

	if (asprintf(&directory, "%.*sconf.d", length, path) < 0) {
		b->out_of_memory = true;
		return;
	}
	read_directory(b, directory);
	free(directory);
}

struct config *
config_read(const char *path, struct config_errors *ret_errors)
{
	struct config_build *b;

	if (path == NULL)
		path = config_default_path();
	b = config_build_new(ret_errors);
	if (b == NULL)
		return NULL;
	read_file(b, path);
	read_fragments(b, path);
	return config_build_end(b);
}

const char *
config_default_path(void)
{
	static char path[DEFAULT_PATH_BYTES];

	if (geteuid() == 0 || !home_path(path, "XDG_CONFIG_HOME", ".config",
	    "supd/supd.conf"))
		return "/etc/supd/supd.conf";
	return path;
}

const char *
config_default_runtime_dir(void)
{
	static char path[DEFAULT_PATH_BYTES];

	if (geteuid() == 0)
		return "/run/supd";
	if (!home_path(path, "XDG_RUNTIME_DIR", NULL, "supd"))
		(void)snprintf(path, sizeof(path), "/tmp/supd-%u", geteuid());
	return path;
}

const char *
config_default_state_dir(void)
{
	static char path[DEFAULT_PATH_BYTES];

	if (geteuid() == 0 || !home_path(path, "XDG_STATE_HOME",
	    ".local/state", "supd"))
		return "/var/lib/supd";
	return path;
}
