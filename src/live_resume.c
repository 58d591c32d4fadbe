/*
 * The two texts, written and read; and from them an engine that goes on.
 */
#include "live_resume.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "fd.h"
#include "journal.h"
#include "ledger.h"
#include "listener_keep.h"
#include "live_parts.h"
#include "log.h"
#include "reactor.h"
#include "spawn.h"
#include "state.h"
#include "store.h"

enum { WORLD_FORMAT = 1 };

#define UNCLAIMED_DELAY_MS UINT64_C(200)
#define SUCCESSORS_WAIT_MS UINT64_C(60000)

static const char state_name[] = "supd-state", world_name[] = "supd-world";

static struct {
	struct journal state, world;
	struct state *writer;
	json_t *found;                  /* the world's text that came */
	struct state_image *image;      /* the state's */
	bool world_changed;
	bool said;                      /* that they cannot be written */
	bool awaited;                   /* all workers, to end what is unclaimed */
	struct alarm unclaimed;
} resume = { .state.fd = -1, .world.fd = -1, .world_changed = true };

/*
 * Finding
 */

/* A journal that came under this name, or none. */
static void
adopt(struct live *live, struct journal *journal, const char *name)
{
	int fd = carry_take(name), error;

	if (fd < 0)
		return;
	error = journal_adopt(journal, fd);
	if (error == 0)
		return;
	live_lose(live, name);
	log_error("%s, which the supd before has left, cannot be read: %s",
	    name, strerror(-error));
	fd_close(fd);
}

json_t *
live_parse_world(const char *text, size_t size_bytes, char *ret_text)
{
	json_error_t error;
	json_t *world = json_loadb(text, size_bytes, 0, &error);
	int format = 0;

	if (world == NULL)
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s:%d: %s",
		    world_name, error.line, error.text);
	else if (json_unpack(world, "{s:i}", "readable-from", &format) == 0 &&
	    format <= WORLD_FORMAT)
		return world;
	else
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%s: its format is "
		    "readable from version %d on, and this supd knows version "
		    "%d", world_name, format, WORLD_FORMAT);
	json_decref(world);
	return NULL;
}

void
live_free_places(struct places *places)
{
	free(places->runtime_dir);
	free(places->state_dir);
	free(places->control_group);
	*places = (struct places){ 0 };
}

bool
live_read_places(struct places *places, json_t *world)
{
	const char *runtime_dir, *state_dir, *group = NULL;

	if (json_unpack(world, "{s:{s:s, s:s, s?s}}", "supd",
	    "runtime_dir", &runtime_dir, "state_dir", &state_dir,
	    "control_group", &group) < 0 ||
	    strlen(runtime_dir) > RUNTIME_DIR_BYTES_MAX)
		return false;
	places->runtime_dir = strdup(runtime_dir);
	places->state_dir = strdup(state_dir);
	places->control_group = group != NULL ? strdup(group) : NULL;
	if (places->runtime_dir != NULL && places->state_dir != NULL)
		return true;
	live_free_places(places);
	return false;
}

static void
note_restart(struct live *live)
{
	static const char *const before[CARRY_CAUSE_COUNT] = {
		[CARRY_UPGRADE] = "upgraded from supd ",
		[CARRY_RETURN] = "back from an upgrade that failed: ",
		[CARRY_CRASH] = "crashed: ",
		[CARRY_PARENT] = "was killed or ended, and its parent started "
		    "it again",
	};

	live->restarted_s = live->world.clock_s(live);
	(void)snprintf(live->restarted_why, sizeof(live->restarted_why),
	    "%s%s", before[live->carried.cause], live->carried.detail);
}

bool
live_resume_find(struct live *live, const struct carried *carried)
{
	char why[REASON_BYTES_MAX] = "it cannot be read", *text;
	size_t size_bytes;

	live->carried = *carried;
	if (carried->cause == CARRY_START)
		return false;
	note_restart(live);
	adopt(live, &resume.state, state_name);
	adopt(live, &resume.world, world_name);
	if (resume.world.fd < 0)
		return false;
	text = journal_read(&resume.world, &size_bytes);
	if (text != NULL)
		resume.found = live_parse_world(text, size_bytes, why);
	free(text);
	if (resume.found == NULL) {
		live_lose(live, world_name);
		log_error("what the supd before has left is damaged: %s", why);
	}
	return resume.found != NULL &&
	    live_read_places(&live->places, resume.found);
}

/*
 * Going on
 */

