/*
 * The fd store: who gets what was stored, and when.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void
test_next_start(void **state)
{
	const struct store_grant *grant;

	(void)state;
	close(start(W(0, 1), ""));
	close(start(W(1, 2), ""));
	put(W(0, 1), "a");
	put(W(0, 1), "b");
	put_with(W(1, 2), "", file("c"), false);
	assert_int_equal(store_count(WEB), 3);
	assert_int_equal(change_count, 5);
	/* They are in use: a worker in the same slot does not get them. */
	assert_int_equal(waiting(), 0);
	close(start(W(0, 3), ""));
	store_ended(WEB, W(0, 1));
	assert_int_equal(waiting(), 2);
	close(start(W(1, 4), ""));
	/* One that could not be started has got nothing. */
	grant = store_grant(WEB, W(0, 5), 1);
	assert_int_equal(grant->count, 3);
	store_granted(false);
	assert_int_equal(store_count(WEB), 3);
	close(start(W(0, 6), "a:b"));
	assert_int_equal(store_count(WEB), 1);
	close(start(W(0, 7), ""));
	store_ended(WEB, W(1, 2));
	grant = store_grant(WEB, W(1, 8), 1);
	assert_string_equal(grant->names, "supd.handover:stored");
	assert_true(is_file(grant->fds[1], "c"));
	store_granted(true);
	assert_int_equal(store_count(WEB), 0);
}

static void
test_message(void **state)
{
	int old = start(W(0, 1), ""), new = start(W(0, 2), "");

	(void)state;
	put(W(0, 1), "kept");
	store_stopping(WEB, W(0, 1));
	put(W(0, 1), "a");
	put(W(0, 1), "b");
	assert_int_equal(waiting(), 2);
	/* Not to its giver, and not to who is in another slot or not there. */
	hand_over_to(0, 1);
	hand_over_to(1, 2);
	hand_over_to(0, 9);
	assert_int_equal(waiting(), 2);
	hand_over_to(0, 2);
	assert_int_equal(store_count(WEB), 1);
	assert_string_equal(receive(new), "a");
	assert_string_equal(receive(new), "b");
	assert_string_equal(receive(new), "");
	/* What it stored before goes on when it has ended. */
	hand_over_to(0, 2);
	assert_string_equal(receive(new), "");
	store_ended(WEB, W(0, 1));
	hand_over_to(0, 2);
	assert_string_equal(receive(new), "kept");
	assert_string_equal(receive(old), "");
	close(old);
	close(new);
}

/* To store it again is to let go of it, once STOPPING=1 was said. */
static void
test_stored_again(void **state)
{
	int new = start(W(0, 2), ""), fd = file("a");

	(void)state;
	close(start(W(0, 1), ""));
	put_with(W(0, 1), "a", fcntl(fd, F_DUPFD_CLOEXEC, 3), false);
	store_stopping(WEB, W(0, 1));
	put_with(W(0, 1), "a", fcntl(fd, F_DUPFD_CLOEXEC, 3), false);
	assert_int_equal(store_count(WEB), 1);
	hand_over_to(0, 2);
	assert_string_equal(receive(new), "a");
	close(new);
	close(fd);
}

static void
test_unread(void **state)
{
	int deaf = start(W(0, 2), "");

	(void)state;
	store_stopping(WEB, W(0, 1));
	put(W(0, 1), "a");
	put(W(0, 1), "b");
	put(W(0, 1), "c");
	hand_over_to(0, 2);
	assert_int_equal(store_count(WEB), 0);
	assert_string_equal(receive(deaf), "a");
	close(deaf);
	store_ended(WEB, W(0, 2));
	assert_int_equal(waiting(), 2);
	close(start(W(0, 3), "b:c"));
}

static int slow;
static unsigned read_count;

static void
read_all(void)
{
	while (*receive(slow) != '\0')
		read_count++;
}

static bool
is_all_read(void)
{
	hand_over_to(0, 2);
	read_all();
	return waiting() == 0;
}

/* Who does not read gets what fits, and the rest once it has read. */
static void
test_full_socket(void **state)
{
	enum { COUNT = 1000 };
	unsigned left;

	(void)state;
	slow = start(W(0, 2), "");
	agree_on(COUNT, 1, false);
	store_stopping(WEB, W(0, 1));
	for (unsigned i = 0; i < COUNT; i++)
		put(W(0, 1), "a");
	hand_over_to(0, 2);
	left = waiting();
	assert_in_range(left, 100, COUNT - 100);
	hand_over_to(0, 2);
	assert_int_equal(waiting(), left);
	read_count = 0;
	read_all();
	assert_int_equal(read_count, COUNT - left);
	await(is_all_read);
	assert_int_equal(read_count, COUNT);
	close(slow);
}

