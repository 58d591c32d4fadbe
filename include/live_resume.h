/*
 * A supd after another one: what the one before has left, and what this one
 * leaves.
 *
 * Two texts in memory (journal.h) say what the carried fds (carry.h) are:
 *
 *   supd-state   the engine, as of the last turn (state.h)
 *   supd-world   what it stands on: where supd's own files are, listeners; as
 *                of now, since the kernel's side of it cannot be taken back.
 *                And what workers have stored, as of the last turn
 *
 * Each may be damaged by itself.  Without the first, the configuration is
 * started as for the first time, over the listeners that are there; workers that
 * nobody claims are told to end once their successors are ready.
 */
#ifndef SUPD_LIVE_RESUME_H
#define SUPD_LIVE_RESUME_H

#include "live.h"

/*
 * Notes what came, and where supd's files are if it is known: then true, and
 * there is no need for a configuration.
 */
bool live_resume_find(struct live *, const struct carried *);

/* Reads what came; before anything is changed.  May not return, see live_lost.c. */
void live_resume_read(struct live *);

/* Makes the texts that are missing.  0 or -errno. */
int live_resume_open(struct live *);

/*
 * Makes listeners and the engine again as they were.  False: there is no engine,
 * as was said in the log.
 */
bool live_resume_engine(struct live *);

/* The engine is there, which is written down; what of the one before nobody has
 * taken over is let go. */
void live_resume_done(struct live *);
void live_resume_close(void);

/* After each turn: what has changed, for the supd that comes next. */
void live_commit(struct live *);

/*
 * Is what is here, as the texts of another supd, something that this one could go
 * on from?  For --check-resume: prints a line and returns the exit code.
 */
int live_resume_check(int fd);

/* The two texts for that, the caller's to free; NULL without memory. */
char *live_resume_text(size_t *ret_size_bytes);

#endif
