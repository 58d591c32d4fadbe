/*
 * supprobe against servers that do not answer, never end, or answer what is no
 * HTTP: each is a failed probe, within its time, in one line.
 */
#include "supprobe_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\n"

enum { LIMIT_MS = 400, SLACK_MS = 5000 };

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* It was over in time, and not before. */
static void
assert_limit(uint64_t start_ms)
{
	assert_true(now_ms() - start_ms >= LIMIT_MS);
	assert_true(now_ms() - start_ms < LIMIT_MS + SLACK_MS);
}

static void
test_silent(void **state)
{
	struct server server;
	struct child child;
	uint64_t start_ms = now_ms();
	int fd;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "400", NULL);
	fd = server_accept(&server, true);
	supprobe_finish(&child, 1, "no answer within 400 ms");
	assert_limit(start_ms);
	close(fd);
	server_close(&server);
}

/* A byte every few milliseconds, for ever. */
static void
trickle(const char *begin, const char *line)
{
	struct server server;
	struct child child;
	uint64_t start_ms = now_ms();
	int fd;

	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "400", NULL);
	fd = server_accept(&server, true);
	assert_int_equal(write(fd, begin, strlen(begin)), strlen(begin));
	while (!supprobe_ended(&child, 20))
		assert_true(write(fd, "x", 1) == 1 || errno == EPIPE ||
		    errno == ECONNRESET);
	assert_limit(start_ms);
	supprobe_finish(&child, 1, line);
	close(fd);
	server_close(&server);
}

static void
test_trickle(void **state)
{
	(void)state;
	trickle("HTTP/1.1 2", "no answer within 400 ms");
	trickle(OK "X: ", "the answer was not complete within 400 ms");
	trickle(OK "\r\n", "the answer was not complete within 400 ms");
	trickle(OK "Content-Length: 1000\r\n\r\n",
	    "the answer was not complete within 400 ms");
	trickle(OK "Transfer-Encoding: chunked\r\n\r\n4;",
	    "the answer was not complete within 400 ms");
}

/* Writes these bytes again and again, until nobody reads any more. */
static void
flood(const char *begin, const char *again, const char *body, int status,
    const char *line)
{
	struct server server;
	struct child child;
	int fd;

	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "10000", body != NULL ? "--body" : NULL, body, NULL);
	fd = server_accept(&server, true);
	assert_int_equal(write(fd, begin, strlen(begin)), strlen(begin));
	while (write(fd, again, strlen(again)) > 0)
		;
	close(fd);
	supprobe_finish(&child, status, line);
	server_close(&server);
}

static void
test_huge(void **state)
{
	(void)state;
	flood(OK "\r\n", "0123456789abcdef", NULL, 0, "HTTP 200 in *");
	flood(OK "\r\nthis is it", "0123456789abcdef", "is it", 0,
	    "HTTP 200 in *");
	flood(OK "\r\n", "0123456789abcdef", "is it", 1,
	    "the body does not contain \"is it\" in its first 64 KiB");
	flood("HTTP/1.1 500 Oops\r\n\r\n", "0123456789abcdef", NULL, 1,
	    "HTTP 500, expected 200-399");
	flood(OK "Transfer-Encoding: chunked\r\n\r\n",
	    "8\r\n01234567\r\n", NULL, 0, "HTTP 200 in *");
	flood(OK, "X: 0123456789abcdef\r\n", NULL, 1,
	    "the headers of the answer are longer than 64 KiB");
	flood(OK "X: ", "0123456789abcdef", NULL, 1,
	    "the headers of the answer are longer than 64 KiB");
	flood("HTTP/1.1 100 Go on\r\n\r\n", "HTTP/1.1 100 Go on\r\n\r\n", NULL,
	    1, "the headers of the answer are longer than 64 KiB");
}

static void
test_garbage(void **state)
{
	static const struct {
		const char *answer, *line;
	} cases[] = {
		{ "", "the connection was closed without an answer" },
		{ "SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP" },
		{ "\r\n\r\n\r\n", "the answer is not HTTP" },
		{ "\026\003\001\002\377\376", "the answer is not HTTP" },
		{ "HTTP/9.9 200 OK\r\n\r\n", "the answer is not HTTP" },
		{ "HTTP/1.1 ok\r\n\r\n", "the answer is not HTTP" },
		{ OK "X: y", "the answer ended early" },
		{ OK, "the answer ended early" },
		{ "HTTP/1.1 101 Switch\r\nUpgrade: x\r\n\r\n",
		    "the connection was closed without an answer" },
		{ OK "Content-Length: 100\r\n\r\nshort",
		    "the answer ended early" },
		{ OK "Transfer-Encoding: chunked\r\n\r\n5\r\nsho",
		    "the answer ended early" },
		{ OK "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
		    "the answer is not HTTP" },
		{ OK "Content-Length: -5\r\n\r\nx", "the answer is not HTTP" },
	};
	struct server server;
	struct child child;
	size_t i;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		supprobe_start(&child, -1, "http", server.address,
		    "--timeout-ms", "10000", NULL);
		server_answer(&server, cases[i].answer,
		    strlen(cases[i].answer));
		supprobe_finish(&child, 1, cases[i].line);
	}
	server_close(&server);
}

