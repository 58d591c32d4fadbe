/*
 * Where file descriptors live, and the few things that are done to all alike.
 *
 * A spawn copies supd's fd table up to FD_PRIVATE only.  So what no worker is
 * started from has to be moved above that line as soon as it is made, and the
 * numbers that a worker's listeners take have to be left alone.  Both are a
 * matter of speed: spawn works with any numbers, which is why a move that
 * finds no room is no error.  Owns no state.
 */
#include "fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"

/* Moves fd to the lowest free number from `first` on, below `limit`. */
static int
move(int fd, int first, int limit)
{
	int moved;

	if (fd < 0 || (fd >= first && fd < limit))
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, first);
	if (moved >= limit) {
		fd_close(moved);
		return fd;
	}
	if (moved < 0)
		return fd;
	fd_close(fd);
	return moved;
}

int
fd_to_source(int fd)
{
	return move(fd, FD_SOURCE, FD_PRIVATE);
}

int
fd_to_private(int fd)
{
	return move(fd, FD_PRIVATE, INT_MAX);
}

void
fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		(void)close(fd);        /* Linux frees the number in any case */
	errno = saved;
}

void
fd_clear(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

int
fd_send(int socket_fd, const char *text, const int *fds, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control = { .bytes = { 0 } };
	size_t fds_bytes = fd_count * sizeof(int);
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	ssize_t count;

	assert(fd_count <= NOTIFY_FDS_MAX);
	if (fd_count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fds_bytes);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fds_bytes);
		memcpy(CMSG_DATA(rights), fds, fds_bytes);
	}
	do {
		count = sendmsg(socket_fd, &header, MSG_DONTWAIT |
		    MSG_NOSIGNAL);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : 0;
}

long
fd_read_file(int directory_fd, const char *path, char *ret_bytes,
    unsigned long size_bytes)
{
	unsigned long done = 0;
	ssize_t count = 0;
	int error = 0, fd;

	/* Not to wait for ever should the path name a fifo. */
	fd = openat(directory_fd, path,
	    O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	while (done < size_bytes && error == 0) {
		count = read(fd, ret_bytes + done, size_bytes - done);
		if (count == 0)
			break;
		if (count > 0)
			done += (unsigned long)count;
		else if (errno != EINTR)
			error = -errno;
	}
	fd_close(fd);
	return error ? error : (long)done;
}
