#!/bin/sh
# Breaks the planner on purpose and sees whether the explorer notices; see
# mutants-lib.sh.
#
#   mutants.sh [DIRECTORY [PART OF A NAME]]   default: $top_srcdir or .
. "${0%/*}/mutants-lib.sh"

libraries=

play() {
	limited 60 "$bench/program" --mutants --first >"$bench/log" 2>&1
}

caught_by() {
	grep -a -m 1 -E '^# broken|ssertion' "$bench/log" |
	    sed 's/^# broken: //'
}

mutants() {
mutant "the candidate starts where the old release crashed" rollout_fleet \
    '!t->fleet->slots[slot].handed_over;' \
    't->fleet->slots[slot].candidate_live == NULL;'
mutant "the floor is one lower" rollout_fleet \
    'return t->available > t->floor;' 'return t->available + 1 > t->floor;'
mutant "the ceiling is one higher" rollout_fleet \
    'return t->count.live < t->ceiling;' 'return t->count.live <= t->ceiling;'
mutant "a start is not counted" rollout_fleet 't->count.live++;' ''
mutant "a step is passed with one candidate fewer" rollout_cursor \
    'for (uint32_t i = 0; i < step->candidates; i++) {' \
    'for (uint32_t i = 1; i < step->candidates; i++) {'
mutant "candidates start during a rollback" rollout_fleet \
    'case ROLLOUT_ROLLBACK:' 'return false; case ROLLOUT_ROLLBACK: return of_step;'
mutant "min_ready is ignored" rollout \
    't->now_ms - w->ready_ms >= t->policy->min_ready_ms;' 'true;'
mutant "handed over without availability" rollout_fleet \
    'if (!(tick_is_available(t, candidate) &&' \
    'if (!(candidate != NULL &&'
mutant "complete when the last step begins" rollout_finish \
    'return has_arrived(t);' 'return cursor_is_last(t);'
mutant "a crashed old worker is not replaced in a climb" rollout_fleet \
    '!may_start(t, &slot->stable))' \
    't->rollout->phase == ROLLOUT_CLIMB || !may_start(t, &slot->stable))'
mutant "handed_over outlives the rollout" rollout_finish \
    'slot->handed_over = false;' ''
mutant "workers' deadlines are not armed" rollout \
    'tick_wake_at(t, w->deadline_ms);' ';'
mutant "the end of a backoff is not armed" rollout_fleet \
    'tick_wake_at(t, place->backoff.not_before_ms);' ''
mutant "KILL is never sent" rollout_fleet \
    'a = tick_emit(t, ACTION_KILL);' 'a = NULL;'
mutant "availability is not counted again in another phase" rollout_cursor \
    'fleet_tick_index(t);            /* who counts depends on the phase */' ''
mutant "room after a hand-over is not used" rollout_fleet \
    'tick_wake_at(t, t->now_ms);     /* its room may be wanted */' ''
mutant "who stops by itself is replaced before its exit" rollout_fleet \
    'return t->policy->restart != RESTART_ALWAYS ||' 'return false &&'
mutant "an exit is nobody's fault" rollout \
    'rollout_blame(r, w, FAULT_EXITED);' ''
mutant "a late candidate is nobody's fault" rollout_fleet \
    'rollout_blame(t->rollout, w, watchdog ? FAULT_WATCHDOG : FAULT_NOT_READY);' ''
mutant "the progress deadline is not looked at" rollout_cursor \
    'if (due_ms > t->now_ms || r->fault != FAULT_NONE) {' 'if (true) {'
mutant "a refused start fails the rollout" rollout 'if (refused) {' \
    'rollout_blame(r, w, FAULT_SPAWN); if (refused) {'
mutant "READY while draining counts" worker \
    '[WORKER_EVENT_SAID_READY] = WORKER_DRAINING,' \
    '[WORKER_EVENT_SAID_READY] = WORKER_READY,'
mutant "draining has no end" worker \
    'return policy->drain_timeout_ms;' 'return NEVER_MS;'
mutant "steps are one larger" strategy \
    'uint32_t size = strategy_surge(policy, course) + policy->unavailable;' \
    'uint32_t size = strategy_surge(policy, course) + policy->unavailable + 1;'
mutant "who leaves counts as live" fleet \
    'else if (worker_is_live(w))' 'else if (w->state != WORKER_KILLED)'
mutant "no backoff after a failure" backoff \
    'b->not_before_ms = now_ms + delay_ms - jitter_ms;' \
    'b->not_before_ms = now_ms;'
# Steps
mutant "weight before the candidates are ready" rollout_cursor \
    'if (!tick_is_available(t, c) || !cursor_is_probed(t, c))' \
    'if (c == NULL || !cursor_is_probed(t, c))'
mutant "weight before the probe has passed" rollout_cursor \
    'if (!tick_is_available(t, c) || !cursor_is_probed(t, c))' \
    'if (!tick_is_available(t, c))'
mutant "a probe from before the worker was ready counts" rollout_verb \
    'return r->probed_ms != NOT_YET_MS && r->probed_ms >= w->ready_ms;' \
    'return r->probed_ms != NOT_YET_MS;'
mutant "a slot is taken over before the probe" rollout_fleet \
    'cursor_is_probed(t, candidate)) && (candidate != NULL || !no_room))' \
    'true) && (candidate != NULL || !no_room))'
mutant "a hold is ignored" rollout_cursor \
    'if (t->now_ms - r->reached_ms < step->hold_ms) {' 'if (false) {'
mutant "a hold is a lack of progress" rollout_cursor \
    '(t->crowded || is_holding(t)))) {' 't->crowded)) {'
mutant "the clock of a hold runs on in a pause" rollout_verb \
    'uint64_t until_ms = r->phase == ROLLOUT_PAUSED ? r->phase_ms : now_ms;' \
    'uint64_t until_ms = now_ms;'
mutant "what a pause reaches has held before it" rollout_verb \
    'return until_ms > r->reached_ms ? until_ms - r->reached_ms : 0;' \
    'return until_ms - r->reached_ms;'
mutant "a pause keeps the weight from the present step" rollout_cursor \
    '(r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_OPERATOR);' 'false;'
mutant "a pause after a fault gives weight" rollout_cursor \
    '(r->phase == ROLLOUT_PAUSED && r->pause == PAUSE_OPERATOR);' \
    'r->phase == ROLLOUT_PAUSED;'
mutant "a step does not pause" rollout_cursor \
    'if (!step->pause || r->approved || is_free_to_pass(t))' 'if (true)'
mutant "promote skips the readiness too" rollout_cursor \
    'if (!is_gathered(t, &step))' \
    'if (!r->promoted && !is_gathered(t, &step))'
mutant "promote goes step by step" rollout_cursor \
    'if (r->phase == ROLLOUT_CLIMB && r->promoted && r->step < last &&' \
    'if (false &&'
mutant "the analysis is not waited for" rollout_cursor \
    'return r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms;' \
    'return true;'
mutant "an analysis of an earlier step counts" rollout_cursor \
    'return r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms;' \
    'return r->analysed_ms != NOT_YET_MS;'
mutant "an inconclusive analysis does not pause" rollout_verb \
    'if (r->phase != ROLLOUT_CLIMB || r->approved || r->promoted ||' \
    'if (true ||'
mutant "what an operator let pass outlives its step" rollout_cursor \
    't->rollout->approved = false;' ''
mutant "resume after a pause of an operator lets the step pass" rollout_verb \
    '} else if (r->pause != PAUSE_OPERATOR)' '} else'
mutant "the next step is reached as soon as this one" rollout_cursor \
    't->rollout->reached_ms = NOT_YET_MS;' ''
mutant "a step that failed is reached still" rollout_cursor \
    'r->reached_ms = NOT_YET_MS;' ''
mutant "a probe from before a fault counts after it" rollout_verb \
    'r->probed_ms = r->analysed_ms = NOT_YET_MS;' ''
mutant "a failed probe is nobody's fault" rollout_verb 'r->fault = fault;' ''

# Lanes
mutant "a bad release keeps its weight" rollout_lane \
    'return weight_on_the_way_back(t);' 'return r->weight_permille;'
mutant "a bad release keeps its share" rollout_lane \
    'if (r->fault != FAULT_NONE || strategy_is_beside(&r->course) ||' \
    'if (strategy_is_beside(&r->course) ||'
mutant "a release paused as bad keeps its weight" rollout_cursor \
    'r->granted_permille = 0;' ''
mutant "weight for a lane without anybody" rollout_lane \
    'lane_ready_count(t, gains) != 0)' 'true)'
mutant "the base becomes a lane without anybody" rollout_lane \
    'lane_ready_count(t, r->stable) != 0 || lane_ready_count(t, r->base) == 0)' \
    'true)'
mutant "all the weight with the first slot" rollout_lane \
    'return candidates * WHOLE_PERMILLE / (candidates + stable);' \
    'return candidates != 0 ? WHOLE_PERMILLE : 0;'
mutant "a lane is drained before it is quiet" rollout_lane \
    'return is_given_up(t, lane) || is_quiet(t);' 'return true;'
mutant "nobody looks at the queue" rollout_verb 'r->busy_ms = now_ms;' ''
mutant "nobody looks at the queue in KEEP" rollout_verb \
    'return r->course.split && r->phase != ROLLOUT_IDLE &&' \
    'return r->course.split && r->phase != ROLLOUT_KEEP &&'
mutant "a queue that fills again does not matter" rollout_lane \
    'uint64_t empty_ms = r->busy_ms > r->steered_ms ? r->busy_ms :' \
    'uint64_t empty_ms = false ? r->busy_ms :'
mutant "a queue is waited for for ever" rollout_lane \
    'uint64_t latest_ms = r->steered_ms + t->policy->quiet_max_ms;' \
    'uint64_t latest_ms = NEVER_MS;'
mutant "when it was steered is not noted" rollout_lane \
    'r->steered_ms = t->now_ms;' ''
mutant "the last worker of a lane with weight is drained" rollout_lane \
    'return !r->course.split || lane_ready_count(t, lane) > 1;' 'return true;'
mutant "a refusal of the kernel is forgotten" rollout_verb \
    'r->weight_permille = weight_permille;' ''
mutant "a refusal of the kernel is nobody's fault" rollout_verb \
    'rollout_fail(r, FAULT_STEER);' ''
mutant "the kernel is asked again at once" rollout_lane \
    'if (t->now_ms < r->steer_after_ms) {' 'if (false) {'
mutant "when to ask the kernel again is not noted" rollout_verb \
    'r->steer_after_ms = again_ms;' ''
mutant "a step is reached though its weight cannot be given" rollout_cursor \
    'if (t->now_ms < r->steer_after_ms) {    /* it could not be given */' \
    'if (false) {'

# Two sets, and the end
mutant "both sets count for the floor" rollout_fleet \
    'return !strategy_is_beside(&r->course) ||' 'return true ||'
mutant "one more where a lane needs one" strategy \
    'course->split ? 1 : 0;      /* a lane needs somebody in it */' \
    'course->split ? 2 : 0;'
mutant "keep_old is ignored" rollout_cursor \
    'if (!r->promoted && t->now_ms - r->reached_ms < step.hold_ms)' \
    'if (false)'
mutant "what was promoted does not keep the old set" rollout_cursor \
    'r->promoted = false;    /* that was for the steps before */' ''
mutant "the old set is drained while it is kept" rollout_fleet \
    'r->phase == ROLLOUT_RETIRE)' 'rollout_is_in_charge(r))'
mutant "the old set is kept, but not filled" rollout_fleet \
    'if (slot->stable_live != NULL || !wants_stable(t, i) ||' \
    'if (slot->stable_live != NULL || !wants_stable(t, i) ||
	t->rollout->phase == ROLLOUT_KEEP ||'
mutant "a failure while the old set is kept pauses" rollout_cursor \
    '(r->phase == ROLLOUT_CLIMB || r->phase == ROLLOUT_PAUSED);' \
    'r->phase != ROLLOUT_RETIRE;'
mutant "a newer release takes back what is in charge" rollout_verb \
    'if (recall == FAULT_SUPERSEDED && rollout_is_in_charge(r)) {' \
    'if (false) {'
mutant "nobody can go back while the old lane is emptied" rollout_cursor \
    'return r->recall != FAULT_NONE || r->fault == FAULT_PROGRESS;' \
    'return r->fault == FAULT_PROGRESS;'
mutant "complete before the old workers have left" rollout_finish \
    'if (tick_has_live(t, r->stable) || !has_left(t, r->stable))' \
    'if (tick_has_live(t, r->stable))'
mutant "back before the candidates have left" rollout_finish \
    'return !r->course.split || r->recall == FAULT_SUPERSEDED ||' \
    'return true ||'
mutant "the end comes with the plan that steers" rollout_finish \
    'if (t->steered) {       /* first see whether that has worked */' \
    'if (false) {'
mutant "the base stays with the old lane" rollout_finish \
    'if (complete ? r->course.split || r->base == r->stable :' \
    'if (complete ? r->base == r->candidate :'
mutant "it begins before it is prepared" rollout_verb \
    'enter(r, ROLLOUT_PREPARE, now_ms);' 'enter(r, ROLLOUT_CLIMB, now_ms);'
mutant "who leaves is not waited for" rollout_finish \
    'if (t->now_ms >= latest_ms)' 'if (true)'
mutant "a hook that failed is a rollback" rollout_finish \
    'if (r->fault == FAULT_HOOK)' 'if (false)'

}

begin "$@"
compile_all tests tests/explore*.c tests/invariants*.c
compile_all good src/rollout*.c src/fleet.c src/worker.c src/backoff.c \
    src/strategy.c
try_all
