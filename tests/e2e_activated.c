/*
 * supd is started with a socket that somebody else listens on, as by a .socket
 * unit: who waits there is served, releases share it by weight, and it outlives
 * supd.
 */
#include "e2e.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, RATE = 500, BACKLOG = 512 };

static char target[32];
static struct load load;

/* Without SO_REUSEPORT, unless supd may not form a group of it. */
static void
open_socket(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(at);
	const int on = 1, shared = geteuid() != 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared,
	    sizeof(shared)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, bytes), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
	snprintf(target, sizeof(target), "127.0.0.1:%u", ntohs(at.sin_port));
	e2e_given_socket = fd;
}

static int
connect_to_it(void)
{
	struct sockaddr_in at;
	socklen_t bytes = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(getsockname(e2e_given_socket,
	    (struct sockaddr *)&at, &bytes), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, bytes), 0);
	return fd;
}

static void
expect_answer(int fd, const char *version)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	char answer[512];
	ssize_t got, used = 0;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
	    strlen(request));
	e2e_await_input(fd);
	while ((got = recv(fd, answer + used, sizeof(answer) - 1 -
	    (size_t)used, 0)) > 0)
		used += got;
	answer[used] = '\0';
	assert_non_null(strstr(answer, version));
	close(fd);
}

/* A rollout by weight, under load, of which nothing is lost. */
static void
roll_out(unsigned revision)
{
	char version[16];
	json_t *last, *report;

	snprintf(version, sizeof(version), "v%u", revision);
	e2e_install_counted("web", version, "");
	supctl("reload", "web", "--no-wait");
	assert_int_equal(program_code, 0);
	rollout_await_phase("web", "paused");
	report = load_run(target, "--rate 2000 --requests 1000");
	load_assert_clean(report);
	load_assert_share(report, version, 250);
	json_decref(report);
	supctl("rollout", "resume", "web");
	last = rollout_await_verdict("web", revision, "complete");
	assert_int_equal(load_number(last, "connections_lost"), 0);
	json_decref(last);
	workers_await_only("web", revision);
}

static void
test_given_socket(void **state)
{
	struct pollfd waits;
	int client;

	(void)state;
	open_socket();
	client = connect_to_it();
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nstrategy = canary\n"
	    "steps = 25%% pause, 100%%\n", e2e_path("web"), target, WORKERS);
	assert_true(supd_start_ready_how(SUPD_WITH_SOCKET, WORKERS));
	expect_answer(client, "version=v1");
	load_start(&load, target, RATE, 0);
	load_await_version(&load, "v1");
	roll_out(2);
	supd_strike(SIGSEGV);
	roll_out(3);
	load_end_clean(&load);
	supd_stop();

	/* Whoever comes now waits for the next one. */
	client = connect_to_it();
	waits = (struct pollfd){ .fd = e2e_given_socket, .events = POLLIN };
	assert_int_equal(poll(&waits, 1, E2E_WAIT_MS), 1);
	assert_int_equal(waits.revents, POLLIN);
	close(client);
	close(e2e_given_socket);
	e2e_given_socket = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_given_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
