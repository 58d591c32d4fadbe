/*
 * The keys about rollouts: what is refused, each with the exact message.
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

#define WEB "[service web]\ncommand = x\n"
#define TCP WEB "listen = 0.0.0.0:80\n"
#define UNIX WEB "listen = unix:/run/web\n"
#define NAME_36 "a23456789b123456789c123456789d123456"

struct bad {
	const char *text;
	const char *errors;
};

#define EXAMPLE "`5% 1m, 25% pause, 100%`"
#define WEIGHT(number, weight) \
	"steps: step " number " must begin with a weight from 0.1% to 100% in" \
	" tenths of a percent, as in " EXAMPLE ", not \"" weight "\""
#define HOLD(number, hold) \
	"steps: the hold of step " number " must be pause or a duration from" \
	" 1ms to 7d (units ms, s, m, h, d), not \"" hold "\""
#define NEEDS "needs TCP or UDP listeners that no other service has, but "

/* Lines after TCP, and what is said of line 4. */
static const struct bad bad_values[] = {
	{ "strategy = blue", "strategy: must be rolling, canary or blue-green,"
	    " not \"blue\"" },
	{ "steps = x", WEIGHT("1", "x") },
	{ "steps = 100", WEIGHT("1", "100") },
	{ "steps = 0% 1m, 100%", WEIGHT("1", "0%") },
	{ "steps = 0.0% 1m, 100%", WEIGHT("1", "0.0%") },
	{ "steps = 5% 1m, 100.1%", WEIGHT("2", "100.1%") },
	{ "steps = 5% 1m, 101%", WEIGHT("2", "101%") },
	{ "steps = 18446744073709551617%", WEIGHT("1",
	    "18446744073709551617%") },
	{ "steps = 1844674407370955162%", WEIGHT("1",
	    "1844674407370955162%") },
	{ "steps = 0.05% 1m, 100%", WEIGHT("1", "0.05%") },
	{ "steps = .5% 1m, 100%", WEIGHT("1", ".5%") },
	{ "steps = -5% 1m, 100%", WEIGHT("1", "-5%") },
	{ "steps = 1m 5%, 100%", WEIGHT("1", "1m") },
	{ "steps = '5%' 1m, 100%", WEIGHT("1", "'5%'") },
	{ "steps = 5% 1m,, 100%", WEIGHT("2", "") },
	{ "steps = 5% 1m, 100%,", WEIGHT("3", "") },
	{ "steps = 5% 1m; 100%", HOLD("1", "1m; 100%") },
	{ "steps = 5% 0s, 100%", HOLD("1", "0s") },
	{ "steps = 5% 8d, 100%", HOLD("1", "8d") },
	{ "steps = 5% 1, 100%", HOLD("1", "1") },
	{ "steps = 5% 1m, 100% \\", HOLD("2", "\\") },
	{ "steps = 5% wait, 100%", HOLD("1", "wait") },
	{ "steps = 5% 1m 25% 1m, 100%", HOLD("1", "1m 25% 1m") },
	{ "steps = 5% 1m, 25%, 100%", "steps: step 2, 25%, must have a hold, a"
	    " duration or pause, as in " EXAMPLE "; only the last may have"
	    " none" },
	{ "steps = 50% 1m, 25% 1m, 100%", "steps: step 2 must have more than"
	    " 50%, the weight of the step before it, not 25%" },
	{ "steps = 0.5% 1m, 12.5% 1m, 12.5% 1m, 100%", "steps: step 3 must"
	    " have more than 12.5%, the weight of the step before it, not"
	    " 12.5%" },
	{ "steps = 100% 1m, 100%", "steps: step 2 must have more than 100%,"
	    " the weight of the step before it, not 100%" },
	{ "steps = 5% 1m, 99.9% 1m", "steps: the last step must be 100%, not"
	    " 99.9%" },
	{ "steps = 5%", "steps: the last step must be 100%, not 5%" },
	{ "canary_workers = 0", "canary_workers: must be a number from 1 to"
	    " 4096 or a share from 1% to 100%, not \"0\"" },
	{ "canary_workers = 0%", "canary_workers: must be a number from 1 to"
	    " 4096 or a share from 1% to 100%, not \"0%\"" },
	{ "steer = ip", "steer: must be random or source-ip, not \"ip\"" },
	{ "promotion = yes", "promotion: must be auto or manual, not"
	    " \"yes\"" },
	{ "keep_old = 8d", "keep_old: must be a duration from 0s to 7d (units"
	    " ms, s, m, h, d), not \"8d\"" },
	{ "preview = 81\nstrategy = canary", "preview: must be IPV4:PORT or"
	    " [IPV6]:PORT, such as 0.0.0.0:80 or [::]:443, not \"81\"" },
	{ "preview = unix:/p\nstrategy = canary", "preview: must be IPV4:PORT"
	    " or [IPV6]:PORT, such as 0.0.0.0:80 or [::]:443, not"
	    " \"unix:/p\"" },
	{ "preview = 1.1.1.1:0\nstrategy = canary", "preview: the port must be"
	    " a number from 1 to 65535, not \"0\"" },
	{ "preview = 1.1.1.1:81", "preview: needs strategy canary or"
	    " blue-green; with rolling there is no new release to look at"
	    " before its users come" },
	{ "preview = 0.0.0.0:080\nstrategy = canary", "0.0.0.0:080 is already"
	    " the address of listener web at t:3" },
	{ "probe = https /", "probe: must be `http PATH`, `tcp` or `exec"
	    " COMMAND`, not \"https /\"" },
	{ "probe = http", "probe: must be `http PATH`, `tcp` or `exec"
	    " COMMAND`, not \"http\"" },
	{ "probe = http /a b", "probe: must be `http PATH`, `tcp` or `exec"
	    " COMMAND`, not \"http /a b\"" },
	{ "probe = tcp 80", "probe: must be `http PATH`, `tcp` or `exec"
	    " COMMAND`, not \"tcp 80\"" },
	{ "probe = exec", "probe: must be `http PATH`, `tcp` or `exec"
	    " COMMAND`, not \"exec\"" },
	{ "probe = ''", "probe: must be `http PATH`, `tcp` or `exec COMMAND`,"
	    " not \"''\"" },
	{ "probe = exec ./x", "probe: exec must be followed by an absolute"
	    " path or a name to be looked for in PATH, not \"./x\"" },
	{ "probe = exec ''", "probe: exec must be followed by an absolute path"
	    " or a name to be looked for in PATH, not \"\"" },
	{ "probe = exec x | y", "probe: an unquoted \"|\" would need a shell,"
	    " and there is none; quote it if it is meant as a word" },
#define REQUEST(path) \
	"probe: http must be followed by a path that begins with / and has no" \
	" blanks, no # and otherwise only printable ASCII characters, not \"" \
	path "\""
	{ "probe = http health", REQUEST("health") },
	{ "probe = http '/a b'", REQUEST("/a b") },
	{ "probe = http /a\\#b", REQUEST("/a#b") },
	{ "probe = http /\xc3\xbc", REQUEST("/\xc3\xbc") },
	{ "probe = http '/\t'", REQUEST("/\t") },
	{ "probe_interval = 9ms", "probe_interval: must be a duration from"
	    " 10ms to 1h (units ms, s, m, h, d), not \"9ms\"" },
	{ "probe_timeout = 0s", "probe_timeout: must be a duration from 1ms to"
	    " 1h (units ms, s, m, h, d), not \"0s\"" },
	{ "fd_store = 4097", "fd_store: must be a number from 0 to 4096, not"
	    " \"4097\"" },
	{ "fd_store = 1\nready = fd 7", "fd_store: cannot be had with ready ="
	    " fd 7, whose number may be that of a stored file descriptor; use"
	    " ready = notify" },
	{ "probe_failures = 0", "probe_failures: must be a number from 1 to"
	    " 1000, not \"0\"" },
	{ "probe = tcp\nprobe_status = 200", "probe_status: is only for `probe"
	    " = http PATH`, whose answers have one" },
	{ "probe_body = ok", "probe_body: is only for `probe = http PATH`,"
	    " whose answers have one" },
	{ "ready = probe", "ready: probe needs the key probe, which says how"
	    " to ask" },
	{ "ready = probe /", "ready: must be `alive DURATION`, `notify`, `fd"
	    " N` or `probe`" },
	{ "analysis = ./judge", "analysis: must begin with an absolute path or"
	    " a name to be looked for in PATH, not \"./judge\"" },
	{ "analysis =", "analysis: has no value; give one or remove the key" },
	{ "analysis_interval = 0s", "analysis_interval: must be a duration"
	    " from 10ms to 1d (units ms, s, m, h, d), not \"0s\"" },
	{ "analysis_timeout = 25h", "analysis_timeout: must be a duration from"
	    " 1ms to 1d (units ms, s, m, h, d), not \"25h\"" },
	{ "before_rollout = x > y", "before_rollout: an unquoted \">\" would"
	    " need a shell, and there is none; quote it if it is meant as a"
	    " word" },
	{ "after_rollout = ''", "after_rollout: must begin with an absolute"
	    " path or a name to be looked for in PATH, not \"\"" },
	{ "hook_timeout = off", "hook_timeout: must be a duration from 1ms to"
	    " 1d (units ms, s, m, h, d), not \"off\"" },
	{ "version = exec", "version: must be `file PATH` with an absolute"
	    " path or `exec COMMAND`, not \"exec\"" },
	{ "version = file VERSION", "version: must be `file PATH` with an"
	    " absolute path or `exec COMMAND`, not \"file VERSION\"" },
	{ "version = file /a b", "version: must be `file PATH` with an"
	    " absolute path or `exec COMMAND`, not \"file /a b\"" },
	{ "version = exec ../v", "version: exec must be followed by an"
	    " absolute path or a name to be looked for in PATH, not"
	    " \"../v\"" },
};

