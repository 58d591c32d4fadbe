/*
 * For the tests of the fd store: one service, web, whose workers are played,
 * and a supd that can be followed by another.
 */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "carry.h"
#include "store.h"

enum { WEB = 3, CARRIED_MAX = 4096 };

#define W(slot, incarnation) ((struct worker_id){ slot, incarnation })

struct carried_fd {
	char name[CARRY_NAME_BYTES_MAX + 1];
	int fd;
};

/* What this supd has carried, and what came from the one before. */
extern struct carried_fd carried[CARRIED_MAX], came[CARRIED_MAX];
extern unsigned carried_count, came_count;

/* How often the store has said that it is another. */
extern unsigned change_count;

/* An empty store, fd_store = 8 and two workers; nothing may be left after it. */
int store_set_up(void **state);
int store_tear_down(void **state);
#define TEST(test) \
	cmocka_unit_test_setup_teardown(test, store_set_up, store_tear_down)

/* Room for thousands of fds. */
int store_raise_limit(void **state);

/* What this supd has carried comes to the next, whose store is empty. */
void exec_supd(void);

/* Runs the loop until it holds. */
void await(bool (*holds)(void));

unsigned fd_count(void);
void agree_on(uint32_t limit, uint32_t slot_count, bool closed);

/* A new file, and whether an fd is of the file of this name. */
int file(const char *name);
bool is_file(int fd, const char *name);

/* A worker stores a new file of this name, or an fd. */
void put(struct worker_id, const char *name);
void put_with(struct worker_id, const char *name, int fd, bool unwatched);

/* Two revisions are started; else it is only revision 1. */
void agree_on_both(uint32_t stable, uint32_t candidate);

/* Starts a worker, which must get these files; its end of supd.handover. */
int start(struct worker_id, const char *names);
int start_of(struct worker_id, uint32_t revision, const char *names);

/* How many of its fds have givers that have let go of them. */
unsigned waiting(void);

/* The worker reads one message; the name of its file, "" if there is none. */
const char *receive(int handover);

/* One ready worker runs: this one; or one of each release. */
void hand_over_to(uint32_t slot, uint32_t incarnation);
void hand_over_to_both(uint32_t slot, uint32_t stable, uint32_t candidate);

#endif
