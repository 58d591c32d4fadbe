/*
 * One client of the control socket: from bytes to messages, and back.
 *
 * A message that arrives in one piece is handed on from the stack; only the
 * half of one is kept in a buffer.  A client that waits costs its struct and
 * nothing else.
 *
 * A client ends in one way: doom() stops everything that could call back, and
 * the next iteration of the loop frees it and tells the handler.  Nothing is
 * freed while a function that was called from here may still use it.
 *
 * A client that has shut down its sending side is not read any more, or it
 * would be readable for ever; that it is gone altogether is then told by an
 * epoll set of our own, which reports hang-ups and nothing else.
 */
#include "ctlsock_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bounds.h"
#include "ctlsock_queue.h"
#include "ctlsock_reserve.h"
#include "fd.h"
#include "log.h"
#include "reactor.h"

enum {
	READ_BYTES = 8192,              /* at once */
	INPUT_BYTES_MIN = 1024,
	HANGUPS_PER_TURN_MAX = 8,
};

struct client {
	uint32_t number;
	int fd;
	bool deaf;              /* nothing more is read */
	bool finishing;         /* ends when its queue is empty */
	bool doomed;
	struct watch watch;
	struct alarm patience;

	char *input;            /* a message that has not ended */
	size_t input_count, input_size;
	uint64_t input_since_ms;

	struct ctlsock_queue queue;
	uint64_t queue_since_ms;        /* it became shorter, or began */
};

static struct {
	struct ctlsock_handler handler;
	struct client *list[CLIENTS_MAX];
	uint32_t number_last;
	struct alarm sweep;
	int hangup_fd;
	struct watch hangups;
} clients;

static struct client *
find(uint32_t number)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients.list[i] != NULL &&
		    clients.list[i]->number == number &&
		    !clients.list[i]->doomed)
			return clients.list[i];
	return NULL;
}

static bool
has_answers(const struct client *client)
{
	return client->queue.first != NULL;
}

static void
drop_input(struct client *client)
{
	free(client->input);
	client->input = NULL;
	client->input_count = client->input_size = 0;
}

/* Frees the client in place `i` of the list and tells the handler. */
static void
end(size_t i)
{
	struct client *client = clients.list[i];
	uint32_t number = client->number;

	clients.list[i] = NULL;
	reactor_unwatch(&client->watch);
	reactor_clear_alarm(&client->patience);
	ctlsock_queue_clear(&client->queue);
	drop_input(client);
	fd_close(client->fd);
	ctlsock_reserve_fill();
	free(client);
	clients.handler.gone(clients.handler.ctx, number);
}

static void
sweep(void *ctx)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients.list[i] != NULL && clients.list[i]->doomed)
			end(i);
}

static void
doom(struct client *client)
{
	if (client->doomed)
		return;
	client->doomed = true;
	reactor_unwatch(&client->watch);
	reactor_clear_alarm(&client->patience);
	ctlsock_queue_clear(&client->queue);
	reactor_set_alarm(&clients.sweep, 0, sweep, NULL);
}

static void
lose_patience(void *ctx)
{
	struct client *client = ctx;

	log_notice("control client=%u closed: it %s for %d ms", client->number,
	    has_answers(client) ? "did not read its answers" :
	    "sent half a message and no more", (int)CTLSOCK_PATIENCE_MS);
	doom(client);
}

/* After a change: waits for what the client may do next, and how long. */
static void
await(struct client *client)
{
	uint64_t since_ms = UINT64_MAX, now_ms = reactor_now_ms(), spent_ms;

	if (client->doomed)
		return;
	reactor_rewatch(&client->watch,
	    (client->deaf ? 0 : REACTOR_READ) |
	    (has_answers(client) ? REACTOR_WRITE : 0));
	if (client->input_count > 0)
		since_ms = client->input_since_ms;
	if (has_answers(client) && client->queue_since_ms < since_ms)
		since_ms = client->queue_since_ms;
	if (since_ms == UINT64_MAX) {
		reactor_clear_alarm(&client->patience);
		return;
	}
	spent_ms = now_ms - since_ms;
	reactor_set_alarm(&client->patience, spent_ms < CTLSOCK_PATIENCE_MS ?
	    CTLSOCK_PATIENCE_MS - spent_ms : 0, lose_patience, client);
}

void
ctlsock_send(uint32_t number, const char *json, size_t size_bytes)
{
	struct client *client = find(number);
	int error;

	if (client == NULL || client->finishing)
		return;
	if (!has_answers(client))
		client->queue_since_ms = reactor_now_ms();
	error = ctlsock_queue_send(&client->queue, client->fd, json,
	    size_bytes);
	if (error == -ENOBUFS)
		log_notice("control client=%u closed: it has more than %d "
		    "bytes of answers unread", number, CLIENT_QUEUE_BYTES_MAX);
	else if (error == -ENOMEM)
		log_warning("control client=%u closed: no memory", number);
	if (error < 0)
		doom(client);   /* otherwise it is gone, which is its right */
	else
		await(client);
}

int
ctlsock_fd(uint32_t number)
{
	const struct client *client = find(number);

	return client != NULL ? client->fd : -1;
}

uint32_t
ctlsock_adopt(int fd)
{
	if (!ctlsock_client_has_room()) {
		fd_close(fd);
		return 0;
	}
	return ctlsock_client_add(fd) == 0 ? clients.number_last : 0;
}

void
ctlsock_finish(uint32_t number)
{
	struct client *client = find(number);

	if (client == NULL)
		return;
	client->finishing = true;
	client->deaf = true;
	client->input_count = 0;
	if (!has_answers(client))
		doom(client);
	else
		await(client);
}

