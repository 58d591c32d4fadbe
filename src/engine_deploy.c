/*
 * From a release to a rollout, and what is left of it when it has ended.
 *
 * One rollout runs at a time.  A newer release supersedes it: it is taken back
 * to the release in charge first, and the newer one waits for that, so that
 * never more than two releases have workers besides those that drain.  Only
 * the newest waits.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

bool
engine_share_lane(const struct release *a, const struct release *b)
{
	for (uint32_t i = 0; i < a->shard_count; i++)
		for (uint32_t k = 0; k < b->shard_count; k++)
			if (a->shards[i] == b->shards[k])
				return true;
	return false;
}

/* Has it a lane of its own already, because its old workers have not left? */
static bool
has_own_lane(struct service *s, const struct release *release)
{
	const struct release *stable = service_stable(s);

	return stable != NULL && release->shard_count > 0 &&
	    fleet_count_revision(&s->fleet, release->revision) != 0 &&
	    !engine_share_lane(release, stable);
}

/*
 * A restart is rolled, whatever the strategy: it brings nothing new.  An undo
 * skips the steps: that release has been in charge.  Lanes are used where they
 * are possible and something comes of it; and where what a rollback left gets
 * the connections still: a new release would share that lane, and not the
 * stable release's, as one without a lane is taken to.
 */
struct course
engine_course(struct service *s, const struct release *release,
    enum deployment_kind kind, enum strategy strategy)
{
	struct course course = {
		.strategy = kind == DEPLOYMENT_RESTART ? STRATEGY_ROLLING :
		    strategy,
		.direct = kind == DEPLOYMENT_UNDO,
	};

	course.split = service_stable(s) != NULL && release->spec->lanes &&
	    service_stable(s)->spec->lanes &&
	    (course.strategy != STRATEGY_ROLLING ||
	    (s->rollout.base != s->rollout.stable &&
	    kind != DEPLOYMENT_RESTART) ||
	    (release->spec->probe != PROBE_NONE && s->policy.surge > 0) ||
	    has_own_lane(s, release));
	return course;
}

void
engine_new_deployment(struct engine *engine, struct service *s,
    const struct release *release, enum deployment_kind kind,
    enum strategy strategy, struct deployment *ret)
{
	const struct world *world = engine->world;

	memset(ret, 0, sizeof(*ret));
	ret->id = ++engine->deployment_last;
	memcpy(ret->service, s->name, sizeof(ret->service));
	ret->kind = kind;
	ret->revision = release->revision;
	ret->from_revision = s->rollout.stable == release->revision ? 0 :
	    s->rollout.stable;
	memcpy(ret->version, release->version, sizeof(ret->version));
	identity_build_id_text(&release->identity, ret->build_id);
	ret->fingerprint = release->fingerprint;
	ret->course = engine_course(s, release, kind, strategy);
	ret->strategy = strategy_name(ret->course.strategy);
	ret->handed_over = ret->lost = CONNECTIONS_UNKNOWN;
	ret->commit_time_s = release->commit_time_s;
	ret->started_s = world->clock_s(world->ctx);
	ret->started_ms = world->now_ms(world->ctx);
}

void
engine_record(struct engine *engine, struct service *s, struct deployment *d,
    enum rollout_verdict verdict)
{
	const struct world *world = engine->world;

	d->verdict = verdict;
	d->finished_s = world->clock_s(world->ctx);
	d->duration_ms = world->now_ms(world->ctx) - d->started_ms;
	world->record(world->ctx, d);
	s->last = *d;
}

/* A lane of its own for the release, if it is to have one. */
static int
join(struct engine *engine, struct release *release,
    const struct deployment *d, char *ret_text)
{
	const struct world *world = engine->world;

	return d->course.split ? world->join(world->ctx, release, ret_text) : 0;
}

static void
begin(struct engine *engine, struct service *s, struct release *release,
    const struct deployment *d)
{
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	s->deployment = *d;
	s->deployment.from_revision = s->rollout.stable;
	engine_cancel_tasks(engine, s);
	rollout_begin(&s->rollout, &s->fleet, release->revision, &d->course,
	    now_ms);
	s->steered_base = s->rollout.base;
	s->steered_permille = 0;
	service_say(engine, s, NOTICE_ROLLOUT, NOTICE_PLAIN, NULL,
	    "rolling out revision %u%s%s over revision %u (%s, %s)",
	    release->revision, release->version[0] != '\0' ? ", " : "",
	    release->version, s->rollout.stable,
	    deployment_kind_name(d->kind), d->strategy);
	engine_prepare(engine, s);
}

