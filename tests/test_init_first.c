/*
 * supd-init as process 1: of a container, which is a pid namespace; and what it
 * mounts as the first of a kernel, in an empty root directory, which needs root.
 */
#include "supd_init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/magic.h>

#include "init_fixture.h"

enum { PSS_KIB_MAX = 300, GOOD = 10 };

static struct init init;

static void
start(const char *grace)
{
	if (!init_start(&init, INIT_PROCESS_1, grace, NULL))
		skip();
}

static void
fds_are_kept(void **state)
{
	(void)state;
	start("1");
	assert_non_null(strstr(init.answer, "start 2\n"));
	init_command(&init, "store listener memfd");
	init_order(&init, "die 9");
	init_read_answer(&init);
	assert_non_null(strstr(init.answer, "fd listener listener\n"));
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

/* In a container ^C is one, and nobody reboots. */
static void
signals_are_passed_on(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	start("1");
	init_command(&init, "catch");
	child_signal(&init.child, SIGINT);
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "signal 2");
	init_order(&init, "exit 3");
	assert_int_equal(init_end(&init), 3);
}

static void
others_are_told(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	start("60");
	init_command(&init, "leave polite");
	init_command(&init, "leave polite");
	init_order(&init, "exit 6");
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "polite 15");
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "polite 15");
	assert_int_equal(init_end(&init), 6);
}

/* Without the signal it would be over as well, but 5 seconds later. */
static void
others_are_killed_at_last(void **state)
{
	char output[INIT_LINE_BYTES];
	struct timespec began, ended;

	(void)state;
	start("0");
	init_command(&init, "leave stubborn");
	clock_gettime(CLOCK_MONOTONIC, &began);
	init_order(&init, "exit 6");
	init_read_log(&init, "killing what SIGTERM has not ended");
	child_read_all(init.child.out_fd, output, sizeof(output));
	assert_int_equal(init_end(&init), 6);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_in_range(ended.tv_sec - began.tv_sec, 0, 3);
}

/* Of supd-init, that are in one of these states. */
static int
count_children(const char *states)
{
	char path[64], text[256];
	FILE *children, *status;
	char state;
	int count = 0, pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)init.child.pid, (int)init.child.pid);
	children = fopen(path, "re");
	assert_non_null(children);
	while (fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		status = fopen(path, "re");
		if (status == NULL)
			continue;
		if (fgets(text, sizeof(text), status) != NULL &&
		    sscanf(text, "%*d (%*[^)]) %c", &state) == 1)
			count += strchr(states, state) != NULL;
		fclose(status);
	}
	fclose(children);
	return count;
}

/*
 * The 10,000 and a crash, a signal and an end: in one life, with one that
 * ignores signals about, and without a zombie at any end of it.
 */
static void
life_is_whole(void **state)
{
	char line[INIT_LINE_BYTES];

	(void)state;
	start("0");
	init_command(&init, "store listener memfd");
	init_command(&init, "orphans 10000");
	assert_string_equal(init.answer, "");
	init_command(&init, "leave stubborn");
	init_order(&init, "die 9");
	init_read_answer(&init);
	assert_non_null(strstr(init.answer, "fd listener listener\n"));
	assert_int_equal(count_children("Z"), 0);
	assert_int_equal(count_children("RSD"), 2);
	init_command(&init, "catch");
	child_signal(&init.child, SIGTERM);
	child_read_line(init.child.out_fd, line, sizeof(line));
	assert_string_equal(line, "signal 15");
	init_order(&init, "exit 9");
	assert_int_equal(init_end(&init), 9);
}

