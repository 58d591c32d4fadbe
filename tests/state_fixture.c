/*
 * A world without a world.  What it keeps of a release is its number, of a
 * worker its process's.
 */
#include "state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_parts.h"

static uint64_t
world_now_ms(void *ctx)
{
	return ((struct stage *)ctx)->now_ms;
}

static int64_t
world_clock_s(void *ctx)
{
	return (int64_t)(((struct stage *)ctx)->now_ms / 1000 + 1700000000);
}

static uint32_t
world_random(void *ctx)
{
	(void)ctx;
	return 7;
}

static struct config *
world_read_config(void *ctx, struct config_errors *errors)
{
	const struct stage *stage = ctx;

	return config_read_text("supd.conf", stage->config,
	    strlen(stage->config), errors);
}

static struct release *
make_release(struct stage *stage, struct spec *spec)
{
	struct release *release = calloc(1, sizeof(*release));

	assert_non_null(release);
	release->spec = spec_ref(spec);
	release->path = strdup(spec->argv[0]);
	release->directory = strdup(spec->working_directory);
	release->environment = calloc(2, sizeof(char *));
	release->environment[0] = strdup("A=\xff=b");
	release->credentials = (struct credentials){ .uid = 5, .gid = 6,
		.groups = calloc(2, sizeof(gid_t)), .group_count = 2 };
	release->credentials.groups[1] = 77;
	release->executable_fd = release->directory_fd = -1;
	release->identity.inode = stage->pin_count += !stage->same_build;
	release->fingerprint = UINT64_MAX - stage->pin_count;
	release->identity.build_id[0] = 0xab;
	release->identity.build_id_bytes = 1;
	return release;
}

static struct release *
world_pin(void *ctx, struct spec *spec, char *ret_text)
{
	(void)ret_text;
	return make_release(ctx, spec);
}

static struct release *
world_clone(void *ctx, const struct release *release, char *ret_text)
{
	(void)ret_text;
	return make_release(ctx, release->spec);
}

static int
world_bind(void *ctx, struct release *release, char *ret_text)
{
	(void)ret_text;
	release->shards[0] = ctx;
	release->shard_count = 1;
	return 0;
}

static int
world_join(void *ctx, struct release *release, char *ret_text)
{
	(void)ctx;
	(void)ret_text;
	release->shards[0] = (struct shard *)(void *)release;
	return 0;
}

static int
world_steer(void *ctx, const struct split *split, char *ret_text)
{
	struct stage *stage = ctx;

	(void)ret_text;
	stage->steer_count++;
	stage->steered_permille = split->weight_permille;
	return 0;
}

static uint32_t
world_queued(void *ctx, const struct release *release)
{
	(void)ctx;
	(void)release;
	return 0;
}

static uint64_t
world_accepted(void *ctx)
{
	return ((struct stage *)ctx)->now_ms;
}

static void
world_unbind(void *ctx, struct release *release, struct lane_end *ret_end)
{
	(void)ctx;
	(void)ret_end;
	release->shard_count = 0;
}

static void
world_unpin(void *ctx, struct release *release)
{
	(void)ctx;
	for (char **variable = release->environment; *variable != NULL;
	    variable++)
		free(*variable);
	free(release->environment);
	free(release->credentials.groups);
	free(release->path);
	free(release->directory);
	spec_unref(release->spec);
	free(release);
}

static void
world_adjust(void *ctx, struct release *release, const struct spec *spec)
{
	(void)ctx;
	(void)release;
	(void)spec;
}

static enum start_result
world_start(void *ctx, const struct start *start, void **ret_process,
    pid_t *ret_pid, char *ret_text)
{
	struct stage *stage = ctx;

	(void)ret_text;
	(void)start;
	stage->process_count++;
	*ret_pid = (pid_t)(1000 + stage->process_count);
	*ret_process = (void *)(uintptr_t)*ret_pid;
	return START_DONE;
}

static void
world_signal(void *ctx, void *process, int signal_number)
{
	(void)ctx;
	(void)signal_number;
	assert_non_null(process);
}

