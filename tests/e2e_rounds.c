/*
 * Rollouts by the dozen, under load: canaries, flips there and back, and
 * canaries that are taken back because they are bad; with users that come for
 * one request and with users that keep their connections for ten.
 *
 * No request may fail that a bad release has not answered itself or that it did
 * not have in its hands when it died.  After each rollout supd's report is
 * compared with what the workers counted, and at the end these with what the
 * users saw.  `make check-lanes-long` does as many as a year's worth: 100
 * canaries, 100 flips and flips back, 50 aborts.
 */
#include "e2e.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	WORKERS = 2,
	RATE = 2200,                    /* requests a second, asked for */
	RATE_MIN = 2000,                /* measured */
	POOL = 256, REQUESTS_EACH = 10, /* of users that keep connections */
	CANARIES = 2, CANARIES_LONG = 50,       /* with each kind of users */
	FLIPS = 3, FLIPS_LONG = 50,
	ABORTS = 5, ABORTS_LONG = 25,           /* of all kinds in turn */
	LATE_MS = 10,                   /* for what a worker counts, and when */
	SIGMAS = 5,
};

/* Connections of one rollout, of both releases and of the candidate. */
struct counts {
	uint64_t all, candidate;
};

static struct {
	char target[32];
	struct load load;
	unsigned rate;                  /* of new connections */
	unsigned revision;              /* the newest */
	unsigned stable;
	uint64_t stable_before;         /* its connections, at reload() */
	uint64_t asked_ms, begun_ms;    /* it began between these */
	struct counts counted, told;    /* in all rollouts */
	uint64_t apart;                 /* that they may be, see late() */
	uint64_t variance;              /* of told.candidate, times 10^6 */
} run;

static const char *
version_name(unsigned revision)
{
	static char names[4][16];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof(names[0]), "v%u", revision);
	return name;
}

static void
install(const char *options)
{
	e2e_install_counted("web", version_name(++run.revision), options);
}

static void
begin(bool keeps, const char *keys)
{
	char options[128] = "";

	memset(&run, 0, sizeof(run));
	run.stable = 1;
	run.rate = keeps ? RATE / REQUESTS_EACH : RATE;
	snprintf(run.target, sizeof(run.target), "127.0.0.1:%u", e2e_port());
	install("");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s\n", e2e_path("web"), run.target,
	    WORKERS, keys);
	supd_start_ready(WORKERS);
	if (keeps)
		snprintf(options, sizeof(options), "--keep-alive %d "
		    "--requests-each %d", POOL, REQUESTS_EACH);
	else
		snprintf(options, sizeof(options), "--connections 4000");
	snprintf(options + strlen(options), sizeof(options) - strlen(options),
	    " --rate %d --timeout 20000", RATE);
	load_start_with(&run.load, run.target, options);
	load_await_version(&run.load, "v1");
}

/*
 * What is counted
 */

static uint64_t
connections_of(unsigned revision)
{
	return worker_totals(version_name(revision)).user_connections;
}

static void
await_connections(unsigned revision, uint64_t count)
{
	for (unsigned i = 0; connections_of(revision) < count; i++) {
		assert_true(i < E2E_WAIT_MS / 10);
		(void)e2e_inputs_within(NULL, 0, 10);
	}
}

/* What the report tells; adds the variance of the candidate's share. */
static struct counts
read_report(const json_t *deployment, uint64_t *variance)
{
	struct counts told = { 0 };
	uint64_t all, weight;
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(deployment, "observations"), i, o) {
		all = load_number(o, "connections");
		weight = load_number(o, "weight_permille");
		told.all += all;
		told.candidate += load_number(o, "candidate_connections");
		*variance += all * weight * (1000 - weight);
	}
	return told;
}

/* At most so far apart, or as far as chance takes it. */
static void
assert_close(const char *what, uint64_t told, uint64_t counted,
    uint64_t apart, uint64_t variance)
{
	uint64_t off = told > counted ? told - counted : counted - told;

	off = off > apart ? off - apart : 0;
	if (off * off * 1000000 > SIGMAS * SIGMAS * variance)
		fail_msg("%s: the report tells of %" PRIu64 ", and there were "
		    "%" PRIu64, what, told, counted);
}