static void
test_bad_values(void **state)
{
	size_t count = sizeof(bad_values) / sizeof(bad_values[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		bool second = strncmp(bad_values[i].text, "probe = tcp\n",
		    12) == 0;
		char text[512], expected[512];

		(void)snprintf(text, sizeof(text), TCP "%s\n",
		    bad_values[i].text);
		(void)snprintf(expected, sizeof(expected), "t:%d: %s\n",
		    second ? 5 : 4, bad_values[i].errors);
		config_expect_errors(text, expected);
	}
}

static void
test_bad_status(void **state)
{
	static const char *const values[] = {
		"99", "600", "200-", "-200", "300-200", "200-600", "2xx",
		"200,204", "200 - 299",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char text[256], expected[256];

		(void)snprintf(text, sizeof(text), TCP "probe = http /\n"
		    "probe_status = %s\n", values[i]);
		(void)snprintf(expected, sizeof(expected), "t:5: probe_status:"
		    " must be a status or a range of them that goes up, such"
		    " as 200 or 200-399, from 100 to 599, not \"%s\"\n",
		    values[i]);
		config_expect_errors(text, expected);
	}
}

/* Whole texts: what depends on the listeners, and on other services. */
static const struct bad bad_texts[] = {
	{ UNIX "strategy = canary\nworkers = 4\n", "t:4: strategy: canary is"
	    " not possible with 4 workers: listener web is a unix socket, so a"
	    " weight is a share of the workers, and step 1, 5%, is no whole"
	    " number of them; take a multiple of 20 workers, or weights that"
	    " are multiples of 25%\n" },
	{ WEB "strategy = canary\n", "t:3: strategy: canary is not possible"
	    " with 1 worker: the service has no listener, so a weight is a"
	    " share of the workers, and step 1, 5%, is no whole number of"
	    " them; take a multiple of 20 workers, or weights that are"
	    " multiples of 100%\n" },
	{ UNIX "strategy = blue-green\n", "t:4: strategy: blue-green " NEEDS
	    "listener web is a unix socket\n" },
	{ WEB "strategy = blue-green\n", "t:3: strategy: blue-green " NEEDS
	    "the service has no listener\n" },
	{ TCP "strategy = blue-green\n[service b]\ncommand = x\nlisteners ="
	    " web\n", "t:4: strategy: blue-green " NEEDS "listener web is also"
	    " another service's\n" },
	{ UNIX "steer = source-ip\ncanary_workers = 1\n", "t:4: steer:"
	    " source-ip " NEEDS "listener web is a unix socket\n"
	    "t:5: canary_workers: " NEEDS "listener web is a unix socket\n" },
	{ WEB "preview = [::1]:1\nstrategy = canary\nsteps = 100%\n",
	    "t:3: preview: " NEEDS "the service has no listener\n" },
	{ WEB "probe = http /\n", "t:3: probe: http needs a listener to"
	    " connect to, and [service web] has none; exec needs none\n" },
	{ WEB "listen = udp:0.0.0.0:53\nprobe = http /\n", "t:4: probe: http"
	    " connects to the first listener, and web is UDP; take `probe ="
	    " exec PROGRAM`, or put one first that is TCP or a unix stream"
	    " socket\n" },
	{ WEB "listen = unix-seqpacket:/x\nprobe = tcp\n", "t:4: probe: tcp"
	    " connects to the first listener, and web is a unix seqpacket"
	    " socket; take `probe = exec PROGRAM`, or put one first that is TCP"
	    " or a unix stream socket\n" },
	{ WEB "listen = unix-dgram:@x\nstrategy = blue-green\n", "t:4:"
	    " strategy: blue-green " NEEDS "listener web is a unix datagram"
	    " socket\n" },
	{ WEB "listen = fifo:/x\nsteer = source-ip\n", "t:4: steer: source-ip "
	    NEEDS "listener web is a FIFO\n" },
	{ WEB "probe = tcp\n", "t:3: probe: tcp needs a listener to connect"
	    " to, and [service web] has none; exec needs none\n" },
	/* Names of previews. */
	{ "[service " NAME_36 "]\ncommand = x\nlisten = [::1]:1\n"
	    "strategy = canary\npreview = [::1]:2\n",
	    "t:5: preview: makes a listener named " NAME_36 ".preview, and"
	    " names have at most 40 characters; the name of the service must"
	    " be shorter by 4\n" },
	{ "[listener web.preview]\naddress = [::1]:1\n" TCP
	    "strategy = canary\npreview = [::1]:2\n", "t:7: a listener named"
	    " web.preview is already at t:1 (preview makes one named"
	    " SERVICE.preview)\n" },
	{ TCP "strategy = canary\npreview = [::1]:2\nlisteners ="
	    " web.preview\n", "t:6: listeners: web.preview is the preview of"
	    " a service; that service gets it by itself, and no other may name"
	    " it\n" },
	{ TCP "strategy = canary\npreview = [::1]:2\n[service b]\n"
	    "command = x\nlisteners = web.preview\n", "t:8: listeners:"
	    " web.preview is the preview of a service; that service gets it by"
	    " itself, and no other may name it\n" },
	{ TCP "strategy = canary\npreview = [::1]:2\nready = fd 4\n", "t:6:"
	    " ready: fd 4 is that of a listener; the first free one is 5\n" },
	/* No second error from the first. */
	{ WEB "listen = x\nstrategy = blue-green\nsteer = source-ip\n"
	    "probe = tcp\n", "t:3: listen: must be IPV4:PORT, [IPV6]:PORT,"
	    " either behind udp:, or unix:/PATH, unix-dgram:/PATH,"
	    " unix-seqpacket:/PATH or fifo:/PATH, such as 0.0.0.0:80 or"
	    " [::]:443, not \"x\"\n" },
	{ WEB "listeners = x\nstrategy = blue-green\n", "t:3: listeners: there"
	    " is no [listener x]; there is none\n" },
	{ "[listener x]\n" WEB "listeners = x\nstrategy = blue-green\n",
	    "t:1: [listener x] needs address: what to listen on\n" },
	{ UNIX "strategy = canary\nsteps = x\n", "t:5: " WEIGHT("1", "x")
	    "\n" },
	{ TCP "probe_status = x\n", "t:4: probe_status: must be a status or a"
	    " range of them that goes up, such as 200 or 200-399, from 100 to"
	    " 599, not \"x\"\n" },
	{ TCP "ready = probe\nprobe = x\nprobe_body = x\n", "t:5: probe: must"
	    " be `http PATH`, `tcp` or `exec COMMAND`, not \"x\"\n" },
	{ TCP "strategy = x\npreview = [::1]:1\n", "t:4: strategy: must be"
	    " rolling, canary or blue-green, not \"x\"\n" },
	{ TCP "promotion = auto\n  manual\n", "t:5: promotion takes one line,"
	    " and an indented line continues the value above it\n" },
	{ TCP "probe = http /\nprobe_body = a\n  b\n", "t:6: probe_body takes"
	    " one line, and an indented line continues the value above it\n" },
};

static void
test_bad_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++)
		config_expect_errors(bad_texts[i].text, bad_texts[i].errors);
}

