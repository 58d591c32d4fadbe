/*
 * One address under two names, which begin with one socket and share their
 * lanes; and the labels by which anybody can see who took a connection.
 */
#include "steer_fixture.h"

#include <netinet/tcp.h>

#include "diag.h"

/*
 * Another name for the address
 */

static struct shard *
open_renamed(const struct listener *listener)
{
	struct listener_spec spec = *listener->spec;

	strcpy(spec.name, "shop");
	return open_or_fail(&spec);
}

/* The new name is a lane of its own, after it has shared the old one's. */
static void
test_renamed(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct listener *old = pair.listener;
	struct shard *shared;
	struct shard_end end;

	(void)state;
	shard_unref(pair.shards[1]);
	shared = open_renamed(old);
	assert_int_equal(shard_label(shared), shard_label(pair.shards[0]));
	pair.listener = shared->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	end = close_shard(shared);
	assert_false(end.closed);
	pair_steer(&pair, STEER_RANDOM, 1000);
	assert_ptr_equal(listener_steering(old), listener_steering(
	    pair.listener));
	expect_lane(&pair, 1);
	expect_calm(old);
	end = close_shard(pair.shards[0]);      /* with the old name */
	assert_true(end.closed);
	expect_calm(pair.listener);
	pair.shards[0] = join_or_fail(pair.listener);
	expect_lane(&pair, 1);
	pair_close(&pair);
	assert_null(listener_first());
}

/* The old name goes, and what it shared stays in charge. */
static void
test_renamed_inherits(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct shard *shared = open_renamed(pair.listener);
	const struct steering *now = listener_steering(shared->listener);
	struct steering steering = {
		.stable = pair.shards[1], .candidate = pair.shards[0],
		.weight_permille = 1000, .probes = { { 1, pair.shards[0] } },
		.probe_count = 1,
	};
	struct shard_end end;

	(void)state;
	assert_int_equal(listener_steer(pair.listener, &steering, text), 0);
	end = close_shard(pair.shards[0]);
	assert_false(end.closed);
	assert_ptr_equal(now->candidate, shared);
	assert_ptr_equal(now->probes[0].shard, shared);
	pair.shards[0] = shared;
	expect_lane(&pair, 0);
	end = close_shard(pair.shards[1]);
	assert_true(end.closed);
	assert_ptr_equal(now->stable, shared);
	pair.listener = shared->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/* Each name breaks with the socket, and is one with the other afterwards. */
static void
test_renamed_and_broken(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct shard *shared = open_renamed(pair.listener);
	struct steering steering = { 0 };

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 0);
	break_shard(pair.shards[0]);
	assert_true(shared->broken);
	assert_int_equal(shard_renew(shared), 0);
	assert_ptr_equal(listener_steering(pair.listener)->stable,
	    pair.shards[0]);
	expect_calm(pair.listener);
	assert_serves(shared);          /* the stable one, by another name */
	assert_int_equal(shard_renew(pair.shards[0]), 0);
	assert_int_equal(pair.shards[0]->inode, shared->inode);
	expect_lane(&pair, 0);
	/* The other lane stays another. */
	break_shard(pair.shards[1]);
	assert_int_equal(shard_renew(pair.shards[1]), 0);
	assert_int_not_equal(pair.shards[1]->inode, shared->inode);
	expect_lane(&pair, 0);
	shard_unref(shared);
	/* It shares with the one that is in charge. */
	steering.stable = pair.shards[1];
	assert_int_equal(listener_steer(pair.listener, &steering, text), 0);
	shared = open_renamed(pair.listener);
	assert_int_equal(shared->inode, pair.shards[1]->inode);
	shard_unref(shared);
	expect_lane(&pair, 1);
	pair_close(&pair);
}

/*
 * Labels
 */

struct sighting {
	uint16_t client_port;
	int label;                      /* -1: none was seen */
};

