/*
 * One service in detail: its workers, listeners and releases.
 *
 * Up to WORKERS_LISTED_MAX workers are listed one by one.  Of more, the states
 * are counted and only those are listed that do not simply serve, and not all
 * of them either if there are many: somebody looks at this at night.
 */
#include "supctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_LISTED_MAX = 24, UNUSUAL_LISTED_MAX = 12 };

/* In the order in which they are told; `ready` first. */
static const char *const states[] = { "ready", "starting", "reloading",
	"stopping", "draining", "killed", "of no known state" };
enum { STATE_COUNT = sizeof(states) / sizeof(states[0]) };
_Static_assert(STATE_COUNT <= sizeof(((struct tally *)0)->counts) /
    sizeof(uint32_t), "a tally has a count for each state");

static size_t
state_index(const char *state)
{
	size_t i = 0;

	while (i < STATE_COUNT - 1 && strcmp(state, states[i]) != 0)
		i++;
	return i;
}

struct tally
tally_workers(const json_t *workers, uint64_t revision)
{
	struct tally tally = { 0 };
	json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) {
		if (revision != 0 &&
		    field_number(worker, "revision") != revision)
			continue;
		tally.total++;
		tally.counts[state_index(field_text(worker, "state"))]++;
	}
	return tally;
}

uint32_t
tally_ready(const struct tally *tally)
{
	return tally->counts[0];
}

enum style
worker_style(const char *state)
{
	static const enum style styles[STATE_COUNT] = { STYLE_GOOD,
		STYLE_WARNING, STYLE_WARNING, STYLE_DIM, STYLE_DIM, STYLE_BAD,
		STYLE_BAD };

	return styles[state_index(state)];
}

void
tally_print(struct draw *d, const struct tally *tally)
{
	const char *separator = "";

	for (size_t i = 0; i < STATE_COUNT; i++) {
		if (tally->counts[i] == 0)
			continue;
		draw_text(d, STYLE_PLAIN, separator);
		draw_format(d, worker_style(states[i]), "%" PRIu32 " %s",
		    tally->counts[i], states[i]);
		separator = ", ";
	}
	if (tally->total == 0)
		draw_text(d, STYLE_DIM, "none");
}

void
tally_words(const struct tally *tally, bool with_ready, char *text,
    size_t capacity)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = with_ready ? 0 : 1; i < STATE_COUNT; i++)
		if (tally->counts[i] > 0 && used < capacity)
			used += (size_t)snprintf(text + used, capacity - used,
			    "%s%" PRIu32 " %s", used > 0 ? ", " : "",
			    tally->counts[i], states[i]);
}

/* Of the worst that any of them is in. */
enum style
tally_style(const struct tally *tally)
{
	enum style worst = STYLE_GOOD;

	for (size_t i = 0; i < STATE_COUNT; i++) {
		enum style style = worker_style(states[i]);

		if (tally->counts[i] > 0 && style > worst)
			worst = style;
	}
	return worst;
}

/* STATUS=, and for one that is told to go why and how long it may take. */
static void
print_remark(struct table *t, const json_t *worker)
{
	const char *status = field_text(worker, "status");
	const char *ending = field_text(worker, "ending");
	const char *state = field_text(worker, "state");
	bool leaves = strcmp(state, "draining") == 0 && ending[0] != '\0';
	char until[64] = "";

	if (field_given(worker, "deadline_ms"))
		snprintf(until, sizeof(until), "%s%s left", leaves ? ", " : "",
		    draw_duration(field_number(worker, "deadline_ms")).text);
	if (strcmp(state, "ready") == 0)
		until[0] = '\0';        /* its watchdog: of no interest */
	table_cell(t, STYLE_PLAIN, "%s%s%s%s", leaves ? ending : "", until,
	    (leaves || until[0] != '\0') && status[0] != '\0' ? "; " : "",
	    status);
}

static void
print_worker(struct table *t, const json_t *worker)
{
	const char *state = field_text(worker, "state");
	uint64_t memory = field_number(worker, "memory_bytes");

	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(worker, "slot"));
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(worker, "pid"));
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(worker,
	    "revision"));
	table_cell(t, worker_style(state), "%s", state);
	table_cell(t, STYLE_PLAIN, "%s", draw_duration(field_number(worker,
	    "state_ms")).text);
	table_cell(t, STYLE_PLAIN, "%s", memory > 0 ?
	    draw_bytes(memory).text : "");
	print_remark(t, worker);
}

/* By slot, the older release first: the supervisor has them in the order of
 * its records. */
static int
compare_workers(const void *a, const void *b)
{
	const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
	const char *key = "slot";

	if (field_number(left, key) == field_number(right, key))
		key = "revision";
	return (field_number(left, key) > field_number(right, key)) -
	    (field_number(left, key) < field_number(right, key));
}

