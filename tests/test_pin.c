/*
 * Pinning a build: what is resolved and kept, what is refused and with which
 * words, and that damaged ELF files do no harm.
 */
#include "spawn_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fd.h"
#include "pin.h"
#include "../src/pin_parts.h"

static char *probe_argv[] = { (char []){ "./bin/probe" }, NULL };

static const char *
probe(void)
{
	return fixture_program("probe_child");
}

static void
make_release(const char *name)
{
	char path[64];

	assert_int_equal(mkdir(fixture_path(name), 0755), 0);
	snprintf(path, sizeof(path), "%s/bin", name);
	assert_int_equal(mkdir(fixture_path(path), 0755), 0);
	snprintf(path, sizeof(path), "%s/bin/probe", name);
	fixture_install(probe(), path);
}

/* As a working directory. */
static char *
r1(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s", fixture_path("r1"));
	return path;
}

/* pin_release() that must fail, with these words. */
static void
assert_refused(struct spec *spec, const char *words)
{
	char text[REASON_BYTES_MAX] = "";
	unsigned count = fixture_fd_count();
	struct release *release = pin_release(spec, text);

	assert_null(release);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", words, text);
	assert_int_equal(fixture_fd_count(), count);
	assert_int_equal(spec->reference_count, 1);
}

static const char *
variable(const struct release *release, const char *name)
{
	return pin_environment_value(release->environment, name);
}

static void
test_resolves(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	char current[256];
	struct release *release;
	unsigned count = fixture_fd_count();

	(void)state;
	make_release("r1");
	assert_int_equal(symlink("r1", fixture_path("current")), 0);
	snprintf(current, sizeof(current), "%s", fixture_path("current"));
	spec.working_directory = current;
	release = fixture_pin(&spec);
	assert_string_equal(release->path, fixture_path("r1/bin/probe"));
	assert_string_equal(release->directory, fixture_path("r1"));
	assert_string_equal(variable(release, "PWD"), release->directory);
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
	make_release("r1");
	make_release("r2");
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
	make_release("r1");
	assert_int_equal(mkdir(fixture_path("probe"), 0755), 0);
	fixture_write("r1/probe", "not executable", 0644);
	snprintf(path, sizeof(path), "PATH=.:%s:%s:%s", fixture_directory(),
	    fixture_path("r1"), fixture_path("r1/bin"));
	spec.environment = environment;
	release = fixture_pin(&spec);
	assert_string_equal(release->path, fixture_path("r1/bin/probe"));
	pin_release_free(release);
	snprintf(path, sizeof(path), "PATH=%s", fixture_directory());
	assert_refused(&spec, "command probe is not in any directory of PATH");
}

static void
test_refuses_commands(void **state)
{
	char *argv[] = { NULL, NULL };
	struct spec spec = fixture_spec(argv);

	(void)state;
	argv[0] = (char []){ "./nothing" };
	assert_refused(&spec, "command ./nothing: No such file");
	argv[0] = (char []){ "./" };
	assert_refused(&spec, "is a directory, it must be an executable file");
	argv[0] = (char []){ "/dev/null" };
	assert_refused(&spec, "is not a regular file");
	fixture_write("plain", "x", 0644);
	argv[0] = (char []){ "./plain" };
	assert_refused(&spec, "no execute permission, its mode is 0644");
	argv[0] = (char []){ "./plain/x" };
	assert_refused(&spec, "Not a directory");
	spec.working_directory = (char []){ "/does/not/exist" };
	assert_refused(&spec, "working_directory /does/not/exist: No such");
	spec.working_directory = (char []){ "/dev/null" };
	assert_refused(&spec, "working_directory /dev/null: Not a directory");
}

