/*
 * The queues of listeners and the watch over them: what is measured, what
 * wakes the loop and what does not, what a shutdown() by a worker leads to.
 * Opening and closing are in test_listener.c.
 */
#include "listener_fixture.h"

static struct shard *grown_shard;
static unsigned grown_count;
static uint32_t grown_length;

static void
note_grown(struct shard *shard, const struct shard_queue *queue)
{
	grown_shard = shard;
	grown_length = queue->length;
	grown_count++;
}

/* Not by what the file of a closed one told: that is taken before. */
static bool
watch_is_readable(int timeout_ms)
{
	struct pollfd watch = { .fd = listener_watch_fd(), .events = POLLIN };

	listener_watch_paths();
	return poll(&watch, 1, timeout_ms) == 1;
}

static int
connect_or_fail(const struct shard *shard)
{
	int fd = connect_to(shard->listener->spec);

	assert_true(fd >= 0);
	return fd;
}

/* Takes one connection out of the queue. */
static void
serve_one(const struct shard *shard)
{
	close(accept_from(shard));
}

static void
shut_down(int fd, int how)
{
	if (shutdown(fd, how) != 0)
		_exit(1);
}

static void
listen_again(int fd, int backlog)
{
	if (listen(fd, backlog) != 0)
		_exit(errno == EADDRINUSE ? 2 : 1);
}

static void
test_queue(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	struct shard_queue queue;
	int clients[3], family;
	uint32_t i;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		for (i = 0; i < 3; i++) {
			assert_int_equal(shard_queue(shard, &queue), 0);
			assert_int_equal(queue.length, i);
			assert_int_equal(queue.limit, BACKLOG);
			clients[i] = connect_or_fail(shard);
		}
		serve_one(shard);
		assert_int_equal(shard_queue(shard, &queue), 0);
		assert_int_equal(queue.length, 2);
		for (i = 0; i < 3; i++)
			close(clients[i]);
		shard_unref(shard);
	}
}

/* Two unix sockets: the one with our inode is asked about. */
static void
test_queue_is_ours(void **state)
{
	struct listener_spec one = unix_spec("one", "one.sock");
	struct listener_spec two = unix_spec("two", "two.sock");
	struct shard *first, *second;
	struct shard_queue queue;
	int client;

	(void)state;
	first = open_or_fail(&one);
	two.backlog = 7;
	second = open_or_fail(&two);
	client = connect_or_fail(second);
	assert_int_equal(shard_queue(first, &queue), 0);
	assert_int_equal(queue.length, 0);
	assert_int_equal(queue.limit, BACKLOG);
	assert_int_equal(shard_queue(second, &queue), 0);
	assert_int_equal(queue.length, 1);
	assert_int_equal(queue.limit, 7);
	close(client);
	shard_unref(first);
	shard_unref(second);
}

static void
test_restore_backlog(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	struct shard_queue queue;
	int family;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		assert_int_equal(shard_restore_backlog(shard), 0);
		in_child(listen_again, shard->fd, 5);
		assert_int_equal(shard_restore_backlog(shard), 5);
		assert_int_equal(shard_queue(shard, &queue), 0);
		assert_int_equal(queue.limit, BACKLOG);
		assert_int_equal(shard_restore_backlog(shard), 0);
		in_child(listen_again, shard->fd, 0);
		assert_int_equal(shard_restore_backlog(shard), 1);
		in_child(listen_again, shard->fd, 2 * BACKLOG);
		assert_int_equal(shard_restore_backlog(shard), 0);
		shard_unref(shard);
	}
}

/* Once it woke us, connections do not, until it is armed again. */
static void
test_one_wake_up(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	int clients[5], family, i;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		assert_false(watch_is_readable(0));
		assert_false(listener_watch_read());
		assert_false(listener_sample(note_grown));
		clients[0] = connect_or_fail(shard);
		assert_true(watch_is_readable(WAIT_MS));
		assert_true(listener_watch_read());
		assert_true(shard->sampled);
		for (i = 1; i < 5; i++) {
			clients[i] = connect_or_fail(shard);
			assert_false(watch_is_readable(0));
		}
		assert_true(listener_sample(note_grown));
		assert_false(watch_is_readable(0));
		for (i = 0; i < 5; i++) {
			serve_one(shard);
			close(clients[i]);
		}
		assert_false(watch_is_readable(0));
		assert_false(listener_sample(note_grown));
		assert_false(shard->sampled);
		assert_false(watch_is_readable(0));
		clients[0] = connect_or_fail(shard);
		assert_true(watch_is_readable(WAIT_MS));
		assert_true(listener_watch_read());
		assert_false(shard->broken);
		close(clients[0]);
		shard_unref(shard);
	}
}

