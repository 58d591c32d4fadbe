/*
 * The search: breadth first, so that the way to a broken invariant is as short
 * as can be.
 *
 * A visited state is kept as its hash, the state and the events it was first
 * reached from, and the state that good weather leads to.  The worlds
 * themselves are kept for two levels only; a trace is played again from the
 * beginning.  When all states are known, following the good weather from each
 * of them proves that every one comes to rest, and when.
 */
#include "explore.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_STATE UINT32_MAX

struct state {
	uint64_t hash[2];
	uint32_t parent;
	struct event events[2];         /* from there; the second: NOTHING */
	uint32_t good;                  /* where good weather leads */
	uint32_t good_ms;               /* how long that takes */
	uint32_t rest_ms;               /* how far it is from rest */
};

struct level {
	struct world *worlds;
	uint32_t *states;
	uint32_t count;
	uint32_t capacity;
};

struct search {
	const struct scenario *scenario;
	struct state *states;
	uint32_t state_count;
	uint32_t state_capacity;
	uint32_t *table;                /* of states, by hash */
	uint32_t table_size;            /* a power of two */
	struct level level, next;
	struct invariants inv;
	uint64_t transition_count;
	uint32_t longest_ms;
};

static void *
grown(void *array, uint32_t capacity, size_t size)
{
	array = reallocarray(array, capacity, size);
	if (array == NULL) {
		perror("explore");
		exit(2);
	}
	return array;
}

/*
 * The states that were seen
 */

static uint32_t *
table_entry(struct search *s, const uint64_t hash[2])
{
	uint32_t i = (uint32_t)hash[0] & (s->table_size - 1);

	while (s->table[i] != NO_STATE &&
	    memcmp(s->states[s->table[i]].hash, hash, 2 * sizeof(*hash)) != 0)
		i = (i + 1) & (s->table_size - 1);
	return &s->table[i];
}

static void
table_grow(struct search *s)
{
	s->table_size = s->table_size != 0 ? 2 * s->table_size : 1 << 12;
	s->state_capacity = s->table_size / 2;
	s->table = grown(s->table, s->table_size, sizeof(*s->table));
	s->states = grown(s->states, s->state_capacity, sizeof(*s->states));
	memset(s->table, 0xff, s->table_size * sizeof(*s->table));
	for (uint32_t i = 0; i < s->state_count; i++)
		*table_entry(s, s->states[i].hash) = i;
}

static void
level_add(struct level *level, const struct world *w, uint32_t state)
{
	if (level->count == level->capacity) {
		level->capacity = level->capacity != 0 ?
		    2 * level->capacity : 1024;
		level->worlds = grown(level->worlds, level->capacity,
		    sizeof(*level->worlds));
		level->states = grown(level->states, level->capacity,
		    sizeof(*level->states));
	}
	level->worlds[level->count] = *w;
	level->states[level->count++] = state;
}

/* The state that this world is; a new one is to be visited later. */
static uint32_t
find_or_add(struct search *s, const struct world *w, uint32_t parent,
    const struct event events[2])
{
	uint64_t hash[2];
	uint32_t *entry;

	if (s->state_count == s->state_capacity)
		table_grow(s);
	world_hash(w, s->scenario, hash);
	entry = table_entry(s, hash);
	if (*entry != NO_STATE)
		return *entry;
	*entry = s->state_count;
	s->states[s->state_count] = (struct state){
		.hash = { hash[0], hash[1] }, .parent = parent,
		.events = { events[0], events[1] },
		.good = NO_STATE, .rest_ms = NO_STATE,
	};
	level_add(&s->next, w, s->state_count);
	return s->state_count++;
}

/*
 * Traces
 */

static void
replay(struct search *s, struct world *w, const struct event events[2])
{
	for (int i = 0; i < 2 && events[i].type != EVENT_NOTHING; i++) {
		world_print_event(w, events[i]);
		world_apply(w, s->scenario, events[i]);
	}
	world_settle(w, s->scenario, true, &s->inv);
	world_sort(w);
	printf("#     at %" PRIu64 " ms: %s\n", w->now_ms,
	    rollout_phase_name(w->rollout.phase));
}

static void
replay_to(struct search *s, uint32_t state, struct world *w)
{
	uint32_t length = 0, *path;

	for (uint32_t i = state; i != NO_STATE; i = s->states[i].parent)
		length++;
	path = grown(NULL, length, sizeof(*path));
	for (uint32_t i = state, k = length; k > 0; i = s->states[i].parent)
		path[--k] = i;
	world_init(w, s->scenario);
	for (uint32_t k = 0; k < length; k++)
		replay(s, w, s->states[path[k]].events);
	free(path);
}

static bool
report(struct search *s, uint32_t state, const struct event events[2])
{
	char broken[sizeof(s->inv.broken)];
	struct world w;

	memcpy(broken, s->inv.broken, sizeof(broken));
	printf("# broken: %s\n", broken);
	if (state != NO_STATE)
		replay_to(s, state, &w);
	else
		world_init(&w, s->scenario);
	if (events != NULL)
		replay(s, &w, events);
	printf("# broken: %s\n", broken);
	return false;
}

/*
 * One state
 */

static bool
visit_next(struct search *s, struct world *w, uint32_t state,
    const struct event events[2], uint32_t *ret_next)
{
	s->transition_count++;
	if (!world_settle(w, s->scenario, false, &s->inv))
		return report(s, state, events);
	world_sort(w);
	*ret_next = find_or_add(s, w, state, events);
	return true;
}

