/*
 * A release: one immutable build of a service with the configuration it is
 * started with.  Plain data and comparisons; pin.h makes one from disk.
 *
 * Its fds keep the build: the executable (O_PATH) and the working directory.
 * Every worker of it, also one restarted a week later, is executed from them.
 */
#ifndef SUPD_RELEASE_H
#define SUPD_RELEASE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "bounds.h"
#include "spec.h"

/* Which build it is, as far as the file tells. */
struct identity {
	uint64_t device, inode, size_bytes;
	int64_t mtime_ns;
	uint8_t build_id[BUILD_ID_BYTES_MAX];   /* ELF note; */
	uint8_t build_id_bytes;                 /* 0: none */
};

struct credentials {
	uid_t uid;
	gid_t gid;
	gid_t *groups;          /* supplementary */
	size_t group_count;
	bool change;            /* false: run as supd runs */
};

struct shard;                   /* listener.h; opaque at this level */

struct release {
	uint32_t revision;
	char version[VERSION_BYTES_MAX + 1];    /* "" : none */
	int64_t commit_time_s;                  /* 0: unknown */
	int64_t created_s;                      /* wall clock */
	struct spec *spec;                      /* a reference */
	char *path;             /* the executable, resolved */
	char *directory;        /* the working directory, resolved */
	uint32_t pin_number;    /* of its fds, see pin_keep() */
	int executable_fd;      /* O_PATH */
	int directory_fd;       /* O_PATH */
	bool script;            /* starts with #! : executed by its path */
	struct identity identity;
	char **environment;     /* complete but for the worker's own; NULL ends */
	struct credentials credentials;
	uint64_t fingerprint;   /* of identity and all that a release is made of */
	struct shard *shards[LISTENERS_MAX];    /* one of each listener, in the */
	uint32_t shard_count;                   /* spec's order; a reference */
};

bool identity_equal(const struct identity *, const struct identity *);

/* Lower-case hex; "" if there is none.  Room for 2 * BUILD_ID_BYTES_MAX + 1. */
void identity_build_id_text(const struct identity *, char *ret_text);

/* FNV-1a; start with RELEASE_HASH_START. */
#define RELEASE_HASH_START UINT64_C(14695981039346656037)
uint64_t release_hash(uint64_t hash, const void *bytes, size_t size_bytes);

#endif
