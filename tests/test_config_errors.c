/*
 * Configurations that must be refused, each with the exact message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define SERVICE "[service web]\ncommand = /bin/web\n"
#define NOT_AN_ADDRESS "must be IPV4:PORT, [IPV6]:PORT, either behind udp:, or" \
	" unix:/PATH, unix-dgram:/PATH, unix-seqpacket:/PATH or fifo:/PATH, such" \
	" as 0.0.0.0:80 or [::]:443, not "
#define LISTENER "[listener http]\naddress = 0.0.0.0:80\n"

struct bad {
	const char *text;
	const char *errors;
};

/* One line after SERVICE, and what is said of line 3. */
static const struct bad bad_values[] = {
	{ "workers = 0",
	    "workers: must be a number from 1 to 4096, not \"0\"" },
	{ "workers = 4097",
	    "workers: must be a number from 1 to 4096, not \"4097\"" },
	{ "workers = 18446744073709551617",
	    "workers: must be a number from 1 to 4096, not"
	    " \"18446744073709551617\"" },
	{ "workers = 4 # four",
	    "workers: must be a number from 1 to 4096, not \"4 # four\"" },
	{ "workers = -1",
	    "workers: must be a number from 1 to 4096, not \"-1\"" },
	{ "workers =", "workers: has no value; give one or remove the key" },
	{ "workers = ; none",
	    "workers: has no value; give one or remove the key" },
	{ "worker = 1", "unknown key \"worker\"; did you mean workers"
	    " (how many processes to keep)?" },
	{ "ExecStart = 1", "unknown key \"ExecStart\"; supd.conf(5) lists the"
	    " keys of [service NAME]" },
	{ "dran_singal = 1", "unknown key \"dran_singal\"; did you mean"
	    " drain_signal (the signal for a graceful stop)?" },
	{ "address = 1",
	    "address is a key of [listener NAME], not of [service NAME]" },
	{ "command = /bin/other", "command is already set in line 2" },
	{ "workers 4", "expected `KEY = VALUE` or `[SECTION]`" },
	{ "= 4", "there is no key before the `=`" },
	{ "min_ready = 30", "min_ready: must be a duration from 0s to 1d"
	    " (units ms, s, m, h, d), not \"30\"" },
	{ "min_ready = 2d", "min_ready: must be a duration from 0s to 1d"
	    " (units ms, s, m, h, d), not \"2d\"" },
	{ "min_ready = 300000000000000000d",
	    "min_ready: must be a duration from 0s to 1d (units ms, s, m, h,"
	    " d), not \"300000000000000000d\"" },
	{ "watchdog = no", "watchdog: must be off or a duration from 10ms to"
	    " 1d (units ms, s, m, h, d), not \"no\"" },
	{ "kill_mode = all",
	    "kill_mode: must be group or process, not \"all\"" },
	{ "restart = yes", "restart: must be always, on-failure or never, not"
	    " \"yes\"" },
	{ "strategy = bluegreen", "strategy: must be rolling, canary or"
	    " blue-green, not \"bluegreen\"" },
	{ "drain_signal = KILL", "drain_signal: must be a signal that can be"
	    " caught, such as TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not"
	    " \"KILL\"" },
	{ "max_surge = 101%", "max_surge: must be a number from 0 to 4096 or a"
	    " share from 0% to 100%, not \"101%\"" },
	{ "max_surge = 0", "max_surge: must not be 0 while max_unavailable is"
	    " 0, or nothing could be replaced" },
	{ "success_exit = 1 256", "success_exit: must be exit codes from 0 to"
	    " 255 and signal names such as TERM, separated by blanks, not"
	    " \"256\"" },
	{ "ready = now", "ready: must be `alive DURATION`, `notify`, `fd N`"
	    " or `probe`" },
	{ "ready = fd 2", "ready: fd must be a number from 3 to 79, not"
	    " \"2\"" },
	{ "ready = alive 60s", "ready: alive 1m must be shorter than"
	    " ready_timeout, which is 1m" },
	{ "ready_timeout = 500ms", "ready: alive 1s must be shorter than"
	    " ready_timeout, which is 500ms" },
	{ "min_ready = 10m", "progress_deadline: must be longer than"
	    " min_ready, which is 10m, not 10m" },
	{ "progress_deadline = 10ms\nmin_ready = 1s", "progress_deadline: must"
	    " be longer than min_ready, which is 1s, not 10ms" },
	{ "backoff_min = 0ms", "backoff_min: must be at least 1ms, or"
	    " backoff_max 0ms too, which switches pauses off" },
	{ "backoff_min = 1m", "backoff_min: must be at most backoff_max, which"
	    " is 30s, not 1m" },
	{ "group = web", "group: needs user too; without it workers would keep"
	    " supd's" },
	{ "user = a b", "user: must be one name or number, not \"a b\"" },
	{ "working_directory = srv",
	    "working_directory: must be an absolute path, not \"srv\"" },
	{ "version = /srv/VERSION", "version: must be `file PATH` with an"
	    " absolute path or `exec COMMAND`, not \"/srv/VERSION\"" },
	{ "environment = A", "environment: must be NAME=value words with names"
	    " of letters, digits and _, not \"A\"" },
	{ "environment = 1A=1", "environment: must be NAME=value words with"
	    " names of letters, digits and _, not \"1A=1\"" },
	{ "environment = A=1 B=2 A=3", "environment: A is set twice" },
	{ "environment = LISTEN_FDS=1",
	    "environment: LISTEN_FDS is set by supd itself" },
	{ "environment = SUPD_X=1", "environment: names that begin with SUPD_"
	    " are set by supd itself" },
	{ "environment = 'A=1", "environment: the quote ' is not closed" },
	{ "environment = A=1 \\", "environment: nothing follows the backslash;"
	    " a value goes on in the next line if that is indented, without"
	    " one" },
	{ "environment = 'A=1 ; B'", "environment: the quote ' is not closed:"
	    " ` ;` begins a comment, also in quotes; write the ; in a quote of"
	    " its own, as in 'a '';'" },
	{ "environment = A=1 #x", "environment: an unquoted \"#x\" would need"
	    " a shell, and there is none; quote it if it is meant as a"
	    " word" },
	{ "listen = 8080", "listen: " NOT_AN_ADDRESS "\"8080\"" },
	{ "listen = :::80", "listen: " NOT_AN_ADDRESS "\":::80\"" },
	{ "listen = udp:x", "listen: " NOT_AN_ADDRESS "\"udp:x\"" },
	{ "listen = udp:unix:/x", "listen: " NOT_AN_ADDRESS
	    "\"udp:unix:/x\"" },
	{ "listen = udp:[::]:0", "listen: the port must be a number from 1 to"
	    " 65535, not \"0\"" },
	{ "listen = [::]:65536", "listen: the port must be a number from 1 to"
	    " 65535, not \"65536\"" },
	{ "listen = 0.0.0.0:0", "listen: the port must be a number from 1 to"
	    " 65535, not \"0\"" },
	{ "listen = unix:x", "listen: must be unix:/PATH with an absolute"
	    " path, or @NAME for an abstract one, not \"unix:x\"" },
	{ "listen = unix:@", "listen: must be unix:/PATH with an absolute"
	    " path, or @NAME for an abstract one, not \"unix:@\"" },
	{ "listen = unix-dgram:/x/", "listen: must be unix-dgram:/PATH with an"
	    " absolute path, or @NAME for an abstract one, not"
	    " \"unix-dgram:/x/\"" },
	{ "listen = fifo:@x", "listen: must be fifo:/PATH with an absolute"
	    " path, not \"fifo:@x\"" },
	{ "listeners = a", "listeners: there is no [listener a]; there is"
	    " none" },
	{ "listeners = a a", "listeners: a is named twice" },
	{ "listeners = a,b", "listeners: a name has at most 40 letters,"
	    " digits, `-`, `_` and `.`, and begins with a letter or digit; not"
	    " \"a,b\"" },
};

