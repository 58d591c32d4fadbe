/*
 * Rollouts by the dozen, under load: canaries, flips there and back, and
 * canaries that are taken back because they are bad.
 *
 * Several services of one supd have their rollouts at the same time, each with
 * users of its own, half of whom keep their connections.  No request may fail
 * that a bad release has not answered itself.  `make check-lanes-long` does as
 * many as a year's worth: 100 canaries, 100 flips, 50 aborts.
 */
#include "e2e.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SERVICES = 5,
	WORKERS = 2,
	RATE = 500,                     /* of each service */
	KEEP_ALIVE_POOL = 16,
	CANARIES = 20, CANARIES_LONG = 100,
	FLIPS = 20, FLIPS_LONG = 100,
	ABORTS = 10, ABORTS_LONG = 50,
};

struct place {
	char name[16], target[32];
	struct load load;
	unsigned revision;              /* the newest */
};
static struct place places[SERVICES];
static uint64_t began_ms;

static void
version_name(unsigned number, char ret_name[16])
{
	snprintf(ret_name, 16, "v%u", number);
}

/* The next build, for all of them. */
static void
install(const char *options)
{
	char version[16];

	for (unsigned i = 0; i < SERVICES; i++) {
		version_name(++places[i].revision, version);
		e2e_install_counted(places[i].name, version, options);
	}
}

static void
begin(const char *keys)
{
	char services[8192] = "";
	size_t used = 0;

	for (unsigned i = 0; i < SERVICES; i++) {
		struct place *p = &places[i];

		p->revision = 0;
		snprintf(p->name, sizeof(p->name), "web%u", i);
		snprintf(p->target, sizeof(p->target), "127.0.0.1:%u",
		    e2e_port());
		used += (size_t)snprintf(services + used,
		    sizeof(services) - used, "[service %s]\ncommand = %s\n"
		    "listen = %s\nworkers = %d\nready = notify\n%s\n", p->name,
		    e2e_path(p->name), p->target, WORKERS, keys);
	}
	install("");
	e2e_configure("%s", services);
	supd_start_ready(SERVICES * WORKERS);
	for (unsigned i = 0; i < SERVICES; i++)
		load_start(&places[i].load, places[i].target, RATE,
		    i % 2 == 0 ? 0 : KEEP_ALIVE_POOL);
	for (unsigned i = 0; i < SERVICES; i++)
		load_await_version(&places[i].load, "v1");
	began_ms = e2e_now_ms();
}

/* Its record; nothing was lost. */
static void
await_end(const struct place *p, const char *verdict)
{
	json_t *last = rollout_await_verdict(p->name, p->revision, verdict);

	assert_int_equal(load_number(last, "connections_lost"), 0);
	json_decref(last);
}

static void
assert_serves(const struct place *p, unsigned revision)
{
	char version[16];

	version_name(revision, version);
	assert_int_equal(status_number(p->name, "revision"), revision);
	for (unsigned i = 0; i < 2 * WORKERS; i++)
		assert_string_equal(ask_version(p->target), version);
}

/* Ends the users: what failed, bad releases have answered themselves. */
static void
end(const char *what, unsigned count, bool bad_ones)
{
	uint64_t requests = 0, failures = 0, own = 0;
	char version[16];
	json_t *report;

	for (unsigned i = 0; i < SERVICES; i++) {
		report = load_end(&places[i].load);
		requests += load_number(report, "requests");
		failures += load_number(report, "failures");
		for (unsigned k = 2; bad_ones && k <= places[i].revision; k++) {
			version_name(k, version);
			own += load_version(report, version).failures;
		}
		json_decref(report);
	}
	print_message("%u %s, %" PRIu64 " requests, %" PRIu64 " failed, %"
	    PRIu64 " of them answered by a bad release, %" PRIu64 " ms\n",
	    count, what, requests, failures, own, e2e_now_ms() - began_ms);
	assert_int_equal(failures, own);
	supd_stop();
}

static unsigned
turns(unsigned usual, unsigned full)
{
	return (e2e_rounds_or_long(usual, full) + SERVICES - 1) / SERVICES;
}

static void
test_canaries(void **state)
{
	unsigned count = turns(CANARIES, CANARIES_LONG);

	(void)state;
	begin("strategy = canary\nsteps = 5% 200ms, 25% 200ms, 50% 200ms, "
	    "100%\n");
	for (unsigned turn = 0; turn < count; turn++) {
		install("");
		supctl("reload");
		assert_ended(0, "is in charge");
		for (unsigned i = 0; i < SERVICES; i++) {
			await_end(&places[i], "complete");
			assert_serves(&places[i], places[i].revision);
		}
	}
	end("canaries", count * SERVICES, false);
}

/* There, and back within keep_old; the way back costs one weight. */
static void
test_flips(void **state)
{
	unsigned count = turns(FLIPS, FLIPS_LONG);

	(void)state;
	begin("strategy = blue-green\nkeep_old = 1h\n");
	for (unsigned turn = 0; turn < count; turn++) {
		install("");
		log_mark();
		supctl("reload");
		assert_ended(0, "is in charge");
		for (unsigned i = 0; i < SERVICES; i++) {
			rollout_await_phase(places[i].name, "keep");
			assert_serves(&places[i], places[i].revision);
			supctl("undo", places[i].name, "--no-wait");
			assert_ended(0, "");
		}
		for (unsigned i = 0; i < SERVICES; i++) {
			await_end(&places[i], "aborted");
			assert_serves(&places[i], 1);
		}
		assert_int_equal(log_count("gets 100.0 % of new"), SERVICES);
		assert_int_equal(log_count("gets 0.0 % of new"), SERVICES);
	}
	end("flips and flips back", count * SERVICES, false);
}

/* In turn: wrong, slow, and too fat. */
static void
test_aborts(void **state)
{
	static const char *const bad[] = {
		"--error-percent 100 --after 300", "--slow 600 --after 300",
		"--grow-rate 80000000 --after 200",
	};
	unsigned count = turns(ABORTS, ABORTS_LONG);

	(void)state;
	begin("strategy = canary\nsteps = 10% 1h, 100%\n"
	    "probe = http /\nprobe_interval = 100ms\n"
	    "probe_timeout = 300ms\n");
	for (unsigned turn = 0; turn < count; turn++) {
		install(bad[turn % 3]);
		supctl("reload");
		assert_ended(1, "rolled back to revision 1: ");
		for (unsigned i = 0; i < SERVICES; i++) {
			await_end(&places[i], "rolled-back");
			assert_serves(&places[i], 1);
		}
	}
	end("aborts", count * SERVICES, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_canaries),
		E2E_NET_TEST(test_flips),
		E2E_NET_TEST(test_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
