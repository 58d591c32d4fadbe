#!/bin/sh
# Breaks the engine on purpose and sees whether a short run of the simulator
# notices; see mutants-lib.sh.
#
#   mutants-engine.sh [DIRECTORY [PART OF A NAME]]    default: $top_srcdir or .
. "${0%/*}/mutants-lib.sh"

libraries="-linih -ljansson"

# Most are noticed soon, and what never happens in so many rollouts, too; what
# needs a rollback that has left something comes up in more.
play() {
	limited 150 "$bench/program" --again 0 -n 5000 >"$bench/log" 2>&1 &&
	    limited 150 "$bench/program" --again 0 -n 30000 >"$bench/log" 2>&1
}

caught_by() {   # EXIT STATUS
	if ! grep -a -m 1 -E 'ssertion|^# broken' "$bench/log"; then
		echo "it ends with $1; never happened:" \
		    "$(sed -n 's/^# \([A-Z_]*\) .* !$/\1/p' "$bench/log")"
	fi | sed 's/^# broken, //'
}

mutants() {
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
# Lanes
mutant "a release without a lane of its own gets weight" engine_deploy \
    'return d->course.split ? world->join(world->ctx, release, ret_text) : 0;' \
    'return 0;'
mutant "what waits keeps the lane that it shares" engine_deploy \
    'engine->world->unbind(engine->world->ctx, release, NULL);' ''
mutant "after a rollout the kernel is left as it is" engine_deploy \
    's->unsettled = true;' ''
mutant "a refusal to settle is forgotten" engine_lane \
    's->settle_at_ms = now_ms + STEER_RETRY_MS;' 's->unsettled = false;'
mutant "a refusal of the kernel is not told" engine_lane \
    'rollout_not_steered(&s->rollout, s->steered_base, s->steered_permille,' \
    'if (false) rollout_not_steered(&s->rollout, s->steered_base, 0,'
mutant "what the kernel did before is not noted" engine_lane \
    's->steered_permille = weight_permille;' ''
mutant "nobody looks at the queue of an old lane" engine_lane \
    'world->queued(world->ctx, release) > 0)' '0)'
mutant "nobody looks at the queue of what a rollback left" engine_lane \
    'return base != NULL && !engine_share_lane(release, base) &&' 'return false &&'
mutant "a queue is waited for that only its end empties" rollout_lane \
    'return is_given_up(t, lane) || is_quiet(t);' 'return is_quiet(t);'
mutant "the deaf are taken for handed over where they are not" engine_judge \
    'if (world->migrates(world->ctx))' 'if (true)'
mutant "who waits before the deaf waits for their end" engine_lane \
    'service_unbind(engine, s, release, &end);' ''
mutant "who waits before the deaf is forgotten at the end" engine_deploy \
    'engine_hand_over(engine, s);' ''
mutant "a lane is left open" service \
    'service_unbind(engine, s, kept->release, ret_end);' ''
mutant "an old lane is joined again" engine_deploy \
    'has_own_lane(s, release));' 'false);'
mutant "what repairs has no lane of its own" engine_deploy \
    '(s->rollout.base != s->rollout.stable &&' '(false &&'
mutant "how it goes is decided when it is asked for" engine_deploy \
    'd.course = engine_course(s, release, d.kind, d.course.strategy);' ''

# Hooks and tasks
mutant "tasks run on after their rollout" engine_hook \
    'world->cancel(world->ctx, tasks[i]);' ''
mutant "before_rollout is not waited for" engine_hook \
    'if (s->spec->before_rollout != NULL)' 'if (false)'
mutant "after a hook nothing begins" engine_hook \
    'if (engine_task_passed(result)) {' \
    'if (engine_task_passed(result)) { return;'
mutant "a hook that cannot be run is waited for" engine_hook \
    'engine_hook_ended(engine, s, &failed);' ''
mutant "a hook that fails is nobody's fault" engine_hook \
    'rollout_fail(&s->rollout, FAULT_HOOK);' ''
mutant "a hook that fails condemns the build" engine_deploy \
    'if (d->kind == DEPLOYMENT_RESTART || fault == FAULT_HOOK)' \
    'if (d->kind == DEPLOYMENT_RESTART)'
mutant "after_rollout is not run" engine_deploy \
    'engine_run_after(engine, s, &d);' ';'

# Probes and verdicts
mutant "one failed probe is enough" engine_probe \
    'p->failing_count >= s->spec->probe_failures)' 'true)'
mutant "probe failures are not counted in a row" engine_probe \
    'p->failing_count = 0;' ''
mutant "failed probes have no consequence" engine_probe \
    'condemn(engine, s, p);' ';'
mutant "the probe of the release in charge is not looked at" engine_probe \
    'if (stable->failing_count == 0) {' 'if (true) {'
mutant "a passed probe is not told" engine_probe \
    'rollout_probed(&s->rollout, p->began_ms);' ''
mutant "a probe counts from its end on" engine_probe \
    'rollout_probed(&s->rollout, p->began_ms);' \
    'rollout_probed(&s->rollout, engine->world->now_ms(engine->world->ctx));'
mutant "a probe makes ready who came after it" engine_probe \
    'w->started_ms < began_ms)' 'true)'
mutant "a probe that passed makes nobody ready" engine_probe \
    'make_ready(engine, s, lane_revision(s, lane), p->began_ms);' ''
mutant "who is ready by its probe is asked as the file says" engine_probe \
    'return s->spec->probe != PROBE_NONE ? s->spec : release->spec;' \
    'return s->spec;'
mutant "who is ready by its probe is not asked without one" engine_probe \
    'if (release == NULL || p->task != 0)' \
    'if (release == NULL || p->task != 0 || s->spec->probe == PROBE_NONE)'
mutant "a probe is not due at once" engine_probe \
    'if (is_urgent(s, lane))' 'if (false)'
mutant "a probe that cannot be run is waited for" engine_probe \
    'engine_probe_ended(engine, s, &failed);' ''
mutant "a probe that fails makes ready" engine_probe \
    'if (passed) {' \
    'make_ready(engine, s, lane_revision(s, lane), p->began_ms); if (passed) {'
mutant "a probe that fails is no verdict" engine_probe \
    'engine_condemn(engine, s, FAULT_PROBE, text);' ';'
mutant "a good analysis is not told" engine_judge \
    'rollout_analysed(&s->rollout, s->judge.analysis_began_ms);' ''
mutant "a bad analysis is inconclusive" engine_judge \
    'result->exit.number == 1) {' 'false) {'
mutant "a bad analysis is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_ANALYSIS, text);' ';'
mutant "an inconclusive analysis is nothing" engine_judge \
    'if (rollout_inconclusive(&s->rollout, now_ms))' 'if (false)'
mutant "an analysis that timed out is bad" engine_judge \
    'if (!result->timed_out && !result->exit.by_signal &&' 'if ('
mutant "no end of an analysis is noted" engine_judge \
    's->judge.analysis = 0;' ''
mutant "a queue that only grows is not seen" engine_judge \
    's->judge.queue_growth_count++;' ';'
mutant "a queue that only grows is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_QUEUE, text);' ';'
mutant "memory is not looked at" engine_judge \
    'look_at_memory(engine, s);' ''
mutant "memory is no verdict" engine_judge \
    'engine_condemn(engine, s, FAULT_MEMORY, text);' ';'
mutant "memory is judged by one sample" engine_judge \
    'if (++s->judge.memory_count < MEMORY_SAMPLES)' 'if (false)'
mutant "nobody is woken for a sample" engine_judge \
    'due_ms = s->judge.sample_next_ms;' ''
mutant "a verdict is not told" engine_judge \
    'rollout_fail(&s->rollout, fault);' ''

# Orders and the ledger
mutant "undo goes to any revision" engine_verb \
    'if (target != NULL && (to_revision == 0 || (target->was_in_charge &&' \
    'if (target != NULL && (to_revision == 0 || (true &&'
mutant "undo goes to where it is" engine_verb \
    'to_revision != s->rollout.stable)))' 'true)))'
mutant "undo binds nothing" engine_verb \
    'world->bind(world->ctx, target->release, why) < 0) {' 'false) {'
mutant "it takes charge twice" engine_act \
    'if (s->deployment.in_charge_s == 0) {' 'if (true) {'
mutant "since when it is in charge is known at the end" engine_act \
    's->in_charge_since_s = s->deployment.in_charge_s;' ''
mutant "since when the old one is in charge again is not noted" engine_deploy \
    'if (d->in_charge_s != 0)        /* the old one is again */' 'if (false)'
mutant "since when it is in charge is not noted" engine_deploy \
    's->in_charge_since_s = d->in_charge_s;' ''
mutant "the shutdown takes back what is in charge" engine_deploy \
    'rollout_recall(&s->rollout, rollout_is_in_charge(&s->rollout) ?' \
    'rollout_recall(&s->rollout, false ?'
mutant "pause does nothing" engine_order '(void)rollout_pause(r, now_ms);' ''
mutant "resume does nothing" engine_order '(void)rollout_resume(r, now_ms);' ''
mutant "promote does nothing" engine_order \
    '(void)rollout_promote(r, now_ms);' ''
mutant "abort does nothing" engine_order \
    'rollout_recall(r, FAULT_OPERATOR);' ''
mutant "an impossible order is taken" engine_order \
    'if (!rollout_can(&s->rollout, verb)) {' 'if (false) {'
mutant "a worker of a dead listener is not restarted" engine_repair \
    'w->ending = ENDING_DEAD_LISTENER;' 'continue;'
mutant "a plan removes what is absent" engine_reload \
    '!(request->flags & RELOAD_PLAN))' 'true)'

}

begin "$@"
compile_all tests tests/simulate.c tests/sim_*.c tests/invariants*.c
compile_all good src/engine*.c src/service.c src/rollout*.c src/fleet.c \
    src/worker.c src/backoff.c src/strategy.c src/notice.c src/release.c \
    src/label.c src/spec*.c src/config*.c src/state*.c src/fd.c src/log.c
try_all
