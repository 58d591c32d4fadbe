/*
 * Probes of a service: the order for one, as a task can carry it out.
 *
 * An http or tcp probe is made by supprobe(8), a process of its own, since
 * what parses bytes from a network may crash; an exec probe is the user's own
 * command.  A probe of a TCP listener may use a source port that was reserved
 * for it: by that the listener's program tells it from other connections and
 * sends it to the lane that is to be probed.
 */
#ifndef SUPD_PROBE_H
#define SUPD_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "spec.h"

enum { PROBE_WORDS_MAX = 16 };

/* Where a client on this machine reaches who listens there: for 0.0.0.0 and ::
 * the loopback address. */
struct address probe_target(const struct address *listening);

/*
 * A socket for one probe of a TCP listener: bound and not connected, its
 * address the one that it will connect to, its port one that nobody else gets
 * as long as it is open (supd's fd, or the probe's).  For the task's
 * inherited_fd; close ours once the task was started.  Returns an fd in the
 * source region and the port, or -errno (-EINVAL for a unix socket).
 */
int probe_reserve(const struct listener_spec *, uint16_t *ret_port);

/* What to execute.  Points into itself and into the spec; not to be moved. */
struct probe_command {
	char *const *argv;              /* NULL ends */
	uint64_t timeout_ms;            /* for the task */
	char *words[PROBE_WORDS_MAX + 1];
	char connect[128], status[16], limit[24];
};

/*
 * The command for one probe of the spec's kind, which is not PROBE_NONE, at a
 * listener of it (an exec probe may be without one: NULL).  `reserved`: the
 * socket of probe_reserve() will be fd 3.  0, or -ENOENT and a sentence in
 * ret_text (REASON_BYTES_MAX) if supprobe is not installed.
 */
int probe_command_make(const struct spec *, const struct listener_spec *,
    bool reserved, struct probe_command *ret_command, char *ret_text);

/*
 * The path of supprobe: beside the program that runs, as in a build, else
 * where it is installed.  NULL if it is at neither place; once found, it is
 * not looked for again.
 */
const char *probe_program(void);

#endif
