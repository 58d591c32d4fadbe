/*
 * Tests of the worker's faults that begin late, of its /healthz and of what it
 * counts: those that tests of a canary rely on.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "demo_fixture.h"
#include "loadgen_fixture.h"
#include "worker_counts.h"

enum { LATER_MS = 500, MEGABYTE = 1 << 20 };

static char answer[512];

static long
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A worker that is ready, and a connection to it. */
static int
begin(const struct supervisor *supervisor, struct child *worker,
    const char *options)
{
	start(worker, supervisor->listener, "worker --version a %s", options);
	await_message(supervisor, READY);
	return connect_to(supervisor);
}

static void
end(struct child *worker, int fd)
{
	close(fd);
	stop_server(worker);
}

static void
assert_answers(int fd, const char *path, int status, const char *text)
{
	ask_for(fd, path, "", answer, sizeof(answer));
	assert_int_equal(atoi(answer + strlen("HTTP/1.1 ")), status);
	assert_non_null(strstr(answer, "version=a pid="));
	assert_non_null(strstr(answer, text));
}

/* Asks until the status is this; returns when that was. */
static long
await_status(int fd, const char *path, int status)
{
	do
		ask_for(fd, path, "", answer, sizeof(answer));
	while (atoi(answer + strlen("HTTP/1.1 ")) != status);
	return now_ms();
}

static void
test_error_after_requests(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker,
	    "--error-percent 100 --after-requests 3");

	for (int i = 0; i < 3; i++) {
		assert_answers(fd, "/healthz", 200, " health=good\n");
		assert_answers(fd, "/", 200, "slot=-\n");
	}
	assert_answers(fd, "/", 503, "slot=-\n");
	assert_answers(fd, "/healthz", 200, " health=good\n");
	end(&worker, fd);
}

static void
test_error_after(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--error-percent 100 --after 500");
	long ready_ms = now_ms();

	/* The worker knew that it was ready a moment before us. */
	assert_answers(fd, "/", 200, "slot=-\n");
	assert_true(await_status(fd, "/", 503) - ready_ms >= LATER_MS - 50);
	end(&worker, fd);
}

static void
test_slow(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--slow 500 --after-requests 1");
	long began_ms = now_ms();

	assert_answers(fd, "/", 200, "slot=-\n");
	assert_true(now_ms() - began_ms < LATER_MS);
	began_ms = now_ms();
	assert_answers(fd, "/", 200, "slot=-\n");
	assert_true(now_ms() - began_ms >= LATER_MS - 1);
	began_ms = now_ms();
	assert_answers(fd, "/healthz", 200, "slot=- health=good\n");
	assert_true(now_ms() - began_ms < LATER_MS);
	end(&worker, fd);
}

/* Whether a new connection gets an answer within a moment. */
static bool
is_heard(const struct supervisor *supervisor)
{
	static const char request[] = "GET / HTTP/1.1\r\n\r\n";
	struct pollfd wanted = { .events = POLLIN };
	int ready;

	wanted.fd = connect_to(supervisor);
	assert_true(wanted.fd >= 0);
	assert_int_equal(send(wanted.fd, request, strlen(request),
	    MSG_NOSIGNAL), strlen(request));
	ready = poll(&wanted, 1, LATER_MS);
	close(wanted.fd);
	return ready == 1;
}

static void
test_deaf_after(void **state)
{
	const struct supervisor *supervisor = *state;
	struct child worker;
	int fd = begin(supervisor, &worker, "--deaf-after 500");

	assert_answers(fd, "/", 200, "slot=-\n");
	assert_true(is_heard(supervisor));
	while (is_heard(supervisor))
		continue;
	assert_answers(fd, "/", 200, "slot=-\n");
	assert_quiet(worker.pidfd);
	child_await_input(supervisor->listener);
	end(&worker, fd);
}

static long
memory_bytes(const struct child *child)
{
	char path[64];
	long pages, resident;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)child->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &pages, &resident), 2);
	fclose(file);
	return resident * sysconf(_SC_PAGESIZE);
}

