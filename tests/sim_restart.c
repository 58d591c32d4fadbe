/*
 * Restarts: the engine's memory is given up, and one that was read from its
 * state goes on.
 *
 * Where the world keeps all that it has, nobody may notice, and the trace has to
 * be the same.  Where tasks are lost, and now and then a worker's handle or a
 * release's executable, the run is another; what holds for any run has to hold
 * for this one.
 */
#include "sim_world.h"

#include <stdlib.h>
#include <string.h>

/* After so many turns, by the seed: each time, and with several that were
 * appended. */
enum { RESTART_EVERY_MAX = 5 };

/*
 * What the world keeps
 */

static void
world_keep_worker(void *ctx, const void *handle, char *ret_handle)
{
	const struct sim_process *process = handle;

	(void)ctx;
	(void)snprintf(ret_handle, HANDLE_BYTES_MAX, "process %u",
	    process->number);
}

static void
world_keep_release(void *ctx, const struct release *release,
    char *ret_handle)
{
	struct sim *sim = ctx;
	const struct sim_pin *pin = sim_pin(sim, release);

	if (pin == NULL)
		sim_fail(sim, "pins: one that is not pinned is kept");
	else
		(void)snprintf(ret_handle, HANDLE_BYTES_MAX, "pin %u lane %d",
		    pin->number, sim_lane_number(sim, release));
}

static void *
world_restore_worker(void *ctx, uint32_t service, const struct worker *w,
    pid_t pid, const char *handle)
{
	struct sim *sim = ctx;
	unsigned number = 0;

	(void)sscanf(handle, "process %u", &number);
	for (uint32_t i = 0; i < sim->living_count; i++) {
		struct sim_process *process = sim->living[i];

		if (process->number != number)
			continue;
		if (process->service != service ||
		    (process->pid != pid && !sim->turn_lost) ||
		    process->id.incarnation != w->id.incarnation)
			sim_fail(sim, "state: worker %u has another's handle",
			    w->id.incarnation);
		if (sim->restarts != SIM_LOSES || !sim_chance(sim, 2))
			return process;
		sim_cover(sim, SIM_LOST_WORKER);
		process->lost = true;
		sim_process_gone(sim, process);
		return NULL;
	}
	if (!sim->turn_lost)    /* else it has ended in that turn */
		sim_fail(sim, "state: nobody knows the handle \"%s\"", handle);
	return NULL;
}

/* Its processes run this very release. */
static void
hand_over(struct sim *sim, struct release *release, uint32_t pin)
{
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->pin == pin)
			sim->living[i]->release = release;
}

/* In the turn that was lost nothing needed it any more. */
static int
restore_unpinned(struct sim *sim, struct release *release, int lane,
    char *ret_text)
{
	sim->pinned[sim->pinned_count++] = (struct sim_pin){
		.release = release, .number = ++sim->pin_last, .lost = true };
	sim_lane_restore(sim, release, lane);
	sim_cover(sim, SIM_LOST_UNPIN);
	(void)snprintf(ret_text, REASON_BYTES_MAX, "it was let go");
	return -1;
}

static int
world_restore_release(void *ctx, struct release *release, const char *handle,
    char *ret_text)
{
	struct sim *sim = ctx;
	unsigned number = 0;
	int lane = -1;

	(void)sscanf(handle, "pin %u lane %d", &number, &lane);
	for (uint32_t i = 0; i < sim->pinned_count; i++) {
		struct sim_pin *pin = &sim->pinned[i];

		if (pin->number != number)
			continue;
		if (pin->release != NULL)
			sim_fail(sim, "state: two releases have one handle");
		pin->release = release;
		sim_lane_restore(sim, release, lane);
		hand_over(sim, release, number);
		if (sim->restarts == SIM_LOSES && sim_chance(sim, 1))
			pin->lost = true;
		if (!pin->lost)
			return 0;
		sim_cover(sim, SIM_LOST_RELEASE);
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "its executable is not there any more");
		return -1;
	}
	if (sim->turn_lost)
		return restore_unpinned(sim, release, lane, ret_text);
	sim_fail(sim, "state: nobody knows the handle \"%s\"", handle);
	return -1;
}

static bool
world_has_task(void *ctx, uint64_t id)
{
	const struct sim *sim = ctx;

	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++)
		if (sim->tasks[i].id == id)
			return true;
	return false;
}

void
sim_restart_init(struct sim *sim)
{
	sim->world.keep_worker = world_keep_worker;
	sim->world.keep_release = world_keep_release;
	sim->world.restore_worker = world_restore_worker;
	sim->world.restore_release = world_restore_release;
	sim->world.has_task = world_has_task;
}

