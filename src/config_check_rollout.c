/*
 * What must hold between the keys about rollouts: the strategy and what the
 * listeners allow, probes, the preview.
 *
 * Keys of a strategy that is not the configured one are no mistake, since
 * `reload --strategy` may choose another; what could do nothing in any of them
 * is.
 */
#include "config_build.h"

#include <string.h>

#include "config_value.h"

static bool
any_refused(const struct config_section *section, const char *const *keys)
{
	for (; *keys != NULL; keys++) {
		if (config_is_bad(section, *keys))
			return true;
	}
	return false;
}

/* What it listens on is known; else there is an error already. */
static bool
is_resolved(const struct config_section *section)
{
	static const char *const keys[] = { "listen", "listeners", NULL };
	const struct spec *spec = section->object;

	return !any_refused(section, keys) && (spec->listeners[0] == NULL ||
	    spec->socket_count > 0);
}

static void
check_rolling(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	char deadline[CONFIG_DURATION_BYTES], ready[CONFIG_DURATION_BYTES];

	if (spec->max_surge.value == 0 && spec->max_unavailable.value == 0 &&
	    !config_is_bad(section, "max_surge") &&
	    !config_is_bad(section, "max_unavailable"))
		config_build_error(b, config_place_of(section, "max_surge"),
		    "max_surge: must not be 0 while max_unavailable is 0, or"
		    " nothing could be replaced");
	if (config_is_bad(section, "min_ready") ||
	    config_is_bad(section, "progress_deadline") ||
	    spec->min_ready_ms < spec->progress_deadline_ms)
		return;
	config_duration_text(spec->progress_deadline_ms, deadline);
	config_duration_text(spec->min_ready_ms, ready);
	config_build_error(b, config_place_of_either(section,
	    "progress_deadline", "min_ready"), "progress_deadline: must be longer than min_ready,"
	    " which is %s, not %s", ready, deadline);
}

static void
check_strategy(struct config_build *b, const struct config_section *section)
{
	static const char *const keys[] = {
		"strategy", "steps", "workers", NULL
	};
	const struct spec *spec = section->object;
	char text[REASON_BYTES_MAX];

	if (any_refused(section, keys) || !is_resolved(section) ||
	    spec_strategy_possible(spec, spec->strategy, spec->workers, text))
		return;
	config_build_error(b, config_place_of(section, "strategy"),
	    "strategy: %s", text);
}

/* Keys that mean nothing where releases cannot share the listeners. */
static void
check_lanes(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	const struct {
		const char *key, *what;
		bool wanted;
	} rows[] = {
		{ "steer", "source-ip needs", config_is_good(section,
		    "steer") && spec->steer == STEER_SOURCE_IP },
		{ "canary_workers", "needs", config_is_good(section,
		    "canary_workers") },
		{ "preview", "needs", config_is_good(section, "preview") },
	};

	if (spec->lanes || !is_resolved(section))
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].wanted)
			continue;
		config_build_error(b, config_place_of(section, rows[i].key),
		    "%s: %s TCP or UDP listeners that no other service has, but %s",
		    rows[i].key, rows[i].what, spec_lanes_obstacle(spec).text);
	}
}

static void
check_preview(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;

	if (!config_is_good(section, "preview") ||
	    config_is_bad(section, "strategy") ||
	    spec->strategy != STRATEGY_ROLLING)
		return;
	config_build_error(b, config_place_of(section, "preview"), "preview:"
	    " needs strategy canary or blue-green; with rolling there is no"
	    " new release to look at before its users come");
}

/* The first listener is the one that is asked. */
static void
check_probed(struct config_build *b, const struct config_section *section)
{
	const struct spec *spec = section->object;
	const struct listener_spec *probed = spec->sockets;

	if ((spec->probe != PROBE_HTTP && spec->probe != PROBE_TCP) ||
	    !is_resolved(section) || spec_public_count(spec) == 0 ||
	    probed->address.kind == ADDRESS_STREAM)
		return;
	config_build_error(b, config_place_of(section, "probe"), "probe: %s"
	    " connects to the first listener, and %s is %s; take `probe = exec"
	    " PROGRAM`, or put one first that is TCP or a unix stream socket",
	    spec->probe == PROBE_HTTP ? "http" : "tcp", probed->name,
	    address_kind_text(&probed->address));
}

static void
check_probe(struct config_build *b, const struct config_section *section)
{
	static const char *const http_keys[] = {
		"probe_status", "probe_body"
	};
	const struct spec *spec = section->object;

	if (config_is_bad(section, "probe"))
		return;
	if (spec->ready == READY_PROBE && spec->probe == PROBE_NONE &&
	    !config_is_bad(section, "ready"))
		config_build_error(b, config_place_of(section, "ready"),
		    "ready: probe needs the key probe, which says how to ask");
	if ((spec->probe == PROBE_HTTP || spec->probe == PROBE_TCP) &&
	    is_resolved(section) && spec_public_count(spec) == 0)
		config_build_error(b, config_place_of(section, "probe"),
		    "probe: %s needs a listener to connect to, and [service"
		    " %s] has none; exec needs none", spec->probe ==
		    PROBE_HTTP ? "http" : "tcp", spec->name);
	check_probed(b, section);
	for (size_t i = 0; i < 2; i++) {
		if (spec->probe != PROBE_HTTP &&
		    config_is_good(section, http_keys[i]))
			config_build_error(b, config_place_of(section,
			    http_keys[i]), "%s: is only for `probe = http"
			    " PATH`, whose answers have one", http_keys[i]);
	}
}

void
config_check_rollout(struct config_build *b,
    const struct config_section *section)
{
	check_rolling(b, section);
	check_strategy(b, section);
	check_lanes(b, section);
	check_preview(b, section);
	check_probe(b, section);
}
