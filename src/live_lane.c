/*
 * Lanes, carried out: which shards a release holds, and how the kernel divides
 * connections among them.
 *
 * Two releases share a listener's one shard until one of them joins with a
 * shard of its own.  A preview listener has lanes like any other, but as long
 * as there is a candidate all of it is the candidate's.
 */
#include "live_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fd.h"
#include "log.h"
#include "steer.h"

/* Where most connections go: what a release shares that has no lane. */
static struct shard *
main_shard(const struct listener *l)
{
	const struct steering *steering;

	if (!address_has_lanes(&l->spec->address))
		return l->shards[0];
	steering = listener_steering(l);
	return steering->candidate != NULL &&
	    steering->weight_permille > WHOLE_PERMILLE / 2 ? steering->candidate :
	    steering->stable;
}

/* Said once, as long as it is so. */
static void
report_strangers(const struct listener *l)
{
	struct steer_state state = listener_steer_state(l);

	if (state.stranger_count != 0)
		log_error("listener %s (%s): %u socket%s of another process "
		    "(inode %" PRIu64 ", uid %u) listen%s at the same address, "
		    "and may take connections from it: `ss -lntupe` shows who",
		    l->spec->name, l->spec->address_text,
		    state.stranger_count, state.stranger_count == 1 ? "" : "s",
		    state.stranger_inode, state.stranger_uid,
		    state.stranger_count == 1 ? "s" : "");
	if (state.unsure)
		log_error("listener %s (%s): strangers came and went; weights "
		    "may go to the wrong release until the rollout has ended",
		    l->spec->name, l->spec->address_text);
}

/*
 * Holding shards
 */

static void
check_backlog(const struct shard *s)
{
	const struct listener_spec *spec = s->listener->spec;

	if (s->backlog_granted < spec->backlog)
		log_warning("listener %s: backlog %u was asked for, the kernel "
		    "granted %u (/proc/sys/net/core/somaxconn)", spec->name,
		    spec->backlog, s->backlog_granted);
}

static void
let_go(struct release *release, struct lane_end *ret_end)
{
	struct shard_end end;

	while (release->shard_count > 0) {
		shard_close(release->shards[--release->shard_count], &end);
		if (ret_end == NULL || !end.closed)
			continue;
		if (end.migrates)
			ret_end->handed_over += end.queued;
		else
			ret_end->lost += end.queued;
	}
}

void
live_unbind(struct release *release, struct lane_end *ret_end)
{
	let_go(release, ret_end);
}

struct shard *
live_bind_one(const struct listener_spec *spec, char *ret_text)
{
	const struct listener *l = listener_find(spec);
	struct shard *s;

	if (l != NULL)
		return shard_ref(main_shard(l));
	s = listener_open(spec, ret_text);
	if (s != NULL)
		check_backlog(s);
	return s;
}

int
live_bind(struct release *release, char *ret_text)
{
	const struct spec *spec = release->spec;

	for (size_t i = 0; i < spec->socket_count; i++) {
		struct shard *s = live_bind_one(&spec->sockets[i], ret_text);

		if (s == NULL) {
			let_go(release, NULL);
			return -1;
		}
		release->shards[release->shard_count++] = s;
	}
	return 0;
}

void
live_adjust(struct release *release, const struct spec *spec)
{
	int error;

	for (uint32_t i = 0; i < release->shard_count; i++) {
		struct shard *s = release->shards[i];
		struct listener *l = s->listener;

		error = listener_adjust(l, &spec->sockets[i]);
		if (error < 0)
			log_warning("listener %s: cannot take over its new "
			    "settings: %s; it serves on with the old ones",
			    l->spec->name, strerror(-error));
		else
			check_backlog(s);
	}
}

/*
 * Dividing
 */

/* All of a preview is the candidate's. */
static int
divide(struct shard *stable, struct shard *candidate, enum steer steer,
    uint32_t weight_permille, char *ret_text)
{
	struct listener *l = stable->listener;
	struct steering steering = *listener_steering(l);
	int error;

	steering.steer = steer;
	steering.stable = stable;
	steering.candidate = candidate;
	steering.weight_permille = candidate == NULL ? 0 :
	    l->spec->preview ? WHOLE_PERMILLE : weight_permille;
	error = listener_steer(l, &steering, ret_text);
	if (error == 0)
		report_strangers(l);
	return error;
}

