/*
 * Names and their fds: those that are put, and those that came and wait to be
 * taken.  Both are entries of one hash table.
 *
 * An entry of what came stays until carry_settle(), without fds when they were
 * taken, so that it is known what the parent has already, and in the end what it
 * need not have any more.
 */
#include "carry.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "carry_parts.h"
#include "log.h"
#include "parent.h"

struct carry_table carry = { .manifest_fd = -1 };

const char *const carry_causes[CARRY_CAUSE_COUNT] = {
	[CARRY_START] = "start",
	[CARRY_UPGRADE] = "upgrade",
	[CARRY_RETURN] = "return",
	[CARRY_CRASH] = "crash",
	[CARRY_PARENT] = "parent",
};

static uint32_t *
bucket(const char *name)
{
	uint32_t hash = 5381;

	for (; *name != '\0'; name++)
		hash = hash * 33 + (unsigned char)*name;
	return &carry.buckets[hash & (CARRY_BUCKET_COUNT - 1)];
}

uint32_t *
carry_link(const char *name, bool came)
{
	uint32_t *link = bucket(name);

	while (*link != 0 && (carry.entries[*link].came != came ||
	    strcmp(carry.entries[*link].name, name) != 0))
		link = &carry.entries[*link].next;
	return link;
}

struct carry_entry *
carry_add(const char *name, bool came)
{
	uint32_t *link = bucket(name), i = carry.free_first;
	struct carry_entry *e;

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
	e->used = true;
	(void)strncat(e->name, name, CARRY_NAME_BYTES_MAX);
	e->came = came;
	*link = i;
	return e;
}

void
carry_free(uint32_t *link)
{
	uint32_t i = *link;

	*link = carry.entries[i].next;
	carry.entries[i].used = false;
	carry.entries[i].next = carry.free_first;
	carry.free_first = i;
}

uint64_t
carry_file(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return 0;
	return (uint64_t)status.st_ino * 31 + (uint64_t)status.st_dev;
}

/* Of all that came under this name; 0: the parent has none of it. */
static uint64_t
files_of_parent(const char *name)
{
	uint32_t i = *carry_link(name, true);
	uint64_t files = 0;

	for (; i != 0; i = carry.entries[i].next) {
		const struct carry_entry *e = &carry.entries[i];

		if (e->came && e->store && strcmp(e->name, name) == 0)
			files += e->files;
	}
	return files;
}

/*
 * The parent has what came, if it is still that: where a text was damaged, or a
 * release's number is given again, others are put under the name.
 */
static void
tell_parent(struct carry_entry *e, bool store)
{
	uint64_t has, files = 0;

	if (!store)
		return;
	has = e->store ? 0 : files_of_parent(e->name);
	for (unsigned i = 0; has != 0 && i < e->fd_count; i++)
		files += carry_file(e->fds[i]);
	if (has != 0 && has == files && !carry.unsure) {
		parent_adopt(e->name, e->fds, e->fd_count);
	} else {
		/* Else it may be without them for a moment, and who is killed
		 * then has lost them; what it has it does not take twice. */
		if (has != files)
			parent_remove(e->name);
		parent_store(e->name, e->fds, e->fd_count);
	}
	e->store = true;
}

void
carry_put(const char *name, const int *fds, unsigned count, bool store)
{
	uint32_t *link = carry_link(name, false);
	struct carry_entry *e;

	assert(strlen(name) <= CARRY_NAME_BYTES_MAX);
	assert(count > 0 && count <= CARRY_FDS_MAX);
	e = *link != 0 ? &carry.entries[*link] : carry_add(name, false);
	if (e == NULL) {
		if (!carry.full)
			log_error("there are more than %d names of file "
			    "descriptors; %s and others are lost should supd "
			    "end", CARRY_NAMES_MAX, name);
		carry.full = true;
		return;
	}
	memcpy(e->fds, fds, count * sizeof(*fds));
	e->fd_count = (uint8_t)count;
	tell_parent(e, store);
}

/* Should this supd not get to carry_settle(), the parent gives what came to
 * another. */
static bool
may_be_needed(const char *name)
{
	return carry.unsettled && *carry_link(name, true) != 0;
}

void
carry_drop(const char *name)
{
	uint32_t *link = carry_link(name, false);

	if (*link == 0)
		return;
	if (carry.entries[*link].store && !may_be_needed(name))
		parent_remove(name);
	carry_free(link);
}

int
carry_take(const char *name)
{
	uint32_t *link = carry_link(name, true);
	struct carry_entry *e = &carry.entries[*link];
	int fd;

	/* There may be more than one entry, one after the other. */
	while (*link != 0 && (e->fd_count == 0 || !e->came ||
	    strcmp(e->name, name) != 0)) {
		link = &e->next;
		e = &carry.entries[*link];
	}
	if (*link == 0)
		return -1;
	fd = e->fds[0];
	e->fd_count--;
	memmove(e->fds, e->fds + 1, e->fd_count * sizeof(e->fds[0]));
	return fd;
}

bool
carry_is_whole(void)
{
	return carry.unsettled && !carry.torn;
}

const char *
carry_next(uint32_t *cursor)
{
	while (*cursor < carry.used_count) {
		const struct carry_entry *e = &carry.entries[++*cursor];

		if (e->used && e->came && e->fd_count > 0)
			return e->name;
	}
	return NULL;
}
