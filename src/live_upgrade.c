/*
 * An upgrade of supd itself: another build of it takes over this process, with
 * all that is carried (carry.h).
 *
 * The new build first reads a copy of the state in a process of its own (a dry
 * run, --check-resume); what it prints is its answer.  Then it is executed at
 * the end of a turn, when all is written down.  It has this one as
 * `supd-previous`, to go back to should it crash or fail in its first seconds,
 * which are its trial.  Who asked for it is carried across, also back, and gets
 * the verdict from the one that is in charge then.
 */
#include "live_upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash.h"
#include "ctlsock.h"
#include "fd.h"
#include "live_parts.h"
#include "live_resume.h"
#include "log.h"
#include "parent.h"
#include "reactor.h"
#include "task.h"

#define CHECK_TIMEOUT_MS UINT64_C(5000)
/* What has not failed until then is there to stay. */
#define TRIAL_MS UINT64_C(2000)
#define PARENT_PATIENCE_MS UINT64_C(500)

enum upgrade_stage { UPGRADE_NONE, UPGRADE_CHECKS, UPGRADE_EXECUTES };

static struct {
	enum upgrade_stage stage;
	uint32_t client;                /* 0: a signal asked for it */
	char path[PATH_MAX];
	char version[VERSION_BYTES_MAX];        /* of the new one */
	int program_fd;
	struct stat program;
	struct task *check;
} upgrade = { .program_fd = -1 };

/* Of this one. */
static struct {
	bool is_on;
	uint32_t client;                /* waits for the verdict; 0: nobody */
	struct alarm end;
	struct upgraded how;
} trial;

static char own_path[PATH_MAX];
static int came_fd = -1;                /* of the client of the supd before */

/*
 * The answer
 */

static void
refuse(struct live *live, const char *why)
{
	log_error("upgrade to %s: %s; nothing has changed", upgrade.path, why);
	if (upgrade.client != 0)
		command_upgrade_refused(live->command, upgrade.client, why);
	fd_clear(&upgrade.program_fd);
	upgrade.stage = UPGRADE_NONE;
}

/* Also while it is checked. */
static void
give_up(struct live *live, const char *why)
{
	if (upgrade.check != NULL)
		task_cancel(upgrade.check);
	upgrade.check = NULL;
	refuse(live, why);
}

/*
 * The dry run
 */

static void
on_checked(void *ctx, const struct task_end *end)
{
	struct live *live = ctx;
	char why[REASON_BYTES_MAX];

	upgrade.check = NULL;
	if (!end->timed_out && end->exit.number == 0 && !end->exit.by_signal &&
	    sscanf(end->output, "supd-resume: supd %63s", upgrade.version) == 1) {
		upgrade.stage = UPGRADE_EXECUTES;
		return;
	}
	if (end->timed_out)
		(void)snprintf(why, sizeof(why), "its check of the state "
		    "(--check-resume) took longer than %d s",
		    (int)(CHECK_TIMEOUT_MS / 1000));
	else
		(void)snprintf(why, sizeof(why), "it cannot go on from the "
		    "present state (--check-resume, %s %d): %.300s",
		    end->exit.by_signal ? "signal" : "exit status",
		    end->exit.number, end->output[0] != '\0' ? end->output :
		    "it has said nothing, and may be no supd");
	refuse(live, why);
}

/* A copy of the texts, from its beginning; or -1 and a sentence. */
static int
copy_state(char *ret_text)
{
	size_t size_bytes;
	char *text = live_resume_text(&size_bytes);
	int fd = memfd_create("supd-check", MFD_CLOEXEC);

	if (text == NULL || fd < 0 ||
	    pwrite(fd, text, size_bytes, 0) != (ssize_t)size_bytes) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the state cannot "
		    "be copied: %s", strerror(text == NULL ? ENOMEM : errno));
		fd_clear(&fd);
	}
	free(text);
	return fd;
}

