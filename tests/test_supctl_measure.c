/*
 * DORA's measures from ledgers written by hand, whose numbers are known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supctl_dora.h"

enum { SINCE_S = 1000, ROWS_MAX = 12 };

/* What the steps of a deployment say. */
enum seen { UNKNOWN, NO_STEP, NO_WEIGHT, WEIGHT };

/* A deployment of web; a 0 is not written. */
struct row {
	const char *kind, *verdict;     /* `api undo`: of another service */
	int revision, from;
	int started, finished, in_charge, commit;
	enum seen seen;
};

/* A ledger, the oldest first, and its numbers. */
static const struct {
	const char *what;
	struct row rows[ROWS_MAX];
	struct measure expected;
} cases[] = {
	{ "nothing", { { .kind = NULL } }, { .reached = 0 } },
	{ "good ones, and their lead times", {
	    { "reload", "complete", 2, 1, 2000, 2050, 2010, 1910, UNKNOWN },
	    { "reload", "complete", 3, 2, 3000, 3050, 3010, 2410, UNKNOWN },
	    { "reload", "complete", 4, 3, 4000, 4050, 4010, 3810, UNKNOWN },
	    { "reload", "complete", 5, 4, 5000, 5050, 5010, 0, UNKNOWN } },
	    { .deployed = 4, .reached = 4, .lead_count = 3,
	    .lead_median_s = 200, .lead_p90_s = 600 } },
	{ "the median of two is between them", {
	    { "reload", "complete", 2, 1, 2000, 2050, 2010, 1910, UNKNOWN },
	    { "reload", "complete", 3, 2, 3000, 3050, 3010, 2710, UNKNOWN } },
	    { .deployed = 2, .reached = 2, .lead_count = 2,
	    .lead_median_s = 200, .lead_p90_s = 300 } },
	{ "a commit after its deployment", {
	    { "reload", "complete", 2, 1, 2000, 2050, 2010, 9999, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .lead_count = 1 } },
	{ "first starts, restarts and undos deploy nothing", {
	    { "start", "complete", 1, 0, 2000, 2010, 2010, 1500, UNKNOWN },
	    { "restart", "complete", 2, 1, 3000, 3010, 3010, 1500, UNKNOWN },
	    { "undo", "complete", 1, 2, 4000, 4010, 4010, 1500, UNKNOWN },
	    { "restart", "rolled-back", 3, 1, 5000, 5010, 0, 0, WEIGHT } },
	    { .reached = 0 } },
	{ "taken back before users got it", {
	    { "reload", "rolled-back", 2, 1, 2000, 2010, 0, 0, NO_WEIGHT },
	    { "reload", "aborted", 3, 1, 3000, 3010, 0, 0, NO_STEP } },
	    { .harmless = 2 } },
	{ "taken back after that: from 5 s on", {
	    { "reload", "rolled-back", 2, 1, 2000, 2035, 0, 1900, WEIGHT },
	    { "reload", "aborted", 3, 1, 3000, 3015, 0, 1900, WEIGHT } },
	    { .reached = 2, .failed = 2, .recovery_count = 2,
	    .recovery_median_s = 20 } },
	{ "what is not known is held against it", {
	    { "reload", "rolled-back", 2, 1, 2000, 2035, 0, 0, UNKNOWN } },
	    { .reached = 1, .failed = 1, .recovery_count = 1,
	    .recovery_median_s = 35 } },
	{ "taken back while the old one was kept warm", {
	    { "reload", "aborted", 2, 1, 2000, 2600, 2060, 1960, WEIGHT } },
	    { .deployed = 1, .reached = 1, .failed = 1, .lead_count = 1,
	    .lead_median_s = 100, .lead_p90_s = 100, .recovery_count = 1,
	    .recovery_median_s = 595 } },
	{ "undone a day later", {
	    { "reload", "complete", 2, 1, 2000, 2050, 2010, 0, WEIGHT },
	    { "undo", "complete", 1, 2, 88400, 88460, 88405, 0, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .failed = 1, .recovery_count = 1,
	    .recovery_median_s = 86400 } },
	{ "undone twice: that one, and the one before it", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "reload", "complete", 3, 2, 3000, 3010, 3010, 0, UNKNOWN },
	    { "reload", "complete", 4, 3, 4000, 4010, 4010, 0, UNKNOWN },
	    { "undo", "complete", 3, 4, 5000, 5010, 5010, 0, UNKNOWN },
	    { "undo", "complete", 2, 3, 6000, 6010, 6010, 0, UNKNOWN } },
	    { .deployed = 3, .reached = 3, .failed = 2, .recovery_count = 2,
	    .recovery_median_s = (1010 + 3010) / 2 } },
	{ "an undo that was taken back itself", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "undo", "rolled-back", 1, 2, 3000, 3010, 0, 0, WEIGHT } },
	    { .deployed = 1, .reached = 1 } },
	{ "an undo that was, and then succeeded, and again", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "undo", "rolled-back", 1, 2, 3000, 3010, 0, 0, WEIGHT },
	    { "undo", "complete", 1, 2, 4000, 4010, 4010, 0, UNKNOWN },
	    { "undo", "complete", 2, 1, 5000, 5010, 5010, 0, UNKNOWN },
	    { "undo", "complete", 1, 2, 6000, 6010, 6010, 0, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .failed = 1, .recovery_count = 1,
	    .recovery_median_s = 2010 } },
	{ "an undo of a restart is none of the build", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "restart", "complete", 3, 2, 3000, 3010, 3010, 0, UNKNOWN },
	    { "undo", "complete", 2, 3, 4000, 4010, 4010, 0, UNKNOWN } },
	    { .deployed = 1, .reached = 1 } },
	{ "one past restarts is", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "restart", "complete", 3, 2, 3000, 3010, 3010, 0, UNKNOWN },
	    { "restart", "rolled-back", 4, 3, 3500, 3510, 0, 0, UNKNOWN },
	    { "restart", "complete", 5, 3, 3600, 3610, 3610, 0, UNKNOWN },
	    { "undo", "complete", 1, 5, 4000, 4010, 4010, 0, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .failed = 1, .recovery_count = 1,
	    .recovery_median_s = 2010 } },
	{ "superseded, with and without users", {
	    { "reload", "superseded", 2, 1, 2000, 2010, 0, 0, WEIGHT },
	    { "reload", "superseded", 3, 1, 2010, 2010, 0, 0, NO_STEP },
	    { "reload", "superseded", 4, 1, 2010, 2010, 0, 0, UNKNOWN },
	    { "reload", "complete", 5, 1, 2010, 2020, 2020, 0, WEIGHT } },
	    { .deployed = 1, .reached = 2 } },
	{ "a ledger from before there was in_charge_time_s", {
	    { "reload", "complete", 2, 1, 2000, 2050, 0, 1950, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .lead_count = 1,
	    .lead_median_s = 100, .lead_p90_s = 100 } },
	{ "in charge before the time, though it ended in it", {
	    { "reload", "complete", 2, 1, 900, 1100, 950, 900, UNKNOWN },
	    { "reload", "complete", 3, 2, 990, 1100, 1000, 900, UNKNOWN } },
	    { .deployed = 1, .reached = 1, .lead_count = 1,
	    .lead_median_s = 100, .lead_p90_s = 100 } },
	{ "another service", {
	    { "api reload", "complete", 2, 1, 2000, 2050, 2010, 0, WEIGHT },
	    { "api undo", "complete", 1, 3, 5000, 5010, 5010, 0, WEIGHT },
	    { "reload", "complete", 3, 1, 3000, 3050, 3010, 0, UNKNOWN } },
	    { .deployed = 1, .reached = 1 } },
	{ "revisions that began anew: the newest one was undone", {
	    { "reload", "complete", 2, 1, 2000, 2010, 2010, 0, UNKNOWN },
	    { "reload", "complete", 2, 1, 3000, 3010, 3010, 0, UNKNOWN },
	    { "undo", "complete", 1, 2, 4000, 4010, 4010, 0, UNKNOWN } },
	    { .deployed = 2, .reached = 2, .failed = 1, .recovery_count = 1,
	    .recovery_median_s = 1010 } },
};