static void
test_bad_values(void **state)
{
	size_t count = sizeof(bad_values) / sizeof(bad_values[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char text[512], expected[512];

		(void)snprintf(text, sizeof(text), SERVICE "%s\n",
		    bad_values[i].text);
		(void)snprintf(expected, sizeof(expected), "t:3: %s\n",
		    bad_values[i].errors);
		config_expect_errors(text, expected);
	}
}

/* Whole texts. */
static const struct bad bad_texts[] = {
	{ "workers = 1\n[service web]\ncommand = x\n",
	    "t:1: workers stands before the first [SECTION]\n" },
	{ "[service web]\n", "t:1: [service web] needs command: the program"
	    " to run and its arguments\n" },
	{ "[service web]\ncommand = ''\n", "t:2: command: must begin with an"
	    " absolute path or a name to be looked for in PATH, not \"\"\n" },
	{ "[service web]\ncommand = ./web\n", "t:2: command: must begin with"
	    " an absolute path or a name to be looked for in PATH, not"
	    " \"./web\"\n" },
	{ "[service web]\ncommand = web &\n", "t:2: command: an unquoted \"&\""
	    " would need a shell, and there is none; quote it if it is meant"
	    " as a word\n" },
	{ "[listener x]\nmode = 0600\n", "t:1: [listener x] needs address:"
	    " what to listen on\n" },
	{ "[servce web]\nfoo = 1\n", "t:1: unknown section [servce]; did you"
	    " mean [service NAME]?\n" },
	{ "[Unit]\n", "t:1: unknown section [Unit]; allowed are [service"
	    " NAME], [listener NAME] and [supd]\n" },
	{ "[]\n", "t:1: unknown section []; allowed are [service NAME],"
	    " [listener NAME] and [supd]\n" },
	{ "[supd main]\n", "t:1: [supd] takes no name\n" },
	{ "[service]\n", "t:1: a name is missing: [service NAME]\n" },
	{ "[service a b]\n", "t:1: a name has at most 40 letters, digits, `-`,"
	    " `_` and `.`, and begins with a letter or digit; not \"a b\"\n" },
	{ "[service web\n", "t:1: the section has no closing ]\n" },
	{ "[service web] workers = 1\n",
	    "t:1: text after the closing ] is not allowed\n" },
	{ "[service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
	    "t:1: between the brackets there must be at most 49 bytes, not"
	    " 62\n" },
	{ SERVICE SERVICE, "t:3: [service web] is already at t:1\n" },
	{ "[supd]\n[supd]\n", "t:2: [supd] is already at t:1\n" },
	{ SERVICE "  workers = 4\n", "t:3: workers is indented and so would"
	    " continue the value of command; begin it in the first column, or"
	    " quote it\n" },
	{ "[service web]\n  command = x\n", "t:1: [service web] needs command:"
	    " the program to run and its arguments\nt:2: a key or section must"
	    " begin in the first column; an indented line continues the value"
	    " above it\n" },
	{ SERVICE "workers = 4\n  5\n", "t:4: workers takes one line, and an"
	    " indented line continues the value above it\n" },
	{ SERVICE "workers = 4", "t:3: the last line does not end with a"
	    " newline; is the file complete?\n" },
	{ SERVICE "user = a\x1b" "b\n", "t:3: a control character (0x1b) at"
	    " column 9 is not allowed\n" },
	{ LISTENER "[listener b]\naddress = 0.0.0.0:80\n",
	    "t:3: 0.0.0.0:80 is already the address of listener http at"
	    " t:1\n" },
	{ "[listener a]\naddress = [::0]:80\n[listener b]\naddress ="
	    " [0::]:080\n", "t:3: [0::]:080 is already the address of listener"
	    " a at t:1\n" },
	{ LISTENER "mode = 0600\nowner = x\nipv6_only = no\n",
	    "t:3: mode: is only for unix sockets and FIFOs at a path, and"
	    " this one is 0.0.0.0:80\n"
	    "t:4: owner: is only for unix sockets and FIFOs at a path, and"
	    " this one is"
	    " 0.0.0.0:80\n"
	    "t:5: ipv6_only: is only for IPv6 addresses, and this one is"
	    " 0.0.0.0:80\n" },
	{ "[listener a]\naddress = unix:@a\nmode = 0600\n",
	    "t:3: mode: is only for unix sockets and FIFOs at a path, and"
	    " this one is unix:@a\n" },
	{ "[listener a]\naddress = udp:0.0.0.0:53\nbacklog = 10\n",
	    "t:3: backlog: is only for those that clients connect to, and"
	    " this one is udp:0.0.0.0:53\n" },
	{ "[listener a]\naddress = unix-dgram:/a\n"
	    "[listener b]\naddress = fifo:/a\n",
	    "t:3: fifo:/a is already the address of listener a at t:1\n" },
	{ "[listener a]\naddress = unix:/a\nmode = 0778\nowner = a:\n"
	    "nonblocking = 2\n",
	    "t:3: mode: must be an octal number from 0000 to 0777, not"
	    " \"0778\"\n"
	    "t:4: owner: must be USER or USER:GROUP, not \"a:\"\n"
	    "t:5: nonblocking: must be yes or no, not \"2\"\n" },
	{ "[listener web]\naddress = unix:/a\n" SERVICE "listen = unix:/b\n",
	    "t:5: a listener named web is already at t:1 (listen makes one"
	    " named after its service)\n" },
	{ SERVICE "listen = unix:/b\nlisteners = web\n", "t:4: listeners: web"
	    " is the one that listen makes; it is passed first and must not be"
	    " named\n" },
	{ LISTENER SERVICE "listeners = htp\n", "t:5: listeners: there is no"
	    " [listener htp]; known are http\n" },
	{ LISTENER SERVICE "listeners = http\nlisten = [::1]:80\n"
	    "ready = fd 4\n", "t:7: ready: fd 4 is that of a listener; the"
	    " first free one is 5\n" },
	{ "[supd]\nruntime_dir = /123456789/123456789/123456789/123456789"
	    "/123456789/123456789/123456789/1234567890\n",
	    "t:2: runtime_dir: must be a path of at most 80 bytes, not 81\n" },
	/* All at once, in order, and no second error from the first. */
	{ "[service a]\nmin_ready = 1x\nprogress_deadline = 1s\nfoo = 1\n"
	    "[service b]\ncommand = x\nmax_surge = x\n",
	    "t:1: [service a] needs command: the program to run and its"
	    " arguments\n"
	    "t:2: min_ready: must be a duration from 0s to 1d (units ms, s, m,"
	    " h, d), not \"1x\"\n"
	    "t:4: unknown key \"foo\"; supd.conf(5) lists the keys of [service"
	    " NAME]\n"
	    "t:7: max_surge: must be a number from 0 to 4096 or a share from"
	    " 0% to 100%, not \"x\"\n" },
};

static void
test_bad_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++)
		config_expect_errors(bad_texts[i].text, bad_texts[i].errors);
}

