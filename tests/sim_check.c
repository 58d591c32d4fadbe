/*
 * What must be true of the engine after every turn: its records agree with the
 * processes, what it waits for is armed, and the planner, asked on a copy,
 * keeps the invariants before the turn and has nothing to add after it.
 */
#include "sim_world.h"

#include <stdlib.h>
#include <string.h>

#include "service.h"

/*
 * The planner, asked on a copy
 */

static void
make_room(struct sim *sim, const struct fleet *fleet)
{
	struct fleet *copies[] = { &sim->shadow, &sim->invariants.fleet };
	bool grow = fleet->slot_capacity > sim->slot_room ||
	    fleet->worker_capacity > sim->worker_room;

	if (grow) {
		sim->slot_room += fleet->slot_capacity;
		sim->worker_room += fleet->worker_capacity;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (grow) {
			copies[i]->slots = realloc(copies[i]->slots,
			    sim->slot_room * sizeof(struct slot));
			copies[i]->workers = realloc(copies[i]->workers,
			    sim->worker_room * sizeof(struct worker));
		}
		if (sim->slot_room != 0 && (copies[i]->slots == NULL ||
		    copies[i]->workers == NULL))
			abort();
		copies[i]->slot_capacity = fleet->slot_capacity;
		copies[i]->worker_capacity = fleet->worker_capacity;
	}
}

/* Leaves copies of the fleet in sim->shadow and of the rollout. */
static struct rollout
copy_service(struct sim *sim, const struct service *s)
{
	const struct fleet *fleet = &s->fleet;

	make_room(sim, fleet);
	sim->shadow.incarnation_last = fleet->incarnation_last;
	if (fleet->slot_capacity != 0)
		memcpy(sim->shadow.slots, fleet->slots,
		    fleet->slot_capacity * sizeof(*fleet->slots));
	if (fleet->worker_capacity != 0)
		memcpy(sim->shadow.workers, fleet->workers,
		    fleet->worker_capacity * sizeof(*fleet->workers));
	return s->rollout;
}

/* A step that asks for fewer than are there may let candidates go, and one that
 * gives another weight than it did changes nothing once it is reached. */
static bool
is_reshaping(const char *broken)
{
	static const char reached[] = "steer: the step is reached";

	return strcmp(broken, "drain: a candidate that is wanted") == 0 ||
	    strncmp(broken, reached, sizeof(reached) - 1) == 0;
}

static void
check_planner(struct sim *sim, struct service *s)
{
	static struct plan plan;
	struct rollout rollout;
	struct sim_service *model = sim_service(sim, s->name);
	uint32_t start_count = 0;

	if (s->rollout.phase == ROLLOUT_IDLE)
		model->reshaped = false;
	else if (memcmp(&model->policy, &s->policy, sizeof(s->policy)) != 0)
		model->reshaped = true;
	model->policy = s->policy;
	(void)service_make_room(s);
	if (s->fleet.slot_capacity == 0 || s->fleet.worker_capacity == 0)
		return;
	rollout = copy_service(sim, s);
	invariants_before(&sim->invariants, &rollout, &sim->shadow);
	rollout_tick(&rollout, &sim->shadow, &s->policy, 0, sim->now_ms,
	    &plan);
	for (uint32_t i = 0; i < plan.action_count; i++)
		start_count += plan.actions[i].type == ACTION_START;
	if (start_count == STARTS_PER_TURN_MAX)
		sim_cover(sim, SIM_STARTS_BOUNDED);
	if (!invariants_after(&sim->invariants, &rollout, &sim->shadow,
	    &s->policy, sim->now_ms, &plan) &&
	    !(model->reshaped && is_reshaping(sim->invariants.broken)))
		sim_fail(sim, "planner: %s: %s", s->name,
		    sim->invariants.broken);
}

/* Asked again after a turn it has nothing to do, and nothing to wait for that
 * would not be waited for. */
static void
check_rest(struct sim *sim, struct service *s)
{
	static struct plan plan;
	struct rollout rollout;

	if (s->fleet.slot_capacity == 0 || s->fleet.worker_capacity == 0)
		return;
	rollout = copy_service(sim, s);
	rollout_tick(&rollout, &sim->shadow, &s->policy, 0, sim->now_ms,
	    &plan);
	if (plan.action_count != 0)
		sim_fail(sim, "turn: %s: %u things are left to be done",
		    s->name, plan.action_count);
	else if (plan.deadline_ms < sim->armed_ms)
		sim_fail(sim, "arm: %s: something is due %lld ms earlier than "
		    "is armed", s->name, plan.deadline_ms < NEVER_MS ?
		    (long long)(sim->armed_ms - plan.deadline_ms) : 0);
}

/*
 * Records and processes
 */

