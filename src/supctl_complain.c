/*
 * What went wrong, where, what is allowed, and what became of the services.
 *
 * One table maps the errors of the interface to sentences and exit codes.  A
 * verb that may change something is told whether it did: an error reply means
 * that nothing was changed, a connection that broke means that nobody knows.
 */
#include "supctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

void
complain(const char *format, ...)
{
	va_list arguments;
	struct draw d;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	draw_memory(text);
	(void)draw_flush();     /* in the order in which it happened */
	draw_init(&d, stderr);
	draw_text(&d, STYLE_PLAIN, "supctl: ");
	draw_text(&d, STYLE_PLAIN, text);
	draw_end(&d);
	free(text);
}

int
complain_connect(const char *path, int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		complain("not permitted to connect to %s: root, supd's own "
		    "user and members of its control_group may", path);
		return SUPCTL_REFUSED;
	case EAGAIN:
		complain("the supervisor at %s does not answer: its queue of "
		    "clients is full", path);
		return SUPCTL_FAILED;
	default:
		complain("no supervisor at %s: %s (is supd running? another "
		    "socket: --socket PATH)", path, strerror(error));
		return SUPCTL_ABSENT;
	}
}

/* Nobody knows what became of a change if its answer did not come. */
static const char *
unknown_outcome(const struct supctl *ctl)
{
	return ctl->changes ? "; what became of the request is not known, "
	    "see: supctl status" : "";
}

int
complain_result(const struct supctl *ctl, const struct call *call,
    enum call_result result)
{
	const char *outcome = unknown_outcome(ctl);
	int error = errno;

	switch (result) {
	case CALL_REPLY:
		break;
	case CALL_TIMEOUT:
		complain("the supervisor at %s did not answer for %d s%s",
		    call->path, CALL_PATIENCE_MS / 1000, outcome);
		break;
	case CALL_INTERRUPTED:
		complain("interrupted%s", outcome);
		break;
	case CALL_CLOSED:
		complain("the supervisor at %s closed the connection without "
		    "an answer%s", call->path, outcome);
		break;
	case CALL_BROKEN:
		complain("the connection to %s broke: %s%s", call->path,
		    strerror(error), outcome);
		break;
	case CALL_GARBAGE:
		complain("what listens at %s sent something that is no "
		    "Varlink reply (is it supd?)%s", call->path, outcome);
		break;
	case CALL_TOO_LARGE:
		complain("the answer from %s is larger than %d bytes%s",
		    call->path, CLIENT_QUEUE_BYTES_MAX, outcome);
		break;
	}
	return SUPCTL_FAILED;
}

int
complain_shape(const char *missing)
{
	complain("the supervisor's answer has no `%s`: is it another version "
	    "of supd?", missing);
	return SUPCTL_FAILED;
}

int
complain_gone(const struct call *call, int error, const char *outcome)
{
	int seconds = CALL_RETURN_MS / 1000;

	switch (-error) {
	case EINTR:
		complain("interrupted%s", outcome);
		return SUPCTL_FAILED;
	case ECONNRESET:
		complain("the supervisor at %s closed every connection for "
		    "%d s: is it restarted again and again?%s", call->path,
		    seconds, outcome);
		return SUPCTL_FAILED;
	case EAGAIN:
		complain("the supervisor at %s does not answer: its queue of "
		    "clients was full for %d s%s", call->path, seconds,
		    outcome);
		return SUPCTL_FAILED;
	case EACCES:
	case EPERM:
		return complain_connect(call->path, -error);
	default:
		complain("the supervisor at %s went away and did not come "
		    "back within %d s: %s%s", call->path, seconds,
		    strerror(-error), outcome);
		return SUPCTL_ABSENT;
	}
}

void
complain_back(struct call *call, const char *what_goes_on)
{
	if (call->told)
		return;
	call->told = true;
	complain("supd was restarted, or closed the connection; connected "
	    "again, %s", what_goes_on);
}

