/*
 * What is wrong with the answers of a worker, and from when on.
 *
 * Pure: moments are given, and what it decides is done by others.
 */
#ifndef TESTS_WORKER_FAULTS_H
#define TESTS_WORKER_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum answer_fault {
	ANSWER_RESET,           /* RST; on a unix socket an end of file, as
				 * ANSWER_EMPTY */
	ANSWER_EMPTY,           /* closed without an answer */
	ANSWER_TRUNCATE,        /* closed in the middle of the body */
	ANSWER_WRONG,           /* 200 with a body of somebody else */
	ANSWER_ERROR,           /* 503 */
	ANSWER_STALL,           /* answered stall_ms later */
	ANSWER_FLOOD,           /* a body without an end */
	ANSWER_FAULT_COUNT,     /* also: none of these */
};

/* Times are in ms since the worker was ready. */
struct fault_settings {
	/*
	 * Thousandths of a percent of the requests.  The fault of 1 % comes
	 * at every 100th request exactly, so that a count can be checked.
	 */
	long shares[ANSWER_FAULT_COUNT];
	long stall_ms;
	long slow_ms;           /* every answer, and a stalled one besides */
	long grow_bytes;        /* at each request */

	/* All of the above begins when both have passed. */
	long after_ms, after_requests;

	long crash_on_request;  /* instead of its answer; 0: never */

	/* Of requests for /healthz, which nothing of the above concerns. */
	long unhealthy_after_ms; /* -1: never */
	long healthy_after_ms;  /* unhealthy before */
	long unhealthy_status;
	bool health_hangs;      /* never answered */
	bool health_floods;     /* ANSWER_FLOOD */
};

/* The answer to one request, and what happens before it. */
struct answer_plan {
	bool crash;
	long grow_bytes;
	enum answer_fault fault;
	int status;
	const char *remark;     /* the end of the body, "" mostly */
	long delay_ms;          /* 0: at once */
};

struct faults {
	struct fault_settings settings;
	uint64_t ready_ms;
	long request_count;     /* without those for /healthz */
	long debts[ANSWER_FAULT_COUNT];
};

/* The worker is ready now. */
void faults_begin(struct faults *faults, const struct fault_settings *settings,
    uint64_t now_ms);

/* Whether those that wait for their time have begun. */
bool faults_begun(const struct faults *faults, uint64_t now_ms);

/* Counts a request; what becomes of it. */
struct answer_plan faults_plan(struct faults *faults, bool health,
    uint64_t now_ms);

#endif
