/*
 * The measured share of connections: real ones on the loopback interface,
 * accepted by sockets with the marks of lanes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_supervisor.h"
#include "listener_private.h"
#include "supctl_rollout.h"

enum { CONNECTIONS_MAX = 16 };

/* A listener with a mark, and the connections that it has accepted. */
struct lane {
	int listen_fd;
	uint16_t port;
	int fds[2 * CONNECTIONS_MAX];
	size_t fd_count;
};

static socklen_t
fill_address(int family, const char *host, uint16_t port,
    struct sockaddr_storage *address)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;

	memset(address, 0, sizeof(*address));
	address->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_port = htons(port);
		assert_int_equal(inet_pton(family, host, &v4->sin_addr), 1);
		return sizeof(*v4);
	}
	v6->sin6_port = htons(port);
	assert_int_equal(inet_pton(family, host, &v6->sin6_addr), 1);
	return sizeof(*v6);
}

/* Port 0: the system chooses.  False: this machine has no such family. */
static bool
open_lane(struct lane *lane, int family, const char *host, uint16_t port,
    uint32_t label)
{
	const int on = 1, off = 0;
	struct sockaddr_storage address;
	socklen_t size = fill_address(family, host, port, &address);

	memset(lane, 0, sizeof(*lane));
	lane->listen_fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (lane->listen_fd < 0)
		return false;
	setsockopt(lane->listen_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(lane->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
		    sizeof(off));
	assert_int_equal(label_set(lane->listen_fd, label), 0);
	if (bind(lane->listen_fd, (struct sockaddr *)&address, size) < 0) {
		close(lane->listen_fd);
		return false;
	}
	assert_int_equal(listen(lane->listen_fd, CONNECTIONS_MAX), 0);
	assert_int_equal(getsockname(lane->listen_fd,
	    (struct sockaddr *)&address, &size), 0);
	lane->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	return true;
}

static void
connect_to(struct lane *lane, int family, const char *host, int count)
{
	struct sockaddr_storage address;
	socklen_t size = fill_address(family, host, lane->port, &address);

	while (count-- > 0) {
		int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_int_equal(connect(fd, (struct sockaddr *)&address,
		    size), 0);
		lane->fds[lane->fd_count++] = fd;
		fd = accept4(lane->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		assert_true(fd >= 0);
		lane->fds[lane->fd_count++] = fd;
	}
}

static void
close_lane(struct lane *lane)
{
	for (size_t i = 0; i < lane->fd_count; i++)
		close(lane->fds[i]);
	close(lane->listen_fd);
}

/* The text with the port for each PORT. */
static char *
with_port(const char *text, uint16_t port)
{
	char *result = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&result, &size_bytes);

	while (*text != '\0')
		if (strncmp(text, "PORT", 4) == 0) {
			fprintf(out, "%u", port);
			text += 4;
		} else {
			fputc(*text++, out);
		}
	fclose(out);
	return result;
}

static struct share
measure(struct share_reader *reader, const char *pattern, uint16_t port)
{
	char *text = with_port(pattern, port);
	json_t *listeners = json_loads(text, 0, NULL);
	struct share share;

	free(text);
	assert_non_null(listeners);
	share = share_measure(reader, listeners);
	json_decref(listeners);
	return share;
}

/* Each label, for each kind of listener and who connects to it. */
static const struct {
	int family;
	const char *host, *listeners;
	int client_family;
	const char *client_host;
} kinds[] = {
	{ AF_INET, "127.0.0.1", "[{\"address\":\"127.0.0.1:PORT\"}]",
	    AF_INET, "127.0.0.1" },
	{ AF_INET, "0.0.0.0", "[{\"address\":\"0.0.0.0:PORT\"}]",
	    AF_INET, "127.0.0.2" },
	{ AF_INET6, "::1", "[{\"address\":\"[::1]:PORT\"}]", AF_INET6, "::1" },
	{ AF_INET6, "::", "[{\"address\":\"[::]:PORT\"}]", AF_INET6, "::1" },
	{ AF_INET6, "::", "[{\"address\":\"[::]:PORT\"}]", AF_INET,
	    "127.0.0.1" },
};

static void
test_labels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (uint32_t label = 0; label < LABELS_MAX; label++) {
			struct share_reader reader = { .off = false };
			struct share share;
			struct lane lane;

			if (!open_lane(&lane, kinds[i].family, kinds[i].host,
			    0, label))
				continue;       /* no IPv6 here */
			connect_to(&lane, kinds[i].client_family,
			    kinds[i].client_host, 3);
			share = measure(&reader, kinds[i].listeners,
			    lane.port);
			assert_true(share.known);
			for (uint32_t j = 0; j < LABELS_MAX; j++)
				assert_int_equal(share.counts[j],
				    j == label ? 3 : 0);
			close_lane(&lane);
		}
}

