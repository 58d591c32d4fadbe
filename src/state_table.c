/*
 * The tables.  tests/test_state_table.c reads the headers and fails if a member
 * of one of these structs is not here: a new one is either kept, or is said here
 * why not.
 */
#include "engine.h"
#include "state_field.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define FIELD(kind, member, ...) { .name = #member, .type = kind, \
	.offset = offsetof(OWNER, member), \
	.size_bytes = sizeof(((OWNER *)NULL)->member), __VA_ARGS__ }
#define NUMBER(member) FIELD(STATE_NUMBER, member)
#define SIGNED(member) FIELD(STATE_SIGNED, member)
#define BOOL(member) FIELD(STATE_BOOL, member)
#define TEXT(member) FIELD(STATE_TEXT, member)
#define STRING(member) FIELD(STATE_STRING, member)
#define BYTES(member) FIELD(STATE_BYTES, member)
#define NAME(member, which) FIELD(STATE_NAME, member, .names = &which##_names)
#define WORD(member, which) FIELD(STATE_WORD, member, .names = &which##_names)
#define PART(member, which) FIELD(STATE_PART, member, .part = &which##_table)
/* Kept as a record of its own, or by the code that keeps the others. */
#define APART(member) FIELD(STATE_NOT_KEPT, member)
/* Follows from the others. */
#define DERIVED(member) FIELD(STATE_NOT_KEPT, member)
/* Is in no other process. */
#define OWN(member) FIELD(STATE_NOT_KEPT, member)

#define TABLE(which) static const struct state_table which##_table = { \
	#which, sizeof(OWNER), which##_fields, COUNT(which##_fields) }
#define RECORD(which) const struct state_table state_##which = { \
	#which, sizeof(OWNER), which##_fields, COUNT(which##_fields) }
#define NAMES(which) static const struct state_names which##_names = { \
	which##_list, COUNT(which##_list) }

/*
 * Names
 */

#define X(UPPER, text) #UPPER,
static const char *const phase_list[] = { ROLLOUT_PHASES(X) };
static const char *const pause_list[] = { ROLLOUT_PAUSES(X) };
static const char *const fault_list[] = { ROLLOUT_FAULTS(X) };
static const char *const verdict_list[] = { ROLLOUT_VERDICTS(X) };
static const char *const state_list[] = { WORKER_STATES(X) };
static const char *const ending_list[] = { WORKER_ENDINGS(X) };
static const char *const kind_list[] = { DEPLOYMENT_KINDS(X) };
static const char *const task_list[] = { TASK_KINDS(X) };
#undef X
#define X(UPPER, text) text,
static const char *const task_word_list[] = { TASK_KINDS(X) };
#undef X
static const char *const strategy_list[] = {
	[STRATEGY_ROLLING] = "ROLLING",
	[STRATEGY_CANARY] = "CANARY",
	[STRATEGY_BLUE_GREEN] = "BLUE_GREEN",
};
static const char *const strategy_word_list[] = {
	"rolling", "canary", "blue-green",
};
static const char *const engine_phase_list[] = {
	[ENGINE_RUNNING] = "RUNNING",
	[ENGINE_STOPPING] = "STOPPING",
	[ENGINE_DONE] = "DONE",
};

NAMES(phase);
NAMES(pause);
NAMES(fault);
NAMES(verdict);
NAMES(state);
NAMES(ending);
NAMES(kind);
NAMES(task);
NAMES(task_word);
NAMES(strategy);
NAMES(strategy_word);
NAMES(engine_phase);

/*
 * Workers and slots
 */

#define OWNER struct worker_id
static const struct state_field worker_id_fields[] = {
	NUMBER(slot), NUMBER(incarnation),
};
TABLE(worker_id);
#undef OWNER

