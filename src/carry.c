/*
 * Names and their fds: those that are put, and those that came and wait to be
 * taken.  Both are entries of one hash table.
 *
 * The manifest is a memfd: HEAD_BYTES that say why, `CAUSE BEGAN_MS DETAIL`, and
 * lines `NAME FD FD …`.  The number of its fd is in SUPD_CARRY, with the pid that
 * it is for: a child that inherits the variable by mistake takes over nothing.
 *
 * What came is doubled, and the original stays as it came until carry_settle():
 * whatever has been done with the doubles, the manifest that came is still true.
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

#include "fd.h"
#include "log.h"

enum {
	BUCKET_COUNT = 1 << 14,         /* a power of two */
	HEAD_BYTES = 128,
	MANIFEST_BYTES_MAX = CARRY_NAMES_MAX * 96,
	CHUNK_BYTES = 4096,
	ENVIRONMENT_COUNT_MAX = 1024,
};

struct entry {
	char name[CARRY_NAME_BYTES_MAX + 1];
	int fds[CARRY_FDS_MAX];
	uint8_t fd_count;               /* 0: the entry is free */
	bool came;                      /* nobody has taken it yet */
	bool store;
	uint32_t next;                  /* in its bucket, or of the free ones; */
};                                      /* 0: none, so the first is not used */

static struct {
	struct entry entries[CARRY_NAMES_MAX];
	uint32_t buckets[BUCKET_COUNT];
	uint32_t used_count;            /* of entries, ever */
	uint32_t free_first;
	int manifest_fd;
	int *originals;                 /* of what came by a manifest */
	size_t original_count;
	bool unsettled;                 /* manifest_fd is the one that came */
	bool full;                      /* and that was said */
	bool ready;
} carry = { .manifest_fd = -1 };

static const char *const causes[CARRY_CAUSE_COUNT] = {
	[CARRY_START] = "start",
	[CARRY_UPGRADE] = "upgrade",
	[CARRY_RETURN] = "return",
	[CARRY_CRASH] = "crash",
	[CARRY_PARENT] = "parent",
};

extern char **environ;

/*
 * Entries
 */

static uint32_t *
bucket(const char *name)
{
	uint32_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return &carry.buckets[hash & (BUCKET_COUNT - 1)];
}

/* Where the number of this name's entry stands, or where a list ends. */
static uint32_t *
find(const char *name, bool came)
{
	uint32_t *link = bucket(name);

	while (*link != 0 && (carry.entries[*link].came != came ||
	    strcmp(carry.entries[*link].name, name) != 0))
		link = &carry.entries[*link].next;
	return link;
}

/* NULL: there is no room. */
static struct entry *
add(const char *name, bool came)
{
	uint32_t *link = bucket(name), i = carry.free_first;
	struct entry *e;

	if (i != 0)
		carry.free_first = carry.entries[i].next;
	else if (carry.used_count + 1 < CARRY_NAMES_MAX)
		i = ++carry.used_count;
	else
		return NULL;
	while (*link != 0)      /* at the end: those that came stay in order */
		link = &carry.entries[*link].next;
	e = &carry.entries[i];
	memset(e, 0, sizeof(*e));
	(void)strncat(e->name, name, CARRY_NAME_BYTES_MAX);
	e->came = came;
	*link = i;
	return e;
}

static void
drop(uint32_t *link)
{
	uint32_t i = *link;

	*link = carry.entries[i].next;
	carry.entries[i].fd_count = 0;
	carry.entries[i].next = carry.free_first;
	carry.free_first = i;
}

void
carry_put(const char *name, const int *fds, unsigned count, bool store)
{
	uint32_t *link = find(name, false);
	struct entry *e;

	assert(strlen(name) <= CARRY_NAME_BYTES_MAX);
	assert(count > 0 && count <= CARRY_FDS_MAX);
	e = *link != 0 ? &carry.entries[*link] : add(name, false);
	if (e == NULL) {
		if (!carry.full)
			log_error("there are more than %d names of file "
			    "descriptors; %s and others are lost should supd "
			    "end", CARRY_NAMES_MAX, name);
		carry.full = true;
		return;
	}
	memcpy(e->fds, fds, count * sizeof(*fds));
	e->store = store;
	e->fd_count = (uint8_t)count;
}

void
carry_drop(const char *name)
{
	uint32_t *link = find(name, false);

	if (*link != 0)
		drop(link);
}

int
carry_take(const char *name)
{
	uint32_t *link = find(name, true);
	struct entry *e;
	int fd;

	if (*link == 0)
		return -1;
	e = &carry.entries[*link];
	fd = e->fds[0];
	e->fd_count--;
	memmove(e->fds, e->fds + 1, e->fd_count * sizeof(e->fds[0]));
	if (e->fd_count == 0)
		drop(link);
	return fd;
}

