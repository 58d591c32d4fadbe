/*
 * The fd store of supd-init: what is kept, by which names, what is dropped.
 */
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "init_fixture.h"

enum { DISMISS_MS_MAX = 5000 };

static struct init init;

static int
start(void **state)
{
	(void)state;
	return init_start(&init, INIT_SUBREAPER, "1", NULL) ? 0 : -1;
}

static int
start_activated(void **state)
{
	(void)state;
	return init_start(&init, INIT_ACTIVATED, "1", NULL) ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	init_order(&init, "exit 0");
	return init_end(&init);
}

/* Gives commands, has the child crash, and returns what the next one found. */
static const char *
after(const char *const *commands)
{
	static char found[INIT_ANSWER_BYTES];
	char *line, *rest = init.answer;
	size_t length = 0;

	for (; *commands != NULL; commands++) {
		init_command(&init, *commands);
		assert_string_equal(init.answer, "");
	}
	init_order(&init, "die 9");
	init_read_answer(&init);
	found[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		if (strncmp(line, "fd ", 3) == 0)
			length += (size_t)snprintf(found + length,
			    sizeof(found) - length, "%s,", line + 3);
	return found;
}

#define AFTER(...) after((const char *const[]){ __VA_ARGS__, NULL })

static void
fds_come_back_with_their_names(void **state)
{
	(void)state;
	assert_string_equal(AFTER("store a memfd", "store b,-c memfd",
	    "store - memfd", "store a memfd"),
	    "a a,b,-c b,-c,stored -,a a,");
	assert_string_equal(AFTER("store d memfd"),
	    "a a,b,-c b,-c,stored -,a a,d d,");
}

/* One that does not know what arrived sends it again. */
static void
what_is_there_is_kept_once(void **state)
{
	(void)state;
	assert_string_equal(AFTER("store a memfd", "store b event"),
	    "a a,b -,");
	assert_string_equal(AFTER("again 3 a", "again 4 b",
	    "store b event"),
	    "a a,b -,b -,");
}

/* The child may die before anybody has read what it sent. */
static void
last_words_are_heard(void **state)
{
	(void)state;
	init_command(&init, "store keeper memfd");
	init_order(&init, "store last memfd and die");
	init_read_answer(&init);
	assert_non_null(strstr(init.answer, "fd last last\n"));
}

static void
names_are_checked(void **state)
{
	char longest[48], store_longest[300], store_longer[300];
	char expected[1024];

	(void)state;
	memset(longest, 'x', 47);
	longest[47] = '\0';
	snprintf(store_longest, sizeof(store_longest), "store %s event",
	    longest);
	snprintf(store_longer, sizeof(store_longer), "store %sy event",
	    longest);
	snprintf(expected, sizeof(expected),
	    "%s -,stored -,stored a:b,stored -,\xc3\xa4 \xc3\xa4,", longest);
	assert_string_equal(AFTER(store_longest, store_longer,
	    "store a:b memfd", "store  event", "store \xc3\xa4 memfd"),
	    expected);
	init_read_log(&init, "FDNAME= takes 1 to 47 characters");
}

static void
what_is_removed_is_gone(void **state)
{
	(void)state;
	assert_string_equal(AFTER("store a memfd", "store b memfd",
	    "store c memfd", "store b memfd", "store d memfd",
	    "send FDSTOREREMOVE=1;FDNAME=b"), "a a,c c,d d,");
	assert_string_equal(AFTER("send FDSTOREREMOVE=1;FDNAME=nonesuch",
	    "store - memfd", "send FDSTOREREMOVE=1",
	    "send FDSTOREREMOVE=1;FDNAME=c", "store e memfd", "store - memfd",
	    "send FDSTOREREMOVE=1;FDNAME=a:b"), "a a,e e,stored -,d d,");
}

/* Without FDPOLL=0 what hangs up goes, wherever it stands. */
static void
what_hangs_up_is_dropped(void **state)
{
	(void)state;
	assert_string_equal(AFTER("store kept pipe FDPOLL=0", "barrier",
	    "hangup", "store gone pipe", "store a memfd", "barrier", "hangup",
	    "dropped", "store gone pipe", "store b memfd", "barrier", "hangup",
	    "dropped", "store c event"), "kept -,c -,a a,b b,");
}

/* The number of one that was watched is another's then; the file lives on. */
static void
what_is_removed_is_not_watched(void **state)
{
	(void)state;
	assert_string_equal(AFTER("store gone pipe and keep",
	    "send FDSTOREREMOVE=1;FDNAME=gone", "store kept memfd FDPOLL=0",
	    "barrier", "hangup", "barrier", "store a memfd", "barrier"),
	    "kept kept,a a,");
}

static void
what_was_passed_is_kept(void **state)
{
	(void)state;
	assert_non_null(strstr(init.answer,
	    "fd web first\nfd unknown second\nfd unknown third\n"));
	assert_string_equal(AFTER("store a memfd"),
	    "web first,unknown second,unknown third,a a,");
	assert_string_equal(AFTER("send FDSTOREREMOVE=1;FDNAME=unknown"),
	    "web first,a a,");
}

/* Its fds are closed all the same: barrier waits for that. */
static void
other_messages_store_nothing(void **state)
{
	(void)state;
	assert_string_equal(AFTER("send READY=1;STATUS=well", "barrier",
	    "send FDSTORE=1", "send ;;", "send FDSTORE=0;FDNAME=x",
	    "store a memfd"), "a a,");
}

static void
send_as_a_stranger(const char *text, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr header = { .msg_name = &address, .msg_iov = &part,
	    .msg_iovlen = 1, .msg_control = control,
	    .msg_controllen = sizeof(control) };
	int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char *name = strstr(init.answer, "socket @");

	assert_non_null(name);
	name = strtok(name + strlen("socket @"), "\n");
	memcpy(address.sun_path + 1, name, strlen(name));
	header.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    1 + strlen(name));
	CMSG_FIRSTHDR(&header)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&header)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&header)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), &fd, sizeof(fd));
	assert_int_equal(sendmsg(from, &header, 0), strlen(text));
	close(from);
}

