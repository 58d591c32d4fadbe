/*
 * Tests of the worker's pure parts: what it reads in a request, and what it
 * makes of one when it has faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker_faults.h"
#include "worker_request.h"

static struct request
parse(const char *text)
{
	struct request request;

	assert_true(request_parse(text, strlen(text), &request));
	return request;
}

/* It is whole with its last byte, and what follows is none of its business. */
static void
test_request_size(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	    "GET /healthz HTTP/1.0\r\nUser-Agent: supprobe/1\r\n\r\n";
	const size_t size = strlen("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	struct request request;
	size_t i;

	(void)state;
	for (i = 0; i < size; i++)
		assert_false(request_parse(text, i, &request));
	for (; i < sizeof(text); i++) {
		assert_true(request_parse(text, i, &request));
		assert_int_equal(request.size_bytes, size);
		assert_false(request.last || request.health || request.probe);
	}
}

static void
test_request_last(void **state)
{
	(void)state;
	assert_true(parse("GET / HTTP/1.0\r\n\r\n").last);
	assert_true(parse("nonsense\r\n\r\n").last);
	assert_true(parse("\r\n\r\n").last);
	assert_false(parse("GET / HTTP/1.1\r\n\r\n").last);
	assert_true(parse("GET / HTTP/1.1\r\nCONNECTION: Close\r\n\r\n").last);
	assert_true(parse("PUT / HTTP/1.1\r\nA: b\r\nContent-Length: 1\r\n\r\n")
	    .last);
	assert_true(parse("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	    .last);
	assert_false(parse("GET / HTTP/1.1\r\nX-Connection: close\r\n\r\n")
	    .last);
}

static void
test_request_health(void **state)
{
	(void)state;
	assert_true(parse("GET /healthz HTTP/1.1\r\n\r\n").health);
	assert_true(parse("HEAD /healthz?deep HTTP/1.1\r\n\r\n").health);
	assert_false(parse("GET /healthzz HTTP/1.1\r\n\r\n").health);
	assert_false(parse("GET /health HTTP/1.1\r\n\r\n").health);
	assert_false(parse("GET /a/healthz HTTP/1.1\r\n\r\n").health);
	assert_false(parse("GET / HTTP/1.1\r\nA: /healthz \r\n\r\n").health);
	assert_false(parse("GET /healthz\r\n\r\n").health);
}

static void
test_request_probe(void **state)
{
	(void)state;
	assert_true(parse("GET / HTTP/1.1\r\nA: b\r\n"
	    "User-Agent: supprobe/0.1\r\n\r\n").probe);
	assert_true(parse("GET / HTTP/1.1\r\nuser-agent:supprobe/\r\n\r\n")
	    .probe);
	assert_false(parse("GET / HTTP/1.1\r\nUser-Agent: supprobe\r\n\r\n")
	    .probe);
	assert_false(parse("GET / HTTP/1.1\r\nUser-Agent: a supprobe/\r\n\r\n")
	    .probe);
	assert_false(parse("GET / HTTP/1.1\r\nX-User-Agent: supprobe/\r\n\r\n")
	    .probe);
	assert_false(parse("GET / HTTP/1.1\r\nUser-Agent: \r\n\r\n").probe);
}

static const struct fault_settings good = {
	.unhealthy_after_ms = -1,
	.unhealthy_status = 503,
};

/* Of 1000 requests, at this moment, how many have this fault. */
static int
count_fault(struct faults *faults, enum answer_fault fault, uint64_t now_ms)
{
	int count = 0;

	for (int i = 0; i < 1000; i++)
		count += faults_plan(faults, false, now_ms).fault == fault;
	return count;
}

static void
test_shares(void **state)
{
	struct fault_settings settings = good;
	struct faults faults;

	(void)state;
	settings.shares[ANSWER_RESET] = 1000;
	settings.shares[ANSWER_ERROR] = 3000;
	faults_begin(&faults, &settings, 5000);
	assert_int_equal(count_fault(&faults, ANSWER_RESET, 5000), 10);
	assert_int_equal(count_fault(&faults, ANSWER_ERROR, 5000), 30);
	assert_int_equal(count_fault(&faults, ANSWER_STALL, 5000), 0);
}

/* Both bounds have to be passed, and the shares begin to count then. */
static void
test_after(void **state)
{
	struct fault_settings settings = good;
	struct faults faults;

	(void)state;
	settings.shares[ANSWER_ERROR] = 50000;
	settings.after_ms = 100;
	settings.after_requests = 1500;
	faults_begin(&faults, &settings, 5000);
	assert_int_equal(count_fault(&faults, ANSWER_ERROR, 5100), 0);
	assert_false(faults_begun(&faults, 5100));
	assert_int_equal(count_fault(&faults, ANSWER_ERROR, 5100), 250);
	assert_int_equal(count_fault(&faults, ANSWER_ERROR, 5099), 0);
	assert_false(faults_begun(&faults, 5099));
	assert_true(faults_begun(&faults, 5100));
	assert_int_equal(count_fault(&faults, ANSWER_ERROR, 5100), 500);
}

static void
test_plans(void **state)
{
	struct fault_settings settings = good;
	struct answer_plan plan;
	struct faults faults;

	(void)state;
	faults_begin(&faults, &settings, 0);
	plan = faults_plan(&faults, false, 0);
	assert_int_equal(plan.status, 200);
	assert_int_equal(plan.delay_ms, 0);
	assert_int_equal(plan.grow_bytes, 0);
	assert_false(plan.crash);
	assert_string_equal(plan.remark, "");

	settings.shares[ANSWER_ERROR] = 100000;
	settings.stall_ms = 300;
	settings.slow_ms = 20;
	settings.grow_bytes = 4096;
	settings.crash_on_request = 3;
	settings.after_requests = 1;
	faults_begin(&faults, &settings, 0);
	plan = faults_plan(&faults, false, 0);
	assert_int_equal(plan.status, 200);
	assert_int_equal(plan.delay_ms, 0);
	assert_int_equal(plan.grow_bytes, 0);
	plan = faults_plan(&faults, false, 0);
	assert_int_equal(plan.fault, ANSWER_ERROR);
	assert_int_equal(plan.status, 503);
	assert_int_equal(plan.delay_ms, 20);
	assert_int_equal(plan.grow_bytes, 4096);
	assert_false(plan.crash);
	assert_false(faults_plan(&faults, true, 0).crash);
	faults.settings.shares[ANSWER_ERROR] = 0;
	faults.settings.shares[ANSWER_STALL] = 100000;
	plan = faults_plan(&faults, false, 0);
	assert_int_equal(plan.fault, ANSWER_STALL);
	assert_int_equal(plan.status, 200);
	assert_int_equal(plan.delay_ms, 320);
	assert_true(plan.crash);
}

/* From the beginning to the end of what was asked for, and never else. */
static void
test_health(void **state)
{
	struct fault_settings settings = good;
	struct answer_plan plan;
	struct faults faults;

	(void)state;
	for (int i = 0; i < ANSWER_FAULT_COUNT; i++)
		settings.shares[i] = 100000;
	settings.slow_ms = settings.stall_ms = 100;
	settings.grow_bytes = 1;
	settings.healthy_after_ms = 100;
	settings.unhealthy_after_ms = 300;
	settings.unhealthy_status = 404;
	faults_begin(&faults, &settings, 5000);
	assert_int_equal(faults_plan(&faults, true, 5099).status, 404);
	assert_int_equal(faults_plan(&faults, true, 5299).status, 200);
	assert_int_equal(faults_plan(&faults, true, 5300).status, 404);
	plan = faults_plan(&faults, true, 5100);
	assert_int_equal(plan.status, 200);
	assert_int_equal(plan.fault, ANSWER_FAULT_COUNT);
	assert_int_equal(plan.delay_ms, 0);
	assert_int_equal(plan.grow_bytes, 0);
	assert_string_equal(plan.remark, " health=good");
	assert_string_equal(faults_plan(&faults, true, 5300).remark,
	    " health=bad");
	assert_int_equal(faults.request_count, 0);
	faults_begin(&faults, &good, 0);
	assert_int_equal(faults_plan(&faults, true, UINT32_MAX).status, 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_size),
		cmocka_unit_test(test_request_last),
		cmocka_unit_test(test_request_health),
		cmocka_unit_test(test_request_probe),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
