/*
 * The engine's deeds, judged one by one: each start, each worker that is told
 * to stop, each line of the ledger, each notice.
 *
 * Judged by what was recorded and published before, and by what the processes
 * did; the engine's own records are looked at only where nothing outside tells
 * (who a deed is for, and why it is done).
 */
#include "sim_world.h"

#include <string.h>

struct service *
sim_engine_service(struct sim *sim, uint32_t id)
{
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		if (sim->engine.services[i]->id == id)
			return sim->engine.services[i];
	return NULL;
}

struct sim_service *
sim_service(struct sim *sim, const char *name)
{
	struct service *s = engine_find(&sim->engine, name);

	return s != NULL ? sim_service_of(sim, s->id) : NULL;
}

static struct sim_revision *
revision_of(struct sim *sim, struct sim_service *model, uint32_t revision)
{
	if (revision >= SIM_REVISIONS_MAX)
		sim_fail(sim, "simulator: too many revisions");
	return &model->revisions[revision % SIM_REVISIONS_MAX];
}

static struct sim_deployment *
deployment_of(struct sim *sim, uint64_t id)
{
	if (id == 0 || id >= SIM_DEPLOYMENTS_MAX)
		sim_fail(sim, "deployments: %llu is no id",
		    (unsigned long long)id);
	return &sim->deployments[id % SIM_DEPLOYMENTS_MAX];
}

/* The first release of a boot, if the ledger knew it: nothing says so. */
static void
learn_stable(struct sim *sim, struct sim_service *model, uint32_t revision,
    uint64_t fingerprint)
{
	if (model->stable != 0 || revision == 0)
		return;
	model->stable = revision;
	*revision_of(sim, model, revision) = (struct sim_revision){
		.was_in_charge = true, .fingerprint = fingerprint,
	};
	sim_cover(sim, SIM_SAME_REVISION_AGAIN);
}

/*
 * Processes
 */

bool
sim_is_live(const struct sim_process *process)
{
	return process->state == WORKER_STARTING ||
	    process->state == WORKER_READY ||
	    process->state == WORKER_RELOADING;
}

static bool
is_ready(const struct sim *sim, const struct sim_process *process)
{
	return process->state == WORKER_READY ||
	    (process->state == WORKER_STARTING &&
	    process->alive_at_ms <= sim->now_ms);
}

void
sim_judge_start(struct sim *sim, const struct start *start)
{
	struct service *s = sim_engine_service(sim, start->service);
	struct sim_service *model = sim_service_of(sim, start->service);
	uint32_t revision = start->release->revision, live = 0, surge;

	sim_trace(sim, "start worker %u.%u of service %u, revision %u",
	    start->id.slot, start->id.incarnation, start->service, revision);
	if (s == NULL) {
		sim_fail(sim, "start: for a service that is gone");
		return;
	}
	surge = strategy_surge(&s->policy, &s->rollout.course);
	learn_stable(sim, model, s->rollout.stable,
	    start->release->fingerprint);
	if (start->id.incarnation != model->incarnation_last + 1)
		sim_fail(sim, "start: incarnation %u after %u",
		    start->id.incarnation, model->incarnation_last);
	model->incarnation_last = start->id.incarnation;
	if (revision == model->given_up)
		sim_fail(sim, "start: of revision %u, after its rollback "
		    "began", revision);
	if (revision != model->stable && revision != model->candidate)
		sim_fail(sim, "start: of revision %u; %u is in charge, %u is "
		    "rolled out", revision, model->stable, model->candidate);
	for (uint32_t i = 0; i < sim->living_count; i++)
		live += sim->living[i]->service == start->service &&
		    sim_is_live(sim->living[i]) && (!s->rollout.course.split ||
		    sim->living[i]->id.slot < s->policy.workers);
	if (live >= s->policy.workers + surge)
		sim_fail(sim, "ceiling: a start with %u live workers, %u + %u "
		    "are wanted", live, s->policy.workers, surge);
}

static uint32_t
finished_places(const struct service *s)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->fleet.slot_capacity; i++)
		count += s->fleet.slots[i].stable.finished ||
		    s->fleet.slots[i].candidate.finished;
	return count;
}