static int
see(const struct nlmsghdr *header, void *ctx)
{
	const struct inet_diag_msg *found = NLMSG_DATA(header);
	const struct inet_diag_sockopt *options = diag_attribute(header,
	    sizeof(*found), INET_DIAG_SOCKOPT, sizeof(*options));
	struct sighting *sighting = ctx;

	if (ntohs(found->id.idiag_dport) == sighting->client_port &&
	    options != NULL)
		sighting->label = (int)label_read(options);
	return 0;
}

/* What anybody can see of a connection that is established. */
static int
label_of_client(int client, const struct listener_spec *spec)
{
	struct sockaddr_in6 name;
	socklen_t bytes = sizeof(name);
	struct sighting sighting = { .label = -1 };
	int family = spec->address.family == ADDRESS_IPV6 ? AF_INET6 : AF_INET;

	assert_int_equal(getsockname(client, (struct sockaddr *)&name, &bytes),
	    0);
	sighting.client_port = ntohs(name.sin6_port);
	assert_int_equal(diag_ask_inet(family, IPPROTO_TCP, 1 << TCP_ESTABLISHED,
	    spec->address.port, see, &sighting), 0);
	return sighting.label;
}

static void
expect_label(const char *listen_at, const char *host)
{
	struct listener_spec spec = tcp_spec("web", listen_at, free_port());
	struct shard *shards[SHARDS_MAX];
	struct steering steering = { 0 };
	uint32_t labels = 0;
	int client, server, i;

	shards[0] = open_or_fail(&spec);
	for (i = 1; i < SHARDS_MAX; i++)
		shards[i] = join_or_fail(shards[0]->listener);
	spec = tcp_spec("client", host, spec.address.port);
	for (i = 0; i < SHARDS_MAX; i++) {
		steering.stable = shards[i];
		assert_int_equal(listener_steer(shards[0]->listener, &steering,
		    text), 0);
		client = connect_to(&spec);
		server = accept_from(shards[i]);
		assert_int_equal(label_of_client(client,
		    shards[i]->listener->spec), shard_label(shards[i]));
		labels |= UINT32_C(1) << shard_label(shards[i]);
		close(server);
		close(client);
	}
	assert_int_equal(__builtin_popcount(labels), SHARDS_MAX);
	for (i = 0; i < SHARDS_MAX; i++)
		shard_unref(shards[i]);
}

static void
test_label_is_seen(void **state)
{
	(void)state;
	expect_label("127.0.0.1", "127.0.0.1");
	expect_label("::1", "::1");
	expect_label("::", "::1");
	expect_label("::", "127.0.0.1");
}

/* Of one that was renewed the same; of the next one another. */
static void
test_label_stays(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	uint32_t label = shard_label(pair.shards[1]);
	int client, server;

	(void)state;
	pair_steer(&pair, STEER_RANDOM, 1000);
	break_shard(pair.shards[1]);
	assert_int_equal(shard_renew(pair.shards[1]), 0);
	assert_int_equal(shard_label(pair.shards[1]), label);
	client = connect_to(pair.listener->spec);
	server = accept_from(pair.shards[1]);
	assert_int_equal(label_of_client(client,
	    pair.listener->spec), label);
	close(server);
	close(client);
	for (int i = 0; i < 3 * LABELS_MAX; i++) {
		label = shard_label(pair.shards[1]);
		shard_unref(pair.shards[1]);
		pair.shards[1] = join_or_fail(pair.listener);
		assert_int_not_equal(shard_label(pair.shards[1]), label);
		assert_int_not_equal(shard_label(pair.shards[1]),
		    shard_label(pair.shards[0]));
	}
	pair_close(&pair);
}

static void
test_no_fd_is_left(void **state)
{
	int before;

	(void)state;
	assert_true(listener_watch_fd() >= 0);
	before = count_fds();
	test_renamed(state);
	test_renamed_inherits(state);
	test_renamed_and_broken(state);
	test_label_stays(state);
	assert_int_equal(count_fds(), before);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_renamed_inherits),
		cmocka_unit_test(test_renamed_and_broken),
		cmocka_unit_test(test_label_is_seen),
		cmocka_unit_test(test_label_stays),
		cmocka_unit_test(test_no_fd_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	return run_apart(group, true);
}
