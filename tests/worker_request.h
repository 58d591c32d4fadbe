/*
 * A request, as far as the worker cares: its end, whether another one may
 * follow it, what it is for and who sent it.
 *
 * Pure: bytes in, facts out.
 */
#ifndef TESTS_WORKER_REQUEST_H
#define TESTS_WORKER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct request {
	size_t size_bytes;
	bool last;      /* the client will not send another one, or what follows
			 * is a body, which the worker does not read */
	bool health;    /* for /healthz */
	bool probe;     /* its User-Agent is supprobe/… */
};

/* Reads the first request in bytes; false: it is not whole yet. */
bool request_parse(const char *bytes, size_t size_bytes,
    struct request *ret_request);

#endif