/* Two releases run: nobody meets the new one before his time. */
static void
test_releases(void **state)
{
	int new, old;

	(void)state;
	agree_on_both(1, 2);
	close(start_of(W(0, 1), 1, ""));
	new = start_of(W(0, 2), 2, "");
	put(W(0, 1), "a");
	store_ended(WEB, W(0, 1));
	hand_over_to_both(0, 0, 2);
	assert_int_equal(store_count(WEB), 1);
	close(start_of(W(0, 3), 2, ""));
	old = start_of(W(0, 4), 1, "a");
	/* Its restart may be there already. */
	put(W(0, 4), "b");
	close(start_of(W(0, 5), 1, ""));
	store_ended(WEB, W(0, 4));
	hand_over_to_both(0, 5, 2);
	assert_string_equal(receive(new), "");
	close(old);
	/* It is told to make room. */
	put(W(0, 5), "c");
	store_replaced(WEB, W(0, 5));
	put(W(0, 5), "d");
	store_ended(WEB, W(0, 5));
	hand_over_to_both(0, 0, 2);
	assert_string_equal(receive(new), "c");
	assert_string_equal(receive(new), "d");
	/* And is started anew no more. */
	old = start_of(W(0, 6), 1, "");
	put(W(0, 2), "e");
	store_ended(WEB, W(0, 2));
	hand_over_to_both(0, 6, 0);
	assert_string_equal(receive(old), "");
	agree_on_both(1, 0);
	hand_over_to_both(0, 6, 0);
	assert_string_equal(receive(old), "e");
	close(old);
	close(new);
}

/* Of a slot that is gone: to its own release where that is. */
static void
test_surplus(void **state)
{
	int old, new;

	(void)state;
	agree_on_both(1, 2);
	old = start_of(W(1, 1), 1, "");
	new = start_of(W(1, 2), 2, "");
	close(start_of(W(3, 3), 1, ""));
	store_replaced(WEB, W(3, 3));
	put(W(3, 3), "a");
	store_ended(WEB, W(3, 3));
	hand_over_to_both(1, 1, 2);
	assert_string_equal(receive(new), "");
	assert_string_equal(receive(old), "a");
	close(old);
	close(new);
}

static void
test_scaled_down(void **state)
{
	int new;

	(void)state;
	agree_on(8, 6, false);
	put(W(5, 1), "a");
	put(W(4, 2), "b");
	store_ended(WEB, W(5, 1));
	store_ended(WEB, W(4, 2));
	agree_on(8, 4, false);
	new = start(W(0, 3), "b");
	agree_on(8, 3, false);
	close(start(W(2, 4), "a"));
	close(new);
}

static unsigned
count_names(const char *names)
{
	unsigned count = 1;

	while ((names = strchr(names, ':')) != NULL) {
		count++;
		names++;
	}
	return count;
}

/* All that a variable can hold, the rest by messages. */
static void
test_start_is_bounded(void **state)
{
	const struct store_grant *grant;
	char name[FD_NAME_LENGTH_MAX + 1];

	(void)state;
	agree_on(2 * FD_START_MAX, 1, false);
	for (unsigned i = 0; i < 2 * FD_START_MAX; i++)
		put(W(0, 1), "a");
	store_ended(WEB, W(0, 1));
	grant = store_grant(WEB, W(0, 2), 1);
	assert_int_equal(grant->count, FD_START_MAX);
	assert_int_equal(strlen(grant->names), 13 + 2 * (FD_START_MAX - 1));
	store_granted(true);
	assert_int_equal(store_count(WEB), FD_START_MAX + 1);
	agree_on(2 * FD_START_MAX, 1, true);
	agree_on(2 * FD_START_MAX, 1, false);
	memset(name, 'n', FD_NAME_LENGTH_MAX);
	name[FD_NAME_LENGTH_MAX] = '\0';
	for (unsigned i = 0; i < FD_START_MAX; i++)
		put_with(W(0, 3), name, file("n"), false);
	store_ended(WEB, W(0, 3));
	grant = store_grant(WEB, W(0, 4), 1);
	assert_int_equal(grant->count, 1 + (FD_START_NAMES_BYTES_MAX - 14) /
	    (FD_NAME_LENGTH_MAX + 1));
	assert_true(strlen(grant->names) < FD_START_NAMES_BYTES_MAX);
	assert_int_equal(count_names(grant->names), grant->count);
	store_granted(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_next_start),
		TEST(test_message),
		TEST(test_stored_again),
		TEST(test_unread),
		TEST(test_full_socket),
		TEST(test_releases),
		TEST(test_surplus),
		TEST(test_scaled_down),
		TEST(test_start_is_bounded),
	};

	return cmocka_run_group_tests(tests, store_raise_limit, NULL);
}
