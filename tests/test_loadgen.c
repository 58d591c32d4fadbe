/*
 * Tests of the load generator's accounting, against the worker, whose faults
 * are exact: of N requests to a worker that resets 1 % of them the report must
 * say N/100 resets, no more and no less.
 *
 * The generator judges every deployment that the other tests make, so what it
 * would overlook here it would overlook there.
 */
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "loadgen_fixture.h"
#include "loopback.h"

/* How long something stands still. */
enum { STALL_MS = 300 };

static void
check_good_run(const char *listen, const char *options)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	json_t *report, *version, *pid;
	int code;

	start_server(&server, listen, "--version blue-7", address);
	start(&generator, -1,
	    "loadgen --json --rate 1000 --requests 300 %s %s", options,
	    address);
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_int_equal(number(report, "requests"), 300);
	assert_int_equal(number(report, "ok"), 300);
	assert_int_equal(number(report, "failures"), 0);
	version = json_array_get(json_object_get(report, "versions"), 0);
	assert_string_equal(json_string_value(
	    json_object_get(version, "version")), "blue-7");
	assert_int_equal(number(version, "count"), 300);
	assert_int_equal(number(version, "failures"), 0);
	assert_int_equal(number(version, "connections"),
	    *options == '\0' ? 300 : 8);
	assert_int_equal(number(version, "sources"), *listen != '1' ? 0 :
	    *options == '\0' ? 254 : 8);
	assert_true(number(version, "last_ms") >= 299);
	assert_int_equal(json_array_size(json_object_get(version, "pids")), 1);
	pid = json_array_get(json_object_get(version, "pids"), 0);
	assert_int_equal(number(pid, "pid"), server.pid);
	assert_int_equal(number(pid, "count"), 300);
	assert_int_equal(number(report, "connections"),
	    *options == '\0' ? 300 : 8);
	json_decref(report);
	stop_server(&server);
}

/* A pool of four, the first for 1 to 4 requests, and the others for ten. */
static void
test_requests_each(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	json_t *report;
	int code;

	(void)state;
	start_server(&server, "127.0.0.1:0", "", address);
	start(&generator, -1, "loadgen --json --rate 1000 --requests 200 "
	    "--keep-alive 4 --requests-each 10 %s", address);
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_int_equal(number(report, "ok"), 200);
	/* The last four may have had fewer. */
	assert_in_range(number(report, "connections"), 4 + 19, 4 + 19 + 3);
	assert_int_equal(number(report, "idle_closed"), 0);
	json_decref(report);
	stop_server(&server);
}

static void
test_good_runs(void **state)
{
	char directory[] = "/tmp/test_loadgen.XXXXXX", listen[64];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(listen, sizeof(listen), "unix:%s/s", directory);
	check_good_run("127.0.0.1:0", "");
	check_good_run("127.0.0.1:0", "--keep-alive 8");
	check_good_run("[::1]:0", "");
	check_good_run("[::1]:0", "--keep-alive 8");
	check_good_run(listen, "");
	unlink(listen + 5);
	check_good_run(listen, "--keep-alive 8");
	unlink(listen + 5);
	rmdir(directory);
}

/* Of 500 requests exactly `count` end as `outcome`, and all others are ok. */
static void
check_fault(const char *server_options, const char *options,
    const char *outcome, int count)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	json_t *report;
	int code;

	start_server(&server, "127.0.0.1:0", server_options, address);
	start(&generator, -1,
	    "loadgen --json --rate 2000 --requests 500 %s %s", options,
	    address);
	report = finish(&generator, &code);
	assert_int_equal(number(report, outcome), count);
	assert_int_equal(number(report, "ok"), 500 - count);
	assert_int_equal(number(report, "failures"), count);
	assert_int_equal(code, 1);
	json_decref(report);
	stop_server(&server);
}

static void
test_faults(void **state)
{
	(void)state;
	check_fault("--reset-percent 1", "", "reset", 5);
	check_fault("--empty-percent 1", "", "empty", 5);
	check_fault("--truncate-percent 2", "", "truncated", 10);
	check_fault("--wrong-percent 0.4", "", "wrong", 2);
	check_fault("--error-percent 1", "", "wrong", 5);
	check_fault("--stall-percent 1 --stall 600", "--timeout 300",
	    "timed_out_response", 5);
}

