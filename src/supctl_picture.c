/*
 * The live picture of running rollouts, on a terminal.
 *
 * What is painted is what the supervisor says now, asked over a connection of
 * its own, and not what the events of the wait would add up to: a picture that
 * was begun in the middle is right as well.  If that connection fails there is
 * no picture any more, and events are lines as they are elsewhere.
 */
#include "supctl_rollout.h"

#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"

enum {
	PAINTED_WHOLE_MAX = 2,          /* of more rollouts each is a line */
	ANSWER_MS = 2000,               /* a picture is not worth more */
	REST_MS = 200,                  /* between two questions, at least; */
	REST_FACTOR = 20,               /* and so many times their cost */
};

struct picture {
	const char *service;            /* or NULL */
	struct call call;
	uint64_t not_before_ms;
	struct draw draw;
	struct share_reader share;
	uint32_t painted_count;         /* lines that stand there */
	struct reply last;              /* what was painted last */
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
	p->service = service;
	p->draw = d;
	if (call_open(&p->call, ctl->socket_path) == SUPCTL_DONE)
		return p;
	free(p);
	return NULL;
}

void
picture_erase(struct picture *p)
{
	if (p == NULL || p->painted_count == 0)
		return;
	fprintf(p->draw.out, "\033[%" PRIu32 "A\r\033[J", p->painted_count);
	p->painted_count = 0;
}

static void
paint(struct picture *p, const json_t *reply)
{
	const json_t *services = field_list(reply, "services");
	struct draw *d = &p->draw;
	uint32_t rollout_count = 0;
	json_t *service;
	size_t i;

	picture_erase(p);
	draw_fit(d);
	d->line_count = d->column = 0;
	json_array_foreach(services, i, service)
		rollout_count += field_object(service, "rollout") != NULL;
	json_array_foreach(services, i, service) {
		if (field_object(service, "rollout") == NULL)
			continue;
		if (rollout_count <= PAINTED_WHOLE_MAX)
			progress_draw(d, service, &p->share);
		else
			progress_draw_short(d, service);
	}
	p->painted_count = d->line_count;
	(void)draw_flush();
}

bool
picture_draw(struct picture *p)
{
	uint64_t asked_ms = clock_ms();
	struct reply reply;

	if (asked_ms < p->not_before_ms) {
		if (p->painted_count == 0)
			paint(p, p->last.parameters);
		return true;
	}
	call_send(&p->call, "io.supd.Status", p->service != NULL ?
	    json_pack("{s:s}", "service", p->service) : json_object(), false);
	if (call_receive(&p->call, ANSWER_MS, &reply) != CALL_REPLY)
		return false;
	reply_release(&p->last);
	p->last = reply;
	paint(p, reply.parameters);
	/* Thousands of workers are dear to ask for; the rollout comes first. */
	p->not_before_ms = asked_ms + REST_MS +
	    REST_FACTOR * (clock_ms() - asked_ms);
	return true;
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
