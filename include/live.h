/*
 * The real world: the engine's port to processes, sockets, files and clients.
 *
 *   live_world.c   struct world: releases, workers, the ledger, the log
 *   live_port.c    struct command_port: clients, memory, queues, history
 *   live_socket.c  listeners in the loop: the broken and the crowded ones
 */
#ifndef SUPD_LIVE_H
#define SUPD_LIVE_H

#include "command.h"
#include "world.h"

struct live {
	struct engine engine;
	struct command *command;
	struct world world;
	struct command_port port;
	const char *config_path;        /* absolute */
};

/* Fills in world and port; `live` stays where it is. */
void live_world_init(struct live *);
void live_port_init(struct live *);

/* Watches the listeners from now on.  0 or -errno. */
int live_sockets_init(struct live *);

#endif
