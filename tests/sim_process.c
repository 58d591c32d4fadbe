/*
 * Processes: what one does follows from its build and from luck, and is put
 * into the queue when it starts, when it is told something, and as it goes.
 *
 * A process that says something and what reaches the engine are two things:
 * while there are faults, words get lost, come twice or late, also after the
 * process has ended.  An exit is never lost.
 */
#include "sim_world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

bool
sim_is_handle(const struct sim *sim, const void *handle)
{
	const struct sim_process *process = handle;

	return process != NULL && process->index < sim->living_count &&
	    sim->living[process->index] == process;
}

static void
say(struct sim *sim, struct sim_process *process, uint64_t after_ms,
    enum event_type event, uint64_t value)
{
	sim_push(sim, (struct sim_item){
		.when_ms = sim->now_ms + after_ms, .type = ITEM_SEND,
		.process = process, .event = event, .value = value,
	});
}

void
sim_process_end(struct sim *sim, struct sim_process *process,
    uint64_t after_ms, bool by_signal, int number)
{
	sim_push(sim, (struct sim_item){
		.when_ms = sim->now_ms + after_ms, .type = ITEM_END,
		.process = process,
		.exit = { .by_signal = by_signal, .number = number },
	});
}

static void
say_quirks(struct sim *sim, struct sim_process *process, uint64_t ready_ms)
{
	unsigned quirks = process->build->quirks;

	if (quirks & QUIRK_STATUS)
		say(sim, process, ready_ms / 2, EVENT_STATUS,
		    sim_random(sim));
	if (quirks & QUIRK_ERRNO)
		say(sim, process, ready_ms / 2, EVENT_ERRNO,
		    sim_below(sim, 130));
	if (quirks & QUIRK_MAIN_PID)
		say(sim, process, ready_ms / 2, EVENT_MAIN_PID,
		    (uint64_t)++sim->pid_last);
	if (quirks & QUIRK_WATCHDOG_MS)
		say(sim, process, ready_ms + 10, EVENT_WATCHDOG_MS,
		    sim_chance(sim, 20) ? 0 : 1000 + sim_below(sim, 4000));
}

/* Says that it is ready, in one of the ways in which that is done. */
static void
say_ready(struct sim *sim, struct sim_process *process, uint64_t ready_ms)
{
	unsigned quirks = process->build->quirks;
	uint64_t timeout_ms = process->ready_timeout_ms;

	/* one whose readiness is a probe does not say READY=1 */
	if (quirks & QUIRK_RELOADING_FIRST &&
	    process->release->spec->ready != READY_PROBE)
		say(sim, process, ready_ms / 2, EVENT_RELOADING, 1);
	if (quirks & QUIRK_EXTENDS && ready_ms < timeout_ms) {
		say(sim, process, timeout_ms / 2, EVENT_EXTEND_MS,
		    timeout_ms);
		ready_ms = timeout_ms + timeout_ms / 4;
	}
	if (process->release->spec->ready != READY_PROBE)
		say(sim, process, ready_ms, EVENT_READY, 0);
	if (quirks & QUIRK_TWICE)
		say(sim, process, ready_ms + sim_below(sim, 50), EVENT_READY,
		    0);
	if (sim->chaos && sim_chance(sim, 3)) {
		say(sim, process, ready_ms + 300, EVENT_RELOADING, 0);
		say(sim, process, ready_ms + 400 + sim_below(sim, 500),
		    EVENT_READY, 0);
	}
	say_quirks(sim, process, ready_ms);
}

