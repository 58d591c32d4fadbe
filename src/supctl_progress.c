/*
 * A rollout as it is now, in a few lines: who moves where, the steps with the
 * present one marked, a line for each lane, and what is waited for.
 *
 *     web  reload  revision 3 -> 4 (v2.1)  canary  climb  3m12s
 *       step 2 of 4:  5% 1m  [25% 5m, 2m10s left]  50% pause  100%
 *       LANE       REVISION  WEIGHT  MEASURED     READY  QUEUE  PROBES  WORKERS
 *       stable     3 (v2.0)  75%     74.1% (600)  4/4    0      120     oooo
 *       candidate  4 (v2.1)  25%     25.9% (210)  1/1    0      118     o...
 *       waits for the rest of the hold
 *
 * The picture of `reload` and `rollout status` are this.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

enum { SLOTS_DRAWN_MAX = 32 };

struct measured {
	struct share share;
	uint32_t total;         /* of the lanes; 0: there is nothing to say */
};

static const json_t *
workers_of(const json_t *service)
{
	return field_list(service, "worker_list");
}

static char
worker_symbol(const char *state)
{
	static const struct {
		const char *state;
		char symbol;
	} symbols[] = {
		{ "ready", 'o' }, { "starting", '+' }, { "reloading", '~' },
		{ "stopping", '-' }, { "draining", '-' }, { "killed", 'x' },
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (strcmp(state, symbols[i].state) == 0)
			return symbols[i].symbol;
	return '?';
}

/* A symbol for each slot; where a slot has two workers of one release, the one
 * that serves is shown. */
static void
write_slots(const json_t *workers, uint64_t revision, uint64_t slot_count,
    char ret_text[SLOTS_DRAWN_MAX + 1])
{
	json_t *worker;
	size_t i;

	memset(ret_text, '.', slot_count);
	ret_text[slot_count] = '\0';
	json_array_foreach(workers, i, worker) {
		uint64_t slot = field_number(worker, "slot");

		if (slot < slot_count && ret_text[slot] != 'o' &&
		    field_number(worker, "revision") == revision)
			ret_text[slot] = worker_symbol(field_text(worker,
			    "state"));
	}
}

/* The states; of those that serve only the symbols, if there is room. */
static void
print_workers(struct table *t, const json_t *service, uint64_t revision)
{
	uint64_t slot_count = field_number(service, "workers");
	struct tally tally = tally_workers(workers_of(service), revision);
	char slots[SLOTS_DRAWN_MAX + 1] = "", words[160];
	bool drawn = slot_count <= SLOTS_DRAWN_MAX;
	enum style style = tally_style(&tally);

	if (drawn)
		write_slots(workers_of(service), revision, slot_count, slots);
	tally_words(&tally, !drawn, words, sizeof(words));
	table_cell(t, style, "%s%s%s", slots, drawn && words[0] != '\0' ?
	    "  " : "", words);
}

static void
print_ready(struct table *t, uint64_t ready, uint64_t workers)
{
	table_cell(t, ready < workers ? STYLE_WARNING : STYLE_GOOD,
	    "%" PRIu64 "/%" PRIu64, ready, workers);
}

static void
print_probes(struct table *t, const json_t *lane)
{
	uint64_t passed = field_number(lane, "probes_passed");
	uint64_t failed = field_number(lane, "probes_failed");

	if (passed == 0 && failed == 0)
		table_cell(t, STYLE_PLAIN, "%s", "");
	else if (failed == 0)
		table_cell(t, STYLE_PLAIN, "%" PRIu64, passed);
	else
		table_cell(t, STYLE_WARNING, "%" PRIu64 ", %" PRIu64
		    " failed", passed, failed);
}

/*
 * What the lanes have of the open connections.  Others than theirs, of older
 * releases that still drain, do not count; lanes with one label cannot be told
 * apart.
 */
static void
measure(const json_t *service, const json_t *lanes,
    struct share_reader *reader, struct measured *ret)
{
	bool seen[LABELS_MAX] = { false };
	json_t *lane;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	json_array_foreach(lanes, i, lane) {
		uint64_t label = field_number(lane, "label");

		if (!field_given(lane, "label") || label >= LABELS_MAX ||
		    seen[label])
			return;
		seen[label] = true;
	}
	if (json_array_size(lanes) < 2)
		return;
	ret->share = share_measure(reader, field_list(service, "listeners"));
	for (i = 0; i < LABELS_MAX; i++)
		if (seen[i])
			ret->total += ret->share.counts[i];
}

static void
print_measured(struct table *t, const json_t *lane, const struct measured *m)
{
	uint32_t count = m->share.counts[field_number(lane, "label") %
	    LABELS_MAX];
	uint64_t permille;

	if (!m->share.known || m->total == 0) {
		table_cell(t, STYLE_PLAIN, "%s", "");
		return;
	}
	permille = (UINT64_C(2000) * count / m->total + 1) / 2;
	table_cell(t, STYLE_PLAIN, "%s (%" PRIu32 ")",
	    draw_percent(permille).text, count);
}

static void
print_lane(struct table *t, const json_t *service, const json_t *lane,
    const struct measured *measured)
{
	const char *version = field_text(lane, "version");
	uint64_t revision = field_number(lane, "revision");

	table_cell(t, STYLE_DIM, "%s", field_text(lane, "name"));
	/* Wide enough to know it by; the line above has all of it. */
	if (version[0] != '\0')
		table_cell(t, STYLE_PLAIN, "%" PRIu64 " (%.12s)", revision,
		    version);
	else
		table_cell(t, STYLE_PLAIN, "%" PRIu64, revision);
	table_cell(t, STYLE_BOLD, "%s", draw_percent(field_number(lane,
	    "weight_permille")).text);
	print_measured(t, lane, measured);
	print_ready(t, field_number(lane, "ready"), field_number(lane,
	    "workers"));
	if (field_given(lane, "queue_length"))
		table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(lane,
		    "queue_length"));
	else
		table_cell(t, STYLE_PLAIN, "%s", "");
	print_probes(t, lane);
	print_workers(t, service, revision);
}

