/*
 * Tests of the load generator's pure parts: the histogram, the counting and
 * the response parser.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen_response.h"
#include "loadgen_sources.h"
#include "loadgen_stats.h"
#include "loopback.h"

static struct stats stats;

static void
test_quantiles(void **state)
{
	static struct histogram histogram;
	uint64_t value;

	(void)state;
	assert_int_equal(histogram_quantile(&histogram, 500), 0);
	for (value = 1; value <= 100000; value++)
		histogram_add(&histogram, value);
	/* Never below the truth, and above it by less than 1 in 128. */
	assert_in_range(histogram_quantile(&histogram, 500), 50000, 50391);
	assert_in_range(histogram_quantile(&histogram, 900), 90000, 90704);
	assert_in_range(histogram_quantile(&histogram, 999), 99900, 100000);
	assert_int_equal(histogram_quantile(&histogram, 1000), 100000);
}

/* One slow answer of a thousand is p99.9's business, not p99's. */
static void
test_quantile_ranks(void **state)
{
	static struct histogram histogram;
	int i;

	(void)state;
	for (i = 0; i < 998; i++)
		histogram_add(&histogram, 7);
	histogram_add(&histogram, 5000000);
	histogram_add(&histogram, 5000000);
	assert_int_equal(histogram_quantile(&histogram, 990), 7);
	assert_in_range(histogram_quantile(&histogram, 999), 5000000, 5000000);
}

static void
test_histogram_edges(void **state)
{
	static const uint64_t values[] = {
		0, 1, 127, 128, 129, 255, 256, 65535, 65536, UINT32_MAX,
		(uint64_t)UINT32_MAX + 1, UINT64_MAX,
	};
	struct histogram histogram;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		memset(&histogram, 0, sizeof(histogram));
		histogram_add(&histogram, values[i]);
		assert_int_equal(histogram.maximum_us, values[i]);
		assert_int_equal(histogram_quantile(&histogram, 500),
		    values[i] > UINT32_MAX ? UINT32_MAX : values[i]);
	}
}

static void
test_versions(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof(stats));
	stats_answer(&stats, 1000, 5, "version=a pid=10 slot=0\n");
	stats_answer(&stats, 2000, 5, "version=b pid=11 slot=0\n");
	stats_answer(&stats, 3000, 5, "version=a pid=12 slot=1\n");
	stats_answer(&stats, 4000, 5, "version=a pid=10 slot=0\n");
	stats_answer(&stats, 5000, 5, "hello");
	stats_failure(&stats, OUTCOME_EMPTY_REUSED, NULL);
	assert_int_equal(stats_requests(&stats), 6);
	assert_int_equal(stats_failures(&stats), 1);
	assert_int_equal(stats.version_count, 2);
	assert_string_equal(stats.versions[0].text, "a");
	assert_int_equal(stats.versions[0].count, 3);
	assert_int_equal(stats.versions[0].first_us, 1000);
	assert_int_equal(stats.versions[0].last_us, 4000);
	assert_int_equal(stats.versions[0].pid_count, 2);
	assert_int_equal(stats.versions[0].pids[0].pid, 10);
	assert_int_equal(stats.versions[0].pids[0].count, 2);
	assert_int_equal(stats.versions[1].count, 1);
}

/* A failure belongs to whoever says so, else to whom the connection did. */
static void
test_failures_of_versions(void **state)
{
	struct version *a, *b;

	(void)state;
	memset(&stats, 0, sizeof(stats));
	b = stats_wrong(&stats, 1000, "version=b pid=11", NULL);
	a = stats_answer(&stats, 2000, 5, "version=a pid=10");
	assert_string_equal(a->text, "a");
	assert_null(stats_wrong(&stats, 3000, "who knows", a));
	assert_null(stats_wrong(&stats, 3000, "who knows", NULL));
	assert_ptr_equal(stats_wrong(&stats, 4000, "version=b pid=12", a), b);
	stats_failure(&stats, OUTCOME_RESET_REUSED, a);
	stats_failure(&stats, OUTCOME_REFUSED, NULL);
	assert_null(stats_answer(&stats, 5000, 5, "hello"));
	assert_int_equal(a->count, 1);
	assert_int_equal(a->failures, 2);
	assert_int_equal(b->count, 0);
	assert_int_equal(b->failures, 2);
	assert_int_equal(b->first_us, 1000);
	assert_int_equal(b->last_us, 4000);
	assert_int_equal(b->pid_count, 2);
	assert_int_equal(stats.outcomes[OUTCOME_WRONG], 4);
	assert_int_equal(stats_failures(&stats), 6);
	assert_int_equal(stats_requests(&stats), 8);
}

