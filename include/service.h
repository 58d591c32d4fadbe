/*
 * One service's records: its releases, its fleet's memory, its name and id.
 * Used by the engine's files only.
 */
#ifndef SUPD_SERVICE_H
#define SUPD_SERVICE_H

#include "engine.h"

/* Makes one for this spec (taking a reference); NULL without memory. */
struct service *service_new(struct engine *, struct spec *);

/* Unpins its releases and frees it. */
void service_free(struct engine *, struct service *);

/* Works out `policy` from spec, workers, stopped, removed. */
void service_update_policy(struct engine *, struct service *);

/* Room for a slot per worker and for STARTS_PER_TURN_MAX starts; 0 or
 * -ENOMEM (then the planner starts what it has room for). */
int service_make_room(struct service *);

struct kept_release *service_kept(struct service *, uint32_t revision);
struct release *service_release(struct service *, uint32_t revision);
struct release *service_stable(struct service *);

/*
 * Keeps a release, whose ownership passes to the service.  Lets an unused old
 * one go if there is no room.  0, or -1 if all are in use.
 */
int service_keep(struct engine *, struct service *, struct release *);

/*
 * Lets go of releases that nothing needs: not in charge, not rolling out, no
 * workers, never to be undone to.  Those that may be undone to stay pinned, but
 * not bound: who connects where nobody accepts would wait for ever.  Adds to
 * *ret_end (NULL is fine) what waited in the lanes that this closed.
 */
void service_tidy(struct engine *, struct service *,
    struct lane_end *ret_end);

/* Closes the lane of this release, and says what waited in it; adds that to
 * *ret_end (NULL is fine). */
void service_unbind(struct engine *, struct service *, struct release *,
    struct lane_end *ret_end);

/* The release `undo` goes back to, or NULL. */
struct kept_release *service_undo_target(struct service *);

struct mate *service_mate(struct service *, const struct worker *);
void service_clear_mate(struct mate *);

bool service_is_quarantined(const struct service *, uint64_t fingerprint);
/* The same by what the file tells, for a build that is not pinned. */
bool service_is_bad_build(const struct service *, const struct identity *);
void service_set_quarantine(struct service *, const struct release *);
void service_lift_quarantine(struct service *, uint64_t fingerprint);

/* True if it has no process any more. */
bool service_is_empty(const struct service *);

/* Publishes a notice of this service; `w` may be NULL. */
void service_say(struct engine *, struct service *, enum notice_type,
    enum notice_level, const struct worker *w, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

#endif