static void
judge_floor(struct sim *sim, const struct service *s,
    const struct sim_process *process)
{
	uint32_t missing = s->policy.unavailable + finished_places(s);
	uint32_t ready = 0;

	/* where there are two full sets, one of them is relied on */
	if (strategy_is_beside(&s->rollout.course) &&
	    process->revision != rollout_revision(&s->rollout))
		return;
	if (sim_gets_nothing(sim, process->release))
		return;

	for (uint32_t i = 0; i < sim->living_count; i++)
		ready += sim->living[i] != process &&
		    sim->living[i]->service == process->service &&
		    is_ready(sim, sim->living[i]);
	if (ready + missing < s->policy.workers)
		sim_fail(sim, "floor: %u ready workers are left of %u, %u may "
		    "be missing", ready, s->policy.workers, missing);
}

/* The last worker of a lane leaves no connections in its queue. */
static void
judge_lane(struct sim *sim, const struct service *s,
    const struct sim_process *process)
{
	if (s->policy.workers == 0 || sim_is_deaf(sim, s, process->revision) ||
	    !sim_is_left(sim, process->release, s->policy.quiet_max_ms))
		return;
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i] != process &&
		    sim->living[i]->release == process->release &&
		    is_ready(sim, sim->living[i]))
			return;
	sim_fail(sim, "drain: connections wait in the lane of revision %u",
	    process->revision);
}

void
sim_judge_drain(struct sim *sim, struct sim_process *process)
{
	struct service *s = sim_engine_service(sim, process->service);
	const struct worker *w = s != NULL ?
	    fleet_find(&s->fleet, process->id) : NULL;

	if (w == NULL || !sim_is_live(process)) {
		sim_fail(sim, "drain: worker %u is %s",
		    process->id.incarnation,
		    worker_state_name(process->state));
		return;
	}
	switch ((enum worker_ending)w->ending) {
	case ENDING_REPLACED:
	case ENDING_ROLLED_BACK:
	case ENDING_SURPLUS:
		if (!is_ready(sim, process))
			break;
		judge_floor(sim, s, process);
		judge_lane(sim, s, process);
		break;
	case ENDING_DEAD_LISTENER:
		sim_cover(sim, SIM_REPAIRED_WORKER);
		break;
	case ENDING_NOT_READY:
	case ENDING_WATCHDOG:
		break;
	case ENDING_NONE:
	case ENDING_COUNT:
		sim_fail(sim, "drain: without a cause");
	}
}

/*
 * Deployments
 */

bool
sim_is_quarantined(const struct sim_service *model, uint64_t fingerprint)
{
	for (unsigned i = 0; i < SIM_QUARANTINE; i++)
		if (model->quarantine[i] == fingerprint)
			return true;
	return false;
}

static void
lift(struct sim_service *model, uint64_t fingerprint)
{
	for (unsigned i = 0; i < SIM_QUARANTINE; i++)
		if (model->quarantine[i] == fingerprint)
			model->quarantine[i] = 0;
}

static void
condemn(struct sim *sim, struct sim_service *model, uint32_t revision)
{
	struct sim_revision *r = revision_of(sim, model, revision);

	r->condemned = true;
	if (sim_is_quarantined(model, r->fingerprint))
		return;
	model->quarantine[model->quarantine_next] = r->fingerprint;
	model->quarantine_next =
	    (model->quarantine_next + 1) % SIM_QUARANTINE;
}

uint32_t
sim_undo_revision(struct sim *sim, const char *name)
{
	struct sim_service *model = sim_service(sim, name);

	for (uint32_t i = SIM_REVISIONS_MAX - 1; i > 0; i--)
		if (model->revisions[i].was_in_charge && i != model->stable &&
		    !model->revisions[i].condemned)
			return i;
	return 0;
}

bool
sim_is_undoable(struct sim *sim, const char *name, uint32_t revision)
{
	struct sim_service *model = sim_service(sim, name);

	return revision_of(sim, model, revision)->was_in_charge &&
	    model->stable != revision;
}

void
sim_announce(struct sim *sim, const struct reload_result *result)
{
	struct sim_deployment *deployment;

	if (result->deployment == 0)
		return;
	deployment = deployment_of(sim, result->deployment);
	deployment->announced = true;
	if (deployment->recorded)
		sim_fail(sim, "deployments: %llu is to be waited for, but has "
		    "ended", (unsigned long long)result->deployment);
}

void
sim_give_up(struct sim *sim, const struct service *s)
{
	if (s->deployment.id != 0)
		deployment_of(sim, s->deployment.id)->given_up = true;
}

