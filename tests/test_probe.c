/*
 * Orders for probes: the reserved source port, which the kernel gives to
 * nobody else, and what is executed.
 */
#include "probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "fd.h"
#include "own_network.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

static struct listener_spec
listener_at(enum address_family family, const char *host, uint16_t port)
{
	struct listener_spec spec = {
		.address = { .family = family, .port = port },
	};

	snprintf(spec.address.host, sizeof(spec.address.host), "%s", host);
	return spec;
}

/*
 * The source port
 */

struct source {
	int family;
	const char *host;
};

static const struct source sources[] = {
	{ AF_INET, "127.0.0.1" }, { AF_INET6, "::1" },
};

static socklen_t
fill(const struct source *source, const char *host, uint16_t port,
    struct sockaddr_storage *ret_address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
	    .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
	    .sin6_port = htons(port) };

	memset(ret_address, 0, sizeof(*ret_address));
	if (source->family == AF_INET) {
		inet_pton(AF_INET, host, &v4.sin_addr);
		memcpy(ret_address, &v4, sizeof(v4));
		return sizeof(v4);
	}
	inet_pton(AF_INET6, host, &v6.sin6_addr);
	memcpy(ret_address, &v6, sizeof(v6));
	return sizeof(v6);
}

/* A socket that may choose this port and no other; -1 if the kernel (before
 * 6.3) cannot be told so. */
