/*
 * What the configuration says, after it was read: the listeners, the services
 * and supd's own settings.  Plain data; config.h fills it.
 *
 * A spec is immutable and reference counted, because a release keeps the one
 * it was started with for as long as it can be started again.
 */
#ifndef SUPD_SPEC_H
#define SUPD_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "policy.h"

enum address_family { ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_UNIX };

enum address_kind {
	ADDRESS_STREAM,         /* TCP, or of unix sockets */
	ADDRESS_DATAGRAM,       /* UDP, likewise */
	ADDRESS_SEQPACKET,      /* of unix sockets only */
	ADDRESS_FIFO,           /* no socket at all; of the family of paths */
};

struct address {
	enum address_family family;
	enum address_kind kind;
	uint16_t port;
	char host[64];          /* numeric; IPv6 without brackets */
	char path[108];         /* as in sockaddr_un; @NAME is an abstract one */
};

/* [listener NAME], or `listen` or `preview` of a service. */
struct listener_spec {
	char name[NAME_LENGTH_MAX + 1];
	char *address_text;     /* as written */
	struct address address;
	uint32_t backlog;
	bool nonblocking;
	bool ipv6_only;
	bool preview;           /* reaches the candidate while there is one */
	bool shared;            /* several services have it */
	uint32_t mode;          /* of a unix socket's path */
	char *owner;            /* USER[:GROUP], or NULL */
};

enum ready_kind { READY_ALIVE, READY_NOTIFY, READY_FD, READY_PROBE };
enum probe_kind { PROBE_NONE, PROBE_HTTP, PROBE_TCP, PROBE_EXEC };
enum steer { STEER_RANDOM, STEER_SOURCE_IP };
enum kill_mode { KILL_MODE_GROUP, KILL_MODE_PROCESS };

/* A number, or a share of `workers`. */
struct amount {
	uint32_t value;
	bool percent;
};

/* Exit codes and signals that count as a clean end, as bits. */
struct exit_set {
	uint64_t codes[4];
	uint64_t signals;
};

struct config_source;           /* config_source.h */

struct spec {                   /* [service NAME] */
	unsigned reference_count;
	struct config_source *source;   /* a reference; NULL: made by hand */
	char name[NAME_LENGTH_MAX + 1];
	char *file;             /* where its section stands */
	unsigned line;

	/*
	 * What a release is made of; a change needs a rollout.  A list is one
	 * block of memory with its strings and has NULL at the end.
	 */
	char **argv;
	char *working_directory;
	char **environment;     /* NAME=value */
	char *environment_file; /* or NULL */
	char *user, *group;     /* or NULL */
	char **listeners;       /* names; that of `listen` first, that of */
				/* `preview` last */
	struct listener_spec *sockets;  /* what each name stood for; a copy */
	size_t socket_count;
	enum ready_kind ready;
	uint32_t ready_fd;
	uint64_t ready_alive_ms;
	uint64_t watchdog_ms;   /* 0: off */
	char *version_file;     /* or NULL; */
	char **version_command; /* one of them at most */

	/* How they are looked after; taken over in place. */
	uint32_t workers;
	uint64_t ready_timeout_ms;
	int drain_signal;
	uint64_t drain_timeout_ms;
	enum kill_mode kill_mode;
	uint32_t fd_store;      /* fds that workers may store; 0: none */
	enum restart restart;
	struct exit_set success_exit;
	uint64_t backoff_min_ms, backoff_max_ms;
	enum strategy strategy;
	struct amount max_surge, max_unavailable;
	uint64_t min_ready_ms;
	uint64_t progress_deadline_ms;
	enum on_failure on_failure;
	enum steer steer;
	char **before_rollout;  /* commands, or NULL */
	char **after_rollout;
	char **analysis;
	enum probe_kind probe;
	char *probe_path;       /* of http, or NULL */
	char **probe_command;   /* of exec, or NULL */
	char *probe_body;       /* text that an answer must contain, or NULL */
	uint32_t probe_status_min, probe_status_max;
	struct canary_step steps[STEPS_MAX];
	uint32_t step_count;
	struct amount canary_workers;   /* 0: as many as the weight's share */
	enum promotion promotion;
	uint64_t keep_old_ms;
	uint64_t probe_interval_ms, probe_timeout_ms;
	uint32_t probe_failures;        /* in a row that are a verdict */
	uint64_t analysis_interval_ms, analysis_timeout_ms;
	uint64_t hook_timeout_ms;
	bool lanes;             /* every listener is TCP or UDP and only this
				 * service's: releases can share it by weight */
};

