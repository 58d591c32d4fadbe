/*
 * What is drawn: how services are configured, and what their builds are like.
 *
 * A draft is what stands in the configuration's file under a name; sim_text.c
 * writes the file.
 */
#include "sim_world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void *
allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (memory == NULL)
		abort();
	return memory;
}

/* One block: the list, and the one string in it. */
static char **
list_of(const char *text)
{
	char **list = allocate(1, 2 * sizeof(*list) + strlen(text) + 1);

	list[0] = (char *)&list[2];
	memcpy(list[0], text, strlen(text) + 1);
	return list;
}

static uint64_t
between(struct sim *sim, uint32_t low, uint32_t high)
{
	return low + sim_below(sim, high - low + 1);
}

/* Mostly small fleets; now and then one past STARTS_PER_TURN_MAX. */
static uint32_t
draw_workers(struct sim *sim)
{
	uint32_t which = sim_below(sim, 200);

	if (which < 1)
		return 40;
	if (which < 150)
		return 1 + sim_below(sim, 4);
	return 1 + sim_below(sim, 8);
}

static struct amount
draw_amount(struct sim *sim)
{
	struct amount amount = { .percent = sim_chance(sim, 40) };

	if (amount.percent)
		amount.value = 25 * sim_below(sim, 5);
	else
		amount.value = sim_below(sim, 3);
	return amount;
}

static enum restart
draw_restart(struct sim *sim)
{
	if (sim_chance(sim, 80))
		return RESTART_ALWAYS;
	return sim_chance(sim, 70) ? RESTART_ON_FAILURE : RESTART_NEVER;
}

/* Mostly long enough for a good build; else it strikes. */
static uint64_t
draw_progress_deadline(struct sim *sim, const struct spec *spec)
{
	if (sim_chance(sim, 15))
		return spec->min_ready_ms + between(sim, 50, 3000);
	return 3 * spec->ready_timeout_ms + spec->min_ready_ms +
	    spec->backoff_max_ms + between(sim, 1000, 5000);
}

/* Now and then longer than a rollout waits for its old workers. */
static uint64_t
draw_drain_timeout(struct sim *sim)
{
	if (sim_chance(sim, 3))
		return 0;
	if (sim_chance(sim, 20))
		return between(sim, 15000, 40000);
	return between(sim, 100, 5000);
}

static void
draw_times(struct sim *sim, struct spec *spec)
{
	spec->ready_timeout_ms = between(sim, 200, 5000);
	spec->drain_timeout_ms = draw_drain_timeout(sim);
	spec->backoff_min_ms = between(sim, 20, 500);
	spec->backoff_max_ms = spec->backoff_min_ms + between(sim, 0, 4000);
	spec->min_ready_ms = sim_chance(sim, 50) ? 0 : between(sim, 10, 2000);
	spec->progress_deadline_ms = draw_progress_deadline(sim, spec);
}

static void
draw_steps(struct sim *sim, struct spec *spec)
{
	uint32_t weight = 0;

	spec->step_count = 1 + sim_below(sim, 3);
	for (uint32_t i = 0; i < spec->step_count; i++) {
		weight = i + 1 == spec->step_count ? 1000 :
		    weight + 1 + sim_below(sim, 300);
		spec->steps[i] = (struct canary_step){
			.weight_permille = weight,
			.pause = i == 0 && spec->step_count > 1 &&
			    sim_chance(sim, 10),
			.hold_ms = between(sim, 10, 3000),
		};
	}
	if (sim_chance(sim, 70))
		spec->steps[spec->step_count - 1].hold_ms = 0;
	if (sim_chance(sim, 20))
		spec->canary_workers = (struct amount){ .value = 1 };
}

/* What no file may say.  Without lanes a canary has whole workers only, and all
 * are in the last. */
