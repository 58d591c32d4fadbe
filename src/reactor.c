/*
 * The event loop: libev behind seven functions.
 *
 * Owns the loop, our signal mask and the signalfd.  A loop of its own
 * (ev_loop_new), since libev's default loop reaps every child.  All signals
 * that concern us are blocked and read from a signalfd, so that no handler
 * ever runs and no system call of ours is interrupted by them.
 *
 * What libev 4.33 does and what is done about it:
 *  - it wakes every 59.7 s to see whether the wall clock was set, unless its
 *    timerfd tells it, which it makes for the first ev_periodic only: there is
 *    one here, in the far future.  With it a loop that waits for nothing makes
 *    no system call for 17 days.
 *  - where epoll_ctl(2) fails (ENOMEM, ENOSPC) it drops the watcher and queues
 *    an error that it delivers after its next sleep, whenever that ends.  We
 *    end that sleep, and start the watch again every RETRY_MS.
 *  - it aborts without memory: we wait for memory first, see allocate().
 *  - it forgets a watch without EPOLL_CTL_DEL, and an fd that somebody else has,
 *    too (the parent's store), goes on to report.  Then it makes a new epoll fd
 *    and adds all watches again; we wait where that fails, see system_error().
 *  - it keeps an array by fd number, 16 bytes each: 16 KiB for FD_PRIVATE.
 *  - its own two fds stay in the low region; they are close-on-exec.
 */
#include "reactor.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "log.h"
#include "worker.h"

#define RETRY_MS UINT64_C(1000)
#define FAR_MS UINT64_C(1000000000000)  /* 31 years */
#define FAR_S 1e15

/* A double holds the seconds since boot to 15 ns after three years. */
#define ROUNDING_S 1e-6

enum {
	RETRIES_MAX = 100,
	RETRY_PAUSE_MS = 100,
	SIGNALS_MAX = 8,        /* read at once; more than there are */
};

/* What is in watch.ev. */
struct io {
	ev_io io;
	struct watch *next_lost;
};

_Static_assert(sizeof(struct io) <= sizeof(((struct watch *)0)->ev),
    "struct watch has no room for an ev_io and a link");
_Static_assert(sizeof(ev_timer) <= sizeof(((struct alarm *)0)->ev),
    "struct alarm has no room for an ev_timer");

static struct {
	struct ev_loop *loop;
	ev_check awake;
	ev_prepare settled;
	ev_periodic clock_guard;
	ev_timer deadline;
	uint64_t deadline_ms;
	uint64_t now_ms;
	int creation_count;     /* of its epoll fd, that failed */

	struct watch signals;
	int signal_fd;
	sigset_t mask_before;

	struct watch *lost;     /* that libev dropped */
	struct alarm retry;

	void (*turn)(void *ctx);
	void (*signal)(void *ctx, int number);
	void *ctx;
} reactor;

static struct io *
io_of(struct watch *watch)
{
	return (struct io *)(void *)watch->ev;
}

static ev_timer *
timer_of(struct alarm *alarm)
{
	return (ev_timer *)(void *)alarm->ev;
}

/*
 * libev has no way on when it gets no memory: it would print a line and abort.
 * To be deaf for some seconds is better than to be dead, since the workers
 * serve without us.  If it does not pass, libev aborts, and the log says why.
 */
static void *
allocate(void *block, long size_bytes) EV_NOEXCEPT
{
	const struct timespec pause = { 0, RETRY_PAUSE_MS * 1000000L };
	void *fresh;
	int tries;

	if (size_bytes == 0) {
		free(block);
		return NULL;
	}
	for (tries = 0; tries < RETRIES_MAX; tries++) {
		fresh = realloc(block, (size_t)size_bytes);
		if (fresh != NULL)
			return fresh;
		if (tries == 0)
			log_error("no memory for %ld bytes of the event loop, "
			    "supd waits for it", size_bytes);
		(void)nanosleep(&pause, NULL);
	}
	log_error("still no memory for %ld bytes of the event loop after %d s, "
	    "supd cannot go on", size_bytes,
	    RETRIES_MAX * RETRY_PAUSE_MS / 1000);
	return NULL;
}

/*
 * epoll_wait(2) gets here only if its fd was closed by mistake.  epoll_create(2)
 * does after libev has closed the one it had, and libev tries it again when we
 * return.
 */
static void
system_error(const char *what) EV_NOEXCEPT
{
	const struct timespec pause = { 0, RETRY_PAUSE_MS * 1000000L };

	if (strstr(what, "epoll_create") == NULL ||
	    reactor.creation_count++ == RETRIES_MAX) {
		log_error("the event loop is broken: %s: %m", what);
		abort();
	}
	if (reactor.creation_count == 1)
		log_error("the event loop cannot be made anew: %s: %m; supd "
		    "waits for it", what);
	(void)nanosleep(&pause, NULL);
}

