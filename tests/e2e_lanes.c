/*
 * Lanes where the kernel does less for supd, and where others are in its way:
 * without the right to have connections handed over, as an ordinary user, and
 * beside a stranger that listens at the same address.
 */
#include "e2e.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 2, ROUNDS = 3, WAITING = 77 };

static unsigned port;
static char target[32];
static struct load load;

static void
configure_strategy(const char *keys)
{
	port = e2e_port();
	snprintf(target, sizeof(target), "127.0.0.1:%u", port);
	e2e_install_counted("web", "v1", "");
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\ndrain_timeout = 500ms\n%s\n",
	    e2e_path("web"), target, WORKERS, keys);
}

static void
configure(const char *steps)
{
	char keys[128];

	snprintf(keys, sizeof(keys), "strategy = canary\nsteps = %s", steps);
	configure_strategy(keys);
}

static void
begin_load(void)
{
	load_start_with(&load, target, "--rate 2000 --connections 4000 "
	    "--timeout 20000");
	load_await_version(&load, "v1");
}

static void
measure(unsigned permille)
{
	json_t *report = load_run(target, "--rate 2500 --requests 5000");

	load_assert_clean(report);
	load_assert_share(report, "v2", permille);
	json_decref(report);
}

/*
 * Permission
 */

/* Nothing is lost, with or without; and the report says which it was. */
static void
check_migration(unsigned how)
{
	unsigned rounds = e2e_rounds(ROUNDS);
	char version[16];
	json_t *last;

	if (geteuid() != 0 || !net_is_own())
		skip();
	configure("10% 200ms, 100%");
	if (!supd_start_ready_how(how, WORKERS))
		skip();
	begin_load();
	for (unsigned revision = 2; revision < 2 + rounds; revision++) {
		snprintf(version, sizeof(version), "v%u", revision);
		e2e_install_counted("web", version, "");
		supctl("reload", "web");
		assert_ended(0, "queued connections handed over: ");
		assert_ended(0, ", lost: 0");
		last = rollout_await_verdict("web", revision, "complete");
		assert_int_equal(load_number(last, "connections_lost"), 0);
		if (how == SUPD_FIXED_SYSCTLS)
			assert_int_equal(load_number(last,
			    "connections_handed_over"), 0);
		json_decref(last);
	}
	assert_int_equal(net_sysctl("ipv4/tcp_migrate_req"),
	    how == SUPD_FIXED_SYSCTLS ? 0 : 1);
	load_end_clean(&load);
	supd_stop();
}

static void
test_with_permission(void **state)
{
	(void)state;
	check_migration(SUPD_PLAIN);
}

static void
test_without_permission(void **state)
{
	(void)state;
	check_migration(SUPD_FIXED_SYSCTLS);
}

/* Who waits before a deaf release cannot be helped, but is counted. */
static void
test_lost_is_counted(void **state)
{
	json_t *last, *report;
	uint64_t lost;

	(void)state;
	if (geteuid() != 0 || !net_is_own())
		skip();
	configure("10% 1h, 100%");
	if (!supd_start_ready_how(SUPD_FIXED_SYSCTLS, WORKERS))
		skip();
	begin_load();
	e2e_install_counted("web", "v2", "--deaf-after 300");
	supctl("reload", "web");
	assert_ended(1, "connections wait before the workers of revision 2");
	last = rollout_await_verdict("web", 2, "rolled-back");
	lost = load_number(last, "connections_lost");
	assert_true(lost > 0);
	assert_int_equal(load_number(last, "connections_handed_over"), 0);
	json_decref(last);
	report = load_end(&load);
	assert_int_equal(load_number(report, "failures"), lost);
	assert_int_equal(load_version(report, "v1").failures, 0);
	json_decref(report);
	supd_stop();
}

static bool
has_queue(const json_t *status, const void *wanted)
{
	return load_number(rollout_lane(status, "candidate"),
	    "queue_length") == *(const unsigned *)wanted;
}

/*
 * So many wait before a deaf release when its lane is closed: each of them is
 * answered by the old one, or lost, and told as what it is.
 */
