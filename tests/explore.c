/*
 * The explorer: every interleaving of events for small services.
 *
 * For each scenario (how many workers, how they are rolled, from where) it
 * visits all states that a rollout and what comes after it can reach, with a
 * bounded number of faults and orders on each path, and checks the invariants
 * of invariants.h at every tick.  Prints TAP, one line a scenario, with the
 * number of states and transitions.
 *
 *   explore [--mutants | --quick | --deep] [--first] [SCENARIO]
 *
 * Where there are several processors, as many scenarios are searched at a time,
 * but with --first, whose callers are many.
 *
 * --quick takes the small scenarios only, --mutants the smallest that tell a
 * planner that is wrong (mutants.sh), --deep allows more faults and lets
 * time stop at every millisecond; --first stops at the first broken invariant;
 * SCENARIO is the number of a single one.
 */
#include "explore.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum depth { DEPTH_MUTANTS, DEPTH_QUICK, DEPTH_USUAL, DEPTH_DEEP };

/* A broken path is printed in one piece. */
enum { OUTPUT_BYTES = 1 << 20 };

/* Of all processes that search. */
struct sum {
	_Atomic uint32_t taken_count;   /* scenarios, from number 1 on */
	_Atomic uint32_t failed_count;
	_Atomic uint64_t state_count;
	_Atomic uint64_t transition_count;
};

struct run {
	enum depth depth;
	uint32_t only;          /* 0: all */
	bool first;             /* stop at the first broken one */
	uint32_t number;
	uint32_t mine;          /* the number that this process is to search */
	struct sum *sum;
};

static const struct pace {
	uint32_t surge, unavailable;
} paces[] = {
	{ 1, 0 }, { 0, 1 }, { 1, 1 }, { 2, 0 }, { 0, 2 },
};

/*
 * What is searched, and how far.  More workers have more interleavings, so
 * fewer faults fit into the time.
 */
static const struct group {
	enum depth depth;
	uint32_t workers;
	enum origin origin;
	enum restart restart;
	uint8_t fault_count;
	uint8_t order_count;
	bool pairs;
	bool impatient;         /* the progress deadline comes soon */
} groups[] = {
	{ DEPTH_MUTANTS, 1, ORIGIN_READY, RESTART_ALWAYS, 2, 1, false, false },
	{ DEPTH_MUTANTS, 1, ORIGIN_COLD, RESTART_ALWAYS, 1, 1, true, false },
	{ DEPTH_MUTANTS, 1, ORIGIN_FIRST, RESTART_ALWAYS, 2, 1, true, false },
	{ DEPTH_MUTANTS, 1, ORIGIN_READY, RESTART_ON_FAILURE, 2, 0, false, false },
	{ DEPTH_MUTANTS, 1, ORIGIN_READY, RESTART_NEVER, 2, 0, false, false },
	{ DEPTH_MUTANTS, 2, ORIGIN_READY, RESTART_ALWAYS, 1, 1, false, false },
	{ DEPTH_MUTANTS, 4, ORIGIN_READY, RESTART_ALWAYS, 1, 0, false, false },
	{ DEPTH_MUTANTS, 1, ORIGIN_READY, RESTART_ALWAYS, 2, 1, false, true },
	{ DEPTH_MUTANTS, 2, ORIGIN_READY, RESTART_ALWAYS, 2, 0, false, true },

	{ DEPTH_USUAL, 1, ORIGIN_READY, RESTART_ALWAYS, 2, 1, true, false },
	{ DEPTH_USUAL, 1, ORIGIN_READY, RESTART_ALWAYS, 3, 0, false, false },
	{ DEPTH_USUAL, 1, ORIGIN_COLD, RESTART_ALWAYS, 2, 1, true, false },
	{ DEPTH_USUAL, 1, ORIGIN_FIRST, RESTART_ALWAYS, 3, 1, true, false },
	{ DEPTH_USUAL, 1, ORIGIN_READY, RESTART_ON_FAILURE, 2, 1, false, false },
	{ DEPTH_USUAL, 1, ORIGIN_READY, RESTART_NEVER, 2, 1, false, false },
	{ DEPTH_USUAL, 2, ORIGIN_READY, RESTART_ALWAYS, 2, 0, true, false },
	{ DEPTH_USUAL, 2, ORIGIN_COLD, RESTART_ALWAYS, 1, 1, false, false },
	{ DEPTH_USUAL, 2, ORIGIN_FIRST, RESTART_ALWAYS, 2, 1, false, false },
	{ DEPTH_USUAL, 2, ORIGIN_READY, RESTART_ON_FAILURE, 2, 0, false, false },
	{ DEPTH_USUAL, 2, ORIGIN_READY, RESTART_NEVER, 2, 0, false, false },
	{ DEPTH_USUAL, 3, ORIGIN_READY, RESTART_ALWAYS, 1, 0, true, false },
	{ DEPTH_USUAL, 3, ORIGIN_READY, RESTART_ALWAYS, 1, 1, false, false },
	{ DEPTH_USUAL, 3, ORIGIN_READY, RESTART_ALWAYS, 2, 0, false, false },

	{ DEPTH_USUAL, 2, ORIGIN_READY, RESTART_ALWAYS, 1, 1, false, true },
	{ DEPTH_USUAL, 3, ORIGIN_READY, RESTART_ALWAYS, 1, 0, false, true },

	{ DEPTH_DEEP, 1, ORIGIN_READY, RESTART_ALWAYS, 4, 1, true, false },
	{ DEPTH_DEEP, 2, ORIGIN_READY, RESTART_ALWAYS, 3, 1, false, false },
	{ DEPTH_DEEP, 2, ORIGIN_COLD, RESTART_ALWAYS, 2, 1, false, false },
	{ DEPTH_DEEP, 2, ORIGIN_READY, RESTART_ON_FAILURE, 2, 1, false, false },
	{ DEPTH_DEEP, 2, ORIGIN_READY, RESTART_NEVER, 2, 1, false, false },
	{ DEPTH_DEEP, 4, ORIGIN_READY, RESTART_ALWAYS, 1, 1, false, false },
	{ DEPTH_DEEP, 4, ORIGIN_READY, RESTART_ALWAYS, 2, 0, false, false },
	{ DEPTH_DEEP, 2, ORIGIN_READY, RESTART_ALWAYS, 2, 1, false, true },
};

