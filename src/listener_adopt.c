/*
 * Sockets that came from before supd was started, and that no listener has.
 *
 *   strays    are ours (s<NUMBER>): the state does not know them, or there is
 *             none.  They are kept for listener_open() until the resume is over
 *   offers    came under a name that is not ours: of the unit that starts supd
 *             (systemd.socket(5)), or of a supd before it that had them (o<N>).
 *             They stay open for as long as supd runs, as the unit's own are,
 *             and a listener gets a double, today or after a reload.  A lane
 *             that is closed leaves them listening: nothing is steered there
 *             while supd has another, and all that comes is theirs, and the
 *             unit's, when supd has gone
 *
 * Owns the fds of both.
 */
#include "listener_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "carry.h"
#include "fd.h"
#include "log.h"

enum {
	STRAYS_MAX = LISTENERS_MAX * SHARDS_MAX,
	OFFERS_MAX = LISTENERS_MAX,
};

struct stray {
	uint32_t number;
	int fd;
};

struct offer {
	char name[CARRY_NAME_BYTES_MAX + 1];    /* under which it came */
	int fd;
	uint64_t inode;
};

static struct stray strays[STRAYS_MAX];
static uint32_t stray_count;
static struct offer offers[OFFERS_MAX];
static uint32_t offer_count;

/*
 * Collecting
 */

static uint64_t
inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void
add_stray(const char *name, int fd)
{
	uint32_t number = (uint32_t)strtoul(name + 1, NULL, 10);

	if (stray_count == STRAYS_MAX || number == 0) {
		log_error("%s: there are more than %d sockets that no listener "
		    "has: this one is closed", name, STRAYS_MAX);
		fd_close(fd);
		return;
	}
	fd = fd_to_source(fd);
	shard_number_used(number);
	shard_carry(&(struct shard){ .number = number }, fd);
	strays[stray_count++] = (struct stray){ number, fd };
}

static void
add_offer(const char *name, int fd)
{
	struct offer *offer = &offers[offer_count];
	char own[CARRY_NAME_BYTES_MAX + 1];

	if (offer_count == OFFERS_MAX) {
		log_error("supd was started with more than %d sockets: %s is "
		    "closed", OFFERS_MAX, name);
		fd_close(fd);
		return;
	}
	(void)snprintf(offer->name, sizeof(offer->name), "%s", name);
	offer->fd = fd_to_private(fd);
	offer->inode = inode_of(offer->fd);
	/* The parent has it, and gives it to the next supd by itself. */
	(void)snprintf(own, sizeof(own), "o%u", offer_count++);
	carry_put(own, &offer->fd, 1, false);
}

static void
take_all(const char *name, void (*add)(const char *name, int fd))
{
	int fd;

	while ((fd = carry_take(name)) >= 0)
		add(name, fd);
}

static void
collect(void)
{
	uint32_t cursor = 0;
	const char *name;

	while ((name = carry_next(&cursor)) != NULL) {
		char kind = carry_kind(name);

		if (kind == 's')
			take_all(name, add_stray);
		else if (kind == 'o' || kind == '\0')
			take_all(name, add_offer);
	}
}

/*
 * Adopting
 */

bool
listener_is_offered(uint64_t inode)
{
	for (uint32_t i = 0; i < offer_count; i++) {
		if (offers[i].inode == inode)
			return true;
	}
	return false;
}

static bool
is_at(const struct listener_spec *spec, int fd, struct path_node *ret_node)
{
	if (!listener_address_has(spec, fd))
		return false;
	return listener_path_leads_to(&spec->address, fd, ret_node);
}

static void
forget_stray(uint32_t index)
{
	strays[index] = strays[--stray_count];
}

static void
drop_stray(uint32_t index)
{
	shard_carry(&(struct shard){ .number = strays[index].number }, -1);
	fd_close(strays[index].fd);
	forget_stray(index);
}

/* Workers of nobody may have it, too. */
static void
close_lane(const struct listener_spec *spec, uint32_t index)
{
	if (address_accepts(&spec->address) &&
	    !listener_is_offered(inode_of(strays[index].fd)))
		(void)shutdown(strays[index].fd, SHUT_RD);
	drop_stray(index);
}