static void
make_possible(struct spec *spec)
{
	if (spec->max_surge.value == 0 && spec->max_unavailable.value == 0)
		spec->max_surge.value = 1;
	if (spec->ready == READY_ALIVE && spec->ready_alive_ms == 0)
		spec->ready_alive_ms = 1;
	if (spec->ready_alive_ms >= spec->ready_timeout_ms)
		spec->ready_alive_ms = spec->ready_timeout_ms - 1;
	if (spec->lanes)
		return;
	spec->step_count = 2;
	spec->steps[0].weight_permille = 500;
	if (spec->steps[0].hold_ms == 0)
		spec->steps[0].hold_ms = 500;
	spec->steps[1] = (struct canary_step){ .weight_permille = 1000 };
	spec->canary_workers.value = 0;
	if (spec->strategy == STRATEGY_BLUE_GREEN)
		spec->strategy = STRATEGY_ROLLING;
	if (spec->strategy == STRATEGY_CANARY)
		spec->workers += spec->workers % 2;
}

static void
draw_strategy(struct sim *sim, struct spec *spec)
{
	spec->strategy = sim_below(sim, 3);
	spec->promotion = sim_chance(sim, 15) ? PROMOTION_MANUAL :
	    PROMOTION_AUTO;
	spec->keep_old_ms = sim_chance(sim, 50) ? 0 : between(sim, 10, 4000);
	draw_steps(sim, spec);
	make_possible(spec);
}

static void
draw_judges(struct sim *sim, struct spec *spec)
{
	spec->probe = sim_chance(sim, 40) ? PROBE_TCP : PROBE_NONE;
	spec->probe_interval_ms = between(sim, 50, 1000);
	spec->probe_timeout_ms = between(sim, 10, 500);
	spec->probe_failures = 1 + sim_below(sim, 3);
	spec->analysis_interval_ms = between(sim, 50, 2000);
	spec->analysis_timeout_ms = between(sim, 10, 1000);
	spec->hook_timeout_ms = between(sim, 10, 2000);
	spec->analysis = sim_chance(sim, 30) ? list_of("/check") : NULL;
	spec->before_rollout = sim_chance(sim, 20) ? list_of("/b") : NULL;
	spec->after_rollout = sim_chance(sim, 20) ? list_of("/a") : NULL;
	spec->version_command = sim_chance(sim, 20) ? list_of("/v") : NULL;
	if (spec->probe != PROBE_NONE && sim_chance(sim, 30)) {
		spec->ready = READY_PROBE;
		spec->ready_alive_ms = 0;
	}
}

static struct spec *
draw_spec(struct sim *sim, const char *name)
{
	static const int signals[] = { SIGTERM, SIGQUIT, SIGUSR1 };
	struct spec *spec = allocate(1, sizeof(*spec));
	char path[32];

	spec->reference_count = 1;
	(void)snprintf(spec->name, sizeof(spec->name), "%s", name);
	(void)snprintf(path, sizeof(path), "/srv/%s", name);
	spec->argv = list_of(path);
	spec->ready = sim_chance(sim, 25) ? READY_ALIVE : READY_NOTIFY;
	spec->ready_alive_ms = spec->ready == READY_ALIVE ?
	    between(sim, 0, 1500) : 0;
	spec->watchdog_ms = sim_chance(sim, 30) ? between(sim, 500, 4000) : 0;
	spec->workers = draw_workers(sim);
	draw_times(sim, spec);
	spec->drain_signal = signals[sim_below(sim, 3)];
	spec->kill_mode = sim_chance(sim, 20) ? KILL_MODE_PROCESS :
	    KILL_MODE_GROUP;
	spec->restart = draw_restart(sim);
	if (sim_chance(sim, 20))
		spec->success_exit.codes[0] = 1 << 3;
	spec->max_surge = draw_amount(sim);
	spec->max_unavailable = draw_amount(sim);
	spec->on_failure = sim_chance(sim, 25) ? ON_FAILURE_PAUSE :
	    ON_FAILURE_ROLLBACK;
	spec->lanes = sim_chance(sim, 75);
	draw_judges(sim, spec);
	draw_strategy(sim, spec);
	return spec;
}

