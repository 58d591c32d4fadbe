/*
 * What a version file or a version command says of a build: its label, and when
 * it was committed.  Pure.
 */
#ifndef SUPD_LABEL_H
#define SUPD_LABEL_H

#include <stdint.h>

#include "bounds.h"

/* Of both lines. */
enum { LABEL_BYTES_MAX = VERSION_BYTES_MAX + 128 };

/*
 * The first line is the label: 1 to VERSION_BYTES_MAX printable ASCII characters
 * between blanks.  A second one that is a time is when it was committed; what
 * else such files have further down is not ours to refuse.  Returns NULL, or
 * what is wrong (a static text); then nothing was stored.
 */
const char *label_parse(const char *text,
    char ret_version[VERSION_BYTES_MAX + 1], int64_t *ret_commit_time_s);

/*
 * Seconds since 1970, or ISO 8601: a date, or one with a time, and with a zone
 * or in the local one.  0 or -EINVAL.
 */
int label_parse_time(const char *text, int64_t *ret_time_s);

#endif
