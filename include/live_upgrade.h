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

/* This supd has had its first turn: tells who waits. */
void live_upgrade_done(struct live *);

#endif
