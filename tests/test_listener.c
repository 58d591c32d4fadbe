/*
 * Opening, sharing, adjusting and closing listeners: who is refused and why,
 * what becomes of a path, and that nothing is left behind.  The watch and the
 * queues are in test_listener_watch.c.
 */
#include "listener_fixture.h"

#include <pwd.h>

#include "fd.h"

static void
test_serves(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	int family, flags;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		assert_serves(shard);
		assert_true(shard->fd >= FD_SOURCE);
		assert_true(shard->fd < FD_PRIVATE);
		flags = fcntl(shard->fd, F_GETFD);
		assert_true(flags & FD_CLOEXEC);
		assert_false(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		assert_int_equal(shard->backlog_granted, BACKLOG);
		shard_unref(shard);
		assert_true(connect_to(&spec) < 0);
	}
}

static void
test_nonblocking(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	int family;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		spec.nonblocking = true;
		shard = open_or_fail(&spec);
		assert_true(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		shard_unref(shard);
	}
}

static void
test_backlog_is_bounded(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	char line[32] = "";
	int family;

	(void)state;
	assert_true(fd_read_file(AT_FDCWD, "/proc/sys/net/core/somaxconn",
	    line, sizeof(line) - 1) > 0);
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		spec.backlog = UINT32_MAX;
		shard = open_or_fail(&spec);
		assert_int_equal(shard->backlog_granted, atoi(line));
		shard_unref(shard);
	}
}

static void
test_dual_stack(void **state)
{
	struct listener_spec v4, v6;
	struct shard *shard;
	uint16_t port = free_port();
	int client;

	(void)state;
	v4 = tcp_spec("v4", "127.0.0.1", port);
	v6 = tcp_spec("v6", "::", port);
	shard = open_or_fail(&v6);
	client = connect_to(&v4);
	assert_true(client >= 0);
	close(client);
	shard_unref(shard);

	v6.ipv6_only = true;
	shard = open_or_fail(&v6);
	assert_int_equal(connect_to(&v4), -ECONNREFUSED);
	assert_serves(shard);
	shard_unref(shard);
}

static void
test_in_use(void **state)
{
	struct listener_spec spec;
	int family, fd;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		fd = occupy(&spec);
		assert_null(listener_open(&spec, text));
		assert_non_null(strstr(text, " listens "));
		assert_non_null(strstr(text, address_text));
		assert_non_null(strstr(text, "'web'"));
		close(fd);
		unlink(spec.address.path);
	}
}

/* One that joins later, which cannot be helped, takes no share of ours. */
static void
test_stranger_gets_nothing(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec);
	struct shard_queue queue;
	int clients[40], fd, i;

	(void)state;
	fd = occupy(&spec);
	for (i = 0; i < 40; i++)
		clients[i] = connect_to(&spec);
	assert_int_equal(shard_queue(shard, &queue), 0);
	assert_int_equal(queue.length, 40);
	for (i = 0; i < 40; i++)
		close(clients[i]);
	close(fd);
	shard_unref(shard);
}

/* As after a reload that changed the address while the old release runs. */
static void
test_overlaps_ours(void **state)
{
	static const struct {
		const char *first, *second;
		bool first_only, second_only;
	} pairs[] = {
		{ "0.0.0.0", "127.0.0.1", false, false },
		{ "127.0.0.1", "0.0.0.0", false, false },
		{ "::", "127.0.0.1", false, false },
		{ "0.0.0.0", "::", false, false },
		{ "::", "::", false, true },
		{ "::", "::", true, false },
		{ "::", "::1", false, false },
	};
	struct listener_spec first_spec, second_spec;
	struct shard *first, *second;
	uint16_t port;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		port = free_port();
		first_spec = tcp_spec("web", pairs[i].first, port);
		first_spec.ipv6_only = pairs[i].first_only;
		first = open_or_fail(&first_spec);
		second_spec = tcp_spec("web", pairs[i].second, port);
		second_spec.ipv6_only = pairs[i].second_only;
		assert_null(listener_find(&second_spec));
		second = open_or_fail(&second_spec);
		shard_unref(first);
		assert_serves(second);
		shard_unref(second);
	}
}

