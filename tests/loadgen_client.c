/*
 * The connections of the load generator, each an automaton:
 *
 *	UNUSED      no socket
 *	QUEUEING    unix only: the listener's queue is full, try again soon
 *	CONNECTING  waits for the handshake
 *	WAITING     the request is sent, its response is awaited
 *	IDLE        kept alive; watched, so that its end is noticed
 *
 * All but UNUSED and IDLE carry one request, which settle() counts and nothing
 * else does.  A request is never sent a second time, whatever happened to it:
 * what a retry would hide is what this program is for.
 */
#include "loadgen_client.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loadgen_response.h"
#include "loadgen_stats.h"
#include "loopback.h"

/* A full queue of a unix listener gives no event when it has room again. */
#define QUEUE_RETRY_S 0.002

enum connection_state { UNUSED, QUEUEING, CONNECTING, WAITING, IDLE };

struct connection {
	TAILQ_ENTRY(connection) entry;  /* in unused or idle */
	struct client *client;
	enum connection_state state;
	ev_io io;
	ev_timer deadline;
	ev_timer retry;
	long response_count;            /* if any, it is reused; */
	long responses_left;            /* before it is replaced; < 0: no end */
	struct version *version;        /* of the first one, once known */
	uint64_t serial;
	uint64_t due_ns;
	struct response response;
};

TAILQ_HEAD(connection_list, connection);

struct client {
	struct ev_loop *loop;
	struct client_settings settings;
	struct stats *stats;
	char request[CLIENT_REQUEST_BYTES_MAX];
	size_t request_size;
	uint64_t serial;                /* of sockets */
	unsigned busy_count;
	struct connection_list unused, idle;
	struct connection *connections;
};

static void
watch(struct connection *connection, int events)
{
	struct ev_loop *loop = connection->client->loop;

	ev_io_stop(loop, &connection->io);
	ev_io_set(&connection->io, connection->io.fd, events);
	ev_io_start(loop, &connection->io);
}

static void
arm(struct connection *connection, long timeout_ms)
{
	struct ev_loop *loop = connection->client->loop;

	ev_timer_stop(loop, &connection->deadline);
	ev_timer_set(&connection->deadline, (double)timeout_ms / 1e3, 0);
	ev_timer_start(loop, &connection->deadline);
}

static void
disconnect(struct connection *connection)
{
	struct ev_loop *loop = connection->client->loop;

	ev_io_stop(loop, &connection->io);
	ev_timer_stop(loop, &connection->deadline);
	ev_timer_stop(loop, &connection->retry);
	if (connection->io.fd >= 0)
		close(connection->io.fd);
	ev_io_set(&connection->io, -1, 0);
	connection->state = UNUSED;
	TAILQ_INSERT_TAIL(&connection->client->unused, connection, entry);
}

static void
disconnect_idle(struct connection *connection)
{
	struct client *client = connection->client;

	assert(connection->state == IDLE);
	TAILQ_REMOVE(&client->idle, connection, entry);
	client->stats->idle_closed++;
	disconnect(connection);
}

/* Counts the request of a connection and ends the connection. */
static void
settle(struct connection *connection, enum outcome outcome)
{
	assert(connection->state != UNUSED && connection->state != IDLE);
	stats_failure(connection->client->stats, outcome, connection->version);
	connection->client->busy_count--;
	disconnect(connection);
}

static void
settle_error(struct connection *connection, int error)
{
	bool begun = connection->state == WAITING &&
	    response_begun(&connection->response);

	switch (error) {
	case ECONNREFUSED:
	case ENOENT: /* unix: the path is gone */
		settle(connection, OUTCOME_REFUSED);
		return;
	case ETIMEDOUT:
		settle(connection, OUTCOME_TIMED_OUT_CONNECT);
		return;
	case ECONNRESET:
	case EPIPE:
		if (begun)
			settle(connection, OUTCOME_TRUNCATED);
		else
			settle(connection, connection->response_count > 0 ?
			    OUTCOME_RESET_REUSED : OUTCOME_RESET);
		return;
	default:
		connection->client->stats->last_error = error;
		settle(connection, OUTCOME_OTHER);
		return;
	}
}

/* Where a connection came from, in turn of the serial; -1: from nowhere. */
static int
source_of(const struct client *client, uint64_t serial)
{
	const struct client_settings *settings = &client->settings;

	return settings->target->address.ss_family == AF_INET ?
	    (int)(serial % settings->sources->count) : -1;
}

