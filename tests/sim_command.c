/*
 * What operators do, or an accident: one of them at a random moment, and
 * then the next.  An order that is refused must have changed nothing; one that
 * is taken must mean what the configuration and the disk say.
 */
#include "sim_world.h"

#include <signal.h>
#include <string.h>

/* What an order may change. */
static uint64_t
state_hash(const struct sim *sim)
{
	uint64_t hash = RELEASE_HASH_START;

	for (uint32_t i = 0; i < sim->engine.service_count; i++) {
		const struct service *s = sim->engine.services[i];
		uint64_t state[] = {
			s->id, (uintptr_t)s->spec, s->workers, s->stopped,
			s->removed, s->policy.workers, s->rollout.phase,
			s->rollout.stable, s->rollout.candidate,
			s->rollout.recall, s->deployment.id, s->next.id,
			s->rollout.pause, s->rollout.approved,
			s->rollout.promoted,
		};

		hash = release_hash(hash, state, sizeof(state));
	}
	return release_hash(hash, &sim->engine.service_count,
	    sizeof(sim->engine.service_count));
}

static void
check_unchanged(struct sim *sim, const char *verb, uint64_t before,
    const char *why)
{
	sim_trace(sim, "%s: %s", verb, why);
	if (state_hash(sim) != before)
		sim_fail(sim, "%s: refused, but something was changed", verb);
}

/* What the service runs, or is about to. */
static uint64_t
target_fingerprint(const struct service *s)
{
	uint32_t revision = s->rollout.stable;

	if (s->next_release != NULL)
		return s->next_release->fingerprint;
	if (s->rollout.candidate != 0 && s->rollout.phase != ROLLOUT_ROLLBACK &&
	    s->rollout.recall == FAULT_NONE && s->rollout.fault == FAULT_NONE)
		revision = s->rollout.candidate;
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->releases[i].release != NULL &&
		    s->releases[i].release->revision == revision)
			return s->releases[i].release->fingerprint;
	return 0;
}

static void
cover_result(struct sim *sim, const struct reload_result *result,
    uint64_t deployment_last)
{
	static const struct {
		const char *text;
		enum sim_cover cover;
	} texts[] = {
		{ "rolled out already", SIM_RELOAD_JOINS },
		{ "taken over in place", SIM_RELOAD_ADJUSTS },
		{ "waits until", SIM_RELOAD_WAITS },
		{ "a new service", SIM_RELOAD_ADDS },
		{ "any more", SIM_RELOAD_REMOVES },
		{ "is stopped", SIM_RELOAD_WHILE_STOPPED },
	};

	sim_trace(sim, "reload: %s: %s (%llu)", result->service, result->text,
	    (unsigned long long)result->deployment);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (strstr(result->text, texts[i].text) != NULL)
			sim_cover(sim, texts[i].cover);
	if (strstr(result->text, "has gone back") != NULL)
		sim_give_up(sim, engine_find(&sim->engine, result->service));
	if (result->deployment > sim->engine.deployment_last ||
	    (strstr(result->text, "already") != NULL &&
	    result->deployment > deployment_last))
		sim_fail(sim, "reload: deployment %llu",
		    (unsigned long long)result->deployment);
}

/* What was on disk and in the file when the reload was asked for. */
struct wish {
	uint64_t fingerprint;
	bool quarantined;
};

static void
check_result(struct sim *sim, const struct reload_result *result,
    unsigned flags, const struct wish *wishes)
{
	const struct sim_draft *draft = sim_draft(sim, result->service);
	const struct wish *wish = &wishes[draft - sim->drafts];
	const struct service *s = engine_find(&sim->engine, result->service);

	sim_announce(sim, result);
	if (!draft->present)
		return;
	if (s == NULL || s->removed) {
		sim_fail(sim, "reload: %s is missing", draft->name);
		return;
	}
	if (s->workers != draft->spec->workers ||
	    s->spec->min_ready_ms != draft->spec->min_ready_ms)
		sim_fail(sim, "reload: %s is not as in the file", draft->name);
	if (target_fingerprint(s) != wish->fingerprint &&
	    s->rollout.fault != FAULT_HOOK &&   /* it could not even be run */
	    strstr(result->text, "still have workers") == NULL)
		sim_fail(sim, "reload: %s does not run what is on disk",
		    draft->name);
	if (wish->quarantined && !(flags & RELOAD_FORCE) &&
	    result->deployment != 0 && strstr(result->text, "already") == NULL)
		sim_fail(sim, "reload: %s is rolled out from quarantine",
		    draft->name);
}

