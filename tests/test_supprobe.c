/*
 * supprobe against servers that mean well: what is asked, how an answer is
 * judged, which addresses and which socket are used.
 */
#include "supprobe_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe.h"

#define OK "HTTP/1.1 200 OK\r\n"

static void
test_answers(void **state)
{
	static const struct {
		const char *answer, *option, *value;
		int status;
		const char *line;
	} cases[] = {
		{ OK "\r\n", NULL, NULL, 0, "HTTP 200 in *" },
		{ OK "Content-Length: 2\r\n\r\nok", NULL, NULL, 0,
		    "HTTP 200 in *" },
		{ "HTTP/1.0 204 None\r\n\r\n", NULL, NULL, 0, "HTTP 204 in *" },
		{ "HTTP/1.1 200\r\n\r\n", NULL, NULL, 0, "HTTP 200 in *" },
		{ "HTTP/1.1 404 Gone\r\n\r\n", NULL, NULL, 1,
		    "HTTP 404, expected 200-399" },
		{ "HTTP/1.1 500 Oops\r\n\r\n", "--status", "200-499", 1,
		    "HTTP 500, expected 200-499" },
		{ "HTTP/1.1 201 Made\r\n\r\n", "--status", "200", 1,
		    "HTTP 201, expected 200" },
		{ "HTTP/1.1 401 Who\r\n\r\n", "--status", "401", 0,
		    "HTTP 401 in *" },
		{ "HTTP/1.1 100 Go on\r\n\r\n" OK "\r\n", NULL, NULL, 0,
		    "HTTP 200 in *" },
		{ OK "\r\nall is ok", "--body", "is ok", 0, "HTTP 200 in *" },
		{ OK "\r\nall is bad", "--body", "ok", 1,
		    "the body does not contain \"ok\"" },
		{ OK "X: ok\r\n\r\n", "--body", "ok", 1,
		    "the body does not contain \"ok\"" },
		{ OK "\r\nbad", "--body", "o\nk\033[1m", 1,
		    "the body does not contain \"o?k?[1m\"" },
		{ OK "Transfer-Encoding: chunked\r\n\r\n3\r\nis \r\n2\r\nok\r\n"
		    "0\r\n\r\n", "--body", "is ok", 0, "HTTP 200 in *" },
		{ OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
		    "X-After: y\r\n\r\n", NULL, NULL, 0, "HTTP 200 in *" },
		{ OK "Content-Encoding: gzip\r\n\r\nis ok", "--body", "is ok",
		    0, "HTTP 200 in *" },
	};
	struct server server;
	struct child child;
	size_t i;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		supprobe_start(&child, -1, "http", server.address,
		    "--timeout-ms", "10000", cases[i].option, cases[i].value,
		    NULL);
		server_answer(&server, cases[i].answer,
		    strlen(cases[i].answer));
		supprobe_finish(&child, cases[i].status, cases[i].line);
	}
	server_close(&server);
}

/* NUL is a byte like any other. */
static void
test_binary_body(void **state)
{
	static const char answer[] = OK "\r\na\0b is ok";
	struct server server;
	struct child child;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--body", "ok",
	    "--timeout-ms", "10000", NULL);
	server_answer(&server, answer, sizeof(answer) - 1);
	supprobe_finish(&child, 0, "HTTP 200 in *");
	server_close(&server);
}

static void
test_request(void **state)
{
	struct server server;
	struct child child;
	char expected[512];

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--path",
	    "/a/../b?c=d%20e#f", "--timeout-ms", "10000", NULL);
	server_answer(&server, OK "\r\n", strlen(OK "\r\n"));
	supprobe_finish(&child, 0, "HTTP 200 in *");
	snprintf(expected, sizeof(expected), "GET /a/../b?c=d%%20e#f HTTP/1.1"
	    "\r\nHost: %s\r\nUser-Agent: supprobe/%s\r\nAccept: */*\r\n"
	    "Connection: close\r\n\r\n", server.address, PACKAGE_VERSION);
	assert_string_equal(server.request, expected);
	server_close(&server);
}

