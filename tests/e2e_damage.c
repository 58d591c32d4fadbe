/*
 * supd crashes, and what it has left is damaged or old: it is said, and nobody
 * notices.
 *
 * The damage is done through /proc to the texts in memory that a supd leaves to
 * the next (live_resume.h), while it is stopped.
 */
#include "e2e.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "release.h"

enum {
	WORKERS = 2,
	RATE = 500,
	START_OFFSET = 16,              /* of a journal's head */
	MEMORY_BYTES_MAX = 1 << 20,
};

static char target[32];
static struct load load;

struct memory {
	char bytes[MEMORY_BYTES_MAX];
	size_t size_bytes;
};

static void
configure(void)
{
	e2e_configure_web(target, WORKERS, "");
}

static bool
start(unsigned how)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install_counted("web", "v1", "--slow-start 60");
	configure();
	return supd_start_ready_how(how, WORKERS);
}

/* And under load. */
static void
begin(unsigned how)
{
	assert_true(start(how));
	load_start(&load, target, RATE, 20);
	load_await_version(&load, "v1");
	log_mark();
}

static void
stop(void)
{
	assert_int_equal(status_number("web", "ready"), WORKERS);
	assert_int_equal(status_number("web", "worker_list"), WORKERS);
	assert_string_equal(ask_version(target), "v1");
	supd_stop();
}

/* No user has noticed, and supd has come to rest. */
static void
end(void)
{
	(void)load_end_clean(&load);
	stop();
}

/*
 * Crashes
 */

static void
crash(int signo)
{
	char pids[1024], why[32], logged[64];
	pid_t pid;

	assert_true(start(SUPD_PLAIN));
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	pid = supd_own_pid();
	supd_strike(signo);
	snprintf(why, sizeof(why), "crashed: SIG%s", sigabbrev_np(signo));
	snprintf(logged, sizeof(logged), "SIG%s; backtrace:",
	    sigabbrev_np(signo));
	assert_string_equal(restarted_why(), why);
	log_await(logged);
	assert_true(log_count("[0x") > 2);
	assert_int_equal(supd_own_pid(), pid);
	assert_string_equal(worker_pids("web"), pids);
	stop();
}

static void
test_crashes(void **state)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL,
	    SIGFPE };

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		crash(signals[i]);
}

/* Its workers serve without it; whoever finds them ends them. */
static void
test_second_crash(void **state)
{
	(void)state;
	begin(SUPD_PLAIN);
	supd_strike(SIGSEGV);
	supd_strike(SIGABRT);
	assert_int_equal(supd_wait(), 128 + SIGABRT);
	assert_int_equal(log_count("without one workers go on alone"), 1);
	load_await_second(&load);
	assert_string_equal(ask_version(target), "v1");
	(void)load_end_clean(&load);
}

/* Nobody would start it again, and all others would end with it. */
static void
test_first_process(void **state)
{
	(void)state;
	if (!start(SUPD_AS_INIT))
		skip();
	supd_signal(SIGSEGV);
	log_await("goes on (crashed: SIGSEGV)");
	supd_signal(SIGABRT);
	log_await("goes on (crashed: SIGABRT)");
	assert_int_equal(log_count("a pause"), 1);
	stop();
}

static void
test_few_fds(void **state)
{
	(void)state;
	e2e_fd_limit = 64;
	assert_true(start(SUPD_FEW_FDS));
	supd_strike(SIGSEGV);
	stop();
}

/*
 * Damage
 */

enum place { HEAD, TEXT };

/* The head says where the text begins, see journal.c. */
static void
overwrite(const char *name, enum place place, const char *text)
{
	int fd = supd_memory_open(name);
	uint64_t start_bytes = 0;

	if (place == TEXT)
		assert_int_equal(pread(fd, &start_bytes, sizeof(start_bytes),
		    START_OFFSET), sizeof(start_bytes));
	assert_int_equal(pwrite(fd, text, strlen(text), (off_t)start_bytes),
	    strlen(text));
	close(fd);
}

static void
await_successors(void)
{
	log_await("cannot be used");
	log_await_count("is told to end", WORKERS);
	assert_true(log_count(" ready\n") >= WORKERS);
	log_await_count("which nobody claimed, has ended", WORKERS);
}

static void
lose_state(enum place place, const char *text)
{
	char pids[1024];

	begin(SUPD_PLAIN);
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	overwrite("supd-state", place, text);
	supd_strike(SIGSEGV);
	await_successors();
	assert_string_not_equal(worker_pids("web"), pids);
	end();
}