/* Before all other callbacks of an iteration. */
static void
on_awake(struct ev_loop *loop, ev_check *check, int events)
{
	(void)loop, (void)check, (void)events;
	reactor.now_ms = clock_ms();
	reactor.creation_count = 0;
}

/* After all callbacks of an iteration: libev is about to sleep. */
static void
on_settled(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	(void)loop, (void)prepare, (void)events;
	reactor.turn(reactor.ctx);
}

/* That the loop is awake is enough: a turn follows. */
static void
on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)timer, (void)events;
}

static void
on_clock_guard(struct ev_loop *loop, ev_periodic *periodic, int events)
{
	(void)loop, (void)periodic, (void)events;
}

/* SIGPIPE is blocked and read by us, so it ends a sleep and does no more. */
static void
on_sleep(struct ev_loop *loop) EV_NOEXCEPT
{
	if (ev_pending_count(loop) > 0)
		(void)raise(SIGPIPE);
}

static void
on_alarm(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct alarm *alarm = timer->data;

	(void)loop, (void)events;
	alarm->call(alarm->ctx);
}

static void
find_lost(void *ctx)
{
	struct watch *watch;

	(void)ctx;
	while ((watch = reactor.lost) != NULL) {
		reactor.lost = io_of(watch)->next_lost;
		ev_io_start(reactor.loop, &io_of(watch)->io);
	}
}

static void
lose(struct watch *watch)
{
	log_warning("the kernel refused to watch fd %d, tried again in %d ms",
	    io_of(watch)->io.fd, (int)RETRY_MS);
	io_of(watch)->next_lost = reactor.lost;
	reactor.lost = watch;
	reactor_set_alarm(&reactor.retry, RETRY_MS, find_lost, NULL);
}

static void
on_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct watch *watch = io->data;

	(void)loop;
	if (events & EV_ERROR) {
		lose(watch);
		return;
	}
	watch->call(watch->ctx, (events & EV_READ ? REACTOR_READ : 0) |
	    (events & EV_WRITE ? REACTOR_WRITE : 0));
}

/* Returns the link that points to it, or NULL if libev has not dropped it. */
static struct watch **
lost_link(const struct watch *watch)
{
	struct watch **link = &reactor.lost;

	while (*link != NULL && *link != watch)
		link = &io_of(*link)->next_lost;
	return *link == NULL ? NULL : link;
}

/* Signals that would end us and mean nothing to us. */
static const int swallowed[] = {
	SIGPIPE, SIGXFSZ, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
};

static bool
is_swallowed(int number)
{
	for (size_t i = 0; i < sizeof(swallowed) / sizeof(swallowed[0]); i++)
		if (swallowed[i] == number)
			return true;
	return false;
}

static void
read_signals(void *ctx, int events)
{
	struct signalfd_siginfo signals[SIGNALS_MAX];
	ssize_t bytes;
	size_t i;

	(void)ctx, (void)events;
	bytes = read(reactor.signal_fd, signals, sizeof(signals));
	if (bytes < 0)
		return;         /* EAGAIN: somebody took it back */
	for (i = 0; i < (size_t)bytes / sizeof(signals[0]); i++)
		if (!is_swallowed((int)signals[i].ssi_signo))
			reactor.signal(reactor.ctx, (int)signals[i].ssi_signo);
}

/*
 * A parent may have left SIGCHLD ignored, and then the kernel reaps children
 * by itself.  What other signals it ignored does not matter: a blocked signal
 * is kept for the signalfd in any case.
 */
static int
take_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigaddset(&set, SIGUSR2);
	(void)sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(swallowed) / sizeof(swallowed[0]); i++)
		(void)sigaddset(&set, swallowed[i]);
	reactor.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (reactor.signal_fd < 0)
		return -errno;
	reactor.signal_fd = fd_to_private(reactor.signal_fd);
	(void)sigprocmask(SIG_BLOCK, &set, &reactor.mask_before);
	(void)signal(SIGCHLD, SIG_DFL);
	return 0;
}

/* What is pending would be delivered by default, SIGPIPE for one to kill. */
static void
give_signals_back(void)
{
	struct signalfd_siginfo signals[SIGNALS_MAX];

	while (read(reactor.signal_fd, signals, sizeof(signals)) > 0)
		;
	fd_clear(&reactor.signal_fd);
	(void)sigprocmask(SIG_SETMASK, &reactor.mask_before, NULL);
}

static void
start_hooks(void)
{
	ev_check_init(&reactor.awake, on_awake);
	ev_set_priority(&reactor.awake, EV_MAXPRI);
	ev_check_start(reactor.loop, &reactor.awake);
	ev_prepare_init(&reactor.settled, on_settled);
	ev_prepare_start(reactor.loop, &reactor.settled);
	ev_periodic_init(&reactor.clock_guard, on_clock_guard, FAR_S, 0., NULL);
	ev_periodic_start(reactor.loop, &reactor.clock_guard);
	ev_timer_init(&reactor.deadline, on_deadline, 0., 0.);
	ev_set_loop_release_cb(reactor.loop, on_sleep, NULL);
	reactor_watch(&reactor.signals, reactor.signal_fd, REACTOR_READ,
	    read_signals, NULL);
}

