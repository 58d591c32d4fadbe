/*
 * The first page says where the text begins; it is written in one piece, and
 * that is the moment when a new text takes the place of the old one.  A new text
 * goes before the old one if there is room, else behind it, and the old one's
 * memory is given back.  What is not text is zero, and so a text ends.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

enum { PAGE_BYTES = 4096 };

/* A text may be so long; what is longer is no journal of ours. */
#define TEXT_BYTES_MAX ((off_t)1 << 30)

struct head {
	char magic[16];
	uint64_t start_bytes;
};

static const char magic[16] = "supd-journal 1\n";

static int
write_at(int fd, const void *bytes, size_t size_bytes, off_t offset_bytes)
{
	const char *from = bytes;
	ssize_t count;

	while (size_bytes > 0) {
		count = pwrite(fd, from, size_bytes, offset_bytes);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -ENOSPC;
		from += count;
		size_bytes -= (size_t)count;
		offset_bytes += count;
	}
	return 0;
}

static int
write_head(struct journal *j, off_t start_bytes)
{
	struct head head = { .start_bytes = (uint64_t)start_bytes };

	memcpy(head.magic, magic, sizeof(magic));
	return write_at(j->fd, &head, sizeof(head), 0);
}

int
journal_open(struct journal *j, const char *name)
{
	int error;

	*j = (struct journal){ .start_bytes = PAGE_BYTES,
		.end_bytes = PAGE_BYTES };
	j->fd = fd_to_private(memfd_create(name, MFD_CLOEXEC));
	if (j->fd < 0)
		return -errno;
	error = write_head(j, PAGE_BYTES);
	if (error < 0)
		journal_close(j);
	return error;
}

/* Where the zeros begin. */
static off_t
find_end(int fd, off_t start_bytes, off_t size_bytes)
{
	char *text, *end;
	off_t length = size_bytes - start_bytes;

	if (length <= 0)
		return start_bytes;
	text = mmap(NULL, (size_t)size_bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	end = memchr(text + start_bytes, '\0', (size_t)length);
	if (end != NULL)
		length = end - (text + start_bytes);
	(void)munmap(text, (size_t)size_bytes);
	return start_bytes + length;
}

int
journal_adopt(struct journal *j, int fd)
{
	struct stat status;
	struct head head;
	off_t start_bytes, end_bytes;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > TEXT_BYTES_MAX ||
	    pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head.magic, magic, sizeof(magic)) != 0 ||
	    head.start_bytes < PAGE_BYTES ||
	    head.start_bytes > (uint64_t)TEXT_BYTES_MAX)
		return -EBADMSG;
	start_bytes = (off_t)head.start_bytes;
	end_bytes = find_end(fd, start_bytes, status.st_size);
	if (end_bytes < 0)
		return (int)end_bytes;
	*j = (struct journal){ .fd = fd, .start_bytes = start_bytes,
		.end_bytes = end_bytes };
	return 0;
}

void
journal_close(struct journal *j)
{
	fd_clear(&j->fd);
}

int
journal_append(struct journal *j, const char *bytes, size_t size_bytes)
{
	int error = write_at(j->fd, bytes, size_bytes, j->end_bytes);

	if (error < 0)
		return error;
	j->end_bytes += (off_t)size_bytes;
	return 0;
}

static off_t
to_page(off_t bytes)
{
	return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

static int
clear(int fd, off_t start_bytes, off_t end_bytes)
{
	if (start_bytes < end_bytes && fallocate(fd, FALLOC_FL_PUNCH_HOLE |
	    FALLOC_FL_KEEP_SIZE, start_bytes, end_bytes - start_bytes) < 0)
		return -errno;
	return 0;
}

/* All but this text; at worst memory is given back next time. */
static void
clear_others(const struct journal *j)
{
	(void)clear(j->fd, PAGE_BYTES, j->start_bytes);
	(void)clear(j->fd, to_page(j->end_bytes + 1), TEXT_BYTES_MAX);
}

int
journal_replace(struct journal *j, const char *bytes, size_t size_bytes)
{
	off_t start_bytes = PAGE_BYTES, size = (off_t)size_bytes;
	int error;

	clear_others(j);        /* half a text that failed, or half of a turn */
	/* A zero has to be left between the two. */
	if (start_bytes + size >= j->start_bytes)
		start_bytes = to_page(j->end_bytes + 1);
	error = write_at(j->fd, bytes, size_bytes, start_bytes);
	if (error == 0)
		error = write_head(j, start_bytes);
	if (error < 0)
		return error;
	j->start_bytes = start_bytes;
	j->end_bytes = start_bytes + size;
	clear_others(j);
	return 0;
}

/* A part of it could be taken for an older one, which it is not. */
char *
journal_read(const struct journal *j, size_t *ret_size_bytes)
{
	size_t size_bytes = (size_t)(j->end_bytes - j->start_bytes), done = 0;
	char *text = malloc(size_bytes + 1);
	ssize_t count;

	if (text == NULL)
		return NULL;
	while (done < size_bytes) {
		count = pread(j->fd, text + done, size_bytes - done,
		    j->start_bytes + (off_t)done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			free(text);
			return NULL;
		}
		done += (size_t)count;
	}
	text[done] = '\0';
	*ret_size_bytes = done;
	return text;
}
