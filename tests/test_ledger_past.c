/*
 * What the ledger knows of a service's past: revisions, and whether it was told
 * of a deployment already.
 */
#include "ledger_fixture.h"

static void
test_past(void **state)
{
	(void)state;
	assert_past("web", 0, 0, 0);
	append("web", 4, "complete");
	append("web", 5, "complete");
	append("db", 40, "complete");
	append("web", 6, "rolled-back");
	assert_past("web", 6, 5, 5);
	append("web", 4, "complete");           /* an undo */
	assert_past("web", 6, 4, 4);
	append("web", 7, "superseded");
	append("web", 8, "aborted");
	assert_past("web", 8, 4, 4);
	assert_past("we", 0, 0, 0);
	assert_past("db", 40, 40, 40);
}

static void
test_past_of_damaged_records(void **state)
{
	(void)state;
	append("web", 3, "complete");
	ledger_append("{\"service\":\"web\",\"revision\":-1}");
	ledger_append("{\"service\":\"web\",\"revision\":4294967305}");
	ledger_append("{\"service\":\"web\",\"revision\":\"9\"}");
	assert_past("web", 3, 3, 3);
	ledger_append("{\"service\":\"db\",\"revision\":0,\"verdict\":"
	    "\"complete\",\"fingerprint\":\"fedcba9876543210\"}");
	assert_past("db", 0, 0, 0);
	ledger_append("{\"service\":\"web\",\"revision\":5,\"verdict\":"
	    "\"complete\",\"fingerprint\":\"xyz\"}");
	assert_past("web", 5, 5, 0);
	ledger_append("{\"service\":\"web\",\"revision\":6,\"verdict\":"
	    "\"complete\",\"fingerprint\":\"fedcba9876543210\"}");
	assert_past("web", 6, 6, UINT64_C(0xfedcba9876543210));
}

static bool
has(const char *service, unsigned id, unsigned revision, unsigned started_s,
    const char *verdict)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"duration_ms\":2,\"verdict\":\"%s\","
	    "\"id\":%u,\"service\":\"%s\",\"revision\":%u,"
	    "\"started_time_s\":%u}", verdict, id, service, revision,
	    started_s);
	return ledger_has(json);
}

/* Also where others came after it, and while it waits to be written; one of
 * whom it tells something else is not the same. */
static void
test_has(void **state)
{
	(void)state;
	assert_false(has("web", 7, 5, 1000, "complete"));
	ledger_append("{\"service\":\"web\",\"id\":7,\"revision\":5,"
	    "\"started_time_s\":1000,\"verdict\":\"complete\","
	    "\"duration_ms\":1}");
	append("web", 6, "complete");
	append("db", 7, "complete");
	assert_true(has("web", 7, 5, 1000, "complete"));
	assert_false(has("db", 7, 5, 1000, "complete"));
	assert_false(has("web", 8, 5, 1000, "complete"));
	assert_false(has("web", 7, 6, 1000, "complete"));
	assert_false(has("web", 7, 5, 1001, "complete"));
	assert_false(has("web", 7, 5, 1000, "rolled-back"));
	limit_file(0);
	ledger_append("{\"service\":\"web\",\"id\":9,\"revision\":9,"
	    "\"started_time_s\":1000,\"verdict\":\"aborted\"}");
	assert_non_null(ledger_error());
	assert_true(has("web", 9, 9, 1000, "aborted"));
	limit_file(RLIM_INFINITY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_past),
		TEST(test_past_of_damaged_records),
		TEST(test_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