/* Another event in the same turn, before the planner is asked. */
static bool
visit_pairs(struct search *s, const struct world *w, uint32_t state,
    struct event first)
{
	struct event choices[EVENTS_MAX];
	uint32_t next, count = world_events(w, s->scenario, choices);

	for (uint32_t i = 1; i < count; i++) {
		struct event events[2] = { first, choices[i] };
		struct world copy = *w;

		if (choices[i].type == EVENT_TIME ||
		    choices[i].type == EVENT_MILLISECOND ||
		    choices[i].type == EVENT_NOTHING ||
		    (first.type < EVENT_TIME && choices[i].type < EVENT_TIME &&
		    choices[i].index < first.index))
			continue;
		world_apply(&copy, s->scenario, choices[i]);
		if (!visit_next(s, &copy, state, events, &next))
			return false;
	}
	return true;
}

static bool
visit(struct search *s, const struct world *w, uint32_t state)
{
	struct event choices[EVENTS_MAX];
	uint32_t next, count = world_events(w, s->scenario, choices);

	if (choices[0].type == EVENT_NOTHING) {
		s->states[state].good = state;
		if (!world_is_at_rest(w, s->scenario, &s->inv))
			return report(s, state, NULL);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct event events[2] = { choices[i], { 0 } };
		struct world copy = *w;

		if (choices[i].type == EVENT_NOTHING ||
		    (i > 0 && memcmp(&choices[i], &choices[0],
		    sizeof(choices[i])) == 0))
			continue;
		world_apply(&copy, s->scenario, choices[i]);
		if (s->scenario->pairs &&
		    !visit_pairs(s, &copy, state, choices[i]))
			return false;
		if (!visit_next(s, &copy, state, events, &next))
			return false;
		if (i == 0) {
			s->states[state].good = next;
			s->states[state].good_ms =
			    (uint32_t)(copy.now_ms - w->now_ms);
		}
	}
	return true;
}

/*
 * In good weather
 */

/* All holds, a lane that has to get empty each way, a kernel that refuses. */
static uint64_t
lanes_ms_max(const struct scenario *scenario)
{
	const struct policy *policy = &scenario->policy;
	uint64_t sum_ms = policy->keep_old_ms;

	for (uint32_t i = 0; i < policy->step_count; i++)
		sum_ms += policy->steps[i].hold_ms;
	if (scenario->course.split)
		sum_ms += 2 * policy->quiet_max_ms + policy->leave_max_ms +
		    (uint64_t)scenario->fault_count * STEER_RETRY_MS;
	return sum_ms;
}

/*
 * Each slot in turn may have to wait for a backoff (a refused start waits four
 * times backoff_min), and then for min_ready; once more for the way back.
 */
static uint32_t
rest_ms_max(const struct scenario *scenario)
{
	const struct policy *policy = &scenario->policy;

	return (uint32_t)((policy->workers + 2) *
	    (policy->backoff_max_ms + policy->min_ready_ms) +
	    policy->progress_deadline_ms + lanes_ms_max(scenario));
}

static bool
comes_to_rest(struct search *s, uint32_t from)
{
	uint32_t state, length = 0;

	for (state = from; s->states[state].rest_ms == NO_STATE; length++) {
		if (s->states[state].good == state) {
			s->states[state].rest_ms = 0;
			break;
		}
		if (length > s->state_count) {
			snprintf(s->inv.broken, sizeof(s->inv.broken),
			    "rest: it goes round for ever in good weather");
			return report(s, from, NULL);
		}
		state = s->states[state].good;
	}
	/* once more, back from the end, as often as the way is long */
	while (s->states[from].rest_ms == NO_STATE) {
		for (state = from; s->states[s->states[state].good].rest_ms ==
		    NO_STATE; )
			state = s->states[state].good;
		s->states[state].rest_ms = s->states[state].good_ms +
		    s->states[s->states[state].good].rest_ms;
	}
	if (s->states[from].rest_ms > s->longest_ms)
		s->longest_ms = s->states[from].rest_ms;
	if (s->states[from].rest_ms <= rest_ms_max(s->scenario))
		return true;
	snprintf(s->inv.broken, sizeof(s->inv.broken),
	    "rest: it takes %" PRIu32 " ms in good weather, at most %" PRIu32,
	    s->states[from].rest_ms, rest_ms_max(s->scenario));
	return report(s, from, NULL);
}

static bool
search(struct search *s)
{
	struct event none[2] = { { 0 } };
	struct world w;
	struct level done;
	uint32_t first;

	world_init(&w, s->scenario);
	if (!visit_next(s, &w, NO_STATE, none, &first))
		return false;
	while (s->next.count != 0) {
		done = s->level;
		s->level = s->next;
		s->next = done;
		s->next.count = 0;
		for (uint32_t i = 0; i < s->level.count; i++)
			if (!visit(s, &s->level.worlds[i], s->level.states[i]))
				return false;
	}
	for (uint32_t i = 0; i < s->state_count; i++)
		if (!comes_to_rest(s, i))
			return false;
	return true;
}

bool
search_run(const struct scenario *scenario, struct totals *ret_totals)
{
	struct search s = { .scenario = scenario };
	bool good;

	table_grow(&s);
	good = search(&s);
	*ret_totals = (struct totals){
		.state_count = s.state_count,
		.transition_count = s.transition_count,
		.longest_ms = s.longest_ms,
	};
	free(s.states);
	free(s.table);
	free(s.level.worlds);
	free(s.level.states);
	free(s.next.worlds);
	free(s.next.states);
	return good;
}
