/*
 * `dora`: how often a service is deployed, how long a change takes to get
 * there, how many fail, and how long that lasts.
 *
 * A block for each service, since numbers of several mixed into one say nothing
 * of any of them.  Each number is told with how many deployments it is from.
 */
#include "supctl_dora.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S INT64_C(86400)

enum { WINDOW_DAYS_DEFAULT = 30 };

struct dora {
	const struct supctl *ctl;
	struct draw draw;
	int64_t since_s, until_s;
	struct past past;
	const char **services;          /* sorted */
	size_t service_count;
};

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that have a deployment; the one that was asked for in any case. */
static void
find_services(struct dora *d)
{
	size_t capacity = json_array_size(d->past.deployments) + 1, count = 0;
	json_t *deployment;
	size_t i;

	d->services = draw_memory(calloc(capacity, sizeof(*d->services)));
	if (d->ctl->operand_count > 0) {
		d->services[d->service_count++] = d->ctl->operands[0];
		return;
	}
	json_array_foreach(d->past.deployments, i, deployment)
		d->services[count++] = field_text(deployment, "service");
	qsort(d->services, count, sizeof(*d->services), compare_names);
	for (i = 0; i < count; i++)
		if (i == 0 || strcmp(d->services[i], d->services[
		    d->service_count - 1]) != 0)
			d->services[d->service_count++] = d->services[i];
}

static enum style
level_style(const char *level)
{
	if (level == NULL)
		return STYLE_DIM;
	if (strcmp(level, "low") == 0)
		return STYLE_WARNING;
	return strcmp(level, "elite") == 0 ? STYLE_GOOD : STYLE_PLAIN;
}

/* `n/a` where there is no level, and so no number. */
static void
print_row(struct table *t, const char *name, const char *number,
    const char *level, const char *source)
{
	table_cell(t, STYLE_PLAIN, "%s", name);
	table_cell(t, level != NULL ? STYLE_BOLD : STYLE_DIM, "%s",
	    level != NULL ? number : "n/a");
	table_cell(t, level_style(level), "%s", level != NULL ? level : "");
	table_cell(t, STYLE_DIM, "%s", source);
}

/* Thousandths of a deployment. */
static uint64_t
milli_per_day(const struct dora *d, const struct measure *m)
{
	uint64_t window_s = (uint64_t)(d->until_s - d->since_s);

	return (UINT64_C(1000) * m->deployed * (uint64_t)DAY_S +
	    window_s / 2) / window_s;
}

static void
print_frequency(struct table *t, const struct dora *d,
    const struct measure *m)
{
	uint64_t centi = (milli_per_day(d, m) + 5) / 10;
	char number[32], source[64];

	snprintf(number, sizeof(number), "%" PRIu64 ".%02" PRIu64 " a day",
	    centi / 100, centi % 100);
	if (m->deployed == 0)
		snprintf(source, sizeof(source), "none came in charge");
	else
		snprintf(source, sizeof(source), "%" PRIu32 " came in charge",
		    m->deployed);
	print_row(t, "deployment frequency", number,
	    measure_frequency_level(m, d->until_s - d->since_s), source);
}

static void
print_lead_time(struct table *t, const struct measure *m)
{
	char source[96];

	if (m->deployed == 0)
		snprintf(source, sizeof(source), "none came in charge");
	else if (m->lead_count == 0)
		snprintf(source, sizeof(source), "none of %" PRIu32 " has a "
		    "commit time", m->deployed);
	else
		snprintf(source, sizeof(source), "median of %" PRIu32 " with "
		    "a commit time; p90 %s", m->lead_count,
		    draw_duration(m->lead_p90_s * 1000).text);
	print_row(t, "lead time for changes",
	    draw_duration(m->lead_median_s * 1000).text,
	    measure_lead_level(m), source);
}

static void
print_failures(struct table *t, const struct measure *m)
{
	char source[128];
	size_t used;

	if (m->reached == 0)
		used = (size_t)snprintf(source, sizeof(source),
		    "none got connections");
	else
		used = (size_t)snprintf(source, sizeof(source), "%" PRIu32
		    " of %" PRIu32 " that got connections", m->failed,
		    m->reached);
	if (m->harmless > 0)
		snprintf(source + used, sizeof(source) - used, "; %" PRIu32
		    " more taken back before", m->harmless);
	print_row(t, "change failure rate", draw_percent(
	    measure_failure_permille(m)).text, measure_failure_level(m),
	    source);
}

static void
print_recovery(struct table *t, const struct measure *m)
{
	char source[32];

	if (m->recovery_count == 0)
		snprintf(source, sizeof(source), "none failed");
	else
		snprintf(source, sizeof(source), "median of %" PRIu32,
		    m->recovery_count);
	print_row(t, "failed deployment recovery time",
	    draw_duration(m->recovery_median_s * 1000).text,
	    measure_recovery_level(m), source);
}

