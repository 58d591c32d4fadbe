/*
 * A supd that passes the dry run of an upgrade and fails then, in the way that
 * the name of its file tells.
 */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "carry.h"
#include "crash.h"

/* As a supd does, until all of it is as it was for the one before. */
static void
start(char **argv)
{
	struct carried carried;

	if (carry_init(&carried) < 0 || crash_init(argv, &carried) < 0)
		exit(1);
	crash_return_to(carry_take("supd-previous"));
}

/* The supd that is installed beside it. */
static int
check(char *path, char **argv)
{
	char supd[PATH_MAX];

	(void)snprintf(supd, sizeof(supd), "%s/supd", dirname(path));
	(void)execv(supd, argv);
	return 1;
}

int
main(int argc, char **argv)
{
	char path[PATH_MAX / 2] = "", *name;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return 1;
	if (argc == 2 && strcmp(argv[1], "--check-resume") == 0)
		return check(path, argv);
	name = basename(path);
	if (strcmp(name, "aborts") == 0) {
		start(argv);
		abort();
	}
	if (strcmp(name, "gives-up") == 0) {
		start(argv);
		crash_return("it is doomed");
	}
	return 1;
}
