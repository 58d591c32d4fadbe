/*
 * What the load generator prints.  It reads the numbers and changes none.
 */
#include "loadgen_report.h"

#include <inttypes.h>
#include <string.h>

#include "loadgen_stats.h"

static const struct quantile {
	const char *name, *key;
	unsigned thousandths;
} quantiles[] = {
	{ "p50", "p50", 500 },
	{ "p90", "p90", 900 },
	{ "p99", "p99", 990 },
	{ "p99.9", "p99_9", 999 },
	{ "max", "max", 1000 },
};

enum { QUANTILE_COUNT = sizeof(quantiles) / sizeof(quantiles[0]) };

static double
ms(uint64_t us)
{
	return (double)us / 1e3;
}

static double
seconds(uint64_t us)
{
	return (double)us / 1e6;
}

static void
print_failures(FILE *file, const struct stats *stats)
{
	const char *separator = "   ";
	int i;

	fprintf(file, "failures    %" PRIu64, stats_failures(stats));
	for (i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++) {
		if (stats->outcomes[i] == 0)
			continue;
		fprintf(file, "%s%" PRIu64 " %s", separator,
		    stats->outcomes[i], outcome_name((enum outcome)i));
		separator = ", ";
	}
	if (stats->last_error != 0)
		fprintf(file, " (%s)", strerror(stats->last_error));
	fprintf(file, "\n");
}

static void
print_version(FILE *file, const struct stats *stats, unsigned index)
{
	const struct version *version = &stats->versions[index];

	fprintf(file, "%-20s %10" PRIu64 " %8" PRIu64 " %11" PRIu64
	    " %8u %10.3f s %10.3f s %7u%s\n", version->text, version->count,
	    version->failures, version->connections,
	    sources_seen(&stats->sources, index), seconds(version->first_us),
	    seconds(version->last_us), version->pid_count,
	    version->other_pids_answers > 0 ? "+" : "");
}

/* What the source addresses saw one after the other. */
static void
print_changes(FILE *file, const struct stats *stats)
{
	const char *before = "\nchanges     ";
	uint64_t count;
	unsigned from, to;

	for (from = 0; from < stats->version_count; from++) {
		for (to = 0; to < stats->version_count; to++) {
			count = stats->sources.changes[from][to];
			if (count == 0)
				continue;
			fprintf(file, "%s%" PRIu64 " from %s to %s", before,
			    count, stats->versions[from].text,
			    stats->versions[to].text);
			before = ", ";
		}
	}
	if (*before == ',')
		fprintf(file, "; of %u source addresses\n",
		    sources_answered(&stats->sources));
}

static void
print_versions(FILE *file, const struct stats *stats)
{
	unsigned i;

	if (stats->version_count == 0)
		return;
	fprintf(file, "\n%-20s %10s %8s %11s %8s %12s %12s %8s\n", "version",
	    "answers", "failures", "connections", "sources", "first", "last",
	    "workers");
	for (i = 0; i < stats->version_count; i++)
		print_version(file, stats, i);
	if (stats->other_versions_answers > 0)
		fprintf(file, "%-20s %10" PRIu64 "\n", "(further versions)",
		    stats->other_versions_answers);
	print_changes(file, stats);
}

void
report_table(FILE *file, const struct report_context *context,
    const struct stats *stats)
{
	double elapsed_s = seconds(context->elapsed_us);
	uint64_t requests = stats_requests(stats);
	int i;

	fprintf(file, "target      %s, %ld/s, keep-alive %s, at most %u "
	    "connections\n", context->target, context->rate,
	    context->keep_alive ? "on" : "off", context->connections);
	fprintf(file, "requests    %" PRIu64 " in %.1f s (%.0f/s) over "
	    "%" PRIu64 " connections\n", requests, elapsed_s,
	    elapsed_s > 0 ? (double)requests / elapsed_s : 0,
	    stats->connections);
	fprintf(file, "ok          %" PRIu64 "\n",
	    stats->outcomes[OUTCOME_OK]);
	print_failures(file, stats);
	fprintf(file, "latency  ");
	for (i = 0; i < QUANTILE_COUNT && stats->latency.count > 0; i++)
		fprintf(file, "   %s %.2f ms", quantiles[i].name,
		    ms(histogram_quantile(&stats->latency,
		    quantiles[i].thousandths)));
	fprintf(file, "%s\n", stats->latency.count > 0 ? "" : "   none");
	fprintf(file, "generator   %" PRIu64 " late starts (over %ld ms), "
	    "worst %.2f ms; %" PRIu64 " waited for a connection, at most "
	    "%" PRIu64 " at once\n", stats->late_starts, context->late_ms,
	    ms(stats->late_max_us), stats->waited, stats->waiting_max);
	print_versions(file, stats);
}

