/*
 * What the files of the listener module share: the list and the configuration
 * (listener.c), the life of a shard (listener_shard.c), the socket of an
 * address (listener_address.c), the path of a unix socket (listener_path.c),
 * the place among the watched ones (listener_watch.c), the label that a shard's
 * connections carry (listener_label.c), who else is at an address
 * (listener_group.c), the lanes (steer.c), and what outlives supd
 * (listener_keep.c, listener_restore.c, listener_adopt.c).  Others use
 * listener.h, listener_keep.h and steer.h.
 */
#ifndef SUPD_LISTENER_PRIVATE_H
#define SUPD_LISTENER_PRIVATE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "group.h"
#include "listener.h"
#include "steer.h"

/* Of one address, whatever its names. */
struct lanes {
	unsigned reference_count;       /* one of each listener */
	struct socket_group group;             /* who is there, and their numbers */
	struct steering steering;       /* what is wanted */
	struct steer_state state;       /* what was found */
	uint32_t label_last;
};

/* Who listens at our very address, as the kernel says. */
struct group_look {
	uint64_t inodes[GROUP_MEMBERS_MAX];
	uid_t uids[GROUP_MEMBERS_MAX];
	uint32_t count;
	uint32_t connected_count;       /* beside those; of UDP */
};

/* Which file a unix socket's path has to be for it to be ours. */
struct path_node {
	dev_t device;
	ino_t inode;
};

