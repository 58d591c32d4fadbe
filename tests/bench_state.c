/*
 * What the state costs: 1,000 workers, of which one changes in a turn, or none,
 * or all that there is has to be written or read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet.h"
#include "state_fixture.h"

enum { WORKERS = 1000, ROUNDS = 1001 };

static struct stage stage;

static double
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Another watchdog for so many workers, which is news of them. */
static void
change(unsigned workers, unsigned round)
{
	struct fleet *fleet = &stage.engine.services[0]->fleet;

	for (unsigned i = 0; i < workers; i++) {
		struct event event = { .type = EVENT_WATCHDOG_MS, .service = 1,
			.id = fleet->workers[(i + round) % WORKERS].id,
			.value = 1000 + round };

		engine_event(&stage.engine, &event);
	}
}

static void
measure(const char *what, unsigned workers, bool anew)
{
	static double times[ROUNDS];
	size_t size_bytes = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct state_text text;
		double begin;

		change(workers, i);
		if (anew)
			state_lost(stage.state);
		begin = now_us();
		assert_int_equal(state_commit(stage.state, &stage.engine,
		    &text), 0);
		times[i] = now_us() - begin;
		size_bytes = text.anew && !anew ? size_bytes : text.size_bytes;
	}
	qsort(times, ROUNDS, sizeof(*times), compare);
	printf("%-32s %8.1f us, 99 %% %8.1f us, %zu bytes\n", what,
	    times[ROUNDS / 2], times[ROUNDS * 99 / 100], size_bytes);
}

int
main(void)
{
	char text[128], *all;
	double begin;

	(void)snprintf(text, sizeof(text), "[service web]\ncommand = /bin/web\n"
	    "ready = notify\nworkers = %d\n", WORKERS);
	stage_boot(&stage, text);
	for (unsigned i = 0; i < WORKERS; i++)
		stage_make_ready(&stage);
	assert_int_equal(fleet_count(&stage.engine.services[0]->fleet).ready,
	    WORKERS);
	measure("nothing has changed", 0, false);
	measure("one worker has changed", 1, false);
	measure("ten workers have changed", 10, false);
	measure("all is written", 0, true);
	all = stage_text(&stage);
	begin = now_us();
	assert_null(stage_read(&stage, all, strlen(all)));
	printf("%-32s %8.1f us\n", "all is read", now_us() - begin);
	free(all);
	stage_release(&stage);
	return 0;
}
