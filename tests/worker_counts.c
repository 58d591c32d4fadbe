/*
 * The counts of a worker in a file.  It is made under another name and renamed,
 * so that whoever finds it finds it whole.
 */
#include "worker_counts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUFFIX_BYTES_MAX = 32 };

void
worker_counts_add(uint64_t *number)
{
	__atomic_fetch_add(number, 1, __ATOMIC_RELAXED);
}

static struct worker_counts *
map(int fd, int protection)
{
	void *address = mmap(NULL, sizeof(struct worker_counts), protection,
	    MAP_SHARED, fd, 0);

	return address == MAP_FAILED ? NULL : address;
}

struct worker_counts *
worker_counts_map(const char *path, const char *version)
{
	char name[PATH_MAX], fresh[PATH_MAX + SUFFIX_BYTES_MAX];
	struct worker_counts *counts = NULL;
	int fd;

	if (snprintf(name, sizeof(name), "%s.%d", path, (int)getpid()) >=
	    (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(*counts)) == 0)
		counts = map(fd, PROT_READ | PROT_WRITE);
	close(fd);
	if (counts == NULL)
		return NULL;
	snprintf(counts->version, sizeof(counts->version), "%s", version);
	counts->pid = getpid();
	return rename(fresh, name) == 0 ? counts : NULL;
}

int
worker_counts_read(const char *path, struct worker_counts *ret_counts)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	struct worker_counts *counts;
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0)
		error = -errno;
	else if (status.st_size != sizeof(*counts))
		error = -EINVAL;
	counts = error == 0 ? map(fd, PROT_READ) : NULL;
	if (error == 0 && counts == NULL)
		error = -errno;
	close(fd);
	if (error != 0)
		return error;
	*ret_counts = *counts;
	munmap(counts, sizeof(*counts));
	return 0;
}