/*
 * Restarts
 */

void
sim_forget_state(struct sim *sim)
{
	state_free(sim->writer);
	free(sim->log);
	sim->writer = NULL;
	sim->log = NULL;
	sim->log_bytes = 0;
	sim->kept_count = 0;
}

static void
note(struct sim *sim, const struct state_text *text)
{
	if (text->anew)
		sim->log_bytes = 0;
	sim_cover(sim, text->anew ? SIM_STATE_ANEW : SIM_STATE_APPENDED);
	if (text->size_bytes == 0)
		return;
	sim->log = realloc(sim->log, sim->log_bytes + text->size_bytes);
	if (sim->log == NULL)
		abort();
	memcpy(sim->log + sim->log_bytes, text->bytes, text->size_bytes);
	sim->log_bytes += text->size_bytes;
}

static void
lose_tasks(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++) {
		if (sim->tasks[i].id == 0)
			continue;
		sim_cover(sim, SIM_LOST_PROBE + sim->tasks[i].kind);
		sim->tasks[i].id = 0;
	}
}

/* What the witness compares by address is another's from now on. */
static void
follow_specs(struct sim *sim, const struct engine *before,
    const struct spec *const *specs)
{
	for (uint32_t i = 0; i < before->service_count; i++) {
		struct service *s = sim->engine.services[i];
		struct sim_findings *found = &sim_service(sim, s->name)->found;

		found->spec = found->spec == specs[i] ? s->spec : NULL;
	}
}

void
sim_restart(struct sim *sim)
{
	char why[REASON_BYTES_MAX];
	struct state_image *image = state_read(sim->log, sim->log_bytes, why);
	const struct spec *specs[SERVICES_MAX];
	struct engine before = sim->engine;

	if (image == NULL) {
		sim_fail(sim, "state: %s", why);
		return;
	}
	for (uint32_t i = 0; i < before.service_count; i++)
		specs[i] = before.services[i]->spec;
	state_forget(&sim->engine);
	for (uint32_t i = 0; i < sim->pinned_count; i++)
		sim->pinned[i].release = NULL;
	if (sim->turn_lost)
		state_turn_was_lost(image);
	state_resume(image, &sim->engine, &sim->world);
	if (sim->turn_lost)
		;
	else if (sim_pin(sim, NULL) != NULL)
		sim_fail(sim, "state: a release is forgotten");
	else if (sim->engine.service_count != before.service_count)
		sim_fail(sim, "state: %u of %u services",
		    sim->engine.service_count, before.service_count);
	else
		follow_specs(sim, &before, specs);
	state_free(sim->writer);
	sim->writer = NULL;
	sim->kept_count = 0;
	sim_cover(sim, SIM_RESTARTED);
}

/* For a run in which something is lost. */
static void
lose(struct sim *sim)
{
	if (!sim->chaos || !sim_chance(sim, 25))
		return;
	sim_trace(sim, "restart");
	lose_tasks(sim);
	sim_restart(sim);
	sim->armed_ms = sim->now_ms;
	sim->acted = true;
}

/* Writes down all that is new. */
static void
commit(struct sim *sim)
{
	struct state_text text;

	if (sim->writer == NULL)
		sim->writer = state_new("simulated");
	if (sim->writer == NULL ||
	    state_commit(sim->writer, &sim->engine, &text) < 0)
		abort();
	note(sim, &text);
	if (sim->restarts != SIM_KEEPS_ALL)
		sim_save_model(sim);
}

/* This turn is not written down; false: it will be. */
static bool
crash(struct sim *sim)
{
	bool died = sim->dead;

	sim->dead = false;
	sim->deed_count = 0;
	if (!died && (sim->restarts != SIM_LOSES || !sim->chaos ||
	    sim->log == NULL || !sim_chance(sim, 5)))
		return false;
	if (!sim->chaos)
		sim_cover(sim, SIM_DIED_IN_CALM);
	if (!died || sim_chance(sim, 50))
		lose_tasks(sim);
	sim_lose_turn(sim);
	return true;
}

void
sim_keep(struct sim *sim)
{
	uint32_t every = 1 + (uint32_t)(sim->seed / 2 % RESTART_EVERY_MAX);
	bool crashed;

	if (sim->restarts == SIM_GOES_ON || sim->broken[0] != '\0')
		return;
	crashed = crash(sim);
	if (sim->broken[0] != '\0')
		return;
	commit(sim);
	if (sim->restarts == SIM_LOSES && !crashed)
		lose(sim);
	else if (sim->restarts == SIM_KEEPS_ALL &&
	    ++sim->kept_count % every == 0)
		sim_restart(sim);
}
