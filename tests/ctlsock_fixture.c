/*
 * See ctlsock_fixture.h.
 */
#include "ctlsock_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor.h"

#define GUARD_MS 6000           /* less than the patience of any client */
#define TRIES_MAX 20000

struct fixture fixture;

static uint64_t clock_offset_ms;
static bool (*is_done)(void);
static unsigned turns_left;
static size_t wanted_count;
static uint64_t give_up_ms;

int
clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, ret_now);

	if (clock == CLOCK_MONOTONIC)
		ret_now->tv_sec += (time_t)(clock_offset_ms / 1000);
	return result;
}

void
clock_advance(uint64_t ms)
{
	assert_int_equal(ms % 1000, 0);
	clock_offset_ms += ms;
}

static void
on_turn(void *ctx)
{
	(void)ctx;
	fixture.turns++;
	if (is_done != NULL) {
		if (is_done()) {
			reactor_stop();
			return;
		}
		if (reactor_now_ms() >= give_up_ms)
			fail_msg("what is waited for does not come");
		reactor_arm(reactor_now_ms() + 1);
		return;
	}
	if (turns_left-- == 0)
		reactor_stop();
	else
		reactor_arm(0);
}

static void
on_signal(void *ctx, int number)
{
	(void)ctx;
	assert_int_equal(number, SIGCHLD);
}

void
run_turns(unsigned count)
{
	is_done = NULL;
	turns_left = count;
	reactor_run();
}

void
run_until(bool (*done)(void))
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	give_up_ms = (uint64_t)now.tv_sec * 1000 + GUARD_MS;
	is_done = done;
	reactor_run();
}

static bool
has_turned(void)
{
	return fixture.turns >= wanted_count;
}

/* In run_until() the turns come 1 ms apart if nothing else wakes the loop. */
void
run_quietly(void)
{
	struct timespec begin, end;

	wanted_count = fixture.turns + 20;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	run_until(has_turned);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true((end.tv_sec - begin.tv_sec) * 1000000000 +
	    end.tv_nsec - begin.tv_nsec >= 15000000);
}

static bool
has_messages(void)
{
	return fixture.message_count >= wanted_count;
}

static bool
has_gone(void)
{
	return fixture.gone_count >= wanted_count;
}

void
run_until_messages(size_t count)
{
	wanted_count = count;
	run_until(has_messages);
	assert_int_equal(fixture.message_count, count);
}

void
run_until_gone(size_t count)
{
	wanted_count = count;
	run_until(has_gone);
	assert_int_equal(fixture.gone_count, count);
}

static void
on_message(void *ctx, uint32_t client, const char *bytes, size_t size_bytes)
{
	size_t i = fixture.message_count++, kept;

	assert_ptr_equal(ctx, &fixture);
	assert_int_not_equal(client, 0);
	assert_true(i < MESSAGES_MAX);
	kept = sizeof(fixture.messages[i]) - 1;
	if (size_bytes < kept)
		kept = size_bytes;
	fixture.message_clients[i] = client;
	fixture.message_sizes[i] = size_bytes;
	memcpy(fixture.messages[i], bytes, kept);
	fixture.messages[i][kept] = '\0';
	if (fixture.answer != NULL)
		fixture.answer(client, bytes, size_bytes);
}

static void
on_gone(void *ctx, uint32_t client)
{
	assert_ptr_equal(ctx, &fixture);
	assert_false(fixture.in_call);
	assert_int_not_equal(client, fixture.gone_last);
	fixture.gone_count++;
	fixture.gone_last = client;
}

void
answer(uint32_t client, const char *json, size_t size_bytes)
{
	fixture.in_call = true;
	ctlsock_send(client, json, size_bytes);
	fixture.in_call = false;
}

void
finish(uint32_t client)
{
	fixture.in_call = true;
	ctlsock_finish(client);
	fixture.in_call = false;
}

void
echo(uint32_t client, const char *bytes, size_t size_bytes)
{
	answer(client, bytes, size_bytes);
}

size_t
count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

void
fixture_open(gid_t group)
{
	const struct ctlsock_handler handler = { .ctx = &fixture,
	    .message = on_message, .gone = on_gone };

	assert_int_equal(ctlsock_open(fixture.path, group, &handler), 0);
}

int
fixture_set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	strcpy(fixture.directory, "/tmp/test_ctlsock.XXXXXX");
	if (mkdtemp(fixture.directory) == NULL ||
	    chmod(fixture.directory, 0755) < 0)
		return -1;
	snprintf(fixture.path, sizeof(fixture.path), "%s/control.sock",
	    fixture.directory);
	if (reactor_init(on_turn, on_signal, NULL) < 0)
		return -1;
	run_turns(1);           /* libev makes what it needs */
	fixture.fd_count = count_fds();
	fixture_open((gid_t)-1);
	return 0;
}

int
fixture_tear_down(void **state)
{
	size_t fd_count;

	(void)state;
	ctlsock_close();
	fd_count = count_fds();
	reactor_release();
	if (rmdir(fixture.directory) < 0) {
		print_error("%s is left\n", fixture.path);
		return -1;
	}
	if (fd_count != fixture.fd_count) {
		print_error("%zu fds before, %zu after\n", fixture.fd_count,
		    fd_count);
		return -1;
	}
	return 0;
}

int
client_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, fixture.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	return fd;
}

void
client_send(int fd, const char *bytes, size_t size_bytes)
{
	assert_int_equal(send(fd, bytes, size_bytes,
	    MSG_NOSIGNAL | MSG_DONTWAIT), size_bytes);
}

/* Reads one byte; 0 at the end of the stream. */
static ssize_t
read_byte(int fd, char *ret_byte)
{
	ssize_t count;
	int tries;

	for (tries = 0; tries < TRIES_MAX; tries++) {
		count = recv(fd, ret_byte, 1, MSG_DONTWAIT);
		if (count >= 0)
			return count;
		if (errno == ECONNRESET)
			return 0;       /* we had not been read to the end */
		assert_int_equal(errno, EAGAIN);
		run_turns(1);
	}
	fail_msg("no answer comes");
	return -1;
}

const char *
client_read(int fd)
{
	static char text[4096];
	size_t count = 0;

	while (read_byte(fd, &text[count]) == 1) {
		if (text[count] == '\0')
			return text;
		assert_true(++count < sizeof(text));
	}
	assert_int_equal(count, 0);     /* half a message */
	return "";
}

void
client_expect(int fd, const char *json)
{
	assert_string_equal(client_read(fd), json);
}

void
client_expect_end(int fd)
{
	char byte;

	assert_int_equal(read_byte(fd, &byte), 0);
}