static int
open_program(char *ret_text)
{
	upgrade.program_fd = fd_to_private(open(upgrade.path,
	    O_PATH | O_CLOEXEC));
	if (upgrade.program_fd >= 0 &&
	    fstat(upgrade.program_fd, &upgrade.program) == 0)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX, "%.300s: %s", upgrade.path,
	    strerror(errno));
	fd_clear(&upgrade.program_fd);
	return -1;
}

/* As supd itself, from the root. */
static int
start_check(struct live *live, int state_fd, char *ret_text)
{
	static char option[] = "--check-resume", root[] = "/";
	char *argv[] = { upgrade.path, option, NULL };
	struct release self = {
		.directory = root, .environment = environ,
		.directory_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.executable_fd = -1,
	};
	struct task_order order = {
		.release = &self, .argv = argv, .inherited_fd = state_fd,
		.timeout_ms = CHECK_TIMEOUT_MS,
	};

	upgrade.check = task_start(&order, on_checked, live, ret_text);
	fd_close(self.directory_fd);
	return upgrade.check != NULL ? 0 : -1;
}

static const char *
why_not(const struct live *live)
{
	if (upgrade.stage != UPGRADE_NONE)
		return "an upgrade is going on already";
	if (live->engine.phase != ENGINE_RUNNING)
		return "supd is stopping";
	if (crash_program() < 0)
		return "there is no /proc, so that there is no way back";
	return NULL;
}

int
live_upgrade(struct live *live, const char *path, uint32_t client,
    char *ret_text)
{
	const char *why = why_not(live);
	int fd, error;

	if (why != NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s", why);
		return -1;
	}
	if (path == NULL)
		path = own_path;
	if (path[0] != '/' || strlen(path) >= sizeof(upgrade.path)) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the path must be "
		    "absolute and have less than %d bytes", PATH_MAX);
		return -1;
	}
	(void)strcpy(upgrade.path, path);
	upgrade.client = client;
	if (open_program(ret_text) < 0)
		return -1;
	fd = copy_state(ret_text);
	error = fd >= 0 ? start_check(live, fd, ret_text) : -1;
	fd_close(fd);
	if (error < 0) {
		fd_clear(&upgrade.program_fd);
		return -1;
	}
	upgrade.stage = UPGRADE_CHECKS;
	log_notice("upgrade: %s checks whether it can go on from here",
	    upgrade.path);
	if (client != 0)
		command_upgrade_stage(live->command, client, "checking",
		    upgrade.path);
	return 0;
}

/*
 * The new one
 */

/* It stays. */
static void
end_trial(struct live *live)
{
	reactor_clear_alarm(&trial.end);
	trial.is_on = false;
	crash_return_to(-1);
	log_notice("upgrade: done, supd %s stays, there is no way back to the "
	    "one before any more", PACKAGE_VERSION);
	carry_drop("supd-client");
	if (trial.client != 0)
		command_upgrade_done(live->command, trial.client, &trial.how);
	trial.client = 0;
}

/* What was checked must be what is executed. */
static bool
is_same_program(void)
{
	struct stat now;

	return stat(upgrade.path, &now) == 0 &&
	    now.st_dev == upgrade.program.st_dev &&
	    now.st_ino == upgrade.program.st_ino &&
	    now.st_mtim.tv_sec == upgrade.program.st_mtim.tv_sec &&
	    now.st_mtim.tv_nsec == upgrade.program.st_mtim.tv_nsec;
}

