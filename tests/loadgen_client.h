/*
 * The connections of the load generator: one request each, or a pool of them
 * that is kept alive.
 *
 * The client decides nothing about time: the caller says when a request was
 * due, and every latency counts from there.
 */
#ifndef TESTS_LOADGEN_CLIENT_H
#define TESTS_LOADGEN_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;
struct loopback;
struct loopback_range;
struct stats;
struct client;

enum { CLIENT_CONNECTIONS_MAX = 16384 };

struct client_settings {
	const struct loopback *target;
	const struct loopback_range *sources;   /* of IPv4, in turn */
	const char *host;       /* of the Host header */
	const char *path;
	const char *expect;     /* how a good body begins */
	unsigned connections;   /* at most at once */
	bool keep_alive;
	long requests_each;     /* of a connection that is kept, 0: no limit */
	long connect_timeout_ms, response_timeout_ms;
	uint64_t start_ns;      /* what moments are relative to */
};

enum { CLIENT_REQUEST_BYTES_MAX = 1024 };

/* CLOCK_MONOTONIC. */
uint64_t client_now_ns(void);

/* Counts into `stats`.  NULL: out of memory. */
struct client *client_new(struct ev_loop *loop,
    const struct client_settings *settings, struct stats *stats);

/* Closes everything; requests in flight are not counted. */
void client_free(struct client *client);

/*
 * Starts a request that was due at `due_ns`.  False: all connections are busy,
 * nothing has happened.  Otherwise it is counted once, perhaps at once.
 */
bool client_start(struct client *client, uint64_t due_ns);

/* Requests in flight. */
unsigned client_busy_count(const struct client *client);

#endif
