/*
 * A server for supprobe; see the header.
 */
#include "supprobe_fixture.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORDS_MAX = 24 };

int
supprobe_set_up_group(void **state)
{
	(void)state;
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

void
server_open(struct server *server, const char *text, int backlog)
{
	struct loopback loopback;

	assert_int_equal(loopback_parse(text, &loopback), 0);
	server->fd = loopback_listen(&loopback, backlog);
	assert_true(server->fd >= 0);
	assert_int_equal(loopback_name(server->fd, server->address), 0);
}

void
server_close(struct server *server)
{
	server_assert_idle(server);
	close(server->fd);
}

void
supprobe_start(struct child *child, int socket, const char *kind,
    const char *address, ...)
{
	const char *words[WORDS_MAX] = { "../supprobe", kind, "--connect",
	    address };
	size_t count = 4;
	va_list rest;

	va_start(rest, address);
	do {
		assert_true(count < WORDS_MAX);
		words[count] = va_arg(rest, const char *);
	} while (words[count++] != NULL);
	va_end(rest);
	child_start(child, (char *const *)(uintptr_t)words, socket);
}

int
server_accept(struct server *server, bool asked)
{
	size_t length = 0;
	ssize_t size;
	int fd;

	child_await_input(server->fd);
	fd = accept(server->fd, NULL, NULL);
	assert_true(fd >= 0);
	server->request[0] = '\0';
	while (asked && strstr(server->request, "\r\n\r\n") == NULL) {
		child_await_input(fd);
		size = read(fd, server->request + length,
		    sizeof(server->request) - 1 - length);
		assert_true(size > 0);
		length += (size_t)size;
		server->request[length] = '\0';
	}
	return fd;
}

void
server_answer(struct server *server, const char *bytes, size_t count)
{
	int fd = server_accept(server, true);

	assert_int_equal(write(fd, bytes, count), count);
	close(fd);
}

void
server_assert_idle(const struct server *server)
{
	struct pollfd wanted = { .fd = server->fd, .events = POLLIN };

	assert_int_equal(poll(&wanted, 1, 0), 0);
}

bool
supprobe_ended(const struct child *child, int wait_ms)
{
	struct pollfd ended = { .fd = child->pidfd, .events = POLLIN };

	return poll(&ended, 1, wait_ms) == 1;
}

void
supprobe_finish(struct child *child, int status, const char *line)
{
	char out[CHILD_OUTPUT_MAX], err[CHILD_OUTPUT_MAX];
	size_t length = strlen(line);
	int found;

	child_read_all(child->out_fd, out, sizeof(out));
	child_read_all(child->err_fd, err, sizeof(err));
	found = child_wait(child);
	if (found != status)
		fail_msg("exit status %d: %s%s", found, out, err);
	assert_string_equal(err, "");
	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	out[strlen(out) - 1] = '\0';
	if (line[length - 1] == '*' && strlen(out) > length - 1)
		strcpy(out + length - 1, "*");
	assert_string_equal(out, line);
}
