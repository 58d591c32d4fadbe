/*
 * supd: start-up, signals, and the loop's one turn.
 *
 * Start-up may fail and then says why and exits (1: the system, 2: usage or
 * configuration).  Once the loop runs, nothing exits but an operator's request.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "config.h"
#include "crew.h"
#include "ctlsock.h"
#include "fd.h"
#include "ledger.h"
#include "listener.h"
#include "live.h"
#include "log.h"
#include "reactor.h"
#include "spawn.h"

enum { EXIT_SYSTEM = 1, EXIT_CONFIG = 2 };

static bool child_ended;

static const char usage[] =
    "usage: supd [-c FILE] [--check]\n"
    "       supd --help | --version\n"
    "\n"
    "Keeps the services of FILE running and rolls their builds over; see\n"
    "supd(8), supd.conf(5) and supctl(1).\n"
    "\n"
    "  -c, --config FILE  instead of the default configuration\n"
    "      --check        read the configuration, say what is wrong, exit\n";

/*
 * The loop
 */

static void
on_turn(void *ctx)
{
	struct live *live = ctx;

	if (child_ended) {
		child_ended = false;
		crew_sweep();
	}
	engine_turn(&live->engine);
	command_turn(live->command);
	if (live->engine.phase == ENGINE_DONE)
		reactor_stop();
}

/* SIGHUP: reload of all; what comes of it is in the log. */
static void
reload_all(struct live *live)
{
	struct reload request = { .service_count = 0 };
	struct reload_results results;
	struct config_errors errors;
	char text[REASON_BYTES_MAX];

	if (engine_reload(&live->engine, &request, &results, &errors,
	    text) < 0)
		log_error("reload: %s", text);
	for (size_t i = 0; i < errors.count; i++)
		log_error("%s:%u: %s", errors.list[i].file,
		    errors.list[i].line, errors.list[i].text);
	config_errors_release(&errors);
}

static void
on_signal(void *ctx, int number)
{
	struct live *live = ctx;

	switch (number) {
	case SIGCHLD:
		child_ended = true;
		break;
	case SIGHUP:
		log_notice("SIGHUP: reloading");
		reload_all(live);
		break;
	case SIGTERM:
	case SIGINT:
	case SIGQUIT:
		log_notice("SIG%s: %s", sigabbrev_np(number),
		    live->engine.phase == ENGINE_RUNNING ? "stopping" :
		    "killing what still runs");
		engine_shutdown(&live->engine);
		break;
	default:
		log_notice("SIG%s means nothing to supd", sigabbrev_np(number));
	}
}

static void
on_event(void *ctx, const struct event *event)
{
	struct live *live = ctx;

	engine_event(&live->engine, event);
}

static void
on_message(void *ctx, uint32_t client, const char *bytes, size_t size_bytes)
{
	struct live *live = ctx;

	command_run(live->command, client, bytes, size_bytes);
}

static void
on_gone(void *ctx, uint32_t client)
{
	struct live *live = ctx;

	command_gone(live->command, client);
}

/*
 * Start-up
 */

static void
fail(const char *what, int error)
{
	log_error("cannot %s: %s", what, strerror(error));
	exit(EXIT_SYSTEM);
}

/* 0, 1 and 2 must be something, or a listener could become standard error. */
static void
fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= 2);
	fd_close(fd);
	for (fd = 0; fd <= 2; fd++)
		(void)fcntl(fd, F_SETFD, 0);
}

static void
leave_surroundings(void)
{
	fill_standard_fds();
	/* What we inherited is not for our workers. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)umask(022);
	if (chdir("/") < 0)
		fail("change to /", errno);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		fail("become a child subreaper", errno);
}

static void
make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST) {
		log_error("cannot create the directory %s: %s", path,
		    strerror(errno));
		exit(EXIT_SYSTEM);
	}
}

/* One supd for a runtime_dir: the lock goes with the process. */
static void
take_lock(const char *runtime_dir)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/supd.lock", runtime_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fail("open the lock file in runtime_dir", errno);
	fd = fd_to_private(fd);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return;
	if (errno != EWOULDBLOCK)
		fail("lock runtime_dir", errno);
	log_error("another supd runs with runtime_dir %s (it holds supd.lock); "
	    "give this one another in [supd], or stop that one", runtime_dir);
	exit(EXIT_SYSTEM);
}

