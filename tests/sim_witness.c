/*
 * What tasks have told of a rollout, beside the engine's own notes, and what
 * has to come of it; who is in charge since when; what the kernel was told.
 */
#include "sim_world.h"

#include <string.h>

#include "service.h"

/* An engine whose steering was refused comes back to it within this. */
#define RETRY_MS UINT64_C(1000)

/* Samples of queues and memory are taken so often. */
#define SAMPLE_MS UINT64_C(500)

/* What they tell is known after so long. */
#define MET_MAX_MS (6 * SAMPLE_MS)

static struct sim_findings *
findings_of(struct sim *sim, const struct service *s)
{
	return &sim_service(sim, s->name)->found;
}

/*
 * Tasks
 */

void
sim_witness_run(struct sim *sim, struct sim_task *task, uint32_t revision)
{
	const struct service *s = sim_engine_service(sim, task->service);

	if (task->kind == TASK_AFTER)
		sim_service(sim, s->name)->owes_after = false;
	if (task->kind != TASK_PROBE)
		return;
	task->lane = revision == s->rollout.candidate ? LANE_CANDIDATE :
	    LANE_STABLE;
	task->was_ready = fleet_count_state(&s->fleet, revision,
	    WORKER_READY) != 0;
	findings_of(sim, s)->probes[task->lane].began_ms = sim->now_ms;
}

void
sim_witness_refused(struct sim *sim, const struct sim_task *task)
{
	const struct service *s = sim_engine_service(sim, task->service);

	if (task->kind == TASK_PROBE)
		findings_of(sim, s)->probes[task->lane].failing_count++;
}

static bool
has_passed(const struct task_result *result)
{
	return !result->timed_out && !result->exit.by_signal &&
	    result->exit.number == 0;
}

/* What has to become of a rollout that was like `before`. */
static void
judge_end(struct sim *sim, const struct service *s,
    const struct rollout *before, enum rollout_fault bad, bool doubt)
{
	const struct rollout *r = &s->rollout;
	bool judged = rollout_is_judged(before) && before->fault == FAULT_NONE;

	if (bad != FAULT_NONE && judged && r->fault != bad)
		sim_fail(sim, "verdict: %s, but the rollout goes on",
		    rollout_fault_text(bad));
	if (bad == FAULT_NONE && r->fault != before->fault)
		sim_fail(sim, "verdict: %s, but nobody has found that",
		    rollout_fault_text(r->fault));
	if (doubt && judged && before->phase == ROLLOUT_CLIMB &&
	    before->recall == FAULT_NONE && !before->approved &&
	    !before->promoted && r->phase != ROLLOUT_PAUSED)
		sim_fail(sim, "doubt: the rollout goes on");
}

static void
judge_probe(struct sim *sim, const struct service *s,
    const struct rollout *before, const struct sim_task *task, bool passed)
{
	struct sim_findings *found = findings_of(sim, s);
	bool candidate = task->lane == LANE_CANDIDATE;
	bool failed, stable_too = found->probes[LANE_STABLE].failing_count != 0;

	found->probes[task->lane].failing_count = passed ? 0 :
	    found->probes[task->lane].failing_count + 1;
	failed = candidate && !passed && task->was_ready &&
	    found->probes[LANE_CANDIDATE].failing_count >=
	    s->spec->probe_failures;
	judge_end(sim, s, before, failed && !stable_too ? FAULT_PROBE :
	    FAULT_NONE, failed && stable_too);
	if (failed && stable_too)
		sim_cover(sim, SIM_PROBES_DOUBTED);
	if (candidate && passed && s->rollout.probed_ms != task->began_ms)
		sim_fail(sim, "probe: when it began is not noted");
}

