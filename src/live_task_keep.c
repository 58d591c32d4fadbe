/*
 * Tasks outlive supd where it executes another one: a hook that runs goes on, and
 * how it ends is told to the engine, which knows it by its number.
 *
 * Probes are not worth it: they are killed, and asked again.  Where the parent has
 * started supd again tasks are nobody's children, and how they end cannot be
 * known; then none is carried.
 *
 * One that has ended stays in the text until that is written for something else:
 * its fds are gone, and without them it is none.
 */
#include "live_parts.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "task.h"

static void
carry_name(uint64_t id, char *ret_name)
{
	(void)snprintf(ret_name, CARRY_NAME_BYTES_MAX + 1, "t%" PRIu64, id);
}

void
live_keep_task(const struct running *r)
{
	char name[CARRY_NAME_BYTES_MAX + 1];

	carry_name(r->id, name);
	task_keep(r->task, name);
}

static json_t *
describe(const struct running *r)
{
	struct task_memo memo;

	task_describe(r->task, &memo);
	return json_pack("{s:I, s:I, s:s, s:I, s:b, s:I, s:I, s:s}",
	    "id", (json_int_t)r->id, "service", (json_int_t)r->service,
	    "kind", task_kind_name(r->kind), "pid", (json_int_t)memo.pid,
	    "timed_out", (int)memo.timed_out,
	    "start_ms", (json_int_t)memo.start_ms,
	    "deadline_ms", (json_int_t)memo.deadline_ms,
	    "output", memo.output);
}

json_t *
live_save_tasks(void)
{
	json_t *list = json_array();

	for (const struct running *r = live_tasks; r != NULL; r = r->next) {
		if (r->task == NULL)    /* its way is being made */
			continue;
		if (json_array_append_new(list, describe(r)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bool
read_kind(const char *name, enum task_kind *ret)
{
	for (enum task_kind kind = 0; kind < TASK_KIND_COUNT; kind++)
		if (strcmp(task_kind_name(kind), name) == 0) {
			*ret = kind;
			return true;
		}
	return false;
}

/* What a damaged text says must not make us kill or follow anyone: the process is
 * known by its pidfd. */
static void
restore(struct live *live, const json_t *text)
{
	struct running *r = calloc(1, sizeof(*r));
	json_int_t id = 0, service = 0, pid = 0, start_ms = 0, deadline_ms = 0;
	char name[CARRY_NAME_BYTES_MAX + 1];
	struct task_memo memo = { 0 };
	const char *kind, *output;
	int timed_out;

	if (r == NULL || json_unpack((json_t *)(uintptr_t)text,
	    "{s:I, s:I, s:s, s:I, s:b, s:I, s:I, s:s}", "id", &id,
	    "service", &service, "kind", &kind, "pid", &pid,
	    "timed_out", &timed_out, "start_ms", &start_ms,
	    "deadline_ms", &deadline_ms, "output", &output) < 0 ||
	    !read_kind(kind, &r->kind) || pid <= 1) {
		free(r);
		return;
	}
	r->live = live;
	r->id = (uint64_t)id;
	r->service = (uint32_t)service;
	r->port_fd = -1;
	memo.pid = (pid_t)pid;
	memo.timed_out = timed_out != 0;
	memo.start_ms = (uint64_t)start_ms;
	memo.deadline_ms = (uint64_t)deadline_ms;
	(void)snprintf(memo.output, sizeof(memo.output), "%s", output);
	carry_name(r->id, name);
	r->task = task_restore(&memo, name, live_task_done, r);
	if (r->task == NULL) {
		free(r);
		return;
	}
	r->next = live_tasks;
	live_tasks = r;
	if (r->kind == TASK_PROBE)
		live_cancel(r->id);
}

void
live_restore_tasks(struct live *live, const json_t *list)
{
	const json_t *text;
	size_t i;

	json_array_foreach(list, i, text)
		restore(live, text);
}
