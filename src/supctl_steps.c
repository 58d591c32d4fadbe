/*
 * Rollouts in words: revisions, the steps of a plan, how the last one ended.
 *
 * A plan may have as many steps as there are workers.  Where one is like the
 * other only some are shown, and that there are others.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

#include "config_value.h"

enum { STEPS_IN_PLAN_MAX = 10, STEPS_ON_LINE_MAX = 6 };

enum style
phase_style(const char *phase)
{
	if (strcmp(phase, "rollback") == 0)
		return STYLE_BAD;
	return strcmp(phase, "paused") == 0 ? STYLE_WARNING : STYLE_GOOD;
}

struct label
revision_label(uint64_t revision, const char *version)
{
	struct label label;

	if (version[0] != '\0')
		snprintf(label.text, sizeof(label.text), "%" PRIu64 " (%s)",
		    revision, version);
	else
		snprintf(label.text, sizeof(label.text), "%" PRIu64, revision);
	return label;
}

/* The supervisor counts steps from 1; past the end is the last one. */
static uint64_t
step_number(const json_t *rollout)
{
	uint64_t step = field_number(rollout, "step");
	uint64_t count = field_number(rollout, "step_count");

	return step < count ? step : count;
}

void
steps_print_present(struct draw *d, const json_t *rollout)
{
	draw_format(d, STYLE_PLAIN, "step %" PRIu64 " of %" PRIu64,
	    step_number(rollout), field_number(rollout, "step_count"));
}

/* `25% 5m`; of the present step, with what is left of it. */
static void
print_on_line(struct draw *d, const json_t *rollout, const json_t *step,
    bool present)
{
	const char *phase = field_text(rollout, "phase");
	char hold[CONFIG_DURATION_BYTES] = "";
	uint64_t hold_ms = field_number(step, "hold_ms");
	enum style style = present ? STYLE_BOLD : STYLE_PLAIN;

	if (hold_ms > 0)
		config_duration_text(hold_ms, hold);
	draw_format(d, style, "%s%s%s%s", present ? "[" : "",
	    draw_percent(field_number(step, "weight_permille")).text,
	    hold[0] != '\0' ? " " : "", hold);
	if (field_flag(step, "pause"))
		draw_text(d, style, " pause");
	if (!present)
		return;
	if (strcmp(phase, "keep") != 0 && field_given(rollout,
	    "hold_left_ms"))
		draw_format(d, style, ", %s left", draw_duration(field_number(
		    rollout, "hold_left_ms")).text);
	if (strcmp(phase, "paused") == 0)
		draw_text(d, STYLE_WARNING, ", paused");
	draw_text(d, style, "]");
}

/* Where in `steps` the present one is; the last one stands at the end also if
 * others were left out.  SIZE_MAX: it is one of these. */
static size_t
present_index(const json_t *rollout)
{
	size_t size = json_array_size(field_list(rollout, "steps"));
	uint64_t number = step_number(rollout);

	if (number == field_number(rollout, "step_count"))
		return size - 1;
	return number > 0 && number < size ? (size_t)number - 1 : SIZE_MAX;
}

void
steps_print_line(struct draw *d, const json_t *rollout)
{
	const json_t *steps = field_list(rollout, "steps");
	size_t size = json_array_size(steps), first = 0, i;
	size_t present = size > 0 ? present_index(rollout) : SIZE_MAX;

	draw_text(d, STYLE_PLAIN, "  ");
	steps_print_present(d, rollout);
	if (size > STEPS_ON_LINE_MAX && present > 2)
		first = present < size ? present - 2 : size - 1;
	if (size > 0)
		draw_text(d, STYLE_PLAIN, first > 0 ? ":  ...  " : ":  ");
	for (i = first; i + 1 < size && i - first < STEPS_ON_LINE_MAX; i++) {
		print_on_line(d, rollout, json_array_get(steps, i),
		    i == present);
		draw_text(d, STYLE_PLAIN, "  ");
	}
	if (first + 1 < size && (i + 1 < size ||
	    size < field_number(rollout, "step_count")))
		draw_text(d, STYLE_PLAIN, "...  ");
	if (size > 0)
		print_on_line(d, rollout, json_array_get(steps, size - 1),
		    present == size - 1);
	draw_end(d);
}

static void
print_step(struct table *t, const json_t *step, const char *name)
{
	uint64_t hold_ms = field_number(step, "hold_ms");

	table_cell(t, STYLE_PLAIN, "%s", name);
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(step,
	    "candidates"));
	table_cell(t, STYLE_PLAIN, "%s", draw_percent(field_number(step,
	    "weight_permille")).text);
	if (field_flag(step, "pause"))
		table_cell(t, STYLE_PLAIN, "until resumed");
	else
		table_cell(t, STYLE_PLAIN, "%s", hold_ms > 0 ?
		    draw_duration(hold_ms).text : "");
}

/* One is like the other, so that a few of them tell it all. */
static bool
are_alike(const json_t *steps)
{
	uint64_t hold_ms = field_number(json_array_get(steps, 0), "hold_ms");
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step)
		if (field_flag(step, "pause") ||
		    field_number(step, "hold_ms") != hold_ms)
			return false;
	return true;
}

void
steps_print_plan(struct draw *d, const json_t *steps)
{
	static const char *const headings[] = { "STEP", "NEW WORKERS",
		"WEIGHT", "STAYS" };
	size_t size = json_array_size(steps), i, shown_max;
	struct table *t;
	char name[24];

	if (size == 0)
		return;
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	shown_max = are_alike(steps) ? STEPS_IN_PLAN_MAX : size;
	for (i = 0; i < size - 1 && i < shown_max; i++) {
		snprintf(name, sizeof(name), "%zu", i + 1);
		print_step(t, json_array_get(steps, i), name);
	}
	/* The supervisor leaves steps out before the last one too. */
	print_step(t, json_array_get(steps, size - 1), i < size - 1 ?
	    "... last" : "last");
	table_print(t, d, 2);
}

void
steps_print_last(struct draw *d, const json_t *deployment)
{
	const char *verdict = field_text(deployment, "verdict");
	const char *reason = field_text(deployment, "reason");
	bool complete = strcmp(verdict, "complete") == 0;

	if (deployment == NULL)
		return;
	draw_format(d, STYLE_PLAIN, "the last rollout (%s, to revision %s) "
	    "was ", field_text(deployment, "kind"),
	    revision_label(field_number(deployment, "revision"),
	    field_text(deployment, "version")).text);
	draw_text(d, complete ? STYLE_GOOD : STYLE_BAD, verdict);
	if (field_number(deployment, "finished_time_s") > 0)
		draw_format(d, STYLE_PLAIN, " %s ago", draw_age((int64_t)
		    field_number(deployment, "finished_time_s")).text);
	draw_format(d, STYLE_PLAIN, ", after %s", draw_duration(
	    field_number(deployment, "duration_ms")).text);
	if (reason[0] != '\0')
		draw_format(d, STYLE_PLAIN, ": %s", reason);
}
