/*
 * Carrying out the planner's actions: starts, signals, and saying what the
 * rollout does.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

/* An executable that is being written (ETXTBSY) may need this long. */
#define BUSY_PATIENCE_MS UINT64_C(2000)

const char *
engine_worker_name(const struct service *s, struct worker_id id,
    uint32_t revision, char *ret_text, size_t size_bytes)
{
	(void)snprintf(ret_text, size_bytes, "worker %s/%u of revision %u",
	    s->name, id.slot, revision);
	return ret_text;
}

/*
 * Is a start that was refused for ETXTBSY still to be tried again?  The first
 * one opens a window, a successful start closes it.
 */
static bool
is_busy_for_now(struct service *s, uint64_t now_ms)
{
	if (s->busy_until_ms == 0)
		s->busy_until_ms = now_ms + BUSY_PATIENCE_MS;
	return now_ms < s->busy_until_ms;
}

static void
note_failed_start(struct engine *engine, struct service *s, struct worker *w,
    enum start_result result, const char *why)
{
	const struct world *world = engine->world;
	uint64_t now_ms = world->now_ms(world->ctx);
	bool refused = result == START_REFUSED ||
	    (result == START_BUSY && is_busy_for_now(s, now_ms));

	service_say(engine, s, NOTICE_NOT_STARTED,
	    refused ? NOTICE_WARNING : NOTICE_ERROR, w, "%s%s", why,
	    refused ? "; trying again" : "");
	if (!refused && s->deployment.id != 0 && s->deployment.reason[0] == '\0'
	    && w->revision == s->rollout.candidate)
		(void)snprintf(s->deployment.reason,
		    sizeof(s->deployment.reason),
		    "worker %s/%u of revision %u could not be started: %.400s",
		    s->name, w->id.slot, w->revision, why);
	rollout_not_started(&s->rollout, &s->fleet, w->id, &s->policy, refused,
	    world->random(world->ctx), now_ms);
}

static void
act_start(struct engine *engine, struct service *s, const struct action *a)
{
	const struct world *world = engine->world;
	struct worker *w = fleet_find(&s->fleet, a->id);
	struct mate *mate = service_mate(s, w);
	struct start start = {
		.service = s->id, .id = a->id,
		.release = service_release(s, a->revision),
		.strict = a->revision == s->rollout.candidate,
	};
	char why[REASON_BYTES_MAX] = "";
	enum start_result result;

	service_clear_mate(mate);
	result = world->start(world->ctx, &start, &mate->process, &mate->pid,
	    why);
	if (result != START_DONE) {
		note_failed_start(engine, s, w, result, why);
		return;
	}
	s->busy_until_ms = 0;
	w->watchdog_ms = start.release->spec->watchdog_ms;
	if (start.release->spec->ready == READY_ALIVE)
		w->alive_at_ms = w->started_ms +
		    start.release->spec->ready_alive_ms;
	service_say(engine, s, NOTICE_STARTED, NOTICE_PLAIN, w, "started");
}

static int
drain_signal(struct service *s, const struct action *a)
{
	struct release *release = service_release(s, a->revision);

	/* A worker that hangs leaves more behind with SIGABRT: a core. */
	if (a->ending == ENDING_WATCHDOG)
		return SIGABRT;
	return release->spec->drain_signal;
}

static void
act_drain(struct engine *engine, struct service *s, const struct action *a)
{
	const struct world *world = engine->world;
	struct worker *w = fleet_find(&s->fleet, a->id);
	bool bad = a->ending == ENDING_WATCHDOG ||
	    a->ending == ENDING_NOT_READY;
	void *process;

	if (w == NULL)          /* was to be started by this very plan */
		return;
	process = service_mate(s, w)->process;
	service_say(engine, s, NOTICE_DRAINING,
	    bad ? NOTICE_WARNING : NOTICE_PLAIN, w, "told to stop: %s",
	    worker_ending_text(a->ending));
	world->signal(world->ctx, process, drain_signal(s, a));
	/* A stopped process would not see it, see signal(7). */
	world->signal(world->ctx, process, SIGCONT);
}

void
engine_kill(struct engine *engine, struct service *s, struct worker *w)
{
	struct release *release = service_release(s, w->revision);

	service_say(engine, s, NOTICE_KILLED, NOTICE_WARNING, w,
	    "did not stop in time, killed");
	engine->world->kill(engine->world->ctx, service_mate(s, w)->process,
	    release->spec->kill_mode);
}

/* Where it is a probe that makes ready, that has said why not. */
static void
explain_probe(struct service *s, const struct action *a)
{
	const struct lane_probe *probe = &s->judge.probes[LANE_CANDIDATE];
	const struct release *release = service_release(s, a->revision);
	char *reason = s->deployment.reason;
	size_t used = strlen(reason);

	if (a->fault != FAULT_NOT_READY || release == NULL ||
	    release->spec->ready != READY_PROBE || probe->failing_count == 0)
		return;
	(void)snprintf(reason + used, sizeof(s->deployment.reason) - used,
	    "; its last probe: %.100s", probe->text);
}

