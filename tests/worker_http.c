/*
 * The connections of the worker, each an automaton with one watcher, one
 * deadline and two small buffers:
 *
 *	READING   a request is due or has begun
 *	IDLE      kept alive; no byte of a next request was seen
 *	STALLED   a request is held back on purpose
 *	WRITING   the answer did not fit into the socket
 *	CLOSING   FIN sent; waits for the client's own, so that bytes which
 *	          it may still send do not turn our close() into a reset that
 *	          destroys the answer on its way
 *
 * Each state has its patience in a table, so that none waits for ever.
 */
#include "worker_http.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker_counts.h"
#include "worker_request.h"

enum {
	REQUEST_BYTES_MAX = 8192,
	ANSWER_BYTES_MAX = 512,
	STATUS_FOUND = 302,
	FLOOD_BYTES = 16,
};

enum connection_state { READING, IDLE, STALLED, WRITING, CLOSING };

/* In seconds; STALLED has its own from the plan. */
static const double patience_s[] = {
	[READING] = 5,
	[IDLE] = 60,
	[STALLED] = 0,
	[WRITING] = 5,
	[CLOSING] = 1,
};

struct connection {
	TAILQ_ENTRY(connection) entry;
	struct http_server *server;
	ev_io io;
	ev_timer deadline;
	enum connection_state state;
	bool last;              /* the answer under way is the last one */
	bool counted;           /* as a user's or a probe's */
	struct answer_plan plan;
	size_t request_size;
	size_t answer_size, answer_sent;
	char request[REQUEST_BYTES_MAX];
	char answer[ANSWER_BYTES_MAX];
};

struct http_server {
	struct ev_loop *loop;
	struct http_settings settings;
	bool draining;
	unsigned connection_count;
	TAILQ_HEAD(, connection) connections;
};

static void
enter(struct connection *connection, enum connection_state state)
{
	const struct http_server *server = connection->server;
	double seconds = patience_s[state];

	if (state == STALLED)
		seconds = (double)connection->plan.delay_ms / 1e3;
	if (state == IDLE && server->draining)
		seconds = (double)server->settings.linger_ms / 1e3;
	connection->state = state;
	ev_timer_stop(server->loop, &connection->deadline);
	ev_timer_set(&connection->deadline, seconds, 0);
	ev_timer_start(server->loop, &connection->deadline);
}

static void
watch(struct connection *connection, int events)
{
	struct ev_loop *loop = connection->server->loop;

	ev_io_stop(loop, &connection->io);
	ev_io_set(&connection->io, connection->io.fd, events);
	if (events != 0)
		ev_io_start(loop, &connection->io);
}

/* The last thing done with a connection. */
static void
drop(struct connection *connection)
{
	struct http_server *server = connection->server;

	ev_io_stop(server->loop, &connection->io);
	ev_timer_stop(server->loop, &connection->deadline);
	close(connection->io.fd);
	TAILQ_REMOVE(&server->connections, connection, entry);
	server->connection_count--;
	free(connection);
	server->settings.left(server->settings.context);
}

static void
drop_with_reset(struct connection *connection)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(connection->io.fd, SOL_SOCKET, SO_LINGER, &now,
	    sizeof(now)); /* then it is a plain close, the best we have */
	drop(connection);
}

static void
half_close(struct connection *connection)
{
	if (shutdown(connection->io.fd, SHUT_WR) != 0) {
		drop(connection);
		return;
	}
	watch(connection, EV_READ);
	enter(connection, CLOSING);
}

static void
count_connection(struct connection *connection, bool probe)
{
	struct worker_counts *counts = connection->server->settings.counts;

	if (!connection->counted)
		worker_counts_add(probe ? &counts->probe_connections :
		    &counts->user_connections);
	connection->counted = true;
}

static void
count_request(struct connection *connection, const struct request *request)
{
	struct worker_counts *counts = connection->server->settings.counts;

	count_connection(connection, request->probe);
	worker_counts_add(&counts->requests);
	if (request->probe)
		worker_counts_add(&counts->probe_requests);
	if (request->health)
		worker_counts_add(&counts->health_requests);
}

static const char *
reason_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case STATUS_FOUND:
		return "Found";
	case 503:
		return "Service Unavailable";
	default:
		return "As Wanted";
	}
}

static void
compose(struct connection *connection)
{
	const struct http_settings *settings = &connection->server->settings;
	const struct answer_plan *plan = &connection->plan;
	char body[ANSWER_BYTES_MAX / 2], length[64] = "";
	int size;

	if (plan->fault == ANSWER_WRONG)
		snprintf(body, sizeof(body), "not what was asked for\n");
	else
		snprintf(body, sizeof(body), "version=%s pid=%d slot=%s%s\n",
		    settings->version, (int)getpid(), settings->slot,
		    plan->remark);
	if (plan->fault != ANSWER_FLOOD)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
		    strlen(body));
	size = snprintf(connection->answer, sizeof(connection->answer),
	    "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n%s%s%s\r\n%s",
	    plan->status, reason_of(plan->status), length,
	    plan->status == STATUS_FOUND ? "Location: /healthz\r\n" : "",
	    connection->last ? "Connection: close\r\n" : "", body);
	assert(size > 0 && size < (int)sizeof(connection->answer));
	connection->answer_size = (size_t)size;
	connection->answer_sent = 0;
	if (plan->fault == ANSWER_TRUNCATE)
		connection->answer_size -= strlen(body) / 2;
}