static void
set_number(json_t *object, const char *key, int number)
{
	if (number != 0)
		json_object_set_new(object, key, json_integer(number));
}

static json_t *
make(const struct row *row)
{
	const char *blank = strchr(row->kind, ' ');
	json_t *object = json_pack("{s:s, s:s, s:s}", "service",
	    blank != NULL ? "api" : "web", "kind", blank != NULL ? blank + 1 :
	    row->kind, "verdict", row->verdict);
	json_t *steps = json_array();

	set_number(object, "revision", row->revision);
	set_number(object, "from_revision", row->from);
	set_number(object, "started_time_s", row->started);
	set_number(object, "finished_time_s", row->finished);
	set_number(object, "in_charge_time_s", row->in_charge);
	set_number(object, "commit_time_s", row->commit);
	if (row->seen == NO_WEIGHT || row->seen == WEIGHT)
		json_array_append_new(steps, json_pack("{s:i, s:i}",
		    "weight_permille", 0, "began_ms", 0));
	if (row->seen == WEIGHT)
		json_array_append_new(steps, json_pack("{s:i, s:i}",
		    "weight_permille", 50, "began_ms", 5999));
	if (row->seen != UNKNOWN)
		json_object_set(object, "observations", steps);
	json_decref(steps);
	return object;
}

static bool
are_equal(const struct measure *a, const struct measure *b)
{
	return a->deployed == b->deployed && a->reached == b->reached &&
	    a->failed == b->failed && a->harmless == b->harmless &&
	    a->lead_count == b->lead_count &&
	    a->lead_median_s == b->lead_median_s &&
	    a->lead_p90_s == b->lead_p90_s &&
	    a->recovery_count == b->recovery_count &&
	    a->recovery_median_s == b->recovery_median_s;
}

