/*
 * The short orders: one request, one answer, one sentence.
 *
 * They do not wait for what they start; `supctl status` shows it.  What can be
 * seen to be wrong without the supervisor is refused before it is asked.
 */
#include "supctl.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A request for the service that is the first operand, without an answer but
 * that it was accepted. */
static int
order(const struct supctl *ctl, const char *method, const char *sentence)
{
	const char *service = ctl->operands[0];
	struct reply reply;
	struct draw d;
	int code;

	code = call_once(ctl, method, json_pack("{s:s}", "service", service),
	    &reply);
	if (code != SUPCTL_DONE)
		return code;
	reply_release(&reply);
	draw_init(&d, stdout);
	draw_line(&d, STYLE_PLAIN, "%s: %s", service, sentence);
	return SUPCTL_DONE;
}

int
verb_start(const struct supctl *ctl)
{
	return order(ctl, "io.supd.Start", "its workers are being started");
}

int
verb_stop(const struct supctl *ctl)
{
	return order(ctl, "io.supd.Stop",
	    "its workers are being stopped and finish what they have");
}

static int
parse_count(const char *text, uint32_t *ret_count)
{
	char *end;
	long count;

	errno = 0;
	count = strtol(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ||
	    count < 1 || count > WORKERS_MAX)
		return -EINVAL;
	*ret_count = (uint32_t)count;
	return 0;
}

int
verb_scale(const struct supctl *ctl)
{
	char *service = ctl->operands[0];
	char *equals = strchr(service, '=');
	struct reply reply;
	uint32_t workers;
	struct draw d;
	int code;

	if (equals == NULL || equals == service ||
	    parse_count(equals + 1, &workers) < 0) {
		complain("scale: expected SERVICE=N with N from 1 to %d, not "
		    "\"%s\" (`supctl stop` stops all); nothing was changed",
		    WORKERS_MAX, service);
		return SUPCTL_USAGE;
	}
	*equals = '\0';
	code = call_once(ctl, "io.supd.Scale", json_pack("{s:s, s:i}",
	    "service", service, "workers", (int)workers), &reply);
	if (code != SUPCTL_DONE)
		return code;
	reply_release(&reply);
	draw_init(&d, stdout);
	draw_line(&d, STYLE_PLAIN, "%s: %" PRIu32 " worker%s wanted, until "
	    "the next reload", service, workers,
	    workers == 1 ? "" : "s");
	return SUPCTL_DONE;
}

/* TERM, SIGTERM, 15; the number, or -EINVAL. */
static int
parse_signal(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9')
		return *end == '\0' && number > 0 && number < NSIG ?
		    (int)number : -EINVAL;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name != NULL && strcasecmp(text, name) == 0)
			return i;
	}
	return -EINVAL;
}

int
verb_signal(const struct supctl *ctl)
{
	const char *service = ctl->operands[0];
	int number = parse_signal(ctl->operands[1]);
	char name[16];
	struct reply reply;
	uint64_t count;
	struct draw d;
	int code;

	if (number < 0) {
		complain("signal: \"%s\" is no signal: give a name (TERM or "
		    "SIGTERM) or a number from 1 to %d; nothing was sent",
		    ctl->operands[1], NSIG - 1);
		return SUPCTL_USAGE;
	}
	if (sigabbrev_np(number) != NULL)
		snprintf(name, sizeof(name), "%s", sigabbrev_np(number));
	else
		snprintf(name, sizeof(name), "%d", number);
	code = call_once(ctl, "io.supd.Signal", json_pack("{s:s, s:s}",
	    "service", service, "signal", name), &reply);
	if (code != SUPCTL_DONE)
		return code;
	count = field_number(reply.parameters, "count");
	reply_release(&reply);
	if (count == 0) {
		complain("%s: no worker is running; nothing was sent", service);
		return SUPCTL_FAILED;
	}
	draw_init(&d, stdout);
	draw_line(&d, STYLE_PLAIN, "%s: %s sent to %" PRIu64 " worker%s",
	    service, name, count, count == 1 ? "" : "s");
	return SUPCTL_DONE;
}

int
verb_shutdown(const struct supctl *ctl)
{
	struct reply reply;
	int code = call_once(ctl, "io.supd.Shutdown", json_object(), &reply);

	if (code != SUPCTL_DONE)
		return code;
	reply_release(&reply);
	draw_raw(stdout,
	    "supd is stopping: all workers finish what they have\n");
	return SUPCTL_DONE;
}
