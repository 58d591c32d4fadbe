/*
 * The rig: its directory, the builds in it, and what comes before and after a
 * test; see e2e.h.
 *
 * The test process is a child subreaper.  So what supd leaves behind becomes
 * our child, and "no process is left" is a fact and not a search.
 */
#include "e2e.h"

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "build.h"

enum {
	/* Below the ports that the kernel gives to clients. */
	PORT_FIRST = 20000,
	PORT_COUNT = 10000,
};

static char directory[E2E_PATH_BYTES / 2];

/*
 * The directory
 */

const char *
e2e_path(const char *name)
{
	static char paths[16][E2E_PATH_BYTES];
	static unsigned turn;
	char *path = paths[turn++ % 16];

	assert_true(snprintf(path, E2E_PATH_BYTES, "%s/%s", directory, name) <
	    E2E_PATH_BYTES);
	return path;
}

/* A program where it was built: beside this one, or one directory above. */
static const char *
built(const char *name)
{
	static char paths[16][1024];
	static unsigned turn;
	char *path = paths[turn++ % 16];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(paths[0]) -
	    E2E_PATH_BYTES);

	assert_true(length > 0);
	path[length] = '\0';
	*strrchr(path, '/') = '\0';
	strcpy(strrchr(path, '/') + 1, name);
	return path;
}

/* What a user without rights executes too, who may not reach the build. */
static const char *const copied[] = {
	"supd", "supctl", "supprobe", "tests/worker",
};

const char *
e2e_program(const char *name)
{
	static char paths[sizeof(copied) / sizeof(copied[0])][E2E_PATH_BYTES];
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		if (strcmp(name, copied[i]) != 0)
			continue;
		snprintf(paths[i], sizeof(paths[i]), "%s",
		    e2e_path(slash != NULL ? slash + 1 : name));
		return paths[i];
	}
	return built(name);
}

void
e2e_write(const char *name, mode_t mode, const char *text)
{
	const char *fresh = e2e_path("written.tmp");
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	assert_int_equal(rename(fresh, e2e_path(name)), 0);
}

void
e2e_configure(const char *format, ...)
{
	static char services[16384], text[32768];
	va_list arguments;

	va_start(arguments, format);
	assert_true(vsnprintf(services, sizeof(services), format, arguments) <
	    (int)sizeof(services));
	va_end(arguments);
	snprintf(text, sizeof(text), "[supd]\nruntime_dir = %s\n"
	    "state_dir = %s\n\n%s", e2e_path("run"), e2e_path("state"),
	    services);
	e2e_write("supd.conf", 0644, text);
}

void
e2e_configure_web(const char *target, int workers, const char *keys)
{
	e2e_configure("[service web]\ncommand = %s\nlisten = %s\n"
	    "workers = %d\nready = notify\n%s", e2e_path("web"), target,
	    workers, keys);
}

