/*
 * Scripts for the planner's tests: a list of what happens, and of what the
 * planner is to do about it, as text.
 *
 * One line is one turn of the loop: `event` happens, then the planner is asked
 * until it has nothing more to do now, and its actions are compared with
 * `actions`.  Every tick is checked by invariants.h besides.
 *
 *   events    start R        revision R is in charge, nothing runs
 *             begin R        a rollout to R begins
 *             ready W, reloading W, stopping W       W says so; W = slot.start
 *             pet W                                  a sign of life
 *             exit W, clean W                        W fails, or ends well
 *             refused W, broken W    W gets no process, or cannot be executed
 *             recall, supersede, pause, resume, promote, workers N
 *             prepared, hook-failed          before_rollout has ended
 *             probed, unhealthy              a probe passed, or it failed
 *             good, bad, inconclusive        the analysis
 *             deaf           nobody accepts, and what waits is handed over
 *             busy                           a queue that is to get empty is not
 *             refused N                      the weight stays what it was, N
 *             wait MS        time passes, with a turn at its end
 *             and, separated by `; `, several in one turn
 *   actions   start W/R, drain W WHY, kill W, step N, back (FAULT) [W],
 *             pause [(FAULT) [W]], weight PERMILLE, keep, retire,
 *             VERDICT (FAULT) [W], separated by `, `
 */
#ifndef SUPD_TESTS_ROLLOUT_SCRIPT_H
#define SUPD_TESTS_ROLLOUT_SCRIPT_H

#include "rollout.h"

struct turn {
	const char *event;
	const char *actions;
};

/* A policy with round numbers: ready 100, drain 50, progress 1000, quiet 20 to
 * 60, leave 30 ms. */
struct policy script_policy(uint32_t workers, uint32_t surge,
    uint32_t unavailable);

/* Plays the turns until one without an event; fails the test that called it. */
void script_play(const struct policy *, const struct turn *);

/* The same for another course than rolling; `prepares`: `begin` does not say
 * `prepared`, too. */
void script_play_course(const struct policy *, const struct course *,
    bool prepares, const struct turn *);

#endif