/* A sentence about a listener: its name, its address, what is wrong. */
void listener_say(char *ret_text, const struct listener_spec *,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* 0, or -EINVAL if the host is no numeric address. */
int listener_address_resolve(const struct address *,
    struct sockaddr_storage *ret_sockaddr, socklen_t *ret_bytes);

/*
 * A shard of another listener whose socket serves this address already, or
 * NULL: with this label, or any, in which case the one in charge comes first.
 */
#define LABEL_ANY UINT32_MAX
struct shard *listener_twin(const struct listener *, uint32_t label);

/* True if an open listener of ours may be in the way of bind(). */
bool listener_overlaps_ours(const struct listener_spec *);

/* In no list yet, and without a shard; NULL without memory. */
struct listener *listener_new(const struct listener_spec *);
void listener_append(struct listener *);        /* to the list */
void listener_remove(struct listener *);        /* from it */

/* Its last shard is about to go: takes it out of the list, and removes a unix
 * path. */
void listener_leave(struct listener *);
void listener_free(struct listener *);          /* NULL is fine */

/* Tells who wants to know that listener_save() has something else to say. */
void listener_changed(void);

/* The path of a unix socket that was not or is no longer needed, unless it is
 * another's of ours. */
void listener_drop_path(const struct listener *, const struct path_node *);

/* Mode and owner of the path: from what the listener has to what is wanted.  0
 * or -errno. */
int listener_apply(const struct listener *, const struct listener_spec *);

/*
 * A shard of the listener, listening and watched, in its list but not yet in
 * the lanes: with the twin's socket, or one of its own if that is NULL.  NULL
 * and a sentence in ret_text.
 */
struct shard *shard_new(struct listener *, const struct shard *twin,
    uint32_t label, char *ret_text);

uint32_t shard_number_new(void);
void shard_number_used(uint32_t number);        /* by an earlier supd */

/* This fd, or none (-1), outlives supd as the shard's. */
void shard_carry(const struct shard *, int fd);

/* O_NONBLOCK and backlog, likewise. */
int shard_apply(const struct shard *, const struct listener_spec *);

/* What the kernel granted, or the wish where it does not tell. */
uint32_t shard_read_backlog(const struct shard *);

/* The same socket would serve both. */
bool listener_address_same(const struct listener_spec *,
    const struct listener_spec *);

/* This fd is a socket of that kind (or the FIFO), bound to that address. */
bool listener_address_has(const struct listener_spec *, int fd);

/* The SOCK_ constant. */
int listener_socket_type(const struct address *);

/* What comes from outside may match both. */
bool listener_address_overlaps(const struct listener_spec *,
    const struct listener_spec *);

/*
 * A TCP socket, bound and not yet listening, or a UDP socket, bound, which shards
 * can join; or -errno and a sentence.  `join` says that an open listener of ours
 * overlaps, so that a taken address may be our own.
 */
int listener_address_bind(const struct listener_spec *, bool join,
    char *ret_text);

/*
 * Makes one of TCP that listens without SO_REUSEPORT one that shards can join.  0
 * or -errno: another user made it, or we have no CAP_NET_ADMIN; it is as it was.
 */
int listener_form_group(const struct listener_spec *, int fd);

/*
 * A unix socket, bound and not yet listening, with the path's owner and mode
 * set, or a FIFO; or -errno and a sentence.  The caller removes the path if it
 * gives up.
 */
int listener_path_bind(const struct listener_spec *,
    struct path_node *ret_node, char *ret_text);

/* Sets mode and owner of the path if it is still this node: 0 or -errno, as
 * listener_adjust(). */
int listener_path_set(const struct listener_spec *, const struct path_node *);

/* Unlinks the path if it is still this node. */
void listener_path_remove(const struct address *, const struct path_node *);

/* Sets a label on a socket that does not listen yet.  0 or -errno. */
int label_set(int fd, uint32_t label);

/* 0 or -errno; -E2BIG if there are so many that ours might not find room. */
int listener_look(const struct listener_spec *, struct group_look *ret_look);

/* That the address cannot be bound since it is in use, and by whom. */
void listener_say_in_use(const struct listener_spec *, char *ret_text);

/*
 * Lanes: NULL without memory.  All shards of one address are visited by
 * lanes_first() and lanes_next(), which return NULL at the end.
 */
struct lanes *lanes_new(void);
struct lanes *lanes_ref(struct lanes *);
void lanes_unref(struct lanes *);               /* NULL is fine */
struct shard *lanes_first(const struct lanes *);
struct shard *lanes_next(const struct shard *);

/* A shard that has the same socket under another name, or NULL. */
struct shard *lanes_same_socket(const struct shard *);

/* How many labels are in use, of all names. */
uint32_t lanes_count(const struct lanes *);

/* A label that is free at this address. */
uint32_t lanes_pick_label(struct lanes *);

/*
 * Looks who is there and attaches what is wanted, as `state` says then.  To be
 * called when a socket of ours began to listen or was shut down, and before one
 * does; the first one there is gets everything, until somebody says otherwise.
 */
void lanes_refresh(struct lanes *);

/*
 * Who was there and what was wanted before supd was started again; a shard that
 * is NULL was not, or is not there any more.  The kernel has the program still,
 * which is left alone if nothing has changed.
 */
void lanes_restore(struct lanes *, const struct socket_group *,
    const struct steering *);

/* One that is no longer in any listener's list was shut down just now.  Until the
 * program is attached again it names sockets by numbers that they had, and to ask
 * the kernel takes longer: a stranger would get connections meanwhile. */
void lanes_shut(struct lanes *, uint64_t inode);

/* As lanes_refresh() when such a one was closed. */
void lanes_left(struct lanes *, uint64_t inode);

/* The shard is about to be closed, and not in its listener's list any more: the
 * steering is changed as listener_steer() says, and attached. */
void lanes_forget(struct lanes *, const struct shard *);

/*
 * Sockets that came from before and that no listener has: strays are ours,
 * others' are the unit's that starts supd (listener_adopt.c).
 *
 * listener_adopt() takes one that is bound to this address and returns its fd,
 * or -1.  Of a stray it returns the number that it had, and which file is its
 * path; of another's 0 and none.
 */
int listener_adopt(const struct listener_spec *, uint32_t *ret_number,
    struct path_node *ret_node);

/* It is the unit's, and stays open when a lane with it is closed. */
bool listener_is_offered(uint64_t inode);

/* Closes strays at the address of an open listener; all, when there will be no
 * more. */
void listener_close_strays(void);
void listener_drop_strays(void);

/* True if the path is the very node that this fd, which is bound to it, has; or
 * there is no path. */
bool listener_path_leads_to(const struct address *, int fd,
    struct path_node *ret_node);

/* Switches on what listener_migrates() reads, once. */
void lanes_try_to_migrate(void);

/* Watches `fd`, which is to become the shard's.  0 or -errno. */
int listener_watch_add(struct shard *, int fd);

/* Before the fd is closed: its entry would outlive it, see there. */
void listener_watch_remove(struct shard *);

#endif