/* The sentence that says why a rollout goes back; kept for its report. */
static void
explain(struct service *s, const struct action *a)
{
	char name[128];

	if (s->deployment.reason[0] != '\0')
		return;
	if (a->id.incarnation == 0)
		(void)snprintf(s->deployment.reason,
		    sizeof(s->deployment.reason), "%s",
		    rollout_fault_text(a->fault));
	else
		(void)snprintf(s->deployment.reason,
		    sizeof(s->deployment.reason), "%s: %s",
		    engine_worker_name(s, a->id, a->revision, name,
		    sizeof(name)), rollout_fault_text(a->fault));
	explain_probe(s, a);
}

static void
act_pause(struct engine *engine, struct service *s, const struct action *a)
{
	if (a->pause == PAUSE_FAULT) {
		explain(s, a);
		service_say(engine, s, NOTICE_PAUSED, NOTICE_ERROR, NULL,
		    "rollout of revision %u is paused: %s", a->revision,
		    s->deployment.reason);
		return;
	}
	service_say(engine, s, NOTICE_PAUSED, NOTICE_PLAIN, NULL, "rollout of "
	    "revision %u is paused: %s; `supctl rollout resume %s` goes on, "
	    "`promote` goes to the end, `abort` takes it back", a->revision,
	    rollout_pause_text(a->pause), s->name);
}

static void
act_turn_back(struct engine *engine, struct service *s,
    const struct action *a)
{
	explain(s, a);
	service_say(engine, s, NOTICE_ROLLBACK,
	    a->fault == FAULT_OPERATOR || a->fault == FAULT_SUPERSEDED ?
	    NOTICE_PLAIN : NOTICE_ERROR, NULL,
	    "going back to revision %u: %s", s->rollout.stable,
	    s->deployment.reason);
}

static void
act_step(struct engine *engine, struct service *s, const struct action *a)
{
	const struct course *course = &s->rollout.course;
	struct step step = strategy_step(&s->policy, course, a->step);

	service_say(engine, s, NOTICE_STEP, NOTICE_PLAIN, NULL,
	    "step %u of %u: %u of %u workers of revision %u", a->step + 1,
	    strategy_step_count(&s->policy, course), step.candidates,
	    s->policy.workers, a->revision);
}

/* The new release is in charge; its rollout goes on until the old one is gone. */
static void
act_take_charge(struct engine *engine, struct service *s,
    const struct action *a)
{
	bool keep = a->type == ACTION_KEEP;
	uint64_t kept_ms = strategy_step(&s->policy, &s->rollout.course,
	    s->rollout.step).hold_ms;

	if (s->deployment.in_charge_s == 0) {
		s->deployment.in_charge_s =
		    engine->world->clock_s(engine->world->ctx);
		s->in_charge_since_s = s->deployment.in_charge_s;
	}
	if (keep)
		service_say(engine, s, NOTICE_IN_CHARGE, NOTICE_PLAIN, NULL,
		    "revision %u stays warm for %llu s: `supctl undo %s` moves "
		    "back to it at once", s->rollout.stable,
		    (unsigned long long)(kept_ms / 1000), s->name);
	else
		service_say(engine, s, NOTICE_STEP, NOTICE_PLAIN, NULL,
		    "all new connections go to revision %u; revision %u is "
		    "left when its queue is empty", a->revision,
		    s->rollout.stable);
}

void
engine_act(struct engine *engine, struct service *s, const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->action_count; i++) {
		const struct action *a = &plan->actions[i];

		switch (a->type) {
		case ACTION_START:
			act_start(engine, s, a);
			break;
		case ACTION_DRAIN:
			act_drain(engine, s, a);
			break;
		case ACTION_KILL:
			engine_kill(engine, s, fleet_find(&s->fleet, a->id));
			break;
		case ACTION_READY:
			service_say(engine, s, NOTICE_READY, NOTICE_PLAIN,
			    fleet_find(&s->fleet, a->id), "ready (it is alive; "
			    "nothing better is known)");
			break;
		case ACTION_STEER:
			engine_steer(engine, s, a);
			break;
		case ACTION_STEP:
			act_step(engine, s, a);
			break;
		case ACTION_KEEP:
		case ACTION_RETIRE:
			act_take_charge(engine, s, a);
			break;
		case ACTION_PAUSE:
			act_pause(engine, s, a);
			break;
		case ACTION_ROLLBACK:
			act_turn_back(engine, s, a);
			break;
		case ACTION_FINISH:
			engine_finish(engine, s, a);
			break;
		}
	}
}
