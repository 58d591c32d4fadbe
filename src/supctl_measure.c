/*
 * DORA's four measures, from the deployments of a service.
 *
 * A deployment is a reload.  It reached users if the new release got
 * connections: it came in charge, or some step gave it weight.  It failed if
 * it was taken back after that, by supd or an operator, or by an undo at any
 * time later.  A first start, a restart and an undo deploy nothing new.
 *
 * What is not known is held against it: a deployment that was taken back, and
 * of which the ledger does not say what was observed, counts as a failure from
 * its beginning on.
 */
#include "supctl_dora.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_S UINT64_C(3600)
#define DAY_S (24 * HOUR_S)
#define WEEK_S (7 * DAY_S)
#define MONTH_S (30 * DAY_S)

enum kind { KIND_RELOAD, KIND_UNDO, KIND_RESTART, KIND_OTHER };

struct deployed {
	enum kind kind;
	uint64_t revision, from_revision;
	bool taken_back;                /* by its own verdict */
	bool reached;
	uint64_t committed_s;           /* 0: unknown */
	uint64_t serves_s;              /* from when on users got it */
	uint64_t in_charge_s;           /* 0: it never was */
	uint64_t finished_s;
	uint64_t undone_s;              /* 0: it was not */
};

static enum kind
kind_of(const json_t *deployment)
{
	static const char *const names[] = { [KIND_RELOAD] = "reload",
		[KIND_UNDO] = "undo", [KIND_RESTART] = "restart" };
	const char *kind = field_text(deployment, "kind");

	for (size_t i = 0; i < KIND_OTHER; i++)
		if (strcmp(kind, names[i]) == 0)
			return (enum kind)i;
	return KIND_OTHER;
}

/* The first step in which the new release had a share; NULL: none. */
static const json_t *
first_with_weight(const json_t *deployment)
{
	json_t *observation;
	size_t i;

	json_array_foreach(field_list(deployment, "observations"), i,
	    observation)
		if (field_number(observation, "weight_permille") > 0)
			return observation;
	return NULL;
}

static struct deployed
read_deployment(const json_t *deployment)
{
	const json_t *step = first_with_weight(deployment);
	const char *verdict = field_text(deployment, "verdict");
	bool observed = field_list(deployment, "observations") != NULL;
	struct deployed d = {
		.kind = kind_of(deployment),
		.revision = field_number(deployment, "revision"),
		.from_revision = field_number(deployment, "from_revision"),
		.taken_back = strcmp(verdict, "rolled-back") == 0 ||
		    strcmp(verdict, "aborted") == 0,
		.committed_s = field_number(deployment, "commit_time_s"),
		.in_charge_s = field_number(deployment, "in_charge_time_s"),
		.finished_s = field_number(deployment, "finished_time_s"),
	};

	/* Before there was keep_old, these were the same. */
	if (d.in_charge_s == 0 && strcmp(verdict, "complete") == 0)
		d.in_charge_s = d.finished_s;
	d.reached = d.in_charge_s > 0 || step != NULL ||
	    (d.taken_back && !observed);
	d.serves_s = field_number(deployment, "started_time_s") +
	    field_number(step, "began_ms") / 1000;
	return d;
}

/*
 * The release that an undo was against: where the same build was restarted,
 * the one that was deployed.  0: it took back nothing but a restart.
 */
static uint64_t
undone_revision(const struct deployed *list, size_t count, size_t undo)
{
	uint64_t revision = list[undo].from_revision;

	for (size_t i = undo + 1; i < count; i++) {
		if (list[i].kind != KIND_RESTART ||
		    list[i].revision != revision)
			continue;
		revision = list[i].from_revision;
		if (revision == list[undo].revision)
			return 0;
	}
	return revision;
}

/* The list is in order of time, the newest first, so the first older reload
 * of the revision is the one; and of several undos the first one counts. */
