/*
 * Making a release from what is on disk, and letting it go again.
 *
 * Everything that may block or allocate is done here, once per release, and
 * not between clone and exec: paths are resolved (symlinks included) and
 * opened, the ELF build-id is read, users and groups are looked up (NSS),
 * the environment file and the version file are read.
 */
#ifndef SUPD_PIN_H
#define SUPD_PIN_H

#include "release.h"

/*
 * Pins the build that `spec` names now.  The revision, version, commit time
 * and `created_s` are the caller's to set afterwards (a version file has set
 * `version`).  On failure returns NULL and a sentence in ret_text
 * (REASON_BYTES_MAX) that names the path and what is allowed.
 * A command without a slash is looked for in PATH.
 * argv[0] of the workers is release->path, so that programs which execute
 * themselves again find the same release.
 */
struct release *pin_release(struct spec *, char *ret_text);

/* The same build and configuration as another release object (`restart`). */
struct release *pin_clone(const struct release *, char *ret_text);

/* Closes the fds and frees it.  NULL is fine. */
void pin_release_free(struct release *);

/*
 * A release that a former supd has pinned under this number, with everything but
 * its fds: they are found again, or opened again where the same build is still
 * there.  0, or -1 and a sentence, and the fds are -1.
 */
int pin_restore(struct release *, uint32_t number, char *ret_text);

/* Nothing can be started from it any more; its fds are -1. */
void pin_close(struct release *);

/*
 * Is the build still the one that was pinned?  0, or -ESTALE if the file that
 * would be executed was changed in place (or, for a script, replaced), or
 * another -errno.
 */
int pin_check(const struct release *);

/*
 * The identity of what the spec's command names on disk now, without pinning
 * it.  0 or -errno.
 */
int pin_look(const struct spec *, struct identity *ret_identity);

/*
 * Where a command without a slash is: in the PATH of an environment, or in the
 * usual directories if it has none.  Entries of PATH that are not absolute are
 * passed over: what they name depends on who looks.  *ret_path is the caller's
 * to free.  0, -ENOENT or -ENOMEM.
 */
int pin_search(char *const *environment, const char *name, char **ret_path);

#endif
