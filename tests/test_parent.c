/*
 * What the parent is told, and what of the environment is its.
 */
#include "parent.h"

#include <errno.h>
#include <sys/resource.h>

#include "parent_fixture.h"

/* --- the environment */

static void
test_environment(void **state)
{
	char notify[200];

	(void)state;
	(void)snprintf(notify, sizeof(notify), "NOTIFY_SOCKET=%s",
	    getenv("NOTIFY_SOCKET"));
	setenv("WATCHDOG_USEC", "60000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("FDSTORE", "4096", 1);
	assert_int_equal(parent_init(), 0);
	assert_true(parent_is_there());
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	assert_null(getenv("FDSTORE"));
	assert_string_equal(parent_environment()[0], notify);
	assert_string_equal(parent_environment()[1], "WATCHDOG_USEC=60000000");
	assert_string_equal(parent_environment()[2], "WATCHDOG_PID=1");
	assert_string_equal(parent_environment()[3], "FDSTORE=4096");
	assert_null(parent_environment()[4]);
}

static void
test_without_parent(void **state)
{
	int fd = loop.pipe[0];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "20000", 1);
	assert_int_equal(parent_init(), 0);
	assert_false(parent_is_there());
	parent_store("a", &fd, 1);
	parent_adopt("b", &fd, 1);
	parent_remove("a");
	parent_ready("all is well");
	assert_true(parent_flush(0));
	assert_int_equal(run_for(60), 1);
}

static void
test_bad_address(void **state)
{
	char text[200];

	(void)state;
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_int_equal(parent_init(), -EAFNOSUPPORT);
	memset(text, '/', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	setenv("NOTIFY_SOCKET", text, 1);
	assert_int_equal(parent_init(), -ENAMETOOLONG);
	assert_false(parent_is_there());
	assert_null(parent_environment()[0]);
}

static void
test_abstract_address(void **state)
{
	(void)state;
	close(server);
	unlink(address.sun_path);
	address_bytes = sizeof(sa_family_t);
	server_bind();          /* the kernel chooses */
	address_bytes = sizeof(address);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address,
	    &address_bytes), 0);
	address.sun_path[0] = '@';
	address.sun_path[address_bytes - offsetof(struct sockaddr_un,
	    sun_path)] = '\0';
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	assert_int_equal(parent_init(), 0);
	parent_say("STATUS=%s", "here");
	run_until_received(1);
	expect(0, "STATUS=here", 0);
}

/* What could not be told for want of an fd is told later. */
static void
test_without_fds(void **state)
{
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(parent_init(), 0);
	parent_store("web.listener", loop.pipe, 2);
	assert_false(parent_flush(0));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	run_until_received(1);
	expect(0, "FDSTORE=1\nFDPOLL=0\nFDNAME=web.listener", 2);
}

/* --- messages */

static void
test_messages(void **state)
{
	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_store("web.listener", loop.pipe, 2);
	parent_ready("1 service");
	parent_remove("web.listener");
	parent_remove("left over");
	parent_stopping();
	parent_extend(1500);
	run_until_received(6);
	expect(0, "FDSTORE=1\nFDPOLL=0\nFDNAME=web.listener", 2);
	assert_int_equal(received[0].inode, inode_of(loop.pipe[1]));
	expect(1, "READY=1\nSTATUS=1 service", 0);
	expect(2, "FDSTOREREMOVE=1\nFDNAME=web.listener", 0);
	expect(3, "FDSTOREREMOVE=1\nFDNAME=left over", 0);
	expect(4, "STOPPING=1", 0);
	expect(5, "EXTEND_TIMEOUT_USEC=1500000", 0);
}

/* Between what the clock says before and after. */
static void
test_reloading(void **state)
{
	unsigned long long usec;
	uint64_t before_ms = real_now_ms();

	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_reloading();
	run_until_received(1);
	assert_int_equal(sscanf(received[0].text,
	    "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_in_range(usec, before_ms * 1000, real_now_ms() * 1000 + 1000);
}

static void
test_long_lines_are_cut(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parent_init(), 0);
	parent_say("STATUS=%s", text);
	run_until_received(1);
	assert_int_equal(strlen(received[0].text), PARENT_SAY_BYTES_MAX - 1);
}

static void
test_replaced(void **state)
{
	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_store("a", &loop.pipe[0], 1);
	parent_store("a", &loop.pipe[1], 1);
	run_until_received(3);
	expect(0, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 1);
	expect(1, "FDSTOREREMOVE=1\nFDNAME=a", 0);
	expect(2, "FDSTORE=1\nFDPOLL=0\nFDNAME=a", 1);
	assert_int_not_equal(received[0].inode, 0);
	assert_int_equal(received[2].inode, inode_of(loop.pipe[1]));
}

static void
test_adopted(void **state)
{
	(void)state;
	assert_int_equal(parent_init(), 0);
	parent_adopt("a", &loop.pipe[0], 1);
	parent_adopt("b", &loop.pipe[0], 1);
	parent_remove("a");
	parent_store("b", &loop.pipe[1], 1);
	run_until_received(3);
	expect(0, "FDSTOREREMOVE=1\nFDNAME=a", 0);
	expect(1, "FDSTOREREMOVE=1\nFDNAME=b", 0);
	expect(2, "FDSTORE=1\nFDPOLL=0\nFDNAME=b", 1);
}

/* --- the watchdog */

static void
test_watchdog(void **state)
{
	uint64_t begin_ms = real_now_ms();
	char pid[16];

	(void)state;
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	assert_int_equal(parent_init(), 0);
	run_until_received(3);
	for (unsigned i = 0; i < 3; i++) {
		expect(i, "WATCHDOG=1", 0);
		assert_true(received[i].at_ms >= begin_ms + 50);
		begin_ms = received[i].at_ms - 5;
	}
}

static void
test_watchdog_of_another(void **state)
{
	(void)state;
	setenv("WATCHDOG_PID", "1", 1);
	setenv("WATCHDOG_USEC", "20000", 1);
	assert_int_equal(parent_init(), 0);
	assert_int_equal(run_for(60), 1);
	unsetenv("WATCHDOG_PID");
	parent_release();
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	setenv("WATCHDOG_USEC", "1", 1);
	assert_int_equal(parent_init(), 0);
	assert_int_equal(run_for(20), 1);
	assert_false(read_one());
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITH_PARENT(test_environment),
		WITH_PARENT(test_without_parent),
		WITH_PARENT(test_bad_address),
		WITH_PARENT(test_abstract_address),
		WITH_PARENT(test_without_fds),
		WITH_PARENT(test_messages),
		WITH_PARENT(test_reloading),
		WITH_PARENT(test_long_lines_are_cut),
		WITH_PARENT(test_replaced),
		WITH_PARENT(test_adopted),
		WITH_PARENT(test_watchdog),
		WITH_PARENT(test_watchdog_of_another),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
