/*
 * The parts of supctl that can be seen without a supervisor: units, cleaning,
 * tables, framing.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "supctl.h"

static void
test_durations(void **state)
{
	(void)state;
	assert_string_equal(draw_duration(0).text, "0 ms");
	assert_string_equal(draw_duration(999).text, "999 ms");
	assert_string_equal(draw_duration(3249).text, "3.2 s");
	assert_string_equal(draw_duration(59999).text, "59.9 s");
	assert_string_equal(draw_duration(60000).text, "1m0s");
	assert_string_equal(draw_duration(192000).text, "3m12s");
	assert_string_equal(draw_duration(3599999).text, "59m59s");
	assert_string_equal(draw_duration(3600000).text, "1h0m");
	assert_string_equal(draw_duration(UINT64_C(86399999)).text, "23h59m");
	assert_string_equal(draw_duration(UINT64_C(273600000)).text, "3d4h");
	assert_string_equal(draw_duration(UINT64_MAX).text,
	    "213503982334d14h");
}

static void
test_bytes_and_shares(void **state)
{
	(void)state;
	assert_string_equal(draw_bytes(0).text, "0B");
	assert_string_equal(draw_bytes(1023).text, "1023B");
	assert_string_equal(draw_bytes(1024).text, "1.0K");
	assert_string_equal(draw_bytes(48 << 20).text, "48M");
	assert_string_equal(draw_bytes(UINT64_C(1288490189)).text, "1.2G");
	assert_string_equal(draw_percent(1000).text, "100%");
	assert_string_equal(draw_percent(55).text, "5.5%");
	assert_string_equal(draw_age((int64_t)time(NULL) + 100).text, "0s");
}

/* Draws text into memory and compares. */
static void
assert_drawn(const char *text, const char *expected)
{
	char *bytes = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&bytes, &size_bytes);
	struct draw d = { .out = out };

	draw_text(&d, STYLE_BAD, text);
	fclose(out);
	assert_string_equal(bytes, expected);
	free(bytes);
}

static void
test_nothing_drives_the_terminal(void **state)
{
	(void)state;
	assert_drawn("plain text", "plain text");
	assert_drawn("\033[2J\033]0;title\a", "?[2J?]0;title?");
	assert_drawn("two\nlines\rback\tgap\x7f", "two?lines?back gap?");
	assert_drawn("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x80",
	    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x80");
	assert_drawn("csi \xc2\x9b""31m", "csi ?31m");
	assert_drawn("bidi \xe2\x80\xae gpj", "bidi ? gpj");
	assert_drawn("bad \xff\xc0\xaf \xed\xa0\x80", "bad ??? ?");
	assert_drawn("cut \xe2\x82", "cut ??");
}

static void
test_lines_are_cut(void **state)
{
	char *bytes = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&bytes, &size_bytes);
	struct draw d = { .out = out, .width = 5, .height = 3 };

	(void)state;
	draw_line(&d, STYLE_PLAIN, "%s", "123456789");
	draw_line(&d, STYLE_PLAIN, "%s", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
	    "\xc3\xa4\xc3\xa4");
	draw_line(&d, STYLE_PLAIN, "beyond");
	fclose(out);
	assert_string_equal(bytes, "12345\n\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
	    "\xc3\xa4\n");
	free(bytes);
}

static void
test_a_full_line_is_not_wiped(void **state)
{
	char *bytes = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&bytes, &size_bytes);
	struct draw d = { .out = out, .redraws = true, .width = 5 };

	(void)state;
	draw_line(&d, STYLE_PLAIN, "%s", "1234");
	draw_line(&d, STYLE_PLAIN, "%s", "12345");
	draw_line(&d, STYLE_PLAIN, "%s", "123456");
	fclose(out);
	assert_string_equal(bytes, "1234\033[K\n12345\n12345\n");
	free(bytes);
}

