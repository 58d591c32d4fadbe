/*
 * Starts that fail: each is reported with its stage and errno, leaves neither a
 * process nor an fd behind, and is told apart from a system that is full.
 */
#include "spawn_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pin.h"
#include "spawn.h"

enum { OTHER_ID = 54321 };        /* a user that nobody is */

static char *probe_argv[] = { (char []){ "./probe" }, NULL };

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
	launch = fixture_launch(release);
	assert_fails(&launch, SPAWN_EXECUTE, ENOEXEC);
	pin_release_free(release);

	release = fixture_pin_probe(&spec);
	launch = fixture_launch(release);
	writer = open(fixture_path("probe"), O_WRONLY | O_CLOEXEC);
	assert_true(writer >= 0);
	assert_fails(&launch, SPAWN_EXECUTE, ETXTBSY);
	close(writer);
	assert_int_equal(chmod(fixture_path("probe"), 0644), 0);
	assert_fails(&launch, SPAWN_EXECUTE, EACCES);
	pin_release_free(release);

	fixture_write("probe", "#!/does/not/exist\n", 0755);
	release = fixture_pin(&spec);
	launch = fixture_launch(release);
	assert_fails(&launch, SPAWN_EXECUTE, ENOENT);
	pin_release_free(release);
}

static void
test_fails_before(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
	int closed = 999, directory = release->directory_fd;

	(void)state;
	launch.passed_fds = &closed;
	launch.passed_count = 1;
	launch.passed_names = "a";
	assert_fails(&launch, SPAWN_FILES, EBADF);
	launch.passed_count = 0;
	release->directory_fd = release->executable_fd;
	assert_fails(&launch, SPAWN_DIRECTORY, ENOTDIR);
	release->directory_fd = directory;
	assert_int_equal(fixture_run(&launch), 0);
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
	struct release *release = fixture_pin_probe(&spec);
	struct launch launch = fixture_launch(release);
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

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fails_to_execute),
		TEST(test_fails_before),
		TEST(test_fails_unprivileged),
		TEST(test_refused),
	};

	if (fixture_under_valgrind())
		return FIXTURE_EXIT_SKIPPED;
	return cmocka_run_group_tests(tests, fixture_start_supd, NULL);
}
