/*
 * Listeners that are no TCP and no unix stream socket: what a worker gets, what
 * is refused, what is left behind, and that they outlive supd like the others.
 */
#include "keep_fixture.h"

static struct listener_spec
kind_spec(enum address_kind kind, const char *name)
{
	struct listener_spec spec = unix_spec("web", "web");

	spec.address.kind = kind;
	if (name != NULL)
		snprintf(spec.address.path, sizeof(spec.address.path), "@%s",
		    name);
	return spec;
}

static struct listener_spec
udp_spec(const char *host, uint16_t port)
{
	struct listener_spec spec = tcp_spec("web", host, port);

	spec.address.kind = ADDRESS_DATAGRAM;
	return spec;
}

static char abstract_name[64];

/* Of each kind one. */
enum { KINDS = 8 };

static struct listener_spec
spec_number(int number)
{
	snprintf(abstract_name, sizeof(abstract_name), "supd-test-%d-%s",
	    (int)getpid(), directory + strlen("/tmp/"));
	switch (number) {
	case 0:
		return udp_spec("127.0.0.1", free_port());
	case 1:
		return udp_spec("::1", free_port());
	case 2:
		return kind_spec(ADDRESS_DATAGRAM, NULL);
	case 3:
		return kind_spec(ADDRESS_SEQPACKET, NULL);
	case 4:
		return kind_spec(ADDRESS_FIFO, NULL);
	case 5:
		return kind_spec(ADDRESS_STREAM, abstract_name);
	case 6:
		return kind_spec(ADDRESS_DATAGRAM, abstract_name);
	default:
		return kind_spec(ADDRESS_SEQPACKET, abstract_name);
	}
}

/* Who talks to it; -errno if nobody is there. */
static int
talk(const struct listener_spec *spec)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int error, fd;

	if (spec->address.kind == ADDRESS_FIFO) {
		fd = open(spec->address.path, O_WRONLY | O_NONBLOCK |
		    O_CLOEXEC);
		return fd >= 0 ? fd : -errno;
	}
	assert_int_equal(listener_address_resolve(&spec->address, &sockaddr,
	    &bytes), 0);
	fd = socket(sockaddr.ss_family, listener_socket_type(&spec->address) |
	    SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&sockaddr, bytes) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

static void
expect_ping(const struct shard *shard)
{
	struct pollfd readable = { .fd = shard->fd, .events = POLLIN };
	char got[8] = "";
	int fd = shard->fd;

	assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
	if (address_accepts(&shard->listener->spec->address))
		fd = accept_from(shard);
	assert_int_equal(read(fd, got, sizeof(got)), 4);
	assert_string_equal(got, "ping");
	if (fd != shard->fd)
		close(fd);
}

static int
ping(const struct listener_spec *spec)
{
	int fd = talk(spec);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "ping", 4), 4);
	return fd;
}

static void
expect_serves(const struct shard *shard)
{
	int fd = ping(shard->listener->spec);

	expect_ping(shard);
	close(fd);
}

/* As others would say it: an abstract one has no NUL at its end. */
static void
expect_name(const struct shard *shard)
{
	const struct address *address = &shard->listener->spec->address;
	struct sockaddr_un un = { 0 };
	socklen_t bytes = sizeof(un);

	if (address->family != ADDRESS_UNIX || address->kind == ADDRESS_FIFO)
		return;
	assert_int_equal(getsockname(shard->fd, (struct sockaddr *)&un,
	    &bytes), 0);
	assert_int_equal(bytes, offsetof(struct sockaddr_un, sun_path) +
	    strlen(address->path) + (address->path[0] == '/'));
	assert_string_equal(un.sun_path + 1, address->path + 1);
	assert_int_equal(un.sun_path[0], address->path[0] == '/' ? '/' : '\0');
}

static bool
is_gone(const struct listener_spec *spec)
{
	int fd = talk(spec), error;

	if (fd < 0)
		return !address_has_file(&spec->address) ||
		    access(spec->address.path, F_OK) != 0;
	/* UDP tells who asks twice. */
	(void)!write(fd, "ping", 4);
	error = write(fd, "ping", 4) < 0 ? errno : 0;
	close(fd);
	return error == ECONNREFUSED;
}

static void
test_serves(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);
		struct stat status;

		assert_false(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		expect_name(shard);
		expect_serves(shard);
		if (address_has_file(&spec.address)) {
			assert_int_equal(stat(spec.address.path, &status), 0);
			assert_int_equal(status.st_mode & 07777, 0660);
			spec.mode = 0600;
		}
		spec.nonblocking = true;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_true(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		expect_serves(shard);
		if (address_has_file(&spec.address)) {
			assert_int_equal(stat(spec.address.path, &status), 0);
			assert_int_equal(status.st_mode & 07777, 0600);
		}
		shard_unref(shard);
		assert_true(is_gone(&spec));
	}
}

/* It waits in the kernel while there is no supd. */
static void
test_goes_on(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);
		uint32_t number = shard->number;
		int client = ping(&spec);

		restart();
		shard = again(number);
		listener_restored();
		expect_ping(shard);
		close(client);
		expect_serves(shard);
		shard_unref(shard);
		assert_true(is_gone(&spec));
		forget_changes();
	}
}

static void
test_is_found_again_without_a_text(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);
		uint64_t inode = shard->inode;
		int client = ping(&spec);

		end_supd();
		shard = open_or_fail(&spec);
		listener_restored();
		assert_int_equal(shard->inode, inode);
		expect_ping(shard);
		close(client);
		shard_unref(shard);
		assert_true(is_gone(&spec));
	}
}

