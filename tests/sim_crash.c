/*
 * A crash before a turn is noted: the engine goes on from the turn before, and
 * what it did and was told since then never was, but for the world.
 *
 * Processes that were started are nobody's, which a world has to end; some were
 * told to stop, or are gone; what they said is not said again; releases were let
 * go, weights set.  None of that may lead to more than the engine's repeating of
 * what it wanted.
 */
#include "sim_world.h"

#include <stdlib.h>
#include <string.h>

#include "service.h"

struct sim_service *
sim_service_of(struct sim *sim, uint32_t id)
{
	struct sim_service *model;

	for (uint32_t i = 0; i < SIM_SERVICES_MAX; i++) {
		model = &sim->services[(id + i) % SIM_SERVICES_MAX];
		if (model->id != 0 && model->id != id)
			continue;
		model->id = id;
		return model;
	}
	sim_fail(sim, "simulator: too many services");
	return &sim->services[0];
}

void
sim_save_model(struct sim *sim)
{
	if (sim->saved_services == NULL) {
		sim->saved_services = calloc(SIM_SERVICES_MAX,
		    sizeof(*sim->saved_services));
		sim->saved_deployments = calloc(SIM_DEPLOYMENTS_MAX,
		    sizeof(*sim->saved_deployments));
	}
	if (sim->saved_services == NULL || sim->saved_deployments == NULL)
		abort();
	for (uint32_t i = 0; i < SIM_SERVICES_MAX; i++)
		if (sim->services[i].id != 0 || sim->saved_services[i].id != 0)
			sim->saved_services[i] = sim->services[i];
	memcpy(sim->saved_deployments, sim->deployments,
	    sizeof(sim->deployments));
	sim->task_kept = sim->engine.task_last;
	sim->hooks_kept = false;
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		sim->hooks_kept |= sim->engine.services[i]->rollout.phase ==
		    ROLLOUT_PREPARE;
}

static void
restore_model(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_SERVICES_MAX; i++) {
		sim->services[i] = sim->saved_services[i];
		sim->services[i].found.spec = NULL;
	}
	memcpy(sim->deployments, sim->saved_deployments,
	    sizeof(sim->deployments));
}

/* The worker that this process is, or NULL. */
static struct worker *
worker_of(struct sim *sim, const struct sim_process *process,
    const struct mate **ret_mate)
{
	struct service *s = sim_engine_service(sim, process->service);

	for (uint32_t i = 0; s != NULL && i < s->fleet.worker_capacity; i++) {
		*ret_mate = &s->mates[i];
		if (s->mates[i].process == process)
			return &s->fleet.workers[i];
	}
	return NULL;
}

/* As the engine has to see it again. */
static void
follow_record(struct sim_process *process, const struct worker *w,
    const struct mate *mate)
{
	process->state = w->state;
	process->watchdog_ms = w->watchdog_ms;
	process->alive_at_ms = w->alive_at_ms;
	process->pid = mate->pid;
	process->error_number = mate->error_number;
	(void)snprintf(process->status, sizeof(process->status), "%s",
	    mate->status != NULL ? mate->status : "");
}

static void
settle_processes(struct sim *sim)
{
	const struct mate *mate = NULL;
	uint32_t i = 0;

	while (i < sim->living_count) {
		struct sim_process *process = sim->living[i];
		const struct worker *w = worker_of(sim, process, &mate);

		if (w != NULL) {
			follow_record(process, w, mate);
			if (process->said_ready &&
			    (w->state == WORKER_STARTING ||
			    w->state == WORKER_RELOADING))
				sim_process_tell_ready(sim, process);
			i++;
			continue;
		}
		sim_cover(sim, SIM_LOST_START);
		process->lost = true;
		sim_process_gone(sim, process);
	}
}

/* What the engine does not have is closed. */
static void
settle_releases(struct sim *sim)
{
	struct sim_pin *pin;

	while ((pin = sim_pin(sim, NULL)) != NULL)
		*pin = sim->pinned[--sim->pinned_count];
	sim_lane_recount(sim);
}

/* What the engine does not know runs on, and nobody hears of its end. */
static void
settle_tasks(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++)
		if (sim->tasks[i].id > sim->task_kept)
			sim->tasks[i].id = 0;
}

/* What the lost turn has numbered is passed over. */
static void
settle_numbers(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		sim_service(sim, sim->engine.services[i]->name)
		    ->incarnation_last =
		    sim->engine.services[i]->fleet.incarnation_last;
}

void
sim_lose_turn(struct sim *sim)
{
	sim_trace(sim, "crash");
	sim_cover(sim, SIM_LOST_TURN);
	restore_model(sim);
	settle_tasks(sim);
	sim->turn_lost = true;
	sim_restart(sim);
	sim->turn_lost = false;
	if (sim->broken[0] != '\0')
		return;
	settle_numbers(sim);
	settle_releases(sim);
	settle_processes(sim);
	sim->armed_ms = sim->now_ms;
	sim->acted = true;
}
