/*
 * The ledger: state_dir/deployments.jsonl, a line per rollout.
 *
 * A line is appended and synced when a rollout ends.  A ledger that cannot be
 * written never stops a rollout: the line is kept (up to LEDGER_PENDING_MAX)
 * and written with the next one, and ledger_error() says so until it is.  A
 * line that was cut by a crash is skipped by readers and ended by the next
 * append.
 */
#ifndef SUPD_LEDGER_H
#define SUPD_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LEDGER_PENDING_MAX = 64,
	LEDGER_SEARCH_BYTES_MAX = 16 << 20,     /* from its end; 40,000 lines */
};

/* Remembers where it is; creates state_dir if its parent exists.  Nothing is
 * an error here: what is wrong shows in ledger_error(). */
void ledger_open(const char *state_dir);
void ledger_close(void);

/* Appends one line (JSON without newline). */
void ledger_append(const char *json);

/* Does a line tell the same of this deployment already?  A supd that was killed
 * may have appended it, and have noted nowhere that it did. */
bool ledger_has(const char *json);

/* For the next supd: the lines that wait, as texts.  It appends those that the
 * file does not have by then. */
json_t *ledger_save(void);
void ledger_restore(const json_t *);

/* NULL, or a sentence: what is wrong and what happens to the lines. */
const char *ledger_error(void);

/*
 * The newest lines first, at most `limit` and HISTORY_LINES_MAX, of this
 * service (NULL: of all) that finished no later than `before_s` (0: all); lines
 * that wait to be written are among them.  What is no JSON object or over 64 KiB
 * is skipped, and what is before the last LEDGER_SEARCH_BYTES_MAX is not looked
 * at.  Returns the count; the caller frees the array and each line.
 */
size_t ledger_read(const char *service, int64_t before_s, size_t limit,
    char ***ret_lines);

/* The highest revision and the one that was in charge last, which after an undo
 * is a lower one; zeros if unknown. */
void ledger_past(const char *service, uint32_t *ret_revision_last,
    uint32_t *ret_revision_good, uint64_t *ret_fingerprint_good);

#endif
