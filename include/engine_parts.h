/*
 * Inside the engine: what its files share.  Only engine*.c include this.
 */
#ifndef SUPD_ENGINE_PARTS_H
#define SUPD_ENGINE_PARTS_H

#include "engine.h"
#include "service.h"

struct service *engine_find_id(const struct engine *, uint32_t id);

/* A new service at the end of the list, without a release yet; NULL if there
 * is no room. */
struct service *engine_add(struct engine *, struct spec *);

/* The service had no release: this one is in charge from now on. */
void engine_first_release(struct engine *, struct service *,
    struct release *);

/* Carries a plan out; failed starts are reported to the planner. */
void engine_act(struct engine *, struct service *, const struct plan *);

/* SIGKILL, by the kill_mode of the worker's release; says so. */
void engine_kill(struct engine *, struct service *, struct worker *);

/* Fills in what is known of a deployment when it begins. */
void engine_new_deployment(struct engine *, struct service *,
    const struct release *, enum deployment_kind, struct deployment *ret);

/* A deployment ended: into the ledger, and remembered as the last one. */
void engine_record(struct engine *, struct service *, struct deployment *,
    enum rollout_verdict);

/*
 * Rolls this release out (its revision is set; ownership passes to the
 * service unless it is one of its kept ones already).  If a rollout runs, it is
 * superseded and this one waits for its end.  A stopped service takes it over
 * at once.  0, or -1 and a sentence; then the release is still the caller's.
 */
int engine_deploy(struct engine *, struct service *, struct release *,
    enum deployment_kind, struct reload_result *ret_result, char *ret_text);

/* A rollout ended: notes it, and begins the one that waits, if any. */
void engine_finish(struct engine *, struct service *, const struct action *);

/* Takes back what rolls out, and drops what waits; the service stops. */
void engine_cancel(struct engine *, struct service *);

/* "web/2 of revision 4", for sentences. */
const char *engine_worker_name(const struct service *, struct worker_id,
    uint32_t revision, char *ret_text, size_t size_bytes);

#endif
