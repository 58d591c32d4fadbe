/*
 * The steps of a canary, `5% 1m, 25% pause, 100%`, and ranges of HTTP status.
 *
 * A weight is kept in tenths of a percent, which is also the finest that can be
 * written: what would have to be rounded is refused.  Messages name the step by
 * its number, since the same weight or hold may stand there twice.
 */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	STEP_BYTES_MAX = 64,            /* `99.9% 604800000ms` and blanks */
};

#define HOLD_MS_MAX (UINT64_C(7) * 24 * 3600 * 1000)

/* 12%, 12.5%.  0 or -EINVAL. */
static int
parse_weight(const char *text, uint32_t *ret_permille)
{
	const char *end;
	uint64_t value;

	if (config_digits_parse(text, &end, &value) < 0 || value > 100)
		return -EINVAL;
	value *= 10;
	if (end[0] == '.' && isdigit((unsigned char)end[1])) {
		value += (uint64_t)(end[1] - '0');
		end += 2;
	}
	if (strcmp(end, "%") != 0 || value == 0 || value > WHOLE_PERMILLE)
		return -EINVAL;
	*ret_permille = (uint32_t)value;
	return 0;
}

static int
parse_hold(uint32_t number, const char *text, struct canary_step *step,
    char *ret_text)
{
	char why[REASON_BYTES_MAX];

	if (strcmp(text, "pause") == 0) {
		step->pause = true;
		return 0;
	}
	if (config_duration_parse("pause or ", 1, HOLD_MS_MAX, text,
	    &step->hold_ms, why) == 0)
		return 0;
	return config_refuse(ret_text, "the hold of step %u %s", number, why);
}

/* One step; `text` has no blanks at its ends, and is changed. */
static int
parse_step(uint32_t number, char *text, struct canary_step *ret_step,
    char *ret_text)
{
	struct canary_step step = { 0 };
	char *weight = text;
	char *hold = text + strcspn(text, " \t");

	if (*hold != '\0')
		*hold++ = '\0';
	hold += strspn(hold, " \t");
	if (parse_weight(weight, &step.weight_permille) < 0)
		return config_refuse(ret_text, "step %u must begin with a"
		    " weight from 0.1%% to 100%% in tenths of a percent, as in"
		    " `5%% 1m, 25%% pause, 100%%`, not \"%.60s\"", number,
		    weight);
	if (*hold != '\0' && parse_hold(number, hold, &step, ret_text) < 0)
		return -EINVAL;
	*ret_step = step;
	return 0;
}

/* Between a step and those before it. */
static int
check_order(const struct canary_step *steps, uint32_t index, char *ret_text)
{
	struct spec_weight before, weight;

	if (index == 0 || steps[index].weight_permille >
	    steps[index - 1].weight_permille)
		return 0;
	before = spec_weight(steps[index - 1].weight_permille);
	weight = spec_weight(steps[index].weight_permille);
	return config_refuse(ret_text, "step %u must have more than %s, the"
	    " weight of the step before it, not %s", index + 1, before.text,
	    weight.text);
}

/* Of the list as a whole. */
static int
check_steps(const struct canary_step *steps, uint32_t count, char *ret_text)
{
	const struct canary_step *last = &steps[count - 1];

	for (uint32_t i = 0; i < count; i++) {
		if (check_order(steps, i, ret_text) < 0)
			return -EINVAL;
	}
	for (uint32_t i = 0; i + 1 < count; i++) {
		if (!steps[i].pause && steps[i].hold_ms == 0)
			return config_refuse(ret_text, "step %u, %s, must have"
			    " a hold, a duration or pause, as in `5%% 1m, 25%%"
			    " pause, 100%%`; only the last may have none",
			    i + 1, spec_weight(steps[i].weight_permille).text);
	}
	if (last->weight_permille != WHOLE_PERMILLE)
		return config_refuse(ret_text, "the last step must be 100%%,"
		    " not %s", spec_weight(last->weight_permille).text);
	return 0;
}

/* Copies `length` bytes without the blanks around them; false: too long. */
static bool
copy_trimmed(const char *text, size_t length, char ret_copy[STEP_BYTES_MAX])
{
	while (length > 0 && strchr(" \t", text[0]) != NULL) {
		text++;
		length--;
	}
	while (length > 0 && strchr(" \t", text[length - 1]) != NULL)
		length--;
	(void)snprintf(ret_copy, STEP_BYTES_MAX, "%.*s", (int)length, text);
	return length < STEP_BYTES_MAX;
}

int
config_steps_parse(const char *text, struct spec *spec, char *ret_text)
{
	struct canary_step steps[STEPS_MAX];
	uint32_t count = 0;
	const char *next = text;
	bool more = true;

	while (more) {
		size_t length = strcspn(next, ",");
		char step[STEP_BYTES_MAX];

		if (count == STEPS_MAX)
			return config_refuse(ret_text,
			    "must have at most %d steps", STEPS_MAX);
		if (!copy_trimmed(next, length, step))
			return config_refuse(ret_text, "step %u must be a"
			    " weight and a hold, as in `5%% 1m, 25%% pause,"
			    " 100%%`, not \"%.60s...\"", count + 1, step);
		if (parse_step(count + 1, step, &steps[count], ret_text) < 0)
			return -EINVAL;
		count++;
		more = next[length] == ',';
		next += length + 1;
	}
	if (check_steps(steps, count, ret_text) < 0)
		return -EINVAL;
	memcpy(spec->steps, steps, count * sizeof(*steps));
	spec->step_count = count;
	return 0;
}

int
config_statuses_parse(const struct config_key *key, const char *text,
    struct spec *spec, char *ret_text)
{
	const char *end;
	uint64_t min, max;

	if (config_digits_parse(text, &end, &min) < 0)
		goto wrong;
	max = min;
	if (*end == '-' && config_digits_parse(end + 1, &end, &max) < 0)
		goto wrong;
	if (*end != '\0' || min < key->min || max < min || max > key->max)
		goto wrong;
	spec->probe_status_min = (uint32_t)min;
	spec->probe_status_max = (uint32_t)max;
	return 0;
wrong:
	return config_refuse(ret_text, "must be a status or a range of them"
	    " that goes up, such as 200 or 200-399, from %ju to %ju, not"
	    " \"%.60s\"", (uintmax_t)key->min, (uintmax_t)key->max, text);
}