static bool
is_mate(const struct mate *mate, const struct sim_process *process)
{
	return mate->pid == process->pid &&
	    mate->error_number == process->error_number &&
	    strcmp(mate->status != NULL ? mate->status : "",
	    process->status) == 0;
}

static void
check_worker(struct sim *sim, const struct service *s, uint32_t i)
{
	const struct worker *w = &s->fleet.workers[i];
	const struct mate *mate = &s->mates[i];
	struct sim_process *process = mate->process;

	if (w->state == WORKER_GONE) {
		if (process != NULL || mate->status != NULL || mate->pid != 0)
			sim_fail(sim, "mate: a free record has one still");
		return;
	}
	if (!sim_is_handle(sim, process) || process->service != s->id ||
	    process->id.incarnation != w->id.incarnation ||
	    process->revision != w->revision) {
		sim_fail(sim, "mate: worker %u has not its process",
		    w->id.incarnation);
		return;
	}
	if (process->state == WORKER_STARTING && w->state == WORKER_READY &&
	    process->alive_at_ms <= sim->now_ms) {
		process->state = WORKER_READY;
		sim_cover(sim, SIM_ALIVE_READY);
	}
	if (w->state != process->state)
		sim_fail(sim, "records: worker %u is %s, by its record %s",
		    w->id.incarnation, worker_state_name(process->state),
		    worker_state_name(w->state));
	if (!is_mate(mate, process))
		sim_fail(sim, "mate: worker %u's pid, error or status",
		    w->id.incarnation);
}

struct revisions {
	uint32_t list[SIM_PINNED_MAX];
	uint32_t count;
};

static void
add_revision(struct revisions *revisions, uint32_t revision)
{
	for (uint32_t i = 0; i < revisions->count; i++)
		if (revisions->list[i] == revision)
			return;
	if (revisions->count < SIM_PINNED_MAX)
		revisions->list[revisions->count++] = revision;
}

/* How many releases have workers: live ones, and on their way out. */
static void
check_releases(struct sim *sim, const struct service *s)
{
	struct sim_service *model = sim_service(sim, s->name);
	struct revisions live = { .count = 0 }, leaving = { .count = 0 };
	bool others_live = false, others_drain = false;

	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];
		bool other = w->revision != s->rollout.stable &&
		    w->revision != s->rollout.candidate;

		if (worker_is_live(w))
			add_revision(&live, w->revision);
		if (w->state != WORKER_GONE && other)
			add_revision(&leaving, w->revision);
		others_live |= other && worker_is_live(w);
		others_drain |= other && w->state != WORKER_GONE &&
		    !worker_is_live(w);
	}
	model->leftover &= others_live;
	if (live.count > 2 && !model->leftover)
		sim_fail(sim, "releases: %u of %s have live workers",
		    live.count, s->name);
	if (leaving.count > 1)
		sim_cover(sim, SIM_DRAINING_RELEASES);
	model->jumped &= leaving.count >= DRAINING_RELEASES_MAX;
	model->jumped |= leaving.count >= DRAINING_RELEASES_MAX &&
	    !others_drain;
	if (leaving.count > (model->jumped ? RELEASES_KEPT_MAX :
	    DRAINING_RELEASES_MAX))
		sim_fail(sim, "releases: %u of %s are on their way out",
		    leaving.count, s->name);
}

static void
check_service(struct sim *sim, struct service *s)
{
	struct fleet_count count = fleet_count(&s->fleet);
	struct sim_service *model = sim_service(sim, s->name);
	bool is_late = s->rollout.stable == 0 && !s->stopped && !s->removed;

	if (model->is_late && s->rollout.stable != 0)
		sim_cover(sim, SIM_LATE_FIRST_START);
	model->is_late = is_late;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		check_worker(sim, s, i);
	check_releases(sim, s);
	if ((s->rollout.phase == ROLLOUT_IDLE) != (s->deployment.id == 0))
		sim_fail(sim, "rollout: %s is %s, with deployment %llu",
		    s->name, rollout_phase_name(s->rollout.phase),
		    (unsigned long long)s->deployment.id);
	if ((s->next_release == NULL) != (s->next.id == 0) ||
	    (s->next_release != NULL && s->rollout.phase == ROLLOUT_IDLE))
		sim_fail(sim, "next: nothing is waited for");
	if (sim->armed_ms == NEVER_MS && (is_late ||
	    s->rollout.phase == ROLLOUT_CLIMB ||
	    s->rollout.phase == ROLLOUT_ROLLBACK))
		sim_fail(sim, "arm: never, but %s is to go on", s->name);
	if (count.free == 0 && count.live < s->policy.workers &&
	    sim->armed_ms > sim->now_ms)
		sim_fail(sim, "room: %s has no record for a worker it lacks",
		    s->name);
	sim_witness_turn(sim, s);
	if (s->removed && service_is_empty(s))
		sim_fail(sim, "remove: %s is empty, but not gone", s->name);
	if (sim->armed_ms > sim->now_ms)
		check_rest(sim, s);
}

