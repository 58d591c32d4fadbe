/*
 * A death in the middle of a turn: supd has done some of what it wanted, and ends
 * before the rest of it and before it notes anything.
 *
 * After each deed (what changes the world) it may be dead.  The engine does not
 * know and runs to the end of what it is in, which is simpler than to leave it
 * anywhere; but nothing that it does then has an effect, is judged, or is known.
 * Then it is thrown away, and another goes on from the state, see sim_crash.c.
 *
 * Of what was done by a turn that was lost some is still there: numbers that it
 * gave must not be given to others.
 */
#include "sim_world.h"

#include <errno.h>
#include <string.h>

/* Of so many deeds one is the last. */
enum { DEEDS_PER_DEATH = 30, CALM_DEATHS_MAX = 10 };

/* In calm times a rollout has to end as it would without a death; one whose hook
 * is lost ends, and says so.  What dies for ever gets nowhere. */
static bool
may_die(const struct sim *sim)
{
	return sim->restarts == SIM_DIES && sim->log != NULL &&
	    !sim->sheltered && !sim->releasing && !sim->turn_lost &&
	    (sim->chaos || (!sim->hooks_kept &&
	    sim->calm_death_count < CALM_DEATHS_MAX));
}

static void
did(struct sim *sim, enum sim_cover last)
{
	enum sim_cover place = SIM_DIED_AT_1;

	if (!may_die(sim))
		return;
	place += sim->deed_count < 5 ? sim->deed_count : 5;
	sim->deed_count++;
	if (sim_below(sim, DEEDS_PER_DEATH) != 0)
		return;
	sim_cover(sim, last);
	sim_cover(sim, place);
	sim_trace(sim, "supd dies after deed %u, %s", sim->deed_count,
	    sim_cover_name(last));
	sim->calm_death_count += !sim->chaos;
	sim->dead = true;
}

static void
refuse(char *ret_text)
{
	(void)snprintf(ret_text, REASON_BYTES_MAX, "supd is dead");
}

static struct release *
pin(void *ctx, struct spec *spec, char *ret_text)
{
	struct sim *sim = ctx;
	struct release *release;

	refuse(ret_text);
	if (sim->dead)
		return NULL;
	release = sim->living_world.pin(ctx, spec, ret_text);
	if (release != NULL)
		did(sim, SIM_DIED_PIN);
	return release;
}

static struct release *
clone(void *ctx, const struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	struct release *other;

	refuse(ret_text);
	if (sim->dead)
		return NULL;
	other = sim->living_world.clone(ctx, release, ret_text);
	if (other != NULL)
		did(sim, SIM_DIED_CLONE);
	return other;
}

static int
bind(void *ctx, struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	int result = -1;

	refuse(ret_text);
	if (!sim->dead)
		result = sim->living_world.bind(ctx, release, ret_text);
	if (result == 0)
		did(sim, SIM_DIED_BIND);
	return result;
}

static int
join(void *ctx, struct release *release, char *ret_text)
{
	struct sim *sim = ctx;
	int result = -1;

	refuse(ret_text);
	if (!sim->dead)
		result = sim->living_world.join(ctx, release, ret_text);
	if (result == 0)
		did(sim, SIM_DIED_JOIN);
	return result;
}

static int
steer(void *ctx, const struct split *split, char *ret_text)
{
	struct sim *sim = ctx;
	int result = -1;

	refuse(ret_text);
	if (!sim->dead)
		result = sim->living_world.steer(ctx, split, ret_text);
	if (result == 0)
		did(sim, SIM_DIED_STEER);
	return result;
}

static void
unbind(void *ctx, struct release *release, struct lane_end *ret_end)
{
	struct sim *sim = ctx;
	bool bound = release->shard_count != 0;

	if (sim->dead) {
		release->shard_count = 0;
		return;
	}
	sim->living_world.unbind(ctx, release, ret_end);
	if (bound)
		did(sim, SIM_DIED_UNBIND);
}

static void
unpin(void *ctx, struct release *release)
{
	struct sim *sim = ctx;

	if (!sim->dead) {
		sim->living_world.unpin(ctx, release);
		did(sim, SIM_DIED_UNPIN);
		return;
	}
	sim_pin(sim, release)->release = NULL;
	sim_free_release(release);
}

static void
adjust(void *ctx, struct release *release, const struct spec *spec)
{
	struct sim *sim = ctx;

	if (sim->dead)
		return;
	sim->living_world.adjust(ctx, release, spec);
	did(sim, SIM_DIED_ADJUST);
}

/* A worker that nobody knows may have the number that was given before. */
static void
judge_number(struct sim *sim, const struct start *start)
{
	struct sim_given *given;

	for (uint32_t i = 0; i < SIM_SERVICES_MAX; i++) {
		given = &sim->workers_given[(start->service + i) %
		    SIM_SERVICES_MAX];
		if (given->service != 0 && given->service != start->service)
			continue;
		if (start->id.incarnation <= given->last)
			sim_fail(sim, "start: incarnation %u of service %u, "
			    "and %u was given", start->id.incarnation,
			    start->service, given->last);
		*given = (struct sim_given){ .service = start->service,
			.last = start->id.incarnation };
		return;
	}
	sim_fail(sim, "simulator: too many services");
}

