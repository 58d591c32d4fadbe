/*
 * A worker: an HTTP server that can be replaced without its users noticing,
 * and an example of how little that takes.
 *
 *	take the listeners      contract_listeners()
 *	get ready, say so       READY=1, only when requests can be answered
 *	accept                  beside others that accept from the same queue
 *	at SIGTERM: drain       close (never shut down) the listeners, finish
 *	                        what has begun, say `Connection: close`, let
 *	                        idle connections linger, exit 0
 *
 * It also is what the tests break services with: each fault has an option
 * (worker_options.c) and is marked "fault" here.
 *
 * On O_NONBLOCK: the flag belongs to the socket, not to us, so setting it sets
 * it for everyone who shares the listener, and clearing it later would make
 * the others hang.  A server driven by events has to set it all the same: that
 * poll() promised a connection means nothing once a neighbour has taken it,
 * and an accept4() that blocks would stop the whole loop.  We set it once and
 * never clear it.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loopback.h"
#include "worker_contract.h"
#include "worker_counts.h"
#include "worker_datagram.h"
#include "worker_faults.h"
#include "worker_harm.h"
#include "worker_http.h"
#include "worker_options.h"

enum {
	LISTENERS_MAX = 64,
	BACKLOG = 4096,
	BACKLOG_SHRUNK = 5,
	ACCEPTS_PER_TURN_MAX = 8, /* leave some to the neighbours */
	ACCEPT_RETRY_S = 1,
	GROW_INTERVAL_MS = 100,
};

struct worker {
	struct worker_options options;
	struct ev_loop *loop;
	struct http_server *http;
	ev_io accepts[LISTENERS_MAX];
	int listener_count;
	bool draining;
	bool full;              /* no room for a connection until one goes */
	bool deaf;
	struct faults faults;
	struct worker_counts *counts, own_counts;
	ev_signal on_term, on_int;
	ev_timer started, retry, watchdog, crash, shut, stopping, deafness;
	ev_timer growth;
};

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
say(const char *what, int error)
{
	fprintf(stderr, "worker %d: %s: %s\n", (int)getpid(), what,
	    strerror(-error));
}

/* Not being heard is no reason to stop serving. */
static void
tell(const char *message)
{
	int error = contract_notify("%s", message);

	if (error != 0)
		say("cannot notify the supervisor", error);
}

static void
each_listener(struct worker *worker, void (*act)(struct ev_loop *, ev_io *))
{
	int i;

	for (i = 0; i < worker->listener_count; i++)
		act(worker->loop, &worker->accepts[i]);
}

static void
resume_accepting(struct worker *worker)
{
	worker->full = false;
	ev_timer_stop(worker->loop, &worker->retry);
	if (!worker->deaf)
		each_listener(worker, ev_io_start);
}

static void
on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	resume_accepting(timer->data);
}

/* Until a connection has left, or a while: others use up descriptors, too. */
static void
pause_accepting(struct worker *worker)
{
	worker->full = true;
	each_listener(worker, ev_io_stop);
	ev_timer_set(&worker->retry, ACCEPT_RETRY_S, 0);
	ev_timer_start(worker->loop, &worker->retry);
}

static void
on_connection_left(void *context)
{
	struct worker *worker = context;

	if (worker->draining &&
	    http_server_connection_count(worker->http) == 0)
		ev_break(worker->loop, EVBREAK_ALL);
	if (worker->full)
		resume_accepting(worker);
}

/* fault: those of answers, see worker_faults.h */
static struct answer_plan
plan_answer(void *context, bool health)
{
	struct worker *worker = context;
	const struct worker_options *options = &worker->options;
	struct answer_plan plan = faults_plan(&worker->faults, health,
	    now_ms());

	if (plan.crash)
		harm_crash(options->crash_code, options->crash_signal);
	if (plan.grow_bytes > 0)
		harm_grow(plan.grow_bytes);
	return plan;
}

/* IPv4 and IPv6 have the port at the same place. */
static bool
is_from_probe(const struct worker *worker, const struct sockaddr_in6 *peer)
{
	long port = ntohs(peer->sin6_port);

	return (peer->sin6_family == AF_INET ||
	    peer->sin6_family == AF_INET6) &&
	    port >= worker->options.probe_port_min &&
	    port <= worker->options.probe_port_max;
}