void
sim_witness_end(struct sim *sim, const struct sim_task *task,
    const struct task_result *result)
{
	const struct service *s = sim_engine_service(sim, task->service);
	bool passed = has_passed(result), bad = !passed &&
	    !result->timed_out && result->exit.number == 1;
	struct rollout before;

	if (s == NULL) {        /* what is run after a rollout may be */
		if (task->kind != TASK_AFTER)
			sim_fail(sim, "tasks: its service is gone");
		engine_task_ended(&sim->engine, result);
		return;
	}
	before = s->rollout;
	engine_task_ended(&sim->engine, result);
	switch (task->kind) {
	case TASK_PROBE:
		judge_probe(sim, s, &before, task, passed);
		break;
	case TASK_ANALYSIS:
		judge_end(sim, s, &before, bad ? FAULT_ANALYSIS : FAULT_NONE,
		    !passed && !bad);
		if (passed && rollout_is_judged(&before) &&
		    s->rollout.analysed_ms != task->began_ms)
			sim_fail(sim, "analysis: when it began is not noted");
		break;
	case TASK_BEFORE:
		findings_of(sim, s)->prepared |= passed;
		if (!passed && s->rollout.fault != FAULT_HOOK &&
		    before.phase == ROLLOUT_PREPARE)
			sim_fail(sim, "hook: it failed, and nothing follows");
		break;
	case TASK_VERSION:
	case TASK_AFTER:
	case TASK_KIND_COUNT:
		break;
	}
}

/*
 * Deployments
 */

/* The queue of a deaf release is handed over as soon as it is told to stop. */
static void
judge_deaf(struct sim *sim, struct service *s)
{
	const struct release *release = service_release(s,
	    s->deployment.revision);

	if (release == NULL || release->shard_count == 0 ||
	    sim_weight(release) != 0 ||
	    !sim_is_deaf(sim, s, release->revision))
		return;
	/* who has to stay until there are enough others is left for now */
	for (uint32_t i = 0; i < sim->living_count; i++)
		if (sim->living[i]->release == release &&
		    sim_is_live(sim->living[i]) &&
		    s->rollout.course.strategy == STRATEGY_ROLLING)
			return;
	sim_fail(sim, "lanes: connections wait for the deaf revision %u",
	    release->revision);
}

void
sim_witness_begin(struct sim_service *model, const struct service *s)
{
	memset(&model->found, 0, sizeof(model->found));
	model->found.spec = s->spec;
}

void
sim_witness_record(struct sim *sim, struct sim_service *model,
    const struct deployment *d, bool begun)
{
	struct service *s = engine_find(&sim->engine, d->service);
	bool took = model->found.took_charge || d->in_charge_s != 0;
	int64_t now_s = (int64_t)(sim->now_ms / 1000);

	if (d->verdict == VERDICT_COMPLETE) {
		if (!model->found.took_charge)
			model->in_charge_since_s = now_s;
		if (d->in_charge_s != model->in_charge_since_s)
			sim_fail(sim, "in charge: since %lld s, but %lld s is "
			    "recorded", (long long)model->in_charge_since_s,
			    (long long)d->in_charge_s);
	} else if (begun && took && d->verdict != VERDICT_SUPERSEDED) {
		model->in_charge_since_s = now_s;
		sim_cover(sim, SIM_BACK_IN_CHARGE);
	}
	model->owes_after = begun && d->verdict == VERDICT_COMPLETE &&
	    s->spec->after_rollout != NULL;
	if (!begun)
		return;
	judge_deaf(sim, s);
	memset(&model->found, 0, sizeof(model->found));
}

/*
 * Orders
 */

/* An order has done to the rollout what it says. */
void
sim_witness_order(struct sim *sim, const struct service *s,
    enum rollout_verb verb)
{
	const struct rollout *r = &s->rollout;
	bool done = true;