static void
execute(struct live *live)
{
	struct carried carried = { .cause = CARRY_UPGRADE,
		.began_ms = live->world.now_ms(live) };
	int previous = crash_program(), client_fd, error;
	char why[REASON_BYTES_MAX];

	if (trial.is_on)        /* it was good enough to execute the next */
		end_trial(live);
	(void)snprintf(carried.detail, sizeof(carried.detail), "%s",
	    PACKAGE_VERSION);
	if (upgrade.client != 0)
		command_upgrade_stage(live->command, upgrade.client,
		    "executing", upgrade.path);
	client_fd = ctlsock_fd(upgrade.client);
	if (client_fd >= 0)
		carry_put("supd-client", &client_fd, 1, false);
	carry_put("supd-previous", &previous, 1, false);
	live_world_changed();   /* what tasks have said until now */
	live_commit(live);
	(void)parent_flush(PARENT_PATIENCE_MS);
	log_notice("upgrade: supd %s executes supd %s (%s)", PACKAGE_VERSION,
	    upgrade.version, upgrade.path);
	error = carry_execute(upgrade.program_fd, live->argv, &carried);
	carry_drop("supd-client");
	carry_drop("supd-previous");
	(void)snprintf(why, sizeof(why), "it cannot be executed: %s",
	    strerror(-error));
	refuse(live, why);
}

void
live_upgrade_turn(struct live *live)
{
	if (upgrade.stage == UPGRADE_NONE)
		return;
	if (live->engine.phase != ENGINE_RUNNING)
		give_up(live, "supd is stopping");
	else if (upgrade.stage == UPGRADE_CHECKS)
		return;
	else if (!is_same_program())
		refuse(live, "it was replaced while it was checked");
	else
		execute(live);
}

/*
 * After it
 */

static void
on_trial_over(void *ctx)
{
	end_trial(ctx);
}

static uint32_t
count_workers(const struct engine *engine)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < engine->service_count; i++)
		count += fleet_count(&engine->services[i]->fleet).ready;
	return count;
}

static void
begin_trial(struct live *live, uint32_t client)
{
	int client_fd = ctlsock_fd(client);

	trial.is_on = true;
	trial.client = client;
	trial.how = (struct upgraded){
		.from = live->carried.detail,
		.worker_count = count_workers(&live->engine),
		.not_answering_ms = live->world.now_ms(live) -
		    live->carried.began_ms,
	};
	log_notice("upgrade: supd %s is in charge after %d ms, and on trial for "
	    "%d s", PACKAGE_VERSION, (int)trial.how.not_answering_ms,
	    (int)(TRIAL_MS / 1000));
	reactor_set_alarm(&trial.end, TRIAL_MS, on_trial_over, live);
	if (client_fd < 0)
		return;
	carry_put("supd-client", &client_fd, 1, false);
	command_upgrade_trial(live->command, client, &trial.how, TRIAL_MS);
}

void
live_upgrade_done(struct live *live)
{
	const struct carried *c = &live->carried;
	uint32_t client = came_fd >= 0 ? ctlsock_adopt(came_fd) : 0;

	if (c->cause == CARRY_UPGRADE)
		begin_trial(live, client);
	else if (client != 0)
		command_upgrade_failed(live->command, client, c->detail);
}

void
live_upgrade_gone(uint32_t client)
{
	if (client != trial.client)
		return;
	trial.client = 0;
	carry_drop("supd-client");
}

bool
live_upgrade_on_trial(void)
{
	return trial.is_on;
}

void
live_upgrade_release(struct live *live)
{
	if (trial.is_on)
		end_trial(live);
}

/* One that an upgrade went back to came by the same manifest, and is itself what
 * that names. */
static void
find_way_back(const struct carried *carried)
{
	int previous = carry_take("supd-previous");

	if (carried->cause == CARRY_UPGRADE)
		crash_return_to(previous);
	else
		fd_close(previous);
}

void
live_upgrade_init(const struct carried *carried)
{
	static const char deleted[] = " (deleted)";
	ssize_t size = readlink("/proc/self/exe", own_path,
	    sizeof(own_path) - 1);
	size_t tail = sizeof(deleted) - 1;

	came_fd = carry_take("supd-client");
	find_way_back(carried);
	if (size < 0)
		size = 0;
	own_path[size] = '\0';
	if ((size_t)size > tail &&
	    strcmp(own_path + (size_t)size - tail, deleted) == 0)
		own_path[(size_t)size - tail] = '\0';
}