/*
 * The ways to roll out with two lanes, or with steps of a canary's kind; each
 * with what it may have besides.
 */
static const struct way {
	const char *name;
	struct course course;
	uint32_t step_count;
	struct canary_step steps[3];
	enum promotion promotion;
	uint64_t keep_old_ms;
	uint32_t canary_workers;
	bool probe, analysis, prepares, resumes;
	bool impatient;         /* the progress deadline comes soon */
} ways[] = {
	{ .name = "canary", .course = { STRATEGY_CANARY, .split = true },
	    .step_count = 2, .steps = { { 500, false, 2 }, { 1000, false, 0 } } },
	{ .name = "canary with a pause, a probe and a hook",
	    .course = { STRATEGY_CANARY, .split = true }, .step_count = 3,
	    .steps = { { 1, true, 0 }, { 500, true, 0 }, { 1000, false, 2 } },
	    .probe = true, .prepares = true, .resumes = true },
	{ .name = "canary with an analysis",
	    .course = { STRATEGY_CANARY, .split = true }, .step_count = 3,
	    .steps = { { 50, false, 1 }, { 600, false, 1 }, { 1000, false, 1 } },
	    .analysis = true, .resumes = true, .canary_workers = 2 },
	{ .name = "canary of workers",
	    .course = { STRATEGY_CANARY, .split = false }, .step_count = 2,
	    .steps = { { 500, false, 1 }, { 1000, false, 0 } },
	    .analysis = true, .resumes = true },
	{ .name = "blue-green",
	    .course = { STRATEGY_BLUE_GREEN, .split = true } },
	{ .name = "blue-green, promoted by hand, kept, probed",
	    .course = { STRATEGY_BLUE_GREEN, .split = true },
	    .promotion = PROMOTION_MANUAL, .keep_old_ms = 2, .probe = true },
	{ .name = "rolling with a probe",
	    .course = { STRATEGY_ROLLING, .split = true },
	    .probe = true },
	{ .name = "undo with lanes",
	    .course = { STRATEGY_CANARY, .direct = true, .split = true },
	    .step_count = 2, .steps = { { 500, false, 2 }, { 1000, false, 0 } } },
	{ .name = "canary without patience",
	    .course = { STRATEGY_CANARY, .split = true },
	    .step_count = 2, .steps = { { 500, false, 1 }, { 1000, false, 0 } },
	    .impatient = true },
};

