/*
 * Who carries the fds, for tests of the listener module: in this process, from
 * one life of the module to the next.
 */
#ifndef SUPD_CARRY_FAKE_H
#define SUPD_CARRY_FAKE_H

#include <stdbool.h>

/*
 * As if supd had been killed at this moment: forgets all listeners and leaves the
 * kernel's part as it is; what was put has come, to be taken.
 */
void end_supd(void);

/* An fd that comes under a name; it is the module's. */
void carry_come(const char *name, int fd);

/* Closes what came and nobody took; how many there were. */
unsigned carry_leave(void);

/* The fd that was put under this name, or -1. */
int carry_has(const char *name);

/* How many names have one. */
unsigned carry_count(void);

#endif
