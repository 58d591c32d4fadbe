/*
 * What an operator may ask for, of a service that is in use: each verb ends in
 * the documented state with the documented message and exit code, and not one
 * request fails.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loopback.h"

enum { WORKERS = 2, RATE = 200 };

static char target[32];
static struct load load;

static void
configure(const char *listen, unsigned workers, const char *keys)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %u\nready = notify\n%s", e2e_path("web"), listen,
	    workers, keys);
}

static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	configure(target, WORKERS, keys);
	supd_start_ready(WORKERS);
	load_start(&load, target, RATE, 0);
	load_await_second(&load);
}

static void
end(void)
{
	load_end_clean(&load);
	supd_stop();
}

static void
assert_in_charge(unsigned revision, const char *version)
{
	assert_int_equal(status_number("web", "revision"), revision);
	workers_await_only("web", revision);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_string_equal(ask_version(target), version);
}

static void
reload_good(unsigned revision, const char *version)
{
	char text[64];

	snprintf(text, sizeof(text), "--version %s", version);
	e2e_install("web", text);
	log_mark();
	supctl("reload", "web");
	snprintf(text, sizeof(text), "web: revision %u is in charge, after ",
	    revision);
	assert_ended(0, text);
	log_await_count(" exited with status 0", WORKERS);
	assert_in_charge(revision, version);
}

static void
test_undo(void **state)
{
	(void)state;
	begin("");
	reload_good(2, "v2");
	e2e_install("web", "--version v3 --exit-at-start 1");
	log_mark();
	supctl("undo", "web");
	assert_ended(0, "web: revision 1 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_in_charge(1, "v1");
	/* And it goes on to be the old build, though its file is gone. */
	log_mark();
	assert_int_equal(supctl("signal", "web", "TERM"), 0);
	log_await_ready(WORKERS);
	assert_in_charge(1, "v1");
	supctl("undo", "web");
	assert_ended(1, "web: there is no earlier good revision to go back to "
	    "(revision 1 is in charge); nothing was changed");
	end();
}

static void
test_scale(void **state)
{
	(void)state;
	begin("");
	supctl("scale", "web=4");
	assert_ended(0, "web: 4 workers wanted, until the next reload");
	log_await_ready(2);
	assert_int_equal(status_number("web", "ready"), 4);
	supctl("scale", "web=1");
	assert_ended(0, "web: 1 worker wanted, until the next reload");
	log_await_count("told to stop: it is not wanted any more", 3);
	log_await_count(" exited with status 0", 3);
	assert_int_equal(status_number("web", "ready"), 1);
	supctl("scale", "web=0");
	assert_ended(2, "nothing was changed");
	supctl("reload", "web", "--if-changed");
	assert_ended(0, "nothing has changed");
	log_await_ready(3);
	assert_int_equal(status_number("web", "ready"), WORKERS);
	assert_in_charge(1, "v1");
	assert_int_equal(log_count("rolling out"), 0);
	configure(target, 3, "");
	supctl("reload", "web");
	assert_ended(0, "the build is the same; `workers` and what else changed "
	    "is taken over in place (--force rolls out all the same)");
	log_await_ready(4);
	assert_in_charge(1, "v1");
	end();
}

/* A listening socket of somebody else. */
static int
occupy(const char *address)
{
	struct loopback loopback;
	int fd;

	assert_int_equal(loopback_parse(address, &loopback), 0);
	fd = loopback_listen(&loopback, 1);
	assert_true(fd >= 0);
	return fd;
}

static void
test_changed_address_in_use(void **state)
{
	char other[32], pid[64];
	int fd;

	(void)state;
	begin("");
	snprintf(other, sizeof(other), "127.0.0.1:%u", e2e_port());
	fd = occupy(other);
	e2e_install("web", "--version v2");
	configure(other, WORKERS + 1, "");
	supctl("reload", "web");
	snprintf(pid, sizeof(pid), "in use (pid %d listens there)",
	    (int)getpid());
	assert_ended(1, pid);
	assert_ended(1, other);
	assert_ended(1, "; nothing was changed");
	close(fd);
	assert_in_charge(1, "v1");
	assert_int_equal(status_number("web", "workers"), WORKERS);
	end();
}

