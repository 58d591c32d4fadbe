/*
 * The option table, and finding a key in it, also by a name that is only
 * nearly right.
 *
 * Defaults are text that goes through the same parser as what a user writes;
 * ranges belong to the row, not to the parser.  runtime_dir and state_dir have
 * no default here, since theirs depends on who runs supd (config_file.c).
 */
#include "config_table.h"

#include <string.h>

#include "fd.h"
#include "spec.h"

/* Longer than any key. */
enum { TYPO_LENGTH_MAX = 31 };

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define DAY_MS (24 * HOUR_MS)

static const char *const kill_modes[] = { "group", "process", NULL };
static const char *const restarts[] = {
	"always", "on-failure", "never", NULL
};
static const char *const strategies[] = {
	"rolling", "canary", "blue-green", NULL
};
static const char *const on_failures[] = { "rollback", "pause", NULL };
static const char *const steers[] = { "random", "source-ip", NULL };
static const char *const promotions[] = { "auto", "manual", NULL };

_Static_assert(KILL_MODE_GROUP == 0 && KILL_MODE_PROCESS == 1, "kill_modes");
_Static_assert(RESTART_ALWAYS == 0 && RESTART_ON_FAILURE == 1 &&
    RESTART_NEVER == 2, "restarts");
_Static_assert(STRATEGY_ROLLING == 0 && STRATEGY_CANARY == 1 &&
    STRATEGY_BLUE_GREEN == 2, "strategies");
_Static_assert(ON_FAILURE_ROLLBACK == 0 && ON_FAILURE_PAUSE == 1,
    "on_failures");
_Static_assert(STEER_RANDOM == 0 && STEER_SOURCE_IP == 1, "steers");
_Static_assert(PROMOTION_AUTO == 0 && PROMOTION_MANUAL == 1, "promotions");

#define SUPD(field) offsetof(struct config, field)
#define LISTENER(field) offsetof(struct listener_spec, field)
#define SERVICE(field) offsetof(struct spec, field)