static void
world_kill(void *ctx, void *process, enum kill_mode mode)
{
	(void)ctx;
	(void)mode;
	assert_non_null(process);
}

static int
world_adopt(void *ctx, void *process, pid_t pid)
{
	(void)process;
	((struct stage *)ctx)->adopted = pid;
	return 0;
}

static uint64_t
world_memory_bytes(void *ctx, pid_t pid)
{
	(void)ctx;
	(void)pid;
	return 1 << 20;
}

static int
world_run(void *ctx, const struct task_request *request, char *ret_text)
{
	struct stage *stage = ctx;

	(void)ret_text;
	stage->last_task = request->id;
	stage->last_kind = request->kind;
	return 0;
}

static void
world_cancel(void *ctx, uint64_t id)
{
	(void)ctx;
	(void)id;
}

static void
world_keep_worker(void *ctx, const void *process, char *ret_handle)
{
	const struct stage *stage = ctx;

	(void)snprintf(ret_handle, HANDLE_BYTES_MAX, "process-%u by way of %d",
	    (unsigned)(uintptr_t)process, stage->adopted);
}

static void
world_keep_release(void *ctx, const struct release *release, char *ret_handle)
{
	(void)ctx;
	(void)snprintf(ret_handle, HANDLE_BYTES_MAX, "pin-%u shard-%u",
	    (unsigned)release->identity.inode, release->shard_count);
}

static void *
world_restore_worker(void *ctx, uint32_t service, const struct worker *w,
    pid_t pid, const char *handle)
{
	struct stage *stage = ctx;
	unsigned number;

	(void)service;
	(void)pid;
	if (w->id.incarnation == stage->lost_worker ||
	    sscanf(handle, "process-%u by way of %d", &number,
	    &stage->adopted) < 1)
		return NULL;
	return (void *)(uintptr_t)number;
}

static int
world_restore_release(void *ctx, struct release *release, const char *handle,
    char *ret_text)
{
	struct stage *stage = ctx;
	unsigned pin = 0, shard = 0;

	(void)sscanf(handle, "pin-%u shard-%u", &pin, &shard);
	release->shard_count = shard != 0;
	release->shards[0] = (struct shard *)(void *)release;
	if (release->revision != stage->lost_revision)
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX, "fd pin-%u is missing", pin);
	return -1;
}

static bool
world_has_task(void *ctx, uint64_t id)
{
	(void)id;
	return ((struct stage *)ctx)->keeps_tasks;
}

static void
world_arm(void *ctx, uint64_t deadline_ms)
{
	(void)ctx;
	(void)deadline_ms;
}

static struct past
world_recall(void *ctx, const char *service)
{
	(void)ctx;
	(void)service;
	return (struct past){ 0 };
}

static void
world_record(void *ctx, const struct deployment *d)
{
	(void)ctx;
	(void)d;
}

static void
world_publish(void *ctx, const struct notice *notice)
{
	struct stage *stage = ctx;
	size_t used = strlen(stage->said);

	(void)snprintf(stage->said + used, sizeof(stage->said) - used,
	    "%s\n", notice->text);
}

static void
set_world(struct stage *stage)
{
	stage->world = (struct world){
		.ctx = stage,
		.now_ms = world_now_ms, .clock_s = world_clock_s,
		.random = world_random, .read_config = world_read_config,
		.pin = world_pin, .clone = world_clone, .bind = world_bind,
		.join = world_join, .steer = world_steer,
		.queued = world_queued, .accepted = world_accepted,
		.unbind = world_unbind, .unpin = world_unpin,
		.adjust = world_adjust, .start = world_start,
		.signal = world_signal, .kill = world_kill,
		.adopt = world_adopt, .memory_bytes = world_memory_bytes,
		.run = world_run, .cancel = world_cancel,
		.keep_worker = world_keep_worker,
		.keep_release = world_keep_release,
		.restore_worker = world_restore_worker,
		.restore_release = world_restore_release,
		.has_task = world_has_task, .arm = world_arm,
		.recall = world_recall, .record = world_record,
		.publish = world_publish,
	};
}

/*
 * The stage
 */

