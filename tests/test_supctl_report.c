/*
 * The report of a rollout, from what the supervisor observed, against a fake
 * one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_supervisor.h"

#define STEP(step, weight, candidates, duration, more) "{\"step\":" step "," \
	"\"weight_permille\":" weight ",\"candidates\":" candidates "," \
	"\"began_ms\":0,\"duration_ms\":" duration more "}"

#define CONNECTIONS(all, candidate) ",\"connections\":" all "," \
	"\"candidate_connections\":" candidate

#define DEPLOYMENT(verdict, more) "{\"id\":7,\"service\":\"web\"," \
	"\"kind\":\"reload\",\"revision\":4,\"from_revision\":3," \
	"\"version\":\"v2.1\",\"finished_time_s\":1000," \
	"\"duration_ms\":372000,\"verdict\":\"" verdict "\"," more "}"

#define OUTCOME(verdict) "{\"parameters\":{\"outcomes\":[{\"service\":" \
	"\"web\",\"revision\":4,\"deployment\":7,\"rolls_out\":true," \
	"\"verdict\":\"" verdict "\"}]}}"

#define CANARY "\"observations\":[" \
	STEP("1", "50", "1", "60000", CONNECTIONS("1200", "58") \
	    ",\"probes_passed\":30,\"probes_failed\":0,\"analyses\":6," \
	    "\"queue_max\":0,\"stable_memory_bytes\":125829120," \
	    "\"candidate_memory_bytes\":31457280") "," \
	STEP("2", "250", "1", "300000", CONNECTIONS("6011", "1504") \
	    ",\"probes_passed\":150,\"probes_failed\":2,\"analyses\":30," \
	    "\"queue_max\":17") "," \
	STEP("3", "1000", "4", "12000", CONNECTIONS("0", "0")) "]," \
	"\"connections_handed_over\":3,\"connections_lost\":0"

static const char canary[] =
    "  STEP  WEIGHT  WORKERS  LASTED  CONNECTIONS  TO NEW  PROBES  FAILED  "
    "ANALYSES  QUEUE MAX  MEMORY  OF NEW\n"
    "  1     5%      1        1m0s    1200         58      30              "
    "6                    120M    30M\n"
    "  2     25%     1        5m0s    6011         1504    150     2       "
    "30        17\n"
    "  3     100%    4        12.0 s  0            0\n"
    "  connections: 7211, 1562 of them to revision 4 (an estimate: what was "
    "new in the network namespace, split by the weight)\n"
    "  queued connections handed over: 3, lost: 0\n";

/* Behind the verdict, on a terminal and elsewhere; not with --json. */
static void
test_after_reload(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Reload", { OUTCOME("complete") }, FAKE_STAYS },
		{ "RolloutStatus", { "{\"parameters\":{\"rollout\":null,"
		    "\"last\":" DEPLOYMENT("complete", CANARY) "}}" },
		    FAKE_STAYS }, { NULL } };
	static const char *const words[] = { "reload", "web", NULL };
	const struct fake_run *run;
	char expected[1024];

	(void)state;
	snprintf(expected, sizeof(expected), "web: revision 4 (v2.1) is in "
	    "charge, after 6m12s\n%s", canary);
	fake_start(answers);
	run = SUPCTL("reload", "web");
	assert_int_equal(run->code, 0);
	assert_string_equal(run->output, expected);
	run = SUPCTL("reload", "web", "--json");
	assert_has_not(run->output, "STEP");
	run = fake_supctl(FAKE_TERMINAL, words);
	assert_int_equal(run->code, 0);
	assert_has(run->output, "queued connections handed over: 3, ");
}

static void
test_in_rollout_status(void **state)
{
	static const struct fake_answer answers[] = {
		{ "Status", { "{\"parameters\":{\"services\":[{\"name\":"
		    "\"web\",\"rollout\":null,\"last\":" DEPLOYMENT("complete",
		    CANARY) "}]}}" }, FAKE_STAYS },
		{ "Status", { "{\"parameters\":{\"services\":[{\"name\":"
		    "\"web\",\"rollout\":{\"phase\":\"climb\","
		    "\"deployment\":" DEPLOYMENT("running", CANARY) "}}]}}" },
		    FAKE_STAYS }, { NULL } };

	(void)state;
	fake_start(answers);
	assert_has(SUPCTL("rollout", "status", "web")->output, canary);
	assert_has(SUPCTL("rollout", "status", "web")->output, canary);
}

