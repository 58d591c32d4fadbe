/*
 * The rig of the end-to-end tests: a directory with a configuration, builds in
 * it, a real supd, supctl as its operator and a load generator as its users.
 *
 * Whatever goes wrong here fails the test at once, so that callers need not
 * check.  Nothing sleeps: a wait is for a line of supd's log, an output or the
 * end of a process, and is bounded; the log is read meanwhile, so that nobody
 * blocks on it.  One supd runs at a time unless a test starts another by hand.
 *
 *   e2e.c          the directory and builds
 *   e2e_supd.c     supd and its log
 *   e2e_rest.c     what it has open
 *   e2e_run.c      supctl and other programs
 *   e2e_load.c     the load generator and its report
 *   e2e_look.c     processes, fds, what workers counted, and the control
 *                  socket without supctl
 *   e2e_rollout.c  waiting for what a rollout does
 *   e2e_net.c      a network namespace
 */
#ifndef TESTS_E2E_H
#define TESTS_E2E_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>

#include "worker_counts.h"

enum {
	E2E_WAIT_MS = 30000,            /* for anything; then the test fails */
	E2E_PATH_BYTES = 160,
	E2E_OUTPUT_BYTES = 1 << 17,
	E2E_NOBODY = 65534,             /* a user without rights */
};

/* ---- e2e.c */

/*
 * A fresh directory before each test.  After it: ends a supd that still runs
 * and whatever outlived it, and removes the directory.
 */
int e2e_set_up(void **state);
int e2e_tear_down(void **state);
#define E2E_TEST(test) \
	cmocka_unit_test_setup_teardown(test, e2e_set_up, e2e_tear_down)

/*
 * The same in a network of its own, if that is permitted here: for a supd that
 * would change the machine's sysctls.  See net_enter().
 */
int e2e_set_up_net(void **state);
#define E2E_NET_TEST(test) \
	cmocka_unit_test_setup_teardown(test, e2e_set_up_net, e2e_tear_down)

/* A name in the directory; good for sixteen calls. */
const char *e2e_path(const char *name);

/* A program of this build, such as "supd" or "tests/worker"; the same. */
const char *e2e_program(const char *name);

/* Writes a file as a new one that is renamed. */
void e2e_write(const char *name, mode_t mode, const char *text);

/*
 * Writes supd.conf: runtime_dir and state_dir in the directory, then this.
 */
