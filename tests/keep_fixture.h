/*
 * What the tests of listeners that outlive supd share.  The carrier is
 * carry_fake.c, and the next supd is this process again.
 */
#ifndef SUPD_KEEP_FIXTURE_H
#define SUPD_KEEP_FIXTURE_H

#include "carry.h"
#include "carry_fake.h"
#include "listener_keep.h"
#include "steer_fixture.h"

enum { CHANGES_MAX = 64 };

/* What was saved at each change, as supd would. */
extern json_t *changes[CHANGES_MAX];
extern unsigned change_count;

void note_change(void *ctx);
void forget_changes(void);

/* Around each test; the second looks that nothing is left of it. */
int keep_begin(void **state);
int keep_end(void **state);

void restore_or_fail(const json_t *saved);

/* Killed right after the last change was recorded; nothing else is then. */
void restart(void);

/* The text of a moment, and the kernel of now. */
void restart_from(unsigned change);

/* The same shard in the next life, with a reference. */
struct shard *again(uint32_t number);
struct lane_pair pair_again(const uint32_t numbers[LANES]);
void numbers_of(const struct lane_pair *, uint32_t ret_numbers[LANES]);

#define KEEP_TEST(test) \
	cmocka_unit_test_setup_teardown(test, keep_begin, keep_end)

#endif