bool
carry_find(const char *prefix, char *ret_name)
{
	for (uint32_t i = 1; i <= carry.used_count; i++) {
		const struct entry *e = &carry.entries[i];

		if (e->fd_count == 0 || !e->came ||
		    strncmp(e->name, prefix, strlen(prefix)) != 0)
			continue;
		(void)strcpy(ret_name, e->name);
		return true;
	}
	return false;
}

/*
 * What came
 */

static void
receive(const char *name, int fd)
{
	uint32_t *link = find(name, true);
	struct entry *e = NULL;

	while (*link != 0) {
		e = &carry.entries[*link];
		if (e->came && e->fd_count < CARRY_FDS_MAX &&
		    strcmp(e->name, name) == 0)
			break;
		link = &e->next;
	}
	if (*link == 0)
		e = add(name, true);
	if (e == NULL)
		fd_close(fd);
	else
		e->fds[e->fd_count++] = fd;
}

/* Without room for a double there is no way back to the supd before. */
static void
receive_original(const char *name, int fd)
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
	receive(name, copy >= 0 ? copy : fd);
}

static void
receive_line(char *line)
{
	char *rest, *name = strtok_r(line, " ", &rest), *number;

	while (name != NULL && (number = strtok_r(NULL, " ", &rest)) != NULL)
		receive_original(name, atoi(number));
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
		if (strcmp(causes[c], word) == 0)
			ret->cause = c;
}

/* All of it, NUL behind it; NULL: it is none. */
static char *
read_text(int fd)
{
	off_t size_bytes = lseek(fd, 0, SEEK_END);
	char *text;

	if (size_bytes < HEAD_BYTES || size_bytes > MANIFEST_BYTES_MAX)
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
	carry.originals = calloc(strlen(text + HEAD_BYTES) / 2 + 1,
	    sizeof(*carry.originals));
	if (carry.originals == NULL) {
		free(text);
		return -ENOMEM;
	}
	read_head(text, ret);
	carry.unsettled = true;
	line = strtok_r(text + HEAD_BYTES, "\n", &rest);
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
			    fd_to_private(fd));
		name = name != NULL ? strtok_r(NULL, ":", &rest) : NULL;
	}
	if (*find("supd-state", true) != 0)
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
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_PIDFDID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	(void)unsetenv("SUPD_CARRY");
	return error < 0 || carry.manifest_fd >= 0 ? error : open_manifest();
}

void
carry_settle(void)
{
	carry.unsettled = false;
	for (size_t i = 0; i < carry.original_count; i++)
		fd_close(carry.originals[i]);
	carry.original_count = 0;
}

/*
 * To the next one.  Only what signal-safety(7) allows.
 */

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
put_entry(char *to, const struct entry *e)
{
	to = put_text(to, e->name);
	for (unsigned i = 0; i < e->fd_count; i++) {
		*to++ = ' ';
		to = put_number(to, (uint64_t)e->fds[i]);
	}
	*to++ = '\n';
	return to;
}

static int
write_head(const struct carried *carried)
{
	char text[HEAD_BYTES], *to = put_text(text, causes[carried->cause]);

	memset(to, ' ', (size_t)(text + HEAD_BYTES - to));
	to = put_number(to + 1, carried->began_ms);
	(void)put_text(to + 1, carried->detail);
	text[HEAD_BYTES - 1] = '\n';
	return pwrite(carry.manifest_fd, text, HEAD_BYTES, 0) == HEAD_BYTES ?
	    0 : -EIO;
}

/* All that were put, at this place of the manifest. */
static int
write_entries(off_t offset_bytes)
{
	static char text[CHUNK_BYTES + 2 * sizeof(struct entry)];
	char *to = text;

	for (uint32_t i = 1; i <= carry.used_count; i++) {
		const struct entry *e = &carry.entries[i];

		if (e->fd_count > 0 && !e->came)
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
		const struct entry *e = &carry.entries[i];

		for (unsigned k = 0; !e->came && k < e->fd_count; k++)
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
	unsigned count = 0;
	char *to = put_text(variable, "SUPD_CARRY=");

	while (environ[count] != NULL && count < ENVIRONMENT_COUNT_MAX - 2) {
		ret_environment[count] = environ[count];
		count++;
	}
	to = put_number(to, (uint64_t)getpid());
	*to++ = ':';
	to = put_number(to, (uint64_t)carry.manifest_fd);
	*to = '\0';
	ret_environment[count++] = variable;
	ret_environment[count] = NULL;
}

bool
carry_is_unsettled(void)
{
	return carry.unsettled;
}

int
carry_execute(int program_fd, char *const *argv, const struct carried *carried)
{
	static char *environment[ENVIRONMENT_COUNT_MAX];
	static char variable[64];
	void (*set)(int flags) = carry.unsettled ? set_flags_of_originals :
	    set_flags;
	int error = 0;

	if (!carry.unsettled && ftruncate(carry.manifest_fd, 0) < 0)
		error = -errno;
	if (error == 0)
		error = write_head(carried);
	if (error == 0 && !carry.unsettled)
		error = write_entries(HEAD_BYTES);
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
