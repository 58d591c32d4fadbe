/*
 * A worker's half of the contract with its supervisor: the listeners it is
 * given, what it says about itself, and the watchdog.
 *
 * Needs no library and fits a supervisor that speaks the systemd protocols.
 */
#ifndef TESTS_WORKER_CONTRACT_H
#define TESTS_WORKER_CONTRACT_H

#include <stdint.h>

/* Inherited listeners begin here. */
enum { CONTRACT_FIRST_FD = 3 };

/*
 * The number of inherited listeners, from CONTRACT_FIRST_FD on, now close on
 * exec; 0 if there are none or they are meant for another process; -EINVAL if
 * LISTEN_FDS makes no sense, -ENOTSOCK if one is no stream socket that listens, and
 * none for datagrams.
 * To be called before anything forks: LISTEN_PID names this very process.
 */
int contract_listeners(void);

/*
 * Sends one message, such as "READY=1\nSTATUS=serving", to NOTIFY_SOCKET.
 * 0 also if there is no such socket, which means nobody wants to know.
 */
int contract_notify(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* How long the watchdog tolerates silence, 0 if there is none. */
uint64_t contract_watchdog_usec(void);

#endif
