/*
 * Is the candidate as good as what it replaces?  The user's analysis, and two
 * things that need nobody to look: a queue before the new workers that only
 * grows, and memory far beyond what the old ones use.  Crashes, silence and
 * failed probes are judged where they are seen.
 */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

#define SAMPLE_MS UINT64_C(500)

enum {
	/* Samples in a row with a queue that is no shorter than before and at
	 * least so long: nobody accepts, or not fast enough. */
	QUEUE_SAMPLES = 4,
	QUEUE_LENGTH_MIN = 8,
	/* Samples in a row with this many times the memory of the old workers,
	 * and so much more. */
	MEMORY_SAMPLES = 2,
	MEMORY_FACTOR = 2,
};
#define MEMORY_BYTES_MIN (UINT64_C(32) << 20)

/* Do users get to the candidate, so that it can be judged by how it does? */
static bool
is_weighed(const struct service *s)
{
	return rollout_is_judged(&s->rollout) && engine_weight_permille(s) > 0;
}

void
engine_condemn(struct engine *engine, struct service *s,
    enum rollout_fault fault, const char *text)
{
	if (!rollout_is_judged(&s->rollout) ||
	    s->rollout.fault != FAULT_NONE)
		return;
	if (s->deployment.reason[0] == '\0')
		(void)snprintf(s->deployment.reason,
		    sizeof(s->deployment.reason), "%s", text);
	service_say(engine, s, NOTICE_TASK, NOTICE_ERROR, NULL, "%s", text);
	rollout_fail(&s->rollout, fault);
}

void
engine_doubt(struct engine *engine, struct service *s, const char *text)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	if (rollout_inconclusive(&s->rollout, now_ms))
		service_say(engine, s, NOTICE_PAUSED, NOTICE_WARNING, NULL,
		    "rollout of revision %u is paused: %s; `supctl rollout "
		    "resume %s` goes on, `abort` takes it back",
		    s->rollout.candidate, text, s->name);
}

/*
 * Samples
 */

static void
look_at_queue(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	const struct release *stable = service_release(s, s->rollout.stable);
	const struct release *candidate = service_release(s,
	    s->rollout.candidate);
	struct observation *o = engine_observation(s);
	uint32_t length = world->queued(world->ctx, candidate);
	char text[REASON_BYTES_MAX];

	if (o != NULL && length > o->queue_max)
		o->queue_max = length;
	if (length >= QUEUE_LENGTH_MIN && length >= s->judge.queue_last)
		s->judge.queue_growth_count++;
	else
		s->judge.queue_growth_count = 0;
	s->judge.queue_last = length;
	if (s->judge.queue_growth_count < QUEUE_SAMPLES ||
	    (stable != NULL && world->queued(world->ctx, stable) >= length))
		return;
	(void)snprintf(text, sizeof(text), "%u connections wait before the "
	    "workers of revision %u, and not fewer for %u ms: do they accept?",
	    length, s->rollout.candidate,
	    (unsigned)(QUEUE_SAMPLES * SAMPLE_MS));
	engine_condemn(engine, s, FAULT_QUEUE, text);
	if (world->migrates(world->ctx))
		rollout_found_deaf(&s->rollout);
}

static void
look_at_memory(struct engine *engine, struct service *s)
{
	uint64_t stable = engine_memory_bytes(engine, s, s->rollout.stable);
	uint64_t candidate = engine_memory_bytes(engine, s,
	    s->rollout.candidate);
	struct observation *o = engine_observation(s);
	char text[REASON_BYTES_MAX];

	if (o != NULL) {
		o->stable_memory_bytes = stable;
		o->candidate_memory_bytes = candidate;
	}
	if (stable == 0 || candidate < MEMORY_FACTOR * stable ||
	    candidate - stable < MEMORY_BYTES_MIN) {
		s->judge.memory_count = 0;
		return;
	}
	if (++s->judge.memory_count < MEMORY_SAMPLES)
		return;
	(void)snprintf(text, sizeof(text), "a worker of revision %u uses %llu "
	    "MiB, one of revision %u %llu MiB", s->rollout.candidate,
	    (unsigned long long)(candidate >> 20), s->rollout.stable,
	    (unsigned long long)(stable >> 20));
	engine_condemn(engine, s, FAULT_MEMORY, text);
}

void
engine_judge_sample(struct engine *engine, struct service *s)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	if (!is_weighed(s) || now_ms < s->judge.sample_next_ms)
		return;
	s->judge.sample_next_ms = now_ms + SAMPLE_MS;
	if (s->rollout.course.split)    /* else they have one queue */
		look_at_queue(engine, s);
	look_at_memory(engine, s);
}

/*
 * The user's analysis
 */

/* One interval after the step was reached, or at the end of a shorter hold. */
static uint64_t
analysis_due_ms(const struct service *s)
{
	const struct rollout *r = &s->rollout;
	uint64_t interval_ms = s->spec->analysis_interval_ms;
	struct step step;

	if (s->spec->analysis == NULL || s->judge.analysis != 0 ||
	    !is_weighed(s))
		return NEVER_MS;
	if (r->reached_ms == NOT_YET_MS)
		return NEVER_MS;
	if (s->judge.analysis_began_ms >= r->reached_ms)
		return s->judge.analysis_began_ms + interval_ms;
	step = strategy_step(&s->policy, &r->course, r->step);
	return r->reached_ms + (step.hold_ms != 0 && step.hold_ms <
	    interval_ms ? step.hold_ms : interval_ms);
}

/* False if it could not be run, which is inconclusive. */
static bool
analyse(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct task_result failed = { .kind = TASK_ANALYSIS,
		.service = s->id };
	char why[REASON_BYTES_MAX];

	s->judge.analysis_began_ms = world->now_ms(world->ctx);
	s->judge.analysis = engine_run_command(engine, s, TASK_ANALYSIS,
	    s->spec->analysis, s->spec->analysis_timeout_ms, why);
	if (s->judge.analysis != 0)
		return true;
	failed.exit.number = -1;
	failed.output = why;
	engine_analysis_ended(engine, s, &failed);
	return false;
}

uint64_t
engine_judge_turn(struct engine *engine, struct service *s)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);
	uint64_t due_ms = analysis_due_ms(s);

	if (due_ms <= now_ms)           /* a failure is the planner's to see */
		due_ms = analyse(engine, s) ? analysis_due_ms(s) : now_ms;
	if (is_weighed(s) && s->judge.sample_next_ms < due_ms)
		due_ms = s->judge.sample_next_ms;
	return due_ms;
}

void
engine_analysis_ended(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	struct observation *o = engine_observation(s);
	char how[TASK_TEXT_BYTES_MAX], text[REASON_BYTES_MAX];

	s->judge.analysis = 0;
	if (!rollout_is_judged(&s->rollout))
		return;
	if (o != NULL)
		o->analyses++;
	if (engine_task_passed(result)) {
		rollout_analysed(&s->rollout, s->judge.analysis_began_ms);
		return;
	}
	engine_describe_task(result, how, sizeof(how));
	engine_keep_hook(&s->deployment, result);
	if (!result->timed_out && !result->exit.by_signal &&
	    result->exit.number == 1) {
		(void)snprintf(text, sizeof(text), "the analysis found "
		    "revision %u bad: %s", s->rollout.candidate, how);
		engine_condemn(engine, s, FAULT_ANALYSIS, text);
		return;
	}
	(void)snprintf(text, sizeof(text), "the analysis was inconclusive: %s",
	    how);
	engine_doubt(engine, s, text);
}
