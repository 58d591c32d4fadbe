/*
 * What waits for the parent: that a slow one, one that went away and a strict one
 * hold nothing up, and get all in the end, in order.
 */
#include "parent.h"

#include <sys/resource.h>

#include "parent_fixture.h"

/* --- a parent that is slow */

static void
test_burst_keeps_order(void **state)
{
	char name[32], text[64];

	(void)state;
	assert_int_equal(parent_init(), 0);
	for (unsigned i = 0; i < BURST; i++) {
		(void)snprintf(name, sizeof(name), "w.%u", i);
		parent_store(name, &loop.pipe[i % 2], 1);
	}
	parent_ready("burst");
	assert_true(run_for(20) <= 2);  /* it does not spin */
	run_until_received(BURST + 1);
	for (unsigned i = 0; i < BURST; i++) {
		(void)snprintf(text, sizeof(text),
		    "FDSTORE=1\nFDPOLL=0\nFDNAME=w.%u", i);
		expect(i, text, 1);
	}
	expect(BURST, "READY=1\nSTATUS=burst", 0);
	(void)run_for(1);
	assert_int_equal(run_for(20), 1);       /* nothing is watched */
}

static void
test_unsent(void **state)
{
	unsigned filled = fill();

	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_store("kept", loop.pipe, 1);
	parent_store("gone", loop.pipe, 1);
	parent_store("other", loop.pipe, 1);
	parent_say("STATUS=1");
	parent_say("STATUSES=1");
	parent_say("STATUS=2");
	parent_remove("gone");
	parent_store("other", loop.pipe, 2);
	run_until_received(filled + 4);
	expect(filled, "FDSTORE=1\nFDPOLL=0\nFDNAME=kept", 1);
	expect(filled + 1, "FDSTORE=1\nFDPOLL=0\nFDNAME=other", 2);
	expect(filled + 2, "STATUSES=1", 0);
	expect(filled + 3, "STATUS=2", 0);
	assert_true(parent_flush(0));
}

/* Removed and stored again, and the other way round, before it is sent. */
static void
test_unsent_of_a_known_name(void **state)
{
	unsigned filled;

	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_adopt("a", loop.pipe, 1);
	parent_adopt("b", loop.pipe, 1);
	filled = fill();
	parent_remove("a");
	parent_store("a", loop.pipe, 2);
	parent_store("b", loop.pipe, 2);
	parent_remove("b");
	run_until_received(filled + 3);
	expect(filled, "FDSTOREREMOVE=1\nFDNAME=a", 0);
	expect(filled + 1, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 2);
	expect(filled + 2, "FDSTOREREMOVE=1\nFDNAME=b", 0);
	assert_true(parent_flush(0));
}

static void
test_flush_is_bounded(void **state)
{
	uint64_t begin_ms = real_now_ms();
	unsigned filled = fill();

	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_say("STATUS=late");
	assert_false(parent_flush(50));
	assert_in_range(real_now_ms() - begin_ms, 50, 2000);
	while (read_one())
		;
	assert_true(parent_flush(0));
	assert_true(read_one());
	expect(filled, "STATUS=late", 0);
}

/* --- a parent that is full */

static int saved_error, log_pipe[2];

