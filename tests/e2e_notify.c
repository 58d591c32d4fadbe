/*
 * What workers say to supd, and what they do to the listener that all share:
 * shutdown(), a smaller backlog, a queue that nobody accepts from; and what others
 * do to its path.
 */
#include "e2e.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2 };

static char target[E2E_PATH_BYTES + 8];

static void
configure(const char *options, const char *keys)
{
	e2e_install("web", options);
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    WORKERS, keys);
}

static void
begin_at(const char *options, const char *keys)
{
	configure(options, keys);
	supd_start_ready(WORKERS);
}

static void
begin(const char *options, const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	begin_at(options, keys);
}

/*
 * The listener
 */

/* Each old worker breaks it when it stops, for those that are there. */
static void
break_listener(void)
{
	/* A new one that starts just then finds no listener, and has failed. */
	begin_at("--version v1 --shutdown-listener",
	    "max_surge = 2\nmin_ready = 300ms\n");
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await("listener web was shut down by worker web/");
	log_await(" of revision 1, most likely: it ");
	log_await("; a worker must close() it, not shutdown() it; there is a "
	    "new socket, and the workers are restarted on it");
	/* When the last of the old ones has gone nobody breaks it any more; they
	 * may have been restarted themselves. */
	workers_await_only("web", 2);
	assert_int_equal(status_number("web", "revision"), 2);
	for (unsigned i = 0; i < 4 * WORKERS; i++)
		assert_string_equal(ask_version(target), "v2");
	supd_stop();
}

static void
test_tcp_listener_is_shut_down(void **state)
{
	(void)state;
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	break_listener();
}

static void
test_unix_listener_is_shut_down(void **state)
{
	(void)state;
	snprintf(target, sizeof(target), "unix:%s", e2e_path("web.sock"));
	break_listener();
}

/* Out of nothing, by a worker that goes on; it may be before we have looked. */
static void
test_listener_is_shut_down_by_nobody(void **state)
{
	(void)state;
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	configure("--version v1 --shutdown-after 300", "");
	assert_true(supd_start(SUPD_PLAIN));
	log_await("listener web was shut down by one of its workers (none was "
	    "just told to stop); ");
	log_await_ready(2 * WORKERS);
	assert_string_equal(ask_version(target), "v1");
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

static void
await_new_path(void)
{
	log_await("the path of listener web was removed, so that nobody could "
	    "connect; there is a new socket, and the workers are restarted on "
	    "it");
	log_await_count(" exited with status 0", WORKERS);
	log_await_ready(WORKERS);
	assert_string_equal(ask_version(target), "v1");
	log_mark();
}

/* By whoever tidies up, also when nobody watches: the supd that comes next looks
 * as it begins. */
static void
test_path_is_removed(void **state)
{
	const char *path = target + strlen("unix:");
	unsigned count;

	(void)state;
	snprintf(target, sizeof(target), "unix:%s", e2e_path("web.sock"));
	begin_at("--version v1", "");
	count = supd_fd_count();
	assert_int_equal(unlink(path), 0);
	await_new_path();
	assert_int_equal(rename(path, e2e_path("elsewhere")), 0);
	await_new_path();
	assert_int_equal(supd_fd_count(), count);
	supd_signal(SIGSTOP);
	assert_int_equal(unlink(path), 0);
	supd_signal(SIGSEGV);
	supd_signal(SIGCONT);
	await_new_path();
	assert_int_equal(unlink(path), 0);
	await_new_path();
	supd_stop();
}

/* Who is always faster than supd leaves it nothing to see: they stand still. */
static void
test_backlog_is_shrunk(void **state)
{
	struct load load;

	(void)state;
	begin("--version v1 --shrink-backlog", "");
	assert_int_equal(supctl("signal", "web", "STOP"), 0);
	load_start(&load, target, 100, 0);
	log_await("listener web: a worker's own listen() has shrunk the "
	    "backlog to 5; it is ");
	assert_int_equal(supctl("signal", "web", "CONT"), 0);
	load_end_clean(&load);
	supd_stop();
}

static void
test_nobody_accepts(void **state)
{
	struct load load;

	(void)state;
	begin("--version v1 --deaf", "");
	load_start(&load, target, 20, 0);
	log_await(" connections wait to be accepted, and more with every "
	    "second: are its workers stuck, or too few?");
	json_decref(load_end(&load));
	supd_stop();
}

/*
 * Messages
 */

/* A worker's notify socket: kill_mode, service and incarnation. */
static void
notify_address(pid_t pid, struct sockaddr_un *ret_address)
{
	json_t *status = service_status("web"), *w;
	json_int_t incarnation = 0;
	char name[64];
	size_t i;

	json_array_foreach(json_object_get(status, "worker_list"), i, w)
		if (json_integer_value(json_object_get(w, "pid")) == pid)
			incarnation = json_integer_value(json_object_get(w,
			    "incarnation"));
	json_decref(status);
	assert_true(incarnation > 0);
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	snprintf(name, sizeof(name), "run/notify/g1.%d", (int)incarnation);
	strcpy(ret_address->sun_path, e2e_path(name));
}

/* With a file descriptor unless it is -1. */
static void
tell_with_fd(pid_t pid, const char *bytes, size_t size, int passed)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
	    .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct sockaddr_un address;
	struct iovec part = { (void *)(uintptr_t)bytes, size };
	struct msghdr message = {
		.msg_name = &address, .msg_namelen = sizeof(address),
		.msg_iov = &part, .msg_iovlen = 1,
	};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	notify_address(pid, &address);
	memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	if (passed >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), size);
	close(fd);
}

