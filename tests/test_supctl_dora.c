/*
 * `supctl dora`: what it asks for, page by page, and what it prints, against a
 * fake supervisor.  The numbers themselves are in test_supctl_measure.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fake_supervisor.h"

enum { DAY_S = 86400, PAGES_MAX = 8 };

static int64_t now_s;

static int
set_up(void **state)
{
	(void)state;
	now_s = (int64_t)time(NULL);
	setenv("TZ", "UTC", 1);
	return 0;
}

static int
count_of(const char *text, const char *part)
{
	int count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

/* A page of deployments; `times` say how long ago each was in charge. */
struct deployment {
	const char *service, *kind, *verdict;
	int id, from;
	int64_t ago_s, lead_s;
};

static char *
make_page(const struct deployment *list, size_t count)
{
	char *text = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&text, &size_bytes);

	fputs("{\"parameters\":{\"deployments\":[", out);
	for (size_t i = 0; i < count; i++) {
		const struct deployment *d = &list[i];
		long long done_s = (long long)(now_s - d->ago_s);

		fprintf(out, "%s{\"id\":%d,\"service\":\"%s\",\"kind\":\"%s\","
		    "\"revision\":%d,\"from_revision\":%d,\"verdict\":\"%s\","
		    "\"started_time_s\":%lld,\"finished_time_s\":%lld,"
		    "\"in_charge_time_s\":%lld,\"commit_time_s\":%lld,"
		    "\"observations\":[]}", i > 0 ? "," : "", d->id,
		    d->service, d->kind, d->id, d->from, d->verdict,
		    done_s - 60, done_s, done_s, d->lead_s > 0 ?
		    done_s - (long long)d->lead_s : 0);
	}
	fputs("]}}", out);
	fclose(out);
	return text;
}

static const struct deployment web[] = {
	{ "web", "undo", "complete", 5, 4, 1 * DAY_S, 0 },
	{ "web", "reload", "complete", 4, 3, 1 * DAY_S + 600, 3600 },
	{ "api", "reload", "complete", 3, 1, 2 * DAY_S, 0 },
	{ "web", "reload", "complete", 3, 2, 10 * DAY_S, 7200 },
	{ "web", "reload", "complete", 2, 1, 20 * DAY_S, 10 * DAY_S },
	{ "old", "reload", "complete", 2, 1, 40 * DAY_S, 0 },
};
enum { WEB_COUNT = sizeof(web) / sizeof(web[0]) };