static void
test_nul(void **state)
{
	static const char text[] = "[service web]\ncommand = a\0b\n";
	char *printed = config_errors_of(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(printed, "t:2: a control character (0x00) at"
	    " column 12 is not allowed\n");
	free(printed);
}

/* 198 bytes are the most that arrive whole; one more must not be cut. */
static void
test_long_lines(void **state)
{
	char line[256], text[600];
	struct config_errors errors;
	struct config *config;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[255] = '\0';
	(void)snprintf(text, sizeof(text), "# %s\n[service web]\n"
	    "command = /%.*s\n", line, 187, line);
	config = config_read_text("t", text, strlen(text), &errors);
	assert_non_null(config);
	assert_int_equal(strlen(config->services[0]->argv[0]), 188);
	config_free(config);

	(void)snprintf(text, sizeof(text), "[service web]\ncommand = /%.*s\n"
	    "workers = 0\n", 188, line);
	config_expect_errors(text, "t:2: a line must have at most 198 bytes,"
	    " not 199; go on in the next line and indent it\n"
	    "t:3: workers: must be a number from 1 to 4096, not \"0\"\n");

	(void)snprintf(text, sizeof(text), SERVICE " %.*s\n", 198, line);
	config_expect_errors(text, "t:3: a line must have at most 198 bytes,"
	    " not 199; go on in the next line and indent it\n");
}

static void
repeat(FILE *stream, const char *text, int count)
{
	for (int i = 0; i < count; i++)
		(void)fputs(text, stream);
}

/* Bounds that need much text. */
static void
test_bounds(void **state)
{
	char *text, *printed;
	size_t size_bytes;
	FILE *stream = open_memstream(&text, &size_bytes);

	(void)state;
	repeat(stream, SERVICE, 1);
	repeat(stream, " a\n", ARGV_MAX);
	for (int i = 0; i <= SERVICES_MAX; i++)
		(void)fprintf(stream, "[service s%d]\ncommand = x\n", i);
	for (int i = 1; i <= LISTENERS_MAX + 1; i++)
		(void)fprintf(stream, "[listener l%d]\naddress = 1.1.1.1:%d\n",
		    i, i);
	(void)fclose(stream);
	printed = config_errors_of(text, size_bytes);
	assert_string_equal(printed,
	    "t:2: command: must have at most 256 words\n"
	    "t:385: there may be at most 64 services\n"
	    "t:387: there may be at most 64 services\n"
	    "t:517: there may be at most 64 listeners\n");
	free(printed);
	free(text);

	stream = open_memstream(&text, &size_bytes);
	repeat(stream, "[service web]\nenvironment = A=\n", 1);
	repeat(stream, " xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	    400);
	repeat(stream, "command = x\n", 1);
	(void)fclose(stream);
	printed = config_errors_of(text, size_bytes);
	assert_string_equal(printed,
	    "t:344: environment: must have at most 16384 bytes\n");
	free(printed);
	free(text);

	stream = open_memstream(&text, &size_bytes);
	repeat(stream, "x\n", 100);
	(void)fclose(stream);
	printed = config_errors_of(text, size_bytes);
	assert_non_null(strstr(printed, "\n36 further errors are not"
	    " shown\n"));
	free(printed);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
