/*
 * Sockets that come without a word of what they were: of a supd whose state is
 * damaged, and of the unit that starts supd.
 */
#include "keep_fixture.h"

#include "fd.h"

/* As systemd would: it listens, and does not block. */
static int
unit_socket(const struct listener_spec *spec, bool reuse_port)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	const int on = 1;
	int fd;

	assert_int_equal(listener_address_resolve(&spec->address, &sockaddr,
	    &bytes), 0);
	fd = socket(sockaddr.ss_family, listener_socket_type(&spec->address) |
	    SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)), 0);
	if (reuse_port && sockaddr.ss_family != AF_UNIX)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
		    sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sockaddr, bytes), 0);
	if (address_accepts(&spec->address))
		assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

/* The fd that came with this number. */
static int
fd_that_came(uint32_t number)
{
	char name[CARRY_NAME_BYTES_MAX + 1];
	int fd;

	snprintf(name, sizeof(name), "s%u", number);
	fd = carry_take(name);
	carry_come(name, fd);
	return fd;
}

static uint64_t
inode_of(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

/*
 * Ours
 */

static void
test_bound_anew(void **state)
{
	(void)state;
	for (int family = 0; family < SPEC_COUNT; family++) {
		struct listener_spec spec = spec_of(family);
		struct shard *shard = open_or_fail(&spec);
		uint64_t inode = shard->inode;
		uint32_t number = shard->number;
		int client = connect_to(&spec);

		end_supd();
		spec.nonblocking = family == SPEC_IPV4;
		/* Else as by a worker, which relies on it. */
		if (!spec.nonblocking)
			fcntl(fd_that_came(number), F_SETFL, O_NONBLOCK);
		spec.backlog = 2 * BACKLOG;
		spec.mode = 0600;
		shard = open_or_fail(&spec);
		listener_restored();
		assert_int_equal(shard->inode, inode);
		assert_int_equal(shard->number, number);
		assert_int_equal(shard->backlog_granted, 2 * BACKLOG);
		assert_true(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		close(accept_from(shard));      /* it waited meanwhile */
		close(client);
		assert_serves(shard);
		if (family == SPEC_UNIX) {
			struct stat status;

			assert_int_equal(stat(spec.address.path, &status), 0);
			assert_int_equal(status.st_mode & 07777, 0600);
		}
		shard_unref(shard);
		assert_true(connect_to(&spec) < 0);
		assert_int_equal(access(spec.address.path, F_OK), -1);
	}
}

/* Only one that is bound there, whatever its number. */
static void
test_of_other_addresses(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4), other = spec;
	struct shard *shard = open_or_fail(&spec);
	uint32_t number = shard->number;

	(void)state;
	end_supd();
	other.address.port = free_port();
	shard = open_or_fail(&other);
	assert_true(shard->number > number);
	assert_serves(shard);
	listener_restored();                    /* closes the first */
	assert_int_equal(connect_to(&spec), -ECONNREFUSED);
	shard_unref(shard);
}

/* As in another process: only its name tells which numbers there were. */
static void
test_number_is_taken(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4), other = spec;
	struct shard *shard = open_or_fail(&spec);
	uint32_t next = shard->number + 1;
	char name[CARRY_NAME_BYTES_MAX + 1], next_name[sizeof(name)];

	(void)state;
	end_supd();
	snprintf(name, sizeof(name), "s%u", next - 1);
	snprintf(next_name, sizeof(next_name), "s%u", next);
	carry_come(next_name, carry_take(name));
	other.address.port = free_port();
	shard = open_or_fail(&other);
	assert_true(shard->number > next);
	assert_int_equal(carry_count(), 2);
	listener_restored();                    /* closes the first */
	assert_int_equal(carry_count(), 1);
	shard_unref(shard);
}

/* In the middle of a rollout: who was in charge is, and alone. */
static void
test_of_two_lanes(void **state)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	struct listener_spec spec = *pair.listener->spec;
	uint32_t number = pair.shards[0]->number;
	char address[64];

	(void)state;
	snprintf(address, sizeof(address), "%s", spec.address_text);
	spec.address_text = address;
	pair_steer(&pair, STEER_RANDOM, 1000);
	end_supd();
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	assert_int_equal(pair.shards[0]->number, number);
	expect_calm(pair.listener);
	assert_int_equal(carry_count(), 1);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
	listener_restored();
}

/* Another socket is at the path by now: it is not taken for ours, nor ours for
 * one that clients reach. */
static void
test_path_is_anothers(void **state)
{
	struct listener_spec spec = spec_of(SPEC_UNIX);
	int stranger;

	(void)state;
	(void)open_or_fail(&spec);
	end_supd();
	assert_int_equal(unlink(spec.address.path), 0);
	stranger = occupy(&spec);
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "another process listens"));
	close(stranger);
	assert_int_equal(unlink(spec.address.path), 0);
	listener_restored();
}

/*
 * Of the unit
 */

