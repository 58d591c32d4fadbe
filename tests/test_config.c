/*
 * Reading configurations: what good text becomes, files on disk, and that
 * supd.conf(5) says what the option table does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_fixture.h"
#include "config_table.h"
#include "config_value.h"

#define SERVICE "[service web]\ncommand = /bin/web\n"
#define LISTENER "[listener http]\naddress = 0.0.0.0:80\n"

static void
test_smallest(void **state)
{
	struct config *config = config_good(SERVICE "listen = 0.0.0.0:8080\n");
	const struct spec *spec = config_service(config, "web");
	const struct listener_spec *listener = config_listener(config, "web");

	(void)state;
	assert_int_equal(config->service_count, 1);
	assert_int_equal(config->listener_count, 1);
	config_expect_list(spec->argv, "</bin/web>");
	config_expect_list(spec->listeners, "<web>");
	assert_int_equal(spec->socket_count, 1);
	assert_string_equal(spec->sockets[0].address_text, "0.0.0.0:8080");
	assert_int_equal(spec->sockets[0].backlog, 4096);
	config_expect_list(spec->environment, "");
	assert_string_equal(spec->file, "t");
	assert_int_equal(spec->line, 1);
	assert_string_equal(spec->working_directory, "/");
	assert_int_equal(spec->workers, 1);
	assert_int_equal(spec->ready, READY_ALIVE);
	assert_int_equal(spec->ready_alive_ms, 1000);
	assert_int_equal(spec->drain_signal, SIGTERM);
	assert_int_equal(spec->progress_deadline_ms, 600000);
	assert_int_equal(spec->max_surge.value, 1);
	assert_null(spec->user);
	assert_int_equal(listener->address.family, ADDRESS_IPV4);
	assert_int_equal(listener->address.port, 8080);
	assert_int_equal(listener->backlog, 4096);
	assert_int_equal(listener->mode, 0666);
	assert_string_equal(config->files[0], "t");
	assert_null(config->files[1]);
	config_free(config);
}

static const char every_key[] =
	"[listener admin]\naddress = unix:/run/a b.sock\nmode = 660\n"
	"owner = root:adm\nbacklog = 128\nnonblocking = yes\n"
	"[listener v6]\naddress: [0:0::1]:443\nipv6_only = yes\n"
	"[service web]\ncommand = web 'a b' \"c\\\"\\d\" e\\ f '' x\"y\"'z'\n"
	"   --more  ; a comment\n\n  # and\n\tlast;one\n"
	"environment =\n  A=1\n  'B=2 3'\n"
	"working_directory = /srv/\"x\n"
	"environment_file = /etc/web.env\nuser = web\ngroup = 33\n"
	"listen = 127.0.0.1:80\nlisteners = v6 admin\nworkers = 4096\n"
	"ready = fd 6\nready_timeout = 5m\nwatchdog = 10s\n"
	"drain_signal = SIGQUIT\ndrain_timeout = 0s\n"
	"kill_mode = process\nrestart = on-failure\n"
	"success_exit = 1 143 INT 255\nbackoff_min = 1ms\n"
	"backoff_max = 1d\nstrategy = rolling\nmax_surge = 0\n"
	"max_unavailable = 25%\nmin_ready = 2h\n"
	"progress_deadline = 7d\non_failure = pause\n"
	"version = file /srv/VERSION\n"
	"[supd]\nruntime_dir = /run/x\nstate_dir = /var/x\n"
	"control_group = adm\n";

static void
test_every_release_key(void **state)
{
	struct config *config = config_good(every_key);
	const struct spec *spec = config_service(config, "web");

	(void)state;
	config_expect_list(spec->argv, "<web><a b><c\"\\d><e f><><xyz><--more>"
	    "<last;one>");
	config_expect_list(spec->environment, "<A=1><B=2 3>");
	assert_string_equal(spec->working_directory, "/srv/\"x");
	assert_string_equal(spec->environment_file, "/etc/web.env");
	assert_string_equal(spec->user, "web");
	assert_string_equal(spec->group, "33");
	config_expect_list(spec->listeners, "<web><v6><admin>");
	assert_int_equal(spec->socket_count, 3);
	assert_string_equal(spec->sockets[0].name, "web");
	assert_string_equal(spec->sockets[1].name, "v6");
	assert_true(spec->sockets[1].ipv6_only);
	assert_string_equal(spec->sockets[2].address.path, "/run/a b.sock");
	assert_string_equal(spec->sockets[2].owner, "root:adm");
	assert_int_equal(spec->ready, READY_FD);
	assert_int_equal(spec->ready_fd, 6);
	assert_int_equal(spec->watchdog_ms, 10000);
	assert_string_equal(spec->version_file, "/srv/VERSION");
	config_free(config);
}

static void
test_every_fleet_key(void **state)
{
	struct config *config = config_good(every_key);
	const struct spec *spec = config_service(config, "web");

	(void)state;
	assert_int_equal(spec->workers, 4096);
	assert_int_equal(spec->ready_timeout_ms, 300000);
	assert_int_equal(spec->drain_signal, SIGQUIT);
	assert_int_equal(spec->drain_timeout_ms, 0);
	assert_int_equal(spec->kill_mode, KILL_MODE_PROCESS);
	assert_int_equal(spec->restart, RESTART_ON_FAILURE);
	assert_true(exit_set_has_code(&spec->success_exit, 143));
	assert_true(exit_set_has_code(&spec->success_exit, 255));
	assert_false(exit_set_has_code(&spec->success_exit, 2));
	assert_true(exit_set_has_signal(&spec->success_exit, SIGINT));
	assert_false(exit_set_has_signal(&spec->success_exit, SIGTERM));
	assert_int_equal(spec->backoff_min_ms, 1);
	assert_int_equal(spec->backoff_max_ms, 86400000);
	assert_int_equal(spec->max_surge.value, 0);
	assert_true(spec->max_unavailable.percent);
	assert_int_equal(spec->max_unavailable.value, 25);
	assert_int_equal(spec->min_ready_ms, 7200000);
	assert_int_equal(spec->progress_deadline_ms, 604800000);
	assert_int_equal(spec->on_failure, ON_FAILURE_PAUSE);
	config_free(config);
}

static void
test_every_other_key(void **state)
{
	struct config *config = config_good(every_key);
	const struct listener_spec *admin = config_listener(config, "admin");
	const struct listener_spec *v6 = config_listener(config, "v6");

	(void)state;
	assert_string_equal(admin->address.path, "/run/a b.sock");
	assert_int_equal(admin->mode, 0660);
	assert_string_equal(admin->owner, "root:adm");
	assert_int_equal(admin->backlog, 128);
	assert_true(admin->nonblocking);
	assert_string_equal(v6->address.host, "::1");
	assert_string_equal(v6->address_text, "[0:0::1]:443");
	assert_true(v6->ipv6_only);
	assert_string_equal(config->runtime_dir, "/run/x");
	assert_string_equal(config->state_dir, "/var/x");
	assert_string_equal(config->control_group, "adm");
	config_free(config);
}

/* Each form; the port and the path are where they belong, and nothing else. */
static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		enum address_family family;
		enum address_kind kind;
		const char *host_or_path;
		const char *says;
		bool lanes, accepts, file;
	} rows[] = {
		{ "127.0.0.1:80", ADDRESS_IPV4, ADDRESS_STREAM, "127.0.0.1",
		    "TCP", true, true, false },
		{ "udp:0.0.0.0:80", ADDRESS_IPV4, ADDRESS_DATAGRAM, "0.0.0.0",
		    "UDP", true, false, false },
		{ "udp:[0::1]:80", ADDRESS_IPV6, ADDRESS_DATAGRAM, "::1",
		    "UDP", true, false, false },
		{ "unix:/run/x", ADDRESS_UNIX, ADDRESS_STREAM, "/run/x",
		    "a unix socket", false, true, true },
		{ "unix:@x", ADDRESS_UNIX, ADDRESS_STREAM, "@x",
		    "a unix socket", false, true, false },
		{ "unix-dgram:/x", ADDRESS_UNIX, ADDRESS_DATAGRAM, "/x",
		    "a unix datagram socket", false, false, true },
		{ "unix-dgram:@a/b/", ADDRESS_UNIX, ADDRESS_DATAGRAM, "@a/b/",
		    "a unix datagram socket", false, false, false },
		{ "unix-seqpacket:/x", ADDRESS_UNIX, ADDRESS_SEQPACKET, "/x",
		    "a unix seqpacket socket", false, true, true },
		{ "fifo:/x", ADDRESS_UNIX, ADDRESS_FIFO, "/x", "a FIFO", false,
		    false, true },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config;
		const struct address *address;

		(void)snprintf(text, sizeof(text), "[service web]\n"
		    "command = x\nlisten = %s\n", rows[i].text);
		config = config_good(text);
		address = &config->listeners[0].address;
		assert_int_equal(address->family, rows[i].family);
		assert_int_equal(address->kind, rows[i].kind);
		assert_int_equal(address->port, rows[i].family ==
		    ADDRESS_UNIX ? 0 : 80);
		assert_string_equal(rows[i].family == ADDRESS_UNIX ?
		    address->path : address->host, rows[i].host_or_path);
		assert_string_equal(address_kind_text(address), rows[i].says);
		assert_int_equal(address_has_lanes(address), rows[i].lanes);
		assert_int_equal(address_accepts(address), rows[i].accepts);
		assert_int_equal(address_has_file(address), rows[i].file);
		assert_int_equal(config->services[0]->lanes, rows[i].lanes);
		config_free(config);
	}
}

