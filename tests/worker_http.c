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

enum {
	REQUEST_BYTES_MAX = 8192,
	ANSWER_BYTES_MAX = 512,
	SHARES_WHOLE = 100000,  /* thousandths of a percent in all */
};

enum connection_state { READING, IDLE, STALLED, WRITING, CLOSING };

/* In seconds; STALLED has its own from the settings. */
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
	size_t request_size;
	size_t answer_size, answer_sent;
	char request[REQUEST_BYTES_MAX];
	char answer[ANSWER_BYTES_MAX];
};

struct http_server {
	struct ev_loop *loop;
	struct http_settings settings;
	void (*left)(void *context);
	void *context;
	bool draining;
	unsigned connection_count;
	long fault_debts[HTTP_FAULT_COUNT];
	TAILQ_HEAD(, connection) connections;
};

static void
enter(struct connection *connection, enum connection_state state)
{
	const struct http_server *server = connection->server;
	double seconds = patience_s[state];

	if (state == STALLED)
		seconds = (double)server->settings.stall_ms / 1e3;
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
	server->left(server->context);
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

/*
 * Each fault owes its share of every request and is paid when the debt has
 * grown to a whole one.
 */
static enum http_fault
choose_fault(struct http_server *server)
{
	enum http_fault chosen = HTTP_FAULT_COUNT;
	int i;

	for (i = 0; i < HTTP_FAULT_COUNT; i++) {
		server->fault_debts[i] += server->settings.fault_shares[i];
		if (chosen == HTTP_FAULT_COUNT &&
		    server->fault_debts[i] >= SHARES_WHOLE) {
			server->fault_debts[i] -= SHARES_WHOLE;
			chosen = (enum http_fault)i;
		}
	}
	return chosen;
}

/* The length of the first request with its headers, 0 if it is not whole. */
static size_t
request_length(const struct connection *connection)
{
	const char *end = memmem(connection->request,
	    connection->request_size, "\r\n\r\n", 4);

	return end == NULL ? 0 : (size_t)(end - connection->request) + 4;
}

/*
 * Whether the client will not send another request, or what follows is a body,
 * which this server does not read.
 */
static bool
request_is_last(const char *request, size_t length)
{
	const char *line = request, *next;
	size_t rest;

	next = memmem(line, length, "\r\n", 2);
	if (next - line < 8 || memcmp(next - 8, "HTTP/1.1", 8) != 0)
		return true;
	for (line = next + 2; *line != '\r'; line = next + 2) {
		rest = length - (size_t)(line - request);
		next = memmem(line, rest, "\r\n", 2);
		if (strncasecmp(line, "connection: close", 17) == 0 ||
		    strncasecmp(line, "content-length:", 15) == 0 ||
		    strncasecmp(line, "transfer-encoding:", 18) == 0)
			return true;
	}
	return false;
}

static void
compose(struct connection *connection, enum http_fault fault)
{
	const struct http_settings *settings = &connection->server->settings;
	const char *status = fault == HTTP_ERROR ?
	    "503 Service Unavailable" : "200 OK";
	char body[ANSWER_BYTES_MAX / 2];
	int size;

	if (fault == HTTP_WRONG)
		snprintf(body, sizeof(body), "not what was asked for\n");
	else
		snprintf(body, sizeof(body), "version=%s pid=%d slot=%s\n",
		    settings->version, (int)getpid(), settings->slot);
	size = snprintf(connection->answer, sizeof(connection->answer),
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\n%s\r\n%s", status, strlen(body),
	    connection->last ? "Connection: close\r\n" : "", body);
	assert(size > 0 && size < (int)sizeof(connection->answer));
	connection->answer_size = (size_t)size;
	connection->answer_sent = 0;
	if (fault == HTTP_TRUNCATE)
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
answer(struct connection *connection, size_t length)
{
	enum http_fault fault = choose_fault(connection->server);

	connection->last = connection->server->draining ||
	    fault == HTTP_TRUNCATE ||
	    request_is_last(connection->request, length);
	memmove(connection->request, connection->request + length,
	    connection->request_size - length);
	connection->request_size -= length;
	if (fault == HTTP_RESET) {
		drop_with_reset(connection);
		return false;
	}
	if (fault == HTTP_EMPTY) {
		half_close(connection);
		return false;
	}
	if (fault == HTTP_STALL) {
		watch(connection, 0);
		enter(connection, STALLED);
		return false;
	}
	compose(connection, fault);
	return write_answer(connection);
}

static void
serve(struct connection *connection)
{
	size_t length;

	do {
		length = request_length(connection);
		if (length == 0 &&
		    connection->request_size == REQUEST_BYTES_MAX) {
			drop(connection);
			return;
		}
	} while (length != 0 && answer(connection, length));
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
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;
	ssize_t size;

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
	size = recv(io->fd, connection->request + connection->request_size,
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
		compose(connection, HTTP_STALL);
		if (write_answer(connection))
			serve(connection);
		return;
	case IDLE:
		half_close(connection);
		return;
	case READING:
	case WRITING:
	case CLOSING:
		drop(connection);
		return;
	}
}

struct http_server *
http_server_new(struct ev_loop *loop, const struct http_settings *settings,
    void (*left)(void *context), void *context)
{
	struct http_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->loop = loop;
	server->settings = *settings;
	server->left = left;
	server->context = context;
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
http_server_adopt(struct http_server *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (connection == NULL) {
		close(fd);
		return;
	}
	connection->server = server;
	connection->last = false;
	connection->request_size = 0;
	connection->answer_size = connection->answer_sent = 0;
	ev_io_init(&connection->io, on_io, fd, EV_READ);
	connection->io.data = connection;
	ev_init(&connection->deadline, on_deadline);
	connection->deadline.data = connection;
	TAILQ_INSERT_TAIL(&server->connections, connection, entry);
	server->connection_count++;
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
