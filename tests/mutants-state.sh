#!/bin/sh
# Breaks the state on purpose and sees whether the simulator's restarts or the
# unit tests notice; see mutants-lib.sh.
#
#   mutants-state.sh [DIRECTORY [PART OF A NAME]]     default: $top_srcdir or .
. "${0%/*}/mutants-lib.sh"

libraries="-linih -ljansson -lcmocka"

# The simulator; what it does not notice the unit tests have to.
build() {       # OBJECT...: those of the modules
	objects=$*
	"$cc" "$work"/tests/*.o "$@" $libraries -o "$bench/program" \
	    >"$bench/log" 2>&1
}

play() {
	limited 60 "$bench/program" --again 1 --seeds 1-8 >"$bench/log" 2>&1 ||
	    return
	for unit in $units; do
		"$cc" "$work/unit/$unit.o" "$work/unit/state_fixture.o" \
		    $objects $libraries -o "$bench/$unit" &&
		    limited 60 "$bench/$unit" >"$bench/log" 2>&1 || return
	done
}

caught_by() {   # EXIT STATUS
	grep -a -m 1 -E 'ssertion|^# broken|same with restarts|FAILED' \
	    "$bench/log" | sed 's/^# broken, //; s/^\[ *FAILED *\] //'
}

mutants() {
# Tables
mutant "a worker's deadline is left out" state_table \
    'NUMBER(ready_ms), NUMBER(deadline_ms), NUMBER(alive_at_ms),' \
    'NUMBER(ready_ms), NUMBER(alive_at_ms),'
mutant "what a worker was told is left out" state_table \
    'NAME(ending, ending), NUMBER(started_ms), NUMBER(since_ms),' \
    'NUMBER(started_ms), NUMBER(since_ms),'
mutant "a slot's candidate is left out" state_table \
    'PART(stable, place), PART(candidate, place), BOOL(handed_over),' \
    'PART(stable, place), BOOL(handed_over),'
mutant "when a backoff ends is left out" state_table \
    'NUMBER(failure_count), NUMBER(not_before_ms),' 'NUMBER(failure_count),'
mutant "what was granted is left out" state_table \
    'NUMBER(granted_permille), NUMBER(steered_ms), NUMBER(busy_ms),' \
    'NUMBER(steered_ms), NUMBER(busy_ms),'
mutant "the quarantine is left out" state_table \
    'PART(quarantine, quarantined), NUMBER(quarantine_next),' \
    'NUMBER(quarantine_next),'
mutant "who was in charge is left out" state_table \
    'APART(release), BOOL(was_in_charge), BOOL(quarantined),' \
    'APART(release), BOOL(quarantined),'
mutant "the last task's number is left out" state_table \
    'NUMBER(service_id_last), NUMBER(deployment_last), NUMBER(task_last),' \
    'NUMBER(service_id_last), NUMBER(deployment_last),'
mutant "probes that failed are left out" state_table \
    'NUMBER(failed_count), NUMBER(failing_count), TEXT(text),' \
    'NUMBER(failed_count), TEXT(text),'

# Fields
mutant "never is zero" state_field 'return json_null();' \
    'return json_integer(0);'
mutant "a large number is cut" state_field \
    'if (number <= INT64_MAX)' 'if (true)'
mutant "a number may be too large" state_field \
    'if (!parse_number(value, &number) || number > most) {' \
    'if (!parse_number(value, &number)) {'
mutant "parts are not compared" state_field \
    'same = equal_parts(field, left, right);' ';'
mutant "what is not UTF-8 is no text" state_text \
    'const json_t *other = json_object_get(value, "hex");' \
    'const json_t *other = NULL;'

# Lines
mutant "a commit is not asked for" state_log \
    'memcmp(r.line, commit_start, length) == 0 &&' 'true &&'
mutant "half a turn counts" state_log \
    'break;          /* half a line */' 'r.line_end = end - 1;'
mutant "the number of lines is not looked at" state_log \
    'if (json_integer_value(json_object_get(json, "lines")) != lines)' \
    'if (false)'
mutant "the sum is not looked at" state_log \
    'else if (sum == NULL || strcmp(sum, found) != 0)' 'else if (false)'
mutant "what is dropped stays" state_log \
    'return replace(r, drop, NULL, number);' 'return 0;'
mutant "what is put again is as before" state_log \
    'if (record == NULL)' 'if (record != NULL && record->json != NULL && json != NULL) return 0; if (record == NULL)'
mutant "a newer format is read all the same" state_log \
    'if (json_integer_value(oldest) <= STATE_FORMAT)' 'if (true)'

# Records
mutant "a rollout is not written again" state_service \
    'put_struct(state, shadow, "rollout", &state_rollout, &old->rollout,' \
    'if (!shadow->written) put_struct(state, shadow, "rollout", &state_rollout, &old->rollout,'
mutant "who watches it is not written" state_service \
    'put_struct(state, shadow, "judge", &state_judge, &old->judge,' \
    'if (false) put_struct(state, shadow, "judge", &state_judge, &old->judge,'
mutant "slots are not written" state_service \
    'put_slots(state, shadow, &s->fleet);' ''
mutant "a new status is not written" state_service \
    'if (strcmp(status_of(old->status), status_of(mate->status)) != 0) {' \
    'if (false) {'
mutant "another handle is not written" state_service \
    'strcmp(handle, old->handle) == 0)' 'true)'
mutant "another pid has the old handle" state_service \
    'old->mate.pid != mate->pid) {' 'false) {'
mutant "another configuration is not written" state_service \
    'if (old->written && !differs && config == old->config &&' \
    'if (old->written && !differs &&'
mutant "a service's place is not written" state_service \
    'if (shadow->written && !differs && position == shadow->position &&' \
    'if (shadow->written && !differs &&'
mutant "a release that is gone is not dropped" state_service \
    'drop_releases(state, shadow, s);' ''
mutant "a worker that is gone is not dropped" state_service \
    'if (old->worker.id.incarnation != 0 && (gone ||' \
    'if (old->worker.id.incarnation != 0 && (false ||'
mutant "a service that is gone is not dropped" state_write \
    'state_drop_service(state, shadow);' ''
mutant "a configuration is dropped too early" state_write \
    'state->sources[k].number == source.number;' 'false;'
mutant "what is anew has no header" state_write \
    'state_log_begin(&state->log, state->anew ? state->supd_version : NULL);' \
    'state_log_begin(&state->log, NULL);'
mutant "what could not be written is not said" state_write \
    'if (!state->log.failed)' 'if (true)'
mutant "the text only grows" state_write \
    'GROWTH * state->anew_bytes + GROWTH_BYTES_MIN) {' 'SIZE_MAX / 2) {'

# Going on
mutant "services go on in another order" state_read \
    'sort_services(image);' ''
mutant "a worker's place is another" state_member \
    'w = &s->fleet.workers[handle.worker];' \
    'w = &s->fleet.workers[handle.worker = s->fleet.worker_capacity - 1 - handle.worker];'
mutant "a policy is not worked out again" state_resume \
    'service_update_policy(engine, engine->services[i]);' ';'
mutant "the kernel is not told again" state_resume \
    'engine_steer_again(engine, engine->services[i]);' ''
mutant "a lost worker is not buried" state_resume \
    'bury_lost_workers(engine, engine->services[i]);' ''
mutant "lost tasks are waited for" state_resume \
    'forget_lost_tasks(engine, &engine->services[i]->judge);' ''
mutant "a lost hook is waited for" state_resume \
    'settle_lost_hook(engine, engine->services[i], turn_was_lost);' ''
mutant "before_rollout is run before the state says so" engine_hook \
    's->judge.hook_turns = HOOK_TURNS_MAX;' 's->judge.hook_turns = 1;'
mutant "before_rollout is run again after a lost turn" state_resume \
    '(s->judge.hook_turns != 0 && !turn_was_lost) ||' \
    's->judge.hook_turns != 0 ||'
mutant "a lost release is not said" state_resume \
    'why) == 0)' 'why) <= 0)'
mutant "a task that still runs is lost" state_resume \
    'return !engine->world->has_task(engine->world->ctx, task);' \
    'return true;'
mutant "a lost turn's workers have their numbers again" state_resume \
    's->fleet.incarnation_last += LOST_TURN_NUMBERS;' ';'
mutant "a lost turn's tasks have their numbers again" state_resume \
    'engine->task_last += LOST_TURN_NUMBERS;' ';'
mutant "a lost turn's revision is another's" state_resume \
    's->revision_last = past.revision_last;' ';'
mutant "nothing is impossible" state_read \
    'read_members(image) == 0 && state_check(image) == 0)' \
    'read_members(image) == 0)'
}

units="test_state_table test_state test_state_damage test_state_lost
test_state_memory"
begin "$@"
export top_srcdir=.
mkdir "$work/unit"
compile_all tests tests/simulate.c tests/sim_*.c tests/invariants*.c
compile_all unit tests/test_state*.c tests/state_fixture.c
compile_all good src/engine*.c src/service.c src/rollout*.c src/fleet.c \
    src/worker.c src/backoff.c src/strategy.c src/notice.c src/release.c \
    src/label.c src/spec*.c src/config*.c src/state*.c src/fd.c src/log.c
try_all
