/*
 * Lanes and tasks, simulated: shards that are only counted, a kernel that
 * refuses now and then, and commands that end sometime with some result.
 */
#include "sim_world.h"

#include <string.h>

/*
 * Lanes
 */

static struct sim_lane *
new_lane(struct sim *sim, uint32_t name)
{
	for (uint32_t i = 0; i < SIM_LANES_MAX; i++) {
		struct sim_lane *lane = &sim->lanes[i];

		if (lane->reference_count != 0)
			continue;
		*lane = (struct sim_lane){ .name = name,
			.reference_count = 1 };
		return lane;
	}
	sim_fail(sim, "lanes: %u are open", SIM_LANES_MAX);
	return &sim->lanes[0];
}

/* The open lane of this name with the most weight; NULL: none is open. */
static struct sim_lane *
heaviest(struct sim *sim, uint32_t name)
{
	struct sim_lane *best = NULL;

	for (uint32_t i = 0; i < SIM_LANES_MAX; i++) {
		struct sim_lane *lane = &sim->lanes[i];

		if (lane->reference_count != 0 && lane->name == name &&
		    (best == NULL ||
		    lane->weight_permille > best->weight_permille))
			best = lane;
	}
	return best;
}

static struct sim_lane *
lane_of(const struct release *release)
{
	return (struct sim_lane *)(void *)release->shards[0];
}

static void
hold(struct release *release, struct sim_lane *lane)
{
	release->shards[0] = (struct shard *)(void *)lane;
	release->shard_count = 1;
}

struct shard *
sim_shard(struct sim *sim, uint32_t name)
{
	return (struct shard *)(void *)sim->bases[name];
}

int
sim_lane_number(const struct sim *sim, const struct release *release)
{
	return release->shard_count == 0 ? -1 :
	    (int)(lane_of(release) - sim->lanes);
}

void
sim_lane_restore(struct sim *sim, struct release *release, int number)
{
	if (number >= 0)
		hold(release, &sim->lanes[number]);
}

void
sim_lane_bind(struct sim *sim, struct release *release, uint32_t name)
{
	if (heaviest(sim, name) == NULL) {
		sim->bases[name] = new_lane(sim, name);
		sim->bases[name]->weight_permille = 1000;
	} else {
		heaviest(sim, name)->reference_count++;
	}
	hold(release, heaviest(sim, name));
}

void
sim_lane_share(struct release *release, const struct release *other)
{
	if (other->shard_count == 0)
		return;
	lane_of(other)->reference_count++;
	hold(release, lane_of(other));
}

/* Nobody holds it any more. */
static void
close_lane(struct sim *sim, struct sim_lane *lane)
{
	lane->weight_permille = 0;
	if (sim->bases[lane->name] == lane)
		sim->bases[lane->name] = heaviest(sim, lane->name);
	sim->divided[lane->name] &= sim->bases[lane->name] != NULL;
}

/* What is left when the rest is closed gets all. */
static void
give_all(struct sim *sim, uint32_t name)
{
	struct sim_lane *only = NULL;

	for (uint32_t i = 0; i < SIM_LANES_MAX; i++) {
		struct sim_lane *lane = &sim->lanes[i];

		if (lane->reference_count == 0 || lane->name != name)
			continue;
		if (only != NULL)
			return;
		only = lane;
	}
	sim->divided[name] = false;
	if (only == NULL)
		return;
	only->weight_permille = 1000;
	sim->bases[name] = only;
}

void
sim_lane_recount(struct sim *sim)
{
	uint32_t counts[SIM_LANES_MAX] = { 0 };

	for (uint32_t i = 0; i < sim->pinned_count; i++)
		if (sim->pinned[i].release->shard_count != 0)
			counts[sim_lane_number(sim, sim->pinned[i].release)]++;
	for (uint32_t i = 0; i < SIM_LANES_MAX; i++) {
		bool was_open = sim->lanes[i].reference_count != 0;

		sim->lanes[i].reference_count = counts[i];
		if (was_open && counts[i] == 0)
			close_lane(sim, &sim->lanes[i]);
	}
	for (uint32_t name = 0; name < SIM_NAMES; name++)
		give_all(sim, name);
}

void
sim_lane_leave(struct sim *sim, struct release *release,
    struct lane_end *ret_end)
{
	struct sim_lane *lane;

	if (release->shard_count == 0)
		return;
	lane = lane_of(release);
	release->shard_count = 0;
	if (--lane->reference_count != 0)
		return;
	sim_cover(sim, SIM_LANE_CLOSED);
	close_lane(sim, lane);
	if (ret_end != NULL && sim_chance(sim, 10))
		ret_end->handed_over += 1 + sim_below(sim, 9);
}

static bool
has_process(const struct sim *sim, const struct release *release)
{
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->release == release)
			return true;
	return false;
}

uint32_t
sim_weight(const struct release *release)
{
	return release->shard_count != 0 ? lane_of(release)->weight_permille :
	    0;
}

