/*
 * For how long supd does not answer when it ends and goes on, with a thousand
 * workers: killed (its parent, supd-init, starts another one), crashed, upgraded;
 * and the slowest request that a user saw meanwhile, beside the slowest of as
 * many seconds without any.
 *
 * What is measured is the time from the signal, for an upgrade from the exec, to
 * the answer of a client that has connected meanwhile.  `make bench` runs it.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	WORKERS = 1000,
	ROUNDS = 5,
	RATE = 500,
	KILL_GOAL_MS = 100,
	UPGRADE_GOAL_MS = 50,
};

static char target[32];

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Whoever connects now waits in the queue until there is a supd. */
static double
measure_signal(int signo)
{
	double begin_ms;
	pid_t pid = supd_own_pid();
	int fd;

	begin_ms = now_ms();
	supd_strike_pid(pid, signo);
	fd = control_open();
	assert_true(fd >= 0);
	json_decref(control_call(fd,
	    "{\"method\":\"org.varlink.service.GetInfo\"}"));
	close(fd);
	return now_ms() - begin_ms;
}

static double
measure_upgrade(int unused)
{
	int fd = control_open();
	double took_ms;
	json_t *reply;

	(void)unused;
	json_decref(control_call(fd,
	    "{\"method\":\"io.supd.Upgrade\",\"more\":true}"));
	reply = upgrade_await(fd, "trial");
	assert_string_equal(upgrade_stage(reply), "trial");
	took_ms = (double)load_number(json_object_get(reply, "parameters"),
	    "not_answering_ms");
	json_decref(reply);
	close(fd);
	return took_ms;
}

/* The slowest request of so many seconds with something in each. */
static double
slowest_ms(double (*measure)(int), int signo, double *ret_times_ms)
{
	struct load load;
	json_t *report;
	double slowest;

	load_start(&load, target, RATE, 20);
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned k = 0; k < 2; k++)
			load_await_second(&load);
		if (measure != NULL)
			ret_times_ms[i] = measure(signo);
	}
	load_await_second(&load);
	report = load_end(&load);
	load_assert_clean(report);
	slowest = json_number_value(json_object_get(json_object_get(report,
	    "latency_us"), "max")) / 1000;
	json_decref(report);
	return slowest;
}

static double
report(const char *what, double (*measure)(int), int signo, double calm_ms)
{
	double times_ms[ROUNDS], slowest;

	slowest = slowest_ms(measure, signo, times_ms);
	qsort(times_ms, ROUNDS, sizeof(times_ms[0]), compare);
	printf("# %s, %d workers, of %d: median %.1f ms, most %.1f; slowest "
	    "request %.1f ms, without %.1f\n", what, WORKERS, ROUNDS,
	    times_ms[ROUNDS / 2], times_ms[ROUNDS - 1], slowest, calm_ms);
	return times_ms[ROUNDS / 2];
}

static void
a_thousand_workers(void **state)
{
	double calm_ms;

	(void)state;
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n", e2e_program("tests/worker"),
	    target, WORKERS);
	assert_true(supd_start_ready_how(SUPD_UNDER_INIT, WORKERS));
	calm_ms = slowest_ms(NULL, 0, NULL);
	assert_true(report("upgrade", measure_upgrade, 0, calm_ms) <=
	    UPGRADE_GOAL_MS);
	assert_true(report("killed, and started by supd-init", measure_signal,
	    SIGKILL, calm_ms) <= KILL_GOAL_MS);
	supd_stop();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		E2E_TEST(a_thousand_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
