/*
 * The other verbs: undo, restart, start, stop, scale, signal.
 */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

static int
check_running(const struct engine *engine, const struct service *s,
    char *ret_text)
{
	if (engine->phase == ENGINE_RUNNING && !s->removed)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX,
	    "%s: %s; nothing was changed", s->name,
	    s->removed ? "the service is being removed" :
	    "supd is shutting down");
	return -1;
}

static int
check_idle(const struct engine *engine, struct service *s, const char *verb,
    char *ret_text)
{
	if (check_running(engine, s, ret_text) < 0)
		return -1;
	if (s->rollout.stable == 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: cannot %s what was never started: %.300s", s->name,
		    verb, s->trouble);
		return -1;
	}
	if (s->rollout.phase == ROLLOUT_IDLE)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX,
	    "%s: cannot %s while a rollout is in phase %s; wait for its end, "
	    "or `supctl undo %s`; nothing was changed", s->name, verb,
	    rollout_phase_name(s->rollout.phase), s->name);
	return -1;
}

/* undo of a rollout that is not through yet: it goes back. */
static int
undo_running(struct service *s, struct reload_result *ret_result,
    char *ret_text)
{
	char text[64];

	if (s->rollout.phase == ROLLOUT_ROLLBACK) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: is going back to revision %u already", s->name,
		    s->rollout.stable);
		return -1;
	}
	rollout_recall(&s->rollout, FAULT_OPERATOR);
	(void)snprintf(text, sizeof(text), "going back to revision %u",
	    s->rollout.stable);
	engine_describe(s, &s->deployment, text, ret_result);
	ret_result->revision = s->rollout.stable;
	return 0;
}

/* The pinned revisions that were in charge, for a sentence. */
static void
list_undoable(struct service *s, char *ret_text, size_t size_bytes)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < RELEASES_KEPT_MAX && used < size_bytes; i++) {
		const struct kept_release *kept = &s->releases[i];

		if (kept->release == NULL || !kept->was_in_charge ||
		    kept->release->revision == s->rollout.stable)
			continue;
		used += (size_t)snprintf(ret_text + used, size_bytes - used,
		    "%s%u", used > 0 ? ", " : "", kept->release->revision);
	}
}

static struct kept_release *
undo_target(struct service *s, uint32_t to_revision, char *ret_text)
{
	struct kept_release *target = to_revision == 0 ?
	    service_undo_target(s) : service_kept(s, to_revision);
	char kept[128];

	if (target != NULL && (to_revision == 0 || (target->was_in_charge &&
	    to_revision != s->rollout.stable)))
		return target;
	list_undoable(s, kept, sizeof(kept));
	if (to_revision == 0)
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: there is no earlier good revision to go back to "
		    "(revision %u is in charge); nothing was changed", s->name,
		    s->rollout.stable);
	else
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: cannot go back to revision %u: %s; possible: %s; "
		    "nothing was changed", s->name, to_revision,
		    to_revision == s->rollout.stable ? "it is in charge" :
		    "it was not in charge, or its build is not kept any more",
		    kept[0] != '\0' ? kept : "none");
	return NULL;
}

int
engine_undo(struct engine *engine, struct service *s, uint32_t to_revision,
    struct reload_result *ret_result, char *ret_text)
{
	const struct world *world = engine->world;
	struct kept_release *target;
	char why[REASON_BYTES_MAX];

	memset(ret_result, 0, sizeof(*ret_result));
	if (check_running(engine, s, ret_text) < 0)
		return -1;
	if (s->rollout.phase != ROLLOUT_IDLE && (to_revision == 0 ||
	    to_revision == s->rollout.stable))
		return undo_running(s, ret_result, ret_text);
	if (check_idle(engine, s, "undo", ret_text) < 0)
		return -1;
	target = undo_target(s, to_revision, ret_text);
	if (target == NULL)
		return -1;
	if (target->release->shard_count == 0 &&
	    world->bind(world->ctx, target->release, why) < 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: %.400s; nothing was changed", s->name, why);
		return -1;
	}
	return engine_deploy(engine, s, target->release, DEPLOYMENT_UNDO,
	    s->spec->strategy, ret_result, ret_text);
}

int
engine_restart(struct engine *engine, struct service *s,
    struct reload_result *ret_result, char *ret_text)
{
	const struct world *world = engine->world;
	struct release *release;

	memset(ret_result, 0, sizeof(*ret_result));
	if (check_idle(engine, s, "restart", ret_text) < 0)
		return -1;
	if (s->stopped) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: is stopped; `supctl start %s` starts it", s->name,
		    s->name);
		return -1;
	}
	release = world->clone(world->ctx, service_stable(s), ret_text);
	if (release == NULL)
		return -1;
	release->revision = ++s->revision_last;
	release->created_s = world->clock_s(world->ctx);
	if (engine_deploy(engine, s, release, DEPLOYMENT_RESTART,
	    STRATEGY_ROLLING, ret_result, ret_text) == 0)
		return 0;
	world->unpin(world->ctx, release);
	return -1;
}

int
engine_start(struct engine *engine, struct service *s, char *ret_text)
{
	if (check_running(engine, s, ret_text) < 0)
		return -1;
	if (s->stopped)
		service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
		    "started by an operator");
	s->stopped = false;
	fleet_forgive(&s->fleet);
	if (s->rollout.stable == 0)
		s->retry_at_ms = 0;
	service_update_policy(engine, s);
	return 0;
}

int
engine_stop(struct engine *engine, struct service *s, char *ret_text)
{
	if (check_running(engine, s, ret_text) < 0)
		return -1;
	if (!s->stopped)
		service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
		    "stopped by an operator");
	s->stopped = true;
	engine_cancel(engine, s);
	service_update_policy(engine, s);
	return 0;
}

int
engine_scale(struct engine *engine, struct service *s, int64_t workers,
    char *ret_text)
{
	if (check_running(engine, s, ret_text) < 0)
		return -1;
	if (workers < 1 || workers > WORKERS_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%s: workers must be 1 to %d, not %lld (`supctl stop` "
		    "stops all); nothing was changed", s->name, WORKERS_MAX,
		    (long long)workers);
		return -1;
	}
	service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
	    "scaled from %u to %u workers, until the next reload",
	    s->workers, (uint32_t)workers);
	s->workers = (uint32_t)workers;
	service_update_policy(engine, s);
	return 0;
}

int
engine_signal(struct engine *engine, struct service *s, int signal_number,
    char *ret_text)
{
	const struct world *world = engine->world;
	int count = 0;

	if (check_running(engine, s, ret_text) < 0)
		return -1;
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (!worker_is_live(w))
			continue;
		world->signal(world->ctx, service_mate(s, w)->process,
		    signal_number);
		count++;
	}
	return count;
}