static void
tell(pid_t pid, const char *text)
{
	tell_with_fd(pid, text, strlen(text), -1);
}

/* Returns when all that was told before was processed. */
static void
barrier(pid_t pid)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	tell_with_fd(pid, "BARRIER=1", 9, ends[1]);
	close(ends[1]);
	e2e_await_input(ends[0]);
	close(ends[0]);
}

static void
test_status(void **state)
{
	pid_t pid;

	(void)state;
	begin("--version v1", "");
	supctl("status", "web");
	assert_ended(0, "serving");
	pid = worker_pid("web", 1);
	tell(pid, "STATUS=digesting \033[31m lunch\nERRNO=5\nX_UNKNOWN=1\n");
	barrier(pid);
	supctl("status", "web");
	assert_ended(0, "digesting ");
	assert_null(strchr(program_out, '\033'));
	supd_stop();
}

static void
test_wrong_messages(void **state)
{
	static char large[8192];
	pid_t pid;

	(void)state;
	begin("--version v1", "");
	pid = worker_pid("web", 1);
	memset(large, 'x', sizeof(large));
	tell_with_fd(pid, large, sizeof(large), -1);
	log_await("a notify message is refused: the message is too long");
	tell(pid, "BARRIER=1");
	log_await("a notify message is refused: BARRIER=1 came with 0 file "
	    "descriptors, it must have one");
	tell(pid, "WATCHDOG_USEC=soon\nMAINPID=-4\nREADY=2\n");
	log_await("3 assignments with a bad value were ignored");
	snprintf(large, sizeof(large), "MAINPID=%d", (int)getpid());
	tell(pid, large);
	log_await(large);
	log_await(" is refused: Operation not permitted; pid ");
	tell_with_fd(pid, "\0\xff\n\n===\0", 8, -1);
	tell_with_fd(pid, "FDSTORE=1", 9, 0);
	barrier(pid);
	assert_int_equal(status_number("web", "ready"), WORKERS);
	supd_stop();
}

static void
test_stranger(void **state)
{
	struct sockaddr_un address;
	pid_t pid, child;
	int status, fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin("--version v1", "");
	pid = worker_pid("web", 1);
	notify_address(pid, &address);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	child = fork();
	if (child == 0) {
		if (setuid(E2E_NOBODY) != 0)
			_exit(1);
		_exit(sendto(fd, "STOPPING=1", 10, 0,
		    (struct sockaddr *)&address, sizeof(address)) != 10);
	}
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	log_await(", uid 65534 is refused: it must come "
	    "from uid 0");
	barrier(pid);
	assert_int_equal(status_number("web", "ready"), WORKERS);
	supd_stop();
}

static void
test_extends_its_start(void **state)
{
	struct program reload;
	json_t *status, *list, *w;
	pid_t pid = 0;
	size_t i;

	(void)state;
	begin("--version v1", "ready_timeout = 2s\n");
	e2e_install("web", "--version v2 --slow-start 2500");
	log_mark();
	supctl_begin(&reload, "reload", "web");
	for (unsigned k = 1; k <= WORKERS; k++) {
		log_await_count("revision=2 started", k);
		status = service_status("web");
		list = json_object_get(status, "worker_list");
		json_array_foreach(list, i, w)
			if (strcmp(json_string_value(json_object_get(w,
			    "state")), "starting") == 0)
				pid = (pid_t)json_integer_value(
				    json_object_get(w, "pid"));
		json_decref(status);
		tell(pid, "EXTEND_TIMEOUT_USEC=5000000");
	}
	program_end(&reload);
	assert_ended(0, "web: revision 2 is in charge, after ");
	supd_stop();
}

static void
test_watchdog_expires(void **state)
{
	pid_t pid;

	(void)state;
	begin("--version v1", "watchdog = 400ms\n");
	pid = worker_pid("web", 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	log_await("told to stop: silent for longer than its watchdog");
	log_await("was ended by signal 6 (ABRT)");
	log_await_ready(1);
	assert_int_equal(log_count(" told to stop: "), 1);
	supd_stop();
}

static void
test_watchdog_is_triggered(void **state)
{
	(void)state;
	begin("--version v1", "watchdog = 20s\n");
	tell(worker_pid("web", 1), "WATCHDOG=trigger");
	log_await("says that it is not well (WATCHDOG=trigger)");
	log_await("was ended by signal 6 (ABRT)");
	log_await_ready(1);
	supd_stop();
}

/* By itself: its replacement comes at once, and it takes its time. */
static void
test_stops_by_itself(void **state)
{
	(void)state;
	begin("--version v1 --stopping 11000", "");
	log_await_count(" stopping\n", WORKERS);
	log_await_ready(WORKERS);
	log_await_count(" exited with status 0", WORKERS);
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_tcp_listener_is_shut_down),
		E2E_TEST(test_unix_listener_is_shut_down),
		E2E_TEST(test_listener_is_shut_down_by_nobody),
		E2E_TEST(test_path_is_removed),
		E2E_TEST(test_backlog_is_shrunk),
		E2E_TEST(test_nobody_accepts),
		E2E_TEST(test_status),
		E2E_TEST(test_wrong_messages),
		E2E_TEST(test_stranger),
		E2E_TEST(test_extends_its_start),
		E2E_TEST(test_watchdog_expires),
		E2E_TEST(test_watchdog_is_triggered),
		E2E_TEST(test_stops_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
