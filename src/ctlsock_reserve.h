/*
 * File descriptors that are kept for clients, so that an operator is heard when
 * workers, or whatever else, have used up all others.
 *
 * Private to ctlsock.
 */
#ifndef SUPD_CTLSOCK_RESERVE_H
#define SUPD_CTLSOCK_RESERVE_H

#include <stdbool.h>

enum { CTLSOCK_RESERVE_MAX = 4 };

/* Has as many again, if there is room; for whenever one was closed. */
void ctlsock_reserve_fill(void);

/* Gives one up: the next fd that is made succeeds.  False if none is left. */
bool ctlsock_reserve_give(void);

void ctlsock_reserve_release(void);

#endif