static void
flush(struct client *client)
{
	int result = ctlsock_queue_flush(&client->queue, client->fd);

	if (result > 0)
		client->queue_since_ms = reactor_now_ms();
	if (result < 0 || (client->finishing && !has_answers(client)))
		doom(client);
	else
		await(client);
}

static void
refuse_frame(struct client *client)
{
	char text[128];
	int count;

	log_notice("control client=%u closed: a message has more than %d "
	    "bytes", client->number, FRAME_BYTES_MAX);
	count = snprintf(text, sizeof(text), "{\"error\":"
	    "\"io.supd.FrameTooLarge\",\"parameters\":{\"limit\":%d}}",
	    FRAME_BYTES_MAX);
	ctlsock_send(client->number, text, (size_t)count);
	ctlsock_finish(client->number);
}

/* Appends a piece of a message that has not ended.  0 or -ENOMEM. */
static int
collect(struct client *client, const char *bytes, size_t count)
{
	size_t size = client->input_size;
	char *input;

	if (count == 0)
		return 0;
	if (size == 0)
		size = INPUT_BYTES_MIN;
	while (size < client->input_count + count)
		size *= 2;
	if (size > client->input_size) {
		input = realloc(client->input, size);
		if (input == NULL)
			return -ENOMEM;
		client->input = input;
		client->input_size = size;
	}
	if (client->input_count == 0)
		client->input_since_ms = reactor_now_ms();
	memcpy(client->input + client->input_count, bytes, count);
	client->input_count += count;
	return 0;
}

/* A message has ended with these bytes, which are all of it or its last. */
static int
hand_over(struct client *client, const char *bytes, size_t count)
{
	struct ctlsock_handler *handler = &clients.handler;
	char *input;
	int error;

	if (client->input_count == 0) {
		handler->message(handler->ctx, client->number, bytes, count);
		return 0;
	}
	error = collect(client, bytes, count);
	if (error < 0)
		return error;
	input = client->input;
	count = client->input_count;
	client->input = NULL;
	client->input_count = client->input_size = 0;
	handler->message(handler->ctx, client->number, input, count);
	free(input);
	return 0;
}

/* Stops early if a message made the client deaf, or doomed it. */
static int
take(struct client *client, const char *bytes, size_t count)
{
	int error = 0;

	while (count > 0 && error == 0 && !client->deaf && !client->doomed) {
		const char *nul = memchr(bytes, '\0', count);
		size_t piece = nul != NULL ? (size_t)(nul - bytes) : count;

		if (client->input_count + piece > FRAME_BYTES_MAX) {
			refuse_frame(client);
			return 0;
		}
		if (nul == NULL)
			return collect(client, bytes, piece);
		error = hand_over(client, bytes, piece);
		bytes += piece + 1;
		count -= piece + 1;
	}
	return error;
}

/* It sends no more, but may still read. */
static void
half_close(struct client *client)
{
	struct epoll_event hangup = { .data.u32 = client->number };

	client->deaf = true;
	drop_input(client);
	if (epoll_ctl(clients.hangup_fd, EPOLL_CTL_ADD, client->fd,
	    &hangup) < 0)
		doom(client);
}

static void
receive(struct client *client)
{
	char bytes[READ_BYTES];
	ssize_t count;

	count = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (count == 0) {
		half_close(client);
	} else if (count > 0) {
		if (take(client, bytes, (size_t)count) < 0) {
			log_warning("control client=%u closed: no memory",
			    client->number);
			doom(client);
		}
	} else if (errno != EAGAIN && errno != EINTR) {
		doom(client);
	}
	await(client);
}

static void
serve(void *ctx, int events)
{
	struct client *client = ctx;

	if (events & REACTOR_WRITE && has_answers(client))
		flush(client);
	if (events & REACTOR_READ && !client->deaf && !client->doomed)
		receive(client);
}

static void
see_hangups(void *ctx, int events)
{
	struct epoll_event found[HANGUPS_PER_TURN_MAX];
	struct client *client;
	int count, i;

	(void)ctx, (void)events;
	count = epoll_wait(clients.hangup_fd, found, HANGUPS_PER_TURN_MAX, 0);
	for (i = 0; i < count; i++) {
		client = find(found[i].data.u32);
		if (client != NULL)
			doom(client);
	}
}

int
ctlsock_client_init(const struct ctlsock_handler *handler)
{
	int fd;

	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return -errno;
	clients.handler = *handler;
	clients.hangup_fd = fd_to_private(fd);
	reactor_watch(&clients.hangups, clients.hangup_fd, REACTOR_READ,
	    see_hangups, NULL);
	return 0;
}

void
ctlsock_client_release(void)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients.list[i] != NULL)
			end(i);
	reactor_clear_alarm(&clients.sweep);
	reactor_unwatch(&clients.hangups);
	fd_clear(&clients.hangup_fd);
}

bool
ctlsock_client_has_room(void)
{
	size_t i;

	for (i = 0; i < CLIENTS_MAX; i++)
		if (clients.list[i] == NULL)
			return true;
	return false;
}

int
ctlsock_client_add(int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	size_t i = 0;

	if (client == NULL) {
		fd_close(fd);
		return -ENOMEM;
	}
	while (clients.list[i] != NULL)
		i++;
	assert(i < CLIENTS_MAX);
	if (++clients.number_last == 0)
		clients.number_last = 1;        /* 0 is nobody */
	client->number = clients.number_last;
	client->fd = fd_to_private(fd);
	clients.list[i] = client;
	reactor_watch(&client->watch, client->fd, REACTOR_READ, serve, client);
	return 0;
}
