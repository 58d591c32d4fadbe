/*
 * The ledger, read through History.
 *
 * A page has the newest deployments that ended no later than a second; the
 * next one begins with the second in which the last one ended, so some come
 * twice and are dropped.  A page that brings nothing new is the end, unless a
 * whole page ended in one second.  Pages are small, since a deployment with
 * all it observed may have kilobytes and an answer has a limit.
 */
#include "supctl_dora.h"

#include <string.h>

enum { PAGE_DEPLOYMENTS = 200, PAGES_MAX = 1000 };

struct reading {
	const char *service;
	int64_t since_s;
	int64_t before_s;       /* of the next page; 0: of the first */
	int64_t oldest_s;       /* when the oldest began, of those taken */
	json_t *list;
	bool whole;             /* older ones than since_s have been seen */
};

static bool
is_known(const json_t *list, const json_t *deployment)
{
	static const char *const keys[] = { "finished_time_s", "id",
		"revision" };
	size_t size = json_array_size(list);

	/* What comes twice comes on two pages in a row. */
	for (size_t i = size; i > 0 && size - i < 2 * PAGE_DEPLOYMENTS; i--) {
		const json_t *other = json_array_get(list, i - 1);
		size_t same = 0;

		while (same < 3 && field_number(other, keys[same]) ==
		    field_number(deployment, keys[same]))
			same++;
		if (same == 3)
			return true;
	}
	return false;
}

/* Returns how many of a page are new. */
static size_t
take_page(struct reading *reading, const json_t *page)
{
	size_t new_count = 0, i;
	json_t *deployment;

	json_array_foreach(page, i, deployment) {
		int64_t finished_s = (int64_t)field_number(deployment,
		    "finished_time_s");

		if (finished_s == 0)
			continue;
		reading->before_s = finished_s;
		if (finished_s < reading->since_s) {
			reading->whole = true;
			continue;
		}
		if (is_known(reading->list, deployment))
			continue;
		json_array_append(reading->list, deployment);
		reading->oldest_s = (int64_t)field_number(deployment,
		    "started_time_s");
		new_count++;
	}
	return new_count;
}

static json_t *
parameters(const struct reading *reading)
{
	json_t *object = json_pack("{s:i}", "limit", PAGE_DEPLOYMENTS);

	if (reading->service != NULL)
		json_object_set_new(object, "service",
		    json_string(reading->service));
	if (reading->before_s > 0)
		json_object_set_new(object, "before_time_s",
		    json_integer(reading->before_s));
	return object;
}

/* Returns an exit code; *ret_over: that was the last one. */
static int
read_page(const struct supctl *ctl, struct call *call,
    struct reading *reading, bool *ret_over)
{
	struct reply reply;
	const json_t *page;
	int code = call_ask(ctl, call, "io.supd.History",
	    parameters(reading), &reply);

	if (code != SUPCTL_DONE)
		return code;
	page = field_list(reply.parameters, "deployments");
	if (page == NULL)
		code = complain_shape("deployments");
	else if (take_page(reading, page) > 0 || reading->whole)
		*ret_over = reading->whole;
	else if (json_array_size(page) >= PAGE_DEPLOYMENTS &&
	    reading->before_s > 1)
		reading->before_s--;
	else
		*ret_over = true;
	reply_release(&reply);
	return code;
}

int
past_read(const struct supctl *ctl, struct call *call, const char *service,
    int64_t since_s, struct past *ret_past)
{
	struct reading reading = { .service = service, .since_s = since_s,
	    .list = draw_memory(json_array()) };
	int code = SUPCTL_DONE;
	bool over = false;

	for (int i = 0; i < PAGES_MAX && !over && code == SUPCTL_DONE; i++)
		code = read_page(ctl, call, &reading, &over);
	if (code != SUPCTL_DONE) {
		json_decref(reading.list);
		return code;
	}
	ret_past->deployments = reading.list;
	ret_past->begins_s = reading.whole ? 0 : reading.oldest_s;
	return SUPCTL_DONE;
}