static void
make_wishes(struct sim *sim, struct wish *ret_wishes)
{
	for (uint32_t i = 0; i < SIM_NAMES; i++) {
		const struct sim_draft *draft = &sim->drafts[i];
		const struct sim_service *model = sim_service(sim,
		    draft->name);

		ret_wishes[i].fingerprint = sim_fingerprint(sim, draft->spec,
		    draft->build);
		ret_wishes[i].quarantined = model != NULL &&
		    sim_is_quarantined(model, ret_wishes[i].fingerprint);
	}
}

static void
judge_refusal(struct sim *sim, const char *why, const struct wish *wishes)
{
	bool any = false;

	sim_cover(sim, SIM_RELOAD_REFUSED);
	if (strstr(why, "was rolled back before") == NULL)
		return;
	sim_cover(sim, SIM_RELOAD_QUARANTINED);
	for (uint32_t i = 0; i < SIM_NAMES; i++)
		any |= wishes[i].quarantined;
	if (!any)
		sim_fail(sim, "reload: refused for a quarantine that is not");
}

int
sim_reload(struct sim *sim, const char *name, unsigned flags,
    struct reload_results *ret_results)
{
	struct reload request = { .services = { name },
		.service_count = name != NULL, .flags = flags,
		.has_strategy = sim->commands_left > 0 && sim_chance(sim, 15),
		.strategy = sim_below(sim, 3) };
	struct config_errors errors;
	struct wish wishes[SIM_NAMES];
	char why[REASON_BYTES_MAX] = "";
	uint64_t before = state_hash(sim);
	uint64_t deployment_last = sim->engine.deployment_last;
	int result;

	if (request.has_strategy)
		sim_cover(sim, SIM_RELOAD_STRATEGY);
	sim_trace(sim, "reload %s, flags %u, %s", name != NULL ? name : "all",
	    flags, request.has_strategy ? strategy_name(request.strategy) :
	    "as in the file");
	make_wishes(sim, wishes);
	result = engine_reload(&sim->engine, &request, ret_results, &errors,
	    why);
	config_errors_release(&errors);
	if (result < 0) {
		judge_refusal(sim, why, wishes);
		check_unchanged(sim, "reload", before, why);
		return -1;
	}
	for (uint32_t i = 0; i < ret_results->count; i++) {
		cover_result(sim, &ret_results->list[i], deployment_last);
		if (!(flags & RELOAD_PLAN))
			check_result(sim, &ret_results->list[i], flags,
			    wishes);
	}
	if (flags & RELOAD_PLAN)
		check_unchanged(sim, "plan", before, "");
	return 0;
}

static void
order_reload(struct sim *sim)
{
	static struct reload_results results;
	struct sim_draft *draft = &sim->drafts[sim_below(sim, SIM_NAMES)];
	const char *name = NULL;
	unsigned flags = 0;

	if (!draft->present || sim_chance(sim, 50))
		draft = &sim->drafts[0];
	if (sim_chance(sim, 25))
		sim_change_spec(sim, &sim->drafts[sim_below(sim, SIM_NAMES)]);
	if (sim_chance(sim, 10))
		sim->drafts[sim_below(sim, SIM_NAMES)].present ^= true;
	if (sim_chance(sim, 75))
		sim_draw_build(sim, draft, false);
	if (sim_chance(sim, 20))
		name = draft->name;
	if (sim_chance(sim, 15))
		flags |= RELOAD_FORCE;
	if (sim_chance(sim, 15))
		flags |= RELOAD_IF_CHANGED;
	if (sim_chance(sim, 5))
		flags |= RELOAD_PLAN;
	sim_cover(sim, SIM_RELOAD);
	if (name != NULL)
		sim_cover(sim, SIM_RELOAD_ONE);
	if (flags & RELOAD_FORCE)
		sim_cover(sim, SIM_RELOAD_FORCE);
	if (flags & RELOAD_IF_CHANGED)
		sim_cover(sim, SIM_RELOAD_IF_CHANGED);
	if (flags & RELOAD_PLAN)
		sim_cover(sim, SIM_RELOAD_PLAN);
	(void)sim_reload(sim, name, flags, &results);
}

