/*
 * Commands of the user's: what is run before a rollout (the version's label,
 * before_rollout) and after it, what they are told, and what is kept of them.
 *
 * A rollout is in PREPARE until before_rollout has ended well.  It is run by a
 * turn after the one that asks for it: should supd end in there, the next one
 * knows from the state that it may have been run, and does not do so again.
 * What is run after a rollout changes nothing any more; that it failed is said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"
#include "label.h"

bool
engine_task_passed(const struct task_result *result)
{
	return !result->timed_out && !result->exit.by_signal &&
	    result->exit.number == 0;
}

/* The first line of its output, or how it has ended. */
void
engine_describe_task(const struct task_result *result, char *ret_text,
    size_t size_bytes)
{
	const char *output = result->output != NULL ? result->output : "";
	int length = (int)strcspn(output, "\n");

	if (result->timed_out)
		(void)snprintf(ret_text, size_bytes, "no end within its time "
		    "limit, %llu ms%s%.*s", (unsigned long long)
		    result->duration_ms, length > 0 ? ": " : "", length,
		    output);
	else if (length > 0)
		(void)snprintf(ret_text, size_bytes, "%.*s", length, output);
	else if (result->exit.by_signal)
		(void)snprintf(ret_text, size_bytes, "was ended by signal %d",
		    result->exit.number);
	else
		(void)snprintf(ret_text, size_bytes, "exited with status %d",
		    result->exit.number);
}

/* The last place is overwritten: the newest says more. */
void
engine_keep_hook(struct deployment *d, const struct task_result *result)
{
	struct hook *hook;

	if (d->hook_count < HOOKS_MAX)
		d->hook_count++;
	hook = &d->hooks[d->hook_count - 1];
	*hook = (struct hook){
		.name = task_kind_name(result->kind),
		.failed = !engine_task_passed(result),
		.duration_ms = result->duration_ms,
	};
	if (result->timed_out)
		(void)snprintf(hook->text, sizeof(hook->text),
		    "was killed at its time limit");
	else
		(void)snprintf(hook->text, sizeof(hook->text), "%s %d",
		    result->exit.by_signal ? "was ended by signal" :
		    "exited with status", result->exit.number);
	(void)snprintf(hook->output, sizeof(hook->output), "%s",
	    result->output != NULL ? result->output : "");
}

/*
 * What they are told
 */

void
engine_list_pids(const struct service *s, uint32_t revision, const char *name,
    char ret_text[TASK_PIDS_BYTES])
{
	int used = snprintf(ret_text, TASK_PIDS_BYTES, "%s=", name);
	const char *blank = "";

	for (uint32_t i = 0; revision != 0 && i < s->fleet.worker_capacity;
	    i++) {
		const struct worker *w = &s->fleet.workers[i];

		if (w->revision != revision || !worker_is_live(w))
			continue;
		if (used + 16 >= TASK_PIDS_BYTES)
			return;         /* no more than fit */
		used += snprintf(ret_text + used,
		    (size_t)(TASK_PIDS_BYTES - used), "%s%d", blank,
		    s->mates[i].pid);
		blank = " ";
	}
}

/* The names and numbers that every command of a rollout gets. */
enum { TEXT_COUNT = 8 };

static void
describe_rollout(const struct service *s, const struct deployment *d,
    char ret_texts[TEXT_COUNT][TASK_TEXT_BYTES_MAX])
{
	uint32_t weight = engine_weight_permille(s), i = 0;

#define SAY(...) \
	(void)snprintf(ret_texts[i++], TASK_TEXT_BYTES_MAX, __VA_ARGS__)
	SAY("SUPD_SERVICE=%s", s->name);
	SAY("SUPD_REVISION=%u", d->revision);
	SAY("SUPD_STABLE_REVISION=%u", d->from_revision);
	SAY("SUPD_VERSION=%s", d->version);
	SAY("SUPD_STRATEGY=%s", d->strategy);
	SAY("SUPD_KIND=%s", deployment_kind_name(d->kind));
	SAY("SUPD_STEP=%u", s->rollout.step + 1);
	if (weight % 10 != 0)
		SAY("SUPD_WEIGHT=%u.%u", weight / 10, weight % 10);
	else
		SAY("SUPD_WEIGHT=%u", weight / 10);
#undef SAY
	_Static_assert(TEXT_COUNT == 8, "one for each SAY");
}