	switch (verb) {
	case ROLLOUT_CAN_PAUSE:
		done = r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_OPERATOR;
		break;
	case ROLLOUT_CAN_RESUME:
		done = r->phase == ROLLOUT_CLIMB && r->fault == FAULT_NONE;
		break;
	case ROLLOUT_CAN_PROMOTE:
		done = r->promoted && r->phase != ROLLOUT_PAUSED;
		break;
	case ROLLOUT_CAN_ABORT:
		done = r->recall != FAULT_NONE;
		break;
	case ROLLOUT_VERB_COUNT:
		break;
	}
	if (!done)
		sim_fail(sim, "order: %s has done nothing",
		    rollout_verb_name(verb));
}

/* Stopped or shut down: what is in charge stays so. */
void
sim_witness_stop(struct sim *sim, const struct service *s, bool was_recalled)
{
	if (rollout_is_in_charge(&s->rollout) && !was_recalled &&
	    s->rollout.recall != FAULT_NONE)
		sim_fail(sim, "stop: takes back what is in charge");
}

/*
 * After a turn
 */

static void
judge_charge(struct sim *sim, const struct service *s,
    struct sim_service *model)
{
	if (s->rollout.stable == 0)
		return;
	/* or was, and was taken back in the same turn */
	if ((rollout_is_in_charge(&s->rollout) ||
	    s->deployment.in_charge_s != 0) && !model->found.took_charge) {
		model->found.took_charge = true;
		model->in_charge_since_s = (int64_t)(sim->now_ms / 1000);
	}
	if (model->in_charge_since_s == 0)      /* the first release */
		model->in_charge_since_s = s->in_charge_since_s;
	if (s->in_charge_since_s != model->in_charge_since_s)
		sim_fail(sim, "in charge: %s since %lld s, by the engine %lld",
		    s->name, (long long)model->in_charge_since_s,
		    (long long)s->in_charge_since_s);
}

static void
judge_hook(struct sim *sim, const struct service *s,
    const struct sim_findings *found, bool owes_after)
{
	if (s->rollout.phase == ROLLOUT_CLIMB && !found->prepared &&
	    found->spec == s->spec && s->spec->before_rollout != NULL)
		sim_fail(sim, "hook: before_rollout was not waited for");
	if (owes_after)
		sim_fail(sim, "hook: after_rollout was not run");
}

/* Is the candidate of this kind, and what it replaces not? */
static bool
is_worse(struct sim *sim, struct service *s, enum sim_build_kind kind)
{
	const struct release *stable = service_release(s, s->rollout.stable);
	const struct release *candidate = service_release(s,
	    s->rollout.candidate);

	return stable != NULL && candidate != NULL &&
	    sim_build_of(sim, candidate)->kind == kind &&
	    sim_build_of(sim, stable)->kind != kind &&
	    fleet_count_state(&s->fleet, stable->revision, WORKER_READY) != 0 &&
	    fleet_count_state(&s->fleet, candidate->revision,
	    WORKER_READY) != 0;
}

/* It is found out, when users have met it for so long. */
static void
judge_bad(struct sim *sim, struct service *s, struct sim_findings *found)
{
	if (!rollout_is_judged(&s->rollout) ||
	    s->rollout.fault != FAULT_NONE ||
	    engine_weight_permille(s) == 0 || !(is_worse(sim, s, BUILD_FAT) ||
	    (s->rollout.course.split && is_worse(sim, s, BUILD_STUCK))))
		found->met_ms = 0;
	else if (found->met_ms == 0)
		found->met_ms = sim->now_ms;
	else if (sim->now_ms > found->met_ms + MET_MAX_MS)
		sim_fail(sim, "verdict: none, and its queue or memory grows");
}

/* A verdict of samples needs several, and somebody who takes them. */
static void
judge_samples(struct sim *sim, const struct service *s,
    struct sim_findings *found)
{
	const struct rollout *r = &s->rollout;
	uint64_t least_ms = r->fault == FAULT_MEMORY ? SAMPLE_MS :
	    r->fault == FAULT_QUEUE ? 3 * SAMPLE_MS : 0;

