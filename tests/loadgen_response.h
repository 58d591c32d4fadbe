/*
 * An HTTP/1.1 response, read as it arrives.
 *
 * Pure: bytes in, a state out.  It understands Content-Length, a body that
 * ends with the connection, and `Connection: close`; a chunked body is refused.
 */
#ifndef TESTS_LOADGEN_RESPONSE_H
#define TESTS_LOADGEN_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RESPONSE_HEAD_BYTES_MAX = 4096,
	RESPONSE_BODY_BYTES_KEPT = 256, /* the rest is counted only */
};

enum response_state { RESPONSE_HEAD, RESPONSE_BODY, RESPONSE_DONE, RESPONSE_BAD };

struct response {
	enum response_state state;
	int status;
	bool close;             /* no further request on this connection */
	bool has_length;
	uint64_t length_bytes;  /* of the body, as announced */
	uint64_t body_bytes;    /* so far */
	size_t head_size;
	char head[RESPONSE_HEAD_BYTES_MAX];
	size_t body_size;
	char body[RESPONSE_BODY_BYTES_KEPT + 1]; /* ends in NUL */
};

void response_begin(struct response *response);

/* Bytes after the end of the response make it RESPONSE_BAD. */
enum response_state response_feed(struct response *response,
    const char *bytes, size_t size_bytes);

/* The connection has ended: RESPONSE_DONE if that is how the body ends. */
enum response_state response_end(struct response *response);

/* Whether a byte has arrived. */
bool response_begun(const struct response *response);

#endif