static void
test_connections_of_versions(void **state)
{
	struct version *a, *b;

	(void)state;
	memset(&stats, 0, sizeof(stats));
	a = stats_answer(&stats, 1, 1, "version=a pid=1");
	b = stats_answer(&stats, 1, 1, "version=b pid=2");
	stats_connection(&stats, a, 7, 1);
	stats_connection(&stats, b, 7, 2);
	stats_connection(&stats, b, -1, 3);
	assert_int_equal(a->connections, 1);
	assert_int_equal(b->connections, 2);
	assert_int_equal(stats.sources.changes[0][1], 1);
	assert_int_equal(sources_seen(&stats.sources, 1), 1);
}

/* Forth and back are two things, and each source is by itself. */
static void
test_sources(void **state)
{
	static struct sources sources;

	(void)state;
	memset(&sources, 0, sizeof(sources));
	sources_note(&sources, 0, 10, 0);
	sources_note(&sources, 1, 11, 1);
	sources_note(&sources, 0, 12, 0);
	sources_note(&sources, SOURCES_MAX - 1, 13, SOURCES_VERSIONS_MAX - 1);
	sources_note(&sources, 0, 14, 1);
	sources_note(&sources, 0, 16, 1);
	sources_note(&sources, 1, 15, 1);
	assert_int_equal(sources.changes[0][1], 1);
	assert_int_equal(sources.changes[1][0], 0);
	sources_note(&sources, 0, 17, 0);
	assert_int_equal(sources.changes[0][1], 1);
	assert_int_equal(sources.changes[1][0], 1);
	assert_int_equal(sources_seen(&sources, 0), 1);
	assert_int_equal(sources_seen(&sources, 1), 2);
	assert_int_equal(sources_seen(&sources, SOURCES_VERSIONS_MAX - 1), 1);
	assert_int_equal(sources_answered(&sources), 3);
	assert_int_equal(sources.overtaken, 0);
}

/* An answer that comes after that of a later connection changes nothing. */
static void
test_sources_overtaken(void **state)
{
	static struct sources sources;

	(void)state;
	memset(&sources, 0, sizeof(sources));
	sources_note(&sources, 0, 10, 0);
	sources_note(&sources, 0, 12, 1);
	sources_note(&sources, 0, 11, 0);
	sources_note(&sources, 0, 13, 1);
	assert_int_equal(sources.changes[0][1], 1);
	assert_int_equal(sources.changes[1][0], 0);
	assert_int_equal(sources.overtaken, 1);
}

static void
test_ranges(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint32_t first;
		unsigned count;
	} cases[] = {
		{ "127.1.0.1-127.1.0.200", 0, 0x7f010001, 200 },
		{ "127.1.0.255-127.1.1.0", 0, 0x7f0100ff, 2 },
		{ "127.0.0.9", 0, 0x7f000009, 1 },
		{ "127.1.0.2-127.1.0.1", -EINVAL, 0, 0 },
		{ "127.1.0.2-", -EINVAL, 0, 0 },
		{ "-127.1.0.2", -EINVAL, 0, 0 },
		{ "127.1.0.2-127.1.0.3-127.1.0.4", -EINVAL, 0, 0 },
		{ "127.1.0.2:80", -EINVAL, 0, 0 },
		{ "", -EINVAL, 0, 0 },
		{ "a long text that is no address at all", -EINVAL, 0, 0 },
		{ "10.0.0.1", -EPERM, 0, 0 },
		{ "127.1.0.2-128.0.0.1", -EPERM, 0, 0 },
	};
	struct loopback_range range;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		range = (struct loopback_range){ 0, 0 };
		assert_int_equal(loopback_parse_range(cases[i].text, &range),
		    cases[i].error);
		assert_int_equal(range.first, cases[i].first);
		assert_int_equal(range.count, cases[i].count);
	}
}