static void
test_from_the_unit(void **state)
{
	static const char *const names[] = { "web.socket", "s", "supd", "w.3" };
	unsigned name = 0;

	(void)state;
	for (int family = 0; family < SPEC_COUNT; family++) {
		struct listener_spec spec = spec_of(family);
		int fd = unit_socket(&spec, true), client = connect_to(&spec);
		struct shard *shard;

		carry_come("w3.17", open("/dev/null", O_RDONLY | O_CLOEXEC));
		carry_come(names[name++], fd);
		shard = open_or_fail(&spec);
		assert_int_equal(shard->inode, inode_of(shard->fd));
		assert_false(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		close(accept_from(shard));
		close(client);
		assert_serves(shard);
		/* Of another's name nothing was taken. */
		assert_int_equal(carry_leave(), 1);
		shard_unref(shard);
		/* It is the unit's, and so is the path. */
		client = connect_to(&spec);
		assert_true(client >= 0);
		close(client);
		shard = open_or_fail(&spec);
		assert_serves(shard);
		shard_unref(shard);
		if (family == SPEC_UNIX)
			assert_int_equal(unlink(spec.address.path), 0);
	}
}

static void
check_later(const char *name)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard;

	carry_come(name, unit_socket(&spec, true));
	listener_restored();
	assert_int_equal(carry_leave(), 0);
	shard = open_or_fail(&spec);
	assert_serves(shard);
	shard_unref(shard);
}

/* Nobody asked for its address in this life: it goes on to the next, as it has
 * already when it came from the last. */
static void
test_from_the_unit_later(void **state)
{
	(void)state;
	check_later("later.socket");
	check_later("o2");
}

/* UDP would lose what comes while its group is formed. */
static void
test_unit_without_lanes(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard;

	(void)state;
	spec.address.kind = ADDRESS_DATAGRAM;
	carry_come("plain.socket", unit_socket(&spec, false));
	shard = open_or_fail(&spec);
	assert_null(listener_join(shard->listener, text));
	assert_non_null(strstr(text, "without SO_REUSEPORT"));
	shard_unref(shard);
}

static void
check_unit_with_lanes(bool reuse_port)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct lane_pair pair;
	int client;

	spec.nonblocking = true;
	carry_come("lanes.socket", unit_socket(&spec, reuse_port));
	client = connect_to(&spec);
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	close(accept_from(pair.shards[0]));     /* it waited meanwhile */
	close(client);
	pair.shards[1] = join_or_fail(pair.listener);
	expect_calm(pair.listener);
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&pair, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(&pair, lane);
	}
	/* The lane of the unit's socket goes: it is left as it is, but gets
	 * nothing while we have another, which can have others beside it. */
	shard_unref(pair.shards[0]);
	assert_int_equal(listener_strangers(pair.listener), 0);
	pair.shards[0] = pair.shards[1];
	expect_lane(&pair, 0);
	pair.shards[1] = join_or_fail(pair.listener);
	for (int lane = 0; lane < LANES; lane++) {
		pair_steer(&pair, STEER_RANDOM, lane == 0 ? 0 : 1000);
		expect_lane(&pair, lane);
	}
	/* When supd has gone, all that comes is the unit's. */
	pair_close(&pair);
	client = connect_to(&spec);
	assert_true(client >= 0);
	pair.shards[0] = open_or_fail(&spec);
	close(accept_from(pair.shards[0]));
	close(client);
	pair.shards[1] = join_or_fail(pair.listener = pair.shards[0]->listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

static void
test_unit_with_lanes(void **state)
{
	(void)state;
	check_unit_with_lanes(true);
	if (geteuid() == 0)
		check_unit_with_lanes(false);
}

/* What waits goes to the others, though the unit's socket ends by it. */
static void
test_unit_with_somebody_waiting(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct lane_pair pair;
	struct shard_end end;
	int client;

	(void)state;
	spec.nonblocking = true;
	carry_come("waiting.socket", unit_socket(&spec, true));
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	client = connect_to(&spec);
	pair_steer(&pair, STEER_RANDOM, 1000);
	if (network_is_mine())
		network_set_migrate(true);
	end = close_shard(pair.shards[0]);
	assert_int_equal(end.queued, 1);
	if (end.migrates)
		close(accept_from(pair.shards[1]));
	close(client);
	shard_unref(pair.shards[1]);
	pair.shards[0] = open_or_fail(&spec);   /* it listens again */
	pair.listener = pair.shards[0]->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	expect_lane(&pair, 0);
	pair_close(&pair);
}

/* Of one address, but not of one kind. */
static void
test_unit_of_another_kind(void **state)
{
	struct listener_spec spec = tcp_spec("web", "::", free_port());
	struct shard *shard;
	int fd = unit_socket(&spec, false);

	(void)state;
	carry_come("dual.socket", fd);
	spec.ipv6_only = true;
	assert_null(listener_open(&spec, text));
	spec.ipv6_only = false;
	shard = open_or_fail(&spec);
	shard_unref(shard);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_bound_anew),
		KEEP_TEST(test_of_other_addresses),
		KEEP_TEST(test_number_is_taken),
		KEEP_TEST(test_of_two_lanes),
		KEEP_TEST(test_path_is_anothers),
		KEEP_TEST(test_from_the_unit),
		KEEP_TEST(test_from_the_unit_later),
		KEEP_TEST(test_unit_without_lanes),
		KEEP_TEST(test_unit_with_lanes),
		KEEP_TEST(test_unit_with_somebody_waiting),
		KEEP_TEST(test_unit_of_another_kind),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, false);
}
