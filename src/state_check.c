/*
 * What cannot be: combinations that no engine has written and that one could
 * not go on from.  Whatever passes here must not bring an engine down, which
 * tests/fuzz_state.c tries.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "service.h"
#include "state_parts.h"

struct check {
	const struct engine *engine;
	struct service *s;
	char *ret_text;
};

static bool
wrong(const struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* False, for who returns it. */
static bool
wrong(const struct check *c, const char *format, ...)
{
	char why[REASON_BYTES_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	(void)snprintf(c->ret_text, REASON_BYTES_MAX, "the state is impossible:"
	    " service %.40s (%u): %.380s", c->s->name, c->s->id, why);
	return false;
}

static bool
has(const struct check *c, uint32_t revision)
{
	return service_release(c->s, revision) != NULL;
}

/*
 * Releases
 */

static bool
check_release(const struct check *c, const struct release *release)
{
	if (release->revision > c->s->revision_last)
		return wrong(c, "revision %u is beyond the last, %u",
		    release->revision, c->s->revision_last);
	if (release->identity.build_id_bytes > BUILD_ID_BYTES_MAX)
		return wrong(c, "revision %u: a build-id has at most %d bytes",
		    release->revision, BUILD_ID_BYTES_MAX);
	return true;
}

static bool
check_releases(const struct check *c)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		const struct release *release = c->s->releases[i].release;

		if (release != NULL && !check_release(c, release))
			return false;
	}
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (c->s->quarantine[i].identity.build_id_bytes >
		    BUILD_ID_BYTES_MAX)
			return wrong(c, "quarantine: a build-id has at most %d "
			    "bytes", BUILD_ID_BYTES_MAX);
	return true;
}

/*
 * The fleet
 */

static bool
check_worker(const struct check *c, const struct worker *w,
    const struct mate *mate)
{
	uint32_t last = c->s->fleet.incarnation_last;

	if (w->state == WORKER_GONE)
		return wrong(c, "worker %u is gone", w->id.incarnation);
	if (w->id.slot >= c->s->fleet.slot_capacity)
		return wrong(c, "worker %u is in slot %u of %u",
		    w->id.incarnation, w->id.slot, c->s->fleet.slot_capacity);
	if (!has(c, w->revision))
		return wrong(c, "worker %u is of revision %u, which is not "
		    "there", w->id.incarnation, w->revision);
	if (last - w->id.incarnation > UINT32_MAX / 2)  /* it may have wrapped */
		return wrong(c, "worker %u was started after the last, %u",
		    w->id.incarnation, last);
	if (mate->pid <= 1)     /* signals to 0 and -1 hit others */
		return wrong(c, "worker %u has pid %d", w->id.incarnation,
		    mate->pid);
	return true;
}

static bool
check_fleet(const struct check *c)
{
	const struct fleet *fleet = &c->s->fleet;

	for (uint32_t i = 0; i < fleet->worker_capacity; i++)
		if (fleet->workers[i].id.incarnation != 0 &&
		    !check_worker(c, &fleet->workers[i], &c->s->mates[i]))
			return false;
	return true;
}

/*
 * The rollout
 */

static bool
check_idle(const struct check *c)
{
	const struct rollout *r = &c->s->rollout;

	if (r->candidate != 0)
		return wrong(c, "phase idle, with candidate %u", r->candidate);
	if (r->weight_permille != 0)
		return wrong(c, "phase idle, with a weight of %u permille",
		    r->weight_permille);
	if (c->s->deployment.id != 0)
		return wrong(c, "phase idle, with deployment %llu",
		    (unsigned long long)c->s->deployment.id);
	if (c->s->next_release != NULL)
		return wrong(c, "phase idle, and revision %u waits",
		    c->s->next_release->revision);
	return true;
}

static bool
check_running(const struct check *c, const char *phase)
{
	const struct rollout *r = &c->s->rollout;

	if (r->candidate == 0 || !has(c, r->candidate))
		return wrong(c, "phase %s, and the candidate, revision %u, is "
		    "not there", phase, r->candidate);
	if (r->candidate == r->stable || r->stable == 0)
		return wrong(c, "phase %s from revision %u to %u", phase,
		    r->stable, r->candidate);
	if (c->s->deployment.id == 0 ||
	    c->s->deployment.revision != r->candidate)
		return wrong(c, "phase %s, and deployment %llu is of revision "
		    "%u, not %u", phase,
		    (unsigned long long)c->s->deployment.id,
		    c->s->deployment.revision, r->candidate);
	if (r->course.split && c->s->steered_base != 0 &&
	    !has(c, c->s->steered_base))
		return wrong(c, "connections go to revision %u, which is not "
		    "there", c->s->steered_base);
	return true;
}

/* Before the first release there is nothing. */
static bool
check_unstarted(const struct check *c)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (c->s->releases[i].release != NULL)
			return wrong(c, "no release is in charge, but revision "
			    "%u is kept", c->s->releases[i].release->revision);
	return c->s->rollout.base == 0 || wrong(c, "no release is in charge, "
	    "but revision %u gets connections", c->s->rollout.base);
}