static void
test_bounds(void **state)
{
	char body[64];
	int i;

	(void)state;
	memset(&stats, 0, sizeof(stats));
	for (i = 0; i < PIDS_MAX + 3; i++) {
		snprintf(body, sizeof(body), "version=a pid=%d slot=0", i + 1);
		stats_answer(&stats, 1, 1, body);
	}
	assert_int_equal(stats.versions[0].pid_count, PIDS_MAX);
	assert_int_equal(stats.versions[0].other_pids_answers, 3);
	for (i = 1; i < VERSIONS_MAX + 2; i++) {
		snprintf(body, sizeof(body), "version=v%d pid=1 slot=0", i);
		stats_answer(&stats, 1, 1, body);
	}
	assert_int_equal(stats.version_count, VERSIONS_MAX);
	assert_int_equal(stats.other_versions_answers, 2);
	memset(&stats, 0, sizeof(stats));
	stats_answer(&stats, 1, 1, "version=\"\\\x01 pid=1");
	assert_string_equal(stats.versions[0].text, "???");
}

static void
test_window(void **state)
{
	(void)state;
	memset(&stats, 0, sizeof(stats));
	stats_answer(&stats, 1, 900, "version=a pid=1");
	stats_failure(&stats, OUTCOME_RESET, NULL);
	stats_next_window(&stats);
	stats_answer(&stats, 2, 100, "version=a pid=1");
	assert_int_equal(stats.window_answers, 1);
	assert_int_equal(stats.window_failures, 0);
	assert_int_equal(stats.versions[0].window_count, 1);
	assert_int_equal(stats.versions[0].count, 2);
	assert_int_equal(histogram_quantile(&stats.window_latency, 1000), 100);
	assert_int_equal(histogram_quantile(&stats.latency, 1000), 900);
}

/* Feeds a text in pieces of a size; returns the state after all of it. */
static enum response_state
feed(struct response *response, const char *text, size_t piece_size)
{
	size_t length = strlen(text), size;

	response_begin(response);
	for (; length > 0; text += size, length -= size) {
		size = length < piece_size ? length : piece_size;
		if (response_feed(response, text, size) == RESPONSE_BAD)
			break;
	}
	return response->state;
}

static void
test_response(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nServer: x\r\n"
	    "content-LENGTH:  5\r\nConnection: Close\r\n\r\nhello";
	struct response response;
	size_t piece_size;

	(void)state;
	for (piece_size = 1; piece_size < sizeof(text); piece_size++) {
		assert_int_equal(feed(&response, text, piece_size),
		    RESPONSE_DONE);
		assert_int_equal(response.status, 200);
		assert_true(response.close);
		assert_string_equal(response.body, "hello");
	}
	assert_int_equal(feed(&response,
	    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 9),
	    RESPONSE_DONE);
	assert_false(response.close);
}

static void
test_response_until_end(void **state)
{
	struct response response;

	(void)state;
	assert_int_equal(feed(&response, "HTTP/1.0 200 OK\r\n\r\nhel", 4),
	    RESPONSE_BODY);
	assert_true(response.close);
	assert_int_equal(response_end(&response), RESPONSE_DONE);
	assert_string_equal(response.body, "hel");
}

static void
test_response_truncated(void **state)
{
	struct response response;

	(void)state;
	feed(&response, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 99);
	assert_int_equal(response_end(&response), RESPONSE_BODY);
	feed(&response, "HTTP/1.1 200 OK\r\nContent-Len", 99);
	assert_int_equal(response_end(&response), RESPONSE_HEAD);
	assert_true(response_begun(&response));
	response_begin(&response);
	assert_int_equal(response_end(&response), RESPONSE_HEAD);
	assert_false(response_begun(&response));
}

static void
test_response_bad(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
	};
	char large[RESPONSE_HEAD_BYTES_MAX + 100];
	struct response response;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(feed(&response, texts[i], 1), RESPONSE_BAD);
		assert_int_equal(feed(&response, texts[i], 999), RESPONSE_BAD);
	}
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(feed(&response, large, 100), RESPONSE_BAD);
}

static void
test_response_large_body(void **state)
{
	struct response response;
	char part[1000];
	int i;

	(void)state;
	memset(part, 'y', sizeof(part));
	feed(&response, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 99);
	for (i = 0; i < 99; i++)
		assert_int_equal(response_feed(&response, part, sizeof(part)),
		    RESPONSE_BODY);
	assert_int_equal(response_feed(&response, part, sizeof(part)),
	    RESPONSE_DONE);
	assert_int_equal(strlen(response.body), RESPONSE_BODY_BYTES_KEPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_quantile_ranks),
		cmocka_unit_test(test_histogram_edges),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_failures_of_versions),
		cmocka_unit_test(test_connections_of_versions),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_sources_overtaken),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_response_until_end),
		cmocka_unit_test(test_response_truncated),
		cmocka_unit_test(test_response_bad),
		cmocka_unit_test(test_response_large_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