static void
test_numbers(void **state)
{
	char *page = make_page(web, WEB_COUNT);
	const struct fake_answer answers[] = {
		{ "History", { page }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("dora");
	assert_string_equal(run->errors, "");
	assert_int_equal(run->code, 0);
	assert_has(fake_requests(), "{\"method\":\"io.supd.History\","
	    "\"parameters\":{\"limit\":200}}\n");
	assert_has(run->output, "\n\nweb, since ");
	assert_int_equal(count_of(run->output, "web, since "), 1);
	assert_has(run->output, " (30d0h)\n"
	    "  MEASURE                          NUMBER      LEVEL   FROM\n"
	    "  deployment frequency             0.10 a day  medium  "
	    "3 came in charge\n"
	    "  lead time for changes            2h0m        elite   "
	    "median of 3 with a commit time; p90 10d0h\n"
	    "  change failure rate              33.3%       low     "
	    "1 of 3 that got connections\n"
	    "  failed deployment recovery time  11m0s       elite   "
	    "median of 1\n");
	assert_memory_equal(run->output, "api, since ", 11);
	assert_has(run->output, "n/a                 none of 1 has a commit "
	    "time\n");
	assert_has(run->output, "\nlevels of DORA's 2024 report; ");
	assert_has_not(run->output, "what is known begins");
	assert_has_not(run->output, "old, since");
	free(page);
}

/* What was taken back before anybody got it is told, and no failure. */
static void
test_harmless(void **state)
{
	const struct fake_answer answers[] = {
		{ "History", { "{\"parameters\":{\"deployments\":[{"
		    "\"id\":1,\"service\":\"web\",\"kind\":\"reload\","
		    "\"verdict\":\"rolled-back\",\"started_time_s\":"
		    "4102444800,\"finished_time_s\":4102444801,"
		    "\"observations\":[]}]}}" }, FAKE_STAYS }, { NULL } };

	(void)state;
	fake_start(answers);
	assert_has(SUPCTL("dora")->output, "change failure rate              "
	    "n/a     none got connections; 1 more taken back before\n");
}

static void
test_json(void **state)
{
	char *page = make_page(web, WEB_COUNT);
	const struct fake_answer answers[] = {
		{ "History", { page }, FAKE_STAYS }, { NULL } };
	const struct fake_run *run;
	const char *at;

	(void)state;
	fake_start(answers);
	run = SUPCTL("dora", "--json", "--since", "4w");
	assert_int_equal(run->code, 0);
	assert_memory_equal(run->output, "{\"since_time_s\":", 16);
	assert_has(run->output, ",\"known_since_time_s\":null,\"services\":["
	    "{\"service\":\"api\",\"deployments\":1,"
	    "\"deployments_per_day\":0.036,"
	    "\"deployment_frequency_level\":\"medium\",\"lead_times\":0,"
	    "\"lead_time_median_s\":null,\"lead_time_p90_s\":null,"
	    "\"lead_time_level\":null,\"reached\":1,\"failed\":0,"
	    "\"taken_back_before\":0,\"change_failure_permille\":0,"
	    "\"change_failure_level\":\"elite\",\"recoveries\":0,"
	    "\"recovery_time_median_s\":null,\"recovery_time_level\":null},"
	    "{\"service\":\"web\",\"deployments\":3,");
	assert_has(run->output, "\"lead_time_median_s\":7200,"
	    "\"lead_time_p90_s\":864000,\"lead_time_level\":\"elite\","
	    "\"reached\":3,\"failed\":1,\"taken_back_before\":0,"
	    "\"change_failure_permille\":333,\"change_failure_level\":\"low\","
	    "\"recoveries\":1,\"recovery_time_median_s\":660,"
	    "\"recovery_time_level\":\"elite\"}]}\n");
	at = strstr(run->output, "\"since_time_s\":") + 15;
	assert_in_range(strtoll(at, NULL, 10), now_s - 28 * DAY_S,
	    now_s - 28 * DAY_S + 60);
	free(page);
}

/* Pages overlap in a second; nothing is counted twice, nothing is left out,
 * and what is older than the window ends the reading. */
static const struct {
	const char *what;
	struct { int first, count; } pages[PAGES_MAX];  /* of `all` */
	int requests;
	const char *says;
	bool begins;
} readings[] = {
	{ "one page that goes back far enough", { { 0, 8 } }, 1,
	    "5 came in charge", false },
	{ "short pages", { { 0, 3 }, { 2, 3 }, { 4, 4 } }, 3,
	    "5 came in charge", false },
	{ "the ledger ends", { { 0, 3 }, { 2, 3 }, { 4, 1 } }, 3,
	    "5 came in charge", true },
	{ "nothing more", { { 0, 2 }, { 0, 0 } }, 2, "2 came in charge",
	    true },
	{ "an old one only", { { 6, 2 } }, 1, "none came in charge", false },
};

static const struct deployment all[] = {
	{ "web", "reload", "complete", 8, 7, 1 * DAY_S, 0 },
	{ "web", "reload", "complete", 7, 6, 2 * DAY_S, 0 },
	{ "web", "reload", "complete", 6, 5, 2 * DAY_S, 0 },
	{ "web", "reload", "complete", 5, 4, 3 * DAY_S, 0 },
	{ "web", "reload", "complete", 4, 3, 4 * DAY_S, 0 },
	{ "web", "undo", "complete", 3, 2, 5 * DAY_S, 0 },
	{ "web", "reload", "complete", 2, 1, 31 * DAY_S, 0 },
	{ "web", "start", "complete", 1, 0, 32 * DAY_S, 0 },
};

static void
test_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		struct fake_answer answers[PAGES_MAX + 1] = { { NULL } };
		const struct fake_run *run;
		char *pages[PAGES_MAX] = { NULL };

		for (int p = 0; p < PAGES_MAX && (readings[i].pages[p].count ||
		    p < readings[i].requests); p++) {
			pages[p] = make_page(all + readings[i].pages[p].first,
			    (size_t)readings[i].pages[p].count);
			answers[p].method = "History";
			answers[p].replies[0] = pages[p];
		}
		fake_start(answers);
		run = SUPCTL("dora", "web");
		assert_int_equal(run->code, 0);
		if (strstr(run->output, readings[i].says) == NULL)
			fail_msg("%s: %s", readings[i].what, run->output);
		if (readings[i].begins)
			assert_has(run->output, "what is known begins only at "
			    "20");
		else
			assert_has_not(run->output, "what is known begins");
		assert_int_equal(count_of(fake_requests(), "io.supd.History"),
		    readings[i].requests);
		assert_has(fake_requests(), "\"service\":\"web\"");
		fake_stop();
		for (int p = 0; p < PAGES_MAX; p++)
			free(pages[p]);
	}
	fake_start(NULL);
}

