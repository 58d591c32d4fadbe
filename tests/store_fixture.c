/*
 * The loop, workers as the store sees them, and carry.h, which is played: an fd
 * that was put is copied, as an exec would keep it.
 */
#include "store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "reactor.h"
#include "store_private.h"

enum { WAIT_MS = 10000 };

/*
 * Carried fds
 */

struct carried_fd carried[CARRIED_MAX], came[CARRIED_MAX];
unsigned carried_count, came_count, change_count;

void
carry_drop(const char *name)
{
	for (unsigned i = 0; i < carried_count; i++) {
		if (strcmp(carried[i].name, name) != 0)
			continue;
		close(carried[i].fd);
		carried[i] = carried[--carried_count];
		return;
	}
}

void
carry_put(const char *name, const int *fds, unsigned count, bool store)
{
	assert_int_equal(count, 1);
	assert_true(store);
	carry_drop(name);
	assert_true(carried_count < CARRIED_MAX);
	strcpy(carried[carried_count].name, name);
	carried[carried_count].fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
	assert_true(carried[carried_count++].fd >= 0);
}

int
carry_take(const char *name)
{
	for (unsigned i = 0; i < came_count; i++) {
		int fd = came[i].fd;

		if (strcmp(came[i].name, name) != 0)
			continue;
		came[i] = came[--came_count];
		return fd;
	}
	return -1;
}

/* What this supd has carried comes to the next. */
void
exec_supd(void)
{
	memcpy(came, carried, sizeof(came));
	came_count = carried_count;
	carried_count = 0;
	store_release();
}

/*
 * The loop
 */

static bool (*awaited)(void);
static bool expired;

static void
on_turn(void *ctx)
{
	(void)ctx;
	if (expired || awaited())
		reactor_stop();
}

static void
on_signal(void *ctx, int number)
{
	(void)ctx;
	(void)number;
}

static void
on_expired(void *ctx)
{
	(void)ctx;
	expired = true;
}

void
await(bool (*holds)(void))
{
	struct alarm alarm = { 0 };

	awaited = holds;
	expired = false;
	reactor_set_alarm(&alarm, WAIT_MS, on_expired, NULL);
	reactor_run();
	reactor_clear_alarm(&alarm);
	assert_false(expired);
}

/*
 * Helpers
 */

unsigned
fd_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void
on_change(void *ctx)
{
	(void)ctx;
	change_count++;
}

void
agree_on(uint32_t limit, uint32_t slot_count, bool closed)
{
	const struct store_terms terms = { .name = "web", .limit = limit,
		.slot_count = slot_count, .stable = 1, .closed = closed };

	store_agree(WEB, &terms);
	store_settle();
}

void
agree_on_both(uint32_t stable, uint32_t candidate)
{
	const struct store_terms terms = { .name = "web", .limit = 8,
		.slot_count = 2, .stable = stable, .candidate = candidate };

	store_agree(WEB, &terms);
	store_settle();
}

unsigned
waiting(void)
{
	unsigned count = 0;

	for (const struct stored *stored = store_find(WEB)->first;
	    stored != NULL; stored = stored->next)
		count += store_is_free(stored);
	return count;
}

int
file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void
put_with(struct worker_id id, const char *name, int fd, bool unwatched)
{
	const struct store_request request = { .name = name, .fds = &fd,
		.fd_count = 1, .unwatched = unwatched };

	store_put(WEB, id, &request);
}

/* A new file of this name. */
void
put(struct worker_id id, const char *name)
{
	put_with(id, name, file(name), false);
}

bool
is_file(int fd, const char *name)
{
	char path[64], target[256], expected[256];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	assert_true(length > 0);
	target[length] = '\0';
	snprintf(expected, sizeof(expected), "/memfd:%s (deleted)", name);
	return strcmp(target, expected) == 0;
}

/* Starts a worker, which must get these files; its end of supd.handover. */
int
start_of(struct worker_id id, uint32_t revision, const char *names)
{
	const struct store_grant *grant = store_grant(WEB, id, revision);
	char expected[256], *word, *rest;
	unsigned i = 1;
	int handover;

	snprintf(expected, sizeof(expected), "supd.handover%s%s",
	    *names != '\0' ? ":" : "", names);
	assert_string_equal(grant->names, expected);
	word = strtok_r(expected, ":", &rest);
	while ((word = strtok_r(NULL, ":", &rest)) != NULL)
		assert_true(is_file(grant->fds[i++], word));
	assert_int_equal(grant->count, i);
	handover = fcntl(grant->fds[0], F_DUPFD_CLOEXEC, 3);
	store_granted(true);
	return handover;
}

int
start(struct worker_id id, const char *names)
{
	return start_of(id, 1, names);
}

/* The worker reads one message; "" if there is none. */
const char *
receive(int handover)
{
	static char name[256];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { name, sizeof(name) - 1 };
	struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(handover, &header, MSG_DONTWAIT);
	int fd;

	if (size <= 0)
		return "";
	name[size] = '\0';
	assert_non_null(CMSG_FIRSTHDR(&header));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(fd));
	assert_true(is_file(fd, name));
	close(fd);
	return name;
}

void
hand_over_to_both(uint32_t slot, uint32_t stable, uint32_t candidate)
{
	struct store_ready slots[8] = { 0 };

	slots[slot].stable = stable;
	slots[slot].candidate = candidate;
	store_hand_over(WEB, slots);
}

void
hand_over_to(uint32_t slot, uint32_t incarnation)
{
	hand_over_to_both(slot, incarnation, 0);
}

static unsigned count_before;

int
store_set_up(void **state)
{
	(void)state;
	assert_int_equal(reactor_init(on_turn, on_signal, NULL), 0);
	log_init("test_store", LOG_ERROR);
	count_before = fd_count();
	store_on_change(on_change, NULL);
	change_count = 0;
	agree_on(8, 2, false);
	return 0;
}

int
store_tear_down(void **state)
{
	(void)state;
	store_release();
	assert_int_equal(carried_count, 0);
	assert_int_equal(fd_count(), count_before);
	store_on_change(NULL, NULL);
	reactor_release();
	return 0;
}

int
store_raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
	alarm(60);
	return setrlimit(RLIMIT_NOFILE, &limit);
}
