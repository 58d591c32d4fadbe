/*
 * Without memory: what cannot be written is said, and written later; what cannot
 * be read is said.  It is jansson's memory that ends, after so many requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "state_fixture.h"

#define WEB "[service web]\ncommand = /bin/web\nworkers = 2\n" \
	"environment = A=\xff\n"

enum { REQUESTS_MAX = 100000 };

static long left;               /* requests; negative: any number */

static void *
allocate(size_t size_bytes)
{
	if (left == 0)
		return NULL;
	left -= left > 0;
	return malloc(size_bytes);
}

static int
set_up(void **state)
{
	(void)state;
	left = -1;
	json_set_alloc_funcs(allocate, free);
	return 0;
}

/* Always either all of it or nothing, and nothing is a reason to begin anew. */
static void
test_writing(void **state)
{
	struct stage stage;
	struct state_text text;
	char *whole;
	long requests = 0;
	int result;

	(void)state;
	stage_boot(&stage, WEB);
	whole = stage_text(&stage);
	do {
		state_lost(stage.state);
		left = requests++;
		result = state_commit(stage.state, &stage.engine, &text);
		left = -1;
		assert_true(text.anew == (result == 0));
		if (result == 0)
			break;
		assert_int_equal(result, -ENOMEM);
		assert_int_equal(text.size_bytes, 0);
	} while (requests < REQUESTS_MAX);
	assert_in_range(requests, 50, REQUESTS_MAX - 1);
	assert_true(text.size_bytes > 0);
	/* but for the number of the turn */
	assert_memory_equal(text.bytes, whole,
	    (size_t)(strstr(whole, "{\"commit\"") - whole));
	free(whole);
	stage_release(&stage);
}

static void
test_one_change(void **state)
{
	struct stage stage;
	struct state_text text;
	struct event event = { .type = EVENT_READY, .service = 1,
		.id = { 0, 1 } };

	(void)state;
	stage_boot(&stage, WEB);
	engine_event(&stage.engine, &event);
	left = 0;
	assert_int_equal(state_commit(stage.state, &stage.engine, &text),
	    -ENOMEM);
	left = -1;
	stage_turn(&stage, 1);
	assert_true(stage.anew);
	stage_restart(&stage);
	stage_release(&stage);
}

static void
test_reading(void **state)
{
	struct stage stage;
	struct state_image *image;
	char *whole, why[REASON_BYTES_MAX];
	long requests = 0;

	(void)state;
	stage_boot(&stage, WEB);
	whole = stage_text(&stage);
	do {
		left = requests++;
		why[0] = '\0';
		image = state_read(whole, strlen(whole), why);
		left = -1;
		assert_true((image == NULL) == (why[0] != '\0'));
	} while (image == NULL && requests < REQUESTS_MAX);
	assert_in_range(requests, 50, REQUESTS_MAX - 1);
	state_image_free(image);
	free(whole);
	stage_release(&stage);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_writing, set_up),
		cmocka_unit_test_setup(test_one_change, set_up),
		cmocka_unit_test_setup(test_reading, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
