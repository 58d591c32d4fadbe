/*
 * The real world: the engine's port to processes, sockets, files and clients.
 *
 *   live_world.c   struct world: releases, workers, the ledger, the log
 *   live_port.c    struct command_port: clients, memory, queues, history
 *   live_socket.c  listeners in the loop: the broken and the crowded ones
 *   live_parent.c  what systemd or supd-init is told
 *   live_place.c   runtime_dir, if it is removed
 *   live_keep.c    handles of what outlives supd
 *   live_lost.c    what a resume could not take over
 *   live_resume.c  going on where another supd was
 *   live_upgrade.c another build of supd takes over
 *   live_store.c   the fd store: what services allow, who takes what is there
 *   live_signal.c  what signals ask for
 */
#ifndef SUPD_LIVE_H
#define SUPD_LIVE_H

#include <sys/resource.h>

#include "carry.h"
#include "command.h"
#include "world.h"

/* Where supd's own files are; cannot change as long as there is a supd. */
struct places {
	char *runtime_dir, *state_dir;
	char *control_group;            /* or NULL */
};

struct live {
	struct engine engine;
	struct command *command;
	struct world world;
	struct command_port port;
	const char *config_path;        /* absolute */
	char **argv;                    /* of the supd that comes next */
	struct places places;
	int lock_fd;                    /* in runtime_dir */
	struct carried carried;         /* why this supd runs; */
	int64_t restarted_s;            /* 0: as the first one */
	char restarted_why[128];
	bool engine_lost;               /* there was a state, and it was no use */
	const char *lost;               /* not taken over from the supd before; */
					/* NULL: nothing */
	bool begun;                     /* it has had its first turn */
	bool settled;                   /* a turn of it was committed */
};

/* Fills in world and port; `live` stays where it is. */
void live_world_init(struct live *);
void live_port_init(struct live *);

/* The engine's turn: before it the fd store learns what services there are, and
 * after it hands over what waits. */
void live_turn(struct live *);

/* A signal that was sent to supd, but for SIGCHLD: does what it asks for. */
void live_signal(struct live *, int number);
/* Before the first turn: what the supd before was sent in a turn that was lost. */
void live_hear_again(struct live *);

/* Watches the listeners from now on.  0 or -errno. */
int live_sockets_init(struct live *);

/* Without a parent, or without one that can be told, supd runs as well. */
void live_parent_init(const struct live *);
void live_parent_release(void); /* waits a moment for what is not sent yet */

/*
 * After the engine's turn.  The parent (parent.h) gets READY=1 when each service
 * has its workers ready, or has had its ready_timeout; STATUS= when something
 * changed; RELOADING=1 and READY=1 around each reading of the configuration;
 * STOPPING=1.
 */
enum parent_turn { PARENT_STAY, PARENT_LEAVE };
enum parent_turn live_parent_turn(const struct engine *);

/*
 * supd shall end, and the supd that the parent starts next go on with what runs:
 * the next turn returns PARENT_LEAVE, as soon as the parent has all that is
 * needed for that.  If there is none that keeps fds, the log says so.
 */
void live_parent_leave(void);

#endif
