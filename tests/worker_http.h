/*
 * The connections of the worker: as much of HTTP/1.1 as it takes to answer a
 * GET, keep a connection alive, and give it up without losing a request.
 *
 * Every request gets the same body, `version=V pid=P slot=S`.  On purpose, and
 * only when told so, every n-th request gets something worse.
 */
#ifndef TESTS_WORKER_HTTP_H
#define TESTS_WORKER_HTTP_H

struct ev_loop;
struct http_server;

enum http_fault {
	HTTP_RESET,     /* RST; on a unix socket an end of file, as HTTP_EMPTY */
	HTTP_EMPTY,     /* closed without an answer */
	HTTP_TRUNCATE,  /* closed in the middle of the body */
	HTTP_WRONG,     /* 200 with a body of somebody else */
	HTTP_ERROR,     /* 503 */
	HTTP_STALL,     /* answered stall_ms later */
	HTTP_FAULT_COUNT,
};

struct http_settings {
	const char *version, *slot;
	long linger_ms;         /* see http_server_drain() */
	long stall_ms;
	/*
	 * Thousandths of a percent of all requests.  The fault of 1 % comes
	 * at every 100th request exactly, so that a count can be checked.
	 */
	long fault_shares[HTTP_FAULT_COUNT];
};

enum { HTTP_CONNECTIONS_MAX = 4096 };

/* `left` is called after a connection has gone.  NULL if out of memory. */
struct http_server *http_server_new(struct ev_loop *loop,
    const struct http_settings *settings, void (*left)(void *context),
    void *context);

/* Closes all connections as they are. */
void http_server_free(struct http_server *server);

/* Takes fd, which is non-blocking, and closes it when it is done. */
void http_server_adopt(struct http_server *server, int fd);

/*
 * From now on every answer says `Connection: close`.  Idle connections stay
 * for linger_ms, since their clients cannot know and may be sending a request
 * at this moment; then they are closed.  Nothing that began is cut.
 */
void http_server_drain(struct http_server *server);

unsigned http_server_connection_count(const struct http_server *server);

#endif