static void
restore_listeners(struct live *live)
{
	char why[REASON_BYTES_MAX];

	if (resume.found == NULL || listener_restore(json_object_get(
	    resume.found, "listeners"), why) == 0)
		return;
	live_lose(live, "listeners");
	log_error("the listeners of the supd before cannot be made again as "
	    "they were: %s", why);
}

/* That another supd has executed this one must not change it. */
static void
restore_limit(void)
{
	struct rlimit limit;
	json_int_t soft, hard;

	spawn_files_limit(&limit);
	if (json_unpack(resume.found, "{s:{s:[I, I]}}", "supd", "files_limit",
	    &soft, &hard) < 0)
		return;
	limit.rlim_cur = (rlim_t)soft;
	if (limit.rlim_cur <= limit.rlim_max)
		spawn_set_files_limit(&limit);
}

static struct state_image *
read_state(char *ret_text)
{
	struct state_image *image = NULL;
	size_t size_bytes;
	char *text;

	(void)snprintf(ret_text, REASON_BYTES_MAX, "there is none");
	if (resume.state.fd < 0)
		return NULL;
	text = journal_read(&resume.state, &size_bytes);
	if (text != NULL)
		image = state_read(text, size_bytes, ret_text);
	free(text);
	return image;
}

void
live_resume_read(struct live *live)
{
	char why[REASON_BYTES_MAX];

	if (live->carried.cause == CARRY_START)
		return;
	resume.image = read_state(why);
	if (resume.image == NULL) {
		live_lose(live, state_name);
		log_error("the state of the supd before cannot be used: %s",
		    why);
	}
	live_leave_if_lost(live);
}

static uint32_t
count_workers(const struct engine *engine)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < engine->service_count; i++)
		count += engine->services[i]->fleet.worker_capacity -
		    fleet_count(&engine->services[i]->fleet).free;
	return count;
}

static void
restore_engine(struct live *live)
{
	if (live->carried.cause != CARRY_PARENT)
		live_restore_tasks(live, json_object_get(resume.found,
		    "tasks"));
	if (live->carried.cause != CARRY_UPGRADE)
		state_turn_was_lost(resume.image);
	state_resume(resume.image, &live->engine, &live->world);
	live_restore_store(live, json_object_get(resume.found, "store"));
	live_restore_signals(live, json_object_get(resume.found, "signals"));
	live_leave_if_lost(live);
	for (uint32_t i = 0; i < live->engine.service_count; i++)
		live_tell_ready(live, live->engine.services[i]);
	log_notice("supd %s, pid %d, goes on (%s): %u services, %u workers",
	    PACKAGE_VERSION, getpid(), live->restarted_why,
	    live->engine.service_count, count_workers(&live->engine));
}

bool
live_resume_engine(struct live *live)
{
	if (live->carried.cause == CARRY_START)
		return false;
	restore_listeners(live);
	ledger_restore(json_object_get(resume.found, "ledger"));
	if (resume.found != NULL && live->carried.cause != CARRY_PARENT)
		restore_limit();
	if (resume.image != NULL) {
		restore_engine(live);
	} else {
		log_error("the configuration is started anew over the "
		    "listeners of the supd before, and its workers are told to "
		    "end when that has come up");
		live->engine_lost = true;
	}
	json_decref(resume.found);
	resume.found = NULL;
	return !live->engine_lost;
}

/*
 * For the next one
 */

static json_t *
describe_world(const struct live *live)
{
	struct rlimit limit;

	spawn_files_limit(&limit);
	return json_pack("{s:i, s:i, s:{s:s, s:s, s:s*, s:[I, I]}, s:o, s:o, s:o,"
	    " s:o, s:o}",
	    "supd-world", WORLD_FORMAT, "readable-from", WORLD_FORMAT,
	    "supd", "runtime_dir", live->places.runtime_dir,
	    "state_dir", live->places.state_dir,
	    "control_group", live->places.control_group,
	    "files_limit", (json_int_t)limit.rlim_cur,
	    (json_int_t)limit.rlim_max, "listeners", listener_save(),
	    "tasks", live_save_tasks(), "store", store_save(),
	    "signals", live_save_signals(), "ledger", ledger_save());
}

static int
write_world(const struct live *live)
{
	json_t *world = describe_world(live);
	char *text = world != NULL ? json_dumps(world, JSON_COMPACT) : NULL;
	int error = -ENOMEM;

	if (text != NULL)
		error = journal_replace(&resume.world, text, strlen(text));
	free(text);
	json_decref(world);
	resume.world_changed = error < 0;
	return error;
}

