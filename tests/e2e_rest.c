/*
 * What supd has open when it has come to rest, at the start of a test and at its
 * end; see e2e.h.
 */
#include "e2e.h"

#include <string.h>
#include <unistd.h>

/* What supd had open when it had come to rest. */
struct rest {
	bool known;
	unsigned fds, releases, workers, listeners;
};

static struct rest rest;
bool rest_may_be_less;

static unsigned
count_services(struct rest *ret_now)
{
	json_t *reply, *s, *w;
	unsigned leaving = 0;
	size_t i, k;
	int fd = control_open();

	assert_true(fd >= 0);
	*ret_now = (struct rest){ .known = true };
	reply = control_call(fd, "{\"method\":\"io.supd.Status\"}");
	json_array_foreach(json_object_get(json_object_get(reply,
	    "parameters"), "services"), i, s) {
		ret_now->releases += (unsigned)json_array_size(
		    json_object_get(s, "releases"));
		ret_now->listeners += (unsigned)json_array_size(
		    json_object_get(s, "listeners"));
		json_array_foreach(json_object_get(s, "worker_list"), k, w) {
			ret_now->workers++;
			leaving += strcmp(json_string_value(json_object_get(w,
			    "state")), "ready") != 0;
		}
	}
	json_decref(reply);
	close(fd);
	return leaving;
}

/* When all workers are ready; each one that leaves is in the log. */
static struct rest
look_at_rest(void)
{
	struct rest now;

	while (count_services(&now) != 0)
		if (!e2e_inputs_within(NULL, 0, E2E_WAIT_MS))
			fail_msg("a worker does not get ready or gone");
	now.fds = supd_fd_count();
	return now;
}

/* A worker has a pidfd and a notify socket, a release two pinned fds. */
static int
count_leaked(void)
{
	struct rest now = look_at_rest();

	return (int)(now.fds + 2 * rest.releases + 2 * rest.workers +
	    rest.listeners) - (int)(rest.fds + 2 * now.releases +
	    2 * now.workers + now.listeners);
}

/* The groups of workers; a task has one, too, and is none. */
static bool
is_of_a_worker(json_t *services, pid_t pid)
{
	json_t *s, *w;
	size_t i, k;

	json_array_foreach(services, i, s) {
		json_array_foreach(json_object_get(s, "worker_list"), k, w)
			if (json_integer_value(json_object_get(w, "pid")) ==
			    getpgid(pid))
				return true;
	}
	return false;
}

/* A probe that was killed with its rollout has a pidfd until it is dead. */
static void
await_tasks(void)
{
	pid_t family[FAMILY_MAX];
	unsigned count = family_of(supd_pid, family);
	pid_t supd = supd_own_pid();
	int fd = control_open();
	json_t *reply = control_call(fd, "{\"method\":\"io.supd.Status\"}");
	json_t *services = json_object_get(json_object_get(reply,
	    "parameters"), "services");

	for (unsigned i = 0; i < count; i++) {
		if (family[i] != supd &&
		    !is_of_a_worker(services, family[i]))
			await_gone(family[i]);
	}
	json_decref(reply);
	close(fd);
}

void
rest_forget(void)
{
	rest.known = false;
}

void
rest_note(void)
{
	rest = look_at_rest();
}

void
rest_assert(void)
{
	int count = rest.known ? count_leaked() : 0;

	if (count > 0) {
		await_tasks();
		count = count_leaked();
	}
	if (count < 0 && rest_may_be_less)
		count = 0;
	assert_int_equal(count, 0);
}
