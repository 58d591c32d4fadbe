/*
 * What does not outlive a supd: workers and builds that the world cannot find
 * again, and tasks that ran.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "service.h"
#include "state_fixture.h"

#define WEB(more) "[service web]\ncommand = /bin/web\nready = notify\n" more
#define LANES "listen = 127.0.0.1:80\n"

static void
test_a_worker_that_cannot_be_followed_has_ended(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB("workers = 2\n"));
	stage_make_ready(&stage);
	stage.lost_worker = 2;
	stage_restart(&stage);
	assert_non_null(strstr(stage.said, "cannot be followed any more since "
	    "supd was started anew\nended (how is not known: it was not our "
	    "child)"));
	assert_int_equal(fleet_count(&stage_web(&stage)->fleet).ready, 1);
	stage_turn(&stage, 2000);
	assert_int_equal(fleet_count(&stage_web(&stage)->fleet).live, 2);
	stage_release(&stage);
}

static void
test_a_release_that_is_lost_is_said(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB("workers = 2\n"));
	stage_make_ready(&stage);
	stage.lost_revision = 1;
	stage_restart(&stage);
	assert_string_equal(stage.said, "revision 1 (/bin/web) can start no "
	    "more workers: fd pin-1 is missing; those that run go on; a reload "
	    "or an undo brings another\n");
	assert_int_equal(fleet_count(&stage_web(&stage)->fleet).ready, 2);
	stage_release(&stage);
}

/* As far as the turn after which it is run. */
static void
begin_prepared_rollout(struct stage *stage)
{
	stage_boot(stage, WEB(""));
	stage_make_ready(stage);
	stage_reload(stage, WEB("watchdog = 9s\nbefore_rollout = /bin/b\n"));
	assert_int_equal(stage->last_task, 0);
}

/* Between two turns nothing is lost. */
static void
test_before_rollout_is_run_by_the_next_supd(void **state)
{
	struct stage stage;

	(void)state;
	begin_prepared_rollout(&stage);
	stage_restart(&stage);
	stage_turn(&stage, 0);
	assert_int_not_equal(stage.last_task, 0);
	assert_int_equal(stage.last_kind, TASK_BEFORE);
	stage_end_task(&stage, 0);
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_CLIMB);
	stage_release(&stage);
}

/* From the state, of a supd that has ended in the turn after it. */
static void
restart_in_a_turn(struct stage *stage)
{
	char why[REASON_BYTES_MAX] = "";
	struct state_image *image = state_read(stage->log, stage->log_bytes,
	    why);

	assert_string_equal(why, "");
	state_turn_was_lost(image);
	state_forget(&stage->engine);
	state_resume(image, &stage->engine, &stage->world);
	state_lost(stage->state);
}

/* The turn that was lost may have run it. */
static void
test_before_rollout_may_have_been_run(void **state)
{
	struct stage stage;

	(void)state;
	begin_prepared_rollout(&stage);
	restart_in_a_turn(&stage);
	stage_turn(&stage, 1);
	assert_int_equal(stage.last_task, 0);
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_IDLE);
	assert_non_null(strstr(stage_web(&stage)->last.reason, "how it ended is "
	    "not known"));
	stage_release(&stage);
}

static void
test_before_rollout_is_not_run_twice(void **state)
{
	struct stage stage;

	(void)state;
	begin_prepared_rollout(&stage);
	stage_turn(&stage, 0);
	assert_int_equal(stage.last_kind, TASK_BEFORE);
	stage.last_task = 0;
	stage.keeps_tasks = false;
	stage_restart(&stage);
	stage_turn(&stage, 1);
	assert_int_equal(stage.last_task, 0);
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_IDLE);
	assert_int_equal(stage_web(&stage)->rollout.stable, 1);
	assert_string_equal(stage_web(&stage)->last.reason, "before_rollout failed: "
	    "supd was started anew meanwhile, and how it ended is not known; "
	    "nothing was changed");
	/* which is no verdict about the build */
	assert_false(stage_web(&stage)->releases[1].quarantined);
	stage_release(&stage);
}

static void
test_the_version_is_asked_again(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB(""));
	stage_make_ready(&stage);
	stage_reload(&stage, WEB("watchdog = 9s\nversion = exec /bin/v\n"));
	assert_int_equal(stage.last_kind, TASK_VERSION);
	stage.last_task = 0;
	stage.keeps_tasks = false;
	stage_restart(&stage);
	assert_int_not_equal(stage.last_task, 0);
	stage_end_task(&stage, 0);
	assert_int_equal(stage_web(&stage)->rollout.phase, ROLLOUT_CLIMB);
	assert_string_equal(stage_web(&stage)->deployment.version, "1.0");
	stage_release(&stage);
}

/* It does not wait for what will not come. */
static void
test_probes_and_analyses_are_asked_again(void **state)
{
	struct stage stage;
	struct judge *judge;

	(void)state;
	stage_boot(&stage, WEB(LANES "workers = 2\n"));
	stage_make_ready(&stage);
	stage_reload(&stage, WEB(LANES "workers = 2\nstrategy = canary\n"
	    "probe = tcp\nanalysis = /bin/a\nwatchdog = 9s\n"));
	stage_make_ready(&stage);
	judge = &stage_web(&stage)->judge;
	assert_int_not_equal(judge->probes[LANE_CANDIDATE].task, 0);
	judge->analysis = 77;
	judge->analysis_began_ms = stage.now_ms;
	judge->probes[LANE_CANDIDATE].failing_count = 2;
	stage_turn(&stage, 0);
	stage.last_task = 0;
	stage.keeps_tasks = false;
	stage_restart(&stage);
	judge = &stage_web(&stage)->judge;
	assert_int_equal(judge->analysis, 0);
	assert_int_equal(judge->analysis_began_ms, 0);
	assert_int_equal(judge->probes[LANE_CANDIDATE].task, 0);
	assert_int_equal(judge->probes[LANE_CANDIDATE].failing_count, 2);
	stage_turn(&stage, 0);
	assert_int_not_equal(judge->probes[LANE_CANDIDATE].task, 0);
	stage_release(&stage);
}

/* What it was told last may be of a turn that is not in the state. */
static void
test_the_kernel_is_told_again(void **state)
{
	struct stage stage;

	(void)state;
	stage_boot(&stage, WEB(LANES "workers = 2\n"));
	stage_make_ready(&stage);
	stage_restart(&stage);
	assert_int_equal(stage.steer_count, 0);
	stage_reload(&stage, WEB(LANES "workers = 2\nstrategy = canary\n"
	    "steps = 50% pause, 100%\nwatchdog = 9s\n"));
	for (unsigned i = 0; i < 3; i++)
		stage_make_ready(&stage);
	assert_int_equal(stage_web(&stage)->rollout.weight_permille, 500);
	stage.steer_count = stage.steered_permille = 0;
	stage_restart(&stage);
	assert_int_equal(stage.steer_count, 1);
	assert_int_equal(stage.steered_permille, 500);
	stage_release(&stage);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_a_worker_that_cannot_be_followed_has_ended),
		cmocka_unit_test(test_a_release_that_is_lost_is_said),
		cmocka_unit_test(test_before_rollout_is_run_by_the_next_supd),
		cmocka_unit_test(test_before_rollout_may_have_been_run),
		cmocka_unit_test(test_before_rollout_is_not_run_twice),
		cmocka_unit_test(test_the_version_is_asked_again),
		cmocka_unit_test(test_probes_and_analyses_are_asked_again),
		cmocka_unit_test(test_the_kernel_is_told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