/* The oldest is the stable one of a rollout, most likely.  What waits in others
 * goes to it if the kernel migrates. */
static int
adopt_stray(const struct listener_spec *spec, uint32_t *ret_number,
    struct path_node *ret_node)
{
	uint32_t found = STRAYS_MAX, i;
	struct stray stray;

	for (i = 0; i < stray_count; i++) {
		if (is_at(spec, strays[i].fd, ret_node) &&
		    (found == STRAYS_MAX ||
		    strays[i].number < strays[found].number))
			found = i;
	}
	if (found == STRAYS_MAX)
		return -1;
	stray = strays[found];
	forget_stray(found);
	for (i = stray_count; i-- > 0;) {
		if (!listener_address_has(spec, strays[i].fd))
			continue;
		if (inode_of(strays[i].fd) == inode_of(stray.fd))
			drop_stray(i);
		else
			close_lane(spec, i);
	}
	*ret_number = stray.number;
	if (listener_is_offered(inode_of(stray.fd)))
		*ret_node = (struct path_node){ 0, 0 };
	log_notice("listener %s (%s): goes on with the socket that an earlier "
	    "supd left (shard %u)", spec->name, spec->address_text,
	    stray.number);
	return stray.fd;
}

static bool
option_of(int fd, int option)
{
	int value = 0;
	socklen_t bytes = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) == 0 &&
	    value != 0;
}

/* One that a lane was closed with does not listen any more, and forms its group
 * when it does.  What fails here, listener_join() says. */
static void
let_others_join(const struct listener_spec *spec, int fd)
{
	const int on = 1;

	if (option_of(fd, SO_REUSEPORT))
		return;
	if (option_of(fd, SO_ACCEPTCONN))
		(void)listener_form_group(spec, fd);
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

static int
adopt_offer(const struct listener_spec *spec)
{
	struct path_node node;
	int fd = -1;

	for (uint32_t i = 0; fd < 0 && i < offer_count; i++) {
		const struct offer *offer = &offers[i];

		if (!is_at(spec, offer->fd, &node))
			continue;
		fd = fcntl(offer->fd, F_DUPFD_CLOEXEC, FD_SOURCE);
		if (fd < 0)
			continue;
		if (address_is_tcp(&spec->address))
			let_others_join(spec, fd);
		log_notice("listener %s (%s): uses the socket '%s' that supd "
		    "was started with", spec->name, spec->address_text,
		    offer->name);
	}
	return fd;
}

int
listener_adopt(const struct listener_spec *spec, uint32_t *ret_number,
    struct path_node *ret_node)
{
	int fd;

	collect();
	fd = adopt_stray(spec, ret_number, ret_node);
	if (fd >= 0)
		return fd;
	*ret_number = 0;
	*ret_node = (struct path_node){ 0, 0 };
	return adopt_offer(spec);
}

/*
 * Ending
 */

/* The same socket under another name: of one that was opened as a twin. */
static bool
is_open(const struct listener *listener, uint64_t inode)
{
	for (uint32_t i = 0; i < listener->shard_count; i++) {
		if (listener->shards[i]->inode == inode)
			return true;
	}
	return false;
}

static void
close_strays_at(const struct listener *listener)
{
	for (uint32_t i = stray_count; i-- > 0;) {
		uint64_t inode = inode_of(strays[i].fd);

		if (!listener_address_has(listener->spec, strays[i].fd))
			continue;
		if (is_open(listener, inode)) {
			drop_stray(i);
			continue;
		}
		close_lane(listener->spec, i);
		if (listener->lanes != NULL)
			lanes_left(listener->lanes, inode);
	}
}

void
listener_close_strays(void)
{
	collect();
	for (const struct listener *l = listener_first(); l != NULL;
	    l = l->next)
		close_strays_at(l);
}

void
listener_drop_strays(void)
{
	/* What is not collected by then would not outlive another exec. */
	collect();
	while (stray_count > 0) {
		log_notice("shard %u is of no listener any more: its socket is "
		    "closed", strays[0].number);
		drop_stray(0);
	}
}