/* Both serve while the rollout lasts; then the old one is refused. */
static void
test_changed_address(void **state)
{
	struct program reload;
	char other[32];

	(void)state;
	begin("min_ready = 300ms\n");
	load_end_clean(&load);
	snprintf(other, sizeof(other), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v2");
	configure(other, WORKERS, "min_ready = 300ms\n");
	supctl_begin(&reload, "reload", "web");
	log_await("revision=2 ready");
	assert_string_equal(ask_version(target), "v1");
	assert_string_equal(ask_version(other), "v2");
	program_end(&reload);
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_string_equal(ask_version(other), "v2");
	/* Kept by the release that `undo` would go back to, or not: nobody
	 * accepts there any more. */
	assert_string_equal(ask_version(target), "");
	supd_stop();
}

static void
test_plan(void **state)
{
	(void)state;
	begin("");
	supctl("reload", "web", "--plan");
	assert_ended(0, "would be rolled out");
	e2e_install("web", "--version v2");
	configure(target, 4, "max_surge = 50%\nmin_ready = 10s\n");
	supctl("reload", "web", "--plan");
	assert_ended(0, "web: would be rolled out");
	assert_ended(0, "50%");
	assert_ended(0, "100%");
	assert_ended(0, "10.0 s");
	assert_ended(0, "nothing was changed");
	assert_in_charge(1, "v1");
	assert_int_equal(status_number("web", "workers"), WORKERS);
	assert_int_equal(status_number("web", "releases"), 1);
	end();
}

static void
test_if_changed(void **state)
{
	(void)state;
	begin("");
	supctl("reload", "web", "--if-changed");
	assert_ended(0, "nothing has changed");
	e2e_install("web", "--version v2");
	supctl("reload", "web", "--if-changed");
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_in_charge(2, "v2");
	end();
}

static void
test_restart(void **state)
{
	pid_t old;

	(void)state;
	begin("");
	old = worker_pid("web", 1);
	e2e_install("web", "--version v2");
	supctl("restart", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	log_await_count(" exited with status 0", WORKERS);
	assert_in_charge(2, "v1");
	assert_true(worker_pid("web", 2) != old);
	end();
}

static void
test_stop_and_start(void **state)
{
	(void)state;
	begin("");
	load_end_clean(&load);
	supctl("stop", "web");
	assert_ended(0, "web: its workers are being stopped and finish what "
	    "they have");
	log_await_count(" exited with status 0", WORKERS);
	assert_int_equal(status_number("web", "worker_list"), 0);
	supctl("status");
	assert_ended(0, "stopped");
	supctl("restart", "web");
	assert_ended(1, "web: is stopped; `supctl start web` starts it");
	supctl("signal", "web", "HUP");
	assert_ended(1, "web: no worker is running; nothing was sent");
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "the service is stopped; this is what `start` will "
	    "run");
	assert_int_equal(status_number("web", "worker_list"), 0);
	supctl("start", "web");
	assert_ended(0, "web: its workers are being started");
	log_await_ready(WORKERS);
	assert_in_charge(2, "v2");
	supd_stop();
}

static void
test_signal(void **state)
{
	(void)state;
	begin("");
	supctl("signal", "web", "SIGTERM");
	assert_ended(0, "web: TERM sent to 2 workers");
	log_await_ready(WORKERS);
	supctl("signal", "web", "nothing");
	assert_ended(2, "nothing was sent");
	supctl("signal", "nobody", "TERM");
	assert_ended(2, "no service \"nobody\" (there are: web)");
	assert_in_charge(1, "v1");
	json_decref(load_end(&load));
	supd_stop();
}

/* A service that goes away, and one that comes, with a reload of all. */
static void
test_add_and_remove(void **state)
{
	char other[32];

	(void)state;
	begin("");
	snprintf(other, sizeof(other), "127.0.0.1:%u", e2e_port());
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n[service two]\ncommand = %s\n"
	    "listen = %s\nready = notify\n", e2e_path("web"), target, WORKERS,
	    e2e_path("web"), other);
	supctl("reload", "--if-changed");
	assert_ended(0, "two: a new service: starts");
	assert_ended(0, "web: nothing has changed");
	log_await("two/0: ");
	log_await_ready(1);
	assert_string_equal(ask_version(other), "v1");
	configure(target, WORKERS, "");
	supctl("reload", "two");
	assert_ended(1, "the configuration has no [service two] any more; "
	    "`supctl reload` without a name stops it; nothing was changed");
	supctl("reload", "--if-changed");
	assert_ended(0, "two: is not in the configuration any more: stops");
	log_await("two: is gone");
	assert_string_equal(ask_version(other), "");
	assert_in_charge(1, "v1");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_undo),
		E2E_TEST(test_scale),
		E2E_TEST(test_changed_address_in_use),
		E2E_TEST(test_changed_address),
		E2E_TEST(test_plan),
		E2E_TEST(test_if_changed),
		E2E_TEST(test_restart),
		E2E_TEST(test_stop_and_start),
		E2E_TEST(test_signal),
		E2E_TEST(test_add_and_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
