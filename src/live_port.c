/*
 * What control requests ask of the outside: answers to clients, and facts that
 * only the system knows.
 */
#include "live.h"

#include "ctlsock.h"
#include "ledger.h"
#include "listener.h"
#include "live_upgrade.h"
#include "pin.h"
#include "steer.h"
#include "store.h"

static void
port_send(void *ctx, uint32_t client, const char *json, size_t size_bytes)
{
	(void)ctx;
	ctlsock_send(client, json, size_bytes);
}

static void
port_close(void *ctx, uint32_t client)
{
	(void)ctx;
	ctlsock_finish(client);
}

static int
port_queue(void *ctx, const struct shard *shard, uint32_t *ret_length,
    uint32_t *ret_limit)
{
	struct shard_queue queue;
	int error = shard_queue(shard, &queue);

	(void)ctx;
	if (error < 0)
		return error;
	*ret_length = queue.length;
	*ret_limit = queue.limit;
	return 0;
}

static void
port_describe(void *ctx, const struct shard *shard,
    struct listener_view *ret_view)
{
	struct listener *l = shard->listener;
	int strangers = listener_strangers(l);

	(void)ctx;
	*ret_view = (struct listener_view){
		.name = l->spec->name,
		.address = l->spec->address_text,
		.broken = shard->broken,
		.stranger_count = strangers > 0 ? (uint32_t)strangers : 0,
	};
}

/* That of the service's first listener; it has a label where it is TCP. */
static int
port_label(void *ctx, const struct release *release)
{
	(void)ctx;
	if (release->shard_count == 0 ||
	    !address_is_tcp(&release->shards[0]->listener->spec->address))
		return -1;
	return (int)shard_label(release->shards[0]);
}

static int
port_look(void *ctx, const struct spec *spec, struct identity *ret_identity)
{
	(void)ctx;
	return pin_look(spec, ret_identity);
}

static size_t
port_history(void *ctx, const char *service, int64_t before_s, size_t limit,
    char ***ret_lines)
{
	(void)ctx;
	return ledger_read(service, before_s, limit, ret_lines);
}

static uint32_t
port_stored(void *ctx, uint32_t service)
{
	(void)ctx;
	return store_count(service);
}

static const char *
port_ledger_error(void *ctx)
{
	(void)ctx;
	return ledger_error();
}

static const char *
port_config_path(void *ctx)
{
	const struct live *live = ctx;

	return live->config_path;
}

static const char *
port_restarted(void *ctx, int64_t *ret_time_s)
{
	const struct live *live = ctx;

	*ret_time_s = live->restarted_s;
	return live->restarted_s != 0 ? live->restarted_why : NULL;
}

static bool
port_on_trial(void *ctx)
{
	(void)ctx;
	return live_upgrade_on_trial();
}

static int
port_upgrade(void *ctx, const char *path, uint32_t client, char *ret_text)
{
	return live_upgrade(ctx, path, client, ret_text);
}

void
live_port_init(struct live *live)
{
	live->port = (struct command_port){
		.ctx = live,
		.send = port_send,
		.close = port_close,
		.queue = port_queue,
		.describe = port_describe,
		.label = port_label,
		.look = port_look,
		.history = port_history,
		.stored = port_stored,
		.ledger_error = port_ledger_error,
		.config_path = port_config_path,
		.restarted = port_restarted,
		.on_trial = port_on_trial,
		.upgrade = port_upgrade,
	};
}