static int
run(struct engine *engine, struct service *s, const struct deployment *d,
    struct task_request *request, char *ret_text)
{
	static char stable[TASK_PIDS_BYTES], candidate[TASK_PIDS_BYTES];
	char texts[TEXT_COUNT][TASK_TEXT_BYTES_MAX];
	const char *variables[TEXT_COUNT + 3];
	const struct world *world = engine->world;

	describe_rollout(s, d, texts);
	for (unsigned i = 0; i < TEXT_COUNT; i++)
		variables[i] = texts[i];
	engine_list_pids(s, s->rollout.stable, "SUPD_STABLE_PIDS", stable);
	engine_list_pids(s, s->rollout.candidate, "SUPD_CANDIDATE_PIDS",
	    candidate);
	variables[TEXT_COUNT] = stable;
	variables[TEXT_COUNT + 1] = candidate;
	variables[TEXT_COUNT + 2] = NULL;
	request->id = ++engine->task_last;
	request->service = s->id;
	request->release = service_release(s, d->revision);
	request->spec = s->spec;
	request->variables = variables;
	return world->run(world->ctx, request, ret_text);
}

uint64_t
engine_run_command(struct engine *engine, struct service *s,
    enum task_kind kind, char *const *argv, uint64_t timeout_ms,
    char *ret_text)
{
	struct task_request request = { .kind = kind, .argv = argv,
		.timeout_ms = timeout_ms };

	if (run(engine, s, &s->deployment, &request, ret_text) < 0)
		return 0;
	return request.id;
}

/*
 * Before a rollout
 */

static bool
wants_version(struct service *s)
{
	const struct release *release = service_release(s,
	    s->rollout.candidate);

	return s->spec->version_command != NULL && release->version[0] == '\0';
}

/* Runs it, or treats that it could not be as its end. */
static void
begin_hook(struct engine *engine, struct service *s, enum task_kind kind)
{
	char *const *argv = kind == TASK_VERSION ? s->spec->version_command :
	    s->spec->before_rollout;
	struct task_result failed = { .kind = kind, .service = s->id };
	char why[REASON_BYTES_MAX];

	s->judge.hook_kind = kind;
	s->judge.hook = engine_run_command(engine, s, kind, argv,
	    s->spec->hook_timeout_ms, why);
	if (s->judge.hook != 0)
		return;
	failed.exit.number = -1;
	failed.output = why;
	engine_hook_ended(engine, s, &failed);
}

static void
begin_before(struct engine *engine, struct service *s)
{
	s->judge.hook_turns = 0;
	if (s->spec->before_rollout != NULL)
		begin_hook(engine, s, TASK_BEFORE);
	else
		rollout_prepared(&s->rollout,
		    engine->world->now_ms(engine->world->ctx));
}

/* Of the turns that this is counted in, the present one may be the first. */
static void
plan_before(struct engine *engine, struct service *s)
{
	if (s->spec->before_rollout == NULL) {
		begin_before(engine, s);
		return;
	}
	s->judge.hook_kind = TASK_BEFORE;
	s->judge.hook_turns = HOOK_TURNS_MAX;
}

void
engine_hook_turn(struct engine *engine, struct service *s)
{
	const struct rollout *r = &s->rollout;
	bool wanted = r->phase == ROLLOUT_PREPARE && r->fault == FAULT_NONE &&
	    r->recall == FAULT_NONE;

	if (s->judge.hook_turns > 1 && wanted)
		s->judge.hook_turns--;
	else if (s->judge.hook_turns == 1 && wanted)
		begin_before(engine, s);
	else
		s->judge.hook_turns = 0;
}

void
engine_prepare(struct engine *engine, struct service *s)
{
	if (wants_version(s))
		begin_hook(engine, s, TASK_VERSION);
	else
		plan_before(engine, s);
}