bool
sim_gets_nothing(const struct sim *sim, const struct release *release)
{
	return sim->restarts == SIM_DIES && release->shard_count != 0 &&
	    sim_weight(release) == 0;
}

static int
world_join(void *ctx, struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	struct sim_lane *old;

	if (release->shard_count == 0)
		sim_fail(sim, "lanes: a release that is not bound joins");
	if (sim->bind_fails) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "no more sockets");
		return -1;
	}
	old = lane_of(release);
	if (old->reference_count == 1) {
		sim_cover(sim, SIM_LANE_KEPT);
		if (!has_process(sim, release))
			sim_fail(sim, "lanes: revision %u has one that is "
			    "nobody's", release->revision);
		return 0;
	}
	hold(release, new_lane(sim, old->name));
	old->reference_count--;
	sim_cover(sim, SIM_LANE_JOINED);
	return 0;
}

/* Does the kernel do so already?  A lane that gets nothing need not be known. */
static bool
is_split(const struct sim *sim, const struct split *split)
{
	const struct sim_lane *base = lane_of(split->base);

	if (sim->bases[base->name] != base ||
	    base->weight_permille != 1000 - split->weight_permille)
		return false;
	if (split->candidate == NULL || split->weight_permille == 0)
		return split->candidate != NULL || !sim->divided[base->name];
	return lane_of(split->candidate)->weight_permille ==
	    split->weight_permille;
}

static int
world_steer(void *ctx, const struct split *split, char *ret_text)
{
	struct sim *sim = ctx;
	/* one that was deaf has no lane any more */
	const struct release *candidate = split->candidate == NULL ||
	    split->candidate->shard_count == 0 ? NULL : split->candidate;
	struct sim_lane *base;

	sim->acted = true;
	if (split->base->shard_count == 0 || split->weight_permille > 1000 ||
	    (candidate == NULL && split->weight_permille != 0)) {
		sim_fail(sim, "steer: to nobody");
		return -1;
	}
	base = lane_of(split->base);
	if (candidate != NULL && lane_of(candidate) == base)
		sim_fail(sim, "steer: the two share a lane");
	if (is_split(sim, split))
		return 0;
	if (sim->chaos && !sim->turn_lost && sim_chance(sim, 4)) {
		sim_cover(sim, SIM_STEER_REFUSED);
		(void)snprintf(ret_text, REASON_BYTES_MAX, "no memory");
		return -1;
	}
	for (uint32_t i = 0; i < SIM_LANES_MAX; i++) {
		struct sim_lane *lane = &sim->lanes[i];

		if (lane->name != base->name)
			continue;
		if (lane->weight_permille != 0)
			lane->lost_ms = sim->now_ms;
		lane->weight_permille = 0;
	}
	sim->divided[base->name] = candidate != NULL;
	base->weight_permille = 1000 - split->weight_permille;
	if (candidate != NULL)
		lane_of(candidate)->weight_permille =
		    split->weight_permille;
	sim->bases[base->name] = base;
	sim_cover(sim, SIM_STEERED);
	sim_trace(sim, "steer: revision %u gets %u permille, %u the rest",
	    candidate != NULL ? candidate->revision : 0,
	    split->weight_permille, split->base->revision);
	return 0;
}

/* It changes with time, and not from one question to the next. */
static uint32_t
world_queued(void *ctx, const struct release *release)
{
	struct sim *sim = ctx;
	uint64_t hash = release_hash(sim->now_ms / 100, &release->revision,
	    sizeof(release->revision));

	if (sim_build_of(sim, release)->kind == BUILD_STUCK &&
	    release->shard_count != 0 && lane_of(release)->weight_permille != 0)
		return (uint32_t)(sim->now_ms / 10);
	if (sim_build_of(sim, release)->kind == BUILD_STUCK &&
	    release->shard_count != 0)
		return 1;
	return sim->chaos && hash % 3 == 0 ? (uint32_t)(hash >> 32) % 40 : 0;
}

bool
sim_is_left(struct sim *sim, const struct release *release,
    uint64_t quiet_max_ms)
{
	return release->shard_count != 0 && sim_weight(release) == 0 &&
	    sim->now_ms < lane_of(release)->lost_ms + quiet_max_ms &&
	    world_queued(sim, release) != 0;
}

static bool
world_migrates(void *ctx)
{
	return ((struct sim *)ctx)->migrates;
}

static uint64_t
world_accepted(void *ctx)
{
	return ((struct sim *)ctx)->now_ms * 2;
}

static uint64_t
world_memory_bytes(void *ctx, pid_t pid)
{
	struct sim *sim = ctx;

	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->pid == pid &&
		    sim->living[i]->build->kind == BUILD_FAT)
			return UINT64_C(200) << 20;
	return UINT64_C(4) << 20;
}

/*
 * Tasks
 */

