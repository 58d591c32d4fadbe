/*
 * An operator's edits of the rollout that runs: pause, resume, promote, abort.
 */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

/* "climb", or for a pause also why. */
static void
describe_phase(const struct rollout *r, char *ret_text, size_t size_bytes)
{
	if (r->phase == ROLLOUT_IDLE)
		(void)snprintf(ret_text, size_bytes, "no rollout runs");
	else if (r->phase == ROLLOUT_PAUSED)
		(void)snprintf(ret_text, size_bytes, "the rollout is in phase "
		    "paused (%s)", rollout_pause_text(r->pause));
	else
		(void)snprintf(ret_text, size_bytes, "the rollout is in phase "
		    "%s", rollout_phase_name(r->phase));
}

static void
list_verbs(const struct rollout *r, char *ret_text, size_t size_bytes)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (enum rollout_verb v = 0; v < ROLLOUT_VERB_COUNT; v++)
		if (rollout_can(r, v) && used < size_bytes)
			used += (size_t)snprintf(ret_text + used,
			    size_bytes - used, "%s%s", used > 0 ? ", " : "",
			    rollout_verb_name(v));
}

static void
refuse(const struct service *s, enum rollout_verb verb, char *ret_text)
{
	char phase[160], verbs[64];

	describe_phase(&s->rollout, phase, sizeof(phase));
	list_verbs(&s->rollout, verbs, sizeof(verbs));
	(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: cannot %s: %s%s%s; "
	    "nothing was changed", s->name, rollout_verb_name(verb), phase,
	    verbs[0] != '\0' ? "; possible now: " : "", verbs);
}

static void
edit(struct rollout *r, enum rollout_verb verb, uint64_t now_ms)
{
	switch (verb) {
	case ROLLOUT_CAN_PAUSE:
		(void)rollout_pause(r, now_ms);
		break;
	case ROLLOUT_CAN_RESUME:
		(void)rollout_resume(r, now_ms);
		break;
	case ROLLOUT_CAN_PROMOTE:
		(void)rollout_promote(r, now_ms);
		break;
	case ROLLOUT_CAN_ABORT:
		rollout_recall(r, FAULT_OPERATOR);
		break;
	case ROLLOUT_VERB_COUNT:
		break;
	}
}

int
engine_order(struct engine *engine, struct service *s, enum rollout_verb verb,
    struct reload_result *ret_result, char *ret_text)
{
	static const char *const texts[] = {
		[ROLLOUT_CAN_PAUSE] = "paused: no further step begins",
		[ROLLOUT_CAN_RESUME] = "goes on",
		[ROLLOUT_CAN_PROMOTE] = "goes to the end, without holds",
		[ROLLOUT_CAN_ABORT] = "is taken back",
	};
	const char *text = verb == ROLLOUT_CAN_PROMOTE &&
	    s->rollout.phase == ROLLOUT_KEEP ?
	    "stays in charge, the old workers go" : texts[verb];

	memset(ret_result, 0, sizeof(*ret_result));
	if (!rollout_can(&s->rollout, verb)) {
		refuse(s, verb, ret_text);
		return -1;
	}
	if (verb == ROLLOUT_CAN_RESUME &&
	    s->rollout.pause == PAUSE_FAULT)    /* what was is forgiven */
		s->deployment.reason[0] = '\0';
	edit(&s->rollout, verb, engine->world->now_ms(engine->world->ctx));
	service_say(engine, s, verb == ROLLOUT_CAN_PAUSE ? NOTICE_PAUSED :
	    NOTICE_RESUMED, NOTICE_PLAIN, NULL, "an operator said %s: revision "
	    "%u %s", rollout_verb_name(verb), s->rollout.candidate, text);
	engine_describe(s, &s->deployment, text, ret_result);
	return 0;
}