/* Where the supervisor names no lanes: what its workers say of them. */
static void
print_release(struct table *t, const json_t *service, const char *name,
    uint64_t revision)
{
	struct tally tally = tally_workers(workers_of(service), revision);

	if (revision == 0)
		return;
	table_cell(t, STYLE_DIM, "%s", name);
	table_cell(t, STYLE_PLAIN, "%" PRIu64, revision);
	table_cell(t, STYLE_PLAIN, "%s", "");
	table_cell(t, STYLE_PLAIN, "%s", "");
	print_ready(t, tally_ready(&tally), tally.total);
	table_cell(t, STYLE_PLAIN, "%s", "");
	table_cell(t, STYLE_PLAIN, "%s", "");
	print_workers(t, service, revision);
}

/* What the weight is the share of. */
static const char *
weight_heading(const json_t *rollout)
{
	if (!field_flag(rollout, "steered"))
		return "OF WORKERS";
	return strcmp(field_text(rollout, "steer"), "source_ip") == 0 ?
	    "OF CLIENTS" : "WEIGHT";
}

static void
print_lanes(struct draw *d, const json_t *service, const json_t *rollout,
    struct share_reader *reader)
{
	const char *const headings[] = { "LANE", "REVISION",
		weight_heading(rollout), "MEASURED", "READY", "QUEUE",
		"PROBES", "WORKERS" };
	const json_t *deployment = field_object(rollout, "deployment");
	const json_t *lanes = field_list(rollout, "lanes");
	struct table *t = table_new(headings, sizeof(headings) /
	    sizeof(headings[0]));
	struct measured measured;
	json_t *lane;
	size_t i;

	measure(service, lanes, reader, &measured);
	json_array_foreach(lanes, i, lane)
		print_lane(t, service, lane, &measured);
	if (json_array_size(lanes) == 0) {
		print_release(t, service, "stable", field_number(deployment,
		    "from_revision"));
		print_release(t, service, "candidate", field_number(
		    deployment, "revision"));
	}
	table_print(t, d, 2);
}