/* DNS has both. */
static void
test_udp_beside_tcp(void **state)
{
	struct config *config = config_good("[listener dns]\n"
	    "address = 0.0.0.0:53\n[listener dns-udp]\n"
	    "address = udp:0.0.0.0:53\n[service dns]\ncommand = x\n"
	    "listeners = dns dns-udp\nprobe = tcp\n");
	const struct spec *spec = config_service(config, "dns");

	(void)state;
	assert_true(spec->lanes);
	assert_false(address_equal(&spec->sockets[0].address,
	    &spec->sockets[1].address));
	config_free(config);
}

static void
write_file(const char *directory, const char *name, const char *text)
{
	char path[256];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	stream = fopen(path, "we");
	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

static void
remove_file(const char *directory, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	assert_int_equal(remove(path), 0);
}

static void
expect_file_error(const char *path, const char *text)
{
	struct config_errors errors;

	assert_null(config_read(path, &errors));
	assert_int_equal(errors.count, 1);
	assert_string_equal(errors.list[0].file, path);
	assert_int_equal(errors.list[0].line, 0);
	assert_string_equal(errors.list[0].text, text);
	config_errors_release(&errors);
}

static void
test_files(void **state)
{
	char directory[] = "/tmp/test_config.XXXXXX";
	char path[128], fifo[128];
	struct config_errors errors;
	struct config *config;

	(void)state;
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/main", directory);
	(void)snprintf(fifo, sizeof(fifo), "%s/conf.d", directory);
	expect_file_error(path, "cannot be opened: No such file or directory");
	expect_file_error(directory, "is not a regular file");

	assert_int_equal(mkdir(fifo, 0700), 0);
	write_file(directory, "main", SERVICE "listeners = http\n");
	write_file(directory, "conf.d/20.conf", "[service b]\ncommand = b\n");
	write_file(directory, "conf.d/10.conf", LISTENER);
	write_file(directory, "conf.d/30.conf~", "nonsense\n");
	write_file(directory, "conf.d/.40.conf", "nonsense\n");
	config = config_read(path, &errors);
	config_errors_print(&errors, stderr);
	assert_non_null(config);
	assert_int_equal(config->service_count, 2);
	assert_string_equal(config->services[1]->name, "b");
	assert_string_equal(strrchr(config->services[1]->file, '/'),
	    "/20.conf");
	assert_string_equal(strrchr(config->files[1], '/'), "/10.conf");
	assert_null(config->files[3]);
	config_free(config);

	/* Errors of all files, in their order; a FIFO must not hang us. */
	write_file(directory, "conf.d/20.conf", "[service web]\n");
	write_file(directory, "main", SERVICE "x = 1\n");
	(void)snprintf(fifo, sizeof(fifo), "%s/conf.d/50.conf", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_null(config_read(path, &errors));
	assert_int_equal(errors.count, 3);
	assert_string_equal(errors.list[0].file, path);
	assert_int_equal(errors.list[0].line, 3);
	assert_string_equal(strrchr(errors.list[1].file, '/'), "/20.conf");
	assert_non_null(strstr(errors.list[1].text, "/main:1"));
	assert_string_equal(errors.list[2].text, "is not a regular file");
	config_errors_release(&errors);

	remove_file(directory, "conf.d/50.conf");
	remove_file(directory, "conf.d/.40.conf");
	remove_file(directory, "conf.d/30.conf~");
	remove_file(directory, "conf.d/20.conf");
	remove_file(directory, "conf.d/10.conf");
	remove_file(directory, "conf.d");
	remove_file(directory, "main");
	assert_int_equal(rmdir(directory), 0);
}

/* What a text must have as a whole to be the value of a man page's entry. */
static void
expected_entry(const struct config_key *key, char *ret_text, size_t size_bytes)
{
	static const char *const scopes[] = {
		[CONFIG_RELEASE] = "Rollout.",
		[CONFIG_FLEET] = "In place.",
		[CONFIG_START] = "Restart.",
	};
	const char *own = strcmp(key->name, "runtime_dir") == 0 ?
	    "/run/supd" : strcmp(key->name, "state_dir") == 0 ?
	    "/var/lib/supd" : key->preset;
	char range[128] = "", preset[128] = "Default: none.\n";
	char min[CONFIG_DURATION_BYTES], max[CONFIG_DURATION_BYTES];

	if (strcmp(key->name, "command") == 0 ||
	    strcmp(key->name, "address") == 0)
		(void)snprintf(preset, sizeof(preset), "Required.\n");
	else if (own != NULL && own[0] != '\0')
		(void)snprintf(preset, sizeof(preset),
		    "Default:\n.Cm %s .\n", own);
	config_duration_text(key->min, min);
	config_duration_text(key->max, max);
	if (key->type == CONFIG_DURATION || key->type == CONFIG_SWITCHED)
		(void)snprintf(range, sizeof(range), "Range: %s to %s.\n", min,
		    max);
	else if (key->type == CONFIG_NUMBER)
		(void)snprintf(range, sizeof(range), "Range: %ju to %ju.\n",
		    (uintmax_t)key->min, (uintmax_t)key->max);
	else if (key->type == CONFIG_AMOUNT)
		(void)snprintf(range, sizeof(range),
		    "Range: %ju to %ju, or %d%% to 100%%.\n",
		    (uintmax_t)key->min, (uintmax_t)key->max, key->min > 0);
	else if (key->type == CONFIG_MODE)
		(void)snprintf(range, sizeof(range), "Range: %04jo to %04jo.\n",
		    (uintmax_t)key->min, (uintmax_t)key->max);
	(void)snprintf(ret_text, size_bytes, "%s%s%s\n.Pp\n", preset, range,
	    scopes[key->scope]);
}

static void
test_manual(void **state)
{
	const char *srcdir = getenv("top_srcdir");
	static char page[65536];
	char path[512];
	size_t entry_count = 0;
	FILE *stream;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/src/supd.conf.5",
	    srcdir != NULL ? srcdir : ".");
	stream = fopen(path, "re");
	assert_non_null(stream);        /* run it with top_srcdir */
	page[fread(page, 1, sizeof(page) - 1, stream)] = '\0';
	(void)fclose(stream);
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		char text[512];
		const char *section, *entry;

		(void)snprintf(text, sizeof(text), ".Sh THE SECTION %s\n",
		    config_kind_headers[key->kind]);
		section = strstr(page, text);
		assert_non_null(section);
		(void)snprintf(text, sizeof(text), "\n.It Ic %s = ", key->name);
		entry = strstr(section, text);
		if (entry == NULL)
			fail_msg("supd.conf.5 lacks %s", key->name);
		entry = strchr(entry + 1, '\n') + 1;
		expected_entry(key, text, sizeof(text));
		if (strncmp(entry, text, strlen(text)) != 0)
			fail_msg("supd.conf.5 should say of %s:\n%s", key->name,
			    text);
	}
	for (const char *p = page; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		entry_count++;
	assert_int_equal(entry_count, config_key_count);
}

static void
test_print_keys(void **state)
{
	char *printed = NULL;
	size_t size_bytes;
	FILE *stream = open_memstream(&printed, &size_bytes);

	(void)state;
	config_print_keys(stream);
	(void)fclose(stream);
	assert_non_null(strstr(printed, "supd runtime_dir\n"));
	assert_non_null(strstr(printed, "\nlistener address\n"));
	assert_non_null(strstr(printed, "\nservice version\n"));
	free(printed);
}

static void
test_default_paths(void **state)
{
	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run/user/7", 1), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", "relative", 1), 0);
	assert_int_equal(setenv("HOME", "/home/x", 1), 0);
	if (geteuid() == 0) {
		assert_string_equal(config_default_runtime_dir(), "/run/supd");
		assert_string_equal(config_default_path(),
		    "/etc/supd/supd.conf");
		assert_int_equal(seteuid(12345), 0);
	}
	assert_string_equal(config_default_runtime_dir(), "/run/user/7/supd");
	assert_string_equal(config_default_path(),
	    "/home/x/.config/supd/supd.conf");
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(strncmp(config_default_runtime_dir(), "/tmp/supd-",
	    10), 0);
	assert_int_equal(seteuid(getuid()), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_every_release_key),
		cmocka_unit_test(test_every_fleet_key),
		cmocka_unit_test(test_every_other_key),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_udp_beside_tcp),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_print_keys),
		cmocka_unit_test(test_default_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
