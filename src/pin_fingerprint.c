/*
 * Telling releases apart: one number for all that a release is made of.
 *
 * It covers what a worker can tell from its start: identity and path of the
 * executable (a program may look for its files beside itself, so the same file
 * under another name is another release), path and inode of the working
 * directory (an interpreter's program lies there), argv, credentials,
 * listeners, readiness, watchdog, and of the environment what the configuration
 * says.  Not the version label, and not the directory's mtime: workers may
 * write there.
 */
#include "pin_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t
hash_number(uint64_t hash, uint64_t number)
{
	return release_hash(hash, &number, sizeof(number));
}

static uint64_t
hash_text(uint64_t hash, const char *text)
{
	return release_hash(hash, text, strlen(text) + 1);
}

static uint64_t
hash_list(uint64_t hash, char *const *list)
{
	size_t count = pin_list_length(list), i;

	for (i = 0; i < count; i++)
		hash = hash_text(hash, list[i]);
	return hash_number(hash, count);
}

static uint64_t
hash_identity(uint64_t hash, const struct identity *identity)
{
	hash = hash_number(hash, identity->device);
	hash = hash_number(hash, identity->inode);
	hash = hash_number(hash, identity->size_bytes);
	hash = hash_number(hash, (uint64_t)identity->mtime_ns);
	return release_hash(hash, identity->build_id, identity->build_id_bytes);
}

static uint64_t
hash_credentials(uint64_t hash, const struct credentials *credentials)
{
	size_t i;

	hash = hash_number(hash, credentials->uid);
	hash = hash_number(hash, credentials->gid);
	for (i = 0; i < credentials->group_count; i++)
		hash = hash_number(hash, credentials->groups[i]);
	return hash;
}

size_t
pin_list_length(char *const *list)
{
	size_t count = 0;

	while (list != NULL && list[count] != NULL)
		count++;
	return count;
}

int
pin_fingerprint(struct release *release, uint64_t hash)
{
	const struct spec *spec = release->spec;
	struct stat directory;

	if (fstat(release->directory_fd, &directory) < 0)
		return -errno;
	hash = hash_identity(hash, &release->identity);
	hash = hash_text(hash, release->path);
	hash = hash_text(hash, release->directory);
	hash = hash_number(hash, directory.st_dev);
	hash = hash_number(hash, directory.st_ino);
	hash = hash_list(hash, spec->argv + 1);
	hash = hash_credentials(hash, &release->credentials);
	hash = hash_list(hash, spec->listeners);
	hash = hash_number(hash, spec->ready);
	hash = hash_number(hash, spec->ready_fd);
	hash = hash_number(hash, spec->ready_alive_ms);
	release->fingerprint = hash_number(hash, spec->watchdog_ms);
	return 0;
}
