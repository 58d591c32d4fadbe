/*
 * What becomes of connections that wait in a shard that is closed: handed over
 * where the kernel does that (net.ipv4.tcp_migrate_req), lost where it does
 * not, and counted in both cases.  And whether the numbers in a group are as
 * group.h says, which must not depend on it.
 */
#include "steer_fixture.h"

#include <linux/filter.h>

#include "group.h"

enum { WAITING = 5 };

static void
open_waiting(const struct lane_pair *pair, int clients[WAITING])
{
	struct route route = route_of("127.0.0.1", 0, "127.0.0.1",
	    pair->listener->spec->address.port);
	struct shard_queue queue;

	for (int i = 0; i < WAITING; i++) {
		clients[i] = route_connect(&route);
		assert_true(clients[i] >= 0);
		assert_int_equal(write(clients[i], "x", 1), 1);
	}
	assert_int_equal(shard_queue(pair->shards[0], &queue), 0);
	assert_int_equal(queue.length, WAITING);
}

static void
close_all(int fds[WAITING])
{
	for (int i = 0; i < WAITING; i++)
		close(fds[i]);
}

static void
expect_handed_over(struct shard *to, int clients[WAITING])
{
	char byte;
	int fd;

	for (int i = 0; i < WAITING; i++) {
		fd = accept_from(to);
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'x');
		close(fd);
	}
	close_all(clients);
}

static void
expect_lost(int clients[WAITING])
{
	struct pollfd readable = { .events = POLLIN };
	char byte;

	for (int i = 0; i < WAITING; i++) {
		readable.fd = clients[i];
		assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
		assert_int_equal(read(clients[i], &byte, 1), -1);
		assert_int_equal(errno, ECONNRESET);
	}
	close_all(clients);
}

/* All to the new shard, then the old one, in which some wait, is closed. */
static struct shard_end
hand_over(struct lane_pair *pair, int clients[WAITING])
{
	struct shard_end end;

	open_waiting(pair, clients);
	pair_steer(pair, STEER_RANDOM, 1000);
	shard_close(pair->shards[0], &end);
	assert_true(end.closed);
	assert_int_equal(end.queued, WAITING);
	return end;
}

static void
test_switched_on_by_the_first_join(void **state)
{
	struct lane_pair pair;
	struct shard *alone;
	struct listener_spec spec = spec_of(SPEC_IPV4);

	(void)state;
	if (!network_is_mine())
		skip();
	network_set_migrate(false);
	alone = open_or_fail(&spec);
	assert_false(listener_migrates());
	shard_unref(alone);
	pair = pair_open("127.0.0.1", free_port());
	assert_true(listener_migrates());
	network_set_migrate(false);     /* somebody has a reason */
	pair_close(&pair);
	pair = pair_open("127.0.0.1", free_port());
	assert_false(listener_migrates());
	pair_close(&pair);
}

static void
test_handed_over(void **state)
{
	struct lane_pair pair;
	int clients[WAITING];

	(void)state;
	if (!network_is_mine())
		skip();
	for (int i = 0; i < 2; i++) {
		pair = pair_open(i == 0 ? "127.0.0.1" : "::", free_port());
		network_set_migrate(true);
		assert_true(hand_over(&pair, clients).migrates);
		expect_handed_over(pair.shards[1], clients);
		shard_unref(pair.shards[1]);
	}
}

static void
test_lost(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	int clients[WAITING];

	(void)state;
	if (network_is_mine())
		network_set_migrate(false);
	if (listener_migrates()) {
		pair_close(&pair);
		skip();
	}
	assert_false(hand_over(&pair, clients).migrates);
	expect_lost(clients);
	shard_unref(pair.shards[1]);
}

/*
 * Numbers
 */

enum { SOCKETS = 7, TURNS = 400 };

struct socket_state {
	int fd;                         /* -1: none */
	bool listens;
};

struct trial {
	struct socket_state sockets[SOCKETS];
	struct socket_group group;      /* their places as inodes, plus one */
	struct sockaddr_storage at;
	socklen_t bytes;
	uint32_t random;
};

