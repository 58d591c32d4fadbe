/*
 * Listeners of a supd that was killed between a change and its record, and what
 * happened while there was none.
 */
#include "keep_fixture.h"

/* It listens, and nobody knows: it is closed, and the next can join. */
static void
test_killed_after_listen(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	uint32_t numbers[LANES];
	unsigned known;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	numbers_of(&pair, numbers);
	known = change_count - 1;
	(void)join_or_fail(pair.listener);
	restart_from(known);
	pair = pair_again(numbers);
	listener_restored();
	expect_calm(pair.listener);
	assert_int_equal(pair.listener->shard_count, 2);
	expect_lane(&pair, 1);
	pair_steer(&pair, STEER_RANDOM, 0);
	expect_lane(&pair, 0);
	shard_unref(pair.shards[1]);
	pair.shards[1] = join_or_fail(pair.listener);
	pair_steer(&pair, STEER_RANDOM, 1000);
	expect_lane(&pair, 1);
	pair_close(&pair);
}

/* The kernel has another order than the program that it runs was made for. */
static void
test_killed_after_shutdown(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	uint32_t numbers[LANES];

	(void)state;
	rest = pair;
	rest.shards[0] = pair.shards[1];
	rest.shards[1] = join_or_fail(pair.listener);
	pair_steer(&rest, STEER_RANDOM, 1000);
	numbers_of(&rest, numbers);
	assert_int_equal(shutdown(pair.shards[0]->fd, SHUT_RD), 0);
	restart_from(change_count - 1);
	rest = pair_again(numbers);
	expect_calm(rest.listener);
	expect_lane(&rest, 1);
	listener_restored();
	expect_lane(&rest, 1);
	pair_steer(&rest, STEER_RANDOM, 0);
	expect_lane(&rest, 0);
	pair_close(&rest);
}

/* It is gone, and the record of the order still has it. */
static void
test_killed_after_close(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	uint32_t numbers[LANES];
	unsigned known;

	(void)state;
	rest = pair;
	rest.shards[0] = join_or_fail(pair.listener);
	rest.shards[1] = join_or_fail(pair.listener);
	pair_steer(&rest, STEER_RANDOM, 1000);
	numbers_of(&rest, numbers);
	forget_changes();
	known = change_count;   /* the one that is said before the kernel's */
	shard_unref(pair.shards[0]);
	shard_ref(pair.shards[1]);
	assert_int_equal(json_array_size(json_object_get(json_array_get(
	    changes[known], 0), "members")), 4);
	restart_from(known);
	rest = pair_again(numbers);
	expect_calm(rest.listener);
	assert_int_equal(rest.listener->shard_count, 3);
	listener_restored();    /* the second: another change of the order */
	assert_int_equal(rest.listener->shard_count, 2);
	expect_calm(rest.listener);
	expect_lane(&rest, 1);
	pair_steer(&rest, STEER_RANDOM, 0);
	expect_lane(&rest, 0);
	pair_close(&rest);
}

/* It was opened under a second name, and only its fd tells. */
static void
test_killed_after_twin(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4), other = spec;
	struct shard *shard = open_or_fail(&spec);
	uint32_t number = shard->number;
	unsigned known = change_count - 1;

	(void)state;
	snprintf(other.name, sizeof(other.name), "other");
	(void)open_or_fail(&other);
	restart_from(known);
	shard = again(number);
	assert_int_equal(carry_count(), 1);
	listener_restored();
	assert_false(shard->broken);
	assert_serves(shard);
	shard_unref(shard);
}

/* What was to be closed is known as such, and was not yet: it is now. */
static void
test_killed_before_close(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	uint32_t numbers[LANES];
	char name[CARRY_NAME_BYTES_MAX + 1];
	int first;

	(void)state;
	rest = pair;
	rest.shards[0] = pair.shards[1];
	rest.shards[1] = join_or_fail(pair.listener);
	numbers_of(&rest, numbers);
	first = fcntl(pair.shards[0]->fd, F_DUPFD_CLOEXEC, 3);
	snprintf(name, sizeof(name), "s%u", pair.shards[0]->number);
	/* Its text, without the first shard; the kernel has it. */
	forget_changes();
	note_change(NULL);
	json_array_remove(json_object_get(json_array_get(changes[0], 0),
	    "shards"), 0);
	restart_from(0);
	rest = pair_again(numbers);
	listener_restored();
	assert_int_equal(rest.listener->shard_count, 2);
	expect_calm(rest.listener);
	assert_int_equal(accept4(first, NULL, NULL, SOCK_CLOEXEC), -1);
	assert_int_equal(errno, EINVAL);
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&rest, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(&rest, lane);
	}
	close(first);
	pair_close(&rest);
}

