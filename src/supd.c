/*
 * supd: start-up, signals, and the loop's one turn.
 *
 * Start-up may fail and then says why and exits (1: the system, 2: usage or
 * configuration), unless it goes on where another supd was (failed_start.h).  Once
 * the loop runs, nothing exits but an operator's request.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

#include "carry.h"
#include "command.h"
#include "config.h"
#include "crash.h"
#include "crew.h"
#include "ctlsock.h"
#include "failed_start.h"
#include "fd.h"
#include "ledger.h"
#include "listener.h"
#include "live.h"
#include "live_resume.h"
#include "live_upgrade.h"
#include "log.h"
#include "reactor.h"
#include "spawn.h"
#include "supd_options.h"

enum { EXIT_SYSTEM = 1, EXIT_CONFIG = 2, EXIT_LEFT = 75 };

/* What --check-resume reads; see live_resume_check(). */
enum { CHECK_FD = 3 };

static bool child_ended;

/*
 * The loop
 */

/* The first turn is over, and clients are heard. */
static void
begin(struct live *live)
{
	live->begun = true;
	live_upgrade_done(live);
}

static void
on_turn(void *ctx)
{
	struct live *live = ctx;

	if (child_ended) {
		child_ended = false;
		crew_sweep();
	}
	live_turn(live);
	live_commit(live);      /* what clients are told of is written down */
	command_turn(live->command);
	if (!live->begun)
		begin(live);
	if (live_parent_turn(&live->engine) == PARENT_LEAVE)
		exit(EXIT_LEFT);
	live_upgrade_turn(live);
	if (live->engine.phase == ENGINE_DONE)
		reactor_stop();
}

static void
on_signal(void *ctx, int number)
{
	if (number == SIGCHLD)
		child_ended = true;
	else
		live_signal(ctx, number);
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
	live_upgrade_gone(client);
}

/*
 * Start-up
 */

static void __attribute__((noreturn))
fail(const char *what, int error)
{
	char text[64];

	log_error("cannot %s: %s", what, strerror(error));
	(void)snprintf(text, sizeof(text), "cannot %.50s", what);
	failed_start(text, EXIT_SYSTEM);
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
	/* One that was executed by its fd would have that as its name. */
	(void)prctl(PR_SET_NAME, "supd");
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
		fail("create a directory", errno);
	}
}

/* One supd for a runtime_dir: the lock goes with the process. */
static void
take_lock(struct live *live)
{
	const char *runtime_dir = live->places.runtime_dir;
	char path[PATH_MAX];
	int fd = carry_take("supd-lock");

	(void)snprintf(path, sizeof(path), "%s/supd.lock", runtime_dir);
	if (fd < 0)
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fail("open the lock file in runtime_dir", errno);
	fd = fd_to_private(fd);
	live->lock_fd = fd;
	carry_put("supd-lock", &fd, 1, false);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return;
	if (errno != EWOULDBLOCK)
		fail("lock runtime_dir", errno);
	log_error("another supd runs with runtime_dir %s (it holds supd.lock); "
	    "give this one another in [supd], or stop that one", runtime_dir);
	failed_start("another supd runs", EXIT_SYSTEM);
}

static gid_t
control_gid(const struct live *live)
{
	const char *name = live->places.control_group;
	struct group *group;

	if (name == NULL)
		return (gid_t)-1;
	group = getgrnam(name);
	if (group != NULL)
		return group->gr_gid;
	log_error("control_group: there is no group %s", name);
	if (live->carried.cause == CARRY_START)
		exit(EXIT_CONFIG);
	return (gid_t)-1;       /* root and supd's own user still may */
}

/* Everything in runtime_dir and state_dir. */
static void
open_places(struct live *live)
{
	const struct places *places = &live->places;
	static struct ctlsock_handler handler = {
		.message = on_message, .gone = on_gone,
	};
	char path[PATH_MAX];
	int error;

	make_directory(places->runtime_dir, 0755);
	take_lock(live);
	(void)snprintf(path, sizeof(path), "%s/notify", places->runtime_dir);
	make_directory(path, 0755);
	error = crew_init(path, on_event, live);
	if (error < 0)
		fail("use runtime_dir for notify sockets", -error);
	ledger_open(places->state_dir);
	if (ledger_error() != NULL)
		log_warning("ledger: %s", ledger_error());

	(void)snprintf(path, sizeof(path), "%s/control.sock",
	    places->runtime_dir);
	handler.ctx = live;
	error = ctlsock_open(path, control_gid(live), &handler);
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

/* The first one, or one that has lost the state of the one before. */
static void
boot(struct live *live, struct config *config)
{
	if (config == NULL)
		config = read_configuration(live->config_path);
	if (config == NULL)     /* only where there was a state */
		fail("go on without the configuration; workers do", EINVAL);
	engine_init(&live->engine, &live->world);
	log_notice("supd %s, pid %d, configuration %s", PACKAGE_VERSION,
	    getpid(), live->config_path);
	engine_boot(&live->engine, config);
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
	live_parent_init(live);
	live_resume_read(live);
	live_port_init(live);
	live->command = command_new(&live->engine, &live->port);
	if (live->command == NULL)
		fail("start", ENOMEM);
	open_places(live);
	error = live_sockets_init(live);
	if (error < 0)
		fail("watch listeners", -error);
	error = live_resume_open(live);
	if (error < 0)
		fail("keep the state in memory", -error);
	if (live_resume_engine(live))
		config_free(config);
	else
		boot(live, config);
	live_resume_done(live);
	live_hear_again(live);
}

static void
shut_down(struct live *live)
{
	live_upgrade_release(live);
	ctlsock_close();
	engine_release(&live->engine);
	command_free(live->command);
	ledger_close();
	live_resume_close();
	live_parent_release();
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

/* What this supd would be started with again. */
static char **
next_argv(const struct live *live)
{
	static char name[] = "supd", option[] = "-c", path[PATH_MAX];
	static char *argv[] = { name, option, path, NULL };

	(void)snprintf(path, sizeof(path), "%s", live->config_path);
	return argv;
}

/* The first one has its places from the configuration, a later one from the one
 * before. */
static struct config *
find_places(struct live *live)
{
	struct carried carried;
	struct config *config;
	int error = carry_init(&carried);

	live->argv = next_argv(live);
	failed_start_init(live->argv, &carried);
	if (error < 0)
		fail("take over from the supd before", -error);
	live_upgrade_init(&carried);
	error = crash_init(live->argv, &carried);
	if (error < 0)
		fail("prepare for a crash", -error);
	if (live_resume_find(live, &carried))
		return NULL;
	config = read_configuration(live->config_path);
	if (config == NULL)
		failed_start("there is no configuration", EXIT_CONFIG);
	live->places = (struct places){
		.runtime_dir = config->runtime_dir,
		.state_dir = config->state_dir,
		.control_group = config->control_group,
	};
	config->runtime_dir = config->state_dir = config->control_group = NULL;
	return config;
}

static int
check(const char *path)
{
	struct config *config = read_configuration(path);

	if (config == NULL)
		return EXIT_CONFIG;
	config_free(config);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct live live;
	struct supd_options options = supd_options_read(argc, argv);
	struct config *config;

	if (options.check_resume)
		return live_resume_check(CHECK_FD);
	live.config_path = absolute(options.config_path);
	if (options.check)
		return check(live.config_path);
	log_init("supd", LOG_NOTICE);
	live_world_init(&live);
	config = find_places(&live);
	start_up(&live, config);
	reactor_run();
	shut_down(&live);
	return 0;
}