/* Two lanes of one address, as a canary has them. */
static void
test_two_lanes(void **state)
{
	struct share_reader reader = { .off = false };
	struct lane stable, candidate;
	struct share share;

	(void)state;
	assert_true(open_lane(&stable, AF_INET, "127.0.0.1", 0, 0));
	connect_to(&stable, AF_INET, "127.0.0.1", 5);
	close(stable.listen_fd);
	assert_true(open_lane(&candidate, AF_INET, "127.0.0.1", stable.port,
	    1));
	connect_to(&candidate, AF_INET, "127.0.0.1", 2);
	stable.listen_fd = dup(candidate.listen_fd);
	share = measure(&reader, "[{\"address\":\"127.0.0.1:PORT\"}]",
	    stable.port);
	assert_true(share.known);
	assert_int_equal(share.counts[0], 5);
	assert_int_equal(share.counts[1], 2);

	/* Several listeners add up; others than TCP, and the preview, which
	 * only one of the releases has, do not count. */
	share = measure(&reader, "[{\"address\":\"unix:/run/web.sock\"},"
	    "{\"address\":\"nonsense\"},{\"name\":\"web.preview\",\"address\":"
	    "\"127.0.0.1:PORT\"},{\"address\":\"127.0.0.1:PORT\"}]",
	    stable.port);
	assert_int_equal(share.counts[0], 5);
	/* Another address at the same port. */
	share = measure(&reader, "[{\"address\":\"127.0.0.9:PORT\"}]",
	    stable.port);
	assert_true(share.known);
	assert_int_equal(share.counts[0], 0);
	assert_false(reader.off);
	close_lane(&stable);
	close_lane(&candidate);
}

static void
test_nothing_to_measure(void **state)
{
	struct share_reader reader = { .off = false };

	(void)state;
	assert_false(measure(&reader, "[]", 0).known);
	assert_false(measure(&reader, "[{\"address\":\"unix:/a\"}]",
	    0).known);
	assert_false(reader.off);
}

/* What does not work is not tried again. */
static void
test_it_does_not_work(void **state)
{
	struct share_reader reader = { .off = false };
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(measure(&reader, "[{\"address\":\"127.0.0.1:PORT\"}]",
	    80).known);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(reader.off);
	assert_false(measure(&reader, "[{\"address\":\"127.0.0.1:PORT\"}]",
	    80).known);
}

/* The lanes of a status, with these fields; PORT is one. */
#define STATUS(stable, candidate) "{\"parameters\":{\"services\":[{" \
	"\"name\":\"web\",\"workers\":1,\"listeners\":[{\"address\":" \
	"\"127.0.0.1:PORT\"}],\"rollout\":{\"deployment\":{},\"lanes\":[" \
	"{\"name\":\"stable\",\"revision\":3,\"weight_permille\":750" \
	stable "},{\"name\":\"candidate\",\"revision\":4," \
	"\"weight_permille\":250" candidate "}]}}]}}"

static const struct {
	const char *status;
	const char *says[2];            /* none: no column */
} pictures[] = {
	{ STATUS(",\"label\":0", ",\"label\":1"),
	    { "  stable     3         75%         62.5% (5)  0/0",
	    "  candidate  4         25%         37.5% (3)  0/0" } },
	{ STATUS(",\"label\":1", ",\"label\":2"),
	    { "75%         100% (3)", "25%         0% (0) " } },
	{ STATUS(",\"label\":0", ",\"label\":0"), { NULL } },
	{ STATUS(",\"label\":1", ""), { NULL } },
	{ STATUS(",\"label\":4", ",\"label\":5"), { NULL } },
	{ STATUS(",\"label\":2", ",\"label\":3"), { NULL } },
};

static void
test_in_the_picture(void **state)
{
	struct lane stable, candidate;

	(void)state;
	assert_true(open_lane(&stable, AF_INET, "127.0.0.1", 0, 0));
	connect_to(&stable, AF_INET, "127.0.0.1", 5);
	close(stable.listen_fd);
	assert_true(open_lane(&candidate, AF_INET, "127.0.0.1", stable.port,
	    1));
	connect_to(&candidate, AF_INET, "127.0.0.1", 3);
	stable.listen_fd = dup(candidate.listen_fd);
	for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
		struct fake_answer answers[2] = { { "Status", { NULL },
		    FAKE_STAYS }, { NULL } };
		const struct fake_run *run;
		char *reply = with_port(pictures[i].status, stable.port);

		answers[0].replies[0] = reply;
		fake_start(answers);
		run = SUPCTL("rollout", "status", "web");
		assert_string_equal(run->errors, "");
		assert_int_equal(run->code, 0);
		for (size_t j = 0; j < 2 && pictures[i].says[j]; j++)
			assert_has(run->output, pictures[i].says[j]);
		if (pictures[i].says[0] == NULL)
			assert_has_not(run->output, "MEASURED");
		fake_stop();
		free(reply);
	}
	close_lane(&stable);
	close_lane(&candidate);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_two_lanes),
		cmocka_unit_test(test_nothing_to_measure),
		cmocka_unit_test(test_it_does_not_work),
		cmocka_unit_test(test_in_the_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