static struct shard *
shard_at(const struct release *release, const struct listener *l)
{
	for (uint32_t i = 0; release != NULL && i < release->shard_count; i++)
		if (release->shards[i]->listener == l)
			return release->shards[i];
	return NULL;
}

static bool
has_lanes(const struct listener *l)
{
	return address_has_lanes(&l->spec->address) && l->shard_count > 1;
}

/* Best effort: what refuses now may have refused only this. */
static void
put_back(const struct split *split, const struct steering *before,
    uint32_t count)
{
	char text[REASON_BYTES_MAX];

	for (uint32_t i = 0; i < count; i++) {
		struct listener *l = split->base->shards[i]->listener;

		if (has_lanes(l))
			(void)listener_steer(l, &before[i], text);
	}
}

int
live_steer(const struct split *split, char *ret_text)
{
	struct steering before[LISTENERS_MAX];

	for (uint32_t i = 0; i < split->base->shard_count; i++) {
		struct shard *stable = split->base->shards[i];
		struct shard *candidate = shard_at(split->candidate,
		    stable->listener);

		if (!has_lanes(stable->listener))
			continue;
		before[i] = *listener_steering(stable->listener);
		if (divide(stable, candidate != stable ? candidate : NULL,
		    split->steer, split->weight_permille, ret_text) == 0)
			continue;
		put_back(split, before, i);
		return -1;
	}
	return 0;
}

/* A shard of its own beside `shared`, without weight. */
static struct shard *
join_one(struct shard *shared, char *ret_text)
{
	struct listener *l = shared->listener;
	struct shard *own = listener_join(l, ret_text);

	if (own == NULL)
		return NULL;
	check_backlog(own);
	report_strangers(l);
	if (l->spec->preview && divide(shared, own,
	    listener_steering(l)->steer, WHOLE_PERMILLE, ret_text) < 0) {
		shard_unref(own);
		return NULL;
	}
	return own;
}

int
live_join(struct release *release, char *ret_text)
{
	struct shard *own[LISTENERS_MAX] = { NULL };

	for (uint32_t i = 0; i < release->shard_count; i++) {
		struct shard *s = release->shards[i];

		if (s->reference_count == 1)
			continue;       /* it has one already */
		own[i] = join_one(s, ret_text);
		if (own[i] != NULL)
			continue;
		while (i-- > 0)
			shard_unref(own[i]);
		return -1;
	}
	for (uint32_t i = 0; i < release->shard_count; i++) {
		if (own[i] == NULL)
			continue;
		shard_unref(release->shards[i]);
		release->shards[i] = own[i];
	}
	return 0;
}

/*
 * Looking
 */

uint32_t
live_queued(const struct release *release)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < release->shard_count; i++)
		sum += shard_waiting(release->shards[i]);
	return sum;
}

/*
 * "Tcp: PassiveOpens" of this network namespace, see proc(5): two lines, one of
 * names and one of numbers.
 */
uint64_t
live_accepted(void)
{
	char text[4096], *names, *numbers, *name, *number, *rest, *more;
	long size = fd_read_file(AT_FDCWD, "/proc/self/net/snmp", text,
	    sizeof(text) - 1);

	if (size <= 0)
		return CONNECTIONS_UNKNOWN;
	text[size] = '\0';
	names = strstr(text, "\nTcp: ");
	numbers = names != NULL ? strstr(names + 1, "\nTcp: ") : NULL;
	if (numbers == NULL)
		return CONNECTIONS_UNKNOWN;
	*numbers++ = '\0';
	name = strtok_r(names + 1, " ", &rest);
	number = strtok_r(numbers, " \n", &more);
	while (name != NULL && number != NULL) {
		if (strcmp(name, "PassiveOpens") == 0)
			return strtoull(number, NULL, 10);
		name = strtok_r(NULL, " ", &rest);
		number = strtok_r(NULL, " \n", &more);
	}
	return CONNECTIONS_UNKNOWN;
}