/* A response has come from this version, or from nobody knows which. */
static void
note_version(struct connection *connection, struct version *version)
{
	struct client *client = connection->client;

	if (version == NULL || connection->version != NULL)
		return;
	connection->version = version;
	stats_connection(client->stats, version,
	    source_of(client, connection->serial), connection->serial);
}

static bool
is_expected(const struct client *client, const struct response *response)
{
	const char *expect = client->settings.expect;

	return response->status == 200 &&
	    strncmp(response->body, expect, strlen(expect)) == 0;
}

/* The response is whole: judges it, counts it, and frees the connection. */
static void
settle_response(struct connection *connection)
{
	struct client *client = connection->client;
	const struct client_settings *settings = &client->settings;
	const struct response *response = &connection->response;
	uint64_t now_ns = client_now_ns();
	uint64_t now_us = (now_ns - settings->start_ns) / 1000;
	bool good = is_expected(client, response);

	if (good)
		note_version(connection, stats_answer(client->stats, now_us,
		    (now_ns - connection->due_ns) / 1000, response->body));
	else
		note_version(connection, stats_wrong(client->stats, now_us,
		    response->body, connection->version));
	client->busy_count--;
	connection->response_count++;
	connection->responses_left--;
	if (!good || !settings->keep_alive || response->close ||
	    !response->has_length ||
	    connection->responses_left == 0) {
		disconnect(connection);
		return;
	}
	ev_timer_stop(client->loop, &connection->deadline);
	connection->state = IDLE;
	TAILQ_INSERT_TAIL(&client->idle, connection, entry);
}

static void
send_request(struct connection *connection)
{
	struct client *client = connection->client;
	ssize_t size;

	connection->state = WAITING;
	response_begin(&connection->response);
	size = send(connection->io.fd, client->request, client->request_size,
	    MSG_NOSIGNAL);
	if (size != (ssize_t)client->request_size) {
		/* The buffer is empty, so it always takes so little. */
		settle_error(connection, size < 0 ? errno : EMSGSIZE);
		return;
	}
	arm(connection, client->settings.response_timeout_ms);
	watch(connection, EV_READ);
}

static void
receive(struct connection *connection)
{
	struct response *response = &connection->response;
	enum response_state state;
	char bytes[16384];
	ssize_t size;

	size = recv(connection->io.fd, bytes, sizeof(bytes), 0);
	if (size < 0) {
		if (errno != EAGAIN && errno != EINTR)
			settle_error(connection, errno);
		return;
	}
	state = size > 0 ? response_feed(response, bytes, (size_t)size) :
	    response_end(response);
	if (state == RESPONSE_DONE)
		settle_response(connection);
	else if (state == RESPONSE_BAD)
		settle(connection, OUTCOME_WRONG);
	else if (size == 0 && response_begun(response))
		settle(connection, OUTCOME_TRUNCATED);
	else if (size == 0)
		settle(connection, connection->response_count > 0 ?
		    OUTCOME_EMPTY_REUSED : OUTCOME_EMPTY);
}

static void
finish_connect(struct connection *connection)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (getsockopt(connection->io.fd, SOL_SOCKET, SO_ERROR, &error,
	    &length) != 0)
		error = errno;
	if (error != 0)
		settle_error(connection, error);
	else
		send_request(connection);
}

static void
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct connection *connection = io->data;

	(void)loop;
	(void)events;
	switch (connection->state) {
	case CONNECTING:
		finish_connect(connection);
		return;
	case WAITING:
		receive(connection);
		return;
	case IDLE:
		/* Its end, or bytes nobody asked for: of no use any more. */
		disconnect_idle(connection);
		return;
	case UNUSED:
	case QUEUEING:
		return;
	}
}

static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct connection *connection = timer->data;

	(void)loop;
	(void)events;
	settle(connection, connection->state == WAITING ?
	    OUTCOME_TIMED_OUT_RESPONSE : OUTCOME_TIMED_OUT_CONNECT);
}

static void
try_connect(struct connection *connection)
{
	const struct loopback *target = connection->client->settings.target;
	int fd = connection->io.fd;

	if (connect(fd, (const struct sockaddr *)&target->address,
	    target->length_bytes) == 0) {
		send_request(connection);
	} else if (errno == EINPROGRESS) {
		connection->state = CONNECTING;
		watch(connection, EV_WRITE);
	} else if (errno == EAGAIN &&
	    target->address.ss_family == AF_UNIX) {
		connection->state = QUEUEING;
		ev_timer_set(&connection->retry, QUEUE_RETRY_S, 0);
		ev_timer_start(connection->client->loop, &connection->retry);
	} else {
		settle_error(connection, errno);
	}
}