static void
order_undo(struct sim *sim, struct service *s)
{
	bool idle = s->rollout.phase == ROLLOUT_IDLE, possible = true;
	uint32_t good = sim_undo_revision(sim, s->name), wanted = good;
	uint32_t undo_count = sim_service(sim, s->name)->undo_count;
	uint64_t before = state_hash(sim);
	struct reload_result result;
	char why[REASON_BYTES_MAX];
	uint32_t to = idle && wanted != 0 && sim_chance(sim, 20) ? wanted : 0;

	if (to != 0)
		sim_cover(sim, SIM_UNDO_TO);
	if (idle && sim_chance(sim, 20)) {      /* there may be no such thing */
		to = wanted = 1 + sim_below(sim, s->revision_last + 1);
		possible = sim_is_undoable(sim, s->name, to);
	}
	if (engine_undo(&sim->engine, s, to, &result, why) < 0) {
		sim_cover(sim, SIM_UNDO_REFUSED);
		check_unchanged(sim, "undo", before, why);
		if (idle && wanted != 0 && wanted == good && undo_count == 0 &&
		    !s->removed && !sim->bind_fails &&
		    sim->engine.phase == ENGINE_RUNNING)
			sim_fail(sim, "undo: refused, revision %u was good",
			    wanted);
		return;
	}
	sim_trace(sim, "undo: %s: %s", s->name, result.text);
	sim_cover(sim, idle ? SIM_UNDO : SIM_UNDO_RUNNING);
	sim_announce(sim, &result);
	if (!idle)
		sim_give_up(sim, s);
	if (!possible)
		sim_fail(sim, "undo: to revision %u", to);
	if (idle && result.revision != wanted)
		sim_fail(sim, "undo: to revision %u, not %u", result.revision,
		    wanted);
}

static void
order_rollout(struct sim *sim, struct service *s)
{
	enum rollout_verb verb = sim_below(sim, ROLLOUT_VERB_COUNT);
	bool possible = rollout_can(&s->rollout, verb);
	uint64_t before = state_hash(sim);
	struct reload_result result;
	char why[REASON_BYTES_MAX];

	if (engine_order(&sim->engine, s, verb, &result, why) < 0) {
		sim_cover(sim, SIM_ORDER_REFUSED);
		check_unchanged(sim, rollout_verb_name(verb), before, why);
		if (possible)
			sim_fail(sim, "order: %s is refused",
			    rollout_verb_name(verb));
		return;
	}
	sim_trace(sim, "%s: %s: %s", rollout_verb_name(verb), s->name,
	    result.text);
	sim_cover(sim, SIM_ORDER_PAUSE + verb);
	sim_witness_order(sim, s, verb);
	sim_announce(sim, &result);
	if (!possible)
		sim_fail(sim, "order: %s is taken", rollout_verb_name(verb));
	if (verb == ROLLOUT_CAN_ABORT)
		sim_give_up(sim, s);
}

static void
order_restart(struct sim *sim, struct service *s)
{
	uint64_t before = state_hash(sim);
	struct reload_result result;
	char why[REASON_BYTES_MAX];

	if (engine_restart(&sim->engine, s, &result, why) < 0) {
		sim_cover(sim, SIM_RESTART_REFUSED);
		check_unchanged(sim, "restart", before, why);
		return;
	}
	sim_trace(sim, "restart %s", s->name);
	sim_cover(sim, SIM_RESTART);
	sim_announce(sim, &result);
}

static void
order_start_or_stop(struct sim *sim, struct service *s)
{
	uint64_t before = state_hash(sim);
	bool start = s->stopped || sim_chance(sim, 20);
	bool was_recalled = s->rollout.recall != FAULT_NONE;
	char why[REASON_BYTES_MAX];
	uint64_t id = s->deployment.id;
	bool in_charge = rollout_is_in_charge(&s->rollout) &&
	    s->rollout.recall == FAULT_NONE && s->rollout.fault == FAULT_NONE;
	int result;

	sim_trace(sim, "%s %s", start ? "start" : "stop", s->name);
	sim_cover(sim, start ? SIM_START : SIM_STOP);
	result = start ? engine_start(&sim->engine, s, why) :
	    engine_stop(&sim->engine, s, why);
	if (result < 0)
		check_unchanged(sim, "start or stop", before, why);
	else if (s->stopped == start)
		sim_fail(sim, "start or stop: it did not");
	else if (!start && in_charge)
		sim->deployments[id % SIM_DEPLOYMENTS_MAX].in_charge = true;
	else if (!start && !rollout_is_in_charge(&s->rollout))
		sim_give_up(sim, s);
	sim_witness_stop(sim, s, was_recalled);
}

