/*
 * UDP services: a rolling reload and a canary under load, in which each datagram
 * is answered, and no flow meets the old release again after the new one; also if
 * supd ends meanwhile.
 */
#include "e2e.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	WORKERS = 3,
	FLOWS = 64,                     /* clients, one datagram each at a time */
	PATIENCE_MS = 2000,
	PACE_MS = 1,                    /* between rounds */
	VERSION_BYTES = 16,
};

static unsigned port;
static int flows[FLOWS];
static char versions[FLOWS][VERSION_BYTES];     /* of each one's last answer */
static unsigned sent, moved_back;

static void
open_flows(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	sent = moved_back = 0;
	for (int i = 0; i < FLOWS; i++) {
		flows[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		assert_true(flows[i] >= 0);
		assert_int_equal(connect(flows[i], (struct sockaddr *)&to,
		    sizeof(to)), 0);
		versions[i][0] = '\0';
	}
}

static void
close_flows(void)
{
	for (int i = 0; i < FLOWS; i++)
		close(flows[i]);
}

/* The answer to the last one; a build with a later version is a newer one. */
static void
take_answer(int i, unsigned number)
{
	struct pollfd readable = { .fd = flows[i], .events = POLLIN };
	char answer[128], version[VERSION_BYTES];
	unsigned said;
	ssize_t got;

	if (poll(&readable, 1, PATIENCE_MS) != 1)
		fail_msg("datagram %u of flow %d was not answered; %u were "
		    "sent", number, i, sent);
	got = recv(flows[i], answer, sizeof(answer) - 1, 0);
	if (got < 0)
		fail_msg("flow %d: %s", i, strerror(errno));
	answer[got] = '\0';
	assert_int_equal(sscanf(answer, "%15s %*d %u", version, &said), 2);
	assert_int_equal(said, number);
	moved_back += strcmp(version, versions[i]) < 0;
	memcpy(versions[i], version, sizeof(version));
}

/* One of each flow, all on their way at once. */
static void
exchange(void)
{
	static unsigned number;
	char text[16];

	number++;
	snprintf(text, sizeof(text), "%u", number);
	for (int i = 0; i < FLOWS; i++)
		assert_int_equal(send(flows[i], text, strlen(text), 0),
		    strlen(text));
	sent += FLOWS;
	for (int i = 0; i < FLOWS; i++)
		take_answer(i, number);
}

static unsigned
count_of(const char *version)
{
	unsigned count = 0;

	for (int i = 0; i < FLOWS; i++)
		count += strcmp(versions[i], version) == 0;
	return count;
}

static void
begin_how(unsigned how, const char *keys)
{
	port = e2e_port();
	e2e_install("dns", "--version v1");
	e2e_configure("[service dns]\ncommand = %s\n"
	    "listen = udp:127.0.0.1:%u\nworkers = %d\nready = notify\n%s\n",
	    e2e_path("dns"), port, WORKERS, keys);
	if (!supd_start_ready_how(how, WORKERS))
		skip();
	open_flows();
	exchange();
	assert_int_equal(count_of("v1"), FLOWS);
	e2e_install("dns", "--version v2");
}

static void
begin(const char *keys)
{
	begin_how(SUPD_PLAIN, keys);
}

static void
exchange_until_end_of(const struct program *program)
{
	do
		exchange();
	while (!e2e_input_within(program->pidfd, PACE_MS));
}

static void
end(void)
{
	workers_await_only("dns", 2);
	for (int i = 0; i < 10; i++)
		exchange();
	assert_int_equal(count_of("v2"), FLOWS);
	close_flows();
	supd_stop();
}

/* Old and new side by side at one socket, so which one answers is chance. */
static void
test_rolling(void **state)
{
	struct program reload;

	(void)state;
	begin("min_ready = 100ms");
	supctl_begin(&reload, "reload", "dns");
	exchange_until_end_of(&reload);
	(void)program_end(&reload);
	assert_ended(0, "revision 2 is in charge");
	assert_true(sent > 10 * FLOWS);
	end();
}

static bool
is_at_half(void)
{
	json_t *status = rollout_status("dns");
	bool half = rollout_number(status, "weight_permille") == 500;

	json_decref(status);
	return half;
}

static void
test_canary(void **state)
{
	struct program reload;
	unsigned half = 0;
	json_t *last;

	(void)state;
	begin("strategy = canary\nsteps = 50% 400ms, 100%");
	supctl_begin(&reload, "reload", "dns");
	while (!is_at_half())
		exchange();
	for (int i = 0; i < 20; i++) {
		exchange();
		if (i == 0)
			half = count_of("v2");
		assert_int_equal(count_of("v2"), half);
	}
	/* One time in a million it is not. */
	assert_in_range(half, FLOWS / 2 - 20, FLOWS / 2 + 20);
	exchange_until_end_of(&reload);
	(void)program_end(&reload);
	assert_ended(0, "revision 2 is in charge");
	last = rollout_await_verdict("dns", 2, "complete");
	assert_int_equal(load_number(last, "connections_lost"), 0);
	assert_int_equal(load_number(last, "connections_handed_over"), 0);
	json_decref(last);
	assert_int_equal(moved_back, 0);
	end();
}

/* The way back is as quiet. */
static void
test_canary_is_aborted(void **state)
{
	struct program abort;

	(void)state;
	begin("strategy = canary\nsteps = 50% pause, 100%");
	supctl("reload", "dns", "--no-wait");
	assert_int_equal(program_code, 0);
	while (!is_at_half())
		exchange();
	exchange();
	supctl_begin(&abort, "rollout", "abort", "dns");
	exchange_until_end_of(&abort);
	(void)program_end(&abort);
	json_decref(rollout_await_verdict("dns", 2, "aborted"));
	workers_await_only("dns", 1);
	for (int i = 0; i < 10; i++)
		exchange();
	assert_int_equal(count_of("v1"), FLOWS);
	close_flows();
	supd_stop();
}

static bool
rolls_out(void)
{
	json_t *status = rollout_status("dns");
	bool runs = !json_is_null(json_object_get(status, "rollout"));

	json_decref(status);
	return runs;
}

/* Flows stay where they are while there is no supd, and with the next one. */
static void
test_supd_ends(void **state)
{
	static const int signals[] = { SIGKILL, SIGSEGV };
	unsigned half;

	(void)state;
	begin_how(SUPD_UNDER_INIT, "strategy = canary\n"
	    "steps = 50% pause, 100%");
	supctl("reload", "dns", "--no-wait");
	assert_int_equal(program_code, 0);
	while (!is_at_half())
		exchange();
	exchange();
	half = count_of("v2");
	for (unsigned i = 0; i < 2; i++) {
		supd_strike(signals[i]);
		for (unsigned k = 0; k < 20; k++) {
			exchange();
			assert_int_equal(count_of("v2"), half);
		}
		assert_true(is_at_half());
		exchange();
		assert_int_equal(count_of("v2"), half);
	}
	supctl("rollout", "resume", "dns");
	assert_int_equal(program_code, 0);
	while (rolls_out())
		exchange();
	json_decref(rollout_await_verdict("dns", 2, "complete"));
	assert_int_equal(moved_back, 0);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_rolling),
		E2E_NET_TEST(test_canary),
		E2E_NET_TEST(test_canary_is_aborted),
		E2E_NET_TEST(test_supd_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