#define OWNER struct worker
static const struct state_field worker_fields[] = {
	PART(id, worker_id), NUMBER(revision), NAME(state, state),
	NAME(ending, ending), NUMBER(started_ms), NUMBER(since_ms),
	NUMBER(ready_ms), NUMBER(deadline_ms), NUMBER(alive_at_ms),
	NUMBER(watchdog_ms),
};
TABLE(worker);
RECORD(worker);
#undef OWNER

#define OWNER struct mate
static const struct state_field mate_fields[] = {
	APART(process), SIGNED(pid), SIGNED(error_number), STRING(status),
};
RECORD(mate);
#undef OWNER

#define OWNER struct backoff
static const struct state_field backoff_fields[] = {
	NUMBER(failure_count), NUMBER(not_before_ms),
};
TABLE(backoff);
#undef OWNER

#define OWNER struct place
static const struct state_field place_fields[] = {
	PART(backoff, backoff), BOOL(finished),
};
TABLE(place);
#undef OWNER

#define OWNER struct slot
static const struct state_field slot_fields[] = {
	PART(stable, place), PART(candidate, place), BOOL(handed_over),
	DERIVED(stable_live), DERIVED(candidate_live),
};
RECORD(slot);
#undef OWNER

#define OWNER struct fleet
static const struct state_field fleet_fields[] = {
	APART(slots), APART(workers), NUMBER(slot_capacity),
	NUMBER(worker_capacity), NUMBER(incarnation_last),
};
TABLE(fleet);
#undef OWNER

/*
 * The rollout and who watches it
 */

#define OWNER struct course
static const struct state_field course_fields[] = {
	NAME(strategy, strategy), BOOL(direct), BOOL(split),
};
TABLE(course);
#undef OWNER

#define OWNER struct rollout
static const struct state_field rollout_fields[] = {
	NAME(phase, phase), NAME(pause, pause), NUMBER(stable),
	NUMBER(candidate), PART(course, course), NUMBER(step),
	NUMBER(reached_ms), BOOL(approved), BOOL(promoted),
	NAME(fault, fault), BOOL(deaf), NAME(recall, fault),
	PART(culprit, worker_id),
	NUMBER(started_ms), NUMBER(phase_ms), NUMBER(progress_ms),
	NUMBER(progress), NUMBER(base), NUMBER(weight_permille),
	NUMBER(granted_permille), NUMBER(steered_ms), NUMBER(busy_ms),
	NUMBER(steer_after_ms), NUMBER(probed_ms), NUMBER(analysed_ms),
};
RECORD(rollout);
#undef OWNER

#define OWNER struct lane_probe
static const struct state_field lane_probe_fields[] = {
	NUMBER(task), NUMBER(began_ms), BOOL(was_ready), NUMBER(passed_count),
	NUMBER(failed_count), NUMBER(failing_count), TEXT(text),
};
TABLE(lane_probe);
#undef OWNER

#define OWNER struct judge
static const struct state_field judge_fields[] = {
	PART(probes, lane_probe), NUMBER(analysis), NUMBER(analysis_began_ms),
	NUMBER(hook), NAME(hook_kind, task), NUMBER(hook_turns),
	NUMBER(sample_next_ms), NUMBER(queue_last), NUMBER(queue_growth_count),
	NUMBER(memory_count), NUMBER(accepted),
};
RECORD(judge);
#undef OWNER

#define OWNER struct observation
static const struct state_field observation_fields[] = {
	NUMBER(step), NUMBER(weight_permille), NUMBER(candidates),
	NUMBER(began_ms), NUMBER(duration_ms), NUMBER(connections),
	NUMBER(probes_passed), NUMBER(probes_failed), NUMBER(analyses),
	NUMBER(queue_max), NUMBER(stable_memory_bytes),
	NUMBER(candidate_memory_bytes),
};
TABLE(observation);
#undef OWNER

#define OWNER struct hook
static const struct state_field hook_fields[] = {
	WORD(name, task_word), BOOL(failed), NUMBER(duration_ms), TEXT(text),
	TEXT(output),
};
TABLE(hook);
#undef OWNER

