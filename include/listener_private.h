/*
 * What the files of the listener module share: the socket of an address
 * (listener_address.c), the path of a unix socket (listener_path.c) and the
 * place among the watched ones (listener_watch.c).  The life of a listener is
 * in listener.c, which is the only caller.  Others use listener.h.
 */
#ifndef SUPD_LISTENER_PRIVATE_H
#define SUPD_LISTENER_PRIVATE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "listener.h"

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

/* The same socket would serve both. */
bool listener_address_same(const struct listener_spec *,
    const struct listener_spec *);

/* A TCP connection may match both. */
bool listener_address_overlaps(const struct listener_spec *,
    const struct listener_spec *);

/*
 * A TCP socket, bound and not yet listening, which shards can join; or -errno
 * and a sentence.  `join` says that an open listener of ours overlaps, so that
 * a taken address may be our own.
 */
int listener_address_bind(const struct listener_spec *, bool join,
    char *ret_text);

/*
 * A unix socket, bound and not yet listening, with the path's owner and mode
 * set; or -errno and a sentence.  The caller removes the path if it gives up.
 */
int listener_path_bind(const struct listener_spec *,
    struct path_node *ret_node, char *ret_text);

/* Sets mode and owner of the path if it is still this node: 0 or -errno, as
 * listener_adjust(). */
int listener_path_set(const struct listener_spec *, const struct path_node *);

/* Unlinks the path if it is still this node. */
void listener_path_remove(const char *path, const struct path_node *);

/* Watches `fd`, which is to become the shard's.  0 or -errno. */
int listener_watch_add(struct shard *, int fd);

/* Before the fd is closed: its entry would outlive it, see there. */
void listener_watch_remove(struct shard *);

#endif