static void
test_refuses_ready_fd(void **state)
{
	char *listeners[] = { (char []){ "a" }, (char []){ "b" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;

	(void)state;
	make_release("r1");
	spec.working_directory = r1();
	spec.listeners = listeners;
	spec.ready = READY_FD;
	spec.ready_fd = 4;
	assert_refused(&spec, "fd 4 is taken by a listener, fd 5 and above");
	spec.ready_fd = 0;
	assert_refused(&spec, "fd 0 is taken by standard input");
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

	fixture_install(probe(), "script");
	release = fixture_pin(&spec);
	fixture_install(probe(), "script");
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
	make_release("r1");
	spec.working_directory = r1();
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
	assert_string_equal(variable(clone, "PWD"), clone->directory);
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
	make_release("r1");
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
	fixture_install(probe(), "r1/bin/probe");
	assert_false(fingerprint_of(&spec) == first);
}

static void
test_environment(void **state)
{
	char *environment[] = { (char []){ "B=config" }, (char []){ "C=" },
	    (char []){ "PWD=/elsewhere" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;

	(void)state;
	make_release("r1");
	spec.working_directory = r1();
	fixture_write("r1/env", "# comment\n\n  A = 1\nB=file\n", 0644);
	spec.environment_file = (char []){ "env" };
	assert_refused(&spec, "environment_file env, line 3: a name consists");
	fixture_write("r1/env", "# comment\r\n\n A=one two \r\nB=file\nQ=\" x \""
	    "\nE=\nR='it'\"s'\nT=a=b#c", 0644);
	spec.environment = environment;
	setenv("A", "inherited", 1);
	setenv("I", "inherited", 1);
	release = fixture_pin(&spec);
	assert_string_equal(variable(release, "A"), "one two");
	assert_string_equal(variable(release, "B"), "config");
	assert_string_equal(variable(release, "C"), "");
	assert_string_equal(variable(release, "E"), "");
	assert_string_equal(variable(release, "I"), "inherited");
	assert_string_equal(variable(release, "Q"), " x ");
	assert_string_equal(variable(release, "R"), "it'\"s");
	assert_string_equal(variable(release, "T"), "a=b#c");
	assert_string_equal(variable(release, "PWD"), release->directory);
	pin_release_free(release);
}

static void
test_scrubs(void **state)
{
	static const char *const names[] = { "LISTEN_FDS", "LISTEN_PID",
	    "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID",
	    "WATCHDOG_USEC", "SUPD_SLOT", "SUPD_CONTROL", "OLDPWD", "FDSTORE",
	    "MAINPID" };
	char *environment[] = { (char []){ "SUPD_SLOT=1" }, NULL };
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	unsigned i;

	(void)state;
	make_release("r1");
	spec.working_directory = r1();
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setenv(names[i], "1", 1);
	setenv("NOTIFY_SOCKETS", "kept", 1);
	release = fixture_pin(&spec);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_null(variable(release, names[i]));
		unsetenv(names[i]);
	}
	assert_string_equal(variable(release, "NOTIFY_SOCKETS"), "kept");
	pin_release_free(release);
	spec.environment = environment;
	assert_refused(&spec, "environment `SUPD_SLOT`: supd itself sets");
}

static void
test_refuses_environment(void **state)
{
	static char big[ENVIRONMENT_FILE_BYTES_MAX + 2];
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "A=1\nnonsense\n", "line 2: expected NAME=value" },
		{ "=x\n", "line 1: expected NAME=value" },
		{ "1A=x\n", "line 1: a name does not start with a digit" },
		{ "export A=x\n", "line 1: a name consists of letters" },
		{ "A=\"x\n", "line 1: a quote is not closed" },
		{ "\n\nLISTEN_FDS=1\n", "line 3: supd itself sets" },
		{ big, "longer than 64 KiB" },
	};
	struct spec spec = fixture_spec(probe_argv);
	unsigned i;

	(void)state;
	make_release("r1");
	memset(big, '\n', sizeof(big) - 1);
	spec.working_directory = r1();
	spec.environment_file = (char []){ "env" };
	assert_refused(&spec, "environment_file env: No such file");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fixture_write("r1/env", cases[i].text, 0644);
		assert_refused(&spec, cases[i].words);
	}
	fixture_write("r1/env", "A=1\nBCDEF\n", 0644);
	assert_int_equal(truncate(fixture_path("r1/env"), 20), 0);
	assert_refused(&spec, "NUL byte");
}