/* A deployment that never began: one that waited, or was for nothing. */
static void
end_unbegun(struct engine *engine, struct service *s, struct deployment *d,
    enum rollout_verdict verdict, const char *reason)
{
	struct deployment running = s->deployment;

	(void)snprintf(d->reason, sizeof(d->reason), "%s", reason);
	engine_record(engine, s, d, verdict);
	s->deployment = *d;             /* whose notice it is */
	service_say(engine, s, NOTICE_FINISHED, NOTICE_PLAIN, NULL,
	    "revision %u: %s: %s", d->revision,
	    rollout_verdict_name(verdict), reason);
	s->deployment = running;
}

static void
drop_next(struct engine *engine, struct service *s,
    enum rollout_verdict verdict, const char *reason)
{
	struct release *release = s->next_release;
	struct deployment d = s->next;

	if (release == NULL)
		return;
	s->next_release = NULL;
	s->next = (struct deployment){ 0 };
	end_unbegun(engine, s, &d, verdict, reason);
	engine->world->unpin(engine->world->ctx, release);
}

/* What a verdict means for the releases. */
static void
judge(struct engine *engine, struct service *s, const struct deployment *d,
    enum rollout_verdict verdict, enum rollout_fault fault)
{
	struct kept_release *kept = service_kept(s, d->revision);
	struct kept_release *from = service_kept(s, d->from_revision);

	assert(kept != NULL);
	switch (verdict) {
	case VERDICT_COMPLETE:
		kept->was_in_charge = true;
		kept->quarantined = false;
		service_lift_quarantine(s, kept->release->fingerprint);
		s->in_charge_since_s = d->in_charge_s;
		s->restart_count = 0;
		if (d->kind != DEPLOYMENT_UNDO || from == NULL)
			break;
		from->quarantined = true;
		service_set_quarantine(s, from->release);
		break;
	case VERDICT_ROLLED_BACK:
	case VERDICT_ABORTED:
		if (d->in_charge_s != 0)        /* the old one is again */
			s->in_charge_since_s =
			    engine->world->clock_s(engine->world->ctx);
		/* A restart has the fingerprint of the release in charge: it
		 * is the build that is bad then, and it stays in charge.  A
		 * hook that failed says nothing about a build. */
		if (d->kind == DEPLOYMENT_RESTART || fault == FAULT_HOOK)
			break;
		kept->quarantined = true;
		service_set_quarantine(s, kept->release);
		break;
	case VERDICT_SUPERSEDED:
		break;
	case VERDICT_NONE:
	case VERDICT_COUNT:
		assert(!"a rollout ended without a verdict");
	}
}

/* A stopped service has nobody to roll: the release is in charge at once. */
static void
take_charge(struct engine *engine, struct service *s, struct release *release,
    struct deployment *d)
{
	s->rollout.stable = s->rollout.base = release->revision;
	d->in_charge_s = engine->world->clock_s(engine->world->ctx);
	judge(engine, s, d, VERDICT_COMPLETE, FAULT_NONE);
	engine_record(engine, s, d, VERDICT_COMPLETE);
}

void
engine_describe(const struct service *s, const struct deployment *d,
    const char *text, struct reload_result *ret_result)
{
	memcpy(ret_result->service, s->name, sizeof(ret_result->service));
	ret_result->deployment = d->id;
	ret_result->revision = d->revision;
	ret_result->policy = s->policy;
	ret_result->course = d->course;
	ret_result->rolls_out = true;
	(void)snprintf(ret_result->text, sizeof(ret_result->text),
	    "%s", text);
}

int
engine_deploy(struct engine *engine, struct service *s,
    struct release *release, enum deployment_kind kind,
    enum strategy strategy, struct reload_result *ret_result, char *ret_text)
{
	bool is_kept = service_release(s, release->revision) == release;
	struct deployment d;

