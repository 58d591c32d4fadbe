/*
 * The report of a rollout: what was observed in each step, how many connections
 * came meanwhile and to whom, what was handed over and what was lost, and the
 * output of a command that failed.
 *
 *     STEP  WEIGHT  WORKERS  LASTED  CONNECTIONS  TO NEW  PROBES  QUEUE MAX
 *     1     5%      1        1m0s    1200         58      30
 *     2     25%     1        5m0s    6011         1504    150     17
 *     connections: 7211, 1562 of them to revision 4 (an estimate: …)
 *     queued connections handed over: 3, lost: 0
 *
 * Only what is known is told: what the supervisor could not observe has no
 * column and no sentence.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <string.h>

enum { STEPS_TOLD_MAX = 12, OUTPUT_LINES_MAX = 20 };

/* An empty cell for what is not known. */
static void
print_number(struct table *t, const json_t *object, const char *key)
{
	if (field_given(object, key))
		table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(object,
		    key));
	else
		table_cell(t, STYLE_PLAIN, "%s", "");
}

/* The same for what is usually 0, and then says nothing. */
static void
print_count(struct table *t, enum style style, uint64_t count)
{
	if (count > 0)
		table_cell(t, style, "%" PRIu64, count);
	else
		table_cell(t, style, "%s", "");
}

static void
print_memory(struct table *t, const json_t *observation, const char *key)
{
	uint64_t size_bytes = field_number(observation, key);

	table_cell(t, STYLE_PLAIN, "%s", size_bytes > 0 ?
	    draw_bytes(size_bytes).text : "");
}

static void
print_observation(struct table *t, const json_t *observation)
{
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(observation,
	    "step"));
	table_cell(t, STYLE_PLAIN, "%s", draw_percent(field_number(
	    observation, "weight_permille")).text);
	table_cell(t, STYLE_PLAIN, "%" PRIu64, field_number(observation,
	    "candidates"));
	table_cell(t, STYLE_PLAIN, "%s", draw_duration(field_number(
	    observation, "duration_ms")).text);
	print_number(t, observation, "connections");
	print_number(t, observation, "candidate_connections");
	print_count(t, STYLE_PLAIN, field_number(observation,
	    "probes_passed"));
	print_count(t, STYLE_BAD, field_number(observation,
	    "probes_failed"));
	print_count(t, STYLE_PLAIN, field_number(observation, "analyses"));
	print_count(t, STYLE_PLAIN, field_number(observation, "queue_max"));
	print_memory(t, observation, "stable_memory_bytes");
	print_memory(t, observation, "candidate_memory_bytes");
}

/* Of many steps the first ones and the last. */
static void
print_observations(struct draw *d, const json_t *observations)
{
	static const char *const headings[] = { "STEP", "WEIGHT", "WORKERS",
		"LASTED", "CONNECTIONS", "TO NEW", "PROBES", "FAILED",
		"ANALYSES", "QUEUE MAX", "MEMORY", "OF NEW" };
	size_t size = json_array_size(observations), i;
	struct table *t = table_new(headings, sizeof(headings) /
	    sizeof(headings[0]));

	for (i = 0; i < size; i++)
		if (i < STEPS_TOLD_MAX - 1 || i == size - 1)
			print_observation(t, json_array_get(observations, i));
	table_print(t, d, 2);
	if (size > STEPS_TOLD_MAX)
		draw_line(d, STYLE_DIM, "  steps between the last two are "
		    "left out");
}

static void
print_connections(struct draw *d, const json_t *deployment)
{
	uint64_t all = 0, candidate = 0;
	bool any = false;
	json_t *observation;
	size_t i;

	json_array_foreach(field_list(deployment, "observations"), i,
	    observation) {
		any |= field_given(observation, "connections");
		all += field_number(observation, "connections");
		candidate += field_number(observation,
		    "candidate_connections");
	}
	if (!any)
		return;
	draw_format(d, STYLE_PLAIN, "  connections: %" PRIu64 ", %" PRIu64
	    " of them to revision %" PRIu64, all, candidate,
	    field_number(deployment, "revision"));
	draw_text(d, STYLE_DIM, " (an estimate: what was new in the network "
	    "namespace, split by the weight)");
	draw_end(d);
}

static void
print_handed_over(struct draw *d, const json_t *deployment)
{
	uint64_t lost = field_number(deployment, "connections_lost");
	bool knows_handed = field_given(deployment,
	    "connections_handed_over");
	bool knows_lost = field_given(deployment, "connections_lost");

	if (!knows_handed && !knows_lost)
		return;
	draw_text(d, STYLE_PLAIN, "  ");
	if (knows_handed)
		draw_format(d, STYLE_PLAIN, "queued connections handed over: "
		    "%" PRIu64, field_number(deployment,
		    "connections_handed_over"));
	if (knows_handed && knows_lost)
		draw_text(d, STYLE_PLAIN, ", ");
	if (knows_lost)
		draw_format(d, lost > 0 ? STYLE_BAD : STYLE_GOOD,
		    "lost: %" PRIu64, lost);
	draw_end(d);
}

/* The first lines, indented. */
static void
print_output(struct draw *d, const char *output)
{
	int line_count = 0;

	while (*output != '\0' && line_count++ < OUTPUT_LINES_MAX) {
		size_t size = strcspn(output, "\n");

		draw_line(d, STYLE_PLAIN, "    | %.*s", (int)size, output);
		output += size + (output[size] != '\0');
	}
	if (*output != '\0')
		draw_line(d, STYLE_DIM, "    and more (all that is kept: "
		    "--json)");
}

static void
print_hooks(struct draw *d, const json_t *deployment)
{
	json_t *hook;
	size_t i;

	json_array_foreach(field_list(deployment, "hooks"), i, hook) {
		if (!field_flag(hook, "failed"))
			continue;
		draw_format(d, STYLE_BAD, "  %s: %s", field_text(hook,
		    "name"), field_text(hook, "text"));
		draw_format(d, STYLE_PLAIN, ", after %s", draw_duration(
		    field_number(hook, "duration_ms")).text);
		draw_end(d);
		print_output(d, field_text(hook, "output"));
	}
}

void
report_print(struct draw *d, const json_t *deployment)
{
	const json_t *observations = field_list(deployment, "observations");

	if (json_array_size(observations) > 0)
		print_observations(d, observations);
	print_connections(d, deployment);
	print_handed_over(d, deployment);
	print_hooks(d, deployment);
}
