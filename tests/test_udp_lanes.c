/*
 * Lanes of UDP listeners: which flows go where, what becomes of them when the
 * weight changes and when a lane is closed, and that supd may die meanwhile.
 */
#include "keep_fixture.h"

enum { FLOWS = 600 };

static const char *const hosts[] = { "127.0.0.1", "::1" };

static struct lane_pair
udp_pair(const char *host)
{
	struct listener_spec spec = tcp_spec("dns", host, free_port());
	struct lane_pair pair;

	spec.address.kind = ADDRESS_DATAGRAM;
	spec.nonblocking = true;
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	expect_calm(pair.listener);
	return pair;
}

/* A client with a port of its own. */
static int
flow_open(const struct lane_pair *pair)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int fd;

	assert_int_equal(listener_address_resolve(
	    &pair->listener->spec->address, &sockaddr, &bytes), 0);
	fd = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sockaddr, bytes), 0);
	return fd;
}

/* The lane that gets a datagram of it: on the loopback it is there at once. */
static int
lane_of_flow(const struct lane_pair *pair, int flow)
{
	char byte;

	assert_int_equal(send(flow, "x", 1, 0), 1);
	for (int lane = 0; lane < LANES; lane++)
		if (recv(pair->shards[lane]->fd, &byte, 1, 0) == 1)
			return lane;
	return -1;
}

/* How many flows are the candidate's; each in ret_lanes. */
static uint32_t
count_candidate(const struct lane_pair *pair, const int flows[FLOWS],
    int ret_lanes[FLOWS])
{
	uint32_t count = 0;

	for (int i = 0; i < FLOWS; i++) {
		ret_lanes[i] = lane_of_flow(pair, flows[i]);
		assert_in_range(ret_lanes[i], 0, 1);
		count += ret_lanes[i] == 1;
	}
	return count;
}

/* A flow stays where it is, moves once while the weight grows, and back when it
 * is taken back. */
static void
test_flows(void **state)
{
	static const uint32_t weights[] = { 0, 50, 250, 500, 1000 };
	static int flows[FLOWS], before[FLOWS], lanes[FLOWS];

	(void)state;
	for (int h = 0; h < 2; h++) {
		struct lane_pair pair = udp_pair(hosts[h]);

		for (int i = 0; i < FLOWS; i++) {
			flows[i] = flow_open(&pair);
			before[i] = 0;
		}
		for (int w = 0; w < 5; w++) {
			struct interval interval = { 0, 0 };
			uint32_t count;

			pair_steer(&pair, STEER_RANDOM, weights[w]);
			if (weights[w] % 1000 != 0)
				interval = binomial_interval(FLOWS, weights[w]);
			else
				interval.least = interval.most =
				    FLOWS * weights[w] / 1000;
			count = count_candidate(&pair, flows, lanes);
			/* The ports are the kernel's choice, not random. */
			assert_true(count + 20 >= interval.least &&
			    count <= interval.most + 20);
			for (int i = 0; i < FLOWS; i++)
				assert_true(lanes[i] >= before[i]);
			memcpy(before, lanes, sizeof(before));
			(void)count_candidate(&pair, flows, lanes);
			assert_memory_equal(before, lanes, sizeof(before));
		}
		pair_steer(&pair, STEER_RANDOM, 0);
		assert_int_equal(count_candidate(&pair, flows, lanes), 0);
		for (int i = 0; i < FLOWS; i++)
			close(flows[i]);
		pair_close(&pair);
	}
}

/* All of one client, whatever its ports. */
static void
test_by_address(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	int first = -1;

	(void)state;
	pair_steer(&pair, STEER_SOURCE_IP, 500);
	for (int i = 0; i < 50; i++) {
		int flow = flow_open(&pair), lane = lane_of_flow(&pair, flow);

		if (first < 0)
			first = lane;
		assert_int_equal(lane, first);
		close(flow);
	}
	pair_close(&pair);
}

static void
expect_lane_of_all(const struct lane_pair *pair, int lane)
{
	for (int i = 0; i < 30; i++) {
		int flow = flow_open(pair);

		assert_int_equal(lane_of_flow(pair, flow), lane);
		close(flow);
	}
}

/* The last number fills the hole, as for TCP. */
static void
test_the_rest_is_steered(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1"), rest;

	(void)state;
	rest = pair;
	rest.shards[0] = join_or_fail(pair.listener);
	rest.shards[1] = join_or_fail(pair.listener);
	shard_unref(pair.shards[0]);
	shard_unref(pair.shards[1]);
	expect_calm(pair.listener);
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&rest, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane_of_all(&rest, lane);
	}
	pair_close(&rest);
}

/* What waits in a lane that is closed is lost, and counted. */
static void
test_lost_is_counted(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	struct shard_end end;
	int flow = flow_open(&pair);

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	for (int i = 0; i < 7; i++)
		assert_int_equal(send(flow, "x", 1, 0), 1);
	assert_int_equal(shard_waiting(pair.shards[1]), 1);
	end = close_shard(pair.shards[1]);
	assert_true(end.closed);
	assert_int_equal(end.queued, 7);
	assert_false(end.migrates);
	pair.shards[1] = pair.shards[0];
	assert_int_equal(lane_of_flow(&pair, flow), 0);
	close(flow);
	shard_unref(pair.shards[0]);
}

