/*
 * An engine in a world where everything works at once, and the text of its state
 * as it grows: for tests of what is written and what is read.
 */
#ifndef SUPD_TESTS_STATE_FIXTURE_H
#define SUPD_TESTS_STATE_FIXTURE_H

#include "config.h"
#include "state.h"

struct stage {
	struct engine engine;
	struct world world;
	uint64_t now_ms;
	const char *config;             /* what is read next */
	uint32_t pin_count, process_count;
	uint32_t steer_count, steered_permille;
	pid_t adopted;                  /* MAINPID= */
	uint64_t last_task;             /* that was asked for */
	enum task_kind last_kind;
	bool same_build;                /* is pinned as before */
	bool keeps_tasks;               /* in a restart */
	uint32_t lost_worker;           /* what it does not find again, by */
	uint32_t lost_revision;         /* incarnation and revision */
	char said[4096];                /* the notices since the last turn */

	struct state *state;
	char *log;                      /* all that was to be written */
	size_t log_bytes;
	size_t last_bytes;              /* of it, by the last turn */
	bool anew;                      /* the last turn was */
};

/* Boots this configuration; to be released. */
void stage_boot(struct stage *, const char *config);
void stage_release(struct stage *);

/* Its service "web", which must be there. */
struct service *stage_web(const struct stage *);

/* `ms` later a turn takes place, and what has changed is written. */
void stage_turn(struct stage *, uint64_t ms);

/* All workers that start are ready, and a turn. */
void stage_make_ready(struct stage *);

/* Reloads this configuration, which must be good. */
void stage_reload(struct stage *, const char *config);

/* The last task that was asked for ends. */
void stage_end_task(struct stage *, int status);

/* The engine goes on from what was written. */
void stage_restart(struct stage *);

/* Takes over what these bytes say; NULL, or why not, until the next call. */
const char *stage_read(struct stage *, const char *bytes, size_t size_bytes);

/* All that the engine is, written anew; for free(). */
char *stage_text(const struct stage *);

/* A file of tests/, the caller's to free. */
char *read_test_file(const char *name);

#endif
