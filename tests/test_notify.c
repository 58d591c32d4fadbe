/*
 * The notify protocol: what is taken from a message and what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "notify.h"

static unsigned
parse(const char *text, struct notify_message *ret_message)
{
	unsigned bad = 99;

	notify_parse(text, strlen(text), ret_message, &bad);
	return bad;
}

static void
test_flags(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("READY=1\nSTOPPING=1\n\nRELOADING=1\n"
	    "WATCHDOG=1", &message), 0);
	assert_true(message.ready && message.stopping && message.reloading);
	assert_true(message.watchdog && !message.watchdog_trigger);
	assert_false(message.barrier || message.has_status);
	assert_int_equal(parse("WATCHDOG=trigger\n", &message), 0);
	assert_true(message.watchdog_trigger && !message.watchdog);
	assert_false(message.ready);
	assert_int_equal(parse("", &message), 0);
	assert_false(message.ready);
}

static void
test_numbers(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("ERRNO=2\nMAINPID=4711\nWATCHDOG_USEC=0\n"
	    "EXTEND_TIMEOUT_USEC=18446744073709551615\n"
	    "MONOTONIC_USEC=0000000012\n", &message), 0);
	assert_true(message.has_errno && message.error_number == 2);
	assert_true(message.has_main_pid && message.main_pid == 4711);
	assert_true(message.has_watchdog_usec && message.watchdog_usec == 0);
	assert_true(message.has_extend_usec &&
	    message.extend_usec == UINT64_MAX);
	assert_true(message.has_monotonic_usec && message.monotonic_usec == 12);
}

static void
test_bad_values(void **state)
{
	static const char *const bad[] = {
		"READY=0", "READY=", "READY=11", "READY=1 ", "STOPPING=yes",
		"WATCHDOG=2", "BARRIER=0", "ERRNO=-1", "ERRNO=4096", "ERRNO=",
		"MAINPID=0", "MAINPID=1", "MAINPID=2147483648", "MAINPID=+5",
		"MAINPID= 5", "MAINPID=0x10", "WATCHDOG_USEC=1s",
		"EXTEND_TIMEOUT_USEC=18446744073709551616",
		"MONOTONIC_USEC=99999999999999999999999999",
		"FDSTORE=0", "FDSTOREREMOVE=yes", "FDPOLL=2", "FDPOLL=",
		"FDNAME=", "FDNAME=a:b", "FDNAME=a\tb", "FDNAME=\177",
		"FDNAME=gr\303\274n", "FDNAME=supd.handover",
	};
	struct notify_message message, nothing;
	unsigned i;

	(void)state;
	memset(&nothing, 0, sizeof(nothing));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &message) != 1)
			fail_msg("%s was taken", bad[i]);
		assert_memory_equal(&message, &nothing, sizeof(message));
	}
	assert_int_equal(parse("READY=2\nSTOPPING=1\nERRNO=x", &message), 2);
	assert_true(message.stopping && !message.ready);
}

static void
test_unknown(void **state)
{
	struct notify_message message, nothing;

	(void)state;
	memset(&nothing, 0, sizeof(nothing));
	assert_int_equal(parse("FDSTORES=1\nX_READY=1\nready=1\n READY=1\n"
	    "READY\nnonsense\n=\n", &message), 0);
	assert_memory_equal(&message, &nothing, sizeof(message));
}

static void
test_barrier_alone(void **state)
{
	struct notify_message message;

	(void)state;
	assert_int_equal(parse("BARRIER=1", &message), 0);
	assert_true(message.barrier);
	assert_int_equal(parse("BARRIER=1\n", &message), 0);
	assert_true(message.barrier);
	assert_int_equal(parse("READY=1\nBARRIER=1", &message), 1);
	assert_false(message.barrier || message.ready);
	assert_int_equal(parse("BARRIER=1\nX=y\n", &message), 1);
	assert_false(message.barrier);
}

static const char *
status_of(const char *value)
{
	static struct notify_message message;
	char text[2048];

	snprintf(text, sizeof(text), "STATUS=%s", value);
	assert_int_equal(parse(text, &message), 0);
	assert_true(message.has_status);
	return message.status;
}

static void
test_status(void **state)
{
	char text[STATUS_BYTES_MAX + 64];

	(void)state;
	assert_string_equal(status_of("serving on 8080"), "serving on 8080");
	assert_string_equal(status_of(""), "");
	assert_string_equal(status_of("a=b"), "a=b");
	assert_string_equal(status_of("\033[2J\t\177x"), "?[2J??x");
	assert_string_equal(status_of("gr\303\274n \342\202\254 "
	    "\360\237\246\212"), "gr\303\274n \342\202\254 \360\237\246\212");
	/* cut short, C1 control, not shortest, surrogate, too high, 0xff */
	assert_string_equal(status_of("\303"), "?");
	assert_string_equal(status_of("\302\233x"), "??x");
	assert_string_equal(status_of("\300\257"), "??");
	assert_string_equal(status_of("\340\200\257"), "???");
	assert_string_equal(status_of("\355\240\200"), "???");
	assert_string_equal(status_of("\364\220\200\200"), "????");
	assert_string_equal(status_of("\377"), "?");
	/* A character is not cut in the middle. */
	memset(text, 'a', sizeof(text));
	strcpy(text + STATUS_BYTES_MAX - 2, "\303\274");
	assert_int_equal(strlen(status_of(text)), STATUS_BYTES_MAX - 2);
	strcpy(text + STATUS_BYTES_MAX - 3, "\303\274");
	assert_int_equal(strlen(status_of(text)), STATUS_BYTES_MAX - 1);
}

static void
test_fd_store(void **state)
{
	struct notify_message message;
	char text[8 + FD_NAME_LENGTH_MAX + 2] = "FDNAME=";

	(void)state;
	assert_int_equal(parse("FDSTORE=1\nFDNAME=a b.7/~\nFDPOLL=0",
	    &message), 0);
	assert_true(message.fd_store && message.fd_unwatched);
	assert_false(message.fd_store_remove);
	assert_string_equal(message.fd_name, "a b.7/~");
	assert_int_equal(parse("FDSTOREREMOVE=1\nFDNAME=supd\nFDPOLL=0\n"
	    "FDPOLL=1\n", &message), 0);
	assert_true(message.fd_store_remove);
	assert_false(message.fd_store || message.fd_unwatched);
	assert_string_equal(message.fd_name, "supd");
	/* The last counts, also if it is bad. */
	assert_int_equal(parse("FDNAME=a\nFDNAME=b:\nFDSTORE=1", &message),
	    1);
	assert_true(message.fd_store);
	assert_string_equal(message.fd_name, "");
	memset(text + 7, 'n', FD_NAME_LENGTH_MAX);
	assert_int_equal(parse(text, &message), 0);
	assert_string_equal(message.fd_name, text + 7);
	text[7 + FD_NAME_LENGTH_MAX] = 'n';
	assert_int_equal(parse(text, &message), 1);
	assert_string_equal(message.fd_name, "");
}

static void
test_nul(void **state)
{
	struct notify_message message;
	unsigned bad;

	(void)state;
	notify_parse("READY=1\0", 8, &message, &bad);
	assert_int_equal(bad, 1);
	assert_false(message.ready);
	notify_parse("STATUS=a\0b\nREADY=1", 18, &message, &bad);
	assert_int_equal(bad, 0);
	assert_string_equal(message.status, "a?b");
	assert_true(message.ready);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_barrier_alone),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_fd_store),
		cmocka_unit_test(test_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