static void
print_worker_list(struct draw *d, const json_t *workers, bool unusual_only)
{
	static const char *const headings[] = { "SLOT", "PID", "REVISION",
		"STATE", "FOR", "MEMORY", "STATUS" };
	struct table *t = table_new(headings, sizeof(headings) /
	    sizeof(headings[0]));
	size_t listed_max = unusual_only ? UNUSUAL_LISTED_MAX :
	    WORKERS_LISTED_MAX;
	json_t **list = draw_memory(calloc(json_array_size(workers),
	    sizeof(*list)));
	struct draw cut = *d;
	size_t count = 0, i;
	json_t *worker;

	json_array_foreach(workers, i, worker)
		if (!unusual_only || strcmp(field_text(worker, "state"),
		    "ready") != 0)
			list[count++] = worker;
	qsort(list, count, sizeof(*list), compare_workers);
	for (i = 0; i < count && i < listed_max; i++)
		print_worker(t, list[i]);
	free(list);
	/* A STATUS= may be long; what a sentence says must not be cut, it may. */
	draw_fit(&cut);
	cut.height = d->height;
	table_print(t, &cut, 2);
	d->line_count = cut.line_count;
	if (count > listed_max)
		draw_line(d, STYLE_DIM, "  and %zu more like these",
		    count - listed_max);
}

static void
print_workers(struct draw *d, const json_t *service)
{
	const json_t *workers = field_list(service, "worker_list");
	struct tally tally = tally_workers(workers, 0);
	bool many = tally.total > WORKERS_LISTED_MAX;

	draw_end(d);
	draw_format(d, STYLE_BOLD, "workers of %s: ",
	    field_text(service, "name"));
	tally_print(d, &tally);
	if (field_given(service, "stored_fds"))
		draw_format(d, STYLE_PLAIN, "; %" PRIu64 " stored file "
		    "descriptors", field_number(service, "stored_fds"));
	draw_end(d);
	if (tally.total > 0 && (!many || tally_ready(&tally) < tally.total))
		print_worker_list(d, workers, many);
}

static void
print_listener(struct table *t, const json_t *listener)
{
	uint64_t length = field_number(listener, "queue_length");
	uint64_t limit = field_number(listener, "queue_limit");
	bool broken = field_flag(listener, "broken");

	table_cell(t, STYLE_PLAIN, "%s", field_text(listener, "name"));
	table_cell(t, STYLE_PLAIN, "%s", field_text(listener, "address"));
	if (field_given(listener, "queue_limit"))
		table_cell(t, length * 2 >= limit ? STYLE_BAD : STYLE_PLAIN,
		    "%" PRIu64 "/%" PRIu64, length, limit);
	else
		table_cell(t, STYLE_PLAIN, "%s", "");
	table_cell(t, STYLE_BAD, "%s", broken ?
	    "nobody can connect, see the log" : "");
}

static void
print_listeners(struct draw *d, const json_t *service)
{
	static const char *const headings[] = { "NAME", "ADDRESS", "QUEUE",
		"TROUBLE" };
	const json_t *listeners = field_list(service, "listeners");
	json_t *listener;
	struct table *t;
	size_t i;

	if (json_array_size(listeners) == 0)
		return;
	draw_end(d);
	draw_line(d, STYLE_BOLD, "listeners of %s", field_text(service,
	    "name"));
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach(listeners, i, listener)
		print_listener(t, listener);
	table_print(t, d, 2);
}

static void
print_release(struct table *t, const json_t *release)
{
	const char *role = "";

	if (field_flag(release, "in_charge"))
		role = "in charge";
	else if (field_flag(release, "quarantined"))
		role = "was taken back";
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(release,
	    "revision"));
	table_cell(t, STYLE_PLAIN, "%s", field_text(release, "version"));
	table_cell(t, STYLE_DIM, "%.8s", field_text(release, "build_id"));
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(release,
	    "worker_count"));
	table_cell(t, STYLE_PLAIN, "%s", draw_age((int64_t)field_number(
	    release, "created_time_s")).text);
	table_cell(t, field_flag(release, "in_charge") ? STYLE_GOOD :
	    STYLE_WARNING, "%s", role);
	table_cell(t, STYLE_PLAIN, "%s", field_text(release, "path"));
}

void
detail_print_releases(struct draw *d, const json_t *service)
{
	static const char *const headings[] = { "REVISION", "VERSION", "BUILD",
		"WORKERS", "AGE", "ROLE", "PATH" };
	const json_t *releases = field_list(service, "releases");
	json_t *release;
	struct table *t;
	size_t i;

	if (json_array_size(releases) == 0)
		return;
	draw_line(d, STYLE_BOLD, "releases of %s", field_text(service,
	    "name"));
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	json_array_foreach(releases, i, release)
		print_release(t, release);
	table_print(t, d, 2);
}

void
detail_print(struct draw *d, const json_t *service)
{
	print_workers(d, service);
	print_listeners(d, service);
	draw_end(d);
	detail_print_releases(d, service);
}
