/*
 * The notify protocol: what is taken from a message and what is not, and that
 * no file descriptor stays, whatever comes, but those that are to be stored.
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
parse(const char *text, struct notify_message *ret_message)
{
	unsigned bad = 99;

	notify_parse(text, strlen(text), ret_message, &bad);
	return bad;
}

static void
test_flags(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("READY=1\nSTOPPING=1\n\nRELOADING=1\n"
	    "WATCHDOG=1", &message), 0);
	assert_true(message.ready && message.stopping && message.reloading);
	assert_true(message.watchdog && !message.watchdog_trigger);
	assert_false(message.barrier || message.has_status);
	assert_int_equal(parse("WATCHDOG=trigger\n", &message), 0);
	assert_true(message.watchdog_trigger && !message.watchdog);
	assert_false(message.ready);
	assert_int_equal(parse("", &message), 0);
	assert_false(message.ready);
}

static void
test_numbers(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("ERRNO=2\nMAINPID=4711\nWATCHDOG_USEC=0\n"
	    "EXTEND_TIMEOUT_USEC=18446744073709551615\n"
	    "MONOTONIC_USEC=0000000012\n", &message), 0);
	assert_true(message.has_errno && message.error_number == 2);
	assert_true(message.has_main_pid && message.main_pid == 4711);
	assert_true(message.has_watchdog_usec && message.watchdog_usec == 0);
	assert_true(message.has_extend_usec &&
	    message.extend_usec == UINT64_MAX);
	assert_true(message.has_monotonic_usec && message.monotonic_usec == 12);
}

static void
test_bad_values(void **state)
{
	static const char *const bad[] = {
		"READY=0", "READY=", "READY=11", "READY=1 ", "STOPPING=yes",
		"WATCHDOG=2", "BARRIER=0", "ERRNO=-1", "ERRNO=4096", "ERRNO=",
		"MAINPID=0", "MAINPID=1", "MAINPID=2147483648", "MAINPID=+5",
		"MAINPID= 5", "MAINPID=0x10", "WATCHDOG_USEC=1s",
		"EXTEND_TIMEOUT_USEC=18446744073709551616",
		"MONOTONIC_USEC=99999999999999999999999999",
		"FDSTORE=0", "FDSTOREREMOVE=yes", "FDPOLL=2", "FDPOLL=",
		"FDNAME=", "FDNAME=a:b", "FDNAME=a\tb", "FDNAME=\177",
		"FDNAME=gr\303\274n", "FDNAME=supd.handover",
	};
	struct notify_message message, nothing;
	unsigned i;

	(void)state;
	memset(&nothing, 0, sizeof(nothing));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &message) != 1)
			fail_msg("%s was taken", bad[i]);
		assert_memory_equal(&message, &nothing, sizeof(message));
	}
	assert_int_equal(parse("READY=2\nSTOPPING=1\nERRNO=x", &message), 2);
	assert_true(message.stopping && !message.ready);
}

static void
test_unknown(void **state)
{
	struct notify_message message, nothing;

	(void)state;
	memset(&nothing, 0, sizeof(nothing));
	assert_int_equal(parse("FDSTORES=1\nX_READY=1\nready=1\n READY=1\n"
	    "READY\nnonsense\n=\n", &message), 0);
	assert_memory_equal(&message, &nothing, sizeof(message));
}

static void
test_barrier_alone(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("BARRIER=1", &message), 0);
	assert_true(message.barrier);
	assert_int_equal(parse("BARRIER=1\n", &message), 0);
	assert_true(message.barrier);
	assert_int_equal(parse("READY=1\nBARRIER=1", &message), 1);
	assert_false(message.barrier || message.ready);
	assert_int_equal(parse("BARRIER=1\nX=y\n", &message), 1);
	assert_false(message.barrier);
}

static const char *
status_of(const char *value)
{
	static struct notify_message message;
	char text[2048];

	snprintf(text, sizeof(text), "STATUS=%s", value);
	assert_int_equal(parse(text, &message), 0);
	assert_true(message.has_status);
	return message.status;
}

static void
test_status(void **state)
{
	char text[STATUS_BYTES_MAX + 64];

	(void)state;
	assert_string_equal(status_of("serving on 8080"), "serving on 8080");
	assert_string_equal(status_of(""), "");
	assert_string_equal(status_of("a=b"), "a=b");
	assert_string_equal(status_of("\033[2J\t\177x"), "?[2J??x");
	assert_string_equal(status_of("gr\303\274n \342\202\254 "
	    "\360\237\246\212"), "gr\303\274n \342\202\254 \360\237\246\212");
	/* cut short, C1 control, not shortest, surrogate, too high, 0xff */
	assert_string_equal(status_of("\303"), "?");
	assert_string_equal(status_of("\302\233x"), "??x");
	assert_string_equal(status_of("\300\257"), "??");
	assert_string_equal(status_of("\340\200\257"), "???");
	assert_string_equal(status_of("\355\240\200"), "???");
	assert_string_equal(status_of("\364\220\200\200"), "????");
	assert_string_equal(status_of("\377"), "?");
	/* A character is not cut in the middle. */
	memset(text, 'a', sizeof(text));
	strcpy(text + STATUS_BYTES_MAX - 2, "\303\274");
	assert_int_equal(strlen(status_of(text)), STATUS_BYTES_MAX - 2);
	strcpy(text + STATUS_BYTES_MAX - 3, "\303\274");
	assert_int_equal(strlen(status_of(text)), STATUS_BYTES_MAX - 1);
}

static void
test_fd_store(void **state)
{
	struct notify_message message;
	char text[8 + FD_NAME_LENGTH_MAX + 2] = "FDNAME=";

	(void)state;
	assert_int_equal(parse("FDSTORE=1\nFDNAME=a b.7/~\nFDPOLL=0",
	    &message), 0);
	assert_true(message.fd_store && message.fd_unwatched);
	assert_false(message.fd_store_remove);
	assert_string_equal(message.fd_name, "a b.7/~");
	assert_int_equal(parse("FDSTOREREMOVE=1\nFDNAME=supd\nFDPOLL=0\n"
	    "FDPOLL=1\n", &message), 0);
	assert_true(message.fd_store_remove);
	assert_false(message.fd_store || message.fd_unwatched);
	assert_string_equal(message.fd_name, "supd");
	/* The last counts, also if it is bad. */
	assert_int_equal(parse("FDNAME=a\nFDNAME=b:\nFDSTORE=1", &message),
	    1);
	assert_true(message.fd_store);
	assert_string_equal(message.fd_name, "");
	memset(text + 7, 'n', FD_NAME_LENGTH_MAX);
	assert_int_equal(parse(text, &message), 0);
	assert_string_equal(message.fd_name, text + 7);
	text[7 + FD_NAME_LENGTH_MAX] = 'n';
	assert_int_equal(parse(text, &message), 1);
	assert_string_equal(message.fd_name, "");
}

static void
test_nul(void **state)
{
	struct notify_message message;
	unsigned bad;

	(void)state;
	notify_parse("READY=1\0", 8, &message, &bad);
	assert_int_equal(bad, 1);
	assert_false(message.ready);
	notify_parse("STATUS=a\0b\nREADY=1", 18, &message, &bad);
	assert_int_equal(bad, 0);
	assert_string_equal(message.status, "a?b");
	assert_true(message.ready);
}

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
	notify_mark(fd);
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
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_barrier_alone),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_fd_store),
		cmocka_unit_test(test_nul),
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