const struct config_key config_keys[] = {
	{ CONFIG_SUPD, "runtime_dir", CONFIG_PATH, 0, RUNTIME_DIR_BYTES_MAX,
	    NULL, CONFIG_START, SUPD(runtime_dir), NULL,
	    "the directory of the control socket" },
	{ CONFIG_SUPD, "state_dir", CONFIG_PATH, 0, 0,
	    NULL, CONFIG_START, SUPD(state_dir), NULL,
	    "the directory of the ledger" },
	{ CONFIG_SUPD, "control_group", CONFIG_ACCOUNT, 0, 0,
	    NULL, CONFIG_START, SUPD(control_group), NULL,
	    "the group that may control supd" },

	{ CONFIG_LISTENER, "address", CONFIG_ADDRESS, 0, 0,
	    NULL, CONFIG_RELEASE, 0, NULL,
	    "what to listen on" },
	{ CONFIG_LISTENER, "backlog", CONFIG_NUMBER, 1, 1 << 20,
	    "4096", CONFIG_FLEET, LISTENER(backlog), NULL,
	    "how many connections may wait" },
	{ CONFIG_LISTENER, "nonblocking", CONFIG_BOOLEAN, 0, 0,
	    "no", CONFIG_FLEET, LISTENER(nonblocking), NULL,
	    "whether O_NONBLOCK is set" },
	{ CONFIG_LISTENER, "ipv6_only", CONFIG_BOOLEAN, 0, 0,
	    "no", CONFIG_RELEASE, LISTENER(ipv6_only), NULL,
	    "whether IPv4 clients are left out" },
	{ CONFIG_LISTENER, "mode", CONFIG_MODE, 0, 0777,
	    "0666", CONFIG_FLEET, LISTENER(mode), NULL,
	    "the permissions of a unix socket" },
	{ CONFIG_LISTENER, "owner", CONFIG_OWNER, 0, 0,
	    NULL, CONFIG_FLEET, LISTENER(owner), NULL,
	    "the owner of a unix socket" },

	{ CONFIG_SERVICE, "command", CONFIG_COMMAND, 1, ARGV_MAX,
	    NULL, CONFIG_RELEASE, SERVICE(argv), NULL,
	    "the program to run and its arguments" },
	{ CONFIG_SERVICE, "working_directory", CONFIG_PATH, 0, 0,
	    "/", CONFIG_RELEASE, SERVICE(working_directory), NULL,
	    "where workers start" },
	{ CONFIG_SERVICE, "environment", CONFIG_ENVIRONMENT, 0,
	    ENVIRONMENT_MAX,
	    "", CONFIG_RELEASE, SERVICE(environment), NULL,
	    "variables for workers" },
	{ CONFIG_SERVICE, "environment_file", CONFIG_PATH, 0, 0,
	    NULL, CONFIG_RELEASE, SERVICE(environment_file), NULL,
	    "a file of further variables" },
	{ CONFIG_SERVICE, "user", CONFIG_ACCOUNT, 0, 0,
	    NULL, CONFIG_RELEASE, SERVICE(user), NULL,
	    "the user that workers run as" },
	{ CONFIG_SERVICE, "group", CONFIG_ACCOUNT, 0, 0,
	    NULL, CONFIG_RELEASE, SERVICE(group), NULL,
	    "the group that workers run as" },
	{ CONFIG_SERVICE, "listen", CONFIG_ADDRESS, 0, 0,
	    NULL, CONFIG_RELEASE, 0, NULL,
	    "an address to listen on" },
	{ CONFIG_SERVICE, "preview", CONFIG_PREVIEW, 0, 0,
	    NULL, CONFIG_RELEASE, 0, NULL,
	    "an address where only the new release answers" },
	{ CONFIG_SERVICE, "listeners", CONFIG_NAMES, 0, LISTENERS_MAX,
	    "", CONFIG_RELEASE, SERVICE(listeners), NULL,
	    "names of [listener NAME] sections" },
	{ CONFIG_SERVICE, "workers", CONFIG_NUMBER, 1, WORKERS_MAX,
	    "1", CONFIG_FLEET, SERVICE(workers), NULL,
	    "how many processes to keep" },
	{ CONFIG_SERVICE, "ready", CONFIG_READY, 3, FD_SOURCE - 1,
	    "alive 1s", CONFIG_RELEASE, 0, NULL,
	    "how a worker says that it can serve" },
	{ CONFIG_SERVICE, "ready_timeout", CONFIG_DURATION, 1, DAY_MS,
	    "60s", CONFIG_FLEET, SERVICE(ready_timeout_ms), NULL,
	    "how long a worker may take until it is ready" },
	{ CONFIG_SERVICE, "watchdog", CONFIG_SWITCHED, 10, DAY_MS,
	    "off", CONFIG_RELEASE, SERVICE(watchdog_ms), NULL,
	    "the longest silence of a worker" },
	{ CONFIG_SERVICE, "drain_signal", CONFIG_SIGNAL, 0, 0,
	    "TERM", CONFIG_FLEET, SERVICE(drain_signal), NULL,
	    "the signal for a graceful stop" },
	{ CONFIG_SERVICE, "drain_timeout", CONFIG_DURATION, 0, 7 * DAY_MS,
	    "30s", CONFIG_FLEET, SERVICE(drain_timeout_ms), NULL,
	    "how long a graceful stop may take" },
	{ CONFIG_SERVICE, "kill_mode", CONFIG_CHOICE, 0, 0,
	    "group", CONFIG_FLEET, SERVICE(kill_mode), kill_modes,
	    "what is killed with a worker" },
	{ CONFIG_SERVICE, "fd_store", CONFIG_NUMBER, 0, FD_STORE_MAX,
	    "0", CONFIG_FLEET, SERVICE(fd_store), NULL,
	    "how many open fds workers may leave to their successors" },
	{ CONFIG_SERVICE, "restart", CONFIG_CHOICE, 0, 0,
	    "always", CONFIG_FLEET, SERVICE(restart), restarts,
	    "when a worker that ended is replaced" },
	{ CONFIG_SERVICE, "success_exit", CONFIG_EXITS, 0, ARGV_MAX,
	    "", CONFIG_FLEET, SERVICE(success_exit), NULL,
	    "further exits that count as a clean end" },
	{ CONFIG_SERVICE, "backoff_min", CONFIG_DURATION, 0, DAY_MS,
	    "100ms", CONFIG_FLEET, SERVICE(backoff_min_ms), NULL,
	    "the first pause before a restart" },
	{ CONFIG_SERVICE, "backoff_max", CONFIG_DURATION, 0, DAY_MS,
	    "30s", CONFIG_FLEET, SERVICE(backoff_max_ms), NULL,
	    "the longest pause before a restart" },
	{ CONFIG_SERVICE, "strategy", CONFIG_CHOICE, 0, 0,
	    "rolling", CONFIG_FLEET, SERVICE(strategy), strategies,
	    "how a release is rolled out" },
	{ CONFIG_SERVICE, "max_surge", CONFIG_AMOUNT, 0, WORKERS_MAX,
	    "1", CONFIG_FLEET, SERVICE(max_surge), NULL,
	    "workers beyond `workers` during a rollout" },
	{ CONFIG_SERVICE, "max_unavailable", CONFIG_AMOUNT, 0, WORKERS_MAX,
	    "0", CONFIG_FLEET, SERVICE(max_unavailable), NULL,
	    "workers that may be missing during a rollout" },
	{ CONFIG_SERVICE, "min_ready", CONFIG_DURATION, 0, DAY_MS,
	    "0s", CONFIG_FLEET, SERVICE(min_ready_ms), NULL,
	    "how long a new worker must stay ready" },
	{ CONFIG_SERVICE, "progress_deadline", CONFIG_DURATION, 10, 7 * DAY_MS,
	    "10m", CONFIG_FLEET, SERVICE(progress_deadline_ms), NULL,
	    "how long a rollout may stand still" },
	{ CONFIG_SERVICE, "on_failure", CONFIG_CHOICE, 0, 0,
	    "rollback", CONFIG_FLEET, SERVICE(on_failure), on_failures,
	    "what becomes of a rollout that failed" },
	{ CONFIG_SERVICE, "steps", CONFIG_STEPS, 0, 0,
	    "5% 1m, 25% 5m, 50% 5m, 100%", CONFIG_FLEET, 0, NULL,
	    "the weights of a canary and how long each is held" },
	{ CONFIG_SERVICE, "canary_workers", CONFIG_AMOUNT, 1, WORKERS_MAX,
	    NULL, CONFIG_FLEET, SERVICE(canary_workers), NULL,
	    "workers of a canary that has not all connections yet" },
	{ CONFIG_SERVICE, "steer", CONFIG_CHOICE, 0, 0,
	    "random", CONFIG_FLEET, SERVICE(steer), steers,
	    "who is sent to the new release" },
	{ CONFIG_SERVICE, "promotion", CONFIG_CHOICE, 0, 0,
	    "auto", CONFIG_FLEET, SERVICE(promotion), promotions,
	    "who says that blue-green moves over" },
	{ CONFIG_SERVICE, "keep_old", CONFIG_DURATION, 0, 7 * DAY_MS,
	    "0s", CONFIG_FLEET, SERVICE(keep_old_ms), NULL,
	    "how long blue-green keeps the old workers" },
	{ CONFIG_SERVICE, "probe", CONFIG_PROBE, 0, 0,
	    NULL, CONFIG_FLEET, 0, NULL,
	    "how a release is asked whether it serves" },
	{ CONFIG_SERVICE, "probe_interval", CONFIG_DURATION, 10, HOUR_MS,
	    "2s", CONFIG_FLEET, SERVICE(probe_interval_ms), NULL,
	    "from one probe to the next" },
	{ CONFIG_SERVICE, "probe_timeout", CONFIG_DURATION, 1, HOUR_MS,
	    "1s", CONFIG_FLEET, SERVICE(probe_timeout_ms), NULL,
	    "how long a probe may take" },
	{ CONFIG_SERVICE, "probe_failures", CONFIG_NUMBER, 1, 1000,
	    "3", CONFIG_FLEET, SERVICE(probe_failures), NULL,
	    "failed probes in a row that are a verdict" },
	{ CONFIG_SERVICE, "probe_status", CONFIG_STATUSES, 100, 599,
	    "200-399", CONFIG_FLEET, 0, NULL,
	    "the HTTP status of a good answer" },
	{ CONFIG_SERVICE, "probe_body", CONFIG_TEXT, 0, 0,
	    NULL, CONFIG_FLEET, SERVICE(probe_body), NULL,
	    "text that a good answer contains" },
	{ CONFIG_SERVICE, "analysis", CONFIG_COMMAND, 1, ARGV_MAX,
	    NULL, CONFIG_FLEET, SERVICE(analysis), NULL,
	    "a command that judges the new release" },
	{ CONFIG_SERVICE, "analysis_interval", CONFIG_DURATION, 10, DAY_MS,
	    "10s", CONFIG_FLEET, SERVICE(analysis_interval_ms), NULL,
	    "from one analysis to the next" },
	{ CONFIG_SERVICE, "analysis_timeout", CONFIG_DURATION, 1, DAY_MS,
	    "30s", CONFIG_FLEET, SERVICE(analysis_timeout_ms), NULL,
	    "how long an analysis may take" },
	{ CONFIG_SERVICE, "before_rollout", CONFIG_COMMAND, 1, ARGV_MAX,
	    NULL, CONFIG_FLEET, SERVICE(before_rollout), NULL,
	    "a command before a rollout changes anything" },
	{ CONFIG_SERVICE, "after_rollout", CONFIG_COMMAND, 1, ARGV_MAX,
	    NULL, CONFIG_FLEET, SERVICE(after_rollout), NULL,
	    "a command after a rollout" },
	{ CONFIG_SERVICE, "hook_timeout", CONFIG_DURATION, 1, DAY_MS,
	    "60s", CONFIG_FLEET, SERVICE(hook_timeout_ms), NULL,
	    "how long each of these commands may take" },
	{ CONFIG_SERVICE, "version", CONFIG_VERSION, 0, 0,
	    NULL, CONFIG_RELEASE, 0, NULL,
	    "what labels the release" },
};

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
    "CONFIG_KEYS_MAX");