/* Fills the queue by one before each sample; returns with the last fd. */
static unsigned
sample_growing(struct shard *shard, int *clients, int count)
{
	unsigned before = grown_count;
	int i;

	for (i = 0; i < count; i++) {
		clients[i] = connect_or_fail(shard);
		(void)listener_watch_read();
		assert_true(listener_sample(note_grown));
	}
	return grown_count - before;
}

static void
test_grown(void **state)
{
	enum { N = LISTENER_GROWN_SAMPLES };
	struct listener_spec spec;
	struct shard *shard;
	unsigned before;
	int clients[3 * N], family, i;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		assert_int_equal(sample_growing(shard, clients, N - 1), 0);
		/* Not longer than the last time: start anew. */
		before = grown_count;
		assert_true(listener_sample(note_grown));
		assert_int_equal(grown_count, before);
		assert_int_equal(sample_growing(shard, clients + N - 1,
		    N - 1), 0);
		assert_int_equal(sample_growing(shard, clients + 2 * N - 2,
		    1), 1);
		assert_ptr_equal(grown_shard, shard);
		assert_int_equal(grown_length, 2 * N - 1);
		/* Said once, not at each further sample. */
		assert_int_equal(sample_growing(shard, clients + 2 * N - 1,
		    N - 1), 0);
		for (i = 0; i < 3 * N - 2; i++)
			close(clients[i]);
		shard_unref(shard);
	}
}

/* A full queue cannot grow, but that is no good sign. */
static void
test_full(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	unsigned before = grown_count;
	int client, family, i;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		spec.backlog = 1;
		shard = open_or_fail(&spec);
		client = connect_or_fail(shard);
		assert_true(listener_watch_read());
		for (i = 0; i < LISTENER_GROWN_SAMPLES; i++) {
			assert_int_equal(grown_count, before);
			assert_true(listener_sample(note_grown));
		}
		assert_int_equal(grown_count, ++before);
		close(client);
		shard_unref(shard);
	}
}

/* Shuts it down as a worker does, and sees that it is noticed just once. */
static void
break_it(struct shard *shard, int how)
{
	in_child(shut_down, shard->fd, how);
	assert_true(watch_is_readable(WAIT_MS));
	(void)listener_watch_read();
	assert_true(shard->broken);
	assert_false(shard->sampled);
	assert_false(watch_is_readable(0));
	assert_int_equal(connect_to(shard->listener->spec), -ECONNREFUSED);
}

static void
test_shutdown(void **state)
{
	static const int hows[] = { SHUT_RD, SHUT_RDWR };
	struct listener_spec spec;
	struct shard *shard;
	struct shard_queue queue;
	int client, family, i;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		for (i = 0; i < 2; i++) {
			spec = spec_of(family);
			shard = open_or_fail(&spec);
			break_it(shard, hows[i]);
			assert_int_equal(shard_queue(shard, &queue),
			    family == SPEC_UNIX ? 0 : -ENOTCONN);
			assert_int_equal(shard_restore_backlog(shard), 0);
			shard_unref(shard);

			/* Also while its queue is sampled. */
			shard = open_or_fail(&spec);
			client = connect_or_fail(shard);
			assert_true(listener_watch_read());
			break_it(shard, hows[i]);
			assert_false(listener_sample(note_grown));
			close(client);
			shard_unref(shard);
		}
	}
}

static void
test_shutdown_of_writing(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	int family;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		in_child(shut_down, shard->fd, SHUT_WR);
		assert_false(watch_is_readable(0));
		assert_serves(shard);
		(void)listener_watch_read();
		assert_false(shard->broken);
		shard_unref(shard);
	}
}