static void
test_grow(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--grow 1048576 --after-requests 2");
	long before, grown;

	assert_answers(fd, "/", 200, "slot=-\n");
	assert_answers(fd, "/", 200, "slot=-\n");
	before = memory_bytes(&worker);
	for (int i = 0; i < 16; i++)
		assert_answers(fd, "/", 200, "slot=-\n");
	grown = memory_bytes(&worker) - before;
	assert_in_range(grown, 15 * MEGABYTE, 17 * MEGABYTE);
	end(&worker, fd);
}

static void
test_grow_rate(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--grow-rate 20971520");
	long began_ms, before;

	assert_answers(fd, "/", 200, "slot=-\n");
	before = memory_bytes(&worker);
	began_ms = now_ms();
	while (memory_bytes(&worker) - before < 8 * MEGABYTE)
		assert_answers(fd, "/", 200, "slot=-\n");
	assert_true(now_ms() - began_ms >= 250);
	end(&worker, fd);
}

static void
test_crash_on_request(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--crash-on-request 3 --crash-by KILL");
	char byte;

	for (int i = 0; i < 2; i++) {
		assert_answers(fd, "/healthz", 200, " health=good\n");
		assert_answers(fd, "/", 200, "slot=-\n");
	}
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	assert_int_equal(child_wait(&worker), 128 + SIGKILL);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
	close(fd);
}

/* It comes in pieces, and more and more of it. */
static void
test_health_floods(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--health-floods");
	size_t size = 0;
	char bytes[4096];
	ssize_t more;

	ask_for(fd, "/healthz", "", bytes, sizeof(bytes));
	assert_non_null(strstr(bytes, "HTTP/1.1 200 OK\r\n"));
	assert_null(strstr(bytes, "Content-Length"));
	while (size < 100000) {
		child_await_input(fd);
		more = recv(fd, bytes, sizeof(bytes), 0);
		assert_true(more > 0);
		size += (size_t)more;
	}
	end(&worker, fd);
}

static void
test_health_hangs(void **state)
{
	const struct supervisor *supervisor = *state;
	static const char request[] =
	    "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	struct child worker;
	int fd = begin(*state, &worker, "--health-hangs"), other;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL),
	    strlen(request));
	assert_quiet(fd);
	other = connect_to(supervisor);
	assert_answers(other, "/", 200, "slot=-\n");
	close(other);
	child_signal(&worker, SIGKILL);
	assert_int_equal(child_wait(&worker), 128 + SIGKILL);
	close(fd);
}

static void
test_health_leads_to_itself(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--unhealthy --unhealthy-status 302");

	ask_for(fd, "/healthz", "", answer, sizeof(answer));
	assert_non_null(strstr(answer, "HTTP/1.1 302 Found\r\n"));
	assert_non_null(strstr(answer, "\r\nLocation: /healthz\r\n"));
	end(&worker, fd);
}

static void
test_unhealthy(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker, "--unhealthy --unhealthy-status 404");

	assert_answers(fd, "/healthz", 404, " health=bad\n");
	assert_answers(fd, "/", 200, "slot=-\n");
	end(&worker, fd);
}

static void
test_health_changes(void **state)
{
	struct child worker;
	int fd = begin(*state, &worker,
	    "--healthy-after 500 --unhealthy-after 1000");
	long ready_ms = now_ms();

	assert_answers(fd, "/healthz", 503, " health=bad\n");
	assert_true(await_status(fd, "/healthz", 200) - ready_ms >=
	    LATER_MS - 50);
	assert_true(await_status(fd, "/healthz", 503) - ready_ms >=
	    2 * LATER_MS - 50);
	assert_answers(fd, "/", 200, "slot=-\n");
	end(&worker, fd);
}

/* A socket that is bound to a port of its own; says which. */
static int
bound_socket(int *ret_port)
{
	struct loopback loopback;
	char name[LOOPBACK_TEXT_MAX];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(loopback_parse("127.0.0.1:0", &loopback), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&loopback.address,
	    loopback.length_bytes), 0);
	assert_int_equal(loopback_name(fd, name), 0);
	*ret_port = atoi(strrchr(name, ':') + 1);
	return fd;
}

