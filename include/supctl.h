/*
 * The parts of supctl, the command line.
 *
 * A verb is a row of the table in supctl.c and a function of one of the files
 * below; it returns what supctl exits with.  Results go to standard output,
 * errors to standard error, and an error says what became of the services.
 * All text that came from outside (versions, STATUS=, names) passes through
 * draw_text() or complain(), which let no control character through.
 *
 * What only rollouts need is in supctl_rollout.h, what only dora needs in
 * supctl_dora.h.
 *
 *   supctl.c            the table of verbs, main
 *   supctl_options.c    the table of options
 *   supctl_call.c       the connection and its framing; fields of replies
 *   supctl_complain.c   error replies and messages
 *   supctl_draw.c       colour, cleaning, units
 *   supctl_table.c      aligned columns
 *   supctl_status.c     status: the overview
 *   supctl_detail.c     status: workers, listeners, releases of one service
 *   supctl_watch.c      --watch
 *   supctl_rollout.c    rollout: status, and orders to the one that runs
 *   supctl_steps.c      plans, revisions and phases in words
 *   supctl_deploy.c     reload, undo, restart: asking and waiting
 *   supctl_resume.c     a wait that goes on when supd was restarted
 *   supctl_outcome.c    what came of it, and the exit code
 *   supctl_progress.c   a rollout as it is now, in a few lines
 *   supctl_picture.c    the same on a terminal, kept up
 *   supctl_report.c     what was observed while a rollout ran
 *   supctl_share.c      how many connections each release has, measured
 *   supctl_history.c    history, events
 *   supctl_dora.c       dora: what is shown
 *   supctl_measure.c    from deployments to numbers
 *   supctl_past.c       the ledger, page by page
 *   supctl_order.c      start, stop, scale, signal, shutdown
 *   supctl_check.c      check
 *   supctl_upgrade.c    upgrade
 */
#ifndef SUPD_SUPCTL_H
#define SUPD_SUPCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "bounds.h"

enum supctl_exit {
	SUPCTL_DONE,            /* for a rollout: the release is in charge */
	SUPCTL_FAILED,          /* failed, or rolled back */
	SUPCTL_USAGE,           /* bad usage or configuration */
	SUPCTL_ABSENT,          /* no supervisor there */
	SUPCTL_REFUSED,         /* not permitted */
};

/* What the command line said. */
struct supctl {
	const char *config_path;        /* -c, or NULL */
	const char *socket_path;
	const char *verb;
	bool changes;                   /* the verb may change something */
	bool help, about;               /* --help, --version before a verb */
	bool json, watch, follow;
	bool force, if_changed, plan, no_wait;
	const char *version;            /* of the release, or NULL */
	const char *strategy;           /* or NULL */
	int64_t commit_time_s;          /* 0: not said */
	int64_t since_s;                /* 0: not said */
	const char *to_path;            /* of the new supd, or NULL */
	uint32_t to_revision;           /* 0: not said */
	uint32_t limit;                 /* -n; 0: not said */
	char **operands;
	size_t operand_count;
};

/* ---- supctl_options.c */

enum option_bit {
	OPTION_CONFIG = 1 << 0,
	OPTION_SOCKET = 1 << 1,
	OPTION_HELP = 1 << 2,
	OPTION_ABOUT = 1 << 3,
	OPTION_JSON = 1 << 4,
	OPTION_WATCH = 1 << 5,
	OPTION_VERSION = 1 << 6,
	OPTION_COMMIT_TIME = 1 << 7,
	OPTION_PLAN = 1 << 8,
	OPTION_IF_CHANGED = 1 << 9,
	OPTION_FORCE = 1 << 10,
	OPTION_NO_WAIT = 1 << 11,
	OPTION_LIMIT = 1 << 12,
	OPTION_FOLLOW = 1 << 13,
	OPTION_STRATEGY = 1 << 14,
	OPTION_TO_REVISION = 1 << 15,
	OPTION_SINCE = 1 << 16,
	OPTION_TO = 1 << 17,
};

/*
 * Stores the options of argv, of which those in `allowed` may be there, and
 * leaves the index of the first operand in optind.  With in_order it stops at
 * that; else it moves options before operands.  Returns an exit code.
 */
int options_parse(struct supctl *, int argc, char **argv, unsigned allowed,
    bool in_order);

/* ---- supctl_draw.c */

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARNING,
	STYLE_BAD };

