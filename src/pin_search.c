/*
 * Looking a command up in PATH, as a shell does it.
 */
#include "pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pin_parts.h"

#define PATH_DEFAULT \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool
is_program(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

int
pin_search(char *const *environment, const char *name, char **ret_path)
{
	const char *path = pin_environment_value(environment, "PATH");
	char *candidate;
	size_t length;

	if (path == NULL)
		path = PATH_DEFAULT;
	for (;; path += length + 1) {
		length = strcspn(path, ":");
		if (*path == '/') {
			if (asprintf(&candidate, "%.*s/%s", (int)length, path,
			    name) < 0)
				return -ENOMEM;
			if (is_program(candidate)) {
				*ret_path = candidate;
				return 0;
			}
			free(candidate);
		}
		if (path[length] == '\0')
			return -ENOENT;
	}
}
