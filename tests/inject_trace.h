/*
 * supd's system calls, seen by strace(1), which may make one of them fail.  Its
 * workers are not traced.
 */
#ifndef TESTS_INJECT_TRACE_H
#define TESTS_INJECT_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

/* Which one, the how manieth since the trace began, and how, as strace says it. */
struct fault {
	const char *call, *error, *occurrence;
};

/* From now on this fails in each trace; NULL: nothing. */
void trace_prepare(const struct fault *);

/* What goes before a supd that is traced from its start; see supd_tracer. */
const char *const *trace_words(void);

/* One that runs; returns when it is traced, or is not any more. */
void trace_begin(pid_t supd);
void trace_end(void);

/* Whether the call that was to fail was made, and can fail. */
bool trace_has_met(void);

/* Whether it was made, and no kernel lets it fail like this (F_SETFD, say). */
bool trace_was_impossible(void);

/* Prints what was called from the line that begins like this on: CALL FIRST COUNT,
 * where FIRST counts what was called before. */
void trace_list(const char *begin);

#endif