static void
test_table(void **state)
{
	static const char *const headings[] = { "NAME", "NONE", "COUNT" };
	struct table *t = table_new(headings, 3);
	char *bytes = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&bytes, &size_bytes);
	struct draw d = { .out = out };

	(void)state;
	for (int i = 0; i < 3; i++) {
		table_cell(t, STYLE_PLAIN, "%s", i == 1 ? "longer\nname" : "a");
		table_cell(t, STYLE_PLAIN, "%s", "");
		table_cell(t, STYLE_PLAIN, "%s", i == 2 ? "" : "1");
	}
	table_print(t, &d, 2);
	fclose(out);
	assert_string_equal(bytes,
	    "  NAME         COUNT\n"
	    "  a            1\n"
	    "  longer?name  1\n"
	    "  a\n");
	free(bytes);
}

static void
test_nearest(void **state)
{
	static const char *const words[] = { "status", "start", "stop",
		"reload" };

	(void)state;
	assert_string_equal(nearest_word("relaod", words, 4), "reload");
	assert_string_equal(nearest_word("stat", words, 4), "start");
	assert_string_equal(nearest_word("tsop", words, 4), "stop");
	assert_string_equal(nearest_word("wbe", (const char *const[]){ "web" },
	    1), "web");
	assert_string_equal(nearest_word("sto", words, 4), "stop");
	assert_null(nearest_word("st", words, 4));
	assert_null(nearest_word("deploy", words, 4));
	assert_null(nearest_word("", words, 4));
}

static void
test_states_are_counted(void **state)
{
	json_t *workers = json_loads("[{\"revision\":1,\"state\":\"ready\"},"
	    "{\"revision\":2,\"state\":\"ready\"},"
	    "{\"revision\":2,\"state\":\"draining\"},"
	    "{\"revision\":2,\"state\":\"dreaming\"}, 7]", 0, NULL);
	struct tally all = tally_workers(workers, 0);
	struct tally second = tally_workers(workers, 2);

	(void)state;
	assert_int_equal(all.total, 5);
	assert_int_equal(tally_ready(&all), 2);
	assert_int_equal(second.total, 3);
	assert_int_equal(tally_ready(&second), 1);
	json_decref(workers);
}

/* A connection whose other end is in the test's hand. */
static int
open_pair(struct call *call)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	memset(call, 0, sizeof(*call));
	call->path = "pair";
	call->fd = ends[0];
	call->interrupt_fd = -1;
	return ends[1];
}

static void
test_frames(void **state)
{
	static const char bytes[] = "{\"parameters\":{\"a\":1},"
	    "\"continues\":true}\0{\"error\":\"x.y\"}\0{\"para";
	struct reply reply;
	struct call call;
	int fd = open_pair(&call);

	(void)state;
	assert_int_equal(write(fd, bytes, sizeof(bytes) - 1),
	    sizeof(bytes) - 1);
	assert_int_equal(call_receive(&call, 1000, &reply), CALL_REPLY);
	assert_true(reply.continues);
	assert_null(reply.error);
	assert_int_equal(field_number(reply.parameters, "a"), 1);
	reply_release(&reply);
	assert_int_equal(call_receive(&call, 1000, &reply), CALL_REPLY);
	assert_false(reply.continues);
	assert_string_equal(reply.error, "x.y");
	reply_release(&reply);

	/* Half a message is none, however long it lies there. */
	assert_int_equal(call_receive(&call, 30, &reply), CALL_TIMEOUT);
	assert_int_equal(write(fd, "meters\":{}}", 12), 12);
	assert_int_equal(call_receive(&call, 1000, &reply), CALL_REPLY);
	reply_release(&reply);
	close(fd);
	assert_int_equal(call_receive(&call, 1000, &reply), CALL_CLOSED);
	call_close(&call);
}

static void
test_garbage(void **state)
{
	static const char *const texts[] = { "", "HTTP/1.1 400", "[]", "7",
		"{\"parameters\":[]}", "{\"error\":7}", "\xff\xfe", "{" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct reply reply;
		struct call call;
		int fd = open_pair(&call);
		ssize_t size = (ssize_t)strlen(texts[i]) + 1;

		assert_int_equal(write(fd, texts[i], (size_t)size), size);
		assert_int_equal(call_receive(&call, 1000, &reply),
		    CALL_GARBAGE);
		close(fd);
		call_close(&call);
	}
}

static void
test_interrupt_ends_a_wait(void **state)
{
	struct reply reply;
	struct call call;
	int fd = open_pair(&call), ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "!", 1), 1);
	call.interrupt_fd = ends[0];
	assert_int_equal(call_receive(&call, 5000, &reply),
	    CALL_INTERRUPTED);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	call_close(&call);
}