/* A build that is not good: what is wrong with it, after it was ready. */
static void
misbehave(struct sim *sim, struct sim_process *process, uint64_t ready_ms)
{
	const struct spec *spec = process->release->spec;
	uint64_t later_ms = ready_ms + sim_below(sim, 15000);

	switch (process->build->kind) {
	case BUILD_FLASH:
		sim_process_end(sim, process, ready_ms + 1 + sim_below(sim,
		    (uint32_t)spec->min_ready_ms + 50), false, 1);
		break;
	case BUILD_CRASHES:
		sim_process_end(sim, process, later_ms, true,
		    sim_chance(sim, 50) ? SIGSEGV : SIGKILL);
		break;
	case BUILD_SILENT:
		process->silent = true;
		break;
	case BUILD_TRIGGERS:
		say(sim, process, later_ms, EVENT_WATCHDOG_TRIGGER, 0);
		break;
	case BUILD_STOPS:
		say(sim, process, later_ms, EVENT_STOPPING, 0);
		sim_process_end(sim, process, later_ms + sim_below(sim, 900),
		    false, sim_chance(sim, 50) ? 0 : 3);
		break;
	case BUILD_GOOD:
	case BUILD_NEVER_READY:
	case BUILD_EXITS:
	case BUILD_SLOW:
	case BUILD_NO_EXEC:
	case BUILD_SICK:
	case BUILD_CONDEMNED:
	case BUILD_FAT:
	case BUILD_STUCK:
	case BUILD_KIND_COUNT:
		break;
	}
}

/* One that may ask for another interval is ready for it. */
static uint64_t
ping_period_ms(const struct sim_process *process)
{
	uint64_t interval_ms = process->watchdog_ms;

	if (process->build->quirks & QUIRK_WATCHDOG_MS &&
	    (interval_ms == 0 || interval_ms > 1000))
		interval_ms = 1000;
	return (interval_ms + 1) / 2;
}

/* Everything that it will do of itself. */
static void
live(struct sim *sim, struct sim_process *process)
{
	uint32_t timeout_ms = process->ready_timeout_ms;
	uint64_t ready_ms = sim_below(sim, timeout_ms / 2);

	if (process->build->kind == BUILD_NEVER_READY)
		return;
	if (process->build->kind == BUILD_EXITS) {
		sim_process_end(sim, process, sim_below(sim, 50), false,
		    sim_chance(sim, 20) ? 0 : 1);
		return;
	}
	if (process->build->kind == BUILD_SLOW)
		ready_ms = timeout_ms * 3 / 4 + sim_below(sim, timeout_ms / 2);
	say_ready(sim, process, ready_ms);
	misbehave(sim, process, ready_ms);
	if (process->watchdog_ms != 0 ||
	    process->build->quirks & QUIRK_WATCHDOG_MS)
		sim_push(sim, (struct sim_item){
			.when_ms = sim->now_ms + ping_period_ms(process),
			.type = ITEM_PING, .process = process,
		});
}

struct sim_process *
sim_process_new(struct sim *sim, const struct start *start)
{
	const struct spec *spec = start->release->spec;
	const struct service *s = sim_engine_service(sim, start->service);
	struct sim_process *process;

	if (sim->living_count == SIM_LIVING_MAX) {
		sim_fail(sim, "simulator: too many processes");
		return NULL;
	}
	process = calloc(1, sizeof(*process));
	if (process == NULL)
		abort();
	process->number = ++sim->process_last;
	process->pin = sim_pin(sim, start->release)->number;
	process->next = sim->processes;
	sim->processes = process;
	process->index = sim->living_count;
	sim->living[sim->living_count++] = process;
	process->boot = sim->boot_count;
	process->service = start->service;
	process->id = start->id;
	process->revision = start->release->revision;
	process->release = start->release;
	process->build = sim_build_of(sim, start->release);
	process->pid = ++sim->pid_last;
	process->ready_timeout_ms = (uint32_t)s->policy.ready_timeout_ms;
	process->drain_timeout_ms = (uint32_t)s->policy.drain_timeout_ms;
	process->state = WORKER_STARTING;
	process->watchdog_ms = spec->watchdog_ms;
	process->alive_at_ms = spec->ready == READY_ALIVE ?
	    sim->now_ms + spec->ready_alive_ms : NEVER_MS;
	live(sim, process);
	return process;
}