/*
 * Broken ones
 */

static void
find_broken(struct shard *shard)
{
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };

	assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
	(void)listener_watch_read();
	assert_true(shard->broken);
}

static void
test_broken_is_found_again(void **state)
{
	(void)state;
	for (int family = 0; family < SPEC_COUNT; family++) {
		struct listener_spec spec = spec_of(family);
		struct shard *shard = open_or_fail(&spec);
		uint32_t number = shard->number;
		json_t *saved;

		break_shard(shard);
		saved = listener_save();
		assert_true(json_equal(saved, changes[change_count - 1]));
		end_supd();
		restore_or_fail(saved);
		json_decref(saved);
		shard = again(number);
		listener_restored();
		find_broken(shard);
		assert_int_equal(shard_renew(shard), 0);
		assert_serves(shard);
		shard_unref(shard);
		assert_int_equal(access(spec.address.path, F_OK), -1);
	}
}

/* Its workers were not told of the new one. */
static void
test_killed_after_renewal(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	uint32_t numbers[LANES];
	unsigned known;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	numbers_of(&pair, numbers);
	break_shard(pair.shards[1]);
	known = change_count - 1;
	assert_int_equal(shard_renew(pair.shards[1]), 0);
	restart_from(known);
	pair = pair_again(numbers);
	listener_restored();
	find_broken(pair.shards[1]);
	assert_int_equal(shard_renew(pair.shards[1]), 0);
	expect_calm(pair.listener);
	expect_lane(&pair, 1);
	pair_close(&pair);
}

/* By a worker, while there was no supd. */
static void
test_broken_meanwhile(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	uint32_t numbers[LANES];
	json_t *saved = listener_save();

	(void)state;
	numbers_of(&pair, numbers);
	in_child(shut_down, pair.shards[0]->fd, SHUT_RDWR);
	end_supd();
	restore_or_fail(saved);
	json_decref(saved);
	pair = pair_again(numbers);
	listener_restored();
	expect_lane(&(struct lane_pair){ pair.listener, { pair.shards[1],
	    pair.shards[1] } }, 0);
	find_broken(pair.shards[0]);
	assert_int_equal(shard_renew(pair.shards[0]), 0);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/*
 * What did not come
 */

static void
test_did_not_come(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	char name[CARRY_NAME_BYTES_MAX + 1];
	uint32_t numbers[LANES];
	json_t *saved;
	int other;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	numbers_of(&pair, numbers);
	saved = listener_save();
	end_supd();
	/* The candidate's is another socket now. */
	snprintf(name, sizeof(name), "s%u", numbers[1]);
	close(carry_take(name));
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	carry_come(name, other);
	restore_or_fail(saved);
	json_decref(saved);
	assert_null(listener_shard(numbers[1]));
	pair.shards[0] = again(numbers[0]);
	listener_restored();
	assert_int_equal(fcntl(other, F_GETFD), -1);
	pair.listener = pair.shards[0]->listener;
	expect_calm(pair.listener);
	assert_null(listener_steering(pair.listener)->candidate);
	assert_int_equal(listener_steering(pair.listener)->weight_permille, 0);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

static void
test_nothing_came(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	json_t *saved;

	(void)state;
	(void)open_or_fail(&spec);
	saved = listener_save();
	end_supd();
	assert_int_equal(carry_leave(), 1);
	restore_or_fail(saved);
	json_decref(saved);
	assert_null(listener_first());
	listener_restored();
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_killed_after_listen),
		KEEP_TEST(test_killed_after_shutdown),
		KEEP_TEST(test_killed_after_close),
		KEEP_TEST(test_killed_after_twin),
		KEEP_TEST(test_killed_before_close),
		KEEP_TEST(test_broken_is_found_again),
		KEEP_TEST(test_killed_after_renewal),
		KEEP_TEST(test_broken_meanwhile),
		KEEP_TEST(test_did_not_come),
		KEEP_TEST(test_nothing_came),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, true);
}