	if (r->phase != ROLLOUT_IDLE && r->fault != found->fault &&
	    least_ms != 0 &&
	    (found->weighed_ms == 0 ||
	    sim->now_ms < found->weighed_ms + least_ms))
		sim_fail(sim, "verdict: %s, after too few looks",
		    rollout_fault_text(r->fault));
	found->fault = r->fault;
	if (!rollout_is_judged(r) || engine_weight_permille(s) == 0)
		return;
	if (found->weighed_ms == 0)
		found->weighed_ms = sim->now_ms;
	if (sim->armed_ms > sim->now_ms + SAMPLE_MS)
		sim_fail(sim, "arm: nobody looks at queues and memory");
}

/* Who is ready and was not probed is probed at once. */
static void
judge_urgent(struct sim *sim, const struct service *s,
    const struct sim_findings *found)
{
	if (s->spec->probe == PROBE_NONE || !rollout_is_judged(&s->rollout) ||
	    sim->armed_ms <= sim->now_ms ||
	    s->judge.probes[LANE_CANDIDATE].task != 0)
		return;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_READY &&
		    w->revision == s->rollout.candidate &&
		    w->ready_ms > found->probes[LANE_CANDIDATE].began_ms)
			sim_fail(sim, "probe: worker %u is ready, and is not "
			    "probed", w->id.incarnation);
	}
}

/* The kernel does what the planner believes. */
static void
judge_steering(struct sim *sim, struct service *s)
{
	const struct rollout *r = &s->rollout;
	const struct release *candidate = service_release(s, r->candidate);
	uint32_t name = (uint32_t)(sim_draft(sim, s->name) - sim->drafts);

	if (r->phase == ROLLOUT_IDLE && sim->divided[name] &&
	    sim->armed_ms > sim->now_ms + RETRY_MS)
		sim_fail(sim, "steer: it is over, but there are two lanes");
	if (r->phase == ROLLOUT_IDLE || !r->course.split)
		return;
	if (sim_weight(candidate) != r->weight_permille)
		sim_fail(sim, "steer: the kernel gives %u permille, the planner"
		    " believes %u", sim_weight(candidate), r->weight_permille);
}

static bool
has_one_lane(struct service *s, uint32_t stable, uint32_t candidate)
{
	const struct release *a = service_release(s, stable);
	const struct release *b = service_release(s, candidate);

	return a == NULL || b == NULL || a->shard_count == 0 ||
	    b->shard_count == 0 || a->shards[0] == b->shards[0];
}

/* Lanes that nobody is in or waits for are closed. */
static void
judge_lanes(struct sim *sim, struct service *s)
{
	const struct rollout *r = &s->rollout;

	if (s->next_release != NULL && s->next_release->shard_count != 0)
		sim_fail(sim, "lanes: a release that waits holds one");
	if (r->phase == ROLLOUT_CLIMB && !r->course.split &&
	    !has_one_lane(s, r->stable, r->candidate))
		sim_fail(sim, "lanes: there are two, but all is for one");
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		const struct release *release = s->releases[i].release;

		if (release == NULL || release->shard_count == 0 ||
		    release->revision == r->stable ||
		    release->revision == r->candidate ||
		    release->revision == r->base ||
		    fleet_count_revision(&s->fleet, release->revision) != 0)
			continue;
		if (sim->armed_ms > sim->now_ms)
			sim_fail(sim, "lanes: that of revision %u is left open",
			    release->revision);
	}
}

void
sim_witness_turn(struct sim *sim, struct service *s)
{
	struct sim_service *model = sim_service(sim, s->name);

	judge_charge(sim, s, model);
	judge_hook(sim, s, &model->found, model->owes_after);
	judge_samples(sim, s, &model->found);
	judge_bad(sim, s, &model->found);
	judge_urgent(sim, s, &model->found);
	judge_steering(sim, s);
	if (sim->armed_ms > sim->now_ms)
		judge_deaf(sim, s);
	judge_lanes(sim, s);
}