int
reactor_init(void (*turn)(void *ctx), void (*signal)(void *ctx, int number),
    void *ctx)
{
	int error;

	assert(reactor.loop == NULL);
	memset(&reactor, 0, sizeof(reactor));
	reactor.turn = turn;
	reactor.signal = signal;
	reactor.ctx = ctx;
	reactor.deadline_ms = NEVER_MS;
	reactor.now_ms = clock_ms();

	ev_set_allocator(allocate);
	ev_set_syserr_cb(system_error);
	reactor.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (reactor.loop == NULL)
		return errno != 0 ? -errno : -ENOMEM;
	error = take_signals();
	if (error < 0) {
		ev_loop_destroy(reactor.loop);
		reactor.loop = NULL;
		return error;
	}
	start_hooks();
	return 0;
}

void
reactor_release(void)
{
	if (reactor.loop == NULL)
		return;
	give_signals_back();
	ev_loop_destroy(reactor.loop);
	reactor.loop = NULL;
	reactor.lost = NULL;
}

void
reactor_run(void)
{
	reactor.now_ms = clock_ms();
	(void)ev_run(reactor.loop, 0);
}

void
reactor_stop(void)
{
	ev_break(reactor.loop, EVBREAK_ALL);
}

uint64_t
reactor_now_ms(void)
{
	return reactor.now_ms;
}

/*
 * Starts a timer that does not ring earlier than `ms` after the clock was read
 * by the caller.  libev counts from its own idea of now, which has to be
 * younger than that.
 */
static void
start_timer(ev_timer *timer, uint64_t ms)
{
	double after_s = (double)(ms < FAR_MS ? ms : FAR_MS) / 1e3;

	ev_now_update(reactor.loop);
	ev_timer_set(timer, after_s > 0 ? after_s + ROUNDING_S : 0., 0.);
	ev_timer_start(reactor.loop, timer);
}

void
reactor_arm(uint64_t deadline_ms)
{
	uint64_t now_ms;

	if (deadline_ms == reactor.deadline_ms &&
	    (deadline_ms == NEVER_MS || ev_is_active(&reactor.deadline)))
		return;
	ev_timer_stop(reactor.loop, &reactor.deadline);
	reactor.deadline_ms = deadline_ms;
	if (deadline_ms == NEVER_MS)
		return;
	now_ms = clock_ms();
	start_timer(&reactor.deadline,
	    deadline_ms > now_ms ? deadline_ms - now_ms : 0);
}

void
reactor_watch(struct watch *watch, int fd, int events,
    void (*call)(void *ctx, int events), void *ctx)
{
	ev_io *io = &io_of(watch)->io;

	assert(fd >= 0);
	reactor_unwatch(watch);
	watch->call = call;
	watch->ctx = ctx;
	ev_io_init(io, on_io, fd, 0);
	io->data = watch;
	ev_io_modify(io, (events & REACTOR_READ ? EV_READ : 0) |
	    (events & REACTOR_WRITE ? EV_WRITE : 0));
	ev_io_start(reactor.loop, io);
}

void
reactor_rewatch(struct watch *watch, int events)
{
	ev_io *io = &io_of(watch)->io;
	int wanted = (events & REACTOR_READ ? EV_READ : 0) |
	    (events & REACTOR_WRITE ? EV_WRITE : 0);

	if (lost_link(watch) != NULL) {
		ev_io_modify(io, wanted);
		return;
	}
	assert(ev_is_active(io));
	if ((io->events & (EV_READ | EV_WRITE)) == wanted)
		return;
	ev_io_stop(reactor.loop, io);
	ev_io_modify(io, wanted);
	ev_io_start(reactor.loop, io);
}

void
reactor_unwatch(struct watch *watch)
{
	ev_io *io = &io_of(watch)->io;
	struct watch **link = lost_link(watch);

	if (link != NULL)
		*link = io_of(watch)->next_lost;
	if (ev_is_active(io) || ev_is_pending(io))
		ev_io_stop(reactor.loop, io);
}

void
reactor_set_alarm(struct alarm *alarm, uint64_t delay_ms,
    void (*call)(void *ctx), void *ctx)
{
	ev_timer *timer = timer_of(alarm);

	reactor_clear_alarm(alarm);
	alarm->call = call;
	alarm->ctx = ctx;
	ev_timer_init(timer, on_alarm, 0., 0.);
	timer->data = alarm;
	start_timer(timer, delay_ms);
}

void
reactor_clear_alarm(struct alarm *alarm)
{
	ev_timer *timer = timer_of(alarm);

	if (ev_is_active(timer) || ev_is_pending(timer))
		ev_timer_stop(reactor.loop, timer);
}
