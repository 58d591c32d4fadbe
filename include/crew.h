/*
 * The crew: the processes of all workers, and what each needs while it runs:
 * a pidfd in the loop, a notify socket, the readiness pipe.
 *
 * A member is made when a worker is started and freed when its process was
 * reaped; what happens in between is handed on as events.  Before a worker is
 * reported as ended, what it said last is read, and what its process group left
 * behind is killed (kill_mode).
 */
#ifndef SUPD_CREW_H
#define SUPD_CREW_H

#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "release.h"
#include "spawn.h"
#include "world.h"

struct member;

/* Called for everything that a worker says or does. */
typedef void (*crew_report)(void *ctx, const struct event *);

/*
 * `notify_dir` is where the notify sockets are; it exists, and everybody may
 * enter it.  0 or -errno.
 */
int crew_init(const char *notify_dir, crew_report, void *ctx);

/* Removes from that directory what a former supd has left and no member has. */
void crew_clean(void);

/* Starts a worker.  As world.start, whose text it writes. */
enum start_result crew_start(const struct start *, struct member **ret_member,
    pid_t *ret_pid, char *ret_text);

void crew_signal(struct member *, int signal_number);
void crew_kill(struct member *, enum kill_mode);

/*
 * Follows another process as the worker's main one.  It must run as the
 * worker's user and be of its session or a child of ours.  0 or -errno.
 */
int crew_adopt(struct member *, pid_t pid);

/*
 * SIGCHLD came: reaps strangers, which are processes that our workers left to
 * us (we are their subreaper, or PID 1), and kills those whose worker is gone.
 * A worker or a task that has ended is reported as such.  Call after the
 * watches of the turn have run.
 */
void crew_sweep(void);

/*
 * For the supd that comes after this one: a member's handle (HANDLE_BYTES_MAX),
 * and the member again by it.  NULL: it cannot be followed any more.
 */
void crew_handle(const struct member *, char *ret_handle);
struct member *crew_restore(uint32_t service, struct worker_id, pid_t,
    const char *handle);

/*
 * Workers that a former supd has started and that no member is: those whose fds
 * came are followed, and left alone until they and those that are found in /proc
 * are told to end, and killed in time.
 */
void crew_take_unclaimed(void);
void crew_end_unclaimed(void);

/* Has this member, whom a former supd has started, said that it is ready, and not
 * since then that it reloads? */
bool crew_said_ready(const struct member *);

/* A worker's process by its pid, or NULL. */
struct member *crew_find(pid_t pid);

/* Is there a member whose notify socket has this name? */
bool crew_has_socket(const char *name);

#endif