static int
choosy(const struct source *source, uint16_t port)
{
	uint32_t range = (uint32_t)port << 16 | port;
	int fd = socket(source->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range,
	    sizeof(range)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
try_connect(const struct source *source, uint16_t port, int server,
    bool bind_before)
{
	struct sockaddr_storage address;
	socklen_t bytes = fill(source, source->host, 0, &address);
	int fd = choosy(source, port), error = 0, on = 1;

	if (bind_before && (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
	    &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, bytes) < 0))
		error = -errno;
	assert_int_equal(getsockname(server, (struct sockaddr *)&address,
	    &bytes), 0);
	if (error == 0 && connect(fd, (struct sockaddr *)&address, bytes) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int
try_bind(const struct source *source, const char *host, uint16_t port, int fd)
{
	struct sockaddr_storage address;
	socklen_t bytes = fill(source, host, port, &address);
	int error, on = 1;

	if (port != 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	}
	error = bind(fd, (struct sockaddr *)&address, bytes) < 0 ? -errno : 0;
	close(fd);
	return error;
}

static int
new_socket(const struct source *source)
{
	return socket(source->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
listen_at(const struct source *source)
{
	struct sockaddr_storage address;
	socklen_t bytes = fill(source, source->host, 0, &address);
	int fd = new_socket(source);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Nobody gets it, in whichever way a port is got. */
static void
check_taken(const struct source *source, uint16_t port, int server)
{
	const char *any = source->family == AF_INET ? "0.0.0.0" : "::";

	assert_int_equal(try_bind(source, source->host, port,
	    new_socket(source)), -EADDRINUSE);
	assert_int_equal(try_bind(source, any, port, new_socket(source)),
	    -EADDRINUSE);
	assert_int_equal(try_bind(source, source->host, 0,
	    choosy(source, port)), -EADDRINUSE);
	assert_int_equal(try_bind(source, any, 0, choosy(source, port)),
	    -EADDRINUSE);
	assert_int_equal(try_connect(source, port, server, false),
	    -EADDRNOTAVAIL);
	assert_int_equal(try_connect(source, port, server, true),
	    -EADDRNOTAVAIL);
}

static void
check_reserved(const struct source *source)
{
	struct listener_spec spec = listener_at(source->family == AF_INET ?
	    ADDRESS_IPV4 : ADDRESS_IPV6, source->host, 80);
	struct sockaddr_storage address;
	socklen_t bytes = sizeof(address);
	int server = listen_at(source), fd, copy;
	uint16_t port = 0;

	fd = probe_reserve(&spec, &port);
	assert_true(fd >= FD_SOURCE && fd < FD_PRIVATE);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(port != 0);
	check_taken(source, port, server);
	/* As the probe does, and when supd has closed its own. */
	copy = dup(fd);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address,
	    &bytes), 0);
	assert_int_equal(connect(copy, (struct sockaddr *)&address, bytes), 0);
	close(fd);
	check_taken(source, port, server);
	close(copy);
	close(server);

	/* The tests of this test: a port that is free is got. */
	fd = probe_reserve(&spec, &port);
	close(fd);
	server = listen_at(source);
	assert_int_equal(try_bind(source, source->host, 0,
	    choosy(source, port)), 0);
	assert_int_equal(try_connect(source, port, server, false), 0);
	close(server);
}

static void
test_reserve(void **state)
{
	int fd = choosy(&sources[0], 20000);
	size_t i;

	(void)state;
	if (fd < 0)
		skip();
	close(fd);
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		check_reserved(&sources[i]);
}

/* From the address that it will connect to. */
static void
test_reserve_address(void **state)
{
	static const struct {
		enum address_family family;
		const char *listens, *source;
	} cases[] = {
		{ ADDRESS_IPV4, "0.0.0.0", "127.0.0.1" },
		{ ADDRESS_IPV4, "127.1.2.3", "127.1.2.3" },
		{ ADDRESS_IPV6, "::", "::1" },
	};
	struct sockaddr_storage address;
	char found[INET6_ADDRSTRLEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct listener_spec spec = listener_at(cases[i].family,
		    cases[i].listens, 80);
		socklen_t bytes = sizeof(address);
		uint16_t port;
		int fd = probe_reserve(&spec, &port);

		assert_true(fd >= 0);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&address,
		    &bytes), 0);
		inet_ntop(address.ss_family, address.ss_family == AF_INET ?
		    (void *)&((struct sockaddr_in *)&address)->sin_addr :
		    (void *)&((struct sockaddr_in6 *)&address)->sin6_addr,
		    found, sizeof(found));
		assert_string_equal(found, cases[i].source);
		close(fd);
	}
}

static void
test_reserve_refused(void **state)
{
	struct listener_spec spec = listener_at(ADDRESS_IPV4, "192.0.2.1", 80);
	uint16_t port;

	(void)state;
	assert_int_equal(probe_reserve(&spec, &port), -EADDRNOTAVAIL);
	spec.address.family = ADDRESS_UNIX;
	assert_int_equal(probe_reserve(&spec, &port), -EINVAL);
}

/*
 * The program and the command.  The program is looked for once in a process, so
 * each case is a process: a copy of this test in a directory of its own, which
 * prints what it makes.
 */

static char directory[] = "/tmp/probe-XXXXXX";
static const char *const inner[] = { "sbin", "libexec", "libexec/supd" };

static const char *
path_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void
install(const char *from, const char *name)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(path_of(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct stat status;
	off_t done = 0;

	assert_true(in >= 0 && out >= 0 && fstat(in, &status) == 0);
	while (done < status.st_size)
		assert_true(sendfile(out, in, &done,
		    (size_t)(status.st_size - done)) > 0);
	close(in);
	close(out);
}

static int
make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	for (size_t i = 0; i < sizeof(inner) / sizeof(inner[0]); i++)
		if (mkdir(path_of(inner[i]), 0755) < 0)
			return -1;
	install("/proc/self/exe", "sbin/supd");
	return 0;
}

static int
remove_directory(void **state)
{
	(void)state;
	(void)unlink(path_of("sbin/supd"));
	(void)unlink(path_of("sbin/supprobe"));
	(void)unlink(path_of("libexec/supd/supprobe"));
	for (size_t i = sizeof(inner) / sizeof(inner[0]); i > 0; i--)
		(void)rmdir(path_of(inner[i - 1]));
	return rmdir(directory);
}

/* In the copy: the words of a command, or why there is none. */
static int
print_command(const char *kind)
{
	char *command[] = { (char []){ "check" }, (char []){ "it" }, NULL };
	struct listener_spec listener = listener_at(ADDRESS_IPV6, "::", 8080);
	struct probe_command order;
	char text[REASON_BYTES_MAX];
	struct spec spec = {
		.probe_path = (char []){ "/health" },
		.probe_body = (char []){ "is ok" },
		.probe_command = command,
		.probe_status_min = 200, .probe_status_max = 299,
		.probe_timeout_ms = 700,
	};

	spec.probe = strcmp(kind, "http") == 0 ? PROBE_HTTP :
	    strcmp(kind, "exec") == 0 ? PROBE_EXEC : PROBE_TCP;
	if (strcmp(kind, "unix") == 0) {
		listener.address.family = ADDRESS_UNIX;
		strcpy(listener.address.path, "/run/x");
	}
	if (probe_command_make(&spec, &listener, strcmp(kind, "tcp") == 0,
	    &order, text) < 0) {
		puts(text);
		return 1;
	}
	for (size_t i = 0; order.argv[i] != NULL; i++)
		printf("<%s>", order.argv[i]);
	printf(" %s\n", order.timeout_ms > 700 ? "longer" : "same");
	return 0;
}

/* Runs the copy; a `*` in the line stands for the directory. */
static void
assert_prints(const char *kind, int status, const char *line)
{
	char program[96], out[CHILD_OUTPUT_MAX], expected[1024];
	char *argv[] = { program, (char *)(uintptr_t)kind, NULL };
	struct child child;

	/* From the directory of the test: ../../…/tmp/probe-XXXXXX/sbin/supd */
	snprintf(program, sizeof(program), "../../../../../../../../../..%s",
	    path_of("sbin/supd"));
	child_start(&child, argv, -1);
	child_read_all(child.out_fd, out, sizeof(out));
	assert_int_equal(child_wait(&child), status);
	if (line[0] == '*')
		snprintf(expected, sizeof(expected), "<%s%s", directory,
		    line + 1);
	else
		snprintf(expected, sizeof(expected), "%s", line);
	assert_string_equal(out, expected);
}

static void
test_command(void **state)
{
	(void)state;
	assert_prints("exec", 0, "<check><it> same\n");
	if (access(PKGLIBEXECDIR "/supprobe", X_OK) != 0)
		assert_prints("tcp", 1, "supprobe is neither beside supd nor "
		    "in ../libexec/supd nor in " PKGLIBEXECDIR "; without it "
		    "there are no http and tcp probes\n");
	install("/bin/true", "libexec/supd/supprobe");
	assert_prints("tcp", 0, "*/sbin/../libexec/supd/supprobe><tcp>"
	    "<--connect><[::]:8080><--timeout-ms><700><--fd><3> longer\n");
	install("/bin/true", "sbin/supprobe");
	assert_prints("tcp", 0, "*/sbin/supprobe><tcp><--connect><[::]:8080>"
	    "<--timeout-ms><700><--fd><3> longer\n");
	assert_prints("unix", 0, "*/sbin/supprobe><tcp><--connect><unix:/run/x>"
	    "<--timeout-ms><700> longer\n");
	assert_prints("http", 0, "*/sbin/supprobe><http><--connect><[::]:8080>"
	    "<--timeout-ms><700><--path></health><--status><200-299>"
	    "<--body><is ok> longer\n");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_reserve_address),
		cmocka_unit_test(test_reserve_refused),
		cmocka_unit_test(test_command),
	};

	if (argc > 1)
		return print_command(argv[1]);
	/* Else a port that is free may be somebody's a moment later. */
	(void)own_network_enter();
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
