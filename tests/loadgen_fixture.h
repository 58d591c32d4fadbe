/*
 * What the tests of the load generator share: starting it and servers for it,
 * and reading its report.  Whatever goes wrong fails the test at once.
 */
#ifndef TESTS_LOADGEN_FIXTURE_H
#define TESTS_LOADGEN_FIXTURE_H

#include <jansson.h>

#include "child.h"
#include "loopback.h"

/* Starts a program by a line of words; listener as in child_start(). */
void start(struct child *child, int listener, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Starts a worker that listens at an address; says where it really does. */
void start_server(struct child *server, const char *listen,
    const char *options, char ret_address[LOOPBACK_TEXT_MAX]);

/* SIGTERM; the worker has to exit with 0. */
void stop_server(struct child *server);

/* Waits for a generator that was started with --json; its report. */
json_t *finish(struct child *generator, int *ret_code);

/* A number of the report; it has to be there. */
json_int_t number(const json_t *report, const char *key);
json_int_t latency_us(const json_t *report, const char *quantile);

/* A listener of our own for others to inherit, and where it is. */
int own_listener(char ret_address[LOOPBACK_TEXT_MAX]);

#endif
