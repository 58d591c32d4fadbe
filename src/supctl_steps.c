/*
 * Rollouts in words: revisions, the steps of a plan, how the last one ended.
 *
 * A plan may have as many steps as there are workers; only those near the
 * present one are shown, and that there are others.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

enum { STEPS_SHOWN_MAX = 10 };

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

static void
print_step(struct table *t, const json_t *step, const char *name, bool current)
{
	enum style style = current ? STYLE_BOLD : STYLE_PLAIN;
	uint64_t hold_ms = field_number(step, "hold_ms");

	table_cell(t, style, "%s", current ? ">" : "");
	table_cell(t, style, "%s", name);
	table_cell(t, style, "%" PRIu64, field_number(step, "candidates"));
	table_cell(t, style, "%s", draw_percent(field_number(step,
	    "weight_permille")).text);
	table_cell(t, style, "%s", hold_ms > 0 ?
	    draw_duration(hold_ms).text : "");
}

void
steps_print_plan(struct draw *d, const json_t *steps, uint64_t current)
{
	static const char *const headings[] = { "", "STEP", "NEW WORKERS",
		"SHARE", "STAYS" };
	size_t size = json_array_size(steps), first = 0, i;
	struct table *t;
	char name[24];

	if (size == 0)
		return;
	if (size > STEPS_SHOWN_MAX && current > 3)
		first = current < size ? (size_t)current - 3 : size - 1;
	t = table_new(headings, sizeof(headings) / sizeof(headings[0]));
	for (i = first; i < size - 1 && i - first < STEPS_SHOWN_MAX; i++) {
		snprintf(name, sizeof(name), "%zu", i + 1);
		print_step(t, json_array_get(steps, i), name,
		    i + 1 == current);
	}
	/* The supervisor leaves steps out before the last one too. */
	print_step(t, json_array_get(steps, size - 1), i < size - 1 ?
	    "... last" : "last", false);
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
