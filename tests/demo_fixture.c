/*
 * What the tests of the worker share.
 */
#include "demo_fixture.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "loadgen_fixture.h"

enum { TEST_PATIENCE_S = 30, REQUEST_BYTES = 512 };

int
demo_set_up(void **state)
{
	static struct supervisor supervisor;
	static int serial; /* nothing late reaches the next test's socket */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length;
	char name[sizeof(address.sun_path) + 1];

	alarm(TEST_PATIENCE_S); /* for the waits that have no bound */
	supervisor.listener = own_listener(supervisor.address);
	supervisor.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
	    "test_demo.%d.%d", (int)getpid(), serial++));
	assert_int_equal(bind(supervisor.notify,
	    (struct sockaddr *)&address, length), 0);
	snprintf(name, sizeof(name), "@%s", address.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	*state = &supervisor;
	return 0;
}

int
demo_tear_down(void **state)
{
	const struct supervisor *supervisor = *state;

	close(supervisor->listener);
	close(supervisor->notify);
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

void
await_message(const struct supervisor *supervisor, const char *wanted)
{
	char message[512];
	ssize_t size;

	child_await_input(supervisor->notify);
	size = recv(supervisor->notify, message, sizeof(message) - 1, 0);
	assert_true(size > 0);
	message[size] = '\0';
	assert_string_equal(message, wanted);
}

void
assert_quiet(int fd)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&wanted, 1, SHORT_MS), 0);
}

int
connect_to(const struct supervisor *supervisor)
{
	struct loopback loopback;
	int fd;

	assert_int_equal(loopback_parse(supervisor->address, &loopback), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&loopback.address,
	    loopback.length_bytes) != 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

void
ask_for(int fd, const char *path, const char *headers, char *ret_answer,
    size_t size_bytes)
{
	char request[REQUEST_BYTES];
	int request_size = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
	ssize_t length;

	assert_int_equal(send(fd, request, (size_t)request_size,
	    MSG_NOSIGNAL), request_size);
	child_await_input(fd);
	length = recv(fd, ret_answer, size_bytes - 1, 0);
	assert_true(length > 0);
	ret_answer[length] = '\0';
}

void
ask(int fd, char *ret_answer, size_t size_bytes)
{
	ask_for(fd, "/", "", ret_answer, size_bytes);
}