const char *const config_kind_names[CONFIG_KIND_COUNT] = {
	[CONFIG_SUPD] = "supd",
	[CONFIG_LISTENER] = "listener",
	[CONFIG_SERVICE] = "service",
};

const char *const config_kind_headers[CONFIG_KIND_COUNT] = {
	[CONFIG_SUPD] = "[supd]",
	[CONFIG_LISTENER] = "[listener NAME]",
	[CONFIG_SERVICE] = "[service NAME]",
};

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Edits (insert, delete, replace, swap neighbours) that make b of a; SIZE_MAX
 * for what is too long to be a typo.
 */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t d[TYPO_LENGTH_MAX + 1][TYPO_LENGTH_MAX + 1];
	size_t a_length = strlen(a);
	size_t b_length = strlen(b);

	if (a_length > TYPO_LENGTH_MAX || b_length > TYPO_LENGTH_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_length; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		d[i][0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			d[i][j] = smaller(d[i - 1][j], d[i][j - 1]) + 1;
			d[i][j] = smaller(d[i][j], d[i - 1][j - 1] +
			    (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				d[i][j] = smaller(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	return d[a_length][b_length];
}

/* A third of it may be wrong; beyond that it is a guess, not a typo. */
static size_t
edits_allowed(const char *name)
{
	return strlen(name) / 3;
}

const struct config_key *
config_key_find(enum config_kind kind, const char *name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		if (config_keys[i].kind == kind &&
		    strcmp(config_keys[i].name, name) == 0)
			return &config_keys[i];
	}
	return NULL;
}

const struct config_key *
config_key_nearest(enum config_kind kind, const char *name)
{
	const struct config_key *nearest = NULL;
	size_t best = edits_allowed(name) + 1;

	for (size_t i = 0; i < config_key_count; i++) {
		size_t distance;

		if (config_keys[i].kind != kind)
			continue;
		distance = edit_distance(name, config_keys[i].name);
		if (distance < best) {
			best = distance;
			nearest = &config_keys[i];
		}
	}
	return nearest;
}

const char *
config_kind_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t best = edits_allowed(name) + 1;

	for (int kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
		size_t distance = edit_distance(name, config_kind_names[kind]);

		if (distance < best) {
			best = distance;
			nearest = config_kind_headers[kind];
		}
	}
	return nearest;
}

bool
config_type_is_list(enum config_type type)
{
	return type == CONFIG_COMMAND || type == CONFIG_ENVIRONMENT ||
	    type == CONFIG_NAMES || type == CONFIG_EXITS ||
	    type == CONFIG_VERSION || type == CONFIG_PROBE ||
	    type == CONFIG_STEPS;
}

bool
config_type_is_words(enum config_type type)
{
	return type == CONFIG_READY ||
	    (config_type_is_list(type) && type != CONFIG_STEPS);
}
