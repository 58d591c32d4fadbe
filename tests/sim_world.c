/*
 * The port, simulated: a clock that moves when the run says so, a disk whose
 * builds change, listeners that are only counted, a ledger in memory.
 *
 * It owns the pinned releases and knows each handle it has given out, so that
 * one that is used after its end, or never given back, is found.
 */
#include "sim_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
world_now_ms(void *ctx)
{
	return ((struct sim *)ctx)->now_ms;
}

static int64_t
world_clock_s(void *ctx)
{
	return (int64_t)(((struct sim *)ctx)->now_ms / 1000);
}

static uint32_t
world_random(void *ctx)
{
	return sim_random(ctx);
}

static struct config *
world_read_config(void *ctx, struct config_errors *errors)
{
	struct sim *sim = ctx;

	if (!sim->config_bad)
		return sim_make_config(sim);
	sim_cover(sim, SIM_CONFIG_BAD);
	errors->list[0] = (struct config_error){
		.file = strdup("sim.conf"), .line = 1, .text = strdup("bad"),
	};
	errors->count = 1;
	return NULL;
}

uint64_t
sim_fingerprint(const struct sim *sim, const struct spec *spec,
    uint32_t build)
{
	uint64_t hash = RELEASE_HASH_START;
	uint64_t made_of[] = {
		build, sim->builds[build].rewritten, spec->ready,
		spec->ready_alive_ms, spec->watchdog_ms,
	};

	hash = release_hash(hash, spec->name, strlen(spec->name));
	return release_hash(hash, made_of, sizeof(made_of));
}

const struct sim_build *
sim_build_of(const struct sim *sim, const struct release *release)
{
	return &sim->builds[release->identity.inode];
}

struct sim_pin *
sim_pin(struct sim *sim, const struct release *release)
{
	for (uint32_t i = 0; i < sim->pinned_count; i++)
		if (sim->pinned[i].release == release)
			return &sim->pinned[i];
	return NULL;
}

static struct release *
make_release(struct sim *sim, struct spec *spec, uint32_t build)
{
	struct release *release = calloc(1, sizeof(*release));

	if (release == NULL || sim->pinned_count == SIM_PINNED_MAX) {
		sim_fail(sim, "simulator: no room for a release");
		free(release);
		return NULL;
	}
	release->spec = spec_ref(spec);
	release->path = strdup(spec->argv[0]);
	release->directory = strdup(spec->working_directory);
	release->executable_fd = release->directory_fd = -1;
	release->identity.inode = build;
	release->identity.device = sim->builds[build].rewritten;
	release->fingerprint = sim_fingerprint(sim, spec, build);
	sim->pinned[sim->pinned_count++] = (struct sim_pin){
		.release = release, .number = ++sim->pin_last };
	sim->acted = true;
	return release;
}

static struct release *
world_pin(void *ctx, struct spec *spec, char *ret_text)
{
	struct sim *sim = ctx;

	if (sim->pin_fails) {
		sim_cover(sim, SIM_PIN_FAILED);
		sim->acted = true;
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: no such file",
		    spec->argv[0]);
		return NULL;
	}
	return make_release(sim, spec, sim_draft(sim, spec->name)->build);
}

static struct release *
world_clone(void *ctx, const struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	struct release *clone;

	if (sim_pin(sim, release) == NULL)
		sim_fail(sim, "pins: a release that is not pinned is cloned");
	if (sim->pin_fails) {
		sim_cover(sim, SIM_PIN_FAILED);
		(void)snprintf(ret_text, REASON_BYTES_MAX, "no fds are left");
		return NULL;
	}
	clone = make_release(sim, release->spec,
	    (uint32_t)release->identity.inode);
	if (clone == NULL)
		return NULL;
	clone->identity = release->identity;
	clone->fingerprint = release->fingerprint;
	sim_lane_share(clone, release);
	return clone;
}