static void
mark_undone(struct deployed *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t revision;

		if (list[i].kind != KIND_UNDO || list[i].in_charge_s == 0)
			continue;
		revision = undone_revision(list, count, i);
		for (size_t j = i + 1; j < count; j++) {
			if (list[j].kind != KIND_RELOAD ||
			    list[j].revision != revision)
				continue;
			if (list[j].in_charge_s > 0)
				list[j].undone_s = list[i].in_charge_s;
			break;
		}
	}
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Sorts. */
static uint64_t
median(uint64_t *values, size_t count)
{
	if (count == 0)
		return 0;
	qsort(values, count, sizeof(*values), compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Of what is sorted: the least value that nine of ten do not exceed. */
static uint64_t
nine_of_ten(const uint64_t *values, size_t count)
{
	return count == 0 ? 0 : values[(count * 9 + 9) / 10 - 1];
}

/* From `from` on, or nothing, where clocks do not agree. */
static uint64_t
span(uint64_t from_s, uint64_t to_s)
{
	return to_s > from_s ? to_s - from_s : 0;
}

/* Counts one reload, and collects its times. */
static void
add(struct measure *m, const struct deployed *d, uint64_t *leads,
    uint64_t *recoveries)
{
	if (!d->reached) {
		m->harmless += d->taken_back;
		return;
	}
	m->reached++;
	if (d->in_charge_s > 0) {
		m->deployed++;
		if (d->committed_s > 0)
			leads[m->lead_count++] = span(d->committed_s,
			    d->in_charge_s);
	}
	if (!d->taken_back && d->undone_s == 0)
		return;
	m->failed++;
	recoveries[m->recovery_count++] = span(d->serves_s,
	    d->taken_back ? d->finished_s : d->undone_s);
}

struct measure
measure_deployments(const json_t *deployments, const char *service,
    int64_t since_s)
{
	size_t capacity = json_array_size(deployments) + 1, count = 0, i;
	struct deployed *list = draw_memory(calloc(capacity, sizeof(*list)));
	uint64_t *leads = draw_memory(calloc(capacity, sizeof(*leads)));
	uint64_t *recoveries = draw_memory(calloc(capacity,
	    sizeof(*recoveries)));
	struct measure m = { 0 };
	json_t *deployment;

	json_array_foreach(deployments, i, deployment)
		if (strcmp(field_text(deployment, "service"), service) == 0)
			list[count++] = read_deployment(deployment);
	mark_undone(list, count);
	for (i = 0; i < count; i++) {
		uint64_t time_s = list[i].in_charge_s > 0 ?
		    list[i].in_charge_s : list[i].finished_s;

		if (list[i].kind == KIND_RELOAD && time_s >= (uint64_t)since_s)
			add(&m, &list[i], leads, recoveries);
	}
	m.lead_median_s = median(leads, m.lead_count);
	m.lead_p90_s = nine_of_ten(leads, m.lead_count);
	m.recovery_median_s = median(recoveries, m.recovery_count);
	free(list);
	free(leads);
	free(recoveries);
	return m;
}

/*
 * The levels of the 2024 report.  In it the medium level has no worse recovery
 * than the high one, and fewer failures, so that a number of these two is never
 * called medium: the best level whose bound it keeps is meant.
 */
static const struct level {
	const char *name;
	uint64_t interval_s_max;        /* between deployments */
	uint64_t lead_s_max;
	uint64_t failure_permille_max;
	uint64_t recovery_s_max;
} levels[] = {
	{ "elite", DAY_S - 1, DAY_S - 1, 50, HOUR_S - 1 },
	{ "high", WEEK_S, WEEK_S, 200, DAY_S - 1 },
	{ "medium", MONTH_S, MONTH_S, 100, DAY_S - 1 },
};
enum { LEVEL_COUNT = sizeof(levels) / sizeof(levels[0]) };

static const char *
level_name(size_t index)
{
	return index < LEVEL_COUNT ? levels[index].name : "low";
}

uint64_t
measure_failure_permille(const struct measure *m)
{
	return m->reached == 0 ? 0 : (UINT64_C(2000) * m->failed /
	    m->reached + 1) / 2;
}

const char *
measure_frequency_level(const struct measure *m, int64_t window_s)
{
	size_t i = 0;

	assert(window_s > 0);
	if (m->deployed == 0)
		return NULL;
	while (i < LEVEL_COUNT && (uint64_t)window_s >
	    levels[i].interval_s_max * m->deployed)
		i++;
	return level_name(i);
}

const char *
measure_lead_level(const struct measure *m)
{
	size_t i = 0;

	if (m->lead_count == 0)
		return NULL;
	while (i < LEVEL_COUNT && m->lead_median_s > levels[i].lead_s_max)
		i++;
	return level_name(i);
}

const char *
measure_failure_level(const struct measure *m)
{
	size_t i = 0;

	if (m->reached == 0)
		return NULL;
	while (i < LEVEL_COUNT && UINT64_C(1000) * m->failed >
	    levels[i].failure_permille_max * m->reached)
		i++;
	return level_name(i);
}

const char *
measure_recovery_level(const struct measure *m)
{
	size_t i = 0;

	if (m->recovery_count == 0)
		return NULL;
	while (i < LEVEL_COUNT && m->recovery_median_s >
	    levels[i].recovery_s_max)
		i++;
	return level_name(i);
}
