/*
 * Bad clients of the control socket, and those who may not use it: each gets
 * an error or a closed connection, and nobody else notices.
 */
#include "e2e.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"

enum {
	WORKERS = 2,
	RATE = 200,
	CLIENTS_TRIED = 40,
	SLOW_RELOADS = 8,
	EXIT_ABSENT = 3,
	EXIT_REFUSED = 4,
};

static char target[32];
static struct load load;

static void
begin(const char *keys)
{
	snprintf(target, sizeof(target), "127.0.0.1:%u", e2e_port());
	e2e_install("web", "--version v1");
	e2e_configure_web(target, WORKERS, keys);
	supd_start_ready(WORKERS);
	load_start(&load, target, RATE, 0);
	load_await_second(&load);
}

static void
end(void)
{
	load_end_clean(&load);
	supd_stop();
}

static bool
has_error(const json_t *reply, const char *error)
{
	const char *text = json_string_value(json_object_get(reply, "error"));

	return text != NULL && strcmp(text, error) == 0;
}

/* A whole message; the reply must be this error, or none at all. */
static void
assert_error(const char *json, const char *error)
{
	int fd = control_open();
	json_t *reply;

	assert_true(fd >= 0);
	assert_true(send(fd, json, strlen(json) + 1, MSG_NOSIGNAL) > 0);
	reply = control_receive(fd);
	if (error == NULL && reply != NULL)
		fail_msg("%s was answered", json);
	if (error != NULL && reply == NULL)
		fail_msg("%s was not answered", json);
	if (error != NULL && !has_error(reply, error))
		fail_msg("%s was answered otherwise", json);
	json_decref(reply);
	close(fd);
}

static void
test_garbage(void **state)
{
	(void)state;
	begin("");
	assert_error("this is no JSON", NULL);
	assert_error("[1, 2, 3]", NULL);
	assert_error("{\"method\":5}", NULL);
	assert_error("{\"parameters\":{}}", NULL);
	assert_error("{\"method\":\"io.supd.Status\",\"parameters\":[]}",
	    "org.varlink.service.InvalidParameter");
	assert_error("{\"method\":\"io.supd.Dance\"}",
	    "org.varlink.service.MethodNotFound");
	assert_error("{\"method\":\"com.example.Dance\"}",
	    "org.varlink.service.InterfaceNotFound");
	assert_error("{\"method\":\"io.supd.Scale\",\"parameters\":"
	    "{\"service\":\"web\",\"workers\":\"many\"}}",
	    "org.varlink.service.InvalidParameter");
	assert_error("{\"method\":\"io.supd.Scale\",\"parameters\":"
	    "{\"service\":\"web\",\"workers\":-1}}", "io.supd.Failed");
	assert_error("{\"method\":\"io.supd.Reload\",\"parameters\":"
	    "{\"services\":[5]}}", "org.varlink.service.InvalidParameter");
	assert_error("{\"method\":\"io.supd.Undo\",\"parameters\":"
	    "{\"service\":\"nobody\"}}", "io.supd.NoSuchService");
	assert_int_equal(status_number("web", "ready"), WORKERS);
	end();
}

static void
test_too_large(void **state)
{
	static char large[FRAME_BYTES_MAX + 4096];
	json_t *reply;
	int fd;

	(void)state;
	begin("");
	memset(large, ' ', sizeof(large));
	fd = control_open();
	assert_true(send(fd, large, sizeof(large), MSG_NOSIGNAL) > 0);
	reply = control_receive(fd);
	assert_true(has_error(reply, "io.supd.FrameTooLarge"));
	json_decref(reply);
	assert_null(control_receive(fd));
	close(fd);
	end();
}

/* Half a message keeps nobody from anything, nor does its end. */
static void
test_half_a_message(void **state)
{
	int fd;

	(void)state;
	begin("");
	fd = control_open();
	assert_int_equal(send(fd, "{\"method\":", 10, MSG_NOSIGNAL), 10);
	assert_int_equal(status_number("web", "ready"), WORKERS);
	e2e_install("web", "--version v2");
	supctl("reload", "web");
	assert_ended(0, "is in charge");
	close(fd);
	end();
}

