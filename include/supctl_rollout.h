/*
 * The parts of supctl that show a rollout, ask for one, and wait for its end.
 */
#ifndef SUPD_SUPCTL_ROLLOUT_H
#define SUPD_SUPCTL_ROLLOUT_H

#include "listener.h"
#include "supctl.h"

/* ---- supctl_steps.c */

/* `4 (v2.1)` */
struct label {
	char text[2 * VERSION_BYTES_MAX + 16];
};
struct label revision_label(uint64_t revision, const char *version);

enum style phase_style(const char *phase);

/* `step 2 of 4` */
void steps_print_present(struct draw *, const json_t *rollout);

/* The steps around the present one, which is marked, with what is left of its
 * hold.  The last of them is the last of the plan; others may be missing. */
void steps_print_line(struct draw *, const json_t *rollout);

/* The same as a table, without a present one. */
void steps_print_plan(struct draw *, const json_t *steps);

/* One sentence on a deployment that has ended; "" if there is none. */
void steps_print_last(struct draw *, const json_t *deployment);

/* ---- supctl_share.c */

/* Open connections, by the label of the lane that accepted them. */
struct share {
	uint32_t counts[LABELS_MAX];
	bool known;                     /* else they say nothing */
};

struct share_reader {
	bool off;               /* it did not work, or took too long, once */
};

/* Of these listeners of a service, as Status has them; only the TCP ones on
 * this machine can be seen.  Takes 100 ms at most. */
struct share share_measure(struct share_reader *, const json_t *listeners);

/* ---- supctl_progress.c */

/* The rollout of a service that Status says has one, with what a reader finds
 * out about its connections; short: on one line. */
void progress_draw(struct draw *, const json_t *service,
    struct share_reader *);
void progress_draw_short(struct draw *, const json_t *service);

/* ---- supctl_report.c */

/* What was observed while a deployment ran; nothing if nothing was. */
void report_print(struct draw *, const json_t *deployment);

/* ---- supctl_picture.c */

struct picture;

/* NULL where standard output is no terminal, or says why there is no picture.
 * The service may be NULL. */
struct picture *picture_open(const struct supctl *, const char *service);

/* Asks the supervisor, and paints.  Returns false if it did not answer; then the
 * picture is of no more use. */
bool picture_draw(struct picture *);

/* Both may be given NULL. */
void picture_erase(struct picture *);
void picture_close(struct picture *);

/* ---- supctl_deploy.c */

/* When a wait is a success. */
enum goal {
	GOAL_RELEASE,           /* the new release is in charge */
	GOAL_BACK,              /* undo: the old one is, be it by the end of
				 * the rollout that runs */
	GOAL_ABORT,             /* the rollout that runs went back */
};

struct awaited {                /* a service whose rollout is waited for */
	char service[NAME_LENGTH_MAX + 1];
	uint64_t id;                    /* of its deployment; 0: not known */
	bool queued;                    /* one waits for the end of another */
	json_t *outcome;                /* NULL: not yet */
};

struct wait {
	const struct supctl *ctl;
	const char *service;            /* the only one, or NULL */
	enum goal goal;
	bool edits;                     /* promote, abort: no new rollout */
	struct call call;
	struct draw draw;
	struct picture *picture;        /* or NULL */
	uint64_t started_ms;
	bool heard;                     /* something has begun */

	/* what is needed if the connection is lost (supctl_resume.c) */
	struct supctl looks;            /* ctl, for what changes nothing */
	bool resumed;                   /* over another connection */
	bool lost;                      /* and that was not said yet */
	int64_t began_s, lost_s;        /* wall clock; 0: it was not */
	uint64_t event_ms;              /* the time of the last event */
	bool replays;                   /* older ones may come once more */
	struct awaited awaited[SERVICES_MAX];
	size_t awaited_count;
};

/* Asks for a rollout and waits for its end.  Takes over `parameters`. */
int deploy(const struct supctl *, const char *method, json_t *parameters,
    const char *service, enum goal);

/* The same for one that runs already: promote, abort. */
int deploy_edit(const struct supctl *, const char *method,
    const char *service, enum goal);

/* ---- supctl_resume.c */

/* Remembers which deployment an event is of. */
void wait_note(struct wait *, const json_t *event);

/* Of a wait that was resumed: an event of what is waited for, not told yet; and
 * one that says that wait_look() has something to see. */
bool wait_is_news(const struct wait *, const json_t *event);
bool wait_is_turn(const json_t *event);

/* Looks, over a new connection, how far all is.  Returns the exit code, or -1:
 * it goes on, and events will come. */
int wait_look(struct wait *);
void wait_forget(struct wait *);

/* ---- supctl_outcome.c */

/* Shows the outcomes in the last reply and returns an exit code; with --json
 * that is all it does. */
int outcomes_show(struct wait *, const json_t *reply);

#endif