static void
test_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct measure *want = &cases[i].expected;
		json_t *list = json_array();
		struct measure m;

		for (size_t j = 0; cases[i].rows[j].kind != NULL; j++)
			json_array_insert_new(list, 0,
			    make(&cases[i].rows[j]));
		m = measure_deployments(list, "web", SINCE_S);
		if (!are_equal(&m, want))
			fail_msg("%s: deployed %u reached %u failed %u "
			    "harmless %u lead %u %u %u recovery %u %u",
			    cases[i].what, m.deployed, m.reached, m.failed,
			    m.harmless, m.lead_count,
			    (unsigned)m.lead_median_s, (unsigned)m.lead_p90_s,
			    m.recovery_count, (unsigned)m.recovery_median_s);
		json_decref(list);
	}
}

/* Lead times of 1 s, 2 s … */
static void
test_nine_of_ten(void **state)
{
	static const struct {
		int count;
		uint64_t median_s, p90_s;
	} rows[] = { { 1, 1, 1 }, { 2, 1, 2 }, { 3, 2, 3 }, { 9, 5, 9 },
		{ 10, 5, 9 }, { 11, 6, 10 }, { 20, 10, 18 }, { 100, 50, 90 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *list = json_array();
		struct measure m;

		/* In an order that is none. */
		for (int n = 1; n <= rows[i].count; n++) {
			struct row row = { "reload", "complete", n + 1, n,
				5000, 5000, 5000, 5000 - n, UNKNOWN };

			json_array_insert_new(list, n % 2 ? 0 :
			    json_array_size(list), make(&row));
		}
		m = measure_deployments(list, "web", SINCE_S);
		assert_int_equal(m.lead_median_s, rows[i].median_s);
		assert_int_equal(m.lead_p90_s, rows[i].p90_s);
		json_decref(list);
	}
}

static void
check_level(const char *level, const char *expected)
{
	assert_non_null(level);
	assert_string_equal(level, expected);
}

#define HOUR_S UINT64_C(3600)
#define DAY_S (24 * HOUR_S)

static void
test_levels_of_frequency(void **state)
{
	static const struct {
		uint32_t deployed;
		int64_t days;
		const char *level;
	} rows[] = { { 31, 30, "elite" }, { 30, 30, "high" }, { 2, 1, "elite" },
		{ 1, 1, "high" }, { 5, 30, "high" }, { 4, 28, "high" },
		{ 4, 30, "medium" }, { 1, 30, "medium" }, { 1, 31, "low" } };
	struct measure m = { 0 };

	(void)state;
	assert_null(measure_frequency_level(&m, 86400));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m.deployed = rows[i].deployed;
		check_level(measure_frequency_level(&m, rows[i].days *
		    (int64_t)DAY_S), rows[i].level);
	}
}

static void
test_levels_of_times(void **state)
{
	static const struct {
		uint64_t time_s;
		const char *lead, *recovery;
	} rows[] = {
		{ 0, "elite", "elite" },
		{ HOUR_S - 1, "elite", "elite" },
		{ HOUR_S, "elite", "high" },
		{ DAY_S - 1, "elite", "high" },
		{ DAY_S, "high", "low" },
		{ 7 * DAY_S, "high", "low" },
		{ 7 * DAY_S + 1, "medium", "low" },
		{ 30 * DAY_S, "medium", "low" },
		{ 30 * DAY_S + 1, "low", "low" },
	};
	struct measure m = { 0 };

	(void)state;
	assert_null(measure_lead_level(&m));
	assert_null(measure_recovery_level(&m));
	m.lead_count = m.recovery_count = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m.lead_median_s = m.recovery_median_s = rows[i].time_s;
		check_level(measure_lead_level(&m), rows[i].lead);
		check_level(measure_recovery_level(&m), rows[i].recovery);
	}
}

static void
test_levels_of_failures(void **state)
{
	static const struct {
		uint32_t failed, reached;
		uint64_t permille;
		const char *level;
	} rows[] = { { 0, 1, 0, "elite" }, { 1, 20, 50, "elite" },
		{ 1, 19, 53, "high" }, { 501, 10000, 50, "high" },
		{ 1, 10, 100, "high" }, { 1, 5, 200, "high" },
		{ 1, 3, 333, "low" }, { 2, 3, 667, "low" },
		{ 1, 1, 1000, "low" } };
	struct measure m = { 0 };

	(void)state;
	assert_null(measure_failure_level(&m));
	assert_int_equal(measure_failure_permille(&m), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		m.failed = rows[i].failed;
		m.reached = rows[i].reached;
		check_level(measure_failure_level(&m), rows[i].level);
		assert_int_equal(measure_failure_permille(&m),
		    rows[i].permille);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_nine_of_ten),
		cmocka_unit_test(test_levels_of_frequency),
		cmocka_unit_test(test_levels_of_times),
		cmocka_unit_test(test_levels_of_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