static void
test_many_clients(void **state)
{
	int fds[CLIENTS_TRIED];
	json_t *reply;
	uint64_t end_ms;
	unsigned busy = 0;

	(void)state;
	begin("");
	for (unsigned i = 0; i < CLIENTS_TRIED; i++) {
		fds[i] = control_open();
		assert_true(fds[i] >= 0);
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		json_decref(control_call(fds[i],
		    "{\"method\":\"io.supd.Status\"}"));
	for (unsigned i = CLIENTS_MAX; i < CLIENTS_TRIED; i++) {
		reply = control_receive(fds[i]);
		busy += has_error(reply, "io.supd.Busy");
		json_decref(reply);
	}
	assert_int_equal(busy, CLIENTS_TRIED - CLIENTS_MAX);
	supctl("status");
	assert_int_equal(program_code, 1);
	for (unsigned i = 0; i < CLIENTS_TRIED; i++)
		close(fds[i]);
	/* supd may hear of one that comes before it hears that these left. */
	end_ms = e2e_now_ms() + E2E_WAIT_MS;
	while (supctl("status") != 0)
		assert_true(e2e_now_ms() < end_ms);
	assert_ended(0, "web");
	end();
}

/* It asked for all events and reads none. */
static void
test_slow_reader(void **state)
{
	static const char request[] = "{\"method\":\"io.supd.Events\","
	    "\"more\":true}";
	int size = 1, fd;

	(void)state;
	begin("");
	fd = control_open();
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size,
	    sizeof(size)), 0);
	assert_true(send(fd, request, sizeof(request), MSG_NOSIGNAL) > 0);
	for (unsigned i = 0; i < e2e_rounds(SLOW_RELOADS); i++) {
		e2e_install("web", "--version v2");
		supctl("reload", "web");
		assert_ended(0, "is in charge");
	}
	close(fd);
	end();
}

/* Whoever asked for a rollout may go; it goes on. */
static void
test_client_dies(void **state)
{
	struct program reload;

	(void)state;
	begin("min_ready = 300ms\n");
	e2e_install("web", "--version v2");
	supctl_begin(&reload, "reload", "web");
	log_await("revision=2 ready");
	assert_int_equal(kill(reload.pid, SIGKILL), 0);
	assert_int_equal(program_end(&reload), 128 + SIGKILL);
	log_await("web: revision 2 is in charge, after ");
	assert_string_equal(ask_version(target), "v2");
	end();
}

static void
test_client_is_interrupted(void **state)
{
	struct program reload;

	(void)state;
	begin("min_ready = 300ms\n");
	e2e_install("web", "--version v2");
	supctl_begin(&reload, "reload", "web");
	log_await("revision=2 ready");
	assert_int_equal(kill(reload.pid, SIGINT), 0);
	program_end(&reload);
	assert_ended(1, "interrupted; the rollout goes on (to see it: supctl "
	    "rollout status web; to take it back: supctl undo web)");
	log_await("web: revision 2 is in charge, after ");
	end();
}

static void
test_not_permitted(void **state)
{
	const char *argv[] = {
		e2e_program("supctl"), "--socket",
		e2e_path("run/control.sock"), "reload", NULL,
	};
	struct program p;

	(void)state;
	if (geteuid() != 0)
		skip();
	begin("");
	program_start(&p, argv, E2E_NOBODY);
	program_end(&p);
	assert_ended(EXIT_REFUSED, "not permitted");
	/* One who can open the socket is known by its credentials. */
	assert_int_equal(chmod(argv[2], 0666), 0);
	program_start(&p, argv, E2E_NOBODY);
	program_end(&p);
	assert_ended(EXIT_REFUSED, "supctl: not permitted for uid 65534: root, supd's own "
	    "user and members of its control_group may; nothing was changed");
	end();
}

static void
test_nobody_there(void **state)
{
	(void)state;
	supctl("status");
	assert_ended(EXIT_ABSENT, "no supervisor at ");
	begin("");
	load_end_clean(&load);
	supctl("shutdown");
	assert_ended(0, "supd is stopping");
	assert_int_equal(supd_wait(), 0);
	supctl("reload", "web");
	assert_ended(EXIT_ABSENT, "(is supd running?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_TEST(test_garbage),
		E2E_TEST(test_too_large),
		E2E_TEST(test_half_a_message),
		E2E_TEST(test_many_clients),
		E2E_TEST(test_slow_reader),
		E2E_TEST(test_client_dies),
		E2E_TEST(test_client_is_interrupted),
		E2E_TEST(test_not_permitted),
		E2E_TEST(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