static int
world_bind(void *ctx, struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	struct sim_draft *draft = sim_draft(sim, release->spec->name);

	if (sim_pin(sim, release) == NULL)
		sim_fail(sim, "pins: a release that is not pinned is bound");
	if (sim->bind_fails) {
		sim_cover(sim, SIM_BIND_FAILED);
		sim->acted = true;
		(void)snprintf(ret_text, REASON_BYTES_MAX, "address in use");
		return -1;
	}
	sim_lane_bind(sim, release, (uint32_t)(draft - sim->drafts));
	return 0;
}

static void
judge_unused(struct sim *sim, const struct release *release, const char *what)
{
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->release == release &&
		    sim->living[i]->state != WORKER_GONE)
			sim_fail(sim, "pins: revision %u is %s while worker "
			    "%u runs it", release->revision, what,
			    sim->living[i]->id.incarnation);
}

bool
sim_is_deaf(const struct sim *sim, const struct service *s, uint32_t revision)
{
	return sim->migrates && s != NULL && s->deployment.id != 0 &&
	    s->deployment.revision == revision &&
	    (s->rollout.phase == ROLLOUT_ROLLBACK ||
	    s->rollout.phase == ROLLOUT_IDLE) &&        /* it ends just now */
	    s->rollout.fault == FAULT_QUEUE;
}

/* Its workers do not accept, but were all told to stop. */
static bool
is_given_up(struct sim *sim, const struct release *release)
{
	bool any = false;

	for (uint32_t i = 0; i < sim->living_count; i++) {
		const struct sim_process *process = sim->living[i];

		if (process->release != release)
			continue;
		any = true;
		if (sim_is_live(process) || !sim_is_deaf(sim,
		    sim_engine_service(sim, process->service),
		    release->revision))
			return false;
	}
	return any;
}

static void
world_unbind(void *ctx, struct release *release, struct lane_end *ret_end)
{
	struct sim *sim = ctx;

	if (is_given_up(sim, release))
		sim_cover(sim, SIM_DEAF_LANE);
	else
		judge_unused(sim, release, "unbound");
	sim_lane_leave(sim, release, ret_end);
}

void
sim_free_release(struct release *release)
{
	spec_unref(release->spec);
	free(release->path);
	free(release->directory);
	free(release->environment);
	free(release->credentials.groups);
	free(release);
}

static void
world_unpin(void *ctx, struct release *release)
{
	struct sim *sim = ctx;
	struct sim_pin *pin = sim_pin(sim, release);

	if (pin == NULL) {
		sim_fail(sim, "pins: a release is unpinned twice");
		return;
	}
	*pin = sim->pinned[--sim->pinned_count];
	if (!sim->releasing)
		judge_unused(sim, release, "unpinned");
	sim_lane_leave(sim, release, NULL);
	sim_free_release(release);
}

static void
world_adjust(void *ctx, struct release *release, const struct spec *spec)
{
	struct sim *sim = ctx;

	sim_cover(sim, SIM_ADJUSTED);
	if (sim_pin(sim, release) == NULL || release->spec != spec)
		sim_fail(sim, "pins: adjusted what is not pinned, or another");
}

static enum start_result
refuse(struct sim *sim, const struct start *start, char *ret_text)
{
	const struct sim_build *build = sim_build_of(sim, start->release);
	enum start_result result = START_DONE;

	if (sim->now_ms < sim->refuse_until_ms ||
	    (sim->chaos && sim_below(sim, 300) == 0))
		result = START_REFUSED;
	else if (sim->now_ms < sim->busy_until_ms)
		result = START_BUSY;
	else if (build->kind == BUILD_NO_EXEC ||
	    sim_pin(sim, start->release)->lost)
		result = START_FAILED;
	else if (start->strict && build->rewritten !=
	    (start->release->identity.device != 0)) {
		sim_cover(sim, SIM_START_CHANGED);
		result = START_FAILED;
	}
	sim_cover(sim, result == START_DONE ? SIM_START_DONE :
	    result == START_REFUSED ? SIM_START_REFUSED :
	    result == START_BUSY ? SIM_START_BUSY : SIM_START_FAILED);
	if (result != START_DONE)
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s",
		    result == START_REFUSED ? "too many open files" :
		    result == START_BUSY ? "text file busy" :
		    "exec format error");
	return result;
}

