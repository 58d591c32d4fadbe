/*
 * The connection to the supervisor: Varlink's framing, JSON objects that each
 * end with a NUL.
 *
 * Nothing waits for ever that need not: connecting, sending and an ordinary
 * answer have CALL_PATIENCE_MS, and an answer is at most REPLY_BYTES_MAX long.
 * What comes is judged only as far as its frame goes (an object with
 * `parameters` or `error`); the field functions below make every missing or
 * odd field harmless.
 */
#include "supctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

/* What supd queues for a client at most, so nothing larger can come. */
#define REPLY_BYTES_MAX ((size_t)CLIENT_QUEUE_BYTES_MAX)
#define READ_BYTES 65536

/* Between two attempts to connect again; a connection that lasted for less
 * than SERVED_MS may be the work of a supervisor that crashes in a loop. */
enum { RETRY_MS = 100, SERVED_MS = 1000 };

/* A blocking connect() to a full backlog waits for this too. */
static void
limit_waits(int fd, int patience_ms)
{
	struct timeval patience = { .tv_sec = patience_ms / 1000,
	    .tv_usec = patience_ms % 1000 * 1000 };

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
	    sizeof(patience));
}

/* Returns 0 or -errno. */
static int
connect_within(struct call *call, int patience_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	memcpy(address.sun_path, call->path, strlen(call->path) + 1);
	call->opened_ms = clock_ms();
	call->heard = false;
	call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (call->fd < 0)
		return -errno;
	limit_waits(call->fd, patience_ms);
	do {
		error = connect(call->fd, (struct sockaddr *)&address,
		    sizeof(address)) < 0 ? errno : 0;
	} while (error == EINTR);       /* stopped by ^Z, and continued */
	if (error != 0) {
		call_close(call);
		return -error;
	}
	limit_waits(call->fd, CALL_PATIENCE_MS);
	return 0;
}

int
call_open(struct call *call, const char *path)
{
	static const struct sockaddr_un any;
	int error;

	memset(call, 0, sizeof(*call));
	call->path = path;
	call->fd = call->interrupt_fd = -1;
	if (strlen(path) >= sizeof(any.sun_path)) {
		complain("the socket's path is longer than %zu bytes: %s",
		    sizeof(any.sun_path) - 1, path);
		return SUPCTL_USAGE;
	}
	error = connect_within(call, CALL_PATIENCE_MS);
	return error < 0 ? complain_connect(path, -error) : SUPCTL_DONE;
}

void
call_close(struct call *call)
{
	if (call->fd >= 0)
		close(call->fd);
	free(call->bytes);
	call->fd = -1;
	call->bytes = NULL;
	call->size_bytes = call->capacity_bytes = 0;
}

/* Returns true if it was interrupted. */
static bool
rest_until(const struct call *call, uint64_t until_ms)
{
	struct pollfd polled = { .fd = call->interrupt_fd, .events = POLLIN };
	uint64_t now_ms;

	while ((now_ms = clock_ms()) < until_ms) {
		(void)poll(&polled, 1, (int)(until_ms - now_ms));
		if (polled.revents != 0)
			return true;
	}
	return false;
}

int
call_reopen(struct call *call)
{
	uint64_t now_ms = clock_ms();
	int error = -ECONNRESET;

	if (call->return_ms == 0 || (call->heard &&
	    now_ms >= call->opened_ms + SERVED_MS)) {
		call->return_ms = now_ms + CALL_RETURN_MS;
		call->told = false;
	}
	call_close(call);
	do {
		if (rest_until(call, call->opened_ms + RETRY_MS))
			return -EINTR;
		if (clock_ms() >= call->return_ms)
			return error;
		error = connect_within(call, RETRY_MS);
	} while (error == -ECONNREFUSED || error == -ENOENT ||
	    error == -EAGAIN || error == -ECONNRESET);
	return error;
}

void
call_served(struct call *call)
{
	call->return_ms = 0;
}