static void
obey(struct sim *sim, struct sim_process *process, int signal_number)
{
	uint32_t timeout_ms = process->drain_timeout_ms;
	uint64_t after_ms = sim_below(sim, timeout_ms / 2 + 1);

	if (process->build->quirks & QUIRK_LATE_READY)
		say(sim, process, sim_below(sim, timeout_ms + 100),
		    EVENT_READY, 0);
	if (process->build->quirks & QUIRK_DEAF &&
	    signal_number != SIGABRT) {
		sim_cover(sim, SIM_DEAF);
		return;
	}
	if (process->build->quirks & QUIRK_SLOW_DRAIN) {
		say(sim, process, timeout_ms * 3 / 4, EVENT_EXTEND_MS,
		    timeout_ms);
		after_ms = timeout_ms + sim_below(sim, timeout_ms + 1);
	}
	if (signal_number == SIGABRT)
		sim_process_end(sim, process, after_ms, true, SIGABRT);
	else if (sim_chance(sim, 30))
		sim_process_end(sim, process, after_ms, true, signal_number);
	else
		sim_process_end(sim, process, after_ms, false,
		    sim_chance(sim, 20) ? 128 + signal_number : 0);
}

void
sim_process_signal(struct sim *sim, struct sim_process *process,
    int signal_number)
{
	sim_trace(sim, "signal %d to worker %u", signal_number,
	    process->id.incarnation);
	if (sim->operator_signals && signal_number == SIGHUP) {
		say(sim, process, 5, EVENT_RELOADING, 0);
		say(sim, process, 50 + sim_below(sim, 500), EVENT_READY, 0);
		return;
	}
	if (sim->operator_signals) {
		sim_process_end(sim, process, 5, signal_number == SIGKILL,
		    signal_number == SIGKILL ? SIGKILL : 0);
		return;
	}
	if (signal_number == SIGCONT)
		return;
	sim_judge_drain(sim, process);
	process->state = WORKER_DRAINING;
	sim_cover(sim, SIM_DRAINED);
	obey(sim, process, signal_number);
}

static void
cover_event(struct sim *sim, const struct sim_item *item)
{
	static const enum sim_cover covers[] = {
		[EVENT_READY] = SIM_SENT_READY,
		[EVENT_RELOADING] = SIM_SENT_RELOADING,
		[EVENT_STOPPING] = SIM_SENT_STOPPING,
		[EVENT_STATUS] = SIM_SENT_STATUS,
		[EVENT_ERRNO] = SIM_SENT_ERRNO,
		[EVENT_MAIN_PID] = SIM_SENT_MAIN_PID,
		[EVENT_WATCHDOG] = SIM_SENT_WATCHDOG,
		[EVENT_WATCHDOG_TRIGGER] = SIM_SENT_TRIGGER,
		[EVENT_WATCHDOG_MS] = SIM_SENT_WATCHDOG_MS,
		[EVENT_EXTEND_MS] = SIM_SENT_EXTEND,
	};
	const struct sim_process *process = item->process;

	if (item->event == EVENT_EXITED) {
		sim_cover(sim, item->exit.by_signal ? SIM_EXITED_SIGNAL :
		    item->exit.number == 0 ? SIM_EXITED_CLEAN :
		    SIM_EXITED_CODE);
		if (process->state == WORKER_STARTING)
			sim_cover(sim, SIM_EXITED_EARLY);
		return;
	}
	sim_cover(sim, covers[item->event]);
	if (item->event == EVENT_READY && process->state == WORKER_DRAINING)
		sim_cover(sim, SIM_READY_WHILE_DRAINING);
	if (item->event == EVENT_RELOADING &&
	    process->state == WORKER_STARTING)
		sim_cover(sim, SIM_RELOADING_FIRST);
}

void
sim_process_gone(struct sim *sim, struct sim_process *process)
{
	sim->living[process->index] = sim->living[--sim->living_count];
	sim->living[process->index]->index = process->index;
	process->index = UINT32_MAX;
	process->state = WORKER_GONE;
}

/* The engine's view of it, from what is about to arrive. */
static void
follow(struct sim *sim, struct sim_process *process,
    const struct sim_item *item, const char *text)
{
	bool live = process->state == WORKER_STARTING ||
	    process->state == WORKER_READY ||
	    process->state == WORKER_RELOADING;

	if (item->event == EVENT_EXITED) {
		sim_process_gone(sim, process);
	} else if (item->event == EVENT_READY && live) {
		process->state = WORKER_READY;
	} else if (item->event == EVENT_RELOADING &&
	    process->state == WORKER_READY) {
		process->state = WORKER_RELOADING;
	} else if (item->event == EVENT_STOPPING && live) {
		process->state = WORKER_STOPPING;
	} else if (item->event == EVENT_STATUS) {
		memcpy(process->status, text, sizeof(process->status));
	} else if (item->event == EVENT_ERRNO) {
		process->error_number = (int)item->value;
	} else if (item->event == EVENT_WATCHDOG_MS) {
		process->watchdog_ms = item->value;
	}
}

