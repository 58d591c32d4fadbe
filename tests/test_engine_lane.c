/*
 * Lanes as the engine decides about them, almost without a world: who gets one,
 * whose queue is looked at, who is probed.  Revision 2 is in charge, 3 is what a rollback left,
 * 4 is new; each stands for a lane of its own, but 4 shares one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "engine_parts.h"

enum { STABLE = 2, LEFT = 3, NEW = 4, NOW_MS = 1000 };

struct stage {
	struct engine engine;
	struct service service;
	struct spec spec;
	struct release releases[3];
	struct slot slots[2];
	struct worker workers[4];
	struct mate mates[4];
	char lanes[NEW + 1];            /* their addresses are shards */
};

static uint32_t waits_for;              /* the revision with a queue */

static uint64_t
now_ms(void *ctx)
{
	(void)ctx;
	return NOW_MS;
}

static uint32_t
queued(void *ctx, const struct release *release)
{
	(void)ctx;
	return release->revision == waits_for;
}

static const struct spec *asked;        /* what the last probe was about */

static int
run(void *ctx, const struct task_request *request, char *ret_text)
{
	(void)ctx;
	(void)ret_text;
	assert_int_equal(request->kind, TASK_PROBE);
	asked = request->spec;
	return 0;
}

static const struct world world = { .now_ms = now_ms, .queued = queued,
	.run = run };

static struct release *
keep(struct stage *s, uint32_t revision, uint32_t lane)
{
	struct release *release = &s->releases[revision - STABLE];

	*release = (struct release){ .revision = revision, .spec = &s->spec,
		.shards = { (struct shard *)(void *)&s->lanes[lane] },
		.shard_count = 1 };
	s->service.releases[revision - STABLE].release = release;
	return release;
}

static void
hire(struct stage *s, uint32_t slot, uint32_t revision)
{
	s->workers[slot] = (struct worker){ .id = { slot, slot + 1 },
		.revision = revision, .state = WORKER_READY };
}

static void
set_up(struct stage *s, uint32_t base)
{
	memset(s, 0, sizeof(*s));
	s->engine.world = &world;
	s->spec.lanes = true;
	s->service.spec = &s->spec;
	s->service.policy.surge = 1;
	s->service.fleet = (struct fleet){ .slots = s->slots,
		.slot_capacity = 2, .workers = s->workers,
		.worker_capacity = 4 };
	s->service.mates = s->mates;
	s->service.rollout.stable = STABLE;
	s->service.rollout.base = base;
	(void)keep(s, STABLE, STABLE);
	(void)keep(s, LEFT, LEFT);
}

static bool
is_split(struct stage *s, const struct release *release,
    enum deployment_kind kind)
{
	return engine_course(&s->service, release, kind,
	    STRATEGY_ROLLING).split;
}

/* Nothing comes of a lane for who is rolled without a probe. */
static void
who_is_rolled_shares_the_lane_in_charge(void **state)
{
	struct stage s;

	(void)state;
	set_up(&s, STABLE);
	assert_false(is_split(&s, keep(&s, NEW, STABLE), DEPLOYMENT_RELOAD));
	s.spec.probe = PROBE_TCP;
	assert_true(is_split(&s, keep(&s, NEW, STABLE), DEPLOYMENT_RELOAD));
}

/* It would share the lane of what is to go. */
static void
who_repairs_has_a_lane_while_the_left_serves(void **state)
{
	struct stage s;

	(void)state;
	set_up(&s, LEFT);
	hire(&s, 0, LEFT);
	assert_true(is_split(&s, keep(&s, NEW, LEFT), DEPLOYMENT_RELOAD));
	assert_true(is_split(&s, keep(&s, NEW, LEFT), DEPLOYMENT_UNDO));
	/* a restart shares the lane in charge, whatever the others do */
	assert_false(is_split(&s, keep(&s, NEW, STABLE), DEPLOYMENT_RESTART));
	s.spec.lanes = false;
	assert_false(is_split(&s, keep(&s, NEW, LEFT), DEPLOYMENT_RELOAD));
}

static void
who_has_a_lane_still_keeps_it(void **state)
{
	struct stage s;
	struct release *old;

	(void)state;
	set_up(&s, STABLE);
	old = keep(&s, LEFT, LEFT);
	assert_false(is_split(&s, old, DEPLOYMENT_UNDO));
	hire(&s, 1, LEFT);
	assert_true(is_split(&s, old, DEPLOYMENT_UNDO));
}

static bool
is_busy(struct stage *s, uint32_t revision)
{
	waits_for = revision;
	s->service.rollout.busy_ms = 0;
	engine_look_at_queue(&s->engine, &s->service);
	return s->service.rollout.busy_ms == NOW_MS;
}

/* Also outside a rollout: it is drained when the release in charge serves. */
static void
the_queue_of_what_was_left_is_looked_at(void **state)
{
	struct stage s;

	(void)state;
	set_up(&s, STABLE);
	assert_false(is_busy(&s, LEFT));        /* nobody is there */
	hire(&s, 0, STABLE);
	hire(&s, 1, LEFT);
	assert_true(is_busy(&s, LEFT));
	assert_false(is_busy(&s, STABLE));      /* it has all the weight */
	(void)keep(&s, LEFT, STABLE);
	assert_false(is_busy(&s, LEFT));        /* and so has its lane */
}

static void
the_queue_of_a_lane_without_weight_is_looked_at(void **state)
{
	struct stage s;
	struct rollout *r = &s.service.rollout;

	(void)state;
	set_up(&s, STABLE);
	(void)keep(&s, NEW, NEW);
	r->candidate = NEW;
	r->course.split = true;
	for (r->phase = ROLLOUT_CLIMB; r->phase < ROLLOUT_PHASE_COUNT;
	    r->phase++) {
		r->weight_permille = 0;
		assert_true(is_busy(&s, NEW));
		assert_false(is_busy(&s, STABLE));
		r->weight_permille = 500;
		assert_false(is_busy(&s, NEW));
		assert_false(is_busy(&s, STABLE));
		r->weight_permille = WHOLE_PERMILLE;
		assert_false(is_busy(&s, NEW));
		assert_true(is_busy(&s, STABLE));
	}
}

/* A probe that the file has lost is the only one that such a worker has. */
static void
who_is_ready_by_its_probe_is_asked_it(void **state)
{
	struct stage s;
	struct spec old = { .ready = READY_PROBE, .probe = PROBE_TCP,
		.probe_interval_ms = 500 };

	(void)state;
	set_up(&s, STABLE);
	s.releases[0].spec = &old;
	hire(&s, 0, STABLE);
	asked = NULL;
	assert_true(engine_probe_turn(&s.engine, &s.service) == NEVER_MS);
	assert_null(asked);
	s.workers[0].state = WORKER_STARTING;
	s.workers[0].started_ms = NOW_MS - 100;
	(void)engine_probe_turn(&s.engine, &s.service);
	assert_ptr_equal(asked, &old);
	s.service.judge = (struct judge){ 0 };
	s.spec.probe = PROBE_HTTP;              /* the file has another */
	(void)engine_probe_turn(&s.engine, &s.service);
	assert_ptr_equal(asked, &s.spec);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_rolled_shares_the_lane_in_charge),
		cmocka_unit_test(who_repairs_has_a_lane_while_the_left_serves),
		cmocka_unit_test(who_has_a_lane_still_keeps_it),
		cmocka_unit_test(the_queue_of_what_was_left_is_looked_at),
		cmocka_unit_test(
		    the_queue_of_a_lane_without_weight_is_looked_at),
		cmocka_unit_test(who_is_ready_by_its_probe_is_asked_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