/* Not all is lost if a worker has put right what it did. */
static void
test_revived(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec);

	(void)state;
	in_child(shut_down, shard->fd, SHUT_RDWR);
	in_child(listen_again, shard->fd, BACKLOG);
	(void)listener_watch_read();
	assert_false(shard->broken);
	assert_false(watch_is_readable(0));
	assert_serves(shard);
	shard_unref(shard);
}

static void
test_renew(void **state)
{
	struct listener_spec spec;
	struct shard *shard;
	int before, client, family, held, round;

	(void)state;
	for (family = 0; family < SPEC_COUNT; family++) {
		spec = spec_of(family);
		shard = open_or_fail(&spec);
		before = count_fds();
		for (round = 0; round < 3; round++) {
			held = fcntl(shard->fd, F_DUPFD_CLOEXEC, 3);
			break_it(shard, SHUT_RDWR);
			assert_int_equal(shard_renew(shard), 0);
			assert_false(shard->broken);
			assert_int_equal(shard->backlog_granted, BACKLOG);
			/* Who still has the old one cannot revive it. */
			if (family != SPEC_UNIX) {
				assert_int_equal(listen(held, 1), -1);
				assert_int_equal(errno, EADDRINUSE);
			}
			close(held);
			client = connect_or_fail(shard);
			assert_true(watch_is_readable(WAIT_MS));
			assert_true(listener_watch_read());
			serve_one(shard);
			close(client);
			assert_false(listener_sample(note_grown));
		}
		assert_int_equal(count_fds(), before);
		shard_unref(shard);
		assert_true(connect_to(&spec) < 0);
	}
}

/* An adjust in between must not revive what will be replaced. */
static void
test_adjust_broken(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec);

	(void)state;
	break_it(shard, SHUT_RDWR);
	spec.backlog = 32;
	assert_int_equal(listener_adjust(shard->listener, &spec), 0);
	assert_int_equal(connect_to(&spec), -ECONNREFUSED);
	assert_int_equal(shard_renew(shard), 0);
	assert_int_equal(shard->backlog_granted, 32);
	shard_unref(shard);
}

/* Two names of one socket break together and are one again afterwards. */
static void
test_renew_both(void **state)
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
		second = open_or_fail(&renamed);
		in_child(shut_down, first->fd, SHUT_RDWR);
		(void)listener_watch_read();
		assert_true(first->broken);
		assert_true(second->broken);
		assert_int_equal(shard_renew(first), 0);
		assert_int_equal(shard_renew(second), 0);
		client = connect_or_fail(first);
		serve_one(second);
		close(client);
		shard_unref(second);
		assert_serves(first);
		shard_unref(first);
	}
}

static void
test_renew_refused(void **state)
{
	struct listener_spec spec = unix_spec("web", "web.sock");
	struct shard *shard = open_or_fail(&spec);
	int fd = shard->fd;

	(void)state;
	break_it(shard, SHUT_RDWR);
	assert_int_equal(unlink(spec.address.path), 0);
	assert_int_equal(mkdir(spec.address.path, 0700), 0);
	assert_int_equal(shard_renew(shard), -EEXIST);
	assert_true(shard->broken);
	assert_int_equal(shard->fd, fd);
	assert_int_equal(rmdir(spec.address.path), 0);
	assert_int_equal(shard_renew(shard), 0);
	assert_serves(shard);
	shard_unref(shard);
}

/* Workers may have the socket for longer than we do. */
static void
test_closed_is_not_watched(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4);
	struct shard *shard = open_or_fail(&spec);
	int held = fcntl(shard->fd, F_DUPFD_CLOEXEC, 3), client;

	(void)state;
	shard_unref(shard);
	client = connect_to(&spec);
	assert_true(client >= 0);
	assert_false(watch_is_readable(0));
	assert_false(listener_watch_read());
	close(client);
	close(held);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_queue_is_ours),
		cmocka_unit_test(test_restore_backlog),
		cmocka_unit_test(test_one_wake_up),
		cmocka_unit_test(test_grown),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_shutdown_of_writing),
		cmocka_unit_test(test_revived),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_adjust_broken),
		cmocka_unit_test(test_renew_both),
		cmocka_unit_test(test_renew_refused),
		cmocka_unit_test(test_closed_is_not_watched),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
