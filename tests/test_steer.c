/*
 * Weights, clients that stay and probes against the kernel, as an ordinary
 * user.  The programs themselves are interpreted in test_bpf.c; shards that
 * come and go are in test_lanes.c.
 */
#include "steer_fixture.h"

enum { CONNECTIONS = 20000 };

static const uint32_t weights[] = { 0, 1, 10, 50, 250, 500, 999, 1000 };
enum { WEIGHT_COUNT = sizeof(weights) / sizeof(weights[0]) };

static bool
is_within(const struct lane_pair *pair, const struct route *routes,
    uint32_t route_count, uint32_t count, uint32_t weight)
{
	struct interval limits = { 0, 0 };
	uint32_t got[LANES];

	connect_all(pair, routes, route_count, count, got);
	if (weight == 0 || weight == 1000)
		limits.least = limits.most = weight == 0 ? 0 : count;
	else
		limits = binomial_interval(count, weight);
	print_message("# weight %u: %u of %u, expected %u to %u\n", weight,
	    got[1], count, limits.least, limits.most);
	return got[1] >= limits.least && got[1] <= limits.most;
}

/*
 * One in a thousand right shares is outside of its interval, and there are many
 * here.  So one that is outside is counted again, with ten times the
 * connections: a wrong share, which the first count may just have seen, is
 * outside of that narrower interval all the more, while a right one is within
 * with 99.9 %, and outside of both once in a million times.
 */
static void
expect_weights(const char *host, const struct route *routes,
    uint32_t route_count)
{
	struct lane_pair pair = pair_open(host,
	    ntohs(((const struct sockaddr_in *)&routes[0].to)->sin_port));

	for (int i = 0; i < WEIGHT_COUNT; i++) {
		pair_steer(&pair, STEER_RANDOM, weights[i]);
		if (!is_within(&pair, routes, route_count, CONNECTIONS,
		    weights[i]) && (weights[i] % 1000 == 0 ||
		    !is_within(&pair, routes, route_count, 10 * CONNECTIONS,
		    weights[i])))
			fail_msg("%s: weight %u", host, weights[i]);
	}
	pair_close(&pair);
}

static void
test_weights_v4(void **state)
{
	struct route route = route_of("127.0.0.1", 0, "127.0.0.1",
	    free_port());

	(void)state;
	expect_weights("127.0.0.1", &route, 1);
}

static void
test_weights_v6(void **state)
{
	struct route route = route_of("::1", 0, "::1", free_port());

	(void)state;
	expect_weights("::1", &route, 1);
}

/* One socket for both families has one program for both. */
static void
test_weights_dual_stack(void **state)
{
	uint16_t port = free_port();
	struct route routes[] = {
		route_of("127.0.0.1", 0, "127.0.0.1", port),
		route_of("::1", 0, "::1", port),
	};

	(void)state;
	expect_weights("::", routes, 2);
}

/*
 * Clients that stay
 */

enum { CLIENTS = 200 };

static void
make_clients(struct route *ret_routes, uint16_t port)
{
	char from[INET_ADDRSTRLEN];

	for (int i = 0; i < CLIENTS; i++) {
		snprintf(from, sizeof(from), "127.%d.%d.%d", i / 50, i % 7,
		    1 + i);
		ret_routes[i] = route_of(from, 0, "127.0.0.1", port);
	}
}

static void
expect_to_stay(const char *host)
{
	static const uint32_t growing[] = { 50, 250, 500, 1000 };
	static struct route routes[CLIENTS];
	uint16_t port = free_port();
	struct lane_pair pair = pair_open(host, port);
	int lanes[CLIENTS] = { 0 }, moved = 0, lane;

	make_clients(routes, port);
	for (int i = 0; i < 4; i++) {
		pair_steer(&pair, STEER_SOURCE_IP, growing[i]);
		for (int k = 0; k < CLIENTS; k++) {
			lane = lane_of(&pair, &routes[k]);
			assert_true(lane >= lanes[k]);
			moved += lane - lanes[k];
			lanes[k] = lane;
			assert_int_equal(lane_of(&pair, &routes[k]), lane);
		}
		print_message("# weight %u: %d of %d clients\n", growing[i],
		    moved, CLIENTS);
		/* The addresses are always these, and so is their share. */
		assert_in_range(moved, growing[i] / 10, growing[i] * 3 / 10);
	}
	assert_int_equal(moved, CLIENTS);
	pair_close(&pair);
}

static void
test_clients_stay_v4(void **state)
{
	(void)state;
	expect_to_stay("0.0.0.0");
}

