/*
 * What the files of the fd store share; see store.h.
 */
#ifndef SUPD_STORE_PRIVATE_H
#define SUPD_STORE_PRIVATE_H

#include <sys/types.h>

#include "reactor.h"
#include "store.h"

struct stored {
	struct stored *next;            /* in the order of storing */
	struct store_service *owner;
	uint64_t number;                /* f<number>, for carry.h */
	struct worker_id giver;
	uint32_t revision;              /* of the giver; 0: not known */
	struct store_worker *worker;    /* the giver; NULL: it has ended */
	int fd;
	dev_t device;                   /* of what the fd is open on */
	ino_t inode;
	bool unwatched;
	bool left;                      /* its giver said that it stops */
	bool replaced;                  /* for whichever release */
	bool granted;                   /* to the start in hand */
	char name[];
};

/* A worker that has ended has none. */
struct store_worker {
	struct store_worker *next;
	struct worker_id id;
	uint32_t revision;              /* 0: not known */
	bool stopping;                  /* said STOPPING=1 */
	bool replaced;                  /* is to make room */
	int ends[2];                    /* of supd.handover: ours, the worker's;
					 * or -1 */
	struct watch watch;             /* of ours, while it is blocked */
	bool blocked;                   /* its buffer is full */
};

struct store_service {
	struct store_service *next;
	uint32_t id;
	char name[NAME_LENGTH_MAX + 1];
	uint32_t limit, slot_count, stable, candidate;
	bool closed;
	bool agreed;                    /* in this turn */
	bool told_refused, told_full;   /* once each is enough */
	struct stored *first, **end;
	uint32_t count;
	struct store_worker *workers;
};

extern struct store_service *store_services;
extern uint64_t store_number_last;

/* What store_save() says is another. */
void store_changed(void);

struct store_service *store_find(uint32_t service);
struct store_service *store_make(uint32_t service);     /* NULL: no memory */

struct store_worker *store_worker_find(const struct store_service *,
    uint32_t incarnation);
struct store_worker *store_worker_make(struct store_service *,
    struct worker_id);          /* NULL: no memory */

/* It has ended: what it has stored is free, and what it has not read too. */
void store_worker_end(struct store_service *, struct store_worker *);

/* Closes supd.handover, and with it what nobody has read. */
void store_worker_close(const struct store_service *, struct store_worker *);

/* Its supd.handover, which was carried; false: it did not come. */
bool store_worker_take(const struct store_service *, struct store_worker *);

/*
 * An fd (which stays at its number) at the end of the list, watched and carried,
 * as given by nobody; NULL without memory.  The number 0 means a new one.
 */
struct stored *store_append(struct store_service *, const char *name, int fd,
    uint64_t number, bool unwatched);

/* FDPOLL is another now. */
void store_set_unwatched(struct stored *, bool unwatched);

/* Out of the list, and closed here.  *link is it. */
void store_unlink(struct stored **link);
struct stored **store_link(const struct stored *);

/* The same for what nobody gets; all of a service, and whether there was any. */
void store_drop(struct stored **link);
bool store_drop_all(struct store_service *);

/* Would closing it wait? */
bool store_lingers(int fd);

/* Opened when it is needed, or before; 0 or -1, with errno. */
int store_open_hang_ups(void);
void store_close_hang_ups(void);

/* Has its giver let go of it? */
bool store_is_free(const struct stored *);

/* A name as notify_parse() has it. */
bool store_name_is_good(const char *name);

#endif