/* To itself; nobody comes back. */
static void
test_redirect(void **state)
{
	static const char answer[] =
	    "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
	struct server server;
	struct child child;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "10000", NULL);
	server_answer(&server, answer, strlen(answer));
	supprobe_finish(&child, 0, "HTTP 302 in *");
	server_assert_idle(&server);
	supprobe_start(&child, -1, "http", server.address, "--timeout-ms",
	    "10000", "--status", "200-299", NULL);
	server_answer(&server, answer, strlen(answer));
	supprobe_finish(&child, 1, "HTTP 302, expected 200-299");
	server_close(&server);
}

static void
test_no_proxy(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	test_request(state);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

/* Listens at one address and is probed by another; both kinds. */
static void
check_address(const char *listens, const char *connects, const char *host)
{
	struct server server;
	struct child child;
	char address[LOOPBACK_TEXT_MAX + 64];

	server_open(&server, listens, 8);
	snprintf(address, sizeof(address), "%s", server.address);
	if (connects != NULL)
		snprintf(address, sizeof(address), "%s%s", connects,
		    strrchr(server.address, ':'));
	supprobe_start(&child, -1, "http", address, "--timeout-ms", "10000",
	    NULL);
	server_answer(&server, OK "\r\n", strlen(OK "\r\n"));
	supprobe_finish(&child, 0, "HTTP 200 in *");
	assert_non_null(strstr(server.request, host));
	supprobe_start(&child, -1, "tcp", address, "--timeout-ms", "10000",
	    NULL);
	supprobe_finish(&child, 0, "connected in *");
	close(server_accept(&server, false));
	server_close(&server);
}

static void
test_addresses(void **state)
{
	char path[] = "/tmp/supprobe-XXXXXX", address[64];
	int fd = mkstemp(path);

	(void)state;
	check_address("127.0.0.1:0", "0.0.0.0", "\r\nHost: 127.0.0.1:");
	check_address("127.1.2.3:0", NULL, "\r\nHost: 127.1.2.3:");
	check_address("[::1]:0", NULL, "\r\nHost: [::1]:");
	check_address("[::1]:0", "[::]", "\r\nHost: [::1]:");
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	snprintf(address, sizeof(address), "unix:%s", path);
	check_address(address, NULL, "\r\nHost: localhost\r\n");
	unlink(path);
	snprintf(address, sizeof(address), "unix:@%s", path);
	check_address(address, NULL, "\r\nHost: localhost\r\n");
}

/*
 * The given socket
 */

static int
reserve(const struct server *server, uint16_t *ret_port)
{
	struct listener_spec spec = { .address = { .family = ADDRESS_IPV4 } };
	int fd;

	strcpy(spec.address.host, "127.0.0.1");
	spec.address.port = (uint16_t)atoi(strrchr(server->address, ':') + 1);
	fd = probe_reserve(&spec, ret_port);
	assert_true(fd >= 0);
	return fd;
}

static uint16_t
port_of_client(int fd)
{
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);

	assert_int_equal(getpeername(fd, (struct sockaddr *)&address, &bytes),
	    0);
	return ntohs(address.sin_port);
}

/* The server sees its port, and the end, though we hold the socket open. */
static void
check_given(const char *kind, bool asked, const char *line)
{
	struct server server;
	struct child child;
	char byte;
	uint16_t port;
	int given, fd;

	server_open(&server, "127.0.0.1:0", 8);
	given = reserve(&server, &port);
	supprobe_start(&child, given, kind, server.address, "--fd", "3",
	    "--timeout-ms", "10000", NULL);
	fd = server_accept(&server, asked);
	assert_int_equal(port_of_client(fd), port);
	if (asked)
		assert_int_equal(write(fd, OK "Content-Length: 0\r\n\r\n", 38),
		    38);
	child_await_input(fd);
	assert_int_equal(read(fd, &byte, 1), 0);
	supprobe_finish(&child, 0, line);
	close(fd);
	close(given);
	server_close(&server);
}

