/*
 * What a worker says, from bytes to fields.
 *
 * The bytes come from the user's program and are not trusted: everything is
 * bounded by the datagram, a value is taken whole or not at all, and STATUS,
 * which travels on into JSON and onto terminals, leaves here as valid UTF-8
 * without control characters.  Of two assignments of one name the last counts.
 * Pure, and fuzzed (tests/fuzz_notify.c).
 */
#include "notify.h"

#include <limits.h>
#include <string.h>

#include "printable.h"

#define ERRNO_MAX 4095          /* the kernel's */

struct value {
	const unsigned char *bytes;
	size_t count;
};

static bool
value_is(const struct value *value, const char *text)
{
	return value->count == strlen(text) &&
	    memcmp(value->bytes, text, value->count) == 0;
}

/* Digits only: no sign, no space, no fraction, and at least one. */
static bool
value_number(const struct value *value, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < value->count; i++) {
		unsigned digit = value->bytes[i] - (unsigned)'0';

		if (digit > 9 || number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	if (value->count == 0)
		return false;
	*ret_number = number;
	return true;
}

static bool
take_ready(const struct value *value, struct notify_message *message)
{
	return message->ready = value_is(value, "1");
}

static bool
take_reloading(const struct value *value, struct notify_message *message)
{
	return message->reloading = value_is(value, "1");
}

static bool
take_stopping(const struct value *value, struct notify_message *message)
{
	return message->stopping = value_is(value, "1");
}

static bool
take_barrier(const struct value *value, struct notify_message *message)
{
	return message->barrier = value_is(value, "1");
}

static bool
take_watchdog(const struct value *value, struct notify_message *message)
{
	if (value_is(value, "trigger"))
		return message->watchdog_trigger = true;
	if (value_is(value, "1"))
		return message->watchdog = true;
	return false;
}

static bool
take_fd_store(const struct value *value, struct notify_message *message)
{
	return message->fd_store = value_is(value, "1");
}

static bool
take_fd_store_remove(const struct value *value, struct notify_message *message)
{
	return message->fd_store_remove = value_is(value, "1");
}

/* The names that begin so are our own. */
static bool
take_fd_name(const struct value *value, struct notify_message *message)
{
	static const char own[] = "supd.";

	message->fd_name[0] = '\0';
	if (value->count == 0 || value->count > FD_NAME_LENGTH_MAX ||
	    (value->count >= strlen(own) &&
	    memcmp(value->bytes, own, strlen(own)) == 0))
		return false;
	for (size_t i = 0; i < value->count; i++)
		if (value->bytes[i] < 0x20 || value->bytes[i] >= 0x7f ||
		    value->bytes[i] == ':')
			return false;
	memcpy(message->fd_name, value->bytes, value->count);
	message->fd_name[value->count] = '\0';
	return true;
}

static bool
take_fd_poll(const struct value *value, struct notify_message *message)
{
	message->fd_unwatched = value_is(value, "0");
	return message->fd_unwatched || value_is(value, "1");
}

static bool
take_status(const struct value *value, struct notify_message *message)
{
	(void)printable_copy(message->status, sizeof(message->status),
	    value->bytes, value->count, "");
	return message->has_status = true;
}

static bool
take_errno(const struct value *value, struct notify_message *message)
{
	uint64_t number;

	if (!value_number(value, ERRNO_MAX, &number))
		return false;
	message->error_number = (int)number;
	return message->has_errno = true;
}

/* Process 1 is never a worker; somebody could be made to signal it. */
static bool
take_main_pid(const struct value *value, struct notify_message *message)
{
	uint64_t number;

	if (!value_number(value, INT_MAX, &number) || number <= 1)
		return false;
	message->main_pid = (pid_t)number;
	return message->has_main_pid = true;
}

static bool
take_watchdog_usec(const struct value *value, struct notify_message *message)
{
	if (!value_number(value, UINT64_MAX, &message->watchdog_usec))
		return false;
	return message->has_watchdog_usec = true;
}

static bool
take_extend_usec(const struct value *value, struct notify_message *message)
{
	if (!value_number(value, UINT64_MAX, &message->extend_usec))
		return false;
	return message->has_extend_usec = true;
}

static bool
take_monotonic_usec(const struct value *value, struct notify_message *message)
{
	if (!value_number(value, UINT64_MAX, &message->monotonic_usec))
		return false;
	return message->has_monotonic_usec = true;
}

static const struct {
	const char *name;       /* with its '=' */
	bool (*take)(const struct value *, struct notify_message *);
} assignments[] = {
	{ "READY=", take_ready },
	{ "RELOADING=", take_reloading },
	{ "STOPPING=", take_stopping },
	{ "BARRIER=", take_barrier },
	{ "WATCHDOG=", take_watchdog },
	{ "FDSTORE=", take_fd_store },
	{ "FDSTOREREMOVE=", take_fd_store_remove },
	{ "FDNAME=", take_fd_name },
	{ "FDPOLL=", take_fd_poll },
	{ "STATUS=", take_status },
	{ "ERRNO=", take_errno },
	{ "MAINPID=", take_main_pid },
	{ "WATCHDOG_USEC=", take_watchdog_usec },
	{ "EXTEND_TIMEOUT_USEC=", take_extend_usec },
	{ "MONOTONIC_USEC=", take_monotonic_usec },
};

/* False if the line is an assignment that we know, with a bad value. */
static bool
take_line(const unsigned char *line, size_t count,
    struct notify_message *message)
{
	struct value value;
	size_t i, name_length;

	for (i = 0; i < sizeof(assignments) / sizeof(assignments[0]); i++) {
		name_length = strlen(assignments[i].name);
		if (count < name_length ||
		    memcmp(line, assignments[i].name, name_length) != 0)
			continue;
		value.bytes = line + name_length;
		value.count = count - name_length;
		return assignments[i].take(&value, message);
	}
	return true;
}

void
notify_parse(const char *bytes, size_t size_bytes,
    struct notify_message *ret_message, unsigned *ret_bad)
{
	const unsigned char *line = (const unsigned char *)bytes;
	const unsigned char *end = line + size_bytes, *newline;
	unsigned bad = 0, lines = 0;

	memset(ret_message, 0, sizeof(*ret_message));
	for (; line < end; line = newline + 1) {
		newline = memchr(line, '\n', (size_t)(end - line));
		if (newline == NULL)
			newline = end;
		if (newline == line)
			continue;
		lines++;
		if (!take_line(line, (size_t)(newline - line), ret_message))
			bad++;
		if (newline == end)
			break;
	}
	if (ret_message->barrier && lines != 1) {
		memset(ret_message, 0, sizeof(*ret_message));
		bad++;
	}
	*ret_bad = bad;
}