	engine_new_deployment(engine, s, release, kind, strategy, &d);
	if (s->rollout.phase != ROLLOUT_IDLE) {
		assert(!is_kept);
		drop_next(engine, s, VERDICT_SUPERSEDED,
		    "a newer release came before it began");
		rollout_recall(&s->rollout, FAULT_SUPERSEDED);
		s->next = d;
		s->next_release = release;
		/* what it shares now may be gone when its turn comes */
		engine->world->unbind(engine->world->ctx, release, NULL);
		engine_describe(s, &d, rollout_is_in_charge(&s->rollout) ?
		    "waits until the old workers of the last rollout are gone" :
		    "waits until the rollout that runs now has gone back",
		    ret_result);
		return 0;
	}
	if (!is_kept && service_keep(engine, s, release) < 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%d releases of this service still have workers; wait "
		    "until the oldest has drained", RELEASES_KEPT_MAX);
		return -1;
	}
	if (s->stopped) {
		take_charge(engine, s, release, &d);
		engine_describe(s, &d, "the service is stopped; this is what "
		    "`start` will run", ret_result);
		ret_result->deployment = 0;
		ret_result->rolls_out = false;
		return 0;
	}
	if (join(engine, release, &d, ret_text) < 0) {
		if (!is_kept)
			service_kept(s, release->revision)->release = NULL;
		return -1;
	}
	begin(engine, s, release, &d);
	engine_describe(s, &d, "rolling out", ret_result);
	return 0;
}

static void
begin_next(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct release *release = s->next_release;
	struct deployment d = s->next;
	char why[REASON_BYTES_MAX];

	if (release == NULL)
		return;
	s->next_release = NULL;
	s->next = (struct deployment){ 0 };
	/* other lanes may be open than when it was asked for */
	d.course = engine_course(s, release, d.kind, d.course.strategy);
	if (service_keep(engine, s, release) < 0) {
		(void)snprintf(why, sizeof(why),
		    "too many releases still have workers");
	} else if (world->bind(world->ctx, release, why) == 0 &&
	    join(engine, release, &d, why) == 0) {
		begin(engine, s, release, &d);
		return;
	} else {
		service_kept(s, release->revision)->release = NULL;
	}
	end_unbegun(engine, s, &d, VERDICT_ABORTED, why);
	world->unpin(world->ctx, release);
}

void
engine_finish(struct engine *engine, struct service *s,
    const struct action *a)
{
	struct deployment d;

	engine_update_observation(engine, s);
	engine_hand_over(engine, s);
	d = s->deployment;
	assert(d.id != 0 && a->revision == d.revision);
	engine_cancel_tasks(engine, s);
	if (a->verdict == VERDICT_COMPLETE && d.in_charge_s == 0)
		d.in_charge_s = engine->world->clock_s(engine->world->ctx);
	judge(engine, s, &d, a->verdict, a->fault);
	if (a->verdict == VERDICT_COMPLETE)
		d.reason[0] = '\0';
	if (d.course.split) {
		s->unsettled = true;
		s->settle_at_ms = 0;
		(void)engine_settle_turn(engine, s);
	}
	engine_count_losses(engine, s, &d, a->verdict);
	engine_record(engine, s, &d, a->verdict);
	if (a->verdict == VERDICT_COMPLETE)
		service_say(engine, s, NOTICE_FINISHED, NOTICE_PLAIN, NULL,
		    "revision %u is in charge, after %llu ms", d.revision,
		    (unsigned long long)d.duration_ms);
	else
		service_say(engine, s, NOTICE_FINISHED, NOTICE_WARNING, NULL,
		    "revision %u: %s: %s; revision %u is in charge",
		    d.revision, rollout_verdict_name(a->verdict), d.reason,
		    s->rollout.stable);
	s->deployment = (struct deployment){ 0 };
	service_tidy(engine, s, NULL);
	if (a->verdict == VERDICT_COMPLETE)
		engine_run_after(engine, s, &d);
	begin_next(engine, s);
}

void
engine_cancel(struct engine *engine, struct service *s)
{
	drop_next(engine, s, VERDICT_ABORTED, "the service was stopped");
	/* What is in charge stays so. */
	rollout_recall(&s->rollout, rollout_is_in_charge(&s->rollout) ?
	    FAULT_SUPERSEDED : FAULT_OPERATOR);
}
