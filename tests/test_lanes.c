/*
 * Shards that join, are closed, break and are renewed while others are at the
 * address: who gets the connections then, and what state that leaves.
 */
#include "steer_fixture.h"

static void
test_joins_and_gets_nothing(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());

	(void)state;
	expect_calm(pair.listener);
	assert_int_equal(pair.listener->shard_count, 2);
	assert_ptr_equal(listener_steering(pair.listener)->stable,
	    pair.shards[0]);
	assert_null(listener_steering(pair.listener)->candidate);
	expect_lane(&pair, 0);
	assert_true(fcntl(pair.shards[1]->fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(pair.shards[1]->backlog_granted,
	    pair.shards[0]->backlog_granted);
	pair_close(&pair);
	assert_null(listener_first());
}

static void
test_limits(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shards[SHARDS_MAX];
	struct shard *path;
	int i;

	(void)state;
	shards[0] = open_or_fail(&spec);
	for (i = 1; i < SHARDS_MAX; i++)
		shards[i] = join_or_fail(shards[0]->listener);
	assert_null(listener_join(shards[0]->listener, text));
	assert_non_null(strstr(text, "SHARDS_MAX"));
	expect_calm(shards[0]->listener);
	for (i = 0; i < SHARDS_MAX; i++)
		shard_unref(shards[i]);

	spec = unix_spec("web", "web.sock");
	path = open_or_fail(&spec);
	assert_null(listener_join(path->listener, text));
	assert_non_null(strstr(text, "unix"));
	assert_int_equal(listener_steer(path->listener,
	    &(struct steering){ .stable = path }, text), -EOPNOTSUPP);
	assert_non_null(strstr(text, "unix"));
	assert_int_equal(listener_strangers(path->listener), 0);
	expect_calm(path->listener);
	shard_unref(path);
}

static void
test_references(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct shard_end end;

	(void)state;
	(void)shard_ref(pair.shards[1]);
	end = close_shard(pair.shards[1]);
	assert_false(end.closed);
	assert_int_equal(pair.listener->shard_count, 2);
	end = close_shard(pair.shards[1]);
	assert_true(end.closed);
	assert_int_equal(pair.listener->shard_count, 1);
	end = close_shard(NULL);
	assert_false(end.closed);
	shard_unref(pair.shards[0]);
}

/* Whoever goes, the others have numbers that are right. */
static void
test_the_rest_is_steered(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	const struct steering *now;

	(void)state;
	rest = pair;
	rest.shards[0] = join_or_fail(pair.listener);
	rest.shards[1] = join_or_fail(pair.listener);
	pair_steer(&rest, STEER_RANDOM, 1000);
	expect_lane(&rest, 1);
	shard_unref(pair.shards[0]);            /* the last becomes number 0 */
	expect_calm(pair.listener);
	expect_lane(&rest, 1);
	pair_steer(&rest, STEER_RANDOM, 0);
	expect_lane(&rest, 0);
	pair_steer(&rest, STEER_RANDOM, 1000);
	shard_unref(rest.shards[0]);            /* the stable one, of no weight; */
	rest.shards[0] = rest.shards[1];        /* and an older one is there */
	expect_lane(&rest, 0);
	shard_unref(pair.shards[1]);
	expect_lane(&rest, 0);

	pair.shards[1] = rest.shards[1];
	pair.shards[0] = join_or_fail(rest.listener);
	now = listener_steering(pair.listener);
	assert_ptr_equal(now->stable, pair.shards[1]);
	assert_null(now->candidate);
	assert_int_equal(now->weight_permille, 0);
	expect_lane(&pair, 1);
	shard_unref(pair.shards[1]);            /* who has everything */
	assert_ptr_equal(now->stable, pair.shards[0]);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

static void
test_candidate_gives_its_weight_back(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct steering steering = {
		.stable = pair.shards[0], .candidate = pair.shards[1],
		.weight_permille = 1000,
		.probes = { { 1, pair.shards[1] }, { 2, pair.shards[0] } },
		.probe_count = 2,
	};
	const struct steering *now = listener_steering(pair.listener);

	(void)state;
	assert_int_equal(listener_steer(pair.listener, &steering, text), 0);
	expect_lane(&pair, 1);
	shard_unref(pair.shards[1]);
	assert_null(now->candidate);
	assert_int_equal(now->weight_permille, 0);
	assert_int_equal(now->probe_count, 1);
	assert_ptr_equal(now->probes[0].shard, pair.shards[0]);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

static void
test_queues_are_apart(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct route route = route_of("127.0.0.1", 0, "127.0.0.1",
	    pair.listener->spec->address.port);
	struct shard_queue queue;
	struct shard_end end;
	int clients[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		pair_steer(&pair, STEER_RANDOM, i < 2 ? 0 : 1000);
		clients[i] = route_connect(&route);
		assert_true(clients[i] >= 0);
	}
	assert_int_equal(shard_queue(pair.shards[0], &queue), 0);
	assert_int_equal(queue.length, 2);
	assert_int_equal(shard_queue(pair.shards[1], &queue), 0);
	assert_int_equal(queue.length, 3);
	end = close_shard(pair.shards[1]);
	assert_int_equal(end.queued, 3);
	end = close_shard(pair.shards[0]);
	assert_true(end.closed);
	assert_in_range(end.queued, 2, 5);
	assert_false(end.migrates);             /* there is nobody left */
	for (int i = 0; i < 5; i++)
		close(clients[i]);
}

/*
 * What workers do
 */

static void
test_broken_beside_another(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());

	(void)state;
	for (int lane = 0; lane < LANES; lane++) {
		struct lane_pair rest = pair;

		pair_steer(&pair, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(&pair, lane);
		break_shard(pair.shards[lane]);
		expect_calm(pair.listener);
		/* The other serves meanwhile, and none waits elsewhere. */
		rest.shards[lane] = rest.shards[!lane];
		expect_lane(&rest, 0);
		assert_int_equal(shard_renew(pair.shards[lane]), 0);
		expect_calm(pair.listener);
		expect_lane(&pair, lane);
		pair_steer(&pair, STEER_RANDOM, lane == 0 ? 1000 : 0);
		expect_lane(&pair, !lane);
	}
	pair_close(&pair);
}

/* One that gets nothing takes over while nobody else is there. */
static void
test_stable_breaks_alone(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());

	(void)state;
	break_shard(pair.shards[0]);
	expect_calm(pair.listener);
	expect_lane(&(struct lane_pair){ pair.listener, { pair.shards[1],
	    pair.shards[1] } }, 0);
	assert_int_equal(shard_renew(pair.shards[0]), 0);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/* Nobody has read the watch fd yet: the kernel is asked. */
static void
test_breaks_unseen(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest = pair;
	struct shard *third = join_or_fail(pair.listener);

	(void)state;
	rest.shards[0] = rest.shards[1];
	in_child(shut_down, pair.shards[0]->fd, SHUT_RDWR);
	pair_steer(&pair, STEER_RANDOM, 500);
	assert_false(pair.shards[0]->broken);
	expect_lane(&rest, 0);
	(void)listener_watch_read();
	assert_true(pair.shards[0]->broken);
	expect_lane(&rest, 0);
	shard_unref(third);
	pair_close(&pair);
}

/* A new backlog must not revive what will be replaced: its number would be
 * another, and nobody would know. */
static void
test_adjusted_before_seen(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct listener_spec spec = *pair.listener->spec;

	(void)state;
	in_child(shut_down, pair.shards[0]->fd, SHUT_RDWR);
	spec.backlog = 2 * BACKLOG;
	assert_int_equal(listener_adjust(pair.listener, &spec), 0);
	(void)listener_watch_read();
	assert_true(pair.shards[0]->broken);
	assert_int_equal(shard_renew(pair.shards[0]), 0);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/* Both at once, and renewed in any order. */
static void
test_both_broken(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());

	(void)state;
	for (int first = 0; first < LANES; first++) {
		pair_steer(&pair, STEER_RANDOM, 1000);
		break_shard(pair.shards[0]);
		break_shard(pair.shards[1]);
		/* To be in force as soon as there is somebody. */
		pair_steer(&pair, STEER_RANDOM, first == 0 ? 1000 : 0);
		assert_int_equal(shard_renew(pair.shards[first]), 0);
		assert_int_equal(shard_renew(pair.shards[!first]), 0);
		expect_calm(pair.listener);
		expect_lane(&pair, first == 0);
	}
	pair_close(&pair);
}

/* A broken one goes: nothing was in its queue, nobody else is disturbed. */
static void
test_broken_is_closed(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct shard_end end;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	break_shard(pair.shards[1]);
	end = close_shard(pair.shards[1]);
	assert_true(end.closed);
	assert_int_equal(end.queued, 0);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/* What a worker left behind has the socket still. */
static void
test_closed_is_dead_for_all(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	int held = fcntl(pair.shards[0]->fd, F_DUPFD_CLOEXEC, 3);

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	shard_unref(pair.shards[0]);
	expect_calm(pair.listener);
	assert_int_equal(accept4(held, NULL, NULL, SOCK_CLOEXEC), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(listen(held, 5), -1);
	assert_int_equal(errno, EADDRINUSE);
	pair.shards[0] = join_or_fail(pair.listener);
	expect_lane(&pair, 1);
	pair_close(&pair);
	close(held);
}

/* No program can be attached by a socket that a worker has locked. */
static void
test_locked(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec), *other;
	const struct steering steering = { .steer = STEER_SOURCE_IP,
	    .stable = shard };
	const int on = 1;

	(void)state;
	other = join_or_fail(shard->listener);
	assert_int_equal(setsockopt(shard->fd, SOL_SOCKET, SO_LOCK_FILTER, &on,
	    sizeof(on)), 0);
	assert_int_equal(listener_steer(shard->listener,
	    &(struct steering){ .stable = shard }, text), 0);
	shard_unref(other);
	assert_int_equal(listener_steer_state(shard->listener).attach_error,
	    -EPERM);
	assert_int_equal(listener_steer(shard->listener, &steering, text),
	    -EPERM);
	assert_non_null(strstr(text, "divides connections"));
	assert_int_equal(listener_steering(shard->listener)->steer,
	    STEER_RANDOM);
	assert_null(listener_join(shard->listener, text));
	assert_non_null(strstr(text, "divides connections"));
	assert_serves(shard);
	shard_unref(shard);
}

static void
test_no_fd_is_left(void **state)
{
	int before;

	(void)state;
	assert_true(listener_watch_fd() >= 0);
	before = count_fds();
	test_limits(state);
	test_the_rest_is_steered(state);
	test_broken_beside_another(state);
	test_closed_is_dead_for_all(state);
	test_locked(state);
	assert_int_equal(count_fds(), before);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joins_and_gets_nothing),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_the_rest_is_steered),
		cmocka_unit_test(test_candidate_gives_its_weight_back),
		cmocka_unit_test(test_queues_are_apart),
		cmocka_unit_test(test_broken_beside_another),
		cmocka_unit_test(test_stable_breaks_alone),
		cmocka_unit_test(test_breaks_unseen),
		cmocka_unit_test(test_adjusted_before_seen),
		cmocka_unit_test(test_both_broken),
		cmocka_unit_test(test_broken_is_closed),
		cmocka_unit_test(test_closed_is_dead_for_all),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_no_fd_is_left),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, true);
}
