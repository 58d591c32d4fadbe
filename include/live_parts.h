/*
 * Inside the real world: what its files share.  Only live*.c include this; what
 * each function does is said in world.h.
 */
#ifndef SUPD_LIVE_PARTS_H
#define SUPD_LIVE_PARTS_H

#include "listener.h"
#include "live.h"

/* live_lane.c */
int live_bind(struct release *, char *ret_text);
void live_unbind(struct release *, struct lane_end *ret_end);
void live_adjust(struct release *, const struct spec *);
int live_join(struct release *, char *ret_text);
int live_steer(const struct split *, char *ret_text);
uint32_t live_queued(const struct release *);
uint64_t live_accepted(void);

/* live_task.c */
int live_run(struct live *, const struct task_request *, char *ret_text);
void live_cancel(uint64_t id);

#endif
