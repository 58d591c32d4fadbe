/*
 * What every part of the simulator needs: random numbers from the seed, the
 * queue of what is to come, the trace with its hash, and what has happened how
 * often.
 */
#include "sim_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define X(UPPER) [SIM_##UPPER] = #UPPER,
static const char *const cover_names[SIM_COVER_COUNT] = { SIM_COVERS(X) };
#undef X

uint32_t
sim_random(struct sim *sim)
{
	uint64_t z = sim->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

uint32_t
sim_below(struct sim *sim, uint32_t bound)
{
	return (uint32_t)((uint64_t)sim_random(sim) * bound >> 32);
}

bool
sim_chance(struct sim *sim, uint32_t percent)
{
	return sim_below(sim, 100) < percent;
}

void
sim_cover(struct sim *sim, enum sim_cover cover)
{
	sim->totals->covers[cover] += !sim->dead;
}

const char *
sim_cover_name(enum sim_cover cover)
{
	return cover_names[cover];
}

void
sim_trace(struct sim *sim, const char *format, ...)
{
	char *line = sim->lines[sim->line_count % SIM_LINES];
	uint64_t ms = sim->now_ms - SIM_BEGIN_MS;
	va_list args;
	int length;

	if (sim->dead)
		return;
	sim->line_count++;
	length = snprintf(line, SIM_LINE_BYTES, "%6llu.%03llu ",
	    (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
	va_start(args, format);
	(void)vsnprintf(line + length, (size_t)(SIM_LINE_BYTES - length),
	    format, args);              /* may be cut */
	va_end(args);
	sim->hash = release_hash(sim->hash, line, strlen(line));
	if (sim->verbose)
		printf("# %s\n", line);
}

void
sim_fail(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (sim->broken[0] != '\0' || sim->dead)
		return;
	va_start(args, format);
	(void)vsnprintf(sim->broken, sizeof(sim->broken), format, args);
	va_end(args);
	sim_trace(sim, "BROKEN: %s", sim->broken);
}

void
sim_print_lines(const struct sim *sim, FILE *stream)
{
	uint64_t i = sim->line_count > SIM_LINES ?
	    sim->line_count - SIM_LINES : 0;

	for (; i < sim->line_count; i++)
		(void)fprintf(stream, "# %s\n", sim->lines[i % SIM_LINES]);
}

static bool
is_earlier(const struct sim_item *a, const struct sim_item *b)
{
	return a->when_ms != b->when_ms ? a->when_ms < b->when_ms :
	    a->sequence < b->sequence;
}

void
sim_push(struct sim *sim, struct sim_item item)
{
	uint32_t i = sim->item_count, parent;

	if (sim->item_count == sim->item_capacity) {
		sim->item_capacity = 2 * sim->item_capacity + 64;
		sim->heap = realloc(sim->heap,
		    sim->item_capacity * sizeof(*sim->heap));
		if (sim->heap == NULL)
			abort();
	}
	item.sequence = ++sim->sequence;
	sim->item_count++;
	for (; i > 0; i = parent) {
		parent = (i - 1) / 2;
		if (!is_earlier(&item, &sim->heap[parent]))
			break;
		sim->heap[i] = sim->heap[parent];
	}
	sim->heap[i] = item;
}

uint64_t
sim_next_ms(const struct sim *sim)
{
	return sim->item_count > 0 ? sim->heap[0].when_ms : NEVER_MS;
}

struct sim_item
sim_pop(struct sim *sim)
{
	struct sim_item first = sim->heap[0];
	struct sim_item last = sim->heap[--sim->item_count];
	uint32_t i = 0, child;

	for (; (child = 2 * i + 1) < sim->item_count; i = child) {
		if (child + 1 < sim->item_count &&
		    is_earlier(&sim->heap[child + 1], &sim->heap[child]))
			child++;
		if (!is_earlier(&sim->heap[child], &last))
			break;
		sim->heap[i] = sim->heap[child];
	}
	sim->heap[i] = last;
	return first;
}
