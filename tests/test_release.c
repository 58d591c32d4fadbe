/*
 * Identities as values, and the hash of a fingerprint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "release.h"

static const struct identity sample = {
	.device = 1, .inode = 2, .size_bytes = 3, .mtime_ns = 4,
	.build_id = { 0xde, 0xad, 0x0f }, .build_id_bytes = 3,
};

static void
test_equal(void **state)
{
	struct identity other = sample;

	(void)state;
	other.build_id[3] = 9;          /* past its end */
	assert_true(identity_equal(&sample, &other));
	other.build_id[2] = 9;
	assert_false(identity_equal(&sample, &other));
	other = sample;
	other.build_id_bytes = 2;
	assert_false(identity_equal(&sample, &other));
	other = sample;
	other.device++;
	assert_false(identity_equal(&sample, &other));
	other = sample;
	other.inode++;
	assert_false(identity_equal(&sample, &other));
	other = sample;
	other.size_bytes++;
	assert_false(identity_equal(&sample, &other));
	other = sample;
	other.mtime_ns++;
	assert_false(identity_equal(&sample, &other));
}

static void
test_build_id_text(void **state)
{
	char text[2 * BUILD_ID_BYTES_MAX + 1];
	struct identity none = { .build_id_bytes = 0 };

	(void)state;
	identity_build_id_text(&sample, text);
	assert_string_equal(text, "dead0f");
	identity_build_id_text(&none, text);
	assert_string_equal(text, "");
}

/* The published values of 64-bit FNV-1a. */
static void
test_hash(void **state)
{
	uint64_t whole = release_hash(RELEASE_HASH_START, "foobar", 6);

	(void)state;
	assert_true(release_hash(RELEASE_HASH_START, "", 0) ==
	    UINT64_C(0xcbf29ce484222325));
	assert_true(release_hash(RELEASE_HASH_START, "a", 1) ==
	    UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(whole == UINT64_C(0x85944171f73967e8));
	assert_true(release_hash(release_hash(RELEASE_HASH_START, "foo", 3),
	    "bar", 3) == whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_build_id_text),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
