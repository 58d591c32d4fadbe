/*
 * The live picture of running rollouts, on a terminal.
 *
 * What is painted is what the supervisor says now, asked over a connection of
 * its own, and not what the events of the wait would add up to: a picture that
 * was begun in the middle is right as well.  If that connection fails there is
 * no picture any more, and nothing else is lost.
 *
 *     web  reload  revision 3 -> 4 (v2.1)  step 2 of 4  climb  3.2 s
 *       old  ..oo  2 ready
 *       new  o+..  1 ready, 1 starting
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	SERVICES_PAINTED_MAX = 6,
	SLOTS_PAINTED_MAX = 60,
	ANSWER_MS = 2000,               /* a picture is not worth more */
	REST_MS = 200,                  /* between two questions, at least; */
	REST_FACTOR = 20,               /* and so many times their cost */
};

struct picture {
	struct supctl ctl;
	const char *service;            /* or NULL */
	struct call call;
	bool broken;
	uint64_t not_before_ms;
	struct draw draw;
	uint32_t painted_count;         /* lines that stand there */
	struct reply last;              /* what was painted last */
	uint64_t started_ms;
};

struct picture *
picture_open(const struct supctl *ctl, const char *service)
{
	struct picture *p;
	struct draw d;

	draw_init(&d, stdout);
	if (!d.terminal)
		return NULL;
	p = draw_memory(calloc(1, sizeof(*p)));
	p->ctl = *ctl;
	p->service = service;
	p->draw = d;
	p->started_ms = draw_clock_ms();
	p->broken = call_open(&p->call, ctl->socket_path) != SUPCTL_DONE;
	return p;
}

void
picture_erase(struct picture *p)
{
	if (p == NULL || p->painted_count == 0)
		return;
	fprintf(p->draw.out, "\033[%" PRIu32 "A\r\033[J", p->painted_count);
	p->painted_count = 0;
}

static char
worker_symbol(const char *state)
{
	static const struct {
		const char *state;
		char symbol;
	} symbols[] = {
		{ "ready", 'o' }, { "starting", '+' }, { "reloading", '~' },
		{ "stopping", '-' }, { "draining", '-' }, { "killed", 'x' },
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (strcmp(state, symbols[i].state) == 0)
			return symbols[i].symbol;
	return '?';
}

/* A symbol for each slot; where a slot has two workers, the one that serves
 * is shown. */
static void
paint_slots(struct draw *d, const json_t *workers, uint64_t revision,
    uint64_t slot_count)
{
	const char *states[SLOTS_PAINTED_MAX] = { NULL };
	json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) {
		uint64_t slot = field_number(worker, "slot");

		if (slot >= slot_count ||
		    field_number(worker, "revision") != revision)
			continue;
		if (states[slot] == NULL || strcmp(states[slot], "ready") != 0)
			states[slot] = field_text(worker, "state");
	}
	for (size_t slot = 0; slot < slot_count; slot++)
		if (states[slot] == NULL)
			draw_text(d, STYLE_DIM, ".");
		else
			draw_format(d, worker_style(states[slot]), "%c",
			    worker_symbol(states[slot]));
}

/* The ready ones as a bar, where slots are too many to show each. */
static void
paint_bar(struct draw *d, uint64_t ready, uint64_t slot_count)
{
	enum { BAR_COLUMNS = 40 };
	uint64_t full = ready < slot_count ?
	    ready * BAR_COLUMNS / slot_count : BAR_COLUMNS;

	for (uint64_t i = 0; i < BAR_COLUMNS; i++)
		draw_text(d, i < full ? STYLE_GOOD : STYLE_DIM,
		    i < full ? "o" : ".");
}

static void
paint_lane(struct draw *d, const char *name, const json_t *service,
    uint64_t revision)
{
	const json_t *workers = field_list(service, "worker_list");
	uint64_t slot_count = field_number(service, "workers");
	struct tally tally = tally_workers(workers, revision);

	draw_format(d, STYLE_DIM, "  %s  ", name);
	if (slot_count <= SLOTS_PAINTED_MAX)
		paint_slots(d, workers, revision, slot_count);
	else
		paint_bar(d, tally_ready(&tally), slot_count);
	draw_text(d, STYLE_PLAIN, "  ");
	tally_print(d, &tally);
	draw_end(d);
}

static void
paint_service(struct picture *p, const json_t *service)
{
	const json_t *rollout = field_object(service, "rollout");
	const json_t *deployment = field_object(rollout, "deployment");
	const char *phase = field_text(rollout, "phase");
	uint64_t from = field_number(deployment, "from_revision");
	uint64_t to = field_number(deployment, "revision");
	struct draw *d = &p->draw;

	draw_text(d, STYLE_BOLD, field_text(service, "name"));
	draw_format(d, STYLE_PLAIN, "  %s  revision %" PRIu64 " -> %s  ",
	    field_text(deployment, "kind"), from, revision_label(to,
	    field_text(deployment, "version")).text);
	steps_print_present(d, rollout);
	draw_text(d, STYLE_PLAIN, "  ");
	draw_text(d, strcmp(phase, "climb") == 0 ? STYLE_GOOD : STYLE_BAD,
	    phase);
	draw_format(d, STYLE_DIM, "  %s", draw_duration(draw_clock_ms() -
	    p->started_ms).text);
	draw_end(d);
	paint_lane(d, "old", service, from);
	paint_lane(d, "new", service, to);
}

static void
paint(struct picture *p, const json_t *reply)
{
	struct draw *d = &p->draw;
	uint32_t rollout_count = 0;
	json_t *service;
	size_t i;

	picture_erase(p);
	draw_fit(d);
	d->line_count = d->column = 0;
	json_array_foreach(field_list(reply, "services"), i, service)
		if (field_object(service, "rollout") != NULL &&
		    rollout_count++ < SERVICES_PAINTED_MAX)
			paint_service(p, service);
	if (rollout_count > SERVICES_PAINTED_MAX)
		draw_line(d, STYLE_DIM, "and %" PRIu32 " more rollouts",
		    rollout_count - SERVICES_PAINTED_MAX);
	p->painted_count = d->line_count;
	(void)draw_flush();
}

void
picture_draw(struct picture *p)
{
	uint64_t asked_ms = draw_clock_ms();
	struct reply reply;

	if (p == NULL || p->broken)
		return;
	if (asked_ms < p->not_before_ms) {
		if (p->painted_count == 0)
			paint(p, p->last.parameters);
		return;
	}
	call_send(&p->call, "io.supd.Status", p->service != NULL ?
	    json_pack("{s:s}", "service", p->service) : json_object(), false);
	if (call_receive(&p->call, ANSWER_MS, &reply) != CALL_REPLY) {
		picture_erase(p);
		p->broken = true;
		return;
	}
	reply_release(&p->last);
	p->last = reply;
	paint(p, reply.parameters);
	/* Thousands of workers are dear to ask for; the rollout comes first. */
	p->not_before_ms = asked_ms + REST_MS +
	    REST_FACTOR * (draw_clock_ms() - asked_ms);
}

void
picture_close(struct picture *p)
{
	if (p == NULL)
		return;
	picture_erase(p);
	reply_release(&p->last);
	call_close(&p->call);
	free(p);
}
