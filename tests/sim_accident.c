/*
 * Accidents: what an operator did not order.  Processes are killed, a listener
 * is shut down, the disk and the machine do not do what they should.
 */
#include "sim_world.h"

#include <signal.h>

static void
break_disk(struct sim *sim)
{
	struct sim_draft *draft = &sim->drafts[sim_below(sim, SIM_NAMES)];

	switch (sim_below(sim, 6)) {
	case 0:
		sim->config_bad = !sim->config_bad && sim_chance(sim, 60);
		break;
	case 1:
		sim->pin_fails = !sim->pin_fails && sim_chance(sim, 60);
		break;
	case 2:
		sim->bind_fails = !sim->bind_fails && sim_chance(sim, 60);
		break;
	case 3:
		sim->refuse_until_ms = sim->now_ms + sim_below(sim, 4000);
		break;
	case 4:
		sim->busy_until_ms = sim->now_ms + sim_below(sim, 4000);
		break;
	case 5:
		sim->builds[draft->build].rewritten = true;
		break;
	}
	sim_trace(sim, "disk: config %s, pin %s, bind %s",
	    sim->config_bad ? "bad" : "good",
	    sim->pin_fails ? "fails" : "works",
	    sim->bind_fails ? "fails" : "works");
}

/* Nobody stays with a listener from which nothing comes any more. */
static void
break_listener(struct sim *sim, const struct shard *shard)
{
	engine_repair(&sim->engine, shard, "main", false);
	for (uint32_t i = 0; i < sim->living_count; i++) {
		const struct sim_process *process = sim->living[i];
		struct service *s = sim_engine_service(sim, process->service);
		const struct worker *w = s == NULL ? NULL :
		    fleet_find(&s->fleet, process->id);

		if (w != NULL && worker_is_live(w) &&
		    process->release->shard_count != 0 &&
		    process->release->shards[0] == shard)
			sim_fail(sim, "repair: worker %u stays with a listener "
			    "that is dead", w->id.incarnation);
	}
}

void
sim_accident(struct sim *sim)
{
	struct sim_process *process;
	uint32_t which = sim_below(sim, SIM_NAMES);

	if (sim_chance(sim, 50)) {
		break_disk(sim);
		return;
	}
	if (sim_chance(sim, 25)) {
		sim_trace(sim, "a listener of s%u is shut down", which);
		sim_cover(sim, SIM_REPAIR);
		if (sim_shard(sim, which) != NULL)
			break_listener(sim, sim_shard(sim, which));
		return;
	}
	for (uint32_t i = 1 + sim_below(sim, 3); i > 0; i--) {
		if (sim->living_count == 0)
			return;
		process = sim->living[sim_below(sim, sim->living_count)];
		sim_cover(sim, SIM_ACCIDENT_KILL);
		sim_process_end(sim, process, 0, true, SIGKILL);
	}
}