void
call_send(struct call *call, const char *method, json_t *parameters, bool more)
{
	json_t *message = json_pack("{s:s, s:o}", "method", method,
	    "parameters", draw_memory(parameters));
	size_t size_bytes, sent_bytes = 0;
	char *text;

	draw_memory(message);
	if (more)
		json_object_set_new(message, "more", json_true());
	text = draw_memory(json_dumps(message, JSON_COMPACT));
	size_bytes = strlen(text) + 1;
	while (sent_bytes < size_bytes) {
		ssize_t n = send(call->fd, text + sent_bytes,
		    size_bytes - sent_bytes, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent_bytes += (size_t)n;
	}
	free(text);
	json_decref(message);
}

/* The message in the first size_bytes, which is a reply or nothing. */
static enum call_result
parse(const char *bytes, size_t size_bytes, struct reply *ret_reply)
{
	struct reply reply = { 0 };
	json_t *error;

	/* A NUL in some STATUS= must not cost the whole answer. */
	reply.message = json_loadb(bytes, size_bytes, JSON_ALLOW_NUL, NULL);
	reply.parameters = json_object_get(reply.message, "parameters");
	if (reply.parameters == NULL && json_is_object(reply.message)) {
		json_object_set_new(reply.message, "parameters",
		    json_object());
		reply.parameters = json_object_get(reply.message,
		    "parameters");
	}
	error = json_object_get(reply.message, "error");
	if (!json_is_object(reply.parameters) ||
	    (error != NULL && !json_is_string(error))) {
		json_decref(reply.message);
		return CALL_GARBAGE;
	}
	reply.error = json_string_value(error);
	reply.continues = reply.error == NULL &&
	    json_is_true(json_object_get(reply.message, "continues"));
	*ret_reply = reply;
	return CALL_REPLY;
}

/* True if a whole message was taken out of what has been read. */
static bool
take(struct call *call, size_t searched_bytes, struct reply *ret_reply,
    enum call_result *ret_result)
{
	size_t message_bytes;
	char *end;

	if (call->size_bytes == searched_bytes)
		return false;
	end = memchr(call->bytes + searched_bytes, '\0',
	    call->size_bytes - searched_bytes);
	if (end == NULL)
		return false;
	message_bytes = (size_t)(end - call->bytes) + 1;
	*ret_result = parse(call->bytes, message_bytes - 1, ret_reply);
	call->size_bytes -= message_bytes;
	memmove(call->bytes, end + 1, call->size_bytes);
	return true;
}

/* Waits for bytes and reads some.  CALL_REPLY: there are more now. */
static enum call_result
fill(struct call *call, int timeout_ms)
{
	struct pollfd polled[2] = {
		{ .fd = call->fd, .events = POLLIN },
		{ .fd = call->interrupt_fd, .events = POLLIN },
	};
	int ready = poll(polled, 2, timeout_ms);
	ssize_t n;

	if (ready == 0 || (ready < 0 && errno == EINTR))
		return CALL_TIMEOUT;
	if (ready < 0)
		return CALL_BROKEN;
	if (polled[1].revents != 0)
		return CALL_INTERRUPTED;
	if (call->capacity_bytes - call->size_bytes < READ_BYTES) {
		call->capacity_bytes = call->capacity_bytes * 2 + READ_BYTES;
		call->bytes = draw_memory(realloc(call->bytes,
		    call->capacity_bytes));
	}
	n = recv(call->fd, call->bytes + call->size_bytes, READ_BYTES,
	    MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return CALL_CLOSED;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? CALL_TIMEOUT :
		    CALL_BROKEN;
	call->size_bytes += (size_t)n;
	return CALL_REPLY;
}

enum call_result
call_receive(struct call *call, int timeout_ms, struct reply *ret_reply)
{
	uint64_t until_ms = clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 :
	    timeout_ms);
	enum call_result result = CALL_REPLY;
	size_t searched_bytes = 0;

	while (!take(call, searched_bytes, ret_reply, &result)) {
		uint64_t now_ms = clock_ms();
		int left_ms = timeout_ms;

		searched_bytes = call->size_bytes;
		if (searched_bytes > REPLY_BYTES_MAX)
			return CALL_TOO_LARGE;
		if (timeout_ms >= 0)
			left_ms = until_ms > now_ms ?
			    (int)(until_ms - now_ms) : 0;
		result = fill(call, left_ms);
		if (result == CALL_TIMEOUT && left_ms != 0)
			continue;       /* a signal, or poll was early */
		if (result != CALL_REPLY)
			return result;
	}
	call->heard |= result == CALL_REPLY;
	return result;
}

void
reply_release(struct reply *reply)
{
	json_decref(reply->message);
	memset(reply, 0, sizeof(*reply));
}

int
call_ask(const struct supctl *ctl, struct call *call, const char *method,
    json_t *parameters, struct reply *ret_reply)
{
	json_t *again = ctl->changes ? NULL : json_incref(parameters);
	struct reply reply;
	enum call_result result;
	int code, error;

	call_send(call, method, parameters, false);
	result = call_receive(call, CALL_PATIENCE_MS, &reply);
	if (result == CALL_CLOSED && again != NULL) {
		error = call_reopen(call);
		if (error < 0) {
			json_decref(again);
			return complain_gone(call, error, "");
		}
		call_send(call, method, json_incref(again), false);
		result = call_receive(call, CALL_PATIENCE_MS, &reply);
	}
	json_decref(again);
	if (result != CALL_REPLY)
		return complain_result(ctl, call, result);
	if (reply.error != NULL) {
		code = complain_reply(ctl, call, &reply);
		reply_release(&reply);
		return code;
	}
	*ret_reply = reply;
	return SUPCTL_DONE;
}

int
call_once(const struct supctl *ctl, const char *method, json_t *parameters,
    struct reply *ret_reply)
{
	struct call call;
	int code = call_open(&call, ctl->socket_path);

	if (code != SUPCTL_DONE) {
		json_decref(parameters);
		return code;
	}
	code = call_ask(ctl, &call, method, parameters, ret_reply);
	call_close(&call);
	return code;
}

/* One that is ignored and blocked comes all the same, to a signalfd. */
static void
add_unless_ignored(sigset_t *set, int number)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action) == 0 &&
	    action.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

int
call_catch_interrupts(void)
{
	sigset_t set, before;
	int fd;

	sigemptyset(&set);
	add_unless_ignored(&set, SIGINT);
	add_unless_ignored(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, &before) < 0)
		return -1;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

const char *
field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

uint64_t
field_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

bool
field_flag(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool
field_given(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value != NULL && !json_is_null(value);
}

/* jansson's functions for arrays take NULL as an empty one. */
json_t *
field_list(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_array(value) ? value : NULL;
}

json_t *
field_object(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_object(value) ? value : NULL;
}

void
call_print_json(const json_t *value)
{
	/* ASCII, so that no text in it can drive a terminal; and DEL, which
	 * jansson leaves alone, does nothing there.  0.1 is not 0.1000…01. */
	char *text = draw_memory(json_dumps(value, JSON_COMPACT |
	    JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)));

	draw_raw(stdout, text);
	draw_raw(stdout, "\n");
	free(text);
}
