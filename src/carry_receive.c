/*
 * What came, by a manifest or from the parent.
 *
 * A manifest is a memfd: CARRY_HEAD_BYTES that say why, `CAUSE BEGAN_MS DETAIL`,
 * and lines `NAME FD FD …`; a name that the parent has too begins with `+` there.
 * The number of its fd is in SUPD_CARRY, with the pid that it is for: a child
 * that inherits the variable by mistake takes over nothing.
 *
 * What came by it is doubled, and the original stays as it came until
 * carry_settle(): whatever has been done with the doubles, the manifest that came
 * is still true.
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
	e->store = store;
}

/* Without room for a double there is no way back to the supd before. */
static void
receive_original(const char *name, int fd, bool store)
{
	int copy;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		log_warning("file descriptor %d (%s) was announced and is not "
		    "there", fd, name);
		return;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, FD_PRIVATE);
	if (copy < 0)
		carry.unsettled = false;
	else
		carry.originals[carry.original_count++] = fd;
	receive(name, copy >= 0 ? copy : fd, store);
}

static void
receive_line(char *line)
{
	char *rest, *name = strtok_r(line, " ", &rest), *number;
	bool store = name != NULL && *name == '+';

	while (name != NULL && (number = strtok_r(NULL, " ", &rest)) != NULL)
		receive_original(name + store, atoi(number), store);
}

static void
read_head(const char *text, struct carried *ret)
{
	char word[16] = "";
	size_t length;

	(void)sscanf(text, "%15s %" SCNu64 " %63[^\n]", word, &ret->began_ms,
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
	carry.unsettled = true;
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
	return read_manifest(fd, ret);
}

static void
receive_from_parent(struct carried *ret)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	char *names = getenv("LISTEN_FDNAMES"), *name, *rest = NULL;

	if (pid == NULL || count == NULL || atoi(pid) != getpid())
		return;
	name = names != NULL ? strtok_r(names, ":", &rest) : NULL;
	for (int fd = 3; fd < 3 + atoi(count); fd++) {
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
			receive(name != NULL ? name : "unknown",
			    fd_to_private(fd), true);
		name = name != NULL ? strtok_r(NULL, ":", &rest) : NULL;
	}
	if (*carry_link("supd-state", true) != 0)
		ret->cause = CARRY_PARENT;
}

static int
open_manifest(void)
{
	carry.manifest_fd = fd_to_private(memfd_create("supd-carry",
	    MFD_CLOEXEC));
	return carry.manifest_fd < 0 ? -errno : 0;
}

int
carry_init(struct carried *ret_carried)
{
	int error;

	assert(!carry.ready);
	carry.ready = true;
	*ret_carried = (struct carried){ .cause = CARRY_START };
	receive_from_parent(ret_carried);
	error = receive_manifest(ret_carried);
	carry.crashed = ret_carried->cause == CARRY_CRASH;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_PIDFDID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)unsetenv("SUPD_CARRY");
	return error < 0 || carry.manifest_fd >= 0 ? error : open_manifest();
}

/* An entry of what came: what nobody has taken may still be wanted, unless its
 * name was put again. */
static void
forget(uint32_t i)
{
	struct carry_entry *e = &carry.entries[i];
	bool put = *carry_link(e->name, false) != 0;
	uint32_t *link = carry_link(e->name, true);

	if (e->store && !put)
		parent_remove(e->name);
	while (put && e->fd_count > 0)
		fd_close(e->fds[--e->fd_count]);
	if (e->fd_count > 0)
		return;
	while (*link != i)
		link = &carry.entries[*link].next;
	carry_free(link);
}

void
carry_settle(void)
{
	for (uint32_t i = 1; i <= carry.used_count; i++)
		if (carry.entries[i].used && carry.entries[i].came)
			forget(i);
	carry.unsettled = false;
	for (size_t i = 0; i < carry.original_count; i++)
		fd_close(carry.originals[i]);
	carry.original_count = 0;
}

