/*
 * Inside the planner: what the parts of one tick share.  Only rollout*.c
 * include this.
 *
 *   rollout.c         the order of a tick; how workers end
 *   rollout_verb.c    what operators, probes and analyses say
 *   rollout_cursor.c  where the rollout stands: phases, steps
 *   rollout_finish.c  when and how it has ended
 *   rollout_fleet.c   who starts, who is handed over, who goes
 *   rollout_lane.c    which lane gets how much; when one may be emptied
 */
#ifndef SUPD_ROLLOUT_TICK_H
#define SUPD_ROLLOUT_TICK_H

#include "rollout.h"

struct tick {
	struct rollout *rollout;
	struct fleet *fleet;
	const struct policy *policy;
	struct plan *plan;
	struct fleet_count count;       /* kept up to date by each action */
	uint32_t available;             /* ready, candidates for min_ready, */
	uint32_t ready;                 /* ready; of those who count */
	uint32_t floor;                 /* of ready workers */
	uint32_t ceiling;               /* of live ones */
	uint32_t start_count;
	bool crowded;                   /* cursor_is_crowded() */
	bool steered;                   /* by this plan; it may be refused */
	uint32_t random;
	uint64_t now_ms;
};

/* Tick again at the latest then. */
void tick_wake_at(struct tick *, uint64_t when_ms);

/* The next action to fill in, or NULL if the plan is full. */
struct action *tick_emit(struct tick *, enum action_type);

/* Do the candidates of the present step take over?  Also in a pause, unless it
 * is for a fault: what stands still are the steps. */
bool tick_takes_over(const struct tick *);

/* Has this release a worker that takes or will take work? */
bool tick_has_live(const struct tick *, uint32_t revision);

/* Ready, and a candidate that is to take over for min_ready.  NULL is not. */
bool tick_is_available(const struct tick *, const struct worker *);

/*
 * The place this worker fills or filled, or NULL if it has none any more; one
 * of the candidate's release that is older than the rollout has none.
 */
struct place *rollout_place(struct rollout *, struct fleet *,
    const struct worker *);

/* Who filled this place failed or exited, and not because we wanted it to. */
void rollout_place_ended(struct place *, const struct policy *, bool clean,
    uint64_t lived_ms, uint32_t random, uint64_t now_ms);

/* Notes a candidate's failure; the first one of this rollout counts. */
void rollout_blame(struct rollout *, const struct worker *,
    enum rollout_fault);

/* rollout_cursor.c */
void cursor_watch_progress(struct tick *);
void cursor_check_progress(struct tick *);
void cursor_follow_phase(struct tick *);
void cursor_climb(struct tick *);
/* rollout_is_probed(), and true where there are no probes.  NULL is not. */
bool cursor_is_probed(const struct tick *, const struct worker *);
bool cursor_is_last(const struct tick *);
/* Are there as many releases as may be, besides the two of the rollout, and does
 * one of them leave?  Then it is waited for. */
bool cursor_is_crowded(const struct tick *);

/* rollout_finish.c */
void cursor_finish(struct tick *);

/* rollout_fleet.c */
/* Who fills which place, how many are there; again in another phase. */
void fleet_tick_index(struct tick *);
void fleet_tick_expire(struct tick *);
void fleet_tick_start(struct tick *);
void fleet_tick_hand_over(struct tick *);
void fleet_tick_release(struct tick *);
/* Would the floor hold without this live worker? */
bool fleet_tick_can_spare(const struct tick *, const struct worker *);

/* rollout_lane.c */
void lane_tick_steer(struct tick *);
/* Ready workers of the lane of this revision. */
uint32_t lane_ready_count(const struct tick *, uint32_t lane);
/* Does nobody rely on this worker for the connections of its lane? */
bool lane_may_leave(struct tick *, const struct worker *);

#endif
