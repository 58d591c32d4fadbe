/*
 * One service's memory: its fleet's arrays, which grow with `workers` and with
 * how many drain, and the few releases that stay pinned.
 *
 * A release is let go when nothing can need it again: it is not in charge, not
 * rolling out, has no process, and is not one that `undo` may go back to.
 */
#include "service.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Besides the one in charge, so many good releases stay for `undo`. */
enum { UNDO_DEPTH = 4 };

struct service *
service_new(struct engine *engine, struct spec *spec)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->id = ++engine->service_id_last;
	memcpy(s->name, spec->name, sizeof(s->name));
	s->spec = spec_ref(spec);
	s->workers = spec->workers;
	s->retry_at_ms = NEVER_MS;
	service_update_policy(engine, s);
	return s;
}

void
service_clear_mate(struct mate *mate)
{
	free(mate->status);
	memset(mate, 0, sizeof(*mate));
}

void
service_free(struct engine *engine, struct service *s)
{
	const struct world *world = engine->world;

	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++)
		service_clear_mate(&s->mates[i]);
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->releases[i].release != NULL)
			world->unpin(world->ctx, s->releases[i].release);
	if (s->next_release != NULL)
		world->unpin(world->ctx, s->next_release);
	spec_unref(s->spec);
	free(s->fleet.slots);
	free(s->fleet.workers);
	free(s->mates);
	free(s);
}

void
service_update_policy(struct engine *engine, struct service *s)
{
	bool none = s->stopped || s->removed || engine->phase != ENGINE_RUNNING;

	s->policy = spec_policy(s->spec, none ? 0 : s->workers);
}

static int
grow(void **array, uint32_t *capacity, uint32_t wanted, size_t size)
{
	char *more = realloc(*array, wanted * size);

	if (more == NULL)
		return -ENOMEM;
	memset(more + *capacity * size, 0, (wanted - *capacity) * size);
	*array = more;
	*capacity = wanted;
	return 0;
}

/* The fleet's records and their mates have one capacity. */
static int
grow_workers(struct service *s, uint32_t wanted)
{
	uint32_t mates = s->fleet.worker_capacity;

	if (grow((void **)&s->mates, &mates, wanted, sizeof(*s->mates)) < 0)
		return -ENOMEM;
	return grow((void **)&s->fleet.workers, &s->fleet.worker_capacity,
	    wanted, sizeof(*s->fleet.workers));
}

int
service_make_room(struct service *s)
{
	struct fleet *fleet = &s->fleet;
	uint32_t wanted;

	if (fleet->slot_capacity < s->policy.workers &&
	    grow((void **)&fleet->slots, &fleet->slot_capacity,
	    s->policy.workers, sizeof(*fleet->slots)) < 0) {
		/* The planner needs a slot per worker it plans with. */
		s->policy = spec_policy(s->spec, fleet->slot_capacity);
		return -ENOMEM;
	}
	/* Those who leave keep their records; so many more may start now. */
	wanted = s->policy.workers +
	    strategy_surge(&s->policy, &s->rollout.course);
	if (wanted > STARTS_PER_TURN_MAX)
		wanted = STARTS_PER_TURN_MAX;
	wanted += fleet->worker_capacity - fleet_count(fleet).free;
	if (fleet->worker_capacity < wanted)
		return grow_workers(s, wanted);
	return 0;
}

struct kept_release *
service_kept(struct service *s, uint32_t revision)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->releases[i].release != NULL &&
		    s->releases[i].release->revision == revision)
			return &s->releases[i];
	return NULL;
}

struct release *
service_release(struct service *s, uint32_t revision)
{
	struct kept_release *kept = service_kept(s, revision);

	return kept != NULL ? kept->release : NULL;
}

struct release *
service_stable(struct service *s)
{
	return service_release(s, s->rollout.stable);
}

static bool
is_needed(struct service *s, const struct kept_release *kept)
{
	uint32_t revision = kept->release->revision;

	return revision == s->rollout.stable ||
	    revision == s->rollout.base ||
	    revision == s->rollout.candidate ||
	    fleet_count_revision(&s->fleet, revision) != 0;
}

/* The best release to undo to that is older than `before` in preference. */
static struct kept_release *
undo_candidate(struct service *s, uint32_t before)
{
	struct kept_release *best = NULL;

	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		struct kept_release *kept = &s->releases[i];

		if (kept->release == NULL || !kept->was_in_charge ||
		    kept->quarantined || kept->release->revision >= before ||
		    kept->release->revision == s->rollout.stable)
			continue;
		if (best == NULL ||
		    kept->release->revision > best->release->revision)
			best = kept;
	}
	return best;
}

