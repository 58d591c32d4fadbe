/*
 * The fake supervisor is a child process: a loop over poll(2) that takes
 * requests apart at their NULs and plays the script.  What it was asked goes
 * into a memory file that the test reads.
 */
#include "fake_supervisor.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CLIENT_COUNT = 4, REQUEST_BYTES = 65536, RUN_MS = 30000,
	CAPTURE_BYTES = 1 << 20, ROWS_MAX = 32 };

/* How long it is away, half of it without a socket in the directory: long
 * enough to be seen by who tries again ten times a second. */
enum { AWAY_US = 300000 };

/* More than what supctl takes for a sign of life. */
enum { LINGER_US = 1200000 };

struct client {
	int fd;
	size_t size_bytes;
	char bytes[REQUEST_BYTES];
};

static struct {
	char directory[64], socket_path[96], file_path[96];
	pid_t pid;
	int requests_fd;
	pid_t *supctl_pid;              /* shared with the child */
	char *requests;
	struct fake_run run;
} fake;

static struct client clients[CLIENT_COUNT];
static int listen_fd;
static time_t asked_s;                  /* at first */
static bool played[ROWS_MAX];           /* rows of the script */

static void
send_all(struct client *client, const char *bytes, size_t size_bytes)
{
	while (size_bytes > 0) {
		ssize_t n = send(client->fd, bytes, size_bytes, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		size_bytes -= (size_t)n;
	}
}

static void
send_reply(struct client *client, const char *reply)
{
	const char *end;
	char time_text[24];

	snprintf(time_text, sizeof(time_text), "%lld", (long long)asked_s);
	while ((end = strchr(reply, '@')) != NULL) {
		send_all(client, reply, (size_t)(end - reply));
		send_all(client, time_text, strlen(time_text));
		reply = end + 1;
	}
	send_all(client, reply, strlen(reply) + 1);
}

static void
flood(struct client *client)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	while (send(client->fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		continue;
}

static int
open_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);

	strcpy(address.sun_path, fake.socket_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address,
	    sizeof(address)) < 0 || listen(fd, CLIENT_COUNT) < 0)
		abort();
	return fd;
}

static void
hang_up_all(void)
{
	for (int i = 0; i < CLIENT_COUNT; i++) {
		if (clients[i].fd >= 0)
			close(clients[i].fd);
		clients[i].fd = -1;
	}
}

/* Nobody listens, then there is no socket; and then there is. */
static void
leave(bool for_ever)
{
	close(listen_fd);
	hang_up_all();
	if (!for_ever)
		usleep(AWAY_US / 2);
	unlink(fake.socket_path);
	if (for_ever)
		_exit(0);
	usleep(AWAY_US / 2);
	listen_fd = open_socket();
}

static void
answer(struct client *client, const struct fake_answer *row)
{
	if (row->end == FAKE_LINGERS)
		usleep(LINGER_US);
	for (size_t i = 0; row->replies[i] != NULL; i++)
		send_reply(client, row->replies[i]);
	if (row->end == FAKE_INTERRUPTS)
		kill(*fake.supctl_pid, SIGINT);
	if (row->end == FAKE_FLOODS)
		flood(client);
	if (row->end == FAKE_HANGS_UP) {
		close(client->fd);
		client->fd = -1;
	}
	if (row->end == FAKE_RESTARTS)
		hang_up_all();
	if (row->end == FAKE_LEAVES || row->end == FAKE_DIES)
		leave(row->end == FAKE_DIES);
}

/* The next answer to this method; NULL if the script has none. */
static const struct fake_answer *
find_answer(const struct fake_answer *answers, const char *method)
{
	const struct fake_answer *last = NULL;

	for (size_t i = 0; i < ROWS_MAX && answers[i].method != NULL; i++) {
		if (strcmp(answers[i].method, method) != 0)
			continue;
		last = &answers[i];
		if (!played[i]) {
			played[i] = true;
			break;
		}
	}
	return last;
}

static void
handle(struct client *client, const char *request,
    const struct fake_answer *answers)
{
	static const struct fake_answer nothing = {
		.replies = { "{\"parameters\":{}}" } };
	json_t *message = json_loads(request, 0, NULL);
	const char *name = json_string_value(json_object_get(message,
	    "method"));
	const char *method = name != NULL ? strrchr(name, '.') : NULL;
	const struct fake_answer *row = NULL;

	if (asked_s == 0)
		asked_s = time(NULL);
	(void)!write(fake.requests_fd, request, strlen(request));
	(void)!write(fake.requests_fd, "\n", 1);
	if (method != NULL)
		row = find_answer(answers, method + 1);
	answer(client, row != NULL ? row : &nothing);
	json_decref(message);
}