static gid_t
control_gid(const struct config *config)
{
	struct group *group;

	if (config->control_group == NULL)
		return (gid_t)-1;
	group = getgrnam(config->control_group);
	if (group == NULL) {
		log_error("control_group: there is no group %s",
		    config->control_group);
		exit(EXIT_CONFIG);
	}
	return group->gr_gid;
}

/* Everything in runtime_dir and state_dir. */
static void
open_places(struct live *live, const struct config *config)
{
	static struct ctlsock_handler handler = {
		.message = on_message, .gone = on_gone,
	};
	char path[PATH_MAX];
	int error;

	make_directory(config->runtime_dir, 0755);
	take_lock(config->runtime_dir);
	(void)snprintf(path, sizeof(path), "%s/notify", config->runtime_dir);
	make_directory(path, 0755);
	error = crew_init(path, on_event, live);
	if (error < 0)
		fail("use runtime_dir for notify sockets", -error);
	ledger_open(config->state_dir);
	if (ledger_error() != NULL)
		log_warning("ledger: %s", ledger_error());

	(void)snprintf(path, sizeof(path), "%s/control.sock",
	    config->runtime_dir);
	handler.ctx = live;
	error = ctlsock_open(path, control_gid(config), &handler);
	if (error < 0)
		fail("open control.sock in runtime_dir", -error);
}

static struct config *
read_configuration(const char *path)
{
	struct config_errors errors;
	struct config *config = config_read(path, &errors);

	if (config == NULL)
		config_errors_print(&errors, stderr);
	config_errors_release(&errors);
	return config;
}

static void
start_up(struct live *live, struct config *config)
{
	int error;

	leave_surroundings();
	error = spawn_init();
	if (error < 0)
		fail("prepare for starting workers", -error);
	error = reactor_init(on_turn, on_signal, live);
	if (error < 0)
		fail("make an event loop", -error);
	live_world_init(live);
	live_port_init(live);
	live->command = command_new(&live->engine, &live->port);
	if (live->command == NULL)
		fail("start", ENOMEM);
	open_places(live, config);
	error = live_sockets_init(live);
	if (error < 0)
		fail("watch listeners", -error);
	engine_init(&live->engine, &live->world);
	log_notice("supd %s, pid %d, configuration %s", PACKAGE_VERSION,
	    getpid(), live->config_path);
	engine_boot(&live->engine, config);
}

static void
shut_down(struct live *live)
{
	ctlsock_close();
	engine_release(&live->engine);
	command_free(live->command);
	ledger_close();
	reactor_release();
	log_notice("stopped");
}

/* The working directory changes to /, so the path must be absolute. */
static const char *
absolute(const char *path)
{
	static char resolved[PATH_MAX];

	if (path[0] == '/')
		return path;
	if (realpath(path, resolved) == NULL) {
		(void)fprintf(stderr, "supd: cannot find %s: %s\n", path,
		    strerror(errno));
		exit(EXIT_CONFIG);
	}
	return resolved;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	static struct live live;
	struct config *config;
	const char *path = config_default_path();
	bool check = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			check = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return 0;
		case 'V':
			(void)puts("supd " PACKAGE_VERSION);
			return 0;
		default:
			(void)fputs(usage, stderr);
			return EXIT_CONFIG;
		}
	}
	if (optind != argc) {
		(void)fprintf(stderr, "supd: takes no argument %s\n%s",
		    argv[optind], usage);
		return EXIT_CONFIG;
	}
	live.config_path = absolute(path);
	config = read_configuration(live.config_path);
	if (config == NULL)
		return EXIT_CONFIG;
	if (check) {
		config_free(config);
		return 0;
	}
	log_init("supd", LOG_NOTICE);
	start_up(&live, config);
	reactor_run();
	shut_down(&live);
	return 0;
}
