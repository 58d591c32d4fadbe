/*
 * To the next one.  Only what signal-safety(7) allows: it may be called from a
 * crash handler.
 */
#include "carry.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "carry_parts.h"
#include "parent.h"

enum {
	CHUNK_BYTES = 4096,
	ENVIRONMENT_COUNT_MAX = 1024,
};

static char *
put_text(char *to, const char *text)
{
	while (*text != '\0')
		*to++ = *text++;
	return to;
}

static char *
put_number(char *to, uint64_t number)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

static char *
put_entry(char *to, const struct carry_entry *e)
{
	if (e->store)
		*to++ = '+';
	to = put_text(to, e->name);
	for (unsigned i = 0; i < e->fd_count; i++) {
		*to++ = '\t';
		to = put_number(to, (uint64_t)e->fds[i]);
	}
	*to++ = '\n';
	return to;
}

static int
write_head(const struct carried *carried)
{
	char text[CARRY_HEAD_BYTES], *to;

	to = put_text(text, carry_causes[carried->cause]);
	memset(to, ' ', (size_t)(text + CARRY_HEAD_BYTES - to));
	to = put_number(to + 1, carried->began_ms);
	(void)put_text(to + 1, carried->detail);
	text[CARRY_HEAD_BYTES - 1] = '\n';
	return pwrite(carry.manifest_fd, text, sizeof(text), 0) ==
	    (ssize_t)sizeof(text) ? 0 : -EIO;
}

/* All that were put, at this place of the manifest. */
static int
write_entries(off_t offset_bytes)
{
	static char text[CHUNK_BYTES + 2 * sizeof(struct carry_entry)];
	char *to = text;

	for (uint32_t i = 1; i <= carry.used_count; i++) {
		const struct carry_entry *e = &carry.entries[i];

		if (e->used && !e->came)
			to = put_entry(to, e);
		if (to - text < CHUNK_BYTES && i < carry.used_count)
			continue;
		if (pwrite(carry.manifest_fd, text, (size_t)(to - text),
		    offset_bytes) != to - text)
			return -EIO;
		offset_bytes += to - text;
		to = text;
	}
	return 0;
}

static void
set_flags(int flags)
{
	for (uint32_t i = 1; i <= carry.used_count; i++) {
		const struct carry_entry *e = &carry.entries[i];

		for (unsigned k = 0; e->used && !e->came &&
		    k < e->fd_count; k++)
			(void)fcntl(e->fds[k], F_SETFD, flags);
	}
}

static void
set_flags_of_originals(int flags)
{
	for (size_t i = 0; i < carry.original_count; i++)
		(void)fcntl(carry.originals[i], F_SETFD, flags);
}

/* Ours, and where the manifest is. */
static void
make_environment(char **ret_environment, char *variable)
{
	const char *const *more = parent_environment();
	unsigned count = 0, own = 0;
	char *to = put_text(variable, "SUPD_CARRY=");

	for (; *more != NULL && count < ENVIRONMENT_COUNT_MAX - 2; more++)
		ret_environment[count++] = (char *)(uintptr_t)*more;
	while (environ[own] != NULL && count < ENVIRONMENT_COUNT_MAX - 2)
		ret_environment[count++] = environ[own++];
	to = put_number(to, (uint64_t)getpid());
	*to++ = ':';
	to = put_number(to, (uint64_t)carry.manifest_fd);
	*to = '\0';
	ret_environment[count++] = variable;
	ret_environment[count] = NULL;
}

int
carry_execute(int program_fd, char *const *argv, const struct carried *carried)
{
	static char *environment[ENVIRONMENT_COUNT_MAX];
	static char variable[64];
	void (*set)(int flags) = carry.unsettled ? set_flags_of_originals :
	    set_flags;
	int error = carry.torn ? -EMFILE : 0;

	if (error == 0 && !carry.unsettled && ftruncate(carry.manifest_fd, 0) < 0)
		error = -errno;
	if (error == 0)
		error = write_head(carried);
	if (error == 0 && !carry.unsettled)
		error = write_entries(CARRY_HEAD_BYTES);
	if (error < 0)
		return error;
	make_environment(environment, variable);
	set(0);
	(void)fcntl(carry.manifest_fd, F_SETFD, 0);
	(void)execveat(program_fd, "", argv, environment, AT_EMPTY_PATH);
	error = -errno;
	(void)fcntl(carry.manifest_fd, F_SETFD, FD_CLOEXEC);
	set(FD_CLOEXEC);
	return error;
}