static int
write_state(const struct live *live)
{
	struct state_text text;
	int error = state_commit(resume.writer, &live->engine, &text);

	if (error < 0 || text.size_bytes == 0)
		return error;
	error = text.anew ?
	    journal_replace(&resume.state, text.bytes, text.size_bytes) :
	    journal_append(&resume.state, text.bytes, text.size_bytes);
	if (error < 0)
		state_lost(resume.writer);
	return error;
}

/* Nothing else suffers; it is tried again with the next turn. */
static void
say(int error)
{
	if (error < 0 && !resume.said)
		log_error("the state cannot be written: %s; should supd end "
		    "now, the next one goes on from an older one",
		    strerror(-error));
	else if (error == 0 && resume.said)
		log_notice("the state is written again");
	resume.said = error < 0;
}

void
live_tell_world(const struct live *live)
{
	resume.world_changed = true;
	if (live->settled)
		say(write_world(live));
}

/* The kernel's side cannot be taken back, so it is not left to the turn's end. */
static void
on_change(void *ctx)
{
	live_tell_world(ctx);
}

void
live_world_changed(void)
{
	resume.world_changed = true;
}

static int
open_journal(struct journal *journal, const char *name)
{
	int error = journal->fd < 0 ? journal_open(journal, name) : 0;

	if (error == 0)
		carry_put(name, &journal->fd, 1, true);
	return error;
}

int
live_resume_open(struct live *live)
{
	int error = open_journal(&resume.state, state_name);

	if (error == 0)
		error = open_journal(&resume.world, world_name);
	resume.writer = state_new(PACKAGE_VERSION);
	if (error == 0 && resume.writer == NULL)
		error = -ENOMEM;
	listener_on_change(on_change, live);
	live_watch_store();
	return error;
}

/*
 * Letting go
 */

static void
end_unclaimed(void *ctx)
{
	(void)ctx;
	resume.awaited = false;
	crew_end_unclaimed();
}

/* Has everything its workers? */
static bool
is_up(const struct engine *engine)
{
	for (uint32_t i = 0; i < engine->service_count; i++) {
		const struct service *s = engine->services[i];

		if (fleet_count(&s->fleet).ready < s->policy.workers)
			return false;
	}
	return true;
}

/*
 * Unclaimed workers serve until their successors do, or for so long.  Where
 * the state was lost that is all of them, else few or none, and to look for them
 * has time until clients were answered.
 */
void
live_resume_done(struct live *live)
{
	if (live->engine_lost)
		state_was_lost(&live->engine);
	listener_restored();
	crew_clean();
	crew_take_unclaimed();
	if (live->carried.cause == CARRY_START)
		return;
	/* Should the first turn be lost, too, the next supd passes over what
	 * this one has numbered. */
	if (live->carried.cause != CARRY_UPGRADE)
		say(write_state(live));
	resume.awaited = true;
	reactor_set_alarm(&resume.unclaimed, SUCCESSORS_WAIT_MS, end_unclaimed,
	    NULL);
}

static void
end_unclaimed_when_up(const struct engine *engine)
{
	if (!resume.awaited || !is_up(engine))
		return;
	resume.awaited = false;
	reactor_set_alarm(&resume.unclaimed, UNCLAIMED_DELAY_MS, end_unclaimed,
	    NULL);
}

void
live_resume_close(void)
{
	reactor_clear_alarm(&resume.unclaimed);
	store_release();
	carry_drop(state_name);
	carry_drop(world_name);
	journal_close(&resume.state);
	journal_close(&resume.world);
	state_free(resume.writer);
}

/*
 * After each turn
 */

void
live_commit(struct live *live)
{
	int error = write_state(live);

	end_unclaimed_when_up(&live->engine);
	if (error == 0)
		live_signals_done();
	if (error == 0 && resume.world_changed)
		error = write_world(live);
	say(error);
	if (error < 0 || live->settled)
		return;
	live->settled = true;
	carry_settle();
}

char *
live_resume_text(size_t *ret_size_bytes)
{
	size_t state_bytes = 0, world_bytes = 0;
	char *state = journal_read(&resume.state, &state_bytes);
	char *world = journal_read(&resume.world, &world_bytes);
	char *text = NULL;
	int head;

	if (state != NULL && world != NULL)
		text = malloc(64 + state_bytes + world_bytes);
	if (text != NULL) {
		head = sprintf(text, "supd-resume %zu %zu\n", state_bytes,
		    world_bytes);
		memcpy(text + head, state, state_bytes);
		memcpy(text + head + state_bytes, world, world_bytes);
		*ret_size_bytes = (size_t)head + state_bytes + world_bytes;
	}
	free(state);
	free(world);
	return text;
}
