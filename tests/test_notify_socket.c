/*
 * The notify socket: that no file descriptor stays, whatever comes, but those that
 * are to be stored, and what a peek leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"
#include "notify.h"

static char socket_path[64];

static unsigned
fd_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static int
send_to(const char *text, size_t size_bytes, const int *fds, size_t count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = { (void *)(uintptr_t)text, size_bytes };
	struct msghdr header = { .msg_name = &address,
	    .msg_namelen = sizeof(address), .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	memset(&control, 0, sizeof(control));
	strcpy(address.sun_path, socket_path);
	if (count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	result = sendmsg(fd, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
	close(fd);
	return result;
}

static int
open_socket(void)
{
	int fd = notify_open(socket_path);

	assert_true(fd >= 0);
	return fd;
}

static void
test_open(void **state)
{
	struct stat status;
	char long_path[200];
	int fd = open_socket(), again;

	(void)state;
	assert_true(fd >= FD_PRIVATE);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(stat(socket_path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
	/* What a dead supd left is replaced. */
	again = open_socket();
	assert_int_equal(send_to("READY=1", 7, NULL, 0), 0);
	close(fd);
	close(again);
	memset(long_path, 'a', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(notify_open(long_path), -ENAMETOOLONG);
	assert_int_equal(notify_open("/does/not/exist"), -ENOENT);
}

static void
test_read(void **state)
{
	struct notify_message message;
	char text[REASON_BYTES_MAX];
	int fd = open_socket();
	unsigned count = fd_count();

	(void)state;
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_NONE);
	assert_int_equal(send_to("READY=1\nERRNO=x", 15, NULL, 0), 0);
	assert_int_equal(send_to("STOPPING=1", 10, NULL, 0), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_true(message.ready);
	assert_int_equal(message.sender, getpid());
	assert_int_equal(message.sender_uid, getuid());
	assert_non_null(strstr(text, "1 assignment"));
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_true(message.stopping);
	assert_string_equal(text, "");
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_NONE);
	assert_int_equal(fd_count(), count);
	close(fd);
}

/* A peek leaves the message, and of its fds nothing; a mark is the socket's. */
static void
test_peek_and_mark(void **state)
{
	static const int input = STDERR_FILENO;
	struct notify_message message;
	char text[REASON_BYTES_MAX];
	int fd = open_socket(), other;
	unsigned count = fd_count();

	(void)state;
	assert_false(notify_peek(fd, &message));
	assert_int_equal(send_to("READY=1\nFDSTORE=1", 17, &input, 1), 0);
	assert_true(notify_peek(fd, &message));
	assert_true(message.ready);
	assert_int_equal(message.sender, getpid());
	assert_int_equal(fd_count(), count);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_true(message.ready);
	assert_int_equal(message.fd_count, 1);
	close(message.fds[0]);
	assert_false(notify_peek(fd, &message));

	assert_false(notify_is_marked(fd));
	notify_mark(fd, true);
	notify_mark(fd, false);
	assert_false(notify_is_marked(fd));
	notify_mark(fd, true);
	other = dup(fd);
	close(fd);
	assert_true(notify_is_marked(other));
	close(other);
}