static int
world_run(void *ctx, const struct task_request *request, char *ret_text)
{
	struct sim *sim = ctx;
	struct sim_task task = {
		.id = request->id, .service = request->service,
		.kind = request->kind, .began_ms = sim->now_ms,
		.build = sim_build_of(sim, request->release),
	};
	uint32_t i = 0;

	sim->acted = true;
	if (task.kind == TASK_PROBE && request->spec->probe == PROBE_NONE)
		sim_fail(sim, "probe: nobody says what to ask");
	sim_witness_run(sim, &task, request->release->revision);
	if (sim->chaos && sim_chance(sim, 3)) {
		sim_cover(sim, SIM_TASK_REFUSED);
		sim_witness_refused(sim, &task);
		(void)snprintf(ret_text, REASON_BYTES_MAX, "not found");
		return -1;
	}
	while (i < SIM_TASKS_MAX && sim->tasks[i].id != 0)
		i++;
	if (i == SIM_TASKS_MAX) {
		sim_fail(sim, "tasks: %u run", SIM_TASKS_MAX);
		return -1;
	}
	sim->tasks[i] = task;
	sim_trace(sim, "task %llu: %s of revision %u",
	    (unsigned long long)request->id, task_kind_name(request->kind),
	    request->release->revision);
	sim_push(sim, (struct sim_item){
		.when_ms = sim->now_ms + 1 + sim_below(sim, sim->chaos ?
		    (uint32_t)request->timeout_ms : 20),
		.type = ITEM_TASK, .value = request->id,
	});
	return 0;
}

static void
world_cancel(void *ctx, uint64_t id)
{
	struct sim *sim = ctx;

	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++)
		if (sim->tasks[i].id == id) {
			sim->tasks[i].id = 0;
			sim_cover(sim, SIM_TASK_CANCELLED);
		}
}

static struct exit_status
exit_of(struct sim *sim, const struct sim_task *task)
{
	bool bad = (task->kind == TASK_PROBE &&
	    task->build->kind == BUILD_SICK) || (task->kind == TASK_ANALYSIS &&
	    task->build->kind == BUILD_CONDEMNED);

	if (bad || (sim->chaos && sim_chance(sim, 3)))
		return (struct exit_status){ .number = 1 };
	if (task->kind != TASK_PROBE && sim->chaos && sim_chance(sim, 5))
		return (struct exit_status){ .number = 7 };
	return (struct exit_status){ .number = 0 };
}

/* A probe that passed made those ready that had been started before it. */
static void
follow_probe(struct sim *sim, const struct sim_task *task,
    const struct task_result *result)
{
	struct service *s = sim_engine_service(sim, result->service);

	for (uint32_t i = 0; s != NULL && i < sim->living_count; i++) {
		struct sim_process *process = sim->living[i];
		const struct worker *w;

		if (process->service != s->id ||
		    process->state != WORKER_STARTING ||
		    process->release->spec->ready != READY_PROBE)
			continue;
		w = fleet_find(&s->fleet, process->id);
		if (w == NULL || w->state != WORKER_READY)
			continue;
		process->state = WORKER_READY;
		sim_cover(sim, SIM_PROBE_READY);
		if (result->exit.number != 0 || result->timed_out)
			sim_fail(sim, "probe: it failed, and worker %u is "
			    "ready", process->id.incarnation);
		if (w->started_ms >= task->began_ms)
			sim_fail(sim, "probe: it began before worker %u, which "
			    "is ready", process->id.incarnation);
	}
}

void
sim_task_ended(struct sim *sim, uint64_t id)
{
	struct task_result result = { .id = id, .output = "v1\n1700000000\n",
		.duration_ms = 5 };

	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++) {
		struct sim_task task = sim->tasks[i];

		if (task.id != id)
			continue;
		result.service = task.service;
		result.kind = task.kind;
		result.exit = exit_of(sim, &task);
		result.timed_out = sim->chaos && sim_chance(sim, 3);
		sim->tasks[i].id = 0;
		sim_cover(sim, SIM_TASK_PROBE + result.kind);
		sim_trace(sim, "task %llu ends with %d%s",
		    (unsigned long long)id, result.exit.number,
		    result.timed_out ? ", late" : "");
		sim_witness_end(sim, &task, &result);
		if (result.kind == TASK_PROBE)
			follow_probe(sim, &task, &result);
		return;
	}
}

/* What is run after a rollout is on its own; nothing else may be left. */
void
sim_judge_tasks(struct sim *sim)
{
	for (uint32_t i = 0; i < SIM_TASKS_MAX; i++) {
		if (sim->tasks[i].id != 0 && sim->tasks[i].kind != TASK_AFTER)
			sim_fail(sim, "tasks: a %s is left",
			    task_kind_name(sim->tasks[i].kind));
		sim->tasks[i].id = 0;
	}
}

void
sim_lane_init(struct sim *sim)
{
	sim->world.join = world_join;
	sim->world.steer = world_steer;
	sim->world.queued = world_queued;
	sim->world.migrates = world_migrates;
	sim->world.accepted = world_accepted;
	sim->world.memory_bytes = world_memory_bytes;
	sim->world.run = world_run;
	sim->world.cancel = world_cancel;
}