/* The next build comes in charge. */
static void
reload(void)
{
	struct program reload;

	install("");
	log_mark();
	run.asked_ms = e2e_now_ms();
	supctl_begin(&reload, "reload", "web");
	log_await("rolling out revision ");
	run.stable_before = connections_of(run.stable);
	run.begun_ms = e2e_now_ms();
	program_end(&reload);
	assert_ended(0, "is in charge");
}

/*
 * What the report tells of begins and ends before we look.  How long before is
 * known but for the time that asking took; twice the connections that can come
 * in that.
 */
static uint64_t
late(const json_t *deployment)
{
	uint64_t asking_ms = run.begun_ms - run.asked_ms;
	uint64_t all_ms = e2e_now_ms() - run.asked_ms, told_ms = 0;
	const json_t *o;
	size_t i;

	json_array_foreach(json_object_get(deployment, "observations"), i, o)
		told_ms += load_number(o, "duration_ms");
	assert_true(told_ms <= all_ms);
	return 2 * run.rate * (asking_ms + all_ms - told_ms + LATE_MS) / 1000;
}

/* The report of a rollout since reload() against the workers' counts. */
static void
compare(const json_t *deployment)
{
	uint64_t variance = 0, apart;
	struct counts told = read_report(deployment, &variance), counted;

	counted.candidate = connections_of(run.revision);
	counted.all = connections_of(run.stable) - run.stable_before +
	    counted.candidate;
	apart = late(deployment);
	assert_close("of the new release", told.candidate, counted.candidate,
	    apart, variance);
	assert_close("of both releases", told.all, counted.all, apart, 0);
	run.apart += apart;
	run.counted.all += counted.all;
	run.counted.candidate += counted.candidate;
	run.told.all += told.all;
	run.told.candidate += told.candidate;
	run.variance += variance;
}

/* In all rollouts. */
static void
compare_sums(void)
{
	print_message("told: %" PRIu64 " connections, %" PRIu64 " to new "
	    "releases; counted: %" PRIu64 ", %" PRIu64 "; at most %" PRIu64
	    " apart\n", run.told.all, run.told.candidate, run.counted.all,
	    run.counted.candidate, run.apart);
	assert_close("of new releases in all", run.told.candidate,
	    run.counted.candidate, run.apart, run.variance);
	assert_close("of all releases in all", run.told.all, run.counted.all,
	    run.apart, 0);
}

/* What the users saw of a release is what its workers have counted. */
static void
assert_users_agree(const json_t *report, unsigned revision)
{
	struct load_version seen = load_version(report,
	    version_name(revision));
	struct worker_counts counted = worker_totals(version_name(revision));

	assert_int_equal(seen.failures, 0);
	assert_int_equal(seen.connections, counted.user_connections);
	assert_int_equal(seen.answers, counted.requests -
	    counted.probe_requests);
}

static void
assert_rate(const json_t *report)
{
	uint64_t rate = load_number(report, "requests") * 1000 /
	    load_number(report, "elapsed_ms");

	assert_true(rate >= RATE_MIN);
}

/* The users' report, to be released. */
static json_t *
end(const char *what, unsigned count)
{
	json_t *report = load_end(&run.load);

	print_message("%u %s: %" PRIu64 " requests over %" PRIu64
	    " connections in %" PRIu64 " ms, %" PRIu64 " failed\n", count,
	    what, load_number(report, "requests"), load_number(report,
	    "connections"), load_number(report, "elapsed_ms"),
	    load_number(report, "failures"));
	assert_rate(report);
	supd_stop();
	return report;
}

/* None of them missed anything. */
static void
end_clean(const char *what, unsigned count)
{
	json_t *report = end(what, count);

	load_assert_clean(report);
	for (unsigned i = 1; i <= run.revision; i++)
		assert_users_agree(report, i);
	compare_sums();
	json_decref(report);
}

/* Its record, to be released; nothing was lost. */
static json_t *
await_end(const char *verdict)
{
	json_t *last = rollout_await_verdict("web", run.revision, verdict);

	assert_int_equal(load_number(last, "connections_lost"), 0);
	return last;
}

/*
 * Canaries
 */