static void
test_barrier(void **state)
{
	struct notify_message message;
	char text[REASON_BYTES_MAX];
	int fd = open_socket(), ends[2];
	struct pollfd waiting;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	waiting = (struct pollfd){ .fd = ends[0], .events = 0 };
	assert_int_equal(send_to("BARRIER=1", 9, &ends[1], 1), 0);
	close(ends[1]);
	assert_int_equal(poll(&waiting, 1, 0), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_true(message.barrier);
	assert_int_equal(poll(&waiting, 1, 0), 1);
	assert_true(waiting.revents & POLLHUP);
	close(ends[0]);

	assert_int_equal(send_to("BARRIER=1", 9, NULL, 0), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_non_null(strstr(text, "BARRIER"));
	close(fd);
}

/* Every kind of message, with fds: none may stay. */
static void
test_fds_are_closed(void **state)
{
	static char long_text[NOTIFY_BYTES_MAX + 1];
	struct notify_message message = { .ready = false };
	char text[REASON_BYTES_MAX];
	int fd = open_socket(), fds[NOTIFY_FDS_MAX];
	unsigned count, i;

	(void)state;
	for (i = 0; i < NOTIFY_FDS_MAX; i++)
		fds[i] = STDERR_FILENO;
	count = fd_count();
	assert_int_equal(send_to("READY=1", 7, fds, NOTIFY_FDS_MAX), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_int_equal(message.fd_count, 0);
	assert_int_equal(fd_count(), count);
	assert_int_equal(send_to("BARRIER=1", 9, fds, 2), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_int_equal(fd_count(), count);
	memset(long_text, '\n', sizeof(long_text));
	memcpy(long_text, "READY=1", 7);
	assert_int_equal(send_to(long_text, sizeof(long_text), fds, 7), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_int_equal(fd_count(), count);
	assert_int_equal(send_to(long_text, sizeof(long_text) - 1, fds, 7), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_true(message.ready);
	assert_int_equal(fd_count(), count);
	close(fd);
}

/* Those that are to be stored are the reader's, unless the message is bad. */
static void
test_fds_to_store(void **state)
{
	static char long_text[NOTIFY_BYTES_MAX + 1] = "FDSTORE=1";
	struct notify_message message = { .ready = false };
	char text[REASON_BYTES_MAX];
	int fd = open_socket(), fds[NOTIFY_FDS_MAX];
	unsigned count, i;

	(void)state;
	for (i = 0; i < NOTIFY_FDS_MAX; i++)
		fds[i] = STDERR_FILENO;
	count = fd_count();
	assert_int_equal(send_to("FDSTORE=1", 9, fds, NOTIFY_FDS_MAX), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_int_equal(message.fd_count, NOTIFY_FDS_MAX);
	for (i = 0; i < message.fd_count; i++) {
		assert_true(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
		close(message.fds[i]);
	}
	assert_int_equal(fd_count(), count);
	assert_int_equal(send_to(long_text, sizeof(long_text), fds, 7), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_int_equal(send_to("BARRIER=1\nFDSTORE=1", 19, fds, 1), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_MESSAGE);
	assert_int_equal(message.fd_count, 0);
	assert_int_equal(fd_count(), count);
	close(fd);
}

/*
 * The table is full: the kernel gives what fits, and the message is refused.
 * valgrind only pretends to have set a limit.
 */
static void
test_full_table(void **state)
{
	struct notify_message message;
	char text[REASON_BYTES_MAX];
	const char *preload = getenv("LD_PRELOAD");
	int fd = open_socket(), fds[4] = { 0, 0, 0, 0 };
	struct rlimit before, low;
	unsigned count;

	(void)state;
	if (preload != NULL && strstr(preload, "vgpreload") != NULL)
		skip();
	assert_int_equal(send_to("READY=1", 7, fds, 4), 0);
	count = fd_count();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)dup(0) + 2;
	close((int)low.rlim_cur - 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_non_null(strstr(text, "file descriptors"));
	assert_int_equal(fd_count(), count);
	close(fd);
}

static void
test_without_credentials(void **state)
{
	struct notify_message message;
	char text[REASON_BYTES_MAX];
	int fd = open_socket(), off = 0;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off,
	    sizeof(off)), 0);
	assert_int_equal(send_to("READY=1", 7, NULL, 0), 0);
	assert_int_equal(notify_read(fd, &message, text), NOTIFY_REFUSED);
	assert_non_null(strstr(text, "credentials"));
	close(fd);
}

static int
name_socket(void **state)
{
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	alarm(60);
	snprintf(socket_path, sizeof(socket_path), "/tmp/supd-test-%d.sock",
	    getpid());
	return 0;
}

static int
remove_socket(void **state)
{
	(void)state;
	return unlink(socket_path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_peek_and_mark),
		cmocka_unit_test(test_barrier),
		cmocka_unit_test(test_fds_are_closed),
		cmocka_unit_test(test_fds_to_store),
		cmocka_unit_test(test_full_table),
		cmocka_unit_test(test_without_credentials),
	};

	return cmocka_run_group_tests(tests, name_socket, remove_socket);
}
