/*
 * What task.c is put together from; for the files task*.c only.
 */
#ifndef SUPD_TASK_PARTS_H
#define SUPD_TASK_PARTS_H

#include "task.h"

/* What is executed.  The strings are the order's and the release's, but for
 * the path. */
struct task_command {
	char *path;
	char *environment[ENVIRONMENT_MAX + TASK_VARIABLES_MAX + 1];
};

/* Finds the program.  0, or -errno and a sentence; then there is nothing to
 * release. */
int task_command_make(const struct task_order *, struct task_command *,
    char *ret_text);
void task_command_release(struct task_command *);

#endif
