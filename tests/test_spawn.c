/*
 * Starting workers: what the child sees (it says so itself, see probe_child.c)
 * and what is said of a start that fails.
 */
#include "spawn_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"
#include "spawn.h"

enum {
	REPORT_BYTES_MAX = 65536,
	TEST_SECONDS_MAX = 60,
	OTHER_ID = 54321,               /* a user that nobody is */
	FILES_LIMIT = 256,
	EXIT_SKIPPED = 77,              /* as automake has it */
};

static char *probe_argv[] = { (char []){ "./probe" }, NULL };
static char report[REPORT_BYTES_MAX];

static void
ignore(int signal_number)
{
	(void)signal_number;
}

static struct release *
pin_probe(struct spec *spec)
{
	fixture_install(fixture_program("probe_child"), "probe");
	return fixture_pin(spec);
}

static struct launch
launch_of(const struct release *release)
{
	struct launch launch = {
		.release = release,
		.id = { .slot = 7, .incarnation = 1 },
		.ready_write_fd = -1,
	};

	return launch;
}

static int
wait_for(const struct process *process)
{
	siginfo_t information;

	assert_int_equal(waitid(P_PIDFD, process->pidfd, &information, WEXITED),
	    0);
	assert_int_equal(information.si_pid, process->pid);
	close(process->pidfd);
	return information.si_code == CLD_EXITED ? information.si_status :
	    128 + information.si_status;
}

/* Starts it with standard output in a file, and keeps what it wrote. */
static int
run(const struct launch *launch)
{
	int out = memfd_create("report", MFD_CLOEXEC);
	int saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 900), status;
	struct spawn_failure failure = { SPAWN_NONE, 0 };
	struct process process = { 0, -1 };
	ssize_t length;
	int result;

	fflush(stdout);
	assert_true(out >= 0 && saved >= 0);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	result = spawn(launch, &process, &failure);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	if (result < 0)
		fail_msg("cannot %s: %s", spawn_stage_text(failure.stage),
		    strerror(failure.error));
	assert_true(process.pidfd >= FD_PRIVATE);
	assert_true(fcntl(process.pidfd, F_GETFD) & FD_CLOEXEC);
	status = wait_for(&process);
	length = pread(out, report, sizeof(report) - 1, 0);
	assert_true(length >= 0);
	report[length] = '\0';
	close(out);
	return status;
}

