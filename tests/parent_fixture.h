/*
 * A parent that reads only when the test lets it, and keeps what it was told.
 */
#ifndef TESTS_PARENT_FIXTURE_H
#define TESTS_PARENT_FIXTURE_H

#include "parent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "bounds.h"
#include "reactor_fixture.h"

enum { BURST = 4096, MESSAGES_MAX = BURST + 100, RECEIVED_BYTES = 1200 };

static struct received {
	char text[RECEIVED_BYTES];
	unsigned fd_count;
	ino_t inode;            /* of the last fd */
	uint64_t at_ms;
} received[MESSAGES_MAX];
static unsigned received_count, wanted_count;
static int server = -1;
static struct sockaddr_un address;
static socklen_t address_bytes;
static char directory[] = "/tmp/supd-parent-XXXXXX";

/* --- the parent */

static inline void
take_fds(struct msghdr *header, struct received *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	int fds[NOTIFY_FDS_MAX];
	struct stat status;

	assert_int_equal(header->msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	if (control == NULL)
		return;
	message->fd_count = (unsigned)((control->cmsg_len - CMSG_LEN(0)) /
	    sizeof(int));
	memcpy(fds, CMSG_DATA(control), message->fd_count * sizeof(int));
	for (unsigned i = 0; i < message->fd_count; i++) {
		assert_int_equal(fstat(fds[i], &status), 0);
		message->inode = status.st_ino;
		close(fds[i]);
	}
}

static inline bool
read_one(void)
{
	struct received *message = &received[received_count];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(NOTIFY_FDS_MAX *
	    sizeof(int))];
	struct iovec part = { message->text, sizeof(message->text) - 1 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
	    .msg_control = control, .msg_controllen = sizeof(control) };
	ssize_t count = recvmsg(server, &header, MSG_DONTWAIT);

	if (count < 0)
		return false;
	assert_true(received_count < MESSAGES_MAX - 1);
	message->text[count] = '\0';
	message->fd_count = 0;
	message->at_ms = real_now_ms();
	take_fds(&header, message);
	received_count++;
	return true;
}

static inline void
on_server(void *ctx, int events)
{
	(void)ctx, (void)events;
	(void)read_one();
}

static inline void
step_received(void)
{
	if (received_count >= wanted_count)
		reactor_stop();
}

/* Runs the loop until the parent has got so many in all. */
static inline void
run_until_received(unsigned count)
{
	wanted_count = count;
	reactor_watch(&loop.watch, server, REACTOR_READ, on_server, NULL);
	run(step_received);
	reactor_unwatch(&loop.watch);
	assert_int_equal(received_count, count);
}

static inline void
on_time(void *ctx)
{
	*(bool *)ctx = true;
	reactor_stop();
}

static inline void
step_nothing(void)
{
}

/* Runs the loop for so long and reads nothing; returns its turns. */
static inline unsigned
run_for(uint64_t ms)
{
	struct alarm alarm = { .call = NULL };
	bool over = false;
	unsigned turns = loop.turns;

	reactor_set_alarm(&alarm, ms, on_time, &over);
	run(step_nothing);
	assert_true(over);
	return loop.turns - turns;
}

static inline void
expect(unsigned index, const char *text, unsigned fd_count)
{
	assert_true(index < received_count);
	assert_string_equal(received[index].text, text);
	assert_int_equal(received[index].fd_count, fd_count);
}

static inline void
server_bind(void)
{
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address,
	    address_bytes), 0);
}

/* At a path; tests that want an abstract name bind another. */
static inline int
set_up(void **state)
{
	if (fixture_set_up(state) < 0)
		return -1;
	received_count = 0;
	address.sun_family = AF_UNIX;
	address_bytes = sizeof(address);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify",
	    directory);
	server_bind();
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	return 0;
}

static inline int
tear_down(void **state)
{
	parent_release();
	close(server);
	unlink(address.sun_path);
	return fixture_tear_down(state);
}

static inline ino_t
inode_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

/* Fills the kernel's queue; returns how many messages are in it. */
static inline unsigned
fill(void)
{
	unsigned count = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	while (sendto(fd, "FILL=1", 6, 0, (struct sockaddr *)&address,
	    address_bytes) == 6)
		count++;
	close(fd);
	assert_true(count > 0);
	return count;
}

#define WITH_PARENT(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static inline int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static inline int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

#endif