static void
copy(int from_fd, int to_fd)
{
	char bytes[65536];
	ssize_t size;

	while ((size = read(from_fd, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to_fd, bytes, (size_t)size), size);
	assert_int_equal(size, 0);
}

/* Options are separated by single blanks. */
static void
write_build(int fd, const char *program, const char *options)
{
	char trailer[2048];
	int from = open(built("tests/build"), O_RDONLY | O_CLOEXEC);
	int size;

	assert_true(from >= 0);
	copy(from, fd);
	close(from);
	size = snprintf(trailer, sizeof(trailer), "%s %s",
	    e2e_program(program), options);
	assert_true(size < (int)sizeof(trailer));
	for (int i = 0; i < size; i++)
		if (trailer[i] == ' ')
			trailer[i] = '\0';
	assert_int_equal(write(fd, "\0", 2), 2);
	assert_int_equal(write(fd, trailer, (size_t)size + 1), size + 1);
	assert_int_equal(write(fd, BUILD_MARK, strlen(BUILD_MARK)),
	    strlen(BUILD_MARK));
}

void
e2e_install_program(const char *name, const char *program,
    const char *options)
{
	const char *fresh = e2e_path("build.tmp");
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	write_build(fd, program, options);
	close(fd);
	assert_int_equal(rename(fresh, e2e_path(name)), 0);
}

void
e2e_install(const char *name, const char *options)
{
	e2e_install_program(name, "tests/worker", options);
}

/* Of many versions some workers may have had the same pid. */
void
e2e_install_counted(const char *name, const char *version,
    const char *options)
{
	char text[1024];

	assert_true(snprintf(text, sizeof(text), "--version %s --count-file "
	    "%s.%s%s%s", version, e2e_path("counts/worker"), version,
	    *options != '\0' ? " " : "", options) < (int)sizeof(text));
	e2e_install(name, text);
}

void
e2e_overwrite(const char *name, const char *options)
{
	int fd = open(e2e_path(name), O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_true(fd >= 0);
	write_build(fd, "tests/worker", options);
	close(fd);
}

static bool
is_free(unsigned port)
{
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port),
	};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is = fd >= 0 && bind(fd, (struct sockaddr *)&any,
	    sizeof(any)) == 0;

	close(fd);
	return is;
}

unsigned
e2e_port(void)
{
	static unsigned turn;
	unsigned port;

	do {
		assert_true(turn < PORT_COUNT);
		port = PORT_FIRST + ((unsigned)getpid() * 61 + turn++) %
		    PORT_COUNT;
	} while (!is_free(port));
	return port;
}

uint64_t
e2e_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

unsigned
e2e_rounds(unsigned rounds)
{
	const char *text = getenv("E2E_ROUNDS");
	unsigned wanted = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 0;

	return wanted > 0 && wanted < rounds ? wanted : rounds;
}

unsigned
e2e_rounds_or_long(unsigned rounds, unsigned long_rounds)
{
	return getenv("E2E_LONG") != NULL ? long_rounds : e2e_rounds(rounds);
}

/*
 * Before and after
 */

static int
remove_entry(const char *path, const struct stat *status, int type,
    struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static int
copy_programs(void)
{
	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		int from = open(built(copied[i]), O_RDONLY | O_CLOEXEC);
		int to = open(e2e_program(copied[i]),
		    O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

		if (from < 0 || to < 0)
			return -1;
		copy(from, to);
		close(from);
		close(to);
	}
	return 0;
}

int
e2e_set_up(void **state)
{
	(void)state;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(directory, sizeof(directory), "/tmp/supd-e2e-XXXXXX");
	if (mkdtemp(directory) == NULL || chmod(directory, 0755) != 0)
		return -1;
	if (mkdir(e2e_path("xdg"), 0700) != 0 || copy_programs() != 0)
		return -1;
	/* Workers of any user count there. */
	if (mkdir(e2e_path("counts"), 0700) != 0 ||
	    chmod(e2e_path("counts"), 01777) != 0)
		return -1;
	return chown(e2e_path("xdg"), E2E_NOBODY, E2E_NOBODY) != 0 &&
	    geteuid() == 0 ? -1 : 0;
}

int
e2e_set_up_net(void **state)
{
	int error = e2e_set_up(state);

	if (error == 0)
		(void)net_enter(false);
	return error;
}

/* Also those that become our children when their parents are killed. */
static void
kill_children(void)
{
	char path[64], list[16384];
	FILE *file;
	size_t size;
	char *p, *end;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	do {
		file = fopen(path, "re");
		size = file != NULL ? fread(list, 1, sizeof(list) - 1, file) :
		    0;
		list[size] = '\0';
		if (file != NULL)
			fclose(file);
		for (p = list; strtol(p, &end, 10) > 0; p = end)
			kill((pid_t)strtol(p, NULL, 10), SIGKILL);
	} while (size > 0 && waitpid(-1, NULL, 0) > 0);
}

int
e2e_tear_down(void **state)
{
	(void)state;
	supd_forget();
	kill_children();
	net_leave();
	return nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