static void
print_failing_probes(struct draw *d, const json_t *rollout)
{
	json_t *lane;
	size_t i;

	json_array_foreach(field_list(rollout, "lanes"), i, lane) {
		uint64_t count = field_number(lane, "probe_failing");
		char which[40] = "probe";

		if (count == 0)
			continue;
		if (count > 1)
			snprintf(which, sizeof(which), "%" PRIu64 " probes",
			    count);
		draw_line(d, STYLE_WARNING, "  %s: the last %s failed: %s",
		    field_text(lane, "name"), which, field_text(lane,
		    "probe_text"));
	}
}

static void
print_doubt(struct draw *d, const json_t *rollout)
{
	if (field_flag(rollout, "probes_shared"))
		draw_line(d, STYLE_WARNING, "  probes cannot tell the releases "
		    "apart: they share a queue, and either may answer");
}

static void
print_wait(struct draw *d, const json_t *rollout)
{
	const char *waits_for = field_text(rollout, "waits_for");
	bool keeps = strcmp(field_text(rollout, "phase"), "keep") == 0;

	if (waits_for[0] != '\0')
		draw_line(d, STYLE_PLAIN, "  waits for %s", waits_for);
	if (keeps && field_given(rollout, "hold_left_ms"))
		draw_line(d, STYLE_PLAIN, "  the old release stays warm for "
		    "%s more", draw_duration(field_number(rollout,
		    "hold_left_ms")).text);
}

static void
print_orders(struct draw *d, const json_t *rollout)
{
	const json_t *verbs = field_list(rollout, "verbs");
	json_t *verb;
	size_t i;

	if (json_array_size(verbs) == 0)
		return;
	draw_text(d, STYLE_DIM, "  possible now: ");
	json_array_foreach(verbs, i, verb) {
		draw_text(d, STYLE_DIM, i > 0 ? ", " : "");
		draw_text(d, STYLE_DIM, json_is_string(verb) ?
		    json_string_value(verb) : "?");
	}
	draw_end(d);
}

static void
print_head(struct draw *d, const json_t *service, const json_t *rollout)
{
	const json_t *deployment = field_object(rollout, "deployment");
	const char *phase = field_text(rollout, "phase");
	uint64_t from = field_number(deployment, "from_revision");

	draw_text(d, STYLE_BOLD, field_text(service, "name"));
	draw_format(d, STYLE_PLAIN, "  %s  revision ", field_text(deployment,
	    "kind"));
	if (from > 0)
		draw_format(d, STYLE_PLAIN, "%" PRIu64 " -> ", from);
	draw_format(d, STYLE_PLAIN, "%s  %s  ", revision_label(field_number(
	    deployment, "revision"), field_text(deployment, "version")).text,
	    field_text(deployment, "strategy"));
	draw_text(d, phase_style(phase), phase);
	draw_format(d, STYLE_DIM, "  %s", draw_duration(field_number(
	    deployment, "duration_ms")).text);
}

void
progress_draw_short(struct draw *d, const json_t *service)
{
	const json_t *rollout = field_object(service, "rollout");

	print_head(d, service, rollout);
	draw_text(d, STYLE_PLAIN, "  ");
	steps_print_present(d, rollout);
	draw_end(d);
}

void
progress_draw(struct draw *d, const json_t *service,
    struct share_reader *reader)
{
	const json_t *rollout = field_object(service, "rollout");
	const json_t *deployment = field_object(rollout, "deployment");
	const char *fault = field_text(rollout, "fault");
	const char *reason = field_text(deployment, "reason");
	uint64_t next = field_number(rollout, "next_revision");

	print_head(d, service, rollout);
	draw_end(d);
	steps_print_line(d, rollout);
	print_lanes(d, service, rollout, reader);
	print_wait(d, rollout);
	print_doubt(d, rollout);
	print_failing_probes(d, rollout);
	if (fault[0] != '\0')
		draw_line(d, STYLE_BAD, "  %s", fault);
	if (reason[0] != '\0' && strcmp(reason, fault) != 0)
		draw_line(d, STYLE_BAD, "  %s", reason);
	if (next > 0)
		draw_line(d, STYLE_WARNING, "  revision %" PRIu64 " waits for "
		    "its end", next);
	print_orders(d, rollout);
}