static void
print_service(struct dora *d, const char *service)
{
	static const char *const headings[] = { "MEASURE", "NUMBER", "LEVEL",
		"FROM" };
	struct measure m = measure_deployments(d->past.deployments, service,
	    d->since_s);
	struct table *t = table_new(headings, sizeof(headings) /
	    sizeof(headings[0]));

	print_frequency(t, d, &m);
	print_lead_time(t, &m);
	print_failures(t, &m);
	print_recovery(t, &m);
	draw_format(&d->draw, STYLE_BOLD, "%s", service);
	draw_format(&d->draw, STYLE_PLAIN, ", since %s (%s)",
	    draw_time(d->since_s).text, draw_duration((uint64_t)(d->until_s -
	    d->since_s) * 1000).text);
	draw_end(&d->draw);
	table_print(t, &d->draw, 2);
}

static void
print_for_people(struct dora *d)
{
	for (size_t i = 0; i < d->service_count; i++) {
		print_service(d, d->services[i]);
		draw_end(&d->draw);
	}
	if (d->service_count == 0)
		draw_line(&d->draw, STYLE_PLAIN, "nothing was deployed since "
		    "%s", draw_time(d->since_s).text);
	if (d->past.begins_s > d->since_s)
		draw_line(&d->draw, STYLE_WARNING, "what is known begins only "
		    "at %s", draw_time(d->past.begins_s).text);
	if (d->service_count > 0)
		draw_line(&d->draw, STYLE_DIM, "levels of DORA's 2024 report; "
		    "what each number means is in supctl(1)");
}

static json_t *
number_or_null(uint32_t count, uint64_t number)
{
	return count > 0 ? json_integer((json_int_t)number) : json_null();
}

static json_t *
level_or_null(const char *level)
{
	return level != NULL ? json_string(level) : json_null();
}

static json_t *
service_json(const struct dora *d, const char *service)
{
	struct measure m = measure_deployments(d->past.deployments, service,
	    d->since_s);

	return json_pack("{s:s, s:I, s:f, s:o, s:I, s:o, s:o, s:o, s:I, s:I,"
	    " s:I, s:o, s:o, s:I, s:o, s:o}",
	    "service", service,
	    "deployments", (json_int_t)m.deployed,
	    "deployments_per_day", (double)milli_per_day(d, &m) / 1000,
	    "deployment_frequency_level", level_or_null(
	    measure_frequency_level(&m, d->until_s - d->since_s)),
	    "lead_times", (json_int_t)m.lead_count,
	    "lead_time_median_s", number_or_null(m.lead_count,
	    m.lead_median_s),
	    "lead_time_p90_s", number_or_null(m.lead_count, m.lead_p90_s),
	    "lead_time_level", level_or_null(measure_lead_level(&m)),
	    "reached", (json_int_t)m.reached,
	    "failed", (json_int_t)m.failed,
	    "taken_back_before", (json_int_t)m.harmless,
	    "change_failure_permille", number_or_null(m.reached,
	    measure_failure_permille(&m)),
	    "change_failure_level", level_or_null(measure_failure_level(&m)),
	    "recoveries", (json_int_t)m.recovery_count,
	    "recovery_time_median_s", number_or_null(m.recovery_count,
	    m.recovery_median_s),
	    "recovery_time_level", level_or_null(
	    measure_recovery_level(&m)));
}

static void
print_as_json(const struct dora *d)
{
	json_t *list = json_array(), *object;

	for (size_t i = 0; i < d->service_count; i++)
		json_array_append_new(list, draw_memory(service_json(d,
		    d->services[i])));
	object = draw_memory(json_pack("{s:I, s:I, s:o, s:o}",
	    "since_time_s", (json_int_t)d->since_s,
	    "until_time_s", (json_int_t)d->until_s,
	    "known_since_time_s", d->past.begins_s > d->since_s ?
	    json_integer(d->past.begins_s) : json_null(),
	    "services", list));
	call_print_json(object);
	json_decref(object);
}

/* Of one that nobody knows there is no history either; that must not look
 * like one that was not deployed. */
static int
check_service(const struct supctl *ctl, struct call *call,
    const struct past *past)
{
	struct reply reply;
	int code;

	if (ctl->operand_count == 0 ||
	    json_array_size(past->deployments) > 0)
		return SUPCTL_DONE;
	code = call_ask(ctl, call, "io.supd.Status", json_pack("{s:s}",
	    "service", ctl->operands[0]), &reply);
	if (code == SUPCTL_DONE)
		reply_release(&reply);
	return code;
}

int
verb_dora(const struct supctl *ctl)
{
	struct dora d = { .ctl = ctl, .until_s = (int64_t)time(NULL) };
	const char *service = ctl->operand_count > 0 ? ctl->operands[0] : NULL;
	struct call call;
	int code = call_open(&call, ctl->socket_path);

	if (code != SUPCTL_DONE)
		return code;
	d.since_s = ctl->since_s > 0 ? ctl->since_s :
	    d.until_s - WINDOW_DAYS_DEFAULT * DAY_S;
	code = past_read(ctl, &call, service, d.since_s, &d.past);
	if (code == SUPCTL_DONE) {
		code = check_service(ctl, &call, &d.past);
		find_services(&d);
		draw_init(&d.draw, stdout);
		if (code == SUPCTL_DONE && ctl->json)
			print_as_json(&d);
		else if (code == SUPCTL_DONE)
			print_for_people(&d);
		free(d.services);
		json_decref(d.past.deployments);
	}
	call_close(&call);
	return code;
}
