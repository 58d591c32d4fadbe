/*
 * An HTTP load generator that does not look away: an open loop.
 *
 * Request i is due at start + i / rate, whatever became of those before, and
 * its latency counts from that moment.  So a server that stalls for 300 ms is
 * seen by every request that was due in these 300 ms, not by the few that
 * happened to be in flight.  A request that finds all connections busy waits
 * for one; it keeps its due moment and is never dropped.
 *
 * Events only record.  One place, on_turn(), runs once per turn of the loop,
 * starts what is due and decides when all is done.  Since due moments follow
 * from the index, the waiting ones are no list but a difference of counters.
 *
 * The generator watches itself, too: a start that it noticed too late is
 * counted, so that its own stalls are not taken for the server's.
 */
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loadgen_client.h"
#include "loadgen_options.h"
#include "loadgen_report.h"
#include "loadgen_stats.h"

/* Where inotify fails, the file is looked for as often. */
#define UNTIL_FILE_INTERVAL_S 0.1

struct generator {
	struct loadgen_options options;
	struct ev_loop *loop;
	struct client *client;
	struct stats stats;
	uint64_t start_ns;
	uint64_t limit;         /* requests in all, 0: until told to stop */
	uint64_t due_count;     /* were due up to now */
	uint64_t started_count; /* of these */
	uint64_t waited_count;  /* of these, looked at for having waited */
	bool stopping;          /* nothing more becomes due */
	int timer_fd;           /* finer than the loop's own timers */
	ev_io due;
	ev_prepare turn;
	ev_timer progress;
	ev_stat until_file;
	ev_signal on_term, on_int;
};

static uint64_t
due_ns(const struct generator *generator, uint64_t index)
{
	return generator->start_ns +
	    index * 1000000000U / (uint64_t)generator->options.rate;
}

/* Moves due_count to the present and looks at how late we are with it. */
static void
notice_due(struct generator *generator)
{
	struct stats *stats = &generator->stats;
	uint64_t now_ns = client_now_ns(), late_us;

	while (!generator->stopping &&
	    due_ns(generator, generator->due_count) <= now_ns) {
		late_us = (now_ns -
		    due_ns(generator, generator->due_count)) / 1000;
		if (late_us > (uint64_t)generator->options.late_ms * 1000)
			stats->late_starts++;
		if (late_us > stats->late_max_us)
			stats->late_max_us = late_us;
		generator->due_count++;
		if (generator->due_count == generator->limit)
			generator->stopping = true;
	}
}

static void
start_due(struct generator *generator)
{
	struct stats *stats = &generator->stats;
	uint64_t waiting;

	while (generator->started_count < generator->due_count &&
	    client_start(generator->client,
	    due_ns(generator, generator->started_count)))
		generator->started_count++;
	waiting = generator->due_count - generator->started_count;
	if (waiting > stats->waiting_max)
		stats->waiting_max = waiting;
	if (generator->waited_count < generator->started_count)
		generator->waited_count = generator->started_count;
	stats->waited += generator->due_count - generator->waited_count;
	generator->waited_count = generator->due_count;
}

static void
arm_next(struct generator *generator)
{
	uint64_t next_ns = due_ns(generator, generator->due_count);
	const struct itimerspec next = {
		.it_value.tv_sec = (time_t)(next_ns / 1000000000U),
		.it_value.tv_nsec = (long)(next_ns % 1000000000U),
	};

	if (generator->stopping)
		ev_io_stop(generator->loop, &generator->due);
	else
		(void)timerfd_settime(generator->timer_fd, TFD_TIMER_ABSTIME,
		    &next, NULL); /* only fails for bad arguments */
}

static void
on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct generator *generator = prepare->data;

	(void)events;
	notice_due(generator);
	start_due(generator);
	arm_next(generator);
	if (generator->stopping &&
	    generator->started_count == generator->due_count &&
	    client_busy_count(generator->client) == 0)
		ev_break(loop, EVBREAK_ALL);
}

/* Only wakes the loop up; settime in on_turn() makes it unreadable again. */
static void
on_due(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)io;
	(void)events;
}

static void
stop(struct generator *generator)
{
	generator->stopping = true;
}

/* The second signal does not wait for what is under way. */
static void
on_stop_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
	struct generator *generator = signal->data;
	uint64_t open_count;

	(void)events;
	if (!generator->stopping) {
		stop(generator);
		return;
	}
	open_count = generator->due_count - stats_requests(&generator->stats);
	for (; open_count > 0; open_count--)
		stats_failure(&generator->stats, OUTCOME_ABANDONED, NULL);
	ev_break(loop, EVBREAK_ALL);
}

