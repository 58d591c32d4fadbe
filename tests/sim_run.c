/*
 * One run: boot, a time of orders and faults, calm until everything has
 * settled, a last rollout of good builds that has to complete, and the end.
 */
#include "sim_world.h"

#include <stdlib.h>
#include <string.h>

void
sim_boot(struct sim *sim)
{
	sim_trace(sim, "boot");
	sim->boot_count++;
	memset(sim->services, 0, sizeof(sim->services));
	memset(sim->deployments, 0, sizeof(sim->deployments));
	memset(sim->divided, 0, sizeof(sim->divided));
	sim_death_boot(sim);
	sim_forget_state(sim);
	engine_init(&sim->engine, &sim->world);
	engine_boot(&sim->engine, sim_make_config(sim));
	sim->armed_ms = sim->now_ms;
}

static void
turn(struct sim *sim)
{
	if (!sim->dead)
		sim_check_before_turn(sim);
	if (sim->broken[0] != '\0')
		return;
	if (!sim->dead)
		engine_turn(&sim->engine);
	if (!sim->dead)
		sim_check_after_turn(sim);
	sim_keep(sim);
}

/* Lets go of everything; no pin may be left. */
static void
let_go(struct sim *sim)
{
	sim->releasing = true;
	engine_release(&sim->engine);
	sim->releasing = false;
	sim_judge_tasks(sim);
	if (sim->pinned_count != 0)
		sim_fail(sim, "pins: %u releases are never unpinned",
		    sim->pinned_count);
}

static void
check_shut_down(struct sim *sim)
{
	if (sim->living_count != 0)
		sim_fail(sim, "shutdown: done, but %u processes are left",
		    sim->living_count);
	sim_judge_deployments(sim);
}

static void
next_command(struct sim *sim)
{
	static const uint32_t gaps_ms[] = { 1, 50, 1000, 5000, 30000 };

	sim_push(sim, (struct sim_item){
		.when_ms = sim->now_ms + sim_below(sim, gaps_ms[sim_below(sim,
		    sizeof(gaps_ms) / sizeof(*gaps_ms))]),
		.type = ITEM_COMMAND,
	});
}

static void
play_item(struct sim *sim)
{
	struct sim_item item = sim_pop(sim);

	sim->acted = true;
	if (item.type == ITEM_TASK) {
		sim_task_ended(sim, item.value);
		return;
	}
	if (item.type != ITEM_COMMAND) {
		sim_process_item(sim, &item);
		return;
	}
	sim_command(sim);
	if (--sim->commands_left > 0)
		next_command(sim);
}

/* To the next moment at which something happens; false: nothing ever will. */
static bool
step(struct sim *sim)
{
	uint64_t next_ms = sim_next_ms(sim);

	if (sim->armed_ms < next_ms) {
		next_ms = sim->armed_ms;
		if (sim->chaos && sim_chance(sim, 10))
			next_ms += sim_below(sim, 30);  /* a busy machine */
	}
	if (next_ms == NEVER_MS || sim->broken[0] != '\0')
		return false;
	if (next_ms > sim->now_ms)
		sim->now_ms = next_ms;
	while (sim_next_ms(sim) <= sim->now_ms && sim->broken[0] == '\0' &&
	    !sim->dead) {
		play_item(sim);
		if (sim->chaos && sim_chance(sim, 15))
			break;          /* the rest in a turn of its own */
	}
	if (sim->broken[0] == '\0')
		turn(sim);
	if (sim->engine.phase == ENGINE_DONE && sim->commands_left > 0) {
		check_shut_down(sim);
		let_go(sim);
		sim_cover(sim, SIM_BOOT_AGAIN);
		sim_boot(sim);
	}
	return sim->broken[0] == '\0';
}

static void
play_chaos(struct sim *sim)
{
	uint64_t end_ms;

	sim->chaos = true;
	sim->commands_left = 3 + sim_below(sim, 18);
	next_command(sim);
	while (sim->commands_left > 0 && step(sim))
		;
	end_ms = sim->now_ms + sim_below(sim, 3000);
	while (sim->now_ms < end_ms && sim_next_ms(sim) < end_ms && step(sim))
		;
}

static void
calm_down(struct sim *sim)
{
	sim_trace(sim, "calm");
	sim->chaos = false;
	sim->config_bad = sim->pin_fails = sim->bind_fails = false;
	sim->refuse_until_ms = sim->busy_until_ms = 0;
}

static void
settle(struct sim *sim, const char *when)
{
	uint64_t begin_ms = sim->now_ms;
	uint64_t end_ms = begin_ms + sim_settle_bound_ms(sim);

	while (!sim_is_settled(sim) && sim->now_ms < end_ms && step(sim))
		;
	if (!sim_is_settled(sim))
		sim_fail(sim, "settle: %s, not within %llu ms: %s", when,
		    (unsigned long long)(sim->now_ms - begin_ms),
		    sim->invariants.broken);
}