/* Bytes at random behind a beginning that is right, from a fixed seed. */
static void
test_random(void **state)
{
	static const char *const begins[] = {
		"", "HTTP/1.1 ", OK, OK "Transfer-Encoding: chunked\r\n\r\n",
		OK "Set-Cookie: ", OK "Location: ", OK "WWW-Authenticate: ",
		OK "Alt-Svc: ", OK "Content-Encoding: ", OK "Trailer: ",
	};
	char answer[4096], out[CHILD_OUTPUT_MAX];
	struct server server;
	struct child child;
	unsigned seed = 20261126;
	size_t i, begin_bytes;
	int status;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	for (i = 0; i < 60; i++) {
		const char *begin = begins[i % (sizeof(begins) /
		    sizeof(begins[0]))];

		begin_bytes = strlen(begin);
		memcpy(answer, begin, begin_bytes);
		for (size_t at = begin_bytes; at < sizeof(answer); at++)
			answer[at] = rand_r(&seed) % 4 == 0 ?
			    "\r\n:;,0a "[rand_r(&seed) % 8] :
			    (char)rand_r(&seed);
		supprobe_start(&child, -1, "http", server.address,
		    "--timeout-ms", "10000", NULL);
		server_answer(&server, answer, sizeof(answer));
		child_read_all(child.out_fd, out, sizeof(out));
		assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
		status = child_wait(&child);
		assert_true(status == 0 || status == 1);
	}
	server_close(&server);
}

static void
test_reset(void **state)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct server server;
	struct child child;
	int fd;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "10000", NULL);
	fd = server_accept(&server, true);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now,
	    sizeof(now)), 0);
	close(fd);
	supprobe_finish(&child, 1, "receive: Connection reset by peer");
	server_close(&server);
}

static void
test_refused(void **state)
{
	static const char *const kinds[] = { "http", "tcp" };
	struct server server;
	struct child child;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		server_open(&server, "127.0.0.1:0", 8);
		server_close(&server);
		supprobe_start(&child, -1, kinds[i], server.address, NULL);
		supprobe_finish(&child, 1, "connect: Connection refused");
		supprobe_start(&child, -1, kinds[i], "unix:/no/such/socket",
		    NULL);
		supprobe_finish(&child, 1, "connect: No such file or "
		    "directory");
	}
}

/* A client that fills the queue of a server with a backlog of 0. */
static int
fill_queue(const char *address)
{
	struct loopback loopback;
	int fd;

	assert_int_equal(loopback_parse(address, &loopback), 0);
	fd = socket(loopback.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&loopback.address,
	    loopback.length_bytes), 0);
	return fd;
}

static void
check_full_queue(const struct server *server)
{
	struct child child;
	uint64_t start_ms = now_ms();

	supprobe_start(&child, -1, "http", server->address, "--timeout-ms",
	    "400", NULL);
	supprobe_finish(&child, 1, "no answer within 400 ms");
	assert_limit(start_ms);
	start_ms = now_ms();
	supprobe_start(&child, -1, "tcp", server->address, "--timeout-ms",
	    "400", NULL);
	supprobe_finish(&child, 1, "no connection within 400 ms");
	assert_limit(start_ms);
}

static void
test_full_tcp_queue(void **state)
{
	struct server server;
	int client;

	(void)state;
	server_open(&server, "127.0.0.1:0", 0);
	client = fill_queue(server.address);
	check_full_queue(&server);
	close(server_accept(&server, false));
	close(client);
	server_close(&server);
}

/* A unix socket whose queue is full refuses nobody who waits. */
static void
test_full_unix_queue(void **state)
{
	char path[] = "/tmp/supprobe-XXXXXX", address[64];
	struct server server;
	struct child child;
	int client;

	(void)state;
	client = mkstemp(path);
	close(client);
	unlink(path);
	snprintf(address, sizeof(address), "unix:%s", path);
	server_open(&server, address, 0);
	client = fill_queue(address);
	check_full_queue(&server);
	supprobe_start(&child, -1, "http", address, "--timeout-ms", "10000",
	    NULL);
	assert_false(supprobe_ended(&child, 100));
	close(server_accept(&server, false));
	server_answer(&server, OK "\r\n", strlen(OK "\r\n"));
	supprobe_finish(&child, 0, "HTTP 200 in *");
	close(client);
	server_close(&server);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_full_tcp_queue),
		cmocka_unit_test(test_full_unix_queue),
	};

	return cmocka_run_group_tests(tests, supprobe_set_up_group, NULL);
}
