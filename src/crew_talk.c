/*
 * What a worker says, on its notify socket and its readiness fd, as events.
 *
 * File descriptors go to the store.  A message counts if it comes from the
 * worker's own user, from root or our own, or from the worker's session.  One
 * worker that talks without end does not keep the others waiting: so many
 * datagrams a turn, the rest comes next.
 */
#include "crew_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "notify.h"
#include "store.h"

enum { DATAGRAMS_PER_TURN_MAX = 32 };

static void
store(const struct member *m, const struct notify_message *n)
{
	const struct store_request request = {
		.name = n->fd_name, .unwatched = n->fd_unwatched,
		.fds = n->fds, .fd_count = n->fd_count,
	};

	/* Before what it stores: the message may say both. */
	if (n->stopping)
		store_stopping(m->service, m->id);
	if (n->fd_store_remove)
		store_remove(m->service, m->id, n->fd_name);
	if (n->fd_store)
		store_put(m->service, m->id, &request);
}

static void
hand_on(const struct member *m, const struct notify_message *n)
{
	if (n->has_status)
		crew_tell(m, EVENT_STATUS, 0, n->status);
	if (n->has_errno)
		crew_tell(m, EVENT_ERRNO, (uint64_t)n->error_number, NULL);
	if (n->has_main_pid)
		crew_tell(m, EVENT_MAIN_PID, (uint64_t)n->main_pid, NULL);
	if (n->has_watchdog_usec)
		crew_tell(m, EVENT_WATCHDOG_MS, (n->watchdog_usec + 999) / 1000,
		    NULL);
	if (n->has_extend_usec)
		crew_tell(m, EVENT_EXTEND_MS, n->extend_usec / 1000, NULL);
	if (n->reloading)
		crew_tell(m, EVENT_RELOADING, 0, NULL);
	if (n->ready)
		crew_tell(m, EVENT_READY, 0, NULL);
	if (n->stopping)
		crew_tell(m, EVENT_STOPPING, 0, NULL);
	if (n->watchdog)
		crew_tell(m, EVENT_WATCHDOG, 0, NULL);
	if (n->watchdog_trigger)
		crew_tell(m, EVENT_WATCHDOG_TRIGGER, 0, NULL);
}

/* A worker that changes its user itself is known by its session. */
static bool
may_speak(const struct member *m, const struct notify_message *n)
{
	return n->sender_uid == m->uid || n->sender_uid == 0 ||
	    n->sender_uid == geteuid() || getsid(n->sender) == m->group;
}

static void
take(struct member *m, struct notify_message *n)
{
	if (may_speak(m, n)) {
		store(m, n);
		hand_on(m, n);
		return;
	}
	log_warning("pid %d: a notify message of pid %d, uid %u is refused: it "
	    "must come from uid %u or from the worker's session", m->pid,
	    n->sender, n->sender_uid, m->uid);
	while (n->fd_count > 0)
		fd_close(n->fds[--n->fd_count]);
}

/*
 * What was read and not yet written down is lost with a supd that is killed.  That
 * a worker is ready, or again so after a reload, must not be, or its rollout fails:
 * its socket remembers it, from before the message is taken.
 */
static void
remember_ready(struct member *m)
{
	struct notify_message message;

	if (!notify_peek(m->notify_fd, &message) ||
	    (!message.ready && !message.reloading) || !may_speak(m, &message))
		return;
	notify_mark(m->notify_fd, message.ready);
}

bool
crew_said_ready(const struct member *m)
{
	return m->notify_fd >= 0 && notify_is_marked(m->notify_fd);
}

void
crew_read_notify(struct member *m, unsigned count_max)
{
	struct notify_message message;
	char why[REASON_BYTES_MAX];

	for (unsigned i = 0; i < count_max; i++) {
		remember_ready(m);
		switch (notify_read(m->notify_fd, &message, why)) {
		case NOTIFY_NONE:
			return;
		case NOTIFY_REFUSED:
			log_warning("pid %d: a notify message is refused: %s",
			    m->pid, why);
			break;
		case NOTIFY_MESSAGE:
			take(m, &message);
			if (why[0] != '\0')
				log_warning("pid %d: of a notify message %s",
				    m->pid, why);
		}
	}
}

static void
on_notify(void *ctx, int events)
{
	(void)events;
	crew_read_notify(ctx, DATAGRAMS_PER_TURN_MAX);
}

/* The s6 way: a newline on the readiness fd. */
static void
on_ready_fd(void *ctx, int events)
{
	struct member *m = ctx;
	char bytes[256];
	ssize_t size = read(m->ready_fd, bytes, sizeof(bytes));

	(void)events;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size > 0 && memchr(bytes, '\n', (size_t)size) == NULL)
		return;
	if (size > 0)
		notify_mark(m->notify_fd, true);
	reactor_unwatch(&m->ready_watch);
	crew_forget_ready(m);
	fd_clear(&m->ready_fd);
	if (size > 0)
		crew_tell(m, EVENT_READY, 0, NULL);
}

void
crew_listen(struct member *m)
{
	if (m->notify_fd >= 0)
		reactor_watch(&m->notify_watch, m->notify_fd, REACTOR_READ,
		    on_notify, m);
	if (m->ready_fd >= 0)
		reactor_watch(&m->ready_watch, m->ready_fd, REACTOR_READ,
		    on_ready_fd, m);
}
