/*
 * Inside the state: what its files share.  Only state*.c include this.
 */
#ifndef SUPD_STATE_PARTS_H
#define SUPD_STATE_PARTS_H

#include "config_source.h"
#include "state.h"
#include "state_field.h"
#include "state_log.h"

enum {
	KEY_BYTES = 64,
	/* Of one service, also those that leave; far beyond what there can be. */
	STATE_WORKERS_MAX = 8 * WORKERS_MAX,
	NEXT_PLACE = RELEASES_KEPT_MAX, /* of the release that waits */
};

/*
 * What was written: a shadow of each struct, to find what has changed.
 */

struct release_shadow {
	bool written;
	struct release release;         /* its pointers are not looked at */
	struct kept_release kept;
	uint32_t config;
	char handle[RELEASE_HANDLE_BYTES_MAX];
};

struct worker_shadow {
	struct worker worker;           /* incarnation 0: none */
	struct mate mate;
	char *status;                   /* a copy */
	char handle[HANDLE_BYTES_MAX];
};

struct service_shadow {
	uint32_t id;
	bool seen;                      /* in this turn */
	bool written;
	struct service service;         /* its pointers are not looked at */
	uint32_t position, config;
	struct release_shadow releases[RELEASES_KEPT_MAX + 1];
	struct slot *slots;
	uint32_t slot_count;
	struct worker_shadow *workers;
	uint32_t worker_count;
};

/* A reading of the configuration.  It is held here, so that its address is not
 * another one's as long as it is remembered. */
struct source_shadow {
	struct config_source *source;
	uint32_t number;                /* equal text has an equal one */
	bool used;                      /* in this turn */
};

struct state {
	char *supd_version;
	struct state_log log;
	bool anew;                      /* the next is to be */
	size_t anew_bytes;              /* what was written anew, */
	size_t all_bytes;               /* and all since */
	struct engine engine;           /* a shadow; its services are here: */
	struct service_shadow *services[SERVICES_MAX];
	uint32_t service_count;
	struct source_shadow *sources;
	size_t source_count, source_room;
	uint32_t config_last;
};

/* Updates the shadow; has anything changed that is kept? */
bool state_differs(const struct state_table *, void *shadow, const void *now);

/* The number of the spec's text, which is written if it is new; 0: it has none. */
uint32_t state_config(struct state *, const struct spec *);

/* state_service.c */
void state_put_service(struct state *, const struct engine *,
    uint32_t position);
void state_drop_service(struct state *, struct service_shadow *);
void state_free_shadow(struct service_shadow *);

/*
 * What is read.
 */

struct image_handle {
	uint32_t service;               /* its place in the engine's list */
	struct release *release;        /* or NULL, and it is a worker's: */
	uint32_t worker;                /* its place in the fleet */
	char text[RELEASE_HANDLE_BYTES_MAX];
};

struct image_config {
	uint32_t number;
	struct config *config;
};

struct state_image {
	struct engine engine;
	uint32_t positions[SERVICES_MAX];       /* of its services */
	bool turn_was_lost;
	struct image_handle *handles;
	size_t handle_count, handle_room;
	struct image_config *configs;
	size_t config_count;
	struct state_records records;
	char *ret_text;                 /* for who reads it */
};

/* Notes an error in a record, and returns -1. */
int state_refuse(struct state_image *, const struct state_record *,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The service of this id, by its place in the list; -1: none. */
int state_find_service(const struct state_image *, uint32_t id);

/* The spec of this service in the record's configuration, or NULL and an error. */
struct spec *state_read_spec(struct state_image *,
    const struct state_record *, const char *name);

/* A number in a record that is no member of a struct. */
int state_read_number(struct state_image *, const struct state_record *,
    const char *name, uint32_t most, uint32_t *ret);

int state_read_handle(struct state_image *, const struct state_record *,
    struct image_handle *);

/* state_member.c: a record of a service.  0, or -1 and an error. */
int state_read_member(struct state_image *, const struct state_record *,
    const char *kind, uint32_t service, uint32_t number);

/* state_check.c */
int state_check(struct state_image *);

#endif
