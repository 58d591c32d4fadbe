/*
 * The control socket: clients, their credentials, framing.
 *
 * Varlink's framing: JSON messages, each ended by a NUL.  Who may connect is
 * decided by peer credentials: root, supd's own user and members of
 * `control_group`; everyone else gets an error and is closed.  Sizes, counts
 * and times are bounded: a client that sends too much, half a message for too
 * long, or does not read its answers is closed, and nobody else notices.
 *
 * Before it is closed a client is told, where it can be, by one of these:
 *   io.supd.PermissionDenied   { uid }    as soon as it connects
 *   io.supd.Busy               { limit }  the same, beyond CLIENTS_MAX
 *   io.supd.FrameTooLarge      { limit }  beyond FRAME_BYTES_MAX
 * What it sent and was not read is lost then, so it may see EPIPE or
 * ECONNRESET as well; the error is there to be read all the same.
 *
 *   ctlsock.c          the listening socket and who may stay
 *   ctlsock_client.c   a client: messages, patience, its end
 *   ctlsock_queue.c    answers that its socket has not taken yet
 */
#ifndef SUPD_CTLSOCK_H
#define SUPD_CTLSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CTLSOCK_PATIENCE_MS UINT64_C(10000)  /* half a message, unread bytes */

/*
 * A client is a number, never 0 and not used again.  `message` may send to and
 * finish any client, this one too; the bytes are valid during the call.  `gone`
 * is called once for each client and never from within ctlsock_send() or
 * ctlsock_finish(): a later iteration of the loop does, or ctlsock_close().
 */
struct ctlsock_handler {
	void *ctx;
	void (*message)(void *ctx, uint32_t client, const char *bytes,
	    size_t size_bytes);
	void (*gone)(void *ctx, uint32_t client);
};

/*
 * Binds `path` (mode 0660, or 0600 without a group) and serves it from the
 * loop.  A stale socket is replaced; one that is answered on is -EADDRINUSE,
 * and what is no socket -EEXIST.  The path has to leave room in sun_path for
 * the suffix of a temporary name: at most 103 bytes, else -ENAMETOOLONG.
 * `group` is a gid or (gid_t)-1.  0 or -errno.
 */
int ctlsock_open(const char *path, gid_t group,
    const struct ctlsock_handler *);

/* Does the path still lead to it? */
bool ctlsock_is_there(void);

/* Another socket at the path, if it was removed; clients stay.  0 or -errno. */
int ctlsock_restore(void);

/* Closes all clients and removes the path if it is still ours.  Not from
 * within a handler. */
void ctlsock_close(void);

/* Sends a message; its NUL is added.  Without effect if the client is gone or
 * finishing; one that has too much unread is closed. */
void ctlsock_send(uint32_t client, const char *json, size_t size_bytes);

/* The fd of a client, which stays the client's; -1: it is gone.  Another supd can
 * take it over by ctlsock_adopt(), which returns its number, or 0. */
int ctlsock_fd(uint32_t client);
uint32_t ctlsock_adopt(int fd);

/* Closes it once what is queued was sent. */
void ctlsock_finish(uint32_t client);

#endif