static bool
says(const char *line)
{
	const char *found = report;
	size_t length = strlen(line);

	while ((found = strstr(found, line)) != NULL) {
		if ((found == report || found[-1] == '\n') &&
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
		fail_msg("no line \"%s\" in:\n%s", line_, report); \
} while (0)

/* The number after a key. */
static long long
value_of(const char *key)
{
	const char *found = strstr(report, key);

	if (found == NULL)
		fail_msg("no \"%s\" in:\n%s", key, report);
	return atoll(found + strlen(key));
}

static unsigned
count_of(const char *key)
{
	const char *found = report;
	unsigned count = 0;

	while ((found = strstr(found, key)) != NULL) {
		count += found == report || found[-1] == '\n';
		found++;
	}
	return count;
}

static void
test_process(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);

	(void)state;
	release->revision = 3;
	umask(077);
	assert_int_equal(run(&launch), 0);
	umask(022);
	assert_says("arg 0 %s", fixture_path("probe"));
	assert_says("cwd %s", fixture_directory());
	assert_says("umask 022");
	assert_int_equal(value_of("\nsid "), value_of("\npid "));
	assert_int_equal(value_of("\npgid "), value_of("\npid "));
	assert_says("files_limit %d", FILES_LIMIT);
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
	release = pin_probe(&spec);
	strcpy(release->version, "1.2 beta");
	launch = launch_of(release);
	launch.notify_path = "/run/x/notify";
	assert_int_equal(run(&launch), 0);
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
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);
	unsigned count = fixture_fd_count();
	sigset_t before, after;
	struct sigaction action;
	int number;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(run(&launch), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (number = 1; number < NSIG; number++)
		assert_int_equal(sigismember(&before, number),
		    sigismember(&after, number));
	assert_int_equal(fixture_fd_count(), count);
	sigaction(SIGUSR1, NULL, &action);
	assert_true(action.sa_handler == ignore);
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
	release = pin_probe(&spec);
	launch = launch_of(release);
	for (count = 0; layout[count] != 0; count++) {
		int fd = memfd_create(names[count], MFD_CLOEXEC);

		fds[count] = fcntl(fd, F_DUPFD_CLOEXEC, 2000);
		close(fd);
	}
	ready = memfd_create("ready", MFD_CLOEXEC);
	place(&ready, 2100);
	if (executable_fd > 0)
		place(&release->executable_fd, executable_fd);
	if (directory_fd > 0)
		place(&release->directory_fd, directory_fd);
	for (i = 0; i < count; i++)
		place(&fds[i], layout[i]);
	spec.ready_fd = 10;
	launch.ready_write_fd = ready;
	launch.listener_fds = fds;
	launch.listener_count = count;
	launch.listener_names = "a:b:c";
	assert_int_equal(run(&launch), 0);
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

static void
test_ready_fd(void **state)
{
	char *argv[] = { (char []){ "./probe" }, (char []){ "ready" },
	    (char []){ "9" }, NULL };
	struct spec spec = fixture_spec(argv);
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);
	char said[4];
	int ends[2];

	(void)state;
	spec.ready = READY_FD;
	spec.ready_fd = 9;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	launch.ready_write_fd = ends[1];
	assert_int_equal(run(&launch), 0);
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
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);
	static int fds[1200];
	unsigned i, count = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	for (i = 0; i < count; i++)
		assert_true((fds[i] = dup(STDERR_FILENO)) >= 0);
	assert_int_equal(run(&launch), 0);
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
	release = pin_probe(&spec);
	launch = launch_of(release);
	release->credentials = (struct credentials){ .uid = OTHER_ID,
	    .gid = OTHER_ID + 1, .groups = groups, .group_count = 2,
	    .change = true };
	assert_int_equal(run(&launch), 0);
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
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);

	(void)state;
	fixture_install("/bin/false", "probe");
	assert_int_equal(run(&launch), 0);
	assert_says("end");
	assert_int_equal(unlink(fixture_path("probe")), 0);
	assert_int_equal(run(&launch), 0);
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
	launch = launch_of(release);
	assert_int_equal(run(&launch), 0);
	assert_says("%s x", fixture_path("script"));
	pin_release_free(release);
}

/* Fails as told, and leaves no process and no fd. */
static void
assert_fails(const struct launch *launch, enum spawn_stage stage, int error)
{
	struct spawn_failure failure = { SPAWN_NONE, 0 };
	struct process process = { 0, -1 };
	unsigned count = fixture_fd_count();

	assert_int_equal(spawn(launch, &process, &failure), -1);
	assert_string_equal(spawn_stage_text(failure.stage),
	    spawn_stage_text(stage));
	assert_int_equal(failure.error, error);
	assert_int_equal(process.pidfd, -1);
	assert_int_equal(fixture_fd_count(), count);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
test_fails_to_execute(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	struct launch launch;
	int writer;

	(void)state;
	fixture_write("probe", "\x7f" "ELF and then nothing of the kind", 0755);
	release = fixture_pin(&spec);
	launch = launch_of(release);
	assert_fails(&launch, SPAWN_EXECUTE, ENOEXEC);
	pin_release_free(release);

	release = pin_probe(&spec);
	launch = launch_of(release);
	writer = open(fixture_path("probe"), O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	assert_fails(&launch, SPAWN_EXECUTE, ETXTBSY);
	close(writer);
	assert_int_equal(chmod(fixture_path("probe"), 0644), 0);
	assert_fails(&launch, SPAWN_EXECUTE, EACCES);
	pin_release_free(release);

	fixture_write("probe", "#!/does/not/exist\n", 0755);
	release = fixture_pin(&spec);
	launch = launch_of(release);
	assert_fails(&launch, SPAWN_EXECUTE, ENOENT);
	pin_release_free(release);
}

static void
test_fails_check(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);

	(void)state;
	fixture_write("probe", "overwritten in place", 0755);
	assert_fails(&launch, SPAWN_CHECK, ESTALE);
	pin_release_free(release);
}

static void
test_fails_before(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);
	int closed = 999, directory = release->directory_fd;

	(void)state;
	launch.listener_fds = &closed;
	launch.listener_count = 1;
	launch.listener_names = "a";
	assert_fails(&launch, SPAWN_FILES, EBADF);
	launch.listener_count = 0;
	release->directory_fd = release->executable_fd;
	assert_fails(&launch, SPAWN_DIRECTORY, ENOTDIR);
	release->directory_fd = directory;
	assert_int_equal(run(&launch), 0);
	pin_release_free(release);
}

