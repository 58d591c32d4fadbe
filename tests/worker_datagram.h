/*
 * Datagrams: each is answered by `VERSION PID `, and what it said.
 */
#ifndef TESTS_WORKER_DATAGRAM_H
#define TESTS_WORKER_DATAGRAM_H

#include <stdbool.h>

/* The socket is for datagrams. */
bool datagram_is_for(int fd);

/* Answers what waits, but not more than a few: leave some to the neighbours. */
void datagram_answer(int fd, const char *version);

#endif