static void
on_acceptable(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *worker = io->data;
	struct sockaddr_in6 peer;
	socklen_t length;
	int i, fd;

	(void)events;
	for (i = 0; i < ACCEPTS_PER_TURN_MAX; i++) {
		if (http_server_connection_count(worker->http) >=
		    HTTP_CONNECTIONS_MAX) {
			pause_accepting(worker);
			return;
		}
		peer.sin6_family = AF_UNSPEC;
		length = sizeof(peer);
		fd = accept4(io->fd, (struct sockaddr *)&peer, &length,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			break;
		http_server_adopt(worker->http, fd,
		    is_from_probe(worker, &peer));
	}
	if (i == ACCEPTS_PER_TURN_MAX)
		return;
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
	    errno == ENOMEM) {
		pause_accepting(worker);
	} else if (errno == EINVAL) {
		/* A neighbour shut it down; polling it would spin for ever. */
		say("a listener was shut down", -EINVAL);
		tell("STATUS=a listener was shut down");
		ev_io_stop(loop, io);
	}
}

static void
on_datagram(struct ev_loop *loop, ev_io *io, int events)
{
	const struct worker *worker = io->data;

	(void)loop;
	(void)events;
	datagram_answer(io->fd, worker->options.version);
}

static void
drain(struct worker *worker)
{
	int i;

	if (worker->draining)
		return;
	worker->draining = true;
	tell("STOPPING=1\nSTATUS=draining");
	for (i = 0; i < worker->listener_count; i++) {
		ev_io_stop(worker->loop, &worker->accepts[i]);
		if (worker->options.shutdown_listener) /* fault */
			shutdown(worker->accepts[i].fd, SHUT_RDWR);
		close(worker->accepts[i].fd);
	}
	worker->listener_count = 0;
	http_server_drain(worker->http);
	if (http_server_connection_count(worker->http) == 0)
		ev_break(worker->loop, EVBREAK_ALL);
}

static void
on_stop_signal(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	drain(signal->data);
}

static void
on_stopping(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	drain(timer->data);
}

static void
on_watchdog(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)timer;
	(void)events;
	tell("WATCHDOG=1");
}

/* fault */
static void
on_crash(struct ev_loop *loop, ev_timer *timer, int events)
{
	const struct worker *worker = timer->data;

	(void)loop;
	(void)events;
	harm_crash(worker->options.crash_code, worker->options.crash_signal);
}

/* fault */
static void
on_shut(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;
	int i;

	(void)loop;
	(void)events;
	for (i = 0; i < worker->listener_count; i++)
		shutdown(worker->accepts[i].fd, SHUT_RDWR);
}

/* fault */
static void
on_deafness(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;

	(void)loop;
	(void)events;
	worker->deaf = true;
	each_listener(worker, ev_io_stop);
}

/* fault */
static void
on_growth(struct ev_loop *loop, ev_timer *timer, int events)
{
	const struct worker *worker = timer->data;

	(void)events;
	if (faults_begun(&worker->faults, now_ms()))
		harm_grow(worker->options.grow_rate * GROW_INTERVAL_MS / 1000);
	ev_timer_set(timer, GROW_INTERVAL_MS / 1e3, 0);
	ev_timer_start(loop, timer);
}

static void
start_timer(struct worker *worker, ev_timer *timer,
    void (*act)(struct ev_loop *, ev_timer *, int), long after_ms)
{
	if (after_ms < 0)
		return;
	ev_timer_init(timer, act, (double)after_ms / 1e3, 0);
	timer->data = worker;
	ev_timer_start(worker->loop, timer);
}

static void
start_watchdog(struct worker *worker)
{
	double interval_s = (double)contract_watchdog_usec() / 1e6 / 2;

	if (interval_s <= 0)
		return;
	ev_timer_init(&worker->watchdog, on_watchdog, interval_s, interval_s);
	ev_timer_start(worker->loop, &worker->watchdog);
}

