/*
 * The names of notices and deployments.
 */
#include "notice.h"

#include <assert.h>

#define X(UPPER, text) [NOTICE_##UPPER] = text,
static const char *const type_names[NOTICE_TYPE_COUNT] = { NOTICE_TYPES(X) };
#undef X
#define X(UPPER, text) [DEPLOYMENT_##UPPER] = text,
static const char *const kind_names[DEPLOYMENT_KIND_COUNT] = {
	DEPLOYMENT_KINDS(X)
};
#undef X

const char *
notice_type_name(enum notice_type type)
{
	assert(type < NOTICE_TYPE_COUNT);
	return type_names[type];
}

#define X(UPPER, text) [TASK_##UPPER] = text,
static const char *const task_names[TASK_KIND_COUNT] = { TASK_KINDS(X) };
#undef X

const char *
task_kind_name(enum task_kind kind)
{
	assert(kind < TASK_KIND_COUNT);
	return task_names[kind];
}

const char *
deployment_kind_name(enum deployment_kind kind)
{
	assert(kind < DEPLOYMENT_KIND_COUNT);
	return kind_names[kind];
}
