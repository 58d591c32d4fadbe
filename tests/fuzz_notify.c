/*
 * libFuzzer over notify_parse(): any datagram, checked against what the header
 * promises.
 */
#include <assert.h>
#include <string.h>

#include "notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void
check_status(const char *status)
{
	const char *end = memchr(status, '\0', STATUS_BYTES_MAX);
	const char *at;

	assert(end != NULL);
	for (at = status; at < end; at++)
		assert((unsigned char)*at >= 0x20 && *at != 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct notify_message message;
	unsigned bad;

	if (size_bytes > NOTIFY_BYTES_MAX)
		return 0;
	notify_parse((const char *)bytes, size_bytes, &message, &bad);
	check_status(message.status);
	assert(bad <= size_bytes);
	assert(!message.has_main_pid || message.main_pid > 1);
	assert(!message.has_errno || message.error_number >= 0);
	assert(message.has_status || message.status[0] == '\0');
	assert(strlen(message.fd_name) <= FD_NAME_LENGTH_MAX &&
	    strchr(message.fd_name, ':') == NULL);
	if (message.barrier)
		assert(!message.fd_store && !message.ready &&
		    !message.stopping && !message.has_status && !message.has_main_pid);
	return 0;
}