static void
complete(struct sim *sim, struct sim_service *model,
    const struct deployment *d)
{
	struct sim_revision *r = revision_of(sim, model, d->revision);

	r->was_in_charge = true;
	r->condemned = false;
	lift(model, d->fingerprint);
	if (d->kind == DEPLOYMENT_UNDO)
		condemn(sim, model, d->from_revision);
	else
		model->undo_count = 0;
	model->stable = d->revision;
}

static bool
has_live(const struct sim *sim, uint32_t service, uint32_t revision)
{
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->service == service &&
		    sim->living[i]->revision == revision &&
		    sim_is_live(sim->living[i]))
			return true;
	return false;
}

/* A hook that fails says nothing about the build. */
static bool
blames_hook(const struct sim *sim, const struct deployment *d)
{
	return engine_find(&sim->engine, d->service)->rollout.fault ==
	    FAULT_HOOK;
}

static void
judge_verdict(struct sim *sim, struct sim_service *model,
    const struct deployment *d, bool begun)
{
	static const enum sim_cover covers[VERDICT_COUNT] = {
		[VERDICT_COMPLETE] = SIM_VERDICT_COMPLETE,
		[VERDICT_ROLLED_BACK] = SIM_VERDICT_ROLLED_BACK,
		[VERDICT_ABORTED] = SIM_VERDICT_ABORTED,
		[VERDICT_SUPERSEDED] = SIM_VERDICT_SUPERSEDED,
	};

	if (d->verdict == VERDICT_NONE || d->verdict >= VERDICT_COUNT) {
		sim_fail(sim, "record: without a verdict");
		return;
	}
	sim_cover(sim, covers[d->verdict]);
	model->undo_count += d->kind == DEPLOYMENT_UNDO;
	if (d->verdict == VERDICT_COMPLETE)
		complete(sim, model, d);
	else if (begun && d->verdict != VERDICT_SUPERSEDED &&
	    d->kind != DEPLOYMENT_RESTART && !blames_hook(sim, d))
		condemn(sim, model, d->revision);
	if (!begun && d->verdict != VERDICT_COMPLETE)
		sim_cover(sim, SIM_DROPPED_WAITING);
	if (begun && d->verdict == VERDICT_COMPLETE &&
	    model->given_up == d->revision)
		sim_fail(sim, "record: revision %u is complete, after its "
		    "rollback began", d->revision);
	if (begun && d->verdict != VERDICT_COMPLETE &&
	    has_live(sim, model->id, d->revision)) {
		model->leftover = true;
		model->had_leftover = true;
		sim_cover(sim, SIM_ROLLBACK_LEFTOVER);
	}
	if (begun)
		model->candidate = model->given_up = 0;
	else if (has_live(sim, model->id, d->from_revision))
		model->leftover = true;
}

void
sim_judge_record(struct sim *sim, const struct deployment *d)
{
	struct sim_deployment *deployment = deployment_of(sim, d->id);
	struct sim_service *model = sim_service(sim, d->service);

	sim_trace(sim, "record %llu: %s, %s of revision %u over %u: %s",
	    (unsigned long long)d->id, d->service,
	    deployment_kind_name(d->kind), d->revision, d->from_revision,
	    rollout_verdict_name(d->verdict));
	if (model == NULL) {
		sim_fail(sim, "record: for a service that is gone");
		return;
	}
	if (deployment->recorded)
		sim_fail(sim, "record: %llu ends twice",
		    (unsigned long long)d->id);
	if (engine_find(&sim->engine, d->service)->stopped)
		model->jumped = true;
	learn_stable(sim, model, d->from_revision,
	    sim_draft(sim, d->service)->past.fingerprint_good);
	if (deployment->begun && d->from_revision != model->stable)
		sim_fail(sim, "record: from revision %u, but %u was in charge",
		    d->from_revision, model->stable);
	if (deployment->given_up && d->verdict == VERDICT_COMPLETE)
		sim_fail(sim, "record: %llu is complete, though an order took "
		    "it back", (unsigned long long)d->id);
	if (deployment->in_charge && !deployment->given_up &&
	    d->verdict != VERDICT_COMPLETE &&
	    engine_find(&sim->engine, d->service)->rollout.fault == FAULT_NONE)
		sim_fail(sim, "record: %llu was in charge when it was stopped",
		    (unsigned long long)d->id);
	deployment->recorded = true;
	deployment->verdict = d->verdict;
	deployment->kind = d->kind;
	sim->totals->verdicts[d->verdict]++;
	revision_of(sim, model, d->revision)->fingerprint = d->fingerprint;
	sim_witness_record(sim, model, d, deployment->begun);
	judge_verdict(sim, model, d, deployment->begun);
}

