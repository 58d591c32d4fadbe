/*
 * libFuzzer: whatever a control client may send.
 *
 * One engine with two services runs for all inputs, over a world in which
 * everything works and nothing happens by itself, so that a message meets the
 * states that earlier ones have led to.  What must hold: no crash, no leak, and
 * a client that is gone is forgotten.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "config.h"
#include "engine.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static const char configuration[] =
    "[service web]\ncommand = /bin/web\nlisten = 127.0.0.1:80\n"
    "workers = 3\nready = notify\n"
    "[service job]\ncommand = /bin/job\n";

static struct engine engine;
static struct command *command;
static uint64_t now_ms = 1000;

static uint64_t
world_now_ms(void *ctx)
{
	(void)ctx;
	return now_ms;
}

static int64_t
world_clock_s(void *ctx)
{
	(void)ctx;
	return (int64_t)(now_ms / 1000);
}

static uint32_t
world_random(void *ctx)
{
	(void)ctx;
	return 0;
}

static struct config *
world_read_config(void *ctx, struct config_errors *errors)
{
	(void)ctx;
	return config_read_text("fuzz", configuration,
	    sizeof(configuration) - 1, errors);
}

static struct release *
world_pin(void *ctx, struct spec *spec, char *ret_text)
{
	static uint64_t build;
	struct release *release = calloc(1, sizeof(*release));

	(void)ctx;
	(void)ret_text;
	if (release == NULL)
		abort();
	release->spec = spec_ref(spec);
	release->path = strdup(spec->argv[0]);
	release->directory = strdup("/");
	release->fingerprint = ++build / 3;     /* not always a new one */
	return release;
}

static struct release *
world_clone(void *ctx, const struct release *from, char *ret_text)
{
	return world_pin(ctx, from->spec, ret_text);
}

static int
world_bind(void *ctx, struct release *release, char *ret_text)
{
	(void)ctx;
	(void)release;
	(void)ret_text;
	return 0;
}

static void
world_unbind(void *ctx, struct release *release, struct lane_end *ret_end)
{
	(void)ctx;
	(void)release;
	(void)ret_end;
}

static int
world_steer(void *ctx, const struct split *split, char *ret_text)
{
	(void)ctx;
	(void)split;
	(void)ret_text;
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
	(void)ctx;
	return now_ms;
}

static uint64_t
world_memory_bytes(void *ctx, pid_t pid)
{
	(void)ctx;
	return (uint64_t)pid;
}

static int
world_run(void *ctx, const struct task_request *request, char *ret_text)
{
	(void)ctx;
	(void)request;
	(void)ret_text;
	return 0;
}

static void
world_cancel(void *ctx, uint64_t id)
{
	(void)ctx;
	(void)id;
}

static void
world_unpin(void *ctx, struct release *release)
{
	(void)ctx;
	spec_unref(release->spec);
	free(release->path);
	free(release->directory);
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
	(void)ctx;
	(void)ret_text;
	*ret_process = &engine;
	*ret_pid = (pid_t)start->id.incarnation;
	return START_DONE;
}

static void
world_signal(void *ctx, void *process, int signal_number)
{
	(void)ctx;
	(void)process;
	(void)signal_number;
}

static void
world_kill(void *ctx, void *process, enum kill_mode mode)
{
	(void)ctx;
	(void)process;
	(void)mode;
}

static int
world_adopt(void *ctx, void *process, pid_t pid)
{
	(void)ctx;
	(void)process;
	(void)pid;
	return -EPERM;
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
	char *json = command_deployment_json(d);

	(void)ctx;
	if (json == NULL)
		abort();
	free(json);
}

static void
world_publish(void *ctx, const struct notice *notice)
{
	(void)ctx;
	command_notice(command, notice, 0);
}

static const struct world world = {
	.now_ms = world_now_ms, .clock_s = world_clock_s,
	.random = world_random, .read_config = world_read_config,
	.pin = world_pin, .clone = world_clone, .bind = world_bind,
	.unbind = world_unbind, .unpin = world_unpin,
	.adjust = world_adjust, .start = world_start,
	.signal = world_signal, .kill = world_kill, .adopt = world_adopt,
	.join = world_bind, .steer = world_steer, .queued = world_queued,
	.accepted = world_accepted, .memory_bytes = world_memory_bytes,
	.run = world_run, .cancel = world_cancel,
	.arm = world_arm, .recall = world_recall, .record = world_record,
	.publish = world_publish,
};

static void
port_send(void *ctx, uint32_t client, const char *json, size_t size_bytes)
{
	(void)ctx;
	if (client == 0 || json[size_bytes] != '\0' || json[0] != '{')
		abort();
}

static void
port_close(void *ctx, uint32_t client)
{
	(void)ctx;
	(void)client;
}

static int
port_queue(void *ctx, const struct shard *shard, uint32_t *ret_length,
    uint32_t *ret_limit)
{
	(void)ctx;
	(void)shard;
	*ret_length = *ret_limit = 0;
	return 0;
}

static int
port_label(void *ctx, const struct release *release)
{
	(void)ctx;
	(void)release;
	return -1;
}

static int
port_look(void *ctx, const struct spec *spec, struct identity *ret_identity)
{
	(void)ctx;
	(void)spec;
	(void)ret_identity;
	return -ENOENT;
}

static size_t
port_history(void *ctx, const char *service, int64_t before_s, size_t limit,
    char ***ret_lines)
{
	(void)ctx;
	(void)before_s;
	(void)service;
	(void)limit;
	*ret_lines = NULL;
	return 0;
}

static uint32_t
port_stored(void *ctx, uint32_t service)
{
	(void)ctx;
	(void)service;
	return 0;
}

static const char *
port_text(void *ctx)
{
	(void)ctx;
	return "fuzz";
}

static const char *
port_restarted(void *ctx, int64_t *ret_time_s)
{
	(void)ctx;
	*ret_time_s = 1;
	return "crashed: SIGSEGV";
}

static int
port_upgrade(void *ctx, const char *path, uint32_t client, char *ret_text)
{
	(void)ctx, (void)path, (void)client;
	(void)strcpy(ret_text, "not here");
	return -1;
}

static bool
port_on_trial(void *ctx)
{
	(void)ctx;
	return true;
}

static const struct command_port port = {
	.send = port_send, .close = port_close,
	.queue = port_queue, .look = port_look, .label = port_label,
	.history = port_history, .stored = port_stored, .ledger_error = port_text,
	.config_path = port_text, .restarted = port_restarted,
	.on_trial = port_on_trial, .upgrade = port_upgrade,
};

static void
start(void)
{
	struct config_errors errors;

	command = command_new(&engine, &port);
	engine_init(&engine, &world);
	engine_boot(&engine, world_read_config(NULL, &errors));
	config_errors_release(&errors);
	engine_turn(&engine);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	start();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	now_ms += 10;
	command_run(command, 1, (const char *)bytes, size_bytes);
	engine_turn(&engine);
	command_turn(command);
	command_gone(command, 1);
	if (engine.phase == ENGINE_RUNNING)
		return 0;
	/* Somebody shut it down: another one for those to come. */
	engine_release(&engine);
	command_free(command);
	start();
	return 0;
}
