/*
 * A ledger in a directory of its own.
 */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include "ledger.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char parent[32], directory[64], path[128];

static inline int
set_up(void **state)
{
	(void)state;
	strcpy(parent, "/tmp/test_ledger.XXXXXX");
	if (mkdtemp(parent) == NULL)
		return -1;
	snprintf(directory, sizeof(directory), "%s/state", parent);
	snprintf(path, sizeof(path), "%s/deployments.jsonl", directory);
	signal(SIGXFSZ, SIG_IGN);
	ledger_open(directory);
	return 0;
}

static inline int
tear_down(void **state)
{
	(void)state;
	ledger_close();
	(void)unlink(path);
	(void)rmdir(path);
	(void)rmdir(directory);
	return rmdir(parent);
}

static inline void
limit_file(rlim_t size_bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = size_bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void
append(const char *service, unsigned revision, const char *verdict)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"service\":\"%s\",\"revision\":%u,"
	    "\"verdict\":\"%s\",\"fingerprint\":\"00000000000000%02x\"}",
	    service, revision, verdict, revision);
	ledger_append(json);
}

static inline void
assert_past(const char *service, uint32_t last, uint32_t good,
    uint64_t fingerprint)
{
	uint32_t revision_last, revision_good;
	uint64_t fingerprint_good;

	ledger_past(service, &revision_last, &revision_good,
	    &fingerprint_good);
	assert_int_equal(revision_last, last);
	assert_int_equal(revision_good, good);
	assert_int_equal(fingerprint_good, fingerprint);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
