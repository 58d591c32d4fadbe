/*
 * A build that the end-to-end tests install: an executable of its own that
 * becomes the worker, with options that are appended to its file.
 *
 * So a test makes any number of builds, each a new file with its own identity,
 * by copying this one and adding a trailer:
 *
 *	NUL, path of the worker, NUL, option, NUL, option, NUL, … MARK
 *
 * It reads /proc/self/exe and not argv[0]: a supervisor that pins its builds
 * executes this very file, also when another one has its name.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"

enum { TRAILER_BYTES_MAX = 4096, WORDS_MAX = 64 };

/* The trailer without its mark; its size or -1. */
static ssize_t
read_trailer(char *ret_bytes)
{
	const size_t mark_bytes = strlen(BUILD_MARK);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	off_t from = size > TRAILER_BYTES_MAX ? size - TRAILER_BYTES_MAX : 0;
	ssize_t count = fd < 0 ? -1 :
	    pread(fd, ret_bytes, TRAILER_BYTES_MAX, from);

	if (count < (ssize_t)mark_bytes || memcmp(ret_bytes + count -
	    mark_bytes, BUILD_MARK, mark_bytes) != 0)
		return -1;
	return count - (ssize_t)mark_bytes;
}

/* From the end backwards, to the empty word before the path. */
static char *
find_words(char *bytes, ssize_t size)
{
	ssize_t i;

	for (i = size - 2; i > 0; i--)
		if (bytes[i] == '\0' && bytes[i - 1] == '\0')
			return bytes + i + 1;
	return NULL;
}

int
main(int argc, char **argv)
{
	static char bytes[TRAILER_BYTES_MAX];
	char *words[WORDS_MAX + 1], *word;
	ssize_t size = read_trailer(bytes);
	char *path = size < 0 ? NULL : find_words(bytes, size);
	int count = 0, i;

	if (path == NULL) {
		fputs("build: this is no installed build\n", stderr);
		return 127;
	}
	words[count++] = argv[0];
	for (word = path + strlen(path) + 1; word < bytes + size &&
	    count < WORDS_MAX; word += strlen(word) + 1)
		words[count++] = word;
	for (i = 1; i < argc && count < WORDS_MAX; i++)
		words[count++] = argv[i];
	words[count] = NULL;
	/* In a build with sanitizers: a SIGCONT that comes while it looks for
	 * leaks stops LeakSanitizer for ever.  The worker is not what is tested. */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	execv(path, words);
	perror(path);
	return 127;
}
