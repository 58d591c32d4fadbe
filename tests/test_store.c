/*
 * The fd store: what is taken, and when it is dropped.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void
test_limit(void **state)
{
	unsigned count;

	(void)state;
	agree_on(2, 1, false);
	put(W(0, 1), "a");
	put(W(0, 1), "b");
	count = fd_count();
	put(W(0, 1), "c");
	assert_int_equal(store_count(WEB), 2);
	/* Lower: the oldest stay, also if there may be none. */
	agree_on(0, 1, false);
	put(W(0, 1), "d");
	assert_int_equal(fd_count(), count);
	store_ended(WEB, W(0, 1));
	assert_string_equal(store_grant(WEB, W(0, 2), 1)->names, "a:b");
	store_granted(true);
	assert_int_equal(store_count(WEB), 0);
	put(W(0, 1), "e");
	assert_int_equal(store_count(WEB), 0);
}

static void
test_closed(void **state)
{
	(void)state;
	close(start(W(0, 1), ""));
	put(W(0, 1), "a");
	agree_on(8, 2, true);
	assert_int_equal(store_count(WEB), 0);
	put(W(0, 1), "b");
	assert_int_equal(store_count(WEB), 0);
	assert_int_equal(store_grant(WEB, W(0, 2), 1)->count, 0);
	store_granted(true);
	agree_on(8, 2, false);
	put(W(0, 1), "c");
	assert_int_equal(store_count(WEB), 1);
	/* Nobody speaks of the service any more. */
	store_settle();
	assert_int_equal(store_count(WEB), 0);
	assert_int_equal(carried_count, 0);
	put(W(0, 1), "d");
	assert_int_equal(store_count(WEB), 0);
}

static void
test_duplicates(void **state)
{
	int ends[2], first, again;
	char path[64];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	put_with(W(0, 1), "a", dup(ends[0]), false);
	put_with(W(0, 1), "a", dup(ends[0]), false);
	put_with(W(0, 1), "a", dup(ends[0]), true);
	assert_int_equal(store_count(WEB), 1);
	put_with(W(0, 1), "b", dup(ends[0]), false);
	put_with(W(0, 1), "a", dup(ends[1]), false);
	assert_int_equal(store_count(WEB), 3);
	/* One file opened twice is two open files. */
	first = file("f");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", first);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	put_with(W(0, 1), "f", first, false);
	put_with(W(0, 1), "f", again, false);
	assert_int_equal(store_count(WEB), 5);
	close(ends[0]);
	close(ends[1]);
}

static void
test_remove(void **state)
{
	(void)state;
	put(W(0, 1), "a");
	put(W(0, 1), "b");
	put(W(0, 1), "a");
	put(W(1, 2), "a");
	put(W(0, 1), "");
	store_remove(WEB, W(0, 1), "a");
	assert_int_equal(store_count(WEB), 3);
	store_remove(WEB, W(0, 1), "");
	assert_int_equal(store_count(WEB), 2);
	store_remove(WEB, W(0, 1), "c");
	store_remove(WEB + 1, W(0, 1), "b");
	assert_int_equal(store_count(WEB), 2);
	store_ended(WEB, W(1, 2));
	close(start(W(1, 3), "a"));
}

static void
test_linger(void **state)
{
	const struct linger linger = { 1, 5 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
	    sizeof(linger)), 0);
	put_with(W(0, 1), "a", fd, false);
	assert_int_equal(store_count(WEB), 0);
}

static bool
is_one_left(void)
{
	return store_count(WEB) == 1;
}

static bool
are_four_left(void)
{
	return store_count(WEB) == 4;
}

static void
test_hang_up(void **state)
{
	int watched[2], unwatched[2], busy[2], pair[2], copy;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM |
		    SOCK_CLOEXEC, 0, (int *[]){ watched, unwatched, busy,
		    pair }[i]), 0);
	copy = dup(watched[0]);
	put_with(W(0, 1), "watched", dup(watched[0]), true);
	put_with(W(0, 1), "watched", watched[0], false);
	put_with(W(0, 1), "unwatched", dup(unwatched[0]), false);
	put_with(W(0, 1), "unwatched", unwatched[0], true);
	put_with(W(0, 1), "busy", busy[0], false);
	put_with(W(0, 1), "pair", pair[0], false);
	put(W(0, 1), "file");
	/* Bytes that wait are for the successor. */
	assert_int_equal(write(busy[1], "x", 1), 1);
	close(unwatched[1]);
	close(watched[1]);
	await(are_four_left);
	close(pair[1]);
	store_remove(WEB, W(0, 1), "file");
	store_remove(WEB, W(0, 1), "busy");
	await(is_one_left);
	store_ended(WEB, W(0, 1));
	assert_string_equal(store_grant(WEB, W(0, 2), 1)->names,
	    "supd.handover:unwatched");
	store_granted(true);
	close(copy);
	close(busy[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_limit),
		TEST(test_closed),
		TEST(test_duplicates),
		TEST(test_remove),
		TEST(test_linger),
		TEST(test_hang_up),
	};

	return cmocka_run_group_tests(tests, store_raise_limit, NULL);
}