static void
print_json_version(FILE *file, const struct stats *stats, unsigned index)
{
	const struct version *version = &stats->versions[index];
	unsigned i;

	fprintf(file, "{\"version\":\"%s\",\"count\":%" PRIu64
	    ",\"failures\":%" PRIu64 ",\"connections\":%" PRIu64
	    ",\"sources\":%u,\"first_ms\":%" PRIu64 ",\"last_ms\":%" PRIu64
	    ",\"other_pids\":%" PRIu64 ",\"pids\":[", version->text,
	    version->count, version->failures, version->connections,
	    sources_seen(&stats->sources, index), version->first_us / 1000,
	    version->last_us / 1000, version->other_pids_answers);
	for (i = 0; i < version->pid_count; i++)
		fprintf(file, "%s{\"pid\":%d,\"count\":%" PRIu64 "}",
		    i > 0 ? "," : "", (int)version->pids[i].pid,
		    version->pids[i].count);
	fprintf(file, "]}");
}

/* All pairs that were seen, each direction by itself. */
static void
print_json_changes(FILE *file, const struct stats *stats)
{
	const char *separator = "";
	uint64_t count;
	unsigned from, to;

	for (from = 0; from < stats->version_count; from++) {
		for (to = 0; to < stats->version_count; to++) {
			count = stats->sources.changes[from][to];
			if (count == 0)
				continue;
			fprintf(file, "%s{\"from\":\"%s\",\"to\":\"%s\","
			    "\"count\":%" PRIu64 "}", separator,
			    stats->versions[from].text,
			    stats->versions[to].text, count);
			separator = ",";
		}
	}
}

void
report_json(FILE *file, const struct report_context *context,
    const struct stats *stats)
{
	unsigned i;

	/* Without the target: a path may hold what would need an escape. */
	fprintf(file, "{\"rate\":%ld,\"keep_alive\":%s,\"elapsed_ms\":%" PRIu64
	    ",\"requests\":%" PRIu64 ",\"failures\":%" PRIu64
	    ",\"connections\":%" PRIu64 ",\"idle_closed\":%" PRIu64,
	    context->rate, context->keep_alive ? "true" : "false",
	    context->elapsed_us / 1000, stats_requests(stats),
	    stats_failures(stats), stats->connections, stats->idle_closed);
	for (i = 0; i < OUTCOME_COUNT; i++)
		fprintf(file, ",\"%s\":%" PRIu64,
		    outcome_name((enum outcome)i), stats->outcomes[i]);
	fprintf(file, ",\"latency_us\":{");
	for (i = 0; i < QUANTILE_COUNT; i++)
		fprintf(file, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
		    quantiles[i].key, histogram_quantile(&stats->latency,
		    quantiles[i].thousandths));
	fprintf(file, "},\"late_starts\":%" PRIu64 ",\"late_max_us\":%" PRIu64
	    ",\"waited\":%" PRIu64 ",\"waiting_max\":%" PRIu64
	    ",\"other_versions\":%" PRIu64 ",\"versions\":[",
	    stats->late_starts, stats->late_max_us, stats->waited,
	    stats->waiting_max, stats->other_versions_answers);
	for (i = 0; i < stats->version_count; i++) {
		if (i > 0)
			fputc(',', file);
		print_json_version(file, stats, i);
	}
	fprintf(file, "],\"sources\":%u,\"overtaken\":%" PRIu64
	    ",\"changes\":[", sources_answered(&stats->sources),
	    stats->sources.overtaken);
	print_json_changes(file, stats);
	fprintf(file, "]}\n");
}

void
report_progress(FILE *file, const struct report_context *context,
    const struct stats *stats)
{
	const struct version *version;
	unsigned i;

	fprintf(file, "%6.1f s %7" PRIu64 " ok %5" PRIu64 " failed   "
	    "p99 %8.2f ms  ", seconds(context->elapsed_us),
	    stats->window_answers, stats->window_failures,
	    ms(histogram_quantile(&stats->window_latency, 990)));
	for (i = 0; i < stats->version_count; i++) {
		version = &stats->versions[i];
		if (version->window_count > 0)
			fprintf(file, " %s:%.1f%%", version->text,
			    100.0 * (double)version->window_count /
			    (double)stats->window_answers);
	}
	fprintf(file, "\n");
	fflush(file);
}
