#!/bin/sh
# Breaks the planner on purpose, one line at a time, and sees whether the
# explorer notices.  Each mutant is a copy of the modules in which exactly one
# line was replaced; a replacement that no longer applies is a failure too.
# Prints TAP, with the invariant that caught the mutant.
#
#   mutants.sh [DIRECTORY]            default: $top_srcdir or .
set -u
export LC_ALL=C

top=${1:-${top_srcdir:-.}}
top=$(cd "$top" && pwd) || exit 2
cc=${CC:-gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

cd "$top" || exit 2
modules='worker backoff strategy fleet rollout rollout_cursor rollout_finish
rollout_fleet rollout_lane rollout_verb'
compile() {     # SOURCE OBJECT
	"$cc" -std=gnu17 -O1 -w -D_GNU_SOURCE -iquote include -iquote tests \
	    -c "$1" -o "$2"
}

case_count=0
failed=0
report() {      # ok|'not ok', NAME
	case_count=$((case_count + 1))
	[ "$1" = ok ] || failed=$((failed + 1))
	echo "$1 $case_count - $2"
}

mkdir "$work/tests" "$work/good" "$work/bad"
for source in tests/explore*.c tests/invariants*.c; do
	name=${source##*/}
	compile "$source" "$work/tests/${name%.c}.o" || exit 2
done
for module in $modules; do
	compile "src/$module.c" "$work/good/$module.o" || exit 2
done

explore() {     # DIRECTORY OF OBJECTS
	"$cc" "$work"/tests/*.o "$1"/*.o -o "$work/explore" || return 2
	timeout 60 "$work/explore" --mutants --first >"$work/log" 2>&1
}

# mutant NAME MODULE LINE REPLACEMENT: LINE stands there once, but for blanks.
mutant() {
	if ! awk -v line="$3" -v new="$4" '
	{
		text = $0
		gsub(/^[ \t]+|[ \t]+$/, "", text)
		if (text == line) {
			found++
			$0 = new
		}
		print
	}
	END { exit found != 1 }' "src/$2.c" >"$work/$2.c"; then
		report 'not ok' "$1: does not apply to $2.c"
		return
	fi
	cp "$work"/good/*.o "$work/bad/"
	if ! compile "$work/$2.c" "$work/bad/$2.o"; then
		report 'not ok' "$1: does not compile"
		return
	fi
	explore "$work/bad"
	case $? in
	0) report 'not ok' "$1: nobody noticed" ;;
	124) report 'not ok' "$1: the explorer does not end" ;;
	*) report ok "$1: $(grep -a -m 1 -E '^# broken|ssertion' "$work/log" |
	    sed 's/^# broken: //')" ;;
	esac
}

if explore "$work/good"; then
	report ok "nothing is broken"
else
	report 'not ok' "nothing is broken"
	head -n 40 "$work/log" | sed 's/^/# /'
fi

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
# Lanes, steps that hold, verbs
mutant "weight before all candidates are ready" rollout_cursor \
    'if (!tick_is_available(t, c) || !cursor_is_probed(t, c))' \
    'if (c == NULL || !cursor_is_probed(t, c))'
mutant "weight before the probe has passed" rollout_cursor \
    'return !t->policy->probe || (w != NULL &&' 'return true || (w != NULL &&'
mutant "a probe of before the worker was ready counts" rollout_verb \
    'return r->probed_ms != NOT_YET_MS && r->probed_ms >= w->ready_ms;' \
    'return r->probed_ms != NOT_YET_MS;'
mutant "a hold is not waited for" rollout_cursor \
    'if (t->now_ms - r->reached_ms < step->hold_ms) {' 'if (false) {'
mutant "a step that pauses does not" rollout_cursor \
    'if (!step->pause || r->approved || is_free_to_pass(t))' 'if (true)'
mutant "no analysis is waited for" rollout_cursor \
    'return r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms;' \
    'return true;'
mutant "an analysis of the step before counts" rollout_cursor \
    'return r->analysed_ms != NOT_YET_MS && r->analysed_ms >= r->reached_ms;' \
    'return r->analysed_ms != NOT_YET_MS;'
mutant "an approval outlives its step" rollout_cursor \
    't->rollout->approved = false;' ';'
mutant "a promotion passes before its workers are ready" rollout_cursor \
    'if (!is_gathered(t, &step))' 'if (!r->promoted && !is_gathered(t, &step))'
mutant "a bad verdict keeps its weight" rollout_lane \
    'if (r->fault != FAULT_NONE || strategy_is_beside(&r->course) ||' \
    'if (r->recall != FAULT_NONE ||'
mutant "weight for a lane with nobody" rollout_lane \
    'lane_ready_count(t, gains) != 0)' 'true)'
mutant "the old lane is left before it is quiet" rollout_lane \
    'return is_quiet(t);' 'return true;'
mutant "a lane that stays busy is never left" rollout_lane \
    'if (t->now_ms >= empty_ms || t->now_ms >= latest_ms)' \
    'if (t->now_ms >= empty_ms)'
mutant "a queue that fills again does not matter" rollout_lane \
    'uint64_t empty_ms = r->busy_ms > r->steered_ms ? r->busy_ms :' \
    'uint64_t empty_ms = false ? r->busy_ms :'
mutant "the last worker of a lane with weight goes" rollout_lane \
    'return !r->course.split || lane_ready_count(t, lane) > 1;' 'return true;'
mutant "a refused steering is not tried again" rollout_verb \
    'r->weight_permille = weight_permille;' ';'
mutant "the kernel is asked again at once" rollout_lane \
    'if (t->now_ms < r->steer_after_ms) {' 'if (false) {'
mutant "it ends in the plan that steers" rollout_finish \
    'if (t->steered) {       /* first see whether that has worked */' 'if (false) {'
mutant "old workers are not kept" rollout_cursor \
    'if (!r->promoted && t->now_ms - r->reached_ms < step.hold_ms)' 'if (false)'
mutant "a failure while the old ones are kept only pauses" rollout_cursor \
    '(r->phase == ROLLOUT_CLIMB || r->phase == ROLLOUT_PAUSED);' \
    'r->phase != ROLLOUT_PREPARE;'
mutant "it begins before it is prepared" rollout_verb \
    'enter(r, ROLLOUT_PREPARE, now_ms);' 'enter(r, ROLLOUT_CLIMB, now_ms);'
mutant "what is left behind is not waited for" rollout_finish \
    'if (t->now_ms >= latest_ms)' 'if (true)'
echo "1..$case_count"
[ "$failed" -eq 0 ]
