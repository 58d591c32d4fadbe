/*
 * Inside supprobe: what its files share.
 *
 *   supprobe.c          the command line, and the one line that is printed
 *   supprobe_tcp.c      the socket, and a connection that is all
 *   supprobe_http.c     a request and its answer, by libcurl
 */
#ifndef SUPD_SUPPROBE_H
#define SUPD_SUPPROBE_H

#include <stdint.h>

#include "spec.h"

enum supprobe_exit {
	SUPPROBE_PASSED,
	SUPPROBE_FAILED,
	SUPPROBE_USAGE,         /* or it could not be tried */
};

enum { SUPPROBE_TEXT_BYTES_MAX = 512 };

struct supprobe {
	struct address target;
	int fd;                 /* the socket to use; -1: make one */
	const char *path;       /* what is asked for; NULL: nothing is */
	uint32_t status_min, status_max;
	const char *body;       /* what the answer must contain, or NULL */
	uint32_t timeout_ms;    /* for all, from */
	uint64_t start_ms;      /* this moment on */
};

/* Until the time is over; at least 1. */
uint32_t supprobe_left_ms(const struct supprobe *);

/* The socket that was given, or a new one; the caller closes it.  -1 and
 * errno. */
int supprobe_socket(const struct supprobe *);

/*
 * One probe: connects and no more, or asks and judges the answer.  The text is
 * what was seen; room for SUPPROBE_TEXT_BYTES_MAX.
 */
enum supprobe_exit supprobe_tcp(const struct supprobe *, char *ret_text);
enum supprobe_exit supprobe_http(const struct supprobe *, char *ret_text);

#endif
