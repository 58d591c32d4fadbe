/*
 * The simulator: random rollouts of the real engine in virtual time.
 *
 * Each run plays from a seed: services and builds are drawn, operators give
 * orders, processes, disk and machine do what they like, and every turn is
 * checked (sim_model.c, sim_check.c).  Some seeds are played again: with the
 * engine made anew from its state after every turn, or after every few, which
 * must leave the same trace; with restarts in which something is lost; and with
 * deaths of supd in the middle of a turn.  At the end everything that can happen
 * must have happened: what is never reached is not tested.  Prints TAP.
 *
 *   simulate [-n ROLLOUTS] [--seeds FROM-TO] [--again EVERY] [-v] [SEED]
 *
 * EVERY is in seeds; 0: none is played again.  With SEED that one run only, and
 * again; -v prints its trace, with `--keep`, `--lose` or `--die` that of one with
 * restarts.
 */
#include "sim_world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	KEPT_EVERY = 500,               /* seeds: played again, with restarts */
	LOST_EVERY = 50,                /* in which nothing or something is lost, */
	DIED_EVERY = 25,                /* or in which it dies in a turn */
	COVERED_FROM = 5000,            /* rollouts; fewer do not reach all, */
};

struct options {
	uint64_t from, to;
	uint64_t rollout_count;         /* stop at so many; 0: at `to` */
	uint64_t kept_every, lost_every, died_every;    /* seeds */
	enum sim_restarts restarts;     /* of what is printed */
	bool verbose;
	bool single;
};

/* What is being played, for who has to say where it died. */
static struct sim sim;

static void
print_broken(void)
{
	printf("# broken, seed %" PRIu64 ": %s\n", sim.seed, sim.broken);
	if (!sim.verbose)
		sim_print_lines(&sim, stdout);
	(void)fflush(stdout);
}

/* An assertion of the engine; it is synchronous, so that printing is fine. */
static void
on_abort(int signal_number)
{
	(void)snprintf(sim.broken, sizeof(sim.broken), "it aborts");
	printf("not ok 1 - signal %d\n", signal_number);
	print_broken();
}

/* Once more, with restarts. */
static bool
play_again(uint64_t seed, enum sim_restarts restarts,
    struct sim_totals *totals)
{
	static struct sim_totals again;
	uint64_t hash = sim.hash;
	bool good;

	memset(&again, 0, sizeof(again));
	good = sim_run(&sim, seed, restarts, false, &again);
	for (unsigned i = SIM_RESTARTED; i < SIM_COVER_COUNT; i++)
		totals->covers[i] += again.covers[i];
	totals->restart_count += again.covers[SIM_RESTARTED];
	if (!good)
		print_broken();
	if (!good || restarts != SIM_KEEPS_ALL || sim.hash == hash)
		return good;
	printf("# seed %" PRIu64 " does not play the same with restarts\n",
	    seed);
	return false;
}

static bool
play(const struct options *options, uint64_t seed, struct sim_totals *totals)
{
	if (!sim_run(&sim, seed, options->restarts, options->verbose,
	    totals)) {
		print_broken();
		return false;
	}
	if (options->verbose || options->kept_every == 0)
		return true;
	return (seed % options->kept_every != 0 ||
	    play_again(seed, SIM_KEEPS_ALL, totals)) &&
	    (seed % options->lost_every != 0 ||
	    play_again(seed, SIM_LOSES, totals)) &&
	    (seed % options->died_every != 0 ||
	    play_again(seed, SIM_DIES, totals));
}

static bool
print_coverage(const struct sim_totals *totals, bool all, bool restarts)
{
	uint32_t missing = 0, count = restarts ? SIM_COVER_COUNT :
	    SIM_RESTARTED;

	for (unsigned i = 0; i < count; i++) {
		printf("# %-24s %10" PRIu64 "%s\n", sim_cover_name(i),
		    totals->covers[i], totals->covers[i] == 0 ? " !" : "");
		missing += totals->covers[i] == 0;
	}
	if (!all)
		return true;
	printf("%sok 2 - of %u things that can happen %" PRIu32 " never did\n",
	    missing != 0 ? "not " : "", count, missing);
	return missing == 0;
}

