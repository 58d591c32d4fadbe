/*
 * What a worker does to itself, and to its supervisor, when it is told to.
 */
#ifndef TESTS_WORKER_HARM_H
#define TESTS_WORKER_HARM_H

/* Ends the process by a signal, or with a code if that is 0. */
void harm_crash(int code, int signal_number) __attribute__((noreturn));

/* Takes so much more memory and keeps it; at most HARM_GROWTH_BYTES_MAX. */
enum { HARM_GROWTH_BYTES_MAX = 1 << 30 };
void harm_grow(long bytes);

/* The process that was started is gone, another one serves. */
void harm_become_daemon(void);

/* Leaves a process that outlives us, and SIGTERM, with no descriptor but the
 * first three. */
void harm_leave_child(void);

#endif
