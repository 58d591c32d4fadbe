#!/bin/sh
# Breaks the engine on purpose, one line at a time, and sees whether a short run
# of the simulator notices.  Each mutant is a copy of the modules in which
# exactly one line was replaced; a replacement that no longer applies is a
# failure too.  Prints TAP, with what caught the mutant.
#
#   mutants-engine.sh [DIRECTORY]     default: $top_srcdir or .
set -u
export LC_ALL=C

top=${1:-${top_srcdir:-.}}
top=$(cd "$top" && pwd) || exit 2
cc=${CC:-gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

cd "$top" || exit 2
compile() {     # SOURCE OBJECT
	"$cc" -std=gnu17 -O1 -w -D_GNU_SOURCE -iquote include -iquote src \
	    -iquote tests -c "$1" -o "$2"
}

case_count=0
failed=0
report() {      # ok|'not ok', NAME
	case_count=$((case_count + 1))
	[ "$1" = ok ] || failed=$((failed + 1))
	echo "$1 $case_count - $2"
}

mkdir "$work/tests" "$work/good" "$work/bad"
for source in tests/simulate.c tests/sim_*.c tests/invariants*.c; do
	name=${source##*/}
	compile "$source" "$work/tests/${name%.c}.o" || exit 2
done
for source in src/engine*.c src/service.c src/rollout*.c src/fleet.c \
    src/worker.c src/backoff.c src/strategy.c src/notice.c src/release.c \
    src/label.c src/spec*.c src/config*.c src/fd.c src/log.c; do
	name=${source##*/}
	compile "$source" "$work/good/${name%.c}.o" || exit 2
done

simulate() {    # DIRECTORY OF OBJECTS
	"$cc" "$work"/tests/*.o "$1"/*.o -linih -o "$work/simulate" ||
	    return 2
	timeout 60 "$work/simulate" -n 8000 >"$work/log" 2>&1
}

caught_by() {
	if ! grep -a -m 1 -E 'ssertion|^# broken' "$work/log"; then
		echo "never happened:" \
		    "$(sed -n 's/^# \([A-Z_]*\) .* !$/\1/p' "$work/log")"
	fi | sed 's/^# broken, //'
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
	simulate "$work/bad"
	case $? in
	0) report 'not ok' "$1: nobody noticed" ;;
	2) report 'not ok' "$1: does not link" ;;
	124) report 'not ok' "$1: the simulator does not end" ;;
	*) report ok "$1: $(caught_by)" ;;
	esac
}

if simulate "$work/good"; then
	report ok "nothing is broken"
else
	report 'not ok' "nothing is broken"
	head -n 80 "$work/log" | sed 's/^/# /'
fi

mutant "a rollout's end is not recorded" engine_deploy \
    'engine_record(engine, s, &d, a->verdict);' ''
mutant "what waits never begins" engine_deploy \
    'begin_next(engine, s);' ''
mutant "a newer release does not take the running one back" engine_deploy \
    'rollout_recall(&s->rollout, FAULT_SUPERSEDED);' ''
mutant "a bad build is not quarantined" engine_deploy \
    'service_set_quarantine(s, kept->release);' ''
mutant "a quarantine is not lifted" engine_deploy \
    'service_lift_quarantine(s, kept->release->fingerprint);' ''
mutant "who took charge of a stopped service is not noted" engine_deploy \
    'judge(engine, s, d, VERDICT_COMPLETE, FAULT_NONE);' ''
mutant "undo goes to the oldest release" service \
    'kept->release->revision > best->release->revision)' \
    'kept->release->revision < best->release->revision)'
mutant "undo goes to a release that was undone" service \
    'kept->quarantined || kept->release->revision >= before ||' \
    'kept->release->revision >= before ||'
mutant "a release is never let go" service \
    'engine->world->unpin(engine->world->ctx, kept->release);' ''
mutant "a release is let go while it has workers" service \
    'fleet_count_revision(&s->fleet, revision) != 0;' 'false;'
mutant "there is room only for who is live" service \
    'wanted += fleet->worker_capacity - fleet_count(fleet).free;' ''
mutant "an ended worker's handle is kept" engine_event \
    'service_clear_mate(service_mate(s, w));' ''
mutant "the quarantine is not asked" engine_reload \
    '!service_is_quarantined(s, release->fingerprint))' 'true)'
mutant "who joins a rollout is not taken over" engine_reload \
    'adopt_spec(engine, s, target_release(s), intent->spec);' ''
mutant "the planner is not told what became of a start" engine \
    'if (plan.action_count == 0)' 'if (plan.action_count = 0, true)'
mutant "a removed service stays" engine 'drop_removed(engine);' ''
mutant "the last service's deadline is armed, not the first" engine \
    'if (next_ms < deadline_ms)' ''
mutant "who is drained is not told" engine_act \
    'world->signal(world->ctx, process, drain_signal(s, a));' ''
mutant "a service that stops goes on with its rollout" engine_verb \
    'engine_cancel(engine, s);' ''
# Lanes, probes, hooks
mutant "a hook that fails quarantines the build" engine_deploy \
    'if (d->kind == DEPLOYMENT_RESTART || fault == FAULT_HOOK)' \
    'if (d->kind == DEPLOYMENT_RESTART)'
mutant "what still asks is not killed at the end" engine_hook \
    'world->cancel(world->ctx, tasks[i]);' ';'
mutant "a new lane is not joined" engine_deploy \
    'return d->course.split ? world->join(world->ctx, release, ret_text) : 0;' \
    'return 0;'
mutant "a refused steering is not reported back" engine_lane \
    'rollout_not_steered(&s->rollout, s->steered_base, s->steered_permille,' \
    'if (false) rollout_not_steered(&s->rollout, s->steered_base, s->steered_permille,'
mutant "a probe that failed makes ready" engine_probe \
    'if (passed) {' 'make_ready(engine, s, lane_revision(s, lane), p->began_ms); if (passed) {'
mutant "a probe that fails is no verdict" engine_probe \
    'engine_condemn(engine, s, FAULT_PROBE, text);' ';'
mutant "a bad analysis is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_ANALYSIS, text);' ';'
mutant "a queue that grows is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_QUEUE, text);' ';'
mutant "memory is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_MEMORY, text);' ';'
mutant "a good analysis is not passed on" engine_judge \
    'rollout_analysed(&s->rollout, s->judge.analysis_began_ms);' ';'
mutant "a passed probe is not passed on" engine_probe \
    'rollout_probed(&s->rollout, p->began_ms);' ';'
mutant "after a hook nothing begins" engine_hook \
    'if (engine_task_passed(result)) {' \
    'if (engine_task_passed(result)) { return;'
mutant "stopping takes back what is in charge" engine_deploy \
    'FAULT_SUPERSEDED : FAULT_OPERATOR);' 'FAULT_OPERATOR : FAULT_OPERATOR);'
echo "1..$case_count"
[ "$failed" -eq 0 ]
