/*
 * The engine's requests, carried out.  Each is a line or two over the module
 * that does it.
 */
#include "live_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "crew.h"
#include "fd.h"
#include "ledger.h"
#include "log.h"
#include "pin.h"
#include "reactor.h"
#include "steer.h"

static uint64_t
world_now_ms(void *ctx)
{
	(void)ctx;
	return reactor_now_ms();
}

static int64_t
world_clock_s(void *ctx)
{
	(void)ctx;
	return time(NULL);
}

/* Jitter needs no more than spread: xorshift, seeded once. */
static uint32_t
world_random(void *ctx)
{
	static uint32_t state;

	(void)ctx;
	if (state == 0 && getrandom(&state, sizeof(state), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(state))
		state = (uint32_t)time(NULL);
	state |= state == 0;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static struct config *
world_read_config(void *ctx, struct config_errors *errors)
{
	const struct live *live = ctx;

	live_parent_reloading();
	return config_read(live->config_path, errors);
}

static struct release *
world_pin(void *ctx, struct spec *spec, char *ret_text)
{
	(void)ctx;
	return pin_release(spec, ret_text);
}

static struct release *
world_clone(void *ctx, const struct release *release, char *ret_text)
{
	struct release *clone = pin_clone(release, ret_text);

	(void)ctx;
	if (clone == NULL)
		return NULL;
	clone->shard_count = release->shard_count;
	for (uint32_t i = 0; i < release->shard_count; i++)
		clone->shards[i] = shard_ref(release->shards[i]);
	return clone;
}

static int
world_bind(void *ctx, struct release *release, char *ret_text)
{
	(void)ctx;
	return live_bind(release, ret_text);
}

static int
world_join(void *ctx, struct release *release, char *ret_text)
{
	(void)ctx;
	return live_join(release, ret_text);
}

static int
world_steer(void *ctx, const struct split *split, char *ret_text)
{
	(void)ctx;
	return live_steer(split, ret_text);
}

static uint32_t
world_queued(void *ctx, const struct release *release)
{
	(void)ctx;
	return live_queued(release);
}

static bool
world_migrates(void *ctx)
{
	(void)ctx;
	return listener_migrates();
}

static uint64_t
world_accepted(void *ctx)
{
	(void)ctx;
	return live_accepted();
}

static void
world_unbind(void *ctx, struct release *release, struct lane_end *ret_end)
{
	(void)ctx;
	live_unbind(release, ret_end);
}

static void
world_unpin(void *ctx, struct release *release)
{
	(void)ctx;
	live_unbind(release, NULL);
	pin_release_free(release);
}

static void
world_adjust(void *ctx, struct release *release, const struct spec *spec)
{
	(void)ctx;
	live_adjust(release, spec);
}

/* Resident memory: the second number of /proc/PID/statm, in pages. */
static uint64_t
world_memory_bytes(void *ctx, pid_t pid)
{
	char path[64], text[128], *end;
	long size;

	(void)ctx;
	if (pid <= 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	size = fd_read_file(AT_FDCWD, path, text, sizeof(text) - 1);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	(void)strtoull(text, &end, 10);
	return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int
world_run(void *ctx, const struct task_request *request, char *ret_text)
{
	return live_run(ctx, request, ret_text);
}

static void
world_cancel(void *ctx, uint64_t id)
{
	(void)ctx;
	live_cancel(id);
}

static enum start_result
world_start(void *ctx, const struct start *start, void **ret_process,
    pid_t *ret_pid, char *ret_text)
{
	struct member *member;
	enum start_result result = crew_start(start, &member, ret_pid,
	    ret_text);

	if (result != START_DONE && live_restore_places(ctx))
		result = crew_start(start, &member, ret_pid, ret_text);
	if (result == START_DONE)
		*ret_process = member;
	return result;
}

static void
world_signal(void *ctx, void *process, int signal_number)
{
	(void)ctx;
	crew_signal(process, signal_number);
}

static void
world_kill(void *ctx, void *process, enum kill_mode mode)
{
	(void)ctx;
	crew_kill(process, mode);
}

static int
world_adopt(void *ctx, void *process, pid_t pid)
{
	(void)ctx;
	return crew_adopt(process, pid);
}

static void
world_keep_worker(void *ctx, const void *process, char *ret_handle)
{
	(void)ctx;
	crew_handle(process, ret_handle);
}

static void
world_keep_release(void *ctx, const struct release *release, char *ret_handle)
{
	(void)ctx;
	live_keep_release(release, ret_handle);
}

static void *
world_restore_worker(void *ctx, uint32_t service, const struct worker *w,
    pid_t pid, const char *handle)
{
	struct live *live = ctx;
	struct member *process = crew_restore(service, w->id, pid, handle);

	if (process == NULL)
		live_lose(live, "a worker");
	return process;
}

static int
world_restore_release(void *ctx, struct release *release, const char *handle,
    char *ret_text)
{
	return live_restore_release(ctx, release, handle, ret_text);
}

static bool
world_has_task(void *ctx, uint64_t id)
{
	(void)ctx;
	return live_has_task(id);
}

static void
world_arm(void *ctx, uint64_t deadline_ms)
{
	(void)ctx;
	reactor_arm(deadline_ms);
}

static struct past
world_recall(void *ctx, const char *service)
{
	struct past past = { 0 };

	(void)ctx;
	ledger_past(service, &past.revision_last, &past.revision_good,
	    &past.fingerprint_good);
	return past;
}

/* Of one that began before supd was started anew, the supd before may have told
 * the ledger in a turn that was lost. */
static bool
is_recorded(const struct live *live, const struct deployment *d,
    const char *json)
{
	return d->started_s <= live->restarted_s && ledger_has(json);
}

static void
world_record(void *ctx, const struct deployment *d)
{
	char *json = command_deployment_json(d);
	bool waited = ledger_error() != NULL;

	if (json == NULL) {
		log_error("%s: no memory to write the rollout of revision %u "
		    "to the ledger", d->service, d->revision);
		return;
	}
	if (!is_recorded(ctx, d, json))
		ledger_append(json);
	free(json);
	if (ledger_error() != NULL)
		log_error("ledger: %s", ledger_error());
	if (waited || ledger_error() != NULL)
		live_tell_world(ctx);
}

static void
write_log(const struct notice *n)
{
	void (*log)(const char *, ...)
	    __attribute__((format(printf, 1, 2))) =
	    n->level == NOTICE_ERROR ? log_error :
	    n->level == NOTICE_WARNING ? log_warning : log_notice;

	if (n->service == NULL)
		log("%s", n->text);
	else if (n->id.incarnation == 0)
		log("%s: %s", n->service, n->text);
	else if (n->pid == 0)
		log("%s/%u: revision=%u %s", n->service, n->id.slot,
		    n->revision, n->text);
	else
		log("%s/%u: pid=%d revision=%u %s", n->service, n->id.slot,
		    n->pid, n->revision, n->text);
}

static void
world_publish(void *ctx, const struct notice *notice)
{
	const struct live *live = ctx;
	struct timespec now;

	write_log(notice);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	command_notice(live->command, notice,
	    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

void
live_world_init(struct live *live)
{
	live->world = (struct world){
		.ctx = live,
		.now_ms = world_now_ms,
		.clock_s = world_clock_s,
		.random = world_random,
		.read_config = world_read_config,
		.pin = world_pin,
		.clone = world_clone,
		.bind = world_bind,
		.join = world_join,
		.steer = world_steer,
		.queued = world_queued,
		.migrates = world_migrates,
		.accepted = world_accepted,
		.unbind = world_unbind,
		.unpin = world_unpin,
		.adjust = world_adjust,
		.start = world_start,
		.signal = world_signal,
		.kill = world_kill,
		.adopt = world_adopt,
		.memory_bytes = world_memory_bytes,
		.run = world_run,
		.cancel = world_cancel,
		.keep_worker = world_keep_worker,
		.keep_release = world_keep_release,
		.restore_worker = world_restore_worker,
		.restore_release = world_restore_release,
		.has_task = world_has_task,
		.arm = world_arm,
		.recall = world_recall,
		.record = world_record,
		.publish = world_publish,
	};
}
