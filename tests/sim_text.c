/*
 * The configuration's file, as it follows from the drafts.  What the simulator's
 * engine gets was read by the real reader.
 */
#include "sim_world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define MS(value) ((unsigned long long)(value))

static const char *
signal_name(int signal_number)
{
	return signal_number == SIGTERM ? "TERM" : signal_number == SIGQUIT ?
	    "QUIT" : "USR1";
}

static void
write_ready(const struct spec *spec, FILE *file)
{
	if (spec->ready == READY_ALIVE)
		(void)fprintf(file, "ready = alive %llums\n",
		    MS(spec->ready_alive_ms));
	else
		(void)fprintf(file, "ready = %s\n", spec->ready ==
		    READY_PROBE ? "probe" : "notify");
	if (spec->watchdog_ms != 0)
		(void)fprintf(file, "watchdog = %llums\n",
		    MS(spec->watchdog_ms));
}

static void
write_times(const struct spec *spec, FILE *file)
{
	const struct {
		const char *key;
		uint64_t ms;
	} times[] = {
		{ "ready_timeout", spec->ready_timeout_ms },
		{ "drain_timeout", spec->drain_timeout_ms },
		{ "backoff_min", spec->backoff_min_ms },
		{ "backoff_max", spec->backoff_max_ms },
		{ "min_ready", spec->min_ready_ms },
		{ "progress_deadline", spec->progress_deadline_ms },
		{ "keep_old", spec->keep_old_ms },
		{ "probe_interval", spec->probe_interval_ms },
		{ "probe_timeout", spec->probe_timeout_ms },
		{ "analysis_interval", spec->analysis_interval_ms },
		{ "analysis_timeout", spec->analysis_timeout_ms },
		{ "hook_timeout", spec->hook_timeout_ms },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		(void)fprintf(file, "%s = %llums\n", times[i].key,
		    MS(times[i].ms));
}

static void
write_amount(const char *key, struct amount amount, FILE *file)
{
	(void)fprintf(file, "%s = %u%s\n", key, amount.value,
	    amount.percent ? "%" : "");
}

static void
write_steps(const struct spec *spec, FILE *file)
{
	(void)fprintf(file, "steps =");
	for (uint32_t i = 0; i < spec->step_count; i++) {
		const struct canary_step *step = &spec->steps[i];

		(void)fprintf(file, "%s %u.%u%%", i > 0 ? "," : "",
		    step->weight_permille / 10, step->weight_permille % 10);
		if (step->pause)
			(void)fprintf(file, " pause");
		else if (step->hold_ms != 0)
			(void)fprintf(file, " %llums", MS(step->hold_ms));
	}
	(void)fprintf(file, "\n");
}

static void
write_rollout(const struct spec *spec, FILE *file)
{
	static const char *const strategies[] = {
		"rolling", "canary", "blue-green",
	};

	(void)fprintf(file, "strategy = %s\n", strategies[spec->strategy]);
	write_amount("max_surge", spec->max_surge, file);
	write_amount("max_unavailable", spec->max_unavailable, file);
	write_steps(spec, file);
	if (spec->canary_workers.value != 0)
		write_amount("canary_workers", spec->canary_workers, file);
	if (spec->on_failure == ON_FAILURE_PAUSE)
		(void)fprintf(file, "on_failure = pause\n");
	if (spec->promotion == PROMOTION_MANUAL)
		(void)fprintf(file, "promotion = manual\n");
	if (spec->probe != PROBE_NONE)
		(void)fprintf(file, "probe = tcp\n");
	(void)fprintf(file, "probe_failures = %u\n", spec->probe_failures);
	if (spec->analysis != NULL)
		(void)fprintf(file, "analysis = /check\n");
	if (spec->before_rollout != NULL)
		(void)fprintf(file, "before_rollout = /b\n");
	if (spec->after_rollout != NULL)
		(void)fprintf(file, "after_rollout = /a\n");
	if (spec->version_command != NULL)
		(void)fprintf(file, "version = exec /v\n");
}

static void
write_service(const struct spec *spec, uint32_t number, FILE *file)
{
	static const char *const restarts[] = {
		"always", "on-failure", "never",
	};

	(void)fprintf(file, "[service %s]\ncommand = %s\n", spec->name,
	    spec->argv[0]);
	if (spec->lanes)
		(void)fprintf(file, "listen = 127.0.0.1:%u\n", 8000 + number);
	else
		(void)fprintf(file, "listen = unix:/run/%u.sock\n", number);
	(void)fprintf(file, "workers = %u\n", spec->workers);
	write_ready(spec, file);
	write_times(spec, file);
	(void)fprintf(file, "drain_signal = %s\nrestart = %s\n",
	    signal_name(spec->drain_signal), restarts[spec->restart]);
	if (spec->kill_mode == KILL_MODE_PROCESS)
		(void)fprintf(file, "kill_mode = process\n");
	if (spec->success_exit.codes[0] != 0)
		(void)fprintf(file, "success_exit = 3\n");
	write_rollout(spec, file);
}

struct config *
sim_make_config(struct sim *sim)
{
	struct config_errors errors;
	struct config *config;
	size_t size_bytes;
	char *text;
	FILE *file = open_memstream(&text, &size_bytes);

	if (file == NULL)
		abort();
	for (uint32_t i = 0; i < SIM_NAMES; i++)
		if (sim->drafts[i].present)
			write_service(sim->drafts[i].spec, i, file);
	if (fclose(file) != 0)
		abort();
	config = config_read_text("sim.conf", text, size_bytes, &errors);
	free(text);
	if (config != NULL)
		return config;
	config_errors_print(&errors, stdout);
	abort();
}