static void
test_many_steps(void **state)
{
	struct config *config;
	char *text;
	size_t size_bytes;

	(void)state;
	for (int count = STEPS_MAX; count <= STEPS_MAX + 1; count++) {
		FILE *stream = open_memstream(&text, &size_bytes);

		(void)fputs(TCP "steps =\n", stream);
		for (int i = 1; i < count; i++)
			(void)fprintf(stream, " %d.5%% 1s,\n", i);
		(void)fputs(" 100%\n", stream);
		(void)fclose(stream);
		if (count == STEPS_MAX) {
			config = config_good(text);
			assert_int_equal(config->services[0]->step_count,
			    STEPS_MAX);
			config_free(config);
		} else {
			config_expect_errors(text,
			    "t:4: steps: must have at most 32 steps\n");
		}
		free(text);
	}
	config_expect_errors(TCP "steps = 5% aaaaaaaaaabbbbbbbbbbccccccccccdddd"
	    "ddddddeeeeeeeeeeffffffffffgggggggggg\n", "t:4: steps: step 1 must"
	    " be a weight and a hold, as in " EXAMPLE ", not \"5% aaaaaaaaaabb"
	    "bbbbbbbbccccccccccddddddddddeeeeeeeeeefffffff...\"\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_bad_status),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_many_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