static enum start_result
world_start(void *ctx, const struct start *start, void **ret_process,
    pid_t *ret_pid, char *ret_text)
{
	struct sim *sim = ctx;
	struct sim_process *process;
	enum start_result result;

	sim->acted = true;
	if (sim_pin(sim, start->release) == NULL) {
		sim_fail(sim, "pins: a release that is not pinned is started");
		return START_FAILED;
	}
	if (start->release->shard_count == 0)
		sim_fail(sim, "pins: a release that is not bound is started");
	sim_judge_start(sim, start);
	result = refuse(sim, start, ret_text);
	if (result != START_DONE)
		return result;
	process = sim_process_new(sim, start);
	if (process == NULL)
		return START_REFUSED;
	sim->totals->start_count++;
	*ret_process = process;
	*ret_pid = process->pid;
	return START_DONE;
}

static void
world_signal(void *ctx, void *handle, int signal_number)
{
	struct sim *sim = ctx;

	sim->acted = true;
	if (!sim_is_handle(sim, handle)) {
		sim_fail(sim, "handles: one that ended is sent signal %d",
		    signal_number);
		return;
	}
	sim_process_signal(sim, handle, signal_number);
}

static void
world_kill(void *ctx, void *handle, enum kill_mode mode)
{
	struct sim *sim = ctx;
	struct sim_process *process = handle;

	sim->acted = true;
	if (!sim_is_handle(sim, handle)) {
		sim_fail(sim, "handles: one that ended is killed");
		return;
	}
	if (mode != process->release->spec->kill_mode)
		sim_fail(sim, "kill: not by the release's kill_mode");
	sim_cover(sim, SIM_KILLED);
	process->state = WORKER_KILLED;
	if (!process->dead)
		sim_process_end(sim, process, sim->chaos &&
		    sim_chance(sim, 5) ? 7000 : 1, true, 9);
}

static int
world_adopt(void *ctx, void *handle, pid_t pid)
{
	struct sim *sim = ctx;
	struct sim_process *process = handle;

	if (!sim_is_handle(sim, handle)) {
		sim_fail(sim, "handles: one that ended is to be followed");
		return -EINVAL;
	}
	if (pid % 4 == 0) {
		sim_cover(sim, SIM_ADOPT_REFUSED);
		return -EPERM;
	}
	sim_cover(sim, SIM_ADOPTED);
	process->pid = pid;
	return 0;
}

static void
world_arm(void *ctx, uint64_t deadline_ms)
{
	((struct sim *)ctx)->armed_ms = deadline_ms;
}

static struct past
world_recall(void *ctx, const char *name)
{
	return sim_draft(ctx, name)->past;
}

static void
world_record(void *ctx, const struct deployment *d)
{
	struct sim *sim = ctx;
	struct past *past = &sim_draft(sim, d->service)->past;

	sim_judge_record(sim, d);
	if (d->revision > past->revision_last)
		past->revision_last = d->revision;
	if (d->verdict != VERDICT_COMPLETE)
		return;
	past->revision_good = d->revision;
	past->fingerprint_good = d->fingerprint;
}

static void
world_publish(void *ctx, const struct notice *notice)
{
	sim_judge_notice(ctx, notice);
}

void
sim_world_init(struct sim *sim)
{
	sim->world = (struct world){
		.ctx = sim,
		.now_ms = world_now_ms, .clock_s = world_clock_s,
		.random = world_random, .read_config = world_read_config,
		.pin = world_pin, .clone = world_clone, .bind = world_bind,
		.unbind = world_unbind, .unpin = world_unpin,
		.adjust = world_adjust,
		.start = world_start, .signal = world_signal,
		.kill = world_kill, .adopt = world_adopt, .arm = world_arm,
		.recall = world_recall, .record = world_record,
		.publish = world_publish,
	};
	sim_lane_init(sim);
	sim_restart_init(sim);
	sim_death_init(sim);
}