struct config {
	struct listener_spec *listeners;        /* `listen` made them too */
	size_t listener_count;
	struct spec **services;                 /* one reference each */
	size_t service_count;
	char *runtime_dir, *state_dir;
	char *control_group;                    /* or NULL */
	char **files;                           /* that were read; NULL ends */
	struct config_source *source;           /* and their text; a reference */
};

struct spec *spec_ref(struct spec *);
void spec_unref(struct spec *);                 /* NULL is fine */

/* NULL is fine; also frees a half-built one. */
void config_free(struct config *);

struct spec *config_service(const struct config *, const char *name);
const struct listener_spec *config_listener(const struct config *,
    const char *name);

/* Numerically the same; the spelling does not matter. */
bool address_equal(const struct address *, const struct address *);

/* The same, or of two kinds at one path. */
bool address_clashes(const struct address *, const struct address *);

/* Clients connect, and what listens accepts. */
bool address_accepts(const struct address *);

/* The kernel can divide what comes there: TCP and UDP. */
bool address_has_lanes(const struct address *);
bool address_is_tcp(const struct address *);
bool address_is_udp(const struct address *);

/* There is a file, with a mode and an owner. */
bool address_has_file(const struct address *);

/* `a unix socket`, `TCP` and so on. */
const char *address_kind_text(const struct address *);

/* A weight as a user writes it: 5%, 0.1%. */
struct spec_weight {
	char text[8];
};
struct spec_weight spec_weight(uint32_t permille);

/* What clients connect to: all sockets but that of `preview`, which is last. */
size_t spec_public_count(const struct spec *);

/*
 * Why two releases cannot share the listeners by weight (`lanes` is false), as
 * the rest of a sentence: `listener admin is a unix socket`.
 */
struct spec_obstacle {
	char text[NAME_LENGTH_MAX + 40];
};
struct spec_obstacle spec_lanes_obstacle(const struct spec *);

/*
 * Can this strategy do what it says with so many workers?  If not, a sentence
 * that begins with its name says why, and what would do, in ret_text
 * (REASON_BYTES_MAX): where weight can only be a share of the workers, a canary
 * has only whole ones, and blue-green has no moment at which all connections
 * move.
 */
bool spec_strategy_possible(const struct spec *, enum strategy,
    uint32_t workers, char *ret_text);

/*
 * The planner's view of a spec with `workers` slots: percentages resolved as
 * Kubernetes does (surge up, unavailable down).  Where both come out as 0,
 * surge becomes 1: a share that rounds to nothing must not cost capacity.  A
 * canary's own number of workers is rounded up and at most `workers`.
 */
struct policy spec_policy(const struct spec *, uint32_t workers);

/*
 * True if a rollout is needed to go from `a` to `b`; the name of the first key
 * that differs is stored in *ret_key.
 */
bool spec_release_differs(const struct spec *a, const struct spec *b,
    const char **ret_key);

/* The same for what needs a new socket instead of listener_adjust(). */
bool listener_spec_differs(const struct listener_spec *a,
    const struct listener_spec *b, const char **ret_key);

/* The same for what is taken over in place, also because of another service. */
bool spec_fleet_differs(const struct spec *a, const struct spec *b,
    const char **ret_key);

bool exit_set_has_code(const struct exit_set *, int code);
bool exit_set_has_signal(const struct exit_set *, int signal);

#endif