static void
arrive(struct sim *sim, const struct sim_item *item)
{
	struct sim_process *process = item->process;
	char text[sizeof(process->status)] = "";
	struct event event = {
		.type = item->event, .service = process->service,
		.id = process->id, .exit = item->exit, .value = item->value,
		.text = text,
	};

	if (process->boot != sim->boot_count || process->lost)
		return;                 /* its sockets are gone, too */
	if (item->event == EVENT_STATUS)
		(void)snprintf(text, sizeof(text), "status %u",
		    (unsigned)item->value);
	if (item->event != EVENT_WATCHDOG)
		sim_trace(sim, "event %d of worker %u.%u of service %u: %llu",
		    item->event, process->id.slot, process->id.incarnation,
		    process->service, (unsigned long long)item->value);
	sim->acted = true;
	if (item->event == EVENT_READY || item->event == EVENT_RELOADING)
		process->said_ready = item->event == EVENT_READY;
	if (process->state == WORKER_GONE) {
		sim_cover(sim, SIM_LATE_FOR_THE_DEAD);
	} else {
		cover_event(sim, item);
		if (item->event != EVENT_EXITED)
			follow(sim, process, item, text);
	}
	if (item->event != EVENT_EXITED) {
		engine_event(&sim->engine, &event);
		return;
	}
	/* the handle is good until the engine has seen the exit */
	if (process->state == WORKER_GONE)
		sim_fail(sim, "simulator: reaped twice");
	process->state = WORKER_GONE;
	engine_event(&sim->engine, &event);
	follow(sim, process, item, text);
}

void
sim_process_tell_ready(struct sim *sim, struct sim_process *process)
{
	struct sim_item item = { .type = ITEM_ARRIVE, .process = process,
		.event = EVENT_READY };

	sim_cover(sim, SIM_READY_REMEMBERED);
	arrive(sim, &item);
}

static void
send(struct sim *sim, struct sim_item item)
{
	item.type = ITEM_ARRIVE;
	item.when_ms = sim->now_ms;
	if (sim->chaos && sim_chance(sim, 2)) {
		sim_cover(sim, SIM_LOST);
		return;
	}
	if (sim->chaos && sim_chance(sim, 4)) {
		sim_cover(sim, SIM_DELAYED);
		item.when_ms += sim_below(sim, 800);
	}
	if (sim->chaos && sim_chance(sim, 3)) {
		sim_cover(sim, SIM_DOUBLED);
		sim_push(sim, item);
		item.when_ms += sim_below(sim, 20);
	}
	sim_push(sim, item);
}

static void
ping(struct sim *sim, struct sim_item item)
{
	struct sim_process *process = item.process;

	if (process->dead)
		return;
	item.when_ms = sim->now_ms + ping_period_ms(process);
	sim_push(sim, item);
	if (process->silent || process->watchdog_ms == 0)
		return;
	item.event = EVENT_WATCHDOG;
	arrive(sim, &item);
}

static void
end(struct sim *sim, struct sim_item item)
{
	if (item.process->dead)
		return;
	item.process->dead = true;
	item.type = ITEM_ARRIVE;
	item.event = EVENT_EXITED;
	item.when_ms += sim_below(sim, sim->chaos ? 100 : 3);
	sim_push(sim, item);
}

void
sim_process_item(struct sim *sim, const struct sim_item *item)
{
	switch (item->type) {
	case ITEM_SEND:
		if (!item->process->dead)
			send(sim, *item);
		break;
	case ITEM_ARRIVE:
		arrive(sim, item);
		break;
	case ITEM_END:
		end(sim, *item);
		break;
	case ITEM_PING:
		ping(sim, *item);
		break;
	case ITEM_COMMAND:
	case ITEM_TASK:
		break;
	}
}