static void
on_until_file(struct ev_loop *loop, ev_stat *file, int events)
{
	(void)loop;
	(void)events;
	if (file->attr.st_nlink > 0)
		stop(file->data);
}

static struct report_context
report_context(const struct generator *generator)
{
	const struct loadgen_options *options = &generator->options;

	return (struct report_context){
		.target = options->target_text,
		.rate = options->rate,
		.connections = (unsigned)options->connections,
		.keep_alive = options->keep_alive > 0,
		.late_ms = options->late_ms,
		.elapsed_us = (client_now_ns() - generator->start_ns) / 1000,
	};
}

static void
on_progress(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct generator *generator = timer->data;
	const struct report_context context = report_context(generator);

	(void)loop;
	(void)events;
	report_progress(generator->options.json ? stderr : stdout, &context,
	    &generator->stats);
	stats_next_window(&generator->stats);
}

static void
report(const struct generator *generator)
{
	const struct report_context context = report_context(generator);

	if (generator->options.json)
		report_json(stdout, &context, &generator->stats);
	else
		report_table(stdout, &context, &generator->stats);
}

/* Both bounds as a number of requests, so that a run is always of one size. */
static uint64_t
request_limit(const struct loadgen_options *options)
{
	uint64_t limit = (uint64_t)options->requests, other;

	if (options->duration_ms == 0)
		return limit;
	other = (uint64_t)options->duration_ms * (uint64_t)options->rate /
	    1000;
	if (other == 0)
		other = 1;
	return limit == 0 || other < limit ? other : limit;
}

static void
start_watchers(struct generator *generator)
{
	struct ev_loop *loop = generator->loop;

	ev_prepare_init(&generator->turn, on_turn);
	generator->turn.data = generator;
	ev_prepare_start(loop, &generator->turn);
	ev_io_init(&generator->due, on_due, generator->timer_fd, EV_READ);
	ev_io_start(loop, &generator->due);
	ev_signal_init(&generator->on_term, on_stop_signal, SIGTERM);
	ev_signal_init(&generator->on_int, on_stop_signal, SIGINT);
	generator->on_term.data = generator->on_int.data = generator;
	ev_signal_start(loop, &generator->on_term);
	ev_signal_start(loop, &generator->on_int);
	if (generator->options.progress) {
		ev_timer_init(&generator->progress, on_progress, 1, 1);
		generator->progress.data = generator;
		ev_timer_start(loop, &generator->progress);
	}
	if (generator->options.until_file != NULL) {
		ev_stat_init(&generator->until_file, on_until_file,
		    generator->options.until_file, UNTIL_FILE_INTERVAL_S);
		generator->until_file.data = generator;
		ev_stat_start(loop, &generator->until_file);
		if (generator->until_file.attr.st_nlink > 0)
			stop(generator);
	}
}

static int
run(struct generator *generator)
{
	const struct loadgen_options *options = &generator->options;
	struct client_settings settings = {
		.target = &options->target,
		.sources = &options->sources,
		.host = "localhost",
		.path = options->path,
		.expect = options->expect,
		.connections = (unsigned)options->connections,
		.keep_alive = options->keep_alive > 0,
		.requests_each = options->requests_each,
		.connect_timeout_ms = options->connect_timeout_ms,
		.response_timeout_ms = options->timeout_ms,
	};

	generator->limit = request_limit(options);
	generator->loop = ev_loop_new(EVFLAG_AUTO);
	generator->timer_fd = timerfd_create(CLOCK_MONOTONIC,
	    TFD_CLOEXEC | TFD_NONBLOCK);
	if (generator->loop == NULL || generator->timer_fd < 0)
		return generator->loop == NULL ? -ENOMEM : -errno;
	start_watchers(generator);
	settings.start_ns = generator->start_ns = client_now_ns();
	generator->client = client_new(generator->loop, &settings,
	    &generator->stats);
	if (generator->client == NULL)
		return -ENOMEM;
	ev_run(generator->loop, 0);
	report(generator);
	client_free(generator->client);
	close(generator->timer_fd);
	ev_loop_destroy(generator->loop);
	return 0;
}

/* One descriptor per connection; the soft limit is low for select()'s sake. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* what fails is counted */
}

int
main(int argc, char **argv)
{
	static struct generator generator;
	int error;

	if (loadgen_options_parse(argc, argv, &generator.options) != 0)
		return 2;
	raise_descriptor_limit();
	error = run(&generator);
	if (error != 0) {
		fprintf(stderr, "loadgen: cannot start: %s\n",
		    strerror(-error));
		return 2;
	}
	return stats_failures(&generator.stats) == 0 ? 0 : 1;
}
