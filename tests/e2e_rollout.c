/*
 * Waiting for what a rollout does, as the control socket tells it; see e2e.h.
 *
 * Each event of the service is a reason to look again, so that nothing is
 * waited for longer than it takes.  What has no event, such as a count of
 * probes, is looked at a few times a second besides.
 */
#include "e2e.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 100 };

static json_t *
ask_status(int fd, const char *service)
{
	char request[256];
	json_t *reply, *status;

	snprintf(request, sizeof(request), "{\"method\":"
	    "\"io.supd.RolloutStatus\",\"parameters\":{\"service\":\"%s\"}}",
	    service);
	reply = control_call(fd, request);
	status = json_object_get(reply, "parameters");
	if (json_object_get(reply, "error") != NULL || status == NULL)
		fail_msg("RolloutStatus of %s: %s", service, json_string_value(
		    json_object_get(reply, "error")));
	json_incref(status);
	json_decref(reply);
	return status;
}

json_t *
rollout_status(const char *service)
{
	int fd = control_open();
	json_t *status;

	assert_true(fd >= 0);
	status = ask_status(fd, service);
	close(fd);
	return status;
}

static int
follow_events(const char *service)
{
	char request[256];
	int fd = control_open();

	assert_true(fd >= 0);
	snprintf(request, sizeof(request), "{\"method\":\"io.supd.Events\","
	    "\"parameters\":{\"service\":\"%s\"},\"more\":true}", service);
	assert_true(send(fd, request, strlen(request) + 1, MSG_NOSIGNAL) > 0);
	return fd;
}

/* What they say is in the status, too. */
static void
skip_events(int fd)
{
	char bytes[16384];
	ssize_t size;

	while ((size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		continue;
	if (size == 0 || errno != EAGAIN)
		fail_msg("supd has closed its stream of events");
}

json_t *
rollout_await(const char *service, rollout_test *holds, const void *wanted,
    const char *what)
{
	uint64_t end_ms = e2e_now_ms() + E2E_WAIT_MS;
	int events = follow_events(service), fd = control_open();
	json_t *status;

	assert_true(fd >= 0);
	for (;;) {
		skip_events(events);
		status = ask_status(fd, service);
		if (holds(status, wanted))
			break;
		if (e2e_now_ms() > end_ms)
			fail_msg("the rollout of %s did not get to: %s; it "
			    "is: %s", service, what, json_dumps(status, 0));
		json_decref(status);
		(void)e2e_input_within(events, LOOK_AGAIN_MS);
	}
	close(events);
	close(fd);
	return status;
}

uint64_t
rollout_number(const json_t *status, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(json_object_get(
	    status, "rollout"), key));
}

const char *
rollout_text(const json_t *status, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(
	    status, "rollout"), key));

	return text != NULL ? text : "";
}

/* Without a rollout there is no phase to read. */
static const char *
phase_of(const json_t *status)
{
	return json_is_object(json_object_get(status, "rollout")) ?
	    rollout_text(status, "phase") : "idle";
}

const json_t *
rollout_lane(const json_t *status, const char *name)
{
	const json_t *lane;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(status, "rollout"),
	    "lanes"), i, lane) {
		if (strcmp(json_string_value(json_object_get(lane, "name")),
		    name) == 0)
			return lane;
	}
	return NULL;
}

static bool
has_phase(const json_t *status, const void *wanted)
{
	return strcmp(phase_of(status), wanted) == 0;
}

void
rollout_await_phase(const char *service, const char *phase)
{
	json_decref(rollout_await(service, has_phase, phase, phase));
}

static bool
has_reached_step(const json_t *status, const void *wanted)
{
	return rollout_number(status, "step") >= *(const unsigned *)wanted;
}

void
rollout_await_step(const char *service, unsigned step)
{
	char what[32];

	snprintf(what, sizeof(what), "step %u", step);
	json_decref(rollout_await(service, has_reached_step, &step, what));
}

static bool
has_weight(const json_t *status, const void *wanted)
{
	return json_is_object(json_object_get(status, "rollout")) &&
	    rollout_number(status, "weight_permille") ==
	    *(const unsigned *)wanted;
}

void
rollout_await_weight(const char *service, unsigned permille)
{
	char what[32];

	snprintf(what, sizeof(what), "weight %u permille", permille);
	json_decref(rollout_await(service, has_weight, &permille, what));
}

static bool
has_ended(const json_t *status, const void *wanted)
{
	const json_t *last = json_object_get(status, "last");

	return strcmp(phase_of(status), "idle") == 0 &&
	    json_integer_value(json_object_get(last, "revision")) ==
	    *(const unsigned *)wanted;
}

json_t *
rollout_await_verdict(const char *service, unsigned revision,
    const char *verdict)
{
	json_t *status, *last;
	char what[64];

	snprintf(what, sizeof(what), "an end, of revision %u", revision);
	status = rollout_await(service, has_ended, &revision, what);
	last = json_object_get(status, "last");
	if (strcmp(json_string_value(json_object_get(last, "verdict")),
	    verdict) != 0)
		fail_msg("wanted verdict %s, got: %s", verdict,
		    json_dumps(last, 0));
	json_incref(last);
	json_decref(status);
	return last;
}
