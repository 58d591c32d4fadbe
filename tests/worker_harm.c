/*
 * What a worker does to itself.  It owns the memory that it has grown by.
 */
#include "worker_harm.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEFT_CHILD_LIFE_S = 60 };

static struct {
	char *bytes;            /* reserved as a whole, touched bit by bit */
	size_t size_bytes;
} grown;

void
harm_crash(int code, int signal_number)
{
	if (signal_number != 0) {
		signal(signal_number, SIG_DFL);
		raise(signal_number);
	}
	_exit(code);
}

void
harm_grow(long bytes)
{
	size_t room, wanted = (size_t)bytes;

	if (grown.bytes == NULL) {
		void *address = mmap(NULL, HARM_GROWTH_BYTES_MAX,
		    PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (address == MAP_FAILED)
			return;
		/* Else a byte may be worth two megabytes. */
		(void)madvise(address, HARM_GROWTH_BYTES_MAX, MADV_NOHUGEPAGE);
		grown.bytes = address;
	}
	room = HARM_GROWTH_BYTES_MAX - grown.size_bytes;
	if (wanted > room)
		wanted = room;
	memset(grown.bytes + grown.size_bytes, 1, wanted);
	grown.size_bytes += wanted;
}

void
harm_become_daemon(void)
{
	pid_t child = fork();

	if (child != 0) {
		/* When we are gone it is in another session for sure. */
		(void)waitpid(child, NULL, 0);
		_exit(0);
	}
	setsid();
	if (fork() != 0)
		_exit(0);
}

void
harm_leave_child(void)
{
	if (fork() != 0)
		return;
	signal(SIGTERM, SIG_IGN);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	alarm(LEFT_CHILD_LIFE_S);
	for (;;)
		pause();
}
