/*
 * What the end-to-end tests look at without supctl: processes and their fds in
 * /proc, answers of the service, and supd's control socket; see e2e.h.
 */
#include "e2e.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "loopback.h"

enum {
	REPLY_BYTES_MAX = 1 << 20,
	SUPD_FD_MAX = 8192,
	SOCKET_CONNECTED = 3,           /* in /proc/net/unix */
};

/*
 * The service
 */

static void
set_timeouts(int fd)
{
	const struct timeval timeout = { .tv_sec = E2E_WAIT_MS / 1000 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
	    sizeof(timeout)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
	    sizeof(timeout)), 0);
}

const char *
ask_version(const char *target)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n";
	static char answer[4096];
	struct loopback address;
	size_t used = 0;
	ssize_t size;
	char *version;
	int fd;

	assert_int_equal(loopback_parse(target, &address), 0);
	fd = socket(address.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	set_timeouts(fd);
	if (connect(fd, (const struct sockaddr *)&address.address,
	    address.length_bytes) == 0 && send(fd, request, strlen(request),
	    MSG_NOSIGNAL) > 0)
		while ((size = recv(fd, answer + used,
		    sizeof(answer) - 1 - used, 0)) > 0)
			used += (size_t)size;
	close(fd);
	answer[used] = '\0';
	version = strstr(answer, "version=");
	if (version == NULL)
		return "";
	version += strlen("version=");
	version[strcspn(version, " \n")] = '\0';
	return version;
}

/* The label must fit; nothing is there before the first worker has begun. */
unsigned
workers_started(void)
{
	const struct dirent *entry;
	DIR *directory = opendir(e2e_path("counts"));
	unsigned count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL)
		count += strncmp(entry->d_name, "worker.", 7) == 0 &&
		    strstr(entry->d_name, ".new") == NULL;
	closedir(directory);
	return count;
}

struct worker_counts
worker_totals(const char *version)
{
	struct worker_counts totals = { .version = "" }, counts;
	const struct dirent *entry;
	DIR *directory = opendir(e2e_path("counts"));
	char name[E2E_PATH_BYTES / 2];

	assert_non_null(directory);
	snprintf(totals.version, sizeof(totals.version), "%s", version);
	while ((entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, "worker.", 7) != 0 ||
		    strstr(entry->d_name, ".new") != NULL)
			continue;
		snprintf(name, sizeof(name), "counts/%.40s", entry->d_name);
		assert_int_equal(worker_counts_read(e2e_path(name), &counts),
		    0);
		if (strcmp(counts.version, version) != 0)
			continue;
		totals.pid = counts.pid;
		totals.accepted += counts.accepted;
		totals.user_connections += counts.user_connections;
		totals.probe_connections += counts.probe_connections;
		totals.requests += counts.requests;
		totals.probe_requests += counts.probe_requests;
		totals.health_requests += counts.health_requests;
	}
	closedir(directory);
	return totals;
}

/*
 * The control socket
 */

int
control_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, e2e_path("run/control.sock"));
	set_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

json_t *
control_receive(int fd)
{
	static char bytes[REPLY_BYTES_MAX];
	size_t used = 0;
	json_t *reply;

	do {
		assert_true(used < sizeof(bytes));
		if (recv(fd, bytes + used, 1, 0) != 1)
			return NULL;
	} while (bytes[used++] != '\0');
	reply = json_loads(bytes, 0, NULL);
	assert_non_null(reply);
	return reply;
}

json_t *
control_call(int fd, const char *json)
{
	json_t *reply;

	assert_int_equal(send(fd, json, strlen(json) + 1, MSG_NOSIGNAL),
	    strlen(json) + 1);
	reply = control_receive(fd);
	assert_non_null(reply);
	return reply;
}

const char *
upgrade_stage(const json_t *reply)
{
	const char *stage = json_string_value(json_object_get(json_object_get(
	    reply, "parameters"), "stage"));

	return stage != NULL ? stage : "";
}

json_t *
upgrade_await(int fd, const char *stage)
{
	json_t *reply = control_receive(fd);

	while (json_is_true(json_object_get(reply, "continues")) &&
	    strcmp(upgrade_stage(reply), stage) != 0) {
		json_decref(reply);
		reply = control_receive(fd);
	}
	return reply;
}

json_t *
service_status(const char *name)
{
	char request[256];
	int fd = control_open();
	json_t *reply, *service;

	assert_true(fd >= 0);
	snprintf(request, sizeof(request), "{\"method\":\"io.supd.Status\","
	    "\"parameters\":{\"service\":\"%s\"}}", name);
	reply = control_call(fd, request);
	service = json_array_get(json_object_get(json_object_get(reply,
	    "parameters"), "services"), 0);
	assert_non_null(service);
	json_incref(service);
	json_decref(reply);
	close(fd);
	return service;
}

uint64_t
status_number(const char *service, const char *key)
{
	json_t *status = service_status(service);
	const json_t *value = json_object_get(status, key);
	uint64_t number = json_is_array(value) ? json_array_size(value) :
	    (uint64_t)json_integer_value(value);

	assert_non_null(value);
	json_decref(status);
	return number;
}

pid_t
worker_pid(const char *service, unsigned revision)
{
	json_t *status = service_status(service), *w;
	pid_t pid = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "worker_list"), i, w) {
		if (strcmp(json_string_value(json_object_get(w, "state")),
		    "ready") == 0 && (revision == 0 || json_integer_value(
		    json_object_get(w, "revision")) == revision))
			pid = (pid_t)json_integer_value(json_object_get(w,
			    "pid"));
	}
	json_decref(status);
	assert_true(pid > 1);           /* or a kill() would be our own end */
	return pid;
}