static void
on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	try_connect(timer->data);
}

/* An idle connection that is still open, the one that was idle longest. */
static struct connection *
take_idle(struct client *client)
{
	struct connection *connection;
	char byte;

	while ((connection = TAILQ_FIRST(&client->idle)) != NULL) {
		/* Its end may have come since the loop last looked. */
		if (recv(connection->io.fd, &byte, 1,
		    MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) {
			TAILQ_REMOVE(&client->idle, connection, entry);
			return connection;
		}
		disconnect_idle(connection);
	}
	return NULL;
}

/*
 * The first of the pool last for fewer requests, each for another number, or
 * all of them would be replaced at the same moment for ever.
 */
static long
lifetime_of(const struct client_settings *settings, uint64_t serial)
{
	if (settings->requests_each == 0)
		return -1;
	return serial >= settings->connections ? settings->requests_each :
	    1 + (long)(serial % (uint64_t)settings->requests_each);
}

static void
start_fresh(struct client *client, struct connection *connection,
    uint64_t due_ns)
{
	uint64_t serial = client->serial++;
	int fd = loopback_open(client->settings.target,
	    client->settings.sources, source_of(client, serial));

	TAILQ_REMOVE(&client->unused, connection, entry);
	client->busy_count++;
	client->stats->connections++;
	connection->due_ns = due_ns;
	connection->response_count = 0;
	connection->responses_left = lifetime_of(&client->settings, serial);
	connection->version = NULL;
	connection->serial = serial;
	connection->state = CONNECTING;
	if (fd < 0) {
		settle_error(connection, -fd);
		return;
	}
	ev_io_set(&connection->io, fd, 0);
	arm(connection, client->settings.connect_timeout_ms);
	try_connect(connection);
}

static void
init_connection(struct client *client, struct connection *connection)
{
	connection->client = client;
	ev_io_init(&connection->io, on_io, -1, 0);
	/* Should we ourselves be late: what has come is read before timeouts. */
	ev_set_priority(&connection->io, 1);
	ev_init(&connection->deadline, on_deadline);
	ev_init(&connection->retry, on_retry);
	connection->io.data = connection;
	connection->deadline.data = connection;
	connection->retry.data = connection;
	TAILQ_INSERT_TAIL(&client->unused, connection, entry);
}

uint64_t
client_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct client *
client_new(struct ev_loop *loop, const struct client_settings *settings,
    struct stats *stats)
{
	struct client *client = calloc(1, sizeof(*client));
	unsigned i;
	int size;

	assert(settings->connections <= CLIENT_CONNECTIONS_MAX);
	if (client == NULL)
		return NULL;
	client->connections = calloc(settings->connections,
	    sizeof(*client->connections));
	if (client->connections == NULL) {
		free(client);
		return NULL;
	}
	client->loop = loop;
	client->settings = *settings;
	client->stats = stats;
	size = snprintf(client->request, sizeof(client->request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: loadgen\r\n%s\r\n",
	    settings->path, settings->host,
	    settings->keep_alive ? "" : "Connection: close\r\n");
	assert(size > 0 && size < (int)sizeof(client->request));
	client->request_size = (size_t)size;
	TAILQ_INIT(&client->unused);
	TAILQ_INIT(&client->idle);
	for (i = 0; i < settings->connections; i++)
		init_connection(client, &client->connections[i]);
	return client;
}

void
client_free(struct client *client)
{
	unsigned i;

	if (client == NULL)
		return;
	for (i = 0; i < client->settings.connections; i++) {
		if (client->connections[i].state != UNUSED)
			disconnect(&client->connections[i]);
	}
	free(client->connections);
	free(client);
}

bool
client_start(struct client *client, uint64_t due_ns)
{
	struct connection *connection = TAILQ_FIRST(&client->unused);

	/* The whole pool is opened before any of it is used again. */
	if (connection != NULL) {
		start_fresh(client, connection, due_ns);
		return true;
	}
	connection = take_idle(client);
	if (connection != NULL) {
		connection->due_ns = due_ns;
		client->busy_count++;
		send_request(connection);
		return true;
	}
	/* Idle ones that turned out to be closed have made room. */
	connection = TAILQ_FIRST(&client->unused);
	if (connection == NULL)
		return false;
	start_fresh(client, connection, due_ns);
	return true;
}

unsigned
client_busy_count(const struct client *client)
{
	return client->busy_count;
}
