/*
 * Probes of the two lanes: when they are due, and what they mean.
 *
 * While a rollout is judged both lanes are probed every probe_interval, the
 * candidate's at once when somebody of it is ready that no probe has passed
 * yet: it gets no weight before.  A candidate that fails probe_failures times in
 * a row is taken back; if the stable lane fails as well, the probe says nothing
 * about the release and the rollout is paused.  With `ready = probe` a lane is
 * probed, too, while one of its workers starts.
 */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

/* A worker that starts is probed after this, and then twice as long each time,
 * up to probe_interval. */
#define FIRST_MS UINT64_C(50)

/* supprobe has its own time limit; this one is for a supprobe that hangs. */
#define GRACE_MS UINT64_C(1000)

static const char *const lane_names[LANE_COUNT] = {
	[LANE_STABLE] = "stable",
	[LANE_CANDIDATE] = "candidate",
};

const char *
engine_lane_name(enum lane lane)
{
	return lane_names[lane];
}

static uint32_t
lane_revision(const struct service *s, enum lane lane)
{
	return lane == LANE_STABLE ? s->rollout.stable : s->rollout.candidate;
}

static bool
has_ready(const struct service *s, uint32_t revision)
{
	return fleet_count_state(&s->fleet, revision, WORKER_READY) != 0;
}

/* As the file says by now.  A release whose readiness is the probe it came with
 * is asked that one where the file has none any more: after a rollback, say. */
static const struct spec *
asks_by(const struct service *s, const struct release *release)
{
	return s->spec->probe != PROBE_NONE ? s->spec : release->spec;
}

/* Somebody got ready since the last probe began. */
static bool
is_urgent(const struct service *s, enum lane lane)
{
	const struct lane_probe *p = &s->judge.probes[lane];

	for (uint32_t i = 0; lane == LANE_CANDIDATE &&
	    i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_READY &&
		    w->revision == s->rollout.candidate &&
		    w->ready_ms > p->began_ms)
			return true;
	}
	return false;
}

/*
 * When a worker that starts and whose readiness is the probe wants one; a probe
 * that began before the worker was there tells it nothing.
 */
static uint64_t
start_due_ms(const struct service *s, const struct lane_probe *p,
    const struct release *release)
{
	uint64_t interval_ms = asks_by(s, release)->probe_interval_ms;
	uint64_t newest_ms = 0, delay_ms;

	if (release->spec->ready != READY_PROBE)
		return NEVER_MS;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_STARTING &&
		    w->revision == release->revision &&
		    w->started_ms > newest_ms)
			newest_ms = w->started_ms;
	}
	if (newest_ms == 0)
		return NEVER_MS;
	if (newest_ms >= p->began_ms)
		return newest_ms + FIRST_MS;
	delay_ms = FIRST_MS << (p->failing_count < 16 ? p->failing_count : 16);
	return p->began_ms + (delay_ms < interval_ms ? delay_ms : interval_ms);
}

/* When this lane is to be probed next; NEVER_MS: nobody asks. */
static uint64_t
due_ms(struct service *s, enum lane lane)
{
	const struct lane_probe *p = &s->judge.probes[lane];
	const struct release *release = service_release(s,
	    lane_revision(s, lane));
	uint64_t start_ms, next_ms = p->began_ms + s->spec->probe_interval_ms;

	if (release == NULL || p->task != 0)
		return NEVER_MS;
	start_ms = start_due_ms(s, p, release);
	if (s->spec->probe == PROBE_NONE || !rollout_is_judged(&s->rollout) ||
	    !has_ready(s, release->revision))
		return start_ms;
	if (is_urgent(s, lane))
		return 0;
	return start_ms < next_ms ? start_ms : next_ms;
}

/* False if it could not be run, which is a failed probe. */
static bool
probe(struct engine *engine, struct service *s, enum lane lane)
{
	const struct world *world = engine->world;
	struct lane_probe *p = &s->judge.probes[lane];
	const struct release *release = service_release(s,
	    lane_revision(s, lane));
	const struct spec *spec = asks_by(s, release);
	char name[32], revision[32], of[64], pids[TASK_PIDS_BYTES];
	const char *variables[] = { name, revision, of, pids, NULL };
	struct task_request request = {
		.id = ++engine->task_last, .service = s->id,
		.kind = TASK_PROBE, .release = release, .spec = spec,
		.argv = spec->probe == PROBE_EXEC ? spec->probe_command : NULL,
		.variables = variables,
		.timeout_ms = spec->probe_timeout_ms +
		    (spec->probe == PROBE_EXEC ? 0 : GRACE_MS),
	};
	struct task_result failed = { .id = request.id, .service = s->id,
		.kind = TASK_PROBE };
	char why[REASON_BYTES_MAX];

	(void)snprintf(of, sizeof(of), "SUPD_SERVICE=%s", s->name);
	(void)snprintf(revision, sizeof(revision), "SUPD_REVISION=%u",
	    release->revision);
	(void)snprintf(name, sizeof(name), "SUPD_LANE=%s", engine_lane_name(lane));
	engine_list_pids(s, release->revision, "SUPD_PIDS", pids);
	p->began_ms = world->now_ms(world->ctx);
	p->task = request.id;
	p->was_ready = has_ready(s, release->revision);
	if (world->run(world->ctx, &request, why) == 0)
		return true;
	failed.exit.number = 1;
	failed.output = why;
	engine_probe_ended(engine, s, &failed);
	return false;
}

