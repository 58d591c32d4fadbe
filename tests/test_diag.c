/*
 * The conversation with the kernel: answers of one message and of many, and
 * errors.  What is asked for is seen in the tests of who asks.
 */
#include "diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 400 };            /* more than fit into one part */

struct tally {
	int count;
	int stop_at;
};

static int
count(const struct nlmsghdr *header, void *ctx)
{
	const struct inet_diag_msg *found = NLMSG_DATA(header);
	struct tally *tally = ctx;

	assert_int_equal(found->idiag_state, TCP_LISTEN);
	assert_non_null(diag_attribute(header, sizeof(*found),
	    INET_DIAG_SHUTDOWN, 1));
	assert_null(diag_attribute(header, sizeof(*found),
	    INET_DIAG_SHUTDOWN, 100));
	return ++tally->count == tally->stop_at ? 77 : 0;
}

/* Each on an address of its own; the first chooses the port for all. */
static void
listen_many(int fds[MANY], uint16_t *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t bytes = sizeof(at);

	for (int i = 0; i < MANY; i++) {
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)i);
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fds[i] >= 0);
		assert_int_equal(bind(fds[i], (struct sockaddr *)&at, bytes),
		    0);
		assert_int_equal(listen(fds[i], 1), 0);
		assert_int_equal(getsockname(fds[i], (struct sockaddr *)&at,
		    &bytes), 0);
	}
	*ret_port = ntohs(at.sin_port);
}

static void
test_many_answers(void **state)
{
	struct tally tally = { 0 }, stopped = { .stop_at = 3 }, none = { 0 };
	int fds[MANY];
	uint16_t port;

	(void)state;
	listen_many(fds, &port);
	assert_int_equal(diag_ask_inet(AF_INET, IPPROTO_TCP, 1 << TCP_LISTEN, port, count,
	    &tally), 0);
	assert_int_equal(tally.count, MANY);
	assert_int_equal(diag_ask_inet(AF_INET, IPPROTO_TCP, 1 << TCP_LISTEN, port, count,
	    &stopped), 77);
	assert_int_equal(stopped.count, 3);
	assert_int_equal(diag_ask_inet(AF_INET, IPPROTO_TCP, 1 << TCP_ESTABLISHED, port,
	    count, &none), 0);
	assert_int_equal(diag_ask_inet(AF_INET6, IPPROTO_TCP, 1 << TCP_LISTEN, port, count,
	    &none), 0);
	assert_int_equal(none.count, 0);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

static void
test_error(void **state)
{
	struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.request = {
			.sdiag_family = AF_UNIX,
			.udiag_ino = UINT32_MAX,        /* nobody's */
			.udiag_cookie = { UINT32_MAX, UINT32_MAX },
		},
	};
	struct tally tally = { 0 };

	(void)state;
	assert_int_equal(diag_ask(&message.header, count, &tally), -ENOENT);
	message.request.sdiag_family = AF_MAX - 1;
	assert_true(diag_ask(&message.header, count, &tally) < 0);
	assert_int_equal(tally.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_answers),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
