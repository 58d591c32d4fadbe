/*
 * Starting workers: what the child sees (it says so itself, see probe_child.c)
 * and that its parent is left as it was.
 */
#include "spawn_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"
#include "spawn.h"

enum { OTHER_ID = 54321 };        /* a user that nobody is */

static char *probe_argv[] = { (char []){ "./probe" }, NULL };

static bool
says(const char *line)
{
	const char *found = fixture_report;
	size_t length = strlen(line);

	while ((found = strstr(found, line)) != NULL) {
		if ((found == fixture_report || found[-1] == '\n') &&
		    found[length] == '\n')
			return true;
		found++;
	}
	return false;
}

#define assert_says(...) do { \
	char line_[1024]; \
	snprintf(line_, sizeof(line_), __VA_ARGS__); \
	if (!says(line_)) \
		fail_msg("no line \"%s\" in:\n%s", line_, fixture_report); \
} while (0)

/* The number after a key. */
static long long
value_of(const char *key)
{
	const char *found = strstr(fixture_report, key);

	if (found == NULL)
		fail_msg("no \"%s\" in:\n%s", key, fixture_report);
	return atoll(found + strlen(key));
}

static unsigned
count_of(const char *key)
{
	const char *found = fixture_report;
	unsigned count = 0;

	while ((found = strstr(found, key)) != NULL) {
		count += found == fixture_report || found[-1] == '\n';
		found++;
	}
	return count;
}

static void
test_process(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);

	(void)state;
	release->revision = 3;
	umask(077);
	assert_int_equal(fixture_run(&launch), 0);
	umask(022);
	assert_says("arg 0 %s", fixture_path("probe"));
	assert_says("cwd %s", fixture_directory());
	assert_says("umask 022");
	assert_int_equal(value_of("\nsid "), value_of("\npid "));
	assert_int_equal(value_of("\npgid "), value_of("\npid "));
	assert_says("files_limit %d", FIXTURE_FILES_LIMIT);
	assert_says("SigBlk:\t0000000000000000");
	assert_says("SigIgn:\t0000000000000000");
	assert_says("fd 0 /dev/null");
	assert_int_equal(count_of("fd "), 3);
	assert_says("env SUPD_SERVICE=web");
	assert_says("env SUPD_SLOT=7");
	assert_says("env SUPD_REVISION=3");
	assert_says("env PWD=%s", fixture_directory());
	assert_int_equal(count_of("env LISTEN_"), 0);
	assert_int_equal(count_of("env NOTIFY_SOCKET"), 0);
	assert_int_equal(count_of("env WATCHDOG_"), 0);
	assert_int_equal(count_of("env SUPD_VERSION"), 0);
	pin_release_free(release);
}

static void
test_own_variables(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	struct launch launch;

	(void)state;
	spec.watchdog_ms = 1500;
	release = fixture_pin_probe(&spec);
	strcpy(release->version, "1.2 beta");
	launch = fixture_launch(release);
	launch.notify_path = "/run/x/notify";
	assert_int_equal(fixture_run(&launch), 0);
	assert_says("env SUPD_VERSION=1.2 beta");
	assert_says("env NOTIFY_SOCKET=/run/x/notify");
	assert_says("env WATCHDOG_USEC=1500000");
	assert_int_equal(value_of("env WATCHDOG_PID="), value_of("\npid "));
	pin_release_free(release);
}

/* The mask and the fds of the parent are as they were. */
static void
test_parent_unharmed(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
	unsigned count = fixture_fd_count();
	sigset_t before, after;
	struct sigaction action;
	int number;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(fixture_run(&launch), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(&before, number),
		    sigismember(&after, number));
	assert_int_equal(fixture_fd_count(), count);
	assert_false(sigismember(&after, SIGUSR1));
	sigaction(SIGUSR1, NULL, &action);
	assert_true(action.sa_handler != SIG_DFL);
	pin_release_free(release);
}