/* The pool is opened by the first requests; no fault comes that early. */
static void
test_faults_reused(void **state)
{
	(void)state;
	check_fault("--reset-percent 1", "--keep-alive 8", "reset_reused", 5);
	check_fault("--empty-percent 1", "--keep-alive 8", "empty_reused", 5);
	check_fault("--truncate-percent 1", "--keep-alive 8", "truncated", 5);
	check_fault("--wrong-percent 1", "--keep-alive 8", "wrong", 5);
	check_fault("--stall-percent 0.4 --stall 600",
	    "--keep-alive 8 --timeout 300", "timed_out_response", 2);
}

/* The whole of its failures is put down to the one version that there is. */
static void
check_fault_of_version(const char *server_options, const char *options,
    int count)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	json_t *report, *version;
	int code;

	start_server(&server, "127.0.0.1:0", server_options, address);
	start(&generator, -1,
	    "loadgen --json --rate 2000 --requests 500 %s %s", options,
	    address);
	report = finish(&generator, &code);
	version = json_array_get(json_object_get(report, "versions"), 0);
	assert_int_equal(number(version, "count"), 500 - count);
	assert_int_equal(number(version, "failures"), count);
	assert_int_equal(number(version, "connections"),
	    number(report, "connections"));
	json_decref(report);
	stop_server(&server);
}

static void
test_faults_of_version(void **state)
{
	(void)state;
	check_fault_of_version("--error-percent 10", "", 50);
	check_fault_of_version("--error-percent 10", "--keep-alive 8", 50);
	check_fault_of_version("--reset-percent 1", "--keep-alive 8", 5);
	check_fault_of_version("--wrong-percent 1", "--keep-alive 8", 5);
	check_fault_of_version("", "--expect version=2", 500);
}

/* Connections come from the addresses of a range in turn. */
static void
test_sources(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	int listener = own_listener(address), fd, code;
	struct sockaddr_in peer;
	struct child generator;

	(void)state;
	start(&generator, -1, "loadgen --json --rate 1000 --requests 6 "
	    "--source 127.1.0.255-127.1.1.1 --timeout 200 %s", address);
	for (uint32_t i = 0; i < 6; i++) {
		socklen_t length = sizeof(peer);

		child_await_input(listener);
		fd = accept(listener, (struct sockaddr *)&peer, &length);
		assert_true(fd >= 0);
		assert_int_equal(ntohl(peer.sin_addr.s_addr),
		    0x7f0100ff + i % 3);
		close(fd);
	}
	json_decref(finish(&generator, &code));
	assert_int_equal(code, 1);
	close(listener);
}

static void
test_bad_sources(void **state)
{
	static const char *const options[] = {
		"--source 10.0.0.1 127.0.0.1:1", "--source 127.1.0.1 [::1]:1",
		"--source 127.1.0.1 unix:/nonexistent",
		"--source 127.0.0.1-127.0.16.1 127.0.0.1:1",
	};
	struct child generator;

	(void)state;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		start(&generator, -1, "loadgen --requests 1 %s", options[i]);
		assert_int_equal(child_wait(&generator), 2);
	}
}

/* One answer in ten is late, and is ok. */
static void
test_stalled_answers(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	json_t *report;
	int code;

	(void)state;
	start_server(&server, "127.0.0.1:0",
	    "--stall-percent 10 --stall 300", address);
	start(&generator, -1, "loadgen --json --rate 1000 --requests 500 %s",
	    address);
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_true(latency_us(report, "p99") >= 300000);
	assert_true(latency_us(report, "p50") < 300000);
	json_decref(report);
	stop_server(&server);
}

/*
 * The whole server stands still from before the first request until STALL_MS
 * after it.  In an open loop request i waits for what is left of the stall, so
 * of 600 requests, 1 ms apart, the k-th slowest took at least STALL_MS - k ms.
 */