static enum start_result
start(void *ctx, const struct start *start, void **ret_process,
    pid_t *ret_pid, char *ret_text)
{
	struct sim *sim = ctx;
	enum start_result result;

	refuse(ret_text);
	if (sim->dead)
		return START_REFUSED;
	result = sim->living_world.start(ctx, start, ret_process, ret_pid,
	    ret_text);
	judge_number(sim, start);
	if (result == START_DONE)
		did(sim, SIM_DIED_START);
	return result;
}

static void
signal(void *ctx, void *process, int signal_number)
{
	struct sim *sim = ctx;

	if (sim->dead)
		return;
	sim->living_world.signal(ctx, process, signal_number);
	did(sim, SIM_DIED_SIGNAL);
}

static void
kill(void *ctx, void *process, enum kill_mode mode)
{
	struct sim *sim = ctx;

	if (sim->dead)
		return;
	sim->living_world.kill(ctx, process, mode);
	did(sim, SIM_DIED_KILL);
}

static int
adopt(void *ctx, void *process, pid_t pid)
{
	struct sim *sim = ctx;
	int result = -EPERM;

	if (!sim->dead)
		result = sim->living_world.adopt(ctx, process, pid);
	if (result == 0)
		did(sim, SIM_DIED_ADOPT);
	return result;
}

/* A hook that has run half may have changed what only its author knows of. */
static void
judge_before(struct sim *sim, const struct task_request *request)
{
	const struct service *s = sim_engine_service(sim, request->service);
	uint64_t *prepared = &sim_draft(sim, s->name)->prepared;

	if (request->kind != TASK_BEFORE)
		return;
	if (*prepared == s->deployment.id)
		sim_fail(sim, "hook: before_rollout is run twice for %llu",
		    (unsigned long long)s->deployment.id);
	*prepared = s->deployment.id;
}

static int
run(void *ctx, const struct task_request *request, char *ret_text)
{
	struct sim *sim = ctx;
	int result;

	refuse(ret_text);
	if (sim->dead)
		return -1;
	result = sim->living_world.run(ctx, request, ret_text);
	if (request->id <= sim->task_given)
		sim_fail(sim, "tasks: %llu, and %llu was given",
		    (unsigned long long)request->id,
		    (unsigned long long)sim->task_given);
	sim->task_given = request->id;
	judge_before(sim, request);
	if (result == 0)
		did(sim, SIM_DIED_RUN);
	return result;
}

static void
cancel(void *ctx, uint64_t id)
{
	struct sim *sim = ctx;

	if (sim->dead)
		return;
	sim->living_world.cancel(ctx, id);
	did(sim, SIM_DIED_CANCEL);
}

static void
arm(void *ctx, uint64_t deadline_ms)
{
	struct sim *sim = ctx;

	if (!sim->dead)
		sim->living_world.arm(ctx, deadline_ms);
}

/* What the ledger says of a revision stands. */
static void
judge_ledger(struct sim *sim, const struct deployment *d)
{
	struct sim_draft *draft = sim_draft(sim, d->service);
	uint64_t *told = &draft->told[d->revision % SIM_REVISIONS_MAX];

	if (*told != 0 && *told != d->fingerprint)
		sim_fail(sim, "ledger: revision %u of %s is two builds",
		    d->revision, d->service);
	*told = d->fingerprint;
}

static void
record(void *ctx, const struct deployment *d)
{
	struct sim *sim = ctx;

	if (sim->dead)
		return;
	sim->living_world.record(ctx, d);
	judge_ledger(sim, d);
	did(sim, SIM_DIED_RECORD);
}

static void
publish(void *ctx, const struct notice *notice)
{
	struct sim *sim = ctx;

	if (!sim->dead)
		sim->living_world.publish(ctx, notice);
}

void
sim_death_init(struct sim *sim)
{
	struct world *world = &sim->world;

	sim->living_world = *world;
	world->pin = pin;
	world->clone = clone;
	world->bind = bind;
	world->join = join;
	world->steer = steer;
	world->unbind = unbind;
	world->unpin = unpin;
	world->adjust = adjust;
	world->start = start;
	world->signal = signal;
	world->kill = kill;
	world->adopt = adopt;
	world->run = run;
	world->cancel = cancel;
	world->arm = arm;
	world->record = record;
	world->publish = publish;
}

void
sim_death_boot(struct sim *sim)
{
	memset(sim->workers_given, 0, sizeof(sim->workers_given));
	sim->task_given = 0;
	for (unsigned i = 0; i < SIM_NAMES; i++)
		sim->drafts[i].prepared = 0;
}