struct kept_release *
service_undo_target(struct service *s)
{
	return undo_candidate(s, UINT32_MAX);
}

static bool
is_undoable(struct service *s, const struct kept_release *kept)
{
	uint32_t before = UINT32_MAX;

	for (unsigned i = 0; i < UNDO_DEPTH; i++) {
		struct kept_release *target = undo_candidate(s, before);

		if (target == NULL)
			return false;
		if (target == kept)
			return true;
		before = target->release->revision;
	}
	return false;
}

static void
let_go(struct engine *engine, struct kept_release *kept)
{
	engine->world->unpin(engine->world->ctx, kept->release);
	memset(kept, 0, sizeof(*kept));
}

void
service_unbind(struct engine *engine, struct service *s,
    struct release *release, struct lane_end *ret_end)
{
	struct lane_end end = { 0 };

	engine->world->unbind(engine->world->ctx, release, &end);
	if (end.handed_over + end.lost != 0)
		service_say(engine, s, NOTICE_LISTENER, end.lost != 0 ?
		    NOTICE_WARNING : NOTICE_PLAIN, NULL, "the lane of revision "
		    "%u is closed: %u connections in its queue were handed "
		    "over, %u lost", release->revision, end.handed_over,
		    end.lost);
	if (ret_end == NULL)
		return;
	ret_end->handed_over += end.handed_over;
	ret_end->lost += end.lost;
}

void
service_tidy(struct engine *engine, struct service *s,
    struct lane_end *ret_end)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		struct kept_release *kept = &s->releases[i];

		if (kept->release == NULL || is_needed(s, kept))
			continue;
		service_unbind(engine, s, kept->release, ret_end);
		if (!is_undoable(s, kept))
			let_go(engine, kept);
	}
}

int
service_keep(struct engine *engine, struct service *s, struct release *release)
{
	struct kept_release *oldest = NULL;

	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++) {
		struct kept_release *kept = &s->releases[i];

		if (kept->release == NULL) {
			kept->release = release;
			return 0;
		}
		if (!is_needed(s, kept) && (oldest == NULL ||
		    kept->release->revision < oldest->release->revision))
			oldest = kept;
	}
	if (oldest == NULL)
		return -1;
	let_go(engine, oldest);
	oldest->release = release;
	return 0;
}

struct mate *
service_mate(struct service *s, const struct worker *w)
{
	assert(w >= s->fleet.workers &&
	    w < s->fleet.workers + s->fleet.worker_capacity);
	return &s->mates[w - s->fleet.workers];
}

bool
service_is_quarantined(const struct service *s, uint64_t fingerprint)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->quarantine[i].fingerprint == fingerprint)
			return true;
	return false;
}

bool
service_is_bad_build(const struct service *s, const struct identity *identity)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->quarantine[i].fingerprint != 0 &&
		    identity_equal(&s->quarantine[i].identity, identity))
			return true;
	return false;
}

void
service_set_quarantine(struct service *s, const struct release *release)
{
	if (service_is_quarantined(s, release->fingerprint))
		return;
	s->quarantine[s->quarantine_next] = (struct quarantined){
		.fingerprint = release->fingerprint,
		.identity = release->identity,
	};
	s->quarantine_next = (s->quarantine_next + 1) % RELEASES_KEPT_MAX;
}

void
service_lift_quarantine(struct service *s, uint64_t fingerprint)
{
	for (unsigned i = 0; i < RELEASES_KEPT_MAX; i++)
		if (s->quarantine[i].fingerprint == fingerprint)
			s->quarantine[i].fingerprint = 0;
}

bool
service_is_empty(const struct service *s)
{
	return fleet_count(&s->fleet).free == s->fleet.worker_capacity;
}

void
service_say(struct engine *engine, struct service *s, enum notice_type type,
    enum notice_level level, const struct worker *w, const char *format, ...)
{
	char text[REASON_BYTES_MAX];
	struct notice notice = {
		.type = type, .level = level, .service = s->name,
		.deployment = s->deployment.id, .text = text,
	};
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);    /* may be cut */
	va_end(ap);
	if (w != NULL) {
		notice.id = w->id;
		notice.revision = w->revision;
		notice.pid = service_mate(s, w)->pid;
	}
	engine->world->publish(engine->world->ctx, &notice);
}