/* Sources at these numbers; 0: none more. */
static const int layouts[][4] = {
	{ 90, 91, 92 }, { 3, 4, 5 }, { 5, 4, 3 }, { 4, 5, 3 }, { 6, 3, 90 },
	{ 1500, 3, 1400 }, { 4 }, { 3 },
};

static void
place(int *fd, int number)
{
	assert_int_equal(dup3(*fd, number, O_CLOEXEC), number);
	close(*fd);
	*fd = number;
}

/* With the executable, the directory and the ready fd in the way too. */
static void
check_layout(const int *layout, int executable_fd, int directory_fd)
{
	char *names[] = { (char []){ "a" }, (char []){ "b" },
	    (char []){ "c" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	struct launch launch;
	unsigned count, i;
	int fds[3], ready;

	spec.listeners = names;
	release = fixture_pin_probe(&spec);
	launch = fixture_launch(release);
	for (count = 0; layout[count] != 0; count++) {
		int fd = memfd_create(names[count], MFD_CLOEXEC);

		fds[count] = fcntl(fd, F_DUPFD_CLOEXEC, 2000);
		close(fd);
	}
	ready = memfd_create("ready", MFD_CLOEXEC);
	place(&ready, 70);
	if (executable_fd > 0)
		place(&release->executable_fd, executable_fd);
	if (directory_fd > 0)
		place(&release->directory_fd, directory_fd);
	for (i = 0; i < count; i++)
		place(&fds[i], layout[i]);
	spec.ready_fd = 10;
	launch.ready_write_fd = ready;
	launch.passed_fds = fds;
	launch.passed_count = count;
	launch.passed_names = "a:b:c";
	assert_int_equal(fixture_run(&launch), 0);
	for (i = 0; i < count; i++) {
		assert_says("fd %u /memfd:%s (deleted)", 3 + i, names[i]);
		close(fds[i]);
	}
	close(ready);
	assert_says("fd 10 /memfd:ready (deleted)");
	assert_int_equal(count_of("fd "), 4 + count);
	assert_says("env LISTEN_FDS=%u", count);
	assert_says("env LISTEN_FDNAMES=a:b:c");
	assert_int_equal(value_of("env LISTEN_PID="), value_of("\npid "));
	if (count_of("env LISTEN_PIDFDID=") > 0)
		assert_int_equal(value_of("env LISTEN_PIDFDID="),
		    value_of("\npidfd_id "));
	assert_says("cwd %s", fixture_directory());
	pin_release_free(release);
}

static void
test_listeners(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		check_layout(layouts[i], 0, 0);
}

static void
test_listeners_in_the_way(void **state)
{
	(void)state;
	check_layout(layouts[0], 3, 4);
	check_layout(layouts[0], 5, 10);
	check_layout(layouts[0], 10, 3);
	check_layout(layouts[0], 1700, 1800);
}

/* What was stored may be a lot, and lies where it has to go. */
static void
test_stored(void **state)
{
	enum { COUNT = 200 };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
	static char names[COUNT * 8];
	int fds[COUNT];
	unsigned i;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		char name[8];
		int fd;

		snprintf(name, sizeof(name), "n%u", i);
		fd = memfd_create(name, MFD_CLOEXEC);
		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 2000);
		close(fd);
		sprintf(names + strlen(names), "%s%s", i == 0 ? "" : ":",
		    name);
	}
	for (i = 0; i < COUNT / 4; i++)
		place(&fds[i], 70 - (int)i);
	launch.passed_fds = fds;
	launch.passed_count = COUNT;
	launch.passed_names = names;
	assert_int_equal(fixture_run(&launch), 0);
	for (i = 0; i < COUNT; i++) {
		assert_says("fd %u /memfd:n%u (deleted)", 3 + i, i);
		close(fds[i]);
	}
	assert_int_equal(count_of("fd "), 3 + COUNT);
	assert_says("env LISTEN_FDS=%d", COUNT);
	assert_non_null(strstr(fixture_report, names));
	pin_release_free(release);
}