static void
test_given_socket(void **state)
{
	(void)state;
	check_given("http", true, "HTTP 200 in *");
	check_given("tcp", false, "connected in *");
}

/* If it cannot be used, no other is. */
static void
test_given_socket_used(void **state)
{
	struct server server;
	struct child child;
	struct loopback loopback;
	int given, fd;

	(void)state;
	server_open(&server, "127.0.0.1:0", 8);
	assert_int_equal(loopback_parse(server.address, &loopback), 0);
	given = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(given,
	    (const struct sockaddr *)&loopback.address, loopback.length_bytes),
	    0);
	fd = server_accept(&server, false);
	supprobe_start(&child, given, "http", server.address, "--fd", "3",
	    NULL);
	supprobe_finish(&child, 1,
	    "connect: Transport endpoint is already connected");
	supprobe_start(&child, given, "tcp", server.address, "--fd", "3", NULL);
	supprobe_finish(&child, 1,
	    "connect: Transport endpoint is already connected");
	close(given);
	close(fd);
	server_close(&server);
}

/*
 * Usage
 */

static void
check_usage(const char *words, char *const *arguments)
{
	char *argv[12] = { (char []){ "../supprobe" } };
	char out[CHILD_OUTPUT_MAX], err[CHILD_OUTPUT_MAX];
	struct child child;
	size_t i;

	for (i = 0; arguments[i] != NULL; i++)
		argv[i + 1] = arguments[i];
	argv[i + 1] = NULL;
	child_start(&child, argv, -1);
	child_read_all(child.out_fd, out, sizeof(out));
	child_read_all(child.err_fd, err, sizeof(err));
	assert_int_equal(child_wait(&child), 2);
	assert_string_equal(out, "");
	if (strstr(err, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, err);
}

#define TO (char []){ "--connect" }, (char []){ "127.0.0.1:1" }
#define WORD(text) (char []){ text }

static void
test_usage(void **state)
{
	const struct {
		const char *words;
		char *arguments[8];
	} cases[] = {
		{ "expected `http` or `tcp`", { NULL } },
		{ "expected `http` or `tcp`", { WORD("ftp"), TO } },
		{ "expected `http` or `tcp`", { WORD("tcp"), TO, WORD("x") } },
		{ "--connect is required", { WORD("tcp") } },
		{ "no option", { WORD("tcp"), TO, WORD("--fast") } },
		{ "lacks its value", { WORD("tcp"), WORD("--connect") } },
		{ "localhost", { WORD("tcp"), WORD("--connect"),
		    WORD("localhost:80") } },
		{ "from 1 to", { WORD("tcp"), TO, WORD("--timeout-ms"),
		    WORD("0") } },
		{ "from 3 on", { WORD("tcp"), TO, WORD("--fd"), WORD("1") } },
		{ "Bad file descriptor", { WORD("tcp"), TO, WORD("--fd"),
		    WORD("99") } },
		{ "unix socket", { WORD("tcp"), WORD("--connect"),
		    WORD("unix:/x"), WORD("--fd"), WORD("99") } },
		{ "not a unix datagram socket", { WORD("tcp"),
		    WORD("--connect"), WORD("unix-dgram:/x") } },
		{ "not UDP", { WORD("http"), WORD("--connect"),
		    WORD("udp:127.0.0.1:53") } },
		{ "begin with /", { WORD("http"), TO, WORD("--path"),
		    WORD("x") } },
		{ "without blanks", { WORD("http"), TO, WORD("--path"),
		    WORD("/ HTTP/1.1\r\nX: y") } },
		{ "N or MIN-MAX", { WORD("http"), TO, WORD("--status"),
		    WORD("300-200") } },
		{ "must not be empty", { WORD("http"), TO, WORD("--body"),
		    WORD("") } },
		{ "are for `http`", { WORD("tcp"), TO, WORD("--status"),
		    WORD("200") } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_usage(cases[i].words, cases[i].arguments);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_binary_body),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_no_proxy),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_given_socket),
		cmocka_unit_test(test_given_socket_used),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, supprobe_set_up_group, NULL);
}