static void
test_clients_stay_dual_stack(void **state)
{
	(void)state;
	expect_to_stay("::");
}

/* There is one such address on a loopback; it is on one side or the other. */
static void
test_clients_stay_v6(void **state)
{
	uint16_t port = free_port();
	struct lane_pair pair = pair_open("::1", port);
	struct route route = route_of("::1", 0, "::1", port);
	uint32_t got[LANES], before = 0;

	(void)state;
	for (uint32_t weight = 0; weight <= 1000; weight += 50) {
		pair_steer(&pair, STEER_SOURCE_IP, weight);
		connect_all(&pair, &route, 1, 100, got);
		assert_true(got[1] == 0 || got[1] == 100);
		assert_true(got[1] >= before);
		before = got[1];
	}
	assert_int_equal(before, 100);
	pair_close(&pair);
}

/*
 * Probes
 */

static void
steer_probe(const struct lane_pair *pair, enum steer steer, uint16_t port)
{
	const struct steering steering = {
		.steer = steer, .stable = pair->shards[0],
		.candidate = pair->shards[1],
		.probes = { { .port = 1, .shard = pair->shards[0] },
		    { .port = port, .shard = pair->shards[1] } },
		.probe_count = 2,
	};

	assert_int_equal(listener_steer(pair->listener, &steering, text), 0);
}

static void
expect_probe(const char *listen_at, const char *host, const char *other)
{
	uint16_t port = free_port(), probe_port = free_port();
	struct lane_pair pair = pair_open(listen_at, port);
	struct route probe = route_of(host, probe_port, host, port);
	struct route local = route_of(host, 0, host, port), foreign;
	uint32_t got[LANES];

	for (int steer = STEER_RANDOM; steer <= STEER_SOURCE_IP; steer++) {
		steer_probe(&pair, (enum steer)steer, probe_port);
		for (int i = 0; i < 5; i++)
			assert_int_equal(lane_of(&pair, &probe), 1);
		connect_all(&pair, &local, 1, 500, got);
		assert_int_equal(got[1], 0);
		if (other != NULL) {
			foreign = route_of(other, probe_port, host, port);
			assert_int_equal(lane_of(&pair, &foreign), 0);
		}
		pair_steer(&pair, (enum steer)steer, 0);
		assert_int_equal(lane_of(&pair, &probe), 0);
	}
	pair_close(&pair);
}

static void
test_probe(void **state)
{
	(void)state;
	expect_probe("127.0.0.1", "127.0.0.1", "127.0.0.2");
	expect_probe("::1", "::1", NULL);
	expect_probe("::", "::1", NULL);
	expect_probe("::", "127.0.0.1", "127.0.0.2");
}

/* Every shape of a program: the kernel checks them before it takes them. */
static void
test_all_are_accepted(void **state)
{
	static const struct {
		const char *host, *client;
	} hosts[] = { { "127.0.0.1", "127.0.0.1" }, { "::", "::1" } };
	struct steering steering;
	struct lane_pair pair;
	struct route route;
	uint16_t port;

	(void)state;
	for (int i = 0; i < 2 * 2 * WEIGHT_COUNT * (PROBE_PORTS_MAX + 1); i++) {
		const int host = i % 2;

		port = free_port();
		pair = pair_open(hosts[host].host, port);
		steering = (struct steering){
			.steer = i / 2 % 2 ? STEER_SOURCE_IP : STEER_RANDOM,
			.stable = pair.shards[0], .candidate = pair.shards[1],
			.weight_permille = weights[i / 4 % WEIGHT_COUNT],
			.probe_count = (uint32_t)i / 4 / WEIGHT_COUNT,
		};
		for (uint32_t k = 0; k < steering.probe_count; k++)
			steering.probes[k] = (struct probe_port){
				.port = (uint16_t)(1 + k),
				.shard = pair.shards[k % 2],
			};
		assert_int_equal(listener_steer(pair.listener, &steering,
		    text), 0);
		route = route_of(hosts[host].client, 0, hosts[host].client,
		    port);
		(void)lane_of(&pair, &route);
		pair_close(&pair);
	}
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights_v4),
		cmocka_unit_test(test_weights_v6),
		cmocka_unit_test(test_weights_dual_stack),
		cmocka_unit_test(test_clients_stay_v4),
		cmocka_unit_test(test_clients_stay_dual_stack),
		cmocka_unit_test(test_clients_stay_v6),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_all_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	return run_apart(group, true);
}
