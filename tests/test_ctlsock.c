/*
 * The control socket: messages, answers, and clients that behave badly.
 */
#include "ctlsock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bounds.h"
#include "ctlsock_fixture.h"

#define TOO_LARGE "{\"error\":\"io.supd.FrameTooLarge\"," \
	"\"parameters\":{\"limit\":65536}}"

static char large[FRAME_BYTES_MAX + 2];

/* --- messages */

static void
test_message_and_answer(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = echo;
	client_send(fd, "{}", 3);
	client_expect(fd, "{}");
	client_send(fd, "{\"a\":1}", 8);
	client_expect(fd, "{\"a\":1}");
	assert_int_equal(fixture.message_clients[0],
	    fixture.message_clients[1]);
	assert_int_equal(fixture.gone_count, 0);
	close(fd);
	run_until_gone(1);
	assert_int_equal(fixture.gone_last, fixture.message_clients[0]);
}

static void
test_many_in_one_read(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = echo;
	client_send(fd, "a\0bc\0\0def\0g", 11);
	run_until_messages(4);
	assert_string_equal(fixture.messages[0], "a");
	assert_string_equal(fixture.messages[1], "bc");
	assert_int_equal(fixture.message_sizes[2], 0);
	client_expect(fd, "a");
	client_expect(fd, "bc");
	client_expect(fd, "");
	client_expect(fd, "def");
	client_send(fd, "h", 2);
	client_expect(fd, "gh");
	close(fd);
}

static void
test_single_bytes(void **state)
{
	static const char text[] = "{\"method\":\"x\"}";
	int fd = client_connect();
	size_t i, round;

	(void)state;
	for (round = 1; round <= 2; round++) {
		for (i = 0; i < sizeof(text); i++) {
			assert_int_equal(fixture.message_count, round - 1);
			client_send(fd, &text[i], 1);
			run_turns(3);
		}
		run_until_messages(round);
		assert_string_equal(fixture.messages[round - 1], text);
	}
	close(fd);
}

/* Sends in portions that the socket takes, while the loop reads them. */
static void
send_large(int fd, size_t size_bytes)
{
	size_t done = 0, portion;

	while (done < size_bytes) {
		portion = size_bytes - done < 10000 ? size_bytes - done : 10000;
		client_send(fd, large + done, portion);
		done += portion;
		run_turns(8);
	}
}

static void
test_largest_frame(void **state)
{
	int fd = client_connect();

	(void)state;
	memset(large, 'x', FRAME_BYTES_MAX);
	large[FRAME_BYTES_MAX] = '\0';
	send_large(fd, FRAME_BYTES_MAX + 1);
	run_until_messages(1);
	assert_int_equal(fixture.message_sizes[0], FRAME_BYTES_MAX);
	close(fd);
	run_until_gone(1);
}

static void
test_frame_too_large(void **state)
{
	int fd = client_connect(), other = client_connect();

	(void)state;
	fixture.answer = echo;
	memset(large, 'x', sizeof(large));
	send_large(fd, FRAME_BYTES_MAX + 1);
	client_expect(fd, TOO_LARGE);
	client_expect_end(fd);
	run_until_gone(1);
	assert_int_equal(fixture.message_count, 0);
	client_send(other, "y", 2);
	client_expect(other, "y");
	close(fd);
	close(other);
}

/* --- patience */

static void
test_half_a_message(void **state)
{
	int fd = client_connect(), idle = client_connect();

	(void)state;
	client_send(fd, "ab", 2);
	run_turns(5);
	clock_advance(CTLSOCK_PATIENCE_MS - 2000);
	client_send(fd, "c", 1);        /* does not buy time */
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);
	clock_advance(3000);
	run_until_gone(1);
	client_expect_end(fd);
	clock_advance(10 * CTLSOCK_PATIENCE_MS);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 1);        /* idle is fine */
	assert_int_equal(fixture.message_count, 0);
	close(fd);
	close(idle);
}

static void
test_whole_message_ends_patience(void **state)
{
	int fd = client_connect();

	(void)state;
	client_send(fd, "ab", 2);
	run_turns(5);
	client_send(fd, "c", 2);
	run_until_messages(1);
	clock_advance(2 * CTLSOCK_PATIENCE_MS);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);
	client_send(fd, "d", 1);
	run_turns(5);
	clock_advance(CTLSOCK_PATIENCE_MS - 1000);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);
	close(fd);
}

enum { BLOCK_BYTES = 1 << 20 };

static char
pattern(size_t position)
{
	return (char)('a' + position % 23);
}

/* More than the socket takes. */
static void
answer_large(uint32_t client, const char *bytes, size_t size_bytes)
{
	static char block[BLOCK_BYTES];
	size_t i;

	(void)bytes, (void)size_bytes;
	for (i = 0; i < sizeof(block); i++)
		block[i] = pattern(i);
	answer(client, block, sizeof(block));
	answer(client, "last", 4);
}

/* Reads that part of the block. */
static void
read_block(int fd, size_t begin, size_t end)
{
	char bytes[4096];
	ssize_t count, i;
	int tries = 0;

	while (begin < end) {
		count = recv(fd, bytes, end - begin < sizeof(bytes) ?
		    end - begin : sizeof(bytes), MSG_DONTWAIT);
		for (i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern(begin++));
		if (count > 0)
			continue;
		assert_true(++tries < 10000);
		run_turns(1);
	}
}

