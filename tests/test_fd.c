/*
 * Regions of file descriptors, reading small files, and sending fds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"

static int
open_null(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
test_moves(void **state)
{
	int before = open_null(), fd = fd_to_source(before);

	(void)state;
	assert_in_range(fd, FD_SOURCE, FD_PRIVATE - 1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(before, F_GETFD), -1);
	assert_int_equal(fd_to_source(fd), fd);
	before = fd;
	fd = fd_to_private(fd);
	assert_true(fd >= FD_PRIVATE);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(before, F_GETFD), -1);
	assert_int_equal(fd_to_private(fd), fd);
	fd_clear(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fd_to_source(-ENOENT), -ENOENT);
	assert_int_equal(fd_to_private(-1), -1);
}

/* A full source region must not push a source into the private one. */
static void
test_full_region(void **state)
{
	int fd = open_null(), i;

	(void)state;
	for (i = FD_SOURCE; i < FD_PRIVATE; i++)
		assert_int_equal(dup3(fd, i, O_CLOEXEC), i);
	assert_int_equal(fd_to_source(fd), fd);
	assert_int_equal(fcntl(FD_PRIVATE, F_GETFD), -1);
	for (i = FD_SOURCE; i < FD_PRIVATE; i++)
		close(i);
	close(fd);
}

static void
test_no_room(void **state)
{
	struct rlimit before, low;
	int fd = open_null();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = FD_SOURCE;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(fd_to_source(fd), fd);
	assert_int_equal(fd_to_private(fd), fd);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
}

static void
test_close_keeps_errno(void **state)
{
	(void)state;
	errno = EPROTO;
	fd_close(-1);
	fd_close(99999);
	assert_int_equal(errno, EPROTO);
}

static void
test_read_file(void **state)
{
	char path[] = "/tmp/supd-test-XXXXXX", bytes[16];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
	assert_int_equal(fd_read_file(AT_FDCWD, path, bytes, 16), 10);
	assert_memory_equal(bytes, "0123456789", 10);
	assert_int_equal(fd_read_file(AT_FDCWD, path, bytes, 4), 4);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, path, bytes, 16), -ENOENT);
	assert_int_equal(fd_read_file(AT_FDCWD, "/", bytes, 16), -EISDIR);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(fd_read_file(AT_FDCWD, path, bytes, 16), 0);
	assert_int_equal(unlink(path), 0);
}

/* Of the text no byte more; and fds that are the same files. */
static void
expect_message(int from, const char *text, const int *fds, unsigned fd_count)
{
	_Alignas(struct cmsghdr) char control[256];
	char bytes[16];
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control) };
	const struct cmsghdr *rights;
	struct stat sent, came;
	int got[2];

	assert_int_equal(recvmsg(from, &header, MSG_DONTWAIT), strlen(text));
	assert_memory_equal(bytes, text, strlen(text));
	rights = CMSG_FIRSTHDR(&header);
	assert_int_equal(rights != NULL, fd_count > 0);
	if (rights == NULL)
		return;
	assert_int_equal(rights->cmsg_len, CMSG_LEN(fd_count * sizeof(int)));
	memcpy(got, CMSG_DATA(rights), fd_count * sizeof(int));
	for (unsigned i = 0; i < fd_count; i++) {
		assert_int_equal(fstat(fds[i], &sent), 0);
		assert_int_equal(fstat(got[i], &came), 0);
		assert_int_equal(sent.st_ino, came.st_ino);
		close(got[i]);
	}
}

/* It never waits, and says that the peer has gone. */
static void
test_send(void **state)
{
	int ends[2], fds[2], error = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fd_send(ends[0], "none", NULL, 0), 0);
	assert_int_equal(fd_send(ends[0], "two", fds, 2), 0);
	expect_message(ends[1], "none", NULL, 0);
	expect_message(ends[1], "two", fds, 2);
	while (error == 0)
		error = fd_send(ends[0], "more", fds, 1);
	assert_int_equal(error, -EAGAIN);
	expect_message(ends[1], "more", fds, 1);
	close(ends[1]);                 /* with messages that nobody has read */
	assert_int_equal(fd_send(ends[0], "late", fds, 1), -ECONNRESET);
	assert_int_equal(fd_send(ends[0], "late", fds, 1), -EPIPE);
	close(ends[0]);
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_full_region),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_close_keeps_errno),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_send),
	};
	struct rlimit limit;

	alarm(60);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