static bool
run(const struct options *options)
{
	static struct sim_totals totals;
	uint64_t seed = options->from, hash = RELEASE_HASH_START;
	struct timespec cpu;
	bool good = true, all;

	for (; good && seed <= options->to; seed++) {
		good = play(options, seed, &totals);
		hash = release_hash(hash, &sim.hash, sizeof(sim.hash));
		if (options->rollout_count != 0 &&
		    totals.rollout_count >= options->rollout_count) {
			seed++;
			break;
		}
	}
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("%sok 1 - %" PRIu64 " rollouts, seeds %" PRIu64 "-%" PRIu64
	    ", %" PRIu64 " complete, %" PRIu64 " rolled back, %" PRIu64
	    " superseded, %" PRIu64 " aborted; trace hash %016" PRIx64 "\n",
	    good ? "" : "not ", totals.rollout_count, options->from, seed - 1,
	    totals.verdicts[VERDICT_COMPLETE],
	    totals.verdicts[VERDICT_ROLLED_BACK],
	    totals.verdicts[VERDICT_SUPERSEDED],
	    totals.verdicts[VERDICT_ABORTED], hash);
	printf("# %" PRIu64 " turns, %" PRIu64 " workers, %" PRIu64
	    " restarts, %ld s\n", totals.turn_count, totals.start_count,
	    totals.restart_count, (long)cpu.tv_sec);
	all = totals.rollout_count >= COVERED_FROM;
	if (!options->single)
		good &= print_coverage(&totals, all && good,
		    options->kept_every != 0);
	printf("1..%d\n", all ? 2 : 1);
	return good;
}

static int
usage(void)
{
	(void)fprintf(stderr,
	    "usage: simulate [-n ROLLOUTS] [--seeds FROM-TO] [--again EVERY] "
	    "[--keep|--lose|--die] [-v] [SEED]\n");
	return 2;
}

static bool
parse_seeds(const char *text, struct options *ret)
{
	char *end;

	ret->from = strtoull(text, &end, 10);
	if (*end != '-')
		return false;
	ret->to = strtoull(end + 1, &end, 10);
	ret->rollout_count = 0;
	return *end == '\0' && ret->to >= ret->from;
}

static bool
parse(int argc, char **argv, struct options *ret)
{
	char *end;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			ret->verbose = true;
		} else if (strcmp(argv[i], "--keep") == 0) {
			ret->restarts = SIM_KEEPS_ALL;
		} else if (strcmp(argv[i], "--lose") == 0) {
			ret->restarts = SIM_LOSES;
		} else if (strcmp(argv[i], "--die") == 0) {
			ret->restarts = SIM_DIES;
		} else if (strcmp(argv[i], "--again") == 0 && i + 1 < argc) {
			ret->kept_every = strtoull(argv[++i], &end, 10);
			ret->lost_every = ret->died_every = ret->kept_every;
			if (*end != '\0')
				return false;
		} else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) {
			ret->rollout_count = strtoull(argv[++i], &end, 10);
			if (*end != '\0' || ret->rollout_count == 0)
				return false;
		} else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
			if (!parse_seeds(argv[++i], ret))
				return false;
		} else {
			ret->from = ret->to = strtoull(argv[i], &end, 10);
			ret->single = true;
			ret->kept_every = ret->lost_every = 1;
			ret->died_every = 1;
			if (*end != '\0')
				return false;
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct options options = {
		.from = 1, .to = UINT64_MAX - 1, .rollout_count = 100000,
		.kept_every = KEPT_EVERY, .lost_every = LOST_EVERY,
		.died_every = DIED_EVERY,
	};

	if (!parse(argc, argv, &options))
		return usage();
	(void)signal(SIGABRT, on_abort);
	return !run(&options);
}