void
stage_boot(struct stage *stage, const char *config)
{
	struct config_errors errors;

	memset(stage, 0, sizeof(*stage));
	set_world(stage);
	stage->now_ms = 100000;
	stage->config = config;
	stage->keeps_tasks = true;
	stage->state = state_new("test");
	assert_non_null(stage->state);
	engine_init(&stage->engine, &stage->world);
	engine_boot(&stage->engine, world_read_config(stage, &errors));
	stage_turn(stage, 0);
}

void
stage_release(struct stage *stage)
{
	engine_release(&stage->engine);
	state_free(stage->state);
	free(stage->log);
}

static void
write_state(struct stage *stage)
{
	struct state_text text;

	assert_int_equal(state_commit(stage->state, &stage->engine, &text), 0);
	stage->log_bytes = text.anew ? 0 : stage->log_bytes;
	stage->anew = text.anew;
	stage->last_bytes = text.size_bytes;
	stage->log = realloc(stage->log, stage->log_bytes + text.size_bytes + 1);
	assert_non_null(stage->log);
	if (text.size_bytes > 0)
		memcpy(stage->log + stage->log_bytes, text.bytes,
		    text.size_bytes);
	stage->log_bytes += text.size_bytes;
	stage->log[stage->log_bytes] = '\0';
}

void
stage_turn(struct stage *stage, uint64_t ms)
{
	stage->said[0] = '\0';
	stage->now_ms += ms;
	engine_turn(&stage->engine);
	write_state(stage);
}

static void
make_ready(struct stage *stage, const struct service *s)
{
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];
		struct event event = { .type = EVENT_READY, .service = s->id,
			.id = w->id };

		if (w->state == WORKER_STARTING)
			engine_event(&stage->engine, &event);
	}
}

void
stage_make_ready(struct stage *stage)
{
	for (uint32_t i = 0; i < stage->engine.service_count; i++)
		make_ready(stage, stage->engine.services[i]);
	stage_turn(stage, 10);
}

void
stage_reload(struct stage *stage, const char *config)
{
	static struct reload_results results;
	struct reload reload = { .flags = 0 };
	struct config_errors errors;
	char why[REASON_BYTES_MAX] = "";

	stage->config = config;
	if (engine_reload(&stage->engine, &reload, &results, &errors,
	    why) < 0)
		fail_msg("%s", why);
	stage_turn(stage, 10);
}

void
stage_end_task(struct stage *stage, int status)
{
	struct task_result result = { .id = stage->last_task,
		.service = stage->engine.services[0]->id,
		.kind = stage->last_kind, .exit = { .number = status },
		.output = "1.0\n", .duration_ms = 12 };

	engine_task_ended(&stage->engine, &result);
	stage_turn(stage, 10);
}

const char *
stage_read(struct stage *stage, const char *bytes, size_t size_bytes)
{
	static char why[REASON_BYTES_MAX];
	struct state_image *image = state_read(bytes, size_bytes, why);

	if (image == NULL)
		return why;
	stage->said[0] = '\0';
	state_forget(&stage->engine);
	state_resume(image, &stage->engine, &stage->world);
	state_lost(stage->state);
	return NULL;
}

void
stage_restart(struct stage *stage)
{
	const char *why = stage_read(stage, stage->log, stage->log_bytes);

	if (why != NULL)
		fail_msg("%s", why);
}

struct service *
stage_web(const struct stage *stage)
{
	struct service *s = engine_find(&stage->engine, "web");

	assert_non_null(s);
	return s;
}

char *
stage_text(const struct stage *stage)
{
	struct state *state = state_new("test");
	struct state_text text;
	char *copy;

	assert_non_null(state);
	assert_int_equal(state_commit(state, &stage->engine, &text), 0);
	assert_true(text.anew);
	copy = strndup(text.bytes, text.size_bytes);
	state_free(state);
	return copy;
}

char *
read_test_file(const char *name)
{
	const char *top = getenv("top_srcdir");
	char path[512], *text = calloc(1, 1 << 18);
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/tests/%s",
	    top != NULL ? top : "..", name);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 18) - 1, file) > 0);
	assert_int_equal(fclose(file), 0);
	return text;
}