struct draw {
	FILE *out;
	bool terminal;          /* one that understands escape sequences */
	bool colour;
	bool redraws;           /* lines are painted over others */
	uint32_t width;         /* columns, where lines are cut; 0: nowhere */
	uint32_t height;        /* lines, after which all is dropped; 0: never */
	uint32_t column;        /* of the present line */
	uint32_t line_count;    /* finished ones */
};

struct unit {                   /* a number as text, to be used at once */
	char text[40];
};

/* Colour and terminal are found out from `out` and the environment. */
void draw_init(struct draw *, FILE *out);

/* Asks the terminal for its size; cuts lines from now on. */
void draw_fit(struct draw *);

/* Text without a newline.  Control characters become `?`. */
void draw_text(struct draw *, enum style, const char *text);
void draw_format(struct draw *, enum style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void draw_end(struct draw *);           /* ends the line */

/* A line of its own. */
void draw_line(struct draw *, enum style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Copies one character of UTF-8 to ret_bytes (with a NUL), or `?` if it could
 * drive a terminal or deceive a reader.  Returns how many bytes of `text` it
 * was; 0 at its end.
 */
size_t draw_clean(const char *text, char ret_bytes[5]);

/* Writes as it is. */
void draw_raw(FILE *out, const char *text);

/* Writes what is held back.  Returns 0, or the first errno that standard
 * output ever had; EPIPE: nobody reads any more. */
int draw_flush(void);

struct unit draw_duration(uint64_t duration_ms);        /* 12 ms, 3m12s */
struct unit draw_bytes(uint64_t size_bytes);            /* 48M */
struct unit draw_age(int64_t time_s);                   /* until now */
struct unit draw_time(int64_t time_s);                  /* local */
struct unit draw_percent(uint64_t permille);

/* Never NULL: says so and exits when there is no memory.  This is a client;
 * nothing is lost with it. */
void *draw_memory(void *);

/* ---- supctl_table.c */

struct table;

/* Columns by their headings, which outlive the table. */
struct table *table_new(const char *const *headings, size_t column_count);

/* The next cell, from left to right, row by row. */
void table_cell(struct table *, enum style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints it, without columns in which nothing stands, and frees it. */
void table_print(struct table *, struct draw *, uint32_t indent);

/* ---- supctl_call.c */

#define CALL_PATIENCE_MS 10000          /* for an answer */
#define CALL_RETURN_MS 10000            /* for a supervisor that has gone */
#define CALL_FOREVER_MS (-1)

struct call {                   /* a connection */
	const char *path;
	int fd;
	int interrupt_fd;       /* ends a wait when it is readable; or -1 */
	uint64_t opened_ms;     /* or when that was tried last */
	uint64_t return_ms;     /* until when a lost one is tried again */
	bool heard;             /* there was a reply */
	bool told;              /* that it was lost */
	char *bytes;
	size_t size_bytes, capacity_bytes;
};

struct reply {
	json_t *message;
	json_t *parameters;     /* an object, of message */
	const char *error;      /* of message; NULL: none */
	bool continues;
};

enum call_result {
	CALL_REPLY,
	CALL_TIMEOUT,
	CALL_INTERRUPTED,
	CALL_CLOSED,            /* by the other end */
	CALL_BROKEN,            /* errno says why */
	CALL_GARBAGE,
	CALL_TOO_LARGE,
};

/* Connects; says why not.  Returns an exit code. */
int call_open(struct call *, const char *path);
void call_close(struct call *);

/*
 * Connects again after the connection was lost, as it is when supd is
 * restarted: again and again for CALL_RETURN_MS, which begin anew only when
 * a connection served.  Returns 0, -EINTR if it was interrupted, -ECONNRESET
 * if each new one is lost as well, or why there is none; says nothing.
 */
int call_reopen(struct call *);

/* It served: a reopening after this is of its own accord, or the first try. */
void call_served(struct call *);

/* Takes over `parameters`.  A failure shows when the reply is received: the
 * other end may have said why it closed. */
void call_send(struct call *, const char *method, json_t *parameters,
    bool more);

/* timeout_ms may be CALL_FOREVER_MS.  A reply is to be released. */
enum call_result call_receive(struct call *, int timeout_ms,
    struct reply *ret_reply);
void reply_release(struct reply *);

/*
 * Asks and waits for the one answer; says what went wrong.  Returns an exit
 * code; ret_reply is to be released if it is 0.  What changes nothing is asked
 * once more if the connection is lost.
 */
int call_ask(const struct supctl *, struct call *, const char *method,
    json_t *parameters, struct reply *ret_reply);

/* The same with a connection of its own. */
int call_once(const struct supctl *, const char *method, json_t *parameters,
    struct reply *ret_reply);

/*
 * An fd that becomes readable at ^C or SIGTERM, which do not end the process
 * any more.  -1 if there is none; then they do.  Where they are ignored, as in a
 * script with `trap "" INT`, they stay so.
 */
int call_catch_interrupts(void);

/* Fields of a reply.  What is missing, null or of another type is "", 0,
 * false, an empty list; and NULL for an object. */
const char *field_text(const json_t *, const char *key);
uint64_t field_number(const json_t *, const char *key);  /* negative: 0 */
bool field_flag(const json_t *, const char *key);
bool field_given(const json_t *, const char *key);       /* and not null */
json_t *field_list(const json_t *, const char *key);
json_t *field_object(const json_t *, const char *key);

/* One line of JSON on standard output. */
void call_print_json(const json_t *);

/* ---- supctl_complain.c */

/* `supctl: …` on standard error, cleaned. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each says what is wrong and returns what to exit with. */
int complain_result(const struct supctl *, const struct call *,
    enum call_result);
int complain_reply(const struct supctl *, const struct call *,
    const struct reply *);
int complain_connect(const char *path, int error);
int complain_shape(const char *missing);

/* call_reopen() gave up with this error; `outcome` ends the sentence. */
int complain_gone(const struct call *, int error, const char *outcome);

/* call_reopen() did not: says so once, however often it has to be called. */
void complain_back(struct call *, const char *what_goes_on);

/* Those of a configuration that was read here, a line each. */
struct config_errors;
void complain_errors(const struct config_errors *);

/* The name of `list` that `word` may be a typing error of, or NULL. */
const char *nearest_word(const char *word, const char *const *list,
    size_t count);

/* ---- supctl_detail.c */

/* Workers of a revision (0: of any) by state. */
struct tally {
	uint32_t total;
	uint32_t counts[8];
};
struct tally tally_workers(const json_t *workers, uint64_t revision);
void tally_print(struct draw *, const struct tally *);  /* 3 ready, 1 … */

/* The same as text, with or without those that are ready. */
void tally_words(const struct tally *, bool with_ready, char *text,
    size_t capacity);
enum style tally_style(const struct tally *);
uint32_t tally_ready(const struct tally *);

enum style worker_style(const char *state);

void detail_print(struct draw *, const json_t *service);
void detail_print_releases(struct draw *, const json_t *service);

/* ---- supctl_status.c */

/* Returns an exit code: the reply may lack what it should have. */
int status_print(struct draw *, const json_t *reply, bool detailed);

/* ---- supctl_watch.c */

/* What is looked at again and again. */
struct view {
	const char *method;
	const char *service;            /* or NULL */

	/* Draws a reply for people.  Returns an exit code. */
	int (*draw)(struct view *, struct draw *, const json_t *reply);

	/* Looks at a reply too: true if no other is wanted, and then the exit
	 * code.  NULL: it goes on until the user has seen enough. */
	bool (*is_over)(struct view *, const json_t *reply, int *ret_code);

	bool over;                      /* is_over() was true */
	void *context;                  /* for these two */
};

/* Until it is over, the user has seen enough, or nobody reads any more; the
 * last two are SUPCTL_DONE. */
int watch(const struct supctl *, struct view *);

/* ---- supctl_history.c */

void event_print(struct draw *, const json_t *event, bool with_time);

/* ---- the verbs */

int verb_status(const struct supctl *);
int verb_reload(const struct supctl *);
int verb_rollout(const struct supctl *);
int verb_undo(const struct supctl *);
int verb_history(const struct supctl *);
int verb_dora(const struct supctl *);
int verb_start(const struct supctl *);
int verb_stop(const struct supctl *);
int verb_restart(const struct supctl *);
int verb_scale(const struct supctl *);
int verb_signal(const struct supctl *);
int verb_events(const struct supctl *);
int verb_check(const struct supctl *);
int verb_upgrade(const struct supctl *);
int verb_shutdown(const struct supctl *);

#endif
