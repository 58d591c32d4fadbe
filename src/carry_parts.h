/*
 * Inside carry: the table of names, which its files share.  Only carry*.c include
 * this.
 *
 *   carry.c          the table: names that are put and taken
 *   carry_receive.c  what came
 *   carry_execute.c  to the next one
 *   carry_name.c     which names are ours
 */
#ifndef SUPD_CARRY_PARTS_H
#define SUPD_CARRY_PARTS_H

#include <stddef.h>

#include "carry.h"

enum {
	CARRY_BUCKET_COUNT = 1 << 14,   /* a power of two */
	CARRY_HEAD_BYTES = 128,         /* of a manifest */
};

struct carry_entry {
	char name[CARRY_NAME_BYTES_MAX + 1];
	int fds[CARRY_FDS_MAX];
	uint8_t fd_count;
	uint64_t files;                 /* which they are, in any order */
	bool used;                      /* else it is free */
	bool came;                      /* and these were not taken yet */
	bool store;                     /* the parent has it */
	uint32_t next;                  /* in its bucket, or of the free ones; */
};                                      /* 0: none, so the first is not used */

struct carry_table {
	struct carry_entry entries[CARRY_NAMES_MAX];
	uint32_t buckets[CARRY_BUCKET_COUNT];
	uint32_t used_count;            /* of entries, ever */
	uint32_t free_first;
	int manifest_fd;
	int *originals;                 /* of what came */
	size_t original_count;
	bool unsure;                    /* what the parent has is not known */
	bool unsettled;                 /* manifest_fd is the one that came */
	bool torn;                      /* and no more what came by it */
	bool full;                      /* and that was said */
	bool ready;
};

extern struct carry_table carry;

/* By the value of enum carry_cause. */
extern const char *const carry_causes[CARRY_CAUSE_COUNT];

/* The file behind it: one of two that are open at the same time. */
uint64_t carry_file(int fd);

/* Where the number of this name's entry stands, or where a list ends. */
uint32_t *carry_link(const char *name, bool came);

/* A further entry; NULL: there is no room. */
struct carry_entry *carry_add(const char *name, bool came);

/* The entry that this link points to is free from now on. */
void carry_free(uint32_t *link);

#endif
