/*
 * Connections that outlive their workers: established before a rollout, an
 * abort, a crash or a scaling, they go on after it, in order, and nothing that
 * either side has sent is lost or comes twice.
 *
 * Each client reads numbers that must follow each other (tests/ticker.c), and
 * has one line on its way that must come back before the next is sent.
 */
#include "e2e.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 50, FRESH_TICKS = 3, TRIES = 20 };

struct client {
	int fd;
	uint64_t ticks;                 /* the last number */
	unsigned slot;                  /* of who sent it */
	uint64_t fresh;                 /* how many since watch_version() */
	unsigned pings, echoes, echoes_before;
	bool closed;
	char bytes[4096];
	size_t size;
};

static struct client clients[CLIENTS];
static const char *watched_version;
static unsigned port;

/*
 * Clients
 */

static void
ping(struct client *c)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "ping %u\n", ++c->pings);

	assert_int_equal(send(c->fd, text, (size_t)length, MSG_NOSIGNAL),
	    length);
}

static void
connect_clients(unsigned from, unsigned to)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	for (unsigned i = from; i < to; i++) {
		struct client *c = &clients[i];

		*c = (struct client){ .fd = socket(AF_INET, SOCK_STREAM |
		    SOCK_CLOEXEC, 0) };
		assert_int_equal(connect(c->fd, (struct sockaddr *)&address,
		    sizeof(address)), 0);
		ping(c);
	}
}

static void
take_line(struct client *c, const char *line)
{
	char version[32];
	unsigned number;

	if (sscanf(line, "tick %u %31s %u", &number, version, &c->slot) == 3) {
		if (number != c->ticks + 1)
			fail_msg("client %td: \"%s\" after number %ju",
			    c - clients, line, (uintmax_t)c->ticks);
		c->ticks = number;
		c->fresh += strcmp(version, watched_version) == 0;
		if (c->pings == c->echoes)
			ping(c);
	} else if (sscanf(line, "echo ping %u", &number) == 1) {
		assert_int_equal(number, c->echoes + 1);
		c->echoes = number;
	} else if (strcmp(line, "echo store") != 0) {
		fail_msg("client %td: \"%s\"", c - clients, line);
	}
}

static void
read_client(struct client *c)
{
	ssize_t size = recv(c->fd, c->bytes + c->size, sizeof(c->bytes) -
	    c->size, MSG_DONTWAIT);
	char *line = c->bytes, *end;

	if (size <= 0) {
		c->closed = true;
		return;
	}
	c->size += (size_t)size;
	while ((end = memchr(line, '\n', c->size - (size_t)(line -
	    c->bytes))) != NULL) {
		*end = '\0';
		take_line(c, line);
		line = end + 1;
	}
	c->size -= (size_t)(line - c->bytes);
	memmove(c->bytes, line, c->size);
}

static bool
is_fresh(const struct client *c)
{
	return c->fresh >= FRESH_TICKS &&
	    c->echoes - c->echoes_before >= FRESH_TICKS;
}

/* If its worker was in slot 0, which is the first to be replaced. */
static bool
is_moved(const struct client *c)
{
	return c->slot != 0 || c->fresh >= FRESH_TICKS;
}

/* By whomever. */
static bool
is_served(const struct client *c)
{
	return c->ticks >= FRESH_TICKS;
}

static bool
is_closed(const struct client *c)
{
	return c->closed;
}

/* Reads from the first `count` until it holds for all. */
static void
await_clients(unsigned count, bool (*holds)(const struct client *))
{
	uint64_t deadline_ms = e2e_now_ms() + E2E_WAIT_MS;
	struct pollfd fds[CLIENTS];
	unsigned done;

	do {
		done = 0;
		for (unsigned i = 0; i < count; i++) {
			done += holds(&clients[i]);
			fds[i] = (struct pollfd){ .fd = clients[i].closed ? -1 :
			    clients[i].fd, .events = POLLIN };
		}
		if (done == count)
			return;
		assert_true(e2e_now_ms() < deadline_ms);
		(void)poll(fds, count, 100);
		for (unsigned i = 0; i < count; i++)
			if (fds[i].revents != 0)
				read_client(&clients[i]);
	} while (true);
}