static void
order_scale(struct sim *sim, struct service *s)
{
	uint32_t workers = sim_below(sim, 9);
	uint64_t before = state_hash(sim);
	char why[REASON_BYTES_MAX];

	sim_trace(sim, "scale %s to %u", s->name, workers);
	sim_cover(sim, SIM_SCALE);
	if (engine_scale(&sim->engine, s, workers, why) < 0)
		check_unchanged(sim, "scale", before, why);
	else if (s->workers != workers || workers == 0)
		sim_fail(sim, "scale: to %u", s->workers);
}

static void
order_signal(struct sim *sim, struct service *s)
{
	static const int signals[] = { SIGHUP, SIGTERM, SIGKILL };
	int signal_number = signals[sim_below(sim, 3)], count;
	uint32_t live = fleet_count(&s->fleet).live;
	char why[REASON_BYTES_MAX];

	sim_cover(sim, SIM_SIGNAL);
	sim->operator_signals = true;
	count = engine_signal(&sim->engine, s, signal_number, why);
	sim->operator_signals = false;
	if (count >= 0 && (uint32_t)count != live)
		sim_fail(sim, "signal: to %d of %u", count, live);
}

static void
order_shutdown(struct sim *sim)
{
	sim_trace(sim, "shutdown");
	sim_cover(sim, sim->engine.phase == ENGINE_RUNNING ? SIM_SHUTDOWN :
	    SIM_SHUTDOWN_TWICE);
	engine_shutdown(&sim->engine);
	for (uint32_t i = 0; i < sim->engine.service_count; i++)
		if (!rollout_is_in_charge(&sim->engine.services[i]->rollout))
			sim_give_up(sim, sim->engine.services[i]);
}

/* A service whose old workers are not all gone yet, after its rollout. */
static struct service *
just_rolled_out(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->engine.service_count; i++) {
		struct service *s = sim->engine.services[i];

		if (s->rollout.phase == ROLLOUT_IDLE &&
		    fleet_count(&s->fleet).leaving != 0 &&
		    s->last.verdict == VERDICT_COMPLETE &&
		    s->last.course.split)
			return s;
	}
	return NULL;
}

/* A service whose release in charge does not get ready in a rollback or after
 * it. */
static struct service *
served_by_leftover(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->engine.service_count; i++) {
		struct service *s = sim->engine.services[i];

		if (!s->removed && (s->rollout.base != s->rollout.stable ||
		    (s->rollout.phase == ROLLOUT_ROLLBACK &&
		    s->rollout.weight_permille != 0)))
			return s;
	}
	return NULL;
}

/* A new build, now. */
static void
order_repair(struct sim *sim, struct service *s)
{
	static struct reload_results results;

	sim_draw_build(sim, sim_draft(sim, s->name), true);
	if (sim_chance(sim, 50))
		sim_simplify_spec(sim, sim_draft(sim, s->name));
	(void)sim_reload(sim, s->name, 0, &results);
}

void
sim_command(struct sim *sim)
{
	struct service *s = just_rolled_out(sim);
	uint32_t which = sim_below(sim, 100);

	sim->acted = true;
	if (s != NULL && sim_chance(sim, 60)) {         /* it is regretted */
		order_undo(sim, s);
		return;
	}
	s = served_by_leftover(sim);
	if (s != NULL && sim_chance(sim, 60)) {
		order_repair(sim, s);
		return;
	}
	if (which < 40) {
		order_reload(sim);
		return;
	}
	if (which < 58 || sim->engine.service_count == 0) {
		sim_accident(sim);
		return;
	}
	if (which < 60 || (which < 80 && sim->engine.phase != ENGINE_RUNNING)) {
		order_shutdown(sim);
		return;
	}
	s = sim->engine.services[sim_below(sim, sim->engine.service_count)];
	if (which < 66)
		order_undo(sim, s);
	else if (which < 74)
		order_rollout(sim, s);
	else if (which < 80)
		order_restart(sim, s);
	else if (which < 87 || s->stopped)
		order_start_or_stop(sim, s);
	else if (which < 95)
		order_scale(sim, s);
	else
		order_signal(sim, s);
}
