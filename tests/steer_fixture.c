/*
 * Clients do not block and are many at a time; on the loopback a handshake is
 * over when connect() returns, or a moment later.
 */
#include "steer_fixture.h"

#include <sys/prctl.h>

#include "own_network.h"

enum {
	BATCH = 200,                    /* clients at once; two fds each */
	NOBODY = 65534,
};

static const char migrate_path[] = "/proc/sys/net/ipv4/tcp_migrate_req";

static bool own_network;

static bool
write_file(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, line, strlen(line)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* Who is no superuser is one already, as long as he gets no namespace. */
static void
become(bool ordinary)
{
	bool super = geteuid() == 0;

	if (super || !ordinary)
		own_network = own_network_enter();
	if (!super || !ordinary)
		return;
	own_network = false;
	if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
		_exit(99);
	/* Else the leak sanitizer cannot look into it. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

int
run_apart(int (*group)(void), bool ordinary)
{
	int status;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		become(ordinary);
		exit(group());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

bool
network_is_mine(void)
{
	return own_network;
}

void
network_set_migrate(bool on)
{
	assert_true(own_network);
	assert_true(write_file(migrate_path, on ? "1" : "0"));
}

void
pair_steer(const struct lane_pair *pair, enum steer steer,
    uint32_t weight_permille)
{
	const struct steering steering = {
		.steer = steer, .stable = pair->shards[0],
		.candidate = pair->shards[1],
		.weight_permille = weight_permille,
	};

	if (listener_steer(pair->listener, &steering, text) != 0)
		fail_msg("%s", text);
}

void
pair_close(struct lane_pair *pair)
{
	shard_unref(pair->shards[0]);
	shard_unref(pair->shards[1]);
	*pair = (struct lane_pair){ 0 };
}

struct shard *
join_or_fail(struct listener *listener)
{
	struct shard *shard = listener_join(listener, text);

	if (shard == NULL)
		fail_msg("%s", text);
	return shard;
}

struct lane_pair
pair_open(const char *host, uint16_t port)
{
	struct listener_spec spec = tcp_spec("web", host, port);
	struct lane_pair pair;

	spec.nonblocking = true;
	spec.backlog = 2 * BATCH;
	pair.shards[0] = open_or_fail(&spec);
	pair.listener = pair.shards[0]->listener;
	pair.shards[1] = join_or_fail(pair.listener);
	return pair;
}

struct shard_end
close_shard(struct shard *shard)
{
	struct shard_end end;

	shard_close(shard, &end);
	return end;
}

void
expect_calm(const struct listener *listener)
{
	struct steer_state state = listener_steer_state(listener);

	assert_int_equal(state.attach_error, 0);
	assert_int_equal(state.look_error, 0);
	assert_int_equal(state.stranger_count, 0);
	assert_false(state.unsure);
}

void
shut_down(int fd, int how)
{
	if (shutdown(fd, how) != 0)
		_exit(1);
}

void
break_shard(struct shard *shard)
{
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };

	in_child(shut_down, shard->fd, SHUT_RDWR);
	assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
	(void)listener_watch_read();
	assert_true(shard->broken);
}

static struct sockaddr_storage
address_of(const char *host, uint16_t port, socklen_t *ret_bytes)
{
	struct listener_spec spec = tcp_spec("client", host, port);
	struct sockaddr_storage address;

	assert_int_equal(listener_address_resolve(&spec.address, &address,
	    ret_bytes), 0);
	return address;
}

struct route
route_of(const char *from, uint16_t from_port, const char *to,
    uint16_t to_port)
{
	struct route route;

	route.from = address_of(from, from_port, &route.bytes);
	route.to = address_of(to, to_port, &route.bytes);
	return route;
}

int
route_connect(const struct route *route)
{
	const struct linger reset = { .l_onoff = 1 };
	const int on = 1;
	int error, fd;

	fd = socket(route->from.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&route->from,
	    route->bytes) == 0 && (connect(fd,
	    (const struct sockaddr *)&route->to, route->bytes) == 0 ||
	    errno == EINPROGRESS))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static uint32_t
accept_waiting(const struct shard *shard)
{
	uint32_t count = 0;
	int fd;

	while ((fd = accept4(shard->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		count++;
		close(fd);
	}
	assert_int_equal(errno, EAGAIN);
	return count;
}

static void
accept_all(const struct lane_pair *pair, uint32_t count,
    uint32_t ret_got[LANES])
{
	struct pollfd readable[LANES];
	uint32_t before = ret_got[0] + ret_got[1];

	for (int i = 0; i < LANES; i++)
		readable[i] = (struct pollfd){ .fd = pair->shards[i]->fd,
		    .events = POLLIN };
	while (ret_got[0] + ret_got[1] < before + count) {
		assert_true(poll(readable, LANES, WAIT_MS) > 0);
		for (int i = 0; i < LANES; i++)
			ret_got[i] += accept_waiting(pair->shards[i]);
	}
	assert_int_equal(ret_got[0] + ret_got[1], before + count);
}

void
connect_all(const struct lane_pair *pair, const struct route *routes,
    uint32_t route_count, uint32_t count, uint32_t ret_got[LANES])
{
	int clients[BATCH];
	uint32_t i, some;

	ret_got[0] = ret_got[1] = 0;
	for (; count > 0; count -= some) {
		some = count < BATCH ? count : BATCH;
		for (i = 0; i < some; i++) {
			clients[i] = route_connect(&routes[i % route_count]);
			if (clients[i] < 0)
				fail_msg("%s", strerror(-clients[i]));
		}
		accept_all(pair, some, ret_got);
		for (i = 0; i < some; i++)
			close(clients[i]);
	}
}

int
lane_of(const struct lane_pair *pair, const struct route *route)
{
	uint32_t got[LANES];

	connect_all(pair, route, 1, 1, got);
	return got[1] == 1;
}

void
expect_lane(const struct lane_pair *pair, int lane)
{
	enum { SOME = 20 };
	struct route route = route_of("127.0.0.1", 0, "127.0.0.1",
	    pair->listener->spec->address.port);
	uint32_t got[LANES];

	connect_all(pair, &route, 1, SOME, got);
	assert_int_equal(got[lane], SOME);
}

/* Of the chances, relative to the greatest, on one side of it. */
static uint32_t
walk(uint32_t from, int step, uint32_t count, double odds, double *ret_chances,
    double *ret_sum)
{
	uint32_t k = from;
	double chance = 1;

	while (chance > 1e-18 && (step > 0 ? k < count : k > 0)) {
		if (step > 0)
			chance *= odds * (count - k) / (k + 1.0);
		else
			chance *= k / (odds * (count - k + 1.0));
		k += (uint32_t)step;
		ret_chances[k] = chance;
		*ret_sum += chance;
	}
	return k;
}

struct interval
binomial_interval(uint32_t count, uint32_t weight_permille)
{
	double odds = weight_permille / (1000.0 - weight_permille);
	uint32_t mode = (uint32_t)((uint64_t)count * weight_permille / 1000);
	double *chances = calloc(count + 1, sizeof(*chances));
	double sum = 1, tail;
	struct interval found;

	assert_non_null(chances);
	chances[mode] = 1;
	found.least = walk(mode, -1, count, odds, chances, &sum);
	found.most = walk(mode, 1, count, odds, chances, &sum);
	/* A half of 0.1 % is beyond each end. */
	for (tail = 0; tail + chances[found.least] < sum * 0.0005;)
		tail += chances[found.least++];
	for (tail = 0; tail + chances[found.most] < sum * 0.0005;)
		tail += chances[found.most--];
	free(chances);
	return found;
}