static int
occupy_kind(const struct listener_spec *spec)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	const int on = 1;
	int fd;

	if (spec->address.kind == ADDRESS_FIFO) {
		assert_int_equal(mkfifo(spec->address.path, 0600), 0);
		return open(spec->address.path, O_RDONLY | O_NONBLOCK |
		    O_CLOEXEC);
	}
	assert_int_equal(listener_address_resolve(&spec->address, &sockaddr,
	    &bytes), 0);
	fd = socket(sockaddr.ss_family, listener_socket_type(&spec->address) |
	    SOCK_CLOEXEC, 0);
	if (sockaddr.ss_family != AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sockaddr, bytes), 0);
	if (address_accepts(&spec->address))
		assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

/* What is at the path by now is not what an earlier supd left. */
static void
test_path_is_anothers(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		int fd;

		if (!address_has_file(&spec.address))
			continue;
		(void)open_or_fail(&spec);
		end_supd();
		assert_int_equal(unlink(spec.address.path), 0);
		fd = occupy_kind(&spec);
		assert_null(listener_open(&spec, text));
		assert_non_null(strstr(text, "another process listens"));
		listener_restored();
		close(fd);
		assert_int_equal(unlink(spec.address.path), 0);
	}
}

/* Who is there is left alone, also one that would share; what is left of
 * somebody is replaced. */
static void
test_in_use(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		int fd = occupy_kind(&spec);
		struct shard *shard;

		assert_null(listener_open(&spec, text));
		if (strstr(text, " listens ") == NULL)
			fail_msg("%s", text);
		close(fd);
		shard = open_or_fail(&spec);
		expect_serves(shard);
		shard_unref(shard);
		assert_true(is_gone(&spec));
	}
}

/* What is of another kind at the path is not ours to remove. */
static void
test_another_kind(void **state)
{
	struct listener_spec stream = unix_spec("web", "web");
	struct listener_spec fifo = kind_spec(ADDRESS_FIFO, NULL);
	struct listener_spec dgram = kind_spec(ADDRESS_DATAGRAM, NULL);
	int fd = occupy_kind(&fifo);

	(void)state;
	close(fd);
	assert_null(listener_open(&stream, text));
	assert_non_null(strstr(text, "the path is a FIFO, only a socket"));
	assert_int_equal(unlink(fifo.address.path), 0);
	fd = occupy_kind(&dgram);
	assert_null(listener_open(&stream, text));
	assert_non_null(strstr(text, "another process listens"));
	assert_null(listener_open(&fifo, text));
	assert_non_null(strstr(text, "the path is a socket, only a FIFO"));
	close(fd);
	assert_int_equal(unlink(fifo.address.path), 0);
}

static void
test_no_lanes(void **state)
{
	(void)state;
	for (int i = 2; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);

		assert_null(listener_join(shard->listener, text));
		assert_non_null(strstr(text, address_kind_text(&spec.address)));
		assert_non_null(strstr(text, "cannot be divided"));
		assert_int_equal(listener_steer(shard->listener,
		    &(struct steering){ .stable = shard }, text),
		    -EOPNOTSUPP);
		shard_unref(shard);
	}
}

/* UDP and TCP, and a stream and datagrams, are two. */
static void
test_side_by_side(void **state)
{
	uint16_t port = free_port();
	struct listener_spec tcp = tcp_spec("tcp", "127.0.0.1", port);
	struct listener_spec udp = udp_spec("127.0.0.1", port);
	struct shard *first = open_or_fail(&tcp), *second;

	(void)state;
	second = open_or_fail(&udp);
	assert_ptr_not_equal(first->listener->lanes, second->listener->lanes);
	assert_serves(first);
	expect_serves(second);
	shard_unref(first);
	expect_serves(second);
	shard_unref(second);
}

/* A worker shut it down: noticed, and replaced. */
static void
test_broken(void **state)
{
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);

		if (spec.address.kind == ADDRESS_FIFO) {
			shard_unref(shard);
			continue;       /* there is no shutdown() of it */
		}
		(void)shutdown(shard->fd, SHUT_RDWR);
		assert_int_equal(poll(&watch, 1, WAIT_MS), 1);
		(void)listener_watch_read();
		assert_true(shard->broken);
		if (spec.address.path[0] == '@') {
			assert_int_equal(shard_renew(shard), -EADDRINUSE);
		} else {
			assert_int_equal(shard_renew(shard), 0);
			expect_serves(shard);
		}
		shard_unref(shard);
		assert_true(is_gone(&spec));
	}
}

/* The kernel tells the length where clients connect, else whether there is
 * any. */
static void
test_waiting(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct listener_spec spec = spec_number(i);
		struct shard *shard = open_or_fail(&spec);
		bool accepts = address_accepts(&spec.address);
		struct shard_queue queue;
		int clients[3];

		assert_int_equal(shard_waiting(shard), 0);
		for (int k = 0; k < 3; k++)
			clients[k] = ping(&spec);
		assert_int_equal(shard_queue(shard, &queue),
		    accepts ? 0 : -EOPNOTSUPP);
		assert_int_equal(shard_waiting(shard), accepts ? 3 : 1);
		for (int k = 0; k < 3; k++)
			close(clients[k]);
		shard_unref(shard);
	}
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_serves),
		KEEP_TEST(test_goes_on),
		KEEP_TEST(test_is_found_again_without_a_text),
		KEEP_TEST(test_path_is_anothers),
		KEEP_TEST(test_in_use),
		KEEP_TEST(test_another_kind),
		KEEP_TEST(test_no_lanes),
		KEEP_TEST(test_side_by_side),
		KEEP_TEST(test_broken),
		KEEP_TEST(test_waiting),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, true);
}