/* A worker that is left over has it still, and its number: nothing goes there
 * all the same. */
static void
test_held_by_a_leftover(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	int held = fcntl(pair.shards[1]->fd, F_DUPFD_CLOEXEC, 3);

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	shard_unref(pair.shards[1]);
	pair.shards[1] = pair.shards[0];
	expect_lane_of_all(&pair, 0);
	/* Another can join nevertheless. */
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane_of_all(&pair, 0);
	pair_steer(&pair, STEER_RANDOM, 1000);
	expect_lane_of_all(&pair, 1);
	close(held);
	assert_int_equal(listener_strangers(pair.listener), 0);
	expect_lane_of_all(&pair, 1);
	pair_close(&pair);
}

/* A worker that binds the address itself and connects to its client: what is
 * divided stays so, and nobody can join. */
static void
test_connected_beside(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	struct sockaddr_storage sockaddr;
	struct sockaddr_in peer = { .sin_family = AF_INET,
	    .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes;
	struct shard *first, *last;
	const int on = 1;
	int other;

	(void)state;
	assert_int_equal(listener_address_resolve(
	    &pair.listener->spec->address, &sockaddr, &bytes), 0);
	other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)), 0);
	assert_int_equal(bind(other, (struct sockaddr *)&sockaddr, bytes), 0);
	/* After the two of ours, and before another: it has a number. */
	first = pair.shards[0];
	last = join_or_fail(pair.listener);
	assert_int_equal(listener_strangers(pair.listener), 1);
	assert_int_equal(connect(other, (struct sockaddr *)&peer,
	    sizeof(peer)), 0);
	assert_null(listener_join(pair.listener, text));
	assert_non_null(strstr(text, "connected to a client"));
	shard_unref(first);
	pair.shards[0] = pair.shards[1];
	pair.shards[1] = last;
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&pair, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane_of_all(&pair, lane);
	}
	close(other);
	shard_unref(join_or_fail(pair.listener));
	pair_close(&pair);
}

/* By a worker; its number stays until nobody has it. */
static void
test_broken_lane(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };
	int held;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	held = fcntl(pair.shards[1]->fd, F_DUPFD_CLOEXEC, 3);
	(void)shutdown(pair.shards[1]->fd, SHUT_RDWR);
	assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
	(void)listener_watch_read();
	assert_true(pair.shards[1]->broken);
	assert_int_equal(shard_renew(pair.shards[1]), 0);
	expect_lane_of_all(&pair, 1);
	shard_unref(join_or_fail(pair.listener));
	close(held);
	assert_int_equal(listener_strangers(pair.listener), 0);
	expect_lane_of_all(&pair, 1);
	pair_steer(&pair, STEER_RANDOM, 0);
	expect_lane_of_all(&pair, 0);
	pair_close(&pair);
}

/* An error that waits for a worker that asked for it wakes nobody else again and
 * again. */
static void
test_error_waits(void **state)
{
	struct lane_pair pair = udp_pair("127.0.0.1");
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };
	struct sockaddr_in nobody = { .sin_family = AF_INET,
	    .sin_port = htons(free_port()),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;
	int flow;

	(void)state;
	shard_unref(pair.shards[1]);    /* or it might be told instead */
	assert_int_equal(setsockopt(pair.shards[0]->fd, IPPROTO_IP, IP_RECVERR,
	    &on, sizeof(on)), 0);
	assert_int_equal(sendto(pair.shards[0]->fd, "x", 1, 0,
	    (struct sockaddr *)&nobody, sizeof(nobody)), 1);
	/* And one that nobody takes, as of a worker that is busy for long. */
	flow = flow_open(&pair);
	assert_int_equal(send(flow, "x", 1, 0), 1);
	close(flow);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
		assert_true(listener_watch_read());
		assert_false(pair.shards[0]->broken);
		assert_int_equal(poll(&watch, 1, 0), 0);
		assert_false(listener_sample(NULL));
	}
	/* One that is shut down meanwhile is found all the same. */
	(void)shutdown(pair.shards[0]->fd, SHUT_RDWR);
	assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
	(void)listener_watch_read();
	assert_true(pair.shards[0]->broken);
	shard_unref(pair.shards[0]);
}

static void
test_goes_on(void **state)
{
	static int flows[FLOWS], before[FLOWS], lanes[FLOWS];
	struct lane_pair pair = udp_pair("127.0.0.1");
	uint32_t numbers[LANES];

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 100);
	for (int i = 0; i < FLOWS; i++)
		flows[i] = flow_open(&pair);
	(void)count_candidate(&pair, flows, before);
	numbers_of(&pair, numbers);
	restart();
	pair = pair_again(numbers);
	listener_restored();
	expect_calm(pair.listener);
	(void)count_candidate(&pair, flows, lanes);
	assert_memory_equal(before, lanes, sizeof(before));
	for (int i = 0; i < FLOWS; i++)
		close(flows[i]);
	pair_close(&pair);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_flows),
		KEEP_TEST(test_by_address),
		KEEP_TEST(test_the_rest_is_steered),
		KEEP_TEST(test_lost_is_counted),
		KEEP_TEST(test_held_by_a_leftover),
		KEEP_TEST(test_connected_beside),
		KEEP_TEST(test_broken_lane),
		KEEP_TEST(test_error_waits),
		KEEP_TEST(test_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	return run_apart(group, true);
}