static void
on_started(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct worker *worker = timer->data;
	const struct worker_options *options = &worker->options;

	(void)loop;
	(void)events;
	if (worker->draining)
		return;
	faults_begin(&worker->faults, &options->faults, now_ms());
	worker->deaf = options->deaf; /* fault */
	if (!worker->deaf)
		each_listener(worker, ev_io_start);
	tell("READY=1\nSTATUS=serving");
	if (options->ready_fd >= 0) {
		if (write((int)options->ready_fd, "\n", 1) != 1)
			say("cannot write to the ready fd", -errno);
		close((int)options->ready_fd);
	}
	start_watchdog(worker);
	start_timer(worker, &worker->crash, on_crash, options->crash_after_ms);
	start_timer(worker, &worker->shut, on_shut,
	    options->shutdown_after_ms);
	start_timer(worker, &worker->stopping, on_stopping,
	    options->stopping_after_ms);
	start_timer(worker, &worker->deafness, on_deafness,
	    options->deaf_after_ms);
	start_timer(worker, &worker->growth, on_growth,
	    options->grow_rate > 0 ? GROW_INTERVAL_MS : -1);
	if (options->become_root && setuid(0) != 0) /* fault */
		say("cannot become root", -errno);
	if (options->stop_self) /* fault */
		raise(SIGSTOP);
}

static int
add_listener(struct worker *worker, int fd)
{
	ev_io *io = &worker->accepts[worker->listener_count];
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	if (worker->options.shrink_backlog) /* fault */
		listen(fd, BACKLOG_SHRUNK);
	ev_io_init(io, datagram_is_for(fd) ? on_datagram : on_acceptable, fd,
	    EV_READ);
	io->data = worker;
	worker->listener_count++;
	return 0;
}

static int
take_listeners(struct worker *worker)
{
	int count = contract_listeners();
	int first = CONTRACT_FIRST_FD, i, error;

	if (count == 0 && worker->options.listen != NULL) {
		first = loopback_listen_aloud(worker->options.listen, BACKLOG);
		count = first < 0 ? first : 1;
	}
	if (count <= 0)
		return count < 0 ? count : -ENOENT;
	for (i = 0; i < count; i++) {
		error = add_listener(worker, first + i);
		if (error != 0)
			return error;
	}
	return 0;
}

/* In a file if one was asked for; that of the process that serves. */
static int
start_counting(struct worker *worker)
{
	const struct worker_options *options = &worker->options;

	worker->counts = &worker->own_counts;
	if (options->count_file != NULL)
		worker->counts = worker_counts_map(options->count_file,
		    options->version);
	return worker->counts != NULL ? 0 : -errno;
}

static int
run(struct worker *worker)
{
	const struct worker_options *options = &worker->options;
	const char *slot = getenv("SUPD_SLOT");
	struct http_settings settings = {
		.version = options->version,
		.slot = slot != NULL && strlen(slot) < 16 ? slot : "-",
		.linger_ms = options->linger_ms,
		.counts = worker->counts,
		.context = worker,
		.plan = plan_answer,
		.left = on_connection_left,
	};

	worker->loop = ev_loop_new(EVFLAG_AUTO);
	if (worker->loop == NULL)
		return -ENOMEM;
	worker->http = http_server_new(worker->loop, &settings);
	if (worker->http == NULL)
		return -ENOMEM;
	ev_signal_init(&worker->on_term, on_stop_signal, SIGTERM);
	ev_signal_init(&worker->on_int, on_stop_signal, SIGINT);
	worker->on_term.data = worker->on_int.data = worker;
	if (!options->ignore_term) /* fault */
		ev_signal_start(worker->loop, &worker->on_term);
	else
		signal(SIGTERM, SIG_IGN);
	ev_signal_start(worker->loop, &worker->on_int);
	signal(SIGPIPE, SIG_IGN);
	ev_init(&worker->retry, on_retry);
	worker->retry.data = worker;
	if (!options->never_ready) /* fault */
		start_timer(worker, &worker->started, on_started,
		    options->slow_start_ms);
	ev_run(worker->loop, 0);
	http_server_free(worker->http);
	ev_loop_destroy(worker->loop);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct worker worker;
	int error;

	if (worker_options_parse(argc, argv, &worker.options) != 0)
		return 2;
	if (worker.options.exit_at_start >= 0) /* fault */
		return (int)worker.options.exit_at_start;
	if (worker.options.silent) /* fault */
		unsetenv("NOTIFY_SOCKET");
	error = take_listeners(&worker);
	if (error != 0) {
		say("no listener", error);
		return 1;
	}
	if (worker.options.leave_child)
		harm_leave_child();
	if (worker.options.double_fork)
		harm_become_daemon();
	error = start_counting(&worker);
	if (error != 0) {
		say("cannot count", error);
		return 1;
	}
	error = run(&worker);
	if (error != 0) {
		say("cannot start", error);
		return 1;
	}
	return 0;
}