/* A build without a label is as good as one with it. */
static void
take_version(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	struct release *release = service_release(s, s->rollout.candidate);
	char how[TASK_TEXT_BYTES_MAX];
	const char *why;

	engine_describe_task(result, how, sizeof(how));
	why = !engine_task_passed(result) ? how :
	    label_parse(result->output, release->version,
	    &release->commit_time_s);
	if (why != NULL)
		service_say(engine, s, NOTICE_TASK, NOTICE_WARNING, NULL,
		    "the version command gives no label: %s; it is rolled out "
		    "without one", why);
	memcpy(s->deployment.version, release->version,
	    sizeof(s->deployment.version));
	if (s->deployment.commit_time_s == 0)
		s->deployment.commit_time_s = release->commit_time_s;
}

static void
end_before(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	char how[TASK_TEXT_BYTES_MAX];

	engine_keep_hook(&s->deployment, result);
	if (engine_task_passed(result)) {
		rollout_prepared(&s->rollout,
		    engine->world->now_ms(engine->world->ctx));
		return;
	}
	engine_describe_task(result, how, sizeof(how));
	if (s->deployment.reason[0] == '\0')
		(void)snprintf(s->deployment.reason,
		    sizeof(s->deployment.reason), "before_rollout failed: %s; "
		    "nothing was changed", how);
	rollout_fail(&s->rollout, FAULT_HOOK);
}

/*
 * After it
 */

void
engine_run_after(struct engine *engine, struct service *s,
    const struct deployment *d)
{
	struct task_request request = { .kind = TASK_AFTER,
		.argv = s->spec->after_rollout,
		.timeout_ms = s->spec->hook_timeout_ms };
	char why[REASON_BYTES_MAX];

	if (s->spec->after_rollout == NULL)
		return;
	if (run(engine, s, d, &request, why) < 0)
		service_say(engine, s, NOTICE_TASK, NOTICE_WARNING, NULL,
		    "after_rollout could not be run: %s; revision %u stays in "
		    "charge", why, d->revision);
}

static void
end_after(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	char how[TASK_TEXT_BYTES_MAX];

	if (s->last.id != 0)
		engine_keep_hook(&s->last, result);
	engine_describe_task(result, how, sizeof(how));
	if (!engine_task_passed(result))
		service_say(engine, s, NOTICE_TASK, NOTICE_WARNING, NULL,
		    "after_rollout failed: %s; the rollout stands", how);
}

void
engine_hook_ended(struct engine *engine, struct service *s,
    const struct task_result *result)
{
	if (result->kind == TASK_AFTER) {
		end_after(engine, s, result);
		return;
	}
	if (result->id != s->judge.hook)
		return;
	s->judge.hook = 0;
	if (s->rollout.phase != ROLLOUT_PREPARE)
		return;
	if (result->kind == TASK_BEFORE) {
		end_before(engine, s, result);
		return;
	}
	take_version(engine, s, result);
	plan_before(engine, s);
}

/*
 * Any task
 */

void
engine_task_ended(struct engine *engine, const struct task_result *result)
{
	struct service *s = engine_find_id(engine, result->service);

	if (s == NULL)
		return;
	switch (result->kind) {
	case TASK_PROBE:
		engine_probe_ended(engine, s, result);
		return;
	case TASK_ANALYSIS:
		if (result->id == s->judge.analysis)
			engine_analysis_ended(engine, s, result);
		return;
	case TASK_VERSION:
	case TASK_BEFORE:
	case TASK_AFTER:
		engine_hook_ended(engine, s, result);
		return;
	case TASK_KIND_COUNT:
		break;
	}
}

void
engine_cancel_tasks(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;
	struct judge *j = &s->judge;
	uint64_t tasks[] = { j->hook, j->analysis,
		j->probes[LANE_STABLE].task, j->probes[LANE_CANDIDATE].task };

	for (unsigned i = 0; i < sizeof(tasks) / sizeof(*tasks); i++)
		if (tasks[i] != 0)
			world->cancel(world->ctx, tasks[i]);
	memset(j, 0, sizeof(*j));
}
