/*
 * The fd store is the same again in another supd, as far as its fds come.
 */
#include "store_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *
saved(void)
{
	json_t *list = store_save();
	char *text = json_dumps(list, JSON_COMPACT);

	json_decref(list);
	assert_non_null(text);
	return text;
}

static int
restore(const char *text, char *ret_text)
{
	json_t *list = json_loads(text, JSON_DECODE_ANY, NULL);
	int result;

	assert_non_null(list);
	result = store_restore(list, ret_text);
	json_decref(list);
	return result;
}

static bool
lives(void *ctx, uint32_t service, struct worker_id id)
{
	assert_int_equal(service, WEB);
	return id.incarnation != *(uint32_t *)ctx;
}

static void
test_restored(void **state)
{
	char reason[REASON_BYTES_MAX], *before, *after;
	int old = start(W(0, 1), ""), new = start(W(0, 2), "");
	uint32_t dead = 3;

	(void)state;
	close(start(W(1, 3), ""));
	put(W(0, 1), "kept");
	store_stopping(WEB, W(0, 1));
	put_with(W(0, 1), "sent", file("sent"), true);
	hand_over_to(0, 2);
	put_with(W(0, 1), "a", file("a"), true);
	store_replaced(WEB, W(0, 1));
	put(W(1, 3), "b");
	before = saved();
	exec_supd();
	assert_int_equal(restore(before, reason), 0);
	after = saved();
	assert_string_equal(after, before);
	assert_int_equal(came_count, 0);
	free(before);
	free(after);
	assert_int_equal(waiting(), 1);
	store_check(lives, &dead);
	assert_int_equal(waiting(), 2);
	agree_on(8, 2, false);
	/* The sockets lead to the same workers. */
	hand_over_to(0, 2);
	assert_string_equal(receive(new), "sent");
	assert_string_equal(receive(new), "a");
	close(start(W(1, 4), "b"));
	/* A new number is no other's. */
	put(W(0, 1), "c");
	store_ended(WEB, W(0, 1));
	hand_over_to(0, 2);
	store_ended(WEB, W(0, 2));
	close(start(W(0, 5), "kept:c"));
	close(old);
	close(new);
}

#define FD "\"kind\":\"fd\",\"service\":3,\"slot\":0,\"incarnation\":1," \
	"\"revision\":1"
#define GOOD FD ",\"number\":7,\"name\":\"a\""

static void
test_damaged(void **state)
{
	static const char *const damaged[] = {
		"{}", "7", "[7]", "[{}]", "[{\"kind\":7}]",
		"[{\"kind\":\"fd\"}]", "[{" FD ",\"number\":7}]",
		"[{" FD ",\"name\":\"a\"}]", "[{" GOOD "},{" FD "}]",
		"[{" FD ",\"number\":0,\"name\":\"a\"}]",
		"[{" FD ",\"number\":true,\"name\":\"a\"}]",
		"[{" FD ",\"number\":-1,\"name\":\"a\"}]",
		"[{" FD ",\"number\":7.5,\"name\":\"a\"}]",
		"[{" FD ",\"number\":7,\"name\":\"a:b\"}]",
		"[{" FD ",\"number\":7,\"name\":\"\"}]",
		"[{" FD ",\"number\":7,\"name\":\"\\u00fc\"}]",
		"[{" FD ",\"number\":7,\"name\":null}]",
		"[{" GOOD ",\"left\":1}]",
		"[{\"kind\":\"worker\",\"service\":3,\"slot\":0}]",
		"[{\"kind\":\"worker\",\"service\":0,\"slot\":0,"
		    "\"incarnation\":1,\"revision\":1}]",
		"[{\"kind\":\"worker\",\"service\":3,\"slot\":0,"
		    "\"incarnation\":1}]",
	};
	char reason[REASON_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		reason[0] = '\0';
		if (restore(damaged[i], reason) != -1)
			fail_msg("%s was restored", damaged[i]);
		assert_non_null(strstr(reason, "the fd store"));
		assert_int_equal(store_count(WEB), 0);
	}
}

/* Not damaged, but not all is there, or it is of a newer supd. */
static void
test_incomplete(void **state)
{
	char reason[REASON_BYTES_MAX];

	(void)state;
	strcpy(came[0].name, "f70000000000");
	came[0].fd = file("a");
	came_count = 1;
	assert_int_equal(restore("[{\"kind\":\"later\"},{\"kind\":\"worker\","
	    "\"service\":3,\"slot\":0,\"incarnation\":1,\"revision\":1,\"handover\":true},"
	    "{" FD ",\"number\":70000000000,\"name\":\"a\",\"later\":1},"
	    "{" GOOD "},{" GOOD "}]", reason), 0);
	assert_int_equal(came_count, 0);
	assert_int_equal(store_count(WEB), 1);
	agree_on(8, 2, false);
	assert_int_equal(waiting(), 0);
	put(W(0, 1), "b");
	assert_string_equal(carried[1].name, "f70000000001");
	store_ended(WEB, W(0, 1));
	close(start(W(0, 2), "a:b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_restored),
		TEST(test_damaged),
		TEST(test_incomplete),
	};

	return cmocka_run_group_tests(tests, store_raise_limit, NULL);
}
