/*
 * `check`: reads a configuration here, without a supervisor, with the very
 * parser that supd uses.
 */
#include "supctl.h"

#include <inttypes.h>
#include <string.h>

#include "config.h"
#include "strategy.h"

static const char *
readiness(const struct spec *spec)
{
	switch (spec->ready) {
	case READY_ALIVE:
		return "alive";
	case READY_NOTIFY:
		return "notify";
	case READY_FD:
		return "fd";
	case READY_PROBE:
		return "probe";
	}
	return "";
}

static void
print_services(struct draw *d, const struct config *config)
{
	static const char *const headings[] = { "SERVICE", "WORKERS", "READY",
		"LISTENS ON", "STRATEGY", "COMMAND" };
	struct table *t = table_new(headings, sizeof(headings) /
	    sizeof(headings[0]));

	for (size_t i = 0; i < config->service_count; i++) {
		const struct spec *spec = config->services[i];
		const char *first = spec->listeners != NULL ?
		    spec->listeners[0] : NULL;
		const struct listener_spec *listener = first != NULL ?
		    config_listener(config, first) : NULL;

		table_cell(t, STYLE_BOLD, "%s", spec->name);
		table_cell(t, STYLE_PLAIN, "%" PRIu32, spec->workers);
		table_cell(t, STYLE_PLAIN, "%s", readiness(spec));
		table_cell(t, STYLE_PLAIN, "%s%s", listener != NULL ?
		    listener->address_text : "", first != NULL &&
		    spec->listeners[1] != NULL ? ", ..." : "");
		table_cell(t, STYLE_PLAIN, "%s",
		    strategy_name(spec->strategy));
		table_cell(t, STYLE_PLAIN, "%s", spec->argv[0]);
	}
	table_print(t, d, 0);
}

static void
print_guesses(struct draw *d, const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct spec *spec = config->services[i];

		if (spec->ready != READY_ALIVE)
			continue;
		draw_format(d, STYLE_BOLD, "%s: ", spec->name);
		draw_line(d, STYLE_WARNING, "readiness is only a guess: a "
		    "worker that has lived for %s counts as ready (`ready = "
		    "notify` asks it)", draw_duration(
		    spec->ready_alive_ms).text);
	}
}

/* What a canary cannot do here. */
static void
print_shares(struct draw *d, const struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		const struct spec *spec = config->services[i];

		if (spec->strategy != STRATEGY_CANARY || spec->lanes)
			continue;
		draw_format(d, STYLE_BOLD, "%s: ", spec->name);
		draw_line(d, STYLE_WARNING, "a weight is a share of the "
		    "workers, not of the connections: %s",
		    spec_lanes_obstacle(spec).text);
	}
}

static const char *
plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static void
print_summary(const struct config *config)
{
	size_t worker_count = 0;
	struct draw d;

	for (size_t i = 0; i < config->service_count; i++)
		worker_count += config->services[i]->workers;
	draw_init(&d, stdout);
	for (char **file = config->files; *file != NULL; file++)
		draw_line(&d, STYLE_PLAIN, "%s: no errors", *file);
	draw_line(&d, STYLE_PLAIN, "%zu service%s, %zu worker%s, %zu "
	    "listener%s", config->service_count, plural(config->service_count),
	    worker_count, plural(worker_count), config->listener_count,
	    plural(config->listener_count));
	if (config->service_count == 0)
		return;
	draw_end(&d);
	print_services(&d, config);
	print_guesses(&d, config);
	print_shares(&d, config);
}

int
verb_check(const struct supctl *ctl)
{
	const char *path = ctl->operand_count > 0 ? ctl->operands[0] :
	    ctl->config_path;
	struct config_errors errors;
	struct config *config = config_read(path, &errors);

	if (config == NULL) {
		complain_errors(&errors);
		complain("%s: the configuration has errors",
		    path != NULL ? path : config_default_path());
	} else {
		print_summary(config);
	}
	config_errors_release(&errors);
	if (config == NULL)
		return SUPCTL_USAGE;
	config_free(config);
	return SUPCTL_DONE;
}