static void
test_unread_answers(void **state)
{
	int fd = client_connect(), other = client_connect();

	(void)state;
	fixture.answer = answer_large;
	client_send(fd, "{}", 3);
	run_until_messages(1);
	clock_advance(CTLSOCK_PATIENCE_MS - 1000);
	run_turns(5);
	read_block(fd, 0, 400000);
	run_turns(5);
	clock_advance(CTLSOCK_PATIENCE_MS - 1000);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);        /* it made progress */
	clock_advance(2000);
	run_until_gone(1);
	fixture.answer = echo;
	client_send(other, "y", 2);
	client_expect(other, "y");
	close(fd);
	close(other);
}

static void
test_slow_reader_gets_all(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = answer_large;
	client_send(fd, "{}", 3);
	run_until_messages(1);
	read_block(fd, 0, 100000);      /* the socket has room again, */
	answer(fixture.message_clients[0], "after", 5); /* but a queue too */
	read_block(fd, 100000, BLOCK_BYTES);
	client_expect(fd, "");          /* the NUL of the large one, */
	client_expect(fd, "last");      /* and in this order */
	client_expect(fd, "after");
	clock_advance(2 * CTLSOCK_PATIENCE_MS);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);
	close(fd);
}

static void
test_too_much_unread(void **state)
{
	int fd = client_connect(), other = client_connect();
	unsigned i;

	(void)state;
	client_send(fd, "{}", 3);
	client_send(other, "{}", 3);
	run_until_messages(2);
	for (i = 0; i < 7; i++)
		answer_large(fixture.message_clients[0], NULL, 0);
	run_turns(3);
	assert_int_equal(fixture.gone_count, 0);
	for (i = 0; i < 4; i++)
		answer_large(fixture.message_clients[0], NULL, 0);
	assert_int_equal(fixture.gone_count, 0);        /* not at once */
	run_until_gone(1);
	assert_int_equal(fixture.gone_last, fixture.message_clients[0]);
	answer(fixture.message_clients[0], "{}", 2);    /* is ignored */
	answer(fixture.message_clients[1], "{}", 2);
	client_expect(other, "{}");
	close(fd);
	close(other);
}

/* --- ends */

static void
test_unknown_clients(void **state)
{
	(void)state;
	answer(0, "{}", 2);
	answer(12345, "{}", 2);
	finish(0);
	finish(12345);
	run_turns(3);
	assert_int_equal(fixture.gone_count, 0);
}

static void
finish_and_more(uint32_t client, const char *bytes, size_t size_bytes)
{
	(void)bytes, (void)size_bytes;
	answer(client, "one", 3);
	finish(client);
	answer(client, "two", 3);
	finish(client);
}

static void
test_finish_in_handler(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = finish_and_more;
	client_send(fd, "a\0b\0c", 6);
	client_expect(fd, "one");
	client_expect_end(fd);
	run_until_gone(1);
	assert_int_equal(fixture.message_count, 1);
	close(fd);
}

static void
finish_large(uint32_t client, const char *bytes, size_t size_bytes)
{
	answer_large(client, bytes, size_bytes);
	finish(client);
	answer(client, "more", 4);
}

static void
test_finish_sends_what_is_queued(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = finish_large;
	client_send(fd, "a", 2);
	run_until_messages(1);
	run_turns(3);
	assert_int_equal(fixture.gone_count, 0);
	read_block(fd, 0, BLOCK_BYTES);
	client_expect(fd, "");
	client_expect(fd, "last");
	client_expect_end(fd);
	run_until_gone(1);
	close(fd);
}

static void
test_half_close_gets_answers(void **state)
{
	int fd = client_connect();
	unsigned turns;

	(void)state;
	client_send(fd, "a\0cut", 5);
	shutdown(fd, SHUT_WR);
	run_until_messages(1);
	run_turns(5);
	assert_int_equal(fixture.gone_count, 0);
	run_quietly();
	clock_advance(2 * CTLSOCK_PATIENCE_MS);
	run_turns(5);
	answer(fixture.message_clients[0], "late", 4);
	client_expect(fd, "late");
	turns = fixture.turns;
	close(fd);
	run_until_gone(1);
	assert_in_range(fixture.turns - turns, 1, 6);
}

static void
test_closed_with_unread_answers(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = answer_large;
	client_send(fd, "a", 2);
	run_until_messages(1);
	close(fd);
	run_until_gone(1);
}

/* The message is heard though its sender is gone; the answer finds nobody. */
static void
test_closed_at_once(void **state)
{
	int fd = client_connect();

	(void)state;
	fixture.answer = echo;
	client_send(fd, "a\0b", 4);
	close(fd);
	run_until_gone(1);
	assert_string_equal(fixture.messages[0], "a");
}

static uint32_t forward_to;

static void
forward(uint32_t client, const char *bytes, size_t size_bytes)
{
	(void)client;
	answer(forward_to, bytes, size_bytes);
	finish(forward_to);
}

static void
test_answer_another_client(void **state)
{
	int first = client_connect(), second = client_connect();

	(void)state;
	client_send(first, "a", 2);
	run_until_messages(1);
	forward_to = fixture.message_clients[0];
	fixture.answer = forward;
	client_send(second, "b", 2);
	client_expect(first, "b");
	run_until_gone(1);
	assert_int_equal(fixture.gone_last, forward_to);
	close(first);
	close(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, \
	fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message_and_answer),
		TEST(test_many_in_one_read),
		TEST(test_single_bytes),
		TEST(test_largest_frame),
		TEST(test_frame_too_large),
		TEST(test_half_a_message),
		TEST(test_whole_message_ends_patience),
		TEST(test_unread_answers),
		TEST(test_slow_reader_gets_all),
		TEST(test_too_much_unread),
		TEST(test_unknown_clients),
		TEST(test_finish_in_handler),
		TEST(test_finish_sends_what_is_queued),
		TEST(test_half_close_gets_answers),
		TEST(test_closed_with_unread_answers),
		TEST(test_closed_at_once),
		TEST(test_answer_another_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