uint64_t
engine_probe_turn(struct engine *engine, struct service *s)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);
	uint64_t next_ms = NEVER_MS, lane_ms;

	for (enum lane lane = 0; lane < LANE_COUNT; lane++) {
		lane_ms = due_ms(s, lane);
		if (lane_ms <= now_ms)  /* a failure is the planner's to see */
			lane_ms = probe(engine, s, lane) ? due_ms(s, lane) :
			    now_ms;
		if (lane_ms < next_ms)
			next_ms = lane_ms;
	}
	return next_ms;
}

/* A probe that began before a worker was there says nothing about it. */
static void
make_ready(struct engine *engine, struct service *s, uint32_t revision,
    uint64_t began_ms)
{
	const struct release *release = service_release(s, revision);

	for (uint32_t i = 0; release != NULL &&
	    release->spec->ready == READY_PROBE &&
	    i < s->fleet.worker_capacity; i++) {
		struct worker *w = &s->fleet.workers[i];

		if (w->state == WORKER_STARTING && w->revision == revision &&
		    w->started_ms < began_ms)
			engine_change_state(engine, s, w,
			    WORKER_EVENT_SAID_READY);
	}
}

static void
condemn(struct engine *engine, struct service *s, const struct lane_probe *p)
{
	const struct lane_probe *stable = &s->judge.probes[LANE_STABLE];
	char text[REASON_BYTES_MAX];

	(void)snprintf(text, sizeof(text), "the probe of revision %u failed %u "
	    "times in a row: %.100s", s->rollout.candidate, p->failing_count,
	    p->text);
	if (stable->failing_count == 0) {
		engine_condemn(engine, s, FAULT_PROBE, text);
		return;
	}
	(void)snprintf(text, sizeof(text), "the probe fails for revision %u "
	    "(%.100s) and for revision %u as well (%.100s)",
	    s->rollout.candidate, p->text, s->rollout.stable, stable->text);
	engine_doubt(engine, s, text);
}

/* A probe that fails for hours, in a pause, is told ever more rarely. */
static bool
is_power_of_two(uint32_t count)
{
	return (count & (count - 1)) == 0;
}

static void
note_failure(struct engine *engine, struct service *s, enum lane lane)
{
	struct lane_probe *p = &s->judge.probes[lane];
	uint32_t revision = lane_revision(s, lane);

	p->failed_count++;
	p->failing_count++;
	if (!p->was_ready)      /* it starts; ready_timeout is its limit */
		return;
	if (is_power_of_two(p->failing_count))
		service_say(engine, s, NOTICE_TASK, NOTICE_WARNING, NULL,
		    "the probe of revision %u failed (%u in a row): %s",
		    revision, p->failing_count, p->text);
	if (lane == LANE_CANDIDATE &&
	    p->failing_count >= s->spec->probe_failures)
		condemn(engine, s, p);
}

static void
note_success(struct engine *engine, struct service *s, enum lane lane)
{
	struct lane_probe *p = &s->judge.probes[lane];

	if (p->failing_count != 0 && p->was_ready)
		service_say(engine, s, NOTICE_TASK, NOTICE_PLAIN, NULL,
		    "the probe of revision %u passes, after %u that failed",
		    lane_revision(s, lane), p->failing_count);
	p->passed_count++;
	p->failing_count = 0;
}

static void
count_probe(struct service *s, enum lane lane, bool passed)
{
	struct observation *o = engine_observation(s);

	if (o == NULL || lane != LANE_CANDIDATE)
		return;
	o->probes_passed += passed;
	o->probes_failed += !passed;
}

void
engine_probe_ended(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	struct lane_probe *p = s->judge.probes;
	enum lane lane = LANE_STABLE;
	bool passed = engine_task_passed(result);

	if (p->task != result->id) {
		p++;
		lane = LANE_CANDIDATE;
	}
	if (p->task != result->id)
		return;
	p->task = 0;
	engine_describe_task(result, p->text, sizeof(p->text));
	count_probe(s, lane, passed);
	if (passed) {
		note_success(engine, s, lane);
		if (lane == LANE_CANDIDATE)
			rollout_probed(&s->rollout, p->began_ms);
		make_ready(engine, s, lane_revision(s, lane), p->began_ms);
	} else {
		note_failure(engine, s, lane);
	}
}
