/*
 * What workers say and how they end.  Everything here only records: the
 * automaton's state, STATUS=, how a process ended.  Events for an incarnation
 * that is gone are normal and ignored.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"

static bool
is_clean(const struct spec *spec, const struct exit_status *exit, bool drained)
{
	if (exit->by_signal)
		return exit_set_has_signal(&spec->success_exit, exit->number) ||
		    (drained && exit->number == spec->drain_signal);
	/* 128 + n is how many programs say that signal n ended them. */
	return exit->number == 0 ||
	    exit_set_has_code(&spec->success_exit, exit->number) ||
	    (drained && exit->number == 128 + spec->drain_signal);
}

static void
describe_exit(const struct exit_status *exit, char *ret_text, size_t size)
{
	const char *name = exit->by_signal ? sigabbrev_np(exit->number) : NULL;

	if (exit->number < 0)
		(void)snprintf(ret_text, size,
		    "ended (how is not known: it was not our child)");
	else if (!exit->by_signal)
		(void)snprintf(ret_text, size, "exited with status %d",
		    exit->number);
	else if (name != NULL)
		(void)snprintf(ret_text, size, "was ended by signal %d (%s)",
		    exit->number, name);
	else
		(void)snprintf(ret_text, size, "was ended by signal %d",
		    exit->number);
}

static void
describe_life(const struct worker *w, uint64_t now_ms, char *ret_text,
    size_t size)
{
	uint64_t lived_ms = now_ms - w->started_ms;

	if (w->ready_ms != 0)
		(void)snprintf(ret_text, size,
		    "%llu.%03llu s after it was started, %llu.%03llu s after "
		    "it was ready", (unsigned long long)(lived_ms / 1000),
		    (unsigned long long)(lived_ms % 1000),
		    (unsigned long long)((now_ms - w->ready_ms) / 1000),
		    (unsigned long long)((now_ms - w->ready_ms) % 1000));
	else
		(void)snprintf(ret_text, size,
		    "%llu.%03llu s after it was started, before it was ready",
		    (unsigned long long)(lived_ms / 1000),
		    (unsigned long long)(lived_ms % 1000));
}

/* If this exit is what fails the rollout, its report quotes it. */
static void
note_reason(struct service *s, const struct worker *w, const char *sentence)
{
	const struct mate *mate = service_mate(s, w);
	char name[128];

	if (s->deployment.id == 0 || s->deployment.reason[0] != '\0' ||
	    w->revision != s->rollout.candidate || w->ending != ENDING_NONE ||
	    !rollout_is_judged(&s->rollout))
		return;
	(void)snprintf(s->deployment.reason, sizeof(s->deployment.reason),
	    "%s %s%s%s%s",
	    engine_worker_name(s, w->id, w->revision, name, sizeof(name)),
	    sentence, mate->status != NULL ? "; its last status: \"" : "",
	    mate->status != NULL ? mate->status : "",
	    mate->status != NULL ? "\"" : "");
}

static void
worker_exited(struct engine *engine, struct service *s, struct worker *w,
    const struct event *event)
{
	const struct world *world = engine->world;
	uint64_t now_ms = world->now_ms(world->ctx);
	struct release *release = service_release(s, w->revision);
	bool asked = w->ending != ENDING_NONE;
	bool clean = is_clean(release->spec, &event->exit, asked);
	char how[64], life[128], sentence[256];

	describe_exit(&event->exit, how, sizeof(how));
	describe_life(w, now_ms, life, sizeof(life));
	(void)snprintf(sentence, sizeof(sentence), "%s, %s", how, life);
	note_reason(s, w, sentence);
	service_say(engine, s, NOTICE_EXITED,
	    clean ? NOTICE_PLAIN : NOTICE_WARNING, w, "%s", sentence);
	s->restart_count += !asked &&
	    w->revision == rollout_revision(&s->rollout);
	s->last_exit = *w;
	s->last_exit_ms = now_ms;
	service_clear_mate(service_mate(s, w));
	rollout_exited(&s->rollout, &s->fleet, w->id, &s->policy, clean,
	    world->random(world->ctx), now_ms);
}

static void
set_status(struct service *s, struct worker *w, const char *text)
{
	struct mate *mate = service_mate(s, w);
	char *copy = strndup(text, STATUS_BYTES_MAX - 1);

	if (copy == NULL)       /* the old one stays: better than none */
		return;
	free(mate->status);
	mate->status = copy;
}

static void
set_main_pid(struct engine *engine, struct service *s, struct worker *w,
    pid_t pid)
{
	struct mate *mate = service_mate(s, w);
	int error;

	if (pid == mate->pid)
		return;
	error = engine->world->adopt(engine->world->ctx, mate->process, pid);
	if (error < 0) {
		service_say(engine, s, NOTICE_WORKER, NOTICE_WARNING, w,
		    "MAINPID=%d is refused: %s; pid %d is followed on", pid,
		    strerror(-error), mate->pid);
		return;
	}
	mate->pid = pid;
	service_say(engine, s, NOTICE_WORKER, NOTICE_PLAIN, w,
	    "its main process is pid %d from now on", pid);
}

void
engine_change_state(struct engine *engine, struct service *s, struct worker *w,
    enum worker_event event)
{
	enum worker_state before = w->state;

	worker_step(w, event, &s->policy,
	    engine->world->now_ms(engine->world->ctx));
	if (w->state == before)
		return;
	service_say(engine, s,
	    w->state == WORKER_READY ? NOTICE_READY : NOTICE_WORKER,
	    NOTICE_PLAIN, w, "%s", worker_state_name(w->state));
}

static void
trigger_watchdog(struct engine *engine, struct service *s, struct worker *w)
{
	service_say(engine, s, NOTICE_WORKER, NOTICE_WARNING, w,
	    "says that it is not well (WATCHDOG=trigger)");
	if (w->state == WORKER_READY)   /* the planner finds it expired */
		w->deadline_ms = 0;
}

void
engine_event(struct engine *engine, const struct event *event)
{
	struct service *s = engine_find_id(engine, event->service);
	struct worker *w = s != NULL ? fleet_find(&s->fleet, event->id) : NULL;
	uint64_t now_ms = engine->world->now_ms(engine->world->ctx);

	if (w == NULL)
		return;
	switch (event->type) {
	case EVENT_EXITED:
		worker_exited(engine, s, w, event);
		break;
	case EVENT_READY:
		engine_change_state(engine, s, w, WORKER_EVENT_SAID_READY);
		break;
	case EVENT_RELOADING:
		engine_change_state(engine, s, w, WORKER_EVENT_SAID_RELOADING);
		break;
	case EVENT_STOPPING:
		engine_change_state(engine, s, w, WORKER_EVENT_SAID_STOPPING);
		break;
	case EVENT_STATUS:
		set_status(s, w, event->text);
		break;
	case EVENT_ERRNO:
		service_mate(s, w)->error_number = (int)event->value;
		break;
	case EVENT_MAIN_PID:
		set_main_pid(engine, s, w, (pid_t)event->value);
		break;
	case EVENT_WATCHDOG:
		worker_pet(w, now_ms);
		break;
	case EVENT_WATCHDOG_TRIGGER:
		trigger_watchdog(engine, s, w);
		break;
	case EVENT_WATCHDOG_MS:
		worker_set_watchdog(w, event->value, now_ms);
		break;
	case EVENT_EXTEND_MS:
		worker_extend(w, event->value, &s->policy, now_ms);
		break;
	}
}