static void
watch_version(unsigned count, const char *version)
{
	watched_version = version;
	for (unsigned i = 0; i < count; i++) {
		clients[i].fresh = 0;
		clients[i].echoes_before = clients[i].echoes;
	}
}

/* All of them are served by this version, both ways. */
static void
await_version(unsigned count, const char *version)
{
	watch_version(count, version);
	await_clients(count, is_fresh);
	for (unsigned i = 0; i < count; i++)
		assert_false(clients[i].closed);
}

static void
send_line(const struct client *c, const char *line)
{
	assert_int_equal(send(c->fd, line, strlen(line), MSG_NOSIGNAL),
	    strlen(line));
}

/* Has each worker of the first `count` clients store all that it has. */
static void
store_clients(unsigned count)
{
	uint64_t slots = 0;

	for (unsigned i = 0; i < count; i++) {
		if ((slots & UINT64_C(1) << clients[i].slot) == 0)
			send_line(&clients[i], "store\n");
		slots |= UINT64_C(1) << clients[i].slot;
	}
}

static void
close_clients(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(clients[i].fd);
}

/*
 * supd
 */

static void
install(const char *version, const char *options)
{
	char text[128];

	snprintf(text, sizeof(text), "--version %s%s%s", version,
	    *options != '\0' ? " " : "", options);
	e2e_install_program("web", "tests/ticker", text);
}

static void
configure(unsigned fd_store, unsigned workers, const char *keys)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = 127.0.0.1:%u\n"
	    "workers = %u\nready = notify\nfd_store = %u\n%s",
	    e2e_path("web"), port, workers, fd_store, keys);
}

/* All clients are served by v1. */
static void
begin_how(unsigned how, unsigned workers, const char *options,
    const char *keys)
{
	port = e2e_port();
	install("v1", options);
	configure(2 * CLIENTS, workers, keys);
	assert_true(supd_start_ready_how(how, workers));
	connect_clients(0, CLIENTS);
	await_version(CLIENTS, "v1");
}

static void
begin(unsigned workers, const char *options, const char *keys)
{
	begin_how(SUPD_PLAIN, workers, options, keys);
}

/* Who was stored is so until its worker has seen that the client is gone. */
static void
end(unsigned stored)
{
	uint64_t deadline_ms = e2e_now_ms() + E2E_WAIT_MS;

	assert_int_equal(status_number("web", "stored_fds"), stored);
	close_clients(CLIENTS);
	while (status_number("web", "stored_fds") > 0)
		assert_true(e2e_now_ms() < deadline_ms);
	supd_stop();
}

/* The successor runs already, and gets them by supd.handover. */
static void
test_rolling(void **state)
{
	(void)state;
	begin(3, "", "");
	install("v2", "");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	await_version(CLIENTS, "v2");
	end(0);
}

static bool
has_client(unsigned slot)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].slot == slot)
			return true;
	return false;
}

/* It is started when its predecessor is told to stop, which says nothing. */
static void
test_rolling_without_surge(void **state)
{
	(void)state;
	begin(2, "--silent", "max_surge = 0\nmax_unavailable = 1\n"
	    "min_ready = 5m\n");
	/* One worker may have taken all of them. */
	for (unsigned i = 0; i < TRIES && !has_client(0); i++) {
		close_clients(CLIENTS);
		connect_clients(0, CLIENTS);
		await_version(CLIENTS, "v1");
	}
	assert_true(has_client(0));
	install("v2", "--silent");
	watch_version(CLIENTS, "v2");
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
	await_clients(CLIENTS, is_moved);
	assert_int_equal(status_number("web", "revision"), 1);
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	await_version(CLIENTS, "v1");
	end(0);
}