void e2e_configure(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* With one service, `web`, that says itself that it is ready; `keys` are lines of
 * its section. */
void e2e_configure_web(const char *target, int workers, const char *keys);

/*
 * Installs a build: a new executable, renamed to `name`, which runs the worker
 * with these options (tests/build.c).  Every install is another build.
 */
void e2e_install(const char *name, const char *options);

/* The same, but another program of this build, such as "tests/ticker". */
void e2e_install_program(const char *name, const char *program,
    const char *options);

/* As e2e_install(), with a version, for worker_totals(), and further options or
 * "". */
void e2e_install_counted(const char *name, const char *version,
    const char *options);

/* As e2e_install(), but written into the file that is there. */
void e2e_overwrite(const char *name, const char *options);

/* A port of 127.0.0.1 and ::1 that nobody uses. */
unsigned e2e_port(void);

uint64_t e2e_now_ms(void);

/* How often to do something, or E2E_ROUNDS if that is less. */
unsigned e2e_rounds(unsigned rounds);

/* The same; but so many times if E2E_LONG is set. */
unsigned e2e_rounds_or_long(unsigned rounds, unsigned long_rounds);

/* ---- e2e_supd.c */

enum supd_how {
	SUPD_PLAIN = 0,
	SUPD_AS_NOBODY = 1 << 0,        /* uid 65534, XDG_RUNTIME_DIR set */
	SUPD_CLOSED_INPUT = 1 << 1,     /* without stdin and stdout */
	SUPD_FEW_FDS = 1 << 2,          /* RLIMIT_NOFILE e2e_fd_limit */
	SUPD_AS_INIT = 1 << 3,          /* first process of a pid namespace */
	SUPD_FIXED_SYSCTLS = 1 << 4,    /* /proc/sys is read-only */
	SUPD_UNDER_INIT = 1 << 5,       /* supd-init starts it, again too */
	SUPD_WITH_SOCKET = 1 << 6,      /* LISTEN_FDS: e2e_given_socket */
};
extern unsigned e2e_fd_limit;
extern int e2e_given_socket;

/* Words that go before supd's own, with a program that executes what follows;
 * NULL: none. */
extern const char *const *supd_tracer;

/* Starts supd with supd.conf; does not wait.  False: not permitted here. */
bool supd_start(unsigned how);

/* The same, and waits until so many workers are ready. */
bool supd_start_ready_how(unsigned how, unsigned workers);
void supd_start_ready(unsigned workers);

extern pid_t supd_pid;                  /* 0: none runs; of its supd-init if
					 * it has one */

void supd_signal(int signo);

/* What supd says of itself (Supervisor of io.supd); the caller's. */
json_t *supervisor_status(void);

/* The pid of supd itself, as it says. */
pid_t supd_own_pid(void);

/* May the supd before an upgrade still come back? */
bool supd_is_on_trial(void);

/* A signal that ends supd itself; returns when it has met it. */
void supd_strike(int signo);
void supd_strike_pid(pid_t, int signo);

/* Waits for its end; the exit status, or 128 + signal. */
int supd_wait(void);

/* Of one that has ended: no process, but for one that it has killed. */
void supd_assert_nothing_left(void);

/*
 * The end of a test: everything that belongs to supd and to nobody else must
 * have come to rest: no fd was leaked since supd_start_ready(), SIGTERM ends
 * it with 0, and no process is left.
 */
void supd_stop(void);

/* Later waits look only at what is logged from now on. */
void log_mark(void);

/* Waits until `text` was logged since the mark; `count` times. */
void log_await(const char *text);
void log_await_count(const char *text, unsigned count);

/* Waits until so many workers got ready since the mark. */
void log_await_ready(unsigned count);

/* How often it was logged since the mark, as far as was read. */
unsigned log_count(const char *text);

/* The last line with this text since the mark. */
const char *log_line(const char *text);

/* Waits until fd is readable, and reads the log meanwhile. */
void e2e_await_input(int fd);

/* The same; false after `timeout_ms`.  For at most four fds, -1 is none; for
 * no fds it is the log that is waited for. */
bool e2e_input_within(int fd, int timeout_ms);
bool e2e_inputs_within(const int *fds, unsigned count, int timeout_ms);

/* For the rig: what is open now, and that no more is in the end (e2e_rest.c). */
void rest_forget(void);
void rest_note(void);
void rest_assert(void);

/* What could not be had, such as a timerfd, need not be open at the end. */
extern bool rest_may_be_less;

/* For the rig: prints the log if supd still runs, and forgets both. */
void supd_forget(void);

/* ---- e2e_run.c */

struct program {
	pid_t pid;
	int pidfd, out_fd, err_fd;
};

/* Starts argv[0], a path, with its output in pipes; as `uid` unless 0. */
void program_start(struct program *, const char *const *argv, uid_t uid);

/* Collects the output and waits for the end, in the variables below. */
int program_end(struct program *);

/* The last program's output and exit code (or 128 + signal). */
extern char program_out[E2E_OUTPUT_BYTES];
extern char program_err[E2E_OUTPUT_BYTES];
extern int program_code;

/* supctl with words that end with NULL. */
#define supctl(...) supctl_list((const char *const[]){ __VA_ARGS__, NULL })
#define supctl_begin(program, ...) \
	supctl_begin_list(program, (const char *const[]){ __VA_ARGS__, NULL })
int supctl_list(const char *const *words);
void supctl_begin_list(struct program *, const char *const *words);

/* The last program ended with this code and said this on stdout or stderr. */
#define assert_ended(code, text) \
	program_assert(code, text, __FILE__, __LINE__)
void program_assert(int code, const char *text, const char *file, int line);

/* ---- e2e_load.c */

struct load {
	struct program program;
};

/*
 * Requests at `rate` until load_end(); a pool of `keep_alive` connections, or
 * one for each request if that is 0.
 */
void load_start(struct load *, const char *target, unsigned rate,
    unsigned keep_alive);

/* The same with options of the load generator, separated by blanks. */
void load_start_with(struct load *, const char *target, const char *options);

/* Waits for the end of a second of load; the first is one after its start. */
void load_await_second(const struct load *);

/* Waits for the end of a second with an answer of this version. */
void load_await_version(const struct load *, const char *version);

/* Ends it; its report, to be released. */
json_t *load_end(struct load *);

/* Ends it; nothing may have failed.  Returns how many requests there were. */
uint64_t load_end_clean(struct load *);

/* From start to end, with a bound such as --requests N; its report. */
json_t *load_run(const char *target, const char *options);

uint64_t load_number(const json_t *report, const char *key);
void load_assert_clean(const json_t *report);

/* What a report says of a version; zeros if that never answered. */
struct load_version {
	uint64_t answers;               /* good ones */
	uint64_t failures;              /* known to be its own */
	uint64_t connections;           /* whose first answer was its own */
	uint64_t sources;               /* addresses that it ever answered */
	uint64_t workers;               /* pids */
	uint64_t first_ms, last_ms;     /* answers, since the start */
};
struct load_version load_version(const json_t *report, const char *version);

/* How often a source address changed from one version to the other. */
uint64_t load_changes(const json_t *report, const char *from, const char *to);

/*
 * Whether hits among count may be random ones of this share: no further off
 * than five standard deviations, so that one test in a million is wrong.
 */
bool load_is_share(uint64_t hits, uint64_t count, unsigned permille);

/* Of the report's connections this version has such a share. */
void load_assert_share(const json_t *report, const char *version,
    unsigned permille);

/* ---- e2e_look.c */

/* The version that one fresh request is answered with; "" if it is not. */
const char *ask_version(const char *target);

/*
 * The sum of what all workers of a version have counted, dead or alive, if
 * they are of e2e_install_counted().
 */
struct worker_counts worker_totals(const char *version);

/* How many workers ever ran that were of e2e_install_counted(). */
unsigned workers_started(void);

/* A connection to the control socket; -1 if it is refused. */
int control_open(void);

/* Sends a request (JSON) and waits for one reply, to be released. */
json_t *control_call(int fd, const char *json);
json_t *control_receive(int fd);

/* What Upgrade says when it comes to this stage, or its last word (an error has no
 * stage: ""); to be released.  NULL: nothing more came. */
json_t *upgrade_await(int fd, const char *stage);
const char *upgrade_stage(const json_t *reply);

/* `services[0]` of Status; to be released. */
json_t *service_status(const char *name);

/* A number of an object in it, or its length if it is a list. */
uint64_t status_number(const char *service, const char *key);

/* The pid of a worker of this revision (0: any) in state ready; fails if there
 * is none. */
pid_t worker_pid(const char *service, unsigned revision);

/* All of its workers, such as "17 18 "; good for four calls. */
const char *worker_pids(const char *service);

/* Why supd was started anew, as it says; "": it was not. */
const char *restarted_why(void);

/* One of supd's texts in memory, such as "supd-state"; to be closed. */
int supd_memory_open(const char *name);

/* What it has written there is no text any more. */
void supd_memory_damage(const char *name);

/* A message to supd-init in the name of the supd that it has started; as root. */
void supd_tell_parent(const char *text);

/* Open fds of supd, but for its control clients. */
unsigned supd_fd_count(void);

/* Until those of all other revisions have ended: one that is told to stop may
 * answer whoever came just before. */
void workers_await_only(const char *service, unsigned revision);

/* All descendants of a process; the number of them. */
enum { FAMILY_MAX = 512 };
unsigned family_of(pid_t pid, pid_t ret_pids[FAMILY_MAX]);

/* Waits until the process is gone or a zombie. */
void await_gone(pid_t pid);

/* A number of /proc/PID/status. */
uint64_t process_number(pid_t pid, const char *key);

/* ---- e2e_rollout.c */

/* RolloutStatus: `rollout` (null if none runs) and `last`; to be released. */
json_t *rollout_status(const char *service);

/* A number (0 if there is none) or a text ("") of `rollout`. */
uint64_t rollout_number(const json_t *status, const char *key);
const char *rollout_text(const json_t *status, const char *key);

/* The lane `stable` or `candidate` of `rollout`; NULL if there is none. */
const json_t *rollout_lane(const json_t *status, const char *name);

/*
 * Waits until a predicate of the status holds; the status, to be released.
 * `what` says what was waited for if that never comes.
 */
typedef bool rollout_test(const json_t *status, const void *wanted);
json_t *rollout_await(const char *service, rollout_test *holds,
    const void *wanted, const char *what);

/* Waits for a phase (`idle`: no rollout), at least a step, or a weight. */
void rollout_await_phase(const char *service, const char *phase);
void rollout_await_step(const char *service, unsigned step);
void rollout_await_weight(const char *service, unsigned permille);

/*
 * Waits until the rollout of a revision has ended, which must be like this;
 * the deployment, to be released.
 */
json_t *rollout_await_verdict(const char *service, unsigned revision,
    const char *verdict);

/* ---- e2e_net.c */

/*
 * From now until the end of the test, all that is started and this process
 * itself are in a network namespace of their own, with nothing but a loopback
 * interface and tcp_migrate_req set like this.  False: not permitted here.
 * As root, a supd in it may change that unless SUPD_FIXED_SYSCTLS or
 * SUPD_AS_NOBODY; else it may not.
 */
bool net_enter(bool migrates);
void net_leave(void);

/* Whether we are in such a one. */
bool net_is_own(void);

/* A number in /proc/sys/net of the namespace, such as
 * "ipv4/tcp_migrate_req". */
unsigned net_sysctl(const char *name);

#endif
