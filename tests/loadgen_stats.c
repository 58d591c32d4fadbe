/*
 * What the load generator counts.  No I/O and no clock: moments are given.
 *
 * The histogram has a bucket for every value below HISTOGRAM_SUB_COUNT, then
 * HISTOGRAM_SUB_COUNT buckets for each power of two, so that its relative
 * error is the same everywhere and a run of any length takes the same memory.
 */
#include "loadgen_stats.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static unsigned
bucket_of(uint64_t value_us)
{
	unsigned shift;

	if (value_us > UINT32_MAX)
		value_us = UINT32_MAX;
	if (value_us < HISTOGRAM_SUB_COUNT)
		return (unsigned)value_us;
	shift = 63U - (unsigned)__builtin_clzll(value_us) -
	    HISTOGRAM_SUB_BITS;
	return ((shift + 1) << HISTOGRAM_SUB_BITS) +
	    (unsigned)(value_us >> shift) - HISTOGRAM_SUB_COUNT;
}

/* The largest value that falls into a bucket. */
static uint64_t
bucket_top(unsigned bucket)
{
	unsigned shift;
	uint64_t base;

	if (bucket < HISTOGRAM_SUB_COUNT)
		return bucket;
	shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
	base = HISTOGRAM_SUB_COUNT + (bucket & (HISTOGRAM_SUB_COUNT - 1));
	return ((base + 1) << shift) - 1;
}

static struct version *
find_version(struct stats *stats, const char *text)
{
	struct version *version;
	unsigned i;

	for (i = 0; i < stats->version_count; i++) {
		if (strcmp(stats->versions[i].text, text) == 0)
			return &stats->versions[i];
	}
	if (stats->version_count == VERSIONS_MAX)
		return NULL;
	version = &stats->versions[stats->version_count++];
	strcpy(version->text, text);
	return version;
}

static void
count_pid(struct version *version, pid_t pid)
{
	unsigned i;

	for (i = 0; i < version->pid_count; i++) {
		if (version->pids[i].pid == pid) {
			version->pids[i].count++;
			return;
		}
	}
	if (version->pid_count == PIDS_MAX) {
		version->other_pids_answers++;
		return;
	}
	version->pids[version->pid_count].pid = pid;
	version->pids[version->pid_count].count = 1;
	version->pid_count++;
}

/* What JSON would need an escape for does not get into a report. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (!isgraph((unsigned char)*text) || *text == '"' ||
		    *text == '\\')
			*text = '?';
	}
}

const char *
outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
#define X(name, text) [OUTCOME_##name] = text,
		OUTCOMES(X)
#undef X
	};

	assert(outcome < OUTCOME_COUNT);
	return names[outcome];
}

/* The version that a body names, with its answer noted; or NULL. */
static struct version *
note_answer(struct stats *stats, uint64_t now_us, const char *body)
{
	char text[VERSION_TEXT_MAX];
	struct version *version;
	int pid, field_count;

	field_count = sscanf(body, "version=%63s pid=%9d", text, &pid);
	if (field_count < 1)
		return NULL;
	make_printable(text);
	version = find_version(stats, text);
	if (version == NULL) {
		stats->other_versions_answers++;
		return NULL;
	}
	if (!version->answered)
		version->first_us = now_us;
	version->answered = true;
	version->last_us = now_us;
	if (field_count == 2)
		count_pid(version, pid);
	return version;
}

struct version *
stats_answer(struct stats *stats, uint64_t now_us, uint64_t latency_us,
    const char *body)
{
	struct version *version = note_answer(stats, now_us, body);

	stats->outcomes[OUTCOME_OK]++;
	stats->window_answers++;
	histogram_add(&stats->latency, latency_us);
	histogram_add(&stats->window_latency, latency_us);
	if (version == NULL)
		return NULL;
	version->count++;
	version->window_count++;
	return version;
}

struct version *
stats_wrong(struct stats *stats, uint64_t now_us, const char *body,
    struct version *known)
{
	struct version *version = note_answer(stats, now_us, body);

	stats_failure(stats, OUTCOME_WRONG, version != NULL ? version : known);
	return version;
}

void
stats_failure(struct stats *stats, enum outcome outcome,
    struct version *known)
{
	assert(outcome != OUTCOME_OK && outcome < OUTCOME_COUNT);
	stats->outcomes[outcome]++;
	stats->window_failures++;
	if (known != NULL)
		known->failures++;
}

void
stats_connection(struct stats *stats, struct version *version, int source,
    uint64_t serial)
{
	version->connections++;
	if (source >= 0)
		sources_note(&stats->sources, (unsigned)source, serial,
		    (unsigned)(version - stats->versions));
}

uint64_t
stats_requests(const struct stats *stats)
{
	return stats->outcomes[OUTCOME_OK] + stats_failures(stats);
}

uint64_t
stats_failures(const struct stats *stats)
{
	uint64_t failures = 0;
	int i;

	for (i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++)
		failures += stats->outcomes[i];
	return failures;
}

void
stats_next_window(struct stats *stats)
{
	unsigned i;

	stats->window_answers = 0;
	stats->window_failures = 0;
	memset(&stats->window_latency, 0, sizeof(stats->window_latency));
	for (i = 0; i < stats->version_count; i++)
		stats->versions[i].window_count = 0;
}

void
histogram_add(struct histogram *histogram, uint64_t value_us)
{
	histogram->count++;
	histogram->buckets[bucket_of(value_us)]++;
	if (value_us > histogram->maximum_us)
		histogram->maximum_us = value_us;
}

uint64_t
histogram_quantile(const struct histogram *histogram, unsigned thousandths)
{
	uint64_t rank, seen = 0;
	unsigned i;

	assert(thousandths <= 1000);
	if (histogram->count == 0)
		return 0;
	rank = (histogram->count * thousandths + 999) / 1000;
	for (i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank && seen > 0)
			break;
	}
	/* The top of the last bucket may lie above every value seen. */
	return bucket_top(i) < histogram->maximum_us ?
	    bucket_top(i) : histogram->maximum_us;
}
