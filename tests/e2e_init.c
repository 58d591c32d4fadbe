/*
 * supd under supd-init, under load: it is killed, and it cannot be started for a
 * while.  The workers serve on, are the same afterwards, and belong to a supd
 * again that can roll out.
 *
 * As process 1 of a pid namespace, too, where it is permitted.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS = 3, RATE = 300 };

static struct {
	char target[32];
	struct load load;
} run;

static void
install(const char *version)
{
	e2e_install_counted("web", version, "");
}

static void
begin(unsigned how)
{
	snprintf(run.target, sizeof(run.target), "127.0.0.1:%u", e2e_port());
	install("v1");
	e2e_configure_web(run.target, WORKERS, "");
	if (!supd_start_ready_how(how, WORKERS))
		skip();
	load_start(&run.load, run.target, RATE, 0);
	load_await_version(&run.load, "v1");
	rest_forget();          /* e2e_resume.c counts fds */
}

/* It may be in another pid namespace: its own pid tells nothing here. */
static void
kill_supd(void)
{
	pid_t pids[FAMILY_MAX], pid = 0;
	unsigned count = family_of(supd_pid, pids);
	char path[64], name[16];
	FILE *file;

	for (unsigned i = 0; i < count && pid == 0; i++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pids[i]);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_non_null(fgets(name, sizeof(name), file));
		if (strcmp(name, "supd\n") == 0)
			pid = pids[i];
		fclose(file);
	}
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

/* The pids of the workers, as supd says. */
static void
note_workers(char *ret_text, size_t size)
{
	json_t *status = service_status("web"), *worker;
	size_t i, length = 0;

	assert_int_equal(json_integer_value(json_object_get(status, "ready")),
	    WORKERS);
	json_array_foreach(json_object_get(status, "worker_list"), i, worker) {
		length += (size_t)snprintf(ret_text + length, size - length,
		    "%d ", (int)json_integer_value(json_object_get(worker,
		    "pid")));
		assert_true(length < size);
	}
	json_decref(status);
}

/* And nobody has noticed anything. */
static void
end_with_a_rollout(void)
{
	install("v2");
	supctl("reload", "web");
	assert_ended(0, "in charge");
	load_await_version(&run.load, "v2");
	load_end_clean(&run.load);
	supd_stop();
}

static void
kill_and_look(unsigned how)
{
	char before[128], after[128];

	begin(how);
	note_workers(before, sizeof(before));
	log_mark();
	kill_supd();
	log_await("ended with 137; in ");
	log_await(" goes on ");
	note_workers(after, sizeof(after));
	assert_string_equal(before, after);
	end_with_a_rollout();
}

static void
test_killed(void **state)
{
	(void)state;
	kill_and_look(SUPD_UNDER_INIT);
}

static void
test_killed_as_process_1(void **state)
{
	(void)state;
	kill_and_look(SUPD_UNDER_INIT | SUPD_AS_INIT);
}

/* Who asks meanwhile waits in the queue of a listener that is open. */
static void
test_cannot_be_started(void **state)
{
	char before[128], after[128];

	(void)state;
	begin(SUPD_UNDER_INIT);
	note_workers(before, sizeof(before));
	log_mark();
	assert_int_equal(rename(e2e_path("supd"), e2e_path("supd.good")), 0);
	e2e_write("supd", 0755, "#!/bin/sh\nexit 7\n");
	kill_supd();
	log_await("ended with 7; in 200 ms");
	log_await("ended with 7; in 400 ms");
	log_await("ended with 7; in 800 ms");
	load_await_second(&run.load);
	load_await_second(&run.load);
	assert_int_equal(rename(e2e_path("supd.good"), e2e_path("supd")), 0);
	log_await(" goes on ");
	note_workers(after, sizeof(after));
	assert_string_equal(before, after);
	end_with_a_rollout();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_killed),
		E2E_TEST(test_killed_as_process_1),
		E2E_TEST(test_cannot_be_started),
	};

	return cmocka_run_group_tests_name("supd under supd-init", tests, NULL,
	    NULL);
}
