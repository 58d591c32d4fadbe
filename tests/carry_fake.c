/*
 * Names and fds in a list, of those that were put and those that have come.
 */
#include "carry_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carry.h"
#include "listener_private.h"

enum { ENTRIES_MAX = 256 };

static struct entry {
	char name[CARRY_NAME_BYTES_MAX + 1];
	int fd;
	bool came;
	bool told;                      /* by carry_next(), since its start */
} entries[ENTRIES_MAX];
static unsigned entry_count;

static struct entry *
find(const char *name, bool came)
{
	for (unsigned i = 0; i < entry_count; i++) {
		if (entries[i].came == came &&
		    strcmp(entries[i].name, name) == 0)
			return &entries[i];
	}
	return NULL;
}

/* The order of the others stays. */
static void
delete(struct entry *e)
{
	entry_count--;
	memmove(e, e + 1, (size_t)(&entries[entry_count] - e) * sizeof(*e));
}

static struct entry *
add(const char *name, int fd, bool came)
{
	struct entry *e = &entries[entry_count];

	assert_true(entry_count < ENTRIES_MAX);
	assert_true(fd >= 0);
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->fd = fd;
	e->came = came;
	e->told = false;
	entry_count++;
	return e;
}

void
carry_put(const char *name, const int *fds, unsigned count, bool store)
{
	struct entry *e = find(name, false);

	(void)store;
	assert_int_equal(count, 1);
	if (e != NULL)
		e->fd = fds[0];
	else
		(void)add(name, fds[0], false);
}

void
carry_drop(const char *name)
{
	struct entry *e = find(name, false);

	if (e != NULL)
		delete(e);
}

int
carry_take(const char *name)
{
	struct entry *e = find(name, true);
	int fd = e != NULL ? e->fd : -1;

	if (e != NULL)
		delete(e);
	return fd;
}

/* Entries move when one before them is taken, so each knows whether it was told;
 * and so the name is copied. */
const char *
carry_next(uint32_t *cursor)
{
	static char name[CARRY_NAME_BYTES_MAX + 1];

	for (unsigned i = 0; i < entry_count; i++)
		entries[i].told &= *cursor > 0;
	*cursor = 1;
	for (unsigned i = 0; i < entry_count; i++) {
		if (!entries[i].came || entries[i].told)
			continue;
		entries[i].told = true;
		memcpy(name, entries[i].name, sizeof(name));
		return name;
	}
	return NULL;
}

void
end_supd(void)
{
	struct listener *l;

	for (unsigned i = 0; i < entry_count; i++)
		entries[i].came |= entries[i].name[0] == 's';
	while ((l = listener_first()) != NULL) {
		for (uint32_t i = 0; i < l->shard_count; i++) {
			listener_watch_remove(l->shards[i]);
			free(l->shards[i]);
		}
		listener_remove(l);
		listener_free(l);
	}
}

void
carry_come(const char *name, int fd)
{
	(void)add(name, fd, true);
}

unsigned
carry_leave(void)
{
	unsigned count = 0;

	for (unsigned i = entry_count; i-- > 0;) {
		if (!entries[i].came)
			continue;
		close(entries[i].fd);
		delete(&entries[i]);
		count++;
	}
	return count;
}

int
carry_has(const char *name)
{
	const struct entry *e = find(name, false);

	return e != NULL ? e->fd : -1;
}

unsigned
carry_count(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < entry_count; i++)
		count += !entries[i].came && entries[i].name[0] == 's';
	return count;
}