/* Standard error goes to us until log_end(). */
static void
log_begin(void)
{
	saved_error = dup(STDERR_FILENO);
	assert_int_equal(pipe2(log_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(dup2(log_pipe[1], STDERR_FILENO), STDERR_FILENO);
}

/* Returns the lines, which must all have this text. */
static unsigned
log_end(const char *text)
{
	char bytes[4096];
	ssize_t count = read(log_pipe[0], bytes, sizeof(bytes) - 1);
	unsigned lines = 0;

	(void)dup2(saved_error, STDERR_FILENO);
	close(saved_error);
	close(log_pipe[0]);
	close(log_pipe[1]);
	bytes[count > 0 ? count : 0] = '\0';
	for (char *rest = bytes, *line; (line = strsep(&rest, "\n")) != NULL &&
	    *line != '\0'; lines++)
		assert_non_null(strstr(line, text));
	return lines;
}

/* It says how many it keeps: more are not sent, but may be once there is room. */
static void
test_more_than_it_keeps(void **state)
{
	(void)state;
	setenv("FDSTORE", "3", 1);
	assert_int_equal(parent_init(), 0);
	log_begin();
	parent_store("a", loop.pipe, 2);
	parent_store("a", loop.pipe, 1);
	parent_store("b", loop.pipe, 2);
	parent_store("a", loop.pipe, 1);        /* in place of another */
	parent_store("c", loop.pipe, 1);
	parent_store("b", loop.pipe, 3);
	parent_store("d", loop.pipe, 1);
	assert_int_equal(log_end("no room for the file descriptors of c "), 1);
	run_until_received(8);
	expect(3, "FDSTORE=1\nFDPOLL=0\nFDNAME=b", 2);
	expect(5, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 1);
	expect(6, "FDSTOREREMOVE=1\nFDNAME=b", 0);
	expect(7, "FDSTORE=1\nFDPOLL=0\nFDNAME=d", 1);
}

/* Nobody could be executed with more than 128 KiB of names. */
static void
test_longest_names(void **state)
{
	enum { LENGTH = 250, COUNT = (131072 - 16) / (LENGTH + 1) };
	char name[LENGTH + 1];

	(void)state;
	assert_int_equal(parent_init(), 0);
	log_begin();
	for (unsigned i = 0; i < COUNT + 10; i++) {
		(void)snprintf(name, sizeof(name), "%0*u", LENGTH, i);
		parent_store(name, loop.pipe, 1);
	}
	assert_int_equal(log_end("no room for the file descriptors of 0"), 1);
	run_until_received(COUNT);
	parent_remove(received[0].text + strlen("FDSTORE=1\nFDPOLL=0\nFDNAME="));
	parent_store(name, loop.pipe, 1);
	run_until_received(COUNT + 2);
}

/* --- a parent that comes and goes */

static void
test_parent_comes_again(void **state)
{
	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_store("a", loop.pipe, 1);
	parent_adopt("b", loop.pipe, 2);
	parent_store("c", loop.pipe, 1);
	parent_remove("c");
	run_until_received(3);
	close(server);
	parent_say("STATUS=1");         /* refused */
	unlink(address.sun_path);
	parent_store("d", loop.pipe, 1);
	assert_false(parent_flush(20)); /* and there is no such file */
	server_bind();
	run_until_received(7);
	expect(3, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 1);
	expect(4, "FDSTORE=1\nFDPOLL=0\nFDNAME=b", 2);
	expect(5, "STATUS=1", 0);
	expect(6, "FDSTORE=1\nFDPOLL=0\nFDNAME=d", 1);
	assert_true(parent_flush(0));
}

static void
test_parent_goes_with_a_full_queue(void **state)
{
	unsigned filled = fill();

	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_say("STATUS=1");
	assert_int_equal(run_for(10), 1);
	close(server);
	unlink(address.sun_path);
	server_bind();
	run_until_received(1);
	expect(0, "STATUS=1", 0);
	assert_true(filled > 0);
}

/* --- a parent, or a kernel, that is strict */

static void
test_closed_fd_is_left_out(void **state)
{
	int fd = dup(loop.pipe[0]);

	(void)state;
	assert_int_equal(parent_init(), 0);
	close(fd);
	parent_store("closed", &fd, 1);
	parent_store("open", loop.pipe, 1);
	run_until_received(1);
	expect(0, "FDSTORE=1\nFDPOLL=0\nFDNAME=open", 1);
	assert_true(parent_flush(0));
}

/*
 * More fds may be on their way than a process may have, but not twice; what has
 * none is not held up.  They are counted for each real user and not for root
 * (unix(7), ETOOMANYREFS), so that this test is one whom no other is.
 */
static void
test_too_many_on_their_way(void **state)
{
	struct rlimit before, limit;
	uid_t uid = 30000 + (uid_t)getpid() % 30000;
	int fds[64];

	(void)state;
	if (getuid() != 0)
		skip();
	for (unsigned i = 0; i < 64; i++)
		fds[i] = loop.pipe[0];
	assert_int_equal(parent_init(), 0);
	parent_say("STATUS=0");         /* so that it is connected */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 32;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(setresuid(uid, uid, 0), 0);
	parent_store("a", fds, 64);
	parent_store("b", fds, 64);
	parent_ready("c");
	assert_false(parent_flush(20));
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	run_until_received(4);
	expect(1, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 64);
	expect(2, "READY=1\nSTATUS=c", 0);
	expect(3, "FDSTORE=1\nFDPOLL=0\nFDNAME=b", 64);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PARENT(test_burst_keeps_order),
		WITH_PARENT(test_unsent),
		WITH_PARENT(test_unsent_of_a_known_name),
		WITH_PARENT(test_flush_is_bounded),
		WITH_PARENT(test_more_than_it_keeps),
		WITH_PARENT(test_longest_names),
		WITH_PARENT(test_parent_comes_again),
		WITH_PARENT(test_parent_goes_with_a_full_queue),
		WITH_PARENT(test_closed_fd_is_left_out),
		WITH_PARENT(test_too_many_on_their_way),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