static uint32_t
below(struct trial *trial, uint32_t limit)
{
	trial->random = trial->random * 1664525 + 1013904223;
	return (trial->random >> 8) % limit;
}

static void
make_listen(struct trial *trial, uint32_t i)
{
	struct socket_state *s = &trial->sockets[i];
	const int on = 1;

	if (s->fd < 0) {
		s->fd = socket(trial->at.ss_family, SOCK_STREAM |
		    SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		assert_int_equal(bind(s->fd, (struct sockaddr *)&trial->at,
		    trial->bytes), 0);
	}
	assert_int_equal(listen(s->fd, 16), 0);
	if (!s->listens)
		group_join(&trial->group, i + 1);
	s->listens = true;
}

static void
make_leave(struct trial *trial, uint32_t i, bool for_good)
{
	struct socket_state *s = &trial->sockets[i];

	if (s->fd < 0)
		return;
	if (for_good) {
		close(s->fd);
		s->fd = -1;
	} else if (s->listens) {
		assert_int_equal(shutdown(s->fd, SHUT_RD), 0);
	}
	if (s->listens)
		group_leave(&trial->group, i + 1);
	s->listens = false;
}

/* The socket that gets a connection by this number. */
static uint32_t
who_is(const struct trial *trial, uint32_t number)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, number);
	const struct sock_fprog program = { .len = 1, .filter = &code };
	const struct route route = { .from = trial->at, .to = trial->at,
	    .bytes = trial->bytes };
	struct route from_any = route;
	struct pollfd fds[SOCKETS];
	uint32_t i, found = SOCKETS;
	int client;

	((struct sockaddr_in *)&from_any.from)->sin_port = 0;
	assert_int_equal(setsockopt(trial->sockets[trial->group.members[0] -
	    1].fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
	    sizeof(program)), 0);
	client = route_connect(&from_any);
	assert_true(client >= 0);
	for (i = 0; i < SOCKETS; i++)
		fds[i] = (struct pollfd){ .fd = trial->sockets[i].listens ?
		    trial->sockets[i].fd : -1, .events = POLLIN };
	assert_int_equal(poll(fds, SOCKETS, WAIT_MS), 1);
	for (i = 0; i < SOCKETS; i++)
		if (fds[i].revents & POLLIN)
			found = i;
	close(accept4(fds[found].fd, NULL, NULL, SOCK_CLOEXEC));
	close(client);
	return found;
}

static void
compare(const struct trial *trial)
{
	for (uint32_t n = 0; n < trial->group.count; n++)
		assert_int_equal(who_is(trial, n) + 1,
		    trial->group.members[n]);
}

/* Random joins, closes, shutdowns and revivals; the last are what workers do. */
static void
follow_numbers(const char *host)
{
	struct listener_spec spec = tcp_spec("web", host, free_port());
	struct trial trial = { .random = 1 };
	uint32_t i;

	assert_int_equal(listener_address_resolve(&spec.address, &trial.at,
	    &trial.bytes), 0);
	for (i = 0; i < SOCKETS; i++)
		trial.sockets[i].fd = -1;
	for (int turn = 0; turn < TURNS; turn++) {
		i = below(&trial, SOCKETS);
		if (below(&trial, 5) < 3)
			make_listen(&trial, i);
		else
			make_leave(&trial, i, below(&trial, 2) == 0);
		compare(&trial);
	}
	for (i = 0; i < SOCKETS; i++)
		make_leave(&trial, i, true);
}

static void
test_numbers(void **state)
{
	(void)state;
	for (int migrate = 0; migrate < 2; migrate++) {
		if (network_is_mine())
			network_set_migrate(migrate == 1);
		else if (migrate == 1)
			return;
		follow_numbers("127.0.0.1");
		follow_numbers("::1");
	}
}

static int
privileged(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switched_on_by_the_first_join),
		cmocka_unit_test(test_handed_over),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static int
ordinary(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int
main(void)
{
	int failed = run_apart(privileged, false);

	return failed + run_apart(ordinary, true);
}