static bool
check_rollout(const struct check *c)
{
	const struct rollout *r = &c->s->rollout;
	const char *phase = rollout_phase_name(r->phase);

	if (r->phase == ROLLOUT_IDLE ? !check_idle(c) :
	    !check_running(c, phase))
		return false;
	if ((r->phase == ROLLOUT_PAUSED) != (r->pause != PAUSE_NONE))
		return wrong(c, "phase %s, and what it waits for is \"%s\"",
		    phase, rollout_pause_text(r->pause));
	if (r->weight_permille > WHOLE_PERMILLE ||
	    r->granted_permille > WHOLE_PERMILLE ||
	    c->s->steered_permille > WHOLE_PERMILLE)
		return wrong(c, "a weight of more than %d permille",
		    WHOLE_PERMILLE);
	if (r->stable == 0)
		return check_unstarted(c);
	if (!has(c, r->stable))
		return wrong(c, "revision %u is in charge, and is not there",
		    r->stable);
	if (r->base != 0 && !has(c, r->base))
		return wrong(c, "revision %u gets connections, and is not "
		    "there", r->base);
	return !c->s->unsettled || r->base != 0 ||
	    wrong(c, "connections are to be settled, but not where");
}

/*
 * Deployments
 */

static bool
check_deployment(const struct check *c, const struct deployment *d)
{
	if (d->id == 0)
		return true;
	if (d->id > c->engine->deployment_last)
		return wrong(c, "deployment %llu is beyond the last, %llu",
		    (unsigned long long)d->id,
		    (unsigned long long)c->engine->deployment_last);
	if (d->observation_count > STEPS_MAX || d->hook_count > HOOKS_MAX)
		return wrong(c, "deployment %llu has %u steps and %u hooks",
		    (unsigned long long)d->id, d->observation_count,
		    d->hook_count);
	if (d->strategy == NULL || strcmp(d->service, c->s->name) != 0)
		return wrong(c, "deployment %llu is of service \"%s\", strategy "
		    "\"%s\"", (unsigned long long)d->id, d->service,
		    d->strategy != NULL ? d->strategy : "");
	for (uint32_t i = 0; i < d->observation_count; i++)
		if (d->observations[i].weight_permille > WHOLE_PERMILLE)
			return wrong(c, "deployment %llu saw a weight of %u "
			    "permille", (unsigned long long)d->id,
			    d->observations[i].weight_permille);
	for (uint32_t i = 0; i < d->hook_count; i++)
		if (d->hooks[i].name == NULL)
			return wrong(c, "deployment %llu ran a hook without a "
			    "name", (unsigned long long)d->id);
	return true;
}

/* What waits is not kept yet. */
static bool
check_next(const struct check *c)
{
	const struct release *release = c->s->next_release;

	if ((release == NULL) != (c->s->next.id == 0))
		return wrong(c, "what waits is half there: deployment %llu and "
		    "%s release", (unsigned long long)c->s->next.id,
		    release == NULL ? "no" : "a");
	if (release == NULL)
		return true;
	if (release->revision != c->s->next.revision ||
	    has(c, release->revision))
		return wrong(c, "deployment %llu waits with revision %u, and "
		    "is of revision %u", (unsigned long long)c->s->next.id,
		    release->revision, c->s->next.revision);
	return check_release(c, release);
}

/*
 * All of it
 */

static bool
check_name(const struct check *c)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < c->engine->service_count; i++)
		count += strcmp(c->engine->services[i]->name, c->s->name) == 0;
	return count == 1 || wrong(c, "there are %u of this name", count);
}

static bool
check_service(const struct check *c)
{
	const struct service *s = c->s;

	if (s->id == 0 || s->id > c->engine->service_id_last)
		return wrong(c, "its id is beyond the last, %u",
		    c->engine->service_id_last);
	if (s->workers < 1 || s->workers > WORKERS_MAX)
		return wrong(c, "workers must be 1 to %d, not %u", WORKERS_MAX,
		    s->workers);
	if (s->quarantine_next >= RELEASES_KEPT_MAX)
		return wrong(c, "quarantine_next must be less than %d",
		    RELEASES_KEPT_MAX);
	if (s->judge.hook_turns > HOOK_TURNS_MAX)
		return wrong(c, "before_rollout is run in %d turns at most, not "
		    "%u", HOOK_TURNS_MAX, s->judge.hook_turns);
	return check_name(c) && check_releases(c) && check_fleet(c) &&
	    check_rollout(c) && check_next(c) &&
	    check_deployment(c, &s->deployment) &&
	    check_deployment(c, &s->last) && check_deployment(c, &s->next);
}

int
state_check(struct state_image *image)
{
	for (uint32_t i = 0; i < image->engine.service_count; i++) {
		struct check c = { .engine = &image->engine,
			.s = image->engine.services[i],
			.ret_text = image->ret_text };

		if (!check_service(&c))
			return -1;
	}
	return 0;
}