const char *
worker_pids(const char *service)
{
	static char texts[4][1024];
	static unsigned turn;
	char *text = texts[turn++ % 4];
	json_t *status = service_status(service), *w;
	size_t used = 0, i;

	json_array_foreach(json_object_get(status, "worker_list"), i, w)
		used += (size_t)snprintf(text + used, sizeof(texts[0]) - used,
		    "%d ", (int)json_integer_value(json_object_get(w, "pid")));
	assert_true(used < sizeof(texts[0]));
	json_decref(status);
	return text;
}

const char *
restarted_why(void)
{
	static char why[128];
	json_t *supervisor = supervisor_status();
	const char *text = json_string_value(json_object_get(json_object_get(
	    supervisor, "restarted"), "why"));

	snprintf(why, sizeof(why), "%s", text != NULL ? text : "");
	json_decref(supervisor);
	return why;
}

static bool
has_others(const char *service, unsigned revision)
{
	json_t *status = service_status(service), *w;
	bool others = false;
	size_t i;

	json_array_foreach(json_object_get(status, "worker_list"), i, w)
		others |= json_integer_value(json_object_get(w, "revision")) !=
		    revision;
	json_decref(status);
	return others;
}

void
workers_await_only(const char *service, unsigned revision)
{
	while (has_others(service, revision))
		if (!e2e_inputs_within(NULL, 0, E2E_WAIT_MS))
			fail_msg("workers of another revision do not leave");
}

/*
 * Processes
 */

/*
 * Connections to the control socket: its fds besides the one that listens.  Both
 * ends of one are listed where its client is (af_unix.c, unix_stream_connect),
 * and all clients are where this test is.
 */
static unsigned
count_clients(void)
{
	char line[256], unused[8];
	const char *name = e2e_path("run/control.sock");
	unsigned count = 0, state;
	FILE *file = fopen("/proc/self/net/unix", "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, name) != NULL && sscanf(line,
		    "%*s %*s %*s %*s %*s %x %7s", &state, unused) == 2 &&
		    state == SOCKET_CONNECTED;
	fclose(file);
	return count;
}

static unsigned
count_fds(pid_t pid)
{
	char path[64];
	unsigned count = 0;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	assert_non_null(fds);
	while (readdir(fds) != NULL)
		count++;
	closedir(fds);
	return count;
}

/* A client that has left is open for another moment. */
unsigned
supd_fd_count(void)
{
	pid_t pid = supd_own_pid();
	unsigned clients, fds;

	do {
		clients = count_clients();
		fds = count_fds(pid);
	} while (clients != count_clients());
	return fds - clients;
}

int
supd_memory_open(const char *name)
{
	char path[64], link[64], wanted[64];
	pid_t pid = supd_own_pid();
	ssize_t size;
	int fd = -1;

	snprintf(wanted, sizeof(wanted), "/memfd:%s", name);
	for (int i = 0; fd < 0 && i < SUPD_FD_MAX; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, i);
		size = readlink(path, link, sizeof(link) - 1);
		if (size <= 0)
			continue;
		link[size] = '\0';
		if (strncmp(link, wanted, strlen(wanted)) == 0)
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	assert_true(fd >= 0);
	return fd;
}

void
supd_memory_damage(const char *name)
{
	static const char zeros[16];
	int fd = supd_memory_open(name);

	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	close(fd);
}

/* Where supd tells its parent, which it was started with. */
static void
find_parent(struct sockaddr_un *ret_address, socklen_t *ret_size)
{
	static const char variable[] = "NOTIFY_SOCKET=@";
	static char environment[65536];
	char path[64], *found;
	FILE *file;
	size_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)supd_own_pid());
	file = fopen(path, "re");
	assert_non_null(file);
	size = fread(environment, 1, sizeof(environment), file);
	fclose(file);
	found = memmem(environment, size, variable, strlen(variable));
	assert_non_null(found);
	found += strlen(variable);
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	snprintf(ret_address->sun_path + 1, sizeof(ret_address->sun_path) - 1,
	    "%s", found);
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    strlen(found));
}

void
supd_tell_parent(const char *text)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(
	    struct ucred))] = { 0 };
	struct ucred credentials = { .pid = supd_own_pid() };
	struct iovec part = { (void *)(uintptr_t)text, strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = { .msg_name = &address, .msg_iov = &part,
		.msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	find_parent(&address, &message.msg_namelen);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_CREDENTIALS;
	header->cmsg_len = CMSG_LEN(sizeof(credentials));
	memcpy(CMSG_DATA(header), &credentials, sizeof(credentials));
	assert_int_equal(sendmsg(fd, &message, 0), strlen(text));
	close(fd);
}

static void
add_children(pid_t pid, pid_t *pids, unsigned *count)
{
	char path[64], list[8192], *p, *end;
	size_t size;
	FILE *file;
	pid_t child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
	    (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	size = fread(list, 1, sizeof(list) - 1, file);
	fclose(file);
	list[size] = '\0';
	for (p = list; (child = (pid_t)strtol(p, &end, 10)) > 0; p = end) {
		assert_true(*count < FAMILY_MAX);
		pids[(*count)++] = child;
		add_children(child, pids, count);
	}
}

unsigned
family_of(pid_t pid, pid_t ret_pids[FAMILY_MAX])
{
	unsigned count = 0;

	add_children(pid, ret_pids, &count);
	return count;
}

void
await_gone(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return;
	e2e_await_input(fd);
	close(fd);
}

uint64_t
process_number(pid_t pid, const char *key)
{
	char path[64], line[256];
	uint64_t number = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		found = strncmp(line, key, strlen(key)) == 0 &&
		    line[strlen(key)] == ':';
		if (found)
			number = strtoull(line + strlen(key) + 1, NULL, 10);
	}
	fclose(file);
	assert_true(found);
	return number;
}
