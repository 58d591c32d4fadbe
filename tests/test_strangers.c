/*
 * Others at our address: that they are noticed, get nothing, and do not mix up
 * the numbers of ours; and who is no stranger.
 */
#include "steer_fixture.h"

#include <sys/resource.h>

static void
expect_both_ways(const struct lane_pair *pair)
{
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(pair, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(pair, lane);
	}
}

static void
expect_strangers(struct listener *listener, uint32_t count)
{
	struct steer_state state;

	assert_int_equal(listener_strangers(listener), count);
	state = listener_steer_state(listener);
	assert_int_equal(state.look_error, 0);
	assert_int_equal(state.attach_error, 0);
	assert_int_equal(state.stranger_count, count);
}

static void
test_noticed(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct steer_state found;
	struct stat status;
	int fd;

	(void)state;
	expect_strangers(pair.listener, 0);
	fd = occupy(pair.listener->spec);
	assert_int_equal(fstat(fd, &status), 0);
	expect_strangers(pair.listener, 1);
	found = listener_steer_state(pair.listener);
	assert_int_equal(found.stranger_inode, status.st_ino);
	assert_int_equal(found.stranger_uid, geteuid());
	assert_false(found.unsure);
	expect_both_ways(&pair);
	close(fd);
	expect_strangers(pair.listener, 0);
	found = listener_steer_state(pair.listener);
	assert_int_equal(found.stranger_inode, 0);
	expect_both_ways(&pair);
	pair_close(&pair);
}

/* Nobody has to ask. */
static void
test_noticed_by_itself(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct listener *listener = pair.listener;
	struct shard *third;
	int fd;

	(void)state;
	fd = occupy(listener->spec);
	pair_steer(&pair, STEER_RANDOM, 500);
	assert_int_equal(listener_steer_state(listener).stranger_count, 1);
	close(fd);
	third = listener_join(listener, text);
	assert_non_null(third);
	assert_int_equal(listener_steer_state(listener).stranger_count, 0);
	fd = occupy(listener->spec);
	shard_unref(third);
	assert_int_equal(listener_steer_state(listener).stranger_count, 1);
	close(fd);
	pair_close(&pair);
}

/* Its number is between two of ours, then one of ours takes its place. */
static void
test_between_ours(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct lane_pair pair;
	int fd;

	(void)state;
	spec.nonblocking = true;
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	fd = occupy(&spec);
	pair.shards[1] = listener_join(pair.listener, text);
	assert_non_null(pair.shards[1]);
	assert_int_equal(listener_steer_state(pair.listener).stranger_count,
	    1);
	expect_both_ways(&pair);
	close(fd);
	expect_strangers(pair.listener, 0);
	expect_lane(&pair, 1);
	expect_both_ways(&pair);
	pair_close(&pair);
}

/* It was there first, when ours has a new socket. */
static void
test_before_ours(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct lane_pair pair;
	int fd;

	(void)state;
	spec.nonblocking = true;
	pair.shards[0] = pair.shards[1] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	fd = occupy(&spec);
	in_child(shut_down, pair.shards[0]->fd, SHUT_RDWR);
	(void)listener_watch_read();
	assert_true(pair.shards[0]->broken);
	assert_int_equal(shard_renew(pair.shards[0]), 0);
	assert_int_equal(listener_steer_state(pair.listener).stranger_count,
	    1);
	expect_lane(&pair, 0);
	close(fd);
	shard_unref(pair.shards[0]);
}

/* What happened before is seen before one of ours goes. */
static void
test_gone_before_ours(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct lane_pair pair;
	struct shard *first;
	int fd;

	(void)state;
	spec.nonblocking = true;
	first = open_or_fail(&spec);
	pair.listener = first->listener;
	fd = occupy(&spec);
	for (int i = 0; i < LANES; i++)
		pair.shards[i] = join_or_fail(pair.listener);
	pair_steer(&pair, STEER_RANDOM, 1000);
	close(fd);
	shard_unref(first);
	expect_calm(pair.listener);
	expect_lane(&pair, 1);
	expect_both_ways(&pair);
	pair_close(&pair);
}

/* One goes and one comes, and who took whose place is anybody's guess. */
static void
test_unsure(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct listener *listener = pair.listener;
	int first, second;

	(void)state;
	shard_unref(pair.shards[1]);
	first = occupy(listener->spec);
	expect_strangers(listener, 1);
	second = occupy(listener->spec);
	pair.shards[1] = listener_join(listener, text);
	assert_non_null(pair.shards[1]);
	close(first);
	expect_strangers(listener, 1);
	assert_false(listener_steer_state(listener).unsure);
	close(second);
	second = occupy(listener->spec);
	expect_strangers(listener, 1);
	assert_true(listener_steer_state(listener).unsure);
	close(second);
	expect_strangers(listener, 0);
	assert_true(listener_steer_state(listener).unsure);
	shard_unref(pair.shards[1]);
	assert_false(listener_steer_state(listener).unsure);
	expect_strangers(listener, 0);
	shard_unref(pair.shards[0]);
}

