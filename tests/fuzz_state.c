/*
 * Fuzzing the reader of the state: any lines give an engine or a sentence, and an
 * engine goes on from whatever was taken: for some turns, and again from what it
 * has written itself.
 *
 * The commits of the input are left out and one that fits is put at its end, for
 * no fuzzer finds a sum.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "release.h"
#include "state_fixture.h"

enum { COMMIT_BYTES = 128, TURNS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Lines without those that begin like a commit.  Their number. */
static unsigned
copy_lines(const uint8_t *bytes, size_t size_bytes, char *ret_text,
    size_t *ret_size_bytes)
{
	static const char commit[] = "{\"commit\":";
	const char *line = (const char *)bytes, *end = line + size_bytes;
	unsigned count = 0;

	*ret_size_bytes = 0;
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t length = (size_t)((next != NULL ? next : end) - line);

		if (length < sizeof(commit) - 1 ||
		    memcmp(line, commit, sizeof(commit) - 1) != 0) {
			memcpy(ret_text + *ret_size_bytes, line, length);
			*ret_size_bytes += length;
			ret_text[(*ret_size_bytes)++] = '\n';
			count++;
		}
		line += length + 1;
	}
	return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static struct stage stage;
	char *text = malloc(size_bytes + 1 + COMMIT_BYTES);
	size_t used;
	unsigned count;

	if (text == NULL)
		abort();
	count = copy_lines(bytes, size_bytes, text, &used);
	used += (size_t)snprintf(text + used, COMMIT_BYTES,
	    "{\"commit\":1,\"lines\":%u,\"sum\":\"0x%016llx\"}\n", count,
	    (unsigned long long)release_hash(RELEASE_HASH_START, text, used));
	stage_boot(&stage, "[service web]\ncommand = /bin/web\n");
	if (stage_read(&stage, text, used) == NULL) {
		for (unsigned i = 0; i < TURNS; i++)
			stage_turn(&stage, UINT64_C(1) << 5 * i);
		stage_restart(&stage);
		stage_turn(&stage, 1000);
	}
	stage_release(&stage);
	free(text);
	return 0;
}
