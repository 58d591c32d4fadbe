/*
 * The scratch directory of the tests of pin and spawn; see the header.
 */
#include "spawn_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pin.h"

#define PATH_BYTES 512

static char scratch[PATH_BYTES / 2];

static int
remove_entry(const char *path, const struct stat *status, int type,
    struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

int
fixture_set_up(void **state)
{
	char *resolved;

	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/supd-test-XXXXXX");
	if (mkdtemp(scratch) == NULL || chmod(scratch, 0755) < 0)
		return -1;
	resolved = realpath(scratch, NULL);
	if (resolved == NULL)
		return -1;
	snprintf(scratch, sizeof(scratch), "%s", resolved);
	free(resolved);
	return 0;
}

int
fixture_tear_down(void **state)
{
	(void)state;
	return nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
fixture_directory(void)
{
	return scratch;
}

const char *
fixture_path(const char *name)
{
	static char paths[8][PATH_BYTES];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, PATH_BYTES, "%s/%s", scratch, name);
	return path;
}

const char *
fixture_program(const char *name)
{
	static char path[PATH_BYTES];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 64);

	assert_true(length > 0);
	path[length] = '\0';
	snprintf(strrchr(path, '/') + 1, 64, "%s", name);
	return path;
}

void
fixture_install(const char *from, const char *name)
{
	const char *fresh = fixture_path("install.tmp");
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat status;
	off_t done = 0;

	assert_true(in >= 0 && out >= 0 && fstat(in, &status) == 0);
	while (done < status.st_size)
		assert_true(sendfile(out, in, &done,
		    (size_t)(status.st_size - done)) > 0);
	assert_int_equal(fchmod(out, 0755), 0);
	close(in);
	close(out);
	assert_int_equal(rename(fresh, fixture_path(name)), 0);
}

void
fixture_write(const char *name, const char *text, mode_t mode)
{
	int fd = open(fixture_path(name),
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

struct spec
fixture_spec(char **argv)
{
	struct spec spec = {
		.reference_count = 1,
		.name = "web",
		.argv = argv,
		.working_directory = scratch,
		.workers = 1,
	};

	return spec;
}

struct release *
fixture_pin(struct spec *spec)
{
	char text[REASON_BYTES_MAX] = "";
	struct release *release = pin_release(spec, text);

	if (release == NULL)
		fail_msg("%s", text);
	return release;
}

unsigned
fixture_fd_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}
