/*
 * Who has an address that we cannot bind: the kernel tells which sockets are
 * there, and /proc which processes have them open; of other users' processes only
 * to root.
 *
 * Mostly that is a supd which was killed and had no parent that keeps fds: its
 * workers serve still, and nobody can take them over.  They are known by the
 * notify sockets that they were started with, as in orphan.c.
 */
#include "listener_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"
#include "fd.h"
#include "orphan.h"

enum {
	SHOWN_MAX = 8,                  /* pids in a message */
	LINKS_MAX = 1 << 15,            /* in /proc that are read: some 50 ms */
};

struct search {
	struct group_look look;         /* the sockets */
	unsigned link_count;
	pid_t pids[SHOWN_MAX];
	unsigned count;                 /* of processes, also beyond those */
	bool are_left;                  /* by an earlier supd, all of them */
};

static bool
is_one(const struct search *search, const char *link)
{
	char wanted[40];

	for (uint32_t i = 0; i < search->look.count; i++) {
		(void)snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]",
		    search->look.inodes[i]);
		if (strcmp(link, wanted) == 0)
			return true;
	}
	return false;
}

static bool
has_one_open(struct search *search, const char *pid)
{
	char path[64], link[64];
	const struct dirent *entry;
	bool has = false;
	ssize_t size;
	DIR *fds;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	fds = opendir(path);
	while (fds != NULL && !has && search->link_count < LINKS_MAX &&
	    (entry = readdir(fds)) != NULL) {
		search->link_count++;
		size = readlinkat(dirfd(fds), entry->d_name, link,
		    sizeof(link) - 1);
		link[size > 0 ? size : 0] = '\0';
		has = is_one(search, link);
	}
	if (fds != NULL)
		(void)closedir(fds);
	return has;
}

/* A worker of an earlier supd that had this runtime_dir. */
static bool
is_left(pid_t pid)
{
	char name[ORPHAN_NAME_BYTES];

	return orphan_socket(pid, name) && !crew_has_socket(name);
}

static void
find_processes(struct search *search)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	search->are_left = true;
	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || !has_one_open(search, entry->d_name))
			continue;
		search->are_left = search->are_left && is_left(pid);
		if (search->count < SHOWN_MAX)
			search->pids[search->count] = pid;
		search->count++;
	}
	if (proc != NULL)
		(void)closedir(proc);
}

static void
list_pids(const struct search *search, char *ret_text, size_t size)
{
	size_t used = (size_t)snprintf(ret_text, size, "pid");

	for (unsigned i = 0; i < search->count && i < SHOWN_MAX; i++)
		used += (size_t)snprintf(ret_text + used, size - used, " %d",
		    (int)search->pids[i]);
	if (search->count > SHOWN_MAX)
		(void)snprintf(ret_text + used, size - used, " and %u more",
		    search->count - SHOWN_MAX);
}

void
listener_say_in_use(const struct listener_spec *spec, char *ret_text)
{
	static struct search search;
	char pids[SHOWN_MAX * 12 + 32];

	search = (struct search){ 0 };
	if (listener_look(spec, &search.look) == 0 && search.look.count > 0)
		find_processes(&search);
	list_pids(&search, pids, sizeof(pids));
	if (search.count == 0)
		listener_say(ret_text, spec, "cannot bind: %s (another process "
		    "listens there)", strerror(EADDRINUSE));
	else if (!search.are_left)
		listener_say(ret_text, spec, "cannot bind: %s (%s listens "
		    "there)", strerror(EADDRINUSE), pids);
	else
		listener_say(ret_text, spec, "cannot bind: %s (%s serve there: "
		    "workers of an earlier supd that was killed; to be ended "
		    "with kill(1), for only what systemd or supd-init keeps is "
		    "taken over)", strerror(EADDRINUSE), pids);
}