static void
test_too_many(void **state)
{
	enum { MANY = GROUP_MEMBERS_MAX - SHARDS_MAX };
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	int fds[MANY];

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	for (int i = 0; i < MANY; i++)
		fds[i] = occupy(pair.listener->spec);
	assert_int_equal(listener_strangers(pair.listener), -E2BIG);
	assert_int_equal(listener_steer_state(pair.listener).look_error,
	    -E2BIG);
	expect_lane(&pair, 1);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	expect_strangers(pair.listener, 0);
	pair_close(&pair);
}

static void
set_fd_limit(rlim_t limit)
{
	struct rlimit limits;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limits), 0);
	limits.rlim_cur = limit;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limits), 0);
}

/*
 * Nothing can be asked without an fd.  What becomes of ours is known all the
 * same, and the stranger that was seen before is not forgotten.
 */
static void
test_cannot_look(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	struct listener *listener = pair.listener;
	struct rlimit limits;
	int fd;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limits), 0);
	fd = occupy(listener->spec);
	expect_strangers(listener, 1);
	rest = pair;
	rest.shards[0] = rest.shards[1] = join_or_fail(listener);
	pair_steer(&rest, STEER_RANDOM, 0);
	in_child(shut_down, pair.shards[1]->fd, SHUT_RDWR);
	set_fd_limit(0);
	(void)listener_watch_read();
	assert_true(pair.shards[1]->broken);
	assert_int_equal(listener_strangers(listener), -EMFILE);
	set_fd_limit(limits.rlim_cur);
	expect_lane(&rest, 0);
	shard_unref(pair.shards[1]);
	pair.shards[1] = rest.shards[0];
	rest.shards[0] = rest.shards[1] = join_or_fail(listener);
	pair_steer(&rest, STEER_RANDOM, 0);
	set_fd_limit(0);
	shard_unref(pair.shards[0]);            /* the last takes its number */
	assert_int_equal(listener_steer_state(listener).look_error, -EMFILE);
	set_fd_limit(limits.rlim_cur);
	expect_lane(&rest, 0);
	assert_false(listener_steer_state(listener).unsure);
	expect_strangers(listener, 1);
	close(fd);
	shard_unref(pair.shards[1]);
	shard_unref(rest.shards[0]);
}

/*
 * Those of our own at overlapping addresses, all at once: each has a group of
 * its own, and a steering.
 */
static void
test_ours_are_no_strangers(void **state)
{
	static const struct {
		const char *host;
		bool ipv6_only;
	} ours[] = { { "0.0.0.0", false }, { "127.0.0.1", false },
	    { "::", false }, { "::", true }, { "::1", false } };
	enum { COUNT = sizeof(ours) / sizeof(ours[0]) };
	struct shard *shards[COUNT], *joined[COUNT];
	struct listener_spec spec;
	uint16_t port = free_port();
	int i, fd;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		spec = tcp_spec("web", ours[i].host, port);
		spec.ipv6_only = ours[i].ipv6_only;
		shards[i] = open_or_fail(&spec);
		joined[i] = listener_join(shards[i]->listener, text);
		assert_non_null(joined[i]);
	}
	for (i = 0; i < COUNT; i++) {
		expect_strangers(shards[i]->listener, 0);
		assert_ptr_equal(listener_steering(shards[i]->listener)->stable,
		    shards[i]);
	}
	/* At one of the addresses: a stranger to those there alone. */
	spec = tcp_spec("stranger", "127.0.0.1", port);
	fd = occupy(&spec);
	for (i = 0; i < COUNT; i++)
		expect_strangers(shards[i]->listener, i == 1);
	close(fd);
	spec = tcp_spec("stranger", "127.0.0.2", port);
	fd = occupy(&spec);
	for (i = 0; i < COUNT; i++)
		expect_strangers(shards[i]->listener, 0);
	close(fd);
	for (i = 0; i < COUNT; i++) {
		shard_unref(joined[i]);
		shard_unref(shards[i]);
	}
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noticed),
		cmocka_unit_test(test_noticed_by_itself),
		cmocka_unit_test(test_between_ours),
		cmocka_unit_test(test_before_ours),
		cmocka_unit_test(test_gone_before_ours),
		cmocka_unit_test(test_unsure),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_cannot_look),
		cmocka_unit_test(test_ours_are_no_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	return run_apart(group, true);
}