static void
serve_client(struct client *client, const struct fake_answer *answers)
{
	ssize_t n = recv(client->fd, client->bytes + client->size_bytes,
	    sizeof(client->bytes) - client->size_bytes, 0);
	char *end;

	if (n <= 0) {
		close(client->fd);
		client->fd = -1;
		return;
	}
	client->size_bytes += (size_t)n;
	while (client->fd >= 0 && (end = memchr(client->bytes, '\0',
	    client->size_bytes)) != NULL) {
		size_t used = (size_t)(end - client->bytes) + 1;

		handle(client, client->bytes, answers);
		client->size_bytes -= used;
		memmove(client->bytes, end + 1, client->size_bytes);
	}
}

static void
accept_client(void)
{
	for (int i = 0; i < CLIENT_COUNT; i++)
		if (clients[i].fd < 0) {
			clients[i].fd = accept4(listen_fd, NULL, NULL,
			    SOCK_CLOEXEC);
			clients[i].size_bytes = 0;
			return;
		}
}

static void
serve(const struct fake_answer *answers)
{
	struct pollfd polled[CLIENT_COUNT + 1];

	for (int i = 0; i < CLIENT_COUNT; i++)
		clients[i].fd = -1;
	for (;;) {
		for (int i = 0; i < CLIENT_COUNT; i++)
			polled[i] = (struct pollfd){ .fd = clients[i].fd,
			    .events = POLLIN };
		polled[CLIENT_COUNT] = (struct pollfd){ .fd = listen_fd,
		    .events = POLLIN };
		if (poll(polled, CLIENT_COUNT + 1, -1) < 0)
			continue;
		for (int i = 0; i < CLIENT_COUNT; i++)
			if (polled[i].revents != 0)
				serve_client(&clients[i], answers);
		if (polled[CLIENT_COUNT].revents != 0)
			accept_client();
	}
}

void
fake_start(const struct fake_answer *answers)
{
	strcpy(fake.directory, "/tmp/test_supctl.XXXXXX");
	if (mkdtemp(fake.directory) == NULL)
		abort();
	snprintf(fake.socket_path, sizeof(fake.socket_path),
	    "%s/control.sock", fake.directory);
	fake.requests_fd = memfd_create("requests", MFD_CLOEXEC);
	fake.supctl_pid = mmap(NULL, sizeof(pid_t), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fake.requests_fd < 0 || fake.supctl_pid == MAP_FAILED)
		abort();
	fake.pid = 0;
	if (answers == NULL)
		return;
	listen_fd = open_socket();
	fake.pid = fork();
	if (fake.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(answers);
	}
	close(listen_fd);
}

/* The first CAPTURE_BYTES of a file, as a string. */
static char *
read_whole(int fd)
{
	char *text = calloc(1, CAPTURE_BYTES + 1);

	if (text == NULL || pread(fd, text, CAPTURE_BYTES, 0) < 0)
		abort();
	return text;
}

const char *
fake_requests(void)
{
	free(fake.requests);
	fake.requests = read_whole(fake.requests_fd);
	return fake.requests;
}

const char *
fake_file(const char *name, const char *text)
{
	FILE *file;

	snprintf(fake.file_path, sizeof(fake.file_path), "%s/%s",
	    fake.directory, name);
	file = fopen(fake.file_path, "w");
	if (file == NULL)
		abort();
	fputs(text, file);
	fclose(file);
	return fake.file_path;
}

static void
free_run(void)
{
	free(fake.run.output);
	free(fake.run.errors);
	memset(&fake.run, 0, sizeof(fake.run));
}

void
fake_stop(void)
{
	if (fake.pid > 0) {
		kill(fake.pid, SIGKILL);
		waitpid(fake.pid, NULL, 0);
	}
	if (fake.file_path[0] != '\0')
		unlink(fake.file_path);
	unlink(fake.socket_path);
	rmdir(fake.directory);
	close(fake.requests_fd);
	munmap(fake.supctl_pid, sizeof(pid_t));
	free(fake.requests);
	fake.requests = NULL;
	fake.file_path[0] = '\0';
	free_run();
}

