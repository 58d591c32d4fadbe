/*
 * From an order to what is executed: the environment, and the program's path.
 *
 * The path is found here and not in the child, which must not allocate.  One
 * with a slash stays as it is: a relative one is looked at from the release's
 * directory now and executed from there, so it is the pinned directory's in
 * any case.
 */
#include "task_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pin.h"

/* Both are NAME=value. */
static bool
same_name(const char *a, const char *b)
{
	size_t length = strcspn(a, "=") + 1;

	return strncmp(a, b, length) == 0;
}

static void
make_environment(const struct task_order *order, struct task_command *command)
{
	char *const *inherited = order->release->environment;
	size_t count = 0, i;

	for (; inherited[count] != NULL; count++) {
		assert(count < ENVIRONMENT_MAX);
		command->environment[count] = inherited[count];
	}
	for (const char *const *v = order->variables; v != NULL && *v != NULL;
	    v++) {
		for (i = 0; i < count; i++)
			if (same_name(*v, command->environment[i]))
				break;
		assert(i < ENVIRONMENT_MAX + TASK_VARIABLES_MAX);
		/* execve(2) takes it so, and changes nothing. */
		command->environment[i] = (char *)(uintptr_t)*v;
		count += i == count;
	}
	command->environment[count] = NULL;
}

/* Says what keeps the kernel from executing it, where that can be told better
 * than by its errno. */
static int
check_program(const struct task_order *order, const char *path, char *ret_text)
{
	struct stat status;

	if (fstatat(order->release->directory_fd, path, &status, 0) < 0) {
		int error = -errno;

		(void)snprintf(ret_text, REASON_BYTES_MAX, "%.300s: %s", path,
		    strerror(errno));
		return error;
	}
	if (!S_ISREG(status.st_mode)) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%.300s is %s, it "
		    "must be an executable file", path,
		    S_ISDIR(status.st_mode) ? "a directory" :
		    "not a regular file");
		return -EACCES;
	}
	if ((status.st_mode & 0111) == 0) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%.300s has no "
		    "execute permission, its mode is %04o", path,
		    status.st_mode & 07777);
		return -EACCES;
	}
	return 0;
}

static int
find_program(const struct task_order *order, struct task_command *command,
    char *ret_text)
{
	const char *name = order->argv[0];
	int error;

	assert(name != NULL);
	if (strchr(name, '/') != NULL) {
		error = check_program(order, name, ret_text);
		if (error < 0)
			return error;
		command->path = strdup(name);
		error = command->path == NULL ? -ENOMEM : 0;
	} else {
		error = pin_search(command->environment, name, &command->path);
	}
	if (error == -ENOENT)
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "%.300s is not in any directory of PATH", name);
	else if (error < 0)
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%.300s: %s", name,
		    strerror(-error));
	return error;
}

int
task_command_make(const struct task_order *order, struct task_command *command,
    char *ret_text)
{
	make_environment(order, command);
	return find_program(order, command, ret_text);
}

void
task_command_release(struct task_command *command)
{
	free(command->path);
}