static const char *
unchanged(const struct supctl *ctl)
{
	return ctl->changes ? "; nothing was changed" : "";
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters were lost, added, mistaken or swapped with the next. */
static size_t
word_distance(const char *a, const char *b, size_t far)
{
	enum { LENGTH_MAX = NAME_LENGTH_MAX };
	size_t a_length = strlen(a), b_length = strlen(b);
	size_t table[LENGTH_MAX + 1][LENGTH_MAX + 1];

	if (a_length > LENGTH_MAX || b_length > LENGTH_MAX)
		return far;
	for (size_t i = 0; i <= a_length; i++)
		for (size_t j = 0; j <= b_length; j++) {
			if (i == 0 || j == 0) {
				table[i][j] = i + j;
				continue;
			}
			table[i][j] = least(table[i - 1][j - 1] +
			    (a[i - 1] != b[j - 1]),
			    least(table[i - 1][j], table[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				table[i][j] = least(table[i][j],
				    table[i - 2][j - 2] + 1);
		}
	return table[a_length][b_length];
}

const char *
nearest_word(const char *word, const char *const *list, size_t count)
{
	/* Two letters in three are another word, not a typing error. */
	size_t best = strlen(word) < 4 ? 2 : 3;
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++) {
		size_t distance = word_distance(word, list[i], best);

		if (distance < best) {
			best = distance;
			nearest = list[i];
		}
	}
	return nearest;
}

/* Appends to a sentence of bounded length; what does not fit is left out. */
static void
append(char *text, size_t capacity, const char *piece)
{
	size_t used = strlen(text);

	snprintf(text + used, capacity - used, "%s", piece);
}

static void
complain_service(const struct supctl *ctl, const json_t *parameters)
{
	const char *service = field_text(parameters, "service");
	const json_t *known = field_list(parameters, "known");
	const char *names[SERVICES_MAX];
	/* Half a name would be another one: there is room for all. */
	char list[SERVICES_MAX * (NAME_LENGTH_MAX + sizeof(", "))] = "";
	const char *nearest;
	size_t count = 0, i;
	json_t *name;

	json_array_foreach(known, i, name) {
		if (!json_is_string(name) || count == SERVICES_MAX)
			continue;
		append(list, sizeof(list), count > 0 ? ", " : "");
		append(list, sizeof(list), json_string_value(name));
		names[count++] = json_string_value(name);
	}
	nearest = nearest_word(service, names, count);
	complain("no service \"%s\" (%s%s%s%s%s)%s", service,
	    nearest != NULL ? "did you mean \"" : "",
	    nearest != NULL ? nearest : "", nearest != NULL ? "\"? " : "",
	    count > 0 ? "there are: " : "none is configured", list,
	    unchanged(ctl));
}

static void
print_error(struct draw *d, const char *file, uint64_t line, const char *text)
{
	draw_text(d, STYLE_BOLD, file);
	if (line > 0)
		draw_format(d, STYLE_BOLD, ":%" PRIu64, line);
	draw_line(d, STYLE_PLAIN, ": %s", text);
}

static void
print_dropped(struct draw *d, uint64_t count)
{
	if (count > 0)
		draw_line(d, STYLE_PLAIN, "and %" PRIu64 " more", count);
}

void
complain_errors(const struct config_errors *errors)
{
	struct draw d;

	(void)draw_flush();
	draw_init(&d, stderr);
	for (size_t i = 0; i < errors->count; i++)
		print_error(&d, errors->list[i].file, errors->list[i].line,
		    errors->list[i].text);
	print_dropped(&d, errors->dropped);
}

static void
complain_configuration(const struct supctl *ctl, const json_t *parameters)
{
	const json_t *errors = field_list(parameters, "errors");
	struct draw d;
	json_t *error;
	size_t i;

	(void)draw_flush();
	draw_init(&d, stderr);
	json_array_foreach(errors, i, error)
		print_error(&d, field_text(error, "file"),
		    field_number(error, "line"), field_text(error, "text"));
	print_dropped(&d, field_number(parameters, "dropped"));
	complain("the configuration has errors%s", unchanged(ctl));
}

static void
complain_failed(const struct supctl *ctl, const json_t *parameters)
{
	const char *text = field_text(parameters, "text");

	complain("%s%s", text[0] != '\0' ? text : "the supervisor failed",
	    strstr(text, "nothing was changed") ? "" : unchanged(ctl));
}

/* Which orders there are in each phase of a rollout; the supervisor decides,
 * and supctl(1) has the same table. */
static const struct {
	const char *phase;
	const char *verbs[5];
} possible[] = {
	{ "prepare", { "abort", "undo" } },
	{ "climb", { "pause", "promote", "abort", "undo" } },
	{ "paused", { "resume", "promote", "abort", "undo" } },
	{ "keep", { "promote", "abort", "undo" } },
	{ "retire", { "abort", "undo" } },
	{ "idle", { "undo" } },
};

/* Without the order that was just refused. */
static void
append_possible(const char *phase, const char *refused, char *list,
    size_t capacity)
{
	const char *const *verbs = NULL;

	for (size_t i = 0; i < sizeof(possible) / sizeof(possible[0]); i++)
		if (strcmp(phase, possible[i].phase) == 0)
			verbs = possible[i].verbs;
	for (; verbs != NULL && *verbs != NULL; verbs++) {
		if (strcmp(*verbs, refused) == 0)
			continue;
		append(list, capacity, list[0] != '\0' ? ", " :
		    "; possible now: ");
		append(list, capacity, *verbs);
	}
}

static void
complain_phase(const struct supctl *ctl, const json_t *parameters)
{
	const char *text = field_text(parameters, "text");
	const char *phase = field_text(parameters, "phase");
	bool is_order = strcmp(ctl->verb, "rollout") == 0;
	const char *refused = is_order ? ctl->operands[0] : ctl->verb;
	char list[128] = "";

	append_possible(phase, refused, list, sizeof(list));
	complain("%s (phase %s%s)%s", text[0] != '\0' ? text :
	    "this is not possible now", phase[0] != '\0' ? phase : "unknown",
	    list, strstr(text, "nothing was changed") ? "" : unchanged(ctl));
}

static void
complain_permission(const struct supctl *ctl, const json_t *parameters)
{
	char who[32] = "";

	if (field_given(parameters, "uid"))
		snprintf(who, sizeof(who), " for uid %" PRIu64,
		    field_number(parameters, "uid"));
	complain("not permitted%s: root, supd's own user and members of its "
	    "control_group may%s", who, unchanged(ctl));
}

static void
complain_busy(const struct supctl *ctl, const json_t *parameters)
{
	complain("the supervisor is busy: it has %" PRIu64 " clients already%s",
	    field_number(parameters, "limit"), unchanged(ctl));
}

static void
complain_frame(const struct supctl *ctl, const json_t *parameters)
{
	complain("the request is larger than %" PRIu64 " bytes%s",
	    field_number(parameters, "limit"), unchanged(ctl));
}

static void
complain_method(const struct supctl *ctl, const json_t *parameters)
{
	const char *name = field_text(parameters, "method");

	if (name[0] == '\0')
		name = field_text(parameters, "interface");
	complain("the supervisor does not know %s: it is another version of "
	    "supd%s", name[0] != '\0' ? name : "this request",
	    unchanged(ctl));
}

static void
complain_parameter(const struct supctl *ctl, const json_t *parameters)
{
	complain("the supervisor does not accept this value of `%s`%s",
	    field_text(parameters, "parameter"), unchanged(ctl));
}

static void
complain_upgrade_refused(const struct supctl *ctl, const json_t *parameters)
{
	complain("the upgrade%s%s was refused: %s; nothing was changed: the "
	    "supd that runs is in charge", ctl->to_path != NULL ? " to " : "",
	    ctl->to_path != NULL ? ctl->to_path : "",
	    field_text(parameters, "reason"));
}

static void
complain_upgrade_failed(const struct supctl *ctl, const json_t *parameters)
{
	(void)ctl;
	complain("the new supd was executed and failed: %s; the old one is in "
	    "charge again", field_text(parameters, "reason"));
}

static const struct {
	const char *name;
	void (*say)(const struct supctl *, const json_t *);
	int code;
} errors[] = {
	{ "io.supd.NoSuchService", complain_service, SUPCTL_USAGE },
	{ "io.supd.BadConfiguration", complain_configuration, SUPCTL_USAGE },
	{ "io.supd.WrongPhase", complain_phase, SUPCTL_FAILED },
	{ "io.supd.Failed", complain_failed, SUPCTL_FAILED },
	{ "io.supd.UpgradeRefused", complain_upgrade_refused, SUPCTL_FAILED },
	{ "io.supd.UpgradeFailed", complain_upgrade_failed, SUPCTL_FAILED },
	{ "io.supd.PermissionDenied", complain_permission, SUPCTL_REFUSED },
	{ "io.supd.Busy", complain_busy, SUPCTL_FAILED },
	{ "io.supd.FrameTooLarge", complain_frame, SUPCTL_USAGE },
	{ "org.varlink.service.PermissionDenied", complain_permission,
	    SUPCTL_REFUSED },
	{ "org.varlink.service.InterfaceNotFound", complain_method,
	    SUPCTL_FAILED },
	{ "org.varlink.service.MethodNotFound", complain_method,
	    SUPCTL_FAILED },
	{ "org.varlink.service.MethodNotImplemented", complain_method,
	    SUPCTL_FAILED },
	{ "org.varlink.service.InvalidParameter", complain_parameter,
	    SUPCTL_USAGE },
};

int
complain_reply(const struct supctl *ctl, const struct call *call,
    const struct reply *reply)
{
	char *text;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(reply->error, errors[i].name) == 0) {
			errors[i].say(ctl, reply->parameters);
			return errors[i].code;
		}
	text = draw_memory(json_dumps(reply->parameters, JSON_COMPACT));
	complain("the supervisor at %s answered with an error: %s %s%s",
	    call->path, reply->error, text, unchanged(ctl));
	free(text);
	return SUPCTL_FAILED;
}