int
fake_teardown(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

static const char *
supctl_path(char path[256])
{
	const char *set = getenv("SUPCTL");
	const char *build = getenv("top_builddir");

	if (set != NULL)
		return set;
	snprintf(path, 256, "%s/supctl", build != NULL ? build : ".");
	return path;
}

static void
execute(unsigned flags, const char *const *words, int output_fd,
    int errors_fd)
{
	char *argv[16] = { 0 };
	size_t count = 0;
	char path[256];

	argv[count++] = strdup("supctl");
	if (!(flags & FAKE_NO_SOCKET)) {
		argv[count++] = strdup("--socket");
		argv[count++] = fake.socket_path;
	}
	for (; *words != NULL; words++)
		argv[count++] = strdup(*words);
	setsid();
	if (flags & FAKE_TERMINAL) {
		setenv("TERM", "xterm", 1);
		ioctl(output_fd, TIOCSCTTY, 0);
		dup2(output_fd, 0);
		errors_fd = output_fd;
	}
	dup2(output_fd, 1);
	dup2(errors_fd, 2);
	if (flags & FAKE_CLOSED)
		close(1);
	if (flags & FAKE_PLAIN)
		setenv("NO_COLOR", "1", 1);
	*fake.supctl_pid = getpid();
	execv(supctl_path(path), argv);
	_exit(126);
}

/* Both ends of a pseudo terminal of 100 columns. */
static void
open_terminal(int *ret_outer_fd, int *ret_inner_fd)
{
	struct winsize size = { .ws_row = 40, .ws_col = 100 };
	int outer_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (outer_fd < 0 || grantpt(outer_fd) < 0 || unlockpt(outer_fd) < 0)
		abort();
	*ret_outer_fd = outer_fd;
	*ret_inner_fd = open(ptsname(outer_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ioctl(*ret_inner_fd, TIOCSWINSZ, &size);
}

static int
exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	    -1 - WTERMSIG(status);
}

/* Waits until nobody holds the other end of alive_fd; copies what the terminal
 * shows meanwhile. */
static int
wait_for_end(pid_t pid, int alive_fd, int outer_fd, int copy_fd)
{
	bool over = false;
	char bytes[4096];
	int status = 0;

	for (int waited_ms = 0; !over && waited_ms < RUN_MS; ) {
		struct pollfd polled[2] = {
			{ .fd = outer_fd, .events = POLLIN },
			{ .fd = alive_fd, .events = POLLIN },
		};
		ssize_t n;

		if (poll(polled, 2, 100) == 0)
			waited_ms += 100;
		over = polled[1].revents != 0;
		/* The last words are there before the end is. */
		while (outer_fd >= 0 && (n = read(outer_fd, bytes,
		    sizeof(bytes))) > 0)
			(void)!write(copy_fd, bytes, (size_t)n);
	}
	if (!over)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return exit_code(status);
}

static int
open_output(unsigned flags, int *ret_outer_fd)
{
	int ends[2], inner_fd;

	*ret_outer_fd = -1;
	if (flags & FAKE_TERMINAL) {
		open_terminal(ret_outer_fd, &inner_fd);
		fcntl(*ret_outer_fd, F_SETFL, O_NONBLOCK);
		return inner_fd;
	}
	if (!(flags & FAKE_DEAF))
		return memfd_create("output", MFD_CLOEXEC);
	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	close(ends[0]);
	return ends[1];
}

const struct fake_run *
fake_supctl(unsigned flags, const char *const *words)
{
	int copy_fd = memfd_create("copy", MFD_CLOEXEC);
	int errors_fd = memfd_create("errors", MFD_CLOEXEC);
	int outer_fd, output_fd = open_output(flags, &outer_fd);
	int alive[2];
	pid_t pid;

	free_run();
	if (pipe2(alive, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid == 0) {
		/* It is closed by the end of supctl, and by nothing else. */
		fcntl(alive[1], F_SETFD, 0);
		execute(flags, words, output_fd, errors_fd);
	}
	close(alive[1]);
	fake.run.code = wait_for_end(pid, alive[0], outer_fd, copy_fd);
	fake.run.output = flags & FAKE_DEAF ? strdup("") :
	    read_whole(outer_fd >= 0 ? copy_fd : output_fd);
	fake.run.errors = read_whole(errors_fd);
	if (outer_fd >= 0)
		close(outer_fd);
	close(output_fd);
	close(errors_fd);
	close(copy_fd);
	close(alive[0]);
	return &fake.run;
}
