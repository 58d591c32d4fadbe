/*
 * Another build of supd takes over, see live_upgrade.c.
 */
#ifndef SUPD_LIVE_UPGRADE_H
#define SUPD_LIVE_UPGRADE_H

#include "live.h"

/* Notes where this build was installed, who asked for it, and the way back if
 * there is one; after carry_init(). */
void live_upgrade_init(const struct carried *);

/*
 * Begins an upgrade to the build at this path (NULL: where this one was
 * installed); `client` is told how it goes (command.h; 0: nobody).  0, or -1 and
 * a sentence.
 */
int live_upgrade(struct live *, const char *path, uint32_t client,
    char *ret_text);

/* At the end of each turn, when all is written down: executes it when it is time;
 * returns only if it does not. */
void live_upgrade_turn(struct live *);

/* This supd has had its first turn: tells who waits that it is in charge.  After
 * an upgrade its trial begins. */
void live_upgrade_done(struct live *);

/* A client is gone, who may wait for the end of the trial. */
void live_upgrade_gone(uint32_t client);

/* May the supd before an upgrade still come back? */
bool live_upgrade_on_trial(void);

/* supd ends, in order; so its trial is over. */
void live_upgrade_release(struct live *);

#endif