static const struct reach {
	enum depth depth;
	uint32_t workers;
	uint8_t fault_count;
	uint8_t order_count;
	bool pairs;
	bool plain;             /* the first way only, in its first variant */
} reaches[] = {
	{ DEPTH_MUTANTS, 2, 1, 0, false, false },
	{ DEPTH_MUTANTS, 1, 1, 1, false, false },
	{ DEPTH_MUTANTS, 3, 1, 1, false, true },
	{ DEPTH_QUICK, 1, 2, 0, false, false },
	{ DEPTH_USUAL, 1, 1, 1, true, false },
	{ DEPTH_USUAL, 1, 2, 1, false, false },
	{ DEPTH_USUAL, 2, 1, 1, false, false },
	{ DEPTH_USUAL, 3, 1, 0, false, false },
	{ DEPTH_DEEP, 2, 2, 1, false, false },
	{ DEPTH_DEEP, 3, 1, 1, false, false },
};

#define X(UPPER, text) text,
static const char *const origin_names[] = { ORIGINS(X) };
#undef X

static const char *const restart_names[] = {
	[RESTART_ALWAYS] = "always",
	[RESTART_ON_FAILURE] = "on-failure",
	[RESTART_NEVER] = "never",
};

static void
print_result(const struct run *run, const struct scenario *s, bool good,
    const struct totals *totals)
{
	const struct policy *p = &s->policy;

	printf("%sok %" PRIu32 " - %s, workers %" PRIu32 " surge %" PRIu32
	    " unavailable %" PRIu32 " min_ready %" PRIu64 " on_failure %s"
	    " restart %s from %s faults %u orders %u: %" PRIu64 " states, %"
	    PRIu64 " transitions, rest within %" PRIu64 " ms\n",
	    good ? "" : "not ", run->number, s->name, p->workers, p->surge,
	    p->unavailable, p->min_ready_ms,
	    p->on_failure == ON_FAILURE_PAUSE ? "pause" : "rollback",
	    restart_names[p->restart], origin_names[s->origin],
	    s->fault_count, s->order_count, totals->state_count,
	    totals->transition_count, totals->longest_ms);
	(void)fflush(stdout);
}

static void
explore(struct run *run, const struct scenario *scenario)
{
	struct totals totals;
	bool good;

	if (run->first && run->sum->failed_count != 0)
		return;
	run->number++;
	if (run->number != (run->only != 0 ? run->only : run->mine))
		return;
	good = search_run(scenario, &totals);
	print_result(run, scenario, good, &totals);
	run->sum->failed_count += !good;
	run->sum->state_count += totals.state_count;
	run->sum->transition_count += totals.transition_count;
	run->mine = ++run->sum->taken_count;
}

static struct policy
policy_for(uint32_t workers, const struct pace *pace)
{
	return (struct policy){
		.workers = workers,
		.surge = pace->surge, .unavailable = pace->unavailable,
		.ready_timeout_ms = 3, .drain_timeout_ms = 2,
		.progress_deadline_ms = 10,
		.backoff_min_ms = 1, .backoff_max_ms = 2,
		.quiet_ms = 1, .quiet_max_ms = 3, .leave_max_ms = 2,
	};
}

static void
explore_group(struct run *run, const struct group *group,
    const struct pace *pace)
{
	struct scenario s = {
		.name = "rolling", .policy = policy_for(group->workers, pace),
		.origin = group->origin,
		.fault_count = group->fault_count,
		.order_count = group->order_count,
		.pairs = group->pairs,
		.every_ms = run->depth == DEPTH_DEEP,
		.excused = group->impatient,
	};

	s.policy.restart = group->restart;
	if (group->impatient)
		s.policy.progress_deadline_ms = 2;
	for (unsigned variant = 0; variant < 4; variant++) {
		s.policy.min_ready_ms = variant & 1;
		s.settled = variant & 1;
		s.policy.on_failure = variant & 2 ? ON_FAILURE_PAUSE :
		    ON_FAILURE_ROLLBACK;
		explore(run, &s);
	}
}

