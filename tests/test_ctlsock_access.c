/*
 * The control socket: its path, who may connect, and how many.
 */
#include "ctlsock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bounds.h"
#include "ctlsock_fixture.h"
#include "ctlsock_reserve.h"

#define BUSY "{\"error\":\"io.supd.Busy\",\"parameters\":{\"limit\":32}}"

enum { NOBODY = 65534, SOME_GROUP = 54321, HOGS_MAX = 128 };

static struct {
	int fds[HOGS_MAX];
	unsigned count;
} hogs;

static const struct ctlsock_handler no_handler;

/* --- the path */

static mode_t
mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode;
}

static void
test_mode_and_group(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(mode_of(fixture.path), S_IFSOCK | 0600);
	ctlsock_close();
	assert_int_equal(access(fixture.path, F_OK), -1);
	if (geteuid() != 0)
		skip();
	fixture_open(SOME_GROUP);
	assert_int_equal(mode_of(fixture.path), S_IFSOCK | 0660);
	assert_int_equal(lstat(fixture.path, &status), 0);
	assert_int_equal(status.st_gid, SOME_GROUP);
}

/* A listening or, once its fd is closed, a stale socket at our path. */
static int
foreign_socket(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, fixture.path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 0), 0);
	return fd;
}

static void
test_stale_socket_is_replaced(void **state)
{
	int fd;

	(void)state;
	ctlsock_close();
	close(foreign_socket(SOCK_STREAM));
	fixture_open((gid_t)-1);
	fixture.answer = echo;
	fd = client_connect();
	client_send(fd, "x", 2);
	client_expect(fd, "x");
	close(fd);
}

static void
test_live_socket_is_left_alone(void **state)
{
	int fd;

	(void)state;
	ctlsock_close();
	fd = foreign_socket(SOCK_STREAM);
	assert_int_equal(ctlsock_open(fixture.path, -1, &no_handler),
	    -EADDRINUSE);
	/* The attempt waits in its queue, which has room for no more. */
	assert_int_equal(ctlsock_open(fixture.path, -1, &no_handler),
	    -EADDRINUSE);
	assert_int_equal(mode_of(fixture.path) & S_IFMT, S_IFSOCK);
	close(fd);
	unlink(fixture.path);
	fd = foreign_socket(SOCK_DGRAM);
	assert_int_equal(ctlsock_open(fixture.path, -1, &no_handler),
	    -EADDRINUSE);
	close(fd);
	unlink(fixture.path);
}

static void
test_file_is_left_alone(void **state)
{
	char long_path[104 + 1];
	int fd;

	(void)state;
	ctlsock_close();
	fd = open(fixture.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(ctlsock_open(fixture.path, -1, &no_handler),
	    -EEXIST);
	assert_int_equal(mode_of(fixture.path), S_IFREG | 0600);
	unlink(fixture.path);

	memset(long_path, 'x', 104);
	long_path[104] = '\0';
	assert_int_equal(ctlsock_open(long_path, -1, &no_handler),
	    -ENAMETOOLONG);
	assert_int_equal(ctlsock_open("/nonexistent/x", -1, &no_handler),
	    -ENOENT);
}

static void
test_foreign_path_is_not_removed(void **state)
{
	(void)state;
	unlink(fixture.path);
	close(foreign_socket(SOCK_STREAM));
	ctlsock_close();
	assert_int_equal(access(fixture.path, F_OK), 0);
	unlink(fixture.path);
}

/* --- who may connect */

/* In a child as another user: connects, and exits with 0 if it hears `json`,
 * else with 1, or with 2 if it hears nothing. */
static pid_t
connect_as(uid_t uid, gid_t gid, gid_t supplementary, const char *json)
{
	const struct timeval patience = { .tv_sec = 10 };
	char text[256] = "";
	int fd;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	if (setgroups(1, &supplementary) < 0 || setgid(gid) < 0 ||
	    setuid(uid) < 0)
		_exit(3);
	fd = client_connect();
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)send(fd, "hello", 6, MSG_NOSIGNAL);
	if (recv(fd, text, sizeof(text), 0) <= 0)
		_exit(2);
	_exit(strcmp(text, json) != 0);
}

static pid_t child;
static int child_status;

static bool
has_exited(void)
{
	return waitpid(child, &child_status, WNOHANG) == child;
}

static int
outcome_as(uid_t uid, gid_t gid, gid_t supplementary, const char *json)
{
	child = connect_as(uid, gid, supplementary, json);
	run_until(has_exited);
	assert_true(WIFEXITED(child_status));
	return WEXITSTATUS(child_status);
}

/* The socket's own mode is made useless, to see the other barrier. */
static void
open_to_all(gid_t group)
{
	ctlsock_close();
	fixture_open(group);
	assert_int_equal(chmod(fixture.path, 0666), 0);
	fixture.answer = echo;
}