static int
pss_kib(pid_t pid)
{
	char path[64], line[256];
	int kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (kib < 0 && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Pss: %d kB", &kib) != 1)
			kib = -1;
	fclose(file);
	return kib;
}

/*
 * After it has done all that it does, with a store as a supd has.  What it has
 * needed it gives back when it goes to sleep, which nothing tells.
 */
static void
memory_is_small(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int kib, i;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	start("1");
	init_command(&init, "many 50");
	init_order(&init, "die 9");
	init_read_answer(&init);
	init_command(&init, "orphans 100");
	init_command(&init, "barrier");
	kib = pss_kib(init.child.pid);
	for (i = 0; i < CHILD_WAIT_MS && kib > PSS_KIB_MAX; i++) {
		nanosleep(&pause, NULL);
		kib = pss_kib(init.child.pid);
	}
	if (kib <= 0 || kib > PSS_KIB_MAX)
		fail_msg("%d KiB, at most %d", kib, PSS_KIB_MAX);
	init_order(&init, "exit 0");
	assert_int_equal(init_end(&init), 0);
}

/*
 * The mounts.  supd_init_boot.c is part of this program.
 */

static bool
is_of(const char *path, unsigned long magic)
{
	struct statfs status;

	return statfs(path, &status) == 0 &&
	    (unsigned long)status.f_type == magic;
}

/* devtmpfs says of itself that it is tmpfs, so that is not enough. */
static bool
is_mounted(const char *path, const char *parent)
{
	struct stat here, above;

	return stat(path, &here) == 0 && stat(parent, &above) == 0 &&
	    here.st_dev != above.st_dev;
}

/* In namespaces of its own, as process 1.  Returns a line that is wrong. */
static int
mount_all(const char *root)
{
	struct stat status;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", root, "tmpfs", 0, NULL) < 0 || chdir(root) < 0 ||
	    chroot(".") < 0)
		return __LINE__;
	init_boot_mount();
	if (!is_of("/proc", PROC_SUPER_MAGIC) || access("/proc/self", F_OK) < 0)
		return __LINE__;
	if (!is_of("/sys", SYSFS_MAGIC) ||
	    !is_of("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC))
		return __LINE__;
	if (stat("/dev/null", &status) < 0 || !S_ISCHR(status.st_mode) ||
	    access("/dev/pts/ptmx", F_OK) < 0 ||
	    !is_of("/dev/shm", TMPFS_MAGIC) || !is_mounted("/dev/shm", "/dev"))
		return __LINE__;
	if (!is_of("/run", TMPFS_MAGIC) || mkdir("/run/mine", 0755) < 0)
		return __LINE__;
	/* What is mounted already is left alone. */
	init_boot_mount();
	if (access("/run/mine", F_OK) < 0 || umount("/run") < 0 ||
	    umount("/run") == 0)
		return __LINE__;
	return 0;
}

static void
file_systems_are_mounted(void **state)
{
	char root[] = "/tmp/test-init-XXXXXX";
	int end, ends[2], line = 0;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0,
	    0, 0, 0);
	if (pid == 0) {
		line = mount_all(root);
		_exit(write(ends[1], &line, sizeof(line)) != sizeof(line));
	}
	if (pid > 0)
		assert_int_equal(waitpid(pid, &end, 0), pid);
	assert_int_equal(rmdir(root), 0);
	if (pid < 0 && errno == EPERM)
		skip();
	assert_int_equal(end, 0);
	assert_int_equal(read(ends[0], &line, sizeof(line)), sizeof(line));
	if (line != 0)
		fail_msg("%s:%d", __FILE__, line);
	close(ends[0]);
	close(ends[1]);
}

/* It is not a kernel's first process: nothing is mounted, no key redirected.  If
 * it is taken for it, a network of its own keeps the machine's as it is. */
static void
container_is_no_machine(void **state)
{
	int end;
	pid_t pid;

	(void)state;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWUSER |
	    CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(getpid() == 1 && !init_boot() ? GOOD : 0);
	if (pid < 0)
		skip();
	assert_int_equal(waitpid(pid, &end, 0), pid);
	assert_int_equal(WEXITSTATUS(end), GOOD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fds_are_kept),
		cmocka_unit_test(signals_are_passed_on),
		cmocka_unit_test(others_are_told),
		cmocka_unit_test(others_are_killed_at_last),
		cmocka_unit_test(life_is_whole),
		cmocka_unit_test(memory_is_small),
		cmocka_unit_test(file_systems_are_mounted),
		cmocka_unit_test(container_is_no_machine),
	};

	return cmocka_run_group_tests_name("supd-init as process 1", tests,
	    NULL, NULL);
}