void
sim_draw_build(struct sim *sim, struct sim_draft *draft, bool good)
{
	struct sim_build *build = &sim->builds[sim->build_count];

	if (sim->build_count == SIM_BUILDS_MAX) {
		sim_fail(sim, "simulator: too many builds");
		return;
	}
	*build = (struct sim_build){ .kind = BUILD_GOOD };
	if (!good && sim_chance(sim, 45))
		build->kind = sim_below(sim, BUILD_KIND_COUNT);
	for (unsigned quirk = 1; quirk <= QUIRK_LAST; quirk *= 2)
		if (sim_chance(sim, 8))
			build->quirks |= quirk;
	draft->build = sim->build_count++;
	sim_trace(sim, "disk: %s is build %u now, kind %d, quirks %x",
	    draft->name, draft->build, build->kind, build->quirks);
}

void
sim_draw_drafts(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_NAMES; i++) {
		struct sim_draft *draft = &sim->drafts[i];

		(void)snprintf(draft->name, sizeof(draft->name), "s%u", i);
		draft->present = i == 0 || sim_chance(sim, 20);
		draft->spec = draw_spec(sim, draft->name);
		sim_draw_build(sim, draft, sim_chance(sim, 60));
	}
}

void
sim_free_drafts(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_NAMES; i++)
		spec_unref(sim->drafts[i].spec);
}

void
sim_change_spec(struct sim *sim, struct sim_draft *draft)
{
	struct spec *spec = draft->spec;

	switch (sim_below(sim, 10)) {
	case 0:
		spec->workers = draw_workers(sim);
		break;
	case 1:
		spec->max_surge = draw_amount(sim);
		break;
	case 2:
		spec->max_unavailable = draw_amount(sim);
		break;
	case 3:
		draw_times(sim, spec);
		break;
	case 4:
		spec->on_failure = spec->on_failure == ON_FAILURE_PAUSE ?
		    ON_FAILURE_ROLLBACK : ON_FAILURE_PAUSE;
		break;
	case 5:
		spec->restart = draw_restart(sim);
		break;
	case 6:                 /* needs a rollout */
		spec->watchdog_ms = spec->watchdog_ms != 0 ? 0 :
		    between(sim, 500, 4000);
		break;
	case 7:                 /* a new name: one goes, another comes */
		draft->present = !draft->present;
		break;
	case 8:
		draw_strategy(sim, spec);
		break;
	case 9:                 /* needs a rollout */
		spec->ready = spec->ready == READY_ALIVE ? READY_NOTIFY :
		    READY_ALIVE;
		spec->ready_alive_ms = spec->ready == READY_ALIVE ?
		    between(sim, 0, 1500) : 0;
		break;
	}
	make_possible(spec);
	sim_trace(sim, "file: %s%s workers %u surge %u%s unavailable %u%s",
	    draft->name, draft->present ? "" : " (absent)", spec->workers,
	    spec->max_surge.value, spec->max_surge.percent ? "%" : "",
	    spec->max_unavailable.value,
	    spec->max_unavailable.percent ? "%" : "");
}

/* As most are: rolled, and not probed. */
void
sim_simplify_spec(struct sim *sim, struct sim_draft *draft)
{
	draft->spec->strategy = STRATEGY_ROLLING;
	draft->spec->probe = PROBE_NONE;
	if (draft->spec->ready == READY_PROBE)
		draft->spec->ready = READY_NOTIFY;
	make_possible(draft->spec);
	sim_trace(sim, "file: %s is rolled, without a probe", draft->name);
}

struct sim_draft *
sim_draft(struct sim *sim, const char *name)
{
	for (uint32_t i = 0; i < SIM_NAMES; i++)
		if (strcmp(sim->drafts[i].name, name) == 0)
			return &sim->drafts[i];
	abort();
}