static void
check_waiting(unsigned how)
{
	static const unsigned waiting = WAITING;
	bool moves = how == SUPD_PLAIN;
	json_t *last, *report;
	char options[64];

	if (geteuid() != 0 || !net_is_own())
		skip();
	configure_strategy("strategy = blue-green\nkeep_old = 1h");
	if (!supd_start_ready_how(how, WORKERS))
		skip();
	e2e_install_counted("web", "v2", "--deaf");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	snprintf(options, sizeof(options), "--rate 1000 --requests %d "
	    "--timeout 20000", WAITING);
	load_start_with(&load, target, options);
	json_decref(rollout_await("web", has_queue, &waiting, "a queue"));
	supctl("undo", "web", "--no-wait");
	assert_ended(0, "");
	last = rollout_await_verdict("web", 2, "aborted");
	assert_int_equal(load_number(last, "connections_handed_over"),
	    moves ? WAITING : 0);
	assert_int_equal(load_number(last, "connections_lost"),
	    moves ? 0 : WAITING);
	json_decref(last);
	program_end(&load.program);
	report = json_loads(program_out, 0, NULL);
	assert_int_equal(load_version(report, "v1").answers,
	    moves ? WAITING : 0);
	assert_int_equal(load_number(report, "failures"),
	    moves ? 0 : WAITING);
	json_decref(report);
	supd_stop();
}

static void
test_waiting_are_handed_over(void **state)
{
	(void)state;
	check_waiting(SUPD_PLAIN);
}

static void
test_waiting_are_lost(void **state)
{
	(void)state;
	check_waiting(SUPD_FIXED_SYSCTLS);
}

static void
test_nobody(void **state)
{
	(void)state;
	if (geteuid() != 0 || !net_is_own())
		skip();
	configure("25% pause, 100%");
	assert_true(supd_start_ready_how(SUPD_AS_NOBODY, WORKERS));
	begin_load();
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web", "--no-wait");
	rollout_await_weight("web", 250);
	measure(250);
	rollout_await_phase("web", "paused");
	supctl("rollout", "resume", "web");
	assert_ended(0, "");
	json_decref(rollout_await_verdict("web", 2, "complete"));
	measure(1000);
	assert_int_equal(net_sysctl("ipv4/tcp_migrate_req"), 0);
	load_end_clean(&load);
	supd_stop();
}

/*
 * A stranger
 */

/* It joins the group, as a process of the same user may. */
static int
listen_as_well(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 1000), 0);
	return fd;
}

static uint64_t
stranger_count(void)
{
	json_t *status = service_status("web");
	uint64_t count = load_number(json_array_get(json_object_get(status,
	    "listeners"), 0), "strangers");

	json_decref(status);
	return count;
}

static void
assert_got_nothing(int fd)
{
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

/* It is told, it gets nothing, and the weights are right beside it. */
static void
test_stranger(void **state)
{
	int stranger;

	(void)state;
	if (!net_is_own())
		skip();
	configure("25% pause, 100%");
	supd_start_ready(WORKERS);
	assert_int_equal(stranger_count(), 0);
	stranger = listen_as_well();
	assert_int_equal(stranger_count(), 1);
	begin_load();
	e2e_install_counted("web", "v2", "");
	supctl("reload", "web", "--no-wait");
	log_await("1 socket of another process (inode ");
	rollout_await_weight("web", 250);
	supctl("status", "web");
	assert_ended(0, "another process");
	measure(250);
	rollout_await_phase("web", "paused");
	supctl("rollout", "resume", "web");
	assert_ended(0, "");
	json_decref(rollout_await_verdict("web", 2, "complete"));
	measure(1000);
	assert_got_nothing(stranger);
	close(stranger);
	assert_int_equal(stranger_count(), 0);
	measure(1000);
	load_end_clean(&load);
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_with_permission),
		E2E_NET_TEST(test_without_permission),
		E2E_NET_TEST(test_lost_is_counted),
		E2E_NET_TEST(test_waiting_are_handed_over),
		E2E_NET_TEST(test_waiting_are_lost),
		E2E_NET_TEST(test_nobody),
		E2E_NET_TEST(test_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
