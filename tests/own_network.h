/*
 * A network namespace of a test's own, with nothing but a loopback: nobody else
 * listens there, takes a port, or is told of its settings.
 */
#ifndef SUPD_OWN_NETWORK_H
#define SUPD_OWN_NETWORK_H

#include <stdbool.h>

/* This thread's, for good.  Who is not root has all rights over it, and none
 * over anything else.  False: it is not permitted. */
bool own_network_enter(void);

/* In a new one: its loopback, which gets its addresses, 127.0.0.1/8 and ::1. */
bool own_network_raise(void);

#endif