static void
test_state(void **state)
{
	(void)state;
	lose_state(HEAD, "garbage");
	lose_state(TEXT, "{\"supd-state\":99,\"readable-from\":99}\n");
}

static void
test_world(void **state)
{
	char pids[1024];

	(void)state;
	begin(SUPD_PLAIN);
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	overwrite("supd-world", HEAD, "garbage");
	supd_strike(SIGSEGV);
	log_await("goes on (crashed: SIGSEGV)");
	log_await("supd-world, which the supd before has left, cannot be read");
	assert_string_equal(worker_pids("web"), pids);
	end();
}

static void
test_both(void **state)
{
	(void)state;
	begin(SUPD_PLAIN);
	overwrite("supd-world", HEAD, "garbage");
	overwrite("supd-state", TEXT, "garbage");
	supd_strike(SIGSEGV);
	await_successors();
	end();
}

/* What the parent keeps is the new supd's, and not what was damaged; a worker
 * that it has lost is found in /proc. */
static void
test_under_parent(void **state)
{
	char pids[1024];

	(void)state;
	begin(SUPD_UNDER_INIT);
	if (geteuid() == 0)
		supd_tell_parent("FDSTOREREMOVE=1\nFDNAME=w1.1");
	overwrite("supd-state", TEXT, "garbage");
	supd_strike(SIGKILL);
	await_successors();
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	log_mark();
	supd_strike(SIGKILL);
	log_await("goes on (was killed");
	assert_int_equal(log_count("cannot be used"), 0);
	assert_string_equal(worker_pids("web"), pids);
	end();
}

/* Who comes before the successors are ready leaves the others alone as well. */
static void
test_twice(void **state)
{
	(void)state;
	begin(SUPD_UNDER_INIT);
	e2e_install_counted("web", "v1", "--slow-start 1000");
	overwrite("supd-state", TEXT, "garbage");
	supd_strike(SIGKILL);
	log_await_count(" started\n", WORKERS);
	supd_strike(SIGKILL);
	log_await("goes on (was killed");
	log_await_ready(WORKERS);
	assert_int_equal(log_count("is told to end"), 0);
	log_await_count("is told to end", WORKERS);
	log_await_count("which nobody claimed, has ended", WORKERS);
	end();
}

/* They are not orphans of workers that are gone, which are killed. */
static void
test_orphans(void **state)
{
	pid_t pid;

	(void)state;
	assert_true(start(SUPD_PLAIN));
	pid = worker_pid("web", 0);
	e2e_install_counted("web", "v2", "--slow-start 500");
	overwrite("supd-state", TEXT, "garbage");
	supd_strike(SIGSEGV);
	log_await_count(" started\n", WORKERS);
	assert_int_equal(kill(pid, SIGKILL), 0);
	log_await("which nobody claimed, has ended");
	/* Somebody of its own ends: now it looks for orphans. */
	supctl("signal", "web", "KILL");
	log_await("was ended by signal 9");
	assert_string_equal(ask_version(target), "v1");
	log_await_ready(WORKERS);
	log_await_count("which nobody claimed, has ended", WORKERS);
	assert_int_equal(log_count("outlived its worker"), 0);
	supd_stop();
}

static void
test_configuration(void **state)
{
	char pids[1024];

	(void)state;
	begin(SUPD_PLAIN);
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	e2e_write("supd.conf", 0644, "[nonsense\n");
	supd_strike(SIGSEGV);
	log_await("goes on (crashed: SIGSEGV)");
	assert_string_equal(worker_pids("web"), pids);
	end();
}

/* Neither: its parent starts it until there is a configuration. */
static void
test_nothing(void **state)
{
	(void)state;
	begin(SUPD_UNDER_INIT);
	e2e_write("supd.conf", 0644, "[nonsense\n");
	overwrite("supd-state", TEXT, "garbage");
	supd_strike(SIGKILL);
	log_await("cannot go on without the configuration");
	load_await_second(&load);
	configure();
	await_successors();
	end();
}

/*
 * Turns that were lost
 */

static void
read_memory(struct memory *memory)
{
	int fd = supd_memory_open("supd-state");
	ssize_t size = pread(fd, memory->bytes, sizeof(memory->bytes) - 1, 0);

	assert_true(size > START_OFFSET && (size_t)size < sizeof(memory->bytes));
	memory->size_bytes = (size_t)size;
	memory->bytes[size] = '\0';
	close(fd);
}

/* It crashes as if this were the last that it has written; what is behind is
 * empty. */