/* A port of ours does not open the door for a stranger on another address. */
static void
test_no_overlap(void **state)
{
	uint16_t port = free_port();
	struct listener_spec spec = tcp_spec("web", "127.0.0.1", port);
	struct shard *shard = open_or_fail(&spec);
	int fd;

	(void)state;
	spec = tcp_spec("other", "127.0.0.2", port);
	fd = occupy(&spec);
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "listens there)"));
	close(fd);
	shard_unref(shard);
}

static void
test_other_name_is_same_socket(void **state)
{
	struct listener_spec spec, renamed;
	struct shard *first, *second;
	int client, family;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		first = open_or_fail(&spec);
		renamed = spec;
		strcpy(renamed.name, "shop");
		renamed.nonblocking = true;
		client = connect_to(&spec);
		second = open_or_fail(&renamed);
		assert_true(fcntl(second->fd, F_GETFL) & O_NONBLOCK);
		assert_ptr_not_equal(first, second);
		assert_ptr_equal(listener_find(&spec), first->listener);
		assert_ptr_equal(listener_find(&renamed), second->listener);
		shard_unref(first);
		close(accept_from(second));     /* it waited in the other */
		close(client);
		assert_serves(second);
		shard_unref(second);
		assert_true(connect_to(&spec) < 0);
	}
}

static void
test_reference(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec);

	(void)state;
	assert_ptr_equal(shard_ref(shard), shard);
	shard_unref(shard);
	assert_ptr_equal(listener_first(), shard->listener);
	assert_ptr_equal(listener_find(&spec), shard->listener);
	assert_serves(shard);
	shard_unref(shard);
	assert_null(listener_first());
	assert_null(listener_find(&spec));
	shard_unref(NULL);
}

static void
test_bad_host(void **state)
{
	struct listener_spec spec = tcp_spec("web", "localhost", 80);

	(void)state;
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "cannot bind"));
}

static void
test_path_attributes(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	struct passwd *nobody = getpwnam("nobody");
	char owner[] = "nobody", group[] = "nobody:1234";
	struct shard *shard;
	struct sockaddr_un name;
	socklen_t bytes = sizeof(name);
	struct stat status;

	(void)state;
	spec.mode = 0606;
	if (geteuid() == 0)
		spec.owner = owner;
	shard = open_or_fail(&spec);
	assert_int_equal(stat(spec.address.path, &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0606);
	/* Workers and ss(8) see the path, not a temporary name. */
	getsockname(shard->fd, (struct sockaddr *)&name, &bytes);
	assert_string_equal(name.sun_path, spec.address.path);
	if (geteuid() == 0) {
		assert_int_equal(status.st_uid, nobody->pw_uid);
		assert_int_equal(status.st_gid, nobody->pw_gid);
		spec.owner = group;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_int_equal(stat(spec.address.path, &status), 0);
		assert_int_equal(status.st_gid, 1234);
		spec.owner = NULL;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_int_equal(stat(spec.address.path, &status), 0);
		assert_int_equal(status.st_uid, 0);
	}
	shard_unref(shard);
}

static void
test_unknown_owner(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	char owner[] = "no-such-user:root";
	struct shard *shard;

	(void)state;
	spec.owner = owner;
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "no such user or group: 'no-such-user:"));
	assert_int_equal(access(spec.address.path, F_OK), -1);
	spec.owner = NULL;
	shard = open_or_fail(&spec);
	spec.owner = owner;
	assert_int_equal(listener_adjust(shard->listener, &spec), -EINVAL);
	assert_null(shard->listener->spec->owner);
	shard_unref(shard);
}

