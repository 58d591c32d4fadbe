/*
 * Inside the real world: what its files share.  Only live*.c include this; what
 * each function does is said in world.h.
 */
#ifndef SUPD_LIVE_PARTS_H
#define SUPD_LIVE_PARTS_H

#include <jansson.h>

#include "listener.h"
#include "live.h"
#include "task.h"

/* live_lane.c */
int live_bind(struct release *, char *ret_text);
/* A shard for one of its addresses, with a reference; or NULL and a sentence. */
struct shard *live_bind_one(const struct listener_spec *, char *ret_text);
void live_unbind(struct release *, struct lane_end *ret_end);
void live_adjust(struct release *, const struct spec *);
int live_join(struct release *, char *ret_text);
int live_steer(const struct split *, char *ret_text);
uint32_t live_queued(const struct release *);
uint64_t live_accepted(void);

/* live_task.c */
struct running {
	struct running *next;
	struct live *live;
	uint64_t id;
	uint32_t service;
	enum task_kind kind;
	struct task *task;
	struct shard *shard;            /* that is probed, a reference; or NULL */
	uint16_t port;                  /* that leads to it; 0: none */
	int port_fd;                    /* reserves it */
};

extern struct running *live_tasks;

void live_task_done(void *running, const struct task_end *);
int live_run(struct live *, const struct task_request *, char *ret_text);
void live_cancel(uint64_t id);
bool live_has_task(uint64_t id);

/* live_resume.c: of the text supd-world.  NULL and a sentence: it is damaged, or
 * of a later format.  False: it does not say where supd's files are. */
json_t *live_parse_world(const char *text, size_t size_bytes, char *ret_text);
bool live_read_places(struct places *, json_t *world);
void live_free_places(struct places *);

/* live_resume.c: something is to be written that only the turn's end tells. */
void live_world_changed(void);
/* It is written now; but for what was there before this supd's first turn. */
void live_tell_world(const struct live *);

/* live_place.c: looks whether runtime_dir was removed, and makes it anew.  True: it
 * was, and is there again. */
bool live_restore_places(struct live *);

/* live_signal.c: the turn is noted. */
void live_signals_done(void);
json_t *live_save_signals(void);
void live_restore_signals(struct live *, const json_t *);

/* live_task_keep.c */
void live_keep_task(const struct running *);
json_t *live_save_tasks(void);
void live_restore_tasks(struct live *, const json_t *);

/* live_store.c: for the supd that comes next, and from the one before. */
void live_watch_store(void);
void live_restore_store(struct live *, const json_t *);

/* live_keep.c */
/* Of workers that start or reload: what the turn that was lost may have heard. */
void live_tell_ready(struct live *, struct service *);
void live_keep_release(const struct release *, char *ret_handle);
int live_restore_release(struct live *, struct release *, const char *handle,
    char *ret_text);

/* live_parent.c: the next turn ends it. */
void live_parent_reloading(void);

/* live_lost.c */
/* This was there, and could not be taken over. */
void live_lose(struct live *, const char *what);
/* As long as somebody else could take it over: leaves it to him. */
void live_leave_if_lost(const struct live *);

#endif
