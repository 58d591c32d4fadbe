/*
 * What outlives supd, for the engine's state: handles, and what they stand for.
 *
 * That of a release is the number of its fds and those of its shards, `12 7,9`.
 */
#include "live_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "listener_keep.h"
#include "pin.h"

void
live_tell_ready(struct live *live, struct service *s)
{
	for (uint32_t i = 0; i < s->fleet.worker_capacity; i++) {
		const struct worker *w = &s->fleet.workers[i];
		struct event event = { .type = EVENT_READY, .service = s->id,
			.id = w->id };

		if ((w->state == WORKER_STARTING ||
		    w->state == WORKER_RELOADING) &&
		    s->mates[i].process != NULL &&
		    crew_said_ready(s->mates[i].process))
			engine_event(&live->engine, &event);
	}
}

void
live_keep_release(const struct release *release, char *ret_handle)
{
	size_t used = (size_t)snprintf(ret_handle, RELEASE_HANDLE_BYTES_MAX,
	    "%" PRIu32, release->pin_number);

	for (uint32_t i = 0; i < release->shard_count; i++)
		used += (size_t)snprintf(ret_handle + used,
		    RELEASE_HANDLE_BYTES_MAX - used, "%c%" PRIu32,
		    i == 0 ? ' ' : ',', release->shards[i]->number);
}

/* A shard of that number that is a socket of the release's i-th address. */
static struct shard *
find_shard(const struct release *release, size_t i, uint32_t number)
{
	const struct listener *l = listener_find(&release->spec->sockets[i]);
	struct shard *shard = listener_shard(number);

	return shard != NULL && shard->listener == l ? shard : NULL;
}

/*
 * Which of its sockets are gone was not yet known to the state: a release that
 * was let go in a turn that was lost holds none, and the others hold all.  What
 * is missing is opened as for a new one, or shared.
 */
static int
restore_shards(struct release *release, const char *numbers, char *ret_text)
{
	char *end;

	for (size_t i = 0; *numbers != '\0' &&
	    i < release->spec->socket_count; i++) {
		unsigned long number = strtoul(numbers, &end, 10);
		struct shard *shard = number <= UINT32_MAX ?
		    find_shard(release, i, (uint32_t)number) : NULL;

		if (shard != NULL)
			shard_ref(shard);
		else
			shard = live_bind_one(&release->spec->sockets[i],
			    ret_text);
		if (shard == NULL) {
			live_unbind(release, NULL);
			return -1;
		}
		release->shards[release->shard_count++] = shard;
		numbers = *end == ',' ? end + 1 : "";
	}
	return 0;
}

int
live_restore_release(struct live *live, struct release *release,
    const char *handle, char *ret_text)
{
	char *rest, unsaid[REASON_BYTES_MAX];
	unsigned long number = strtoul(handle, &rest, 10);

	if (number == 0 || number > UINT32_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "nothing of it was kept");
		return -1;
	}
	if (pin_restore(release, (uint32_t)number, ret_text) < 0) {
		(void)restore_shards(release, rest, unsaid);
		return -1;
	}
	if (restore_shards(release, rest, ret_text) == 0)
		return 0;
	live_lose(live, "the socket of a release");
	pin_close(release);
	return -1;
}