/* What is told, and what is not, of other deployments. */
static const struct {
	const char *fields;
	const char *says, *not;
} rows[] = {
	{ "\"observations\":[]", "after 6m12s: was it\n", "\n\n" },
	/* Nothing was counted: no such columns and sentences. */
	{ "\"observations\":[" STEP("1", "1000", "2", "900",
	    ",\"connections\":null") "],\"connections_lost\":null",
	    "  STEP  WEIGHT  WORKERS  LASTED\n"
	    "  1     100%    2        900 ms\n", "onnections" },
	{ "\"connections_lost\":2", "\n  lost: 2\n", "handed" },
	{ "\"connections_handed_over\":0", "\n  queued connections handed "
	    "over: 0\n", "lost" },
	{ "\"hooks\":[{\"name\":\"before_rollout\",\"failed\":false,"
	    "\"text\":\"exited with status 0\",\"output\":\"fine\"},"
	    "{\"name\":\"analysis\",\"failed\":true,"
	    "\"text\":\"exited with status 1\",\"duration_ms\":2100,"
	    "\"output\":\"too many\\n\\nerrors \\u001b[2J\\tnow\"}]",
	    "\n  analysis: exited with status 1, after 2.1 s\n"
	    "    | too many\n    | \n    | errors ?[2J now\n", "fine" },
	{ "\"hooks\":[{\"name\":\"version\",\"failed\":true,\"output\":null}]",
	    "  version: , after 0 ms\n", "|" },
	{ "\"hooks\":[{\"failed\":true,\"output\":\"1\\n2\\n3\\n4\\n5\\n6\\n"
	    "7\\n8\\n9\\n10\\n11\\n12\\n13\\n14\\n15\\n16\\n17\\n18\\n19\\n"
	    "20\\n21\\n\"}]", "    | 20\n    and more (all that is kept: "
	    "--json)\n", "| 21" },
};

static void
test_what_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		const struct fake_run *run;
		char reply[2048];

		snprintf(reply, sizeof(reply), "{\"parameters\":{"
		    "\"services\":[{\"name\":\"web\",\"last\":"
		    DEPLOYMENT("aborted", "\"reason\":\"was it\",%s") "}]}}",
		    rows[i].fields);
		answers[0].replies[0] = reply;
		fake_start(answers);
		run = SUPCTL("rollout", "status", "web");
		assert_int_equal(run->code, 0);
		assert_has(run->output, rows[i].says);
		assert_has_not(run->output, rows[i].not);
		fake_stop();
	}
	fake_start(NULL);
}

/* Of many steps some are left out, and that is said. */
static void
test_many_steps(void **state)
{
	static const int counts[] = { 12, 13, 40 };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		char *reply = NULL, last[16];
		const struct fake_run *run;
		size_t size_bytes;
		FILE *out = open_memstream(&reply, &size_bytes);

		fputs("{\"parameters\":{\"services\":[{\"name\":\"web\","
		    "\"last\":{\"observations\":[", out);
		for (int step = 1; step <= counts[i]; step++)
			fprintf(out, "%s{\"step\":%d}", step > 1 ? "," : "",
			    step);
		fputs("]}}]}}", out);
		fclose(out);
		answers[0].replies[0] = reply;
		fake_start(answers);
		run = SUPCTL("rollout", "status", "web");
		snprintf(last, sizeof(last), "\n  %d    0%%", counts[i]);
		assert_has(run->output, "\n  11    0%");
		assert_has(run->output, last);
		if (counts[i] > 12) {
			assert_has_not(run->output, "\n  12  ");
			assert_has(run->output, "the last two are left out");
		} else {
			assert_has_not(run->output, "left out");
		}
		fake_stop();
		free(reply);
	}
	fake_start(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		FAKE_TEST(test_after_reload),
		FAKE_TEST(test_in_rollout_status),
		FAKE_TEST(test_what_is_told),
		FAKE_TEST(test_many_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
