/*
 * What the tests of the listener module share: specs for free ports and for
 * paths in a directory of their own, clients, and the count of open fds.
 *
 * Every wait is bounded by WAIT_MS and ends with the event that it waits for.
 */
#ifndef SUPD_LISTENER_FIXTURE_H
#define SUPD_LISTENER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listener.h"
#include "listener_private.h"

enum { WAIT_MS = 10000, BACKLOG = 64 };

static char directory[] = "/tmp/listener-XXXXXX";
static char text[REASON_BYTES_MAX];
static char address_text[256];

static inline int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static inline int
remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

/* A port that nobody used a moment ago, on all addresses. */
static inline uint16_t
free_port(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	socklen_t bytes = sizeof(any);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&any, bytes), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &bytes), 0);
	close(fd);
	return ntohs(any.sin6_port);
}

static inline struct listener_spec
tcp_spec(const char *name, const char *host, uint16_t port)
{
	struct listener_spec spec = {
		.address_text = address_text,
		.address = {
			.family = strchr(host, ':') ? ADDRESS_IPV6
			    : ADDRESS_IPV4,
			.port = port,
		},
		.backlog = BACKLOG,
	};

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	snprintf(spec.address.host, sizeof(spec.address.host), "%s", host);
	snprintf(address_text, sizeof(address_text), "%s:%u", host, port);
	return spec;
}

static inline struct listener_spec
unix_spec(const char *name, const char *file)
{
	struct listener_spec spec = {
		.address_text = address_text,
		.address = { .family = ADDRESS_UNIX },
		.backlog = BACKLOG,
		.mode = 0660,
	};

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	snprintf(spec.address.path, sizeof(spec.address.path), "%s/%s",
	    directory, file);
	snprintf(address_text, sizeof(address_text), "unix:%s",
	    spec.address.path);
	return spec;
}

enum { SPEC_IPV4, SPEC_IPV6, SPEC_UNIX, SPEC_COUNT };

static inline struct listener_spec
spec_of(int family)
{
	if (family == SPEC_IPV4)
		return tcp_spec("web", "127.0.0.1", free_port());
	if (family == SPEC_IPV6)
		return tcp_spec("web", "::1", free_port());
	return unix_spec("web", "web.sock");
}

static inline struct shard *
open_or_fail(const struct listener_spec *spec)
{
	struct shard *shard = listener_open(spec, text);

	if (shard == NULL)
		fail_msg("%s", text);
	return shard;
}

/* A connected client, or -errno. */
static inline int
connect_to(const struct listener_spec *spec)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	int error, fd;

	assert_int_equal(listener_address_resolve(&spec->address, &sockaddr,
	    &bytes), 0);
	fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&sockaddr, bytes) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* The other end of a connection that is known to wait. */
static inline int
accept_from(const struct shard *shard)
{
	struct pollfd readable = { .fd = shard->fd, .events = POLLIN };
	int fd;

	assert_int_equal(poll(&readable, 1, WAIT_MS), 1);
	fd = accept4(shard->fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static inline void
assert_serves(const struct shard *shard)
{
	int client = connect_to(shard->listener->spec), server;

	assert_true(client >= 0);
	server = accept_from(shard);
	close(server);
	close(client);
}

/* Binds as a careless program of the same user would, and says so. */
static inline int
occupy(const struct listener_spec *spec)
{
	struct sockaddr_storage sockaddr;
	socklen_t bytes;
	const int on = 1;
	int fd;

	assert_int_equal(listener_address_resolve(&spec->address, &sockaddr,
	    &bytes), 0);
	fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (sockaddr.ss_family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&sockaddr, bytes), 0);
	assert_int_equal(listen(fd, BACKLOG), 0);
	return fd;
}

static inline int
count_fds(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(fds);
	while (readdir(fds) != NULL)
		count++;
	closedir(fds);
	return count;
}

/* Runs `act` in a child process that has the shard, and waits for it. */
static inline void
in_child(void (*act)(int fd, int argument), int fd, int argument)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(WAIT_MS / 1000);
		act(fd, argument);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#endif