/* Nobody waits ten seconds who does not want to. */
static void
test_interrupt_ends_a_return(void **state)
{
	struct call call;
	int fd = open_pair(&call), ends[2];
	uint64_t began_ms = clock_ms();

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "!", 1), 1);
	call.path = "/nonexistent/control.sock";
	call.interrupt_fd = ends[0];
	assert_int_equal(call_reopen(&call), -EINTR);
	assert_true(clock_ms() < began_ms + CALL_RETURN_MS / 2);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	call_close(&call);
}

/* A listener at a path in a directory of its own, which end_listener() removes. */
static int
open_listener(struct sockaddr_un *ret_address, int backlog)
{
	char directory[] = "/tmp/test_supctl.XXXXXX";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	assert_non_null(mkdtemp(directory));
	snprintf(ret_address->sun_path, sizeof(ret_address->sun_path),
	    "%s/socket", directory);
	assert_int_equal(bind(fd, (struct sockaddr *)ret_address,
	    sizeof(*ret_address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void
end_listener(struct sockaddr_un *address, int fd)
{
	close(fd);
	unlink(address->sun_path);
	*strrchr(address->sun_path, '/') = '\0';
	rmdir(address->sun_path);
}

/* Returns when it waits in a system call, or has ended. */
static void
await_asleep(pid_t pid)
{
	char path[64], state = 'R';
	uint64_t end_ms = clock_ms() + 10000;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	while (state != 'S' && state != 'Z') {
		assert_true(clock_ms() < end_ms);
		file = fopen(path, "re");
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
		fclose(file);
	}
}

/* Who waits for a place in the queue may be stopped and continued. */
static void
test_stopped_while_it_connects(void **state)
{
	struct sockaddr_un address;
	int fd = open_listener(&address, 0), status = 0;
	struct call first, second;
	pid_t pid;

	(void)state;
	assert_int_equal(call_open(&first, address.sun_path), SUPCTL_DONE);
	pid = fork();
	if (pid == 0)
		_exit(call_open(&second, address.sun_path));
	await_asleep(pid);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	await_asleep(pid);
	close(accept(fd, NULL, NULL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	call_close(&first);
	end_listener(&address, fd);
}

/* Who leaves a connection that served need not hurry because another one was
 * lost a while ago. */
static void
test_a_connection_that_served(void **state)
{
	struct sockaddr_un address;
	int fd = open_listener(&address, 4);
	struct call call;

	(void)state;
	assert_int_equal(call_open(&call, address.sun_path), SUPCTL_DONE);
	call.return_ms = clock_ms() - 1;
	call.heard = true;
	assert_int_equal(call_reopen(&call), -ECONNRESET);
	call_served(&call);
	assert_int_equal(call_reopen(&call), 0);
	call_close(&call);
	end_listener(&address, fd);
}

static void
test_odd_fields_are_harmless(void **state)
{
	json_t *object = json_loads("{\"text\":7,\"number\":\"x\","
	    "\"negative\":-4,\"list\":{},\"object\":[],\"flag\":1,"
	    "\"nothing\":null}", 0, NULL);

	(void)state;
	assert_string_equal(field_text(object, "text"), "");
	assert_string_equal(field_text(NULL, "text"), "");
	assert_int_equal(field_number(object, "number"), 0);
	assert_int_equal(field_number(object, "negative"), 0);
	assert_null(field_list(object, "list"));
	assert_null(field_object(object, "object"));
	assert_false(field_flag(object, "flag"));
	assert_false(field_given(object, "nothing"));
	assert_true(field_given(object, "flag"));
	json_decref(object);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_bytes_and_shares),
		cmocka_unit_test(test_nothing_drives_the_terminal),
		cmocka_unit_test(test_lines_are_cut),
		cmocka_unit_test(test_a_full_line_is_not_wiped),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_states_are_counted),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_interrupt_ends_a_wait),
		cmocka_unit_test(test_interrupt_ends_a_return),
		cmocka_unit_test(test_stopped_while_it_connects),
		cmocka_unit_test(test_a_connection_that_served),
		cmocka_unit_test(test_odd_fields_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