/* Sends what is left of the answer.  False: the connection is not ours now. */
static bool
write_answer(struct connection *connection)
{
	ssize_t size;

	size = send(connection->io.fd,
	    connection->answer + connection->answer_sent,
	    connection->answer_size - connection->answer_sent, MSG_NOSIGNAL);
	if (size < 0 && errno != EAGAIN && errno != EINTR) {
		drop(connection);
		return false;
	}
	if (size > 0)
		connection->answer_sent += (size_t)size;
	/* fault: its end, a part of the body, again and again */
	if (connection->answer_sent == connection->answer_size &&
	    connection->plan.fault == ANSWER_FLOOD)
		connection->answer_sent -= FLOOD_BYTES;
	if (connection->answer_sent < connection->answer_size) {
		watch(connection, EV_WRITE);
		enter(connection, WRITING);
		return false;
	}
	if (connection->last) {
		half_close(connection);
		return false;
	}
	watch(connection, EV_READ);
	enter(connection, connection->request_size > 0 ? READING : IDLE);
	return true;
}

/* Begins to answer the first request.  True: it is done, look for another. */
static bool
answer(struct connection *connection, const struct request *request)
{
	const struct http_server *server = connection->server;
	const struct answer_plan *plan = &connection->plan;

	count_request(connection, request);
	connection->plan = server->settings.plan(server->settings.context,
	    request->health);
	connection->last = server->draining ||
	    plan->fault == ANSWER_TRUNCATE || request->last;
	memmove(connection->request, connection->request + request->size_bytes,
	    connection->request_size - request->size_bytes);
	connection->request_size -= request->size_bytes;
	if (plan->fault == ANSWER_RESET) {
		drop_with_reset(connection);
		return false;
	}
	if (plan->fault == ANSWER_EMPTY) {
		half_close(connection);
		return false;
	}
	if (plan->delay_ms > 0) {
		watch(connection, 0);
		enter(connection, STALLED);
		return false;
	}
	compose(connection);
	return write_answer(connection);
}

static void
serve(struct connection *connection)
{
	struct request request;
	bool whole;

	do {
		whole = request_parse(connection->request,
		    connection->request_size, &request);
		if (!whole && connection->request_size == REQUEST_BYTES_MAX) {
			drop(connection);
			return;
		}
	} while (whole && answer(connection, &request));
}

static void
discard(struct connection *connection)
{
	char bytes[4096];
	ssize_t size = recv(connection->io.fd, bytes, sizeof(bytes), 0);

	if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
		drop(connection);
}

static void
receive(struct connection *connection)
{
	ssize_t size = recv(connection->io.fd,
	    connection->request + connection->request_size,
	    REQUEST_BYTES_MAX - connection->request_size, 0);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		drop(connection);
		return;
	}
	/* A request that has begun gets its time once, not at each byte. */
	if (connection->state == IDLE)
		enter(connection, READING);
	connection->request_size += (size_t)size;
	serve(connection);
}

/* Unless its next request came while we were late, and is not seen yet. */
static void
end_idle(struct connection *connection)
{
	char byte;

	if (recv(connection->io.fd, &byte, 1, MSG_PEEK) >= 0)
		receive(connection);
	else
		half_close(connection);
}

static void
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;

	(void)loop;
	(void)events;
	if (connection->state == CLOSING) {
		discard(connection);
		return;
	}
	if (connection->state == WRITING) {
		if (write_answer(connection))
			serve(connection);
		return;
	}
	receive(connection);
}

static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct connection *connection = timer->data;

	(void)loop;
	(void)events;
	switch (connection->state) {
	case STALLED:
		/* A drain may have begun in between: the answer says so. */
		connection->last |= connection->server->draining;
		compose(connection);
		if (write_answer(connection))
			serve(connection);
		return;
	case IDLE:
		end_idle(connection);
		return;
	case READING:
	case WRITING:
	case CLOSING:
		drop(connection);
		return;
	}
}

struct http_server *
http_server_new(struct ev_loop *loop, const struct http_settings *settings)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->loop = loop;
	server->settings = *settings;
	TAILQ_INIT(&server->connections);
	return server;
}

void
http_server_free(struct http_server *server)
{
	struct connection *connection;

	if (server == NULL)
		return;
	while ((connection = TAILQ_FIRST(&server->connections)) != NULL)
		drop(connection);
	free(server);
}

void
http_server_adopt(struct http_server *server, int fd, bool probe)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (connection == NULL) {
		close(fd);
		return;
	}
	connection->server = server;
	connection->last = connection->counted = false;
	connection->request_size = 0;
	connection->answer_size = connection->answer_sent = 0;
	ev_io_init(&connection->io, on_io, fd, EV_READ);
	connection->io.data = connection;
	ev_init(&connection->deadline, on_deadline);
	connection->deadline.data = connection;
	TAILQ_INSERT_TAIL(&server->connections, connection, entry);
	server->connection_count++;
	worker_counts_add(&server->settings.counts->accepted);
	if (probe)
		count_connection(connection, true);
	ev_io_start(server->loop, &connection->io);
	enter(connection, READING);
}

void
http_server_drain(struct http_server *server)
{
	struct connection *connection;

	server->draining = true;
	TAILQ_FOREACH(connection, &server->connections, entry) {
		if (connection->state == IDLE)
			enter(connection, IDLE); /* now with linger_ms */
	}
}

unsigned
http_server_connection_count(const struct http_server *server)
{
	return server->connection_count;
}