static void
check_canaries(bool keeps)
{
	unsigned count = e2e_rounds_or_long(CANARIES, CANARIES_LONG);
	json_t *last;

	begin(keeps, "strategy = canary\nsteps = 5% 200ms, 25% 200ms, "
	    "50% 300ms, 100% 300ms");
	for (unsigned i = 0; i < count; i++) {
		reload();
		last = await_end("complete");
		compare(last);
		json_decref(last);
		run.stable = run.revision;
		assert_int_equal(status_number("web", "revision"), run.stable);
	}
	end_clean("canaries", count);
}

static void
test_canaries(void **state)
{
	(void)state;
	check_canaries(false);
}

static void
test_canaries_keep_alive(void **state)
{
	(void)state;
	check_canaries(true);
}

/*
 * Flips
 */

/* There, and back within keep_old; the way back costs one weight. */
static void
check_flips(bool keeps)
{
	unsigned count = e2e_rounds_or_long(FLIPS, FLIPS_LONG);
	json_t *last;

	begin(keeps, "strategy = blue-green\nkeep_old = 1h");
	for (unsigned i = 0; i < count; i++) {
		reload();
		rollout_await_phase("web", "keep");
		await_connections(run.revision, run.rate / 4);
		supctl("undo", "web", "--no-wait");
		assert_ended(0, "");
		last = await_end("aborted");
		compare(last);
		json_decref(last);
		assert_int_equal(status_number("web", "revision"), 1);
		assert_int_equal(log_count("gets 100.0 % of new"), 1);
		assert_int_equal(log_count("gets 0.0 % of new"), 1);
	}
	end_clean("flips and flips back", count);
}

static void
test_flips(void **state)
{
	(void)state;
	check_flips(false);
}

static void
test_flips_keep_alive(void **state)
{
	(void)state;
	check_flips(true);
}

/*
 * Aborts
 */

/* Only one that dies has requests in its hands; the others answer. */
static const struct bad {
	const char *options;
	bool dies;
} bad_ones[] = {
	{ "--crash-after 400 --crash-by SEGV", true },
	{ "--error-percent 100 --after 300", false },
	{ "--slow 600 --after 300", false },
	{ "--deaf-after 300", false },
	{ "--grow-rate 80000000 --after 200", false },
};

/* Failures that no release has answered: no more than came to who died. */
static void
assert_bounded(const json_t *report)
{
	uint64_t failures = load_number(report, "failures"), own = 0;

	for (unsigned i = 2; i <= run.revision; i++)
		own += load_version(report, version_name(i)).failures;
	print_message("%" PRIu64 " answered by a bad release, %" PRIu64 " cut "
	    "when one died, to which %" PRIu64 " connections came\n", own,
	    failures - own, run.told.candidate);
	assert_true(own > 0);
	if (failures - own > run.told.candidate)
		assert_close("connections of who died", run.told.candidate,
		    failures - own, 0, run.variance);
}

static void
check_aborts(bool keeps)
{
	unsigned count = e2e_rounds_or_long(ABORTS, ABORTS_LONG), i;
	json_t *last, *report;

	begin(keeps, "strategy = canary\nsteps = 10% 1h, 100%\n"
	    "probe = http /\nprobe_interval = 100ms\nprobe_timeout = 300ms");
	for (i = 0; i < count; i++) {
		const struct bad *bad = &bad_ones[i % 5];

		install(bad->options);
		supctl("reload", "web");
		assert_ended(1, "rolled back to revision 1: ");
		last = await_end("rolled-back");
		if (bad->dies)
			run.told.candidate += read_report(last,
			    &run.variance).candidate;
		json_decref(last);
		assert_int_equal(status_number("web", "revision"), 1);
	}
	report = end("aborts", count);
	assert_users_agree(report, 1);
	assert_bounded(report);
	json_decref(report);
}

static void
test_aborts(void **state)
{
	(void)state;
	check_aborts(false);
}

static void
test_aborts_keep_alive(void **state)
{
	(void)state;
	check_aborts(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_canaries),
		E2E_NET_TEST(test_canaries_keep_alive),
		E2E_NET_TEST(test_flips),
		E2E_NET_TEST(test_flips_keep_alive),
		E2E_NET_TEST(test_aborts),
		E2E_NET_TEST(test_aborts_keep_alive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
