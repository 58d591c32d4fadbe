/*
 * Every limit of supd, by name.
 *
 * A limit that a user can reach is checked where the input enters, and the
 * error names the limit and its value.  Numbers that are not limits (defaults,
 * sizes of one buffer in one function) do not belong here.
 */
#ifndef SUPD_BOUNDS_H
#define SUPD_BOUNDS_H

enum {
	SERVICES_MAX = 64,
	LISTENERS_MAX = 64,
	WORKERS_MAX = 4096,             /* of one service */
	FD_STORE_MAX = 4096,            /* stored fds of one service */
	FD_START_MAX = 512,             /* of them, given with one start; with */
	FD_START_NAMES_BYTES_MAX = 1 << 16,     /* such names, ":" between them */
	PASSED_FDS_MAX = LISTENERS_MAX + FD_START_MAX,
	RELEASES_KEPT_MAX = 8,          /* pinned at once, of one service */
	DRAINING_RELEASES_MAX = 3,      /* besides the two of a rollout */
	STARTS_PER_TURN_MAX = 32,       /* so that the loop is never deaf for long */
	ACTIONS_PER_TURN_MAX = 256,
	STEPS_MAX = 32,                 /* of a canary */
	SHARDS_MAX = 2 + DRAINING_RELEASES_MAX, /* of one listener */
	GROUP_MEMBERS_MAX = 64,         /* at one address, with strangers */
	PROBE_PORTS_MAX = 4,            /* of one listener, steered at once */
	TASKS_MAX = 256,                /* probes, analyses, hooks at once */
	TASK_VARIABLES_MAX = 32,        /* of its own, beside its release's */
	TASK_OUTPUT_BYTES_MAX = 4096,   /* of it that is kept: the first */
	TASK_TEXT_BYTES_MAX = 128,      /* what a probe has seen, as kept */
	HOOK_OUTPUT_BYTES_MAX = 512,    /* of that in the report of a rollout */

	NAME_LENGTH_MAX = 40,           /* of a service or listener */
	ARGV_MAX = 256,
	ENVIRONMENT_MAX = 1024,         /* variables of one worker */
	CONFIG_LINE_BYTES_MAX = 199,    /* with its newline; see config.h */
	CONFIG_SECTION_BYTES_MAX = 49,  /* between the brackets; see config.h */
	CONFIG_VALUE_BYTES_MAX = 16384, /* with its continuation lines */
	CONFIG_FILES_MAX = 256,
	CONFIG_FILE_BYTES_MAX = 1 << 20,
	CONFIG_ERRORS_MAX = 64,         /* reported at once; more are counted */
	RUNTIME_DIR_BYTES_MAX = 80,     /* sockets below it have 108 bytes */
	ENVIRONMENT_FILE_BYTES_MAX = 65536,

	CLIENTS_MAX = 32,
	FRAME_BYTES_MAX = 65536,        /* one control message from a client */
	CLIENT_QUEUE_BYTES_MAX = 8 << 20, /* replies a slow client has not read */
	NOTIFY_BYTES_MAX = 4096,        /* one datagram */
	NOTIFY_FDS_MAX = 253,           /* the kernel's SCM_MAX_FD */
	FD_NAME_LENGTH_MAX = 255,       /* of a stored fd; systemd's */
	STATUS_BYTES_MAX = 256,         /* STATUS= as kept and shown */
	REASON_BYTES_MAX = 512,
	VERSION_BYTES_MAX = 64,
	BUILD_ID_BYTES_MAX = 20,        /* SHA-1, ld's default */
	HISTORY_LINES_MAX = 1000,       /* in one answer */
};

#endif