#define OWNER struct deployment
static const struct state_field deployment_fields[] = {
	NUMBER(id), TEXT(service), NAME(kind, kind), NUMBER(revision),
	NUMBER(from_revision), TEXT(version), TEXT(build_id),
	NUMBER(fingerprint), WORD(strategy, strategy_word),
	SIGNED(commit_time_s), SIGNED(started_s), SIGNED(finished_s),
	NUMBER(started_ms), NUMBER(duration_ms), PART(course, course),
	SIGNED(in_charge_s), NUMBER(handed_over), NUMBER(lost),
	PART(observations, observation), NUMBER(observation_count),
	PART(hooks, hook), NUMBER(hook_count), NAME(verdict, verdict),
	TEXT(reason),
};
RECORD(deployment);
#undef OWNER

/*
 * Releases
 */

#define OWNER struct identity
static const struct state_field identity_fields[] = {
	NUMBER(device), NUMBER(inode), NUMBER(size_bytes), SIGNED(mtime_ns),
	BYTES(build_id), NUMBER(build_id_bytes),
};
TABLE(identity);
#undef OWNER

#define OWNER struct credentials
static const struct state_field credentials_fields[] = {
	NUMBER(uid), NUMBER(gid), APART(groups), APART(group_count),
	BOOL(change),
};
TABLE(credentials);
#undef OWNER

#define OWNER struct release
static const struct state_field release_fields[] = {
	NUMBER(revision), TEXT(version), SIGNED(commit_time_s),
	SIGNED(created_s), APART(spec), STRING(path), STRING(directory),
	OWN(pin_number), OWN(executable_fd), OWN(directory_fd), BOOL(script),
	PART(identity, identity), APART(environment),
	PART(credentials, credentials), NUMBER(fingerprint), OWN(shards),
	OWN(shard_count),
};
RECORD(release);
#undef OWNER

#define OWNER struct kept_release
static const struct state_field kept_release_fields[] = {
	APART(release), BOOL(was_in_charge), BOOL(quarantined),
};
RECORD(kept_release);
#undef OWNER

#define OWNER struct quarantined
static const struct state_field quarantined_fields[] = {
	NUMBER(fingerprint), PART(identity, identity),
};
TABLE(quarantined);
#undef OWNER

/*
 * The service and the engine
 */

#define OWNER struct service
static const struct state_field service_fields[] = {
	NUMBER(id), TEXT(name), APART(spec), NUMBER(workers), BOOL(stopped),
	BOOL(removed), DERIVED(policy), PART(fleet, fleet), APART(mates),
	APART(rollout), NUMBER(steered_base), NUMBER(steered_permille),
	BOOL(unsettled), NUMBER(settle_at_ms), APART(judge), APART(releases),
	NUMBER(revision_last), SIGNED(in_charge_since_s), APART(deployment),
	APART(last), APART(next), APART(next_release),
	PART(quarantine, quarantined), NUMBER(quarantine_next),
	NUMBER(retry_at_ms), NUMBER(retry_count), NUMBER(busy_until_ms),
	NUMBER(restart_count), TEXT(trouble), PART(last_exit, worker),
	NUMBER(last_exit_ms),
};
RECORD(service);
#undef OWNER

#define OWNER struct engine
static const struct state_field engine_fields[] = {
	OWN(world), APART(services), DERIVED(service_count),
	NUMBER(service_id_last), NUMBER(deployment_last), NUMBER(task_last),
	NUMBER(signal_last), NAME(phase, engine_phase), SIGNED(started_s),
	NUMBER(started_ms),
};
RECORD(engine);
#undef OWNER

const struct state_table *const state_tables[] = {
	&state_engine, &state_service, &state_rollout, &state_judge,
	&state_deployment, &state_release, &state_kept_release, &state_slot,
	&state_worker, &state_mate, &worker_id_table, &backoff_table,
	&place_table, &fleet_table, &course_table, &lane_probe_table,
	&observation_table, &hook_table, &identity_table, &credentials_table,
	&quarantined_table, NULL,
};
