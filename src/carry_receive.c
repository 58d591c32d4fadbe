/*
 * What came, by a manifest or from the parent.
 *
 * A manifest is a memfd: CARRY_HEAD_BYTES that say why, `CAUSE BEGAN_MS DETAIL`,
 * and lines `NAME⇥FD⇥FD…`; a name that the parent has too begins with `+` there.
 * The number of its fd is in SUPD_CARRY, with the pid that it is for: a child
 * that inherits the variable by mistake takes over nothing.  For what came from
 * the parent a manifest is made.
 *
 * What came is doubled, and the original stays as it came until carry_settle():
 * whatever has been done with the doubles, the manifest is still true.
 */
#include "carry.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "carry_parts.h"
#include "fd.h"
#include "log.h"
#include "parent.h"

enum { MANIFEST_BYTES_MAX = CARRY_NAMES_MAX * 96 };

static void
receive(const char *name, int fd, bool store)
{
	uint32_t *link = carry_link(name, true);
	struct carry_entry *e = NULL;

	while (*link != 0) {
		e = &carry.entries[*link];
		if (e->came && e->fd_count < CARRY_FDS_MAX &&
		    strcmp(e->name, name) == 0)
			break;
		link = &e->next;
	}
	if (*link == 0)
		e = carry_add(name, true);
	if (e == NULL) {
		fd_close(fd);
		return;
	}
	e->fds[e->fd_count++] = fd;
	e->files += carry_file(fd);
	e->store = store;
}

/* Without room for a double nothing can be handed on before carry_settle().
 * False: it is not there. */
static bool
receive_original(const char *name, int fd, bool store)
{
	int copy;

	if (fd <= STDERR_FILENO || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		log_warning("file descriptor %d (%s) was announced and is not "
		    "there", fd, name);
		return false;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, FD_PRIVATE);
	if (copy < 0)
		carry.torn = true;
	else
		carry.originals[carry.original_count++] = fd;
	receive(name, copy >= 0 ? copy : fd, store);
	return true;
}

static void
receive_line(char *line)
{
	char *rest, *name = strtok_r(line, "\t", &rest), *number;
	bool store = name != NULL && *name == '+';

	while (name != NULL && (number = strtok_r(NULL, "\t", &rest)) != NULL)
		(void)receive_original(name + store, atoi(number), store);
}

static void
read_head(const char *text, struct carried *ret)
{
	char head[CARRY_HEAD_BYTES + 1] = "", word[16] = "";
	size_t length;

	memcpy(head, text, CARRY_HEAD_BYTES);
	(void)sscanf(head, "%15s %" SCNu64 " %63[^\n]", word, &ret->began_ms,
	    ret->detail);
	length = strlen(ret->detail);
	while (length > 0 && ret->detail[length - 1] == ' ')
		ret->detail[--length] = '\0';
	for (enum carry_cause c = 0; c < CARRY_CAUSE_COUNT; c++)
		if (strcmp(carry_causes[c], word) == 0)
			ret->cause = c;
}

/* All of it, NUL behind it; NULL: it is none. */
static char *
read_text(int fd)
{
	off_t size_bytes = lseek(fd, 0, SEEK_END);
	char *text;

	if (size_bytes < CARRY_HEAD_BYTES || size_bytes > MANIFEST_BYTES_MAX)
		return NULL;
	text = calloc(1, (size_t)size_bytes + 1);
	if (text != NULL &&
	    pread(fd, text, (size_t)size_bytes, 0) != size_bytes) {
		free(text);
		return NULL;
	}
	return text;
}

static int
read_manifest(int fd, struct carried *ret)
{
	char *text = read_text(fd), *line, *rest;

	if (text == NULL)
		return -EBADMSG;
	/* No more than one for each two bytes. */
	carry.originals = calloc(strlen(text + CARRY_HEAD_BYTES) / 2 + 1,
	    sizeof(*carry.originals));
	if (carry.originals == NULL) {
		free(text);
		return -ENOMEM;
	}
	read_head(text, ret);
	line = strtok_r(text + CARRY_HEAD_BYTES, "\n", &rest);
	for (; line != NULL; line = strtok_r(NULL, "\n", &rest))
		receive_line(line);
	free(text);
	return 0;
}

