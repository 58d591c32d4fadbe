/*
 * Pinning a build: what is resolved and kept, what is refused and with which
 * words.
 */
#include "spawn_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"
#include "../src/pin_parts.h"

static char *probe_argv[] = { (char []){ "./bin/probe" }, NULL };

static void
test_resolves(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	char current[256];
	struct release *release;
	unsigned count = fixture_fd_count();

	(void)state;
	fixture_release("r1");
	assert_int_equal(symlink("r1", fixture_path("current")), 0);
	snprintf(current, sizeof(current), "%s", fixture_path("current"));
	spec.working_directory = current;
	release = fixture_pin(&spec);
	assert_string_equal(release->path, fixture_path("r1/bin/probe"));
	assert_string_equal(release->directory, fixture_path("r1"));
	assert_string_equal(fixture_variable(release, "PWD"), release->directory);
	assert_in_range(release->executable_fd, FD_SOURCE, FD_PRIVATE - 1);
	assert_in_range(release->directory_fd, FD_SOURCE, FD_PRIVATE - 1);
	assert_true(fcntl(release->executable_fd, F_GETFL) & O_PATH);
	assert_false(release->script);
	assert_int_equal(spec.reference_count, 2);
	assert_int_equal(release->identity.build_id_bytes, BUILD_ID_BYTES_MAX);
	assert_int_equal(pin_check(release), 0);
	pin_release_free(release);
	assert_int_equal(spec.reference_count, 1);
	assert_int_equal(fixture_fd_count(), count);
	pin_release_free(NULL);
}

static void
test_look(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct identity before, after;
	unsigned count = fixture_fd_count();
	char current[256];
	struct release *release;

	(void)state;
	fixture_release("r1");
	fixture_release("r2");
	assert_int_equal(symlink("r1", fixture_path("current")), 0);
	snprintf(current, sizeof(current), "%s", fixture_path("current"));
	spec.working_directory = current;
	release = fixture_pin(&spec);
	assert_int_equal(pin_look(&spec, &before), 0);
	assert_true(identity_equal(&before, &release->identity));
	assert_int_equal(unlink(current), 0);
	assert_int_equal(pin_look(&spec, &after), -ENOENT);
	assert_int_equal(symlink("r2", current), 0);
	assert_int_equal(pin_look(&spec, &after), 0);
	assert_false(identity_equal(&after, &release->identity));
	assert_int_equal(pin_check(release), 0);
	pin_release_free(release);
	assert_int_equal(fixture_fd_count(), count);
}

static void
test_search_path(void **state)
{
	char *argv[] = { (char []){ "probe" }, NULL };
	char path[600];
	char *environment[] = { path, NULL };
	struct spec spec = fixture_spec(argv);
	struct release *release;

	(void)state;
	fixture_release("r1");
	fixture_release("r2");
	assert_int_equal(chdir(fixture_path("r2/bin")), 0);
	assert_int_equal(mkdir(fixture_path("probe"), 0755), 0);
	fixture_write("r1/probe", "not executable", 0644);
	snprintf(path, sizeof(path), "PATH=.:%s:%s:%s", fixture_directory(),
	    fixture_path("r1"), fixture_path("r1/bin"));
	spec.environment = environment;
	release = fixture_pin(&spec);
	assert_string_equal(release->path, fixture_path("r1/bin/probe"));
	pin_release_free(release);
	snprintf(path, sizeof(path), "PATH=%s", fixture_directory());
	fixture_refused(&spec, "command probe is not in any directory of PATH");
	assert_int_equal(chdir("/"), 0);
}

static void
test_refuses_commands(void **state)
{
	char *argv[] = { NULL, NULL };
	struct spec spec = fixture_spec(argv);

	(void)state;
	argv[0] = (char []){ "./nothing" };
	fixture_refused(&spec, "command ./nothing: No such file");
	argv[0] = (char []){ "./" };
	fixture_refused(&spec, "is a directory, it must be an executable file");
	argv[0] = (char []){ "/dev/null" };
	fixture_refused(&spec, "is not a regular file");
	fixture_write("plain", "x", 0644);
	argv[0] = (char []){ "./plain" };
	fixture_refused(&spec, "no execute permission, its mode is 0644");
	argv[0] = (char []){ "./plain/x" };
	fixture_refused(&spec, "Not a directory");
	spec.working_directory = (char []){ "/does/not/exist" };
	fixture_refused(&spec, "working_directory /does/not/exist: No such");
	spec.working_directory = (char []){ "/dev/null" };
	fixture_refused(&spec, "working_directory /dev/null: Not a directory");
}