static void
test_stale_path(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	struct shard *shard;

	(void)state;
	close(occupy(&spec));
	assert_int_equal(connect_to(&spec), -ECONNREFUSED);
	shard = open_or_fail(&spec);
	assert_serves(shard);
	shard_unref(shard);
	assert_int_equal(access(spec.address.path, F_OK), -1);
}

/* A full queue answers EAGAIN: somebody is there, only busy. */
static void
test_busy_path(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	int fd = occupy(&spec), first, second;

	(void)state;
	assert_int_equal(listen(fd, 0), 0);
	first = connect_to(&spec);
	assert_true(first >= 0);
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "another process listens"));
	close(first);
	close(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	second = connect_to(&spec);     /* its path was left alone */
	assert_true(second >= 0);
	close(second);
	close(fd);
	unlink(spec.address.path);
}

static void
test_no_socket_path(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	const char *path = spec.address.path;

	(void)state;
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "a regular file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "a directory"));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, "a symbolic link"));
	assert_int_equal(unlink(path), 0);

	spec = unix_spec("web", "missing/web.sock");
	assert_null(listener_open(&spec, text));
	assert_non_null(strstr(text, strerror(ENOENT)));
}

static void
test_foreign_path_stays(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	struct shard *shard = open_or_fail(&spec);
	int fd;

	(void)state;
	assert_int_equal(unlink(spec.address.path), 0);
	fd = occupy(&spec);
	spec.mode = 0600;
	assert_int_equal(listener_adjust(shard->listener, &spec), -ESTALE);
	assert_int_equal(shard->listener->spec->mode, 0660);
	shard_unref(shard);
	assert_int_equal(access(spec.address.path, F_OK), 0);
	assert_int_equal(unlink(spec.address.path), 0);
	close(fd);
}

static void
test_adjust(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	struct shard_queue queue;
	struct stat status;
	int family;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		/* A worker's choice is left alone as long as ours stays. */
		fcntl(shard->fd, F_SETFL, O_RDWR | O_NONBLOCK);
		spec.backlog = 32;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_int_equal(shard_queue(shard, &queue), 0);
		assert_int_equal(queue.limit, 32);
		assert_int_equal(shard->backlog_granted, 32);
		assert_true(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		fcntl(shard->fd, F_SETFL, O_RDWR);
		spec.nonblocking = true;
		spec.mode = 0640;
		assert_int_equal(listener_adjust(shard->listener, &spec), 0);
		assert_true(fcntl(shard->fd, F_GETFL) & O_NONBLOCK);
		if (family == SPEC_UNIX) {
			assert_int_equal(stat(spec.address.path, &status), 0);
			assert_int_equal(status.st_mode, S_IFSOCK | 0640);
		}
		shard_unref(shard);
	}
}

/* The first listener makes the watch fd, which stays; nothing else does. */
static void
test_no_fd_is_left(void **state)
{
	int before;

	(void)state;
	assert_true(listener_watch_fd() >= FD_PRIVATE);
	before = count_fds();
	test_serves(state);
	test_in_use(state);
	test_overlaps_ours(state);
	test_other_name_is_same_socket(state);
	test_unknown_owner(state);
	test_stale_path(state);
	test_no_socket_path(state);
	test_bad_host(state);
	assert_int_equal(count_fds(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serves),
		cmocka_unit_test(test_nonblocking),
		cmocka_unit_test(test_backlog_is_bounded),
		cmocka_unit_test(test_dual_stack),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_stranger_gets_nothing),
		cmocka_unit_test(test_overlaps_ours),
		cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_other_name_is_same_socket),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_bad_host),
		cmocka_unit_test(test_path_attributes),
		cmocka_unit_test(test_unknown_owner),
		cmocka_unit_test(test_stale_path),
		cmocka_unit_test(test_busy_path),
		cmocka_unit_test(test_no_socket_path),
		cmocka_unit_test(test_foreign_path_stays),
		cmocka_unit_test(test_adjust),
		cmocka_unit_test(test_no_fd_is_left),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
