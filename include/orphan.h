/*
 * Orphans: processes that outlived the worker they came from.
 *
 * supd is a child subreaper, so a process that left its worker's session (a
 * double fork) becomes our child when its parent ends.  Which worker it came
 * from is told by the NOTIFY_SOCKET in its environment, whose name belongs to
 * one incarnation.  If that worker is gone, so must it be, before the slot is
 * filled again.
 */
#ifndef SUPD_ORPHAN_H
#define SUPD_ORPHAN_H

#include <stdbool.h>
#include <sys/types.h>

/* Remembers where notify sockets are.  0 or -errno (no /proc: -ENOENT, then
 * only process groups are cleared). */
int orphan_init(const char *notify_dir);

/* Of a notify socket, with its NUL. */
enum { ORPHAN_NAME_BYTES = 32 };

/* The notify socket that a process was started with; false: none of ours. */
bool orphan_socket(pid_t, char ret_name[ORPHAN_NAME_BYTES]);

/* Was this process started with the notify socket of this name? */
bool orphan_has_socket(pid_t, const char *name);

/*
 * Kills each child of ours that nobody knows, and whose worker is gone.
 * `is_known` and `has_socket` say so; the number killed is returned.  A group
 * that was killed just now (0: none) is left to die without a word.
 */
unsigned orphan_kill(bool (*is_known)(pid_t pid),
    bool (*has_socket)(const char *name), pid_t killed_group);

#endif