/* Where the next page begins; and 400 deployments in one second. */
static void
test_where_pages_begin(void **state)
{
	static struct deployment crowd[200];
	char *first, *second, *third, before[64];
	struct fake_answer answers[4] = { { NULL } };

	(void)state;
	for (int i = 0; i < 200; i++)
		crowd[i] = (struct deployment){ "web", "reload", "complete",
			1000 + i, 1, DAY_S, 0 };
	first = make_page(crowd, 200);
	second = make_page(crowd, 200);
	third = make_page(all + 6, 2);
	for (int i = 0; i < 3; i++) {
		answers[i].method = "History";
		answers[i].replies[0] = i == 0 ? first : i == 1 ? second :
		    third;
	}
	fake_start(answers);
	assert_has(SUPCTL("dora", "web")->output, "200 came in charge");
	snprintf(before, sizeof(before), "\"before_time_s\":%lld}",
	    (long long)(now_s - DAY_S));
	assert_has(fake_requests(), before);
	snprintf(before, sizeof(before), "\"before_time_s\":%lld}",
	    (long long)(now_s - DAY_S - 1));
	assert_has(fake_requests(), before);
	free(first);
	free(second);
	free(third);
}

/* What differs in one of the three that are compared is another. */
#define ONE(service, id, revision, finished) "{\"service\":\"" service "\"," \
	"\"kind\":\"reload\",\"verdict\":\"complete\",\"id\":" id "," \
	"\"revision\":" revision ",\"finished_time_s\":" finished "}"
#define THREE ONE("a", "1", "2", "4102444801") "," \
	ONE("a", "1", "2", "4102444800") "," ONE("a", "1", "3", "4102444800")

static void
test_twins(void **state)
{
	static const struct fake_answer answers[] = {
		{ "History", { "{\"parameters\":{\"deployments\":["
		    THREE "]}}" }, FAKE_STAYS },
		{ "History", { "{\"parameters\":{\"deployments\":["
		    THREE "," ONE("a", "2", "2", "4102444800") "]}}" },
		    FAKE_STAYS }, { NULL } };

	(void)state;
	fake_start(answers);
	assert_has(SUPCTL("dora")->output, "4 came in charge");
	assert_int_equal(count_of(fake_requests(), "io.supd.History"), 3);
}

static void
test_nothing_deployed(void **state)
{
	static const struct fake_answer answers[] = {
		{ "History", { "{\"parameters\":{\"deployments\":[]}}" },
		    FAKE_STAYS }, { NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(answers);
	run = SUPCTL("dora");
	assert_int_equal(run->code, 0);
	assert_has(run->output, "nothing was deployed since 20");
	assert_has(SUPCTL("dora", "--json")->output, "\"services\":[]}\n");
	/* A service that is there has no numbers yet. */
	run = SUPCTL("dora", "web");
	assert_int_equal(run->code, 0);
	assert_has(run->output,
	    "  deployment frequency             n/a     none came in charge\n"
	    "  lead time for changes            n/a     none came in charge\n"
	    "  change failure rate              n/a     none got connections\n"
	    "  failed deployment recovery time  n/a     none failed\n");
}

/* One that is not there must not look like one without failures. */
static void
test_errors(void **state)
{
	static const struct fake_answer unknown[] = {
		{ "History", { "{\"parameters\":{\"deployments\":[]}}" },
		    FAKE_STAYS },
		{ "Status", { "{\"error\":\"io.supd.NoSuchService\","
		    "\"parameters\":{\"service\":\"wbe\",\"known\":"
		    "[\"web\"]}}" }, FAKE_STAYS }, { NULL } };
	static const struct fake_answer broken[] = {
		{ "History", { "{\"parameters\":{}}" }, FAKE_STAYS },
		{ "History", { "{\"error\":\"io.supd.Busy\"}" }, FAKE_STAYS },
		{ NULL } };
	const struct fake_run *run;

	(void)state;
	fake_start(unknown);
	run = SUPCTL("dora", "wbe");
	assert_int_equal(run->code, 2);
	assert_string_equal(run->errors, "supctl: no service \"wbe\" (did you "
	    "mean \"web\"? there are: web)\n");
	assert_string_equal(run->output, "");
	fake_stop();
	fake_start(broken);
	run = SUPCTL("dora");
	assert_int_equal(run->code, 1);
	assert_has(run->errors, "no `deployments`");
	run = SUPCTL("dora");
	assert_int_equal(run->code, 1);
	assert_string_equal(run->output, "");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_numbers),
		FAKE_TEST(test_harmless),
		FAKE_TEST(test_json),
		FAKE_TEST(test_pages),
		FAKE_TEST(test_where_pages_begin),
		FAKE_TEST(test_twins),
		FAKE_TEST(test_nothing_deployed),
		FAKE_TEST(test_errors),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