static void
connect_bound(int fd, const struct supervisor *supervisor)
{
	struct loopback loopback;

	assert_int_equal(loopback_parse(supervisor->address, &loopback), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&loopback.address,
	    loopback.length_bytes), 0);
}

static struct worker_counts
read_counts(const char *path, const struct child *worker)
{
	struct worker_counts counts;
	char name[64];

	snprintf(name, sizeof(name), "%s.%d", path, (int)worker->pid);
	assert_int_equal(worker_counts_read(name, &counts), 0);
	return counts;
}

static void
remove_counts(char *directory, const char *path, const struct child *worker)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.%d", path, (int)worker->pid);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(directory), 0);
}

/*
 * A user with two requests and one with one, a probe that says so, one that is
 * known by its port, and somebody who says nothing.
 */
static void
test_counts(void **state)
{
	static const char agent[] = "User-Agent: supprobe/1\r\n";
	const struct supervisor *supervisor = *state;
	char directory[] = "/tmp/test_demo.XXXXXX", path[32], options[80];
	struct worker_counts counts;
	struct child worker;
	int fds[5], port;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/c", directory);
	fds[0] = bound_socket(&port);
	snprintf(options, sizeof(options), "--count-file %s --probe-ports %d",
	    path, port);
	fds[1] = begin(supervisor, &worker, options);
	counts = read_counts(path, &worker);
	assert_string_equal(counts.version, "a");
	assert_int_equal(counts.pid, worker.pid);
	assert_int_equal(counts.requests, 0);

	connect_bound(fds[0], supervisor);
	for (int i = 2; i < 5; i++)
		fds[i] = connect_to(supervisor);
	ask(fds[1], answer, sizeof(answer));
	ask(fds[1], answer, sizeof(answer));
	ask(fds[2], answer, sizeof(answer));
	ask_for(fds[3], "/healthz", agent, answer, sizeof(answer));
	ask_for(fds[3], "/", agent, answer, sizeof(answer));
	ask_for(fds[1], "/healthz", "", answer, sizeof(answer));
	child_signal(&worker, SIGKILL);
	assert_int_equal(child_wait(&worker), 128 + SIGKILL);

	counts = read_counts(path, &worker);
	assert_int_equal(counts.accepted, 5);
	assert_int_equal(counts.user_connections, 2);
	assert_int_equal(counts.probe_connections, 2);
	assert_int_equal(counts.requests, 6);
	assert_int_equal(counts.probe_requests, 2);
	assert_int_equal(counts.health_requests, 2);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	remove_counts(directory, path, &worker);
}

static void
test_bad_options(void **state)
{
	static const struct {
		const char *options;
		int code;
	} cases[] = {
		{ "--probe-ports 0", 2 },
		{ "--probe-ports 5-4", 2 },
		{ "--probe-ports 1-65536", 2 },
		{ "--probe-ports 1-2-3", 2 },
		{ "--unhealthy-status 199", 2 },
		{ "--crash-on-request 0", 2 },
		{ "--count-file /nonexistent/x", 1 },
	};
	const struct supervisor *supervisor = *state;
	struct worker_counts counts;
	struct child worker;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start(&worker, supervisor->listener, "worker %s",
		    cases[i].options);
		assert_int_equal(child_wait(&worker), cases[i].code);
	}
	assert_int_equal(worker_counts_read("/nonexistent", &counts), -ENOENT);
	assert_int_equal(worker_counts_read("/dev/null", &counts), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		DEMO_TEST(test_error_after_requests),
		DEMO_TEST(test_error_after),
		DEMO_TEST(test_slow),
		DEMO_TEST(test_deaf_after),
		DEMO_TEST(test_grow),
		DEMO_TEST(test_grow_rate),
		DEMO_TEST(test_crash_on_request),
		DEMO_TEST(test_unhealthy),
		DEMO_TEST(test_health_floods),
		DEMO_TEST(test_health_hangs),
		DEMO_TEST(test_health_leads_to_itself),
		DEMO_TEST(test_health_changes),
		DEMO_TEST(test_counts),
		DEMO_TEST(test_bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