/* 0, also where none came that is for us. */
static int
receive_manifest(struct carried *ret)
{
	const char *variable = getenv("SUPD_CARRY");
	int pid, fd;

	if (variable == NULL || sscanf(variable, "%d:%d", &pid, &fd) != 2 ||
	    pid != getpid() || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return 0;
	carry.manifest_fd = fd;
	carry.unsettled = true;         /* also where it cannot be read now */
	ret->cause = CARRY_CRASH;       /* the worst, until it is read */
	return read_manifest(fd, ret);
}

/* Of LISTEN_FDS, if they are for us. */
static int
count_of_parent(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int number = pid != NULL && count != NULL && atoi(pid) == getpid() ?
	    atoi(count) : 0;

	return number < 0 ? 0 : number < CARRY_NAMES_MAX ? number :
	    CARRY_NAMES_MAX;
}

static int
write_line(const char *name, int fd)
{
	return dprintf(carry.manifest_fd, "+%s\t%d\n", name, fd) < 0 ? -errno :
	    0;
}

static int
receive_from_parent(struct carried *ret)
{
	char *names = getenv("LISTEN_FDNAMES"), *rest = NULL;
	char *name = names != NULL ? strtok_r(names, ":", &rest) : NULL;
	int count = count_of_parent(), error = 0;

	if (count == 0)
		return 0;
	carry.originals = calloc((size_t)count, sizeof(*carry.originals));
	if (carry.originals == NULL)
		return -ENOMEM;
	carry.unsettled = true;
	for (int fd = 3; fd < 3 + count && error == 0; fd++) {
		const char *given = name != NULL ? name : "unknown";

		if (receive_original(given, fd, true))
			error = write_line(given, fd);
		name = name != NULL ? strtok_r(NULL, ":", &rest) : NULL;
	}
	if (*carry_link("supd-state", true) != 0)
		ret->cause = CARRY_PARENT;
	return error;
}

/* One that is empty. */
static int
open_manifest(void)
{
	carry.manifest_fd = fd_to_private(memfd_create("supd-carry",
	    MFD_CLOEXEC));
	if (carry.manifest_fd < 0 || lseek(carry.manifest_fd,
	    CARRY_HEAD_BYTES, SEEK_SET) < 0)
		return -errno;
	return 0;
}

int
carry_init(struct carried *ret_carried)
{
	int error;

	assert(!carry.ready);
	carry.ready = true;
	*ret_carried = (struct carried){ .cause = CARRY_START };
	error = receive_manifest(ret_carried);
	if (error == 0 && carry.manifest_fd < 0) {
		error = open_manifest();
		if (error == 0)
			error = receive_from_parent(ret_carried);
	}
	carry.unsure = ret_carried->cause == CARRY_CRASH ||
	    ret_carried->cause == CARRY_RETURN;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_PIDFDID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)unsetenv("SUPD_CARRY");
	return error;
}

/* What was taken and not put again, or what nobody has taken. */
static void
forget_came(void)
{
	for (uint32_t i = 1; i <= carry.used_count; i++) {
		struct carry_entry *e = &carry.entries[i];
		uint32_t *link;

		if (!e->used || !e->came)
			continue;
		if (e->store && *carry_link(e->name, false) == 0)
			parent_remove(e->name);
		link = carry_link(e->name, true);
		while (*link != i)
			link = &carry.entries[*link].next;
		while (e->fd_count > 0)
			fd_close(e->fds[--e->fd_count]);
		carry_free(link);
	}
}

void
carry_settle(void)
{
	forget_came();
	carry.unsettled = carry.torn = false;
	for (size_t i = 0; i < carry.original_count; i++)
		fd_close(carry.originals[i]);
	carry.original_count = 0;
}

