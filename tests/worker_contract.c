/*
 * A worker's half of the contract with its supervisor (sd_listen_fds and
 * sd_notify, as far as a worker needs them).
 *
 * It owns no state: the environment is read when it is asked for, and a notify
 * socket lives for one message, so that nothing is left open across a fork.
 */
#include "worker_contract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	LISTENERS_TAKEN_MAX = 64,
	MESSAGE_BYTES_MAX = 512,
	SEND_TIMEOUT_S = 5,
};

/* A decimal number of the environment; -ENOENT if it is not set. */
static int
environment_number(const char *name, uint64_t *ret_number)
{
	const char *text = getenv(name);
	unsigned long long number;
	char *end;

	if (text == NULL)
		return -ENOENT;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

/* The address in NOTIFY_SOCKET, a path or, with @, an abstract name. */
static int
notify_address(struct sockaddr_un *ret_address, socklen_t *ret_length)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length;

	if (path == NULL || *path == '\0')
		return -ENOENT;
	length = strlen(path);
	if ((*path != '/' && *path != '@') ||
	    length >= sizeof(ret_address->sun_path))
		return -EINVAL;
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, length);
	if (*path == '@')
		ret_address->sun_path[0] = '\0';
	*ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    length + (*path == '/'));
	return 0;
}

static int
check_listener(int fd)
{
	int type = 0, listening = 0;
	socklen_t length = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening,
	    &length) != 0)
		return -errno;
	return type == SOCK_DGRAM || (type == SOCK_STREAM && listening) ? 0 :
	    -ENOTSOCK;
}

int
contract_listeners(void)
{
	uint64_t pid, count, i;
	int error, fd;

	error = environment_number("LISTEN_PID", &pid);
	if (error == -ENOENT || (error == 0 && pid != (uint64_t)getpid()))
		return 0;
	if (error == 0)
		error = environment_number("LISTEN_FDS", &count);
	if (error == -ENOENT)
		return 0;
	if (error != 0 || count > LISTENERS_TAKEN_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		fd = CONTRACT_FIRST_FD + (int)i;
		error = check_listener(fd);
		if (error != 0)
			return error;
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return -errno;
	}
	/* Not for what we may start ourselves. */
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	unsetenv("LISTEN_PIDFDID");
	return (int)count;
}

int
contract_notify(const char *format, ...)
{
	/* A full queue blocks the sender; a stuck reader may not for ever. */
	const struct timeval timeout = { .tv_sec = SEND_TIMEOUT_S };
	char message[MESSAGE_BYTES_MAX];
	struct sockaddr_un address;
	socklen_t length;
	va_list arguments;
	int fd, size, error;

	error = notify_address(&address, &length);
	if (error != 0)
		return error == -ENOENT ? 0 : error;
	va_start(arguments, format);
	size = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (size < 0 || size >= (int)sizeof(message))
		return -EMSGSIZE;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
	    sizeof(timeout)) != 0 ||
	    sendto(fd, message, (size_t)size, MSG_NOSIGNAL,
	    (const struct sockaddr *)&address, length) < 0)
		error = -errno;
	close(fd);
	return error;
}

uint64_t
contract_watchdog_usec(void)
{
	uint64_t usec, pid;
	int error;

	if (environment_number("WATCHDOG_USEC", &usec) != 0)
		return 0;
	error = environment_number("WATCHDOG_PID", &pid);
	if (error != -ENOENT && (error != 0 || pid != (uint64_t)getpid()))
		return 0;
	return usec;
}
