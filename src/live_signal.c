/*
 * What signals ask of supd, and that it is done once, whenever supd is killed.
 *
 * Who was told to stop, or to reload, and ends in that turn has taken the signal
 * and has noted nothing.  So the text supd-world tells of it at once, by a number,
 * before it is done; and the state, at the end of the turn, which was done last.
 * The next supd does what comes after that.
 */
#include <signal.h>
#include <string.h>

#include "live_parts.h"
#include "live_resume.h"
#include "live_upgrade.h"
#include "log.h"

/* Of one turn; more of them would say nothing new. */
enum { HEARD_MAX = 16 };

struct heard {
	uint64_t id;
	int number;
};

/* In this turn, and by the supd before in one that was lost. */
static struct {
	struct heard list[HEARD_MAX];
	size_t count;
} heard, unheard;

/* SIGHUP: reload of all; what comes of it is in the log. */
static void
reload_all(struct live *live)
{
	struct reload request = { .service_count = 0 };
	struct reload_results results;
	struct config_errors errors;
	char text[REASON_BYTES_MAX];

	if (engine_reload(&live->engine, &request, &results, &errors,
	    text) < 0)
		log_error("reload: %s", text);
	for (size_t i = 0; i < errors.count; i++)
		log_error("%s:%u: %s", errors.list[i].file,
		    errors.list[i].line, errors.list[i].text);
	config_errors_release(&errors);
}

static void
obey(struct live *live, int number)
{
	char why[REASON_BYTES_MAX];

	switch (number) {
	case SIGHUP:
		log_notice("SIGHUP: reloading");
		(void)live_restore_places(live);
		reload_all(live);
		break;
	case SIGUSR1:
		live_parent_leave();
		break;
	case SIGUSR2:
		log_notice("SIGUSR2: upgrading");
		if (live_upgrade(live, NULL, 0, why) < 0)
			log_error("upgrade: %s; nothing has changed", why);
		break;
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		log_notice("SIG%s: %s", sigabbrev_np(number),
		    live->engine.phase == ENGINE_RUNNING ? "stopping" :
		    "killing what still runs");
		engine_shutdown(&live->engine);
		break;
	default:
		log_notice("SIG%s means nothing to supd", sigabbrev_np(number));
	}
}

/* The others change nothing that the next supd does not do by itself. */
static bool
is_remembered(int number)
{
	return number == SIGHUP || number == SIGTERM || number == SIGINT ||
	    number == SIGQUIT;
}

void
live_signal(struct live *live, int number)
{
	if (is_remembered(number)) {
		live->engine.signal_last++;
		if (heard.count < HEARD_MAX)
			heard.list[heard.count++] = (struct heard){
				.id = live->engine.signal_last,
				.number = number };
		live_tell_world(live);
	}
	obey(live, number);
}

void
live_signals_done(void)
{
	heard.count = 0;
}

json_t *
live_save_signals(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < heard.count; i++)
		(void)json_array_append_new(list, json_pack("{s:I, s:i}",
		    "id", (json_int_t)heard.list[i].id,
		    "signal", heard.list[i].number));
	return list;
}

/* As done, which the state says before the first turn: once more, and not for
 * ever, since it may be what has ended supd. */
void
live_restore_signals(struct live *live, const json_t *list)
{
	const json_t *text;
	json_int_t id;
	int number;
	size_t i;

	json_array_foreach(list, i, text) {
		if (unheard.count == HEARD_MAX || json_unpack(
		    (json_t *)(uintptr_t)text, "{s:I, s:i}", "id", &id,
		    "signal", &number) < 0 || !is_remembered(number) ||
		    id <= (json_int_t)live->engine.signal_last)
			continue;
		live->engine.signal_last = (uint64_t)id;
		unheard.list[unheard.count++].number = number;
	}
}

void
live_hear_again(struct live *live)
{
	for (size_t i = 0; i < unheard.count; i++)
		live_signal(live, unheard.list[i].number);
	unheard.count = 0;
}