static void
test_version(void **state)
{
	struct spec spec = fixture_spec(probe_argv);
	struct release *release;
	char text[VERSION_BYTES_MAX + 2];

	(void)state;
	make_release("r1");
	spec.working_directory = r1();
	spec.version_file = (char []){ "VERSION" };
	assert_refused(&spec, "version file VERSION: No such file");
	fixture_write("r1/VERSION", "  1.2 beta\t\r\nmore\n", 0644);
	release = fixture_pin(&spec);
	assert_string_equal(release->version, "1.2 beta");
	pin_release_free(release);
	fixture_write("r1/VERSION", "\n1.2\n", 0644);
	assert_refused(&spec, "must have 1 to 64 characters");
	fixture_write("r1/VERSION", "1\0332\n", 0644);
	assert_refused(&spec, "printable");
	memset(text, 'v', sizeof(text));
	text[VERSION_BYTES_MAX + 1] = '\0';
	fixture_write("r1/VERSION", text, 0644);
	assert_refused(&spec, "must have 1 to 64 characters");
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
	make_release("r1");
	spec.working_directory = r1();
	release = fixture_pin(&spec);
	assert_false(release->credentials.change);
	assert_int_equal(release->credentials.uid, geteuid());
	pin_release_free(release);
	spec.user = (char []){ "no-such-user" };
	assert_refused(&spec, "user no-such-user does not exist");
	spec.user = (char []){ "54321" };
	assert_refused(&spec, "`group` must be set too");
	spec.group = (char []){ "no-such-group" };
	assert_refused(&spec, "group no-such-group does not exist");
	spec.group = (char []){ "54322" };
	if (geteuid() != 0) {
		assert_refused(&spec, "only root can change that");
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
	assert_string_equal(variable(release, "USER"), "daemon");
	assert_non_null(variable(release, "HOME"));
	pin_release_free(release);
}

/* Each byte of the front matter changed at random, many times over. */
static void
test_damaged_elf(void **state)
{
	enum { FRONT_BYTES = 1024, ROUNDS = 20000 };
	static unsigned char front[FRONT_BYTES];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("elf", MFD_CLOEXEC), round, i;
	struct identity identity;
	unsigned seed = 1;

	(void)state;
	assert_true(from >= 0 && fd >= 0);
	assert_true(pin_elf_read(from, &identity));
	assert_int_equal(read(from, front, FRONT_BYTES), FRONT_BYTES);
	assert_int_equal(write(fd, front, FRONT_BYTES), FRONT_BYTES);
	for (round = 0; round < ROUNDS; round++) {
		unsigned char bytes[FRONT_BYTES];

		memcpy(bytes, front, FRONT_BYTES);
		for (i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			bytes[(seed >> 8) % FRONT_BYTES] = i % 2 ? 0xff :
			    (unsigned char)(seed >> 20);
		}
		assert_int_equal(pwrite(fd, bytes, FRONT_BYTES, 0),
		    FRONT_BYTES);
		(void)pin_elf_read(fd, &identity);
		assert_in_range(identity.build_id_bytes, 0,
		    BUILD_ID_BYTES_MAX);
	}
	for (i = 0; i < FRONT_BYTES; i += 7) {
		assert_int_equal(pwrite(fd, front, FRONT_BYTES, 0),
		    FRONT_BYTES);
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(pin_elf_read(fd, &identity), i >= 16);
	}
	close(from);
	close(fd);
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
		TEST(test_environment),
		TEST(test_scrubs),
		TEST(test_refuses_environment),
		TEST(test_version),
		TEST(test_accounts),
		TEST(test_damaged_elf),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