/*
 * Notices
 */

static void
judge_begin(struct sim *sim, const struct notice *notice,
    struct sim_service *model)
{
	struct sim_deployment *deployment =
	    deployment_of(sim, notice->deployment);
	const struct service *s = engine_find(&sim->engine, notice->service);

	if (deployment->begun || deployment->recorded)
		sim_fail(sim, "rollout: %llu begins again",
		    (unsigned long long)notice->deployment);
	if (model->candidate != 0)
		sim_fail(sim, "rollout: one begins, that of revision %u has "
		    "not ended", model->candidate);
	if (deployment->announced)
		sim_cover(sim, SIM_BEGAN_AFTER_WAIT);
	deployment->begun = true;
	model->candidate = s->rollout.candidate;
	model->reshaped = has_live(sim, model->id, model->candidate);
	model->given_up = 0;
	sim_witness_begin(model, s);
	sim_cover(sim, SIM_ROLLOUT);
	sim->totals->rollout_count++;
}

static void
judge_rollback(struct sim *sim, const struct notice *notice,
    struct sim_service *model)
{
	const struct service *s = engine_find(&sim->engine, notice->service);
	static const enum sim_cover covers[FAULT_COUNT] = {
		[FAULT_EXITED] = SIM_FAULT_EXITED,
		[FAULT_NOT_READY] = SIM_FAULT_NOT_READY,
		[FAULT_WATCHDOG] = SIM_FAULT_WATCHDOG,
		[FAULT_SPAWN] = SIM_FAULT_SPAWN,
		[FAULT_PROGRESS] = SIM_FAULT_PROGRESS,
		[FAULT_PROBE] = SIM_FAULT_PROBE,
		[FAULT_ANALYSIS] = SIM_FAULT_ANALYSIS,
		[FAULT_QUEUE] = SIM_FAULT_QUEUE,
		[FAULT_MEMORY] = SIM_FAULT_MEMORY,
		[FAULT_HOOK] = SIM_FAULT_HOOK,
		[FAULT_STEER] = SIM_FAULT_STEER,
	};

	model->given_up = model->candidate;
	sim_cover(sim, SIM_ROLLBACK);
	if (s->rollout.fault != FAULT_NONE)
		sim_cover(sim, covers[s->rollout.fault]);
}

void
sim_judge_notice(struct sim *sim, const struct notice *notice)
{
	struct sim_service *model = sim_service(sim, notice->service);
	struct sim_deployment *deployment;

	sim->acted = true;
	sim_trace(sim, "%s: %s: %s", notice->service,
	    notice_type_name(notice->type), notice->text);
	if (model == NULL) {
		sim_fail(sim, "notice: of a service that is gone");
		return;
	}
	if (notice->type == NOTICE_ROLLOUT)
		judge_begin(sim, notice, model);
	else if (notice->type == NOTICE_ROLLBACK)
		judge_rollback(sim, notice, model);
	else if (notice->type == NOTICE_PAUSED)
		sim_cover(sim, SIM_PAUSED);
	else if (notice->type == NOTICE_STEP)
		sim_cover(sim, SIM_STEP);
	else if (notice->type == NOTICE_IN_CHARGE)
		sim_cover(sim, SIM_IN_CHARGE);
	if (notice->type != NOTICE_FINISHED)
		return;
	deployment = deployment_of(sim, notice->deployment);
	if (!deployment->recorded || deployment->finished)
		sim_fail(sim, "finished: %llu %s",
		    (unsigned long long)notice->deployment,
		    deployment->finished ? "twice" : "without a record");
	deployment->finished = true;
}

void
sim_judge_deployments(struct sim *sim)
{
	for (uint64_t id = 1; id <= sim->engine.deployment_last; id++) {
		struct sim_deployment *deployment = deployment_of(sim, id);

		if ((deployment->announced || deployment->begun) &&
		    (!deployment->recorded || !deployment->finished))
			sim_fail(sim, "deployments: %llu never ended",
			    (unsigned long long)id);
	}
}
