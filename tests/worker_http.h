/*
 * The connections of the worker: as much of HTTP/1.1 as it takes to answer a
 * GET, keep a connection alive, and give it up without losing a request.
 *
 * Every request gets the same body, `version=V pid=P slot=S`, unless the plan
 * for its answer says otherwise.
 */
#ifndef TESTS_WORKER_HTTP_H
#define TESTS_WORKER_HTTP_H

#include <stdbool.h>

#include "worker_faults.h"

struct ev_loop;
struct http_server;
struct worker_counts;

struct http_settings {
	const char *version, *slot;
	long linger_ms;                 /* see http_server_drain() */
	struct worker_counts *counts;

	void *context;                  /* of both: */
	/* What becomes of a request; for /healthz, or another one. */
	struct answer_plan (*plan)(void *context, bool health);
	/* A connection has gone. */
	void (*left)(void *context);
};

enum { HTTP_CONNECTIONS_MAX = 4096 };

/* NULL if out of memory. */
struct http_server *http_server_new(struct ev_loop *loop,
    const struct http_settings *settings);

/* Closes all connections as they are. */
void http_server_free(struct http_server *server);

/*
 * Takes fd, which is non-blocking, and closes it when it is done.  That it is
 * a probe's may be known by where it came from; else its first request tells.
 */
void http_server_adopt(struct http_server *server, int fd, bool probe);

/*
 * From now on every answer says `Connection: close`.  Idle connections stay
 * for linger_ms, since their clients cannot know and may be sending a request
 * at this moment; then they are closed.  Nothing that began is cut.
 */
void http_server_drain(struct http_server *server);

unsigned http_server_connection_count(const struct http_server *server);

#endif
