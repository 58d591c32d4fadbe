/*
 * Listeners that outlive supd: what is saved, and what becomes of it.
 */
#include "keep_fixture.h"

/* What would else be adjusted at the next reload, or never be. */
static void
expect_spec(const struct listener_spec *now, const struct listener_spec *spec)
{
	assert_string_equal(now->address_text, spec->address_text);
	assert_int_equal(now->backlog, spec->backlog);
	assert_int_equal(now->nonblocking, spec->nonblocking);
	assert_int_equal(now->ipv6_only, spec->ipv6_only);
	assert_int_equal(now->preview, spec->preview);
	assert_int_equal(now->shared, spec->shared);
	assert_int_equal(now->mode, spec->mode);
	if (spec->owner == NULL)
		assert_null(now->owner);
	else
		assert_string_equal(now->owner, spec->owner);
}

static void
test_goes_on(void **state)
{
	char owner[32];

	(void)state;
	snprintf(owner, sizeof(owner), "%u:%u", geteuid(), getegid());
	for (int family = 0; family < SPEC_COUNT; family++) {
		struct listener_spec spec = spec_of(family);
		struct shard *shard;
		uint32_t number;
		int client;

		spec.nonblocking = family == SPEC_UNIX;
		spec.ipv6_only = family == SPEC_IPV6;
		spec.preview = family == SPEC_IPV4;
		spec.shared = family == SPEC_IPV6;
		spec.owner = family == SPEC_UNIX ? owner : NULL;
		shard = open_or_fail(&spec);
		number = shard->number;
		client = connect_to(&spec);
		restart();
		shard = again(number);
		listener_restored();
		close(accept_from(shard));      /* it waited meanwhile */
		close(client);
		assert_serves(shard);
		assert_ptr_equal(listener_find(&spec), shard->listener);
		expect_spec(shard->listener->spec, &spec);
		spec.backlog = 2 * BACKLOG;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_int_equal(shard->backlog_granted, 2 * BACKLOG);
		shard_unref(shard);
		assert_true(connect_to(&spec) < 0);
		assert_int_equal(access(spec.address.path, F_OK), -1);
	}
}

static void
test_nobody_wants_it(void **state)
{
	struct listener_spec spec = spec_of(SPEC_UNIX);
	struct shard *shard = open_or_fail(&spec);
	uint32_t number = shard->number;

	(void)state;
	restart();
	listener_restored();
	assert_null(listener_first());
	assert_null(listener_shard(number));
	assert_int_equal(access(spec.address.path, F_OK), -1);
}

static void
test_numbers_are_new(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec), *other;
	uint32_t number = shard->number, last;
	json_t *saved;

	(void)state;
	other = join_or_fail(shard->listener);
	last = other->number;
	assert_int_equal(last, number + 1);
	shard_unref(other);
	restart();
	shard = again(number);
	listener_restored();
	other = join_or_fail(shard->listener);
	assert_true(other->number > last);
	shard_unref(other);

	/* In another process the text alone says which there were. */
	saved = listener_save();
	json_object_set_new(json_array_get(saved, 0), "number_last",
	    json_integer(last + 1000));
	end_supd();
	restore_or_fail(saved);
	json_decref(saved);
	shard = again(number);
	listener_restored();
	other = join_or_fail(shard->listener);
	assert_int_equal(other->number, last + 1001);
	shard_unref(other);
	shard_unref(shard);
}

/* One that is gone may have left connections with its label. */
static void
test_labels_go_on(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec), *other;
	uint32_t number = shard->number, label;

	(void)state;
	other = join_or_fail(shard->listener);
	label = shard_label(other);
	shard_unref(other);
	restart();
	shard = again(number);
	listener_restored();
	other = join_or_fail(shard->listener);
	assert_int_equal(shard_label(other), (label + 1) % LABELS_MAX);
	shard_unref(other);
	shard_unref(shard);
}

/* The program is the kernel's: nothing is attached, or it would be refused. */
static void
test_split_goes_on(void **state)
{
	enum { COUNT = 2000, PERMILLE = 100 };
	struct interval interval = binomial_interval(COUNT, PERMILLE);
	static const char *const hosts[] = { "127.0.0.1", "::1" };
	const int on = 1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct lane_pair pair = pair_open(hosts[i], free_port());
		struct route route = route_of(hosts[i], 0, hosts[i],
		    pair.listener->spec->address.port);
		const struct steering *now;
		uint32_t numbers[LANES], got[LANES];

		pair_steer(&pair, STEER_RANDOM, PERMILLE);
		for (int k = 0; k < LANES; k++)
			assert_int_equal(setsockopt(pair.shards[k]->fd,
			    SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)), 0);
		numbers_of(&pair, numbers);
		restart();
		pair = pair_again(numbers);
		listener_restored();
		expect_calm(pair.listener);
		now = listener_steering(pair.listener);
		assert_ptr_equal(now->stable, pair.shards[0]);
		assert_ptr_equal(now->candidate, pair.shards[1]);
		assert_int_equal(now->weight_permille, PERMILLE);
		connect_all(&pair, &route, 1, COUNT, got);
		assert_in_range(got[1], interval.least, interval.most);
		pair_close(&pair);
		forget_changes();
	}
}

