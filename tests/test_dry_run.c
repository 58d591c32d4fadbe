/*
 * What a supd says to what another one would leave to it: yes to what the first
 * supds wrote (state-1.jsonl, world-1.json, which stay as they are), no to all
 * else, and never more than a no.
 */
#include "live_resume.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "listener_keep.h"
#include "live_parts.h"
#include "state_fixture.h"

/* The answer to these two texts; `cut` bytes of them are missing, or -1: there is
 * one more. */
static int
ask(const char *state, const char *world, int cut)
{
	int fd = memfd_create("test", MFD_CLOEXEC), result;
	char *text;
	int size = asprintf(&text, "supd-resume %zu %zu\n%s%s", strlen(state),
	    strlen(world), state, world);

	assert_true(size > 0);
	assert_int_equal(write(fd, text, (size_t)(size - cut)), size - cut);
	result = live_resume_check(fd);
	free(text);
	(void)close(fd);
	return result;
}

static void
test_samples(void **state)
{
	char *engine = read_test_file("state-1.jsonl");
	char *world = read_test_file("world-1.json");

	(void)state;
	assert_int_equal(ask(engine, world, 0), 0);
	assert_int_equal(ask(engine, world, 1), 1);
	assert_int_equal(ask(engine, world, -1), 1);
	assert_int_equal(ask("", world, 0), 1);
	assert_int_equal(ask(engine, "", 0), 1);
	assert_int_equal(ask(engine, "{}", 0), 1);
	assert_int_equal(ask(world, engine, 0), 1);
	free(engine);
	free(world);
}

/* Of a later format that says that we can read it, and of one that says no. */
static void
test_later(void **state)
{
	char *engine = read_test_file("state-1.jsonl");

	(void)state;
	assert_int_equal(ask(engine, "{\"supd-world\":9,\"readable-from\":1,"
	    "\"supd\":{\"runtime_dir\":\"/run/supd\",\"state_dir\":\"/var\","
	    "\"more\":1},\"more\":{}}", 0), 0);
	assert_int_equal(ask(engine, "{\"supd-world\":9,\"readable-from\":2,"
	    "\"supd\":{\"runtime_dir\":\"/run/supd\",\"state_dir\":\"/var\"}}",
	    0), 1);
	free(engine);
}

/* The listeners of the sample are understood; their sockets are not here. */
static void
test_listeners(void **state)
{
	char *text = read_test_file("world-1.json"), why[REASON_BYTES_MAX] = "";
	json_t *world = live_parse_world(text, strlen(text), why);

	(void)state;
	assert_non_null(world);
	assert_int_equal(json_array_size(json_object_get(world, "listeners")),
	    3);
	assert_int_equal(listener_restore(json_object_get(world, "listeners"),
	    why), 0);
	assert_null(listener_first());
	assert_int_equal(json_object_set_new(json_array_get(json_object_get(
	    world, "listeners"), 0), "address_text", json_integer(1)), 0);
	assert_int_equal(listener_restore(json_object_get(world, "listeners"),
	    why), -1);
	assert_string_not_equal(why, "");
	json_decref(world);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_listeners),
	};

	return cmocka_run_group_tests_name("dry run", tests, NULL, NULL);
}