static void
test_ready_fd(void **state)
{
	char *argv[] = { (char []){ "./probe" }, (char []){ "ready" },
	    (char []){ "9" }, NULL };
	struct spec spec = fixture_spec(argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
	char said[4];
	int ends[2];

	(void)state;
	spec.ready = READY_FD;
	spec.ready_fd = 9;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	place(&ends[1], 2100);
	launch.ready_write_fd = ends[1];
	assert_int_equal(fixture_run(&launch), 0);
	close(ends[1]);
	assert_int_equal(read(ends[0], said, sizeof(said)), 1);
	assert_int_equal(said[0], '\n');
	assert_int_equal(read(ends[0], said, sizeof(said)), 0);
	close(ends[0]);
	pin_release_free(release);
}

/* Not even those that somebody forgot to mark. */
static void
test_many_fds(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
	static int fds[1200];
	unsigned i, count = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	for (i = 0; i < count; i++)
		assert_true((fds[i] = dup(STDERR_FILENO)) >= 0);
	assert_int_equal(fixture_run(&launch), 0);
	assert_int_equal(count_of("fd "), 3);
	for (i = 0; i < count; i++) {
		assert_true(fcntl(fds[i], F_GETFD) >= 0);
		close(fds[i]);
	}
	pin_release_free(release);
}

static void
test_credentials(void **state)
{
	static gid_t groups[] = { OTHER_ID + 2, OTHER_ID + 3 };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	struct launch launch;

	(void)state;
	if (geteuid() != 0)
		skip();
	release = fixture_pin_probe(&spec);
	launch = fixture_launch(release);
	release->credentials = (struct credentials){ .uid = OTHER_ID,
	    .gid = OTHER_ID + 1, .groups = groups, .group_count = 2,
	    .change = true };
	assert_int_equal(fixture_run(&launch), 0);
	assert_says("uid %d %d %d", OTHER_ID, OTHER_ID, OTHER_ID);
	assert_says("gid %d %d %d", OTHER_ID + 1, OTHER_ID + 1, OTHER_ID + 1);
	assert_says("groups %d %d", OTHER_ID + 2, OTHER_ID + 3);
	assert_int_equal(geteuid(), 0);
	release->credentials.groups = NULL;
	pin_release_free(release);
}

/* The old build, whatever lies at its path now. */
static void
test_pinned(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);

	(void)state;
	fixture_install("/bin/false", "probe");
	assert_int_equal(fixture_run(&launch), 0);
	assert_says("end");
	assert_int_equal(unlink(fixture_path("probe")), 0);
	assert_int_equal(fixture_run(&launch), 0);
	assert_says("end");
	pin_release_free(release);
}

static void
test_script(void **state)
{
	char *argv[] = { (char []){ "./script" }, (char []){ "x" },
	    NULL };
	struct spec spec = fixture_spec(argv);
	struct release *release;
	struct launch launch;

	(void)state;
	fixture_write("script", "#!/bin/sh\necho \"$0 $1\"\n", 0755);
	release = fixture_pin(&spec);
	assert_true(release->script);
	launch = fixture_launch(release);
	assert_int_equal(fixture_run(&launch), 0);
	assert_says("%s x", fixture_path("script"));
	pin_release_free(release);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_process),
		TEST(test_own_variables),
		TEST(test_parent_unharmed),
		TEST(test_listeners),
		TEST(test_listeners_in_the_way),
		TEST(test_stored),
		TEST(test_ready_fd),
		TEST(test_many_fds),
		TEST(test_credentials),
		TEST(test_pinned),
		TEST(test_script),
	};
	if (fixture_under_valgrind())
		return FIXTURE_EXIT_SKIPPED;
	return cmocka_run_group_tests(tests, fixture_start_supd, NULL);
}
