/*
 * Tasks in a real loop, for their tests: a scratch directory as the release's
 * working directory, /bin/sh for what a task does.
 */
#ifndef TESTS_TASK_FIXTURE_H
#define TESTS_TASK_FIXTURE_H

#include "spawn_fixture.h"

#include "reactor.h"
#include "task.h"

enum { TASK_SECONDS_MAX = 20 };         /* for anything; then the test fails */

/* What became of a task. */
struct outcome {
	unsigned call_count;
	struct task_end end;
};

/* The loop's, since the last task_run*(). */
extern unsigned task_turns;

/* As fixture_start_supd(), with a small environment; once, for the group. */
int task_start_supd(void **state);

/* A scratch directory, a loop, and a release; for each test. */
int task_set_up(void **state);
int task_tear_down(void **state);

/* Runs `sh -c text` for the release; no inherited fd, 15 s. */
struct task_order task_order_sh(const char *text);
struct release *task_release(void);

/* task_start() that must succeed; the outcome is cleared. */
struct task *task_begin(const struct task_order *, struct outcome *);

/* It must fail, with these words. */
void task_refused(const struct task_order *, const char *words);

/* Runs the loop until that many tasks in all have ended since the set-up. */
void task_run_until(unsigned end_count);

/* Runs the loop until this says so at the end of a turn. */
void task_run_while(bool (*go_on)(void));

/* One `sh -c`, from its start to its end. */
const struct task_end *task_outcome_of(const char *text);

/* The only child of this process; 0: none. */
pid_t task_child(void);

/* Waits for a child and reaps it: its status. */
int task_wait(pid_t pid);

/* It is ours and was killed by SIGKILL; reaps it. */
void task_assert_killed(pid_t pid);

#define TASK_TEST(name) \
	cmocka_unit_test_setup_teardown(name, task_set_up, task_tear_down)

#endif
