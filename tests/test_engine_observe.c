/*
 * What the engine observes while a step lasts: the kernel's count of connections
 * may be known, unknown, or 0 because nobody ever came.
 */
#include "engine_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command_parts.h"

static uint64_t accepted;
static struct service service;

static uint64_t
world_accepted(void *ctx)
{
	(void)ctx;
	return accepted;
}

static uint64_t
world_now_ms(void *ctx)
{
	(void)ctx;
	return 1000;
}

static const struct world world = {
	.accepted = world_accepted, .now_ms = world_now_ms,
};
static struct engine engine = { .world = &world };

/* A canary without workers, so that only connections are observed. */
static int
set_up(void **state)
{
	(void)state;
	memset(&service, 0, sizeof(service));
	service.deployment.id = 1;
	service.deployment.strategy = "canary";
	service.deployment.course = service.rollout.course =
	    (struct course){ STRATEGY_CANARY, .split = true };
	service.rollout.phase = ROLLOUT_CLIMB;
	return 0;
}

/* A step of this weight begins when so many were accepted. */
static void
begin(uint64_t count, uint32_t permille)
{
	accepted = count;
	service.rollout.weight_permille = permille;
	engine_observe(&engine, &service);
}

static void
end(uint64_t count)
{
	accepted = count;
	engine_update_observation(&engine, &service);
}

/* Of one step; -1 is null. */
static void
assert_connections(size_t step, json_int_t all, json_int_t candidate)
{
	json_t *deployment = command_deployment(&service.deployment);
	const json_t *o = json_array_get(json_object_get(deployment,
	    "observations"), step);
	const json_t *of_all = json_object_get(o, "connections");
	const json_t *of_candidate = json_object_get(o,
	    "candidate_connections");

	assert_non_null(of_all);
	assert_non_null(of_candidate);
	assert_int_equal(json_is_null(of_all) ? -1 :
	    json_integer_value(of_all), all);
	assert_int_equal(json_is_null(of_candidate) ? -1 :
	    json_integer_value(of_candidate), candidate);
	json_decref(deployment);
}

static void
test_nobody_ever_came(void **state)
{
	(void)state;
	begin(0, 250);
	begin(1000, 500);
	end(1000);
	assert_connections(0, 1000, 250);
	assert_connections(1, 0, 0);
}

static void
test_each_step_has_its_own(void **state)
{
	(void)state;
	begin(70, 50);
	begin(170, 1000);
	end(180);
	assert_connections(0, 100, 5);
	assert_connections(1, 10, 10);
}

static void
test_not_known(void **state)
{
	(void)state;
	begin(CONNECTIONS_UNKNOWN, 250);
	begin(500, 500);
	end(CONNECTIONS_UNKNOWN);
	assert_connections(0, -1, -1);
	assert_connections(1, -1, -1);
}

static void
test_not_known_as_yet(void **state)
{
	(void)state;
	begin(70, 50);
	assert_connections(0, -1, -1);
}

/* More steps than are kept: the last one goes on. */
static void
test_the_last_goes_on(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < STEPS_MAX + 2; i++)
		begin(10 * i, 1 + i);
	end(1000);
	assert_int_equal(service.deployment.observation_count, STEPS_MAX);
	assert_connections(STEPS_MAX - 2, 10, 0);
	service.deployment.observations[STEPS_MAX - 1].weight_permille = 500;
	assert_connections(STEPS_MAX - 1, 1000 - 10 * (STEPS_MAX - 1),
	    (1000 - 10 * (STEPS_MAX - 1)) / 2);
}

/* The listeners may be of another kind than those that are counted. */
static void
test_without_lanes(void **state)
{
	(void)state;
	service.deployment.course.split = service.rollout.course.split = false;
	begin(70, 0);
	end(170);
	assert_int_equal(service.deployment.observation_count, 1);
	assert_connections(0, -1, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nobody_ever_came, set_up),
		cmocka_unit_test_setup(test_each_step_has_its_own, set_up),
		cmocka_unit_test_setup(test_not_known, set_up),
		cmocka_unit_test_setup(test_not_known_as_yet, set_up),
		cmocka_unit_test_setup(test_the_last_goes_on, set_up),
		cmocka_unit_test_setup(test_without_lanes, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