static void
strangers_are_not_heard(void **state)
{
	char text[] = "/tmp/test-init-XXXXXX";
	int fd = mkstemp(text);

	(void)state;
	assert_int_equal(unlink(text), 0);
	send_as_a_stranger("FDSTORE=1\nFDNAME=stranger", fd);
	close(fd);
	assert_string_equal(AFTER("store a memfd"), "a a,");
}

static size_t
count_commas(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == ',';
	return count;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As a supd with 4096 workers, which then lets all of them go. */
static void
thousands_of_workers_fit(void **state)
{
	int64_t began_ms;
	const char *found;

	(void)state;
	found = AFTER("workers 4096", "barrier");
	assert_int_equal(count_commas(found), 3 * 4096);
	assert_true(strncmp(found, "w3.0 -,w3.0 -,w3.0 -,w3.1 -,", 28) == 0);
	init_command(&init, "store last memfd");
	began_ms = now_ms();
	assert_string_equal(AFTER("dismiss 4096"), "last last,");
	if (now_ms() - began_ms > DISMISS_MS_MAX)
		fail_msg("%d ms", (int)(now_ms() - began_ms));
}

/*
 * As many as FDSTORE says.
 * In the end there is some room again, which a sanitizer needs at an exit.
 */
static void
there_is_a_limit(void **state)
{
	char remove[64];
	size_t count, limit, i;

	(void)state;
	assert_int_equal(sscanf(strstr(init.answer, "FDSTORE="), "FDSTORE=%zu",
	    &limit), 1);
	count = count_commas(AFTER("many 16500", "barrier"));
	assert_int_equal(count, limit);
	assert_true(count <= 16384);
	init_read_log(&init, "no room for its fds beside 16");
	assert_non_null(strstr(init.answer, "start"));
	assert_null(strstr(init.answer, "sendmsg"));
	for (i = 0; i < 32; i++) {
		snprintf(remove, sizeof(remove),
		    "send FDSTOREREMOVE=1;FDNAME=m%zu", i);
		init_command(&init, remove);
	}
	assert_int_equal(count_commas(AFTER("barrier")), count - 32);
}

/* What has no room is kept, and found when there is. */
static void
names_have_a_limit_together(void **state)
{
	static const char dropped[] = "send FDSTOREREMOVE=1;FDNAME="
	    "m0000000000000000000000000000000000000000000000";
	static const char last[] =
	    "m0000000000000000000000000000000000000000002730 -,";
	const char *found;

	(void)state;
	found = AFTER("many 3000 46", "barrier");
	assert_int_equal(count_commas(found), 2730);
	assert_null(strstr(found, last));
	init_read_log(&init, "ended with 137");
	init_read_log(&init, "LISTEN_FDNAMES has no room for 'm0000");
	assert_non_null(strstr(AFTER(dropped), last));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fds_come_back_with_their_names,
		    start, end),
		cmocka_unit_test_setup_teardown(what_is_there_is_kept_once,
		    start, end),
		cmocka_unit_test_setup_teardown(last_words_are_heard, start,
		    end),
		cmocka_unit_test_setup_teardown(names_are_checked, start, end),
		cmocka_unit_test_setup_teardown(
		    what_is_removed_is_not_watched, start, end),
		cmocka_unit_test_setup_teardown(what_was_passed_is_kept,
		    start_activated, end),
		cmocka_unit_test_setup_teardown(what_is_removed_is_gone, start,
		    end),
		cmocka_unit_test_setup_teardown(what_hangs_up_is_dropped, start,
		    end),
		cmocka_unit_test_setup_teardown(other_messages_store_nothing,
		    start, end),
		cmocka_unit_test_setup_teardown(strangers_are_not_heard, start,
		    end),
		cmocka_unit_test_setup_teardown(thousands_of_workers_fit, start,
		    end),
		cmocka_unit_test_setup_teardown(there_is_a_limit, start, end),
		cmocka_unit_test_setup_teardown(names_have_a_limit_together,
		    start, end),
	};

	return cmocka_run_group_tests_name("supd-init: the fd store", tests,
	    NULL, NULL);
}
