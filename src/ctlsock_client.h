/*
 * The clients of the control socket: their messages, answers and patience.
 *
 * Private to ctlsock.  ctlsock.c accepts connections and decides who may stay;
 * from then on ctlsock_client.c owns the fd, and the public functions
 * ctlsock_send() and ctlsock_finish() are there too.
 */
#ifndef SUPD_CTLSOCK_CLIENT_H
#define SUPD_CTLSOCK_CLIENT_H

#include <stdbool.h>

#include "ctlsock.h"

/* 0 or -errno. */
int ctlsock_client_init(const struct ctlsock_handler *);

/* Closes them all; the handler is told of each. */
void ctlsock_client_release(void);

/* False if there are CLIENTS_MAX. */
bool ctlsock_client_has_room(void);

/* Takes over a connected, non-blocking socket, also in case of an error.  There
 * must be room.  0 or -errno. */
int ctlsock_client_add(int fd);

#endif