static void
explore_way(struct run *run, const struct way *way, const struct reach *reach)
{
	static const struct pace pace = { 0, 0 };
	struct scenario s = {
		.name = way->name, .course = way->course,
		.policy = policy_for(reach->workers, &pace),
		.origin = ORIGIN_READY, .fault_count = reach->fault_count,
		.order_count = reach->order_count, .pairs = reach->pairs,
		.prepares = way->prepares, .resumes = way->resumes,
		.every_ms = run->depth == DEPTH_DEEP,
	};

	s.policy.strategy = way->course.strategy;
	s.policy.lanes = way->course.split;
	s.policy.surge = 1;
	s.policy.step_count = way->step_count;
	memcpy(s.policy.steps, way->steps, sizeof(way->steps));
	s.policy.promotion = way->promotion;
	s.policy.keep_old_ms = way->keep_old_ms;
	s.policy.canary_workers = way->canary_workers;
	s.policy.probe = way->probe;
	s.policy.analysis = way->analysis;
	s.excused = way->impatient;
	if (way->impatient)
		s.policy.progress_deadline_ms = 2;
	for (unsigned variant = 0; variant < (reach->plain ? 1 : 4);
	    variant++) {
		s.policy.min_ready_ms = variant & 1;
		s.settled = variant & 1;
		s.policy.on_failure = variant & 2 ? ON_FAILURE_PAUSE :
		    ON_FAILURE_ROLLBACK;
		explore(run, &s);
	}
}

static void
explore_all(struct run *run)
{
	for (size_t i = 0; i < sizeof(reaches) / sizeof(*reaches); i++)
		for (size_t k = 0; reaches[i].depth <= run->depth &&
		    k < (reaches[i].plain ? 1 : sizeof(ways) / sizeof(*ways));
		    k++)
			explore_way(run, &ways[k], &reaches[i]);
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (groups[i].depth > run->depth)
			continue;
		for (size_t k = 0; k < sizeof(paces) / sizeof(*paces); k++)
			if (paces[k].surge <= groups[i].workers &&
			    paces[k].unavailable <= groups[i].workers)
				explore_group(run, &groups[i], &paces[k]);
	}
}

/* False if one of the processes has not come to its end. */
static bool
share(struct run *run, long process_count)
{
	bool good = true;
	pid_t pid = 1;
	int status;

	for (long i = 1; i < process_count && pid > 0; i++)
		pid = fork();
	run->mine = ++run->sum->taken_count;
	explore_all(run);
	if (pid == 0)
		exit(0);
	while (wait(&status) > 0)
		good &= status == 0;
	return good && pid > 0;
}

static int
usage(void)
{
	(void)fprintf(stderr, "usage: explore [--mutants | --quick | --deep]"
	    " [--first] [SCENARIO]\n");
	return 2;
}

int
main(int argc, char **argv)
{
	struct run run = { .depth = DEPTH_USUAL };
	struct timespec begin, end;
	bool good;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--mutants") == 0)
			run.depth = DEPTH_MUTANTS;
		else if (strcmp(argv[i], "--quick") == 0)
			run.depth = DEPTH_QUICK;
		else if (strcmp(argv[i], "--deep") == 0)
			run.depth = DEPTH_DEEP;
		else if (strcmp(argv[i], "--first") == 0)
			run.first = true;
		else if ((run.only = (uint32_t)strtoul(argv[i], NULL, 10)) == 0)
			return usage();
	}
	run.sum = mmap(NULL, sizeof(*run.sum), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.sum == MAP_FAILED)
		abort();
	(void)setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES);
	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	good = share(&run, run.first || run.only != 0 ? 1 :
	    sysconf(_SC_NPROCESSORS_ONLN));
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	printf("1..%" PRIu32 "\n", run.only != 0 ? 1 : run.number);
	printf("# %" PRIu64 " states, %" PRIu64 " transitions, %ld s\n",
	    run.sum->state_count, run.sum->transition_count,
	    (long)(end.tv_sec - begin.tv_sec));
	return !good || run.sum->failed_count != 0;
}