static void
check_pace(struct sim *sim)
{
	bool same = sim->turned_ms == sim->now_ms;

	sim->turned_ms = sim->now_ms;
	sim->turn_count = same ? sim->turn_count + 1 : 0;
	sim->idle_turn_count = same && !sim->acted ?
	    sim->idle_turn_count + 1 : 0;
	sim->acted = false;
	if (sim->idle_turn_count > 2 || sim->turn_count > 1000)
		sim_fail(sim, "busy: turn %u at one instant, %u for nothing",
		    sim->turn_count, sim->idle_turn_count);
}

void
sim_check_before_turn(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->living_count; i++) {
		struct sim_process *process = sim->living[i];

		if (process->state != WORKER_STARTING ||
		    process->alive_at_ms > sim->now_ms)
			continue;
		process->state = WORKER_READY;
		sim_cover(sim, SIM_ALIVE_READY);
	}
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		check_planner(sim, sim->engine.services[i]);
}

void
sim_check_after_turn(struct sim *sim)
{
	uint32_t worker_count = 0;

	sim->totals->turn_count++;
	for (uint32_t i = 0; i < sim->engine.service_count; i++) {
		struct service *s = sim->engine.services[i];

		check_service(sim, s);
		worker_count += s->fleet.worker_capacity -
		    fleet_count(&s->fleet).free;
	}
	if (worker_count != sim->living_count)
		sim_fail(sim, "records: %u of %u processes", worker_count,
		    sim->living_count);
	check_pace(sim);
}

/*
 * Rest
 */

/* Will its workers get ready and stay so, now that there are no faults? */
bool
sim_is_sound(struct sim *sim, struct service *s, uint32_t revision)
{
	const struct release *release = service_release(s, revision);
	const struct sim_build *build = sim_build_of(sim, release);

	/* one that was changed on the disk is only started when in charge */
	return build->kind == BUILD_GOOD && !sim_pin(sim, release)->lost &&
	    (revision == s->rollout.stable ||
	    build->rewritten == (release->identity.device != 0));
}

static bool
is_settled(struct sim *sim, struct service *s)
{
	const struct rollout *r = &s->rollout;
	char *why = sim->invariants.broken;
	size_t size = sizeof(sim->invariants.broken);

	(void)snprintf(why, size, "%s", rollout_phase_name(r->phase));
	if (s->removed || s->next_release != NULL ||
	    (r->phase != ROLLOUT_IDLE && r->phase != ROLLOUT_PAUSED))
		return false;
	(void)snprintf(why, size, "%u of %u workers are there",
	    fleet_count(&s->fleet).live, s->policy.workers);
	if (s->stopped || sim->engine.phase != ENGINE_RUNNING)
		return service_is_empty(s);
	(void)snprintf(why, size, "never started: %.100s", s->trouble);
	if (r->stable == 0)
		return false;
	if (!sim_is_sound(sim, s, r->stable) || (r->phase == ROLLOUT_PAUSED &&
	    !sim_is_sound(sim, s, r->candidate)))
		return true;
	if (s->fleet.slot_capacity == 0)
		return s->policy.workers == 0;
	(void)copy_service(sim, s);
	if (!invariants_at_rest(&sim->invariants, r, &s->fleet, &s->policy))
		return false;
	(void)snprintf(why, size, "not all are gone that were to go");
	return fleet_count(&s->fleet).leaving == 0;
}

bool
sim_is_settled(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		if (!is_settled(sim, sim->engine.services[i]))
			return false;
	return true;
}

/*
 * At most two rollouts have to end, the running one and the one that waits;
 * each moves its cursor or a worker within progress_deadline, up and then back.
 * Besides there are the longest drain, and the wait for a first release.
 */
uint64_t
sim_settle_bound_ms(const struct sim *sim)
{
	uint64_t longest_ms = 0, ms;

	for (uint32_t i = 0; i < sim->engine.service_count; i++) {
		const struct service *s = sim->engine.services[i];
		const struct policy *p = &s->policy;

		ms = 2 * (5 * (uint64_t)p->workers + 4) *
		    p->progress_deadline_ms + 44 * p->drain_timeout_ms +
		    11 * p->ready_timeout_ms + 2 * p->backoff_max_ms +
		    2 * p->keep_old_ms + 4 * (p->quiet_max_ms +
		    p->leave_max_ms) + 4 * s->spec->hook_timeout_ms;
		for (uint32_t k = 0; k < p->step_count; k++)
			ms += 2 * (p->steps[k].hold_ms +
			    s->spec->analysis_timeout_ms +
			    s->spec->analysis_interval_ms);
		if (ms > longest_ms)
			longest_ms = ms;
	}
	return longest_ms + 60000;
}