/* What an ordinary user may not do; in a child, which has to become one. */
static void
check_unprivileged(const struct launch *launch, struct release *release)
{
	struct spawn_failure failure = { SPAWN_NONE, 0 };
	struct rlimit none = { 0, 0 };
	struct process process;

	if (geteuid() == 0 && setresuid(OTHER_ID, OTHER_ID, OTHER_ID) < 0)
		_exit(1);
	release->credentials.change = true;
	if (spawn(launch, &process, &failure) == 0 ||
	    failure.stage != SPAWN_GROUPS || failure.error != EPERM ||
	    spawn_refused(&failure))
		_exit(2);
	if (setrlimit(RLIMIT_NPROC, &none) < 0 ||
	    spawn(launch, &process, &failure) == 0)
		_exit(3);
	if (failure.stage != SPAWN_CLONE || failure.error != EAGAIN ||
	    !spawn_refused(&failure))
		_exit(4);
	_exit(0);
}

static void
test_fails_unprivileged(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = pin_probe(&spec);
	struct launch launch = launch_of(release);
	int status;
	pid_t pid;

	(void)state;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		check_unprivileged(&launch, release);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	pin_release_free(release);
}

static void
test_refused(void **state)
{
	static const int refused[] = { EAGAIN, ENOMEM, EMFILE, ENFILE };
	static const int build[] = { ENOENT, EACCES, ENOEXEC, ETXTBSY, ESTALE };
	struct spawn_failure failure = { SPAWN_FILES, 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		failure.error = refused[i];
		assert_true(spawn_refused(&failure));
	}
	for (i = 0; i < sizeof(build) / sizeof(build[0]); i++) {
		failure.error = build[i];
		assert_false(spawn_refused(&failure));
	}
}

/* As somebody starts supd: some signals ignored or blocked, one handled. */
static int
start_like_supd(void **state)
{
	struct rlimit limit;
	sigset_t blocked;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, ignore);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = FILES_LIMIT;
	setrlimit(RLIMIT_NOFILE, &limit);
	alarm(TEST_SECONDS_MAX);
	return spawn_init();
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
		TEST(test_ready_fd),
		TEST(test_many_fds),
		TEST(test_credentials),
		TEST(test_pinned),
		TEST(test_script),
		TEST(test_fails_to_execute),
		TEST(test_fails_check),
		TEST(test_fails_before),
		TEST(test_fails_unprivileged),
		TEST(test_refused),
	};
	const char *preload = getenv("LD_PRELOAD");

	/* valgrind knows no clone() with these flags. */
	if (preload != NULL && strstr(preload, "vgpreload") != NULL)
		return EXIT_SKIPPED;
	return cmocka_run_group_tests(tests, start_like_supd, NULL);
}