static void
expect_told(const struct lane_pair *pair, const struct steering *wanted)
{
	json_t *now;

	forget_changes();
	assert_int_equal(listener_steer(pair->listener, wanted, text), 0);
	assert_int_equal(change_count, 1);
	now = listener_save();
	assert_true(json_equal(now, changes[0]));
	json_decref(now);
}

/* A probe's way comes and goes with each, and is in no text. */
static void
test_what_is_told(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct steering wanted = *listener_steering(pair.listener);

	(void)state;
	wanted.candidate = pair.shards[1];
	expect_told(&pair, &wanted);
	wanted.weight_permille = 1;
	expect_told(&pair, &wanted);
	wanted.steer = STEER_SOURCE_IP;
	expect_told(&pair, &wanted);
	wanted.stable = pair.shards[1];
	expect_told(&pair, &wanted);
	forget_changes();
	for (wanted.probe_count = 2; wanted.probe_count-- > 0;) {
		wanted.probes[0] = (struct probe_port){ 1, pair.shards[0] };
		assert_int_equal(listener_steer(pair.listener, &wanted, text),
		    0);
		assert_int_equal(listener_steering(pair.listener)->probe_count,
		    wanted.probe_count);
		assert_int_equal(change_count, 0);
	}
	pair_close(&pair);
}

/* A third socket is told, and not a steering that is refused. */
static void
test_refused_is_not_told(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct steering wanted = *listener_steering(pair.listener);
	struct listener_spec spec = *pair.listener->spec;
	const int on = 1;
	json_t *now;
	int fd;

	(void)state;
	for (int lane = 0; lane < LANES; lane++)
		assert_int_equal(setsockopt(pair.shards[lane]->fd, SOL_SOCKET,
		    SO_LOCK_FILTER, &on, sizeof(on)), 0);
	fd = listener_address_bind(&spec, true, text);
	assert_true(fd >= 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	forget_changes();
	wanted.candidate = pair.shards[1];
	wanted.weight_permille = 500;
	assert_true(listener_steer(pair.listener, &wanted, text) < 0);
	assert_int_equal(change_count, 1);
	now = listener_save();
	assert_true(json_equal(now, changes[0]));
	json_decref(now);
	close(fd);
	pair_close(&pair);
}

static void
test_doubt_goes_on(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	uint32_t numbers[LANES];

	(void)state;
	numbers_of(&pair, numbers);
	pair.listener->lanes->state.unsure = true;
	note_change(NULL);
	restart();
	pair = pair_again(numbers);
	listener_restored();
	assert_true(listener_steer_state(pair.listener).unsure);
	pair_close(&pair);
}

/* The last one has the first one's number, and no look would show it. */
static void
test_order_goes_on(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port()), rest;
	uint32_t numbers[LANES];

	(void)state;
	rest = pair;
	rest.shards[0] = join_or_fail(pair.listener);
	rest.shards[1] = join_or_fail(pair.listener);
	shard_unref(pair.shards[0]);    /* the fourth is number 0, */
	shard_unref(pair.shards[1]);    /* and the third number 1 */
	numbers_of(&rest, numbers);
	restart();
	rest = pair_again(numbers);
	listener_restored();
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&rest, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(&rest, lane);
	}
	pair_close(&rest);
}

static void
test_twins(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4), other;
	struct shard *shard = open_or_fail(&spec), *twin, *joined;
	uint32_t numbers[2];

	(void)state;
	other = spec;
	snprintf(other.name, sizeof(other.name), "other");
	twin = open_or_fail(&other);
	assert_int_equal(twin->inode, shard->inode);
	assert_true(twin->number != shard->number);
	numbers[0] = shard->number;
	numbers[1] = twin->number;
	restart();
	shard = again(numbers[0]);
	twin = again(numbers[1]);
	listener_restored();
	assert_ptr_equal(shard->listener->lanes, twin->listener->lanes);
	joined = join_or_fail(shard->listener);
	expect_calm(twin->listener);
	shard_unref(joined);
	shard_unref(shard);
	assert_serves(twin);
	shard_unref(twin);
}

/* systemd keeps one fd of a file. */
static void
test_one_fd_for_twins(void **state)
{
	struct listener_spec spec = spec_of(SPEC_UNIX), other = spec;
	struct shard *shard = open_or_fail(&spec), *twin;
	uint32_t numbers[2];
	char name[CARRY_NAME_BYTES_MAX + 1];
	json_t *saved;

	(void)state;
	snprintf(other.name, sizeof(other.name), "other");
	twin = open_or_fail(&other);
	numbers[0] = shard->number;
	numbers[1] = twin->number;
	saved = listener_save();
	end_supd();
	snprintf(name, sizeof(name), "s%u", numbers[0]);
	close(carry_take(name));
	restore_or_fail(saved);
	json_decref(saved);
	shard = again(numbers[0]);
	twin = again(numbers[1]);
	listener_restored();
	shard_unref(twin);
	assert_serves(shard);
	shard_unref(shard);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_goes_on),
		KEEP_TEST(test_nobody_wants_it),
		KEEP_TEST(test_numbers_are_new),
		KEEP_TEST(test_labels_go_on),
		KEEP_TEST(test_split_goes_on),
		KEEP_TEST(test_what_is_told),
		KEEP_TEST(test_refused_is_not_told),
		KEEP_TEST(test_doubt_goes_on),
		KEEP_TEST(test_order_goes_on),
		KEEP_TEST(test_twins),
		KEEP_TEST(test_one_fd_for_twins),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, true);
}