static void
check_open_loop(const char *options)
{
	char address[LOOPBACK_TEXT_MAX];
	struct child server, generator;
	int listener = own_listener(address), code;
	json_t *report;

	start(&server, listener, "worker");
	child_signal(&server, SIGSTOP);
	start(&generator, -1,
	    "loadgen --json --rate 1000 --requests 600 %s %s", options,
	    address);
	child_await_input(listener);
	poll(NULL, 0, STALL_MS); /* the stall itself */
	child_signal(&server, SIGCONT);
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_int_equal(number(report, "ok"), 600);
	assert_true(latency_us(report, "max") >= STALL_MS * 1000);
	assert_true(latency_us(report, "p99") >= (STALL_MS - 7) * 1000);
	assert_true(latency_us(report, "p90") >= (STALL_MS - 61) * 1000);
	if (*options != '\0')
		assert_true(number(report, "waited") >= STALL_MS - 10);
	json_decref(report);
	stop_server(&server);
	close(listener);
}

static void
test_open_loop(void **state)
{
	(void)state;
	check_open_loop("");
	check_open_loop("--connections 2");
	check_open_loop("--keep-alive 2");
}

static void
check_refused(const char *address)
{
	struct child generator;
	json_t *report;
	int code;

	start(&generator, -1, "loadgen --json --rate 1000 --requests 50 %s",
	    address);
	report = finish(&generator, &code);
	assert_int_equal(code, 1);
	assert_int_equal(number(report, "refused"), 50);
	assert_int_equal(number(report, "requests"), 50);
	json_decref(report);
}

static void
test_refused(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	struct loopback loopback;
	int fd;

	(void)state;
	/* Bound, so that nobody else gets the port, but not listening. */
	assert_int_equal(loopback_parse("127.0.0.1:0", &loopback), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&loopback.address,
	    loopback.length_bytes), 0);
	assert_int_equal(loopback_name(fd, address), 0);
	check_refused(address);
	check_refused("unix:/tmp/test_loadgen.nobody");
	close(fd);
}

/* A full accept queue: whoever does not get in has timed out connecting. */
static void
test_connect_timeout(void **state)
{
	char path[] = "/tmp/test_loadgen.XXXXXX", address[64];
	struct loopback loopback;
	struct child generator;
	json_t *report;
	int fd, code;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(address, sizeof(address), "unix:%s/s", path);
	assert_int_equal(loopback_parse(address, &loopback), 0);
	fd = loopback_listen(&loopback, 0);
	assert_true(fd >= 0);
	start(&generator, -1, "loadgen --json --rate 100 --requests 10 "
	    "--connect-timeout 200 --timeout 200 %s", address);
	report = finish(&generator, &code);
	assert_int_equal(code, 1);
	assert_int_equal(number(report, "timed_out_response"), 1);
	assert_int_equal(number(report, "timed_out_connect"), 9);
	json_decref(report);
	close(fd);
	unlink(address + 5);
	rmdir(path);
}

static void
test_loopback_only(void **state)
{
	static const char *const addresses[] = {
		"192.168.0.1:80", "10.0.0.1:80", "0.0.0.0:80", "128.0.0.1:80",
		"[::2]:80", "[::ffff:127.0.0.1]:80", "localhost:80", "[::1]",
		"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "unix:",
	};
	struct child generator;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		start(&generator, -1, "loadgen --requests 1 %s",
		    addresses[i]);
		assert_int_equal(child_wait(&generator), 2);
	}
}

/* The generator stands still: it must say so, and not blame the server. */
static void
test_own_stall(void **state)
{
	char address[LOOPBACK_TEXT_MAX];
	int listener = own_listener(address), code;
	struct child server, generator;
	json_t *report;

	(void)state;
	start(&generator, -1, "loadgen --json --rate 1000 --requests 500 %s",
	    address);
	child_await_input(listener);
	child_signal(&generator, SIGSTOP);
	poll(NULL, 0, STALL_MS); /* the stall itself */
	child_signal(&generator, SIGCONT);
	start(&server, listener, "worker");
	report = finish(&generator, &code);
	assert_int_equal(code, 0);
	assert_true(number(report, "late_starts") >= STALL_MS - 50);
	assert_true(number(report, "late_max_us") >= (STALL_MS - 20) * 1000);
	json_decref(report);
	stop_server(&server);
	close(listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_runs),
		cmocka_unit_test(test_requests_each),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_faults_reused),
		cmocka_unit_test(test_faults_of_version),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_bad_sources),
		cmocka_unit_test(test_stalled_answers),
		cmocka_unit_test(test_open_loop),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_connect_timeout),
		cmocka_unit_test(test_loopback_only),
		cmocka_unit_test(test_own_stall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