/* Long enough for a good build. */
static bool
is_generous(const struct spec *spec)
{
	return spec->promotion == PROMOTION_AUTO && !spec->steps[0].pause &&
	    spec->progress_deadline_ms >= 2 * spec->ready_timeout_ms +
	    spec->min_ready_ms + spec->backoff_max_ms + 500 +
	    2 * spec->probe_interval_ms;
}

static void
check_finale(struct sim *sim, const struct reload_result *result)
{
	const struct sim_draft *draft = sim_draft(sim, result->service);
	const struct sim_deployment *deployment =
	    &sim->deployments[result->deployment];
	struct service *s;

	/* what a rollback left may fill the room that is needed, while a bad
	 * release in charge takes what is free */
	if (result->deployment == 0 || !draft->present ||
	    sim_service(sim, draft->name)->had_leftover)
		return;
	/* a step by workers is not reached while too few of the old ones are
	 * ready for one of them to be spared */
	s = engine_find(&sim->engine, draft->name);
	if (draft->spec->strategy == STRATEGY_CANARY && !draft->spec->lanes &&
	    !sim_is_sound(sim, s, s->rollout.stable))
		return;
	sim_cover(sim, SIM_FINALE);
	if (!deployment->finished && is_generous(draft->spec))
		sim_fail(sim, "finale: %llu has not ended",
		    (unsigned long long)result->deployment);
	else if (deployment->verdict != VERDICT_COMPLETE &&
	    is_generous(draft->spec))
		sim_fail(sim, "finale: a good build of %s ends %s",
		    draft->name, rollout_verdict_name(deployment->verdict));
}

/* Without faults a good build gets through, over whatever is there. */
static void
play_finale(struct sim *sim)
{
	static struct reload_results results;

	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		if (sim->engine.services[i]->rollout.phase == ROLLOUT_PAUSED)
			sim_cover(sim, SIM_SETTLED_PAUSED);
	for (uint32_t i = 0; i < SIM_NAMES; i++)
		sim_draw_build(sim, &sim->drafts[i], true);
	sim->sheltered = true;          /* else nobody has ordered it */
	if (sim_reload(sim, NULL, 0, &results) < 0) {
		sim_fail(sim, "finale: the reload is refused");
		return;
	}
	turn(sim);
	sim->sheltered = false;
	settle(sim, "after the finale");
	for (uint32_t i = 0; i < results.count && sim->broken[0] == '\0'; i++)
		check_finale(sim, &results.list[i]);
}

static void
play_end(struct sim *sim)
{
	if (sim_chance(sim, 30)) {
		sim_cover(sim, SIM_LEFT_RUNNING);
		return;
	}
	sim->sheltered = true;
	engine_shutdown(&sim->engine);
	turn(sim);
	sim->sheltered = false;
	settle(sim, "shutting down");
	sim->sheltered = true;
	if (sim->engine.phase == ENGINE_STOPPING && sim->broken[0] == '\0')
		turn(sim);              /* the last was lost */
	if (sim->engine.phase != ENGINE_DONE && sim->broken[0] == '\0')
		sim_fail(sim, "shutdown: never done");
	check_shut_down(sim);
}

static void
play(struct sim *sim)
{
	sim_boot(sim);
	play_chaos(sim);
	if (sim->engine.phase != ENGINE_RUNNING) {
		while (sim->engine.phase != ENGINE_DONE && step(sim))
			;
		if (sim->broken[0] != '\0')
			return;
		check_shut_down(sim);
		let_go(sim);
		sim_boot(sim);
	}
	calm_down(sim);
	if (sim->broken[0] == '\0')
		settle(sim, "after the last order");
	if (sim->broken[0] == '\0')
		play_finale(sim);
	if (sim->broken[0] == '\0')
		play_end(sim);
	if (sim->broken[0] == '\0')
		let_go(sim);
}

bool
sim_run(struct sim *sim, uint64_t seed, enum sim_restarts restarts,
    bool verbose, struct sim_totals *totals)
{
	struct sim_process *process;

	memset(sim, 0, sizeof(*sim));
	sim->seed = sim->state = seed;
	sim->migrates = seed % 2 == 0;
	sim->restarts = restarts;
	sim->verbose = verbose;
	sim->totals = totals;
	sim->now_ms = SIM_BEGIN_MS;
	sim->hash = RELEASE_HASH_START;
	sim->pid_last = 1000;
	sim_world_init(sim);
	sim_draw_drafts(sim);
	play(sim);
	if (sim->broken[0] == '\0') {
		while ((process = sim->processes) != NULL) {
			sim->processes = process->next;
			free(process);
		}
		sim_free_drafts(sim);
	}
	sim_forget_state(sim);
	free(sim->saved_services);
	free(sim->saved_deployments);
	free(sim->heap);
	free(sim->shadow.slots);
	free(sim->shadow.workers);
	free(sim->invariants.fleet.slots);
	free(sim->invariants.fleet.workers);
	totals->run_count++;
	return sim->broken[0] == '\0';
}