static void
test_canary_is_aborted(void **state)
{
	const struct client *crashing = clients;
	unsigned candidates = 0, others = 0, i;

	(void)state;
	port = e2e_port();
	install("v1", "");
	configure(2 * CLIENTS, 2, "strategy = canary\n"
	    "steps = 50% pause, 100%\n");
	supd_start_ready(2);
	connect_clients(0, CLIENTS / 2);
	await_version(CLIENTS / 2, "v1");
	/* The candidate must not get what the stable workers serve. */
	store_clients(CLIENTS / 2);
	install("v2", "");
	supctl("reload", "web", "--no-wait");
	assert_ended(0, "rolling out");
	rollout_await_weight("web", 500);
	connect_clients(CLIENTS / 2, CLIENTS);
	watch_version(CLIENTS, "v2");
	await_clients(CLIENTS, is_served);
	for (i = 0; i < CLIENTS; i++) {
		candidates += clients[i].fresh > 0;
		if (i < CLIENTS / 2)
			assert_int_equal(candidates, 0);
	}
	/* Of 25 coins all fell on one side once in 17 million times. */
	assert_in_range(candidates, 1, CLIENTS / 2 - 1);
	/* Nor when their worker crashes: its own restart does. */
	for (i = 0; i < CLIENTS / 2; i++)
		if (clients[i].slot == 0)       /* as the candidate */
			crashing = &clients[i];
	for (i = 0; i < CLIENTS / 2; i++)
		others += clients[i].slot != crashing->slot;
	send_line(crashing, "crash\n");
	log_await(": was started with ");
	await_version(CLIENTS / 2, "v1");
	supctl("rollout", "abort", "web");
	assert_ended(0, "");
	await_version(CLIENTS, "v1");
	end(others);
}

/* What it had stored when it crashed is its restart's. */
static void
test_crash(void **state)
{
	(void)state;
	begin(1, "", "");
	store_clients(CLIENTS);
	await_version(CLIENTS, "v1");
	assert_int_equal(status_number("web", "stored_fds"), CLIENTS);
	supctl("status", "web");
	assert_ended(0, "; 50 stored file descriptors\n");
	send_line(&clients[7], "crash\n");
	log_await("web/0: was started with 50 stored file descriptors");
	await_version(CLIENTS, "v1");
	end(0);
}

static void
test_scale_and_stop(void **state)
{
	(void)state;
	begin(3, "", "");
	supctl("scale", "web=1");
	assert_ended(0, "");
	log_await_count("exited with status 0", 2);
	await_version(CLIENTS, "v1");
	supctl("stop", "web");
	assert_ended(0, "");
	await_clients(CLIENTS, is_closed);
	assert_int_equal(status_number("web", "stored_fds"), 0);
	close_clients(CLIENTS);
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

/* supd crashes and is killed: its next one has them, and who is to get them. */
static void
test_supd_ends(void **state)
{
	(void)state;
	begin_how(SUPD_UNDER_INIT, 2, "", "");
	store_clients(CLIENTS);
	await_version(CLIENTS, "v1");
	supd_strike(SIGSEGV);
	assert_int_equal(status_number("web", "stored_fds"), CLIENTS);
	supd_strike(SIGKILL);
	assert_int_equal(status_number("web", "stored_fds"), CLIENTS);
	supctl("scale", "web=1");
	assert_ended(0, "");
	log_await(" ended (how is not known");
	await_version(CLIENTS, "v1");
	send_line(&clients[7], "crash\n");
	log_await("web/0: was started with 50 stored file descriptors");
	await_version(CLIENTS, "v1");
	close_clients(CLIENTS);
	supd_signal(SIGTERM);
	assert_int_equal(supd_wait(), 0);
}

static void
test_not_allowed(void **state)
{
	(void)state;
	port = e2e_port();
	install("v1", "");
	configure(0, 1, "");
	supd_start_ready(1);
	connect_clients(0, 2);
	await_version(2, "v1");
	install("v2", "");
	supctl("reload", "web");
	assert_ended(0, "web: revision 2 is in charge, after ");
	await_clients(2, is_closed);
	log_await("web/0: a file descriptor that it wants to store is closed: "
	    "fd_store is 0, which allows none; fd_store = NUMBER in "
	    "[service web] does");
	assert_int_equal(log_count("wants to store"), 1);
	close_clients(2);
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_rolling),
		E2E_TEST(test_rolling_without_surge),
		E2E_TEST(test_canary_is_aborted),
		E2E_TEST(test_crash),
		E2E_TEST(test_scale_and_stop),
		E2E_TEST(test_supd_ends),
		E2E_TEST(test_not_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