static void
crash_with(const struct memory *memory)
{
	int fd = supd_memory_open("supd-state");
	pid_t pid = supd_own_pid();

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, memory->bytes, memory->size_bytes, 0),
	    memory->size_bytes);
	close(fd);
	assert_int_equal(kill(pid, SIGSEGV), 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
}

/* One that the state does not know yet ends, one that it still knows, too. */
static void
test_lost_turn(void **state)
{
	static struct memory memory;
	pid_t pid;

	(void)state;
	begin(SUPD_PLAIN);
	read_memory(&memory);
	pid = worker_pid("web", 0);
	assert_int_equal(kill(pid, SIGTERM), 0);
	await_gone(pid);
	log_await_ready(1);
	log_mark();
	crash_with(&memory);
	log_await("cannot be followed any more");
	log_await("is told to end");
	assert_true(log_count(" ready\n") >= 1);
	log_await("which nobody claimed, has ended");
	end();
}

/* The turns end with lines like {"commit":12,"lines":3,"sum":"0x…"}. */
static void
put_sums_right(char *text)
{
	char sum[24], *turn = text, *end;

	while ((end = strstr(turn, "\n{\"commit\"")) != NULL) {
		end++;
		snprintf(sum, sizeof(sum), "0x%016" PRIx64, release_hash(
		    RELEASE_HASH_START, turn, (size_t)(end - turn)));
		memcpy(strstr(end, "\"0x") + 1, sum, strlen(sum));
		turn = strchr(end, '\n') + 1;
	}
}

static void
replace_pid(struct memory *memory, pid_t old_pid, pid_t new_pid)
{
	char old[32], new[32], *text, *place, *rest;
	uint64_t start_bytes;
	unsigned count = 0;

	memcpy(&start_bytes, memory->bytes + START_OFFSET, sizeof(start_bytes));
	text = memory->bytes + start_bytes;
	snprintf(old, sizeof(old), "\"pid\":%d,", (int)old_pid);
	snprintf(new, sizeof(new), "\"pid\":%d,", (int)new_pid);
	for (place = text; (place = strstr(place, old)) != NULL; count++) {
		rest = place + strlen(old);
		memmove(place + strlen(new), rest, strlen(rest) + 1);
		memcpy(place, new, strlen(new));
		memory->size_bytes += strlen(new) - strlen(old);
	}
	assert_true(count > 0);
	put_sums_right(text);
}

/* The pid of a worker is somebody else's now, who is left alone. */
static void
test_reused_pid(void **state)
{
	static struct memory memory;
	struct program stranger;
	const char *argv[] = { e2e_program("tests/worker"), "--listen",
	    "127.0.0.1:0", NULL };
	pid_t pid;

	(void)state;
	begin(SUPD_PLAIN);
	program_start(&stranger, argv, 0);
	pid = worker_pid("web", 0);
	read_memory(&memory);
	replace_pid(&memory, pid, stranger.pid);
	crash_with(&memory);
	log_await("cannot be followed any more");
	log_await("is told to end");
	log_await("which nobody claimed, has ended");
	await_gone(pid);
	assert_int_equal(waitpid(stranger.pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(stranger.pid, SIGKILL), 0);
	(void)program_end(&stranger);
	end();
}

/*
 * Fds that were lost
 */

/* A worker is known by the notify socket that it was started with. */
static void
test_lost_fds(void **state)
{
	char pids[1024];

	(void)state;
	if (geteuid() != 0)
		skip();
	begin(SUPD_UNDER_INIT);
	snprintf(pids, sizeof(pids), "%s", worker_pids("web"));
	supd_tell_parent("FDSTOREREMOVE=1\nFDNAME=w1.1");
	supd_strike(SIGKILL);
	log_await("goes on (was killed");
	log_await("with 8 fds");                /* of ten */
	assert_int_equal(log_count("cannot be followed"), 0);
	assert_string_equal(worker_pids("web"), pids);
	end();
	assert_int_equal(log_count("nobody claim"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_crashes),
		E2E_TEST(test_second_crash),
		E2E_TEST(test_first_process),
		E2E_TEST(test_few_fds),
		E2E_TEST(test_state),
		E2E_TEST(test_world),
		E2E_TEST(test_both),
		E2E_TEST(test_under_parent),
		E2E_TEST(test_twice),
		E2E_TEST(test_orphans),
		E2E_TEST(test_configuration),
		E2E_TEST(test_nothing),
		E2E_TEST(test_lost_turn),
		E2E_TEST(test_reused_pid),
		E2E_TEST(test_lost_fds),
	};

	return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