#define DENIED "{\"error\":\"io.supd.PermissionDenied\"," \
	"\"parameters\":{\"uid\":65534}}"

static void
test_strangers_are_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	open_to_all((gid_t)-1);
	assert_int_equal(outcome_as(NOBODY, NOBODY, NOBODY, DENIED), 0);
	assert_int_equal(outcome_as(NOBODY, SOME_GROUP, 0, DENIED), 0);
	open_to_all(SOME_GROUP);
	assert_int_equal(outcome_as(NOBODY, NOBODY, NOBODY, DENIED), 0);
	assert_int_equal(fixture.message_count, 0);
	assert_int_equal(fixture.gone_count, 0);
}

static void
test_members_are_served(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	open_to_all(SOME_GROUP);
	assert_int_equal(outcome_as(NOBODY, SOME_GROUP, NOBODY, "hello"), 0);
	assert_int_equal(outcome_as(NOBODY, NOBODY, SOME_GROUP, "hello"), 0);
	assert_int_equal(outcome_as(0, NOBODY, NOBODY, "hello"), 0);
	assert_int_equal(fixture.message_count, 3);
	run_until_gone(3);
}

/* --- how many */

static void
test_too_many_clients(void **state)
{
	int fds[CLIENTS_MAX], late, i;

	(void)state;
	fixture.answer = echo;
	for (i = 0; i < CLIENTS_MAX; i++) {
		fds[i] = client_connect();
		client_send(fds[i], "x", 2);
		client_expect(fds[i], "x");
	}
	late = client_connect();
	client_expect(late, BUSY);
	client_expect_end(late);
	close(late);
	assert_int_equal(fixture.gone_count, 0);
	for (i = 1; i < CLIENTS_MAX; i++)
		assert_int_not_equal(fixture.message_clients[i],
		    fixture.message_clients[i - 1]);

	close(fds[7]);
	run_until_gone(1);
	fds[7] = client_connect();
	client_send(fds[7], "again", 6);
	client_expect(fds[7], "again");
	for (i = 0; i < CLIENTS_MAX; i++)
		close(fds[i]);
	run_until_gone(CLIENTS_MAX + 1);
}

/* The connection waits and does not make the loop spin, then is served. */
static void
test_no_fd_left(void **state)
{
	struct rlimit limit, none;
	const char *preload = getenv("LD_PRELOAD");
	int fd;

	(void)state;
	if (preload != NULL && strstr(preload, "vgpreload") != NULL)
		skip();         /* valgrind accepts it all the same */
	fd = client_connect();
	fixture.answer = echo;
	client_send(fd, "x", 2);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	run_turns(2);
	run_quietly();
	assert_int_equal(fixture.message_count, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	run_turns(5);
	assert_int_equal(fixture.message_count, 0);     /* it is not tried */
	clock_advance(1000);
	run_until_messages(1);
	client_expect(fd, "x");
	close(fd);
}

/* All that is left, as workers would; to be given back. */
static void
take_all_fds(void)
{
	while (hogs.count < HOGS_MAX) {
		int fd = dup(STDERR_FILENO);

		if (fd < 0)
			return;
		hogs.fds[hogs.count++] = fd;
	}
	fail();
}

static void
give_back_fds(void)
{
	while (hogs.count > 0)
		close(hogs.fds[--hogs.count]);
}

/* Who comes when all are in use is served, and leaves room for another. */
static void
test_reserve(void **state)
{
	int fds[CTLSOCK_RESERVE_MAX + 1];
	struct rlimit limit, few;

	(void)state;
	ctlsock_close();
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = HOGS_MAX;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	fixture_open((gid_t)-1);
	fixture.answer = echo;
	for (unsigned i = 0; i <= CTLSOCK_RESERVE_MAX; i++) {
		fds[i] = client_connect();
		client_send(fds[i], "x", 2);
	}
	take_all_fds();
	run_until_messages(CTLSOCK_RESERVE_MAX);
	run_quietly();
	assert_int_equal(fixture.message_count, CTLSOCK_RESERVE_MAX);

	close(fds[0]);
	take_all_fds();
	run_until_gone(1);
	take_all_fds();
	clock_advance(1000);
	run_until_messages(CTLSOCK_RESERVE_MAX + 1);
	for (unsigned i = 1; i <= CTLSOCK_RESERVE_MAX; i++)
		close(fds[i]);
	run_until_gone(CTLSOCK_RESERVE_MAX + 1);
	give_back_fds();
	setrlimit(RLIMIT_NOFILE, &limit);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, \
	fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mode_and_group),
		TEST(test_stale_socket_is_replaced),
		TEST(test_live_socket_is_left_alone),
		TEST(test_file_is_left_alone),
		TEST(test_foreign_path_is_not_removed),
		TEST(test_strangers_are_refused),
		TEST(test_members_are_served),
		TEST(test_too_many_clients),
		TEST(test_no_fd_left),
		TEST(test_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
