/*
 * Orders for probes: the source port, the command line, the program.
 *
 * Who gets a port: bind(2) to port 0 and connect(2) without a bind both choose
 * one that is free, and both pass over a port that is bound to our address by
 * a socket without SO_REUSEADDR and SO_REUSEPORT, as ours is.  So does a bind
 * to that very port fail.  (Found by trying, Linux 6.18; tests/test_probe.c
 * tries it again.)
 */
#include "probe.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

#define PROGRAM "supprobe"

/* supprobe watches its time itself and says what it saw until then; the task
 * is over so much later, should it not get to run at all. */
#define SPARE_MS UINT64_C(2000)

struct address
probe_target(const struct address *listening)
{
	struct address target = *listening;

	if (target.family == ADDRESS_IPV4 &&
	    strcmp(target.host, "0.0.0.0") == 0)
		(void)strcpy(target.host, "127.0.0.1");
	if (target.family == ADDRESS_IPV6 && strcmp(target.host, "::") == 0)
		(void)strcpy(target.host, "::1");
	return target;
}

/*
 * The source port
 */

union socket_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* The address with port 0; its length, or 0 if it is not one of TCP. */
static socklen_t
make_source(const struct address *address, union socket_address *ret_source)
{
	memset(ret_source, 0, sizeof(*ret_source));
	switch (address->family) {
	case ADDRESS_IPV4:
		ret_source->ipv4.sin_family = AF_INET;
		return inet_pton(AF_INET, address->host,
		    &ret_source->ipv4.sin_addr) == 1 ?
		    sizeof(ret_source->ipv4) : 0;
	case ADDRESS_IPV6:
		ret_source->ipv6.sin6_family = AF_INET6;
		return inet_pton(AF_INET6, address->host,
		    &ret_source->ipv6.sin6_addr) == 1 ?
		    sizeof(ret_source->ipv6) : 0;
	default:
		return 0;
	}
}

/* 0 or -errno. */
static int
bind_source(int fd, union socket_address *source, socklen_t bytes,
    uint16_t *ret_port)
{
	if (bind(fd, &source->any, bytes) < 0 ||
	    getsockname(fd, &source->any, &bytes) < 0)
		return -errno;
	*ret_port = ntohs(source->any.sa_family == AF_INET ?
	    source->ipv4.sin_port : source->ipv6.sin6_port);
	return 0;
}

int
probe_reserve(const struct listener_spec *listener, uint16_t *ret_port)
{
	struct address target = probe_target(&listener->address);
	union socket_address source;
	socklen_t bytes = make_source(&target, &source);
	int error, fd;

	if (bytes == 0)
		return -EINVAL;
	fd = socket(source.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	fd = fd_to_source(fd);
	error = bind_source(fd, &source, bytes, ret_port);
	if (error < 0) {
		fd_close(fd);
		return error;
	}
	return fd;
}

/*
 * The command
 */

static void
add(struct probe_command *command, const char *word)
{
	size_t count = 0;

	while (command->words[count] != NULL)
		count++;
	assert(count < PROBE_WORDS_MAX);
	/* execve(2) takes it so, and changes nothing. */
	command->words[count] = (char *)(uintptr_t)word;
}

static void
add_option(struct probe_command *command, const char *name, const char *value)
{
	add(command, name);
	add(command, value);
}

static void
write_address(const struct address *address, char *ret_text, size_t size)
{
	switch (address->family) {
	case ADDRESS_IPV4:
		(void)snprintf(ret_text, size, "%s:%u", address->host,
		    address->port);
		break;
	case ADDRESS_IPV6:
		(void)snprintf(ret_text, size, "[%s]:%u", address->host,
		    address->port);
		break;
	case ADDRESS_UNIX:
		(void)snprintf(ret_text, size, "unix:%s", address->path);
		break;
	}
}

static void
add_http(struct probe_command *command, const struct spec *spec)
{
	(void)snprintf(command->status, sizeof(command->status), "%u-%u",
	    spec->probe_status_min, spec->probe_status_max);
	add_option(command, "--path", spec->probe_path);
	add_option(command, "--status", command->status);
	if (spec->probe_body != NULL)
		add_option(command, "--body", spec->probe_body);
}

int
probe_command_make(const struct spec *spec, const struct listener_spec *listener,
    bool reserved, struct probe_command *command, char *ret_text)
{
	const char *program = probe_program();

	memset(command, 0, sizeof(*command));
	command->timeout_ms = spec->probe_timeout_ms;
	if (spec->probe == PROBE_EXEC) {
		command->argv = spec->probe_command;
		return 0;
	}
	assert(spec->probe != PROBE_NONE && listener != NULL);
	if (program == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, PROGRAM " is neither "
		    "beside supd nor in ../libexec/supd nor in %s; without it "
		    "there are no http and tcp probes", PKGLIBEXECDIR);
		return -ENOENT;
	}
	command->argv = command->words;
	command->timeout_ms += SPARE_MS;
	write_address(&listener->address, command->connect,
	    sizeof(command->connect));
	(void)snprintf(command->limit, sizeof(command->limit), "%" PRIu64,
	    spec->probe_timeout_ms);
	add(command, program);
	add(command, spec->probe == PROBE_HTTP ? "http" : "tcp");
	add_option(command, "--connect", command->connect);
	add_option(command, "--timeout-ms", command->limit);
	if (reserved)
		add_option(command, "--fd", "3");
	if (spec->probe == PROBE_HTTP)
		add_http(command, spec);
	return 0;
}

/* 2 + 2 + 2 + 2 + 3 * 2 */
_Static_assert(PROBE_WORDS_MAX >= 14, "room for all options");

/*
 * The program
 */

/* Where it is from where we are: as built, and as installed anywhere. */
static const char *const places[] = { PROGRAM, "../libexec/supd/" PROGRAM };

/* True if it is there. */
static bool
is_near_us(const char *place, char *ret_path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", ret_path, size - 1);
	char *slash;

	if (length < 0)
		return false;
	ret_path[length] = '\0';
	slash = strrchr(ret_path, '/');
	if (slash == NULL ||
	    (size_t)(slash + 1 - ret_path) + strlen(place) >= size)
		return false;
	(void)strcpy(slash + 1, place);
	return access(ret_path, X_OK) == 0;
}

const char *
probe_program(void)
{
	static char path[PATH_MAX];
	static bool found;

	if (found)
		return path;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !found; i++)
		found = is_near_us(places[i], path, sizeof(path));
	if (!found) {
		(void)strcpy(path, PKGLIBEXECDIR "/" PROGRAM);
		found = access(path, X_OK) == 0;
	}
	return found ? path : NULL;
}
