/*
 * Rolling reloads under load: what supd is for.
 *
 * Over TCP (IPv4, IPv6) and a unix socket, with and without keep-alive, a new
 * build is installed and rolled in again and again while requests come at a
 * fixed rate.  None may be refused, reset, empty, late or wrong; the answers
 * must come from one build after the other; and once the old workers have gone
 * nobody but the new build may answer.
 */
#include "e2e.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	WORKERS = 4,
	RATE = 3000,
	KEEP_ALIVE_POOL = 64,
	ROUNDS = 6,                     /* seconds, of each of the six cases */
	RELOADS_PER_ROUND = 2,
};

static uint64_t requests_total;
static unsigned reloads_total;

static void
install(unsigned number)
{
	char options[64];

	snprintf(options, sizeof(options), "--version v%u", number);
	e2e_install("web", options);
}

static void
assert_only_new(const char *target, unsigned number)
{
	char version[16];

	snprintf(version, sizeof(version), "v%u", number);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_string_equal(ask_version(target), version);
}

/* Every third does not wait for those of the last one to have drained. */
static bool
is_in_a_hurry(unsigned number)
{
	return number % 3 == 0;
}

static void
reload(const char *target, unsigned number)
{
	log_mark();
	install(number);
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	if (is_in_a_hurry(number))
		return;
	log_await_count(" exited with status 0", WORKERS);
	assert_only_new(target, number);
}

/*
 * All answers have a known version, each version has some, and none began
 * before the one before it, if that was waited for.
 */
static void
assert_versions_in_order(const json_t *report, unsigned last)
{
	uint64_t answers = 0, first_ms = 0;
	struct load_version version;
	char name[16];

	assert_int_equal(json_array_size(json_object_get(report, "versions")),
	    last);
	for (unsigned i = 1; i <= last; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		version = load_version(report, name);
		assert_true(version.answers > 0);
		if (!is_in_a_hurry(i - 1))
			assert_true(version.first_ms >= first_ms);
		first_ms = version.first_ms;
		answers += version.answers;
	}
	assert_int_equal(answers, load_number(report, "ok"));
}

static void
reload_under_load(const char *listen, const char *target, unsigned pool)
{
	unsigned number = 1, rounds = e2e_rounds(ROUNDS);
	struct load load;
	json_t *report;

	install(number);
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\nmax_surge = 2\n", e2e_path("web"),
	    listen, WORKERS);
	supd_start_ready(WORKERS);
	assert_only_new(target, number);
	load_start(&load, target, RATE, pool);
	for (unsigned i = 0; i < rounds; i++) {
		load_await_second(&load);
		for (unsigned k = 0; k < RELOADS_PER_ROUND; k++)
			reload(target, ++number);
	}
	load_await_second(&load);
	report = load_end(&load);
	load_assert_clean(report);
	assert_versions_in_order(report, number);
	requests_total += load_number(report, "requests");
	reloads_total += number - 1;
	print_message("%s, keep-alive %s: %" PRIu64 " requests, %u reloads, "
	    "p99.9 %" PRIu64 " us\n", target, pool != 0 ? "on" : "off",
	    load_number(report, "requests"), number - 1, load_number(
	    json_object_get(report, "latency_us"), "p99_9"));
	json_decref(report);
	supd_stop();
}

static void
reload_tcp(const char *address, unsigned pool)
{
	char target[64];

	snprintf(target, sizeof(target), "%s:%u", address, e2e_port());
	reload_under_load(target, target, pool);
}

static void
test_ipv4(void **state)
{
	(void)state;
	reload_tcp("127.0.0.1", 0);
}

static void
test_ipv4_keep_alive(void **state)
{
	(void)state;
	reload_tcp("127.0.0.1", KEEP_ALIVE_POOL);
}

static void
test_ipv6(void **state)
{
	(void)state;
	reload_tcp("[::1]", 0);
}

static void
test_ipv6_keep_alive(void **state)
{
	(void)state;
	reload_tcp("[::1]", KEEP_ALIVE_POOL);
}

static void
reload_unix(unsigned pool)
{
	char target[E2E_PATH_BYTES + 8];

	snprintf(target, sizeof(target), "unix:%s", e2e_path("web.sock"));
	reload_under_load(target, target, pool);
}

static void
test_unix(void **state)
{
	(void)state;
	reload_unix(0);
}

static void
test_unix_keep_alive(void **state)
{
	(void)state;
	reload_unix(KEEP_ALIVE_POOL);
}

static void
test_enough_was_done(void **state)
{
	(void)state;
	print_message("%u reloads, %" PRIu64 " requests, none failed\n",
	    reloads_total, requests_total);
	if (e2e_rounds(ROUNDS) < ROUNDS)
		skip();
	assert_true(reloads_total >= 50);
	assert_true(requests_total >= 100000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_ipv4),
		E2E_TEST(test_ipv4_keep_alive),
		E2E_TEST(test_ipv6),
		E2E_TEST(test_ipv6_keep_alive),
		E2E_TEST(test_unix),
		E2E_TEST(test_unix_keep_alive),
		cmocka_unit_test(test_enough_was_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
