/*
 * What control requests ask of the outside: answers to clients, and facts that
 * only the system knows.
 */
#include "live.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctlsock.h"
#include "fd.h"
#include "ledger.h"
#include "listener.h"
#include "pin.h"

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

/* Resident memory: the second number of /proc/PID/statm, in pages. */
static uint64_t
port_memory_bytes(void *ctx, pid_t pid)
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
port_describe(void *ctx, const struct shard *shard, const char **ret_name,
    const char **ret_address, bool *ret_broken)
{
	(void)ctx;
	*ret_name = shard->listener->spec->name;
	*ret_address = shard->listener->spec->address_text;
	*ret_broken = shard->broken;
}

static int
port_look(void *ctx, const struct spec *spec, struct identity *ret_identity)
{
	(void)ctx;
	return pin_look(spec, ret_identity);
}

static size_t
port_history(void *ctx, const char *service, size_t limit, char ***ret_lines)
{
	(void)ctx;
	return ledger_read(service, limit, ret_lines);
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

void
live_port_init(struct live *live)
{
	live->port = (struct command_port){
		.ctx = live,
		.send = port_send,
		.close = port_close,
		.memory_bytes = port_memory_bytes,
		.queue = port_queue,
		.describe = port_describe,
		.look = port_look,
		.history = port_history,
		.ledger_error = port_ledger_error,
		.config_path = port_config_path,
	};
}