static void
test_refuses_ready_fd(void **state)
{
	char *listeners[] = { (char []){ "a" }, (char []){ "b" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	spec.listeners = listeners;
	spec.ready = READY_FD;
	spec.ready_fd = 4;
	fixture_refused(&spec, "fd 4 is taken by a listener, fd 5 and above");
	spec.ready_fd = 0;
	fixture_refused(&spec, "fd 0 is taken by standard input");
	spec.ready_fd = 5;
	release = fixture_pin(&spec);
	pin_release_free(release);
}

static void
test_check(void **state)
{
	char *argv[] = { (char []){ "./script" }, NULL };
	struct spec spec = fixture_spec(argv);
	struct release *release;

	(void)state;
	fixture_write("script", "#!/bin/sh\n", 0755);
	release = fixture_pin(&spec);
	assert_true(release->script);
	assert_int_equal(pin_check(release), 0);
	assert_int_equal(rename(fixture_path("script"), fixture_path("x")), 0);
	assert_int_equal(pin_check(release), -ESTALE);
	fixture_write("script", "#!/bin/sh\n", 0755);
	assert_int_equal(pin_check(release), -ESTALE);
	pin_release_free(release);

	fixture_install(fixture_program("probe_child"), "script");
	release = fixture_pin(&spec);
	fixture_install(fixture_program("probe_child"), "script");
	assert_int_equal(pin_check(release), 0);
	pin_release_free(release);
	release = fixture_pin(&spec);
	assert_int_equal(truncate(fixture_path("script"), 100), 0);
	assert_int_equal(pin_check(release), -ESTALE);
	pin_release_free(release);
}

static void
test_clone(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	char text[REASON_BYTES_MAX];
	struct release *release, *clone;
	unsigned count = fixture_fd_count();

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	release = fixture_pin(&spec);
	release->commit_time_s = 5;
	strcpy(release->version, "v5");
	clone = pin_clone(release, text);
	assert_non_null(clone);
	assert_int_equal(spec.reference_count, 3);
	assert_string_equal(clone->path, release->path);
	assert_string_equal(clone->version, "v5");
	assert_int_equal(clone->commit_time_s, 5);
	assert_true(clone->fingerprint == release->fingerprint);
	assert_true(identity_equal(&clone->identity, &release->identity));
	assert_int_not_equal(clone->executable_fd, release->executable_fd);
	pin_release_free(release);
	assert_int_equal(pin_check(clone), 0);
	assert_string_equal(fixture_variable(clone, "PWD"), clone->directory);
	pin_release_free(clone);
	assert_int_equal(fixture_fd_count(), count);
}

static uint64_t
fingerprint_of(struct spec *spec)
{
	struct release *release = fixture_pin(spec);
	uint64_t fingerprint = release->fingerprint;

	pin_release_free(release);
	return fingerprint;
}

static void
test_fingerprint(void **state)
{
	char *argv[] = { (char []){ "./r1/bin/probe" }, NULL, NULL };
	char *environment[] = { (char []){ "A=1" }, NULL };
	char *listeners[] = { (char []){ "web" }, NULL };
	struct spec spec = fixture_spec(argv), other;
	uint64_t first;

	(void)state;
	fixture_release("r1");
	first = fingerprint_of(&spec);
	assert_true(fingerprint_of(&spec) == first);
	setenv("INVOCATION_ID", "another", 1);
	assert_true(fingerprint_of(&spec) == first);
	other = spec;
	other.workers = 9;
	assert_true(fingerprint_of(&other) == first);
	other.environment = environment;
	assert_false(fingerprint_of(&other) == first);
	other = spec;
	other.listeners = listeners;
	assert_false(fingerprint_of(&other) == first);
	other = spec;
	other.watchdog_ms = 5;
	assert_false(fingerprint_of(&other) == first);
	argv[1] = (char []){ "-x" };
	assert_false(fingerprint_of(&spec) == first);
	argv[1] = NULL;
	fixture_install(fixture_program("probe_child"), "r1/bin/probe");
	assert_false(fingerprint_of(&spec) == first);
}

static void
test_version(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	char text[VERSION_BYTES_MAX + 2];

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	spec.version_file = (char []){ "VERSION" };
	fixture_refused(&spec, "version file VERSION: No such file");
	fixture_write("r1/VERSION", "  1.2 beta\t\r\nmore\n", 0644);
	release = fixture_pin(&spec);
	assert_string_equal(release->version, "1.2 beta");
	pin_release_free(release);
	fixture_write("r1/VERSION", "\n1.2\n", 0644);
	fixture_refused(&spec, "must have 1 to 64 characters");
	fixture_write("r1/VERSION", "1\0332\n", 0644);
	fixture_refused(&spec, "printable");
	memset(text, 'v', sizeof(text));
	text[VERSION_BYTES_MAX + 1] = '\0';
	fixture_write("r1/VERSION", text, 0644);
	fixture_refused(&spec, "must have 1 to 64 characters");
	text[VERSION_BYTES_MAX] = '\0';
	fixture_write("r1/VERSION", text, 0644);
	release = fixture_pin(&spec);
	assert_string_equal(release->version, text);
	pin_release_free(release);
}

static void
test_accounts(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;

	(void)state;
	fixture_release("r1");
	spec.working_directory = fixture_r1();
	release = fixture_pin(&spec);
	assert_false(release->credentials.change);
	assert_int_equal(release->credentials.uid, geteuid());
	pin_release_free(release);
	spec.user = (char []){ "no-such-user" };
	fixture_refused(&spec, "user no-such-user does not exist");
	spec.user = (char []){ "54321" };
	fixture_refused(&spec, "`group` must be set too");
	spec.group = (char []){ "no-such-group" };
	fixture_refused(&spec, "group no-such-group does not exist");
	spec.group = (char []){ "54322" };
	if (geteuid() != 0) {
		fixture_refused(&spec, "only root can change that");
		return;
	}
	release = fixture_pin(&spec);
	assert_true(release->credentials.change);
	assert_int_equal(release->credentials.uid, 54321);
	assert_int_equal(release->credentials.gid, 54322);
	assert_int_equal(release->credentials.group_count, 0);
	pin_release_free(release);
	spec.user = (char []){ "daemon" };
	spec.group = NULL;
	release = fixture_pin(&spec);
	assert_true(release->credentials.uid > 0);
	assert_true(release->credentials.group_count >= 1);
	assert_string_equal(fixture_variable(release, "USER"), "daemon");
	assert_non_null(fixture_variable(release, "HOME"));
	pin_release_free(release);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_resolves),
		TEST(test_look),
		TEST(test_search_path),
		TEST(test_refuses_commands),
		TEST(test_refuses_ready_fd),
		TEST(test_check),
		TEST(test_clone),
		TEST(test_fingerprint),
		TEST(test_version),
		TEST(test_accounts),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
